package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// footing is an erasure with the catalog that it was planned on.
type footing struct {
	*relational.Erasure
	catalog string // a digest of what the catalog says of its tables
}

// digestSQL is a digest of what decides where a delete or an update of the tables
// reaches: constraints, triggers with their functions, rules and views, policies,
// columns and parts. A foreign key is seen at the table that it refers to, by the
// triggers that the server makes for it.
const digestSQL = `with recursive named (oid) as (
 select c.oid from unnest($1::name[], $2::name[]) x (schema, name) join pg_namespace n on n.nspname = x.schema join pg_class c on c.relname = x.name and c.relnamespace = n.oid
), here (oid) as (select oid from named union select h.inhrelid from here join pg_inherits h on h.inhparent = here.oid)
select coalesce(md5(string_agg(x.what, E'\n' order by x.what collate "C")), '') from (
 select 'table ' || c.oid || ' ' || c.relnamespace || ' ' || quote_ident(c.relname) || ' ' || c.relkind::text || c.relrowsecurity || c.relforcerowsecurity
  || coalesce((select string_agg(h.inhparent::text, ' ' order by h.inhseqno) from pg_inherits h where h.inhrelid = c.oid), '') from here join pg_class c using (oid)
 union all
 select 'column ' || a.attrelid || ' ' || quote_ident(a.attname) || ' ' || a.atttypid || ' ' || a.attnotnull || a.attgenerated::text || a.attidentity::text
  from here join pg_attribute a on a.attrelid = here.oid where a.attnum > 0 and not a.attisdropped
 union all
 select 'trigger ' || t.oid || ' ' || t.tgenabled::text || t.tgtype || ' ' || p.oid || ' ' || case when t.tgisinternal then '' else p.xmin::text end
  from here join pg_trigger t on t.tgrelid = here.oid join pg_proc p on p.oid = t.tgfoid
 union all
 select 'rule ' || w.oid || ' ' || w.ev_enabled::text from here join pg_rewrite w on w.ev_class = here.oid
 union all
 select 'used ' || d.objid from here join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = here.oid and d.classid = 'pg_rewrite'::regclass
 union all
 select 'policy ' || p.oid || ' ' || p.xmin from here join pg_policy p on p.polrelid = here.oid
 union all
 select 'constraint ' || k.oid || ' ' || k.contype::text || k.convalidated || k.condeferrable from here join pg_constraint k on k.conrelid = here.oid) x (what)`

// plan plans an erasure. The catalog and its digest are of one moment: outside of
// a batch by a snapshot, within by the locks that it holds.
func (d *Driver) plan(ctx context.Context, s *session, of holdingOf, class string) (f footing, err error) {
	if f.Erasure, err = fresh(ctx, s, of, class); err == nil {
		f.catalog, err = f.digest(ctx, s)
	}
	return f, err
}

// planned is the plan of the last batch if there is one, else a new one.
func (d *Driver) planned(ctx context.Context, s *session, of holdingOf, key planKey, cursor string) (f footing, known bool, err error) {
	if f, known = d.remembered(key); known && cursor != "" {
		return f, true, nil
	}
	if err := keep(ctx, s); err != nil {
		return f, false, err
	}
	if err := s.simple(ctx, "begin isolation level repeatable read read only", nil); err != nil {
		return f, false, err
	}
	if f, err = d.plan(ctx, s, of, key.class); err != nil {
		if s.simple(ctx, "rollback", nil) != nil {
			closeNow(s.conn)
		}
		return f, false, err
	}
	return f, false, s.simple(ctx, "commit", nil)
}

func (f footing) digest(ctx context.Context, s *session) (out string, err error) {
	var schemas, names []string
	for _, n := range f.Touches() {
		schemas, names = append(schemas, n.Schema), append(names, n.Name)
	}
	err = s.prepared(ctx, digestSQL, func(v [][]byte) error { out = string(v[0]); return nil }, schemas, names)
	return out, err
}

