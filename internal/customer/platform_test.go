package customer

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
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
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/slapdtest"
	"github.com/tenurehq/tenure/internal/standin"
	"github.com/tenurehq/tenure/internal/store"
)

var (
	//go:embed testdata/workspace.yaml
	blueprint string
	//go:embed testdata/rules.yaml
	rules string
)

// platform is an installation that runs, under a clock that the test moves, and the systems
// over which its tenants stand.
type platform struct {
	*testing.T
	dsn     string
	files   *s3test.Server
	people  *scimtest.Server
	dir     *slapdtest.Server
	apps    *pocketbasetest.Server
	crm     *standin.Service
	notices *downstream

	url                       string         // of the running server
	ahead                     atomic.Int64   // how far its clock is before the machine's, in nanoseconds
	log                       lines          // the server's
	feed                      *client.Client // the machine in whose name events ask
	author, reviewer, officer *client.Client
}

// lines are a log that may be read while it is written.
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

func (p *platform) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())).UTC() }

// pass lets time pass at once.
func (p *platform) pass(d time.Duration) { p.ahead.Add(int64(d)) }

func (p *platform) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// until waits for a condition, which says how far it is.
func (p *platform) until(what string, ok func() (bool, string)) {
	p.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		done, far := ok()
		if done {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("a minute has passed until %s; now: %s", what, far)
		}
	}
}

// newPlatform starts the systems and an installation over them, with a blueprint and rules
// that one person wrote and another published, and a standing approval that two reviewed.
func newPlatform(t *testing.T) *platform {
	p := &platform{T: t, dsn: postgrestest.Database(t), files: s3test.Start(t), people: scimtest.Start(t), dir: slapdtest.Start(t, slapdtest.Settings{}), apps: pocketbasetest.Start(t), crm: standin.HubSpot(t)}
	p.notices = newDownstream(t, p.now)
	dir, ctx := filepath.Join(t.TempDir(), "tenure"), t.Context()
	p.must(os.MkdirAll(dir, 0o700))
	kept := func(name, secret string) string {
		path := filepath.Join(dir, "secret-"+name)
		p.must(os.WriteFile(path, []byte(secret), 0o600))
		return "file:" + path
	}
	systems := map[string]map[string]string{
		"db":        {"connector": "postgres", "dsn": kept("db", p.dsn)},
		"files":     {"connector": "s3", "endpoint": p.files.Endpoint, "region": p.files.Region, "accessKey": kept("access", p.files.Access), "secretKey": kept("secret", p.files.Secret), "own": "tenure-own", "names": "t-", "users": "versitygw"},
		"people":    {"connector": "scim", "base": p.people.URL + "/scim/v2", "token": kept("people", p.people.Token)},
		"directory": {"connector": "ldap", "url": p.dir.URL, "bindDN": slapdtest.Tenure, "password": kept("directory", p.dir.Password), "base": slapdtest.Base},
		"apps":      {"connector": "pocketbase", "base": p.apps.URL, "identity": p.apps.Identity, "password": kept("apps", p.apps.Password)},
		"crm":       {"connector": "hubspot", "base": p.crm.URL, "token": kept("crm", p.crm.Token)},
	}
	file := map[string]any{}
	for name, options := range systems {
		kind := options["connector"]
		delete(options, "connector")
		file[name] = map[string]any{"connector": kind, "options": options}
	}
	raw, err := json.Marshal(map[string]any{"systems": file})
	p.must(err)
	p.must(os.WriteFile(filepath.Join(dir, "systems.yaml"), raw, 0o600))
	inst, err := installation.Init(ctx, installation.Options{Dir: dir, Now: p.now}, installation.Settings{
		Notify: installation.Notify{Webhook: &installation.Webhook{URL: p.notices.URL, Secret: kept("notices", noticeSecret)}},
		Events: map[string]installation.EventSource{
			"crm":     {Scheme: "hubspot", Secrets: []string{kept("deals", crmSecret)}, URL: crmAddress},
			"billing": {Scheme: "stripe", Secrets: []string{kept("billing", billingSecret)}},
		},
	})
	p.must(err)
	for name := range systems {
		_, err := inst.AddSystem(ctx, name, false, "author")
		p.must(err)
	}
	setup := governance.Local("setup")
	_, err = inst.Governor.AddPrincipal(ctx, store.Principal{Name: "keeper", Kind: tenure.CallerPerson}, "setup")
	p.must(err)
	machine, err := inst.Governor.AddPrincipal(ctx, store.Principal{Name: "feed", Kind: tenure.CallerMachine, Owner: "keeper"}, "setup")
	p.must(err)
	_, err = inst.Governor.Grant(ctx, setup, tenure.Grant{Principal: machine.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "events"})
	p.must(err)
	_, token, err := inst.Governor.NewToken(ctx, setup, "feed", store.Token{Name: "outputs", ExpiresAt: p.now().AddDate(0, 6, 0)})
	p.must(err)
	p.run(inst)
	p.feed, err = client.New(p.url, client.WithToken(token))
	p.must(err)
	for name, c := range map[string]**client.Client{"author": &p.author, "reviewer": &p.reviewer, "officer": &p.officer} {
		*c, err = client.Dial(ctx, installation.Socket(dir), name)
		p.must(err)
	}
	p.publish()
	return p
}

