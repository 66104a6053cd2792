package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
)

// active brings a tenant through its onboarding.
func active(t *testing.T, s *lifecycle.Service, srv *server.Server, name string) client.Operation {
	t.Helper()
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), name)
	settle(t, s)
	p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op.ID)}}}
	p.Body.Digest = op.Plan
	if _, err := client.ApproveOperation.Call(context.Background(), as(t, srv, "rita"), p); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	return op
}

// TestReviewOverTheAPI tells a review's story as its people see it: the starter,
// a reviewer, one whom it doesn't concern.
func TestReviewOverTheAPI(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	op := active(t, s, srv, "acme")
	h := remote(t, srv)
	all := tenure.Scope{All: true}
	bob, cleo := signedIn(t, s, h, "bob", tenure.SecurityOfficer, all), signedIn(t, s, h, "cleo", tenure.SecurityOfficer, all)
	far := signedIn(t, s, h, "far", tenure.SecurityOfficer, tenure.Scope{Tiers: []string{"gold"}})
	p := client.NewCampaignParams{Body: client.NewCampaign{
		Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewGrant, tenure.ReviewAccount}, Scope: all, Reviewers: []string{"bob", "cleo"}, Silence: tenure.ReviewKeep, DueAt: time.Now().Add(time.Hour),
	}}
	if err := second(client.StartCampaign.Call(ctx, far, p)); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("a review beyond one's reach: %v", err)
	}
	c, err := client.StartCampaign.Call(ctx, bob, p)
	if err != nil {
		t.Fatal(err)
	}
	if c.Items == 0 || c.Open != c.Items {
		t.Errorf("%d of %d items are open at the start", c.Open, c.Items)
	}
	id := client.CampaignID{Campaign: string(c.ID)}
	for what, err := range map[string]error{
		"show":     second(client.ShowCampaign.Call(ctx, far, id)),
		"items":    second(client.ListReviewItems.Call(ctx, far, client.ReviewItemFilter{CampaignID: id})),
		"evidence": second(client.ShowEvidence.Call(ctx, far, id)),
		"close":    second(client.CloseCampaign.Call(ctx, far, id)),
	} {
		if tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("whom the review doesn't concern: %s answers %v", what, err)
		}
	}
	if list, err := client.ListCampaigns.Call(ctx, far, client.CampaignFilter{}); err != nil || len(list.Items) != 0 {
		t.Errorf("whom the review doesn't concern lists %v, %v", list.Items, err)
	}
	items, err := client.UpTo(ctx, bob, client.ListReviewItems, client.ReviewItemFilter{CampaignID: id}, 0)
	if err != nil || len(items) != c.Items {
		t.Fatalf("%d items are listed, want %d: %v", len(items), c.Items, err)
	}
	if err := second(client.ListReviewItems.Call(ctx, as(t, srv, "root"), client.ReviewItemFilter{CampaignID: id, Reviewer: "nobody"})); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("the items of a reviewer whom there isn't: %v", err)
	}
	reviewers := map[string]*client.Client{"bob": bob, "cleo": cleo}
	var carried tenure.OperationID
	for _, it := range items {
		answer := client.ReviewAnswer{Item: it.Seq, Decision: tenure.ReviewKeep}
		if it.Kind == tenure.ReviewAccount && carried == "" {
			answer.Decision, answer.Reason = tenure.ReviewRevoke, "not needed"
		}
		d := client.DecideParams{CampaignID: id}
		d.Body.Answers = []client.ReviewAnswer{answer}
		other := map[string]string{"bob": "cleo", "cleo": "bob"}[it.Reviewer]
		if err := second(client.DecideReview.Call(ctx, reviewers[other], d)); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("%s answers item %d, which is %s's: %v", other, it.Seq, it.Reviewer, err)
		}
		done, err := client.DecideReview.Call(ctx, reviewers[it.Reviewer], d)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Decision == tenure.ReviewRevoke {
			carried = done.Items[0].Operation
		}
	}
	if carried == "" {
		t.Fatal("no operation carries the revocation out")
	}
	if got, err := client.ShowOperation.Call(ctx, bob, client.OperationParams{Operation: string(carried)}); err != nil || got.Kind != tenure.Revoke || got.Tenant != op.Tenant {
		t.Errorf("the operation is %+v, %v", got.Operation, err)
	}
	closing, err := client.CloseCampaign.Call(ctx, bob, id)
	if err != nil || closing.State != tenure.CampaignCarrying {
		t.Errorf("with an operation under way the review is %s, %v", closing.State, err)
	}
	if err := second(client.ShowEvidence.Call(ctx, bob, id)); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("the evidence of a review that carries something out: %v", err)
	}
	if _, err := client.CancelOperation.Call(ctx, as(t, srv, "olga"), client.OperationChange{OperationParams: client.OperationParams{Operation: string(carried)}}); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if err := s.CarryReviews(ctx); err != nil {
		t.Fatal(err)
	}
	if err := governorOf(s).TickReviews(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	ev, err := client.ShowEvidence.Call(ctx, bob, id)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := tenure.Canonical(ev.Document); err != nil || tenure.Digest(body) != ev.Digest {
		t.Errorf("as it travels, the evidence hashes to %s, want %s (%v)", tenure.Digest(body), ev.Digest, err)
	}
	for n, words := range ev.Texts {
		if _, err := tenure.Canonical(words); err != nil {
			t.Errorf("the words of item %s: %v", n, err)
		}
	}
}

