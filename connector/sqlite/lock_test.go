package sqlite

import (
	"os"
	program "os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// A lock that another program holds delays an erasure and is named, so that a
// person knows what to end.
func TestLocksAreNamed(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENURE_TEST_HOLD") != "" {
		t.Skip("this is the program that holds it")
	}
	w := openWorld(t)
	d := w.opened(t, "100ms")
	r := d.made(t, pool("tenant", "acme", map[string]any{"notes": "all"}))
	exec(t, w.shared, "insert into notes (tenant) values ('acme')")
	for _, begin := range []string{"begin immediate", "begin; select * from notes"} {
		end, pid := hold(t, w.shared, begin)
		if begin != "begin immediate" {
			exec(t, w.shared, "insert into notes (tenant) values ('birch')")
		}
		e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "all", Limit: 10})
		wants(t, begin, err, tenure.Unavailable, true)
		if err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(pid)) {
			t.Errorf("the holder isn't named: %v, %+v", err, e)
		}
		end()
	}
	d.erased(t, r, "all")
	if n := number(t, w.shared, "select count(*) from notes where tenant = 'acme'"); n != 0 {
		t.Errorf("%d rows are left when the locks are gone", n)
	}
}

// hold has another process hold a transaction on the file until end.
func hold(t *testing.T, file, begin string) (end func(), pid int) {
	t.Helper()
	c := program.Command(os.Args[0], "-test.run", "^TestHold$", "-test.v")
	c.Env = append(os.Environ(), "TENURE_TEST_HOLD="+file, "TENURE_TEST_BEGIN="+begin)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	read, seen := make([]byte, 4096), ""
	for !strings.Contains(seen, "holding") {
		n, err := out.Read(read)
		must(t, err)
		seen += string(read[:n])
	}
	return func() {
		must(t, in.Close())
		_ = c.Wait()
	}, c.Process.Pid
}

// TestHold is the other process.
func TestHold(t *testing.T) {
	file := os.Getenv("TENURE_TEST_HOLD")
	if file == "" {
		t.Skip("only as a program of its own")
	}
	db := raw(t, file)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for one := range strings.SplitSeq(os.Getenv("TENURE_TEST_BEGIN"), ";") {
		if strings.Contains(one, "select") {
			column(t, db, "select coalesce(tenant, '') from notes")
			continue
		}
		_, err := db.Exec(one)
		must(t, err)
	}
	_, _ = os.Stdout.WriteString("holding\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// TestOneLocksItsFile: a tenant that holds a lock on its own file keeps nobody else's
// from being seen.
func TestOneLocksItsFile(t *testing.T) {
	t.Parallel()
	g := trapGround(t)
	held := raw(t, fileOf(g))
	defer held.Close()
	held.SetMaxOpenConns(1)
	for _, sql := range []string{"pragma journal_mode = delete", "pragma locking_mode = exclusive", "begin exclusive"} {
		_, err := held.Exec(sql)
		must(t, err)
	}
	birch := g.Place
	birch.Name, birch.Resource = "birch", ""
	seen := map[string]bool{}
	sight, err := g.Driver.Observe(t.Context(), []connector.Ref{g.Place.Ref, birch.Ref}, func(o connector.Observed) error {
		seen[o.Name] = o.Found
		return nil
	})
	if err != nil || !seen["birch"] || seen["acme"] || sight.Complete {
		t.Errorf("seen %v, complete %t, error %v; want birch alone, and a pass that isn't complete", seen, sight.Complete, err)
	}
	found := false
	sight, err = g.Driver.Discover(t.Context(), connector.Scope{}, func(o connector.Observed) error {
		found = found || o.Name == "birch"
		return nil
	})
	if err != nil || !found || sight.Complete {
		t.Errorf("discovery finds birch: %t, complete %t, error %v", found, sight.Complete, err)
	}
}
