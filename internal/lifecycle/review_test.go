package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// office is a site with people who review: bob and cleo, security officers.
type office struct {
	*site
	gov *governance.Governor
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{site: newSite(t, nil)}
	o.gov = governance.New(governance.Options{DB: o.db, Now: o.Now, Entry: o.Entry})
	for _, name := range []string{"bob", "cleo"} {
		p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](o.Now()), Name: name, Kind: tenure.CallerPerson, CreatedBy: "setup", CreatedAt: o.Now()}
		o.must(o.db.Write(context.Background(), func(tx *store.Tx) error {
			if err := tx.SavePrincipal(p); err != nil {
				return err
			}
			return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](o.Now()), Principal: p.ID, Role: tenure.SecurityOfficer, Scope: tenure.Scope{All: true}, By: "setup", At: o.Now()})
		}))
	}
	return o
}

// review starts a campaign and gives its items by what they are about.
func (o *office) review(silence tenure.ReviewDecision, covers ...tenure.ReviewKind) (tenure.Campaign, map[string]tenure.ReviewItem) {
	o.t.Helper()
	c, err := o.gov.StartCampaign(context.Background(), governance.Local("cleo"), tenure.Campaign{
		Name: "spring", Covers: covers, Scope: tenure.Scope{All: true}, Reviewers: []string{"bob"}, Silence: silence, DueAt: o.Now().Add(14 * day),
	})
	o.must(err)
	return c, o.items(c.ID)
}

// items are a campaign's items by the word before the colon of their detail.
func (o *office) items(id tenure.CampaignID) map[string]tenure.ReviewItem {
	o.t.Helper()
	list, err := o.gov.ReviewItems(context.Background(), store.ItemFilter{Campaign: id, Grants: true, Visible: store.All, Limit: 100})
	o.must(err)
	out := make(map[string]tenure.ReviewItem)
	for _, it := range list {
		key, _, _ := strings.Cut(it.Detail, ":")
		out[key] = it
	}
	return out
}

func (o *office) decide(c tenure.Campaign, it tenure.ReviewItem, d tenure.ReviewDecision, to *tenure.ReviewTo) {
	o.t.Helper()
	_, err := o.gov.DecideItems(context.Background(), governance.Local("bob"), c.ID, []governance.Answer{{Item: it.Seq, Decision: d, ChangeTo: to, Reason: "not needed"}})
	o.must(err)
	o.must(o.CarryReviews(context.Background()))
	o.settle()
}

// quiet fails if a look at every system finds something.
func (o *office) quiet() {
	o.t.Helper()
	look, err := o.Drift(context.Background(), "")
	o.must(err)
	for _, f := range look.Findings {
		if f.Open(o.Now()) {
			o.t.Errorf("drift: %s", f.Detail)
		}
	}
}

