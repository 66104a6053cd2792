package proposal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
	"github.com/tenurehq/tenure/internal/scaffold"
	"github.com/tenurehq/tenure/internal/survey"
)

// Draft drafts a blueprint of what most tenants of a survey have, under names that follow from what a tenant
// is called. What it takes for a rule has its reason; what it couldn't take for one is said. Types are the
// systems' connectors, by the systems' names. A survey from which nothing follows is NotFound.
func Draft(r *survey.Report, name string, types map[string]connector.Info) (*scaffold.Platform, error) {
	d := &drafting{report: r, types: types, out: &scaffold.Platform{Name: name, Taken: r.Taken}}
	listed := slices.ContainsFunc(r.Tenants, func(t survey.Tenant) bool { return len(t.Listed) > 0 })
	for i := range r.Tenants {
		if t := &r.Tenants[i]; !t.Left && (len(t.Listed) > 0 || !listed) {
			d.tenants = append(d.tenants, t)
		}
	}
	d.find()
	d.within()
	if len(d.places) == 0 && len(d.rows) == 0 {
		return nil, tenure.Errorf(tenure.NotFound, "the survey has nothing that most of its %s have under names that follow from the tenant", counted(len(d.tenants), "tenant")).
			WithHint("%s", d.wanted())
	}
	d.variables()
	for _, p := range d.places {
		d.resource(p)
	}
	d.needs()
	d.sort()
	d.tables()
	d.leftOver()
	return d.out, nil
}

// wanted says what a survey needs, so that a draft follows from it.
func (d *drafting) wanted() string {
	if len(d.tenants) == 0 {
		return "survey the system with the list of customers, too, or name the column that says whose a row is: tenure survey --tenant-column"
	}
	return fmt.Sprintf("of %d tenants and more, %d%% must have a thing", survey.StepLeast, survey.StepShare)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

type drafting struct {
	report  *survey.Report
	types   map[string]connector.Info
	tenants []*survey.Tenant
	places  []*place
	rows    []*place
	some    []*place                              // what some tenants have, and not most
	called  *place                                // what tenants are called, once it is asked for
	strays  map[[2]string]map[*survey.Tenant]bool // by system and word: who has things whose names follow from nothing
	out     *scaffold.Platform
}

// place is where each tenant has a thing: its name is the tenant's own text between two that all have.
type place struct {
	system, typ   string
	before, after string
	in            *place // in which most of its things stand, each tenant's in its own; nil: in none
	has           map[*survey.Tenant]*survey.Thing
	values        map[*survey.Tenant]string // what is between
	variable      string                    // the expression of what varies
	inTable       string                    // of rows
	resource      *scaffold.Resource
}

// find takes each name apart by what its tenant is called, and keeps what most tenants have.
func (d *drafting) find() {
	all, order := map[string]*place{}, []string{}
	d.strays = map[[2]string]map[*survey.Tenant]bool{}
	for _, t := range d.tenants {
		called := callings(t)
		for i := range t.Things {
			th := &t.Things[i]
			if th.Type == "" || th.Kind == string(connector.TraceRecord) || th.Kind == string(connector.TraceTable) || th.Kind == string(connector.TraceCopy) {
				continue
			}
			p, value := &place{system: th.System, typ: th.Type}, th.Name
			if th.Kind == string(connector.TraceRows) {
				p.inTable = th.In
			} else {
				var ok bool
				if p.before, value, p.after, ok = apart(th.Name, called); !ok || strings.ContainsFunc(p.before+p.after, unicode.IsControl) { // no blueprint has such a name
					at := [2]string{th.System, cmp.Or(th.Word, th.Type)}
					if d.strays[at] == nil {
						d.strays[at] = map[*survey.Tenant]bool{}
					}
					d.strays[at][t] = true
					continue
				}
			}
			id := strings.Join([]string{p.system, p.typ, p.before, p.after, p.inTable}, "\x00")
			if all[id] == nil {
				p.has, p.values = map[*survey.Tenant]*survey.Thing{}, map[*survey.Tenant]string{}
				all[id], order = p, append(order, id)
			}
			if all[id].has[t] == nil {
				all[id].has[t], all[id].values[t] = th, value
			}
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Or(len(all[b].has)-len(all[a].has), strings.Compare(a, b)) })
	for _, id := range order {
		switch p := all[id]; {
		case !most(len(p.has), len(d.tenants)):
			if len(p.has) >= survey.StepLeast {
				d.some = append(d.some, p)
			}
		case p.inTable != "":
			d.rows = append(d.rows, p)
		default:
			d.places = append(d.places, p)
		}
	}
}

// within finds which places are in others, and leaves out those that hold what the other one holds: they go
// along with it.
func (d *drafting) within() {
	type at struct {
		tenant       *survey.Tenant
		system, what string
	}
	all := map[at]*place{}
	for _, p := range d.places {
		for t, th := range p.has {
			all[at{t, p.system, survey.What(th.Word, th.Name, "")}] = p
		}
	}
	inside := map[*place]bool{}
	for _, p := range d.places {
		counts, places := map[*place]int{}, 0
		for t, th := range p.has {
			if th.Kind == string(connector.TracePlace) {
				places++
			}
			if o := all[at{t, p.system, th.In}]; o != nil && o != p && th.In != "" && o.has[t].Kind == string(connector.TracePlace) {
				counts[o]++
			}
		}
		for _, o := range d.places {
			if p.in == nil && counts[o] > 0 && most(counts[o], len(p.has)) && !o.isIn(p) {
				p.in, inside[p] = o, most(places, len(p.has))
			}
		}
	}
	d.places = slices.DeleteFunc(d.places, func(p *place) bool { return inside[p] })
}

// isIn says that a place is in another, however deep.
func (p *place) isIn(other *place) bool {
	for ; p != nil; p = p.in {
		if p == other {
			return true
		}
	}
	return false
}

// needs has each resource need the nearest one that its things stand in.
func (d *drafting) needs() {
	for _, p := range d.places {
		for in := p.in; in != nil && p.resource.Needs == nil; in = in.in {
			if in.resource != nil {
				p.resource.Needs = []string{in.resource.Key}
			}
		}
	}
}

// most says that so many of all are what one goes by.
func most(n, all int) bool {
	return n >= min(survey.StepLeast, all) && n > 0 && 100*n >= survey.StepShare*all
}

// callings are the texts by which a tenant's things may be named, the longest first.
func callings(t *survey.Tenant) []string {
	all := map[string]bool{}
	for _, name := range t.Names() {
		all[name] = true
		if words := claim.Words(name); claim.Telling(words) || slices.Contains(t.Also, name) {
			for _, between := range []string{"-", "_", ".", ""} {
				all[strings.Join(words, between)] = true
			}
		}
	}
	delete(all, "")
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
}

// apart finds the longest of the callings in a name, as a word or words of it; letters may be of the other case.
func apart(name string, called []string) (before, value, after string, ok bool) {
	low := folded(name)
	for _, c := range called {
		for from := 0; ; {
			i := strings.Index(low[from:], folded(c))
			if i < 0 || len(low) != len(name) || len(folded(c)) != len(c) {
				break
			}
			i += from
			end := i + len(c)
			if edge(low[:i], low[i:]) && edge(low[:end], low[end:]) {
				return name[:i], name[i:end], name[end:], true
			}
			from = i + 1
		}
	}
	return "", "", "", false
}

// folded is a text in lower case, each letter where it was: some are longer, or shorter, in lower case. What
// isn't UTF-8 makes it longer.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		if low := unicode.ToLower(r); utf8.RuneLen(low) == utf8.RuneLen(r) {
			return low
		}
		return r
	}, s)
}

