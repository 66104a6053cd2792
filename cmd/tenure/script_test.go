package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestScripts runs the stories in testdata/script: what a person types and sees.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts("testdata/script"))
}

// TestPostgresScripts runs the stories that take a PostgreSQL server: $SUPERUSER is the
// address of a database of each story's own, $PLAIN that of a role without rights, and
// $OWNER of one that owns the database, as an application's role does. $TOKEN is in the
// name of all that the server has of a story.
func TestPostgresScripts(t *testing.T) {
	t.Parallel()
	server := postgrestest.DSN(t)
	p := scripts("testdata/postgres")
	setUp := p.Setup
	p.Setup = func(e *testscript.Env) error {
		token := postgrestest.Token()
		t.Cleanup(func() {
			for _, list := range []string{"'database %I with (force)', datname) from pg_database where datname", "'role %I', rolname) from (select oid, rolname from pg_roles order by rolname ~ '^(plain|owner)_') r where rolname like 'tenure\\__\\_%' and exists (select 1 from pg_auth_members m where m.roleid = r.oid and m.member::regrole::text = 'plain_" + token + "') or rolname"} {
				for _, drop := range postgrestest.Value[[]string](t, server, "select array(select format('drop ' || "+list+" like '%"+token+"%')") {
					postgrestest.Exec(t, server, drop)
				}
			}
		})
		dsn := postgrestest.Database(t)
		e.Setenv("TOKEN", token)
		e.Setenv("SUPERUSER", dsn)
		for _, name := range []string{"PLAIN", "OWNER"} {
			role := strings.ToLower(name) + "_" + token
			postgrestest.Exec(t, dsn, "create role "+role+" login password 'secret-of-a-test'")
			e.Setenv(name, postgrestest.As(t, dsn, role, "secret-of-a-test"))
			e.Setenv(name+"_ROLE", role)
		}
		postgrestest.Exec(t, dsn, "do $$ begin execute format('alter database %I owner to owner_"+token+"', current_database()); end $$")
		for as, example := range map[string]string{"saas": "postgres-saas", "existing": "existing-platform"} {
			if err := os.CopyFS(filepath.Join(e.WorkDir, as), os.DirFS("../../examples/"+example)); err != nil {
				return err
			}
		}
		return setUp(e)
	}
	testscript.Run(t, p)
}

// scripts are the stories in a folder.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TENURE_TEST_CLOCK", filepath.Join(e.WorkDir, "clock"))
			e.Setenv("NO_COLOR", "1")
			e.Setenv("TENURE_CONFIG", filepath.Join(e.WorkDir, "config", "tenure.yaml"))
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			if err := os.WriteFile(filepath.Join(e.WorkDir, "clock"), []byte("2026-03-02T09:00:00Z"), 0o600); err != nil {
				return err
			}
			return os.CopyFS(e.WorkDir, os.DirFS("testdata/platform"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"platform": setUpPlatform,
			"onboard":  onboard,
			"watch":    watch,
			"lowcode":  startLowcode,
			"call":     callPlatform,
			"exits":    exits,
			"json":     readJSON,
			"eq":       equal,
			"term":     terminate,
			"clock":    moveClock,
			"await":    awaitServer,
			"until":    untilSaid,
			"address":  addressOf,
			"digest":   digestOf,
			"flip":     flipByte,
			"replace":  replaceText,
			"sql":      changeStore,
			"older":    publishedBefore,
			"psql":     runSQL,
			"sqlite":   runSQLite,
		},
	}
}

// setUpPlatform makes an installation with both systems and a published blueprint.
func setUpPlatform(ts *testscript.TestScript, _ bool, _ []string) {
	run := func(args ...string) { ts.Check(ts.Exec("tenure", args...)) }
	run("init")
	copyTo(ts, "systems.yaml", "tenure-data/systems.yaml")
	run("system", "add", "main", "--as", "olga")
	run("system", "add", "files", "--as", "olga")
	run("blueprint", "submit", "small.yaml", "--as", "ben")
	run("blueprint", "publish", "small@1.0", "--as", "rita")
}

func copyTo(ts *testscript.TestScript, from, to string) {
	ts.Check(os.WriteFile(ts.MkAbs(to), []byte(ts.ReadFile(from)), 0o600))
}

// join brings in a tenant of an example.
func join(ts *testscript.TestScript, name, blueprint string, more ...string) {
	ts.Check(ts.Exec("tenure", append([]string{"tenant", "onboard", name, "--blueprint", blueprint, "--as", "olga", "--output", "json"}, more...)...))
	readJSON(ts, false, []string{"OP", "id"})
	readJSON(ts, false, []string{"DIGEST", "plan"})
	readJSON(ts, false, []string{"TENANT", "tenant"})
	ts.Check(ts.Exec("tenure", "operation", "approve", ts.Getenv("OP"), "--digest", ts.Getenv("DIGEST"), "--as", "rita"))
	watch(ts, false, nil) // a busy machine takes longer than an approval waits
}

// watch: waits until $OP has ended, or waits for a person or a date. The clock goes on
// meanwhile: what a real server didn't let happen at once is tried again by it.
func watch(ts *testscript.TestScript, _ bool, _ []string) {
	ended, ticked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ticked)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				moveClock(ts, false, []string{"PT1S"})
			}
		}
	}()
	err := ts.Exec("tenure", "operation", "watch", ts.Getenv("OP"))
	close(ended)
	<-ticked
	ts.Check(err)
}

