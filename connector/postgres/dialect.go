package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is PostgreSQL's SQL for package relational. Tables that have an entry
// in copies are read and written under that name.
type dialect struct {
	copies map[relational.TableName]relational.TableName
}

var _ relational.Dialect = dialect{}

func (d dialect) Name(t relational.TableName) string {
	if c, ok := d.copies[t]; ok {
		t = c
	}
	return quote(t.Schema, t.Name)
}

func (dialect) Literal(s string) string { return literal(s) }
func (dialect) ForUpdate() string       { return " for update" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", strpos(" + column + `, E'\n') + 1) collate "C"`
}

// Address is described at relational.Dialect. The rows of partitions and heirs
// share addresses, so there the table belongs to it.
func (dialect) Address(t relational.Table, alias string) string {
	a := quote(alias)
	if t.Parts {
		return a + ".tableoid::text || ' ' || " + a + ".ctid::text"
	}
	return a + ".ctid::text"
}

// At is described at relational.Dialect.
func (dialect) At(t relational.Table, alias string, addresses []string) string {
	tids, rows := make([]string, len(addresses)), make([]string, len(addresses))
	for i, at := range addresses {
		table, tid, parts := strings.Cut(at, " ")
		if !parts {
			tid = at
		}
		tids[i], rows[i] = `"`+tid+`"`, "("+table+"::oid, '"+tid+"'::tid)"
	}
	where := quote(alias) + ".ctid = any ('{" + strings.Join(tids, ",") + "}'::tid[])"
	if t.Parts && len(rows) > 0 {
		where += " and (" + quote(alias) + ".tableoid, " + quote(alias) + ".ctid) in (values " + strings.Join(rows, ", ") + ")"
	}
	return where
}

// DeleteFrom is described at relational.Dialect.
func (d dialect) DeleteFrom(t relational.TableName, alias string) string {
	return "delete from " + d.Name(t) + " as " + quote(alias)
}

// DeleteSome is described at relational.Dialect.
func (d dialect) DeleteSome(t relational.Table, alias, where string, limit int) string {
	from, a := d.Name(t.TableName)+" as "+quote(alias), quote(alias)
	inner := from + " where " + where + " limit " + strconv.Itoa(limit)
	if t.Parts {
		return "delete from " + from + " where (" + a + ".tableoid, " + a + ".ctid) in (select " + a + ".tableoid, " + a + ".ctid from " + inner + ")"
	}
	return "delete from " + from + " where " + a + ".ctid = any (array(select " + a + ".ctid from " + inner + "))"
}

// Keyed is described at relational.Dialect. What the column's type takes for
// equal is the same key.
func (d dialect) Keyed(t relational.Table, alias, column, key string) (ours, theirs, nobodys string) {
	at := d.expression(alias, column)
	if many := d.many(t, alias, column); many != "" { // a key is one value: what is more is nobody's
		return at + " = " + literal(key), "(" + at + " <> " + literal(key) + " and not " + many + ")", "(" + at + " is null or " + many + ")"
	}
	c, _ := t.Column(column)
	switch {
	case c.Equal != "":
		ours = at + " " + c.Equal + " " + literal(key)
		return ours, "not (" + ours + ")", at + " is null"
	case strings.Contains(c.Type, "."): // the server doesn't know by itself what a text means to a composite type
		key = literal(key) + "::" + c.Type
		return at + " = " + key, at + " <> " + key, at + " is null"
	}
	return at + " = " + literal(key), at + " <> " + literal(key), at + " is null"
}

// many says that what stands at a path in a JSON column is a list or an object; ""
// for other columns.
func (d dialect) many(t relational.Table, alias, column string) string {
	name, path, is := strings.Cut(column, "->>")
	if !is {
		return ""
	}
	at, of := quote(alias, name), "json_typeof"
	for k := range strings.SplitSeq(path, "->>") {
		at += " -> " + literal(k)
	}
	if c, _ := t.Column(name); c.Type == "jsonb" {
		of = "jsonb_typeof"
	}
	return "coalesce(" + of + "(" + at + ") in ('array', 'object'), false)"
}

