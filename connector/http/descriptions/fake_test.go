package descriptions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/standin"
)

func TestHubSpot(t *testing.T)    { connectortest.Run(t, hubSpot) }
func TestSalesforce(t *testing.T) { connectortest.Run(t, salesforce) }
func TestMake(t *testing.T)       { connectortest.Run(t, makeTeams) }

// A record that sales made is taken if it bears no mark and loses nothing by that, says what a
// stage has to say, and stays at the end with its last word, without a mark.
func TestRecordsStay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		world                    func(*testing.T) *connectortest.World
		typ, table, kept, wanted string
	}{
		"hubspot deal":           {hubSpot, "deal", "deals", "", `"tenure_status":"closed"`},
		"hubspot company":        {hubSpot, "company", "companies", "domain", `"tenure_status":"closed"`},
		"salesforce opportunity": {salesforce, "opportunity", "Opportunity", "", `"Tenure_Status__c":"closed"`},
		"salesforce account":     {salesforce, "account", "Account", "website", `"Tenure_Status__c":"closed"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ctx := c.world(t), t.Context()
			d, err := w.Info.Open(ctx, connector.Config{System: "crm", Options: w.Options, Secrets: w.Secrets, Marker: connector.Marker{Installation: "ins_a", System: "crm", Key: []byte("key")}, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := d.Plant(ctx); err != nil {
				t.Fatal(err)
			}
			var of connectortest.Case
			for _, k := range w.Cases {
				if k.Type == c.typ {
					of = k
				}
			}
			want := of.New(t, 1)
			want.Type, want.Resource, want.Tenant, want.Take = c.typ, "res_a", "ten_a", true
			if of.Foreign != nil {
				of.Foreign(t, want.Ref)
			}
			seen, _, err := d.Ensure(ctx, want)
			if err != nil || seen.Owner != connector.Ours || seen.Resource != "res_a" {
				t.Fatalf("a record of sales' isn't taken: %+v, %v", seen, err)
			}
			last := want.Ref
			last.Attributes = map[string]any{"status": "closed", "date": "2026-12-01"}
			l := d.(connector.Leaver)
			for range 2 { // it may be repeated
				if _, err := l.Leave(ctx, last); err != nil {
					t.Fatal(err)
				}
			}
			stays := false
			for line := range strings.Lines(w.Look(t)) {
				if strings.HasPrefix(line, c.table+" ") && strings.Contains(line, "res_a") {
					t.Errorf("it still bears the mark: %s", line)
				}
			}
			for line := range strings.Lines(w.Look(t)) {
				stays = stays || strings.HasPrefix(line, c.table+" ") && strings.Contains(line, c.wanted) && strings.Contains(line, "2026-12-01") && (c.kept == "" || strings.Contains(line, "acme1.example"))
			}
			if !stays {
				t.Errorf("its last word isn't there: %s", w.Look(t))
			}
		})
	}
}

// down has a stand-in answer nothing but that it is out of service.
func down(s *standin.Service) func(testing.TB) func() {
	return func(testing.TB) func() {
		s.Before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
		return func() { s.Before = nil }
	}
}

// looked is what a stand-in holds, without the deals that sales made and Tenure wrote nothing to.
func looked(s *standin.Service, table, mark string) func(testing.TB) string {
	return func(t testing.TB) string {
		var out []string
		for line := range strings.Lines(s.Look(t)) {
			if !strings.HasPrefix(line, table+" ") || strings.Contains(line, mark+`":"tenure`) || strings.Contains(line, `":"closed"`) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "")
	}
}

// crm are the hands on a table of a stand-in whose objects have a name, a mark and a status.
type crm struct {
	*standin.Service
	get func(o map[string]any, field string) any
	set func(o map[string]any, field string, v any)

	name, mark, status string // the fields
	contact            func(id, class string, n int) map[string]any
	class              func(o map[string]any) (id, class any)
	contacts           string
}

func (c crm) named(name string) func(map[string]any) bool {
	return func(o map[string]any) bool { return c.get(o, c.name) == name }
}

