package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/examples"
	"github.com/tenurehq/tenure/examples/lowcode"
	"github.com/tenurehq/tenure/internal/chromiumtest"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/demoidp"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// The people are named after what they do.
var people = []struct {
	name  string
	role  tenure.Role
	scope tenure.Scope
}{
	{"operator", tenure.Operator, tenure.Scope{All: true}},
	{"approver", tenure.Approver, tenure.Scope{All: true}},
	{"officer", tenure.SecurityOfficer, tenure.Scope{All: true}},
	{"counsel", tenure.Legal, tenure.Scope{All: true}},
	{"second-counsel", tenure.Legal, tenure.Scope{All: true}},
	{"auditor", tenure.Auditor, tenure.Scope{All: true}},
	{"admin", tenure.Admin, tenure.Scope{All: true}},
	{"author", tenure.BlueprintAuthor, tenure.Scope{All: true}},
	{"viewer", tenure.Viewer, tenure.Scope{Labels: []string{"region=eu"}}},
}

// house is an installation with the example platform beside it, a provider to sign
// in with, and a daemon that runs it all.
type house struct {
	t        *testing.T
	inst     *installation.Installation
	platform *lowcode.Platform
	url      string
	ahead    atomic.Int64 // by how much the installation's clock is ahead of the machine's, in nanoseconds
	browser  *chromiumtest.Browser

	mu       sync.Mutex
	visitors map[string]*chromiumtest.Visitor
}

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// jump sets the installation's clock on to a moment; it never goes back.
func (h *house) jump(to time.Time) {
	if d := to.Sub(h.now()); d > 0 {
		h.ahead.Add(int64(d))
	}
}

// open builds a house that stands until the test ends.
func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, browser: chromiumtest.Start(t), visitors: map[string]*chromiumtest.Visitor{}}
	dir := t.TempDir()
	var err error
	h.platform, err = lowcode.Start(filepath.Join(dir, "platform"))
	check(t, err)
	t.Cleanup(func() { _ = h.platform.Close() })
	home := filepath.Join(dir, "tenure")
	check(t, os.MkdirAll(home, 0o700))
	check(t, os.MkdirAll(filepath.Join(dir, "witness"), 0o700))
	check(t, os.WriteFile(filepath.Join(home, "systems.yaml"), fmt.Appendf(nil, `systems:
  app-db: {connector: sqlite, options: {dir: %q, shared: %q}, prices: {database: 150, gigabyte: 20}, currency: EUR}
  files: {connector: filesystem, options: {root: %q}, prices: {gibibyte: 2}, currency: EUR}
  web: {connector: http, options: {base: "http://%s"}}
`, h.platform.Tenants, h.platform.Database, h.platform.Files, h.platform.Addr()), 0o600))

	check(t, os.WriteFile(filepath.Join(dir, "crm-token"), []byte(crmToken), 0o600))

	// The provider sends people back to the address that the daemon will have, so
	// that is chosen first.
	listen := freeAddress(t)
	h.url = "http://" + listen
	issuer := h.provider()
	h.inst, err = installation.Init(t.Context(), installation.Options{Dir: home, Now: h.now}, installation.Settings{
		Witness: filepath.Join(dir, "witness", "checkpoints"), URL: h.url,
		SignIn: &installation.SignIn{Issuer: issuer, ClientID: "browser-test", StrongAMR: []string{"mfa"}},
		Events: map[string]installation.EventSource{"crm": {Scheme: "bearer", Secrets: []string{"file:" + filepath.Join(dir, "crm-token")}, Fields: installation.EventFields{ID: "id", Type: "type", Subject: "deal"}}},
	})
	check(t, err)
	t.Cleanup(func() { _ = h.inst.Close() })
	h.furnish()
	h.run(listen)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// provider runs the identity provider and gives its issuer.
func (h *house) provider() string {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(h.t, err)
	var known []demoidp.Person
	for _, p := range people {
		known = append(known, demoidp.Person{Name: p.name, Email: p.name + "@staff.example", Roles: string(p.role)})
	}
	p := demoidp.New(known, "browser-test", h.url+installation.CallbackPath, h.now)
	p.SetIssuer("http://" + l.Addr().String())
	s := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.Serve(l) }()
	h.t.Cleanup(func() { _ = s.Close() })
	return p.Issuer()
}

