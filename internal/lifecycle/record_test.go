package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// dealText is a blueprint with a deal of the CRM (side) that stays at the end, and one of
// whose words nothing stays.
const dealText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: sold
version: "1.0"
parameters:
  properties:
    seats: {type: integer, default: 5}
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
  side: {connector: memory}
dataClasses:
  orders:
    disposition: purge
    retention:
      - {name: law, kind: keep_until, period: P60D, from: termination}
resources:
  - {key: store, system: main, type: store, name: "${tenant.name}", data: [orders]}
  - {key: api, system: main, type: api_key, name: "${tenant.name}-key", needs: [store]}
  - {key: seats, system: main, type: setting, name: "${tenant.name}-seats", attributes: {value: "${params.seats}"}}
  - key: deal
    system: side
    type: record
    name: deal-${tenant.name}
    attributes: {status: being set up, environment: "https://${resources.store.name}.example"}
    stages:
      active: {status: live, date: "${dates.live}"}
      suspended: {status: "suspended since ${dates.suspended}"}
      transition: {status: leaving, date: "${dates.accessEnds}", note: "erased by ${dates.erased}"}
      terminating: {status: access ended, date: "${dates.accessEnds}"}
      erasing: {status: being erased}
      closed: {status: closed, date: "${dates.closed}", environment: null}
  - key: mail
    system: side
    type: record
    name: mail-${tenant.name}
    stages:
      active: {status: live}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: P14D, retrieval: P30D, quarantine: P7D}
