package relational

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// staying are rows of a table that a person must know of, and how many there are.
type staying struct {
	connector.Place
	table TableName
	where string               // over the table under the alias t
	says  func(n int64) string // after the number of rows
}

func (s staying) place() connector.Place {
	s.Says = Plural(s.Rows, "row") + " of " + s.table.String() + " " + s.says(s.Rows)
	return s.Place
}

// staying are the rows that no erasure takes though they have to do with the
// tenant: parents' rows that others refer to as well, rows with its key in tables
// that a blueprint calls shared, and keys that contradict each other.
func (h *Holding) staying() []staying {
	var out []staying
	for _, t := range h.Graph.Tables() {
		n := t.TableName
		if r, ok := h.at[n]; ok && h.claims.parent(n) && h.Classes[n] != "" {
			theirs := h.claims.foreign(n, alias, nil)
			if h.claims.tree(n) != nil || h.claims.circle(n) != nil || h.claims.also[n] {
				theirs = "(" + r.Where() + ") is not true"
			}
			if alien := h.claims.alien(n, alias, nil); alien != "" && h.claims.also[n] { // a neighbour's, whoever refers to it
				theirs += " and (" + alien + ") is not true"
			}
			if theirs != "" {
				out = append(out, staying{table: n, where: h.claims.asked(n, alias) + " and " + theirs,
					Place: connector.Place{Name: n.String(), Kind: connector.PlaceShared, Class: h.Classes[n], Via: r.Via},
					says: func(rows int64) string {
						return "that the tenant's rows refer to " + Verb(rows, "stays", "stay") + ", since rows that stay refer to " + Verb(rows, "it", "them") + " too"
					}})
			}
		}
		out = append(out, h.leaning(n)...)
		if h.claims.own(n) || h.claims.t.Key == "" {
			continue
		}
		if h.claims.b.shared[n] {
			out = append(out, h.vouched(t)...)
			continue
		}
		out = append(out, h.contradictions(t)...)
		out = append(out, h.halves(t)...)
	}
	return out
}

// leaning are rows of neighbours to which rows of a parent refer that go, since only
// the tenant's rows refer to these.
func (h *Holding) leaning(n TableName) []staying {
	r, ok := h.at[n]
	if !ok || !h.claims.parent(n) || h.Classes[n] == "" {
		return nil
	}
	var out []staying
	for _, k := range h.Graph.above[n] {
		theirs := ""
		if h.claims.keyed[k.Parent] != "" || h.claims.others(k.Parent) {
			theirs = h.claims.theirs(k.Parent, alias)
		}
		if inner := next(alias); theirs != "" {
			out = append(out, staying{table: k.Parent, where: "(" + theirs + ") and " + k.down(alias, inner, h.Dialect.Name(n), either(h.claims.ours(n, inner))),
				Place: connector.Place{Name: k.Parent.String(), Kind: connector.PlaceShared, Class: h.Classes[k.Parent], Via: "from " + k.Link()},
				says: func(rows int64) string {
					return "that rows of " + n.String() + " refer to by " + strings.Join(k.Columns, ", ") + " " + Verb(rows, "belongs to another tenant and stays", "belong to others and stay") +
						"; those of " + r.Table.String() + " go, as only the tenant's rows refer to them"
				}})
		}
	}
	return out
}

// vouched are rows with the tenant's key in a table that is called shared.
func (h *Holding) vouched(t Table) []staying {
	columns := h.claims.tenantColumns(t)
	if given := h.claims.b.columns[t.TableName]; given != "" {
		columns = []string{given}
	}
	var out []staying
	for _, column := range columns {
		ours, _, _ := h.Dialect.Keyed(t, alias, column, h.claims.t.Key)
		out = append(out, staying{table: t.TableName, where: ours,
			Place: connector.Place{Name: t.String(), Kind: connector.PlaceShared, Via: "column " + column},
			says: func(rows int64) string {
				return Verb(rows, "has", "have") + " the tenant's key in " + column + " and " + Verb(rows, "stays", "stay") + ", since the blueprint calls the table shared"
			}})
	}
	return out
}

