package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/telemetry"
)

// marks are planted where secrets, names and people are; none may come out.
const (
	markParameter = "marked-parameter-7b1c"
	markError     = "marked-error-90ad"
	markTenant    = "markedtenant"
	markPerson    = "marked.person"
	markQuery     = "marked-query-31f0"
	markContact   = "marked.contact@example.com"
)

const blueprintText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: small
version: "1.0"
parameters:
  required: [login]
  properties:
    login: {type: string, minLength: 1}
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
  - key: store
    system: main
    type: store
    name: ${tenant.name}-${env.name}
    data: [orders]
  - key: admin
    system: main
    type: account
    name: ${tenant.name}-${env.name}-admin
    needs: [store]
  - key: login
    system: main
    type: setting
    name: ${tenant.name}-${env.name}-login
    attributes: {value: "${params.login}"}
outputs:
  password: ${credential(resources.admin)}
failure: compensate
approvals: {onboard: 1, offboard: 1}
offboarding:
  grace: P14D
  retrieval: P30D
  quarantine: P7D
`

// place is an installation on the memory connector whose program is watched, with
// an HTTP way in.
type place struct {
	t      *testing.T
	svc    *lifecycle.Service
	tel    *telemetry.Telemetry
	spans  *tracetest.InMemoryExporter
	web    *httptest.Server
	failed atomic.Int32 // calls that are still to fail
}

// failing is the memory connector; some of its calls fail with a text that holds
// what must not come out.
type failing struct {
	*memory.Driver
	p *place
}

func (f *failing) Ensure(ctx context.Context, d connector.Desired) (connector.Observed, connector.Receipt, error) {
	if f.p.failed.Add(-1) >= 0 {
		return connector.Observed{}, connector.Receipt{}, tenure.Errorf(tenure.Unavailable, "%s of %s: %s", markError, d.Name, d.Credential.Reveal()).Retryable()
	}
	return f.Driver.Ensure(ctx, d)
}

func newPlace(t *testing.T, traced bool) *place {
	t.Helper()
	ctx := context.Background()
	p := &place{t: t, spans: tracetest.NewInMemoryExporter()}
	var clock atomic.Int64
	clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Add(int64(time.Second / time.Microsecond))).UTC() }
	o := telemetry.Options{Version: "test", Clock: time.Now, Now: now}
	if traced {
		o.Exporter = p.spans
	}
	var err error
	p.tel, err = telemetry.New(ctx, o)
	p.must(err)
	t.Cleanup(func() { _ = p.tel.Close(ctx) })
	dir := t.TempDir()
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	p.must(err)
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	p.must(err)
	t.Cleanup(func() { _ = db.Close() })
	p.tel.Store(db)
	p.tel.Listeners(func() int { return 3 })
	info := memory.InfoOf(memory.NewWorld("main"))
	bare := info.Open
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := bare(ctx, c)
		if err != nil {
			return nil, err
		}
		return &failing{d.(*memory.Driver), p}, nil
	}
	p.svc, err = lifecycle.New(ctx, lifecycle.Options{
		DB: db, Keys: keys, Catalog: []connector.Info{info}, Installation: tenure.NewID[tenure.InstallationID](now()),
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}}, Folder: filepath.Join(dir, "handover"), Now: now, Owner: "test",
		Calls: p.tel.Call,
	})
	p.must(err)
	t.Cleanup(p.svc.Close)
	p.svc.Engine.Observe = p.tel.Step
	_, err = p.svc.AddSystem(ctx, "main", false, markPerson)
	p.must(err)
	_, err = p.svc.SubmitBlueprint(ctx, []byte(blueprintText), "small.yaml", "author")
	p.must(err)
	_, err = p.svc.PublishBlueprint(ctx, "small@1.0", "reviewer")
	p.must(err)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tenants/{tenant}/onboard", func(w http.ResponseWriter, r *http.Request) {
		in := lifecycle.Intent{Kind: tenure.Onboard, Tenant: r.PathValue("tenant"), Blueprint: "small", Tier: "team", Contact: markContact, Parameters: map[string]any{"login": markParameter}}
		_, op, err := p.svc.Request(r.Context(), in, markPerson)
		if err != nil {
			t.Error(err)
			w.WriteHeader(500)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, op.ID)
	})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: x\n\n")
		w.(http.Flusher).Flush()
	})
	mux.HandleFunc("GET /v1/broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.Handle("GET /metrics", p.tel.Handler())
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	p.web = httptest.NewServer(p.tel.Middleware(mux))
	t.Cleanup(p.web.Close)
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// do sends a request and gives the answer's body.
func (p *place) do(method, path, traceparent string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.web.URL+path, nil)
	p.must(err)
	if traceparent != "" {
		req.Header.Set("Traceparent", traceparent)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	p.must(err)
	return string(b)
}

// onboard has a tenant onboarded over HTTP; the engine runs it later.
func (p *place) onboard(traceparent string) tenure.OperationID {
	p.t.Helper()
	id := tenure.OperationID(p.do("POST", "/v1/tenants/"+markTenant+"/onboard?token="+markQuery, traceparent))
	p.settle()
	v, err := p.svc.Operation(p.t.Context(), id)
	p.must(err)
	_, err = p.svc.Approve(p.t.Context(), id, "", v.Plan, "reviewer", "")
	p.must(err)
	for range 200 {
		p.settle()
		if v, err = p.svc.Operation(p.t.Context(), id); err != nil || v.State.Ended() {
			break
		}
	}
	p.must(err)
	if v.State != tenure.OperationSucceeded {
		p.t.Fatalf("%s: %s", v.State, v.Reason)
	}
	return id
}

func (p *place) settle() {
	p.t.Helper()
	_, err := p.svc.Engine.Settle(context.Background())
	p.must(err)
}

func (p *place) flushed() tracetest.SpanStubs {
	p.t.Helper()
	p.must(p.tel.Flush(context.Background()))
	return p.spans.GetSpans()
}

// TestOneTrace: who looks for what a request did finds its operation's steps and
// their calls to systems under the trace that the caller began, though they ran
// later.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	p := newPlace(t, true)
	p.flushed()
	p.spans.Reset()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	op := p.onboard("00-" + trace + "-b7ad6b7169203331-01")
	spans := p.flushed()
	by := make(map[string]tracetest.SpanStub)
	names := make(map[string]int)
	for _, s := range spans {
		by[s.SpanContext.SpanID().String()] = s
	}
	for _, s := range spans {
		if got := s.SpanContext.TraceID().String(); got != trace {
			t.Errorf("%s stands in trace %s", s.Name, got)
		}
		parent := by[s.Parent.SpanID().String()]
		switch {
		case strings.HasPrefix(s.Name, "POST "):
			if s.Parent.SpanID().String() != "b7ad6b7169203331" || s.Name != "POST /v1/tenants/{tenant}/onboard" {
				t.Errorf("request %q below %s", s.Name, s.Parent.SpanID())
			}
		case strings.HasPrefix(s.Name, "step "):
			if !strings.HasPrefix(parent.Name, "POST ") {
				t.Errorf("%s below %q", s.Name, parent.Name)
			}
			if got := attribute(s, "tenure.operation"); got != string(op) {
				t.Errorf("%s is of operation %q", s.Name, got)
			}
		case s.Name == "connector.ensure":
			if parent.Name != "step ensure" || attribute(s, "tenure.system") != "main" {
				t.Errorf("%s of system %q below %q", s.Name, attribute(s, "tenure.system"), parent.Name)
			}
		}
		names[s.Name]++
	}
	for name, n := range map[string]int{"POST /v1/tenants/{tenant}/onboard": 1, "step ensure": 3, "connector.ensure": 3} {
		if names[name] < n {
			t.Errorf("%d spans %q, want %d; there are %v", names[name], name, n, names)
		}
	}
}

func attribute(s tracetest.SpanStub, key string) string {
	for _, kv := range s.Attributes {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

// TestLateStepsLink: a step that runs years after the request has a trace of its
// own, with a link to the request's; one without a trace has its own too.
func TestLateStepsLink(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	tel, err := telemetry.New(t.Context(), telemetry.Options{Clock: time.Now, Now: func() time.Time { return now }, Exporter: spans})
	if err != nil {
		t.Fatal(err)
	}
	const trace = "0af7651916cd43dd8448eb211c80319c"
	for name, c := range map[string]struct {
		later       time.Duration
		traceparent string
		same        bool
		links       int
	}{
		"soon": {time.Hour, "00-" + trace + "-b7ad6b7169203331-01", true, 0}, "years later": {5 * 365 * 24 * time.Hour, "00-" + trace + "-b7ad6b7169203331-01", false, 1},
		"no trace": {0, "", false, 0}, "a broken one": {0, "00-zz-b7-01", false, 0},
	} {
		spans.Reset()
		task := &engine.Task{Step: &tenure.Step{Action: tenure.ActEnsure}, Operation: tenure.Operation{CreatedAt: now}, Now: now.Add(c.later), Trace: c.traceparent}
		_, end := tel.Step(t.Context(), task)
		end(engine.Result{Verdict: tenure.Verified})
		_ = tel.Flush(t.Context())
		got := spans.GetSpans()
		if len(got) != 1 || (got[0].SpanContext.TraceID().String() == trace) != c.same || len(got[0].Links) != c.links {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestMetrics: what runs the place finds each thing under its name, and routes by
// their patterns.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p := newPlace(t, false)
	p.onboard("")
	p.do("GET", "/v1/events", "")
	p.do("GET", "/v1/broken", "")
	p.do("GET", "/v1/nothing/"+markTenant, "")
	p.do("BREW", "/v1/events", "")
	_, _, err := p.svc.Checkpoint(t.Context())
	p.must(err)
	text := p.do("GET", "/metrics", "")
	for _, line := range []string{
		`tenure_http_requests_total{code="202",method="POST",route="/v1/tenants/{tenant}/onboard"} 1`,
		`tenure_http_request_seconds_count{method="POST",route="/v1/tenants/{tenant}/onboard"} 1`,
		`tenure_http_requests_total{code="200",method="GET",route="/v1/events"} 1`,
		`tenure_http_requests_total{code="500",method="GET",route="/v1/broken"} `,
		`tenure_http_requests_total{code="404",method="GET",route="none"} 1`,
		`tenure_http_requests_total{code="405",method="other",route="none"} 1`,
		`tenure_http_requests_in_flight 1`,
		`tenure_steps_total{action="ensure",verdict="verified"} 3`,
		`tenure_step_seconds_count{action="ensure"} 3`,
		`tenure_connector_calls_total{code="ok",connector="memory",method="ensure",system="main"} 3`,
		`tenure_connector_call_seconds_count{method="ensure",system="main"} 3`,
		`tenure_store_commits_total{outcome="done"} `, `tenure_store_commit_writes_count `, `tenure_store_commit_seconds_count `,
		`tenure_store_up 1`, `tenure_approvals_waiting 0`, `tenure_findings{severity="critical"} 0`, `tenure_notices_unsent 0`, `tenure_log_entries `,
		`tenure_checkpoint_age_seconds `, `tenure_event_listeners 3`, `tenure_build_info{go="`, `go_goroutines `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s", line)
		}
	}
	if strings.Contains(text, `tenure_http_request_seconds_count{method="GET",route="/v1/events"}`) {
		t.Error("an event stream's life counts as a request's duration")
	}
	if len(p.spans.GetSpans()) > 0 {
		t.Error("there are traces though nobody asked for them")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Errorf("the metrics can't be parsed: %v", err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "tenure_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}

// TestOpenOperations: what waits is shown by kind and state, from the store, and
// the store is asked at most every ten seconds.
func TestOpenOperations(t *testing.T) {
	t.Parallel()
	p := newPlace(t, false)
	p.do("POST", "/v1/tenants/"+markTenant+"/onboard", "")
	p.settle()
	const line = "\n" + `tenure_operations{kind="onboard",state="waiting"} `
	if text := p.do("GET", "/metrics", ""); !strings.Contains(text, line+"1\n") || !strings.Contains(text, "\ntenure_approvals_waiting 1\n") {
		t.Errorf("metrics: %s", text)
	}
	p.do("POST", "/v1/tenants/other/onboard", "")
	p.settle()
	if text := p.do("GET", "/metrics", ""); !strings.Contains(text, line+"1\n") {
		t.Error("each scrape reads the store")
	}
}

// TestNothingIsTold: neither metrics nor spans hold a tenant's name, a person, a
// parameter, a contact, a credential, a query, or an error's text; metrics hold no
// tenant's id either.
func TestNothingIsTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t, true)
	p.failed.Store(2)
	op := p.onboard("")
	v, err := p.svc.Operation(t.Context(), op)
	p.must(err)
	out, err := p.svc.Outputs(t.Context(), op, true, markPerson)
	p.must(err)
	marks := []string{markParameter, markError, markTenant, markPerson, markQuery, markContact}
	for _, o := range out {
		if o.Secret != "" {
			marks = append(marks, o.Secret)
		}
	}
	if len(marks) != 7 {
		t.Errorf("no credential was handed over: %+v", out)
	}
	metrics := p.do("GET", "/metrics", "")
	spans := fmt.Sprintf("%+v", p.flushed())
	for _, m := range marks {
		if strings.Contains(metrics, m) {
			t.Errorf("metrics hold %s", m)
		}
		if strings.Contains(spans, m) {
			t.Errorf("spans hold %s", m)
		}
	}
	if strings.Contains(metrics, string(v.Tenant)) || strings.Contains(metrics, "ten_") {
		t.Error("metrics hold a tenant's id")
	}
	for _, want := range []string{`tenure_steps_total{action="ensure",verdict="retry"} 2`, `tenure_connector_calls_total{code="unavailable",connector="memory",method="ensure",system="main"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("there is no %s: this test planted nothing", want)
		}
	}
	if !strings.Contains(spans, "unavailable") {
		t.Error("no span tells of the errors: this test planted nothing")
	}
}

// BenchmarkStep is what a step with one call costs more for being observed; an
// unobserved step costs about 100 µs of processor time.
func BenchmarkStep(b *testing.B) {
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("traced=%v", traced), func(b *testing.B) {
			o := telemetry.Options{Clock: time.Now, Now: time.Now}
			if traced {
				o.Exporter = tracetest.NewNoopExporter()
			}
			tel, err := telemetry.New(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			task := &engine.Task{Step: &tenure.Step{Action: tenure.ActEnsure, System: "main"}, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
			sys := &connector.System{Name: "main"}
			for b.Loop() {
				ctx, end := tel.Step(b.Context(), task)
				tel.Call(ctx, sys, "ensure")(nil)
				end(engine.Result{Verdict: tenure.Verified})
			}
		})
	}
}
