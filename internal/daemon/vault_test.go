package daemon_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/telemetry"
)

// vault is an installation full of marked secrets, whose daemon, log, spans and
// notices a test listens to.
type vault struct {
	t         *testing.T
	home, url string
	inst      *installation.Installation
	measure   *telemetry.Telemetry
	spans     *tracetest.InMemoryExporter
	log       *record
	leaky     *leaky
	http      *http.Client
	who       map[string]visitor
	stop      func()

	bearer, link string
	echoed       atomic.Int64 // token requests that the provider repeated

	mu    sync.Mutex
	posts []string // bodies of notices
	marks []mark
	heard []said
}

// mark is a secret and how it may look where it got out.
type mark struct {
	name, value string
	needles     []string
}

// said is something that came out.
type said struct{ where, text string }

const vaultBlueprint = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: small
version: "1.0"
title: A small one
parameters:
  properties:
    seats: {type: integer, minimum: 1, default: 5}
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
dataClasses:
  orders:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
resources:
  - {key: store, system: main, type: store, name: "${tenant.name}-${env.name}", data: [orders], handover: true}
  - {key: admin, system: main, type: account, name: "${tenant.name}-${env.name}-admin", needs: [store]}
outputs:
  user: ${resources.admin.name}
  password: ${credential(resources.admin)}
