package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

const day = 24 * time.Hour

// breaking is a feed whose onboardings need no approval, under rules that edits change: pairs
// of what is replaced and by what.
func breaking(t *testing.T, edits ...string) *feed {
	t.Helper()
	rules := strings.NewReplacer(append(edits, "departures: 1", "departures: 1000", `, domains: ["acme.example"]`, "")...).Replace(eventRules)
	return newFeedOf(t, strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), rules)
}

func (f *feed) pass(d time.Duration) { f.clock.Add(d.Microseconds()) }

// deal tells of a deal that was won.
func (f *feed) deal(id, deal, company, stripe string, at time.Time) {
	f.t.Helper()
	f.crm(fmt.Sprintf(`{"id":%q,"type":"deal.won","deal":%q,"version":"","at":%q,"company":%q,"login":"a@b.example","stripe":%q}`, id, deal, at.Format(time.RFC3339), company, stripe))
}

func (f *feed) crm(body string) {
	f.t.Helper()
	if code := f.post("crm", "X-Signature", hmacOf(crmSecret, body), body); code != 200 {
		f.t.Fatalf("%d for %s", code, body)
	}
}

// bill tells what the billing system has of a customer.
func (f *feed) bill(id, kind, customer string, at time.Time) {
	f.t.Helper()
	body := fmt.Sprintf(`{"id":%q,"type":%q,"created":%d,"data":{"object":{"id":%q,"customer":%q,"quantity":9}}}`, id, kind, at.Unix(), "obj_"+id, customer)
	t := fmt.Sprint(f.now().Unix())
	if code := f.post("pay", "Stripe-Signature", "t="+t+",v1="+hmacOf(paySecret, t+"."+body), body); code != 200 {
		f.t.Fatalf("%d for %s", code, body)
	}
}

// person asks for an operation as a person.
func (f *feed) person(in client.Intent) client.Operation {
	f.t.Helper()
	var p client.OperationRequest
	p.Body.Intent = in
	op, err := client.RequestOperation.Call(f.t.Context(), f.author, p)
	f.must(err)
	settle(f.t, f.s)
	return op
}

// is wants a tenant in a state.
func (f *feed) is(name string, want tenure.TenantState) {
	f.t.Helper()
	t, err := f.s.Tenant(f.t.Context(), name)
	if err != nil || t.State != want {
		f.t.Errorf("%s is %s, want %s (%v)", name, t.State, want, err)
	}
}

// departures are the departures of a tenant.
func (f *feed) departures(name string) (n int) {
	f.t.Helper()
	t, err := f.s.Engine.DB.Tenant(f.t.Context(), name)
	f.must(err)
	ops, err := f.s.Engine.DB.Operations(f.t.Context(), store.OperationFilter{Tenant: t.ID, Kind: tenure.Offboard})
	f.must(err)
	return len(ops)
}

// tell logs what became of the events.
func (f *feed) tell() {
	f.t.Helper()
	list, err := f.s.Engine.DB.Inbounds(f.t.Context(), store.InboundFilter{Limit: 12})
	f.must(err)
	for i := len(list) - 1; i >= 0; i-- {
		f.t.Logf("%s %s: %s: %s", list[i].ExternalID, list[i].Type, list[i].State, list[i].Why)
	}
}

// lapse has acme suspended by two failed payments.
func (f *feed) lapse(customer string) {
	f.t.Helper()
	f.bill("l1"+customer, "invoice.payment_failed", customer, f.now())
	f.work()
	f.pass(day)
	f.bill("l2"+customer, "invoice.payment_failed", customer, f.now())
	f.work()
}

func (f *feed) acme() {
	f.t.Helper()
	f.deal("w1", "deal-77", "Acme", "cus_1", f.now())
	f.work()
	f.is("acme", tenure.TenantActive)
	f.pass(time.Hour)
}

