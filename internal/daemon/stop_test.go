package daemon_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// deaf is a system one of whose calls hangs and heeds no context.
type deaf struct {
	*memory.Driver
	*deafness
}

// deafness is which call hangs from now on, who has come to it, and when it goes on.
type deafness struct {
	hangs   atomic.Pointer[string]
	entered chan struct{}
	let     chan struct{}
	once    sync.Once
}

func (d *deafness) maybe(call string) {
	if h := d.hangs.Load(); h != nil && *h == call {
		d.once.Do(func() { close(d.entered) })
		<-d.let
	}
}

func (d *deaf) Ensure(ctx context.Context, r connector.Desired) (connector.Observed, connector.Receipt, error) {
	d.maybe("ensure")
	return d.Driver.Ensure(ctx, r)
}

func (d *deaf) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	d.maybe("observe")
	return d.Driver.Observe(ctx, refs, yield)
}

func (d *deaf) Close() error {
	d.maybe("close")
	return d.Driver.Close()
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A server that is told to stop ends within its bound, whatever call to a system hangs
// and heeds no end; it says what it left, and the next server finishes that once.
func TestServerEndsThoughASystemHangs(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"ensure", "observe", "close"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			w := memory.NewWorld("main")
			info := memory.InfoOf(w)
			d := &deafness{entered: make(chan struct{}), let: make(chan struct{})}
			open := info.Open
			info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
				inner, err := open(ctx, c)
				if err != nil {
					return nil, err
				}
				return &deaf{inner.(*memory.Driver), d}, nil
			}
			home := filepath.Join(t.TempDir(), "tenure")
			log := &lines{}
			o := installation.Options{Dir: home, Catalog: []connector.Info{info}}
			inst, err := installation.Init(ctx, o, installation.Settings{})
			check(t, err)
			check(t, os.WriteFile(filepath.Join(home, "systems.yaml"), []byte("systems:\n  main: {connector: memory}\n"), 0o600))
			check(t, inst.Close())
			inst, err = installation.Open(ctx, o)
			check(t, err)
			_, err = inst.AddSystem(ctx, "main", false, "setup")
			check(t, err)
			_, err = inst.SubmitBlueprint(ctx, []byte(vaultBlueprint), "small.yaml", "author")
			check(t, err)
			_, err = inst.PublishBlueprint(ctx, "small@1.0", "reviewer")
			check(t, err)
			p, op, err := inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small"}, "operator")
			check(t, err)
			_, err = inst.Engine.Settle(ctx)
			check(t, err)
			_, err = inst.Approve(ctx, op.ID, "", p.Digest, "approver", "")
			check(t, err)
			check(t, inst.Close())
			inst, err = installation.Open(ctx, o) // whose system is to be asked again
			check(t, err)
			inst.Engine.Grace, inst.Engine.Lease = 100*time.Millisecond, time.Second
			d.hangs.Store(&call)
			told, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() {
				err := daemon.Run(told, inst, daemon.Options{Log: slog.New(slog.NewTextHandler(log, nil)), Leave: 3 * time.Second})
				_ = inst.Close()
				ended <- err
			}()
			if call == "close" {
				until(t, func() bool {
					v, err := inst.Service.Operation(ctx, op.ID)
					return err == nil && v.State == tenure.OperationSucceeded
				})
			} else {
				<-d.entered
			}
			stop()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatal("the server doesn't end when it is told to")
			}
			if call == "ensure" && !strings.Contains(log.String(), "prod/store/ensure") {
				t.Errorf("the log doesn't say which step was left:\n%s", log)
			}
			if call == "close" {
				return
			}
			d.hangs.Store(new(string))
			second, err := installation.Open(ctx, o)
			if err != nil { // the first one's process would be gone
				t.Fatal(err)
			}
			defer second.Close()
			second.Engine.Lease = time.Second
			told, stop = context.WithCancel(ctx)
			go func() {
				ended <- daemon.Run(told, second, daemon.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
			}()
			until(t, func() bool {
				v, err := second.Service.Operation(ctx, op.ID)
				return err == nil && v.State == tenure.OperationSucceeded
			})
			close(d.let) // the call that was left ends now, and changes nothing
			stop()
			check(t, <-ended)
			rep, err := second.VerifyAudit(ctx)
			check(t, err)
			if !rep.OK() {
				t.Errorf("the audit has problems: %q", rep.Problems)
			}
		})
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it doesn't come to that")
		}
	}
}
