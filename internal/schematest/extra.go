package schematest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Extra is a column beside those that every table has, with what becomes of it.
type Extra struct {
	Name    string
	Kind    string // of kinds
	NotNull bool
	Unique  bool // on its own
	Lower   bool // by an index over its lower-case form
	Alike   bool // so that nulls are alike too
	Partly  bool // by an index over some rows
	Copied  bool // a generated column repeats it
	Spread  int  // how many values there are, 0 for one of each row's own
	Echo    bool // some rows repeat the note in it
	Rule    any
}

// kinds are types by dialect; blank where there is none.
var kinds = map[string]map[Dialect]string{
	"text":    {Postgres: "text", MariaDB: "varchar(80)", SQLite: "text"},
	"short":   {Postgres: "varchar(40)", MariaDB: "varchar(40)", SQLite: "varchar(40)"},
	"padded":  {Postgres: "char(30)", MariaDB: "char(30)", SQLite: "char(30)"},
	"date":    {Postgres: "date", MariaDB: "date", SQLite: "date"},
	"moment":  {Postgres: "timestamptz", MariaDB: "timestamp", SQLite: "text"},
	"local":   {Postgres: "timestamp", MariaDB: "datetime(3)", SQLite: "datetime"},
	"address": {Postgres: "inet", MariaDB: "inet4", SQLite: "text"},
	"integer": {Postgres: "bigint", MariaDB: "bigint", SQLite: "integer"},
	"money":   {Postgres: "numeric(18,4)", MariaDB: "decimal(18,4)", SQLite: "numeric"},
	"any":     {Postgres: "numeric", SQLite: ""},
	"float":   {Postgres: "double precision", MariaDB: "double", SQLite: "real"},
	"json":    {Postgres: "jsonb", MariaDB: "json", SQLite: "json"},
	"plain":   {Postgres: "json", MariaDB: "longtext", SQLite: "text"},
	"uuid":    {Postgres: "uuid", MariaDB: "uuid", SQLite: "uuid"},
	"list":    {Postgres: "text[]"},
	"numbers": {Postgres: "int[]"},
	"pair":    {Postgres: "m.pair"},
	"pairs":   {Postgres: "m.pair[]"},
	"word":    {Postgres: "m.word", MariaDB: "enum('red', 'green', 'blue')", SQLite: "text"},
	"span":    {Postgres: "int4range"},
	"bytes":   {Postgres: "bytea", MariaDB: "varbinary(60)", SQLite: "blob"},
	"bits":    {Postgres: "bit varying(20)", MariaDB: "bit(20)"},
}

// oddNames are columns' names that want quotes.
var oddNames = []string{"Sel\"ect", "two words", "Größe", "it's", "a.b", "back`tick", "order", "$1", "%s", "MiXed", "x\\y"}

func (g *generator) extra(i int, all []string) *Extra {
	e := &Extra{Name: fmt.Sprintf("x%d", i), Kind: pick(g, all...)}
	if g.chance(0.25) {
		e.Name = pick(g, oddNames...) + fmt.Sprint(i)
	}
	e.Spread = pick(g, 0, 0, 1, 1, 2)
	e.NotNull = g.chance(0.3) && (e.Spread == 0 || g.chance(0.3))
	e.Echo = g.chance(0.15) && (e.Kind == "text" || e.Kind == "plain")
	if e.Kind == "text" || e.Kind == "integer" || e.Kind == "date" || e.Kind == "uuid" {
		e.Unique = e.Spread == 0 && !e.Echo && g.chance(0.15)
	}
	if e.Kind == "text" {
		e.Lower = e.Spread == 0 && !e.Echo && !e.Unique && g.Dialect != MariaDB && g.chance(0.15)
	}
	e.Alike = e.Unique && g.Dialect == Postgres && e.NotNull && g.chance(0.4)
	if e.Alike {
		e.NotNull = false
	}
	e.Partly = e.Unique && g.Dialect != MariaDB && !e.Alike && g.chance(0.4)
	e.Copied = slices.Contains([]string{"text", "short", "integer"}, e.Kind) && g.chance(0.12)
	e.Rule = g.rule(e)
	return e
}

