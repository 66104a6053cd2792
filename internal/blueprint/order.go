package blueprint

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// checkOrder sorts the resources so that what is needed comes first, by the
// order of the file where there is a choice, and names a cycle.
func (k *checker) checkOrder() {
	done := map[string]bool{}
	for len(k.order) < len(k.Blueprint.Resources) {
		next := -1
		for i, r := range k.Blueprint.Resources {
			if !done[r.Key] && !slices.ContainsFunc(r.Needs, func(n string) bool { return k.known(n) && !done[n] }) {
				next = i
				break
			}
		}
		if next < 0 {
			k.refuseCycle(done)
			return
		}
		done[k.Blueprint.Resources[next].Key] = true
		k.order = append(k.order, next)
	}
}

func (k *checker) known(key string) bool { _, ok := k.index[key]; return ok }

// refuseCycle follows needs from the first resource that is stuck until one
// comes again.
func (k *checker) refuseCycle(done map[string]bool) {
	var trail []string
	at := ""
	for _, r := range k.Blueprint.Resources {
		if !done[r.Key] {
			at = r.Key
			break
		}
	}
	for !slices.Contains(trail, at) {
		trail = append(trail, at)
		for _, n := range k.Blueprint.Resources[k.index[at]].Needs {
			if k.known(n) && !done[n] {
				at = n
				break
			}
		}
	}
	trail = append(trail[slices.Index(trail, at):], at)
	k.refuse(source.Path{"resources"}.Index(k.index[at]), "a resource must not need itself, even by way of others", "cycle: %s", strings.Join(trail, " → "))
}

// checkNames refuses names that can't be told apart: between tenants, between
// environments, and within one.
func (k *checker) checkNames() {
	taken := map[[3]string]int{}
	for i, r := range k.Blueprint.Resources {
		p := source.Path{"resources"}.Index(i).With("name")
		t := k.texts[inEnvironment][r.Name]
		if t == nil {
			continue
		}
		if !k.follows(r.Key, "tenant", map[string]bool{}) {
			k.refuse(p, "use ${tenant.name} in it, or a parameter that is required", "the name is the same for every tenant")
		}
		if in := k.environments(r.Environments); len(in) > 1 && !k.follows(r.Key, "env", map[string]bool{}) {
			k.refuse(p, "use ${env.name} in it, or limit the resource to one environment", "%s", sameName(in))
		}
		id := [3]string{r.System, r.Type, r.Name}
		if first, twice := taken[id]; twice && r.When == "" && k.Blueprint.Resources[first].When == "" && overlap(k.environments(r.Environments), k.environments(k.Blueprint.Resources[first].Environments)) {
			k.refuse(p, "", "resources %s and %s have the same name in the same system", k.Blueprint.Resources[first].Key, r.Key)
		}
		taken[id] = i
	}
}

func sameName(in []tenure.Environment) string {
	for _, e := range in {
		if e.Kind != in[0].Kind {
			return "the name is the same in " + in[0].Name + " (" + in[0].Kind + ") and " + e.Name + " (" + e.Kind + "): they must be kept apart"
		}
	}
	return "the name is the same in " + in[0].Name + " and " + in[1].Name
}

func overlap(a, b []tenure.Environment) bool {
	return slices.ContainsFunc(a, func(e tenure.Environment) bool { return slices.Contains(b, e) })
}

// follows says whether a resource's name changes with the tenant or with the
// environment, by itself or by way of a resource that it reads.
func (k *checker) follows(key, what string, seen map[string]bool) bool {
	i, ok := k.index[key]
	if !ok || seen[key] {
		return false
	}
	seen[key] = true
	t := k.texts[inEnvironment][k.Blueprint.Resources[i].Name]
	switch {
	case t == nil:
		return true // its own problem is told already
	case what == "env" && t.refs.names["env"]:
		return true
	case what == "tenant" && (t.refs.fields["tenant"]["name"] || t.refs.fields["tenant"]["id"]):
		return true
	case what == "tenant" && slices.ContainsFunc(k.required(), func(name any) bool { s, _ := name.(string); return t.refs.fields["params"][s] }):
		return true // each tenant gives its own; one that another has is refused when it is planned
	}
	for _, read := range t.resources() {
		if t.refs.resources[read]["id"] || t.refs.resources[read]["name"] && k.follows(read, what, seen) {
			return true
		}
	}
	return false
}

// required are the names of the parameters that every request has to give.
func (k *checker) required() []any {
	names, _ := k.Blueprint.Parameters["required"].([]any)
	return names
}
