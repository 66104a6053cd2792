package relational

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/transform"
)

// checkUniques finds the indexes in which rows may come to be alike, and references over
// columns that are worked out from others.
func (h *Holding) checkUniques(t Reached, given Transform, asks Constraints, refuse refusal) {
	changes := func(name string) bool {
		r, said := given.Columns[name]
		return said && r.Word != transform.Keep
	}
	bases := func(columns []string) (out []string) {
		for _, name := range columns {
			if from, is := asks.Computed[name]; is {
				out = append(out, from...)
			} else {
				out = append(out, name)
			}
		}
		return out
	}
	for _, u := range asks.Uniques {
		if all := bases(slices.Concat(u.Columns, u.Beside)); slices.ContainsFunc(all, changes) && !h.staysUnique(t.Table, given, u, asks) {
			changed := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(all))), func(name string) bool { return !changes(name) })
			what := strings.Join(u.Columns, ", ")
			if slices.Contains(u.Columns, "") || u.Partial || u.Alike {
				what = u.Name + " (over " + strings.Join(slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(all))), func(name string) bool { return name == "" }), ", ") + ")"
			}
			refuse(what+" must be unique, and rows may come to have the same", strings.Join(changed, ", ")+": clear, where it can be null, or a pseudonym", "columns", changed[0])
		}
	}
	for _, k := range h.Graph.above[t.Table.TableName] {
		for _, name := range k.Columns {
			if from, is := asks.Computed[name]; is && slices.ContainsFunc(from, changes) {
				refuse(name+" refers to "+k.Parent.String()+" and is worked out from "+strings.Join(from, ", ")+", and would lead nowhere", strings.Join(from, ", ")+": keep", "columns", from[0])
			}
		}
	}
	for _, k := range h.Graph.below[t.Table.TableName] {
		for _, name := range k.Parents {
			if from, is := asks.Computed[name]; is && slices.ContainsFunc(from, changes) {
				refuse(k.Link()+" refers to "+name+", which is worked out from "+strings.Join(from, ", "), strings.Join(from, ", ")+": keep", "columns", from[0])
			}
		}
	}
}

// staysUnique says that rows which differ in an index still do afterwards.
func (h *Holding) staysUnique(t Table, given Transform, u Unique, asks Constraints) bool {
	word := func(name string) transform.Word {
		if _, is := asks.Computed[name]; is || name == "" {
			return "" // whatever it is worked out to
		}
		return given.Columns[name].Word
	}
	for _, name := range u.Columns {
		if c, _ := t.Column(name); word(name) == transform.Clear && !c.Required && !u.Alike { // null is like nothing else
			return true
		}
	}
	kept := func(name string) bool { return word(name) == transform.Keep && slices.Contains(u.Columns, name) }
	if len(t.Key) > 0 && !slices.ContainsFunc(t.Key, func(name string) bool { return !kept(name) }) { // the primary key tells them apart
		return true
	}
	if slices.ContainsFunc(u.Beside, func(name string) bool { return word(name) != transform.Keep }) {
		return false
	}
	for _, name := range u.Columns {
		if w := word(name); w != transform.Keep && (w != transform.Name || u.Partial) {
			return false
		}
	}
	return true
}
