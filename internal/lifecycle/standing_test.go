package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// rule is a standing approval's rule for the shop's sign-ups.
func (s *site) rule() tenure.StandingRule {
	return tenure.StandingRule{
		Name: "sign-ups", Trigger: "shop:", Source: "shop", Blueprint: "small", Tiers: []string{"team"}, MaxResources: 20, PerDay: 2,
		EndsAt: s.Now().Add(30 * day),
	}
}

// stand has a rule proposed and reviewed.
func (s *site) stand(rule tenure.StandingRule) tenure.Standing {
	s.t.Helper()
	ctx := context.Background()
	st, err := s.ProposeStanding(ctx, everywhere("proposer", tenure.Operator), rule)
	s.must(err)
	for _, by := range []string{"first", "second"} {
		st, err = s.ReviewStanding(ctx, everywhere(by, tenure.Approver), st.ID, st.Digest)
		s.must(err)
	}
	return st
}

// signUp is what the shop asks for, by a trigger's key.
func (s *site) signUp(name, trigger, by string) *lifecycle.OperationView {
	s.t.Helper()
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}, Trigger: trigger}, by)
	return s.view(op)
}

func TestStandingApprovalTakesTwoOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SavePrincipal(store.Principal{ID: tenure.NewID[tenure.PrincipalID](s.Now()), Name: "keeper", Kind: tenure.CallerPerson, CreatedAt: s.Now()}); err != nil {
			return err
		}
		return tx.SavePrincipal(store.Principal{ID: tenure.NewID[tenure.PrincipalID](s.Now()), Name: "shop", Kind: tenure.CallerMachine, Owner: "keeper", CreatedAt: s.Now()})
	}))
	propose := func(c tenure.Caller, rule tenure.StandingRule) error {
		_, err := s.ProposeStanding(ctx, c, rule)
		return err
	}
	narrow := over(tenure.Scope{Tiers: []string{"team"}}, "narrow", tenure.Operator)
	wide := s.rule()
	wide.Tiers = nil
	wantCode(t, propose(narrow, wide), tenure.Forbidden, "more tenants")
	wantCode(t, propose(everywhere("viewer", tenure.Viewer), s.rule()), tenure.Forbidden)
	year := s.rule()
	year.EndsAt = s.Now().Add(400 * day)
	wantCode(t, propose(narrow, year), tenure.Invalid, "a year")
	nowhere := s.rule()
	nowhere.Blueprint = "smal"
	wantCode(t, propose(narrow, nowhere), tenure.NotFound)

	st, err := s.ProposeStanding(ctx, everywhere("proposer", tenure.Operator, tenure.Approver), s.rule())
	s.must(err)
	review := func(c tenure.Caller, digest string) error {
		_, err := s.ReviewStanding(ctx, c, st.ID, digest)
		return err
	}
	wantCode(t, review(everywhere("proposer", tenure.Approver), st.Digest), tenure.Forbidden, "proposed it")
	wantCode(t, review(everywhere("keeper", tenure.Approver), st.Digest), tenure.Forbidden, "answers for")
	wantCode(t, review(everywhere("first", tenure.Operator), st.Digest), tenure.Forbidden)
	wantCode(t, review(over(tenure.Scope{Tiers: []string{"gold"}}, "first", tenure.Approver), st.Digest), tenure.Forbidden)
	wantCode(t, review(everywhere("first", tenure.Approver), "sha256:"+strings.Repeat("0", 64)), tenure.Conflict, "this one is")
	s.must(review(everywhere("first", tenure.Approver), st.Digest))
	wantCode(t, review(everywhere("first", tenure.Approver), st.Digest), tenure.Conflict, "already")
	if v := s.signUp("early", "shop:0", "shop"); v.State != tenure.OperationWaiting {
		t.Fatalf("started after one review: %s", v.State)
	}
	s.must(review(over(tenure.Scope{Tiers: []string{"team"}}, "second", tenure.SecurityOfficer), st.Digest))
	wantCode(t, review(everywhere("third", tenure.Approver), st.Digest), tenure.Conflict, "active")
	if v := s.signUp("acme", "shop:1", "shop"); v.State != tenure.OperationSucceeded {
		t.Fatalf("not started: %s %s", v.State, v.Reason)
	}
	s.audited()
}

