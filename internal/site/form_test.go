package site_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// formOf finds the address of the first form on a page whose address fits, with
// the values that it sends along.
func (a answer) formOf(t *testing.T, pattern string) (path string, kv []string) {
	t.Helper()
	form := regexp.MustCompile(`(?s)<form[^>]*action="(` + pattern + `)"[^>]*>(.*?)</form>`).FindStringSubmatch(a.body)
	if form == nil {
		t.Fatalf("%s offers no form %s: %s", a.Request.URL.Path, pattern, text(a.body))
	}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form[2], -1) {
		kv = append(kv, m[1], m[2])
	}
	return form[1], kv
}

// offers says whether a page offers a form.
func (a answer) offers(pattern string) bool {
	return regexp.MustCompile(`method="post" action="` + pattern + `"`).MatchString(a.body)
}

// use fills a page's form in and sends it, and gives the page that follows.
func (b *browser) use(page, pattern string, kv ...string) answer {
	b.h.t.Helper()
	path, hidden := b.get(page).formOf(b.h.t, pattern)
	return b.change(path, append(hidden, kv...)...)
}

// TestAccessForms: who manages access does it with the pages' own forms, and the
// pages of who may not offer none.
func TestAccessForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	ada, sam := h.person("ada", tenure.Admin, everything), h.person("sam", tenure.SecurityOfficer, everything)
	ada.use("/access/principals", "/access/principals", "name", "nina", "kind", "person", "email", "nina@example.org").wants(t, 200, "nina is added")
	ada.use("/access/principals", "/access/principals", "name", "nina", "kind", "person").wants(t, 200, "nina")
	ada.use("/access/grants", "/access/grants", "principal", "nina", "role", "operator", "tenants", "acme", "reason", "support").wants(t, 200, "nina is operator", "acme")
	ada.use("/access/grants", "/access/grants", "principal", "nobody", "role", "operator", "all", "true").wants(t, 200, "there is nobody named")
	ada.use("/access/grants", "/access/grants", "principal", "ada", "role", "operator", "all", "true", "reason", "mine").wants(t, 200, "nobody gives a role to themselves")
	ada.use("/access/grants?principal=nina", "/access/grants/grt_[^/]*/revoke").wants(t, 200, "The grant is revoked")
	nina, _, err := h.gov.Principal(context.Background(), "nina")
	h.must(err)
	ada.use("/access/principals", "/access/principals/"+string(nina.ID)).wants(t, 200, "nina is kept out")
	ada.use("/access/principals", "/access/principals/"+string(nina.ID)).wants(t, 200, "nina may come in again")
	for page, form := range map[string]string{"/access/principals": "/access/principals[^\"]*", "/access/grants": "/access/grants[^\"]*"} {
		if sam.get(page).offers(form) {
			t.Errorf("who may not manage access is offered %s", form)
		}
	}
	sam.post("/access/grants", "principal", "nina", "role", "admin", "all", "true").wants(t, 303)
	if a := sam.get("/access/grants"); !strings.Contains(a.body, "may not access.manage") {
		t.Errorf("the refusal isn't told: %s", text(a.body))
	}
	weak, _, err := h.gov.Principal(context.Background(), "ada")
	h.must(err)
	h.signIn(weak, false).get("/access/grants").wants(t, 200, "takes a stronger sign-in")
	his, err := h.gov.Authenticate(context.Background(), governance.Credential{Session: tenure.NewSecret(sam.session)})
	h.must(err)
	ada.use("/access/sessions", "/access/sessions/"+string(his.Session)+"/revoke").wants(t, 200, "That browser is signed out")
	if a := sam.get("/tenants"); a.StatusCode != 303 {
		t.Errorf("who was signed out is still in: %d", a.StatusCode)
	}
}

