package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// Who came by break-glass alone may see and suspend, and is refused whatever sets
// a destroying plan off: as an intent, as a stored plan, and by carrying one on.
func TestBreakGlassDestroysNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	op := onboarding(t, olga, rita, "acme")
	settle(t, s)
	if _, err := client.ApproveOperation.Call(ctx, rita, approval(op)); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	h := remote(t, srv)
	own := signedIn(t, s, h, "own", tenure.Operator, tenure.Scope{All: true})
	glass := signedIn(t, s, h, "glass", tenure.Viewer, tenure.Scope{All: true})
	p, err := s.Engine.DB.Principal(ctx, "glass")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Engine.DB.Write(ctx, func(tx *store.Tx) error {
		now := s.Now()
		return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](now), Principal: p.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, By: "glass", At: now, ExpiresAt: now.Add(time.Hour), BreakGlass: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c *client.Client, kind tenure.OperationKind, plan string) (client.Operation, error) {
		var in client.OperationRequest
		in.Body.Intent, in.Body.Plan = client.Intent{Kind: kind, Tenant: "acme", Reason: "test"}, plan
		if plan != "" {
			in.Body.Intent = client.Intent{}
		}
		return client.RequestOperation.Call(ctx, c, in)
	}
	wants := func(what string, err error, code tenure.Code) {
		t.Helper()
		if tenure.CodeOf(err) != code {
			t.Errorf("%s: %v (%s), want %s", what, err, tenure.CodeOf(err), code)
		}
	}
	_, err = ask(glass, tenure.Offboard, "")
	wants("an offboarding by break-glass", err, tenure.Forbidden)
	plan, err := client.MakePlan.Call(ctx, own, client.PlanIntent{Body: client.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ask(glass, "", plan.Digest)
	wants("a stored offboarding by break-glass", err, tenure.Forbidden)
	asked := tenure.LeaveRequest{ID: tenure.NewID[tenure.LeaveID](s.Now()), Tenant: op.Tenant, Requester: "bo@acme.example", AskedAt: s.Now(), VerifiedAt: s.Now(), ExpiresAt: s.Now().Add(time.Hour), State: tenure.LeaveWaiting}
	if err := s.Engine.DB.Write(ctx, func(tx *store.Tx) error { return tx.SaveLeaveRequest(asked, time.Time{}) }); err != nil {
		t.Fatal(err)
	}
	_, err = client.ConfirmLeave.Call(ctx, glass, client.LeaveParams{Leave: string(asked.ID)})
	wants("a customer's request to leave confirmed by break-glass", err, tenure.Forbidden)
	_, err = client.ConfirmLeave.Call(ctx, own, client.LeaveParams{Leave: string(asked.ID)})
	wants("the same by an operator", err, "")
	leaving, err := ask(own, "", plan.Digest)
	wants("the same by an operator", err, "")
	var change client.OperationChange
	change.Operation = string(leaving.ID)
	_, err = client.ContinueOperation.Call(ctx, glass, change)
	wants("carrying it on by break-glass", err, tenure.Forbidden)
	var retry client.RetryParams
	retry.Operation = string(leaving.ID)
	_, err = client.RetryOperation.Call(ctx, glass, retry)
	wants("retrying it by break-glass", err, tenure.Forbidden)
	var task client.TaskParams
	task.Operation = string(leaving.ID)
	_, err = client.FinishTask.Call(ctx, glass, task)
	wants("a task of it by break-glass", err, tenure.Forbidden)
	_, err = client.ApproveOperation.Call(ctx, glass, approval(leaving))
	wants("an approval by break-glass", err, tenure.Forbidden)
	_, err = client.CancelOperation.Call(ctx, glass, change)
	wants("cancelling it by break-glass", err, "")
	settle(t, s)
	_, err = ask(glass, tenure.Suspend, "")
	wants("a suspension by break-glass", err, "")
}

func approval(op client.Operation) client.GateParams {
	var p client.GateParams
	p.Operation, p.Body.Digest = string(op.ID), op.Plan
	return p
}

// TestElevationOverHTTP goes the whole way over the network's handler.
func TestElevationOverHTTP(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	h := remote(t, srv)
	all := tenure.Scope{All: true}
	ada, aud := signedIn(t, s, h, "ada", tenure.Operator, all), signedIn(t, s, h, "aud", tenure.Auditor, all)
	far := signedIn(t, s, h, "far", tenure.Operator, tenure.Scope{Tiers: []string{"gold"}})
	e, err := client.RequestElevation.Call(ctx, ada, client.ElevationParams{Body: client.NewElevation{Role: tenure.SecurityOfficer, Scope: all, Reason: "an audit", Duration: "PT1H"}})
	if err != nil {
		t.Fatal(err)
	}
	id := client.ElevationID{Elevation: string(e.ID)}
	sign := client.ElevationApproval{ElevationID: id}
	sign.Body.Digest = e.Digest
	for who, c := range map[string]*client.Client{"the requester": ada, "an auditor": aud} {
		if _, err := client.ApproveElevation.Call(ctx, c, sign); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("%s approves: %v", who, err)
		}
	}
	if _, err := client.ShowElevation.Call(ctx, far, id); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("who sees a tier alone is shown what is over all: %v", err)
	}
	if list, err := client.ListElevations.Call(ctx, far, client.ElevationFilter{}); err != nil || len(list.Items) != 0 {
		t.Errorf("their list: %+v, %v", list, err)
	}
	if _, err := client.ApproveElevation.Call(ctx, as(t, srv, "bo"), sign); err != nil {
		t.Fatal(err)
	}
	if got, err := client.ShowMe.Call(ctx, ada, client.None{}); err != nil || len(got.Grants) != 1 {
		t.Errorf("before the claim ada has %+v (%v)", got.Grants, err)
	}
	claimed, err := client.ClaimElevation.Call(ctx, ada, id)
	if err != nil || claimed.State != tenure.ElevationActive || claimed.Secret != "" {
		t.Fatalf("claimed: %+v, %v", claimed, err)
	}
	if _, err := client.ReadLog.Call(ctx, ada, client.LogFilter{}); err != nil {
		t.Errorf("the role doesn't open the log: %v", err)
	}
	if _, err := client.RevokeElevation.Call(ctx, ada, client.ElevationReason{ElevationID: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadLog.Call(ctx, ada, client.LogFilter{}); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("at the next request after the revocation: %v", err)
	}
	list, err := client.ListElevations.Call(ctx, aud, client.ElevationFilter{State: tenure.ElevationRevoked})
	if err != nil || len(list.Items) != 1 || list.Items[0].EndedBy != "ada" {
		t.Errorf("the auditor's list: %+v, %v", list, err)
	}
}