`

// says is what a record says, by a look from outside.
func (s *site) says(name string) map[string]any {
	s.t.Helper()
	th, ok := s.side.Get("record", name)
	if !ok {
		s.t.Fatalf("there is no record %s", name)
	}
	var out map[string]any
	s.must(json.Unmarshal(th.Attributes, &out))
	return out
}

func (s *site) wantSays(name string, want map[string]any) {
	s.t.Helper()
	got := s.says(name)
	a, _ := tenure.Canonical(got)
	b, _ := tenure.Canonical(want)
	if string(a) != string(b) {
		s.t.Errorf("%s says %s, want %s", name, a, b)
	}
}

// noDrift fails if a look finds anything of a tenant's otherwise than it should be.
func (s *site) noDrift(name string) {
	s.t.Helper()
	found, err := s.Drift(context.Background(), name)
	s.must(err)
	for _, f := range found.Findings {
		s.t.Errorf("a look at drift finds: %s", f.Detail)
	}
}

// A deal in the CRM, which sales made, says where its customer stands through the whole life,
// a look agrees at each stage, and at the end it stays with its last word and without a mark.
func TestARecordFollowsItsTenantsLife(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(dealText)
	s.side.Put(memory.Thing{Type: "record", Name: "deal-acme"})
	op := s.begin("acme", "sold")
	s.wantState(op, tenure.OperationSucceeded)
	live := map[string]any{"status": "live", "date": "2026-03-02", "environment": "https://acme.example"}
	s.wantSays("deal-acme", live)
	s.noDrift("acme")

	s.pass(10 * day)
	s.wantState(s.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 9}}, "operator"), tenure.OperationSucceeded)
	s.wantSays("deal-acme", live)

	s.request(lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme", Reason: "unpaid"}, "operator")
	s.wantSays("deal-acme", map[string]any{"status": "suspended since 2026-03-12", "environment": "https://acme.example"})
	s.noDrift("acme")
	s.request(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
	s.wantSays("deal-acme", live)
	s.noDrift("acme")

	leaving := s.leave("acme")
	s.wantSays("deal-acme", map[string]any{"status": "leaving", "date": "2026-03-26", "note": "erased by 2026-06-01", "environment": "https://acme.example"})
	s.noDrift("acme")
	s.pass(15 * day)
	s.wantSays("deal-acme", map[string]any{"status": "access ended", "date": "2026-03-26", "environment": "https://acme.example"})
	s.noDrift("acme")
	s.pass(70 * day)
	s.confirm(leaving)
	s.pass(time.Hour)
	s.wantState(leaving, tenure.OperationSucceeded)
	if got := s.state(string(s.view(leaving).Tenant)); got != tenure.TenantClosed {
		t.Fatalf("the tenant is %s\n%s", got, s.show(leaving))
	}
	said := s.says("deal-acme")
	if said["status"] != "closed" || said["date"] != "2026-06-05" || said["environment"] != nil {
		t.Errorf("at the end the deal says %v", said)
	}
	file, err := s.Certificate(context.Background(), string(s.view(leaving).Tenant), "closing")
	s.must(err)
	key, err := s.VerifierKey()
	s.must(err)
	verified, err := evidence.Verify(file, key)
	s.must(err)
	letGo := 0
	for _, r := range verified.Departure.Resources {
		if r.Method == evidence.LetGo && r.Type == "record" {
			letGo++
		}
	}
	if letGo != 1 {
		t.Errorf("the certificate says of %d records that they were let go, want 1", letGo)
	}
	if th, _ := s.side.Get("record", "deal-acme"); th.Mark != "" {
		t.Errorf("the deal bears the mark %q after its tenant has left", th.Mark)
	}
	if _, there := s.side.Get("record", "mail-acme"); there {
		t.Error("a record without a last word is left")
	}
	s.pass(2 * day)
	s.must(s.TickSought(context.Background(), s.Now()))
	found, err := s.Sweep(context.Background(), "")
	s.must(err)
	for _, f := range found.Findings {
		t.Errorf("a sweep finds: %s", f.Detail)
	}
	s.audited()
}

// A CRM that is down keeps no suspension from its end and no other operation from the tenant.
// What it should have said is tried again, and where it stays down a look shows it.
func TestACRMThatIsDownStopsNoSuspension(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(dealText)
	s.begin("acme", "sold")
	s.side.Down(true)
	op := s.request(lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme", Reason: "unpaid"}, "operator")
	if got := s.state("acme"); got != tenure.TenantSuspended {
		t.Fatalf("with the CRM down the tenant is %s\n%s", got, s.show(op))
	}
	s.pass(10 * time.Minute)
	if v := s.view(op); v.State != tenure.OperationWaiting || !strings.Contains(v.Reason, "prod/deal/write/suspended is tried again") {
		t.Errorf("the suspension is %s: %q", v.State, v.Reason)
	}
	s.request(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
	if got := s.state("acme"); got != tenure.TenantActive {
		t.Fatalf("a CRM that is down keeps the tenant %s", got)
	}
	s.request(lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme", Reason: "unpaid again"}, "operator")
	s.side.Down(false)
	s.pass(20 * time.Minute)
	s.wantState(op, tenure.OperationSucceeded)
	if said := s.says("deal-acme"); said["status"] == "live" {
		t.Errorf("what an earlier stage had to say came last: %v", said)
	}
	s.noDrift("acme")

	s.side.Inject(memory.Fault{Call: "ensure", Name: "deal-acme", Err: tenure.Errorf(tenure.Invalid, "the property is gone")})
	back := s.request(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
	s.wantState(back, tenure.OperationSucceeded)
	found, err := s.Drift(context.Background(), "acme")
	s.must(err)
	if len(found.Findings) == 0 || !strings.Contains(found.Findings[0].Detail, "deal-acme") {
		t.Errorf("what couldn't be written isn't found: %+v", found.Findings)
	}
	s.side.Heal()
	s.wantState(s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator"), tenure.OperationSucceeded)
	if said := s.says("deal-acme"); said["status"] != "live" || said["date"] != "2026-03-02" {
		t.Errorf("after the repair the deal says %v", said)
	}
	s.audited()
}

// A deal that another installation marked isn't taken, nor one that would lose what sales
// wrote there; an onboarding that is taken back lets the deal go.
func TestARecordOfOthersIsntTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(strings.Replace(dealText, "failure: park", "failure: compensate", 1))
	s.side.Put(memory.Thing{Type: "record", Name: "deal-acme", Attributes: json.RawMessage(`{"note":"by sales"}`)})
	op := s.begin("acme", "sold")
	s.wantState(op, tenure.OperationFailed)
	if !strings.Contains(s.show(op), "would lose note") {
		t.Errorf("nothing says what the deal would lose\n%s", s.show(op))
	}
	s.wantSays("deal-acme", map[string]any{"note": "by sales"})

	s.side.Put(memory.Thing{Type: "record", Name: "deal-beta", Mark: connector.Marker{Installation: tenure.NewID[tenure.InstallationID](s.Now()), Key: []byte("another")}.Mark("record", "res_x")})
	s.wantState(s.begin("beta", "sold"), tenure.OperationFailed)

	s.side.Put(memory.Thing{Type: "record", Name: "deal-gamma"})
	s.world.Inject(memory.Fault{Call: "ensure", Name: "gamma-seats", Err: tenure.Errorf(tenure.Invalid, "refused")})
	s.wantState(s.begin("gamma", "sold"), tenure.OperationFailed)
	if th, there := s.side.Get("record", "deal-gamma"); !there || th.Mark != "" {
		t.Errorf("an onboarding that was taken back left the deal as %+v", th)
	}
}