// An account that a review revokes stops working in the system itself once
// somebody else has approved it; and whatever the tenant goes through after that,
// it doesn't come back, and nobody is told of drift.
func TestReviewTakesAnAccountOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := context.Background()
	words := o.passwords(o.onboard("acme"))
	ten, err := o.Tenant(ctx, "acme")
	o.must(err)
	c, items := o.review(tenure.ReviewKeep, tenure.ReviewAccount)
	if len(items) != 4 {
		t.Fatalf("the campaign asks about %v, want the admin and the key of two environments", items)
	}
	o.decide(c, items["prod/admin"], tenure.ReviewRevoke, nil)
	op := o.items(c.ID)["prod/admin"].Operation
	if op == "" {
		t.Fatal("no operation carries the decision out")
	}
	o.wantState(op, tenure.OperationWaiting)
	if !o.opens(ten.ID, "prod", words["prod"]) {
		t.Error("the password was cut before anybody approved it")
	}
	_, err = o.Approve(ctx, op, "", o.view(op).Plan, "bob", "")
	wantCode(t, err, tenure.Forbidden, "requested")
	o.must(o.CarryReviews(ctx)) // a second look begins nothing more
	o.approve(op, "reviewer")
	o.wantState(op, tenure.OperationSucceeded)
	if o.opens(ten.ID, "prod", words["prod"]) || !o.opens(ten.ID, "test", words["test"]) {
		t.Errorf("prod opens: %v, test opens: %v; only prod was revoked", o.opens(ten.ID, "prod", words["prod"]), o.opens(ten.ID, "test", words["test"]))
	}
	o.quiet()
	for _, it := range items {
		if it.Seq != items["prod/admin"].Seq {
			o.decide(c, it, tenure.ReviewKeep, nil)
		}
	}
	o.must(o.CarryReviews(ctx))
	closed, err := o.gov.CloseCampaign(ctx, governance.Local("cleo"), c.ID)
	o.must(err)
	if got := o.items(c.ID)["prod/admin"].Outcome; closed.State != tenure.CampaignClosed || got != "revoked" {
		t.Errorf("the campaign is %s and the item came to %q", closed.State, got)
	}

	account := func(after string) {
		t.Helper()
		if th, _ := o.world.Get("account", "acme-prod-admin"); th.State != tenure.ResourceRevoked {
			t.Errorf("after %s the account is %s", after, th.State)
		}
		o.quiet()
	}
	for _, in := range []lifecycle.Intent{
		{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 9}},
		{Kind: tenure.Repair, Tenant: "acme", Reissue: true},
		{Kind: tenure.Suspend, Tenant: "acme"},
		{Kind: tenure.Resume, Tenant: "acme"},
	} {
		o.wantState(o.run(in), tenure.OperationSucceeded)
		account(string(in.Kind))
	}
	leaving := o.leave("acme")
	o.pass(20 * day)
	o.must(o.Steer(ctx, leaving, "cancel", "operator"))
	o.settle()
	o.wantState(o.run(lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme", Reason: "paid"}), tenure.OperationSucceeded)
	account("reinstatement")
	if th, _ := o.world.Get("account", "acme-test-admin"); th.State != tenure.ResourcePresent {
		t.Errorf("the account that was kept is %s after the reinstatement", th.State)
	}
	o.audited()
}

// An account that somebody brings back in the system by hand is an exposure, and
// a repair cuts it again.
func TestRepairCutsAgainWhatAReviewTookOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.onboard("acme")
	op := o.request(lifecycle.Intent{Kind: tenure.Revoke, Tenant: "acme", Resources: []string{"prod/api"}, Reason: "leaked"}, "operator")
	o.approve(op, "reviewer")
	o.wantState(op, tenure.OperationSucceeded)
	o.world.Tamper("api_key", "acme-prod-key", func(th *memory.Thing) { th.State = tenure.ResourcePresent })
	look, err := o.Drift(context.Background(), "acme")
	o.must(err)
	if len(look.Findings) != 1 || look.Findings[0].Kind != tenure.FindingExposure || look.Findings[0].Severity != tenure.Critical {
		t.Fatalf("a key that works again is found as %+v", look.Findings)
	}
	o.wantState(o.run(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}), tenure.OperationSucceeded)
	if th, _ := o.world.Get("api_key", "acme-prod-key"); th.State != tenure.ResourceRevoked {
		t.Errorf("after the repair the key is %s", th.State)
	}
	o.quiet()
}

