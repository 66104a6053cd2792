package departure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// person is a tenant with the texts that stand in its rows alone.
type person struct{ name, token string }

// The first leaves. Its name is a prefix of the second's. The tokens are in lower
// case, as indexes of words have them.
var tenants = []person{{"acme", "qza7"}, {"acme-2", "qzb9"}, {"birch", "qzc3"}}

// filler gives every table of a database rows of each tenant, by what the catalog
// says of its columns and keys. Each text, byte string, document and large object
// holds a token that stands nowhere else.
type filler struct {
	*rand.Rand
	conn    *pgx.Conn
	last    int
	tables  []*table
	parents []string // of nobody's own: rows that nothing refers to are left out
	nobodys []string // shared by all, so that no tenant's token stands there
	full    []string // "table.column": never null, though it may be
	rows    map[string][]row
}

type row struct {
	of     person
	into   string
	values map[string]string // by column, as SQL
}

type table struct {
	name    string // schema and table, quoted
	short   string
	into    []string // itself, or itself and its heirs
	columns []column
	keys    []key
}

type column struct {
	name, kind string
	rigid      bool
}

type key struct {
	columns, refs []string
	parent        string
}

func (f *filler) read(t *testing.T, schemas []string) {
	t.Helper()
	ctx := context.Background()
	rows, err := f.conn.Query(ctx, `select c.oid::regclass::text, c.relname, coalesce((select array_agg(inhrelid::regclass::text order by 1) from pg_inherits where inhparent = c.oid and c.relkind = 'r'), '{}')
 from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = any($1) and c.relkind in ('r', 'p') and not exists (select from pg_inherits where inhrelid = c.oid) order by c.oid`, schemas)
	must(t, err)
	f.tables, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*table, error) {
		var x table
		var heirs []string
		err := r.Scan(&x.name, &x.short, &heirs)
		x.into = append([]string{x.name}, heirs...)
		return &x, err
	})
	must(t, err)
	for _, x := range f.tables {
		rows, err := f.conn.Query(ctx, `select attname, case when y.typtype = 'd' then 'text' when y.typtype = 'e' then 'enum' else y.typname end, attnotnull from pg_attribute a join pg_type y on y.oid = atttypid
 where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '' order by attnum`, x.name)
		must(t, err)
		x.columns, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c column, err error) { return c, r.Scan(&c.name, &c.kind, &c.rigid) })
		must(t, err)
		rows, err = f.conn.Query(ctx, `select (select array_agg(attname::text order by o) from unnest(conkey) with ordinality u(n, o) join pg_attribute on attrelid = conrelid and attnum = n),
 (select array_agg(attname::text order by o) from unnest(confkey) with ordinality u(n, o) join pg_attribute on attrelid = confrelid and attnum = n), confrelid::regclass::text
 from pg_constraint where contype = 'f' and conparentid = 0 and conrelid = $1::text::regclass order by conname`, x.name)
		must(t, err)
		x.keys, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (k key, err error) { return k, r.Scan(&k.columns, &k.refs, &k.parent) })
		must(t, err)
	}
}

// fill writes the rows of the tenants into the tables of the schemas.
func (f *filler) fill(t *testing.T, schemas []string, of ...person) {
	t.Helper()
	f.read(t, schemas)
	f.rows = map[string][]row{}
	for _, p := range append([]person{{"", "qzn0"}}, of...) {
		for _, x := range f.tables {
			if slices.Contains(f.nobodys, x.short) != (p.name == "") {
				continue
			}
			for range 3 + f.IntN(5) {
				f.last++
				r := row{p, x.into[f.IntN(len(x.into))], map[string]string{}}
				for _, c := range x.columns {
					r.values[c.name] = f.value(p, c)
				}
				f.rows[x.name] = append(f.rows[x.name], r)
			}
		}
	}
	for _, x := range f.tables {
		for _, k := range x.keys {
			f.refer(t, x, k)
		}
	}
	f.trim()
	var sql strings.Builder
	sql.WriteString("set session_replication_role = replica;\n")
	for _, x := range f.tables {
		for _, r := range f.rows[x.name] {
			var names, values []string
			for _, c := range x.columns {
				if v := r.values[c.name]; v != "" {
					names, values = append(names, c.name), append(values, v)
				}
			}
			fmt.Fprintf(&sql, "insert into %s (%s) values (%s) on conflict do nothing;\n", r.into, strings.Join(names, ", "), strings.Join(values, ", "))
		}
	}
	sql.WriteString("set session_replication_role = origin;\n")
	_, err := f.conn.PgConn().Exec(context.Background(), sql.String()).ReadAll()
	must(t, err)
}

