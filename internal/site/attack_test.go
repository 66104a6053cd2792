package site_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/site"
	"github.com/tenurehq/tenure/internal/store"
)

// hostile closes every context that a page could put it into.
const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)> javascript:alert(3) {{.}}`

// TestHostileWords: what people and systems wrote stands on pages as words.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.onboard("acme", "team")
	h.furnish(id, "acme", "plain")
	ctx := context.Background()
	_, err := h.svc.PlaceHold(ctx, tenure.Hold{Matter: hostile, Reason: hostile, Scope: tenure.HoldScope{Tenant: id, Class: "orders"}}, "lena")
	h.must(err)
	h.must(h.db.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveFinding(tenure.Finding{ID: tenure.NewID[tenure.FindingID](h.gov.Now()), Kind: tenure.FindingDrift, Severity: tenure.Critical, Tenant: id, System: hostile, Type: hostile, Name: hostile, Field: hostile, Want: hostile, Got: hostile, Detail: hostile, SeenAt: h.gov.Now()})
	}))
	h.onboard("beta", hostile)
	officer := h.person("o'neill-&", tenure.SecurityOfficer, everything)
	machine, err := h.gov.AddPrincipal(ctx, store.Principal{Name: "o'clock {{.}} javascript:alert(3)", Kind: tenure.CallerMachine, Owner: "o'neill-&"}, "setup")
	h.must(err)
	_, err = h.gov.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: machine.ID, Role: tenure.Viewer, Scope: everything, Reason: hostile})
	h.must(err)
	officer.change("/access/tokens", "name", hostile, "days", "3", "only", "tenant.read", "principal", hostile)
	officer.post("/access/tokens", "name", hostile, "days", "3").wants(t, 200, "shown this once")
	officer.post("/access/elevations", "role", "viewer", "all", "true", "reason", hostile, "for", "PT1H")
	saw := 0
	look := func(path string, a answer) {
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s lets words be markup", path)
		}
		if regexp.MustCompile(`(?i)(href|src|action)="\s*javascript:`).MatchString(a.body) {
			t.Errorf("%s has a link that runs", path)
		}
		if strings.Contains(a.body, "&lt;script&gt;alert(1)") {
			saw++
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
	}
	officer.crawl(look)
	if saw < 5 {
		t.Errorf("the hostile words were on %d pages only", saw)
	}
	q := url.QueryEscape(hostile)
	for _, path := range []string{"/tenants?q=" + q, "/tenants?tier=" + q, "/findings?tenant=" + q, "/findings?system=" + q, "/holds?tenant=" + q, "/audit?kind=" + q, "/audit?entry=" + q, "/operations?tenant=" + q, "/access/grants?principal=" + q, "/access/decision?permission=" + q, "/access/decision?permission=tenant.read&principal=" + q, "/blueprints/" + url.PathEscape(hostile), "/sign-in?return=" + q, "/nothing/" + url.PathEscape(hostile), "/reviews/" + url.PathEscape(hostile)} {
		a := officer.get(path)
		look(path, a)
		if a.StatusCode >= 500 {
			t.Errorf("%s answers %d", path, a.StatusCode)
		}
	}
}

// TestHostileTenantsOnTheLeaversPage: what a customer chose (names, contacts,
// labels) and what a hold was placed for is words on the page of who leaves, and on
// the staff's pages of that tenant.
func TestHostileTenantsOnTheLeaversPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	id := h.onboard("acme", "team")
	h.must(h.db.Write(ctx, func(tx *store.Tx) error { // round the checks of what comes in
		_, err := tx.Exec(`update tenant set organization = $1, contact = $2, labels = $3, name = name where id = $4`, hostile, hostile, `{"team": "\"><script>alert(1)</script>"}`, string(id))
		return err
	}))
	op := h.request(offboarding("acme"))
	h.sign(op.ID, "rita")
	h.pass(15 * 24 * time.Hour)
	_, err := h.svc.PlaceHold(ctx, tenure.Hold{Matter: hostile, Reason: hostile, Scope: tenure.HoldScope{Tenant: id}}, "lena")
	h.must(err)
	_, secret, err := h.svc.NewDepartureLink(ctx, string(id), "", 30*24*time.Hour, "olga")
	h.must(err)
	officer := h.person("vera", tenure.SecurityOfficer, everything)
	for _, a := range []answer{h.stranger().get(server.LeaverPath + secret.Reveal()), officer.get("/tenants/" + string(id)), officer.get("/holds"), officer.get("/tenants"), officer.get("/operations/" + string(op.ID))} {
		a.wants(t, 200)
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s lets words be markup", a.Request.URL.Path)
		}
	}
	page := h.stranger().get(server.LeaverPath + secret.Reveal())
	if !strings.Contains(page.body, "legal reason") || strings.Contains(page.body, "lena") {
		t.Errorf("the page of who leaves says of the hold: %s", text(page.body))
	}
}