// Silence that means revoke is carried out like an answer, and waits for its
// approval; the campaign closes when that is done, and says so.
func TestSilentAccountsWaitForApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := context.Background()
	words := o.passwords(o.onboard("acme"))
	ten, err := o.Tenant(ctx, "acme")
	o.must(err)
	c, _ := o.review(tenure.ReviewRevoke, tenure.ReviewAccount)
	tick := func() tenure.Campaign {
		o.must(o.gov.TickReviews(ctx, o.Now()))
		o.must(o.CarryReviews(ctx))
		o.settle()
		o.must(o.CarryReviews(ctx))
		o.must(o.gov.TickReviews(ctx, o.Now()))
		got, err := o.db.Campaign(ctx, c.ID)
		o.must(err)
		return got
	}
	if got := tick(); got.State != tenure.CampaignOpen {
		t.Fatalf("before its due date the campaign is %s", got.State)
	}
	o.pass(14 * day)
	if got := tick(); got.State != tenure.CampaignCarrying {
		t.Fatalf("with nothing approved the campaign is %s", got.State)
	}
	ops := make(map[tenure.OperationID]bool)
	for _, it := range o.items(c.ID) {
		ops[it.Operation] = true
	}
	if len(ops) != 1 || !o.opens(ten.ID, "prod", words["prod"]) {
		t.Fatalf("the tenant's accounts are in %d operations, want one; the password opens: %v", len(ops), o.opens(ten.ID, "prod", words["prod"]))
	}
	for op := range ops {
		if by := o.view(op).RequestedBy; by != "cleo" {
			t.Errorf("what nobody answered is requested by %s, want who set the rule", by)
		}
		o.approve(op, "reviewer")
	}
	if got := tick(); got.State != tenure.CampaignClosed || got.Evidence == "" {
		t.Errorf("with everything done the campaign is %s", got.State)
	}
	for env, word := range words {
		if o.opens(ten.ID, env, word) {
			t.Errorf("the password of %s still opens", env)
		}
	}
	o.audited()
}

// A decision to change an account is an ordinary change of its tenant.
func TestReviewChangesAnAccount(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.onboard("acme")
	c, items := o.review(tenure.ReviewKeep, tenure.ReviewAccount)
	o.decide(c, items["prod/admin"], tenure.ReviewChange, &tenure.ReviewTo{Parameters: map[string]any{"seats": 2}})
	op := o.items(c.ID)["prod/admin"].Operation
	o.wantState(op, tenure.OperationSucceeded)
	o.must(o.CarryReviews(context.Background()))
	if th, _ := o.world.Get("setting", "acme-prod-seats"); !strings.Contains(string(th.Attributes), "2") {
		t.Errorf("the seats are %s", th.Attributes)
	}
	if got := o.items(c.ID)["prod/admin"].Outcome; got != "changed" {
		t.Errorf("the item came to %q", got)
	}
}

// While another operation is at work a revocation waits without planning again
// and again; when the tenant leaves meanwhile, the item says so.
func TestRevocationWaitsItsTurn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := context.Background()
	o.onboard("acme")
	first := o.request(lifecycle.Intent{Kind: tenure.Revoke, Tenant: "acme", Resources: []string{"test/admin"}}, "operator")
	c, items := o.review(tenure.ReviewKeep, tenure.ReviewAccount)
	o.decide(c, items["prod/admin"], tenure.ReviewRevoke, nil)
	entries := func() (n int) {
		for range o.db.Entries(ctx, 0) {
			n++
		}
		return n
	}
	before := entries()
	for range 3 {
		o.must(o.CarryReviews(ctx))
	}
	if it := o.items(c.ID)["prod/admin"]; it.Operation != "" || it.Outcome != "" || entries() != before {
		t.Errorf("while another revocation waits the item is %+v, and %d entries were written", it, entries()-before)
	}
	o.approve(first, "reviewer")
	leaving := o.leave("acme")
	o.pass(15 * day)
	if got := o.state("acme"); got != tenure.TenantRetained {
		t.Fatalf("acme is %s\n%s", got, o.show(leaving))
	}
	o.must(o.CarryReviews(ctx))
	if got := o.items(c.ID)["prod/admin"].Outcome; got == "" {
		t.Error("the item of a tenant whose access is cut stays open for ever")
	}
}

