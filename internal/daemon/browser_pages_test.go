package daemon_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/examples"
	"github.com/tenurehq/tenure/internal/chromiumtest"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// look is a page with who looks at it. Shown pages have their pictures taken.
type look struct {
	name, who, path string
	shown           bool
}

// TestPages: every page, with data in it, is usable by who can't see colours, uses
// a screen reader or a telephone, and its script and its security policy get along.
func TestPages(t *testing.T) {
	t.Parallel()
	h := open(t)
	looks := h.lived()
	folder := os.Getenv("TENURE_SCREENSHOTS")
	if folder == "" {
		folder = filepath.Join(t.ArtifactDir(), "screenshots")
	}
	check(t, os.MkdirAll(folder, 0o755))
	t.Logf("screenshots: %s", folder)
	for _, l := range looks {
		var v *chromiumtest.Visitor
		if l.who == "" {
			v = h.person("nobody")
			v.Go(h.url + l.path)
		} else {
			v = h.at(l.who, l.path)
		}
		h.judge(v, l, folder)
	}
	h.proven()
}

// judge looks at a page in both schemes and both widths.
func (h *house) judge(v *chromiumtest.Visitor, l look, folder string) {
	t := h.t
	t.Helper()
	if l.path != "/nowhere" && chromiumtest.Eval[bool](v, "!!document.querySelector('.problem')") {
		t.Errorf("%s (%s) as %s is a problem's page:\n%s", l.name, l.path, l.who, v.Text())
		return
	}
	for _, window := range []struct {
		name string
		set  func(dark bool)
	}{{"1440", v.Wide}, {"390", v.Narrow}} {
		for _, dark := range []bool{false, true} {
			window.set(dark)
			scheme := "light"
			if dark {
				scheme = "dark"
			}
			if l.shown {
				check(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%s-%s.png", l.name, window.name, scheme)), v.Picture(), 0o644))
			}
			if window.name == "390" && dark {
				continue // no colour and no box differs from what was judged
			}
			for _, x := range v.Violations() {
				t.Errorf("%s (%s) at %s, %s: %s", l.name, l.path, window.name, scheme, x)
			}
			if by, what := v.Overflow(); by > 0 {
				t.Errorf("%s (%s) is %d pixels wider than its window of %s:\n%s", l.name, l.path, by, window.name, what)
			}
		}
	}
	v.Wide(false)
}

// proven: the page of an entry of the log computes the log's root itself, and
// agrees with the checkpoint.
func (h *house) proven() {
	t := h.t
	t.Helper()
	auditor := h.at("auditor", "/audit/3")
	auditor.Until("the page has checked the proof", "document.querySelector('[data-proof]').dataset.checked")
	auditor.Sees("checked in this page", "the server says so")
	if got := chromiumtest.Eval[string](auditor, "document.querySelector('[data-proof]').dataset.checked"); got != "yes" {
		t.Errorf("the page's own check says %q", got)
	}
}

// lived fills the house with all that pages show, and lists every page.
func (h *house) lived() []look {
	t, ctx := h.t, h.t.Context()
	t.Helper()
	left := h.onboarded("alder", map[string]string{"region": "eu"})
	_, op, err := h.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "alder", Reason: "the customer gave notice"}, "operator")
	check(t, err)
	if v := h.carry(op.ID, h.now().AddDate(12, 0, 0)); v.State != tenure.OperationSucceeded {
		t.Fatalf("alder's offboarding is %s: %s", v.State, v.Reason)
	}
	certs, err := h.inst.Certificates(ctx, string(left))
	check(t, err)
	certificate := fmt.Sprintf("/tenants/%s/certificates/%s/view", left, certs[len(certs)-1].ID)
	birch := h.onboarded("birch", map[string]string{"region": "eu", "desk": "north"})
	cedar := h.onboarded("cedar", nil)
	_, leaving, err := h.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "cedar", Reason: "the customer gave notice"}, "operator")
	check(t, err)
	_, err = h.inst.PlaceHold(ctx, tenure.Hold{Matter: "case 34-008", Reason: "an inquiry", Scope: tenure.HoldScope{Tenant: birch}}, "counsel")
	check(t, err)
	gate := h.carry(leaving.ID, h.now().AddDate(0, 6, 0), tenure.ActNoReturn)
	gates, _ := ready(gate)
	noReturn := ""
	for _, st := range gates {
		if st.Action == tenure.ActNoReturn {
			noReturn = dashboard.OperationPath(leaving.ID) + "/no-return?gate=" + url.QueryEscape(st.Key)
		}
	}
	_, waits, err := h.inst.Request(ctx, lifecycle.Intent{
		Kind: tenure.Onboard, Tenant: "dogwood", Blueprint: "lowcode", Tier: "team", Organization: "Dogwood Ltd", Reason: "a deal was closed", Parameters: map[string]any{"adminLogin": "admin@dogwood.example"},
	}, "operator")
	check(t, err)
	plan, err := h.inst.Plan(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "birch", Reason: "the customer gave notice"}, "operator")
	check(t, err)
	h.meddle("birch")
	_, err = h.inst.Drift(ctx, "")
	check(t, err)
	review := h.governed()
	held, strange, asked, draft := h.told(cedar)
	link := h.linked(cedar)
	_, _, err = h.inst.Checkpoint(ctx)
	check(t, err)
	_, err = h.inst.Engine.Settle(ctx)
	check(t, err)

	digest := strings.TrimPrefix(plan.Digest, "sha256:")
	looks := []look{
		{"sign-in", "", "/sign-in", true}, {"departure", "", link, true},
		{"fleet", "officer", "/", true}, {"tenants", "operator", "/tenants", true}, {"tenant", "operator", "/tenants/" + string(cedar), true},
		{"tenant-held", "counsel", "/tenants/" + string(birch), false}, {"tenant-gone", "auditor", "/tenants/" + string(left), false},
		{"operations", "operator", "/operations", false}, {"operation", "approver", "/operations/" + string(waits.ID), true},
		{"operation-leaving", "officer", "/operations/" + string(leaving.ID), true}, {"no-return", "officer", noReturn, false},
		{"choose", "operator", "/new/onboard", false}, {"onboard", "operator", "/new/onboard?blueprint=lowcode%401.0", true},
		{"plan", "operator", "/plans/" + digest, true}, {"confirm", "operator", "/plans/" + digest + "/confirm", true},
		{"approvals", "officer", "/approvals", true}, {"findings", "officer", "/findings", true}, {"holds", "counsel", "/holds", true},
		{"reviews", "officer", "/reviews", false}, {"review", "officer", "/reviews/" + review, true},
		{"blueprints", "author", "/blueprints", false}, {"blueprint", "author", "/blueprints/lowcode@1.1", true},
		{"audit", "auditor", "/audit", true}, {"entry", "auditor", "/audit/3", true}, {"certificate", "auditor", certificate, true},
		{"systems", "admin", "/systems", true},
		{"events", "operator", "/events", true}, {"event", "operator", held, true}, {"event-strange", "auditor", strange, true}, {"operation-asked", "operator", asked, false},
		{"events-inbox", "operator", "/approvals", false}, {"rules", "author", "/events/rules", false}, {"rule", "officer", draft, true},
		{"device", "operator", "/device", false}, {"device-confirm", "operator", "/device?code=ABCD-EFGH", false}, {"problem", "operator", "/nowhere", false},
	}
	for _, kind := range []string{"change", "upgrade", "repair", "suspend", "offboard"} {
		looks = append(looks, look{"new-" + kind, "operator", "/new/" + kind + "?tenant=" + string(birch), false})
	}
	for _, section := range []string{"principals", "grants", "tokens", "sessions", "elevations", "break-glass", "agreements", "policies", "decision"} {
		looks = append(looks, look{"access-" + section, "admin", "/access/" + section, section == "principals" || section == "elevations"})
	}
	return append(looks, look{"access-delegations", "officer", "/access/delegations", false}, look{"access-standing", "officer", "/access/standing", false})
}

