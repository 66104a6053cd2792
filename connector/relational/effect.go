package relational

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Effect is what a transaction did to the rows of one table, triggers, rules and
// constraints included.
type Effect struct{ Deleted, Updated int64 }

// Coded says that a trigger or a rule may run in a batch.
func (e *Erasure) Coded() bool {
	for _, n := range e.Touches() {
		if e.Holding.Graph.tables[n].Code {
			return true
		}
	}
	return false
}

// Watched are the tables of which the effect of a batch is judged: those that hold
// rows of the tenant, and those that refer to rows which go.
func (e *Erasure) Watched() []TableName {
	out := e.Touches()
	for _, t := range e.Holding.Tables {
		out = append(out, t.Table.TableName)
	}
	return out
}

const untaken = " that the erasure didn't take"

// Judge is Blocked if the last batch, which took the given rows, has done more or
// less to the tables' rows than it was to do: a trigger or a rule deleted or
// changed others, or kept a reference from becoming null.
func (e *Erasure) Judge(ctx context.Context, q Querier, counts map[string]int64, did map[TableName]Effect) error {
	for n, f := range did {
		switch t := n.String(); {
		case f.Deleted > counts[t]:
			return e.meddled(n, f.Deleted-counts[t], "deleted", untaken)
		case f.Updated > e.nulls[n] && len(e.Holding.ignored) == 0:
			return e.meddled(n, f.Updated-e.nulls[n], "changed", untaken)
		case f.Updated < e.nulls[n]:
			by, err := e.Holding.Dialect.Obstacles(ctx, q, n)
			if err != nil {
				return err
			}
			return tenure.Errorf(tenure.Blocked, "%s of %s keep references to rows that go: %s stands in the way of the update", plural(e.nulls[n]-f.Updated, "row"), n, by).
				WithHint("change it so that these references can become null, then retry")
		}
	}
	return nil
}

// Added is Blocked if the last batch has added rows to a table that nothing covers:
// a trigger or a rule copied what went. The table is named first of those that show
// its rows.
func (e *Erasure) Added(rows int64, tables ...TableName) error {
	h := e.Holding
	if rows <= 0 || len(h.ignored) > 0 || slices.ContainsFunc(tables, func(n TableName) bool {
		return h.Classes[n] != "" || h.claims.own(n) || h.claims.b.shared[n]
	}) {
		return nil
	}
	return e.meddled(tables[len(tables)-1], rows, "added", ", which no data class covers")
}

// meddled names the triggers and rules that may have done what the batch didn't.
func (e *Erasure) meddled(n TableName, rows int64, what, why string) error {
	var names []string
	for _, t := range e.Touches() {
		if e.Holding.Graph.tables[t].Code {
			names = append(names, t.String())
		}
	}
	return tenure.Errorf(tenure.Blocked, "a trigger or a rule of %s %s %s of %s%s", strings.Join(names, " or "), what, plural(rows, "row"), n, why).
		WithHint("change it so that it keeps nothing of a tenant that leaves and touches nothing of others; nothing was erased in this batch")
}
