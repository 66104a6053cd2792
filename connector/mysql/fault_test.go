package mysql

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/mariadbtest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

// troubled is a tenant with rows in two tables beside a neighbour.
type troubled struct {
	*world
	d     *Driver
	acme  connector.Ref
	birch string // the neighbour's rows
}

const troubledRows = 7 // of each tenant in each table

func trouble(t *testing.T, w *world, options map[string]string) *troubled {
	t.Helper()
	x := &troubled{world: w, d: w.opened(t, options)}
	w.exec(t, "create table %[1]s.people (id int auto_increment primary key, tenant varchar(40), name varchar(80) not null, born date); create table %[1]s.calls (id int auto_increment primary key, person int not null, said text, foreign key (person) references %[1]s.people (id))", quote(w.app))
	x.acme = w.pool("acme", "acme", map[string]string{"people": "data", "calls": "data"})
	x.acme.Attributes["transforms"] = map[string]any{
		"people": map[string]any{"columns": map[string]any{"id": "keep", "tenant": "clear", "name": map[string]any{"constant": "somebody"}, "born": "year"}},
		"calls":  map[string]any{"columns": map[string]any{"id": "keep", "person": "keep", "said": "clear"}},
	}
	made(t, x.d, x.acme)
	x.fill(t, "birch")
	x.birch = x.neighbour(t)
	return x
}

// fill writes a tenant's rows, and says which people they are.
func (x *troubled) fill(t *testing.T, tenant string) {
	t.Helper()
	x.use(t, fmt.Sprintf("insert into people (tenant, name, born) select '%[1]s', concat('%[1]s-', seq), '1970-05-06' from seq_1_to_%[2]d; insert into calls (person, said) select id, concat('said by ', name) from people where tenant = '%[1]s'", tenant, troubledRows))
}

func (x *troubled) neighbour(t *testing.T) string {
	t.Helper()
	return x.sum(t, "(select * from "+quote(x.app, "people")+" where tenant = 'birch') as t") + x.sum(t, "(select c.* from "+quote(x.app, "calls")+" as c join "+quote(x.app, "people")+" as p on p.id = c.person where p.tenant = 'birch') as t")
}

// run takes the class to its end, over faults that say that a retry helps.
func (x *troubled) run(t *testing.T, b connector.Batch) (faults int) {
	t.Helper()
	for range 500 {
		e, err := x.d.Erase(t.Context(), x.acme, b)
		switch {
		case err != nil:
			if faults++; faults > 5 {
				t.Fatalf("it doesn't end: %v", err)
			}
			retryable(t, err)
		case e.Done:
			return faults
		default:
			b.Cursor = e.Cursor
		}
	}
	t.Fatal("it doesn't end")
	return faults
}

// retryable fails the test unless the error is one of the moment, told without a secret
// or what was sent.
func retryable(t *testing.T, err error) {
	t.Helper()
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Fatalf("%v (%s) doesn't say that a retry helps", err, tenure.CodeOf(err))
	}
	for _, word := range []string{platformPassword, "select ", "update ", "acme-1", "0x"} {
		if strings.Contains(err.Error()+strings.Join(tenure.HintsOf(err), " "), word) {
			t.Fatalf("%v repeats what was sent", err)
		}
	}
}

// ended fails the test unless the tenant's rows are as they should be, counted once each,
// and the neighbour's are as they were.
func (x *troubled) ended(t *testing.T, b connector.Batch, what string) {
	t.Helper()
	people, calls := quote(x.app, "people"), quote(x.app, "calls")
	tally, err := x.d.Tally(t.Context(), x.acme, b.Run)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{x.app + ".people": troubledRows, x.app + ".calls": troubledRows}; !maps.Equal(tally.Total, want) {
		t.Fatalf("%s: counted %v, want %v", what, tally.Total, want)
	}
	if n := x.number(t, "select count(*) from "+people+" where tenant = 'acme' or name like 'acme-%'") + x.number(t, "select count(*) from "+calls+" where said like '%acme-%'"); n > 0 {
		t.Fatalf("%s: %d of the tenant's rows are as they were", what, n)
	}
	left := 0
	if b.Disposition == tenure.Anonymise {
		left = troubledRows
	}
	if n := x.number(t, "select count(*) from "+people+" where name = 'somebody' and born = '1970-01-01' and tenant is null"); n != left {
		t.Fatalf("%s: %d rows are anonymised, want %d", what, n, left)
	}
	if got := x.neighbour(t); got != x.birch {
		t.Fatalf("%s: the neighbour has %s, and had %s", what, got, x.birch)
	}
	x.exec(t, "delete from %s where said is null; delete from %s where name = 'somebody'", calls, people)
}

