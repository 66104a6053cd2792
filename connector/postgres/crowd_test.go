package postgres

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestCrowdLeavesLocksToOthers: a tenant with very many partitions or tables is counted,
// exported, erased and dropped with a small part of the server's locks. So that a few
// hundred partitions show it, another session holds most of them meanwhile; TENURE_CROWD
// is how many there are (make crowd). It runs alone: others need locks too.
func TestCrowdLeavesLocksToOthers(t *testing.T) {
	const spare = 1200 // locks for everybody else
	many := 700
	if text := os.Getenv("TENURE_CROWD"); text != "" {
		many, _ = strconv.Atoi(text)
	}
	for name, c := range map[string]struct {
		first, each string
		rows        string // what counts them
	}{
		"partitions": {"create table acme.p (n int primary key, v text) partition by range (n)", "create table acme.p%1$s partition of acme.p for values from (%1$s) to (%2$s)", "acme.p"},
		"tables":     {"create table acme.p (n int primary key, v text)", "create table acme.p%1$s (n int primary key, v text)", "acme.p"},
	} {
		t.Run(name, func(t *testing.T) {
			n := opensDen(t)
			n.ensure(t, n.place)
			postgrestest.Exec(t, n.own, c.first)
			for i := 0; i < many; i += 500 {
				postgrestest.Exec(t, n.own, "do $$ begin for i in "+strconv.Itoa(i)+".."+strconv.Itoa(min(i+500, many)-1)+" loop execute format('"+c.each+"', i, i + 1); end loop; end $$")
			}
			postgrestest.Exec(t, n.own, "insert into acme.p values (1, 'a'), (3, 'b')")
			hog := postgrestest.Connect(t, n.dsn)
			for i := 0; ; i += 500 { // what is locked stays so, also by the statement that fails
				if _, err := hog.Exec(t.Context(), "select pg_advisory_lock(g) from generate_series($1::int + 1, $1 + 500) g", i); err != nil {
					break
				}
			}
			if _, err := hog.Exec(t.Context(), "select pg_advisory_unlock(g) from generate_series(1, $1::int) g", spare); err != nil {
				t.Fatal(err)
			}
			m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Prove: true})
			rows, says := int64(0), ""
			for _, p := range m.Places {
				if p.Name == c.rows && p.IsData() {
					rows, says = p.Rows, p.Says
				}
			}
			if err != nil || rows != 2 || len(blocking(m)) > 0 || name == "partitions" && !strings.Contains(says, strconv.Itoa(many)+" partitions") {
				t.Errorf("map: %v, %d rows of %s, %q, what blocks: %q", err, rows, c.rows, says, blocking(m))
			}
			if rec, err := n.d.Export(t.Context(), n.place.Ref, io.Discard); err != nil || rec.Counts["rows"] != 2 {
				t.Errorf("export: %v, %v", err, rec.Counts)
			}
			if _, err := n.d.Revoke(t.Context(), n.owner.Ref); err != nil {
				t.Errorf("the cut: %v", err)
			}
			if _, err := n.d.Quarantine(t.Context(), n.place.Ref); err != nil {
				t.Errorf("quarantine: %v", err)
			}
			if counts, err := eraseAll(t, n.d, n.place.Ref, 10); err != nil || counts[c.rows] != 2 {
				t.Errorf("erase: %v, %v", err, counts[c.rows])
			}
			if _, err := n.d.Delete(t.Context(), n.place.Ref); err != nil {
				t.Errorf("delete: %v", err)
			}
			if n.is(t, "select from pg_namespace where nspname = 'acme' or starts_with(nspname, 'tenure_quarantine_')") {
				t.Error("the schema is still there")
			}
		})
	}
}