func TestStandingApprovalStartsWhatItIsForWithinItsBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	st := s.stand(s.rule())
	v := s.signUp("one", "shop:1", "shop")
	if v.State != tenure.OperationSucceeded {
		t.Fatalf("in budget: %s %s\n%s", v.State, v.Reason, s.show(v.ID))
	}
	if len(v.Approvals) != 1 || v.Approvals[0].By != tenure.StandingSigner+string(st.ID) {
		t.Errorf("the approvals are %+v", v.Approvals)
	}
	for name, c := range map[string]struct{ trigger, by string }{
		"other-trigger": {"ticket:1", "shop"}, "no-trigger": {"", "shop"}, "other-source": {"shop:9", "operator"}, "reviewer": {"shop:10", "first"},
	} {
		if v := s.signUp(name, c.trigger, c.by); v.State != tenure.OperationWaiting {
			t.Errorf("%s: %s with nobody's word", name, v.State)
		}
	}
	if v := s.signUp("two", "shop:2", "shop"); v.State != tenure.OperationSucceeded {
		t.Errorf("the second: %s", v.State)
	}
	third := s.signUp("three", "shop:3", "shop")
	if third.State != tenure.OperationWaiting {
		t.Errorf("over budget: %s", third.State)
	}
	s.approve(third.ID, "reviewer") // hands do
	s.wantState(third.ID, tenure.OperationSucceeded)
	s.pass(day + time.Second)
	if v := s.signUp("four", "shop:4", "shop"); v.State != tenure.OperationSucceeded {
		t.Errorf("a day later: %s", v.State)
	}
	// It never covers what isn't an onboarding, whoever asks by whatever trigger.
	off := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "one", Reason: "lapsed", Trigger: "shop:5"}, "shop")
	s.wantState(off, tenure.OperationWaiting)
	if _, err := s.EndStanding(ctx, everywhere("anyone", tenure.Approver), st.ID); err != nil {
		t.Fatal(err)
	}
	s.pass(2 * day)
	if v := s.signUp("five", "shop:6", "shop"); v.State != tenure.OperationWaiting {
		t.Errorf("after its end: %s", v.State)
	}
	s.audited()
}

// Who writes into the store can't make more of a rule than its reviewers signed.
func TestForgedReviewsOfAStandingApprovalStartNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSite(t, nil)
	st, err := s.ProposeStanding(ctx, everywhere("proposer", tenure.Operator, tenure.Approver), s.rule())
	s.must(err)
	s.behind(`update standing set state = 'active' where id = ?`, string(st.ID))
	if v := s.signUp("one", "shop:1", "shop"); v.State != tenure.OperationWaiting {
		t.Errorf("the operation is %s", v.State)
	}
	_, err = s.ReviewStanding(ctx, everywhere("first", tenure.Approver), st.ID, st.Digest)
	wantCode(t, err, tenure.Blocked, "standing std_")
}

func TestForgedPublicationPlansNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSite(t, nil)
	b, err := s.SubmitBlueprint(ctx, []byte(sideText), "side.yaml", "author")
	s.must(err)
	s.behind(`update blueprint set published_by = 'reviewer', published_at = created_at + 1 where digest = ?`, b.Digest)
	_, err = s.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "side"}, "operator")
	wantCode(t, err, tenure.Blocked, "blueprint sha256:")
}

func TestChangedStandingApprovalStartsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	st := s.stand(s.rule())
	s.tamper(`update standing set rule = replace(rule, '"perDay":2', '"perDay":2000') where id = '` + string(st.ID) + `'`)
	got, err := s.Standing(ctx, st.ID)
	s.must(err)
	if got.Rule.PerDay != 2000 {
		t.Fatal("the test changed nothing")
	}
	if v := s.signUp("one", "shop:1", "shop"); v.State != tenure.OperationWaiting {
		t.Errorf("started under a rule that nobody signed: %s", v.State)
	}
}

// A gate that asks for legal isn't opened by two approvers' standing approval, and
// is by one that legal reviewed too.
func TestStandingApprovalIsWorthItsReviewers(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) {
		o.Approvals = []tenure.ApprovalRule{{Name: "legal", From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}}}
	})
	ctx := context.Background()
	s.stand(s.rule())
	if v := s.signUp("one", "shop:1", "shop"); v.State != tenure.OperationWaiting {
		t.Fatalf("without legal: %s", v.State)
	}
	st, err := s.ProposeStanding(ctx, everywhere("proposer", tenure.Operator), s.rule())
	s.must(err)
	counsel := everywhere("counsel", tenure.Legal, tenure.Approver)
	for _, c := range []tenure.Caller{counsel, everywhere("second", tenure.Approver)} {
		_, err = s.ReviewStanding(ctx, c, st.ID, st.Digest)
		s.must(err)
	}
	if v := s.signUp("two", "shop:2", "shop"); v.State != tenure.OperationSucceeded {
		t.Errorf("with legal: %s %s", v.State, v.Reason)
	}
}

func TestWhatWasStartedWithNoHandsIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	st := s.stand(s.rule())
	one := s.signUp("one", "shop:1", "shop")
	s.clock.Add(time.Second.Microseconds())
	two := s.signUp("two", "shop:2", "shop")
	list := func(unseen bool, v store.Visible) (out []tenure.OperationID) {
		found, err := s.StandingStarts(ctx, store.StartFilter{Standing: st.ID, Unseen: unseen, Limit: 10, Visible: v})
		s.must(err)
		for _, f := range found {
			out = append(out, f.Operation)
		}
		return out
	}
	if got := list(true, store.All); !slices.Equal(got, []tenure.OperationID{one.ID, two.ID}) {
		t.Fatalf("started: %v", got)
	}
	only := store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{two.Tenant}}, Limit: tenure.Scope{All: true}}
	if got := list(true, only); !slices.Equal(got, []tenure.OperationID{two.ID}) {
		t.Errorf("who sees two alone is shown %v", got)
	}
	_, err := s.SeeStandingStart(ctx, everywhere("shop", tenure.Approver), one.ID)
	wantCode(t, err, tenure.Forbidden, "another person")
	_, err = s.SeeStandingStart(ctx, over(tenure.Scope{Tiers: []string{"gold"}}, "stranger", tenure.Approver), one.ID)
	wantCode(t, err, tenure.NotFound)
	_, err = s.SeeStandingStart(ctx, everywhere("reviewer", tenure.Approver), one.ID)
	s.must(err)
	s.pass(6 * day)
	s.tick()
	findings := func() (out []string) {
		found, err := s.Findings(ctx, "", false)
		s.must(err)
		for _, f := range found {
			if f.Kind == tenure.FindingUnseenStart {
				out = append(out, string(f.Tenant))
			}
		}
		return out
	}
	if got := findings(); len(got) > 0 {
		t.Fatalf("findings after six days: %v", got)
	}
	s.pass(2 * day)
	for range 2 {
		s.tick()
	}
	if got := findings(); !slices.Equal(got, []string{string(two.Tenant)}) {
		t.Fatalf("findings after eight days: %v, want %v's", got, two.Tenant)
	}
	_, err = s.SeeStandingStart(ctx, everywhere("reviewer", tenure.Approver), two.ID)
	s.must(err)
	if got := findings(); len(got) > 0 || len(list(true, store.All)) > 0 {
		t.Errorf("findings after both were looked at: %v", got)
	}
	s.pass(40 * day)
	s.tick()
	got, err := s.Standing(ctx, st.ID)
	s.must(err)
	if got.State != tenure.StandingEnded || got.EndedBy != "" {
		t.Errorf("past its end it is %s by %q", got.State, got.EndedBy)
	}
	s.audited()
}

// Nobody signs as a standing approval.
func TestNoPersonIsAStandingApproval(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op, plan := s.ask("acme", "operator")
	_, err := s.Approve(context.Background(), op, "", plan, tenure.StandingSigner+"std_x", "")
	wantCode(t, err, tenure.Invalid, "standing approval's")
	// And a row that says so opens no gate of a plan that destroys.
	s.onboard("beta")
	off := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "beta", Reason: "r"}, "operator")
	s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
		if err := tx.Approve(tenure.Approval{Operation: off, Step: "approve", Digest: s.view(off).Plan, By: tenure.StandingSigner + "std_x", At: s.Now()}); err != nil {
			return err
		}
		return tx.Poke(off, s.Now())
	}))
	s.settle()
	s.wantState(off, tenure.OperationWaiting)
}