// expression is a column, or a path in a JSON column.
func (dialect) expression(alias, column string) string {
	name, path, is := strings.Cut(column, "->>")
	at := quote(alias, name)
	if !is {
		return at
	}
	keys := strings.Split(path, "->>")
	for i, k := range keys {
		op := " -> "
		if i == len(keys)-1 {
			op = " ->> "
		}
		at += op + literal(k)
	}
	return "(" + at + ")"
}

// obstaclesSQL is what can keep a statement from changing a row, or row security
// from showing it.
const obstaclesSQL = `select coalesce(string_agg(what, ', ' order by what), '') from (
 select 'trigger ' || t.tgname as what from pg_trigger t where t.tgrelid in (select oid from here) and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 2 = 2
 union
 select 'rule ' || w.rulename from pg_rewrite w where w.ev_class in (select oid from here) and w.rulename <> '_RETURN'
 union
 select 'policy ' || p.polname from pg_policy p where p.polrelid in (select oid from here) and row_security_active(p.polrelid)) x`

// hereSQL is a table with its partitions and heirs.
func hereSQL(t relational.TableName) string {
	return "with recursive here (oid) as (select " + literal(quote(t.Schema, t.Name)) + "::regclass::oid union select h.inhrelid from here join pg_inherits h on h.inhparent = here.oid) "
}

// Obstacles is described at relational.Dialect.
func (dialect) Obstacles(ctx context.Context, q relational.Querier, t relational.TableName) (string, error) {
	var out string
	err := each(ctx, q, hereSQL(t)+obstaclesSQL, 1, func(v []string) { out = v[0] })
	return out, err
}

// Updaters is described at relational.Dialect.
func (dialect) Updaters(ctx context.Context, q relational.Querier, t relational.TableName, columns []string) (out []string, err error) {
	err = each(ctx, q, hereSQL(t)+`select distinct g.tgname::text from pg_trigger g where g.tgrelid in (select oid from here)
 and not g.tgisinternal and g.tgenabled <> 'D' and g.tgtype & 16 <> 0
 and (cardinality(g.tgattr::int2[]) = 0 or exists (select 1 from pg_attribute a where a.attrelid = g.tgrelid and a.attnum = any (g.tgattr) and a.attname = `+anyOf(columns)+`)) order by 1`, 1, func(v []string) { out = append(out, v[0]) })
	return out, err
}

// Written is described at relational.Dialect.
func (dialect) Written(resource string, t relational.Table, columns []string) string {
	parts := make([]string, len(columns))
	for i, name := range columns {
		c, _ := t.Column(name)
		parts[i] = "(p.key::jsonb ->> " + strconv.Itoa(i) + ")::" + c.Type
	}
	return "select " + strings.Join(parts, ", ") + " from " + kept.Parents + " p where p.resource = " + literal(resource) + " and p.relation = " +
		literal(t.String()) + " and p.columns = " + literal(strings.Join(columns, ","))
}

// asWritten is how values of a row are written down. What people made, and what JSON has a
// form of its own for, is written by its type's output, which no cast of theirs stands for.
func asWritten(alias string, columns []string) string {
	out := make([]string, len(columns))
	for i, name := range columns {
		c := quote(alias, name)
		out[i] = "case when pg_typeof(" + c + ")::oid >= 16384 or jsonb_typeof(to_jsonb(" + c + ")) in ('array', 'object') then to_jsonb(format('%s', " + c + ")) else to_jsonb(" + c + ") end"
	}
	return "jsonb_build_array(" + strings.Join(out, ", ") + ")::text"
}

// IsWritten is described at relational.Dialect. The server makes a hash of what was written
// down, which needs no statistics of a table that has just grown.
func (dialect) IsWritten(resource string, t relational.Table, columns []string, alias string) string {
	return asWritten(alias, columns) + " in (select p.key from " + kept.Parents + " p where p.resource = " + literal(resource) + " and p.relation = " + literal(t.String()) + " and p.columns = " + literal(strings.Join(columns, ",")) + ")"
}

