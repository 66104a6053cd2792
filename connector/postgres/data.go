package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// holder is a kind that holds a tenant's rows.
type holder interface {
	kind
	// reach runs f on a session of Tenure's that can see what r is made from. It isn't
	// run if r is absent; Conflict if r isn't ours. Where marks aren't asked for, whatever
	// stands at r's place is taken for it.
	reach(ctx context.Context, r connector.Ref, marked bool, f func(s *session, at reading) error) (there bool, err error)
}

// holdingOf reads from the catalog what is held.
type holdingOf func(ctx context.Context, s *session) (*relational.Holding, error)

// reading is how what is held can be read.
type reading struct {
	all  holdingOf // for looks at the catalog alone
	here holdingOf // what the session may read: in Tenure's own nothing of the premises, in a deputy's nothing else

	// deputise runs f in a deputy's session; nil where Tenure's own reads everything.
	deputise func(ctx context.Context, f func(ctx context.Context, s *session) error) error
	premises *premises // what deputise is on

	still *still
}

// still keeps what a session reads of the catalog while a snapshot lasts: within one
// it can't change.
type still struct {
	of      *session // nil: nothing is kept
	graph   *relational.Graph
	others  func(relational.TableName) bool
	written bool
}

// each runs f in every session that it takes to read all, the deputy's last.
func (at reading) each(ctx context.Context, s *session, f func(ctx context.Context, s *session) error) error {
	if err := f(ctx, s); err != nil || at.deputise == nil {
		return err
	}
	return at.deputise(ctx, f)
}

// reading is how the tables of a graph can be read; those on the premises, if any, by a
// deputy alone. What belongs to tenants' roles elsewhere isn't read at all.
func (d *Driver) reading(r connector.Ref, c relational.Coverage, t relational.Tenancy, p *premises, database string, graph func(context.Context, *session) (*relational.Graph, error)) reading {
	at := reading{still: &still{}}
	of := func(keep func(s *session, t relational.Table) bool) holdingOf {
		return func(ctx context.Context, s *session) (*relational.Holding, error) {
			seen, err := d.seen(ctx, s, at.still, r.Tenant, graph)
			if err != nil {
				return nil, err
			}
			t := t
			t.Resource, t.Others, t.Written = string(r.Resource), seen.others, seen.written
			if keep == nil {
				return holding(ctx, s, seen.graph, c, t)
			}
			part := seen.graph.Only(func(t relational.Table) bool { return keep(s, t) })
			h, err := holding(ctx, s, part, c, t)
			if err == nil {
				h.Beyond = len(changing(seen.graph, part)) > 0
			}
			return h, err
		}
	}
	at.all = of(nil)
	at.here = of(func(s *session, t relational.Table) bool {
		on := p != nil && p.has(t.TableName)
		return s.deputy != nil && on || s.deputy == nil && !on && !t.Alien
	})
	if p != nil {
		at.premises = p
		at.deputise = func(ctx context.Context, f func(ctx context.Context, s *session) error) error {
			return d.deputise(ctx, r, *p, database, func(ctx context.Context, s *session) error {
				// A policy that is forced on its owner would hide rows: the query is to fail, and they are copied.
				if err := s.simple(ctx, "set row_security to off", nil); err != nil {
					return err
				}
				return f(ctx, s)
			})
		}
	}
	return at
}

// changing are the references to tables of a part of a graph by which rows of the rest
// change or go when rows of the part do.
func changing(g, part *relational.Graph) (out []relational.ForeignKey) {
	for _, k := range g.Keys() {
		_, child := part.Table(k.Child)
		_, parent := part.Table(k.Parent)
		if parent && !child && k.OnDelete != relational.NoAction && k.OnDelete != relational.Restrict {
			out = append(out, k)
		}
	}
	return out
}

func (k schemas) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, reading) error) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.get(ctx, s, r)
		if err == nil && marked && have != nil {
			err = relational.Claim(k.marker, have.note, r)
		}
		if err != nil || marked && have == nil {
			return err
		}
		home := r.Name
		var p *premises
		if have != nil {
			home = have.name
			if p, err = k.premises(ctx, s, home, have.owner, have.note.Get("owner"), a.Owner); err != nil {
				return err
			}
		}
		there = true
		cover := a.Within(r.Name)
		return f(s, k.reading(r, cover, a.tenancy(home), p, "", func(ctx context.Context, s *session) (*relational.Graph, error) {
			return graphOf(ctx, s, home, a.Column, cover)
		}))
	})
	return there, err
}

func (k databases) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, reading) error) (bool, error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	return k.opened(ctx, r, marked, func(s *session, have database) error {
		p, err := k.premises(ctx, s, "", have.owner, have.note.Get("owner"), a.Owner)
		if err != nil {
			return err
		}
		return f(s, k.reading(r, a.Coverage, relational.Tenancy{Home: "public", Own: func(relational.TableName) bool { return true }}, p, have.name, databaseGraph))
	})
}