// TestTwoPersonForms: what takes two persons is done by two on the pages, and who
// began it is told that another must end it.
func TestTwoPersonForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	lena, lars := h.person("lena", tenure.Legal, everything), h.person("lars", tenure.Legal, everything)
	lena.use("/holds", "/holds", "matter", "4 O 12/26", "tenant", "acme", "class", "orders", "reason", "court").wants(t, 200, "The hold binds", "4 O 12/26", "data class orders")
	lena.use("/holds", "/holds", "matter", "4 O 12/26", "system", "main").wants(t, 200, "must say so")
	lena.use("/holds", "/holds/hld_[^/]*/release").wants(t, 200, "a second person must")
	lars.get("/approvals").wants(t, 200, "Release of a hold")
	lars.use("/holds", "/holds/hld_[^/]*/release").wants(t, 200, "The hold is released")

	bea, bob := h.person("bea", tenure.BlueprintAuthor, everything), h.person("bob", tenure.BlueprintAuthor, everything)
	bea.use("/blueprints", "/blueprints", "source", fmt.Sprintf(blueprintText, "2.0")).wants(t, 200, "kept as a draft", "another person must publish it")
	bea.use("/blueprints", "/blueprints", "source", "nonsense: [").wants(t, 200, "small")
	draft := bob.get("/blueprints/small@2.0")
	path, kv := draft.formOf(t, "/blueprints/[^\"]*/publish")
	bob.change(path, kv...).wants(t, 200, "It is published", "published by")

	olga, rita := h.person("olga", tenure.Operator, everything), h.person("rita", tenure.Approver, everything)
	olga.use("/access/elevations", "/access/elevations", "role", "viewer", "tenants", "acme", "reason", "look", "for", "PT2H").wants(t, 200, "requested", "acme")
	rita.use("/access/elevations", "/access/elevations/[^/]*/approve").wants(t, 200, "You have approved it", "claimable")
	olga.use("/access/elevations", "/access/elevations/[^/]*/claim").wants(t, 200, "The clock runs until 11:00 UTC", "active")
	olga.use("/access/elevations", "/access/elevations/[^/]*/revoke", "reason", "done").wants(t, 200, "It is over")
	olga.use("/access/break-glass", "/access/break-glass", "role", "operator", "tenants", "acme", "reason", "checkout is down for all", "for", "PT1H").wants(t, 200, "Everybody has heard of it", "active")
	sam := h.person("sam", tenure.SecurityOfficer, everything)
	if sam.get("/access/break-glass").offers("/access/break-glass/[^/]*/review") {
		t.Error("the page offers to review a break-glass that goes on")
	}
	olga.use("/access/break-glass", "/access/elevations/[^/]*/revoke").wants(t, 200, "It is over")
	sam.get("/access/break-glass").wants(t, 200, "What was done under it", "elevation.revoke")
	sam.use("/access/break-glass", "/access/break-glass/[^/]*/review", "note", "was needed").wants(t, 200, "reviewed")

	olga.use("/access/standing", "/access/standing", "name", "sign-ups", "trigger", "shop:", "blueprint", "small", "resources", "20", "perday", "5", "ends", "2026-12-31").wants(t, 200, "It is proposed", "shop:")
	rita.use("/access/standing", "/access/standing/[^/]*/review").wants(t, 200, "You have signed the rule")
	sam.use("/access/standing", "/access/standing/[^/]*/review").wants(t, 200, "It is active now")
	rita.use("/access/standing", "/access/standing/[^/]*/end").wants(t, 200, "It is over")
	rita.use("/access/delegations", "/access/delegations", "to", "sam", "all", "true", "reason", "leave", "ends", "2026-03-20").wants(t, 200, "sam decides in your place", "approvals over all tenants")
	rita.use("/access/delegations", "/access/delegations/[^/]*/revoke").wants(t, 200, "It is over")
	olga.use("/access/agreements", "/access/agreements", "tenant", "acme", "kind", "sharing", "parties", "Parcel Post", "classes", "orders", "purpose", "delivery", "expires", "2026-12-31").wants(t, 200, "Parcel Post")
	olga.use("/access/agreements", "/access/agreements/[^/]*/end", "reason", "over").wants(t, 200, "It is over")
}