// furnish adds systems, the blueprint and the people.
func (h *house) furnish() {
	h.t.Helper()
	ctx := h.t.Context()
	for _, name := range []string{"app-db", "files", "web"} {
		_, err := h.inst.AddSystem(ctx, name, false, "admin")
		check(h.t, err)
	}
	b, err := h.inst.SubmitBlueprint(ctx, []byte(examples.LowcodeBlueprint), "blueprint.yaml", "author")
	check(h.t, err)
	_, err = h.inst.PublishBlueprint(ctx, b.Name+"@"+b.Version, "officer")
	check(h.t, err)
	root := governance.Local("setup")
	for _, p := range people {
		row, err := h.inst.Governor.AddPrincipal(ctx, store.Principal{Name: p.name, Email: p.name + "@staff.example", Kind: tenure.CallerPerson}, root.Name)
		check(h.t, err)
		_, err = h.inst.Governor.Grant(ctx, root, tenure.Grant{Principal: row.ID, Role: p.role, Scope: p.scope, Reason: "their desk"})
		check(h.t, err)
	}
}

// run starts the daemon, waits until it answers, and stops it when the test ends.
func (h *house) run(listen string) {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, h.inst, daemon.Options{Listen: listen, Name: "Low-code cloud", Log: slog.New(slog.NewTextHandler(quiet{h.t}, &slog.HandlerOptions{Level: slog.LevelWarn})), Ready: func(url string) { ready <- url }})
	}()
	h.t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				h.t.Errorf("the daemon ended: %v", err)
			}
		case <-time.After(time.Minute):
			h.t.Error("the daemon doesn't end when it is told to")
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		h.t.Fatalf("the daemon ended before it served: %v", err)
	}
}

// quiet puts the daemon's log into the test's.
type quiet struct{ t *testing.T }

func (q quiet) Write(line []byte) (int, error) {
	q.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// person is somebody at their own browser, signed in.
func (h *house) person(name string) *chromiumtest.Visitor {
	h.t.Helper()
	h.mu.Lock()
	v := h.visitors[name]
	if v == nil {
		v = h.browser.Visit(h.t, name)
		h.visitors[name] = v
	}
	h.mu.Unlock()
	return v
}

// at opens a page of the dashboard. A session lives for hours, so after months
// have passed the person signs in again on the way.
func (h *house) at(name, path string) *chromiumtest.Visitor {
	h.t.Helper()
	v := h.person(name)
	v.Go(h.url + path)
	if strings.HasPrefix(v.Path(), "/sign-in") {
		h.signIn(v, name)
	}
	return v
}

// signIn goes from the sign-in page through the provider and back.
func (h *house) signIn(v *chromiumtest.Visitor, name string) {
	h.t.Helper()
	v.Follow("css:main form[action='/sign-in/begin'] button")
	v.Follow(fmt.Sprintf("css:button[value='%s@staff.example']", name))
	if strings.HasPrefix(v.Path(), "/sign-in") {
		h.t.Fatalf("%s didn't get in:\n%s", name, v.Text())
	}
}

// caller is somebody as they would come in.
func (h *house) caller(name string) tenure.Caller {
	h.t.Helper()
	p, grants, err := h.inst.Governor.Principal(h.t.Context(), name)
	check(h.t, err)
	return tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Strong: true, Grants: grants}
}

// onboarded makes a tenant without a browser, and puts data into it.
func (h *house) onboarded(name string, labels map[string]string) tenure.TenantID {
	h.t.Helper()
	_, op, err := h.inst.Request(h.t.Context(), lifecycle.Intent{
		Kind: tenure.Onboard, Tenant: name, Blueprint: "lowcode", Tier: "team", Organization: strings.ToUpper(name[:1]) + name[1:] + " Ltd", Reason: "a deal was closed",
		Labels: labels, Parameters: map[string]any{"adminLogin": "admin@" + name + ".example"},
	}, "operator")
	check(h.t, err)
	h.carry(op.ID, h.now().Add(time.Hour))
	for env, n := range map[string]int{"prod": 20, "test": 5} {
		_, err := h.platform.Fill(h.t.Context(), name+"-"+env, n)
		check(h.t, err)
	}
	return op.Tenant
}

