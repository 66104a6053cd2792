package demo

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/demoidp"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

const demoClient = "tenure-demo"

// cast are the people of the story with their roles. They sign in with a provider
// of the demo's own, which asks nobody for a password.
var cast = []struct {
	name, says string
	roles      []tenure.Role
	scope      tenure.Scope
}{
	{operator, "operator: asks for operations and runs them", []tenure.Role{tenure.Operator}, tenure.Scope{All: true}},
	{reviewer, "approver: signs plans", []tenure.Role{tenure.Approver, tenure.BlueprintAuthor}, tenure.Scope{All: true}},
	{officer, "security officer: reviews, approves, waives", []tenure.Role{tenure.SecurityOfficer}, tenure.Scope{All: true}},
	{counsel, "legal: places and releases holds", []tenure.Role{tenure.Legal}, tenure.Scope{All: true}},
	{author, "blueprint author", []tenure.Role{tenure.BlueprintAuthor}, tenure.Scope{All: true}},
	{"auditor", "auditor: reads everything, changes nothing", []tenure.Role{tenure.Auditor}, tenure.Scope{All: true}},
	{"admin", "admin: gives out access", []tenure.Role{tenure.Admin}, tenure.Scope{All: true}},
	{"viewer", "viewer of the tenants labelled region=eu alone", []tenure.Role{tenure.Viewer}, tenure.Scope{Labels: []string{"region=eu"}}},
}

func address(name string) string { return name + "@demo.example" }

// doors are where the demo is reached: the dashboard's address, and the provider
// that people sign in with.
type doors struct {
	listen   string
	provider *demoidp.Provider
	server   *http.Server
}

// open takes two loopback ports and starts the provider.
func (d *doors) open(now func() time.Time) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "a loopback port: %w", err)
	}
	d.listen = l.Addr().String()
	_ = l.Close()
	var people []demoidp.Person
	for _, c := range cast {
		people = append(people, demoidp.Person{Name: c.name, Email: address(c.name), Roles: c.says})
	}
	p, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "a loopback port: %w", err)
	}
	d.provider = demoidp.New(people, demoClient, d.url()+installation.CallbackPath, now)
	d.provider.SetIssuer("http://" + p.Addr().String())
	d.server = &http.Server{Handler: d.provider.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = d.server.Serve(p) }()
	return nil
}

func (d *doors) url() string { return "http://" + d.listen }

func (d *doors) close() {
	if d.server != nil {
		_ = d.server.Close()
	}
}

// people gives the story's people their roles, shows what keeps them apart, and
// leaves something for each of them to do.
func (s *story) people(ctx context.Context) error {
	s.chapter("Many people, safely")
	root := governance.Local("demo")
	for _, c := range cast {
		p, _, err := s.inst.Governor.Principal(ctx, c.name) // the operator answers for the CRM's machine already
		if tenure.CodeOf(err) == tenure.NotFound {
			p, err = s.inst.Governor.AddPrincipal(ctx, store.Principal{Name: c.name, Email: address(c.name), Kind: tenure.CallerPerson}, root.Name)
		}
		if err != nil {
			return err
		}
		for _, r := range c.roles {
			if _, err := s.inst.Governor.Grant(ctx, root, tenure.Grant{Principal: p.ID, Role: r, Scope: c.scope, Reason: "the demo's cast"}); err != nil {
				return err
			}
		}
	}
	s.note("%d people of different roles, each with grants over a scope", len(cast))
	_, err := s.inst.Governor.Grant(ctx, root, tenure.Grant{Principal: "auditor", Role: tenure.Operator, Scope: tenure.Scope{All: true}})
	if err := s.check(tenure.CodeOf(err) == tenure.Conflict, "who audits can't be made an operator (%v)", err); err != nil {
		return err
	}
	if _, err := s.inst.SetLabels(ctx, "birch", map[string]string{"region": "eu"}, 0, operator, nil); err != nil {
		return err
	}
	viewer, err := s.caller(ctx, "viewer")
	if err != nil {
		return err
	}
	v := s.inst.Governor.Visible(viewer, tenure.TenantRead)
	seen, err := s.inst.Tenants(ctx, store.TenantFilter{Closed: true, Visible: &v})
	if err != nil {
		return err
	}
	if err := s.check(len(seen) == 1 && seen[0].Name == "birch", "the viewer of region=eu sees birch and no other tenant"); err != nil {
		return err
	}
	cedar, err := s.inst.Governor.Target(ctx, "cedar")
	if err != nil {
		return err
	}
	d := s.inst.Governor.Decide(ctx, viewer, tenure.TenantRead, cedar)
	s.note("asked why cedar is out of the viewer's sight: %s", d.Why)
	return s.leaveWork(ctx)
}

