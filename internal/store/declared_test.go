package store_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/store"
)

var update = flag.Bool("update", false, "write docs/own-data.md anew")

// columns are those of the store as the database has them, "table.column"; types narrow them.
func (f *fixture) columns(types ...string) map[string]bool {
	f.t.Helper()
	query := `select m.name, c.name, lower(c.type) from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'`
	if f.Dialect == store.Postgres {
		query = `select table_name, column_name, data_type from information_schema.columns where table_schema = current_schema()`
	}
	rows, err := f.raw().QueryContext(f.t.Context(), query)
	f.must(err)
	defer rows.Close()
	out := make(map[string]bool)
	for rows.Next() {
		var table, column, typ string
		f.must(rows.Scan(&table, &column, &typ))
		if len(types) == 0 || slices.Contains(types, typ) {
			out[table+"."+column] = true
		}
	}
	f.must(rows.Err())
	return out
}

// TestEveryColumnIsDeclared compares migrations/columns.txt with the schema that
// the migrations make: an undeclared column might keep what should go.
func TestEveryColumnIsDeclared(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		live := f.columns()
		if len(live) < 300 {
			t.Fatalf("%d columns only", len(live))
		}
		for _, table := range store.Declared() {
			for _, c := range table.Columns {
				name := table.Name + "." + c.Name
				if !live[name] {
					t.Errorf("%s is declared, and there is no such column", name)
				}
				delete(live, name)
			}
		}
		for name := range live {
			t.Errorf("%s isn't declared: say in internal/store/migrations/columns.txt what it is, whose it is and when it goes", name)
		}
	})
}

// TestDeclarationsHold: the words are those of the file's head, nothing of a
// tenant's that isn't public stays, and what stays of others says why.
func TestDeclarationsHold(t *testing.T) {
	t.Parallel()
	tables := make(map[string]bool)
	for _, table := range store.Declared() {
		if tables[table.Name] {
			t.Errorf("%s is declared twice", table.Name)
		}
		tables[table.Name] = true
		names := make(map[string]bool)
		for _, c := range table.Columns {
			name := table.Name + "." + c.Name
			switch {
			case names[c.Name]:
				t.Errorf("%s is declared twice", name)
			case !slices.Contains([]string{"public", "sensitive", "personal", "secret"}, c.Class), !slices.Contains([]string{"tenant", "staff", "installation"}, c.Whose),
				!slices.Contains([]string{store.Stays, store.Closing, store.Sealed, store.Digest, "age", "done", "key"}, c.Goes):
				t.Errorf("%s: %q isn't declared in the words of the file's head", name, c)
			case c.Class != "public" && c.Whose == "tenant" && c.Goes == store.Stays:
				t.Errorf("%s is %s and its tenant's, and stays", name, c.Class)
			case c.Class != "public" && c.Goes == store.Stays && c.Note == "":
				t.Errorf("%s is %s and stays: say why", name, c.Class)
			case slices.Contains([]string{store.Closing, store.Sealed, store.Digest}, c.Goes) && len(table.Tenant) == 0:
				t.Errorf("%s goes with its tenant, and the table doesn't say how a tenant's rows are found", name)
			case c.Goes == "age" && table.Age == 0:
				t.Errorf("%s goes with its row's age, and the table doesn't say which", name)
			}
			names[c.Name] = true
		}
	}
	for _, c := range []struct {
		table string
		age   time.Duration
	}{{"access_event", store.AccessEventsKept}, {"idempotency", 24 * time.Hour}} {
		for _, table := range store.Declared() {
			if table.Name == c.table && table.Age != c.age {
				t.Errorf("%s: declared to grow %v old, kept for %v", c.table, table.Age, c.age)
			}
		}
	}
}

const ownDataPage = "../../docs/own-data.md"

// TestOwnDataPage keeps the page for users in step with the declarations.
func TestOwnDataPage(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(ownDataPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin: columns -->\n", "<!-- end: columns -->"
	from, to := bytes.Index(have, []byte(begin)), bytes.Index(have, []byte(end))
	if from < 0 || to < from {
		t.Fatalf("%s lacks the marks between which its table stands", ownDataPage)
	}
	want := slices.Concat(have[:from+len(begin)], []byte(columnsPage()), have[to:])
	if *update {
		if err := os.WriteFile(ownDataPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(have, want) {
		t.Errorf("%s is out of date; write it with: go test ./internal/store -run TestOwnDataPage -update", ownDataPage)
	}
}

func columnsPage() string {
	var b strings.Builder
	for _, table := range store.Declared() {
		fmt.Fprintf(&b, "\n### %s\n\n%s.", table.Name, strings.ToUpper(table.Help[:1])+table.Help[1:])
		if table.Remove {
			b.WriteString(" A closed tenant's rows are removed.")
		}
		if table.Age > 0 {
			fmt.Fprintf(&b, " Rows are removed %d days after `%s`.", int(table.Age.Hours()/24), table.Old)
		}
		b.WriteString("\n\n| column | class | whose | goes | |\n|---|---|---|---|---|\n")
		for _, c := range table.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c.Name, c.Class, c.Whose, c.Goes, c.Note)
		}
	}
	return b.String() + "\n"
}
