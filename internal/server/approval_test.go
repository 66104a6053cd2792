package server_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// waitingIDs lists what a client's inbox holds of a kind.
func waitingIDs(t *testing.T, c *client.Client, kind string) []string {
	t.Helper()
	list, err := client.UpTo(context.Background(), c, client.ListApprovals, client.InboxParams{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := client.CountApprovals.Call(context.Background(), c, client.None{})
	if err != nil || n.Count != len(list) {
		t.Errorf("%d are counted, %d listed (%v)", n.Count, len(list), err)
	}
	var out []string
	for _, w := range list {
		if w.Kind == kind {
			out = append(out, w.ID)
		}
	}
	slices.Sort(out)
	return out
}

// TestInboxOverTheAPI tells of approvals as their people see them: who sees both
// tenants, who sees one, who sees none and has a delegation.
func TestInboxOverTheAPI(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(web.Close)
	one := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	two, err := client.RequestOperation.Call(ctx, as(t, srv, "olga"), func() (p client.OperationRequest) {
		p.Body.Intent = client.Intent{Kind: tenure.Onboard, Tenant: "birch", Blueprint: "small", Tier: "gold", Parameters: map[string]any{"login": "a@b.example"}}
		return p
	}())
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	all, gold := tenure.Scope{All: true}, tenure.Scope{Tiers: []string{"gold"}}
	wide := strongly(t, s, web, "wide", tenure.Approver, all)
	narrow := strongly(t, s, web, "narrow", tenure.Approver, gold)
	viewer := strongly(t, s, web, "viewer", tenure.Viewer, all)
	helper := strongly(t, s, web, "helper", tenure.Viewer, tenure.Scope{Tiers: []string{"none"}})
	both := []string{string(one.ID), string(two.ID)}
	slices.Sort(both)
	for name, c := range map[string]struct {
		c    *client.Client
		want []string
	}{"wide": {wide, both}, "narrow": {narrow, both[:0:0]}, "viewer": {viewer, nil}, "helper": {helper, nil}} {
		want := c.want
		if name == "narrow" {
			want = []string{string(two.ID)}
		}
		if got := waitingIDs(t, c.c, "approval"); !slices.Equal(got, want) {
			t.Errorf("%s's inbox holds %v, want %v", name, got, want)
		}
	}
	sign := func(c *client.Client, op client.Operation) error {
		p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op.ID)}}}
		p.Body.Digest = op.Plan
		_, err := client.ApproveOperation.Call(ctx, c, p)
		return err
	}
	reject := func(c *client.Client, op client.Operation, why string) error {
		p := client.RejectParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op.ID)}}}
		p.Body.Reason = why
		_, err := client.RejectOperation.Call(ctx, c, p)
		return err
	}
	code := func(what string, err error, want tenure.Code) {
		t.Helper()
		if tenure.CodeOf(err) != want {
			t.Errorf("%s: %v (%s), want %q", what, err, tenure.CodeOf(err), want)
		}
	}
	code("helper signs", sign(helper, two), tenure.NotFound)
	code("narrow signs another's", sign(narrow, one), tenure.NotFound)
	code("narrow rejects another's", reject(narrow, one, "no"), tenure.NotFound)
	code("viewer signs", sign(viewer, two), tenure.Forbidden)

	give := client.NewDelegation{}
	give.Body.To, give.Body.Scope, give.Body.Reason, give.Body.ExpiresAt = "helper", gold, "on leave", s.Now().Add(time.Hour)
	d, err := client.Delegate.Call(ctx, narrow, give)
	if err != nil {
		t.Fatal(err)
	}
	if got := waitingIDs(t, helper, "approval"); !slices.Equal(got, []string{string(two.ID)}) {
		t.Errorf("the delegate's inbox holds %v", got)
	}
	code("the delegate signs another tenant's", sign(helper, one), tenure.NotFound)
	code("the delegate signs", sign(helper, two), "")
	code("the delegator signs too", sign(narrow, two), tenure.Conflict)
	if _, err := client.RevokeDelegation.Call(ctx, viewer, client.DelegationParams{Delegation: string(d.ID)}); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a stranger revokes it: %v", err)
	}
	if _, err := client.RevokeDelegation.Call(ctx, narrow, client.DelegationParams{Delegation: string(d.ID)}); err != nil {
		t.Error(err)
	}
	if got := waitingIDs(t, helper, "approval"); len(got) > 0 {
		t.Errorf("after its end the delegate's inbox holds %v", got)
	}
	code("a rejection without a reason", reject(wide, one, ""), tenure.Invalid)
	code("a rejection", reject(wide, one, "too early"), "")
	settle(t, s)
	end, err := client.ShowOperation.Call(ctx, wide, client.OperationParams{Operation: string(one.ID)})
	if err != nil || end.State != tenure.OperationCancelled || end.Reason != "rejected at approve: too early" {
		t.Errorf("the rejected one is %s: %q (%v)", end.State, end.Reason, err)
	}
}

// TestMachinesApproveNothing: whatever stands in its grants.
func TestMachinesApproveNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(web.Close)
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	settle(t, s)
	strongly(t, s, web, "keeper", tenure.Viewer, tenure.Scope{All: true})
	g := governorOf(s)
	m, err := g.AddPrincipal(ctx, store.Principal{Name: "robot", Kind: tenure.CallerMachine, Owner: "keeper"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Engine.DB.Write(ctx, func(tx *store.Tx) error { // round the governor, who refuses it
		return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](s.Now()), Principal: m.ID, Role: tenure.Approver, Scope: tenure.Scope{All: true}, By: "x", At: s.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := g.NewToken(ctx, governance.Local("root"), "robot", store.Token{Name: "t", ExpiresAt: s.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(web.URL, client.WithToken(text))
	if err != nil {
		t.Fatal(err)
	}
	p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op.ID)}}}
	p.Body.Digest = op.Plan
	if _, err := client.ApproveOperation.Call(ctx, c, p); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("a machine signs: %v", err)
	}
	if got := waitingIDs(t, c, "approval"); len(got) > 0 {
		t.Errorf("a machine's inbox holds %v", got)
	}
}

// TestInboxAtTheSocket: who says a principal's name is offered what that principal may
// do, and a name that is nobody's all that the folder's owner may do.
func TestInboxAtTheSocket(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(web.Close)
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	settle(t, s)
	strongly(t, s, web, "signs", tenure.Approver, tenure.Scope{All: true})
	strongly(t, s, web, "looks", tenure.Viewer, tenure.Scope{All: true})
	strongly(t, s, web, "elsewhere", tenure.Approver, tenure.Scope{Tiers: []string{"gold"}})
	for who, want := range map[string][]string{"signs": {string(op.ID)}, "Signs": {string(op.ID)}, "looks": nil, "elsewhere": nil, "nobody": {string(op.ID)}} {
		if got := waitingIDs(t, as(t, srv, who), "approval"); !slices.Equal(got, want) {
			t.Errorf("as %s the inbox holds %v, want %v", who, got, want)
		}
	}
}