// TestDoneUnderBreakGlass: who reviews a break-glass sees what was done while it
// lasted, and nothing of others or of afterwards; who may not review sees nothing.
func TestDoneUnderBreakGlass(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	h := remote(t, srv)
	all := tenure.Scope{All: true}
	ada, sue := signedIn(t, s, h, "ada", tenure.Operator, all), signedIn(t, s, h, "sue", tenure.SecurityOfficer, all)
	onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "first")
	onboarding(t, ada, as(t, srv, "rita"), "before")
	e, err := client.BreakGlass.Call(ctx, as(t, srv, "ada"), client.BreakGlassParams{Body: client.NewBreakGlass{Role: tenure.Operator, Scope: all, Reason: "checkout is down"}})
	if err != nil {
		t.Fatal(err)
	}
	id := client.ElevationID{Elevation: string(e.ID)}
	done := onboarding(t, ada, as(t, srv, "rita"), "during")
	onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "others")
	var review client.BreakGlassReview
	review.ElevationID, review.Body.Note = id, "was needed"
	if _, err := client.ReviewBreakGlass.Call(ctx, sue, review); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a review while it lasts: %v", err)
	}
	if _, err := client.RevokeElevation.Call(ctx, ada, client.ElevationReason{ElevationID: id}); err != nil {
		t.Fatal(err)
	}
	onboarding(t, ada, as(t, srv, "rita"), "after")
	did, err := client.ElevationLog.Call(ctx, sue, client.ElevationEntries{ElevationID: id})
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for _, l := range did.Items {
		if l.By != "ada" {
			t.Errorf("it shows %+v", l)
		}
		if l.Kind == "operation.start" {
			started++
			if l.Operation != string(done.ID) {
				t.Errorf("it shows %s, which wasn't done under it", l.Operation)
			}
		}
	}
	if started != 1 || did.More {
		t.Errorf("what was done under it is %+v", did)
	}
	if _, err := client.ElevationLog.Call(ctx, ada, client.ElevationEntries{ElevationID: id}); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("its holder, who may not review, reads: %v", err)
	}
	if _, err := client.ReviewBreakGlass.Call(ctx, sue, review); err != nil {
		t.Error(err)
	}
}