// Starts what it shouldn't: a grace outlives a person's resumption. Whom a person suspends
// later for another reason leaves.
func TestEventsGraceOutlivesAPersonsResumption(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.is("acme", tenure.TenantSuspended)
	f.person(client.Intent{Kind: tenure.Resume, Tenant: "acme"})
	f.is("acme", tenure.TenantActive)
	f.pass(10 * day)
	f.person(client.Intent{Kind: tenure.Suspend, Tenant: "acme", Reason: "an inquiry"})
	f.is("acme", tenure.TenantSuspended)
	f.pass(5 * day)
	f.work()
	if n := f.departures("acme"); n > 0 {
		f.tell()
		t.Errorf("acme leaves, though a person resumed it within the grace")
	}
}

// Starts what it shouldn't: a payment resumes what a person has suspended.
func TestEventsPaymentResumesAPersonsSuspension(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.person(client.Intent{Kind: tenure.Resume, Tenant: "acme"})
	f.person(client.Intent{Kind: tenure.Suspend, Tenant: "acme", Reason: "an inquiry"})
	f.pass(day)
	f.bill("p", "invoice.paid", "cus_1", f.now())
	f.work()
	f.tell()
	f.is("acme", tenure.TenantSuspended)
}

// Waits for ever: who pays while its departure waits for approval stays suspended.
func TestEventsWithdrawnStaysSuspended(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.pass(15 * day)
	f.work()
	f.want(store.InboundActed, "offboard acme")
	f.bill("p", "invoice.paid", "cus_1", f.now())
	f.work()
	f.want(store.InboundActed, "withdraw")
	for range 3 {
		f.pass(time.Hour)
		f.bill("p"+f.now().String(), "invoice.paid", "cus_1", f.now())
		f.work()
	}
	f.tell()
	f.is("acme", tenure.TenantActive)
}

// Loses a departure: the end of a grace is no event that the rule's own condition fits.
func TestEventsGraceOfARuleWithACondition(t *testing.T) {
	t.Parallel()
	f := breaking(t, "    paymentFailed: {payments: 2", "    when: data.data.object.quantity > 0\n    paymentFailed: {payments: 2")
	f.acme()
	f.lapse("cus_1")
	f.is("acme", tenure.TenantSuspended)
	f.pass(15 * day)
	f.work()
	if f.departures("acme") != 1 {
		f.tell()
		t.Errorf("acme doesn't leave after its grace")
	}
}

// Acts for the wrong tenant: a second deal that names the first one's billing id takes it over.
func TestEventsSharedExternalID(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.deal("w2", "deal-78", "Birch", "cus_1", f.now())
	f.work()
	f.tell()
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	f.tell()
	if _, err := f.s.Tenant(t.Context(), "birch"); err == nil && f.departures("birch") > 0 {
		t.Errorf("birch leaves as acme's subscription ends; acme has %d departures", f.departures("acme"))
	}
}

// Acts for the wrong tenant: an external id that is another deal's key, or another tenant's id.
func TestEventsExternalIDOfAnother(t *testing.T) {
	t.Parallel()
	f := breaking(t, "on: [customer.subscription.deleted]", "on: [customer.subscription.deleted, also]")
	f.acme()
	acme, err := f.s.Engine.DB.Tenant(t.Context(), "acme")
	f.must(err)
	f.deal("w2", "deal-78", "Birch", string(acme.ID), f.now())
	f.work()
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", string(acme.ID), f.now())
	f.work()
	f.tell()
	if _, err := f.s.Tenant(t.Context(), "birch"); err == nil && f.departures("birch") > 0 {
		t.Errorf("birch leaves for an event whose customer is acme's id")
	}
}

// Acts for the wrong tenant: two sources that call different customers the same.
func TestEventsTwoSourcesOneKey(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.deal("w1", "1042", "Acme", "cus_1", f.now())
	f.work()
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", "1042", f.now()) // the billing system's own number
	f.work()
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme leaves, which the billing system calls cus_1, for the event of its customer 1042")
	}
}