failure: compensate
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: P14D, retrieval: P30D, quarantine: P7D}
`

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{
		t: t, home: filepath.Join(t.TempDir(), "tenure"), log: &record{}, spans: tracetest.NewInMemoryExporter(), who: map[string]visitor{},
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	listen := freeAddress(t)
	v.url = "http://" + listen
	t.Setenv("TENURE_TEST_SYSTEM_KEY", v.planted("system's credential"))
	t.Setenv("TENURE_TEST_CLIENT_SECRET", v.planted("OIDC client's secret"))
	t.Setenv("TENURE_TEST_WEBHOOK_SECRET", v.planted("webhook's secret"))
	t.Setenv("TENURE_TEST_WEBHOOK", v.receiver()+"/hook/"+v.planted("webhook's path"))
	check(t, os.MkdirAll(v.home, 0o700))
	check(t, os.WriteFile(filepath.Join(v.home, "systems.yaml"), []byte("systems:\n  main: {connector: memory, options: {key: \"env:TENURE_TEST_SYSTEM_KEY\"}}\n"), 0o600))
	var err error
	v.measure, err = telemetry.New(t.Context(), telemetry.Options{Version: "test", Clock: time.Now, Now: time.Now, Exporter: v.spans})
	check(t, err)
	log := slog.New(slog.NewJSONHandler(v.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v.leaky = &leaky{world: memory.NewWorld("main"), key: os.Getenv("TENURE_TEST_SYSTEM_KEY"), mark: v.mark}
	v.inst, err = installation.Init(t.Context(), installation.Options{Dir: v.home, Catalog: []connector.Info{v.leaky.info()}, Measure: v.measure, Log: log}, installation.Settings{
		URL:     v.url,
		Witness: "http://" + freeAddress(t) + "/log?key=" + v.planted("witness's key"),
		SignIn:  &installation.SignIn{Issuer: v.provider(), ClientID: "vault", ClientSecret: "env:TENURE_TEST_CLIENT_SECRET"},
		Notify:  installation.Notify{Log: true, Webhook: &installation.Webhook{URL: "env:TENURE_TEST_WEBHOOK", Secret: "env:TENURE_TEST_WEBHOOK_SECRET"}},
	})
	check(t, err)
	// The address of a witness is a setting like a path, and stays in its file.
	check(t, os.Remove(filepath.Join(v.home, "tenure.yaml")))
	_, err = v.inst.AddSystem(t.Context(), "main", false, "setup")
	check(t, err)
	_, err = v.inst.SubmitBlueprint(t.Context(), []byte(vaultBlueprint), "small.yaml", "author")
	check(t, err)
	_, err = v.inst.PublishBlueprint(t.Context(), "small@1.0", "reviewer")
	check(t, err)
	v.run(listen, log)
	return v
}

// run starts the daemon; stop ends it and closes the store.
func (v *vault) run(listen string, log *slog.Logger) {
	v.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, v.inst, daemon.Options{Listen: listen, Log: log, Ready: func(string) { close(ready) }})
	}()
	v.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			v.t.Errorf("the daemon ended: %v", err)
		}
		v.http.CloseIdleConnections()
		_ = v.inst.Close()
		_ = v.measure.Close(context.Background())
	})
	v.t.Cleanup(v.stop)
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		v.t.Fatalf("the daemon ended before it served: %v", err)
	}
}

// planted makes a secret that nothing else looks like.
func (v *vault) planted(name string) string {
	value := rand.Text()
	v.mark(name, value)
	return value
}

// mark remembers a secret: raw, and as it looks inside base64 at each offset, or in
// hex. Half of it is as bad as the whole.
func (v *vault) mark(name, value string) {
	v.t.Helper()
	core := value[strings.LastIndex(value, ".")+1:] // of a departure link, what follows its id
	for _, prefix := range []string{"tnr_", "boot_", "dev_"} {
		core = strings.TrimPrefix(core, prefix)
	}
	if len(core) < 12 {
		v.t.Fatalf("the %s is too short to be looked for: %d bytes", name, len(core))
	}
	core = core[:min(len(core), 18)]
	m := mark{name: name, value: value, needles: []string{core, hex.EncodeToString([]byte(core))}}
	for pad := range 3 {
		enc := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", pad) + core))
		inner := enc[4 : len(enc)-4]
		m.needles = append(m.needles, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.marks = append(v.marks, m)
}

func (m mark) in(text string) bool { return m.at(text) >= 0 }

func (m mark) at(text string) int {
	for _, n := range m.needles {
		if i := strings.Index(text, n); i >= 0 {
			return i
		}
	}
	return -1
}

// around is what stands before the secret.
func (m mark) around(text string) string {
	i := m.at(text)
	return strings.ToValidUTF8(fmt.Sprintf("%q…", text[max(0, i-120):i]), "")
}

// said keeps something that came out for the judgement.
func (v *vault) said(where, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = append(v.heard, said{where, text})
}

// hear keeps an answer for the judgement, headers and all.
func (v *vault) hear(where string, a answer) {
	var head bytes.Buffer
	_ = a.Header.Write(&head)
	v.said(where, head.String()+"\n"+a.body)
}

// shows takes the secret out of the one answer that shows it.
func (v *vault) shows(where string, a answer, name, field string) {
	v.t.Helper()
	secret := a.field(field)
	v.mark(name, secret)
	var head bytes.Buffer
	_ = a.Header.Write(&head)
	v.said(where, head.String()+"\n"+strings.Replace(a.body, secret, "", 1))
	if a.Header.Get("Cache-Control") != "no-store" {
		v.t.Errorf("%s may be kept: %q", where, a.Header.Get("Cache-Control"))
	}
}

// received are the notices that went out.
func (v *vault) received() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.posts) == 0 {
		v.t.Error("no notice was sent")
	}
	return v.posts
}

// receiver takes notices and answers with all that it got.
func (v *vault) receiver() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.posts = append(v.posts, string(body))
		v.mu.Unlock()
		w.Header().Set("X-Echo", r.URL.Path)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, "%s %v %s %s", r.URL, r.Header, body, os.Getenv("TENURE_TEST_WEBHOOK_SECRET"))
	}))
	v.t.Cleanup(s.Close)
	return s.URL
}

// provider is an identity provider that repeats what it is sent, in every field of
// its refusal.
func (v *vault) provider() string {
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/.well-known/openid-configuration" {
			_ = json.NewEncoder(w).Encode(map[string]any{
				"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
				"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			})
			return
		}
		_ = r.ParseForm()
		_, secret, _ := r.BasicAuth()
		if verifier := r.Form.Get("code_verifier"); verifier != "" {
			v.mark("PKCE verifier", verifier)
			v.echoed.Add(1)
		}
		all := fmt.Sprint(r.Form, r.Header, secret)
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant " + all, "error_description": all, "error_uri": "https://id.example.com/?" + url.QueryEscape(all)})
	}))
	v.t.Cleanup(s.Close)
	return s.URL
}

// visitor is how somebody comes in.
type visitor struct {
	session, bearer, authorization string
	key, match, trace              string
	cookie                         *http.Cookie
}

func (w visitor) dress(r *http.Request) {
	if w.session != "" {
		r.AddCookie(&http.Cookie{Name: server.LoopbackCookie, Value: w.session})
	}
	if w.cookie != nil {
		r.AddCookie(&http.Cookie{Name: w.cookie.Name, Value: w.cookie.Value})
	}
	if w.bearer != "" {
		w.authorization = "Bearer " + w.bearer
	}
	for name, value := range map[string]string{"Authorization": w.authorization, "Idempotency-Key": w.key, "If-Match": w.match, "traceparent": w.trace, "tracestate": w.trace, "baggage": w.trace} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// person adds somebody with a role over everything, and signs them in.
func (v *vault) person(name string, role tenure.Role) {
	v.t.Helper()
	ctx, gov := v.t.Context(), v.inst.Governor
	p, err := gov.AddPrincipal(ctx, store.Principal{Name: name, Email: name + "@staff.example", Kind: tenure.CallerPerson}, "setup")
	check(v.t, err)
	_, err = gov.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: p.ID, Role: role, Scope: tenure.Scope{All: true}, Reason: "their desk"})
	check(v.t, err)
	_, cookie, err := gov.NewSession(ctx, p, "test", "a browser", true)
	check(v.t, err)
	v.mark(name+"'s cookie", cookie.Reveal())
	v.who[name] = visitor{session: cookie.Reveal()}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// field is a text of a JSON answer's.
func (a answer) field(name string) string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(a.body), &fields)
	s, _ := fields[name].(string)
	return s
}

var (
	anID   = regexp.MustCompile(`(?:[a-z]{2,3}_)[0-9a-f-]{36}|sha256:[0-9a-f]{64}|[a-z]+@\d+\.\d+`)
	aLink  = regexp.MustCompile(`(?:href|src|data-events)="([^"]+)"`)
	aToken = regexp.MustCompile(`tnr_[A-Za-z0-9_-]{20,}`)
)