// caller is one of the cast as they would come in.
func (s *story) caller(ctx context.Context, name string) (tenure.Caller, error) {
	p, grants, err := s.inst.Governor.Principal(ctx, name)
	return tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Strong: true, Grants: grants}, err
}

// leaveWork leaves open what the dashboard is for: an onboarding and a departure
// that wait for a signature, a hold, drift, an elevation that somebody asked for.
func (s *story) leaveWork(ctx context.Context) error {
	name, err := s.blueprintName(ctx)
	if err != nil {
		return err
	}
	if _, _, err := s.inst.Request(ctx, lifecycle.Intent{
		Kind: tenure.Onboard, Tenant: "dogwood", Blueprint: name, Tier: "team", Organization: "Dogwood Ltd", Reason: "a deal was closed", Trigger: "deal-dogwood",
		Labels: map[string]string{"region": "us"}, Parameters: map[string]any{"adminLogin": "admin@dogwood.example"},
	}, operator); err != nil {
		return err
	}
	if _, _, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "cedar", Reason: "the customer gave notice"}, operator); err != nil {
		return err
	}
	cedar, err := s.inst.Tenant(ctx, "cedar")
	if err != nil {
		return err
	}
	if _, err := s.inst.PlaceHold(ctx, tenure.Hold{Matter: "case 34-008", Reason: "an inquiry", Scope: tenure.HoldScope{Tenant: cedar.ID}}, counsel); err != nil {
		return err
	}
	if _, err := s.p.meddle(ctx, "birch"); err != nil {
		return err
	}
	if _, err := s.inst.Drift(ctx, ""); err != nil {
		return err
	}
	who, err := s.caller(ctx, operator)
	if err != nil {
		return err
	}
	hour, err := tenure.ParsePeriod("PT1H")
	if err != nil {
		return err
	}
	if _, err := s.inst.Governor.RequestElevation(ctx, who, governance.ElevationAsk{Role: tenure.SecurityOfficer, Scope: tenure.Scope{Tiers: []string{"team"}}, Reason: "look into the drift of birch", For: hour}); err != nil {
		return err
	}
	if _, err := s.inst.Engine.Settle(ctx); err != nil {
		return err
	}
	s.note("left open for you: an onboarding and a departure to approve, a hold, drift to repair, an elevation that the operator asked for")
	return nil
}

// open serves API and dashboard. With exit it only sees that they answer.
func (s *story) open(ctx context.Context, exit bool) error {
	s.live.Store(time.Now().UnixMicro())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan string, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return daemon.Run(ctx, s.inst, daemon.Options{Listen: s.doors.listen, Name: "Tenure demo", Log: slog.New(slog.DiscardHandler), Ready: func(url string) { ready <- url }})
	})
	g.Go(func() error {
		select {
		case url := <-ready:
			if err := s.answers(ctx, url); err != nil || exit {
				cancel()
				return err
			}
			s.invite(url)
		case <-ctx.Done():
		}
		return nil
	})
	return g.Wait()
}

// answers sees that the door is open, and shut for who doesn't sign in.
func (s *story) answers(ctx context.Context, url string) error {
	for path, want := range map[string]struct {
		status int
		word   string
	}{"/v1/tenants": {http.StatusUnauthorized, "nobody is signed in"}, "/sign-in": {http.StatusOK, "Sign in"}} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		if err != nil {
			return tenure.Errorf(tenure.Internal, "look at %s: %w", path, err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return tenure.Errorf(tenure.Unavailable, "look at %s: %w", path, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return tenure.Errorf(tenure.Unavailable, "look at %s: %w", path, err)
		}
		if resp.StatusCode != want.status || !strings.Contains(string(body), want.word) {
			return s.check(false, "%s answers %d", path, resp.StatusCode)
		}
	}
	return nil
}

func (s *story) invite(url string) {
	s.say("")
	s.say("The dashboard is open: %s", url)
	s.say("Sign in there as one of these; the demo's own provider asks for no password:")
	for _, c := range cast {
		s.note("%-9s %s", c.name, c.says)
	}
	s.say("Its clock stands where the story ended, in %d. Interrupt (Ctrl-C) to end; everything stays in %s", s.now().Year(), s.dir)
}