// Write is described at relational.Dialect.
func (d dialect) Write(ctx context.Context, q relational.Querier, resource string, k relational.ForeignKey, where string) error {
	has := ""
	for _, name := range k.Columns {
		has += " and " + quote("t", name) + " is not null"
	}
	_, err := q.Exec(ctx, "insert into "+kept.Parents+" (resource, relation, columns, key) select distinct "+literals([]string{resource, k.Parent.String(), strings.Join(k.Parents, ",")})+
		", "+asWritten("t", k.Columns)+" from "+d.Name(k.Child)+` "t" where `+where+has+" on conflict do nothing")
	return err
}

// kept are the tables of what an erasure keeps in the system.
var kept = relational.Kept{Tally: "tenure.tally", Parents: "tenure.parent"}

func (dialect) Defer(ctx context.Context, q relational.Querier) error {
	_, err := q.Exec(ctx, "set constraints all deferred")
	return err
}

// Argument gives everything as text, which the server reads as the type of the
// column that it goes to.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

func (dialect) Stored(v any) any { return v }

// viewSQL reads a table's columns, and which are of types that somebody but a
// superuser made, or of lists of such.
const viewSQL = `select a.attname, (has_table_privilege(c.oid, 'select') and not row_security_active(c.oid))::text,
 exists (select 1 from pg_type t join pg_roles r on r.oid = t.typowner where t.oid in (y.oid, y.typelem) and t.oid >= 16384 and not r.rolsuper)::text,
 exists (select 1 from pg_type b left join pg_type e on e.oid = b.typelem and b.typcategory = 'A' left join pg_type f on f.oid = e.typbasetype where b.oid = case y.typtype when 'd' then y.typbasetype else y.oid end and
 ('c' in (b.typtype, e.typtype, f.typtype) or exists (select 1 from pg_cast x where x.castsource in (b.oid, e.oid) and x.casttarget in ('json'::regtype, 'jsonb'::regtype) and b.oid >= 16384)))::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid join pg_type y on y.oid = a.atttypid
 where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped order by a.attnum`

// View is described at relational.Dialect. The server writes a value of a type with a
// cast to json by that cast; people's types are written by their output instead, which
// no one but a superuser can make.
func (dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{JSON: "to_jsonb(" + quote(alias) + ".*)::text"}
	rows, err := q.Query(ctx, viewSQL, t.Schema, t.Name)
	if err != nil {
		return v, err
	}
	defer rows.Close()
	var columns, exact []string
	peoples, nested := false, false
	for rows.Next() {
		var column, whole, made, mixed string
		if err := rows.Scan(&column, &whole, &made, &mixed); err != nil {
			return v, err
		}
		v.Exists, v.Whole = true, whole == "true"
		v.Columns = append(v.Columns, column)
		at := quote(alias, column)
		if made == "true" {
			peoples = true
			at = "case when pg_catalog.num_nulls(" + at + ") = 0 then format('%s', " + at + ") end as " + quote(column)
		}
		columns = append(columns, at)
		if mixed == "true" && made != "true" {
			nested = true
			at = quote(alias, column) + "::text as " + quote(column)
		}
		exact = append(exact, at)
	}
	if peoples {
		v.JSON = "(select to_jsonb(x.*)::text from (select " + strings.Join(columns, ", ") + ") x)"
	}
	if v.Exact = v.JSON; nested {
		v.Exact = "(select to_jsonb(x.*)::text from (select " + strings.Join(exact, ", ") + ") x)"
	}
	return v, rows.Err()
}

// each reads a result of n text columns.
func each(ctx context.Context, q relational.Querier, sql string, n int, row func(v []string)) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	v, dest := make([]string, n), make([]any, n)
	for i := range v {
		dest[i] = &v[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row(v)
	}
	return rows.Err()
}
