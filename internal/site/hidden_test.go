package site_test

import (
	"context"
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// furnish puts everything around a tenant that a page can show, each with the
// mark in its words.
func (h *house) furnish(id tenure.TenantID, name, mark string) (hold tenure.Hold, finding tenure.FindingID, op store.OperationRow) {
	h.t.Helper()
	ctx := context.Background()
	now := h.gov.Now()
	hold, err := h.svc.PlaceHold(ctx, tenure.Hold{Matter: mark + " v. all", Reason: mark, Scope: tenure.HoldScope{Tenant: id}}, "lena")
	h.must(err)
	finding = tenure.NewID[tenure.FindingID](now)
	h.must(h.db.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveFinding(tenure.Finding{ID: finding, Kind: tenure.FindingDrift, Severity: tenure.High, Tenant: id, System: "main", Type: "store", Name: mark, Field: "size", Want: mark, Got: "9", Detail: mark + " differs", SeenAt: now})
	}))
	_, err = h.svc.AddAgreement(ctx, name, tenure.Agreement{Kind: tenure.SharingAgreement, Parties: []string{mark + " Post"}, Classes: []string{"orders"}, Purpose: mark, ExpiresAt: now.Add(100 * 24 * time.Hour)}, "olga")
	h.must(err)
	_, _, err = h.svc.NewDepartureLink(ctx, name, "", 30*24*time.Hour, "olga")
	h.must(err)
	asker, err := h.gov.AddPrincipal(ctx, store.Principal{Name: "asker of " + mark, Kind: tenure.CallerPerson}, "setup")
	h.must(err)
	_, err = h.gov.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: asker.ID, Role: tenure.Operator, Scope: tenure.Scope{Tenants: []tenure.TenantID{id}}, Reason: mark})
	h.must(err)
	b := h.signIn(asker, true)
	caller, err := h.gov.Authenticate(ctx, governance.Credential{Session: tenure.NewSecret(b.session)})
	h.must(err)
	hours, err := tenure.ParsePeriod("PT2H")
	h.must(err)
	_, err = h.gov.RequestElevation(ctx, caller, governance.ElevationAsk{Role: tenure.Viewer, Scope: tenure.Scope{Tenants: []tenure.TenantID{id}}, Reason: mark + " is stuck", For: hours})
	h.must(err)
	op = h.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: name, Reason: mark + " lapsed"})
	return hold, finding, op
}

var link = regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)

// crawl opens every page that a browser's pages lead to, of each kind at most a
// few, and calls look with each.
func (b *browser) crawl(look func(path string, a answer)) int {
	b.h.t.Helper()
	queue, seen, kinds := append([]string{}, pages...), map[string]bool{}, map[string]int{}
	for len(queue) > 0 && len(seen) < 400 {
		path := queue[0]
		queue = queue[1:]
		kind := kindOf(path)
		if seen[path] || strings.HasPrefix(path, "/assets/") || strings.HasPrefix(path, "/static/") || strings.HasSuffix(kind, ".css") || strings.HasSuffix(kind, ".js") || kinds[kind] >= 6 {
			continue
		}
		seen[path] = true
		kinds[kind]++
		a := b.get(path)
		look(path, a)
		if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			for _, m := range link.FindAllStringSubmatch(a.body, -1) {
				next, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
				if !strings.Contains(m[0], `action=`) || strings.Contains(next, "?") {
					queue = append(queue, next)
				}
			}
		}
	}
	return len(seen)
}

var anID = regexp.MustCompile(`(?:[a-z]{2,3}_)[0-9a-f-]{36}|sha256:[0-9a-f]+|\d+`)

// kindOf is an address without what tells one thing from another.
func kindOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	keys := ""
	for k := range u.Query() {
		keys += k
	}
	return anID.ReplaceAllString(u.Path, "X") + "?" + keys
}

