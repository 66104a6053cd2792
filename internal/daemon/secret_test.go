package daemon_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

// TestSecretsStayHidden plants marked secrets everywhere that one can go in, lives
// through what people do with them and what goes wrong meanwhile, and looks for
// them in all that comes out: pages, answers, headers, the log, metrics, spans,
// errors, and every file of the installation, its keystore among them. Each may
// stand in the one answer that shows it, and nowhere else. A path and an error
// about it may repeat what was asked for to who asked; those answers alone aren't
// looked at.
//
// Not parallel: some secrets stand in the environment, where an installation reads
// them.
func TestSecretsStayHidden(t *testing.T) {
	v := newVault(t)
	v.bootstrap()
	v.people()
	v.tokens()
	v.refused()
	v.devices()
	v.signInFails()
	op := v.onboards("acme")
	v.claims(op)
	v.elevations()
	v.echoes()
	v.links()
	v.faults()
	v.looksAround()
	v.stop()
	v.files()
	v.judge()
}

// bootstrap: the first admin comes in with a code that is good once.
func (v *vault) bootstrap() {
	code, err := v.inst.Governor.BootstrapCode(v.t.Context())
	check(v.t, err)
	v.mark("bootstrap code", code.Reveal())
	wrong := v.planted("wrong bootstrap code")
	body := func(code string) string { return `{"code":"` + code + `","name":"ada","email":"ada@example.org"}` }
	v.hear("a wrong bootstrap code", v.ask(visitor{}, "POST", "/v1/bootstrap", body(wrong)))
	v.hear("a wrong bootstrap code on the page", v.form(visitor{}, "/sign-in/bootstrap", "code", wrong, "name", "ada", "email", "ada@example.org"))
	v.shows("the bootstrap", v.ask(visitor{}, "POST", "/v1/bootstrap", body(code.Reveal())), "bootstrap token", "token")
	v.hear("a used bootstrap code", v.ask(visitor{}, "POST", "/v1/bootstrap", body(code.Reveal())))
}

// people sign in; their cookies are secrets.
func (v *vault) people() {
	for name, role := range map[string]tenure.Role{"olga": tenure.Operator, "rita": tenure.Approver, "sam": tenure.SecurityOfficer, "aurel": tenure.Auditor, "admin": tenure.Admin, "leo": tenure.Legal} {
		v.person(name, role)
	}
}

