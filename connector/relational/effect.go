package relational

import (
	"github.com/tenurehq/tenure"
	"maps"
	"slices"
	"strings"
)

// Effect is what a transaction did to the rows of one table, triggers, rules and
// constraints included.
type Effect struct{ Inserted, Updated, Deleted int64 }

// Minus is what was done since another look.
func (f Effect) Minus(o Effect) Effect {
	return Effect{f.Inserted - o.Inserted, f.Updated - o.Updated, f.Deleted - o.Deleted}
}

// Stirs says that a batch may do more than to delete its rows: a trigger or a rule
// may run, or a reference change.
func (e *Erasure) Stirs() bool {
	h := e.Holding
	if e.Disposition.Changes() || h.Beyond || slices.ContainsFunc(e.steps, func(s EraseStep) bool { return s.Kind == StepNull }) {
		return true
	}
	for _, n := range e.Touches() {
		if h.Graph.tables[n].Code {
			return true
		}
	}
	for _, n := range e.Takes() {
		if slices.ContainsFunc(h.Graph.below[n], func(k ForeignKey) bool {
			return k.OnDelete == Cascade || k.OnDelete.lets() || h.claims.b.links[k.id()] == Detach
		}) {
			return true
		}
	}
	return false
}

// Excess is what of an effect on a table the last batch, which took the given rows,
// doesn't account for. Fewer updates than none are references that were to become
// null and didn't.
func (e *Erasure) Excess(n TableName, counts map[string]int64, did Effect) Effect {
	own := Effect{Inserted: e.adds[n], Updated: e.nulls[n], Deleted: counts[n.String()]}
	if e.Disposition == tenure.Anonymise || e.Disposition == tenure.Pseudonymise {
		own.Deleted = 0
	}
	out := did.Minus(own)
	if e.Holding.Graph.tables[n].Parts { // a row that moves to another part goes from one and comes to the other
		moved := max(0, min(out.Inserted, out.Deleted, -out.Updated))
		out = out.Minus(Effect{moved, -moved, moved})
	}
	return out
}

// Nulled are the tables in which the last batch let references become null.
func (e *Erasure) Nulled() []TableName {
	return slices.SortedFunc(maps.Keys(e.nulls), TableName.Compare)
}

// Entwined says that references of a table which may become null share a column: one
// change lets several go, so that fewer rows change than references.
func (e *Erasure) Entwined(n TableName) bool {
	h := e.Holding
	seen := map[string]bool{}
	for _, k := range h.Graph.above[n] {
		for _, c := range h.loses(k) {
			if seen[c] {
				return true
			}
			seen[c] = true
		}
	}
	return false
}

// Vouches says that the blueprint answers for some trigger or rule.
func (h *Holding) Vouches() bool { return len(h.ignored) > 0 }

// TenantColumns are the names that tenant columns have, and whether the table has
// one under another name or, by the blueprint's word, none.
func (h *Holding) TenantColumns(n TableName) (names []string, said bool) {
	_, said = h.claims.b.columns[n]
	return slices.DeleteFunc(append([]string{h.claims.t.Column}, h.claims.b.aliases...), func(c string) bool { return strings.TrimSpace(c) == "" }), said
}
