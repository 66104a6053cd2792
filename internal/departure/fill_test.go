package departure

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// person is a tenant with the texts that stand in its rows alone.
type person struct{ name, token string }

// The first leaves. Its name is a prefix of the second's. The tokens are in lower
// case, as indexes of words have them.
var tenants = []person{{"acme", "qza7"}, {"acme-2", "qzb9"}, {"birch", "qzc3"}}

// source is the database that is filled.
type source interface {
	tables(t *testing.T, schemas []string) []*table
	value(f *filler, p person, c column, token string) string
	write(t *testing.T, inserts []string)
	into(table string, names, values []string) string
}

// filler gives every table of a database rows of each tenant, by what the catalog
// says of its columns and keys. Each text, byte string, document and large object
// holds a token that stands nowhere else.
type filler struct {
	*rand.Rand
	source  source
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

// fill writes the rows of the tenants into the tables of the schemas.
func (f *filler) fill(t *testing.T, schemas []string, of ...person) {
	t.Helper()
	f.tables = f.source.tables(t, schemas)
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
	var inserts []string
	for _, x := range f.tables {
		for _, r := range f.rows[x.name] {
			var names, values []string
			for _, c := range x.columns {
				if v := r.values[c.name]; v != "" {
					names, values = append(names, c.name), append(values, v)
				}
			}
			inserts = append(inserts, f.source.into(r.into, names, values))
		}
	}
	f.source.write(t, inserts)
}

// value is what a column holds in one row, "" its default.
func (f *filler) value(p person, c column) string {
	f.last++
	token := fmt.Sprintf("%s%06d", p.token, f.last)
	switch {
	case c.name == "tenant_key" || c.name == "practice" || c.name == "account":
		return "'" + p.name + "'"
	}
	return f.source.value(f, p, c, token)
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
