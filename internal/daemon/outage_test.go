package daemon_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// filling takes the room from the file of a store on SQLite, and gives it back.
func filling(t *testing.T, inst *installation.Installation, home string) (begin, end func()) {
	raw, err := sql.Open("sqlite", "file:"+filepath.Join(home, "tenure.db")+"?_pragma=busy_timeout(10000)")
	check(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	for _, q := range []string{`create table ballast (data blob)`, `insert into ballast values (zeroblob(4000000))`} {
		_, err := raw.Exec(q)
		check(t, err)
	}
	write := func(what func(*store.Tx) error) error { return inst.DB.Write(context.Background(), what) }
	return func() {
			check(t, write(func(tx *store.Tx) error {
				var pages int64
				return tx.Row(`pragma max_page_count = 1`, nil, &pages) // no fewer than there are
			}))
			for i := range 8 { // what was free before
				_ = write(func(tx *store.Tx) error {
					_, err := tx.Exec(`insert into idempotency (caller, key, path, body_digest, status, header, answer, created_at) values ('a', $1, '', '', 0, '', $2, 1)`, fmt.Sprint(i), make([]byte, 1<<20))
					return err
				})
			}
		}, func() {
			_, err := raw.Exec(`delete from ballast`)
			check(t, err)
		}
}

// A store whose disk is full, or whose server is away, costs a running server nothing but
// time: it says so, refuses what would write, repeats no step, and goes on by itself.
func TestServerOutlastsItsStore(t *testing.T) {
	t.Parallel()
	for _, kind := range []store.Dialect{store.SQLite, store.Postgres} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			d := &deafness{entered: make(chan struct{}), let: make(chan struct{})}
			info := memory.InfoOf(memory.NewWorld("main"))
			open := info.Open
			info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
				inner, err := open(ctx, c)
				if err != nil {
					return nil, err
				}
				return &deaf{inner.(*memory.Driver), d}, nil
			}
			call, home, settings := "ensure", filepath.Join(t.TempDir(), "tenure"), installation.Settings{}
			d.hangs.Store(&call)
			var begin, end func()
			if kind == store.Postgres {
				p := postgrestest.NewProxy(t, postgrestest.Database(t))
				settings.Store, begin, end = p.DSN, p.Down, p.Heal
			}
			check(t, os.MkdirAll(home, 0o700))
			check(t, os.WriteFile(filepath.Join(home, "systems.yaml"), []byte("systems:\n  main: {connector: memory}\n"), 0o600))
			inst, err := installation.Init(ctx, installation.Options{Dir: home, Catalog: []connector.Info{info}}, settings)
			check(t, err)
			if kind == store.SQLite {
				begin, end = filling(t, inst, home)
			}
			_, err = inst.AddSystem(ctx, "main", false, "setup")
			check(t, err)
			_, err = inst.SubmitBlueprint(ctx, []byte(vaultBlueprint), "small.yaml", "author")
			check(t, err)
			_, err = inst.PublishBlueprint(ctx, "small@1.0", "reviewer")
			check(t, err)
			olga, err := inst.Governor.AddPrincipal(ctx, store.Principal{Name: "olga", Email: "olga@staff.example", Kind: tenure.CallerPerson}, "setup")
			check(t, err)
			_, err = inst.Governor.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: olga.ID, Role: tenure.Admin, Scope: tenure.Scope{All: true}, Reason: "their desk"})
			check(t, err)
			_, token, err := inst.Governor.NewToken(ctx, governance.Local("setup"), "olga", store.Token{Name: "desk", ExpiresAt: time.Now().Add(time.Hour)})
			check(t, err)

			log, at := &lines{}, make(chan string, 1)
			told, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() {
				ended <- daemon.Run(told, inst, daemon.Options{Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(log, nil)), Ready: func(url string) { at <- url }})
			}()
			url := <-at
			ask := func(method, path, body string) (status int, again, says string) {
				req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
				check(t, err)
				req.Header.Set("Authorization", "Bearer "+token.Reveal())
				req.Header.Set("Content-Type", "application/json")
				res, err := http.DefaultClient.Do(req)
				check(t, err)
				raw, err := io.ReadAll(res.Body)
				check(t, err)
				check(t, res.Body.Close())
				return res.StatusCode, res.Header.Get("Retry-After"), string(raw)
			}
			until(t, func() bool { status, _, _ := ask("GET", "/readyz", ""); return status == 200 })
			p, op, err := inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small"}, "operator")
			check(t, err)
			until(t, func() bool { // the gate is open for it
				_, err = inst.Approve(ctx, op.ID, "", p.Digest, "approver", "")
				return err == nil
			})
			<-d.entered

			begin()
			until(t, func() bool { return inst.DB.Outage() != nil })
			d.hangs.Store(new(string))
			close(d.let) // the step is done, and can't be recorded
			until(t, func() bool { return strings.Count(log.String(), "the store can't be written") >= 5 })
			o := inst.DB.Outage()
			if status, again, says := ask("GET", "/readyz", ""); status != 503 || again == "" || o == nil || says != "not ready: "+o.Says()+"\n" {
				t.Errorf("readyz: %d, Retry-After %q, %q of %v", status, again, says, o)
			}
			if status, again, says := ask("POST", "/v1/principals", `{"name": "ci", "kind": "person", "email": "ci@staff.example"}`); status != 503 || again == "" || strings.Contains(says, "disk") {
				t.Errorf("a request that writes: %d, Retry-After %q, %q", status, again, says)
			}
			// How a request was refused is told for that request.
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "the store can't be written") && !strings.Contains(line, "the store doesn't answer") {
					t.Errorf("the log has another failure: %s", line)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n > 12 {
				t.Errorf("the log has %d failures", n)
			}

			end()
			until(t, func() bool {
				v, err := inst.Service.Operation(ctx, op.ID)
				return err == nil && v.State == tenure.OperationSucceeded
			})
			v, err := inst.Service.Operation(ctx, op.ID)
			check(t, err)
			for _, s := range v.Steps {
				if s.Attempt > 1 {
					t.Errorf("step %s was run %d times: what it had done was lost", s.Key, s.Attempt)
				}
			}
			if status, _, says := ask("GET", "/readyz", ""); status != 200 {
				t.Errorf("readyz afterwards: %d %q", status, says)
			}
			if status, _, says := ask("POST", "/v1/principals", `{"name": "ci", "kind": "person", "email": "ci@staff.example"}`); status/100 != 2 {
				t.Errorf("a request afterwards: %d %q", status, says)
			}
			if !strings.Contains(log.String(), "the store can be written again") {
				t.Error("the log doesn't say that the store is back")
			}
			rep, err := inst.VerifyAudit(ctx)
			check(t, err)
			if !rep.OK() {
				t.Errorf("the audit has problems: %q", rep.Problems)
			}
			stop()
			check(t, <-ended)
			_ = inst.Close()
		})
	}
}