// run has the installation serve until the test ends.
func (p *platform) run(inst *installation.Installation) {
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, inst, daemon.Options{Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&p.log, nil)), Ready: func(url string) { ready <- url }})
	}()
	p.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			p.Errorf("the server ends with %v", err)
		}
		_ = inst.Close()
		if p.Failed() {
			p.Logf("the server's log:\n%s", p.log.String())
		}
	})
	select {
	case p.url = <-ready:
	case err := <-ended:
		ended <- err
		p.Fatalf("the server doesn't start: %v", err)
	}
}

// publish puts blueprint, rules and the standing approval in force, each by the persons that
// it needs.
func (p *platform) publish() {
	p.Helper()
	ctx := p.Context()
	var text client.SourceParams
	text.Body.File, text.Body.Source = "workspace.yaml", blueprint
	_, err := client.SubmitBlueprint.Call(ctx, p.author, text)
	p.must(err)
	_, err = client.PublishBlueprint.Call(ctx, p.reviewer, client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: "workspace@1"}})
	p.must(err)
	text.Body.File, text.Body.Source = "rules.yaml", rules
	set, err := client.SubmitTriggers.Call(ctx, p.author, text)
	p.must(err)
	name := client.TriggersParams{Triggers: set.Digest}
	if _, err = client.PublishTriggers.Call(ctx, p.author, client.PublishTriggersParams{TriggersParams: name}); tenure.CodeOf(err) != tenure.Forbidden {
		p.Errorf("who wrote the rules could publish them (%v); want a second person", err)
	}
	_, err = client.PublishTriggers.Call(ctx, p.reviewer, client.PublishTriggersParams{TriggersParams: name})
	p.must(err)

	rule, err := client.ProposeStanding.Call(ctx, p.author, client.StandingProposal{Body: tenure.StandingRule{
		Name: "won deals", Trigger: "event:crm:", Source: "feed", Blueprint: "workspace", MaxResources: 20, PerDay: 5, EndsAt: p.now().AddDate(0, 11, 0),
	}})
	p.must(err)
	review := client.StandingReviewParams{StandingParams: client.StandingParams{Standing: string(rule.ID)}}
	review.Body.Digest = rule.Digest
	if _, err = client.ReviewStanding.Call(ctx, p.author, review); err == nil {
		p.Error("who proposed the standing approval could review it; want two others")
	}
	for _, by := range []*client.Client{p.reviewer, p.officer} {
		_, err = client.ReviewStanding.Call(ctx, by, review)
		p.must(err)
	}
}

// is waits until a tenant is in a state.
func (p *platform) is(tenant string, want tenure.TenantState) client.TenantDetail {
	p.Helper()
	var v client.TenantDetail
	p.until(tenant+" is "+string(want), func() (bool, string) {
		var err error
		v, err = client.ShowTenant.Call(p.Context(), p.reviewer, client.TenantParams{Tenant: tenant})
		if err != nil {
			return false, err.Error()
		}
		return v.State == want, string(v.State) + " " + v.Blocked
	})
	return v
}

// drive lets time pass to whatever an operation waits for, until done, and has two persons
// sign where it asks for that. Before says what is to be looked at before the second signs.
func (p *platform) drive(id tenure.OperationID, done func(client.OperationDetail) bool, before func(gate string)) client.OperationDetail {
	p.Helper()
	for end := time.Now().Add(4 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		v, err := client.ShowOperation.Call(p.Context(), p.reviewer, client.OperationParams{Operation: string(id)})
		p.must(err)
		switch {
		case done(v):
			return v
		case v.State == tenure.OperationBlocked || v.State.Ended() || time.Now().After(end):
			p.Fatalf("%s is %s, and doesn't get where it should: %s%s", v.Kind, v.State, v.Reason, failures(v))
		case p.sign(v, before):
		case v.State == tenure.OperationWaiting && v.Running == 0 && v.DueAt.After(p.now().Add(time.Minute)):
			p.heard(v) // what is older than a week isn't sent any more
			p.pass(v.DueAt.Sub(p.now()))
		}
	}
}

// succeeded is when an operation has.
func succeeded(v client.OperationDetail) bool { return v.State == tenure.OperationSucceeded }

// sign has two persons sign at the gates that are open.
func (p *platform) sign(v client.OperationDetail, before func(gate string)) (signed bool) {
	p.Helper()
	ended := map[string]bool{}
	for i, step := range v.Body.Steps {
		r := v.Rows[i]
		ended[step.Key] = r.State == tenure.StepDone || r.State == tenure.StepSkipped || r.State == tenure.StepFailed && step.Optional
	}
	for i, step := range v.Body.Steps {
		if step.Action != tenure.ActApproval && step.Action != tenure.ActNoReturn || v.Rows[i].State != tenure.StepPending || slices.ContainsFunc(step.Needs, func(n string) bool { return !ended[n] }) {
			continue
		}
		for n, by := range []*client.Client{p.reviewer, p.officer} {
			if n == 1 && before != nil && step.Action == tenure.ActNoReturn {
				before(step.Key)
			}
			g := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(v.ID)}}}
			g.Body.Gate, g.Body.Digest = step.Key, v.Plan
			_, err := client.ApproveOperation.Call(p.Context(), by, g)
			if tenure.CodeOf(err) == tenure.Conflict { // the gate's counts aren't taken yet
				return false
			}
			p.must(err)
		}
		signed = true
	}
	return signed
}

// failures are what the steps of an operation say went wrong.
func failures(v client.OperationDetail) string {
	var b strings.Builder
	for _, r := range v.Rows {
		if r.Error != "" {
			b.WriteString("\n  " + r.Key + " (" + string(r.State) + "): " + r.Error)
		}
	}
	return b.String()
}
