package governance_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// furnish gives the desk a token of robot's, a delegation from bob to dan, a use of
// break-glass by dan, a standing approval of dan's and a system, and says what each
// was last used.
func (d *desk) furnish() (token tenure.TokenID) {
	d.t.Helper()
	ctx, now := context.Background(), d.Now()
	d.write(func(tx *store.Tx) error {
		return tx.SaveSystem(store.System{Name: "main", Connector: "memory", Fingerprint: "f", AddedBy: "cleo", AddedAt: now}, false)
	})
	made, _, err := d.NewToken(ctx, governance.Local("root"), "robot", store.Token{Name: "ci", ExpiresAt: now.AddDate(0, 1, 0)})
	d.must(err)
	d.write(func(tx *store.Tx) error { return tx.UseToken(made.ID, now.Add(time.Minute)) })
	_, err = d.Delegate(ctx, d.as("bob"), tenure.Delegation{To: "cleo", Scope: everywhere, Reason: "leave", StartsAt: now, EndsAt: now.AddDate(0, 1, 0)})
	d.must(err)
	dan := d.as("dan")
	_, _, err = d.BreakGlass(ctx, dan, governance.ElevationAsk{Role: tenure.Operator, Scope: tenure.Scope{Tiers: []string{"team"}}, Reason: "checkout is down"})
	d.must(err)
	rule := tenure.StandingRule{Name: "sign-ups", Trigger: "shop:", Blueprint: "small", MaxResources: 5, PerDay: 5, EndsAt: now.AddDate(0, 1, 0)}
	digest, err := rule.Digest()
	d.must(err)
	d.write(func(tx *store.Tx) error {
		return tx.SaveStanding(tenure.Standing{ID: tenure.NewID[tenure.StandingID](now), Rule: rule, Digest: digest, State: tenure.StandingProposed, ProposedBy: "dan", ProposedAt: now})
	})
	return made.ID
}

var newKinds = []tenure.ReviewKind{tenure.ReviewToken, tenure.ReviewDelegation, tenure.ReviewStanding, tenure.ReviewBreakGlass, tenure.ReviewCredential}

// TestReviewCoversMore: a review asks about tokens, delegations, standing approvals,
// uses of break-glass and systems' credentials too, with when each was last used, and
// what is revoked has ended.
func TestReviewCoversMore(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		token := d.furnish()
		cp, err := d.StartCampaign(ctx, d.as("ann"), tenure.Campaign{Name: "all", Covers: newKinds, Scope: everywhere, Reviewers: []string{"bob", "ann", "cleo"}, Silence: tenure.ReviewKeep, DueAt: d.Now().AddDate(0, 0, 14)})
		d.must(err)
		items, err := d.ReviewItems(ctx, store.ItemFilter{Campaign: cp.ID, Grants: true, Visible: store.All, Limit: 50})
		d.must(err)
		seen := map[tenure.ReviewKind]tenure.ReviewItem{}
		for _, it := range items {
			seen[it.Kind] = it
		}
		if len(items) != len(newKinds) || len(seen) != len(newKinds) {
			t.Fatalf("it asks about %+v", items)
		}
		if got := seen[tenure.ReviewToken]; got.Subject != string(token) || !got.LastUsed.Equal(d.Now().Add(time.Minute)) {
			t.Errorf("of the token it says %+v", got)
		}
		if got := seen[tenure.ReviewDelegation]; got.Reviewer != "ann" { // it concerns bob and cleo
			t.Errorf("the delegation's reviewer is %s", got.Reviewer)
		}
		if got := seen[tenure.ReviewBreakGlass]; got.LastUsed.IsZero() || !strings.Contains(got.Detail, "checkout is down") {
			t.Errorf("of the break-glass it says %+v", got)
		}
		for _, kind := range newKinds {
			it := seen[kind]
			_, err := d.DecideItems(ctx, d.as(it.Reviewer), cp.ID, []governance.Answer{{Item: it.Seq, Decision: tenure.ReviewChange, ChangeTo: &tenure.ReviewTo{Role: tenure.Viewer}, Reason: "less"}})
			if tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("less of a %s: %v", kind, err)
			}
			_, err = d.DecideItems(ctx, d.as(it.Reviewer), cp.ID, []governance.Answer{{Item: it.Seq, Decision: tenure.ReviewRevoke, Reason: "not needed"}})
			d.must(err)
		}
		tokens, err := d.db.Tokens(ctx, d.ids["robot"])
		d.must(err)
		standing, err := d.db.Delegations(ctx, "bob", false, d.Now())
		d.must(err)
		glass, err := d.db.Elevation(ctx, tenure.ElevationID(seen[tenure.ReviewBreakGlass].Subject))
		d.must(err)
		if len(tokens) > 0 || len(standing) > 0 || glass.State != tenure.ElevationRevoked || len(d.grants("dan")) != 1 {
			t.Errorf("after the decisions there are %d tokens, %d delegations, the break-glass is %s, and dan has %s", len(tokens), len(standing), glass.State, d.roles("dan"))
		}
		pending, err := d.db.PendingItems(ctx)
		d.must(err)
		for _, it := range pending { // lifecycle's to carry out
			if it.Kind != tenure.ReviewStanding && it.Kind != tenure.ReviewCredential {
				t.Errorf("%s %s isn't carried out", it.Kind, it.Subject)
			}
		}
		if len(pending) != 2 {
			t.Errorf("%d items wait for lifecycle, want the standing approval and the credential", len(pending))
		}
	})
}

