package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

const eventRules = `
apiVersion: tenure.dev/v1
kind: Triggers
name: billing
version: "1"
as: feed
departures: 1
rules:
  - name: won
    source: crm
    on: [deal.won]
    customer: ${data.deal}
    onboard: {tenant: "${slug(data.company)}", blueprint: small, parameters: {login: "${data.login}"}, externalIds: ["${data.stripe}"], domains: ["acme.example"]}
  - name: seats
    source: pay
    on: [customer.subscription.updated]
    customer: ${data.data.object.customer}
    change: {parameters: {seats: "${data.data.object.quantity}"}}
  - name: unpaid
    source: pay
    on: [invoice.payment_failed]
    customer: ${data.data.object.customer}
    paymentFailed: {payments: 2, within: P21D, offboardAfter: P14D}
  - name: paid
    source: pay
    on: [invoice.paid]
    customer: ${data.data.object.customer}
    paymentSucceeded: {}
  - name: gone
    source: pay
    on: [customer.subscription.deleted]
    customer: ${data.data.object.customer}
    offboard: {}
`

// feed is a server that takes events, under a clock that the test moves.
type feed struct {
	t      *testing.T
	s      *lifecycle.Service
	events *trigger.Intake
	at     *httptest.Server
	rita   *client.Client
	author *client.Client
	clock  atomic.Int64
	dir    string
	file   string // the store's
	world  connector.Info
	shut   func()

	mu      sync.Mutex
	refused []string // reasons, in order
	counted []string // sources and outcomes, in order
}

const crmSecret, paySecret, formSecret = "crm-secret-of-the-test", "whsec_of_the_test", "whsec_Zm9ybS1zZWNyZXQtb2YtdGhlLXRlc3Q="

func newFeed(t *testing.T) *feed { return newFeedOf(t, client.SubmitBlueprint.Example, eventRules) }

func newFeedOf(t *testing.T, blueprint, rules string) *feed {
	t.Helper()
	return newFeedOn(t, filepath.Join(t.TempDir(), "tenure.db"), blueprint, rules)
}

// newFeedOn keeps its rows in a store of its own.
func newFeedOn(t *testing.T, store, blueprint, rules string) *feed {
	t.Helper()
	f := &feed{t: t, dir: t.TempDir(), file: store, world: memory.InfoOf(memory.NewWorld("main"))}
	return f.begin(blueprint, rules)
}

func (f *feed) begin(blueprint, rules string) *feed {
	t := f.t
	t.Helper()
	f.clock.CompareAndSwap(0, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	_, err := keystore.Init(t.Context(), filepath.Join(f.dir, "keys"), keystore.Options{Origin: "tenure-test", Now: f.now})
	f.must(err)
	f.open()
	t.Cleanup(func() { f.shut() })
	addMain(t, f.author)
	var p client.SourceParams
	f.must(json.Unmarshal([]byte(blueprint), &p.Body))
	_, err = client.SubmitBlueprint.Call(t.Context(), f.author, p)
	f.must(err)
	_, err = client.PublishBlueprint.Call(t.Context(), f.rita, client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: "small@1.0"}})
	f.must(err)
	g := governorOf(f.s)
	_, err = g.AddPrincipal(t.Context(), store.Principal{Name: "keeper", Kind: tenure.CallerPerson}, "test")
	f.must(err)
	m, err := g.AddPrincipal(t.Context(), store.Principal{Name: "feed", Kind: tenure.CallerMachine, Owner: "keeper"}, "test")
	f.must(err)
	_, err = g.Grant(t.Context(), governance.Local("test"), tenure.Grant{Principal: m.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "test"})
	f.must(err)
	f.publish(f.author, rules)
	return f
}

