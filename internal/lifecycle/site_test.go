package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// site is a life with a second system, hooks into calls, and a folder that a
// test may look into.
type site struct {
	*life
	side     *memory.World
	dir      string
	dsn      string
	tenants  string // of a real SQLite system: the tenants' own files
	keys     *keystore.Store
	options  lifecycle.Options
	onErase  atomic.Pointer[func(connector.Ref)]   // before each batch
	onDelete atomic.Pointer[func(connector.Ref)]   // before each Delete
	watch    atomic.Pointer[watcher]               // around each batch, Delete and Expire
	onCall   atomic.Pointer[func(connector.Ref)]   // before each Ensure
	seen     atomic.Pointer[func(connector.Check)] // before each Probe
	onMap    atomic.Pointer[func(connector.Survey, *connector.Map)]
}

// watcher stands around a call that destroys: it carries it out, or doesn't.
type watcher func(call string, r connector.Ref, class string, do func() error) error

// watched carries out a call under the site's watcher, if there is one.
func (h *hooked) watched(call string, r connector.Ref, class string, do func() error) error {
	if f := h.s.watch.Load(); f != nil {
		return (*f)(call, r, class, do)
	}
	return do()
}

// hooked is the memory connector with the hooks of a site.
type hooked struct {
	*memory.Driver
	s *site
}

func (h *hooked) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (connector.Erased, error) {
	if f := h.s.onErase.Load(); f != nil {
		(*f)(r)
	}
	var e connector.Erased
	err := h.watched("erase", r, b.Class, func() (err error) {
		e, err = h.Driver.Erase(ctx, r, b)
		return err
	})
	return e, err
}

func (h *hooked) DataMap(ctx context.Context, v connector.Survey) (connector.Map, error) {
	m, err := h.Driver.DataMap(ctx, v)
	if f := h.s.onMap.Load(); f != nil && err == nil {
		(*f)(v, &m)
	}
	return m, err
}

// without is a desire without coverage, which stores of this connector don't have.
func without(d connector.Desired) connector.Desired {
	d.Attributes = maps.Clone(d.Attributes)
	delete(d.Attributes, "tables")
	return d
}

func (h *hooked) Normalise(d connector.Desired) (json.RawMessage, error) {
	return h.Driver.Normalise(without(d))
}

func (h *hooked) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if f := h.s.onDelete.Load(); f != nil {
		(*f)(r)
	}
	var rec connector.Receipt
	err := h.watched("delete", r, "", func() (err error) {
		rec, err = h.Driver.Delete(ctx, r)
		return err
	})
	return rec, err
}

func (h *hooked) Expire(ctx context.Context, r connector.Ref, now time.Time) ([]connector.Copy, error) {
	var left []connector.Copy
	err := h.watched("expire", r, "", func() (err error) {
		left, err = h.Driver.Expire(ctx, r, now)
		return err
	})
	return left, err
}

func (h *hooked) Ensure(ctx context.Context, d connector.Desired) (connector.Observed, connector.Receipt, error) {
	d = without(d)
	if f := h.s.onCall.Load(); f != nil {
		(*f)(d.Ref)
	}
	return h.Driver.Ensure(ctx, d)
}

func (h *hooked) Probe(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	if f := h.s.seen.Load(); f != nil {
		(*f)(c)
	}
	return h.Driver.Probe(ctx, c)
}

// newSite sets a site up. change, if any, has the last word on the options.
func newSite(t *testing.T, change func(*lifecycle.Options)) *site {
	t.Helper()
	return newSiteIn(t, "", change)
}

// newSiteIn is newSite over a store of the test's own; blank is a file in the site's folder.
func newSiteIn(t *testing.T, dsn string, change func(*lifecycle.Options)) *site {
	t.Helper()
	ctx := context.Background()
	s := &site{life: &life{t: t, world: memory.NewWorld("main")}, side: memory.NewWorld("side"), dir: t.TempDir(), dsn: dsn}
	s.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(s.clock.Load()).UTC() }
	if s.dsn == "" {
		s.dsn = filepath.Join(s.dir, "tenure.db")
	}
	var err error
	s.keys, err = keystore.Init(ctx, filepath.Join(s.dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	s.must(err)
	s.db, err = store.Open(ctx, store.Options{DSN: s.dsn})
	s.must(err)
	t.Cleanup(func() { _ = s.db.Close() })
	s.options = lifecycle.Options{
		DB: s.db, Keys: s.keys, Catalog: []connector.Info{s.info()}, Installation: tenure.NewID[tenure.InstallationID](now()),
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}, "side": {Connector: "memory"}},
		Folder:   filepath.Join(s.dir, "handover"), Now: now, Owner: "test",
	}
	if change != nil {
		change(&s.options)
	}
	s.Service = s.service(s.options)
	for _, name := range []string{"main", "side"} {
		_, err = s.AddSystem(ctx, name, false, "operator")
		s.must(err)
	}
	s.publish("1.0")
	return s
}