// every is how densely the tests of cuts go: each packet under make crash.
func every(n int) int {
	if os.Getenv("TENURE_EVERY") != "" {
		return n + 1
	}
	return n + 1 + n/5
}

// TestEveryStatementOfARunIsCut cuts the connection before one statement after the other,
// and loses the answer to one after the other, of a purge and an anonymisation: what is
// gone on with loses no row, counts none twice and touches no neighbour's.
func TestEveryStatementOfARunIsCut(t *testing.T) {
	t.Parallel()
	for _, as := range []tenure.Disposition{tenure.Purge, tenure.Anonymise} {
		for _, kind := range []string{"cut", "answer lost"} {
			t.Run(string(as)+", "+kind, func(t *testing.T) {
				t.Parallel()
				x := trouble(t, openWorld(t), map[string]string{"connections": "1"})
				cuts := 0
				for n := 1; ; n = every(n) {
					x.fill(t, "acme")
					b := connector.Batch{Run: fmt.Sprint("run", n), Class: "data", Disposition: as, Limit: 3}
					arm := x.proxy.CutAfter
					if kind != "cut" {
						arm = x.proxy.LoseAfter
					}
					stop := arm(n)
					cuts += x.run(t, b)
					fired := stop()
					x.ended(t, b, fmt.Sprintf("at packet %d", n))
					if !fired {
						break
					}
				}
				if cuts < 10 {
					t.Errorf("%d cuts alone were felt", cuts)
				}
			})
		}
	}
}

// TestStatementsThatTakeTooLong: max_statement_time ends them, and the batch with nothing
// done.
func TestStatementsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	x := trouble(t, openWorld(t), map[string]string{"timeout": "1s"})
	x.acme.Attributes["triggers"] = map[string]any{"people.slow": "ignore"}
	x.fill(t, "acme")
	x.exec(t, "create trigger %s before delete on %s for each row set @slept = sleep(3)", quote(x.app, "slow"), quote(x.app, "people"))
	b := connector.Batch{Run: "run", Class: "data", Limit: 3}
	var err error
	for range 10 {
		var e connector.Erased
		if e, err = x.d.Erase(t.Context(), x.acme, b); err != nil {
			break
		}
		b.Cursor = e.Cursor
	}
	if err == nil {
		t.Fatal("no statement took too long")
	}
	retryable(t, err)
	if !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "timeout") {
		t.Errorf("%v %q doesn't say what to do", err, tenure.HintsOf(err))
	}
	x.exec(t, "drop trigger %s", quote(x.app, "slow"))
	x.run(t, b)
	x.ended(t, b, "after slow statements")
}

// TestServerInTrouble: a server that only reads, has no connection left or is killed in the
// middle keeps a tenant, but says why, and lets it go afterwards.
func TestServerInTrouble(t *testing.T) {
	t.Parallel()
	s := mariadbtest.Own(t, "", "--max-connections=12", "--innodb-flush-log-at-trx-commit=2") // what is committed outlasts the server
	x := trouble(t, openWorldOn(t, s.DSN), map[string]string{"connections": "2", "timeout": "10s"})
	b := connector.Batch{Class: "data", Limit: 3}
	begin := func(run string) {
		x.fill(t, "acme")
		b.Run, b.Cursor = run, ""
		e, err := x.d.Erase(t.Context(), x.acme, b)
		if err != nil {
			t.Fatal(err)
		}
		b.Cursor = e.Cursor
	}

	begin("read only")
	x.exec(t, "set global read_only = 1")
	_, err := x.d.Erase(t.Context(), x.acme, b)
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error()+strings.Join(tenure.HintsOf(err), " "), "read-only") {
		t.Errorf("on a server that only reads: %v %q", err, tenure.HintsOf(err))
	}
	if _, _, err := x.d.Ensure(t.Context(), connector.Desired{Ref: x.pool("new", "new", map[string]string{"people": "data", "calls": "data"})}); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("an onboarding on a server that only reads: %v", err)
	}
	x.exec(t, "set global read_only = 0")
	x.run(t, b)
	x.ended(t, b, "after read_only")

	begin("no connection")
	free := taken(t, s.DSN)
	err = unpooled(t, x, b.Run)
	if err == nil {
		t.Error("there are connections left")
	} else if retryable(t, err); !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "connections") {
		t.Errorf("without connections: %v %q", err, tenure.HintsOf(err))
	}
	free()
	x.run(t, b)
	x.ended(t, b, "after connections")

	for _, at := range []string{"between two batches", "in a batch"} {
		begin("killed " + at)
		killed := make(chan struct{})
		if at == "in a batch" {
			x.use(t, "create or replace trigger wait before delete on people for each row set @slept = sleep(0.3)")
			x.acme.Attributes["triggers"] = map[string]any{"people.wait": "ignore"}
			go func() { defer close(killed); time.Sleep(400 * time.Millisecond); s.Kill(t) }()
		} else {
			s.Kill(t)
			close(killed)
		}
		failed := false
		for range 20 {
			e, err := x.d.Erase(t.Context(), x.acme, b)
			if err != nil {
				retryable(t, err)
				failed = true
				break
			}
			b.Cursor = e.Cursor
		}
		if !failed {
			t.Errorf("%s: nobody noticed that the server was killed", at)
		}
		<-killed
		s.Again(t)
		if at == "in a batch" {
			x.use(t, "drop trigger wait")
			delete(x.acme.Attributes, "triggers")
		}
		x.run(t, b)
		x.ended(t, b, "killed "+at)
	}
}

