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
	// reach runs f on a session that can see the rows of r, with what they are
	// made from. It isn't run if r is absent; Conflict if r isn't ours. Where marks
	// aren't asked for, whatever stands at r's place is taken for it.
	reach(ctx context.Context, r connector.Ref, marked bool, f func(s *session, of holdingOf) error) (there bool, err error)
}

// holdingOf reads from the catalog what is held.
type holdingOf func(ctx context.Context, s *session) (*relational.Holding, error)

func (k schemas) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, holdingOf) error) (there bool, err error) {
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
		if have != nil {
			home = have.name
		}
		there = true
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			cover := a.Within(r.Name)
			g, err := graphOf(ctx, s, home, a.Column, cover)
			if err != nil {
				return nil, err
			}
			return k.holding(ctx, s, g, r, cover, a.tenancy(home))
		})
	})
	return there, err
}

func (k databases) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, holdingOf) error) (bool, error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	return k.opened(ctx, r, marked, func(s *session) error {
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			g, err := databaseGraph(ctx, s)
			if err != nil {
				return nil, err
			}
			return k.holding(ctx, s, g, r, a.Coverage, relational.Tenancy{Home: "public", Own: func(relational.TableName) bool { return true }})
		})
	})
}

func (k pools) reach(ctx context.Context, r connector.Ref, marked bool, f func(*session, holdingOf) error) (there bool, err error) {
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
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			g, err := graphOf(ctx, s, a.Schema, a.Column, a.Coverage)
			if err != nil {
				return nil, err
			}
			return k.holding(ctx, s, g, r, a.Coverage, relational.Tenancy{Home: a.Schema, Column: a.Column, Key: a.Key})
		})
	})
	return there, err
}

// holding works out what is held on a session.
func (d *Driver) holding(ctx context.Context, s *session, g *relational.Graph, r connector.Ref, c relational.Coverage, t relational.Tenancy) (*relational.Holding, error) {
	t.Resource = string(r.Resource)
	var err error
	if t.Others, err = d.others(ctx, s, g, r.Tenant); err != nil {
		return nil, err
	}
	err = each(ctx, s, "select (to_regclass("+literal(kept.Parents)+") is not null)::text", 1, func(v []string) { t.Written = v[0] == "true" })
	if err != nil {
		return nil, err
	}
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
	h, err := d.holder(r, "be mapped")
	if err != nil {
		return m, err
	}
	if m.Sighting, err = d.Observe(ctx, nil, func(connector.Observed) error { return nil }); err != nil || !m.Sighting.Sentinel {
		return m, err
	}
	counted := r.Resource != ""
	_, err = h.reach(ctx, r, counted && !v.Gone, func(s *session, of holdingOf) error {
		if r.Type == "database" {
			err = s.simple(ctx, "begin isolation level repeatable read read only", nil)
		} else {
			m.Sighting, err = s.sight(ctx, true)
		}
		if err != nil {
			return err
		}
		err = d.survey(ctx, s, v, of, &m, counted)
		if err != nil {
			closeNow(s.conn)
			return err
		}
		if err := s.simple(ctx, "commit", nil); err != nil || !v.Prove {
			return err
		}
		more, partial, err := prove(ctx, s, of)
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

// survey fills in the map on a session that is in the snapshot.
func (d *Driver) survey(ctx context.Context, s *session, v connector.Survey, of holdingOf, m *connector.Map, counted bool) error {
	held, err := of(ctx, s)
	if err != nil {
		return err
	}
	m.Sighting.Complete = m.Sighting.Complete && held.Seen() == nil
	g, err := d.ground(ctx, s, v, held)
	if err != nil {
		return err
	}
	held.Missing = slices.DeleteFunc(held.Missing, g.shows)
	if m.Places, err = held.Places(ctx, s, v.Order, counted); err != nil {
		return err
	}
	m.Places = g.beside.Settle(held, v, m.Places)
	alike, err := d.alike(ctx, s, v, held)
	if err != nil {
		return err
	}
	more, partial, err := d.audit(ctx, s, g)
	m.Places, m.Partial = append(append(m.Places, alike...), more...), partial
	return err
}
