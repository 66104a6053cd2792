package site_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

const rulesText = `apiVersion: tenure.dev/v1
kind: Triggers
name: billing
version: "%s"
as: feed
departures: 1
rules:
  - name: won
    source: crm
    on: [deal.won]
    customer: ${data.deal}
    onboard: {tenant: "${slug(data.company)}", blueprint: small}
  - name: gone
    source: crm
    on: [deal.lost]
    customer: ${data.deal}
    offboard: {}
`

var sources = map[string]event.Source{
	"crm": {Name: "crm", Scheme: "bearer", Secrets: []tenure.Secret{tenure.NewSecret("crm-token-of-the-test")}, Fields: event.Fields{ID: "id", Type: "type", Subject: "deal"}},
}

// feed has events decided by rules, asking in the name of a machine that may.
func (h *house) feed() {
	h.t.Helper()
	ctx := context.Background()
	_, err := h.gov.AddPrincipal(ctx, store.Principal{Name: "keeper", Kind: tenure.CallerPerson}, "setup")
	h.must(err)
	m, err := h.gov.AddPrincipal(ctx, store.Principal{Name: "feed", Kind: tenure.CallerMachine, Owner: "keeper"}, "setup")
	h.must(err)
	_, err = h.gov.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: m.ID, Role: tenure.Operator, Scope: everything, Reason: "test"})
	h.must(err)
	set, err := h.events.Submit(ctx, fmt.Appendf(nil, rulesText, "1"), "billing.yaml", "author")
	h.must(err)
	_, err = h.events.Publish(ctx, set.Digest, "reviewer")
	h.must(err)
}

// tell has the CRM tell of an event, and gives what became of it.
func (h *house) tell(id, kind, deal string, more ...string) store.Inbound {
	h.t.Helper()
	ctx := context.Background()
	told := map[string]any{"id": id, "type": kind, "deal": deal}
	for i := 0; i+1 < len(more); i += 2 {
		told[more[i]] = json.RawMessage(more[i+1])
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	h.must(enc.Encode(told))
	err := h.events.Receive(ctx, "crm", event.Request{Method: http.MethodPost, Path: "/v1/events/crm", Header: http.Header{"Authorization": {"Bearer crm-token-of-the-test"}, "Content-Type": {"application/json"}}, Body: body.Bytes()})
	h.must(err)
	h.must(h.events.Work(ctx))
	h.settle()
	list, err := h.events.List(ctx, store.InboundFilter{Source: "crm", Limit: 1})
	h.must(err)
	return list[0]
}

// won has a deal become a tenant that is active.
func (h *house) won(deal, company string) store.Inbound {
	h.t.Helper()
	e := h.tell("won-"+deal, "deal.won", deal, "company", fmt.Sprintf("%q", company))
	if e.State != store.InboundActed {
		h.t.Fatalf("the deal is %s: %s", e.State, e.Why)
	}
	h.sign(e.Operation, "rita")
	return e
}

func words(s string) string { return html.EscapeString(s) }

// TestEventPages: people see what other systems told, what became of it and why, and find
// the way from an event to what it led to and back. Who may not read events sees none of it.
func TestEventPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.feed()
	won := h.won("deal-7", "Acme")
	lost := h.tell("lost", "deal.lost", "")
	strange := h.tell("strange", "<b>"+`‮`+"odd", "deal-9", "count", "1152921504606846977", "note", `"<script>alert(1)</script>‮"`)
	operator, viewer := h.person("otto", tenure.Operator, everything), h.person("vera", tenure.Viewer, everything)
	event, op, tenant := "/events/"+string(won.ID), "/operations/"+string(won.Operation), "/tenants/"+string(won.Tenant)

	operator.get("/events").wants(t, 200, "deal.won", "crm", "acted", won.Why, `href="`+event+`"`, `href="`+op+`"`, `href="`+tenant+`" dir="auto">acme`, "billing@1/won", `href="/events/rules/billing@1"`, "failed", words(lost.Why), `href="/events" aria-current="page"`, "&lt;b&gt;"+`\u202e`+"odd")
	operator.get("/events?state=failed").wants(t, 200, words(lost.Why))
	for _, q := range []string{"state=failed", "tenant=acme", "source=crm&tenant=acme"} {
		both := operator.get("/events?" + q)
		if both.wants(t, 200); strings.Contains(both.body, event) == strings.Contains(both.body, string(lost.ID)) {
			t.Errorf("%s narrows nothing: %s", q, text(both.body))
		}
	}
	operator.get("/events?source=clock").wants(t, 200, "No event is like that.")
	operator.get("/events?source=unknown").wants(t, 400)
	operator.get("/events?state=unknown").wants(t, 400)
	operator.get(event).wants(t, 200, "deal.won", won.Why, "onboard, succeeded", `href="`+op+`"`, `href="`+tenant+`"`, "&#34;deal&#34;: &#34;deal-7&#34;", "won-deal-7", "Nothing more")
	operator.get("/events/"+string(strange.ID)).wants(t, 200, "1152921504606846977", `&lt;script&gt;alert(1)&lt;/script&gt;\u202e`)
	operator.get("/events/evt_0190a4c2-1f00-7a3b-9d21-6f0c52b1a001").wants(t, 404)
	operator.get(op).wants(t, 200, "Asked for by", `the event <a href="`+event+`" dir="auto">deal.won</a> of <span dir="auto">crm`)
	list := `/events?tenant=` + string(won.Tenant)
	operator.get(tenant).wants(t, 200, `href="`+list+`"`)
	operator.get(list).wants(t, 200, event)

	for _, path := range []string{"/events", event, "/events/rules", "/events/rules/billing@1"} {
		viewer.get(path).wants(t, 403)
	}
	for _, path := range []string{"/", op, tenant} {
		if a := viewer.get(path); strings.Contains(a.body, `"/events`) || strings.Contains(a.body, "deal.won") {
			t.Errorf("%s tells a viewer of events", path)
		}
	}
}