// edge says that one word ends with the first text, or another begins with the second.
func edge(a, b string) bool {
	last, _ := utf8.DecodeLastRuneInString(a)
	first, _ := utf8.DecodeRuneInString(b)
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return a == "" || b == "" || !inWord(last) || !inWord(first)
}

// variables gives the places whose names vary together one parameter.
func (d *drafting) variables() {
	var known []*place // the first of each variable
	for _, p := range append(slices.Clone(d.places), d.rows...) {
		i := slices.IndexFunc(known, func(k *place) bool { return sameText(k.values, p.values) })
		if i >= 0 {
			p.variable = known[i].variable
			maps.Insert(known[i].values, maps.All(missing(p.values, known[i].values)))
			continue
		}
		named, plain := true, true
		for t, v := range p.values {
			named = named && v == t.Name
			plain = plain && plainSlug.MatchString(v)
		}
		p.variable = "params.key"
		switch {
		case p.inTable != "":
			p.variable = "params.tenantKey"
		case named:
			p.variable = "params.name"
		case plain:
			p.variable = "params.slug"
		}
		for n, base := 2, p.variable; slices.ContainsFunc(known, func(k *place) bool { return k.variable == p.variable }); n++ {
			p.variable = base + strconv.Itoa(n)
		}
		known = append(known, p)
	}
	for _, k := range known {
		example := ""
		for _, t := range d.tenants {
			if example = k.values[t]; example != "" {
				break
			}
		}
		d.out.Parameters = append(d.out.Parameters, scaffold.Parameter{Name: strings.TrimPrefix(k.variable, "params."), Example: example, Why: "what varies in " + d.text(k)})
	}
}