// lock keeps out whatever changes constraints, triggers and rules of the tables
// whose rows go, and nobody's reads and writes.
func (f footing) lock(ctx context.Context, s *session) error {
	var names []string
	for _, n := range f.Takes() {
		names = append(names, quote(n.Schema, n.Name))
	}
	if len(names) == 0 {
		return nil
	}
	return s.simple(ctx, "lock table "+strings.Join(names, ", ")+" in row exclusive mode", nil)
}

// current is the plan if the catalog is still what it was made on, by now that
// the batch holds its locks; else a new one, unless what has come stands in the way.
func (d *Driver) current(ctx context.Context, s *session, r connector.Ref, at reading, f footing, class string, known bool) (footing, error) {
	for try := range 3 {
		if err := f.lock(ctx, s); err != nil {
			return f, err
		}
		now, err := f.digest(ctx, s)
		if err == nil && now == f.catalog && try == 0 && !known {
			err = d.unarmed(ctx, s, r, f, class) // what came since somebody looked at the map
		}
		if err != nil || now == f.catalog {
			return f, err
		}
		if f, err = d.plan(ctx, s, at.here, class); err != nil {
			return f, err
		}
		if err := d.allowed(ctx, s, r, at, class); err != nil {
			return f, err
		}
	}
	return f, tenure.Errorf(tenure.Unavailable, "the tables' definitions keep changing while rows are erased").Retryable()
}

// allowed is Blocked by what the data map would show as blocking the class.
func (d *Driver) allowed(ctx context.Context, s *session, r connector.Ref, at reading, class string) error {
	if s.deputy != nil {
		return nil // all on the premises goes, and is the tenant's own
	}
	var m connector.Map
	if _, err := d.survey(ctx, s, connector.Survey{Ref: r}, at, &m, true); err != nil {
		return err
	}
	return blockedBy(r, m.Places, class)
}

func blockedBy(r connector.Ref, places []connector.Place, class string) error {
	i := slices.IndexFunc(places, func(p connector.Place) bool {
		return p.Blocks && (class == "" || p.Class == "" || p.Class == class)
	})
	if i < 0 {
		return nil
	}
	p := places[i]
	says := p.Says
	if says == "" {
		says = p.Name + " holds rows of the tenant, and no data class covers it"
	}
	return tenure.Errorf(tenure.Blocked, "something has changed since the rows were counted: %s", known(r, says)).WithHint("%s", known(r, p.Fix))
}

// unarmed is Blocked by code that would run when rows of the class go, as the map
// judges it.
func (d *Driver) unarmed(ctx context.Context, s *session, r connector.Ref, f footing, class string) error {
	if s.deputy != nil || !f.Stirs() {
		return nil
	}
	g, err := d.ground(ctx, s, connector.Survey{Ref: r}, f.Holding)
	if err != nil {
		return err
	}
	places, err := g.code(ctx, s)
	if err != nil {
		return err
	}
	return blockedBy(r, places, class)
}

// undecidedSQL names the prepared transactions that have written to the tables:
// nobody sees their rows before they are committed, however late.
const undecidedSQL = `with recursive here (oid) as (
 select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where (c.relname, n.nspname) in (NAMES)
 union select h.inhrelid from here join pg_inherits h on h.inhparent = here.oid)
select coalesce(string_agg(distinct x.gid, ', '), '') from pg_prepared_xacts x join pg_locks m on m.transactionid = x.transaction and m.pid is null
 join pg_locks l on l.virtualtransaction = m.virtualtransaction and l.pid is null and l.locktype = 'relation'
 where x.database = current_database() and l.relation in (select oid from here) and l.mode not in ('AccessShareLock', 'RowShareLock')`

// undecided is Blocked if a prepared transaction may bring rows of the class.
func (f footing) undecided(ctx context.Context, s *session) error {
	var gids string
	err := each(ctx, s, strings.ReplaceAll(undecidedSQL, "NAMES", values(f.Takes())), 1, func(v []string) { gids = v[0] })
	if err != nil || gids == "" {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "a prepared transaction has written to the tables and may bring rows back: %s", gids).
		WithHint("%s, then retry", endPrepared)
}