// TestReviewForms: an access review from its start to its evidence, on the pages.
func TestReviewForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	h.person("olga", tenure.Operator, everything)
	sam, rita, vera := h.person("sam", tenure.SecurityOfficer, everything), h.person("rita", tenure.Approver, everything), h.person("vera", tenure.Viewer, everything)
	page := sam.use("/reviews", "/reviews", "name", "spring", "covers", "grant", "all", "true", "reviewers", "rita, vera", "silence", "revoke", "due", "2026-04-01")
	page.wants(t, 200, "The review has begun", "spring")
	at := page.Request.URL.Path
	answered := 0
	for range 3 {
		for _, b := range []*browser{rita, vera} {
			p := b.get(at)
			if !p.offers(at + "/decide") {
				continue
			}
			kv := []string{"decision", "keep", "note", "still needed"}
			for _, m := range regexp.MustCompile(`name="item" value="(\d+)"`).FindAllStringSubmatch(p.body, -1) {
				kv = append(kv, "item", m[1])
				answered++
			}
			b.change(at+"/decide", kv...).wants(t, 200, "answered")
		}
	}
	if answered < 4 {
		t.Fatalf("%d items were answered", answered)
	}
	if vera.get(at).offers(at + "/close") {
		t.Error("a viewer is offered the close")
	}
	sam.use(at, at+"/close").wants(t, 200, "closed")
	sam.get(at+"/evidence").wants(t, 200, `"digest":"sha256:`)
}

// TestFindingForms: a finding is looked for and let be, and drift leads to a repair.
func TestFindingForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.onboard("acme", "team")
	h.must(h.db.Write(context.Background(), func(tx *store.Tx) error {
		return tx.SaveFinding(tenure.Finding{ID: tenure.NewID[tenure.FindingID](h.gov.Now()), Kind: tenure.FindingDrift, Severity: tenure.High, Tenant: id, System: "main", Type: "store", Name: "acme-prod", Field: "size", Want: "5", Got: "9", Detail: "size differs", SeenAt: h.gov.Now()})
	}))
	olga, sam := h.person("olga", tenure.Operator, everything), h.person("sam", tenure.SecurityOfficer, everything)
	olga.get("/findings").wants(t, 200, "size differs", "/new/repair?tenant="+string(id))
	if olga.get("/findings").offers("/findings/[^\"]*/waive") {
		t.Error("an operator is offered the waiver")
	}
	olga.use("/findings", "/findings/look", "kind", "drift").wants(t, 200, "1 system was looked at")
	h.must(h.db.Write(context.Background(), func(tx *store.Tx) error {
		return tx.SaveFinding(tenure.Finding{ID: tenure.NewID[tenure.FindingID](h.gov.Now()), Kind: tenure.FindingExposure, Severity: tenure.High, Tenant: id, System: "main", Type: "store", Name: "acme-prod", Detail: "open to the world", SeenAt: h.gov.Now()})
	}))
	sam.use("/findings", "/findings/fnd_[^\"]*/waive", "until", "2026-04-01", "reason", "the vendor mends it").wants(t, 200, "let be until 1 April 2026")
	if a := sam.get("/findings"); strings.Contains(a.body, "open to the world") {
		t.Error("a waived finding is among the open ones")
	}
	sam.get("/findings?waived=true").wants(t, 200, "open to the world", "Waived by")
}

