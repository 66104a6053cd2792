package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// schema is the store's tables as the database itself has them.
type schema struct {
	s  *site
	db *sql.DB
}

type column struct {
	name, typ string
	key       int
	refers    string // "table.column"
}

func (m *schema) columns(table string) (out []column) {
	m.s.t.Helper()
	refers := make(map[string]string)
	rows, err := m.db.Query(`select "from", "table", "to" from pragma_foreign_key_list(?)`, table)
	m.s.must(err)
	for rows.Next() {
		var from, other, to string
		m.s.must(rows.Scan(&from, &other, &to))
		refers[from] = other + "." + to
	}
	rows, err = m.db.Query(`select name, type, pk from pragma_table_info(?)`, table)
	m.s.must(err)
	for rows.Next() {
		var c column
		m.s.must(rows.Scan(&c.name, &c.typ, &c.key))
		c.refers = refers[c.name]
		out = append(out, c)
	}
	return out
}

func (m *schema) tables() (out []string) {
	rows, err := m.db.Query(`select name from sqlite_master where type = 'table' and name not like 'sqlite%' order by name`)
	m.s.must(err)
	for rows.Next() {
		var name string
		m.s.must(rows.Scan(&name))
		out = append(out, name)
	}
	return out
}

// depth is how many tables a row of a table must find there before it.
func (m *schema) depth(table string) (n int) {
	for _, c := range m.columns(table) {
		if other, _, ok := strings.Cut(c.refers, "."); ok {
			n = max(n, m.depth(other)+1)
		}
	}
	return n
}

// rows are a table's first two rows.
func (m *schema) rows(table string, columns []column) (out [][]any) {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	rows, err := m.db.Query(`select ` + strings.Join(names, ", ") + ` from ` + table + ` order by 1 limit 2`)
	m.s.must(err)
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		m.s.must(rows.Scan(into...))
		out = append(out, row)
	}
	return out
}

// fill has the program write a row, so that each table has one that the log knows.
func (m *schema) fill(table string, columns []column, n int) {
	var marks, names []string
	var args []any
	for i, c := range columns {
		names, marks = append(names, c.name), append(marks, fmt.Sprintf("$%d", i+1))
		var v any
		switch {
		case c.refers != "":
			other, col, _ := strings.Cut(c.refers, ".")
			m.s.must(m.db.QueryRow(`select ` + col + ` from ` + other + ` order by 1`).Scan(&v))
			if c.key > 0 { // one row for each that it refers to
				m.s.must(m.db.QueryRow(`select ` + col + ` from ` + other + ` where ` + col + ` not in (select ` + c.name + ` from ` + table + `) order by 1`).Scan(&v))
			}
		case strings.EqualFold(c.typ, "bytea"):
			v = []byte{byte(n), 7}
		case strings.EqualFold(c.typ, "text"):
			v = fmt.Sprintf("filled-%s-%d", c.name, n)
		default:
			v = int64(n + 1)
		}
		args = append(args, v)
	}
	m.s.must(m.s.db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Exec(`insert into `+table+` (`+strings.Join(names, ", ")+`) values (`+strings.Join(marks, ", ")+`)`, args...)
		return err
	}))
}

// dump is all of the store, as text.
func (s *site) dump() string {
	db, err := sql.Open("sqlite", "file:"+s.dsn+"?_pragma=busy_timeout(10000)")
	s.must(err)
	defer db.Close()
	m, out := &schema{s, db}, ""
	for _, table := range m.tables() {
		rows, err := db.Query(`select * from ` + table + ` order by 1, 2`)
		s.must(err)
		names, err := rows.Columns()
		s.must(err)
		for rows.Next() {
			row, into := make([]any, len(names)), make([]any, len(names))
			for i := range row {
				into[i] = &row[i]
			}
			s.must(rows.Scan(into...))
			out += fmt.Sprintln(table, row)
		}
	}
	return out
}

func other(v any) any {
	switch v := v.(type) {
	case string:
		return v + "x"
	case []byte:
		return append(slices.Clone(v), 'x')
	case int64:
		return v + 1
	}
	return "x"
}

// problems are what the audit finds.
func (s *site) problems() string {
	rep, err := s.VerifyAudit(context.Background())
	if err != nil {
		return "the audit ends with: " + err.Error()
	}
	return strings.Join(rep.Problems, "\n")
}

