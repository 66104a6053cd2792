package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// staleSQL deletes what the planner keeps of tables that analyze found empty: of
// such it leaves the old values as they were. It needs a superuser.
const staleSQL = `with recursive t (oid) as (
 select {{oids}} union select h.inhrelid from t join pg_inherits h on h.inhparent = t.oid),
bare as (select c.oid from t join pg_class c on c.oid = t.oid where c.reltuples = 0 and not exists (
 select 1 from pg_inherits h join pg_class k on k.oid = h.inhrelid where h.inhparent = c.oid and k.reltuples > 0)),
plain as (delete from pg_statistic where starelid in (select oid from bare union all select indexrelid from pg_index where indrelid in (select oid from bare)))
delete from pg_statistic_ext_data where stxoid in (select oid from pg_statistic_ext where stxrelid in (select oid from bare))`

// forgotten lets the planner's statistics of tables and materialized views be made anew from the
// rows that are left: they hold common values and bounds as they were found.
func forgotten(ctx context.Context, s *session, g *ground, tables []relational.TableName) error {
	var names []string
	var oids []oid
	for _, n := range tables {
		if r := g.byName[n]; r != nil && (r.kind == 'r' || r.kind == 'p' || r.kind == 'm') {
			names, oids = append(names, quote(n.Schema, n.Name)), append(oids, r.oid)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := s.simple(ctx, "analyze "+strings.Join(names, ", "), nil); err != nil {
		return err
	}
	return forgetEmpty(ctx, s, "select "+array(oids)+"::oid[]::text")
}

// forgetEmpty deletes what the planner keeps of those tables that analyze found empty, where
// Tenure's role may. Tables is a query of an array of their numbers.
func forgetEmpty(ctx context.Context, s *session, tables string) error {
	may, err := textsOf(ctx, s, "select rolsuper::text from pg_roles where rolname = current_user")
	if err != nil || may[0] != "true" {
		return err
	}
	oids, err := textsOf(ctx, s, tables)
	if err != nil {
		return err
	}
	return s.simple(ctx, strings.Replace(staleSQL, "{{oids}}", "unnest("+literal(oids[0])+"::oid[])", 1), nil)
}

// settle ends the erasure of a class whose rows are gone: materialized views are
// refreshed, and the planner's statistics forget. It may be repeated.
func (d *Driver) settle(ctx context.Context, s *session, r connector.Ref, held *relational.Holding, class string) error {
	return s.atomic(ctx, func(s *session) error {
		g, err := d.ground(ctx, s, connector.Survey{Ref: r}, held)
		if err != nil {
			return err
		}
		tables, err := g.refresh(ctx, s, class)
		if err != nil {
			return err
		}
		for n, h := range g.held {
			if h.class != "" && (class == "" || h.class == class) {
				tables = append(tables, n)
			}
		}
		return forgotten(ctx, s, g, tables)
	})
}
