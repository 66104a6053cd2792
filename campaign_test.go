package tenure_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

var reviewDay = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func refusedWith(t *testing.T, err error, code tenure.Code, word string) {
	t.Helper()
	if tenure.CodeOf(err) != code || code != "" && !strings.Contains(err.Error(), word) {
		t.Errorf("got %v (%s), want %s that says %q", err, tenure.CodeOf(err), code, word)
	}
}

// Whoever is named, nobody is given an item of their own or of a machine they
// answer for; and if everybody who may see one is concerned, nothing starts.
func TestAssignReviewersNeverOwn(t *testing.T) {
	t.Parallel()
	people := []string{"ann", "bob", "cleo", "dan"}
	rapid.Check(t, func(t *rapid.T) {
		reviewers := rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 4, rapid.ID).Draw(t, "reviewers")
		blind := rapid.SampledFrom(append([]string{""}, people...)).Draw(t, "who sees nothing")
		var items []tenure.ReviewItem
		possible := true
		for i := range rapid.IntRange(1, 20).Draw(t, "items") {
			it := tenure.ReviewItem{Seq: i + 1, Holder: rapid.SampledFrom(people).Draw(t, "holder")}
			if rapid.Bool().Draw(t, "machine") {
				it.Holder, it.Owner = fmt.Sprint("robot-", i), it.Holder
			}
			items = append(items, it)
			possible = possible && slices.ContainsFunc(reviewers, func(r string) bool { return r != blind && r != it.Holder && r != it.Owner })
		}
		err := tenure.AssignReviewers(items, reviewers, nobody, func(_ tenure.ReviewItem, r string) bool { return r != blind })
		if possible != (err == nil) {
			t.Fatalf("somebody can review each: %v, and the answer is %v", possible, err)
		}
		if err != nil {
			return
		}
		for _, it := range items {
			if it.Concerns(it.Reviewer) || it.Reviewer == blind || !slices.Contains(reviewers, it.Reviewer) {
				t.Fatalf("%s was given %+v", it.Reviewer, it)
			}
		}
	})
}

