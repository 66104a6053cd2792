package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// crm is a system whose deals can be looked up.
type crm struct {
	mu    sync.Mutex
	deals map[string]string // what each has now, as JSON
	down  bool
	hangs bool // it takes what is asked, and says nothing
	asked []string
}

type crmDriver struct {
	*memory.Driver
	crm *crm
}

func (c *crm) info() connector.Info {
	info := memory.InfoOf(memory.NewWorld("main"))
	open := info.Open
	info.Reads = []connector.ReadKind{{Name: "deal"}}
	info.Open = func(ctx context.Context, o connector.Config) (connector.Driver, error) {
		d, err := open(ctx, o)
		if err != nil {
			return nil, err
		}
		return crmDriver{d.(*memory.Driver), c}, nil
	}
	return info
}

func (d crmDriver) Read(ctx context.Context, kind, id string, fields []string) (json.RawMessage, error) {
	d.crm.mu.Lock()
	defer d.crm.mu.Unlock()
	d.crm.asked = append(d.crm.asked, kind+" "+id+" "+strings.Join(fields, ","))
	for d.crm.hangs {
		d.crm.mu.Unlock()
		select {
		case <-ctx.Done():
			d.crm.mu.Lock()
			return nil, tenure.Errorf(tenure.Unavailable, "the CRM doesn't answer: %w", ctx.Err()).Retryable()
		case <-time.After(10 * time.Millisecond):
			d.crm.mu.Lock()
		}
	}
	if d.crm.down {
		return nil, tenure.Errorf(tenure.Unavailable, "the CRM doesn't answer").Retryable()
	}
	deal, ok := d.crm.deals[id]
	if !ok {
		return nil, tenure.Errorf(tenure.NotFound, "no such deal")
	}
	return json.RawMessage(deal), nil
}

func (c *crm) set(deal, now string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deals == nil {
		c.deals = map[string]string{}
	}
	if c.deals[deal] = now; now == "" {
		delete(c.deals, deal)
	}
}

const readRules = `
apiVersion: tenure.dev/v1
kind: Triggers
name: sales
version: "1"
as: feed
rules:
  - name: won
    source: crm
    on: [deal.changed]
    customer: ${data.deal}
    read: {system: main, kind: deal, id: "${data.deal}", fields: [stage, login], when: current.stage == "won"}
    onboard: {tenant: "${slug(current.company)}", blueprint: small, parameters: {login: "${current.login}"}}
  - name: seats
    source: crm
    on: [deal.seats]
    customer: ${data.deal}
    read: {system: main, kind: deal, id: "${data.deal}"}
    change: {parameters: {seats: "${current.seats}"}}
  - name: form
    source: crm
    on: [form.sent]
    customer: ${data.deal}
    onboard: {tenant: "${slug(data.deal)}", blueprint: small, parameters: {login: b@b.example}}
`

func newSales(t *testing.T) (*feed, *crm) {
	c := &crm{}
	f := &feed{t: t, dir: t.TempDir(), file: filepath.Join(t.TempDir(), "tenure.db"), world: c.info()}
	return f.begin(strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), readRules), c
}

func (f *feed) deals(id, kind, deal string, at time.Time) {
	f.t.Helper()
	f.crm(fmt.Sprintf(`{"id":%q,"type":%q,"deal":%q,"at":%q}`, id, kind, deal, at.Format(time.RFC3339)))
}

// parameters are a tenant's, as JSON.
func (f *feed) parameters(tenant string) string {
	f.t.Helper()
	tn, err := f.s.Engine.DB.Tenant(f.t.Context(), tenant)
	f.must(err)
	return string(tn.Parameters)
}

// A rule that looks the deal up goes by what stands there now, whichever event came last, and asks
// by name for what it reads.
func TestEventsGoByWhatStandsThereNow(t *testing.T) {
	f, c := newSales(t)
	c.set("d-1", `{"stage":"lost","company":"Acme","login":"a@acme.example"}`)
	f.deals("e1", "deal.changed", "d-1", f.now()) // it was won, and is lost by now
	f.work()
	f.want(store.InboundIgnored, "deal d-1 of main isn't now as the rule won asks")
	c.set("d-1", `{"stage":"won","company":"Acme","login":"a@acme.example"}`)
	f.deals("e2", "deal.changed", "d-1", f.now())
	f.work()
	f.want(store.InboundActed, "onboard acme, as deal d-1 of main stands")
	if want := "deal d-1 stage,login"; !slices.Contains(c.asked, want) {
		t.Errorf("asked %q, not %q", c.asked, want)
	}

	// Two changes within one second, told in the wrong order: the earlier one comes last.
	c.set("d-1", `{"seats":9}`)
	f.deals("e4", "deal.seats", "d-1", f.now())
	f.work()
	f.deals("e3", "deal.seats", "d-1", f.now())
	f.work()
	if got := f.parameters("acme"); !strings.Contains(got, `"seats":9`) {
		t.Errorf("acme has %s, the deal 9 seats", got)
	}
	f.tell()
}