// open opens store, service and server, as a start does.
func (f *feed) open() {
	f.t.Helper()
	ctx := context.Background()
	keys, err := keystore.Open(filepath.Join(f.dir, "keys"), keystore.Options{Now: f.now})
	f.must(err)
	db, err := store.Open(ctx, store.Options{DSN: f.file})
	f.must(err)
	f.s, err = lifecycle.New(ctx, lifecycle.Options{
		DB: db, Keys: keys, Catalog: []connector.Info{f.world}, Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057",
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}}, Folder: filepath.Join(f.dir, "handover"), Now: f.now, Owner: "test",
		Budget: lifecycle.Budget{Person: 100_000, Blueprint: 100_000},
	})
	f.must(err)
	note := func(to *[]string, what string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		*to = append(*to, what)
	}
	f.events, err = trigger.New(trigger.Options{DB: db, Service: f.s, Leave: true,
		Count:   func(source, outcome string) { note(&f.counted, source+" "+outcome) },
		Refused: func(_, reason string) { note(&f.refused, reason) },
		Sources: map[string]event.Source{
			"crm":  {Name: "crm", Scheme: "hmac", Header: "X-Signature", Secrets: []tenure.Secret{tenure.NewSecret(crmSecret)}, Fields: event.Fields{ID: "id", Type: "type", Subject: "deal", Version: "version", Time: "at"}},
			"pay":  {Name: "pay", Scheme: "stripe", Secrets: []tenure.Secret{tenure.NewSecret(paySecret)}},
			"form": {Name: "form", Scheme: "standard", Secrets: []tenure.Secret{tenure.NewSecret(formSecret)}},
		}})
	f.must(err)
	srv, err := server.New(server.Options{Service: f.s, Governor: governorOf(f.s), Events: f.events})
	f.must(err)
	f.events.Open(srv.Door())
	f.at = httptest.NewServer(srv.Handler())
	f.rita, f.author = as(f.t, srv, "rita"), as(f.t, srv, "author")
	f.shut = func() { f.at.Close(); srv.Close(); f.s.Close(); _ = db.Close() }
}

func (f *feed) now() time.Time { return time.UnixMicro(f.clock.Load()).UTC() }

func (f *feed) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *feed) publish(author *client.Client, src string) {
	f.t.Helper()
	var p client.SourceParams
	p.Body.File, p.Body.Source = "billing.yaml", src
	set, err := client.SubmitTriggers.Call(f.t.Context(), author, p)
	f.must(err)
	if _, err := client.PublishTriggers.Call(f.t.Context(), author, client.PublishTriggersParams{TriggersParams: client.TriggersParams{Triggers: set.Digest}}); tenure.CodeOf(err) != tenure.Forbidden {
		f.t.Errorf("who wrote the rules publishes them: %v", err)
	}
	_, err = client.PublishTriggers.Call(f.t.Context(), f.rita, client.PublishTriggersParams{TriggersParams: client.TriggersParams{Triggers: set.Digest}})
	f.must(err)
}

// post sends what is signed, and gives the status.
func (f *feed) post(source, header, signature, body string) int {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.at.URL+"/v1/events/"+source, strings.NewReader(body))
	f.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(header, signature)
	res, err := http.DefaultClient.Do(r)
	f.must(err)
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func hmacOf(secret, what string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(what))
	return hex.EncodeToString(m.Sum(nil))
}

// won tells of a deal that was won, at a version.
func (f *feed) won(id string, version int, at time.Time) {
	f.t.Helper()
	body := fmt.Sprintf(`{"id":%q,"type":"deal.won","deal":"deal-77","version":"%d","at":%q,"company":"Acme","login":"a@acme.example","stripe":"cus_1"}`, id, version, at.Format(time.RFC3339))
	if code := f.post("crm", "X-Signature", hmacOf(crmSecret, body), body); code != 200 {
		f.t.Fatalf("%d for a won deal", code)
	}
}

// pay tells what the billing system has of customer cus_1.
func (f *feed) pay(id, kind string, at time.Time) int {
	f.t.Helper()
	body := fmt.Sprintf(`{"id":%q,"type":%q,"created":%d,"data":{"object":{"id":"sub_1","customer":"cus_1","quantity":9}}}`, id, kind, at.Unix())
	t := fmt.Sprint(f.now().Unix())
	return f.post("pay", "Stripe-Signature", "t="+t+",v1="+hmacOf(paySecret, t+"."+body), body)
}