// tokens are made, asked with, and asked for again under their Idempotency-Key.
func (v *vault) tokens() {
	made := `{"name":"laptop","expiresAt":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	olga := v.who["olga"]
	olga.key = "make-a-token"
	a := v.ask(olga, "POST", "/v1/tokens", made)
	v.shows("the new token", a, "token", "token")
	v.hear("the new token again", v.ask(olga, "POST", "/v1/tokens", made))
	v.bearer = a.field("token")
	v.hear("who a token belongs to", v.ask(visitor{bearer: v.bearer}, "GET", "/v1/me", ""))
	v.mark("token of the page", tokenOn(v.form(v.who["olga"], "/access/tokens", "name", "page", "days", "3").body))
}

// refused: secrets are sent where they don't belong, and with what is wrong.
func (v *vault) refused() {
	wrong := "tnr_" + v.planted("wrong token")
	s := v.planted("secret in a request that is refused")
	olga := v.who["olga"]
	for _, c := range []struct {
		what   string
		who    visitor
		method string
		path   string
		body   string
	}{
		{"a wrong token", visitor{bearer: wrong}, "GET", "/v1/tenants", ""},
		{"a wrong scheme", visitor{authorization: "Basic " + s}, "GET", "/v1/me", ""},
		{"no scheme", visitor{authorization: s}, "GET", "/v1/me", ""},
		{"a wrong cookie", visitor{session: s}, "GET", "/v1/me", ""},
		{"a wrong cookie on a page", visitor{session: s}, "GET", "/tenants", ""},
		{"a query parameter that isn't one", olga, "GET", "/v1/tenants?access_token=" + s, ""},
		{"a query parameter of a wrong type", olga, "GET", "/v1/tenants?limit=" + s, ""},
		{"a cursor that is none", olga, "GET", "/v1/tenants?cursor=" + s, ""},
		{"a filter", olga, "GET", "/v1/operations?state=" + s, ""},
		{"an unknown field", olga, "POST", "/v1/operations", `{"kind":"onboard","tenant":"x1","blueprint":"small","password":"` + s + `"}`},
		{"a field of a wrong type", olga, "POST", "/v1/operations", `{"kind":"onboard","tenant":"x1","blueprint":"small","parameters":"` + s + `"}`},
		{"an unknown parameter", olga, "POST", "/v1/operations", `{"kind":"onboard","tenant":"x1","blueprint":"small","parameters":{"apiKey":"` + s + `"}}`},
		{"a parameter of a wrong type", olga, "POST", "/v1/operations", `{"kind":"onboard","tenant":"x1","blueprint":"small","parameters":{"seats":"` + s + `"}}`},
		{"JSON that ends early", olga, "POST", "/v1/tokens", `{"name":"` + s},
		{"JSON with a bad escape", olga, "POST", "/v1/tokens", `{"name":"\q` + s + `"}`},
		{"no JSON", olga, "POST", "/v1/tokens", s},
		{"a field twice", olga, "POST", "/v1/device/token", `{"deviceCode":"` + s + `","deviceCode":7}`},
		{"a blueprint that can't be read", v.who["sam"], "POST", "/v1/blueprints", `{"source":"password: [` + s + `"}`},
		{"an If-Match", visitor{session: olga.session, match: s}, "PATCH", "/v1/tenants/acme", `{"labels":{}}`},
		{"an Idempotency-Key with a line's end", visitor{session: olga.session, key: "é" + s}, "POST", "/v1/tokens", `{"name":"x"}`},
		{"a trace that is none", visitor{session: olga.session, trace: s}, "GET", "/v1/me", ""},
	} {
		v.hear(c.what, v.ask(c.who, c.method, c.path, c.body))
	}
	// What was asked for is repeated to who asked, and to nobody else.
	for _, path := range []string{"/v1/" + s, "/v1/tenants/" + s, "/" + s, "/tenants/" + s, "/departure/" + s, "/access/grants?principal=" + s, "/sign-in?return=/" + s} {
		v.ask(olga, "GET", path, "")
	}
	v.ask(olga, "POST", "/v1/operations", `{"kind":"`+s+`","tenant":"x1"}`)
	v.ask(olga, "POST", "/v1/operations", `{"kind":"onboard","tenant":"x1","blueprint":"`+s+`"}`)
	c, err := client.New(v.url, client.WithToken(tenure.NewSecret(wrong)))
	check(v.t, err)
	defer c.Close()
	_, err = client.ShowMe.Call(v.t.Context(), c, client.None{})
	v.said("the client's error", fmt.Sprintf("%v %+v %#v %+v", err, err, err, c))
	gone, err := client.New("http://"+freeAddress(v.t), client.WithToken(tenure.NewSecret(wrong)))
	check(v.t, err)
	defer gone.Close()
	_, err = client.ShowTenant.Call(v.t.Context(), gone, client.TenantParams{Tenant: "acme"})
	v.said("the client's error without a server", fmt.Sprintf("%v %+v", err, err))
}

// devices are let in with a code of their own.
func (v *vault) devices() {
	a := v.ask(visitor{}, "POST", "/v1/device", `{"name":"laptop"}`)
	v.shows("the device", a, "device code", "deviceCode")
	poll := `{"deviceCode":"` + a.field("deviceCode") + `"}`
	v.hear("a device that waits", v.ask(visitor{}, "POST", "/v1/device/token", poll))
	v.hear("a device that there isn't", v.ask(visitor{}, "POST", "/v1/device/token", `{"deviceCode":"dev_`+v.planted("wrong device code")+`"}`))
	v.hear("the device is let in", v.form(v.who["olga"], "/device", "code", a.field("userCode"), "answer", "yes"))
	v.shows("the device's token", v.ask(visitor{}, "POST", "/v1/device/token", poll), "token of the device", "token")
	v.hear("the device again", v.ask(visitor{}, "POST", "/v1/device/token", poll))
}

// signInFails: the provider repeats everything that it is sent.
func (v *vault) signInFails() {
	begun := v.form(visitor{}, "/sign-in/begin", "return", "/tenants")
	to, err := url.Parse(begun.Header.Get("Location"))
	check(v.t, err)
	for _, name := range []string{"state", "nonce"} {
		v.mark("sign-in's "+name, to.Query().Get(name))
	}
	who := visitor{}
	for _, k := range begun.Cookies() {
		who.cookie = k
		v.mark("sign-in's cookie", k.Value)
	}
	back := installation.CallbackPath + "?" + url.Values{"state": {to.Query().Get("state")}, "code": {v.planted("authorization code")}}.Encode()
	v.hear("a sign-in that fails", v.ask(who, "GET", back, ""))
	if v.echoed.Load() == 0 {
		v.t.Fatal("the provider wasn't asked for a token")
	}
	v.hear("a sign-in that is tried again", v.ask(who, "GET", back, ""))
	v.hear("a sign-in that nobody began", v.ask(visitor{}, "GET", back, ""))
	lost := v.form(visitor{}, "/sign-in/begin", "return", "/tenants")
	to, err = url.Parse(lost.Header.Get("Location"))
	check(v.t, err)
	v.mark("the state of a sign-in that nobody ends", to.Query().Get("state"))
}

