package relational

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// referring are rows that refer, by one key, to rows of the tenant's and don't go
// with them, by whose they are.
type referring struct{ ours, theirs, nobodys int64 }

// referring is the select list that counts rows of a table, under the alias t.
func (h *Holding) referring(n TableName) string {
	ours, theirs := h.conditions(n)
	return "count(case when " + ours + " then 1 end), count(case when (" + ours + ") is not true and " + theirs + " then 1 end), count(case when (" +
		ours + ") is not true and (" + theirs + ") is not true then 1 end)"
}

// conditions are those for the tenant's rows of a table and for its neighbours'.
func (h *Holding) conditions(n TableName) (ours, theirs string) {
	ours = "false"
	if t, ok := h.at[n]; ok {
		ours = t.Where()
	}
	return ours, h.Theirs(n)
}

// guard looks at everything that refers to rows which are about to go and are locked,
// so that no more can refer to them. The delete takes nothing but rows of the class,
// and changes no row of another tenant's but a reference that the catalog or the
// blueprint lets go; those are counted.
func (w *batch) guard(ctx context.Context, g going, all []going) error {
	h := w.Holding
	n := g.t.Table.TableName
	if err := w.single(ctx, g); err != nil {
		return err
	}
	for _, k := range h.Graph.below[n] {
		refers := func(a string) string {
			where := k.up(a, next(a), h.Dialect.Name(n), h.those(g, next(a)))
			for _, also := range all {
				if also.t.Table.TableName == k.Child {
					where += " and not (" + h.those(also, a) + ")"
				}
			}
			return where
		}
		where := refers(alias)
		from := h.Dialect.Name(k.Child) + " as " + Quote(alias)
		r, err := w.count(ctx, "select "+h.referring(k.Child)+" from "+from+" where "+where)
		if err != nil {
			return err
		}
		if err := w.own(k, r.ours); err != nil {
			return err
		}
		others := r.theirs + r.nobodys
		if others > 0 {
			if says, fix := h.refused(k, r); says != "" {
				return tenure.Errorf(tenure.Blocked, "%s", says).WithHint("%s", fix)
			}
			if err := w.quiet(ctx, k); err != nil {
				return err
			}
			w.erased.Detached[k.Link()] += others
		}
		if others+r.ours > 0 {
			if err := w.still(ctx, k, refers(next(alias))); err != nil {
				return err
			}
		}
		if k.OnDelete.lets() && !h.Unenforced {
			w.nulls[k.Child] += r.ours + others
		}
		if h.Unenforced && k.OnDelete == SetNull && others+r.ours > 0 {
			if err := w.detach(ctx, k, from, where, k.sets()); err != nil {
				return err
			}
		}
		if h.claims.b.links[k.id()] != Detach || k.OnDelete.lets() || others+r.ours == 0 {
			continue
		}
		ours, _ := h.conditions(k.Child)
		if r.ours > 0 && h.Classes[k.Child] != w.Class {
			ours = "false" // rows of a later class are detached too
		}
		if err := w.detach(ctx, k, from, where+" and ("+ours+") is not true", h.openable(k)); err != nil {
			return err
		}
	}
	return nil
}

func (w *batch) count(ctx context.Context, sql string) (r referring, err error) {
	rows, err := w.q.Query(ctx, sql)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&r.ours, &r.theirs, &r.nobodys)
	}
	if err != nil {
		return r, err
	}
	return r, rows.Err()
}

// own is Blocked, or errBehind, if rows of the tenant's own still refer to rows that are
// about to go and would not let them.
func (w *batch) own(k ForeignKey, n int64) error {
	h := w.Holding
	class := h.Classes[k.Child]
	switch {
	case n == 0 || h.yields(k):
		return nil
	case class != "" && (w.Class == "" || class == w.Class):
		return errBehind
	case h.claims.b.links[k.id()] == Detach && h.openable(k) != nil:
		return nil
	case class == "":
		class = "no data class"
	}
	return tenure.Errorf(tenure.Blocked, "%s of %s (%s) still %s to %s", Plural(n, "row"), k.Child, class, Verb(n, "refers", "refer"), k.Parent).
		WithHint("erase %s first, or put both into one data class", k.Child)
}

// refused says why rows that aren't the tenant's may not lose a reference, and
// what would settle it; "" if they may.
func (h *Holding) refused(k ForeignKey, r referring) (says, fix string) {
	whose, n := "another tenant's", r.theirs
	if r.nobodys > 0 {
		whose, n = "nothing says whose", r.nobodys
	}
	word := h.claims.b.links[k.id()]
	says = Plural(n, "row") + " of " + k.Child.String() + " (" + whose + ") " + Verb(n, "refers", "refer") + " to the tenant's rows of " + k.Parent.String() + " by " + strings.Join(k.Columns, ", ")
	fix = `links: {"` + h.link(k) + `": detach}`
	switch {
	case k.OnDelete.lets() && !h.yields(k) && (r.nobodys > 0 || !h.spares(k)):
		return says + ", and the constraint would change columns that must stay", "change what the constraint does on delete"
	case !k.OnDelete.lets() && h.openable(k) == nil:
		return says + ", and can't be without it", "move those rows to another row of " + k.Parent.String() + ", or delete them"
	case word == Detach, k.OnDelete.lets() && r.nobodys == 0 && word != Block:
		return "", ""
	}
	return says, fix
}

