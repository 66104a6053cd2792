package relational

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

// emptied says that a kept column may be emptied in rows where it repeats what is taken
// away: it is a text, and nothing goes by it.
func (h *Holding) emptied(t Reached, c Column) bool {
	n := t.Table.TableName
	key, _, _ := CutPath(h.claims.keyed[n])
	bound := func(k ForeignKey) bool {
		return k.Child == n && slices.Contains(k.Columns, c.Name) || k.Parent == n && slices.Contains(k.Parents, c.Name)
	}
	return KindOf(c.Type) == transform.Text && !c.Computed && !c.Generated && c.Name != key && !slices.Contains(t.Table.Key, c.Name) && (h.Graph == nil || !slices.ContainsFunc(h.Graph.keys, bound))
}

// changed is a row as its rules make it. A text that a rule takes away stands nowhere
// else in the row afterwards: another column that repeats it is emptied. It blocks where
// that is one by which rows are told apart or referred to, or a document that is kept. The
// same goes for the tenant's key, however short, as a word of its own.
func (h *Holding) changed(t Reached, given Transform, row map[string]any, d tenure.Disposition, name transform.Namer) (map[string]any, error) {
	out := make(map[string]any, len(row))
	taken := map[string][]string{}
	for _, c := range t.Table.Columns {
		r, ok := given.Columns[c.Name]
		if !ok {
			continue
		}
		v, err := r.Apply(row[c.Name], fieldOf(c), name)
		if err != nil {
			return nil, tenure.Errorf(tenure.CodeOf(err), "%s of %s: %w", c.Name, t.Table, err)
		}
		out[c.Name] = v
		if r.Hides() {
			taken[c.Name] = slices.DeleteFunc(transform.Originals(row[c.Name]), func(s string) bool { return transform.Holds(v, []string{s}) })
		}
	}
	for _, c := range t.Table.Columns {
		v, ok := out[c.Name]
		if !ok || v == nil || c.Computed || given.Columns[c.Name].Word == transform.Constant { // the server works it out anew, and a constant tells of nobody
			continue
		}
		if h.tells(v, d) && !h.names(t, c.Name) {
			if given.Columns[c.Name].Word == transform.Keep && !h.emptied(t, c) {
				return nil, tenure.Errorf(tenure.Blocked, "%s of %s, which is kept, has the tenant's key in it", c.Name, t.Table).
					WithHint("transforms: {%s: {columns: {%s: clear}}}", h.name(t.Table.TableName), c.Name)
			}
			out[c.Name] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(c))
			continue
		}
		for from, originals := range taken {
			if from == c.Name || len(originals) == 0 || !transform.Holds(v, originals) {
				continue
			}
			if given.Columns[c.Name].Word != transform.Keep || h.emptied(t, c) {
				out[c.Name] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(c))
				continue
			}
			return nil, tenure.Errorf(tenure.Blocked, "%s of %s, which is kept, repeats what stands in %s, which isn't", c.Name, t.Table, from).
				WithHint("transforms: {%s: {columns: {%s: clear}}}", h.name(t.Table.TableName), c.Name)
		}
	}
	return out, nil
}

// gone are the texts that rules take away from a row.
func (t Transform) gone(row, result map[string]any) (out []string) {
	for name, r := range t.Columns {
		if r.Hides() {
			out = append(out, slices.DeleteFunc(transform.Originals(row[name]), func(s string) bool { return transform.Holds(result[name], []string{s}) })...)
		}
	}
	return out
}

// tells says that a value of a row which becomes nobody's has the tenant's key in it.
func (h *Holding) tells(v any, d tenure.Disposition) bool {
	key := h.claims.t.Key
	return d == tenure.Anonymise && Telling(key) && transform.Says(v, key)
}

// names says that a column is the table's tenant column: what becomes of it is seen to.
func (h *Holding) names(t Reached, column string) bool {
	key, _, _ := CutPath(h.claims.keyed[t.Table.TableName])
	return column == key
}

// needing is the condition for rows, under the alias a, by which rows that stay for holds
// are found as the tenant's: were they nobody's, these would be too. "" if there are none.
func (h *Holding) needing(n TableName, d tenure.Disposition, a string, seen []TableName) string {
	if h.withheld == nil || d != tenure.Anonymise || slices.Contains(seen, n) {
		return ""
	}
	inner := next(a)
	var any []string
	for _, k := range h.Graph.above[n] {
		if !h.claims.parent(k.Parent) || h.Classes[k.Parent] == "" || k.self() {
			continue
		}
		var of []string
		if stays := h.withheld.stays(k.Parent, inner); stays != "" {
			of = append(of, stays)
		}
		if more := h.needing(k.Parent, d, inner, append(slices.Clone(seen), n)); more != "" {
			of = append(of, more)
		}
		if len(of) > 0 {
			any = append(any, k.up(a, inner, h.Dialect.Name(k.Parent), either(of)))
		}
	}
	if len(any) == 0 {
		return ""
	}
	return either(any)
}
