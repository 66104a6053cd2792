package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// unbound is a connection that writes rows past the program, and past references
// between them.
func (f *fixture) unbound() *sql.Conn {
	f.t.Helper()
	conn, err := f.raw().Conn(f.t.Context())
	f.must(err)
	f.t.Cleanup(func() { _ = conn.Close() })
	off := "pragma foreign_keys = 0"
	if f.Dialect == store.Postgres {
		off = "set session_replication_role = replica"
	}
	_, err = conn.ExecContext(f.t.Context(), off)
	f.must(err)
	return conn
}

// insert writes a row of a table about a tenant, with a mark in each column that goes
// with the tenant, and says how many marks there are.
func (f *fixture) insert(conn *sql.Conn, table store.Table, of tenure.TenantID, mark string, numbers map[string]bool) (marks int) {
	f.t.Helper()
	var names, holes []string
	var args []any
	for _, c := range table.Columns {
		var v any = mark + "other " + c.Name
		switch goes := c.Goes; {
		case slices.Contains(table.Tenant, c.Name) || c.Name == "scope":
			v = map[string]string{
				"tenant": string(of), "operation": "op_" + mark, "resource": "res_" + mark, "tenants": string(of) + " ", "scope": `{"tenants":["` + string(of) + `"]}`,
			}[c.Name]
		case c.Name == "plan":
			v = mark + "other digest"
		case c.Name == "id" && table.Name == "operation":
			v = "op_" + mark
		case c.Name == "id" && table.Name == "resource":
			v = "res_" + mark
		case numbers[table.Name+"."+c.Name]:
			v = 1
		case c.Class != "public" && (goes == store.Closing || goes == store.Sealed || goes == store.Digest):
			v = mark + "gone " + c.Name
			marks++
		}
		if c.Name == "box" || c.Name == "answer" || c.Name == "hash" {
			v = []byte(fmt.Sprint(v))
		}
		args = append(args, v)
		names, holes = append(names, c.Name), append(holes, fmt.Sprint("$", len(args)))
	}
	_, err := conn.ExecContext(f.t.Context(), `insert into `+table.Name+` (`+strings.Join(names, ", ")+`) values (`+strings.Join(holes, ", ")+`)`, args...)
	if err != nil {
		f.t.Fatalf("%s: %v", table.Name, err)
	}
	return marks
}

// numbers are the columns that hold numbers.
func (f *fixture) numbers() map[string]bool { return f.columns("integer", "smallint", "bigint") }

// marks counts the values of a table in which a text stands.
func (f *fixture) marks(conn *sql.Conn, table store.Table, text string) (n int) {
	f.t.Helper()
	rows, err := conn.QueryContext(f.t.Context(), "select * from "+table.Name)
	f.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	f.must(err)
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(sql.RawBytes)
	}
	for rows.Next() {
		f.must(rows.Scan(values...))
		for _, v := range values {
			if strings.Contains(string(*v.(*sql.RawBytes)), text) {
				n++
			}
		}
	}
	f.must(rows.Err())
	return n
}

// TestForgetGoesByTheDeclarations: in every table a row about the tenant loses all that
// is declared to go, and a neighbour's keeps it. The rows are made from the schema, so
// that a new column is among them.
func TestForgetGoesByTheDeclarations(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		leaver, stays := f.tenant("leaver"), f.tenant("stays")
		conn, numbers := f.unbound(), f.numbers()
		had := make(map[string]int)
		for _, table := range store.Declared() {
			if len(table.Tenant) > 0 && table.Name != "tenant" {
				had[table.Name] = f.insert(conn, table, leaver.ID, "aa1", numbers)
				f.insert(conn, table, stays.ID, "bb2", numbers)
			}
		}
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(leaver.ID, start); return err })
		for _, table := range store.Declared() {
			n, some := had[table.Name]
			if !some {
				continue
			}
			if left := f.marks(conn, table, "aa1gone"); left > 0 {
				t.Errorf("%s: %d of %d texts are left", table.Name, left, n)
			}
			if left := f.marks(conn, table, "bb2gone"); left != n {
				t.Errorf("%s: a neighbour's row has %d of %d texts", table.Name, left, n)
			}
		}
		if len(had) < 20 {
			t.Errorf("%d tables only", len(had))
		}
	})
}