// A change of any column, a row that goes, comes or changes places with another is named by the audit, or declared
// as nothing that the log covers, with the reason. What is declared and yet found is declared in vain.
func TestEveryChangePastTheProgramIsNamedOrDeclared(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.onboard("zeta")
	s.toDeletion("acme")
	_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
	s.must(err)
	s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := tx.AddAnomaly(tenure.Finding{ID: "fnd_anomaly", Kind: tenure.FindingAnomaly, Severity: tenure.Low, Type: "approval.quick", Name: "reviewer", SeenAt: s.options.Now()})
		return err
	}))
	_, _, err = s.Checkpoint(context.Background())
	s.must(err)
	db, err := sql.Open("sqlite", "file:"+s.dsn+"?_pragma=busy_timeout(10000)")
	s.must(err)
	t.Cleanup(func() { _ = db.Close() })
	m := &schema{s, db}
	tables := m.tables()
	slices.SortStableFunc(tables, func(a, b string) int { return m.depth(a) - m.depth(b) })
	for _, table := range tables {
		columns := m.columns(table)
		for n := len(m.rows(table, columns)); n < 2 && table != "audit_head" && !strings.HasPrefix(table, "tenure_") && table != "checkpoint"; n++ {
			m.fill(table, columns, n)
		}
	}
	if p := s.problems(); p != "" {
		t.Fatalf("before anything is changed:\n%s", p)
	}
	declared, asked := make(map[string]bool), 0
	exec := func(q string, args ...any) {
		t.Helper()
		_, err := db.Exec(q, args...)
		s.must(err)
	}
	for _, table := range tables {
		columns := m.columns(table)
		whole := store.Unproven[table+".*"] != ""
		declared[table+".*"] = whole
		rows := m.rows(table, columns)
		if len(rows) == 0 {
			t.Errorf("%s has no row", table)
			continue
		}
		var keys []string
		where := func(row []any) (string, []any) {
			var conds []string
			var args []any
			for i, c := range columns {
				if c.key > 0 {
					conds, args = append(conds, c.name+" = ?"), append(args, row[i])
				}
			}
			return strings.Join(conds, " and "), args
		}
		insert := func(row []any) {
			t.Helper()
			exec(`insert into `+table+` values (`+strings.TrimSuffix(strings.Repeat("?, ", len(row)), ", ")+`)`, row...)
		}
		remove := func(row []any) {
			t.Helper()
			cond, args := where(row)
			exec(`delete from `+table+` where `+cond, args...)
		}
		for _, c := range columns {
			if c.key > 0 {
				keys = append(keys, c.name)
			}
		}
		if len(keys) == 0 {
			t.Errorf("%s has no key", table)
			continue
		}
		named := func(what, why string) {
			t.Helper()
			found := s.problems()
			switch {
			case found == "" && why == "":
				t.Errorf("%s: the audit finds nothing, and nothing is declared", what)
			case found != "" && why != "":
				t.Errorf("%s: declared (%s), and found all the same: %s", what, why, found)
			case found != "" && !strings.HasPrefix(table, "audit_") && table != "checkpoint" && !strings.Contains(found, table+" ") && !strings.Contains(found, table+"."):
				t.Errorf("%s: the audit finds something else: %s", what, found)
			}
		}
		if table == "finding" { // only anomalies are covered as a whole
			i := slices.IndexFunc(rows, func(r []any) bool { return slices.Contains(r, any(string(tenure.FindingAnomaly))) })
			if i < 0 {
				t.Error("there is no anomaly")
				continue
			}
			rows = rows[i:]
		}
		row := rows[0]
		for i, c := range columns {
			why := store.Unproven[table+".*"]
			if asked++; raced() && asked%8 > 0 {
				declared[table+"."+c.name] = true
				continue
			}
			if !whole {
				why = store.Unproven[table+"."+c.name]
				declared[table+"."+c.name] = true
			}
			changed := slices.Clone(row)
			changed[i] = other(row[i])
			if n, ok := row[i].(int64); ok && c.key > 0 {
				changed[i] = n + 1_000_000
			}
			remove(row)
			insert(changed)
			named(table+"."+c.name+" is changed", why)
			remove(changed)
			insert(row)
		}
		why := store.Unproven[table+".*"] + store.Unproven[table]
		declared[table] = true
		remove(row)
		named("a row of "+table+" is deleted", why)
		insert(row)
		made := slices.Clone(row)
		for i, c := range columns {
			if c.key > 0 || c.typ == "BYTEA" || c.name == "hash" || c.name == "name" || c.name == "fingerprint" || c.name == "trigger_key" || c.name == "code" || c.name == "subject" || c.name == "schedule" || c.name == "external_id" {
				made[i] = other(other(row[i]))
				if n, ok := row[i].(int64); ok {
					made[i] = n + 1_000_000
				}
			}
		}
		if table != "audit_head" {
			insert(made)
			named("a row of "+table+" is made up", why)
			remove(made)
		}
		if len(rows) == 2 {
			a, b := slices.Clone(rows[1]), slices.Clone(rows[0])
			differ := false
			for i, c := range columns {
				if c.key > 0 {
					a[i], b[i] = rows[0][i], rows[1][i]
				} else if fmt.Sprint(a[i]) != fmt.Sprint(b[i]) {
					differ = differ || whole || store.Unproven[table+"."+c.name] == ""
				}
			}
			remove(rows[0])
			remove(rows[1])
			insert(a)
			insert(b)
			if differ && store.Unproven[table] == "" {
				named("two rows of "+table+" change places", why)
			}
			remove(a)
			remove(b)
			insert(rows[0])
			insert(rows[1])
		}
	}
	for what := range store.Unproven {
		if !declared[what] {
			t.Errorf("%s is declared, and there is no such column", what)
		}
	}
	if p := s.problems(); p != "" {
		t.Errorf("after all was put back:\n%s", p)
	}
}