// Acts for the wrong tenant: SQLite's like doesn't tell case apart, and the ids of others do.
func TestEventsExternalIDInAnotherCase(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.deal("w1", "deal-77", "Acme", "cus_AbCd", f.now())
	f.work()
	f.pass(time.Hour)
	f.bill("gone", "customer.subscription.deleted", "cus_aBcD", f.now())
	f.work()
	f.tell()
	if f.departures("acme") > 0 {
		t.Errorf("acme is cus_AbCd, and leaves as cus_aBcD does")
	}
}

// Brings a leaver back: another deal that names the billing id of one that is leaving.
func TestEventsLeaverByAnotherDeal(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	f.approve(f.want(store.InboundActed, "offboard").Operation)
	f.pass(time.Hour)
	f.deal("w2", "deal-78", "Acme two", "cus_1", f.now().Add(-2*time.Hour)) // late: won before it left
	f.work()
	f.tell()
	if tn, err := f.s.Tenant(t.Context(), "acme-two"); err == nil {
		t.Errorf("cus_1 has left, and a deal from before that brings it back: %s", tn.State)
	}
}

// Loses an onboarding: an external id that is empty is one that all such customers share.
func TestEventsEmptyExternalID(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.deal("w1", "deal-77", "Acme", "", f.now())
	f.work()
	f.tell()
	f.pass(time.Hour)
	f.deal("w2", "deal-77", "Acme", "", f.now())
	f.work()
	f.want(store.InboundIgnored, "has a tenant already")
	f.deal("w3", "deal-78", "Birch", "", f.now())
	f.work()
	f.want(store.InboundActed, "onboard birch") // two without an external id aren't one
}

// Double: failures from before the tenant was known count again with each event.
func TestEventsFailuresCountTwice(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.bill("f1", "invoice.payment_failed", "cus_1", f.now())
	f.work()
	f.pass(time.Hour)
	f.person(client.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Parameters: map[string]any{"login": "a@b.example"}})
	f.know("acme", "cus_1")
	f.bill("p1", "invoice.paid", "cus_1", f.now())
	f.work()
	f.pass(time.Hour)
	f.bill("f2", "invoice.payment_failed", "cus_1", f.now())
	f.work()
	f.tell()
	f.is("acme", tenure.TenantActive)
}

func (f *feed) know(tenant string, ids ...string) {
	f.t.Helper()
	_, err := f.s.SetKnownBy(f.t.Context(), tenant, tenure.KnownBy{ExternalIDs: ids}, 0, "author")
	f.must(err)
}

// Loses a departure: of two tenants that are known by the same id none leaves, and nobody is told.
func TestEventsAmbiguousCustomerLeaves(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	for _, name := range []string{"acme", "birch"} {
		f.person(client.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Parameters: map[string]any{"login": "a@b.example"}})
		f.know(name, "cus_1")
	}
	f.bill("gone", "customer.subscription.deleted", "cus_1", f.now())
	f.work()
	f.tell()
	if e := f.became(); e.State != store.InboundHeld && e.State != store.InboundFailed {
		t.Errorf("the end of a subscription of two tenants is %s: %s", e.State, e.Why)
	}
}

// Loses a departure: the rule's name changes while a grace runs.
func TestEventsRuleRenamedInGrace(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.publish(f.author, strings.NewReplacer("departures: 1", "departures: 9", `version: "1"`, `version: "2"`, "name: unpaid", "name: dunning").Replace(eventRules))
	f.pass(20 * day)
	f.work()
	f.work()
	f.tell()
	if e := f.became(); f.departures("acme") == 0 && e.State == store.InboundIgnored {
		t.Errorf("acme's departure is gone with the name of the rule, and the event is %s: %s", e.State, e.Why)
	}
}