// value is what a column holds in one row, "" its default.
func (f *filler) value(p person, c column) string {
	f.last++
	token := fmt.Sprintf("%s%06d", p.token, f.last)
	switch {
	case c.name == "tenant_key" || c.name == "practice" || c.name == "account":
		return "'" + p.name + "'"
	case c.kind == "int4" || c.kind == "int8":
		return fmt.Sprint(f.last)
	case c.kind == "uuid":
		return fmt.Sprintf("md5('%s')::uuid", token)
	case c.kind == "date":
		return []string{"'2024-05-06'", "'2026-02-03'"}[f.IntN(2)]
	case c.kind == "text":
		return "'" + token + " Ω'"
	case c.kind == "_text":
		return "array['" + token + "']"
	case c.kind == "jsonb":
		return fmt.Sprintf(`'{"tenant_key": %q, "practice": %q, "in": ["%s"]}'`, p.name, p.name, token)
	case c.kind == "bytea":
		return "'" + token + "'::bytea"
	case c.kind == "oid":
		return "lo_from_bytea(0, '" + token + "'::bytea)"
	}
	return ""
}

func (f *filler) refer(t *testing.T, x *table, k key) {
	t.Helper()
	for i, r := range f.rows[x.name] {
		var from []row
		for j, p := range f.rows[k.parent] {
			if (p.of == r.of || p.of.name == "") && (x.name != k.parent || j < i) {
				from = append(from, p)
			}
		}
		null := f.IntN(3) == 0
		for _, c := range x.columns {
			if c.rigid && slices.Contains(k.columns, c.name) && len(k.columns) == 1 {
				null = false
			}
		}
		if slices.Contains(f.full, x.short+"."+k.columns[0]) {
			null = false
		}
		switch {
		case len(k.columns) > 1 && len(from) > 0:
			p := from[f.IntN(len(from))]
			for n, c := range k.columns {
				r.values[c] = p.values[k.refs[n]]
			}
		case strings.HasPrefix(k.parent, "platform."):
			r.values[k.columns[0]] = map[string]string{"countries": "'DE'", "currencies": "'EUR'"}[strings.TrimPrefix(k.parent, "platform.")]
		case null || len(from) == 0 && x.name != k.parent:
			r.values[k.columns[0]] = "null"
		case len(from) == 0: // the first refers to itself
			r.values[k.columns[0]] = r.values[k.refs[0]]
		default:
			r.values[k.columns[0]] = from[f.IntN(len(from))].values[k.refs[0]]
		}
	}
}

// trim leaves out parents that nobody refers to, for they would be nobody's.
func (f *filler) trim() {
	for _, x := range f.tables {
		if !slices.Contains(f.parents, x.short) {
			continue
		}
		f.rows[x.name] = slices.DeleteFunc(f.rows[x.name], func(p row) bool {
			for _, child := range f.tables {
				for _, k := range child.keys {
					if k.parent == x.name && slices.ContainsFunc(f.rows[child.name], func(r row) bool { return r.values[k.columns[0]] == p.values[k.refs[0]] }) {
						return false
					}
				}
			}
			return true
		})
	}
}