// rule makes up what becomes of a column, mostly something that can be.
func (g *generator) rule(e *Extra) any {
	if g.chance(0.04) {
		return pick[any](g, "year", "network", map[string]any{"bucket": 10}, map[string]any{"prefix": 3}, map[string]any{"each": "keep"}, "permute")
	}
	var can []any
	if e.Spread > 0 || g.chance(0.15) {
		can = append(can, "keep")
	}
	if !e.NotNull {
		can = append(can, "clear", "clear")
	}
	if g.chance(0.4) {
		can = append(can, "permute")
	}
	switch e.Kind {
	case "text", "short", "padded":
		can = append(can, "clear", map[string]any{"constant": "nobody"}, map[string]any{"prefix": 2}, map[string]any{"pseudonym": "people"})
		if e.Kind == "text" {
			can = append(can, map[string]any{"pseudonym": "people", "suffix": "@x.invalid"}, map[string]any{"pseudonym": "people", "reversible": true})
		}
	case "date", "moment", "local":
		if g.Dialect == SQLite && e.NotNull {
			can = append(can, map[string]any{"year": true, "else": "0001-01-01"})
			break
		}
		can = append(can, "year", "month", "year")
	case "address":
		if g.Dialect == SQLite && e.NotNull {
			can = append(can, map[string]any{"network": true, "else": "0.0.0.0"})
			break
		}
		can = append(can, "network")
	case "integer", "money", "float":
		can = append(can, map[string]any{"bucket": pick[any](g, 10, 1000, 5_000_000)}, map[string]any{"constant": 7})
	case "any":
		can = append(can, map[string]any{"bucket": 1000, "else": 0})
	case "json":
		can = append(can, map[string]any{"members": map[string]any{"plan": "keep", "tags[].k": "keep"}}, "clear")
	case "plain":
		can = append(can, "clear")
	case "uuid":
		can = append(can, map[string]any{"pseudonym": "people"})
	case "list":
		can = append(can, map[string]any{"each": map[string]any{"prefix": 2}}, "clear")
	case "word":
		can = append(can, "keep")
	case "bytes":
		can = append(can, "clear")
	}
	if len(can) == 0 {
		return "permute"
	}
	return pick(g, can...)
}