// spares says that the constraint leaves a row with a key of its own all that it
// needs, where rows without one are found by the reference.
func (h *Holding) spares(k ForeignKey) bool {
	n := k.Child
	return h.claims.keyed[n] != "" && h.claims.claimed(k) && !slices.ContainsFunc(k.sets(), func(c string) bool { return h.fixed(n, c) }) &&
		(k.OnDelete == SetDefault || h.nullable(n, k.sets()))
}

// link is how the blueprint best names the reference.
func (h *Holding) link(k ForeignKey) string {
	return h.bare(k.Child) + "." + strings.Join(k.Columns, ",")
}

// bare is a table's name as the blueprint best writes it.
func (h *Holding) bare(n TableName) string {
	if n.Schema == h.claims.t.Home {
		return n.Name
	}
	return n.String()
}

// detach sets references to null where the constraint doesn't.
func (w *batch) detach(ctx context.Context, k ForeignKey, from, where string, columns []string) error {
	h := w.Holding
	n, err := w.q.Exec(ctx, "update "+from+" set "+nulls(columns)+" where "+where)
	if err != nil {
		return err
	}
	w.nulls[k.Child] += n
	return w.stuck(ctx, going{t: Reached{Table: h.Graph.tables[k.Child]}}, where, "update")
}

// single is Blocked if another tenant's rows claim some of the rows too.
func (w *batch) single(ctx context.Context, g going) error {
	h := w.Holding
	theirs := h.twice(g.t)
	if theirs == "" {
		return nil
	}
	found, err := exists(ctx, w.q, "select 1 from "+h.from(g.t)+" where "+h.those(g, alias)+" and "+theirs+" limit 1")
	if err != nil || !found {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "rows of %s refer to rows of this tenant and of another", g.t.Table).
		WithHint("%s", h.unclaim(g.t.Table.TableName))
}

// twice is the condition that another tenant owns a row too; "" if none can.
func (h *Holding) twice(t Reached) string {
	n := t.Table.TableName
	if t.Found || t.Parent || len(h.claims.by[n])+len(h.claims.not[n]) < 2 {
		return ""
	}
	return h.claims.theirs(n, alias)
}

// quiet is Blocked if triggers of people's run when rows that aren't the tenant's
// lose a reference: nobody was told what they change besides.
func (w *batch) quiet(ctx context.Context, k ForeignKey) error {
	h := w.Holding
	name, err := h.updater(ctx, w.q, k)
	if err != nil || name == "" {
		return err
	}
	says, fix := h.loud(k, name)
	return tenure.Errorf(tenure.Blocked, "%s", says).WithHint("%s", fix)
}

// updater is a trigger that runs when rows lose a reference and that nobody answers
// for, "" if there is none.
func (h *Holding) updater(ctx context.Context, q Querier, k ForeignKey) (string, error) {
	if !h.Graph.tables[k.Child].Code {
		return "", nil
	}
	names, err := h.Dialect.Updaters(ctx, q, k.Child, h.loses(k))
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(names, func(name string) bool { return !h.ignores(k.Child, name) })
	if i < 0 {
		return "", nil
	}
	return names[i], nil
}

func (h *Holding) loud(k ForeignKey, trigger string) (says, fix string) {
	return "rows of " + k.Child.String() + ", which aren't the tenant's, lose their reference to " + k.Parent.String() + ", and trigger " + trigger + " runs on them",
		"triggers: {" + h.bare(k.Child) + "." + trigger + ": ignore} if it may run on them"
}

// ignores says that the blueprint answers for a trigger.
func (h *Holding) ignores(n TableName, trigger string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(h.ignored)), func(as string) bool {
		return strings.EqualFold(as, h.bare(n)+"."+trigger) || strings.EqualFold(as, n.String()+"."+trigger)
	})
}

// unsettled is Blocked if rows of which nothing says whose they are keep rows of a
// parent of the class from going.
func (h *Holding) unsettled(ctx context.Context, q Querier, class string) error {
	var kept []reference
	for _, r := range h.references() {
		if r.keeps && (class == "" || h.Classes[r.Parent] == class) {
			kept = append(kept, r)
		}
	}
	if err := h.fillReferences(ctx, q, kept); err != nil {
		return err
	}
	for _, r := range kept {
		if r.nobodys > 0 {
			says, fix := h.kept(r.ForeignKey, r.nobodys)
			return tenure.Errorf(tenure.Blocked, "%s", says).WithHint("%s", fix)
		}
	}
	return nil
}