// TestReassign: an item that waits can be given to another reviewer, by its reviewer
// or who manages reviews, for a reason, and never to whom it concerns.
func TestReassign(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish()
		d.hire("eve", tenure.SecurityOfficer, everywhere)
		d.hire("aud", tenure.Auditor, everywhere)
		cp, err := d.StartCampaign(ctx, d.as("ann"), tenure.Campaign{Name: "all", Covers: []tenure.ReviewKind{tenure.ReviewDelegation}, Scope: everywhere, Reviewers: []string{"ann"}, Silence: tenure.ReviewKeep, DueAt: d.Now().AddDate(0, 0, 14)})
		d.must(err)
		give := func(by, to, why string) error {
			_, err := d.ReassignItems(ctx, d.as(by), cp.ID, []int{1}, to, why)
			return err
		}
		for what, c := range map[string]struct {
			by, to, why string
			code        tenure.Code
		}{
			"to its holder":             {"ann", "cleo", "leave", tenure.Forbidden},
			"to who gave it":            {"ann", "bob", "leave", tenure.Forbidden},
			"to the same":               {"ann", "ann", "leave", tenure.Conflict},
			"without a reason":          {"ann", "eve", " ", tenure.Invalid},
			"to a machine":              {"ann", "robot", "leave", tenure.Invalid},
			"to nobody known":           {"ann", "zoe", "leave", tenure.Invalid},
			"to who sees a part":        {"ann", "dan", "leave", tenure.Invalid},
			"by who has no part in it":  {"dan", "eve", "leave", tenure.NotFound},
			"by who may read it, alone": {"aud", "eve", "mine", tenure.Forbidden},
		} {
			if err := give(c.by, c.to, c.why); tenure.CodeOf(err) != c.code {
				t.Errorf("%s: %v (%s), want %s", what, err, tenure.CodeOf(err), c.code)
			}
		}
		d.must(give("ann", "eve", "ann is on leave"))
		if _, err := d.DecideItems(ctx, d.as("ann"), cp.ID, []governance.Answer{{Item: 1, Decision: tenure.ReviewKeep}}); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("who gave it away answers it: %v", err)
		}
		_, err = d.DecideItems(ctx, d.as("eve"), cp.ID, []governance.Answer{{Item: 1, Decision: tenure.ReviewKeep}})
		d.must(err)
		if err := give("ann", "ann", "again"); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("an answered item is given away: %v", err)
		}
		items, err := d.ReviewItems(ctx, store.ItemFilter{Campaign: cp.ID, Grants: true, Visible: store.All, Limit: 5})
		d.must(err)
		if it := items[0]; it.Reviewer != "eve" || it.Assigned != "ann" || it.AssignWhy != "ann is on leave" {
			t.Errorf("the item says %+v", it)
		}
	})
}

// TestReviewersByOwner: items go to whom the tenant's label names, or who gave what it
// is about, unless it concerns them or they may not review it.
func TestReviewersByOwner(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish() // the system was added by cleo
		d.write(func(tx *store.Tx) error {
			return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](d.Now()), Principal: d.ids["bob"], Role: tenure.Viewer, Scope: everywhere, By: "bob", At: d.Now()})
		})
		cp, err := d.StartCampaign(ctx, d.as("ann"), tenure.Campaign{Name: "all", Covers: []tenure.ReviewKind{tenure.ReviewCredential, tenure.ReviewGrant}, Scope: everywhere, Reviewers: []string{"ann", "bob"}, ByOwner: true, Silence: tenure.ReviewKeep, DueAt: d.Now().AddDate(0, 0, 14)})
		d.must(err)
		items, err := d.ReviewItems(ctx, store.ItemFilter{Campaign: cp.ID, Grants: true, Visible: store.All, Limit: 50})
		d.must(err)
		for _, it := range items {
			switch {
			case it.Concerns(it.Reviewer):
				t.Errorf("%s reviews their own %s", it.Reviewer, it.Kind)
			case it.Kind == tenure.ReviewCredential && it.Reviewer != "cleo":
				t.Errorf("the credential's reviewer is %s, want who added the system", it.Reviewer)
			}
		}
		if !slices.Contains(cp.Reviewers, "cleo") {
			t.Errorf("the reviewers are %v", cp.Reviewers)
		}
		if _, _, err := d.Campaign(ctx, d.as("cleo"), cp.ID); err != nil {
			t.Errorf("the owner can't see the review: %v", err)
		}
	})
}

