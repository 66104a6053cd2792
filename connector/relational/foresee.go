package relational

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// foreseen reads the rows of a table that are yet to be changed, before the first one is:
// their groups, and what of one of them stands against its change, in words.
func (h *Holding) foreseen(ctx context.Context, q Querier, t Reached, given Transform, d tenure.Disposition) (groups *transform.Groups, says, fix string, err error) {
	groups = transform.NewGroups(given.Identifying)
	err = h.each(ctx, q, t, d, func(row map[string]any) error {
		if _, err := h.changed(t, given, row, d, anyName); err != nil {
			if tenure.CodeOf(err) != tenure.Blocked {
				return err
			}
			if says == "" {
				says, fix = err.Error(), strings.Join(tenure.HintsOf(err), "; ")
			}
		}
		if len(given.Identifying) == 0 {
			return nil
		}
		values, err := h.identifying(t, given, row)
		if err != nil {
			return err
		}
		return groups.Add(values, person(given.Of, row))
	})
	return groups, says, fix, err
}

// anyName stands for pseudonyms that are yet to be made.
func anyName(string, string, bool) ([]byte, error) { return make([]byte, 32), nil }

// unnamed are rows that came after others of their table were pseudonymised: nothing puts
// pseudonyms into them any more, and they stay as they are until the class's end.
func (h *Holding) unnamed(ctx context.Context, q Querier, c Changes) (out []connector.Place, err error) {
	if !h.claims.t.Written {
		return nil, nil
	}
	for _, t := range h.Tables {
		n := t.Table.TableName
		class := h.Classes[n]
		if class == "" || len(t.Table.Key) == 0 || c.of(class) != tenure.Pseudonymise {
			continue
		}
		written := t.Table
		written.TableName = mark(n, tenure.Pseudonymise)
		begun, err := exists(ctx, q, "select 1 from ("+h.Dialect.Written(h.claims.t.Resource, written, t.Table.Key)+") as w limit 1")
		if err != nil {
			return nil, err
		}
		if !begun {
			continue
		}
		rows, err := tally(ctx, q, "select count(*) from "+h.from(t)+" where "+h.due(t, tenure.Pseudonymise))
		if err != nil {
			return nil, err
		}
		if rows > 0 {
			out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceChange, Class: class, Via: t.Via, Rows: rows,
				Says: Plural(rows, "row") + " of " + n.String() + " " + Verb(rows, "has", "have") + " no pseudonyms, though others of it do: " + Verb(rows, "it", "they") + " came after these, and " + Verb(rows, "stays", "stay") + " until the end of " + class,
				Fix:  "delete " + Verb(rows, "it", "them") + ", or write what the transforms of " + h.name(n) + " would make of " + Verb(rows, "it", "them")})
		}
	}
	return out, nil
}
