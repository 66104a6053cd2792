package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// view is a view, materialized or not, over tables that hold rows of the tenant.
type view struct {
	relation *relation
	from     []relational.TableName // the tables of the tenant that it is made from, through other views too
	others   []relational.TableName // tables that it reads and that aren't known to hold any
	blind    []string               // functions that it calls, also through other views, of which can't be told what they read
}

const viewsSQL = `select distinct d.refobjid, w.ev_class from pg_depend d join pg_rewrite w on w.oid = d.objid and w.rulename = '_RETURN'
 where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class`

// What a view calls: functions, and those of operators and aggregates.
const viewCallsSQL = `select distinct w.ev_class, n.nspname, p.proname, ` + bodySQL + ` from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
 left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid left join pg_aggregate a on d.refclassid = 'pg_proc'::regclass and a.aggfnoid = d.refobjid
 join pg_proc p on p.oid in (case when d.refclassid = 'pg_proc'::regclass then d.refobjid end, o.oprcode, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggmfinalfn)
 join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where w.rulename = '_RETURN' and l.lanname <> 'internal' and ` + notOurs + ` order by 1, 2, 3`

// calls are the functions by which a view may read tables that the catalog doesn't
// show it to read, by the view.
func (g *ground) calls(ctx context.Context, s *session) (map[oid][]string, error) {
	out := map[oid][]string{}
	var views []oid
	var all []trigger
	err := s.simple(ctx, viewCallsSQL, func(_ int, v [][]byte) error {
		views, all = append(views, oidOf(v[0])), append(all, trigger{function: functionOf(v[1:])})
		return nil
	})
	if err != nil {
		return nil, err
	}
	known, err := called(ctx, s, all)
	for i, t := range all {
		if f := t.function; known.looks(f, map[string]bool{}) && !slices.Contains(out[views[i]], f.name.String()) {
			out[views[i]] = append(out[views[i]], f.name.String())
		}
	}
	return out, err
}

// looks says that a function may read tables: its text, or that of one which it
// calls, can, or can't be read.
func (l library) looks(f function, seen map[string]bool) bool {
	id := f.name.String() + "\x00" + f.body
	if seen[id] {
		return false
	}
	seen[id] = true
	switch f.language {
	case "internal":
		return false
	case "c": // an extension's function gives a value, save those that run SQL
		return strings.HasPrefix(f.name.name, "dblink") || strings.HasPrefix(f.name.name, "crosstab") || strings.HasPrefix(f.name.name, "connectby")
	case "sql", "plpgsql":
	default:
		return true
	}
	d := read(f.body)
	if d.hidden != "" || slices.ContainsFunc(tokens(f.body), func(t token) bool { return t.is("from", "table") }) {
		return true
	}
	for _, call := range d.calls {
		if slices.ContainsFunc(l.functions[call.name], func(o function) bool {
			return (call.schema != "" || l.bare(f, o.name.schema, l.tenants[o.owner])) && l.looks(o, seen)
		}) {
			return true
		}
	}
	return slices.ContainsFunc(l.unnamed, func(u unnamed) bool { return l.unsaid(f, u) && l.looks(u.function, seen) })
}