// past writes into the store behind the program's back.
func (f *feed) past(query string) {
	f.t.Helper()
	raw, err := sql.Open("sqlite", "file:"+f.file+"?_pragma=busy_timeout(10000)")
	f.must(err)
	defer raw.Close()
	_, err = raw.Exec(query)
	f.must(err)
}

// work decides what came, and has what was started run.
func (f *feed) work() {
	f.t.Helper()
	f.must(f.events.Work(context.Background()))
	settle(f.t, f.s)
	for wait := time.Second; wait < 2*time.Minute; wait *= 2 { // what takes two steps, and what a process left undone
		n, err := f.s.Engine.DB.InboundCounts(context.Background())
		if f.must(err); n[store.InboundReceived] == 0 {
			return
		}
		f.clock.Add(wait.Microseconds())
		f.must(f.events.Work(context.Background()))
		settle(f.t, f.s)
	}
}

// became says what became of the latest event: its state and reason.
func (f *feed) became() store.Inbound {
	f.t.Helper()
	list, err := f.s.Engine.DB.Inbounds(f.t.Context(), store.InboundFilter{Limit: 1})
	f.must(err)
	return list[0]
}

func (f *feed) want(state store.InboundState, why string) store.Inbound {
	f.t.Helper()
	e := f.became()
	if e.State != state || !strings.Contains(e.Why, why) {
		f.t.Fatalf("%s %s is %s: %s; want %s: %s", e.Source, e.Type, e.State, e.Why, state, why)
	}
	return e
}

func (f *feed) state(want tenure.TenantState) {
	f.t.Helper()
	t, err := f.s.Tenant(f.t.Context(), "acme")
	f.must(err)
	if t.State != want {
		f.t.Fatalf("acme is %s, want %s", t.State, want)
	}
}

func (f *feed) approve(op tenure.OperationID) {
	f.t.Helper()
	v, err := f.s.Operation(f.t.Context(), op)
	f.must(err)
	p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: string(op)}}}
	p.Body.Digest = v.Plan
	_, err = client.ApproveOperation.Call(f.t.Context(), f.rita, p)
	f.must(err)
	settle(f.t, f.s)
}