// An agreement ends by review, at its date, and when the tenant's access is cut:
// each time with an entry; and it is never silently left.
func TestAgreementsEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := context.Background()
	o.onboard("acme")
	add := func(party string, kind tenure.AgreementKind, days int) tenure.AgreementID {
		t.Helper()
		a, err := o.AddAgreement(ctx, "acme", tenure.Agreement{Kind: kind, Parties: []string{party}, Classes: []string{"orders", "invoices"}, Purpose: "delivery", ExpiresAt: o.Now().Add(time.Duration(days) * day)}, "operator")
		o.must(err)
		return a.ID
	}
	short, long, reviewed := add("Parcel Post", tenure.SharingAgreement, 30), add("Customs", tenure.ExportGrant, 300), add("Adverts", tenure.SharingAgreement, 300)
	why := func(id tenure.AgreementID) string {
		a, err := o.Agreement(ctx, id)
		o.must(err)
		return a.EndedWhy
	}
	c, items := o.review(tenure.ReviewKeep, tenure.ReviewAgreement, tenure.ReviewExport)
	for _, it := range items {
		switch tenure.AgreementID(it.Subject) {
		case reviewed:
			o.decide(c, it, tenure.ReviewRevoke, nil)
		case long:
			o.decide(c, it, tenure.ReviewChange, &tenure.ReviewTo{Classes: []string{"orders"}})
		}
	}
	if got := why(reviewed); !strings.Contains(got, string(c.ID)) {
		t.Errorf("the agreement that the review revoked ended as %q", got)
	}
	if a, err := o.Agreement(ctx, long); err != nil || len(a.Classes) != 1 {
		t.Errorf("narrowed, the export grant is for %v (%v)", a.Classes, err)
	}
	notices := func(word string) (n int) {
		list, err := o.db.Notices(ctx, o.tenantID("acme"))
		o.must(err)
		for _, x := range list {
			if strings.Contains(x.Body, "Parcel Post") && strings.Contains(x.Body, word) {
				n++
			}
		}
		return n
	}
	o.pass(15 * day)
	o.must(o.TickAgreements(ctx, o.Now()))
	if notices("ends on") != 0 {
		t.Error("a notice went out more than 14 days before the end")
	}
	o.pass(2 * day)
	for range 2 {
		o.must(o.TickAgreements(ctx, o.Now()))
	}
	if notices("ends on") != 1 || why(short) != "" {
		t.Errorf("13 days before the end %d notices were given, and it has ended: %q", notices("ends on"), why(short))
	}
	o.pass(13 * day)
	for range 2 {
		o.must(o.TickAgreements(ctx, o.Now()))
	}
	if why(short) == "" || notices("has ended") != 1 {
		t.Errorf("at its date the agreement ended as %q, with %d notices", why(short), notices("has ended"))
	}
	reasons, err := o.Explain(ctx, "acme")
	o.must(err)
	if last := reasons[len(reasons)-1]; last.Resource != string(long) || last.GoneAt.IsZero() {
		t.Errorf("nobody says why the export grant still stands: %+v", last)
	}
	leaving := o.leave("acme")
	o.pass(13 * day)
	if why(long) != "" {
		t.Errorf("in the grace, with full service, the export grant ended: %q", why(long))
	}
	o.pass(2 * day)
	if got := why(long); !strings.Contains(got, "access is cut") {
		t.Errorf("after the cut the export grant is %q\n%s", got, o.show(leaving))
	}
	_, err = o.AddAgreement(ctx, "acme", tenure.Agreement{Kind: tenure.ExportGrant, Parties: []string{"x"}, Classes: []string{"orders"}, Purpose: "late", ExpiresAt: o.Now().Add(day)}, "operator")
	wantCode(t, err, tenure.Conflict, "shared any more")
	if got := o.logged("agreement.end"); got != 3 {
		t.Errorf("the log tells of %d ends, want 3", got)
	}
	o.audited()
}

func (o *office) tenantID(name string) tenure.TenantID {
	o.t.Helper()
	t, err := o.db.Tenant(context.Background(), name)
	o.must(err)
	return t.ID
}

// logged is how many entries of a kind the log has.
func (o *office) logged(kind string) (n int) {
	o.t.Helper()
	for rec, err := range o.db.Entries(context.Background(), 0) {
		o.must(err)
		var e struct {
			Kind string `json:"kind"`
		}
		o.must(json.Unmarshal(rec.Entry, &e))
		if e.Kind == kind {
			n++
		}
	}
	return n
}
