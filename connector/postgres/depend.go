package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// homeSQL is the schema that an object x(classid, objid) of pg_depend belongs to;
// null if none does. A cast belongs to the type that it is of or for. What is a part
// of a table, its overflow or the triggers of a foreign key, is left to the table.
const homeSQL = `case x.classid ` + usualHomesSQL + `
 when 'pg_operator'::regclass then (select oprnamespace from pg_operator where oid = x.objid)
 when 'pg_opclass'::regclass then (select opcnamespace from pg_opclass where oid = x.objid)
 when 'pg_opfamily'::regclass then (select opfnamespace from pg_opfamily where oid = x.objid)
 when 'pg_amop'::regclass then (select f.opfnamespace from pg_amop o join pg_opfamily f on f.oid = o.amopfamily where o.oid = x.objid)
 when 'pg_amproc'::regclass then (select f.opfnamespace from pg_amproc o join pg_opfamily f on f.oid = o.amprocfamily where o.oid = x.objid)
 when 'pg_collation'::regclass then (select collnamespace from pg_collation where oid = x.objid)
 when 'pg_conversion'::regclass then (select connamespace from pg_conversion where oid = x.objid)
 when 'pg_ts_config'::regclass then (select cfgnamespace from pg_ts_config where oid = x.objid)
 when 'pg_ts_dict'::regclass then (select dictnamespace from pg_ts_dict where oid = x.objid)
 when 'pg_ts_parser'::regclass then (select prsnamespace from pg_ts_parser where oid = x.objid)
 when 'pg_ts_template'::regclass then (select tmplnamespace from pg_ts_template where oid = x.objid)
 when 'pg_default_acl'::regclass then (select defaclnamespace from pg_default_acl where oid = x.objid)
 when 'pg_cast'::regclass then (select t.typnamespace from pg_cast o join pg_type t on t.oid in (o.castsource, o.casttarget) where o.oid = x.objid
  order by t.typnamespace = (select oid from root) desc limit 1)
 end`

// usualHomesSQL is of what most schemas hold.
const usualHomesSQL = `when 'pg_namespace'::regclass then x.objid
 when 'pg_class'::regclass then (select case relnamespace when 'pg_toast'::regnamespace then (select oid from root) else relnamespace end from pg_class where oid = x.objid)
 when 'pg_type'::regclass then (select typnamespace from pg_type where oid = x.objid)
 when 'pg_proc'::regclass then (select pronamespace from pg_proc where oid = x.objid)
 when 'pg_constraint'::regclass then (select connamespace from pg_constraint where oid = x.objid)
 when 'pg_attrdef'::regclass then (select c.relnamespace from pg_attrdef o join pg_class c on c.oid = o.adrelid where o.oid = x.objid)
 when 'pg_rewrite'::regclass then (select c.relnamespace from pg_rewrite o join pg_class c on c.oid = o.ev_class where o.oid = x.objid)
 when 'pg_trigger'::regclass then (select case when o.tgisinternal then (select oid from root) else c.relnamespace end from pg_trigger o join pg_class c on c.oid = o.tgrelid where o.oid = x.objid)
 when 'pg_policy'::regclass then (select c.relnamespace from pg_policy o join pg_class c on c.oid = o.polrelid where o.oid = x.objid)
 when 'pg_statistic_ext'::regclass then (select stxnamespace from pg_statistic_ext where oid = x.objid)`

// reachedSQL is what a drop of a schema reaches: the closure of pg_depend, followed as the
// server's own cascade follows it (also from a part to the whole that it can't leave). The
// references that the server itself keeps between a shared table's partitions and those who refer
// to the table end when the partition is detached, so they don't count.
const reachedSQL = `with recursive root (oid) as (select oid from pg_namespace where nspname = %s),
reached (classid, objid, objsubid) as (
 select 'pg_namespace'::regclass::oid, oid, 0 from root
 union
 select n.classid, n.objid, n.objsubid from reached r cross join lateral (
  select d.classid, d.objid, d.objsubid from pg_depend d
   where d.refclassid = r.classid and d.refobjid = r.objid and (r.objsubid = 0 or d.refobjsubid = r.objsubid)
  union all
  select d.refclassid, d.refobjid, d.refobjsubid from pg_depend d where d.classid = r.classid and d.objid = r.objid and d.deptype in ('i', 'e')
 ) n where not (n.classid = 'pg_constraint'::regclass and exists (
  select 1 from pg_constraint k join pg_class c on c.oid = k.confrelid where k.oid = n.objid and k.conparentid <> 0 and c.relispartition)))`

// leavesSQL says whether a drop may reach anything outside of the schema: it takes what it doesn't
// know to be within for outside. That is soon planned, and true of few schemas.
const leavesSQL = reachedSQL + ` select exists (select from reached x where case x.classid ` + usualHomesSQL + ` end is distinct from (select oid from root))::text`