// TestEventsBecomeRequests: a customer's whole life by what other systems tell.
func TestEventsBecomeRequests(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	begin := f.now()
	f.won("e1", 3, begin)
	f.won("e1", 3, begin) // a retry of the sender's
	f.work()
	op := f.want(store.InboundActed, "onboard acme").Operation
	f.approve(op)
	f.state(tenure.TenantActive)
	row, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	if got := strings.Join(row.KnownBy.ExternalIDs, " ") + " " + strings.Join(row.KnownBy.Domains, " "); got != "cus_1 acme.example" {
		t.Errorf("acme is known by %s", got)
	}
	if all, err := f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Limit: 10}); err != nil || len(all) != 1 {
		t.Errorf("%d events are kept of one that came twice (%v)", len(all), err)
	}

	f.won("e2", 2, begin) // an earlier version that comes late
	f.work()
	f.want(store.InboundSuperseded, "version 3")
	f.won("e3", 4, begin)
	f.work()
	f.want(store.InboundIgnored, "has a tenant already")

	f.clock.Add(time.Hour.Microseconds())
	f.pay("p1", "customer.subscription.updated", f.now())
	f.work()
	f.want(store.InboundActed, "change acme")
	if row, err = f.s.Engine.DB.Tenant(t.Context(), "acme"); err != nil || !strings.Contains(string(row.Parameters), `"seats":9`) {
		t.Errorf("acme has %s (%v)", row.Parameters, err)
	}

	f.pay("p2", "invoice.payment_failed", f.now())
	f.work()
	f.want(store.InboundNoted, "payment 1 of 2")
	f.clock.Add(24 * time.Hour.Microseconds())
	f.pay("p3", "invoice.payment_failed", f.now())
	f.work()
	f.want(store.InboundActed, "suspend acme")
	f.state(tenure.TenantSuspended)
	f.pay("p4", "invoice.paid", f.now())
	f.work()
	f.want(store.InboundActed, "resume acme")
	f.state(tenure.TenantActive)

	for _, id := range []string{"p5", "p6"} {
		f.clock.Add(24 * time.Hour.Microseconds())
		f.pay(id, "invoice.payment_failed", f.now())
		f.work()
	}
	f.state(tenure.TenantSuspended)
	f.clock.Add(14 * 24 * time.Hour.Microseconds())
	f.work() // nobody sends anything: time itself does
	e := f.want(store.InboundActed, "offboard acme")
	if e.Source != trigger.Clock || e.Type != trigger.GraceEnded {
		t.Errorf("%s %s has acme leave", e.Source, e.Type)
	}
	f.pay("p7", "invoice.paid", f.now())
	f.work()
	f.want(store.InboundActed, "withdraw the departure of acme")
	v, err := f.s.Operation(t.Context(), e.Operation)
	if f.must(err); v.State != tenure.OperationCancelled {
		t.Errorf("the departure is %s", v.State)
	}

	f.clock.Add(2 * time.Hour.Microseconds())
	f.pay("p8", "customer.subscription.deleted", f.now())
	f.work()
	op = f.want(store.InboundActed, "offboard acme").Operation
	f.approve(op)
	f.pay("p9", "invoice.paid", f.now())
	f.work()
	f.want(store.InboundIgnored, "not for a payment")
	f.won("e5", 8, f.now().Add(-3*time.Hour))
	f.work()
	f.want(store.InboundSuperseded, "the customer is to leave")
	f.clock.Add(time.Hour.Microseconds())
	f.won("e4", 9, f.now())
	f.work()
	f.want(store.InboundHeld, "once it has left")
}

// What isn't the source's is refused and leaves nothing; the log knows each row that is kept.
func TestEventsThatAreForged(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	body := `{"id":"x","type":"deal.won","deal":"deal-1","company":"Evil","login":"a","stripe":"cus_9"}`
	for _, c := range []struct {
		source, header, signature string
		code                      int
	}{
		{"crm", "X-Signature", hmacOf("another", body), 401},
		{"crm", "X-Signature", "", 401},
		{"pay", "Stripe-Signature", "t=1,v1=" + hmacOf(paySecret, "1."+body), 401},
		{"nobody", "X-Signature", hmacOf(crmSecret, body), 404},
		{"clock", "X-Signature", hmacOf(crmSecret, body), 404},
	} {
		if code := f.post(c.source, c.header, c.signature, body); code != c.code {
			t.Errorf("%s with %q answers %d, want %d", c.source, c.signature, code, c.code)
		}
	}
	if n, err := f.s.Engine.DB.InboundCounts(t.Context()); err != nil || len(n) != 0 {
		t.Fatalf("%v is kept (%v)", n, err)
	}

	f.won("e1", 1, f.now())
	f.past(`update inbound set body = '{"deal":"deal-1","company":"Evil","login":"a","stripe":"cus_9"}'`)
	f.work()
	f.want(store.InboundFailed, "isn't as the log says")
	f.past(`insert into inbound (id, source, external_id, type, subject, version, happened_at, received_at, body, state) values ('evt_01a22a5a-23fb-7e60-a1ee-0e4c80f215e8', 'crm', 'planted', 'deal.won', 'deal-2', '', 1, 1, '{"deal":"deal-2","company":"Evil","login":"a","stripe":"cus_9"}', 'received')`)
	f.work()
	if list, err := f.s.Tenants(t.Context(), store.TenantFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%v came of forged events (%v)", list, err)
	}
}