func (k pools) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, reading) error) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	err = k.with(ctx, func(s *session) error {
		if marked {
			note, err := k.noteOf(ctx, s, r)
			if err != nil {
				return err
			}
			switch {
			case note != nil:
			case k.gone:
				if err := k.free(ctx, s, r, place(a.spec().object())); err != nil {
					return err
				}
			default:
				n, err := k.has(ctx, s, a.spec())
				if err != nil || n == 0 {
					return err
				}
				if twin, _, err := k.beside(ctx, s, r, place(a.spec().object())); err != nil || twin {
					return err // the rows are another resource's of the tenant
				}
				return relational.Claim(k.marker, relational.Note{}, r)
			}
		}
		there = true
		return f(s, k.reading(r, a.Coverage, relational.Tenancy{Home: a.Schema, Column: a.Column, Key: a.Key}, nil, "", func(ctx context.Context, s *session) (*relational.Graph, error) {
			return graphOf(ctx, s, a.Schema, a.Column, a.Coverage)
		}))
	})
	return there, err
}

// seen reads the catalog for a session, once for a snapshot that is kept. A deputy reads
// nothing of what is Tenure's.
func (d *Driver) seen(ctx context.Context, s *session, kept *still, tenant tenure.TenantID, graph func(context.Context, *session) (*relational.Graph, error)) (out still, err error) {
	if kept.of == s && kept.graph != nil {
		return *kept, nil
	}
	if out.graph, err = graph(ctx, s); err != nil {
		return out, err
	}
	if s.deputy == nil {
		if out.others, err = d.others(ctx, s, out.graph, tenant); err != nil {
			return out, err
		}
		if out.written, err = keeps(ctx, s, "parent"); err != nil {
			return out, err
		}
	}
	if out.of = kept.of; kept.of == s {
		*kept = out
	}
	return out, nil
}

// holding works out what is held on a session.
func holding(ctx context.Context, s *session, g *relational.Graph, c relational.Coverage, t relational.Tenancy) (*relational.Holding, error) {
	h, err := relational.NewHolding(dialect{}, g, t, c)
	if err != nil {
		return nil, err
	}
	h.Before, err = unlinker(ctx, s, h)
	return h, err
}

func (d *Driver) holder(r connector.Ref, call string) (holder, error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return nil, err
	}
	h, ok := k.(holder)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "a %s holds no data, so it can't %s", r.Type, call)
	}
	return h, nil
}

// DataMap is described at connector.Mapper. The rows are counted in the snapshot
// of the sighting; those of a tenant's own database, which has a snapshot of its
// own, right after it.
func (d *Driver) DataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	r := v.Ref
	if relational.IsRecord(r.Type) {
		return rowRecords{d, r.Type}.dataMap(ctx, v)
	}
	if r.Type == "role" {
		return roles{d}.dataMap(ctx, v)
	}
	h, err := d.holder(r, "be mapped")
	if err != nil {
		return m, err
	}
	if m.Sighting, err = d.Observe(ctx, nil, func(connector.Observed) error { return nil }); err != nil || !m.Sighting.Sentinel {
		return m, err
	}
	counted := r.Resource != ""
	_, err = h.reach(ctx, r, counted && !v.Gone, func(s *session, at reading) error {
		if r.Type == "database" {
			err = s.simple(ctx, "begin isolation level repeatable read read only", nil)
		} else {
			m.Sighting, err = s.sight(ctx, true)
		}
		if err != nil {
			return err
		}
		at.still.of = s
		var locks []connector.Place
		if counted && !v.Brief {
			var shut bool
			if locks, shut, err = d.keeping(ctx, s, v.Ref, at); err != nil {
				closeNow(s.conn)
				return err
			}
			counted = !shut
		}
		g, err := d.survey(ctx, s, v, at, &m, counted)
		if err != nil {
			closeNow(s.conn)
			return err
		}
		if m.Places = append(m.Places, locks...); !counted && len(locks) > 0 {
			m.Partial = "rows aren't counted while a table is locked"
		}
		*at.still = still{}
		if err := s.simple(ctx, "commit", nil); err != nil {
			return err
		}
		if at.deputise != nil && counted && !v.Brief {
			var hinders bool
			err := at.deputise(ctx, func(ctx context.Context, s *session) (err error) {
				if hinders, err = d.crowded(ctx, s, at); err == nil && !hinders {
					err = g.indoors(ctx, s, at, &m, false)
					hinders = hindered(err)
				}
				return err
			})
			if hinders && ctx.Err() == nil { // by a session of its own: code there may have ended the other
				err = at.deputise(ctx, func(ctx context.Context, s *session) error { return g.indoors(ctx, s, at, &m, true) })
			}
			if err != nil {
				return err
			}
		}
		if !v.Prove {
			return nil
		}
		more, partial, err := d.prove(ctx, s, at.all, g.all)
		m.Places = append(m.Places, more...)
		if m.Partial == "" {
			m.Partial = partial
		}
		return err
	})
	if err == nil {
		err = d.outlying(ctx, v, &m)
	}
	for i := range m.Places {
		p := &m.Places[i]
		p.Name, p.Via, p.Says, p.Fix = known(r, p.Name), known(r, p.Via), known(r, p.Says), known(r, p.Fix)
	}
	return m, coded(err)
}