// carry brings an operation on until it ends, or a moment has come, or a gate of an
// action that stop names waits: the clock jumps to what is due next, and people
// sign what waits for them. The daemon runs the steps.
func (h *house) carry(id tenure.OperationID, until time.Time, stop ...tenure.Action) *lifecycle.OperationView {
	h.t.Helper()
	ctx := h.t.Context()
	const patience = 2 * time.Minute // without a step's end
	limit, ended := time.NewTimer(patience), 0
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		next, err := h.inst.Engine.Settle(ctx)
		check(h.t, err)
		v, err := h.inst.Operation(ctx, id)
		check(h.t, err)
		if v.State.Ended() || v.State == tenure.OperationBlocked {
			return v
		}
		if n := len(v.Steps) - strings.Count(undone(v), "\n"); n != ended {
			ended = n
			limit.Reset(patience)
		}
		gates, busy := ready(v)
		if next.IsZero() || !v.DueAt.IsZero() && v.DueAt.Before(next) {
			next = v.DueAt // the daemon may have it in hand just now, so that nobody else is told of it
		}
		busy = busy || next.IsZero() && v.State != tenure.OperationWaiting
		switch {
		case busy, !next.IsZero() && !next.After(h.now()):
			select {
			case <-again.C:
			case <-limit.C:
				h.t.Fatalf("operation %s doesn't go on: %s: %s%s", id, v.State, v.Reason, undone(v))
			}
			continue
		case slices.ContainsFunc(gates, func(st tenure.Step) bool { return slices.Contains(stop, st.Action) }):
			return v
		case h.sign(v, gates):
			continue
		case next.IsZero() || next.After(until):
			if !until.After(h.now()) {
				return v
			}
			next = until
		}
		h.jump(next)
		_, err = h.platform.Backup(ctx, h.now()) // last night's, which outlives what it copied
		check(h.t, err)
	}
}

// ready are the gates that may be answered now; busy says that the engine has
// something to do before anybody else has.
func ready(v *lifecycle.OperationView) (gates []tenure.Step, busy bool) {
	if v.Body == nil {
		return nil, true
	}
	done, left := make(map[string]bool), 0
	for i, st := range v.Body.Steps {
		s := v.Steps[i].State
		done[st.Key] = s == tenure.StepDone || s == tenure.StepSkipped || s == tenure.StepFailed && st.Optional
		if !done[st.Key] {
			left++
		}
	}
	for i, st := range v.Body.Steps {
		row := v.Steps[i]
		open := !done[st.Key] && !slices.ContainsFunc(st.Needs, func(n string) bool { return !done[n] })
		switch {
		case !open:
		case st.Action.IsGate() && row.State == tenure.StepPending:
			gates = append(gates, st)
		case row.State == tenure.StepRunning || row.State == tenure.StepPending && v.State != tenure.OperationWaiting:
			busy = true // one that is pending while the operation waits is held
		}
	}
	return gates, busy || left == 0
}

// undone are an operation's steps that haven't ended, for who wonders why.
func undone(v *lifecycle.OperationView) (say string) {
	for _, row := range v.Steps {
		if row.State != tenure.StepDone && row.State != tenure.StepSkipped {
			say += fmt.Sprintf("\n%s is %s, due %s: %s", row.Key, row.State, row.DueAt, row.Error)
		}
	}
	return say
}

// sign answers what waits for a person; a date or a hold is waited for instead.
func (h *house) sign(v *lifecycle.OperationView, gates []tenure.Step) (acted bool) {
	h.t.Helper()
	ctx := h.t.Context()
	for _, st := range gates {
		switch st.Action {
		case tenure.ActTask:
			if _, err := h.inst.FinishTask(ctx, v.ID, st.Key, "operator", "done"); tenure.CodeOf(err) != tenure.Conflict { // else it is open already
				check(h.t, err)
			}
			acted = true
		case tenure.ActApproval, tenure.ActNoReturn:
			for _, by := range []string{"approver", "officer"}[:st.Gate.Approvals] {
				_, err := h.inst.Approve(ctx, v.ID, st.Key, v.Plan, by, "")
				if tenure.CodeOf(err) != tenure.Conflict { // else signed already, or the counts are taken again
					check(h.t, err)
				}
			}
			acted = true
		}
	}
	return acted
}

// api is the API in the name of whose token it is.
func (h *house) api(token string) *client.Client {
	h.t.Helper()
	c, err := client.New(h.url, client.WithToken(tenure.NewSecret(token)))
	check(h.t, err)
	h.t.Cleanup(c.Close)
	return c
}
