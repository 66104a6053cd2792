package postgres

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

// TestFullDiskKeepsNoTenant: a tenant that has filled the tablespace of its quota is
// mapped, exported, set aside, erased and dropped; what needs room says so.
func TestFullDiskKeepsNoTenant(t *testing.T) {
	t.Parallel()
	dir := toxitest.SmallDisk(t, 4, "postgres", "nobody")
	n := opensDen(t)
	space := "quota_" + postgrestest.Token()
	postgrestest.Exec(t, n.dsn, "create tablespace "+space+" location '"+dir+"'")
	t.Cleanup(func() {
		postgrestest.Exec(t, n.dsn, "drop schema if exists acme cascade; drop schema if exists \""+quarantined(n.place.Resource)+"\" cascade")
		postgrestest.Exec(t, n.dsn, "drop tablespace "+space)
	})
	postgrestest.Exec(t, n.dsn, "grant create on tablespace "+space+" to "+n.owner.Name)
	n.ensure(t, n.place)
	postgrestest.Exec(t, n.own, "alter table acme.t set tablespace "+space+"; alter index acme.t_pkey set tablespace "+space)
	c := postgrestest.Connect(t, n.own)
	rows := 0
	for lot := 1000; lot > 0; {
		_, err := c.Exec(t.Context(), "insert into acme.t select g, repeat('x', 500) from generate_series($1::int + 1, $1 + $2) g", rows, lot)
		if err == nil {
			rows += lot
		} else if lot /= 10; !strings.Contains(err.Error(), "53100") {
			t.Fatal(err)
		}
	}
	if rows < 1000 {
		t.Fatalf("%d rows fill the disk: the test shows nothing", rows)
	}
	m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Prove: true})
	if err != nil || len(blocking(m)) > 0 {
		t.Errorf("map: %v, what blocks: %q", err, blocking(m))
	}
	if rec, err := n.d.Export(t.Context(), n.place.Ref, io.Discard); err != nil || rec.Counts["rows"] != int64(rows) {
		t.Errorf("export: %v, %v, want %d rows", err, rec.Counts, rows)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.d.Export(t.Context(), n.place.Ref, full); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("an export to a full disk: %v, want its reason and that a retry mends it", err)
	}
	_ = full.Close()
	if _, err := n.d.Revoke(t.Context(), n.owner.Ref); err != nil {
		t.Errorf("the cut: %v", err)
	}
	if _, err := n.d.Quarantine(t.Context(), n.place.Ref); err != nil {
		t.Errorf("quarantine: %v", err)
	}
	if counts, err := eraseAll(t, n.d, n.place.Ref, 1000); err != nil || counts["acme.t"] != int64(rows) {
		t.Errorf("erase: %v, %v, want %d rows", err, counts, rows)
	}
	if _, err := n.d.Delete(t.Context(), n.place.Ref); err != nil {
		t.Errorf("delete: %v", err)
	}
}
