package objects

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

// leaf is a value of a record that a rule is about.
type leaf struct {
	path    string
	rule    transform.Rule
	in, out any
	set     func(any) // puts the result into the record
}

// anyField is what a value of a file is.
var anyField = transform.Field{Kind: transform.Any}

// settle makes the results of a record's values and puts them into it. A text that a rule
// takes away stands nowhere else in the record afterwards: another value that repeats it
// is emptied, also one that is kept. Beside the record it is Blocked.
func (t Transform) settle(values []leaf, how How) error {
	if len(values) > maxValues {
		return tenure.Errorf(tenure.Blocked, "the record has more than %d values", maxValues)
	}
	type original struct {
		text string
		of   int
	}
	var taken []original
	work := 0
	for i := range values {
		l := &values[i]
		var err error
		if l.out, err = l.rule.Apply(l.in, anyField, how.Name); err != nil {
			return tenure.Errorf(tenure.CodeOf(err), "%s: %w", shown(l.path), err)
		}
		if l.rule.Hides() {
			for _, text := range transform.Originals(l.in) {
				taken = append(taken, original{text, i})
			}
		}
		work += size(l.out)
	}
	if len(taken) > 1 && work > maxSearch/len(taken) {
		return tenure.Errorf(tenure.Blocked, "it is too large to seek %d values in all others", len(taken)).WithHint("put it under a prefix of another class, or split the record")
	}
	for _, o := range taken {
		for _, text := range how.Beside {
			if transform.Holds(text, []string{o.text}) {
				return tenure.Errorf(tenure.Blocked, "the name or the metadata repeats what stands in %s, which isn't kept", shown(values[o.of].path)).
					WithHint("rename the object, or give its metadata a rule")
			}
		}
	}
	for i := range values {
		l := &values[i]
		for _, o := range taken {
			if o.of == i || l.out == nil || !transform.Holds(l.out, []string{o.text}) {
				continue
			}
			l.out = nil
		}
		l.set(l.out)
	}
	return t.count(values, how)
}

// size is how many bytes are looked through in a value.
func size(v any) (n int) {
	switch v := v.(type) {
	case string:
		n = len(v)
	case []any:
		for _, e := range v {
			n += size(e)
		}
	case map[string]any:
		for name, e := range v {
			n += len(name) + size(e)
		}
	}
	return n + perValue
}

// count adds a record to its group.
func (t Transform) count(values []leaf, how How) error {
	if how.Groups == nil || t.AtLeast == 0 {
		return nil
	}
	find := func(name string) leaf {
		if i := slices.IndexFunc(values, func(l leaf) bool { return l.path == name }); i >= 0 {
			return values[i]
		}
		return leaf{}
	}
	identifying := make([]any, len(t.Identifying))
	for i, name := range t.Identifying {
		identifying[i] = find(name).out
	}
	var who any
	if t.Of != "" {
		if who = find(t.Of).in; who == nil {
			who = "" // records of nobody are of one
		}
	}
	if how.Past {
		return how.Groups.AddPast(identifying, who)
	}
	return how.Groups.Add(identifying, who)
}

// branch is what becomes of a part of a document.
type branch struct {
	rule    *transform.Rule
	members map[string]*branch
	element *branch
}

func (t Transform) tree() *branch {
	root := &branch{}
	for path, rule := range t.Fields {
		at := root
		for part := range strings.SplitSeq(path, ".") {
			name := strings.TrimRight(part, "[]")
			if name != "" {
				if at.members == nil {
					at.members = map[string]*branch{}
				}
				if at.members[name] == nil {
					at.members[name] = &branch{}
				}
				at = at.members[name]
			}
			for range strings.Count(part, "[]") {
				if at.element == nil {
					at.element = &branch{}
				}
				at = at.element
			}
		}
		at.rule = &rule
	}
	return root
}

// collect gathers the values of a document with their rules, and builds the document
// that the results are put into. A value without a rule is Blocked.
func (b *branch) collect(v any, path string, values *[]leaf, set func(any)) error {
	if len(*values) > maxValues {
		return tenure.Errorf(tenure.Blocked, "the record has more than %d values", maxValues)
	}
	if b.rule != nil {
		switch v.(type) {
		case map[string]any, []any:
			if b.rule.Word == transform.Keep {
				return tenure.Errorf(tenure.Blocked, "%s is an object or a list, and keep is of single values", shown(path)).
					WithHint("say what becomes of its members, such as %s.name or %s[]", shown(path), shown(path))
			}
		}
		*values = append(*values, leaf{path: path, rule: *b.rule, in: v, set: set})
		return nil
	}
	switch v := v.(type) {
	case nil:
		set(nil)
		return nil
	case map[string]any:
		if b.members == nil {
			break
		}
		out := make(map[string]any, len(v))
		set(out)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			at := name
			if path != "" {
				at = path + "." + name
			}
			in := b.members[name]
			if in == nil {
				return withoutRule(shown(at))
			}
			if err := in.collect(v[name], at, values, func(x any) { out[name] = x }); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if b.element == nil {
			return withoutRule(shown(path + "[]"))
		}
		out := make([]any, len(v))
		set(out)
		for i, e := range v {
			if err := b.element.collect(e, path+"[]", values, func(x any) { out[i] = x }); err != nil {
				return err
			}
		}
		return nil
	}
	return withoutRule(shown(path))
}
