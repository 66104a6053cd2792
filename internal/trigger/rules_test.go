package trigger

import (
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// billing are rules as a platform would have them.
const billing = `
apiVersion: tenure.dev/v1
kind: Triggers
name: billing
version: "1"
as: feed
departures: 2
rules:
  - name: won
    source: crm
    on: [deal.propertyChange]
    when: data.propertyName == "dealstage" && data.propertyValue == "closedwon"
    customer: deal-${event.subject}
    onboard:
      tenant: ${slug(data.company)}
      blueprint: small
      tier: team
      parameters: {login: "${data.login}", seats: "${data.seats}"}
      externalIds: ["${data.stripe}"]
      contractEnd: ${data.?ends.orValue("")}
  - name: seats
    source: pay
    on: [customer.subscription.updated]
    customer: ${data.object.customer}
    change: {parameters: {seats: "${data.object.quantity}"}}
  - name: unpaid
    source: pay
    on: [invoice.payment_failed]
    customer: ${data.object.customer}
    paymentFailed: {payments: 3, within: P21D, offboardAfter: P14D}
  - name: paid
    source: pay
    on: [invoice.paid]
    customer: ${data.object.customer}
    paymentSucceeded: {}
  - name: gone
    source: pay
    on: [customer.subscription.deleted]
    customer: ${data.object.customer}
    offboard: {reason: the subscription was deleted}
  - name: lapsed
    ends: {after: P7D}
    offboard: {reason: the contract has ended}
  - name: refunds
    source: pay
    on: [charge.refund*]
    ignore: {reason: refunds change nothing}
tests:
`

// pay are three ways to say one customer's event.
func pay(kind, at string) string {
	return `{source: pay, type: ` + kind + `, at: "` + at + `", subject: sub_1, data: {object: {customer: cus_1, quantity: 7}}}`
}

const won = `{source: crm, type: deal.propertyChange, at: "2026-01-01T00:00:00Z", subject: "77", data: {propertyName: dealstage, propertyValue: closedwon, company: Acme & Söhne, login: a@acme.example, seats: 3, stripe: cus_1}}`

// TestRules: what events lead to, in every order that a feed may bring them in.
func TestRules(t *testing.T) {
	t.Parallel()
	acme := `tenants: {cus_1: {name: acme}}`
	for _, c := range []struct {
		name, tenants string
		events        []string
		until, expect string
	}{
		{"a won deal onboards, and the billing system knows the customer", "", []string{won, pay("customer.subscription.updated", "2026-01-02")}, "", "onboard acme-sohne, change acme-sohne"},
		{"won twice is one tenant", "", []string{won, strings.Replace(won, "2026-01-01", "2026-01-03", 1)}, "", "onboard acme-sohne"},
		{"another stage is nothing", "", []string{strings.Replace(won, "closedwon", "qualified", 1)}, "", ""},
		{"a condition that reads what isn't there is no match", "", []string{`{source: crm, type: deal.propertyChange, data: {}}`}, "", ""},
		{"an update for nobody waits for a person", "", []string{pay("customer.subscription.updated", "2026-01-02")}, "", ""},
		{"an update that comes before its customer waits for it", "", []string{pay("customer.subscription.updated", "2026-01-02"), won}, "", "onboard acme-sohne, change acme-sohne"},
		{"an older update changes nothing", acme, []string{pay("customer.subscription.updated", "2026-01-05"), pay("customer.subscription.updated", "2026-01-04")}, "", "change acme"},
		{"three failures suspend, and then it leaves", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-04"), pay("invoice.payment_failed", "2026-01-08")}, "2026-01-23", "suspend acme, offboard acme"},
		{"and not a moment early", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-04"), pay("invoice.payment_failed", "2026-01-08")}, "2026-01-21T23:59:59Z", "suspend acme"},
		{"two failures and a payment are none", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-04"), pay("invoice.paid", "2026-01-05"), pay("invoice.payment_failed", "2026-01-08")}, "2026-03-01", ""},
		{"failures far apart don't count together", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-15"), pay("invoice.payment_failed", "2026-01-30")}, "2026-03-01", ""},
		{"a payment resumes", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-02"), pay("invoice.payment_failed", "2026-01-03"), pay("invoice.paid", "2026-01-09")}, "2026-03-01", "suspend acme, resume acme"},
		{"a payment from before the suspension that comes late doesn't", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-02"), pay("invoice.payment_failed", "2026-01-03"), pay("invoice.paid", "2025-12-31T12:00:00Z")}, "2026-01-16", "suspend acme"},
		{"a payment between the failures that comes late does", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-02"), pay("invoice.payment_failed", "2026-01-03"), pay("invoice.paid", "2026-01-02T12:00:00Z")}, "2026-01-16", "suspend acme, resume acme"},
		{"a payment withdraws the departure for unpaid bills", acme, []string{pay("invoice.payment_failed", "2026-01-01"), pay("invoice.payment_failed", "2026-01-02"), pay("invoice.payment_failed", "2026-01-03"), pay("invoice.paid", "2026-01-18")}, "", "suspend acme, offboard acme, withdraw acme, resume acme"},
		{"no payment withdraws a departure for another reason", acme, []string{pay("customer.subscription.deleted", "2026-01-02"), pay("invoice.paid", "2026-01-03")}, "2026-03-01", "offboard acme"},
		{"what a person suspended no payment resumes", `tenants: {cus_1: {name: acme, state: suspended}}`, []string{pay("invoice.paid", "2026-01-09")}, "", ""},
		{"deleted before it was won: the late deal brings nobody back", "", []string{pay("customer.subscription.deleted", "2026-01-02"), won}, "", ""},
		{"a leaver isn't brought back by a late deal", "", []string{won, pay("customer.subscription.deleted", "2026-01-05"), strings.Replace(won, "2026-01-01", "2026-01-06", 1)}, "", "onboard acme-sohne, offboard acme-sohne"},
		{"deleted twice is one departure", acme, []string{pay("customer.subscription.deleted", "2026-01-05"), pay("customer.subscription.deleted", "2026-01-06")}, "", "offboard acme"},
		{"an old deletion doesn't end a newer customer", "", []string{won, pay("customer.subscription.deleted", "2025-12-24")}, "", "onboard acme-sohne"},
		{"a contract ends", `tenants: {cus_1: {name: acme, contractEnd: 2026-02-01}}`, []string{pay("charge.refunded", "2026-01-05")}, "2026-02-08", "offboard acme"},
		{"a contract ends of who was onboarded here", "", []string{strings.Replace(won, "stripe: cus_1", "stripe: cus_1, ends: \"2026-02-01\"", 1)}, "2026-02-08", "onboard acme-sohne, offboard acme-sohne"},
		{"an external id that no tenant may have fails the event", "", []string{strings.Replace(won, "stripe: cus_1", "stripe: c1", 1)}, "", ""},
		{"a blank external id is left out", "", []string{strings.Replace(won, "stripe: cus_1", "stripe: ''", 1)}, "", "onboard acme-sohne"},
		{"a name that another tenant has holds the deal", `tenants: {cus_9: {name: acme-sohne}}`, []string{won}, "", ""},
		{"and not before", `tenants: {cus_1: {name: acme, contractEnd: 2026-02-01}}`, []string{pay("charge.refunded", "2026-01-05")}, "2026-02-07T23:00:00Z", ""},
		{"the same event twice counts once", acme, []string{strings.Replace(pay("invoice.payment_failed", "2026-01-01"), "source", "id: e1, source", 1), strings.Replace(pay("invoice.payment_failed", "2026-01-01"), "source", "id: e1, source", 1), strings.Replace(pay("invoice.payment_failed", "2026-01-01"), "source", "id: e1, source", 1)}, "", ""},
		{"more departures than these rules may start wait", `tenants: {a___: {name: a}, b___: {name: b}, c___: {name: c}}`, []string{of("a___"), of("b___"), of("c___")}, "", "offboard a, offboard b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := billing + "  - name: it\n    " + c.tenants + "\n    events:\n"
			for _, e := range c.events {
				src += "      - " + e + "\n"
			}
			if c.until != "" {
				src += "    until: " + c.until + "\n"
			}
			src += "    expect: [" + c.expect + "]\n"
			if _, err := Check([]byte(src), "billing.yaml"); err != nil {
				t.Error(err)
			}
		})
	}
}

func of(customer string) string {
	return strings.Replace(strings.Replace(pay("customer.subscription.deleted", "2026-01-05"), "cus_1", customer, 1), "sub_1", customer, 1)
}

// A test that expects something else fails, and says what became of each event.
func TestRulesThatFail(t *testing.T) {
	t.Parallel()
	src := billing + "  - name: wrong\n    tenants: {cus_1: {name: acme}}\n    events: [" + pay("customer.subscription.deleted", "2026-01-05") + "]\n    expect: [suspend acme]\n"
	_, err := Check([]byte(src), "billing.yaml")
	if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "got [offboard acme], expected [suspend acme]") {
		t.Errorf("%v", err)
	}
}

// What is wrong with a file is told with its line.
func TestRulesThatAreWrong(t *testing.T) {
	t.Parallel()
	head := "apiVersion: tenure.dev/v1\nkind: Triggers\nname: x\nversion: \"1\"\nas: feed\nrules:\n"
	for src, want := range map[string]string{
		"":                     "is empty",
		head + "  - name: a\n": "doesn't say what it does",
		head + "  - {name: a, source: s, customer: c, suspend: {}, resume: {}}\n":                                       "more than one thing",
		head + "  - {name: a, customer: c, suspend: {}}\n":                                                              "whose events",
		head + "  - {name: a, source: s, suspend: {}}\n":                                                                "which customer",
		head + "  - {name: a, source: s, customer: \"${x.y}\", suspend: {}}\n":                                          "x.yaml:7:",
		head + "  - {name: a, source: s, when: \"data.\", customer: c, suspend: {}}\n":                                  "this isn't CEL",
		head + "  - {name: a, source: s, when: \"${true}\", customer: c, resume: {}}\n":                                 "without ${…}",
		head + "  - {name: a, source: s, on: [\"a*b\"], customer: c, resume: {}}\n":                                     "stands at the end alone",
		head + "  - {name: a, ends: {}, onboard: {tenant: t, blueprint: b}}\n":                                          "can't lead to that",
		head + "  - {name: a, ends: {}, source: s, suspend: {}}\n":                                                      "has no source",
		head + "  - {name: a, source: s, customer: c, suspend: {offboardAfter: soon}}\n":                                "offboardAfter",
		head + "  - {name: a, source: s, customer: c, resume: {}}\n  - {name: a, source: s, customer: c, resume: {}}\n": "two rules are called a",
	} {
		_, err := Parse([]byte(src), "x.yaml")
		if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nwant %q, got %v", src, want, err)
		}
	}
}

// The example of docs/events.md is right, and its tests pass; the page shows it as it is.
func TestExample(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../docs/events-example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if set, err := Check(src, "events-example.yaml"); err != nil || len(set.Tests) == 0 {
		t.Errorf("%v", err)
	}
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil || !strings.Contains(string(page), string(src)) {
		t.Errorf("docs/events.md doesn't show events-example.yaml as it is (%v)", err)
	}
}

// What a reason says is what a person can act on.
func TestReasonsOfEvents(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		strings.Replace(won, "stripe: cus_1", "stripe: c1", 1):   "4 to 200 bytes",
		`{source: pay, data: {}}`:                                "its type is blank",
		strings.Replace(won, "propertyName: dealstage, ", "", 1): "rules_test: data.propertyName",
	} {
		_, err := Check([]byte(billing+"  - name: wrong\n    events: ["+of+"]\n    expect: [nothing]\n"), "billing.yaml")
		if want = strings.TrimPrefix(want, "rules_test: "); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "${") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What a rule looks up stands in the file's tests as current, and nowhere else can it be read.
func TestReading(t *testing.T) {
	const head = "apiVersion: tenure.dev/v1\nkind: Triggers\nname: sales\nversion: \"1\"\nas: feed\nrules:\n"
	const rule = "  - name: seats\n    source: crm\n    customer: ${data.deal}\n    read: {system: hub, kind: deal, id: \"${data.deal}\", when: current.seats > 0}\n    change: {parameters: {seats: \"${current.seats}\"}}\n"
	const events = "tests:\n  - name: t\n    tenants: {d1: {name: acme}}\n    events:\n"
	for name, c := range map[string]struct{ rest, why string }{
		"what stands there counts": {`      - {source: crm, data: {deal: d1, seats: 3}, current: {seats: 9}}` + "\n    expect: [change acme with seats 9]\n", ""},
		"it isn't as asked":        {`      - {source: crm, data: {deal: d1}, current: {seats: 0}}` + "\n    expect: []\n    held: []\n", ""},
		"it isn't there":           {`      - {source: crm, data: {deal: d1}, current: null}` + "\n    expect: []\n    held: [isn't there any more]\n", ""},
		"nobody says":              {`      - {source: crm, data: {deal: d1}}` + "\n    expect: []\n    held: [nothing says that here]\n", ""},
		"another figure":           {`      - {source: crm, data: {deal: d1}, current: {seats: 8}}` + "\n    expect: [change acme with seats 9]\n", "change acme with seats 8"},
	} {
		set, err := Parse([]byte(head+rule+events+c.rest), "sales.yaml")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(set.Try(), "; "); (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("%s: %q, not %q", name, got, c.why)
		}
	}
	for name, c := range map[string]struct{ rules, why string }{
		"without a read":    {"  - name: a\n    source: crm\n    customer: ${data.deal}\n    change: {parameters: {seats: \"${current.seats}\"}}\n", "current"},
		"beside one":        {rule + "  - name: a\n    source: crm\n    on: [x]\n    customer: ${data.deal}\n    change: {parameters: {seats: \"${current.seats}\"}}\n", "current"},
		"whose customer":    {strings.Replace(rule, "customer: ${data.deal}", "customer: ${current.deal}", 1), "current"},
		"before it is read": {strings.Replace(rule, "    read:", "    when: current.seats > 0\n    read:", 1), "current"},
		"of time":           {"  - name: a\n    ends: {}\n    read: {system: hub, kind: deal, id: x}\n    offboard: {}\n", "nothing to look up"},
		"of no use":         {"  - name: a\n    source: crm\n    read: {system: hub, kind: deal, id: x}\n    ignore: {reason: r}\n", "nothing to look up"},
	} {
		if _, err := Parse([]byte(head+c.rules), "sales.yaml"); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, not %q", name, err, c.why)
		}
	}
}