// TestEventTriggerIsntProof: who names an event as the trigger of their own request doesn't
// get it shown as what asked for it.
func TestEventTriggerIsntProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.feed()
	lost := h.tell("lost", "deal.lost", "")
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "borrowed", Blueprint: "small", Trigger: "event:crm:" + string(lost.ID)})
	if a := h.person("otto", tenure.Operator, everything).get("/operations/" + string(op.ID)); strings.Contains(a.body, "Asked for by") {
		t.Errorf("an event stands as what asked for a person's request: %s", text(a.body))
	}
}

// TestEventsAreDecided: who may decide releases, dismisses and replays an event on its page,
// is told what follows, and finds it from the inbox; who may only look is offered nothing.
func TestEventsAreDecided(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.feed()
	h.won("deal-1", "Acme")
	h.won("deal-2", "Birch")
	h.won("deal-3", "Cedar")
	if first := h.tell("lost-1", "deal.lost", "deal-1"); first.State != store.InboundActed {
		t.Fatalf("the first departure is %s: %s", first.State, first.Why)
	}
	second, third, failed := h.tell("lost-2", "deal.lost", "deal-2"), h.tell("lost-3", "deal.lost", "deal-3"), h.tell("lost-4", "deal.lost", "")
	at := func(e store.Inbound) string { return "/events/" + string(e.ID) }
	operator, auditor := h.person("otto", tenure.Operator, everything), h.person("aurel", tenure.Auditor, everything)
	for _, e := range []store.Inbound{second, failed} {
		a := auditor.get(at(e))
		a.wants(t, 200, "you may look at this event")
		if a.offers(at(e) + "/.*") {
			t.Errorf("an auditor is offered to decide %s", e.ID)
		}
		auditor.post(at(e)+"/replay").wants(t, 303)
		auditor.get("/events").wants(t, 200, "may not event.decide")
	}

	page := operator.get(at(second))
	page.wants(t, 200, "held", "which is all that they may", "past the bound or the earlier departure", "It is decided anew", "It leads to nothing")
	operator.change(at(second)+"/release").wants(t, 200, "It is released")
	h.must(h.events.Work(t.Context()))
	operator.get(at(second)).wants(t, 200, "acted", "offboard, running", "by <span dir=\"auto\">otto")
	if operator.get(at(second)).offers(at(second) + "/.*") {
		t.Error("an event that has led to a departure can be decided once more")
	}

	operator.change(at(third)+"/dismiss", "reason", " ").wants(t, 200, "the reason for dismissing an event is missing", "held")
	operator.use(at(third), at(third)+"/dismiss", "reason", "the customer was called").wants(t, 200, "It is dismissed", "the customer was called", "dismissed")
	operator.change(at(third)+"/release").wants(t, 200, "that can&#39;t be done with it")
	operator.use(at(third), at(third)+"/replay").wants(t, 200, "It is decided anew")
	if a := operator.get(at(failed)); a.offers(at(failed)+"/release") || !a.offers(at(failed)+"/replay") {
		t.Error("what failed can be released, or can't be replayed")
	}
	operator.use(at(failed), at(failed)+"/dismiss", "reason", "a test of theirs").wants(t, 200, "a test of theirs")
	operator.post(at(failed)+"/forget").wants(t, 404)

	h.svc.AddInbox(func(context.Context, tenure.Caller) ([]lifecycle.InboxItem, error) {
		return []lifecycle.InboxItem{{Kind: "event", ID: string(third.ID), Summary: "crm deal.lost: held", RequestedBy: "crm", Need: 1, OpenedAt: h.gov.Now()}}, nil
	})
	fresh := h.person("olaf", tenure.Operator, everything)
	fresh.get("/approvals").wants(t, 200, `<a href="`+at(third)+`" dir="auto">Event of another system</a>`)
	fresh.get("/").wants(t, 200, `href="`+at(third)+`"`)
}