// TestRejectAndCertificate: an approver says no with a reason; and what left is
// certified on a page that says whether the certificate verifies.
func TestRejectAndCertificate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.onboard("acme", "team")
	rita := h.person("rita", tenure.Approver, everything)
	h.person("cora", tenure.Approver, everything)
	first := h.request(offboarding("acme"))
	rita.use("/approvals", "/operations/"+string(first.ID)+"/reject", "reason", "the contract runs").wants(t, 200, "You have rejected it")
	h.pass(time.Minute)
	op := h.request(offboarding("acme"))
	rita.use("/approvals", "/operations/"+string(op.ID)+"/approve", "note", "fine").wants(t, 200, "You have signed the plan")
	h.settle()
	h.pass(60 * 24 * time.Hour)
	h.confirm(op.ID, "rita", "cora")
	h.pass(400 * 24 * time.Hour)
	o, err := h.svc.Operation(context.Background(), op.ID)
	h.must(err)
	if o.State != tenure.OperationSucceeded {
		t.Fatalf("the offboarding is %s: %s", o.State, o.Reason)
	}
	aurel := h.person("aurel", tenure.Auditor, everything)
	aurel.get("/tenants/"+string(id)).wants(t, 200, "/certificates/", "/view")
	aurel.get("/tenants/"+string(id)+"/certificates/closing/view").wants(t, 200, "signature and proofs hold", "Nothing of this tenant remains", "tenure certificate verify", "logically deleted")
	aurel.get("/tenants/"+string(id)+"/certificates/nonsense/view").wants(t, 404)
}

// TestConfirmSaysWhoIsNeeded: the page of a point of no return says how many persons it
// takes and why, while it asks for more than its plan says, too.
func TestConfirmSaysWhoIsNeeded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	rita := h.person("rita", tenure.Approver, everything)
	op := h.request(offboarding("acme"))
	rita.use("/approvals", "/operations/"+string(op.ID)+"/approve", "note", "fine").wants(t, 200)
	h.settle()
	h.pass(60 * 24 * time.Hour)
	o, err := h.svc.Operation(context.Background(), op.ID)
	h.must(err)
	_, gate, ok := strings.Cut(o.Reason, "confirmations of the point of no return at ")
	if !ok {
		t.Fatalf("it waits for no confirmations: %s", o.Reason)
	}
	gate, _, _ = strings.Cut(gate, ";")
	gate, _, _ = strings.Cut(gate, " ")
	page := "/operations/" + string(op.ID) + "/no-return?gate=" + url.QueryEscape(gate)
	rita.get(page).wants(t, 200, "It takes 2 persons", "0 persons have confirmed", "2 of any role that approves")
	h.svc.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
		return 1, "finding fnd_1 stands", time.Time{}, nil
	}
	h.pass(time.Minute)
	rita.get(page).wants(t, 200, "It takes 3 persons", "1 more than the plan says, because finding fnd_1 stands")
}

// TestTaskForm: a task waits on the approvals page of who may confirm it, who says there
// that it is done.
func TestTaskForm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.svc.SubmitBlueprint(context.Background(), []byte(fmt.Sprintf(blueprintText, "1.5")+"\nonboarding:\n  tasks: [Enter them in the address book]\n"), "small.yaml", "author")
	h.must(err)
	_, err = h.svc.PublishBlueprint(context.Background(), "small@1.5", "reviewer")
	h.must(err)
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small@1.5", Tier: "team"})
	h.sign(op.ID, "rita")
	olga, rita := h.person("olga", tenure.Operator, everything), h.person("rita", tenure.Approver, everything)
	if rita.get("/approvals").offers("/operations/" + string(op.ID) + "/done") {
		t.Error("who can't confirm a task is offered it")
	}
	olga.get("/approvals").wants(t, 200, "Enter them in the address book")
	olga.use("/approvals", "/operations/"+string(op.ID)+"/done", "note", "entered").wants(t, 200, "Thank you: it goes on.")
	h.settle()
	o, err := h.svc.Operation(context.Background(), op.ID)
	h.must(err)
	if o.State != tenure.OperationSucceeded {
		t.Errorf("when it is done the operation is %s: %s", o.State, o.Reason)
	}
}

// confirm has persons confirm the point of no return, looking at fresh counts.
func (h *house) confirm(op tenure.OperationID, by ...string) {
	h.t.Helper()
	for _, name := range by {
		var err error
		for range 10 {
			o, gone := h.svc.Operation(context.Background(), op)
			h.must(gone)
			if _, err = h.svc.Approve(context.Background(), op, "", o.Plan, name, ""); err == nil {
				break
			}
			h.pass(10 * time.Minute)
		}
		h.must(err)
	}
	h.settle()
}