func (c crm) company(typ, table string, attribute string) connectortest.Case {
	one := func(t testing.TB, r connector.Ref) map[string]any {
		t.Helper()
		all := c.Objects(table, c.named(r.Name))
		if len(all) != 1 {
			t.Fatalf("there are %d of %q", len(all), r.Name)
		}
		return all[0]
	}
	change := func(r connector.Ref, field string, v any) {
		c.Change(table, c.named(r.Name), func(o map[string]any) { c.set(o, field, v) })
	}
	return connectortest.Case{
		Type: typ,
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("Acme %d", n), Classes: []string{"leads", "customers"}, Attributes: map[string]any{attribute: fmt.Sprintf("acme%d.example", n), "status": "active"}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"status": "leaving"}
			return d
		},
		Invalid:  []map[string]any{{"status": 1}, {"phone": "1"}},
		Tamper:   func(_ testing.TB, r connector.Ref) { change(r, c.status, "tampered") },
		Foreign:  func(_ testing.TB, r connector.Ref) { o := map[string]any{}; c.set(o, c.name, r.Name); c.Add(table, o) },
		Unlisted: true,
		Remark:   func(_ testing.TB, r connector.Ref, mark string) { change(r, c.mark, mark) },
		Unmark:   func(_ testing.TB, r connector.Ref) { change(r, c.mark, nil) },
		Exists:   func(_ testing.TB, r connector.Ref) bool { return len(c.Objects(table, c.named(r.Name))) > 0 },
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			id := one(t, r)["id"].(string)
			for i := range n {
				c.Add(c.contacts, c.contact(id, class, i))
			}
		},
		Count: func(t testing.TB, r connector.Ref, class string) (n int) {
			id := one(t, r)["id"]
			return len(c.Objects(c.contacts, func(o map[string]any) bool { of, is := c.class(o); return of == id && is == class }))
		},
		Exported: func(_ testing.TB, data []byte) int { return strings.Count(string(data), "\n") - 1 },
		Without:  []string{"tally"},
	}
}

// written is what Tenure writes to an object that sales made.
func (c crm) written(typ, table string) connectortest.Case {
	is := func(r connector.Ref) func(map[string]any) bool {
		return func(o map[string]any) bool { return o["id"] == r.Name }
	}
	return connectortest.Case{
		Type: typ, FixedNames: true,
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: c.Add(table, map[string]any{"amount": n}), Attributes: map[string]any{"status": "active", "environment": "https://acme.example", "date": "2026-11-28"}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"status": "leaving"}
			return d
		},
		Invalid: []map[string]any{{"status": 1}, {"date": "tomorrow"}},
		Tamper: func(_ testing.TB, r connector.Ref) {
			c.Change(table, is(r), func(o map[string]any) { c.set(o, c.status, "tampered") })
		},
		Remark: func(_ testing.TB, r connector.Ref, mark string) {
			c.Change(table, is(r), func(o map[string]any) { c.set(o, c.mark, mark) })
		},
		Exists: func(_ testing.TB, r connector.Ref) bool {
			all := c.Objects(table, is(r))
			return len(all) == 1 && c.get(all[0], c.mark) != nil
		},
	}
}

