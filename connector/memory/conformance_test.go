package memory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/memory"
)

func TestConformance(t *testing.T) { connectortest.Run(t, open) }

func open(*testing.T) *connectortest.World {
	w := memory.NewWorld("test")
	world := &connectortest.World{
		Info: memory.InfoOf(w),
		Look: func(t testing.TB) string {
			raw, err := json.MarshalIndent(w.Things(), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		},
		LoseSentinel: func(testing.TB) { w.LoseSentinel() },
		Hide:         func(testing.TB) { w.Hide(true) },
		Outage: func(testing.TB) func() {
			w.Down(true)
			return func() { w.Down(false) }
		},
		Probes:       probes(w),
		ElevatedType: "store",
		SignIn: func(_ testing.TB, login string, secret tenure.Secret, r connector.Ref) (func() error, error) {
			use := func() error { return w.SignIn(login, secret.Reveal(), r.Type, r.Name, time.Now()) }
			return use, use()
		},
	}
	for _, s := range samples() {
		world.Cases = append(world.Cases, caseOf(w, s))
	}
	return world
}

type sample struct {
	typ        string
	attributes map[string]any
	changed    map[string]any
	invalid    map[string]any
}

func samples() []sample {
	type m = map[string]any
	return []sample{
		{"api_key", m{"scopes": []any{"orders:read"}}, m{}, m{"scopes": "orders"}},
		{"session", m{"account": "sample"}, m{"account": "other"}, m{"account": 1}},
		{"account", m{"email": "account@example.test", "roles": []any{"editor", "ré\"dacteur"}}, m{"roles": []any{}}, m{"unknown": true}},
		{"integration", m{"url": "https://hooks.example.test/in?a=1&b=<2>", "events": []any{"order.created"}}, m{"url": "https://other.example.test/"}, m{"events": []any{1}}},
		{"store", m{"region": "eu-1"}, m{"region": "eu-1", "public": true}, m{"public": "yes"}},
		{"rows", m{"region": "eu-1"}, m{"region": "eu-2"}, m{"region": 1}},
		{"cache", m{"entries": 5}, m{"entries": 1 << 40}, m{"entries": -1}},
		{"backup", m{"keep": "P35D", "of": "store"}, m{"keep": "P1D"}, m{"keep": ""}},
		{"setting", m{"feature": "reports", "value": true}, m{"value": 1.5}, m{}},
		{"record", m{"status": "live", "note": "a note"}, m{"status": "suspended"}, m{"status": 1}},
	}
}

func caseOf(w *memory.World, s sample) connectortest.Case {
	c := connectortest.Case{
		Type: s.typ,
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("sample%d", n), Attributes: s.attributes, Classes: []string{"orders", "invoices"}}}
		},
		Changed: func(d connector.Desired) connector.Desired { d.Attributes = s.changed; return d },
		Invalid: []map[string]any{s.invalid},
		Tamper: func(t testing.TB, r connector.Ref) {
			w.Tamper(r.Type, r.Name, func(t *memory.Thing) { t.Attributes = json.RawMessage(`{"tampered":true}`) })
		},
		Unlisted: s.typ == "record", // one without a mark is others' own
		Foreign:  func(_ testing.TB, r connector.Ref) { w.Put(memory.Thing{Type: r.Type, Name: r.Name}) },
		Remark: func(t testing.TB, r connector.Ref, mark string) {
			w.Tamper(r.Type, r.Name, func(t *memory.Thing) { t.Mark = mark })
		},
		Unmark: func(t testing.TB, r connector.Ref) {
			w.Tamper(r.Type, r.Name, func(t *memory.Thing) { t.Mark = "" })
		},
		Exists: func(_ testing.TB, r connector.Ref) bool {
			t, ok := w.Get(r.Type, r.Name)
			return ok && t.State != tenure.ResourceQuarantined
		},
		Works: func(_ testing.TB, d connector.Desired) bool {
			if !d.Credential.IsZero() {
				return w.Enter(d.Credential.Reveal(), d.Tenant, d.Environment) == nil
			}
			t, ok := w.Get(d.Type, d.Name)
			return ok && t.State == tenure.ResourcePresent
		},
		AddCopy: func(_ testing.TB, r connector.Ref, at time.Time) time.Time {
			w.AddCopy(r.Type, r.Name, connector.Copy{Where: "vault", Expires: at.UTC(), Bytes: 1})
			return at
		},
	}
	if s.typ == "store" || s.typ == "rows" {
		c.Fill = func(_ testing.TB, r connector.Ref, class string, n int) {
			if class == "" {
				class = "in no class"
			}
			for i := range n {
				w.Fill(r.Type, r.Name, class, fmt.Sprintf("row %d", i))
			}
		}
		c.Count = func(_ testing.TB, r connector.Ref, class string) int {
			t, _ := w.Get(r.Type, r.Name)
			return len(t.Rows[class])
		}
		c.Stick = func(_ testing.TB, r connector.Ref, class string) (string, func()) {
			w.Tamper(r.Type, r.Name, func(t *memory.Thing) { t.Swallows = map[string]string{class: "keep_all"} })
			return "keep_all", func() { w.Tamper(r.Type, r.Name, func(t *memory.Thing) { t.Swallows = nil }) }
		}
		c.Exported = func(_ testing.TB, data []byte) int { return strings.Count(string(data), `"row":`) }
	}
	return c
}

// probes plants one flaw for each probe.
func probes(w *memory.World) []connectortest.ProbeCase {
	made := func(typ string) func(testing.TB, connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			want := connector.Desired{Ref: connector.Ref{
				Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: tenure.NewID[tenure.TenantID](time.Now()), Environment: "test", Type: typ, Name: "probed",
			}}
			if typ == "api_key" {
				want.Credential = tenure.NewSecret("probe-credential")
			}
			if _, _, err := d.Ensure(context.Background(), want); err != nil {
				t.Fatal(err)
			}
			production := want.Ref
			production.Environment = "prod"
			return connector.Check{Ref: want.Ref, Credential: want.Credential, Other: &production, Params: map[string]string{"feature": "reports"}}
		}
	}
	flaw := func(f memory.Flaw) func(testing.TB) { return func(testing.TB) { w.Misconfigure(f, true) } }
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "api_key", Check: made("api_key"), Misconfigure: flaw(memory.OutOfService)},
		{Kind: "reachable", Name: "store", Check: made("store"), Misconfigure: flaw(memory.OutOfService)},
		{Kind: "isolation", Check: made("api_key"), Misconfigure: flaw(memory.CrossTenant)},
		{Kind: "environment", Check: made("api_key"), Misconfigure: flaw(memory.CrossEnvironment)},
		{Kind: "entitlement", Check: made("api_key"), Misconfigure: flaw(memory.FreeFeatures)},
		{Kind: "exposure", Name: "open", Check: made("store"), Misconfigure: flaw(memory.OpenToAll)},
		{Kind: "exposure", Name: "public", Check: made("store"), Misconfigure: func(testing.TB) {
			w.Tamper("store", "probed", func(t *memory.Thing) { t.Attributes = json.RawMessage(`{"public":true}`) })
		}},
	}
}