// What isn't there any more waits for a person; a system that is down holds up nobody else's events, is
// asked once in a pass, and its own are decided once it answers.
func TestEventsWaitForTheSystemThatTheyAreAbout(t *testing.T) {
	f, c := newSales(t)
	f.deals("e1", "deal.changed", "d-gone", f.now())
	f.work()
	f.want(store.InboundHeld, "deal d-gone of main isn't there any more")

	c.mu.Lock()
	c.down, c.asked = true, nil
	c.mu.Unlock()
	for n := range 20 {
		c.set(fmt.Sprint("d-", n), fmt.Sprintf(`{"stage":"won","company":"Company %d","login":"a@acme.example"}`, n))
		f.deals(fmt.Sprint("down", n), "deal.changed", fmt.Sprint("d-", n), f.now())
	}
	f.must(f.events.Work(t.Context()))
	f.want(store.InboundReceived, "the CRM doesn't answer")
	if len(c.asked) > 8 {
		t.Errorf("a system that is down was asked %d times in one pass", len(c.asked))
	}
	c.mu.Lock()
	c.down = false
	c.mu.Unlock()
	f.pass(time.Hour)
	f.work()
	for n := range 20 {
		if _, err := f.s.Engine.DB.Tenant(t.Context(), fmt.Sprint("company-", n)); err != nil {
			t.Errorf("once the system answers: %v", err)
		}
	}
}

// A system that takes connections and says nothing holds up nobody else's events, however many wait for it,
// and its own are decided by what it says in the end, each once.
func TestEventsDontWaitForASystemThatHangs(t *testing.T) {
	t.Parallel()
	f, c := newSales(t)
	c.hangs = true
	for n := range 120 { // more than one pass takes
		c.set(fmt.Sprint("d-", n), fmt.Sprintf(`{"stage":"won","company":"Company %d","login":"a@acme.example"}`, n))
		f.deals(fmt.Sprint("slow", n), "deal.changed", fmt.Sprint("d-", n), f.now())
	}
	f.deals("quick", "form.sent", "quick", f.now())
	began := time.Now()
	f.must(f.events.Work(t.Context()))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the events of a system that hangs were gone through in %s", took.Round(time.Second))
	}
	f.want(store.InboundActed, "onboard quick")
	c.mu.Lock()
	c.hangs = false
	c.mu.Unlock()
	for range 20 {
		f.pass(20 * time.Minute)
		f.work()
	}
	for n := range 120 {
		if e := f.found(fmt.Sprint("slow", n)); e.State != store.InboundActed {
			t.Errorf("once it answers, %s is %s: %s", e.ExternalID, e.State, e.Why)
		}
	}
	f.tell()
}

// Who submits rules is told what can't be looked up.
func TestRulesAreToldWhatCantBeLookedUp(t *testing.T) {
	f, _ := newSales(t)
	for text, want := range map[string]string{"system: main, kind: deal": "", "system: main, kind: order": "in main no order can be looked up; deal can", "system: other, kind: deal": "system \"other\" was not added"} {
		var p client.SourceParams
		p.Body.File, p.Body.Source = "sales.yaml", strings.ReplaceAll(strings.Replace(readRules, `"1"`, `"2"`, 1), "system: main, kind: deal", text)
		set, err := client.SubmitTriggers.Call(t.Context(), f.author, p)
		f.must(err)
		said := strings.Join(set.Warnings, "; ")
		if has := strings.Contains(said, "looked up") || strings.Contains(said, "not added"); has != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%s: %q, not %q", text, said, want)
		}
	}
}

// A system that still says that a customer who left is won brings nobody back, whenever it is told; and what it says is
// read as data: a text that looks like a rule's is none, and half an answer, or far too much of one, starts nothing.
func TestWhatIsLookedUpBringsNobodyBack(t *testing.T) {
	t.Parallel()
	f, c := newSales(t)
	f.pass(time.Second)
	f.publish(f.author, strings.Replace(readRules, `version: "1"`, `version: "2"`, 1)+"  - name: lost\n    source: crm\n    on: [deal.lost]\n    customer: ${data.deal}\n    offboard: {reason: lost}\n")
	c.set("d-1", `{"stage":"won","company":"Acme","login":"a@acme.example"}`)
	f.deals("e1", "deal.changed", "d-1", f.now())
	f.work()
	f.pass(time.Hour)
	f.deals("e2", "deal.lost", "d-1", f.now())
	f.work()
	f.want(store.InboundActed, "offboard acme")
	for n, later := range []time.Duration{-30 * time.Minute, 0, time.Hour} {
		f.pass(max(later, 0))
		f.deals(fmt.Sprint("again", n), "deal.changed", "d-1", f.now().Add(min(later, 0)))
		f.work()
		if e := f.became(); e.State != store.InboundSuperseded && e.State != store.InboundHeld {
			t.Errorf("%s after it left: %s: %s", later, e.State, e.Why)
		}
	}
	for deal, now := range map[string]string{
		"half": `{"stage":["won"],"company":{"a":1}}`, "broken": `{"stage":"won",`, "big": `{"stage":"won","company":"` + strings.Repeat("x", 10<<20) + `"}`, "nothing": `null`,
	} {
		c.set(deal, now)
		f.deals(deal, "deal.changed", deal, f.now())
		f.work()
		if e := f.became(); e.State == store.InboundActed || strings.Contains(e.Why, "secret") {
			t.Errorf("%s: %s: %s", deal, e.State, e.Why)
		}
	}
	c.set("d-2", `{"stage":"won","company":"${data.deal}\u2028${slug(current.login)}","login":"b@b.example"}`)
	f.deals("odd", "deal.changed", "d-2", f.now())
	f.work()
	f.want(store.InboundActed, "onboard data-deal-slug-current-login")
}