// TestWhatIsOverSeveralTenantsStaysForTheOthers: a reason for access to two tenants goes
// when both have closed.
func TestWhatIsOverSeveralTenantsStaysForTheOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		one, two := f.tenant("one"), f.tenant("two")
		who := f.principal("ada")
		grant := func(s tenure.Scope, reason string) {
			f.write(func(tx *store.Tx) error {
				return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](start), Principal: who.ID, Role: tenure.Viewer, Scope: s, Reason: reason, By: "ben", At: start})
			})
		}
		grant(tenure.Scope{Tenants: []tenure.TenantID{one.ID}}, "of one")
		grant(tenure.Scope{Tenants: []tenure.TenantID{one.ID, two.ID}}, "of both")
		grant(tenure.Scope{Tenants: []tenure.TenantID{one.ID}, Tiers: []string{"team"}}, "of a tier")
		left := func() string {
			grants, err := f.Grants(context.Background(), who.ID, true)
			f.must(err)
			var out []string
			for _, g := range grants {
				if g.Reason != "" {
					out = append(out, g.Reason)
				}
			}
			slices.Sort(out)
			return strings.Join(out, ", ")
		}
		forget := func(id tenure.TenantID, want ...string) {
			f.write(func(tx *store.Tx) error {
				words, err := tx.Written(id)
				var got []string
				for _, w := range words {
					got = append(got, w.Text)
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("of %s is written %q, want %q", id, got, want)
				}
				if err == nil {
					err = tx.MoveTenant(id, tenure.TenantRequested, tenure.TenantClosed, start)
				}
				if err == nil {
					_, err = tx.Forget(id, start)
				}
				return err
			})
		}
		forget(one.ID, "of one")
		if got := left(); got != "of a tier, of both" {
			t.Errorf("when one has closed: %q", got)
		}
		forget(two.ID, "of both")
		if got := left(); got != "of a tier" {
			t.Errorf("when both have closed: %q", got)
		}
	})
}

// TestUnforgottenAreFound: a tenant that closed without being forgotten is found once
// the time has come, and so is one of which something was written since.
func TestUnforgottenAreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		closed, alive := f.tenant("closed"), f.tenant("alive")
		f.write(func(tx *store.Tx) error {
			return tx.MoveTenant(closed.ID, tenure.TenantRequested, tenure.TenantClosed, start)
		})
		found := func(at time.Time) []tenure.TenantID {
			ids, err := f.Unforgotten(t.Context(), at, 10)
			f.must(err)
			return ids
		}
		if got := found(start); len(got) != 0 {
			t.Errorf("at once: %v", got)
		}
		if got := found(start.Add(time.Hour)); !slices.Equal(got, []tenure.TenantID{closed.ID}) {
			t.Errorf("later: %v", got)
		}
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(closed.ID, start); return err })
		if got := found(start.Add(time.Hour)); len(got) != 0 {
			t.Errorf("once it was forgotten: %v", got)
		}
		for _, id := range []tenure.TenantID{closed.ID, alive.ID} {
			f.write(func(tx *store.Tx) error {
				_, err := tx.AddIncident(store.Incident{ID: "i" + string(id), Tenant: id, Severity: tenure.Low, Source: "pager", Detail: "x", At: start})
				return err
			})
		}
		if got := found(start.Add(time.Hour)); !slices.Equal(got, []tenure.TenantID{closed.ID}) {
			t.Errorf("once something was written: %v", got)
		}
	})
}

// TestAReaderOnlyDelaysTheOverwriting: while somebody reads an older state, what was
// forgotten stays in SQLite's write-ahead log; nobody is held up by that, and it is
// emptied once they have ended.
func TestAReaderOnlyDelaysTheOverwriting(t *testing.T) {
	t.Parallel()
	f := openStore(t, t.TempDir()+"/tenure.db")
	ten := f.tenant("zzmarkedname")
	reader, err := f.raw().BeginTx(t.Context(), nil)
	f.must(err)
	var n int
	f.must(reader.QueryRowContext(t.Context(), "select count(*) from tenant").Scan(&n))
	began := time.Now()
	f.write(func(tx *store.Tx) error { _, err := tx.Forget(ten.ID, start); return err })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the write waited %v for a reader", took)
	}
	inLog := func() bool {
		raw, err := os.ReadFile(f.dsn + "-wal")
		f.must(err)
		return strings.Contains(string(raw), "zzmarkedname")
	}
	if !inLog() {
		t.Fatal("the log is empty though somebody reads: this test would prove nothing")
	}
	f.must(reader.Rollback())
	for deadline := time.Now().Add(30 * time.Second); inLog(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the log is never emptied")
		}
		f.must(f.Clean(t.Context()))
	}
}