// TestAgreementsOverTheAPI: an agreement of a tenant that one may not see is none.
func TestAgreementsOverTheAPI(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	op := active(t, s, srv, "acme")
	h := remote(t, srv)
	near := signedIn(t, s, h, "near", tenure.Operator, tenure.Scope{Tenants: []tenure.TenantID{op.Tenant}})
	far := signedIn(t, s, h, "far", tenure.Operator, tenure.Scope{Tiers: []string{"gold"}})
	reads := signedIn(t, s, h, "reads", tenure.Viewer, tenure.Scope{All: true})
	p := client.NewAgreementParams{Body: client.NewAgreement{Tenant: "acme", Kind: tenure.SharingAgreement, Parties: []string{"Parcel Post"}, Classes: []string{"orders"}, Purpose: "delivery", ExpiresAt: time.Now().Add(time.Hour)}}
	a, err := client.AddAgreement.Call(ctx, near, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := second(client.AddAgreement.Call(ctx, reads, p)); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("a viewer writes an agreement down: %v", err)
	}
	id := client.AgreementID{Agreement: string(a.ID)}
	end := client.EndAgreementParams{AgreementID: id, IfMatch: `"9"`}
	end.Body.Reason = "over"
	for what, err := range map[string]error{
		"add":    second(client.AddAgreement.Call(ctx, far, p)),
		"show":   second(client.ShowAgreement.Call(ctx, far, id)),
		"end":    second(client.EndAgreement.Call(ctx, far, end)),
		"filter": second(client.ListAgreements.Call(ctx, far, client.AgreementFilter{Tenant: "acme"})),
	} {
		if tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("who doesn't see the tenant: %s answers %v", what, err)
		}
	}
	if list, err := client.ListAgreements.Call(ctx, far, client.AgreementFilter{Ended: true}); err != nil || len(list.Items) != 0 {
		t.Errorf("who doesn't see the tenant lists %v, %v", list.Items, err)
	}
	if err := second(client.EndAgreement.Call(ctx, near, end)); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("an end of what has changed since it was read: %v", err)
	}
	end.IfMatch = `"1"`
	if got, err := client.EndAgreement.Call(ctx, near, end); err != nil || got.EndedBy != "near" {
		t.Errorf("ended, it is %+v, %v", got, err)
	}
}

// TestMoveOverTheAPI: planned by an admin, signed by an officer, and hidden from
// who neither reads nor approves access.
func TestMoveOverTheAPI(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	active(t, s, srv, "acme")
	h := remote(t, srv)
	all := tenure.Scope{All: true}
	signedIn(t, s, h, "dan", tenure.Viewer, all)
	ann, fay := strongly(t, s, h, "ann", tenure.Admin, all), strongly(t, s, h, "fay", tenure.Operator, all)
	p := client.NewMoveParams{}
	p.Body.Principal, p.Body.Reason, p.Body.To = "dan", "new desk", []tenure.MoveRole{{Role: tenure.Operator, Scope: all}}
	m, err := client.PlanMove.Call(ctx, ann, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Ends) != 1 || len(m.Begins) != 1 || len(m.Tenants) != 1 || m.Tenants[0].Name != "acme" {
		t.Errorf("the move is %+v", m)
	}
	d := client.DecideMoveParams{MoveID: client.MoveID{Move: m.Digest}}
	if err := second(client.ShowMove.Call(ctx, fay, d.MoveID)); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("an operator sees the move: %v", err)
	}
	for who, c := range map[string]*client.Client{"who asked": ann, "an operator": fay} {
		if err := second(client.ApproveMove.Call(ctx, c, d)); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("%s signs the move: %v", who, err)
		}
	}
	narrow := strongly(t, s, h, "eve", tenure.SecurityOfficer, tenure.Scope{Tiers: []string{"gold"}})
	if err := second(client.ApproveMove.Call(ctx, narrow, d)); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("who approves over one tier alone signs it: %v", err)
	}
	weak := signedIn(t, s, h, "gil", tenure.SecurityOfficer, all)
	if err := second(client.ApproveMove.Call(ctx, weak, d)); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("a weak sign-in signs it: %v", err)
	}
	bob := strongly(t, s, h, "bob", tenure.SecurityOfficer, all)
	if got, err := client.ApproveMove.Call(ctx, bob, d); err != nil || got.State != "done" || got.DecidedBy != "bob" {
		t.Errorf("signed, the move is %+v, %v", got, err)
	}
}