func TestInboxHoldsWhatWaitsForEachPersonsWord(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	other := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "beta", Blueprint: "small", Labels: map[string]string{"region": "us"}, Parameters: map[string]any{"login": "a"}}, "operator")
	_, err := s.ApproveAs(ctx, everywhere("approver", tenure.Approver), op, "", plan, "")
	s.must(err)
	s.settle()
	_, err = s.SubmitBlueprint(ctx, []byte(sideText), "side.yaml", "author")
	s.must(err)
	hold, err := s.PlaceHold(ctx, tenure.Hold{Matter: "4 O 12/26", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant}}, "counsel")
	s.must(err)
	_, err = s.ReleaseHold(ctx, hold.ID, "counsel")
	s.must(err)
	_, err = s.ProposeStanding(ctx, everywhere("operator", tenure.Operator), s.rule())
	s.must(err)
	s.AddInbox(func(_ context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
		if !c.May(tenure.ElevationApprove) {
			return nil, nil
		}
		return []lifecycle.InboxItem{{Kind: "elevation", ID: "elv_x", OpenedAt: s.Now()}}, nil
	})
	eu := tenure.Scope{Labels: []string{"region=eu"}}
	a, b := "approval "+string(op), "approval "+string(other)
	standing := "standing"
	for _, c := range []struct {
		who  tenure.Caller
		want []string
	}{
		{everywhere("operator", tenure.Operator, tenure.Approver), []string{"elevation elv_x"}}, // asked for all of it
		{everywhere("approver", tenure.Approver), []string{b, "elevation elv_x", standing}},     // has signed the one
		{everywhere("second", tenure.Approver), []string{b, "elevation elv_x", standing}},       // the one needs legal
		{over(eu, "lawyer", tenure.Legal), []string{a, "hold " + string(hold.ID)}},              // sees the one alone
		{everywhere("counsel", tenure.Legal), []string{a, b}},                                   // asked for the release
		{everywhere("officer", tenure.SecurityOfficer), []string{b, "blueprint side@" + "1.0", "elevation elv_x", standing}},
		{everywhere("author", tenure.BlueprintAuthor), nil},
		{everywhere("viewer", tenure.Viewer), nil},
	} {
		items, next, err := s.Inbox(ctx, c.who, "", 0)
		s.must(err)
		var got []string
		for _, i := range items {
			line := i.Kind + " " + i.ID
			if i.Kind == "standing" {
				line = i.Kind
			}
			got = append(got, line)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) || next != "" {
			t.Errorf("%s: %q, want %q", c.who.Name, got, c.want)
		}
		n, more, err := s.InboxCount(ctx, c.who)
		s.must(err)
		if n != len(c.want) || more {
			t.Errorf("%s: %d are counted, want %d", c.who.Name, n, len(c.want))
		}
	}
	items, _, err := s.Inbox(ctx, over(eu, "lawyer", tenure.Legal), "", 0)
	s.must(err)
	i := items[slices.IndexFunc(items, func(i lifecycle.InboxItem) bool { return i.Kind == "approval" })]
	if i.Digest != plan || i.TenantName != "acme" || i.Need != 2 || i.Have != 1 || i.Missing != "1 of legal" || i.Resources == 0 || i.Destructive != 0 || i.ExpiresAt.IsZero() || !strings.Contains(i.Summary, "onboard acme") {
		t.Errorf("the item is %+v", i)
	}
}

func TestInboxPagesHoldEachItemOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	for i := range 7 {
		s.ask(fmt.Sprint("t", i), "operator")
		if i%3 == 0 {
			s.clock.Add(time.Second.Microseconds())
		}
	}
	who := everywhere("reviewer", tenure.Approver)
	seen := make(map[string]int)
	cursor := ""
	for pages := 1; ; pages++ {
		items, next, err := s.Inbox(ctx, who, cursor, 2)
		s.must(err)
		for _, i := range items {
			seen[i.ID]++
		}
		if pages == 2 { // one that comes meanwhile shifts nothing
			s.clock.Add(time.Second.Microseconds())
			s.ask("late", "operator")
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d items, want 8", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	_, _, err := s.Inbox(ctx, who, "!", 2)
	wantCode(t, err, tenure.Invalid)
}

// A step that failed is left out by a second person's word, which waits in their
// inbox.
func TestInboxHoldsExceptions(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op, _ := s.ask("acme", "operator")
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		return tx.AskException(store.Exception{Operation: op, Step: "prod/store/ensure", Reason: "r", RequestedBy: "operator", RequestedAt: s.Now()})
	}))
	for name, want := range map[string]int{"operator": 0, "reviewer": 1} {
		items, _, err := s.Inbox(ctx, everywhere(name, tenure.Approver), "", 0)
		s.must(err)
		n := len(slices.DeleteFunc(items, func(i lifecycle.InboxItem) bool { return i.Kind != "exception" }))
		if n != want {
			t.Errorf("%s has %d exceptions to attest, want %d", name, n, want)
		}
	}
}
