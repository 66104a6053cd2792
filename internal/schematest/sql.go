package schematest

import (
	"fmt"
	"slices"
	"strings"
)

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Names are the tables as SQL names them.
func (s *Schema) Names() []string {
	var out []string
	for _, t := range s.Tables {
		out = append(out, s.at(t))
	}
	return out
}

func (s *Schema) at(t *Table) string {
	switch {
	case s.Dialect == SQLite:
		return quote(t.Name)
	case t.Elsewhere:
		return "extra." + quote(t.Name)
	}
	return "m." + quote(t.Name)
}

// Token is a text that stands in one row alone.
func Token(id int) string { return fmt.Sprintf("tök-%06d-Ω", id) }

// Attributes are the resource's in a blueprint, of type rows.
func (s *Schema) Attributes() map[string]any {
	tables, columns, links := map[string]any{}, map[string]any{}, map[string]any{}
	var aliases, shared []any
	name := func(t *Table) string {
		if t.Elsewhere {
			return "extra." + t.Name
		}
		return t.Name
	}
	for _, t := range s.Tables {
		if t.Class != "" && !t.Shared {
			tables[name(t)] = t.Class
		}
		switch {
		case t.Key == "" && t.Decoy:
			columns[name(t)] = ""
		case t.Alias && !t.Decoy:
			if !slices.Contains(aliases, any(t.Key)) {
				aliases = append(aliases, t.Key)
			}
		case t.Key != "" && t.Key != "tenant":
			columns[name(t)] = t.Key
		}
		if t.Shared {
			shared = append(shared, name(t))
		}
	}
	for _, l := range s.Links {
		if l.Word != "" {
			links[name(s.table(l.From))+"."+strings.Join(s.columns(l), ",")] = l.Word
		}
	}
	out := map[string]any{"column": "tenant", "key": Leaver, "tables": tables}
	for k, v := range map[string]map[string]any{"columns": columns, "links": links} {
		if len(v) > 0 {
			out[k] = v
		}
	}
	if len(aliases) > 0 {
		out["aliases"] = aliases
	}
	if len(shared) > 0 {
		out["shared"] = shared
	}
	if s.Dialect != SQLite {
		out["schema"] = "m"
	}
	return out
}

