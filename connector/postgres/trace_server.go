package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

type tracedDatabase struct {
	oid
	name, owner string
	here        bool
	limit       int
	bytes       int64
}

type tracedRole struct {
	oid
	name    string
	flags   string // as rolesSQL has them
	limit   int
	until   string
	kept    bool // it is yielded: neither this login, nor the server's or Tenure's own
	members []string
	reaches []string
}

type tracedSchema struct {
	oid
	name, owner string
	tables      int
	alike       bool // most of its tables have the names of tables of two other schemas at least: it is one of many like it
	bytes, rows int64
	grants      []connector.Beside // what others than the owner were given
}

const tracedServerSQL = `select d.oid, d.datname, pg_get_userbyid(d.datdba), d.datname = current_database(), d.datconnlimit from pg_database d
 where not d.datistemplate and (d.datname <> 'postgres' or d.datname = current_database()) order by d.datname collate "C";
select r.oid, r.rolname, concat(case when r.rolcanlogin then 'L' end, case when r.rolsuper then 'S' end, case when r.rolcreatedb then 'D' end,
  case when r.rolcreaterole then 'C' end, case when r.rolbypassrls then 'B' end, case when r.rolreplication then 'R' end,
  case when not r.rolinherit then 'I' end, case when r.rolvaliduntil < 'infinity' then 'U' end), r.rolconnlimit, case when r.rolvaliduntil < 'infinity' then r.rolvaliduntil::text end,
 r.oid <> 10 and left(r.rolname, 3) <> 'pg_' and r.rolname not in (session_user, current_user) from pg_roles r order by r.rolname collate "C";
select m.member, g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid group by 1, 2 order by m.member, g.rolname collate "C";
with t as (select relnamespace, count(*) over (partition by relname) as twins from pg_class where relkind in ('r', 'p') and not relispartition and oid >= 16384)
select n.oid, n.nspname, pg_get_userbyid(n.nspowner), count(t.twins), count(*) filter (where t.twins > 2) from pg_namespace n left join t on t.relnamespace = n.oid
 where ` + notOurs + ` group by 1, 2, 3 order by n.nspname collate "C";
select has_function_privilege('pg_control_system()', 'execute')`

// server reads what is the whole server's, and the schemas of the database.
func (t *tracing) server(ctx context.Context) error {
	begin := "begin isolation level repeatable read read only; " + lockBound + "; set local statement_timeout to " + strconv.FormatInt(traceCatalog.Milliseconds(), 10) + ";\n"
	byOID, identity := map[oid]*tracedRole{}, false
	err := t.s.simple(ctx, begin+tracedServerSQL, func(result int, v [][]byte) error {
		switch result {
		case 3:
			t.databases = append(t.databases, &tracedDatabase{oid: oidOf(v[0]), name: string(v[1]), owner: string(v[2]), here: yes(v[3]), limit: number(v[4]), bytes: -1})
		case 4:
			r := &tracedRole{oid: oidOf(v[0]), name: string(v[1]), flags: string(v[2]), limit: number(v[3]), until: string(v[4]), kept: yes(v[5])}
			r.kept = r.kept && !slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(r.name, p) }) && r.name != heirRole
			t.roles, byOID[r.oid], t.owners[r.name] = append(t.roles, r), r, r.kept
		case 5:
			if r := byOID[oidOf(v[0])]; r != nil {
				r.members = append(r.members, string(v[1]))
				if !strings.HasPrefix(string(v[1]), "pg_") {
					r.reaches = append(r.reaches, relational.TraceID("role", string(v[1])))
				}
			}
		case 6:
			n := &tracedSchema{oid: oidOf(v[0]), name: string(v[1]), owner: string(v[2]), tables: number(v[3]), bytes: -1, rows: -1}
			n.alike = n.name != "public" && n.tables > 0 && 2*number(v[4]) > n.tables
			t.schemas = append(t.schemas, n)
		case 7:
			identity = yes(v[0])
		}
		return nil
	})
	if err != nil {
		return err
	}
	var elsewhere []string
	for _, db := range t.databases {
		if !db.here {
			elsewhere = append(elsewhere, db.name)
		}
	}
	if n := int64(len(elsewhere)); n > 0 {
		t.says("%s %s looked into, as another database's dsn would: %s", relational.Plural(n, "database"), relational.Verb(n, "wasn't", "weren't"), relational.Some(elsewhere))
	}
	if !identity {
		return nil
	}
	return t.s.simple(ctx, identitySQL, func(_ int, v [][]byte) error {
		t.out.Fingerprint = "postgres:" + string(v[0]) + ":" + string(v[1])
		return nil
	})
}

