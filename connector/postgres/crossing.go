package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// crossingSQL reads what crosses from one schema into another without a right on it: tables
// that are parts of one elsewhere, whose rows are read through that one with its rights
// alone; and code that runs with the rights of whoever uses a table, and that the owner of
// another schema can write. What the server brings along has no entry in pg_depend.
const crossingSQL = `select 'part', pn.nspname, p.relname, pg_get_userbyid(p.relowner), cn.nspname, c.relname, c.relispartition::text, coalesce(p.relacl::text, '')
 from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_class p on p.oid = h.inhparent and p.relnamespace <> c.relnamespace and p.relkind in ('r', 'p', 'f')
 join pg_namespace cn on cn.oid = c.relnamespace join pg_namespace pn on pn.oid = p.relnamespace
union all
select distinct 'code', coalesce(n.nspname, ''), pg_describe_object(x.classid, x.objid, 0), coalesce(c.relname, ''), fn.nspname, case when x.proc then 'function ' else 'type ' end || fn.nspname || '.' || x.name, pg_get_userbyid(x.owner), ''
 from (select d.classid, d.objid, true as proc, f.proname as name, f.pronamespace as ns, f.proowner as owner from pg_depend d join pg_proc f on f.oid = d.refobjid
   where d.refclassid = 'pg_proc'::regclass and d.deptype in ('n', 'a') and d.classid in ('pg_trigger'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_class'::regclass, 'pg_operator'::regclass, 'pg_event_trigger'::regclass)
  union all select d.classid, d.objid, false, t.typname, t.typnamespace, t.typowner from pg_depend d join pg_type t on t.oid = d.refobjid and t.typtype in ('d', 'b', 'r')
   where d.refclassid = 'pg_type'::regclass and d.deptype = 'n' and d.classid = 'pg_class'::regclass and d.objsubid > 0) x
 join pg_namespace fn on fn.oid = x.ns
 left join pg_trigger g on x.classid = 'pg_trigger'::regclass and g.oid = x.objid left join pg_attrdef a on x.classid = 'pg_attrdef'::regclass and a.oid = x.objid
 left join pg_constraint k on x.classid = 'pg_constraint'::regclass and k.oid = x.objid left join pg_type kt on kt.oid = k.contypid
 left join pg_rewrite w on x.classid = 'pg_rewrite'::regclass and w.oid = x.objid left join pg_policy y on x.classid = 'pg_policy'::regclass and y.oid = x.objid
 left join pg_operator o on x.classid = 'pg_operator'::regclass and o.oid = x.objid
 left join pg_class c on c.oid = coalesce(g.tgrelid, a.adrelid, nullif(k.conrelid, 0), w.ev_class, y.polrelid, case when x.classid = 'pg_class'::regclass then x.objid end)
 left join pg_namespace n on n.oid = coalesce(c.relnamespace, kt.typnamespace, o.oprnamespace)
 where coalesce(c.relnamespace, kt.typnamespace, o.oprnamespace) is distinct from x.ns and c.relkind is distinct from 'c'`

// crossings judges what crosses between the stores of a database.
func (j *reaching) crossings(ctx context.Context, s *session) error {
	return s.simple(ctx, crossingSQL, func(_ int, v [][]byte) error {
		text := func(i int) string { return string(v[i]) }
		if text(0) == "part" {
			whole := thing{kind: "table", schema: text(1), says: text(1) + "." + text(2), owner: text(3), acl: parseACL(text(7))}
			j.part(whole, text(4), text(4)+"."+text(5), text(6) == "true")
			return nil
		}
		j.lent(text(1), text(2), text(4), text(5), text(6))
		return nil
	})
}

// part judges a table that is a part of one in another schema.
func (j *reaching) part(whole thing, schema, name string, partition bool) {
	up, down := j.schema(whole.schema), j.schema(schema)
	if up == nil && !j.lets(whole, down) || up != nil && down != nil && up.Tenant == down.Tenant {
		return
	}
	at, fix := down, "alter table "+name+" no inherit "+whole.says
	if at == nil {
		at = up
	}
	if partition {
		fix = "alter table " + whole.says + " detach partition " + name
	}
	j.say(way{Way: connector.Way{At: at, Severity: tenure.Critical, Field: "part " + name + " of " + whole.says, Got: name, Fix: fix,
		Says: "whoever may read table " + whole.says + ", which " + whole.owner + " owns, reads the rows of its part " + name}})
}

// lets says whether a table of the platform's lets somebody in who isn't of a part's tenant.
func (j *reaching) lets(whole thing, of *connector.Declared) bool {
	if of == nil {
		return false // all of it is the platform's
	}
	for _, i := range whole.acl {
		if i.grantee == "" || j.role(i.grantee) != nil && !j.theirs(i.grantee, of) || j.among(i.grantee, of) != "" {
			return true
		}
	}
	return false
}

// lent judges what runs a tenant's code, or goes by its type, where others use it.
func (j *reaching) lent(schema, what, codes, code, owner string) {
	place, whose := j.schema(schema), j.schema(codes)
	if whose == nil {
		whose = j.role(owner)
	}
	if whose == nil || place != nil && place.Tenant == whose.Tenant {
		return
	}
	j.say(way{Way: connector.Way{At: place, Severity: tenure.Critical, Field: code + " in " + what, Got: code,
		Says: what + " runs " + strings.Replace(code, "type ", "what is checked for type ", 1) + ", which another tenant can rewrite, with the rights of whoever comes there",
		Fix:  "drop " + what + ", or have it go by code that is no other tenant's"}})
}