// columns are the link's referring columns.
func (s *Schema) columns(l *Link) []string {
	switch {
	case l.WithKey:
		return []string{s.table(l.From).Key, l.Name + "_id"}
	case s.table(l.To).Wide:
		return []string{l.Name + "_part", l.Name + "_id"}
	}
	return []string{l.Name + "_id"}
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

// DDL makes the tables and links.
func (s *Schema) DDL() string {
	var b strings.Builder
	if s.Dialect != SQLite {
		b.WriteString("create schema m; create schema extra;\n")
	}
	if s.Dialect == Postgres && slices.ContainsFunc(s.Tables, func(t *Table) bool { return len(t.Extras) > 0 }) {
		b.WriteString("create type m.pair as (a text, b int); create type m.word as enum ('red', 'green', 'blue');\n")
	}
	for _, t := range s.Tables {
		s.create(&b, t)
	}
	for _, t := range s.Tables {
		b.WriteString(strings.Join(s.indexes(t), ""))
	}
	if s.Dialect != SQLite {
		for _, l := range s.Links {
			fmt.Fprintf(&b, "alter table %s add constraint %s %s;\n", s.at(s.table(l.From)), l.Name, s.foreign(l))
		}
	}
	for _, t := range s.Tables {
		s.trigger(&b, t)
	}
	return b.String()
}

func (s *Schema) foreign(l *Link) string {
	to := s.table(l.To)
	ref := []string{"id"}
	if l.WithKey {
		ref = []string{to.Key, "id"}
	} else if to.Wide {
		ref = []string{"part", "id"}
	}
	out := fmt.Sprintf("foreign key (%s) references %s (%s) on delete %s", quoted(s.columns(l)), s.at(to), quoted(ref), l.Action)
	if l.OnlyID {
		out += " (" + quote(l.Name+"_id") + ")"
	}
	if l.Deferred {
		out += " deferrable"
	}
	return out
}

func (s *Schema) create(b *strings.Builder, t *Table) {
	bytes, doc, text := "bytea", "jsonb", "text"
	switch s.Dialect {
	case SQLite:
		bytes, doc = "blob", "text"
	case MariaDB:
		bytes, doc, text = "blob", "json", "varchar(40)" // a text can't be a key
	}
	cols := []string{"id int not null", "part int not null default 1", "note text", `"blob" ` + bytes, "doc " + doc}
	if t.Key != "" && !strings.Contains(t.Key, "->>") {
		cols = append(cols, quote(t.Key)+" "+text+notNull(t.KeyNotNull))
	}
	if t.Decoy {
		cols = append(cols, "tenant "+text)
	}
	for _, l := range s.Links {
		if l.From == t.Name {
			cols = append(cols, s.link(l)...)
		}
	}
	cols = append(cols, s.extras(t)...)
	primary := "id"
	if t.Wide {
		primary = "part, id"
	}
	cols = append(cols, "primary key ("+primary+")")
	if slices.ContainsFunc(s.Links, func(l *Link) bool { return l.To == t.Name && l.WithKey }) {
		cols = append(cols, "unique ("+quote(t.Key)+", id)")
	}
	if s.Dialect == SQLite {
		for _, l := range s.Links {
			if l.From == t.Name {
				cols = append(cols, s.foreign(l))
			}
		}
	}
	fmt.Fprintf(b, "create table %s (%s)", s.at(t), strings.Join(cols, ", "))
	if t.Partitions > 0 {
		b.WriteString(" partition by hash (id)")
	}
	b.WriteString(";\n")
	for i := range t.Partitions {
		fmt.Fprintf(b, "create table %s partition of %s for values with (modulus %d, remainder %d);\n", s.heir(t, i+1), s.at(t), t.Partitions, i)
	}
	for i := range t.Heirs {
		fmt.Fprintf(b, "create table %s (primary key (id)) inherits (%s);\n", s.heir(t, i+1), s.at(t))
	}
}

func (s *Schema) heir(t *Table, i int) string {
	if i == 0 {
		return s.at(t)
	}
	return strings.TrimSuffix(s.at(t), `"`) + fmt.Sprintf(`_%d"`, i)
}

func notNull(is bool) string {
	if is {
		return " not null"
	}
	return ""
}

func (s *Schema) link(l *Link) []string {
	id := quote(l.Name+"_id") + " int"
	switch {
	case l.Generated:
		return []string{l.Name + "_from int", id + " generated always as (" + l.Name + "_from) stored"}
	case l.Default != 0:
		id += fmt.Sprintf(" default %d", l.Default)
	}
	id += notNull(!l.Nullable)
	if l.Checked {
		id += fmt.Sprintf(" check (%s is not null)", quote(l.Name+"_id"))
	}
	if s.table(l.To).Wide && !l.WithKey {
		return []string{quote(l.Name+"_part") + " int" + notNull(!l.Nullable), id}
	}
	return []string{id}
}

func (s *Schema) trigger(b *strings.Builder, t *Table) {
	if t.Trigger == "" {
		return
	}
	if s.Dialect == SQLite {
		body := "select 1"
		switch t.Trigger {
		case Swallow:
			body = "select raise(ignore)"
		case Copy:
			body = fmt.Sprintf("insert into history (id, note, tenant) values (1000000 + old.id, old.note, old.%s)", quote(t.Key))
		}
		when := "before"
		if t.Trigger == Copy {
			when = "after"
		}
		fmt.Fprintf(b, "create trigger %s %s delete on %s begin %s; end;\n", quote("on "+t.Name), when, s.at(t), body)
		return
	}
	if s.Dialect == MariaDB {
		when, body := "before", "set @seen = 1"
		switch t.Trigger {
		case Swallow:
			body = "signal sqlstate '45000' set message_text = 'no row goes'"
		case Copy:
			when, body = "after", fmt.Sprintf("insert into m.history (id, note, tenant) values (1000000 + old.id, old.note, old.%s)", quote(t.Key))
		}
		home, _, _ := strings.Cut(s.at(t), ".")
		fmt.Fprintf(b, "create trigger %s.%s %s delete on %s for each row %s;\n", home, quote("on "+t.Name), when, s.at(t), body)
		return
	}
	when, body := "before", "return old"
	switch t.Trigger {
	case Swallow:
		body = "return null"
	case Copy:
		when, body = "after", fmt.Sprintf("insert into m.history (id, note, tenant) values (1000000 + old.id, old.note, old.%s); return null", quote(t.Key))
		if s.table(History).Key != "tenant" {
			body = fmt.Sprintf("insert into m.history (id, doc) values (1000000 + old.id, jsonb_build_object('tenant', old.%s, 'was', to_jsonb(old))); return null", quote(t.Key))
		}
	}
	f := "m." + quote("f"+t.Name)
	fmt.Fprintf(b, "create function %s() returns trigger language plpgsql as $$ begin %s; end $$;\ncreate trigger %s %s delete on %s for each row execute function %s();\n",
		f, body, quote("on "+t.Name), when, s.at(t), f)
}

// Rows inserts the rows; foreign keys and triggers must be off while it runs.
func (s *Schema) Insert() string {
	var b strings.Builder
	byID, in := s.rows()
	for _, t := range s.Tables {
		for _, r := range t.Rows {
			cols, vals := []string{"id", "part", "note", "blob", "doc"}, []string{fmt.Sprint(r.ID), fmt.Sprint(part(r.ID)), literal(Token(r.ID)), s.bytes(Token(r.ID)), literal(`{"in": ["` + Token(r.ID) + `"]}`)}
			if t.Key != "" && r.Key != "" {
				cols, vals = append(cols, t.Key), append(vals, literal(r.Key))
			}
			if t.Decoy {
				cols, vals = append(cols, "tenant"), append(vals, literal(r.decoy()))
			}
			for _, e := range t.Extras {
				_, sql := e.value(s.Dialect, r.ID)
				cols, vals = append(cols, e.Name), append(vals, sql)
			}
			for _, l := range s.Links {
				to, half := r.Refs[l.Name], r.Half[l.Name]
				if l.From != t.Name || to == 0 && half == 0 {
					if l.From == t.Name && l.Default != 0 {
						cols, vals = append(cols, l.Name+"_id"), append(vals, "null")
					}
					continue
				}
				if in[max(to, half)].Wide && !l.WithKey {
					cols, vals = append(cols, l.Name+"_part"), append(vals, fmt.Sprint(part(byID[max(to, half)].ID)))
				}
				if to != 0 {
					column := l.Name + "_id"
					if l.Generated {
						column = l.Name + "_from"
					}
					cols, vals = append(cols, column), append(vals, fmt.Sprint(to))
				}
			}
			fmt.Fprintf(&b, "insert into %s (%s) values (%s);\n", s.heir(t, r.Heir), quoted(cols), strings.Join(vals, ", "))
		}
	}
	return b.String()
}

func part(id int) int { return id%3 + 1 }

func (s *Schema) bytes(text string) string {
	if s.Dialect != Postgres {
		return fmt.Sprintf("x'%x'", text)
	}
	return fmt.Sprintf(`'\x%x'`, text)
}

// decoy is what a column holds that is called as a tenant column is and isn't one.
func (r *Row) decoy() string { return []string{Leaver, "other", Second}[r.ID%3] }
