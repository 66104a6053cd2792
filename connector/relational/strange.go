package relational

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Strange is Conflict if tables that a class covers hold rows of the tenant's before
// anything is made of r: whoever had the key before would lose them with it. Records of
// the same tenant's, which may have been made first, aren't meant, nor tables whose rows
// are known to be the tenant's.
func (h *Holding) Strange(ctx context.Context, q Querier, s Records, r connector.Ref, known func(TableName) bool) error {
	var keyed, listed, led []Reached // those with a tenant column, lists of tenants, and what only a reference leads to
	for _, t := range h.Tables {
		switch n := t.Table.TableName; {
		case h.Own(n) || t.Parent || known(n):
		case h.Carried(n):
			listed = append(listed, t)
		case h.Classes[n] == "":
		case h.TenantColumn(n) != "":
			keyed = append(keyed, t)
		default:
			led = append(led, t)
		}
	}
	t, n, err := h.first(ctx, q, s, r, keyed)
	if err == nil && n == 0 && len(led) > 0 {
		// What a record's own triggers made came after it; what refers to a row that stood
		// in the list of tenants before may have, too.
		if _, n, err = h.first(ctx, q, s, r, listed); n > 0 {
			t, n, err = h.first(ctx, q, s, r, led)
		}
	}
	if err != nil || n == 0 {
		return err
	}
	return Present(n, "the key "+strconv.Quote(h.claims.t.Key)+" in "+t.String())
}

// Present is the Conflict of n rows that are there before the resource that would own
// them; with says by what they would be its.
func Present(n int64, with string) error {
	return tenure.Errorf(tenure.Conflict, "%s with %s %s there already and no owner mark names %s", Plural(n, "row"), with, Verb(n, "is", "are"), Verb(n, "it", "them")).
		WithHint("rows that are there can't be taken over; give the tenant another key, or move them away and bring them in again once it is onboarded")
}

// first is the first of the tables that holds rows of the tenant's beside its records,
// with their number.
func (h *Holding) first(ctx context.Context, q Querier, s Records, r connector.Ref, tables []Reached) (TableName, int64, error) {
	part := *h
	part.Tables = tables
	if err := part.Seen(); err != nil {
		return TableName{}, 0, err
	}
	for _, t := range tables {
		n, err := tally(ctx, q, "select count(*) from "+h.from(t)+" where "+t.Where())
		if err != nil {
			return TableName{}, 0, err
		}
		if n > 0 {
			own, err := s.Beside(ctx, q, r, map[TableName]string{t.Table.TableName: "(" + t.Where() + ")"})
			if err != nil || n > own {
				return t.Table.TableName, n - own, err
			}
		}
	}
	return TableName{}, 0, nil
}
