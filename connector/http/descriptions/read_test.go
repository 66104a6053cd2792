package descriptions_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/standin"
)

// What rules look up is given as it stands there, with the fields that are asked for, and what isn't there is told.
func TestReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connector, kind, table string
		start                  func(testing.TB) *standin.Service
		object                 map[string]any
		fields                 []string
		want, not              string
	}{
		"hubspot deal":           {"hubspot", "deal", "deals", standin.HubSpot, map[string]any{"properties": map[string]any{"dealstage": "closedwon", "amount": "900"}}, []string{"dealstage"}, `"dealstage":"closedwon"`, "900"},
		"hubspot company":        {"hubspot", "company", "companies", standin.HubSpot, map[string]any{"properties": map[string]any{"domain": "acme.example"}}, []string{"domain"}, `"domain":"acme.example"`, "-"},
		"salesforce opportunity": {"salesforce", "opportunity", "Opportunity", standin.Salesforce, map[string]any{"StageName": "Closed Won", "Amount": 900}, []string{"StageName"}, `"StageName":"Closed Won"`, "900"},
		"salesforce account":     {"salesforce", "account", "Account", standin.Salesforce, map[string]any{"Name": "Acme", "Website": "acme.example"}, nil, `"Website":"acme.example"`, "-"},
		"stripe subscription":    {"stripe", "subscription", "subscriptions", standin.Stripe, map[string]any{"quantity": 9}, nil, `"quantity":9`, "-"},
		"stripe customer":        {"stripe", "customer", "customers", standin.Stripe, map[string]any{"email": "bills@acme.example"}, nil, `"email":"bills@acme.example"`, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.start(t)
			options, secrets := map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{}
			switch c.connector {
			case "hubspot":
				secrets["token"] = s.Token
			case "salesforce":
				options["clientId"], secrets["clientSecret"] = "client", "secret-of-the-client"
			case "stripe":
				options["redact"], secrets["key"] = "no", s.Token
			}
			sys := opened(t, c.connector, options, secrets)
			raw, err := sys.Read(t.Context(), c.kind, s.Add(c.table, c.object), c.fields)
			if err != nil || !strings.Contains(string(raw), c.want) || strings.Contains(string(raw), c.not) && c.not != "-" {
				t.Errorf("%s, %v; want %s and not %s", raw, err, c.want, c.not)
			}
			if _, err := sys.Read(t.Context(), c.kind, "424242", c.fields); tenure.CodeOf(err) != tenure.NotFound {
				t.Errorf("what isn't there: %v", err)
			}
		})
	}
}