// replace FILE OLD NEW: puts a text in another's place.
func replaceText(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), args[1], args[2])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// onboard NAME: brings a tenant to active, and sets $OP and $DIGEST.
func onboard(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("tenure", "tenant", "onboard", args[0], "--blueprint", "small", "--param", "login=a@b.example", "--as", "olga", "--output", "json"))
	readJSON(ts, false, []string{"OP", "id"})
	readJSON(ts, false, []string{"DIGEST", "plan"})
	ts.Check(ts.Exec("tenure", "operation", "approve", ts.Getenv("OP"), "--digest", ts.Getenv("DIGEST"), "--as", "rita", "--output", "json"))
	readJSON(ts, false, []string{"STATE", "state"})
	if s := ts.Getenv("STATE"); s != "succeeded" {
		ts.Fatalf("the onboarding of %s is %s", args[0], s)
	}
	readJSON(ts, false, []string{"TENANT", "tenant"})
}

// exits CODE PROGRAM [ARG...]: the program ends with that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// json NAME PATH: sets a variable from the last standard output, which must be
// exactly one JSON document; with "stderr" before them, from the standard error.
// A path is keys and indexes with dots between.
func readJSON(ts *testscript.TestScript, _ bool, args []string) {
	stream := "stdout"
	if len(args) == 3 {
		stream, args = args[0], args[1:]
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(stream)))
	dec.UseNumber()
	var v any
	ts.Check(dec.Decode(&v))
	if _, err := dec.Token(); err != io.EOF {
		ts.Fatalf("more than one JSON document on %s", stream)
	}
	for _, key := range strings.Split(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(x) {
				ts.Fatalf("%s: only %d elements", args[1], len(x))
			}
			v = x[i]
		}
	}
	if v == nil {
		ts.Fatalf("there is nothing at %s", args[1])
	}
	if s, ok := v.(string); ok {
		ts.Setenv(args[0], s)
		return
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	ts.Setenv(args[0], string(b))
}

// eq A B: the two are the same text.
func equal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || (args[0] == args[1]) == neg {
		ts.Fatalf("%q", args)
	}
}

// term: sends SIGTERM to the program in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.BackgroundCmds()[0].Process.Signal(syscall.SIGTERM))
}

// clock PERIOD: moves the installation's clock on.
func moveClock(ts *testscript.TestScript, _ bool, args []string) {
	p, err := tenure.ParsePeriod(args[0])
	ts.Check(err)
	path := ts.Getenv("TENURE_TEST_CLOCK")
	ts.Check(os.WriteFile(path+".new", []byte(p.After(readClock(path)).Format(time.RFC3339)), 0o600))
	ts.Check(os.Rename(path+".new", path))
}

// await DIR: waits until the server of the folder answers; with ! until none does.
func awaitServer(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.Dial(ctx, installation.Socket(ts.MkAbs(args[0])), "")
		if err == nil {
			c.Close()
		}
		if (err == nil) != neg {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("waited for the server: %v", err)
		case <-tick.C:
		}
	}
}

// until WORDS PROGRAM [ARG...]: runs the program until it prints the words.
func untilSaid(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it never said %q", args[0])
		}
	}
}

// address FILE NAME: sets $NAME and $NAME_HOST from the ready line, in JSON, that a
// server in the background writes to the file; it waits for the line.
func addressOf(ts *testscript.TestScript, _ bool, args []string) {
	var ready struct {
		URL string `json:"url"`
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(time.Minute); json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready) != nil || ready.URL == ""; {
		select {
		case <-patience:
			ts.Fatalf("no server says its address")
		case <-tick.C:
		}
	}
	ts.Setenv(args[1], ready.URL)
	ts.Setenv(args[1]+"_HOST", strings.TrimPrefix(ready.URL, "http://"))
}

// digest FILE NAME: sets a variable to "sha256:…" of a file without its last line feed.
func digestOf(ts *testscript.TestScript, _ bool, args []string) {
	sum := sha256.Sum256(bytes.TrimSuffix([]byte(ts.ReadFile(args[0])), []byte("\n")))
	ts.Setenv(args[1], "sha256:"+hex.EncodeToString(sum[:]))
}

// flip FILE OFFSET: changes one bit of one byte.
func flipByte(ts *testscript.TestScript, _ bool, args []string) {
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// older FILE: a revision that a release published which checked less.
func publishedBefore(ts *testscript.TestScript, _ bool, args []string) {
	src, err := blueprint.Parse([]byte(ts.ReadFile(args[0])), args[0])
	ts.Check(err)
	body, err := tenure.Canonical(src.Blueprint)
	ts.Check(err)
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs("tenure-data/tenure.db"))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec("insert into blueprint (digest, name, version, body, author, created_at, published_by, published_at) values ($1, $2, $3, $4, 'ben', 1, 'rita', 2)",
		tenure.Digest(body), src.Blueprint.Name, src.Blueprint.Version, string(body))
	ts.Check(err)
}

// sql FILE STATEMENT: changes a store behind Tenure's back; it must change a row.
func changeStore(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	r, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("changed %d rows: %v", n, err)
	}
}

// psql ADDRESS SQL, or psql ADDRESS -f FILE: runs statements on a PostgreSQL server.
func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	text := args[1]
	if text == "-f" {
		text = ts.ReadFile(args[2])
	}
	db, err := sql.Open("pgx", args[0])
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(text)
	ts.Check(err)
}
