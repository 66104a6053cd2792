package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestLockedFileKeepsNoNeighbour: what holds one tenant's file for itself leaves the
// looks at others, and their onboarding, alone.
func TestLockedFileKeepsNoNeighbour(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "50ms")
	r := d.made(t, ref("acme", twoTables, map[string]any{"*": "all"}))
	other := d.made(t, ref("birch", twoTables, map[string]any{"*": "all"}))
	db := raw(t, w.at(r))
	conn, err := db.Conn(t.Context())
	must(t, err)
	_, err = conn.ExecContext(t.Context(), "begin exclusive; insert into orders (v) values ('x')")
	must(t, err)
	seen := map[string]connector.Observed{}
	_, err = d.Observe(t.Context(), []connector.Ref{r, other}, func(o connector.Observed) error { seen[o.Name] = o; return nil })
	if err != nil || !seen["birch"].Found || seen["birch"].Owner != connector.Ours || seen["acme"].Found && seen["acme"].Owner != connector.Ours {
		t.Errorf("a look while a file is held: %v, %+v", err, seen)
	}
	d.made(t, ref("cedar", twoTables, nil))
	if got := blocking(d.mapped(t, connector.Survey{Ref: r, Prove: true})); got != nil {
		t.Errorf("blocked by %q", got)
	}
	_, err = d.Erase(t.Context(), r, connector.Batch{Class: "all", Limit: 10})
	wants(t, "erase while the file is held", err, tenure.Unavailable, true)
	must(t, conn.Close())
	must(t, db.Close())
	d.erased(t, r, "all")
	_, err = d.Delete(t.Context(), r)
	must(t, err)
}

// TestThousandsOfTables: they are mapped, exported, erased and dropped in a time that
// somebody can wait for.
func TestThousandsOfTables(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"*": "all"}))
	var ddl strings.Builder
	ddl.WriteString("begin;")
	for i := range 2000 {
		fmt.Fprintf(&ddl, "create table t%d (n integer primary key, v text); insert into t%d values (1, 'x');", i, i)
	}
	exec(t, w.at(r), ddl.String()+"commit")
	begun := time.Now()
	places := d.mapped(t, connector.Survey{Ref: r, Order: []string{"all"}, Prove: true})
	if got := blocking(places); got != nil || len(places) < 2000 {
		t.Errorf("blocked by %q, %d places", got, len(places))
	}
	t.Logf("map %s", time.Since(begun))
	if rec, err := d.Export(t.Context(), r, io.Discard); err != nil || rec.Counts["rows"] != 2000 {
		t.Errorf("export: %v, %v", err, rec.Counts)
	}
	t.Logf("export %s", time.Since(begun))
	for b := (connector.Batch{Class: "all", Limit: 1000}); ; {
		e, err := d.Erase(t.Context(), r, b)
		must(t, err)
		if b.Cursor = e.Cursor; e.Done {
			break
		}
	}
	t.Logf("erase %s", time.Since(begun))
	_, err := d.Delete(t.Context(), r)
	must(t, err)
	if d := time.Since(begun); d > 2*time.Minute {
		t.Errorf("it takes %s", d)
	}
}

// TestFullDiskKeepsNoTenant: a tenant that has filled the disk that its file is on gets
// out: what needs room says so, and goes on when there is some.
func TestFullDiskKeepsNoTenant(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	must(t, os.MkdirAll(w.dir, 0o755))
	if out, err := osexec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", w.dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { _ = osexec.Command("umount", "-l", w.dir).Run() })
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"*": "all"}))
	exec(t, w.at(r), "insert into notes select hex(randomblob(250)) from (with recursive g (n) as (select 1 union all select n + 1 from g where n < 1000) select n from g)")
	ballast, err := os.Create(filepath.Join(w.dir, "ballast")) // what else is on the disk
	must(t, err)
	for err == nil {
		_, err = ballast.Write(make([]byte, 1024))
	}
	_ = ballast.Close()
	tells := func(call string, err error) {
		t.Helper()
		wants(t, call+" on a full disk", err, tenure.Unavailable, true)
		var told *tenure.Error
		if errors.As(err, &told) && !strings.Contains(strings.Join(told.Hints, " "), "make room") {
			t.Errorf("%s: %v, %q, want it to ask for room", call, err, told.Hints)
		}
	}
	if _, err := d.DataMap(t.Context(), connector.Survey{Ref: r, Prove: true}); err != nil {
		tells("map", err)
	}
	if _, err := d.Export(t.Context(), r, io.Discard); err != nil {
		tells("export", err)
	}
	if _, err := d.Erase(t.Context(), r, connector.Batch{Class: "all", Limit: 100}); err != nil {
		tells("erase", err)
	} else {
		t.Error("the disk isn't full: the test shows nothing")
	}
	must(t, os.Remove(ballast.Name()))
	if n := number(t, w.at(r), "select count(*) from notes"); n != 1000 {
		t.Errorf("%d rows are left of an erasure that was refused, want all", n)
	}
	if got := blocking(d.mapped(t, connector.Survey{Ref: r, Prove: true})); got != nil {
		t.Errorf("blocked by %q", got)
	}
	if rec, err := d.Export(t.Context(), r, io.Discard); err != nil || rec.Counts["rows"] != 1000 {
		t.Errorf("export: %v, %v, want 1000 rows", err, rec.Counts)
	}
	d.erased(t, r, "all")
	if n := number(t, w.at(r), "select count(*) from notes"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	_, err = d.Delete(t.Context(), r)
	must(t, err)
}
