package relational

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Holding is what one tenant holds in a database's tables.
type Holding struct {
	Dialect Dialect
	Graph   *Graph
	Tables  []Reached            // ordered by name
	Classes map[TableName]string // the data class of each table that is covered
	Missing []string             // what the attributes name and isn't there

	// Before is called with the rows of a table that are about to go, as a
	// condition over the table under the alias t. What it counts is tallied.
	Before func(ctx context.Context, q Querier, t Reached, where string) (map[string]int64, error)

	// Unenforced says that the transaction does nothing about references by itself:
	// what a constraint would set to null the erasure sets to null.
	Unenforced bool

	// ByRow says that a restrict reference is looked at for each row, and not at the
	// statement's end.
	ByRow bool

	// BySelf says that such a reference of a row to itself keeps the row from going, too.
	BySelf bool

	// Beyond says that rows of tables that aren't looked at may change with the erasure:
	// they refer to some of these.
	Beyond bool

	claims   *claims
	withheld *withheld // for legal holds
	changes  changes
	at       map[TableName]Reached
	ignored  map[string]string // triggers of which the blueprint says so
}

// NewHolding works out what is the tenant's.
func NewHolding(d Dialect, g *Graph, t Tenancy, c Coverage) (*Holding, error) {
	b, err := bind(g, t.Home, c)
	if err != nil {
		return nil, err
	}
	if err := b.apart(g, t); err != nil {
		return nil, err
	}
	changes := bindChanges(g, t.Home, c, b)
	h := &Holding{Dialect: d, Graph: g, Missing: b.missing, changes: changes, claims: newClaims(d, g, t, b), ignored: c.Triggers}
	h.Tables = h.claims.reached()
	h.Classes, h.at = make(map[TableName]string, len(h.Tables)), make(map[TableName]Reached, len(h.Tables))
	for _, r := range h.Tables {
		n := r.Table.TableName
		h.at[n] = r
		if class := b.class(n, h.claims.own(n)); class != "" {
			h.Classes[n] = class
		}
	}
	return h, nil
}

// On is the same holding in another dialect, such as one that gives the tables
// other names.
func (h *Holding) On(d Dialect) *Holding {
	o := *h
	o.Dialect, o.Before, o.withheld = d, nil, nil
	o.claims, o.at = newClaims(d, h.Graph, h.claims.t, h.claims.b), map[TableName]Reached{}
	o.Tables = o.claims.reached()
	for _, r := range o.Tables {
		o.at[r.Table.TableName] = r
	}
	return &o
}

// Table returns what is held of a table.
func (h *Holding) Table(n TableName) (Reached, bool) {
	r, ok := h.at[n]
	return r, ok
}

// named is the table of what is held that has the name of a place.
func (h *Holding) named(name string) (TableName, bool) {
	for _, t := range h.Tables {
		if t.Table.String() == name {
			return t.Table.TableName, true
		}
	}
	return TableName{}, false
}

// Shared says that a blueprint names the table as one that belongs to no tenant.
func (h *Holding) Shared(n TableName) bool { return h.claims.b.shared[n] }

// Own says that the table is in a whole store of the tenant's.
func (h *Holding) Own(n TableName) bool { return h.claims.own(n) }

// TenantColumn is the column, or the path in one, that tells the table's rows
// apart; "" if there is none.
func (h *Holding) TenantColumn(n TableName) string { return h.claims.keyed[n] }

// Carried says that only a reference tells which column of the table is the
// tenant column: another table's tenant column refers to it.
func (h *Holding) Carried(n TableName) bool { return h.claims.bears[n] }

// Alone is a query that counts the rows of a covered parent to which no row
// refers, so that nothing says whose they are; "" for other tables.
func (h *Holding) Alone(t Reached) string {
	n := t.Table.TableName
	if !t.Parent || h.Classes[n] == "" {
		return ""
	}
	where := h.claims.alone(n, alias)
	if t := h.claims.tree(n); t != nil && len(t.follows) > 0 { // what follows a row that goes is claimed by that
		where += " and (" + h.at[n].Where() + ") is not true"
	}
	return "select count(*) from " + h.from(t) + " where " + where
}