func (a answer) links() (out []string) {
	for _, m := range aLink.FindAllStringSubmatch(a.body, -1) {
		to, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
		out = append(out, to)
	}
	return out
}

func tokenOn(page string) string { return aToken.FindString(page) }

// secretIn is the first one-time secret of a claim's answer.
func secretIn(body string) string {
	var page struct {
		Items []struct {
			Secret string `json:"secret"`
		} `json:"items"`
	}
	_ = json.Unmarshal([]byte(body), &page)
	for _, i := range page.Items {
		if i.Secret != "" {
			return i.Secret
		}
	}
	return ""
}

// fill puts ids where a path has parameters: each that was seen, for the first of
// them, and the first tenant's name.
func fill(path string, ids map[string]bool) (out []string) {
	from := strings.Index(path, "{")
	if from < 0 {
		return []string{path}
	}
	to := strings.Index(path, "}")
	prefix := map[string]string{"tenant": "ten_", "operation": "op_", "elevation": "elv_", "hold": "hld_", "digest": "sha256:", "principal": "prn_", "blueprint": "small@", "index": "", "certificate": ""}
	want, known := prefix[path[from+1:to]]
	values := []string{"acme", "0", "closing"}
	for id := range ids {
		if !known || want != "" && strings.HasPrefix(id, want) {
			values = append(values, id)
		}
	}
	for _, value := range values[:min(len(values), 12)] {
		out = append(out, fill(path[:from]+url.PathEscape(value)+path[to+1:], ids)...)
	}
	return out[:min(len(out), 24)]
}

// ask sends a request, of JSON if it has a body.
func (v *vault) ask(who visitor, method, path, body string) answer {
	return v.send(who, method, path, body, "application/json")
}

// form posts a form as a page of ours does.
func (v *vault) form(who visitor, path string, kv ...string) answer {
	f := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		f.Add(kv[i], kv[i+1])
	}
	return v.send(who, "POST", path, f.Encode(), "application/x-www-form-urlencoded")
}