// views finds the views over the tenant's tables, or that may be, each after those
// that it reads.
func (g *ground) views(ctx context.Context, s *session) ([]view, error) {
	if g.over != nil || !slices.ContainsFunc(g.relations, func(r *relation) bool { return r.kind == 'v' || r.kind == 'm' }) {
		return g.over, nil
	}
	reads := map[oid][]oid{}
	err := s.simple(ctx, viewsSQL, func(_ int, v [][]byte) error {
		reads[oidOf(v[1])] = append(reads[oidOf(v[1])], oidOf(v[0]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	calls, err := g.calls(ctx, s)
	if err != nil {
		return nil, err
	}
	held := map[oid]bool{}
	for _, at := range g.heldOIDs() {
		held[at] = true
	}
	out := []view{}
	done := map[oid]*view{}
	var visit func(at oid) *view
	visit = func(at oid) *view {
		if v, ok := done[at]; ok {
			return v
		}
		v := &view{relation: g.byOID[at], blind: slices.Clone(calls[at])}
		done[at] = v
		for _, from := range reads[at] {
			r := g.byOID[from]
			switch {
			case r == nil:
			case reads[from] != nil || calls[from] != nil:
				under := visit(from)
				v.from, v.others, v.blind = append(v.from, under.from...), append(v.others, under.others...), append(v.blind, under.blind...)
			case held[from]:
				v.from = append(v.from, r.root)
			default:
				v.others = append(v.others, r.root)
			}
		}
		slices.SortFunc(v.from, relational.TableName.Compare)
		slices.SortFunc(v.others, relational.TableName.Compare)
		slices.Sort(v.blind)
		v.from, v.others, v.blind = slices.Compact(v.from), slices.Compact(v.others), slices.Compact(v.blind)
		if v.relation != nil && len(v.from)+len(v.blind) > 0 {
			out = append(out, *v)
		}
		return v
	}
	for _, r := range g.relations { // ordered by name
		if reads[r.oid] != nil || calls[r.oid] != nil {
			visit(r.oid)
		}
	}
	g.over = out
	return out, nil
}

// derived finds the materialized views that keep what they were made from. In a
// store of the tenant's own they go with it, so there they matter only where one
// class goes before the store does.
func (g *ground) derived(ctx context.Context, s *session) (out []connector.Place, err error) {
	views, err := g.views(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		n := v.relation.name
		_, store := g.strangers[n.Schema]
		if v.relation.kind != 'm' || len(v.from) == 0 && g.strangers[n.Schema] || v.relation.alien && store && !g.own(n) {
			continue // what a tenant's role keeps in a store of its own goes with that store
		}
		of := v.sources()
		p := connector.Place{Name: n.String(), Kind: connector.PlaceDerived, Class: g.lone(v.from), Via: "made from " + of}
		if len(v.blind) > 0 {
			p.Class = ""
		}
		switch {
		case g.refreshed(n):
			p.Says = p.Name + " is refreshed when rows of " + of + " are erased"
		case g.own(n) && len(g.classes()) < 2 && (len(v.from) == 0 || g.lone(v.from) != ""):
		default:
			p.Blocks, p.Says = true, p.Name+" keeps what it was made from: rows of "+of
			p.Fix = "derived: {" + p.Name + ": refresh}"
		}
		out = append(out, p)
	}
	return out, g.countDerived(ctx, s, out)
}

// sources are what a view is made from, in words.
func (v view) sources() string {
	var out []string
	if len(v.from) > 0 {
		out = append(out, listed(v.from))
	}
	if len(v.blind) > 0 {
		out = append(out, "whatever "+strings.Join(v.blind, ", ")+" reads")
	}
	return strings.Join(out, ", ")
}

// countDerived fills in how many of a view's rows show the key, where one does. One of a
// tenant's role isn't read, as its column may have a type of the tenant's own.
func (g *ground) countDerived(ctx context.Context, s *session, places []connector.Place) error {
	var of []bearer
	var at []int
	for _, b := range g.bearing {
		if i := slices.IndexFunc(places, func(p connector.Place) bool {
			return b.relation.kind == 'm' && !b.relation.alien && p.Name == b.relation.name.String()
		}); i >= 0 {
			of, at = append(of, b), append(at, i)
		}
	}
	counted := make([]connector.Place, len(of))
	if err := g.count(ctx, s, counted, of); err != nil {
		return err
	}
	for i, p := range counted {
		places[at[i]].Rows = p.Rows
	}
	return nil
}

// refreshed says that the blueprint has the view refreshed.
func (g *ground) refreshed(n relational.TableName) bool {
	for as, how := range g.cover.Derived {
		if how == "refresh" && g.named(n, as) {
			return true
		}
	}
	return false
}

// lone is the one class that covers the tables, "" if there are several.
func (g *ground) lone(tables []relational.TableName) string {
	class := ""
	for i, n := range tables {
		c := g.class(n)
		if h := g.held[n]; h.class != "" {
			c = h.class
		}
		if i > 0 && c != class {
			return ""
		}
		class = c
	}
	return class
}

func (g *ground) classes() map[string]bool {
	out := map[string]bool{}
	for _, class := range g.cover.Tables {
		out[class] = true
	}
	return out
}

func listed(tables []relational.TableName) string {
	out := make([]string, len(tables))
	for i, n := range tables {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}

// refresh makes the named materialized views over tables of the class anew, as
// their owners, looks that none shows the tenant's key any more, and names them.
func (g *ground) refresh(ctx context.Context, s *session, class string) (made []relational.TableName, err error) {
	if len(g.cover.Derived) == 0 {
		return nil, nil
	}
	views, err := g.views(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		of := func(n relational.TableName) bool {
			return class == "" || g.held[n].class == class || g.class(n) == class
		}
		if v.relation.kind != 'm' || !g.refreshed(v.relation.name) || len(v.blind) == 0 && !slices.ContainsFunc(v.from, of) {
			continue
		}
		n := v.relation.name
		if v.relation.blank {
			continue
		}
		if err := s.simple(ctx, "refresh materialized view "+quote(n.Schema, n.Name), nil); err != nil {
			if err = coded(err); tenure.CanRetry(err) {
				return nil, err
			}
			return nil, tenure.Errorf(tenure.Blocked, "materialized view %s can't be refreshed, and keeps what was erased: %w", n, err).
				WithHint("change the view so that it can be refreshed, or drop it, then retry")
		}
		if err := g.readBack(ctx, s, v); err != nil {
			return nil, err
		}
		made = append(made, n)
	}
	return made, nil
}

// readBack is Blocked if a refreshed view still shows rows with the tenant's key
// although every class that it is made from is gone.
func (g *ground) readBack(ctx context.Context, s *session, v view) error {
	if g.column == "" || g.lone(v.from) == "" || v.relation.alien {
		return nil
	}
	n := v.relation.name
	for _, b := range g.bearing {
		if b.relation != v.relation {
			continue
		}
		left, err := textsOf(ctx, s, fmt.Sprintf("select count(*)::text from %s where %s::text = %s", quote(n.Schema, n.Name), quote(b.column), literal(g.key)))
		if err != nil {
			return err
		}
		if left[0] != "0" {
			return tenure.Errorf(tenure.Blocked, "materialized view %s shows %s rows of the tenant after its refresh", n, left[0]).
				WithHint("it also reads %s; cover those, or drop the view", listed(v.others))
		}
	}
	return nil
}