// Starts what it shouldn't: a contract that was renewed while its end waited for another operation.
func TestEventsContractRenewedMeanwhile(t *testing.T) {
	t.Parallel()
	more := "  - name: renewed\n    source: crm\n    on: [renewed]\n    customer: ${data.deal}\n    change: {contractEnd: \"${data.end}\"}\n  - name: lapsed\n    ends: {}\n    offboard: {}\n"
	f := newFeedOf(t, strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), strings.NewReplacer(`, domains: ["acme.example"]}`, `, contractEnd: "2026-04-01"}`).Replace(eventRules)+more)
	f.acme()
	f.deal("w2", "deal-78", "Birch", "cus_2", f.now())
	f.work()
	f.pass(40 * day)
	f.work() // one of them leaves, the other is held: the budget is one
	n, err := f.s.Engine.DB.InboundCounts(t.Context())
	f.must(err)
	t.Log(n)
	held, err := client.ListInbound.Call(t.Context(), f.rita, client.InboundFilter{State: "held"})
	f.must(err)
	if len(held.Items) != 1 {
		t.Fatalf("%d are held", len(held.Items))
	}
	tn, err := f.s.Engine.DB.Tenant(t.Context(), string(held.Items[0].Tenant))
	f.must(err)
	deal := map[string]string{"acme": "deal-77", "birch": "deal-78"}[tn.Name]
	f.crm(fmt.Sprintf(`{"id":"r","type":"renewed","deal":%q,"version":"","at":%q,"end":"2028-04-01"}`, deal, f.now().Format(time.RFC3339)))
	f.work()
	f.want(store.InboundNoted, "the contract ends at 2028")
	_, err = client.ReleaseInbound.Call(t.Context(), f.rita, client.InboundParams{Event: string(held.Items[0].ID)})
	f.must(err)
	f.work()
	f.tell()
	if f.departures(tn.Name) > 0 {
		t.Errorf("%s leaves for a contract that runs until 2028", tn.Name)
	}
}

// dying is a door that asks and then ends the program.
type dying struct {
	trigger.Door
	after func()
}

func (d dying) Request(ctx context.Context, as string, in lifecycle.Intent) (store.OperationRow, error) {
	row, err := d.Door.Request(ctx, as, in)
	if err == nil {
		d.after()
	}
	return row, err
}

// dies works until the first request is on disk, and starts anew.
func (f *feed) dies() {
	f.t.Helper()
	srv, err := server.New(server.Options{Service: f.s, Governor: governorOf(f.s), Events: f.events})
	f.must(err)
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.events.Open(dying{srv.Door(), cancel})
	if err := f.events.Work(ctx); err == nil {
		f.t.Fatal("nothing died")
	}
	f.shut()
	f.open()
}

// Loses a departure: the program ends between the suspension and what is noted of it. Its grace
// never runs, and a payment doesn't resume it.
func TestEventsDeathAfterSuspension(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"settles", "decides"} { // what the new process gets to first
		t.Run(first, func(t *testing.T) {
			f := breaking(t)
			f.acme()
			f.bill("f1", "invoice.payment_failed", "cus_1", f.now())
			f.work()
			f.pass(day)
			f.bill("f2", "invoice.payment_failed", "cus_1", f.now())
			f.dies()
			if first == "settles" {
				settle(t, f.s)
			}
			f.work()
			f.tell()
			f.is("acme", tenure.TenantSuspended)
			f.pass(15 * day)
			f.work()
			if f.departures("acme") == 0 {
				f.tell()
				t.Errorf("acme doesn't leave after its grace")
			}
		})
	}
}

// Without an explanation: the program ends between the departure and what is noted of it.
func TestEventsDeathAfterDeparture(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	f.acme()
	f.lapse("cus_1")
	f.pass(15 * day)
	f.dies()
	f.work()
	e := f.became()
	if f.departures("acme") != 1 {
		t.Fatalf("acme has %d departures", f.departures("acme"))
	}
	if e.State != store.InboundActed || e.Operation == "" {
		t.Errorf("the event that started the departure is %s: %s (operation %q)", e.State, e.Why, e.Operation)
	}
	f.pass(time.Second)
	f.bill("p", "invoice.paid", "cus_1", f.now())
	f.work()
	f.tell()
	f.want(store.InboundActed, "withdraw")
}
