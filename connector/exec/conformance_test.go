package exec_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/exec"
	"github.com/tenurehq/tenure/internal/npmtest"
)

// The example in Python passes the whole suite.
func TestConformance(t *testing.T) { connectortest.Run(t, club) }

// example is the manifest of the example in Python.
func example(t testing.TB) connector.Info {
	t.Helper()
	if _, err := osexec.LookPath("python3"); err != nil {
		npmtest.Absent(t, "python3", err.Error())
	}
	file, err := filepath.Abs("../../examples/exec-python/club.yaml")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := exec.Load(src, file)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// register is a club's, seen from outside.
type register struct {
	*sql.DB
	path string
}

func newRegister(t testing.TB) register {
	t.Helper()
	schema, err := os.ReadFile("../../examples/exec-python/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "club?#1.db")
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(path)+"?_pragma=busy_timeout(20000)&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := register{db, path}
	r.exec(t, string(schema))
	return r
}

func (g register) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := g.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (g register) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := g.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// look is all rows of all tables.
func (g register) look(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range g.texts(t, "select name from sqlite_master where type = 'table' order by name") {
		rows, err := g.Query(`select * from "` + table + `" order by 1, 2`)
		if err != nil && strings.Contains(err.Error(), "ORDER BY term out of range") {
			rows, err = g.Query(`select * from "` + table + `" order by 1`)
		}
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s %q\n", table, values)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func (g register) texts(t testing.TB, query string) (out []string) {
	t.Helper()
	rows, err := g.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func (g register) remark(typ string) (remark func(testing.TB, connector.Ref, string), unmark func(testing.TB, connector.Ref)) {
	return func(t testing.TB, r connector.Ref, mark string) {
			g.exec(t, "update tenure_mark set mark = ? where type = ? and name = ?", mark, typ, r.Name)
		}, func(t testing.TB, r connector.Ref) {
			g.exec(t, "delete from tenure_mark where type = ? and name = ?", typ, r.Name)
		}
}

func (g register) account() connectortest.Case {
	remark, unmark := g.remark("account")
	return connectortest.Case{
		Type: "account",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("member %d", n), Attributes: map[string]any{"email": fmt.Sprintf("m%d@club.example", n), "groups": []any{"readers", "board"}}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"email": "other@club.example", "plan": "pro"}
			return d
		},
		Invalid: []map[string]any{{"email": 1}, {"plan": "gold"}, {"groups": []any{"a", "a"}}, {"phone": "1"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			g.exec(t, "update account set plan = 'golden' where name = ?", r.Name)
		},
		Foreign: func(t testing.TB, r connector.Ref) { g.exec(t, "insert into account (name) values (?)", r.Name) },
		Remark:  remark, Unmark: unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return g.count(t, "select count(*) from account where name = ?", r.Name) == 1
		},
		Works: func(t testing.TB, d connector.Desired) bool {
			var state string
			var salt, password []byte
			if err := g.QueryRow("select state, salt, password from account where name = ?", d.Name).Scan(&state, &salt, &password); err != nil {
				t.Fatal(err)
			}
			want, err := pbkdf2.Key(sha256.New, d.Credential.Reveal(), salt, 20000, 32)
			return err == nil && state == "active" && bytes.Equal(want, password)
		},
	}
}

func (g register) notebook() connectortest.Case {
	remark, unmark := g.remark("notebook")
	fill := func(t testing.TB, r connector.Ref, class string, n int) {
		for i := range n {
			g.exec(t, "insert into entry (notebook, class, body) values (?, nullif(?, ''), ?)", r.Name, class, fmt.Sprint("page ", i))
		}
	}
	return connectortest.Case{
		Type: "notebook",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("notes %d", n), Classes: []string{"minutes", "letters"}, Attributes: map[string]any{"title": "T"}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"title": "Other", "pages": 7}
			return d
		},
		Invalid: []map[string]any{{"pages": -1}, {"pages": "many"}, {"cover": "red"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			g.exec(t, "update notebook set pages = 9 where name = ?", r.Name)
		},
		Foreign: func(t testing.TB, r connector.Ref) { g.exec(t, "insert into notebook (name) values (?)", r.Name) },
		Remark:  remark, Unmark: unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			return g.count(t, "select count(*) from notebook where name = ? and state <> 'aside'", r.Name) == 1
		},
		Fill: fill, Late: fill,
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return g.count(t, "select count(*) from entry where notebook = ? and class = ?", r.Name, class)
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) {
			g.exec(t, "create trigger keeps_all before delete on entry when old.notebook = '"+r.Name+"' begin select raise(ignore); end")
			return "keeps_all", func() { g.exec(t, "drop trigger keeps_all") }
		},
		Exported: func(_ testing.TB, data []byte) int { return strings.Count(string(data), `"body"`) },
	}
}

// club is a fresh register.
func club(t *testing.T) *connectortest.World {
	g := newRegister(t)
	w := &connectortest.World{
		Info:    example(t),
		Dear:    true,
		Options: map[string]string{"register": g.path},
		Secrets: map[string]tenure.Secret{"token": tenure.NewSecret("a token that nobody is told")},
		Cases:   []connectortest.Case{g.account(), g.notebook()},
		Look:    g.look,
		LoseSentinel: func(t testing.TB) {
			g.exec(t, "delete from account where name = 'tenure-sentinel'")
		},
		Outage: func(t testing.TB) func() {
			if err := os.Rename(g.path, g.path+" away"); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := os.Rename(g.path+" away", g.path); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	var probed connector.Desired
	w.Probes = []connectortest.ProbeCase{{
		Kind: "reachable",
		Check: func(t testing.TB, d connector.Driver) connector.Check {
			probed = g.account().New(t, 1)
			probed.Type, probed.Resource, probed.Credential = "account", "res_01890a5d-ac96-774b-bcce-b302099a8057", tenure.NewSecret("what the tenant knows")
			if _, _, err := d.Ensure(t.Context(), probed); err != nil {
				t.Fatal(err)
			}
			return connector.Check{Ref: probed.Ref, Credential: probed.Credential}
		},
		Misconfigure: func(t testing.TB) {
			g.exec(t, "update account set state = 'suspended' where name = ?", probed.Name)
		},
	}}
	return w
}
