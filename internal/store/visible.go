package store

import (
	"strings"

	"github.com/tenurehq/tenure"
)

// Visible narrows a read to the tenants that a caller may see: those that both
// scopes cover. The zero Visible shows nothing; All shows everything.
type Visible struct {
	Reach tenure.Scope
	Limit tenure.Scope
}

// All is no narrowing at all.
var All = Visible{tenure.Scope{All: true}, tenure.Scope{All: true}}

// everything says whether nothing is narrowed.
func (v Visible) everything() bool { return v.Reach.All && v.Limit.All }

// Nothing says whether no tenant can be seen.
func (v Visible) Nothing() bool { return v.Reach.IsZero() || v.Limit.IsZero() }

// narrower splits what can be seen into one scope to read along and what each
// tenant of it must also be in. It isn't for what sees everything.
func (v Visible) narrower() (tenure.Scope, Visible) {
	if v.Reach.All {
		return v.Limit, All
	}
	return v.Reach, Visible{tenure.Scope{All: true}, v.Limit}
}

// where is the condition on a row's tenant column, written with the arguments
// that follow those given: "true" where nothing is narrowed. Rows of no tenant
// are shown to who sees everything alone. It asks of each row whether it can be
// seen, so it fits reads that end early; from fits those that read to the end.
func (v Visible) where(column string, args *[]any) string {
	if v.everything() {
		return "true"
	}
	if v.Nothing() {
		return "false"
	}
	parts := []string{column + " <> ''"}
	for _, s := range []tenure.Scope{v.Reach, v.Limit} {
		if !s.All {
			parts = append(parts, scopeWhere(s, column, args))
		}
	}
	return "(" + strings.Join(parts, " and ") + ")"
}

// from is the same condition for reads that take every row: it begins with the
// tenants of the narrower scope, which may be few.
func (v Visible) from(column string, args *[]any) string {
	if v.everything() || v.Nothing() {
		return v.where(column, args)
	}
	s, rest := v.narrower()
	return "(" + column + " in (" + strings.Join(scopeParts(s, "", "", args), " union ") + ") and " + rest.where(column, args) + ")"
}

// scopeParts are the selects, one for each kind of name in a scope, that give its
// tenants' ids in order; more is a condition on a tenant t, and labelled one on its
// label l, since PostgreSQL concludes no bound of one side of a join from the
// other's. A cross join is read from the left on SQLite: along the label, not along
// all tenants.
func scopeParts(s tenure.Scope, more, labelled string, args *[]any) []string {
	var parts []string
	if len(s.Tenants) > 0 {
		parts = append(parts, "select t.id from tenant t where t.id in ("+marks(s.Tenants, args)+")"+more)
	}
	for _, tier := range s.Tiers {
		if tier != "" { // no tenant is in the tier that has no name
			parts = append(parts, "select t.id from tenant t where t.tier = "+marks([]string{tier}, args)+more)
		}
	}
	for _, l := range s.Labels {
		parts = append(parts, "select l.tenant as id from tenant_label l cross join tenant t where t.id = l.tenant and l.label = "+marks([]string{l}, args)+labelled+more)
	}
	if parts == nil {
		parts = append(parts, "select t.id from tenant t where false"+more)
	}
	return parts
}

// marks are the placeholders of a list that joins the arguments; an empty list is
// one that nothing is in.
func marks[T ~string](list []T, args *[]any) string {
	if len(list) == 0 {
		return "null"
	}
	out := make([]string, len(list))
	for i, v := range list {
		*args = append(*args, string(v))
		out[i] = placeholder(len(*args))
	}
	return strings.Join(out, ", ")
}

// scopeWhere is one scope's condition: named tenants, or tiers, or labels. The
// inner columns bear names of their own: a column given without its table's name
// must never mean one of these. By t a query means the tenants' own table.
func scopeWhere(s tenure.Scope, column string, args *[]any) string {
	var or []string
	if len(s.Tenants) > 0 {
		or = append(or, column+" in ("+marks(s.Tenants, args)+")")
	}
	switch {
	case len(s.Tiers) == 0:
	case column == "t.id": // the tenants' own table
		or = append(or, "t.tier <> '' and t.tier in ("+marks(s.Tiers, args)+")")
	default:
		or = append(or, "exists (select 1 from (select id as seen_id, tier as seen_tier from tenant) seen where seen_id = "+column+" and seen_tier <> '' and seen_tier in ("+marks(s.Tiers, args)+"))")
	}
	if len(s.Labels) > 0 {
		or = append(or, "exists (select 1 from (select tenant as seen_id, label as seen_label from tenant_label) seen where seen_id = "+column+" and seen_label in ("+marks(s.Labels, args)+"))")
	}
	return "(" + strings.Join(or, " or ") + ")"
}
