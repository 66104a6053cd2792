package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// dataMap says what the triggers and rules of a record's table do with the row: a
// copy elsewhere would stay when the record goes, unless one of the tenant's stores
// beside it covers it.
func (k rowRecords) dataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	if _, err := k.records.Normalise(connector.Desired{Ref: v.Ref}); err != nil {
		return m, err
	}
	err = k.with(ctx, func(s *session) (err error) {
		if m.Sighting, err = s.sight(ctx, true); err == nil && m.Sighting.Sentinel {
			m.Places, err = k.places(ctx, s, v)
		}
		if err == nil {
			err = s.simple(ctx, "commit", nil)
		}
		if err != nil {
			closeNow(s.conn)
		}
		return err
	})
	return m, coded(err)
}

// runsCodeSQL says whether changes to a table's rows run anything that isn't the
// server's own: most tables of records have none, and a fleet has many records.
const runsCodeSQL = `select 'yes' from here join pg_class c using (oid) where c.relhasrules or exists (select 1 from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal)
 or exists (select 1 from pg_attrdef d join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_proc'::regclass where d.adrelid = c.oid)
 or exists (select 1 from pg_constraint k join pg_depend p on p.classid = 'pg_constraint'::regclass and p.objid = k.oid and p.refclassid = 'pg_proc'::regclass where k.conrelid = c.oid)
 or exists (select 1 from pg_index i join pg_depend p on p.classid = 'pg_class'::regclass and p.objid = i.indexrelid and p.refclassid = 'pg_proc'::regclass where i.indrelid = c.oid)
 limit 1`

func (k rowRecords) places(ctx context.Context, s *session, v connector.Survey) ([]connector.Place, error) {
	table := relational.RecordTable(v.Ref, "public")
	there, err := textsOf(ctx, s, "select 'yes' where to_regclass("+literal(quote(table.Schema, table.Name))+") is not null")
	if err != nil || len(there) == 0 {
		return nil, err
	}
	if code, err := textsOf(ctx, s, hereSQL(table)+runsCodeSQL); err != nil || len(code) == 0 {
		return nil, err
	}
	vantages := relational.Vantages(v.Ref, v.Beside, "public", "rows", "schema")
	named := []string{table.Schema}
	for _, from := range vantages {
		named = append(named, from.Coverage.Schemas()...)
	}
	c, err := k.readCatalog(ctx, s, v.Ref, named...)
	if err != nil {
		return nil, err
	}
	var all [][]connector.Place
	for _, from := range vantages {
		g, err := groundFrom(ctx, s, c, v, table, from)
		if err != nil {
			return nil, err
		}
		found, err := g.code(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(found, func(p connector.Place) bool { return !strings.HasPrefix(p.Name, table.String()+".") }))
	}
	return relational.Standing(all), nil
}

// groundFrom is the ground of a record's table, with what one of the tenant's
// stores holds.
func groundFrom(ctx context.Context, s *session, c *catalog, v connector.Survey, table relational.TableName, from relational.Vantage) (*ground, error) {
	graph, err := graphOf(ctx, s, table.Schema, from.Column, from.Coverage)
	if err != nil {
		return nil, err
	}
	held, err := relational.NewHolding(dialect{}, graph, from.Tenancy, from.Coverage)
	if err != nil {
		return nil, err
	}
	g := &ground{catalog: c, survey: v, cover: from.Coverage, home: table.Schema, column: from.Column, key: from.Key, record: table,
		holding: held, tables: held.Tables, graph: graph, keyed: held.TenantColumn, held: map[relational.TableName]holds{}}
	for _, t := range held.Tables {
		g.held[t.Table.TableName] = holds{class: held.Classes[t.Table.TableName], where: t.Where()}
	}
	g.held[table] = holds{}
	if from.Own != nil {
		for _, r := range c.relations {
			if from.Own(r.name) {
				g.whole, g.store = true, r.name.Schema
			}
		}
	}
	return g, nil
}