func (v *vault) send(who visitor, method, path, body, kind string) answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	check(v.t, err)
	if method != http.MethodGet {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	who.dress(req)
	resp, err := v.http.Do(req)
	check(v.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	check(v.t, err)
	return answer{resp, string(raw)}
}

// starts asks for a tenant and has it approved.
func (v *vault) starts(name string) string {
	v.t.Helper()
	a := v.ask(v.who["olga"], "POST", "/v1/operations", `{"kind":"onboard","tenant":"`+name+`","organization":"Acme","blueprint":"small","tier":"team","reason":"a deal was closed"}`)
	v.hear("the request for "+name, a)
	op := a.field("id")
	if a.StatusCode != http.StatusAccepted || op == "" {
		v.t.Fatalf("the request answers %d: %s", a.StatusCode, a.body)
	}
	v.until("the approval is asked for", func() bool {
		plan, err := v.inst.Operation(v.t.Context(), tenure.OperationID(op))
		check(v.t, err)
		a := v.ask(v.who["rita"], "POST", "/v1/operations/"+op+"/approve", `{"digest":"`+plan.Plan+`"}`)
		v.hear("the approval of "+name, a)
		return a.StatusCode < 300
	})
	return op
}

// onboards makes a tenant, to the end.
func (v *vault) onboards(name string) string {
	v.t.Helper()
	op := v.starts(name)
	v.until(name+" is there", func() bool { return v.state(op).Ended() })
	if got := v.state(op); got != tenure.OperationSucceeded {
		v.t.Fatalf("the onboarding is %s", got)
	}
	return op
}

func (v *vault) state(op string) tenure.OperationState {
	v.t.Helper()
	got, err := v.inst.Operation(v.t.Context(), tenure.OperationID(op))
	check(v.t, err)
	return got.State
}

func (v *vault) until(what string, is func() bool) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-ctx.Done():
			v.t.Fatalf("it doesn't come to this: %s", what)
		}
	}
}

// record is a log that many write.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// leaky is the connector to a memory world that, once it is on, breaks its
// contract: it puts its credential, and the resource's, into all that it says.
type leaky struct {
	world *memory.World
	on    atomic.Bool
	said  atomic.Int64
	key   string
	mark  func(name, value string)
}

func (l *leaky) info() connector.Info {
	info := memory.InfoOf(l.world)
	open := info.Open
	info.Options = append(info.Options, connector.Option{Name: "key", Help: "The credential.", Secret: true, Required: true})
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		if c.Option("key") != l.key {
			return nil, tenure.Errorf(tenure.Invalid, "the credential didn't arrive")
		}
		d, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return leakyDriver{d.(*memory.Driver), l}, nil
	}
	return info
}

type leakyDriver struct {
	*memory.Driver
	l *leaky
}

func (d leakyDriver) Ensure(ctx context.Context, want connector.Desired) (connector.Observed, connector.Receipt, error) {
	o, r, err := d.Driver.Ensure(ctx, want)
	if err != nil || !d.l.on.Load() {
		return o, r, err
	}
	all := d.l.key + " " + want.Credential.Reveal()
	o.Detail = "made with " + all
	r.Facts = map[string]string{"address": "https://admin:" + d.l.key + "@main.example", "password": want.Credential.Reveal()}
	if want.Credential.IsZero() {
		return o, r, nil
	}
	d.l.mark("credential of "+want.Name, want.Credential.Reveal())
	d.l.said.Add(1)
	return o, r, tenure.Errorf(tenure.Invalid, "authentication failed for %s", all).WithHint("try %s", all)
}

func (d leakyDriver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	if d.l.on.Load() && len(refs) == 0 {
		d.l.said.Add(1)
		return connector.Sighting{}, fmt.Errorf("dial https://admin:%s@main.example: refused", d.l.key)
	}
	return d.Driver.Observe(ctx, refs, yield)
}

func (d leakyDriver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	if d.l.on.Load() {
		d.l.said.Add(1)
		return connector.Sighting{}, tenure.Errorf(tenure.Unavailable, "list as %s: refused", d.l.key)
	}
	return d.Driver.Discover(ctx, s, yield)
}

func (d leakyDriver) Probe(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	o, err := d.Driver.Probe(ctx, c)
	if d.l.on.Load() {
		o.Detail += " as " + d.l.key + " with " + c.Credential.Reveal()
	}
	return o, err
}