// TestOtherSites: a page of another site changes nothing, whatever it makes a
// browser send.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	admin := h.person("ada", tenure.Admin, everything)
	admin.site = "cross-site"
	for _, path := range []string{"/access/principals", "/access/tokens", "/access/grants", "/holds", "/findings/look", "/blueprints", "/systems", "/reviews", "/access/break-glass", "/audit/checkpoint", "/signout", "/sign-in/bootstrap", "/device"} {
		if a := admin.post(path, "name", "mallory", "kind", "person", "days", "1"); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s answers %d", path, a.StatusCode)
		}
	}
	// A browser that sends no Sec-Fetch-Site sends the Origin.
	r, err := http.NewRequest(http.MethodPost, h.at.URL+"/access/principals", strings.NewReader("name=mallory&kind=person"))
	h.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://evil.example")
	if a := admin.do(r); a.StatusCode != http.StatusForbidden {
		t.Errorf("with another origin: %d", a.StatusCode)
	}
	// The API takes the cookie too, and so must hold the same line.
	r, err = http.NewRequest(http.MethodPost, h.at.URL+"/v1/principals", strings.NewReader(`{"name":"mallory","kind":"person"}`))
	h.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := admin.do(r); a.StatusCode != http.StatusForbidden {
		t.Errorf("the API by cookie: %d", a.StatusCode)
	}
	if _, _, err := h.gov.Principal(context.Background(), "mallory"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("mallory is there: %v", err)
	}
	admin.site = ""
	admin.change("/access/principals", "name", "nina", "kind", "person").wants(t, 200, "nina is added")
	for _, m := range []string{http.MethodGet, http.MethodHead} { // what changes isn't reached by a link
		r, err := http.NewRequest(m, h.at.URL+"/access/grants/x/revoke", nil)
		h.must(err)
		if a := admin.do(r); a.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s of a form's address: %d", m, a.StatusCode)
		}
	}
}