// meddle switches on behind Tenure's back what a tenant didn't pay for.
func (h *house) meddle(tenant string) {
	h.t.Helper()
	db := h.sql(h.platform.Database)
	defer db.Close()
	_, err := db.ExecContext(h.t.Context(), `update entitlements set enabled = 1 where workspace = $1 and feature = 'sso'`, tenant+"-prod")
	check(h.t, err)
}

// linked makes a link for the one who leaves, and gives its path.
func (h *house) linked(id tenure.TenantID) string {
	h.t.Helper()
	operator := h.at("operator", "/tenants/"+string(id))
	operator.Press("Make a link")
	operator.Follow("Make a link")
	return strings.TrimPrefix(chromiumtest.Eval[string](operator, "document.querySelector('code.secret').textContent"), h.url)
}

// governed starts what the access pages show, and gives the review's id.
func (h *house) governed() string {
	t, ctx := h.t, h.t.Context()
	t.Helper()
	hour, err := tenure.ParsePeriod("PT1H")
	check(t, err)
	_, err = h.inst.Governor.RequestElevation(ctx, h.caller("operator"), governance.ElevationAsk{Role: tenure.SecurityOfficer, Scope: tenure.Scope{Tiers: []string{"team"}}, Reason: "look into the drift of birch", For: hour})
	check(t, err)
	_, _, err = h.inst.Governor.BreakGlass(ctx, h.caller("operator"), governance.ElevationAsk{Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "nobody answers and customers wait", For: hour})
	check(t, err)
	_, err = h.inst.Governor.Delegate(ctx, h.caller("officer"), tenure.Delegation{To: "approver", Scope: tenure.Scope{All: true}, Reason: "on leave", EndsAt: h.now().AddDate(0, 0, 7)})
	check(t, err)
	_, err = h.inst.AddAgreement(ctx, "birch", tenure.Agreement{Kind: "sharing", Parties: []string{"Parcel Post"}, Classes: []string{"orders"}, Purpose: "delivery", ExpiresAt: h.now().AddDate(1, 0, 0)}, "operator")
	check(t, err)
	b, err := h.inst.SubmitBlueprint(ctx, []byte(strings.NewReplacer(`version: "1.0"`, `version: "1.1"`, "maximum: 5000", "maximum: 8000", "period: P60D", "period: P90D").Replace(examples.LowcodeBlueprint)), "blueprint.yaml", "author")
	check(t, err)
	if b.Version != "1.1" {
		t.Fatalf("the second revision is %s", b.Version)
	}
	c, err := h.inst.Governor.StartCampaign(ctx, h.caller("officer"), tenure.Campaign{
		Name: "spring", Covers: []tenure.ReviewKind{"grant", "account"}, Scope: tenure.Scope{All: true}, Reviewers: []string{"officer", "auditor"}, Silence: "revoke", DueAt: h.now().Add(14 * 24 * time.Hour),
	})
	check(t, err)
	return string(c.ID)
}