// value is what stands in a column of a row: as text as the database should show it, and
// as SQL; nil is null. Few values are alike but those of a spread.
func (e *Extra) value(d Dialect, id int) (plain any, sql string) {
	n := id
	if e.Spread > 0 {
		n = id % e.Spread
	}
	h := (n*2654435761 + len(e.Name)*40503) & 0x7fffffff
	if !e.NotNull && !e.Alike && (id*7+len(e.Name))%9 == 0 {
		return nil, "null"
	}
	text := func(s string) (any, string) { return s, literal(s) }
	switch e.Kind {
	case "text", "short", "padded":
		if e.Echo && id%3 == 0 {
			return text("see " + Token(id) + " there")
		}
		return text(fmt.Sprintf("Sec%d-%s%05d", h%10, "ΩÄ'x"[:2], n))
	case "date":
		return text(dayOf(h).Format("2006-01-02"))
	case "moment", "local":
		t := dayOf(h).Add(time.Duration(h%86000) * time.Second)
		s := t.Format("2006-01-02 15:04:05")
		if e.Kind == "moment" && d != SQLite {
			return s, literal(s + map[Dialect]string{Postgres: "+00", MariaDB: ""}[d])
		}
		return text(s)
	case "address":
		return text(fmt.Sprintf("10.%d.%d.%d", h%200, n%250, 1+h%250))
	case "integer":
		s := fmt.Sprint(10_000_000 + n*7919)
		return s, s
	case "money":
		s := fmt.Sprintf("%d.%04d", 10_000+n*7919, h%10000)
		return s, s
	case "any":
		s := fmt.Sprintf("%d.%07d", 10_000+n, h%10_000_000)
		return s, s
	case "float":
		s := fmt.Sprintf("%d.5", 10_000_000+n*31)
		return s, s
	case "json", "plain":
		if e.Echo && id%3 == 0 {
			return text(fmt.Sprintf(`{"see": %q}`, Token(id)))
		}
		if h%5 == 0 {
			return text([]string{`[1, "Hidden-text"]`, `"Hidden-text"`, `{}`, `12345678`}[h%4])
		}
		return text(fmt.Sprintf(`{"plan": "gold", "secret": "Hidden-%06d", "tags": [{"k": "a", "v": "Tag-%06d"}]}`, n, n))
	case "uuid":
		return text(fmt.Sprintf("%08x-1111-4111-8111-%012x", h, n))
	case "list":
		return text(fmt.Sprintf(`{Item-%06d,"b, c",NULL}`, n))
	case "numbers":
		return text(fmt.Sprintf(`{%d,NULL,7}`, 10_000_000+n))
	case "pair":
		return text(fmt.Sprintf(`("Pair-%06d ""x""",%d)`, n, n))
	case "pairs":
		return text(fmt.Sprintf(`{"(Pair-%06d,%d)"}`, n, n))
	case "word":
		return text([]string{"red", "green", "blue"}[n%3])
	case "span":
		return text(fmt.Sprintf(`[%d,%d)`, 1000+n, 2000+n))
	case "bytes":
		s := fmt.Sprintf("Bytes-%06d", n)
		if d == Postgres {
			return fmt.Sprintf(`\x%x`, s), fmt.Sprintf(`'\x%x'`, s)
		}
		return fmt.Sprintf("%x", s), fmt.Sprintf("x'%x'", s)
	case "bits":
		s := fmt.Sprintf("%020b", (n*31)&0xfffff)
		return s, "b'" + s + "'"
	}
	panic(e.Kind)
}

func dayOf(h int) time.Time {
	return time.Date(1971+h%60, time.Month(1+h%12), 2+h%26, 0, 0, 0, 0, time.UTC)
}

// kindsOf are those that a dialect has.
func kindsOf(d Dialect) (out []string) {
	for kind, by := range kinds {
		if _, has := by[d]; has {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// extras writes the columns of a table.
func (s *Schema) extras(t *Table) (out []string) {
	for _, e := range t.Extras {
		col := quote(e.Name) + " " + kinds[e.Kind][s.Dialect] + notNull(e.NotNull)
		if e.Kind == "moment" && s.Dialect == MariaDB && !e.NotNull {
			col += " null" // or it gets a default
		}
		if e.Unique && t.Partitions == 0 && !e.Partly {
			if col += " unique"; e.Alike {
				col += " nulls not distinct"
			}
		}
		out = append(out, col)
		if e.Copied {
			typ := kinds[e.Kind][s.Dialect]
			out = append(out, quote(e.Name+" too")+" "+typ+" generated always as ("+quote(e.Name)+") stored")
		}
	}
	return out
}

// indexes are made once the tables are there.
func (s *Schema) indexes(t *Table) (out []string) {
	for i, e := range t.Extras {
		if e.Partly && t.Partitions == 0 {
			out = append(out, fmt.Sprintf("create unique index %s on %s (%s) where part < 3;\n", quote(fmt.Sprintf("part %s %d", strings.ReplaceAll(t.Name, `"`, ""), i)), s.at(t), quote(e.Name)))
		}
		if e.Lower && t.Partitions == 0 && !strings.Contains(t.Name, `"`) {
			out = append(out, fmt.Sprintf("create unique index %s on %s (lower(%s));\n", quote(fmt.Sprintf("low %s %d", t.Name, i)), s.at(t), quote(e.Name)))
		}
	}
	return out
}
