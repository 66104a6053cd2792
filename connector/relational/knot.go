package relational

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// refer calls f for each of the tenant's rows of a table, with the row of the table
// that it refers to by the key, "" if it refers to none; both by their addresses.
func (h *Holding) refer(ctx context.Context, q Querier, t Reached, k ForeignKey, f func(child, up string)) error {
	const parent = "p"
	rows, err := q.Query(ctx, "select "+h.Dialect.Address(t.Table, alias)+", coalesce("+h.Dialect.Address(t.Table, parent)+", '') from "+h.from(t)+
		" left join "+h.Dialect.Name(t.Table.TableName)+" "+Quote(parent)+" on "+k.same(alias, parent)+" where "+t.Where())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var child, up string
		if err := rows.Scan(&child, &up); err != nil {
			return err
		}
		f(child, up)
	}
	return rows.Err()
}

// rigid says that rows which refer to one another in a ring by the key can't go: it
// can't be opened, and they can't go in one statement either.
func (h *Holding) rigid(k ForeignKey) bool {
	switch {
	case !h.ByRow || !k.self():
		return false
	case k.OnDelete == SetNull:
		return !h.nullable(k.Child, k.sets())
	}
	return k.OnDelete == Restrict && h.openable(k) == nil
}

// knots are rings of the tenant's rows that nothing opens.
func (h *Holding) knots(ctx context.Context, q Querier) (out []connector.Place, err error) {
	for _, t := range h.Tables {
		for _, k := range h.Graph.above[t.Table.TableName] {
			if h.Classes[t.Table.TableName] == "" || !h.rigid(k) {
				continue
			}
			var nodes []string
			edges, itself := map[string][]string{}, false
			err := h.refer(ctx, q, t, k, func(child, up string) {
				itself = itself || h.BySelf && k.OnDelete == Restrict && up == child
				if nodes = append(nodes, child); up != "" && up != child {
					edges[up] = append(edges[up], child)
				}
			})
			if err != nil {
				return nil, err
			}
			if itself || slices.ContainsFunc(components(nodes, edges), func(part []string) bool { return len(part) > 1 }) {
				out = append(out, connector.Place{Name: k.Link(), Kind: connector.PlaceOrder, Class: h.Classes[k.Child], Blocks: true,
					Says: "rows of " + k.Child.String() + " refer to one another round about, or to themselves, by " + strings.Join(k.Columns, ", ") + ", which can't be null, so none of them can go first",
					Fix:  "let one of these rows refer to another, or make " + strings.Join(k.Columns, ", ") + " of " + k.Child.String() + " nullable"})
			}
		}
	}
	return out, nil
}