// sameText says that two places have the same text for each tenant that has both, and that most of the second's do.
func sameText(a, b map[*survey.Tenant]string) bool {
	both := 0
	for t, v := range b {
		if have, is := a[t]; is {
			if have != v {
				return false
			}
			both++
		}
	}
	return most(both, len(b))
}

func missing(from, in map[*survey.Tenant]string) map[*survey.Tenant]string {
	out := maps.Clone(from)
	maps.DeleteFunc(out, func(t *survey.Tenant, _ string) bool { _, is := in[t]; return is })
	return out
}

// text says where a place is, for a reason.
func (d *drafting) text(p *place) string {
	if p.inTable != "" {
		return "the rows of " + p.inTable + " in " + p.system
	}
	return fmt.Sprintf("the %s %s…%s in %s", p.typ, p.before, p.after, p.system)
}

// keyLength is how long the name of a resource in a draft is at most.
const keyLength = 40

var unkeyed = regexp.MustCompile(`[^a-z0-9]+`)

// resource drafts what each tenant has at a place.
func (d *drafting) resource(p *place) {
	res := &scaffold.Resource{System: p.system, Type: p.typ, Name: scaffold.Around(p.before, p.variable, p.after)}
	p.resource = res
	words := p.typ
	if slices.ContainsFunc(d.places, func(o *place) bool { return o != p && o.typ == p.typ }) {
		words += " " + p.before + " " + p.after
	}
	res.Key = d.key(words)
	res.Why = fmt.Sprintf("%d of %d tenants have one", len(p.has), len(d.tenants))
	if typ, ok := d.types[p.system].Type(p.typ); ok {
		res.Data, res.Schema = typ.Holds != tenure.HoldsNothing, typ.Attributes
	}
	d.attributes(p)
	d.out.Resources = append(d.out.Resources, res)
	d.beside(p)
}

// key is a key of these words that no resource has yet.
func (d *drafting) key(words string) string {
	words = strings.Trim(unkeyed.ReplaceAllString(strings.ToLower(words), "_"), "_")
	if words = strings.Trim(words[:min(len(words), keyLength)], "_"); words == "" || words[0] < 'a' || strings.HasPrefix(words, "rows") { // rows are the shared tables'
		words = strings.Trim("thing_"+words, "_")
	}
	key := words
	for n := 2; slices.ContainsFunc(d.out.Resources, func(o *scaffold.Resource) bool { return o.Key == key }); n++ {
		key = words + "_" + strconv.Itoa(n)
	}
	return key
}

// sort has each resource come after those whose names its attributes say, and say them by reference.
func (d *drafting) sort() {
	before, byKey := map[*scaffold.Resource][]*scaffold.Resource{}, map[string]*scaffold.Resource{}
	for _, r := range d.out.Resources {
		byKey[r.Key] = r
	}
	for _, r := range d.out.Resources {
		for _, key := range r.Needs {
			before[r] = append(before[r], byKey[key])
		}
	}
	after := func(a, b *scaffold.Resource) bool { // a comes after b, or is it
		all := []*scaffold.Resource{a}
		for i := 0; i < len(all); i++ {
			for _, o := range before[all[i]] {
				if !slices.Contains(all, o) {
					all = append(all, o)
				}
			}
		}
		return slices.Contains(all, b)
	}
	for _, r := range d.out.Resources {
		named := func(attribute, text string) string {
			for _, o := range d.out.Resources {
				if o.System == r.System && o.Name == text && (!o.Data || o.Type == attribute) && !after(o, r) {
					before[r] = append(before[r], o)
					return "${resources." + o.Key + ".name}"
				}
			}
			return text
		}
		for i := range r.Attributes {
			a := &r.Attributes[i]
			var v any
			if a.Out || json.Unmarshal([]byte(a.Value), &v) != nil {
				continue
			}
			switch is := v.(type) {
			case string:
				v = named(a.Name, is)
			case []any:
				for j := range is {
					if text, ok := is[j].(string); ok {
						is[j] = named(a.Name, text)
					}
				}
			default:
				continue
			}
			if text, err := json.Marshal(v); err == nil {
				a.Value = string(text)
			}
		}
	}
	var out []*scaffold.Resource
	var add func(*scaffold.Resource)
	add = func(r *scaffold.Resource) {
		if slices.Contains(out, r) {
			return
		}
		for _, o := range before[r] {
			add(o)
		}
		out = append(out, r)
	}
	for _, r := range d.out.Resources {
		add(r)
	}
	d.out.Resources = out
}

