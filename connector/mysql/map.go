package mysql

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// DataMap is described at connector.Mapper. Rows are counted in the snapshot in which the
// sentinel was seen; the catalog is read beside it.
func (d *Driver) DataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	if relational.IsRecord(v.Ref.Type) {
		return rowRecords{d, v.Ref.Type}.dataMap(ctx, v)
	}
	k, err := d.holder(v.Ref, "mapped")
	if err != nil {
		return m, err
	}
	if shared, ok := k.(pools); ok && v.Gone {
		shared.gone = true
		k = shared
	}
	m.Sighting, err = d.look(ctx, func(s *session) (bool, error) {
		if v.Ref.Resource != "" && !v.Gone {
			there, err := k.there(ctx, s, v.Ref)
			if err != nil || !there {
				return true, err
			}
		}
		if db, ok := k.(databases); ok && v.Ref.Resource == "" {
			m.Places, err = db.foreseen(v)
			return true, err
		}
		e, err := k.estate(ctx, s, v.Ref)
		if err != nil {
			return false, err
		}
		m.Places, m.Partial, err = d.surveyed(ctx, s, e, v)
		return true, err
	})
	return m, coded(err)
}

// foreseen is what can be said of a database that is yet to be: its tables aren't there,
// so what its blueprint covers is known once it is made.
func (k databases) foreseen(v connector.Survey) ([]connector.Place, error) {
	a, err := k.parse(v.Ref)
	if err != nil {
		return nil, err
	}
	var out []connector.Place
	if a.Key == "" {
		out = append(out, relational.Unsought(v.Ref, "the platform's other databases"))
	}
	return out, nil
}

// surveyed are the tables and references, and all that these don't show.
func (d *Driver) surveyed(ctx context.Context, s *session, e *estate, v connector.Survey) (out []connector.Place, partial string, err error) {
	counted := v.Ref.Resource != ""
	if out, err = e.places(ctx, s, d.marks, v, counted); err != nil {
		return nil, "", err
	}
	out = append(out, e.audit(v.Order)...)
	for _, t := range e.Tables {
		n := t.Table.TableName
		class := e.Classes[n]
		if class == "" {
			continue
		}
		if p, ok := e.hard(t); ok {
			out = append(out, p)
		}
		if e.c.fulltext[n] {
			out = append(out, connector.Place{Name: n.String() + " (full-text)", Kind: connector.PlaceDerived, Class: class, Via: "its full-text index",
				Says: "the words of rows that went stay in the full-text index of " + n.String() + " until optimize table rebuilds it"})
		}
		if counted && e.c.versioned[n] {
			past, err := count(ctx, s, "select count(*) from "+e.Dialect.Name(n)+` for system_time all as "t" where row_end < now(6) and (`+t.Where()+")")
			if err != nil {
				return nil, "", err
			}
			if past > 0 {
				out = append(out, connector.Place{Name: n.String() + " (past rows)", Kind: connector.PlaceDerived, Class: class, Via: "system versioning", Rows: past,
					Says: "the server keeps " + relational.Plural(past, "past row") + " of " + n.String()})
			}
		}
	}
	beside := relational.BesideOf(v, e.a.Key, d.home)
	out = beside.Settle(e.Holding, v, out)
	if e.whole {
		return e.outside(v, out), "", nil
	}
	if !counted {
		return out, "", nil
	}
	more, err := d.alikes(ctx, s, e, v.Ref)
	if err != nil {
		return nil, "", err
	}
	found, partial, err := d.search(ctx, s, e, v.Search, beside)
	return append(append(out, more...), found...), partial, err
}

// outside says of the places of a whole store that lie elsewhere what would settle them:
// a resource of type rows takes them.
func (e *estate) outside(v connector.Survey, places []connector.Place) []connector.Place {
	for i := range places {
		p := &places[i]
		n, ok := e.tableOf(p.Name)
		if !ok || e.Own(n) || !p.IsData() || p.Class != "" || e.a.Key == "" {
			continue
		}
		p.Fix = "add a resource of type rows, with schema: " + n.Schema + ", key: " + strconv.Quote(e.a.Key) + " and " + p.Fix
	}
	return places
}

func (e *estate) tableOf(name string) (relational.TableName, bool) {
	for _, t := range e.Tables {
		if t.Table.String() == name {
			return t.Table.TableName, true
		}
	}
	return relational.TableName{}, false
}