// Work is shared out: one of two reviewers doesn't get it all.
func TestAssignReviewersShares(t *testing.T) {
	t.Parallel()
	items := make([]tenure.ReviewItem, 10)
	if err := tenure.AssignReviewers(items, []string{"ann", "bob"}, nobody, func(tenure.ReviewItem, string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, it := range items {
		got[it.Reviewer]++
	}
	if diff := cmp.Diff(map[string]int{"ann": 5, "bob": 5}, got); diff != "" {
		t.Errorf("items by reviewer (-want +got):\n%s", diff)
	}
}

func TestCheckDecision(t *testing.T) {
	t.Parallel()
	open := tenure.Campaign{Name: "spring", State: tenure.CampaignOpen, DueAt: reviewDay.AddDate(0, 0, 14)}
	item := tenure.ReviewItem{Seq: 1, Holder: "robot", Owner: "ann", Reviewer: "bob"}
	keep := tenure.ReviewItem{Decision: tenure.ReviewKeep, DecidedBy: "bob", DecidedAt: reviewDay}
	with := func(base tenure.ReviewItem, change func(*tenure.ReviewItem)) tenure.ReviewItem {
		change(&base)
		return base
	}
	for _, c := range []struct {
		name     string
		campaign tenure.Campaign
		item, d  tenure.ReviewItem
		code     tenure.Code
		says     string
	}{
		{"its reviewer keeps", open, item, keep, "", ""},
		{"nobody", open, item, with(keep, func(i *tenure.ReviewItem) { i.DecidedBy = "" }), tenure.Unauthorized, "name"},
		{"another reviewer", open, item, with(keep, func(i *tenure.ReviewItem) { i.DecidedBy = "cleo" }), tenure.Forbidden, "isn't for cleo"},
		{"who answers for the machine, though named", open, with(item, func(i *tenure.ReviewItem) { i.Reviewer = "ann" }), with(keep, func(i *tenure.ReviewItem) { i.DecidedBy = "ann" }), tenure.Forbidden, "concerns ann"},
		{"who has it, though named", open, with(item, func(i *tenure.ReviewItem) { i.Reviewer, i.Holder = "dan", "dan" }), with(keep, func(i *tenure.ReviewItem) { i.DecidedBy = "dan" }), tenure.Forbidden, "concerns dan"},
		{"on the due date", open, item, with(keep, func(i *tenure.ReviewItem) { i.DecidedAt = open.DueAt }), tenure.Conflict, "no more answers"},
		{"a closed campaign", tenure.Campaign{State: tenure.CampaignClosed, DueAt: open.DueAt}, item, keep, tenure.Conflict, "no more answers"},
		{"twice", open, with(item, func(i *tenure.ReviewItem) { i.Decision = tenure.ReviewKeep }), keep, tenure.Conflict, "already"},
		{"another word", open, item, with(keep, func(i *tenure.ReviewItem) { i.Decision = "maybe" }), tenure.Invalid, "maybe"},
		{"revoke without a reason", open, item, with(keep, func(i *tenure.ReviewItem) { i.Decision = tenure.ReviewRevoke }), tenure.Invalid, "reason"},
		{"change to nothing", open, item, with(keep, func(i *tenure.ReviewItem) { i.Decision, i.Reason = tenure.ReviewChange, "less" }), tenure.Invalid, "what to"},
		{"keep, and something else", open, item, with(keep, func(i *tenure.ReviewItem) { i.ChangeTo = &tenure.ReviewTo{} }), tenure.Invalid, "only the answer change"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refusedWith(t, tenure.CheckDecision(c.campaign, c.item, c.d), c.code, c.says)
		})
	}
}

// A review takes away. Whatever a reviewer asks for, nobody comes out of it with
// a permission, a tenant or a day more than they had.
func TestNarrowedGrantIsNeverMore(t *testing.T) {
	t.Parallel()
	tiers := []string{"gold", "team", "free"}
	scopes := rapid.Custom(func(t *rapid.T) tenure.Scope {
		if rapid.Bool().Draw(t, "all") {
			return tenure.Scope{All: true}
		}
		return tenure.Scope{Tiers: rapid.SliceOfNDistinct(rapid.SampledFrom(tiers), 1, 3, rapid.ID).Draw(t, "tiers")}
	})
	rapid.Check(t, func(t *rapid.T) {
		old := tenure.Grant{Role: rapid.SampledFrom(tenure.Roles).Draw(t, "role"), Scope: scopes.Draw(t, "scope")}
		if rapid.Bool().Draw(t, "has an end") {
			old.ExpiresAt = reviewDay.AddDate(0, 0, 30)
		}
		s := scopes.Draw(t, "to scope")
		to := tenure.ReviewTo{Role: rapid.SampledFrom(tenure.Roles).Draw(t, "to role"), Scope: &s}
		if days := rapid.IntRange(-2, 60).Draw(t, "to days"); days != 0 {
			to.ExpiresAt = reviewDay.AddDate(0, 0, days)
		}
		n, err := old.Narrowed(to, reviewDay)
		if err != nil {
			return
		}
		for _, p := range n.Role.Permissions() {
			if !old.Role.May(p) {
				t.Fatalf("%s became %s, which may %s", old.Role, n.Role, p)
			}
		}
		for _, tier := range tiers {
			if at := (tenure.Target{Tenant: "ten_x", Tier: tier}); n.Scope.Covers(at) && !old.Scope.Covers(at) {
				t.Fatalf("%s became %s", old.Scope, n.Scope)
			}
		}
		if !old.ExpiresAt.IsZero() && (n.ExpiresAt.IsZero() || n.ExpiresAt.After(old.ExpiresAt)) || !n.Active(reviewDay) {
			t.Fatalf("the end %s became %s", old.ExpiresAt, n.ExpiresAt)
		}
	})
}

func TestCampaignCheck(t *testing.T) {
	t.Parallel()
	good := tenure.Campaign{
		Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewGrant}, Scope: tenure.Scope{All: true}, Reviewers: []string{"bob"},
		Silence: tenure.ReviewRevoke, DueAt: reviewDay.AddDate(0, 0, 14),
	}
	for _, c := range []struct {
		name   string
		change func(*tenure.Campaign)
		says   string
	}{
		{"no name", func(c *tenure.Campaign) { c.Name = "" }, "name"},
		{"covers nothing", func(c *tenure.Campaign) { c.Covers = nil }, "covers"},
		{"covers moons", func(c *tenure.Campaign) { c.Covers = []tenure.ReviewKind{"moon"} }, "moon"},
		{"no reviewer", func(c *tenure.Campaign) { c.Reviewers = nil }, "reviewers"},
		{"a reviewer twice", func(c *tenure.Campaign) { c.Reviewers = []string{"bob", "bob"} }, "bob"},
		{"silence changes", func(c *tenure.Campaign) { c.Silence = tenure.ReviewChange }, "kept or revoked"},
		{"due already", func(c *tenure.Campaign) { c.DueAt = reviewDay }, "passed"},
		{"due in two years", func(c *tenure.Campaign) { c.DueAt = reviewDay.AddDate(2, 0, 0) }, "year"},
		{"no scope", func(c *tenure.Campaign) { c.Scope = tenure.Scope{} }, "scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := good
			c.change(&bad)
			refusedWith(t, bad.Check(reviewDay), tenure.Invalid, c.says)
		})
	}
	refusedWith(t, good.Check(reviewDay), "", "")
}

func nobody(int) string { return "" }