// info is the connector to the site's two worlds.
func (s *site) info() connector.Info {
	info := memory.InfoOf(s.world)
	open := map[string]connector.Info{"main": info, "side": memory.InfoOf(s.side)}
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := open[c.System].Open(ctx, c)
		if err != nil {
			return nil, err
		}
		return &hooked{d.(*memory.Driver), s}, nil
	}
	return info
}

// service is another service over the same store and systems.
func (s *site) service(o lifecycle.Options) *lifecycle.Service {
	s.t.Helper()
	svc, err := lifecycle.New(context.Background(), o)
	s.must(err)
	s.t.Cleanup(svc.Close)
	return svc
}

// publishText publishes a blueprint of the test's own.
func (s *site) publishText(text string) store.Blueprint {
	s.t.Helper()
	b, err := s.SubmitBlueprint(context.Background(), []byte(text), "test.yaml", "author")
	s.must(err)
	b, err = s.PublishBlueprint(context.Background(), b.Digest, "reviewer")
	s.must(err)
	return b
}

// begin asks for an onboarding from a blueprint and has it approved.
func (s *site) begin(name, blueprint string) tenure.OperationID {
	s.t.Helper()
	var params map[string]any
	if strings.HasPrefix(blueprint, "small") {
		params = map[string]any{"login": "a@b.example"}
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: blueprint, Tier: "team", Parameters: params}, "operator")
	s.approve(op, "reviewer")
	return op
}

func (s *site) leave(name string) tenure.OperationID {
	s.t.Helper()
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: name, Reason: "contract lapsed"}, "operator")
	s.approve(op, "reviewer")
	return op
}

func (s *site) view(op tenure.OperationID) *lifecycle.OperationView {
	s.t.Helper()
	v, err := s.Operation(context.Background(), op)
	s.must(err)
	return v
}

func (s *site) wantState(op tenure.OperationID, want tenure.OperationState) {
	s.t.Helper()
	if v := s.view(op); v.State != want {
		s.t.Fatalf("the operation is %s, want %s\n%s", v.State, want, s.show(op))
	}
}

// things lists what a world holds whose name begins so.
func things(w *memory.World, prefix string) []string {
	var out []string
	for _, th := range w.Things() {
		if strings.HasPrefix(th.Name, prefix) {
			out = append(out, th.Type+" "+th.Name)
		}
	}
	return out
}

// wantCode fails unless err has the code and its text has each of the words.
func wantCode(t *testing.T, err error, code tenure.Code, words ...string) {
	t.Helper()
	if tenure.CodeOf(err) != code {
		t.Fatalf("the error is %q (%v), want %q", tenure.CodeOf(err), err, code)
	}
	for _, w := range words {
		if !strings.Contains(fmt.Sprint(err), w) {
			t.Errorf("the error doesn't say %q: %v", w, err)
		}
	}
}

// audited fails if the log or the store's agreement with it is broken.
func (s *site) audited() {
	s.t.Helper()
	rep, err := s.VerifyAudit(context.Background())
	s.must(err)
	if !rep.OK() {
		s.t.Errorf("the audit has problems: %q", rep.Problems)
	}
}

// confirm has two persons confirm the point of no return that waits, looking at
// fresh counts first, also where they take more than one attempt.
func (s *site) confirm(op tenure.OperationID) {
	s.t.Helper()
	for _, by := range []string{"reviewer", "counsel"} {
		var err error
		for range 10 {
			if _, err = s.Approve(context.Background(), op, "", s.view(op).Plan, by, ""); err == nil {
				break
			}
			s.pass(10 * time.Minute)
		}
		if err != nil {
			s.t.Fatalf("confirm by %s: %v\n%s", by, err, s.show(op))
		}
	}
	s.settle()
}
