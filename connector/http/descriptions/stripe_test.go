package descriptions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/standin"
)

func TestStripe(t *testing.T) { connectortest.Run(t, stripe) }

func stripe(t *testing.T) *connectortest.World {
	s := standin.Stripe(t)
	base := s.Add("customers", map[string]any{"name": "Base"})
	metadata := func(o map[string]any) map[string]any {
		m, _ := o["metadata"].(map[string]any)
		if m == nil {
			m = map[string]any{}
			o["metadata"] = m
		}
		return m
	}
	is := func(r connector.Ref) func(map[string]any) bool {
		return func(o map[string]any) bool {
			if r.Type == "customer" {
				return o["name"] == r.Name
			}
			return o["customer"] == base && metadata(o)["tenure_name"] == strings.TrimPrefix(r.Name, "Base/")
		}
	}
	hands := func(c connectortest.Case, table string) connectortest.Case {
		c.Unlisted = true
		c.Remark = func(_ testing.TB, r connector.Ref, mark string) {
			s.Change(table, is(r), func(o map[string]any) { metadata(o)["tenure_mark"] = mark })
		}
		c.Unmark = func(_ testing.TB, r connector.Ref) {
			s.Change(table, is(r), func(o map[string]any) { delete(metadata(o), "tenure_mark") })
		}
		c.Exists = func(_ testing.TB, r connector.Ref) bool { return len(s.Objects(table, is(r))) > 0 }
		return c
	}
	return &connectortest.World{
		Info: info(t, "stripe"), Options: map[string]string{"base": s.URL, "rate": "100000", "redact": "no"}, Secrets: map[string]tenure.Secret{"key": tenure.NewSecret(s.Token)},
		Look: s.Look,
		LoseSentinel: func(testing.TB) {
			s.Remove("customers", func(o map[string]any) bool { return o["name"] == "Tenure sentinel" })
		},
		Outage: down(s),
		Cases: []connectortest.Case{
			hands(connectortest.Case{
				Type: "customer",
				New: func(_ testing.TB, n int) connector.Desired {
					return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("Acme %d", n), Attributes: map[string]any{"email": fmt.Sprintf("bills%d@acme.example", n)}}}
				},
				Changed: func(d connector.Desired) connector.Desired {
					d.Attributes = map[string]any{"description": "changed"}
					return d
				},
				Invalid: []map[string]any{{"email": 1}, {"phone": "1"}},
				Tamper: func(_ testing.TB, r connector.Ref) {
					s.Change("customers", is(r), func(o map[string]any) { o["email"] = "elsewhere@evil.example" })
				},
				Foreign: func(_ testing.TB, r connector.Ref) { s.Add("customers", map[string]any{"name": r.Name}) },
			}, "customers"),
			hands(connectortest.Case{
				Type: "subscription",
				New: func(_ testing.TB, n int) connector.Desired {
					return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("Base/plan%d", n), Attributes: map[string]any{"price": "price_gold", "quantity": 3}}}
				},
				Rename: func(d connector.Desired, name string) connector.Desired {
					if d.Name = name; !strings.HasPrefix(name, "Base/") {
						d.Name = "Base/" + name
					}
					return d
				},
				Changed: func(d connector.Desired) connector.Desired {
					d.Attributes = map[string]any{"price": "price_silver"}
					return d
				},
				Invalid: []map[string]any{{}, {"price": "p", "quantity": 0}},
				Tamper: func(_ testing.TB, r connector.Ref) {
					s.Change("subscriptions", is(r), func(o map[string]any) { o["items"].(map[string]any)["data"].([]map[string]any)[0]["quantity"] = 99 })
				},
				Foreign: func(_ testing.TB, r connector.Ref) {
					s.Add("subscriptions", map[string]any{"customer": base, "metadata": map[string]any{"tenure_name": strings.TrimPrefix(r.Name, "Base/")}})
				},
			}, "subscriptions"),
		},
	}
}

// A customer's departure voids what is open, redacts, and only then deletes.
func TestStripeDeparture(t *testing.T) {
	s := standin.Stripe(t)
	sys := opened(t, "stripe", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"key": s.Token})
	acme, birch := wanted("customer", "Acme"), wanted("customer", "Birch")
	for _, d := range []connector.Desired{acme, birch} {
		if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	id := func(name string) any {
		return s.Objects("customers", func(o map[string]any) bool { return o["name"] == name })[0]["id"]
	}
	for i := range 130 {
		s.Add("invoices", map[string]any{"customer": id("Acme"), "status": []string{"open", "paid"}[i%13/12]})
		s.Add("invoices", map[string]any{"customer": id("Birch"), "status": "open"})
	}
	gone := id("Acme")
	if _, v, err := sys.Delete(t.Context(), acme.Ref); err != nil || v != tenure.Verified {
		t.Fatalf("delete: %s, %v", v, err)
	}
	count := func(customer any, status string) int {
		return len(s.Objects("invoices", func(o map[string]any) bool { return o["customer"] == customer && o["status"] == status }))
	}
	if open, void, paid := count(gone, "open"), count(gone, "void"), count(gone, "paid"); open != 0 || void != 120 || paid != 10 {
		t.Errorf("of the leaver %d invoices are open, %d void, %d paid", open, void, paid)
	}
	if n := count(id("Birch"), "open"); n != 130 {
		t.Errorf("of the neighbour %d invoices are open", n)
	}
	jobs := s.Objects("jobs", nil)
	if len(jobs) != 1 || jobs[0]["status"] != "succeeded" || fmt.Sprint(jobs[0]["customers"]) != fmt.Sprintf("[%v]", gone) {
		t.Errorf("redactions: %v", jobs)
	}
}