// TestScheduledReview: a schedule opens its review by itself, once for each date,
// whatever restarts and however many processes there are; what can't be opened is told
// once.
func TestScheduledReview(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		start := d.Now()
		entries := func(_ context.Context, kind, by string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
			return audit.Entry{Format: audit.Format, At: d.Now(), Kind: kind, Tenant: tenant, Operation: op, Subject: subject, Data: audit.Facts(facts)}, nil
		}
		s := governance.Schedule{Name: "quarterly", Every: period(t, "P3M"), From: start.Add(24 * time.Hour), Lasts: period(t, "P14D"), Covers: []tenure.ReviewKind{tenure.ReviewGrant}, Scope: tenure.Scope{Tiers: []string{"team"}}, Reviewers: []string{"bob"}, Silence: tenure.ReviewKeep}
		d.must(s.Check())
		process := func() *governance.Governor {
			return governance.New(governance.Options{DB: d.db, Now: d.Now, Entry: entries, Schedules: []governance.Schedule{s}})
		}
		campaigns := func() []tenure.Campaign {
			list, err := d.db.Campaigns(ctx, "", 100)
			d.must(err)
			return list
		}
		d.must(process().TickReviews(ctx, d.Now()))
		if n := len(campaigns()); n != 0 {
			t.Fatalf("%d are open before the first date", n)
		}
		for i, after := range []time.Duration{25 * time.Hour, 93 * 24 * time.Hour, 300 * 24 * time.Hour} { // the last leaves two dates out
			d.clock.Store(start.Add(after).UnixMicro())
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() {
					g := process()
					for range 3 {
						if err := g.TickReviews(ctx, d.Now()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			list := campaigns()
			if len(list) != i+1 || list[0].Schedule != "quarterly" || list[0].State != tenure.CampaignOpen || !list[0].DueAt.Equal(d.Now().AddDate(0, 0, 14)) {
				t.Fatalf("after %s there are %+v", after, list)
			}
		}
		s.Name, s.Reviewers = "nobody's", []string{"zoe"}
		for range 3 {
			g := process()
			d.must(g.TickReviews(ctx, d.Now()))
			d.must(g.TickReviews(ctx, d.Now()))
			d.pass(2 * time.Hour)
		}
		notices, err := d.db.Notices(ctx, "")
		d.must(err)
		told := slices.DeleteFunc(notices, func(n store.Notice) bool { return !strings.Contains(n.Body, "nobody's") })
		if len(told) != 1 || len(campaigns()) != 3 {
			t.Errorf("what can't be opened is told %d times, and there are %d reviews", len(told), len(campaigns()))
		}
	})
}

func TestScheduleCheck(t *testing.T) {
	t.Parallel()
	good := governance.Schedule{Name: "q", Every: period(t, "P3M"), From: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Lasts: period(t, "P14D"), Covers: newKinds, Scope: everywhere, Reviewers: []string{"bob"}, Silence: tenure.ReviewKeep}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*governance.Schedule){
		"no name": func(s *governance.Schedule) { s.Name = " " }, "no period": func(s *governance.Schedule) { s.Every = tenure.Period{} }, "an hour": func(s *governance.Schedule) { s.Every = period(t, "PT1H") },
		"no end": func(s *governance.Schedule) { s.Lasts = tenure.Period{} }, "longer than its period": func(s *governance.Schedule) { s.Lasts = period(t, "P4M") }, "no first": func(s *governance.Schedule) { s.From = time.Time{} },
		"nobody": func(s *governance.Schedule) { s.Reviewers = nil }, "nothing": func(s *governance.Schedule) { s.Covers = nil }, "nowhere": func(s *governance.Schedule) { s.Scope = tenure.Scope{} }, "an unknown kind": func(s *governance.Schedule) { s.Covers = []tenure.ReviewKind{"car"} },
	} {
		s := good
		spoil(&s)
		if err := s.Check(); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func period(t *testing.T, text string) tenure.Period {
	t.Helper()
	p, err := tenure.ParsePeriod(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
