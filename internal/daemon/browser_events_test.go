package daemon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

const crmToken = "token-of-the-crm-in-this-test"

const crmRules = `apiVersion: tenure.dev/v1
kind: Triggers
name: sales
version: "%d"
as: crm-feed
rules:
  - name: won
    source: crm
    on: [deal.won]
    customer: ${data.deal}
    onboard:
      tenant: ${slug(data.company)}
      blueprint: lowcode
      tier: team
      organization: ${data.company}
      parameters: {adminLogin: "${data.login}"}
  - name: lost
    source: crm
    on: [deal.lost]
    customer: ${data.deal}
    offboard: {reason: the deal was lost}
`

// told has a CRM tell of 30 events of all kinds, also hostile ones, and gives the paths of
// one that is held, of one with a stranger's words, of the operation that one asked for, and
// of a draft of rules. leaving is a tenant that leaves.
func (h *house) told(leaving tenure.TenantID) (held, strange, asked, draft string) {
	t, ctx := h.t, h.t.Context()
	t.Helper()
	m, err := h.inst.Governor.AddPrincipal(ctx, store.Principal{Name: "crm-feed", Kind: tenure.CallerMachine, Owner: "operator"}, "setup")
	check(t, err)
	_, err = h.inst.Governor.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: m.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "events of the CRM"})
	check(t, err)
	for version := range 2 {
		set, err := h.inst.Events.Submit(ctx, fmt.Appendf(nil, crmRules, version+1), "sales.yaml", "author")
		check(t, err)
		draft = dashboard.RulesPath + "/" + set.Digest
		if version == 0 {
			_, err = h.inst.Events.Publish(ctx, set.Digest, "officer")
			check(t, err)
		}
	}
	for i := range 30 {
		said := map[string]any{"id": fmt.Sprintf("e-%d", i), "type": "deal.noted", "deal": fmt.Sprintf("deal-%d", i), "amount": 1<<60 + i}
		switch i % 6 {
		case 0:
			said["type"] = "deal.lost" // of nobody
		case 1:
			said["type"], said["deal"] = "deal.won", "" // without what the rule reads
		case 2:
			said["type"], said["deal"], said["company"], said["login"] = "deal.won", string(leaving), "Cedar", "a@cedar.example"
		case 3:
			said["type"] = strings.Repeat("unbroken", 20) + "<script>alert(1)</script>"
			said["note"] = []any{strings.Repeat("unbroken", 400), `"><img src=x onerror=alert(2)>`, "\u202eשלום עולם"}
		case 4:
			said["type"], said["deal"] = "אירוע חדש مرحبا بالعالم\u202e", "שלום"
		case 5:
			if i == 29 {
				said["type"], said["company"], said["login"] = "deal.won", "Elder Ltd", "admin@elder.example"
			}
		}
		body, err := json.Marshal(said)
		check(t, err)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/v1/events/crm", bytes.NewReader(body))
		check(t, err)
		r.Header.Set("Authorization", "Bearer "+crmToken)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		check(t, err)
		check(t, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			t.Fatalf("event %d is answered %s", i, res.Status)
		}
	}
	check(t, h.inst.Events.Work(ctx))
	list, err := h.inst.Events.List(ctx, store.InboundFilter{Limit: 100})
	check(t, err)
	for _, e := range list {
		switch {
		case e.State == store.InboundHeld:
			held = dashboard.EventPath(e.ID)
		case strings.HasPrefix(e.Type, "unbroken"):
			strange = dashboard.EventPath(e.ID)
		case e.State == store.InboundActed:
			asked = dashboard.OperationPath(e.Operation)
		}
	}
	if held == "" || strange == "" || asked == "" {
		t.Fatalf("%d events, and none is held, strange or has led to something: %q %q %q", len(list), held, strange, asked)
	}
	return held, strange, asked, draft
}