// outsideSQL names what a drop of a schema would take along or alter outside of it, with what
// each hangs on. What is a part of something named isn't named again.
const outsideSQL = reachedSQL + `,
placed as (select x.classid, x.objid, x.objsubid, ` + homeSQL + ` as home from reached x),
outside as (select classid, objid, objsubid from placed where home is distinct from (select oid from root))
select i.identity, pg_describe_object(o.classid, o.objid, o.objsubid),
 coalesce((select pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) from pg_depend d
  join reached r on r.classid = d.refclassid and r.objid = d.refobjid and (r.objsubid = 0 or r.objsubid = d.refobjsubid)
  where d.classid = o.classid and d.objid = o.objid and d.objsubid = o.objsubid and d.deptype <> 'i' order by d.refclassid, d.refobjid limit 1), '')
 from outside o cross join lateral pg_identify_object(o.classid, o.objid, o.objsubid) i
 where not exists (select 1 from pg_depend d join outside w on w.classid = d.refclassid and w.objid = d.refobjid and w.objsubid in (0, d.refobjsubid)
  where d.classid = o.classid and d.objid = o.objid and d.deptype in ('i', 'a', 'P', 'S', 'e') and (w.classid, w.objid) <> (o.classid, o.objid))
 and not exists (select 1 from outside w where w.classid = o.classid and w.objid = o.objid and w.objsubid = 0 and o.objsubid <> 0)
 order by 1, 2`

// preparedSQL names the prepared transactions that hold locks in a schema. They
// wait for a word of their owner's, with no session that could be asked.
const preparedSQL = `select distinct x.gid, x.owner::text, l.relation::regclass::text from pg_prepared_xacts x
 join pg_locks t on t.pid is null and t.transactionid = x.transaction
 join pg_locks l on l.pid is null and l.virtualtransaction = t.virtualtransaction and l.database = (select oid from pg_database where datname = current_database())
 join pg_class c on c.oid = l.relation where x.database = current_database() and c.relkind <> 'i' and c.relnamespace = (select oid from pg_namespace where nspname = %s) order by 1, 3`

// strayedSQL names extended statistics in a schema that are of tables outside of it:
// a drop takes them along.
const strayedSQL = `select quote_ident(x.stxname), x.stxrelid::regclass::text from pg_statistic_ext x join pg_class c on c.oid = x.stxrelid
 where x.stxnamespace = (select oid from pg_namespace where nspname = %s) and c.relnamespace <> x.stxnamespace order by 1`

const endPrepared = "commit prepared or rollback prepared it in the database"