// UnclaimedSays is what a person must know of n such rows.
func UnclaimedSays(n int64, table string) string {
	return "no row refers to " + Plural(n, "row") + " of " + table + ", so nothing says whose " + Verb(n, "it is; it stays", "they are; they stay")
}

// Theirs is a condition, over the table under the alias t, for rows that surely
// are another tenant's; "false" if none can be told to be.
func (h *Holding) Theirs(n TableName) string {
	if cond := h.claims.theirs(n, alias); cond != "" {
		return cond
	}
	return "false"
}

// of are the tables of a class; "" takes every covered one.
func (h *Holding) of(class string) []Reached {
	out := make([]Reached, 0, len(h.Tables))
	for _, t := range h.Tables {
		if c := h.Classes[t.Table.TableName]; c != "" && (class == "" || c == class) {
			out = append(out, t)
		}
	}
	return out
}

// ClassNames lists the classes that the tables are covered by.
func (h *Holding) ClassNames() []string {
	var out []string
	for _, c := range h.Classes {
		out = append(out, c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Remains names a table of the class that still holds rows that no hold keeps, "" if
// none does.
func (h *Holding) Remains(ctx context.Context, q Querier, class string) (string, error) {
	for _, t := range h.of(class) {
		found, err := exists(ctx, q, "select 1 from "+h.from(t)+" where "+h.Goes(t)+" limit 1")
		if err != nil {
			return "", err
		}
		if found {
			return t.Table.String(), nil
		}
	}
	return "", nil
}

// from is the table under the alias of its conditions.
func (h *Holding) from(t Reached) string {
	return h.Dialect.Name(t.Table.TableName) + " as " + Quote(alias)
}

// Seen is a Forbidden error if rows of a table that may hold the tenant's, or
// that refer to those, may be hidden from this connection.
func (h *Holding) Seen() error {
	if hidden := h.hidden(); hidden != nil {
		return tenure.Errorf(tenure.Forbidden, "the rows of %s can't all be seen", strings.Join(hidden, ", ")).
			WithHint("grant select on it to the role that Tenure signs in as, with bypassrls where row security is on")
	}
	return nil
}

func (h *Holding) hidden() []string {
	var out []string
	for _, t := range h.Tables {
		if t.Table.Hidden {
			out = append(out, t.Table.String())
		}
	}
	return out
}

// Empty is an error if rows are left, save those of a whole store, which go with it:
// Blocked where no class covers them, else a Conflict that a further erasure ends.
// What no class covers may be left to another resource of the tenant's, a twin, which
// has the same key in the same place.
func (h *Holding) Empty(ctx context.Context, q Querier, twin bool) error {
	rest := *h
	rest.Tables = slices.DeleteFunc(slices.Clone(h.Tables), func(t Reached) bool {
		return h.Own(t.Table.TableName) || twin && h.Classes[t.Table.TableName] == ""
	})
	places := rest.tables()
	if err := rest.fill(ctx, q, places); err != nil {
		return err
	}
	if err := Remaining(places, twin); err != nil {
		return err
	}
	return h.unsettled(ctx, q, "")
}

// Remaining is an error if places hold rows: Blocked where no class covers them, else a
// Conflict that a further erasure ends. What no class covers is left to a twin.
func Remaining(places []connector.Place, twin bool) error {
	for _, p := range places {
		switch {
		case p.Rows == 0 || !p.IsData() || twin && p.Class == "":
		case p.Class == "":
			return tenure.Errorf(tenure.Blocked, "%s of %s %s in no data class", Plural(p.Rows, "row"), p.Name, Verb(p.Rows, "is", "are")).WithHint("%s", p.Fix)
		default:
			return tenure.Errorf(tenure.Conflict, "%s of %s %s left", Plural(p.Rows, "row"), p.Name, Verb(p.Rows, "is", "are")).WithHint("erase class %s again", p.Class).Retryable()
		}
	}
	return nil
}
