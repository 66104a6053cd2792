package site_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// TestLeasePage: who has the link of a question answers it without an account, by a form alone and once;
// staff sees what was answered, and sets another end.
func TestLeasePage(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	text := strings.Replace(fmt.Sprintf(blueprintText, "2.0"), "approvals:", "lease: {period: P30D, ask: P7D, silence: suspend, extensions: 1}\napprovals:", 1)
	_, err := h.svc.SubmitBlueprint(ctx, []byte(text), "small.yaml", "author")
	h.must(err)
	_, err = h.svc.PublishBlueprint(ctx, "small@2.0", "reviewer")
	h.must(err)
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Organization: "acme org", Contact: "kim@acme.example", Blueprint: "small@2.0"})
	h.sign(op.ID, "rita")
	h.pass(24 * 24 * time.Hour)
	h.must(h.svc.TickLeases(ctx, h.svc.Now()))
	list, err := h.db.Notices(ctx, op.Tenant)
	h.must(err)
	at := regexp.MustCompile(`https://tenure\.example(/lease/\S+)`).FindStringSubmatch(list[len(list)-1].Body)[1]

	contact, admin := h.stranger(), h.person("ada", tenure.Admin, everything)
	for range 2 {
		page := contact.get(at)
		page.wants(t, 200, "Keep it", "Extend it", "End it", "Nothing is done by opening this page")
		if page.Header.Get("X-Robots-Tag") != "noindex" || page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", page.Header)
		}
	}
	r, err := http.NewRequest(http.MethodHead, h.at.URL+at, nil)
	h.must(err)
	contact.do(r)
	admin.get("/tenants/"+string(op.Tenant)).wants(t, 200, "no answer yet")
	for _, wrong := range []string{at + "x", at[:len(at)-1], "/lease/lnk_0"} {
		if a := contact.post(wrong, "answer", "end"); a.StatusCode != http.StatusNotFound || strings.Contains(a.body, "acme") {
			t.Errorf("%s answers %d", wrong, a.StatusCode)
		}
	}
	elsewhere := h.stranger()
	elsewhere.site = "cross-site"
	if a := elsewhere.post(at, "answer", "end"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", a.StatusCode)
	}
	if a := contact.post(at, "answer", "erase"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("an answer that there isn't: %d", a.StatusCode)
	}
	contact.change(at, "answer", "extend").wants(t, 200, "You extended it", "1 May 2026")
	contact.change(at, "answer", "end").wants(t, 200, "You extended it") // the first answer stands
	reader := h.person("vic", tenure.Viewer, everything)
	if a := reader.post("/tenants/"+string(op.Tenant)+"/lease", "version", "1", "lift", "true"); a.StatusCode == http.StatusOK {
		t.Errorf("who may only read lifts a lease: %d", a.StatusCode)
	}
	l, err := h.db.Lease(ctx, op.Tenant)
	h.must(err)
	if l.State != tenure.LeaseRunning || l.Extended != 1 {
		t.Errorf("the lease %+v", l)
	}
	h.person("oda", tenure.Operator, everything).change("/tenants/"+string(op.Tenant)+"/lease", "version", fmt.Sprint(l.Version), "lift", "true").wants(t, 200, "The lease is lifted", "over: it was lifted")
}
