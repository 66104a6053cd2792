package sqlite

import (
	"context"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// DataMap is described at connector.Mapper. The places of the platform's file are
// counted in the snapshot in which its sentinel was seen.
func (d *Driver) DataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	if relational.IsRecord(v.Ref.Type) {
		return rowRecords{d, v.Ref.Type}.dataMap(ctx, v)
	}
	k, err := d.holder(v.Ref, "mapped")
	if err != nil {
		return m, err
	}
	m.Sighting, err = d.look(ctx, func(shared *session) (bool, error) {
		look := func(s *session, of estateOf, _ string) error {
			e, err := s.held(ctx, of)
			if err != nil {
				return err
			}
			m.Places, m.Partial, err = d.places(ctx, s, e, v)
			return err
		}
		if err := k.survey(ctx, shared, v, look); err != nil {
			return true, err
		}
		more, partial, err := d.outlying(ctx, shared, v)
		m.Places = append(m.Places, more...)
		if m.Partial == "" {
			m.Partial = partial
		}
		return true, err
	})
	return m, coded(err)
}

// places are the tables and references, and all that these don't show.
func (d *Driver) places(ctx context.Context, s *session, e *estate, v connector.Survey) (out []connector.Place, partial string, err error) {
	counted := v.Ref.Resource != ""
	if out, err = e.held(ctx, s, v, counted); err != nil {
		return nil, "", err
	}
	more, err := e.audit(ctx, s, v.Order, counted)
	if err != nil {
		return nil, "", err
	}
	out = append(out, more...)
	beside := relational.BesideOf(v, e.a.Key, "")
	out = beside.Settle(e.Holding, v, out)
	if !counted || e.whole {
		return out, "", nil
	}
	others, err := d.others(ctx, s, v.Ref)
	if err != nil {
		return nil, "", err
	}
	for _, t := range e.Tables {
		column := e.TenantColumn(t.Table.TableName)
		if column == "" {
			continue
		}
		alikes, err := e.alikes(ctx, s, t.Table, column, others)
		if err != nil {
			return nil, "", err
		}
		out = append(out, alikes...)
	}
	found, partial, err := e.search(ctx, s, v.Search, beside)
	return append(out, found...), partial, err
}

// held are the places of tables and references. Rows that bear an owner mark are
// resources by themselves: a table of such rows needs no class, unless there are
// some without a mark.
func (e *estate) held(ctx context.Context, s *session, v connector.Survey, counted bool) ([]connector.Place, error) {
	e.ByRow = !e.unattended()
	all, err := e.Places(ctx, s, v.Order, relational.ChangesOf(v), counted)
	if err != nil || e.whole {
		return all, err
	}
	return e.Unmarked(ctx, s, marks, all)
}

// others are the keys that owner marks give to other tenants.
func (d *Driver) others(ctx context.Context, s *session, r connector.Ref) (map[string]bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	out := map[string]bool{}
	for _, n := range all {
		if _, owner := n.Read(d.marker, "rows"); owner == connector.Ours && n.Name != r.Name {
			out[specOfNote(n).Key] = true
		}
	}
	return out, err
}

// alikes are values of a tenant column that aren't the key and could mean the same
// to somebody. They are another tenant's if an owner mark says so.
func (e *estate) alikes(ctx context.Context, s *session, t relational.Table, column string, others map[string]bool) ([]connector.Place, error) {
	var out []connector.Place
	var typ, text string
	var n int64
	_, theirs, _ := dialect{}.Keyed(t, "", column, e.a.Key)
	value := valueOf("", column)
	err := s.each(ctx, "select typeof("+value+"), "+asText(value)+", count(*) from "+quote(t.Name)+" where "+theirs+" group by 1, 2", func() error {
		if !relational.Alike(text, e.a.Key) || others[keyOf(typ, text)] {
			return nil
		}
		out = append(out, connector.Place{Name: t.Name + "." + column, Kind: connector.PlaceKey, Class: e.class(t.Name), Via: "column " + column, Rows: n, Blocks: true,
			Says: "rows of " + t.Name + " have a key (" + typ + " " + strconv.Quote(text) + ") that differs from the tenant's in case, in blanks, or in how a number or a UUID is written",
			Fix:  "update " + t.Name + " so that " + column + " is " + strconv.Quote(e.a.Key) + " in them, if they are this tenant's; if they are another's, onboard that tenant with a resource of type rows and key: " + strconv.Quote(text)})
		return nil
	}, &typ, &text, &n)
	return out, err
}

// at is where a class stands in an order; one that isn't in it goes after all.
func at(order []string, class string) int {
	if i := slices.Index(order, class); i >= 0 {
		return i
	}
	return len(order)
}