// TestHiddenTenant: no page of whoever has a role over some tenants alone, and no
// answer to what they send, tells of another one. Every link that a page shows
// them leads somewhere.
func TestHiddenTenant(t *testing.T) {
	t.Parallel()
	const mark = "hiddenmark"
	h := newHouse(t)
	near, far := h.onboard("acme", "team"), h.onboard(mark, "gold")
	h.furnish(near, "acme", "shownmark")
	hold, finding, op := h.furnish(far, mark, mark)
	h.feed()
	h.tell("e-near", "deal.lost", string(near), "note", `"shownmark"`)
	told := h.tell("e-"+mark, "deal.lost", string(far), "note", strconv.Quote(mark))
	stray := h.tell("e-stray", mark, "of-nobody")
	if told.Tenant != far || stray.Tenant != "" {
		t.Fatalf("the events are about %q and %q", told.Tenant, stray.Tenant)
	}
	ctx := context.Background()
	resources, err := h.db.Resources(ctx, far, false)
	h.must(err)
	secrets := []string{mark, string(far), string(op.ID), op.Plan, string(hold.ID), string(finding), string(told.ID), string(stray.ID)}
	for _, r := range resources {
		secrets = append(secrets, string(r.ID))
	}
	for _, role := range tenure.Roles {
		b := h.person("near-"+string(role), role, tenure.Scope{Tiers: []string{"team"}})
		shown := false
		n := b.crawl(func(path string, a answer) {
			for _, s := range secrets {
				if strings.Contains(a.body, s) {
					t.Errorf("%s: %s tells of %s: %s", role, path, s, text(a.body[max(0, strings.Index(a.body, s)-300):]))
				}
			}
			shown = shown || strings.Contains(a.body, "shownmark")
			if a.StatusCode >= 500 || a.StatusCode == 404 || a.StatusCode == 422 || a.StatusCode == 400 {
				t.Errorf("%s: %s answers %d: %s", role, path, a.StatusCode, text(a.body))
			}
		})
		if !shown || n < 20 {
			t.Errorf("%s: %d pages, and their own tenant isn't on them", role, n)
		}
		for _, path := range []string{
			"/tenants/" + mark, "/tenants/" + string(far), "/operations/" + string(op.ID), "/plans/" + op.Plan, "/operations?tenant=" + mark, "/findings?tenant=" + mark, "/holds?tenant=" + mark,
			"/tenants/" + string(far) + "/certificates/latest", "/tenants/" + string(far) + "/certificates/latest/view", "/new/change?tenant=" + mark, "/access/agreements?tenant=" + mark, "/operations/" + string(op.ID) + "/no-return",
			"/events/" + string(told.ID), "/events/" + string(stray.ID), "/events?tenant=" + mark,
		} {
			b.refused(path, b.get(path), secrets)
		}
		for path, form := range map[string][]string{
			"/operations/" + string(op.ID) + "/approve": {"digest", op.Plan},
			"/operations/" + string(op.ID) + "/reject":  {"reason", "no"},
			"/operations/" + string(op.ID) + "/cancel":  nil,
			"/holds/" + string(hold.ID) + "/release":    nil,
			"/events/" + string(told.ID) + "/replay":    nil,
			"/events/" + string(stray.ID) + "/dismiss":  {"reason", "x"},
			"/findings/" + string(finding) + "/waive":   {"until", "2026-04-01", "reason", "x"},
			"/holds":                              {"matter", "m", "tenant", mark},
			"/findings/look":                      {"kind", "drift", "tenant", mark},
			"/tenants/" + string(far) + "/links":  {"days", "3"},
			"/tenants/" + string(far) + "/labels": {"labels", "a=b"},
			"/access/agreements":                  {"tenant", mark, "kind", "sharing", "parties", "x", "classes", "orders", "purpose", "y", "expires", "2026-05-01"},
			"/access/standing/starts/" + string(op.ID) + "/see": nil,
		} {
			b.refused(path, b.post(path, form...), secrets)
		}
	}
	o, err := h.svc.Operation(ctx, op.ID)
	h.must(err)
	if o.State != tenure.OperationWaiting || len(o.Approvals) != 0 {
		t.Errorf("the hidden operation is %s with %d approvals", o.State, len(o.Approvals))
	}
}

// refused fails unless an answer says no, in words that fit what isn't there as
// well.
func (b *browser) refused(path string, a answer, secrets []string) {
	b.h.t.Helper()
	if a.StatusCode == 303 {
		said, err := base64.RawURLEncoding.DecodeString(strings.Split(b.flash, ".")[0])
		b.h.must(err)
		if !strings.HasPrefix(string(said), "fail\n") {
			b.h.t.Errorf("%s comes to %q", path, said)
		}
		a.StatusCode, a.body = 403, string(said)
	}
	if a.StatusCode != 403 && a.StatusCode != 404 {
		b.h.t.Errorf("%s answers %d: %s", path, a.StatusCode, text(a.body))
	}
	for _, s := range secrets {
		if strings.Contains(a.body, s) && !strings.Contains(path, s) && s != "hiddenmark" {
			b.h.t.Errorf("%s tells of %s", path, s)
		}
	}
}
