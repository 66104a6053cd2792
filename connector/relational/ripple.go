package relational

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// A ripple is a reference to columns that a row loses when a reference of its own
// is let go. Its rows would change in turn, or keep the first from changing.
type ripple struct {
	ForeignKey            // the one whose rows would change
	of         ForeignKey // the one that is let go
	rows       int64
}

// loses are the columns of a key that change when the parent's row goes.
func (h *Holding) loses(k ForeignKey) []string {
	switch {
	case k.OnDelete.lets():
		return k.sets()
	case h.claims.b.links[k.id()] == Detach:
		return h.openable(k)
	}
	return nil
}

// ripples are the references to the columns, of a key's child, and to those that are
// computed, since what they are made of isn't worked out.
func (g *Graph) ripples(k ForeignKey, columns []string) (out []ForeignKey) {
	if len(columns) == 0 {
		return nil
	}
	columns = slices.Clone(columns)
	for _, c := range g.tables[k.Child].Columns {
		if c.Computed {
			columns = append(columns, c.Name)
		}
	}
	for _, on := range g.below[k.Child] {
		if slices.ContainsFunc(on.Parents, func(c string) bool { return slices.Contains(columns, c) }) {
			out = append(out, on)
		}
	}
	return out
}

// ripples are those of all references that aren't the tenant's and may be let go.
func (h *Holding) ripples(refers []reference) (out []ripple) {
	for _, r := range refers {
		if h.claims.above[r.Parent] {
			continue
		}
		for _, on := range h.Graph.ripples(r.ForeignKey, h.loses(r.ForeignKey)) {
			out = append(out, ripple{ForeignKey: on, of: r.ForeignKey})
		}
	}
	return out
}

// rippling is the select list that counts the rows which refer by the ripple to
// rows that lose their reference: cond is true of these, under the alias t1.
func (h *Holding) rippling(r ripple, cond string) string {
	return "count(*) from " + h.Dialect.Name(r.Child) + " as " + Quote(alias) + " where " + r.up(alias, next(alias), h.Dialect.Name(r.Parent), cond)
}

// fillRipples counts the rows. The tenant's own rows go before what they refer to,
// or Objections says that they don't.
func (h *Holding) fillRipples(ctx context.Context, q Querier, all []ripple) error {
	selects := make([]string, len(all))
	for i, r := range all {
		a := next(alias)
		ours := either(h.claims.ours(r.of.Child, a))
		selects[i] = h.rippling(r, r.of.up(a, next(a), h.Dialect.Name(r.of.Parent), either(h.claims.ours(r.of.Parent, next(a))))+" and ("+ours+") is not true")
	}
	n, err := numbers(ctx, q, 1, selects)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].rows = n[i][0]
	}
	return nil
}

func (r ripple) says() (says, fix string) {
	return Plural(r.rows, "row") + " of " + r.Child.String() + " refer by " + strings.Join(r.Columns, ", ") + " to rows of " + r.Parent.String() + " that lose their reference to the tenant's rows of " +
			r.of.Parent.String() + ", and would change with them or keep them from it",
		"let those rows of " + r.Child.String() + " refer to other rows, or those of " + r.Parent.String() + " to other rows of " + r.of.Parent.String()
}

// place is that of a ripple, which nobody was told of and no word settles.
func (h *Holding) placeOf(r ripple) connector.Place {
	p := connector.Place{Name: r.Link(), Kind: connector.PlaceReference, Class: h.Classes[r.of.Parent], Via: "→ " + r.Parent.String(), Rows: r.rows, Blocks: true}
	p.Says, p.Fix = r.says()
	return p
}

// still is Blocked if rows refer to columns that rows lose which refer by k, under
// the alias t1, to rows that are about to go.
func (w *batch) still(ctx context.Context, k ForeignKey, cond string) error {
	h := w.Holding
	for _, on := range h.Graph.ripples(k, h.loses(k)) {
		r := ripple{ForeignKey: on, of: k}
		n, err := numbers(ctx, w.q, 1, []string{h.rippling(r, cond)})
		if err != nil {
			return err
		}
		if r.rows = n[0][0]; r.rows > 0 {
			says, fix := r.says()
			return tenure.Errorf(tenure.Blocked, "%s", says).WithHint("%s", fix)
		}
	}
	return nil
}