// claims: who asked gets what was made, once.
func (v *vault) claims(op string) {
	olga, path := v.who["olga"], "/v1/operations/"+op+"/claim"
	olga.key = "claim-it"
	a := v.ask(olga, "POST", path, "")
	password := secretIn(a.body)
	v.mark("generated credential", password)
	v.hear("the claim again", v.ask(olga, "POST", path, ""))
	olga.key = ""
	v.hear("the claim under another key", v.ask(olga, "POST", path, ""))
	v.hear("the claim on the page", v.form(olga, "/operations/"+op+"/claim"))
}

// elevations open logins, whose secrets are shown once.
func (v *vault) elevations() {
	officer := v.who["sam"]
	a := v.ask(officer, "POST", "/v1/elevations", `{"role":"operator","scope":{"tenants":["acme"]},"reason":"a stuck migration","duration":"PT1H","system":"main","access":"read"}`)
	v.hear("an elevation", a)
	id := a.field("id")
	v.hear("its approval", v.ask(v.who["rita"], "POST", "/v1/elevations/"+id+"/approve", `{"digest":"`+a.field("digest")+`"}`))
	v.shows("its claim", v.ask(officer, "POST", "/v1/elevations/"+id+"/claim", ""), "login of an elevation", "secret")
	v.hear("its claim again", v.ask(officer, "POST", "/v1/elevations/"+id+"/claim", ""))
	v.shows("break-glass", v.ask(v.who["olga"], "POST", "/v1/break-glass", `{"role":"operator","scope":{"tenants":["acme"]},"reason":"checkout is down for everybody","duration":"PT1H","system":"main"}`), "login of a break-glass", "secret")
}

// echoes: a system puts its own credential, and the resource's, into all that it
// says: errors, receipts, details of what it saw and of probes.
func (v *vault) echoes() {
	v.leaky.on.Store(true)
	op := v.starts("birch")
	v.until("the system has echoed a credential", func() bool { return v.leaky.said.Load() > 0 && v.state(op).Ended() })
	v.hear("the systems while one echoes", v.ask(v.who["admin"], "GET", "/v1/systems", ""))
	v.hear("their page", v.ask(v.who["admin"], "GET", "/systems", ""))
	v.hear("a look for findings", v.ask(v.who["sam"], "POST", "/v1/findings/look", `{}`))
	v.leaky.on.Store(false)
	v.hear("the departure begins", v.ask(v.who["olga"], "POST", "/v1/operations", `{"kind":"offboard","tenant":"acme","reason":"contract lapsed"}`))
	check(v.t, v.inst.Notices.Tick(v.t.Context(), time.Now().Add(time.Hour)))
	_, _, err := v.inst.Checkpoint(v.t.Context())
	v.said("the error of a witness that is away", fmt.Sprintf("%v %+v", err, err))
	if err == nil {
		v.t.Error("the witness is away, and a checkpoint reached it")
	}
}

// links let the one who leaves in without an account.
func (v *vault) links() {
	a := v.ask(v.who["olga"], "POST", "/v1/tenants/acme/departure-links", `{"days":30}`)
	path := a.field("path")
	v.link = strings.TrimPrefix(path, server.LeaverPath)
	v.mark("departure link", v.link)
	// The page's own links repeat the address that it was opened with.
	if a := v.ask(visitor{}, "GET", path, ""); a.StatusCode != http.StatusOK {
		v.t.Fatalf("the departure link answers %d", a.StatusCode)
	}
}

// faults of ours: tables are away, so what is asked fails inside.
func (v *vault) faults() {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(v.home, "tenure.db")+"?_pragma=busy_timeout(5000)")
	check(v.t, err)
	defer db.Close()
	for _, c := range []struct {
		table, method, path, body string
		who                       visitor
	}{
		{"departure_link", "GET", server.LeaverPath + v.link, "", visitor{}},
		{"departure_link", "GET", server.LeaverPath + v.link + "/files/x", "", visitor{}},
		{"token", "GET", "/v1/me", "", visitor{bearer: v.bearer}},
		{"session", "GET", "/tenants", "", v.who["olga"]},
		{"one_time", "POST", "/v1/device/token", `{"deviceCode":"dev_` + v.planted("device code while the store fails") + `"}`, visitor{}},
		{"tenant", "GET", "/v1/tenants/" + v.planted("path while the store fails"), "", v.who["olga"]},
		{"tenant", "GET", "/tenants/" + v.planted("page while the store fails"), "", v.who["olga"]},
	} {
		_, err := db.ExecContext(v.t.Context(), "alter table "+c.table+" rename to away")
		check(v.t, err)
		a := v.ask(c.who, c.method, c.path, c.body)
		v.hear("while "+c.table+" is away", a)
		if a.StatusCode < 500 {
			v.t.Errorf("%s without its table %s answers %d", c.method, c.table, a.StatusCode)
		}
		_, err = db.ExecContext(v.t.Context(), "alter table away rename to "+c.table)
		check(v.t, err)
	}
}

