package postgres

import (
	"cmp"
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// readsSQL are the relations, functions, types and operators that a view names, itself or
// through views that it reads, with their owners.
const readsSQL = `with recursive v (oid) as (select VIEW::regclass::oid union select d.refobjid from v join pg_rewrite r on r.ev_class = v.oid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid),
 parts (classid, oid) as (select distinct d.refclassid, d.refobjid from v join pg_rewrite r on r.ev_class = v.oid join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid where d.refobjid <> VIEW::regclass)
select pg_get_userbyid(coalesce(c.relowner, p.proowner, t.typowner, o.oprowner)), pg_describe_object(x.classid, x.oid, 0), coalesce(n.nspname, ''), coalesce(c.relname, '')
 from parts x left join pg_class c on x.classid = 'pg_class'::regclass and c.oid = x.oid left join pg_namespace n on n.oid = c.relnamespace
 left join pg_proc p on x.classid = 'pg_proc'::regclass and p.oid = x.oid left join pg_type t on x.classid = 'pg_type'::regclass and t.oid = x.oid
 left join pg_operator o on x.classid = 'pg_operator'::regclass and o.oid = x.oid where coalesce(c.oid, p.oid, t.oid, o.oid) is not null order by 2`

// tenantParts says what of a query a tenant's roles own, and whose it is; nothing of it is
// run or planned for that: the query becomes a view that nobody sees, and the catalog
// tells what it depends on. Blocked if a query reads what is a tenant's together with what
// isn't, or what several roles own: no session may run both.
func (d *Driver) tenantParts(ctx context.Context, s *session, query string) (p *premises, err error) {
	name := quote("tenure", "probe_"+random())
	var owners, says []string
	var tables []relational.TableName
	err = s.within(ctx, "begin", func(s *session) error {
		made := "create view " + name + " as select from (" + strings.TrimRight(query, "; \t\r\n") + "\n) probed"
		if err := s.simple(ctx, made, nil); err != nil {
			return err
		}
		err := s.simple(ctx, strings.ReplaceAll(readsSQL, "VIEW", literal(name)), func(_ int, v [][]byte) error {
			owners, says = append(owners, string(v[0])), append(says, string(v[1]))
			if len(v[3]) > 0 {
				tables = append(tables, relational.TableName{Schema: string(v[2]), Name: string(v[3])})
			}
			return nil
		})
		if err != nil {
			return err
		}
		return s.simple(ctx, "drop view "+name, nil)
	})
	if err != nil {
		return nil, err
	}
	theirs, err := tenantsOf(ctx, s, owners)
	if err != nil || len(theirs) == 0 {
		return nil, cmp.Or(err, lurking(ctx, s, tables))
	}
	p = &premises{}
	for i, owner := range owners {
		if p.owner = cmp.Or(p.owner, owner); owner != p.owner {
			return nil, mixed(says[i-1], says[i])
		}
	}
	for i, t := range tables {
		if p.schema = cmp.Or(p.schema, t.Schema); t.Schema != p.schema {
			return nil, mixed(tables[i-1].String(), t.String())
		}
	}
	if p.schema == "" {
		return nil, mixed(says[0], "no table")
	}
	return p, nil
}

// show says whether a statement shows a setting, which runs nobody's code.
func show(query string) bool {
	words := strings.Fields(query)
	return len(words) > 0 && strings.EqualFold(words[0], "show")
}

func mixed(one, other string) error {
	return tenure.Errorf(tenure.Blocked, "probe sql: the query uses %s and %s, of which one is a tenant's: code there would run with Tenure's rights", one, other).
		WithHint("ask two queries, or one with as: tenant")
}

// asPlatform runs a probe's query in Tenure's name, or in a deputy's where what it reads
// is a tenant's.
func (d *Driver) asPlatform(ctx context.Context, r connector.Ref, query string, try func(s *session) error) error {
	var p *premises
	err := d.with(ctx, func(s *session) (err error) {
		if show(query) {
			return nil
		}
		p, err = d.tenantParts(ctx, s, query)
		if code := state(err); code == "42601" || code == "0A000" {
			err = tenure.Errorf(tenure.Invalid, "probe sql: the query must be a select, values, table or show: %w", err)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case p != nil:
		return d.deputise(ctx, r, *p, "", func(_ context.Context, s *session) error { return try(s) })
	}
	return d.with(ctx, func(s *session) error {
		defer closeNow(s.conn)
		return try(s)
	})
}