// known is a text in which a schema that was set aside has the name that people
// know it by, so that what is counted before and after stands under one name.
func known(r connector.Ref, text string) string {
	if r.Type != "schema" || r.Resource == "" {
		return text
	}
	return strings.ReplaceAll(text, quarantined(r.Resource), r.Name)
}

func knownAll(r connector.Ref, counts map[string]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for name, n := range counts {
		out[known(r, name)] += n
	}
	return out
}

// survey fills in the map on a session of Tenure's that is in the snapshot.
func (d *Driver) survey(ctx context.Context, s *session, v connector.Survey, at reading, m *connector.Map, counted bool) (*ground, error) {
	held, err := at.here(ctx, s)
	if err != nil {
		return nil, err
	}
	m.Sighting.Complete = m.Sighting.Complete && held.Seen() == nil
	g, err := d.ground(ctx, s, v, held)
	if err != nil {
		return nil, err
	}
	held.Missing = slices.DeleteFunc(held.Missing, g.shows)
	if m.Places, err = held.Places(ctx, s, v.Order, relational.ChangesOf(v), counted); err != nil {
		return nil, err
	}
	all, err := at.all(ctx, s)
	if err != nil {
		return nil, err
	}
	g.all = all
	m.Places = append(m.Places, unread(all, held, at, v.Order)...)
	if at.deputise != nil && (v.Brief || !counted) {
		own, err := all.Places(ctx, s, v.Order, relational.ChangesOf(v), false)
		if err != nil {
			return nil, err
		}
		m.Places = append(m.Places, slices.DeleteFunc(own, func(p connector.Place) bool {
			return !p.IsData() || !slices.ContainsFunc(all.Tables, func(t relational.Reached) bool { return t.Table.String() == p.Name && all.Own(t.Table.TableName) })
		})...)
	}
	m.Places = g.beside.Settle(held, v, m.Places)
	alike, err := d.alike(ctx, s, v, held)
	if err != nil {
		return nil, err
	}
	more, partial, err := d.audit(ctx, s, g)
	if at.deputise != nil {
		g.harmless(more)
	}
	m.Places, m.Partial = append(append(m.Places, alike...), more...), partial
	return g, err
}

// harmless lets code on the premises stand: it runs with the tenant's own rights, what
// it does besides is seen in each batch, and where it keeps rows from going their
// tables are dropped.
func (g *ground) harmless(places []connector.Place) {
	for i := range places {
		if p := &places[i]; (p.Kind == connector.PlaceCode || p.Kind == connector.PlaceDerived) && (g.store == "" || strings.HasPrefix(p.Name, g.store+".")) {
			p.Blocks, p.Fix = false, ""
		}
	}
}

// indoors adds to the map what only a deputy can read, counted by queries or by copying.
func (g *ground) indoors(ctx context.Context, s *session, at reading, m *connector.Map, copy bool) error {
	if err := s.simple(ctx, "begin isolation level repeatable read read only", nil); err != nil {
		return err
	}
	held, err := at.here(ctx, s)
	if err != nil {
		return err
	}
	m.Sighting.Complete = m.Sighting.Complete && held.Seen() == nil
	own := *g
	own.holding, own.tables, own.held = held, held.Tables, holdsOf(held)
	var places, objects []connector.Place
	if copy {
		places, err = own.copied(ctx, s)
	} else if places, err = held.Places(ctx, s, g.survey.Order, relational.ChangesOf(g.survey), true); err == nil {
		objects, err = own.objects(ctx, s)
	}
	if err != nil {
		return err
	}
	for _, p := range append(places, objects...) {
		if !slices.ContainsFunc(m.Places, func(o connector.Place) bool { return o.Name == p.Name && o.Kind == p.Kind && o.Says == p.Says }) {
			m.Places = append(m.Places, p)
		}
	}
	return s.simple(ctx, "rollback", nil)
}

// copied counts the rows where code on the premises hinders that they are counted by a
// query: at least they are there.
func (g *ground) copied(ctx context.Context, s *session) ([]connector.Place, error) {
	if err := s.simple(ctx, "rollback; begin isolation level repeatable read; set local lock_timeout = '2s'", nil); err != nil {
		return nil, err
	}
	places, err := g.holding.Places(ctx, s, g.survey.Order, relational.ChangesOf(g.survey), false)
	for i := range places {
		for _, t := range g.tables {
			if p := &places[i]; err == nil && p.IsData() && p.Name == t.Table.String() {
				p.Rows, err = s.copied(ctx, t.Table.TableName)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	many, err := crowdIn(ctx, s, g.tables)
	many.tell(places)
	return places, err
}