// A feed that has gone bad starts no more departures in an hour than it may; a person releases
// the next one or dismisses it.
func TestEventsBeyondTheirBudget(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	for n, name := range []string{"Acme", "Birch", "Cedar"} {
		body := fmt.Sprintf(`{"id":"w%d","type":"deal.won","deal":"deal-%d","version":"1","at":%q,"company":%q,"login":"a@b.example","stripe":"cus_%s"}`, n, n, f.now().Format(time.RFC3339), name, name)
		f.post("crm", "X-Signature", hmacOf(crmSecret, body), body)
		f.work()
		f.approve(f.want(store.InboundActed, "onboard").Operation)
	}
	f.clock.Add(time.Hour.Microseconds())
	for n, name := range []string{"Acme", "Birch", "Cedar"} {
		body := fmt.Sprintf(`{"id":"d%d","type":"customer.subscription.deleted","created":%d,"data":{"object":{"id":"sub_%d","customer":"cus_%s"}}}`, n, f.now().Unix(), n, name)
		at := fmt.Sprint(f.now().Unix())
		f.post("pay", "Stripe-Signature", "t="+at+",v1="+hmacOf(paySecret, at+"."+body), body)
	}
	f.work()
	n, err := f.s.Engine.DB.InboundCounts(t.Context())
	if f.must(err); n[store.InboundHeld] != 2 || n[store.InboundActed] != 4 {
		t.Fatalf("%v", n)
	}
	held, err := client.ListInbound.Call(t.Context(), f.rita, client.InboundFilter{State: "held"})
	f.must(err)
	if _, err := client.DismissInbound.Call(t.Context(), f.rita, client.DismissInboundParams{InboundParams: client.InboundParams{Event: string(held.Items[0].ID)}, Body: struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
	}{"the feed is broken"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReleaseInbound.Call(t.Context(), f.rita, client.InboundParams{Event: string(held.Items[1].ID)}); err != nil {
		t.Fatal(err)
	}
	f.work()
	if n, err = f.s.Engine.DB.InboundCounts(t.Context()); err != nil || n[store.InboundHeld] != 0 || n[store.InboundActed] != 5 || n[store.InboundDismissed] != 1 {
		t.Errorf("%v (%v)", n, err)
	}
}

// A rule tells people of what counts, once and in their language, and of nothing that doesn't.
func TestEventsTellPeople(t *testing.T) {
	t.Parallel()
	f := newFeedOf(t, client.SubmitBlueprint.Example, strings.Replace(strings.Replace(eventRules, "    paymentFailed: {payments: 2, within: P21D, offboardAfter: P14D}\n", `    paymentFailed: {payments: 2, within: P21D, offboardAfter: P14D}
    notify: [{to: platform, text: "a payment of ${data.data.object.customer} failed"}]
`, 1), "externalIds:", "contractEnd: \"2026-06-01\", labels: {language: de}, externalIds:", 1)+`  - {name: renewal, ends: {before: P30D}, notify: [{to: contact, text: {en: your contract ends, de: der Vertrag endet}}]}
`)
	f.won("w1", 1, f.now())
	f.work()
	f.approve(f.want(store.InboundActed, "onboard").Operation)
	settle(t, f.s)
	f.pay("p1", "invoice.payment_failed", f.now())
	f.pay("p1", "invoice.payment_failed", f.now())
	f.work()
	f.pass(100 * day) // past what counts of failed payments
	f.work()
	f.work()
	f.pay("late", "invoice.payment_failed", f.now().Add(-200*day))
	f.work()
	tn, err := f.s.Tenant(t.Context(), "acme")
	f.must(err)
	list, err := f.s.Engine.DB.Notices(t.Context(), tn.ID)
	f.must(err)
	var told []string
	for _, n := range list {
		if n.Kind == tenure.NoticeRule {
			told = append(told, n.Recipient+": "+n.Body)
		}
	}
	if want := []string{"platform: a payment of cus_1 failed", "contact: der Vertrag endet"}; len(told) < 2 || told[0] != want[0] || told[1] != want[1] || len(told) > 3 {
		t.Errorf("told: %q", told)
	}
}
