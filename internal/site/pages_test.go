package site_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// pages are the addresses that the navigation and the pages themselves lead to.
var pages = []string{
	"/", "/tenants", "/operations", "/approvals", "/findings", "/holds", "/reviews", "/blueprints", "/systems", "/audit", "/events", "/events/rules",
	"/access/principals", "/access/grants", "/access/tokens", "/access/sessions", "/access/notices", "/access/elevations", "/access/break-glass",
	"/access/delegations", "/access/standing", "/access/agreements", "/access/policies", "/access/decision",
}

// TestPagesByRole: each role opens the pages of what it may do, is refused the
// others in words, and nobody gets a fault of ours.
func TestPagesByRole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	all := "/ /tenants /operations /approvals /findings /holds /reviews /blueprints /systems /access/tokens /access/sessions /access/notices /access/agreements /access/decision"
	may := map[tenure.Role]string{
		tenure.Viewer:          all,
		tenure.Operator:        all + " /events /events/rules /access/elevations /access/break-glass /access/standing",
		tenure.Approver:        all + " /access/elevations /access/delegations /access/standing",
		tenure.BlueprintAuthor: all + " /events /events/rules /access/standing",
		tenure.SecurityOfficer: all + " /events /events/rules /audit /access/principals /access/grants /access/elevations /access/break-glass /access/delegations /access/standing /access/policies",
		tenure.Legal:           all + " /audit /access/delegations /access/standing",
		tenure.Auditor:         all + " /events /events/rules /audit /access/principals /access/grants /access/elevations /access/break-glass /access/delegations /access/standing /access/policies",
		tenure.Admin:           all + " /events /events/rules /audit /access/principals /access/grants /access/elevations /access/break-glass /access/delegations /access/standing /access/policies",
		"":                     "/ /approvals /access/tokens /access/sessions /access/notices /access/decision",
	}
	for role, list := range may {
		b := h.person("p-"+string(role), role, everything)
		open := map[string]bool{}
		for _, p := range strings.Fields(list) {
			open[p] = true
		}
		for _, p := range pages {
			a := b.get(p)
			want := http.StatusForbidden
			if open[p] {
				want = http.StatusOK
			}
			if a.StatusCode != want {
				t.Errorf("%s: %s answers %d, want %d: %s", role, p, a.StatusCode, want, text(a.body))
			}
		}
	}
	for _, p := range pages {
		if a := h.stranger().get(p); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location")[:8] != "/sign-in" {
			t.Errorf("a stranger's %s answers %d to %q", p, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

// TestThingsByRole: pages of one thing open too, with what they are for on them.
func TestThingsByRole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.onboard("acme", "team")
	h.publish("1.1")
	op := h.request(offboarding("acme"))
	auditor := h.person("aurel", tenure.Auditor, everything)
	auditor.get("/tenants/"+string(id)).wants(t, 200, "acme", "store", "orders")
	auditor.get("/operations/"+string(op.ID)).wants(t, 200, "Offboard", op.Plan)
	auditor.get("/blueprints/small@1.1").wants(t, 200, "What differs from 1.0", "A small one", "dataClasses")
	auditor.get("/blueprints/small@1.0").wants(t, 200, "Who runs it", "acme")
	auditor.get("/blueprints/small@1.1?against=1.0").wants(t, 200, "version")
	auditor.get("/blueprints/small@1.1?against=9").wants(t, 404)
	auditor.get("/blueprints/none").wants(t, 404)
	auditor.get("/audit/0").wants(t, 200, "the server says so", "data-leaf=", "Download the proof")
	auditor.get("/audit/0/proof").wants(t, 200, "c2sp.org/tlog-proof@v1")
	auditor.get("/audit/999999").wants(t, 404)
	auditor.get("/audit/x").wants(t, 404)
	auditor.get("/audit?entry=3").wants(t, 303)
	auditor.get("/audit?kind=blueprint.publish").wants(t, 200, "blueprint.publish")
	auditor.get("/audit?tenant=acme").wants(t, 200, "tenant.move")
	auditor.get("/audit/export?kind=blueprint.publish").wants(t, 200, `"kind":"blueprint.publish"`)
	auditor.get("/audit?since=2030-01-01").wants(t, 200, "No entry is like that")
	auditor.get("/audit/checkpoint").wants(t, 200, "tenure-test")
	auditor.change("/audit/checkpoint").wants(t, 200, "is signed")
	auditor.get("/access/decision?permission=hold.place").wants(t, 200, "no role of theirs has hold.place")
	auditor.get("/access/decision?permission=tenant.read&tenant=acme&principal=aurel").wants(t, 200, "role auditor over all tenants")
	auditor.get("/access").wants(t, 303)
	h.person("vera", tenure.Viewer, everything).get("/audit/0").wants(t, 403)
}

func TestFleetCountsWhatWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	op := h.request(offboarding("acme"))
	if n, _, err := h.svc.InboxCount(context.Background(), tenure.Caller{Kind: tenure.CallerLocal, Name: "rita"}); err != nil || n != 1 {
		t.Fatalf("%d wait: %v", n, err)
	}
	rita := h.person("rita", tenure.Approver, everything)
	rita.get("/").wants(t, 200, "offboard acme")
	rita.get("/approvals").wants(t, 200, "offboard acme", "Approve", "Plan digest", op.Plan)
	vera := h.person("vera", tenure.Viewer, everything)
	vera.get("/").wants(t, 200, "Nothing waits for you.")
	vera.get("/tenants").wants(t, 200, "offboard waits for approval at approve")
	page := vera.get("/approvals")
	page.wants(t, 200, "Nothing waits for you", "Waiting for others")
}