// TestRulePages: the revisions of rules stand with their text; who wrote one can't publish
// it, and who publishes signs the digest of what they read.
func TestRulePages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.feed()
	author, other, auditor := h.person("anna", tenure.BlueprintAuthor, everything), h.person("bela", tenure.SecurityOfficer, everything), h.person("aurel", tenure.Auditor, everything)
	auditor.get("/events/rules").wants(t, 200, "billing 1", "in force", "author", "reviewer")
	auditor.get("/events/rules/billing").wants(t, 200, "in force", "deal.won", "sha256:")
	auditor.get("/events/rules/none").wants(t, 404)
	if auditor.get("/events/rules").offers("/events/rules") {
		t.Error("an auditor is offered to submit rules")
	}
	h.pass(time.Hour)
	author.change("/events/rules", "source", "name: [").wants(t, 200, "rules.yaml")
	sent := author.post("/events/rules", "source", strings.ReplaceAll(fmt.Sprintf(rulesText, "2")+"# ‮\n", "\n", "\r\n"))
	draft := sent.Header.Get("Location")
	author.get(draft).wants(t, 200, "It is kept as a draft", "draft", "You wrote it, so another person must publish it.", "version: &#34;2&#34;\n", `# \u202e`)
	if auditor.get(draft).offers(draft + "/publish") {
		t.Error("an auditor is offered to publish rules")
	}
	h.publishedBySteps(other, draft)
	author.get("/events/rules").wants(t, 200, "in force", "replaced", "bela")
	if other.get(draft).offers(draft + "/publish") {
		t.Error("what is in force can be published once more")
	}
}

// publishedBySteps: a digest that isn't the draft's publishes nothing, and the one shown does.
func (h *house) publishedBySteps(by *browser, draft string) {
	h.t.Helper()
	path, kv := by.get(draft).formOf(h.t, draft+"/publish")
	if len(kv) != 2 || kv[0] != "digest" || !strings.HasSuffix(draft, kv[1]) {
		h.t.Fatalf("the form signs %v", kv)
	}
	by.change(path, "digest", "sha256:"+strings.Repeat("0", 64)).wants(h.t, 200, "draft")
	by.change(path, kv...).wants(h.t, 200, "It is published", "in force")
}