// looksAround opens every page and every address of the API that reads, as people
// of different roles, and takes the metrics and spans.
func (v *vault) looksAround() {
	for _, name := range []string{"admin", "aurel", "sam", "olga", "leo"} {
		if n := v.crawl(name); n < 25 {
			v.t.Errorf("%s came to %d pages only", name, n)
		}
		if n := v.reads(name); n < 40 {
			v.t.Errorf("%s got %d answers of the API only", name, n)
		}
	}
	v.hear("the metrics", v.ask(visitor{}, "GET", "/metrics", ""))
	check(v.t, v.measure.Flush(v.t.Context()))
	spans, err := json.Marshal(v.spans.GetSpans())
	check(v.t, err)
	if len(v.spans.GetSpans()) < 50 {
		v.t.Errorf("%d spans only", len(v.spans.GetSpans()))
	}
	v.said("the spans", string(spans))
}

// files reads every byte that the installation keeps, after it has stopped.
func (v *vault) files() {
	n := 0
	check(v.t, filepath.WalkDir(v.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		n++
		v.said("the file "+strings.TrimPrefix(path, v.home), string(raw))
		return err
	}))
	if n < 4 {
		v.t.Errorf("%d files only", n)
	}
	v.said("the log", v.log.String())
	if !strings.Contains(v.log.String(), "internal error") {
		v.t.Error("the log doesn't tell of the faults")
	}
	for _, body := range v.received() {
		v.said("a notice that was sent", body)
	}
}

// judge looks for each secret in each thing that came out.
func (v *vault) judge() {
	if len(v.marks) < 25 {
		v.t.Errorf("%d secrets were planted only", len(v.marks))
	}
	for _, m := range v.marks {
		if len(m.needles) == 0 || !m.in("x "+m.value+" y") {
			v.t.Fatalf("the %s can't be looked for", m.name)
		}
		told := 0
		for _, s := range v.heard {
			if !m.in(s.text) {
				continue
			}
			if told++; told > 5 {
				break
			}
			v.t.Errorf("the %s stands in %s: %s", m.name, s.where, m.around(s.text))
		}
	}
}

// crawl follows the links of the pages as somebody and says how many it saw.
func (v *vault) crawl(name string) int {
	queue, seen, kinds := []string{"/", "/audit", "/access/principals", "/access/elevations", "/access/break-glass"}, map[string]bool{}, map[string]int{}
	for len(queue) > 0 && len(seen) < 200 {
		path := queue[0]
		queue = queue[1:]
		kind := anID.ReplaceAllString(path, "X")
		if seen[path] || kinds[kind] >= 4 || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, "/v1/") && strings.Contains(path, "events") {
			continue
		}
		seen[path] = true
		kinds[kind]++
		a := v.ask(v.who[name], "GET", path, "")
		v.hear(name+"'s "+path, a)
		if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			queue = append(queue, a.links()...)
		}
	}
	return len(seen)
}

// reads asks every GET of the API's document, with every id that was seen so far
// where one belongs.
func (v *vault) reads(name string) (n int) {
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	check(v.t, json.Unmarshal([]byte(v.ask(visitor{}, "GET", "/openapi.json", "").body), &doc))
	ids := map[string]bool{}
	ask := func(path string, stream bool) {
		a := v.read(v.who[name], path, stream)
		v.hear(name+"'s "+path, a)
		n++
		for _, id := range anID.FindAllString(a.body, -1) {
			ids[id] = true
		}
	}
	for pass := range 2 { // what has no parameter first: it says what there is
		for path, verbs := range doc.Paths {
			get, ok := verbs["get"]
			if !ok || strings.Contains(path, "{") != (pass == 1) {
				continue
			}
			_, stream := get.Responses["200"].Content["text/event-stream"]
			for _, filled := range fill(path, ids) {
				ask(filled, stream)
			}
		}
	}
	return n
}

// read asks for a path; of a stream it takes what comes at first.
func (v *vault) read(who visitor, path string, stream bool) answer {
	if !stream {
		return v.ask(who, "GET", path, "")
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", v.url+path, nil)
	check(v.t, err)
	who.dress(req)
	resp, err := v.http.Do(req)
	if err != nil {
		return answer{Response: &http.Response{Header: http.Header{}}}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body) // the stream ends with the time that it was given
	return answer{resp, string(body)}
}