// unpooled asks by drivers that have no connection yet, until one gets none.
func unpooled(t *testing.T, x *troubled, run string) error {
	t.Helper()
	for range 20 { // an account with connection admin may have one more than others
		d, err := Info().Open(t.Context(), connector.Config{System: "under-test", Options: x.options(), Secrets: secretsOf(x.proxy.DSN), Marker: testMarker})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		if _, err := d.(*Driver).Tally(t.Context(), x.acme, run); err != nil {
			return err
		}
	}
	return nil
}

// taken takes every connection that the server has.
func taken(t *testing.T, dsn string) (free func()) {
	t.Helper()
	db := mariadbtest.Open(t, dsn)
	db.SetMaxOpenConns(100)
	ctx, cancel := context.WithCancel(t.Context())
	for range 100 {
		if _, err := db.Conn(ctx); err != nil {
			break
		}
	}
	return func() { cancel(); _ = db.Close() }
}

// TestFullDisk: what needs no room works on a server whose disk is full, what does says
// so, and after there is room again all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := toxitest.SmallDisk(t, 320)
	s := mariadbtest.Own(t, dir, "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M")
	x := trouble(t, openWorldOn(t, s.DSN), map[string]string{"connections": "2", "timeout": "5s"})
	x.fill(t, "acme")
	x.use(t, "alter table calls add filler longtext; update calls set filler = repeat('x', 200000) where said like '%acme%'")
	x.birch = x.neighbour(t)
	empty := fillDisk(t, dir)
	say := map[string]error{}
	_, _, say["onboarding"] = x.d.Ensure(t.Context(), connector.Desired{Ref: connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, x.token+"full"), Tenant: "ten_full", Type: "database", Name: x.token + "full",
		Attributes: map[string]any{"ddl": "create table if not exists t (n int primary key)", "tables": map[string]any{"*": "data"}}}})
	_, say["export"] = x.d.Export(t.Context(), x.acme, io.Discard)
	_, say["map"] = x.d.DataMap(t.Context(), connector.Survey{Ref: x.acme})
	b := connector.Batch{Run: "run", Class: "data", Limit: 3}
	for range 20 {
		e, err := x.d.Erase(t.Context(), x.acme, b)
		if say["erasure"] = err; err != nil || e.Done {
			break
		}
		b.Cursor = e.Cursor
	}
	for _, what := range slices.Sorted(maps.Keys(say)) {
		t.Logf("%s: %v", what, say[what])
		if err := say[what]; err != nil {
			if retryable(t, err); !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "disk") {
				t.Errorf("%s: %v %q doesn't say that the disk is full", what, err, tenure.HintsOf(err))
			}
		}
	}
	if say["onboarding"] == nil {
		t.Error("the disk isn't full: the test shows nothing")
	}
	empty()
	x.run(t, b)
	x.ended(t, b, "after a full disk")
	if _, _, err := x.d.Ensure(t.Context(), connector.Desired{Ref: x.pool("new", "new", map[string]string{"people": "data", "calls": "data"})}); err != nil {
		t.Errorf("an onboarding after it: %v", err)
	}
}

// fillDisk leaves a file system no room; what it returns makes room again.
func fillDisk(t *testing.T, dir string) (empty func()) {
	t.Helper()
	name := dir + "/ballast"
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lot := make([]byte, 1<<20)
	for n := len(lot); n > 0; {
		if _, err := f.Write(lot[:n]); err != nil {
			n /= 2
		}
	}
	return func() { _ = os.Remove(name) }
}