// places are those of tables and references.
func (e *estate) places(ctx context.Context, s *session, m relational.Marks, v connector.Survey, counted bool) ([]connector.Place, error) {
	all, err := e.Places(ctx, s, v.Order, relational.ChangesOf(v), counted)
	if err != nil || e.whole {
		return all, err
	}
	return e.Unmarked(ctx, s, m, all)
}

// alikes are values of a tenant column that aren't the key and that the server, or
// somebody, could take for it: in a collation in which both are equal an application
// that asks for the tenant's rows gets these too.
func (d *Driver) alikes(ctx context.Context, s *session, e *estate, r connector.Ref) (out []connector.Place, err error) {
	all, err := d.notes(ctx, s, "rows")
	if err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for name, n := range all {
		if _, owner := n.Read(d.marker, "rows"); owner == connector.Ours && name != r.Name {
			others[poolOf(n).Key] = true
		}
	}
	for _, t := range e.Tables {
		n := t.Table.TableName
		column := e.TenantColumn(n)
		if column == "" || sortOf(typeOf(t.Table, column)) == shaped {
			continue
		}
		_, theirs, _ := d.dialect.Keyed(t.Table, "t", column, e.a.Key)
		value, _ := expression("t", column)
		shown := exactly("cast(" + value + " as char)")
		if sortOf(typeOf(t.Table, column)) == binary {
			shown = "hex(" + value + ")"
		}
		equal := "false"
		if sortOf(typeOf(t.Table, column)) == textual && !strings.Contains(column, "->") {
			equal = "max(" + value + " = " + literalIn(e.a.Key, typeOf(t.Table, column)) + ")"
		}
		var text string
		var same, rows int64
		err := each(ctx, s, "select "+shown+", "+equal+", count(*) from "+d.dialect.Name(n)+` as "t" where `+theirs+" group by 1", func() error {
			if same == 0 && !relational.Alike(text, e.a.Key) || others[text] {
				return nil
			}
			says := " that differs from the tenant's in case, in blanks, or in how a number or a UUID is written"
			if same != 0 {
				says = " that the column's collation takes for the tenant's"
			}
			out = append(out, connector.Place{Name: n.String() + "." + column, Kind: connector.PlaceKey, Class: e.Classes[n], Via: "column " + column, Rows: rows, Blocks: true,
				Says: "rows of " + n.String() + " have a key (" + strconv.Quote(text) + ")" + says,
				Fix:  "update " + n.String() + " so that " + column + " is " + strconv.Quote(e.a.Key) + " in them, if they are this tenant's; if they are another's, onboard that tenant with a resource of type rows and key: " + strconv.Quote(text)})
			return nil
		}, &text, &same, &rows)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dataMap says what the triggers of a record's table do with the row: a copy elsewhere
// would stay when the record goes, unless one of the tenant's stores beside it covers it.
func (k rowRecords) dataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	if _, err := k.Normalise(connector.Desired{Ref: v.Ref}); err != nil {
		return m, err
	}
	m.Sighting, err = k.look(ctx, func(s *session) (bool, error) {
		c, err := k.shared(ctx, s)
		if err != nil {
			return false, err
		}
		table := relational.RecordTable(v.Ref, k.home)
		var on []trigger
		for _, g := range c.triggers {
			if g.table == table {
				on = append(on, g)
			}
		}
		if len(on) == 0 {
			return true, nil
		}
		var all [][]connector.Place
		for _, from := range relational.Vantages(v.Ref, v.Beside, k.home, "rows", "database") {
			e, err := k.held(c, from.Tenancy, poolAttributes{Column: from.Column, Key: from.Key, Coverage: from.Coverage})
			if err != nil {
				return false, err
			}
			var found []connector.Place
			for _, g := range on {
				found = append(found, e.triggerPlaces(g, true, nil)...)
			}
			all = append(all, found)
		}
		m.Places = relational.Standing(all)
		return true, nil
	})
	return m, coded(err)
}

// at is where a class stands in an order; one that isn't in it goes after all.
func at(order []string, class string) int {
	if i := slices.Index(order, class); i >= 0 {
		return i
	}
	return len(order)
}

// blocked is a place that stands in the way.
func blocked(p connector.Place, says, fix string) connector.Place {
	p.Says, p.Fix, p.Blocks = says, fix, true
	return p
}