// TestReturnStaysHere: after a sign-in one is where one wanted to go, and never at
// another site.
func TestReturnStaysHere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.person("vera", tenure.Viewer, everything)
	for _, to := range []string{"//evil.example", "https://evil.example", `/\evil.example`, `\\evil.example`, "/%09/evil.example", "javascript:alert(1)", "/\t/evil.example", "/../\\evil.example", "///evil.example", "/\nLocation: https://evil.example", "http:evil.example"} {
		a := b.get("/sign-in?return=" + url.QueryEscape(to))
		u, err := url.Parse(a.Header.Get("Location"))
		if a.StatusCode != 303 || err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(a.Header.Get("Location"), "//") || strings.HasPrefix(a.Header.Get("Location"), `/\`) {
			t.Errorf("return=%q leads to %q", to, a.Header.Get("Location"))
		}
		page := h.stranger().get("/sign-in?return=" + url.QueryEscape(to))
		if strings.Contains(page.body, `value="//`) || strings.Contains(page.body, `value="https:`) {
			t.Errorf("return=%q stands in the form", to)
		}
	}
	if a := b.get("/sign-in?return=%2Ftenants%3Ftier%3Dgold"); a.Header.Get("Location") != "/tenants?tier=gold" {
		t.Errorf("a path of ours leads to %q", a.Header.Get("Location"))
	}
	if a := h.stranger().get("//evil.example/tenants"); strings.Contains(a.Header.Get("Location"), "return=%2F%2Fevil") {
		t.Errorf("a stranger is sent to %q", a.Header.Get("Location"))
	}
}

// TestSessionIsNew: a cookie that somebody planted before the sign-in opens
// nothing afterwards, and one that was signed out opens nothing either.
func TestSessionIsNew(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	code, err := h.gov.BootstrapCode(context.Background())
	h.must(err)
	victim, planted := h.stranger(), "planted-by-somebody-else-0123456789abcdef"
	victim.session = planted
	a := victim.post("/sign-in/bootstrap", "code", code.Reveal(), "name", "ada", "email", "ada@example.org")
	if a.StatusCode != 303 {
		t.Fatalf("the bootstrap answers %d: %s", a.StatusCode, text(a.body))
	}
	got := ""
	for _, k := range a.Cookies() {
		if k.Name == server.LoopbackCookie {
			got = k.Value
			if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" {
				t.Errorf("the session's cookie is %v", k)
			}
		}
	}
	if got == "" || got == planted {
		t.Fatalf("the session is %q", got)
	}
	attacker := h.stranger()
	attacker.session = planted
	if a := attacker.get("/tenants"); a.StatusCode != 303 {
		t.Errorf("the planted cookie opens: %d", a.StatusCode)
	}
	victim.session = got
	victim.get("/tenants").wants(t, 200)
	out := victim.post("/signout")
	if out.StatusCode != 303 {
		t.Errorf("the sign-out answers %d", out.StatusCode)
	}
	if a := victim.get("/tenants"); a.StatusCode != 303 {
		t.Errorf("after the sign-out the cookie opens: %d", a.StatusCode)
	}
	if a := h.stranger().post("/sign-in/bootstrap", "code", code.Reveal(), "name", "eve", "email", "eve@example.org"); a.StatusCode == 303 {
		t.Error("a bootstrap code was good twice")
	}
	fresh := h.person("vera", tenure.Viewer, everything)
	fresh.get("/tenants").wants(t, 200)
	r, err := http.NewRequest(http.MethodGet, h.at.URL+"/tenants", nil)
	h.must(err)
	r.Host = "tenure.example" // not loopback: the plain cookie is no session there
	r.AddCookie(&http.Cookie{Name: server.LoopbackCookie, Value: fresh.session})
	if a := h.stranger().do(r); a.StatusCode != 303 {
		t.Errorf("the loopback cookie opens at another host: %d", a.StatusCode)
	}
}

// TestFlashIsOurs: who can set a cookie, from another port of this machine or a
// sibling's site, writes no sentence on a page: the flash is signed on loopback and of
// the __Host- kind over https.
func TestFlashIsOurs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.person("vera", tenure.Viewer, everything)
	for _, raw := range []string{"done\n" + hostile, "done\nplanted words", "note\nplanted words", "done", "", strings.Repeat("x", 3000)} {
		value := base64.RawURLEncoding.EncodeToString([]byte(raw))
		for _, mark := range []string{"", ".", "." + value, "." + base64.RawURLEncoding.EncodeToString(make([]byte, 32))} {
			b.flash = value + mark
			a := b.get("/tenants")
			a.wants(t, 200)
			if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "planted words") {
				t.Errorf("the flash %q%s is on the page", raw, mark)
			}
		}
	}
	b.flash = "!!not base64!!"
	b.get("/tenants").wants(t, 200)
}

// TestCookiesOverHTTPS: behind a proxy with TLS every cookie that is set is of the
// __Host- kind, so that no sibling's site plants a session, a sign-in or a sentence.
func TestCookiesOverHTTPS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	pages, err := site.New(site.Options{Governor: h.gov, Service: h.svc, Log: slog.New(slog.DiscardHandler), Name: "the house", URL: "https://tenure.example"})
	h.must(err)
	srv, err := server.New(server.Options{Service: h.svc, Governor: h.gov, Dashboard: pages})
	h.must(err)
	t.Cleanup(srv.Close)
	h.must(pages.Use(srv.Handler()))
	code, err := h.gov.BootstrapCode(ctx)
	h.must(err)
	send := func(path string, form url.Values, cookies ...*http.Cookie) []*http.Cookie {
		t.Helper()
		r := httptest.NewRequest("POST", "https://tenure.example"+path, strings.NewReader(form.Encode()))
		r.TLS = nil // the proxy has it
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, k := range cookies {
			r.AddCookie(k)
		}
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		got := w.Result().Cookies()
		for _, k := range got {
			if !strings.HasPrefix(k.Name, "__Host-") || !k.Secure || k.Path != "/" || k.Domain != "" || !k.HttpOnly {
				t.Errorf("POST %s sets %+v", path, k)
			}
		}
		return got
	}
	session := send("/sign-in/bootstrap", url.Values{"code": {code.Reveal()}, "name": {"first"}, "email": {"first@example.com"}})
	if len(session) != 1 {
		t.Fatalf("the sign-in sets %d cookies", len(session))
	}
	flashed := send("/access/principals", url.Values{"name": {"second"}, "kind": {"person"}}, session...)
	if len(flashed) == 0 {
		t.Error("a change sets no flash, so this test says nothing")
	}
}

// TestNamesInHeaders: no name that somebody chose writes a header of an answer, and
// no path leads out of the hand-over's folder.
func TestNamesInHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.onboard("acme", "team")
	ctx := context.Background()
	op := h.request(offboarding("acme"))
	h.sign(op.ID, "rita")
	h.pass(15 * 24 * time.Hour)
	files, err := h.svc.HandoverFiles(id)
	h.must(err)
	if len(files) == 0 {
		t.Fatal("nothing was handed over")
	}
	_, secret, err := h.svc.NewDepartureLink(ctx, "acme", "", 30*24*time.Hour, "olga")
	h.must(err)
	at := server.LeaverPath + secret.Reveal()
	leaver := h.stranger()
	leaver.get(at).wants(t, 200, "acme")
	got := leaver.get(at + "/files/" + url.PathEscape(files[0].Name))
	got.wants(t, 200)
	if cd := got.Header.Get("Content-Disposition"); !strings.HasPrefix(cd, "attachment;") {
		t.Errorf("a file is sent as %q", cd)
	}
	h.must(os.WriteFile(filepath.Join(h.dir, "loot.txt"), []byte("the loot"), 0o600))
	for _, name := range []string{"../loot.txt", "..%2floot.txt", "..%2f..%2floot.txt", "%2e%2e/loot.txt", "%2e%2e%2f%2e%2e%2floot.txt", "....//loot.txt", "..%5cloot.txt", "%00", "a%0d%0aX-Evil:%20yes", "%2fetc%2fpasswd", ".", "..", url.PathEscape(filepath.Join(h.dir, "loot.txt"))} {
		a := leaver.get(at + "/files/" + name)
		if a.StatusCode == 200 || strings.Contains(a.body, "the loot") || strings.Contains(a.body, "root:") || a.Header.Get("X-Evil") != "" {
			t.Errorf("%s answers %d: %s", name, a.StatusCode, text(a.body))
		}
	}
	for _, wrong := range []string{secret.Reveal()[:len(secret.Reveal())-1] + "x", "x", "lnk_0"} {
		if a := leaver.get(server.LeaverPath + wrong); a.StatusCode == 200 || strings.Contains(a.body, "acme") {
			t.Errorf("the link %q opens: %d", wrong, a.StatusCode)
		}
	}
	admin := h.person("ada", tenure.Admin, everything)
	for _, v := range []string{"a\r\nX-Evil: yes", "a\nSet-Cookie: evil=1"} {
		for _, a := range []answer{admin.post("/access/principals", "name", v, "kind", "person"), admin.get("/tenants?q=" + url.QueryEscape(v)), admin.get("/audit?entry=" + url.QueryEscape(v)), admin.get("/operations?tenant=" + url.QueryEscape(v))} {
			if a.Header.Get("X-Evil") != "" || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), " "), "evil=1") {
				t.Errorf("%q writes a header: %v", v, a.Header)
			}
		}
	}
}

// TestSecretsOnce: a secret stands in the one answer that hands it over, and in no
// page, address or cookie after that.
func TestSecretsOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.onboard("acme", "team")
	olga := h.person("olga", tenure.Operator, everything)
	made := olga.post("/access/tokens", "name", "laptop", "days", "30")
	made.wants(t, 200, "shown this once")
	token := regexp.MustCompile(`tnr_[A-Za-z0-9_-]{20,}`).FindString(made.body)
	if token == "" {
		t.Fatalf("no token is on the page: %s", text(made.body))
	}
	ops, err := h.svc.Tenant(context.Background(), "acme")
	h.must(err)
	claimed := olga.post("/operations/" + string(ops.Operations[0].ID) + "/claim")
	claimed.wants(t, 200, "shown this once", "prod/password = ")
	password := strings.Fields(strings.SplitN(claimed.body, "prod/password = ", 2)[1])[0]
	password, _, _ = strings.Cut(password, "<")
	if len(password) < 8 {
		t.Fatalf("the password is %q", password)
	}
	link := olga.post("/tenants/acme/links", "days", "3")
	link.wants(t, 200, "shown this once")
	path := regexp.MustCompile(regexp.QuoteMeta(server.LeaverPath) + `[^<"\s]+`).FindString(link.body)
	if path == "" {
		t.Fatal("no link is on the page")
	}
	secrets := []string{token, password, path[strings.LastIndexAny(path, "./")+1:], olga.session}
	for _, a := range []answer{made, claimed, link} {
		for _, s := range secrets {
			if strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), " "), s) || strings.Contains(a.Header.Get("Location"), s) {
				t.Errorf("a secret travels in a header: %v", a.Header)
			}
		}
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("an answer with a secret may be kept: %q", a.Header.Get("Cache-Control"))
		}
	}
	for _, b := range []*browser{olga, h.person("ada", tenure.Admin, everything), h.person("sam", tenure.SecurityOfficer, everything)} {
		b.crawl(func(p string, a answer) {
			for _, s := range secrets {
				if strings.Contains(a.body, s) {
					t.Errorf("%s shows a secret again: %q", p, a.body[strings.Index(a.body, s):][:40])
				}
			}
		})
	}
	olga.post("/operations/" + string(ops.Operations[0].ID) + "/claim")
	if again := olga.post("/operations/" + string(ops.Operations[0].ID) + "/claim"); strings.Contains(again.body, password) {
		t.Error("a password is handed over twice")
	}
}