// ambiguous says that a table has two tenant columns and nothing says which of
// them tells whose a row is.
func (h *Holding) ambiguous(t Table) (connector.Place, bool) {
	n, columns := t.TableName, h.claims.tenantColumns(t)
	_, said := h.claims.b.columns[n]
	if said || len(columns) < 2 || !h.claims.byKey(n) {
		return connector.Place{}, false
	}
	return connector.Place{Name: n.String(), Kind: connector.PlaceKey, Class: h.Classes[n], Via: "column " + columns[0], Blocks: true,
		Says: n.String() + " has " + strconv.Itoa(len(columns)) + " tenant columns (" + strings.Join(columns, ", ") + "), and nothing says which of them tells whose a row is",
		Fix:  "columns: {" + h.name(n) + ": " + strings.Join(columns, " or ") + "}"}, true
}

// contradictions are rows with two tenant columns that name different tenants.
func (h *Holding) contradictions(t Table) []staying {
	column := h.claims.keyed[t.TableName]
	if _, said := h.claims.b.columns[t.TableName]; column == "" || !said {
		return nil
	}
	ours, _, _ := h.Dialect.Keyed(t, alias, column, h.claims.t.Key)
	var out []staying
	for _, other := range h.claims.tenantColumns(t) {
		if other == column {
			continue
		}
		also, another, _ := h.Dialect.Keyed(t, alias, other, h.claims.t.Key)
		out = append(out, staying{table: t.TableName, where: "((" + ours + ") and (" + another + ") or (" + also + ") and (" + ours + ") is not true)",
			Place: connector.Place{Name: t.String() + "." + other, Kind: connector.PlaceKey, Class: h.Classes[t.TableName], Via: "column " + other, Blocks: true,
				Fix: "write the same key into both columns of those rows, or delete them"},
			says: func(rows int64) string {
				return Verb(rows, "names", "name") + " the tenant in one of " + column + " and " + other + ", and not in the other"
			}})
	}
	return out
}

// halves are rows with the tenant's key in a reference of several columns one of
// which is null: such a reference leads nowhere.
func (h *Holding) halves(t Table) []staying {
	if h.claims.own(t.TableName) {
		return nil
	}
	var out []staying
	for _, k := range h.Graph.above[t.TableName] {
		if _, ok := h.at[k.Parent]; !ok || len(k.Columns) < 2 || k.Full {
			continue
		}
		mine, theirs := h.conditions(t.TableName)
		for i, column := range k.Columns {
			var rest []string
			for j, other := range k.Columns {
				if j != i {
					rest = append(rest, Quote(alias, other)+" is null")
				}
			}
			if column == h.claims.keyed[t.TableName] || !h.mayBear(t, k, i) {
				continue
			}
			ours, _, _ := h.Dialect.Keyed(t, alias, column, h.claims.t.Key)
			out = append(out, staying{table: t.TableName, where: ours + " and " + either(rest) + " and (" + mine + ") is not true and (" + theirs + ") is not true",
				Place: connector.Place{Name: t.String() + "." + column, Kind: connector.PlaceKey, Class: h.Classes[t.TableName], Via: "→ " + k.Parent.String(), Blocks: true,
					Fix: "columns: {" + h.name(t.TableName) + ": " + column + "}"},
				says: func(rows int64) string {
					return Verb(rows, "has", "have") + " the tenant's key in " + column + ", and the reference " + strings.Join(k.Columns, ", ") + " leads nowhere since another of its columns is null"
				}})
		}
	}
	return out
}

// mayBear says that a column of a reference can have a tenant's key: it refers to
// a tenant column, or is of the type of one.
func (h *Holding) mayBear(t Table, k ForeignKey, i int) bool {
	parent := h.Graph.tables[k.Parent]
	if key := h.claims.keyed[k.Parent]; key != "" {
		own, _ := parent.Column(key)
		c, _ := t.Column(k.Columns[i])
		return k.Parents[i] == key || c.Type == own.Type
	}
	return false
}

// tenantColumns are the table's columns that are called as tenant columns are.
func (c *claims) tenantColumns(t Table) []string {
	var out []string
	for _, name := range append([]string{c.t.Column}, c.b.aliases...) {
		if column := c.g.column(t, name); name != "" && column != "" && !slices.Contains(out, column) {
			out = append(out, column)
		}
	}
	return out
}

// count fills in how many rows there are.
func (h *Holding) count(ctx context.Context, q Querier, all []staying) error {
	selects := make([]string, len(all))
	for i, s := range all {
		selects[i] = "count(*) from " + h.Dialect.Name(s.table) + " as " + Quote(alias) + " where " + s.where
	}
	n, err := numbers(ctx, q, 1, selects)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Rows = n[i][0]
	}
	return nil
}
