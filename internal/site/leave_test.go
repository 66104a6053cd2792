package site_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/site"
	"github.com/tenurehq/tenure/internal/store"
)

// leaveLink is the path of the link in the latest notice to somebody.
func (h *house) leaveLink(tenant tenure.TenantID, to string) string {
	h.t.Helper()
	h.must(h.svc.TickLeaves(context.Background(), h.svc.Now()))
	list, err := h.db.Notices(context.Background(), tenant)
	h.must(err)
	at := ""
	for _, n := range list {
		if found := regexp.MustCompile(`https://tenure\.example(/leave/\S+)`).FindStringSubmatch(n.Body); n.Recipient == to && found != nil {
			at = found[1]
		}
	}
	if at == "" {
		h.t.Fatalf("%s was sent no link", to)
	}
	return at
}

// TestLeavePages: whoever asks to leave is answered alike, and who has a link answers it without an account,
// by a form alone and once; staff sees it, and says no where it has to.
func TestLeavePages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Organization: "acme org", Contact: "kim@acme.example", Blueprint: "small@1.0"})
	h.sign(op.ID, "rita")
	row, err := h.db.Tenant(context.Background(), "acme")
	h.must(err)
	_, err = h.svc.SetKnownBy(context.Background(), "acme", tenure.KnownBy{Domains: []string{"acme.example"}}, row.Version, "olga")
	h.must(err)

	anybody := h.stranger()
	page := anybody.get("/leave")
	page.wants(t, 200, "Ask to leave", "Your mail address there")
	if page.Header.Get("X-Robots-Tag") != "noindex" || strings.Contains(page.body, "acme") {
		t.Errorf("headers %v", page.Header)
	}
	var answers []string
	for _, sent := range [][]string{{"acme", "bo@acme.example"}, {"nobody", "bo@acme.example"}, {"acme", "x@elsewhere.example"}, {"<script>'\"; drop table tenant", "bo@acme.example"}, {"acme", "bo@acme.example"}} {
		a := anybody.post("/leave", "service", sent[0], "address", sent[1], "reason", "we <b>move</b> on")
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/leave/sent" {
			t.Errorf("%q answers %d to %q", sent, a.StatusCode, a.Header.Get("Location"))
		}
		answers = append(answers, a.body)
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers are told apart: %q and %q", a, answers[0])
		}
	}
	anybody.get("/leave/sent").wants(t, 200, "If we know this address")
	if a := anybody.post("/leave", "service", "acme", "address", "bo@acme.example\r\nBcc: all@acme.example"); a.StatusCode != http.StatusBadRequest || strings.Contains(a.body, "Back to the fleet") {
		t.Errorf("an address with a line break: %d", a.StatusCode)
	}
	elsewhere := h.stranger()
	elsewhere.site = "cross-site"
	if a := elsewhere.post("/leave", "service", "acme", "address", "cy@acme.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", a.StatusCode)
	}

	mine := h.leaveLink(op.Tenant, "bo@acme.example")
	for range 2 {
		anybody.get(mine).wants(t, 200, "Do you ask to leave?", "Nothing is done by opening this page")
	}
	r, err := http.NewRequest(http.MethodHead, h.at.URL+mine, nil)
	h.must(err)
	anybody.do(r)
	if a := elsewhere.post(mine, "answer", "confirm"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", a.StatusCode)
	}
	for _, wrong := range []string{mine + "x", mine[:len(mine)-1], "/leave/lve_0", "/leave/x.y"} {
		if a := anybody.post(wrong, "answer", "confirm"); a.StatusCode != http.StatusNotFound || strings.Contains(a.body, "acme") {
			t.Errorf("%s answers %d", wrong, a.StatusCode)
		}
	}
	operator, reader := h.person("oda", tenure.Operator, everything), h.person("vic", tenure.Viewer, everything)
	tenant := "/tenants/" + string(op.Tenant)
	reader.get(tenant).wants(t, 200, "Asks to leave", "bo@acme.example", "who asked, who was sent a link")
	anybody.change(mine, "answer", "confirm").wants(t, 200, "You have confirmed it", "It waits for the contact")
	anybody.change(mine, "answer", "confirm").wants(t, 200, "You have confirmed it")

	theirs := h.leaveLink(op.Tenant, "kim@acme.example")
	contact := h.stranger()
	asked := contact.get(theirs)
	asked.wants(t, 200, "Shall it leave?", "bo@acme.example", "we &lt;b&gt;move&lt;/b&gt; on")
	if strings.Contains(asked.body, "<b>move") {
		t.Error("what somebody typed is read as HTML")
	}
	if a := contact.post(theirs, "answer", "refuse", "reason", ""); a.StatusCode != http.StatusBadRequest {
		t.Errorf("no without a reason: %d", a.StatusCode)
	}
	if a := contact.post(theirs, "answer", "erase"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("an answer that there isn't: %d", a.StatusCode)
	}
	list, err := h.svc.LeaveRequests(context.Background(), store.LeaveFilter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].State != tenure.LeaveWaiting {
		t.Fatalf("requests %+v (%v)", list, err)
	}
	at := "/leave-requests/" + string(list[0].ID)
	operator.get(tenant).wants(t, 200, "the contact, kim@acme.example", "Refuse")
	if a := operator.get(tenant); strings.Contains(a.body, at+"/confirm") {
		t.Error("staff may confirm in the contact's place")
	}
	if a := reader.post(at+"/refuse", "tenant", string(op.Tenant), "reason", "no"); a.StatusCode == http.StatusOK || a.StatusCode == http.StatusSeeOther && list[0].State != tenure.LeaveWaiting {
		t.Errorf("who may only read refuses: %d", a.StatusCode)
	}
	contact.change(theirs, "answer", "refuse", "reason", "we stay").wants(t, 200, "You said no")
	contact.change(theirs, "answer", "confirm").wants(t, 200, "You said no") // the first answer stands
	if a := anybody.get(mine); a.StatusCode != http.StatusNotFound {
		t.Errorf("who asked opens what was refused: %d", a.StatusCode)
	}
	reader.get(tenant).wants(t, 200, "refused", "we stay")

	h.pass(3 * time.Hour)
	anybody.post("/leave", "service", "acme org", "address", "bo@acme.example")
	mine = h.leaveLink(op.Tenant, "bo@acme.example")
	anybody.change(mine, "answer", "confirm")
	anybody.post(mine, "answer", "withdraw").wants(t, 200, "It is withdrawn")
	h.pass(time.Minute)
	anybody.post("/leave", "service", "acme org", "address", "bo@acme.example")
	anybody.change(h.leaveLink(op.Tenant, "bo@acme.example"), "answer", "confirm")
	list, err = h.svc.LeaveRequests(context.Background(), store.LeaveFilter{Limit: 1})
	h.must(err)
	operator.change("/leave-requests/"+string(list[0].ID)+"/refuse", "tenant", string(op.Tenant), "reason", "call us").wants(t, 200, "It is refused", "call us")

	off, err := site.New(site.Options{Governor: h.gov, Service: h.svc, Log: slog.New(slog.DiscardHandler), Name: "the house"})
	h.must(err)
	for _, path := range []string{"/leave", "/leave/sent", mine} {
		w := httptest.NewRecorder()
		off.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d where the settings don't turn it on", path, w.Code)
		}
	}
}