func hubSpot(t *testing.T) *connectortest.World {
	s := standin.HubSpot(t)
	properties := func(o map[string]any) map[string]any {
		p, _ := o["properties"].(map[string]any)
		if p == nil {
			p = map[string]any{}
			o["properties"] = p
		}
		return p
	}
	c := crm{Service: s, name: "name", mark: "tenure_mark", status: "tenure_status", contacts: "contacts",
		get: func(o map[string]any, f string) any { return properties(o)[f] },
		set: func(o map[string]any, f string, v any) {
			if v == nil {
				delete(properties(o), f)
				return
			}
			properties(o)[f] = v
		},
		contact: func(id, class string, n int) map[string]any {
			return map[string]any{"properties": map[string]any{"associatedcompanyid": id, "tenure_data_class": class, "email": fmt.Sprintf("p%d@acme.example", n)}}
		},
		class: func(o map[string]any) (any, any) {
			return properties(o)["associatedcompanyid"], properties(o)["tenure_data_class"]
		},
	}
	return &connectortest.World{
		Info: info(t, "hubspot"), Options: map[string]string{"base": s.URL, "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(s.Token)},
		Look: looked(s, "deals", "tenure_mark"), LoseSentinel: func(testing.TB) { s.Remove("companies", c.named("Tenure sentinel")) }, Outage: down(s),
		Cases: []connectortest.Case{c.company("company", "companies", "domain"), c.written("deal", "deals")},
	}
}

func salesforce(t *testing.T) *connectortest.World {
	s := standin.Salesforce(t)
	c := crm{Service: s, name: "Name", mark: "Tenure_Mark__c", status: "Tenure_Status__c", contacts: "Contact",
		get: func(o map[string]any, f string) any { return o[f] },
		set: func(o map[string]any, f string, v any) { o[f] = v },
		contact: func(id, class string, n int) map[string]any {
			return map[string]any{"AccountId": id, "Tenure_Data_Class__c": class, "Email": fmt.Sprintf("p%d@acme.example", n)}
		},
		class: func(o map[string]any) (any, any) { return o["AccountId"], o["Tenure_Data_Class__c"] },
	}
	return &connectortest.World{
		Info: info(t, "salesforce"), Options: map[string]string{"base": s.URL, "clientId": "client", "rate": "100000"}, Secrets: map[string]tenure.Secret{"clientSecret": tenure.NewSecret("secret-of-the-client")},
		Look: looked(s, "Opportunity", "Tenure_Mark__c"), LoseSentinel: func(testing.TB) { s.Remove("Account", c.named("Tenure sentinel")) }, Outage: down(s),
		Cases: []connectortest.Case{c.company("account", "Account", "website"), c.written("opportunity", "Opportunity")},
	}
}

// in finds what has a name, with or without a mark behind it.
func in(name string) func(map[string]any) bool {
	_, own, within := strings.Cut(name, "/")
	if !within {
		own = name
	}
	return func(o map[string]any) bool {
		n, _ := o["name"].(string)
		n, _, _ = strings.Cut(n, " ")
		return n == own
	}
}

func makeTeams(t *testing.T) *connectortest.World {
	s := standin.Make(t)
	team := s.Add("teams", map[string]any{"name": "base", "organizationId": "7"})
	kind := func(typ, table, active string, attributes, changed map[string]any, invalid []map[string]any, field string) connectortest.Case {
		prefix := "base/"
		if typ == "team" {
			prefix = ""
		}
		c := connectortest.Case{
			Type: typ,
			New: func(_ testing.TB, n int) connector.Desired {
				return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%sacme%d", prefix, n), Attributes: attributes}}
			},
			Invalid: invalid,
			Foreign: func(_ testing.TB, r connector.Ref) {
				s.Add(table, map[string]any{"name": strings.TrimPrefix(r.Name, prefix), "organizationId": "7", "teamId": team, active: true})
			},
			Unlisted: true,
			Remark: func(_ testing.TB, r connector.Ref, mark string) {
				s.Change(table, in(r.Name), func(o map[string]any) { o["name"] = strings.TrimPrefix(r.Name, prefix) + " " + mark })
			},
			Exists: func(_ testing.TB, r connector.Ref) bool { return len(s.Objects(table, in(r.Name))) > 0 },
		}
		if typ == "team" {
			return c
		}
		c.Rename = func(d connector.Desired, name string) connector.Desired {
			if d.Name = name; !strings.HasPrefix(name, prefix) {
				d.Name = prefix + name
			}
			return d
		}
		c.Changed = func(d connector.Desired) connector.Desired { d.Attributes = changed; return d }
		c.Tamper = func(_ testing.TB, r connector.Ref) {
			s.Change(table, in(r.Name), func(o map[string]any) { o[field] = "tampered" })
		}
		c.Works = func(_ testing.TB, d connector.Desired) bool {
			all := s.Objects(table, in(d.Name))
			return len(all) == 1 && all[0][active] == true
		}
		return c
	}
	return &connectortest.World{
		Info: info(t, "make"), Options: map[string]string{"base": s.URL + "/api/v2", "organization": "7", "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(s.Token)},
		Look: s.Look, LoseSentinel: func(testing.TB) { s.Remove("teams", in("tenure-sentinel")) }, Outage: down(s),
		Cases: []connectortest.Case{
			kind("team", "teams", "", nil, nil, []map[string]any{{"x": 1}}, ""),
			kind("scenario", "scenarios", "isActive", map[string]any{"template": `{"name":"a"}`}, map[string]any{"template": `{"name":"b"}`}, []map[string]any{{}, {"template": 1}}, "blueprint"),
			kind("webhook", "hooks", "enabled", map[string]any{"type": "gateway-webhook"}, map[string]any{"type": "gateway-mailhook"}, []map[string]any{{"type": 1}}, "typeName"),
		},
	}
}