// outside lists what is outside the schema and depends on something in it.
func (k schemas) outside(ctx context.Context, s *session, name string) (out []connector.Place, err error) {
	leaves, err := textsOf(ctx, s, sqlf(leavesSQL, literal(name)))
	if err == nil && leaves[0] == "true" {
		out, err = k.hanging(ctx, s, name)
	}
	if err != nil {
		return nil, err
	}
	err = s.simple(ctx, sqlf(strayedSQL, literal(name)), func(_ int, v [][]byte) error {
		what := "statistics object " + quote(name) + "." + string(v[0])
		out = append(out, dependent(string(v[1]), what+" is of "+string(v[1]), "alter statistics "+quote(name)+"."+string(v[0])+" set schema to that of the table, or drop it"))
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.simple(ctx, sqlf(preparedSQL, literal(name)), func(_ int, v [][]byte) error {
		out = append(out, dependent(string(v[0]), "prepared transaction "+string(v[0])+" (prepared by "+string(v[1])+") holds "+string(v[2]), endPrepared))
		return nil
	})
	return out, err
}

// hanging lists what outsideSQL names.
func (k schemas) hanging(ctx context.Context, s *session, name string) (out []connector.Place, err error) {
	err = s.simple(ctx, sqlf(outsideSQL, literal(name)), func(_ int, v [][]byte) error {
		what, on := string(v[1]), string(v[2])
		if on == "" {
			on = "the schema"
		}
		out = append(out, dependent(string(v[0]), what+" depends on "+on, "drop "+what+", or let it depend on something outside the schema"))
		return nil
	})
	return out, err
}

// tiesSQL names what keeps a database from being dropped, or would go with it
// although it isn't the tenant's: the server refuses some of these and drops the
// others without a word.
const tiesSQL = `select 'prepared transaction', gid, 'prepared by ' || owner, '` + endPrepared + `' from pg_prepared_xacts where database = $1
union all select 'replication slot', slot_name, case when active then 'read by process ' || active_pid else 'its reader is away' end, 'end its reader and drop the slot (pg_drop_replication_slot)'
 from pg_replication_slots where database = $1
union all select 'subscription', subname, case when subenabled then 'enabled' else 'disabled' end, 'drop subscription in the database'
 from pg_subscription where subdbid = (select oid from pg_database where datname = $1)
order by 1, 2`

// outside lists what is tied to a database and isn't in it.
func (k databases) outside(ctx context.Context, s *session, name string) (out []connector.Place, err error) {
	err = s.simple(ctx, strings.ReplaceAll(tiesSQL, "$1", literal(name)), func(_ int, v [][]byte) error {
		out = append(out, dependent(string(v[1]), string(v[0])+" "+string(v[1])+" ("+string(v[2])+") holds database "+name, string(v[3])))
		return nil
	})
	return out, err
}

// rolesHoldSQL describes what pg_shdepend says of a role, in the database that it is
// run in: what it owns, and with all, what it was granted as well.
const rolesHoldSQL = `select coalesce((pg_identify_object(d.classid, d.objid, d.objsubid)).schema, case when d.classid in ('pg_namespace'::regclass, 'pg_database'::regclass) then (pg_identify_object(d.classid, d.objid, d.objsubid)).name end, ''),
 pg_describe_object(d.classid, d.objid, d.objsubid), case d.deptype when 'o' then 'owns' else 'is named by' end
 from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = (select oid from pg_roles where rolname = %s)
 and d.dbid in (0, (select oid from pg_database where datname = current_database()))`

// membersSQL lists the members of a role, and the memberships that it gave.
const membersSQL = `select u.rolname, coalesce((select n.note from tenure.mark n where n.type = 'role' and n.object = u.oid and n.site = ` + siteSQL + `), ''), u.rolname || ' is a member of it', 'revoke ' || quote_ident(g.rolname) || ' from ' || quote_ident(u.rolname)
 from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member where g.rolname = $1 and u.rolname <> current_user
union all
select g.rolname, '', 'it made ' || u.rolname || ' a member of ' || g.rolname, 'revoke ' || quote_ident(g.rolname) || ' from ' || quote_ident(u.rolname) || ' granted by ' || quote_ident(by.rolname)
 from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member join pg_roles by on by.oid = m.grantor where by.rolname = $1
 order by 1`

// outside lists what depends on a role and doesn't go with it: what it owns anywhere
// but in the given stores, what it may do in other databases, and who has its rights.
// Its large objects go with it.
func (k roles) outside(ctx context.Context, s *session, have role, stores ...string) (out []connector.Place, err error) {
	held := func(in string) func(int, [][]byte) error {
		return func(_ int, v [][]byte) error {
			if at := string(v[0]); at == "" || !slices.Contains(stores, strings.Trim(at, `"`)) {
				out = append(out, dependent(string(v[1]), "it "+string(v[2])+" "+string(v[1])+in, "drop "+string(v[1])+in+", or give it to another role"))
			}
			return nil
		}
	}
	if err := s.simple(ctx, sqlf(rolesHoldSQL, literal(have.name))+" and d.deptype = 'o' and d.classid not in ('pg_largeobject'::regclass, 'pg_default_acl'::regclass)", held("")); err != nil {
		return nil, err
	}
	elsewhere, err := textsOf(ctx, s, `select distinct b.datname from pg_shdepend d join pg_database b on b.oid = d.dbid where d.refclassid = 'pg_authid'::regclass
 and d.refobjid = (select oid from pg_roles where rolname = `+literal(have.name)+`) and b.datname <> current_database() order by 1`)
	if err != nil {
		return nil, err
	}
	for _, db := range elsewhere {
		if slices.Contains(stores, db) {
			continue
		}
		in := " in database " + db
		err := k.inside(ctx, db, func(s *session) error {
			return s.simple(ctx, sqlf(rolesHoldSQL, literal(have.name))+" and d.dbid <> 0", held(in))
		})
		if err != nil && tenure.CanRetry(err) {
			return nil, err
		}
		if err != nil {
			out = append(out, dependent(db, "something"+in+", which can't be looked into, names it", "look into database "+db+" (drop owned by …, reassign owned by …)"))
		}
	}
	err = s.simple(ctx, strings.ReplaceAll(membersSQL, "$1", literal(have.name)), func(_ int, v [][]byte) error {
		if strings.HasPrefix(string(v[0]), deputyPrefix) {
			return nil // it goes by itself
		}
		n := relational.ParseNote(string(v[1]))
		_, owner := n.Read(k.marker, "role")
		if tenant := n.Get("tenant"); owner != connector.Ours || tenant == "" || tenant != have.note.Get("tenant") { // the tenant's own roles go too
			out = append(out, dependent(string(v[0]), string(v[2]), string(v[3])))
		}
		return nil
	})
	return out, err
}

// sqlf puts a constant into the one place that a statement leaves for it.
func sqlf(sql, constant string) string { return strings.Replace(sql, "%s", constant, 1) }

func dependent(name, says, fix string) connector.Place {
	return connector.Place{Name: name, Kind: connector.PlaceDependent, Rows: 1, Says: says, Fix: fix, Blocks: true}
}

// unbound is Blocked, and names what depends on the thing; nil if nothing does. A retry
// doesn't help: somebody has to end the dependency.
func unbound(what string, outside []connector.Place) error {
	if len(outside) == 0 {
		return nil
	}
	const named = 5
	var says []string
	for _, p := range outside[:min(named, len(outside))] {
		says = append(says, p.Says)
	}
	if more := len(outside) - named; more > 0 {
		says = append(says, "and "+strconv.Itoa(more)+" more")
	}
	return tenure.Errorf(tenure.Blocked, "%s can't be dropped: %s", what, strings.Join(says, "; ")).WithHint("%s", outside[0].Fix)
}