// tables lists where most tenants have rows, by system and tenant column.
func (d *drafting) tables() {
	for _, p := range d.rows {
		var one *survey.Thing
		for _, t := range d.tenants {
			if one = p.has[t]; one != nil {
				break
			}
		}
		column, _ := one.Attributes["column"].(string)
		schema, _ := one.Attributes["schema"].(string)
		name := strings.TrimPrefix(p.inTable, "table ")
		i := slices.IndexFunc(d.out.Rows, func(r *scaffold.Rows) bool { return r.System == p.system && r.Column == column })
		if i < 0 {
			i = len(d.out.Rows)
			d.out.Rows = append(d.out.Rows, &scaffold.Rows{System: p.system, Column: column, Schema: schema, Key: "${" + p.variable + "}"})
		}
		if key := "${" + p.variable + "}"; key != d.out.Rows[i].Key {
			d.out.Open = append(d.out.Open, fmt.Sprintf("resources: table %s in %s has other keys of tenants in %s than the tables before it: declare its rows by %s, or give both the same key", name, p.system, column, key))
			continue
		}
		if schema != d.out.Rows[i].Schema {
			name = schema + "." + name
		}
		if slices.ContainsFunc(d.out.Rows[i].Tables, func(t scaffold.RowsTable) bool { return t.Name == name }) {
			continue
		}
		d.out.Rows[i].Tables = append(d.out.Rows[i].Tables, scaffold.RowsTable{Name: name, Why: fmt.Sprintf("%d of %d tenants have rows in it", len(p.has), len(d.tenants))})
	}
	for _, r := range d.out.Rows {
		ask := scaffold.Ask{Name: d.out.Name, System: r.System, Connector: d.types[r.System].Name, Column: r.Column, Catalogue: d.report.Catalogues[r.System]}
		if draft, err := scaffold.Make(ask); err == nil { // without a catalog, the tables stand as they were seen
			r.Draft = draft
		}
		for _, res := range d.out.Resources {
			if res.System == r.System && res.Data {
				res.SearchedFor(r)
			}
		}
	}
}

// declares says that the draft has rights of the account that a finding is about.
func (d *drafting) declares(f survey.Finding) bool {
	name, _ := json.Marshal(scaffold.Literal(f.Name))
	return slices.ContainsFunc(d.out.Resources, func(r *scaffold.Resource) bool {
		return r.System == f.System && slices.ContainsFunc(r.Attributes, func(a scaffold.Attribute) bool { return !a.Out && a.Value == string(name) })
	})
}

// someMost is of how many things a draft says that some tenants have them.
const someMost = 10

// leftOver says what a person should look at: what most tenants have without a rule, what nobody's accounts reach,
// and what wasn't read.
func (d *drafting) leftOver() {
	for _, at := range slices.SortedFunc(maps.Keys(d.strays), func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) }) {
		if n := len(d.strays[at]); most(n, len(d.tenants)) {
			d.out.Open = append(d.out.Open, fmt.Sprintf("%s of %d tenants in %s have names that don't follow from the tenant: name them by a parameter, or leave them to the tenant", at[1], n, at[0]))
		}
	}
	for _, p := range d.some[:min(len(d.some), someMost)] {
		d.out.Open = append(d.out.Open, fmt.Sprintf("%d of %d tenants have %s, and the others haven't: it isn't in this draft; draft a blueprint of their own for tenants of that kind", len(p.has), len(d.tenants), d.text(p)))
	}
	if n := len(d.some) - someMost; n > 0 {
		d.out.Open = append(d.out.Open, fmt.Sprintf("and so it is with %s more", counted(n, "thing")))
	}
	for _, f := range d.report.Findings {
		if f.Kind == survey.Wide && f.Tenant == "" && d.declares(f) {
			d.out.Open = append(d.out.Open, fmt.Sprintf("%s in %s reaches several tenants' things, and the draft declares rights of it that most have: see whether it should have them", f.What(), f.System))
		} else if f.Kind == survey.Wide && f.Tenant == "" {
			d.out.Open = append(d.out.Open, fmt.Sprintf("%s in %s reaches several tenants' things: declare its rights, or a tenant's adoption is refused for them", f.What(), f.System))
		}
	}
	for _, s := range d.report.Systems {
		if slices.ContainsFunc(d.out.Systems, func(o [2]string) bool { return o[0] == s.Name }) {
			continue
		}
		if used := slices.ContainsFunc(d.places, func(p *place) bool { return p.system == s.Name }) || slices.ContainsFunc(d.rows, func(p *place) bool { return p.system == s.Name }); used {
			d.out.Systems = append(d.out.Systems, [2]string{s.Name, s.Connector})
		}
	}
	d.out.Notes = append(d.out.Notes, d.report.Unseen()...)
}