func (t *tracing) databaseTrace(db *tracedDatabase) connector.Trace {
	one := connector.Trace{Kind: connector.TracePlace, Type: "database", Word: "database", Name: db.name, ID: relational.TraceID("database", db.name), Rows: -1, Bytes: db.bytes, Attributes: map[string]any{}}
	one.Open, one.Bears = t.open[one.ID], t.bears[one.ID]
	t.owned(&one, db.owner)
	if db.limit >= 0 {
		one.Attributes["connectionLimit"] = db.limit
	}
	one.Disabled = db.limit == 0
	return one
}

func (t *tracing) schemaTrace(n *tracedSchema) connector.Trace {
	one := connector.Trace{
		Kind: connector.TracePlace, Type: "schema", Word: "schema", Name: n.name, ID: t.schemaID(n.name), In: relational.TraceID("database", t.d.config.Database), Rows: n.rows, Bytes: n.bytes,
		Labels: map[string]string{"tables": strconv.Itoa(n.tables)}, Attributes: map[string]any{},
	}
	if n.alike {
		one.Labels["alike"] = "true"
	}
	if len(n.grants) <= connector.BesideMost {
		one.Beside = n.grants
	}
	one.Open, one.Bears = t.open[one.ID], t.bears[one.ID]
	t.owned(&one, n.owner)
	return one
}

// owned notes whose a place is, unless it is the server's, this login's or Tenure's own role's.
func (t *tracing) owned(one *connector.Trace, owner string) {
	if t.owners[owner] {
		one.Owners, one.Attributes["owner"] = []string{relational.TraceID("role", owner)}, owner
	}
}

// everywhere are the server's own roles whose members reach every table.
var everywhere = []string{"pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"}

// given notes privileges that a role was given on the schema itself, which is "", or on its tables. The
// use of a schema comes with a right on its tables.
func (n *tracedSchema) given(role string, privileges, tables []string) {
	at := func(b connector.Beside) bool { return b.Attributes["role"] == role }
	if tables[0] == "" && slices.Equal(privileges, []string{"usage"}) && slices.ContainsFunc(n.grants, at) {
		return
	}
	one := connector.Beside{Type: "grant", Attributes: map[string]any{"role": role, "schema": n.name, "privileges": privileges}}
	if tables[0] != "" {
		one.Attributes["tables"] = tables
	}
	n.grants = append(n.grants, one)
}

func (t *tracing) roleTrace(r *tracedRole) connector.Trace {
	one := connector.Trace{Kind: connector.TraceGroup, Type: "role", Word: "role", Name: r.name, ID: relational.TraceID("role", r.name), Rows: -1, Bytes: -1, Labels: map[string]string{}, Reaches: r.reaches}
	one.Bears = t.bears[one.ID]
	if strings.Contains(r.flags, "L") {
		one.Kind, one.Disabled = connector.TraceAccount, r.limit == 0
		if r.limit < 0 {
			one.Lacks = []string{"a connection limit"}
		}
	}
	if strings.Contains(r.flags, "B") {
		one.Labels["bypassrls"] = "true"
	}
	for _, m := range r.members {
		if strings.HasPrefix(m, "pg_") {
			one.Labels[m] = "true"
		}
		if slices.Contains(everywhere, m) && one.All == "" {
			one.All = "it is a member of " + m
		}
	}
	if strings.Contains(r.flags, "R") && r.limit != 0 {
		one.All = "it may replicate the whole server"
	}
	if strings.Contains(r.flags, "S") {
		one.Labels["superuser"], one.All = "true", "it is a superuser"
	}
	one.Expires, _ = relational.TraceTime(r.until)
	one.Attributes = map[string]any{"login": one.Kind == connector.TraceAccount}
	if r.limit >= 0 {
		one.Attributes["connectionLimit"] = r.limit
	}
	if len(r.members) > 0 {
		one.Attributes["memberOf"] = r.members
	}
	return one
}
