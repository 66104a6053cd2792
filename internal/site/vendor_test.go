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
	"github.com/tenurehq/tenure/internal/store"
)

// TestVendorPage: who has the link of a question answers it without an account, by a form alone and once. What is
// wrong is said beside what was typed, and nothing that was typed becomes markup. Staff sees the answer and may
// withdraw it.
func TestVendorPage(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	text := strings.Replace(fmt.Sprintf(blueprintText, "2.0"), "offboarding:", "offboarding:\n  vendors:\n    - {name: Example Print, email: desk@print.example, holds: addresses of letters, due: P14D}", 1)
	_, err := h.svc.SubmitBlueprint(ctx, []byte(text), "small.yaml", "author")
	h.must(err)
	_, err = h.svc.PublishBlueprint(ctx, "small@2.0", "reviewer")
	h.must(err)
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Organization: "acme org", Blueprint: "small@2.0"})
	h.sign(op.ID, "rita")
	leaving := h.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"})
	h.sign(leaving.ID, "rita")
	for range 60 {
		v, err := h.svc.Operation(ctx, leaving.ID)
		h.must(err)
		if strings.Contains(v.Reason, "hasn't been asked yet") {
			break
		}
		for _, st := range v.Body.Steps {
			if st.Action == tenure.ActNoReturn {
				for _, by := range []string{"rita", "cora"} {
					_, _ = h.svc.Approve(ctx, leaving.ID, st.Key, v.Plan, by, "")
				}
			}
		}
		h.pass(5 * 24 * time.Hour)
	}
	h.must(h.svc.TickVendors(ctx, h.svc.Now()))
	list, err := h.db.Notices(ctx, op.Tenant)
	h.must(err)
	at := ""
	for _, n := range list {
		if n.Kind == tenure.NoticeVendor {
			at = regexp.MustCompile(`https://tenure\.example(/vendor/\S+)`).FindStringSubmatch(n.Body)[1]
		}
	}
	if at == "" {
		t.Fatal("the vendor wasn't asked")
	}

	desk, oda := h.stranger(), h.person("oda", tenure.Operator, everything)
	for range 2 {
		page := desk.get(at)
		page.wants(t, 200, "acme org", "addresses of letters", "We never held any", "Nothing is done by opening this page")
		if page.Header.Get("X-Robots-Tag") != "noindex" || page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", page.Header)
		}
	}
	for _, wrong := range []string{at + "x", at[:len(at)-1], "/vendor/lnk_0"} {
		if a := desk.post(wrong, "answer", "gone", "name", "k", "role", "r"); a.StatusCode != http.StatusNotFound || strings.Contains(a.body, "acme") {
			t.Errorf("%s answers %d", wrong, a.StatusCode)
		}
	}
	elsewhere := h.stranger()
	elsewhere.site = "cross-site"
	if a := elsewhere.post(at, "answer", "gone", "name", "k", "role", "r"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", a.StatusCode)
	}
	attack := `<script>alert(1)</script>`
	for _, c := range []struct {
		says  string
		pairs []string
	}{
		{"choose one of the answers", []string{"answer", "perhaps", "name", attack, "role", "desk"}},
		{"the name of who answers is missing", []string{"answer", "gone", "name", " ", "role", attack}},
		{"has 1001 characters, at most 1000 are allowed", []string{"answer", "gone", "name", "k", "role", attack, "evidence", strings.Repeat("x", 1001)}},
		{"64 hexadecimal digits", []string{"answer", "gone", "name", "k", "role", attack, "sha256", "abc"}},
		{"more than 10 years away", []string{"answer", "kept", "name", "k", "role", attack, "reason", "law", "until", "2099-01-01"}},
		{"in the future", []string{"answer", "kept", "name", "k", "role", attack, "reason", "law", "until", "soon"}},
		{"one line of text", []string{"answer", "gone", "name", "k\x00", "role", attack}},
	} {
		a := desk.post(at, c.pairs...)
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, "&lt;script&gt;") || strings.Contains(a.body, attack) {
			t.Errorf("%q answers %d\n%s", c.pairs, a.StatusCode, a.body)
		}
	}
	if a := desk.post(at, "answer", "never-held", "answer", "gone", "name", "k", "role", "desk"); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "field twice") {
		t.Errorf("two answers in one form answer %d\n%s", a.StatusCode, a.body)
	}
	set := func(state string) {
		h.must(h.db.Write(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`update step set state = $1, verdict = verdict, ended_at = ended_at, error_code = error_code, error = error, receipt = receipt where operation = $2 and key = 'certificate/closing'`, state, string(leaving.ID))
			return err
		}))
	}
	set("running")
	if a := desk.post(at, "answer", "gone", "name", "Kim Example", "role", "desk"); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "answers stay as they are") || !strings.Contains(a.body, "Kim Example") {
		t.Errorf("an answer that can't be taken answers %d\n%s", a.StatusCode, a.body)
	}
	set("pending")
	oda.get("/operations/"+string(leaving.ID)).wants(t, 200, "asked ", "desk@print.example", "Put down an answer")
	desk.change(at, "answer", "gone", "name", attack, "role", "desk", "evidence", "ticket 4711").wants(t, 200, "Thank you", "what it held is gone")
	desk.change(at, "answer", "gone", "name", "k", "role", "desk").wants(t, 200, "Thank you", "what it held is gone") // sent twice
	if a := desk.post(at, "answer", "never-held", "name", "k", "role", "desk"); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "This was answered before") || !strings.Contains(a.body, "what it held is gone") {
		t.Errorf("a second answer, of which the first stands, answers %d\n%s", a.StatusCode, a.body)
	}
	if page := oda.get("/operations/" + string(leaving.ID)); strings.Contains(page.body, attack) || !strings.Contains(page.body, "Withdraw the answer") {
		t.Errorf("staff sees %s", page.body)
	}
	reader := h.person("vic", tenure.Viewer, everything)
	reader.post("/operations/"+string(leaving.ID)+"/vendors/ask", "vendor", "vendor/1", "reason", "r")
	if page := reader.get("/operations/" + string(leaving.ID)); !strings.Contains(page.body, "what it held is gone") || strings.Contains(page.body, "Withdraw the answer") {
		t.Errorf("who may only read has withdrawn an answer, or is offered to")
	}
	oda.change("/operations/"+string(leaving.ID)+"/vendors/ask", "vendor", "vendor/1", "reason", "another customer's").wants(t, 200, "not asked yet")
	if a := desk.get(at); a.StatusCode != http.StatusNotFound {
		t.Errorf("a withdrawn link answers %d", a.StatusCode)
	}
	oda.change("/operations/"+string(leaving.ID)+"/vendors/record", "vendor", "vendor/1", "answer", "never-held", "name", "Kim", "role", "desk", "evidence", "letter 7").wants(t, 200, "it never held any", "put down by oda")
}
