package customer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

const day = 24 * time.Hour

// TestCustomer follows a customer by what the CRM and the billing system tell of it, over six
// systems: its deal is won, its seats change, its payments fail and come, and its subscription
// is deleted. If it fails, an event that is signed doesn't lead to what the rules say, one
// that isn't does, a customer keeps access or data that it shouldn't have, or a neighbour
// loses some.
func TestCustomer(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	deals := make([]string, 2)
	for i := range deals {
		deals[i] = p.crm.Add("deals", map[string]any{"properties": map[string]any{"dealname": fmt.Sprintf("Deal %d", i), "amount": "4200"}})
	}
	deal, name := deals[0], "customer-"+deals[0]
	neighbours := map[string]keys{}
	for other, its := range map[string]string{name + "7": deals[1], "customer-old": p.crm.Add("deals", map[string]any{"properties": map[string]any{"dealname": "Deal 2"}})} {
		neighbours[other] = p.neighbour(other, its)
	}
	before := p.look()

	// A forged event and a deal at another stage start nothing.
	if code := p.stage("another secret", 90, deal, "closedwon", p.now(), 0); code != 401 {
		t.Errorf("a won deal under another secret is answered with %d; want 401", code)
	}
	if code := p.stage(crmSecret, 91, deal, "qualifiedtobuy", p.now(), 0); code != 200 {
		t.Fatalf("a deal at another stage is answered with %d; want 200", code)
	}
	p.want("crm", "91", "ignored", "")

	// The deal is won. HubSpot sends again what it believes unheard.
	began, won := time.Now(), p.now()
	for attempt := range 2 {
		if code := p.stage(crmSecret, 1, deal, "closedwon", won, attempt); code != 200 {
			t.Fatalf("attempt %d to tell of the won deal is answered with %d; want 200", attempt, code)
		}
	}
	p.is(name, tenure.TenantActive)
	took := time.Since(began)
	t.Logf("onboarded over six systems in %s from the event to the active tenant", took.Round(10*time.Millisecond))
	if took > time.Minute {
		t.Errorf("the won deal took %s to a tenant; want less than a minute", took)
	}
	onboarding := p.want("crm", "1", "acted", "onboard "+name).Operation
	p.byItself(onboarding)
	k := p.claim(p.feed, onboarding)
	p.gets("Once its deal is won", name, k, everywhere)
	p.deal("once it is won", deal, map[string]any{"tenure_status": "active", "tenure_environment": "https://" + name + ".platform.example"})
	p.seats("at first", name, 3, []string{"admin"})
	p.told(name, "is active")
	p.fill(name, k)

	// A seat change.
	p.pass(day)
	p.tell("seats", "customer.subscription.updated", deal, 9)
	p.settled(p.want("billing", "seats", "acted", "change "+name).Operation)
	p.seats("after it bought nine", name, 9, []string{"admin", "lead"})
	p.gets("With nine seats", name, k, everywhere)

	// Payments fail: three within the rule's 21 days, one of them told twice.
	for n, reason := range []string{"payment 1 of 3", "payment 2 of 3"} {
		p.pass(5 * day)
		for range 2 {
			p.tell(fmt.Sprint("failed-", n), "invoice.payment_failed", deal, 9)
		}
		p.want("billing", fmt.Sprint("failed-", n), "noted", reason)
	}
	p.is(name, tenure.TenantActive)
	p.gets("After two failed payments", name, k, everywhere)
	p.pass(5 * day)
	p.tell("failed-2", "invoice.payment_failed", deal, 9)
	p.settled(p.want("billing", "failed-2", "acted", "suspend "+name).Operation)
	p.is(name, tenure.TenantSuspended)
	p.gets("Suspended for three failed payments,", name, k, nil)
	p.whole("while it was suspended", before, name)
	p.deal("while it was suspended", deal, map[string]any{"tenure_status": "suspended", "tenure_environment": "https://" + name + ".platform.example"})
	p.told(name, "is active", "is suspended")

	// It pays.
	if code := p.bill("whsec_forged", "forged", "invoice.paid", deal, 9); code != 401 {
		t.Errorf("a payment under another secret is answered with %d; want 401", code)
	}
	p.tell("paid", "invoice.paid", deal, 9)
	p.settled(p.want("billing", "paid", "acted", "resume "+name).Operation)
	p.is(name, tenure.TenantActive)
	p.gets("Once it paid", name, k, everywhere)
	p.told(name, "is active", "is suspended", "is back")
	p.deal("once it paid", deal, map[string]any{"tenure_status": "active", "tenure_environment": "https://" + name + ".platform.example"})

	// Its subscription is deleted.
	p.pass(40 * day)
	if code := p.bill("whsec_forged", "forged-end", "customer.subscription.deleted", deal, 9); code != 401 {
		t.Errorf("the end of the subscription under another secret is answered with %d; want 401", code)
	}
	for range 2 {
		p.tell("gone", "customer.subscription.deleted", deal, 9)
	}
	end := p.want("billing", "gone", "acted", "offboard "+name)
	p.leaves(name, k, end.Operation)
	p.certified(end.Tenant, end.Operation)
	p.told(name, "is active", "is suspended", "is back", "has no access any more", "is erased", "is closed")
	p.deal("after it left", deal, map[string]any{"tenure_status": "closed"})

	// Nothing of it is left, and its neighbours are whole.
	p.nothingOf("after it left", before, name)

	// Late news brings nobody back.
	p.stage(crmSecret, 2, deal, "closedwon", won.Add(time.Hour), 0)
	p.want("crm", "2", "superseded", "the customer left at")
	p.stage(crmSecret, 3, deal, "closedwon", p.now(), 0)
	p.want("crm", "3", "held", "a person releases this event")
	p.stage(crmSecret, 1, deal, "closedwon", won, 2)
	p.nothingOf("after late events", before, name)
	for other, k := range neighbours {
		p.is(other, tenure.TenantActive)
		p.gets("After all", other, k, everywhere)
	}
	p.operations(name, end.Tenant, map[tenure.OperationKind]int{tenure.Onboard: 1, tenure.Change: 1, tenure.Suspend: 1, tenure.Resume: 1, tenure.Offboard: 1})
}

// neighbour onboards a tenant as people do, and gives it data.
func (p *platform) neighbour(name, deal string) keys {
	p.Helper()
	var r client.OperationRequest
	r.Body.Kind, r.Body.Tenant, r.Body.Blueprint, r.Body.Parameters = tenure.Onboard, name, "workspace", map[string]any{"deal": deal}
	op, err := client.RequestOperation.Call(p.Context(), p.author, r)
	p.must(err)
	p.drive(op.ID, succeeded, nil)
	k := p.claim(p.author, op.ID)
	p.fill(name, k)
	p.gets("At first", name, k, everywhere)
	return k
}

// tell tells what the billing system has of a deal's subscription.
func (p *platform) tell(id, kind, deal string, seats int) {
	p.Helper()
	if code := p.bill(billingSecret, id, kind, deal, seats); code != 200 {
		p.Fatalf("%s is answered with %d; want 200", kind, code)
	}
}

// settled waits until an operation has succeeded by itself.
func (p *platform) settled(id tenure.OperationID) {
	p.Helper()
	p.until("operation "+string(id)+" succeeds with no hand", func() (bool, string) {
		v, err := client.ShowOperation.Call(p.Context(), p.reviewer, client.OperationParams{Operation: string(id)})
		p.must(err)
		return v.State == tenure.OperationSucceeded, string(v.Kind) + " is " + string(v.State) + ": " + v.Reason + failures(v)
	})
}

// byItself checks that an onboarding started under the standing approval, and that no person
// signed it.
func (p *platform) byItself(id tenure.OperationID) {
	p.Helper()
	v, err := client.ShowOperation.Call(p.Context(), p.reviewer, client.OperationParams{Operation: string(id)})
	p.must(err)
	starts, err := client.ListStarts.Call(p.Context(), p.reviewer, client.StartFilter{Unseen: true})
	p.must(err)
	if v.RequestedBy != "feed" || len(starts.Items) != 1 || starts.Items[0].Operation != id || len(v.Approvals) != 1 || v.Approvals[0].By != "standing:"+string(starts.Items[0].Standing) {
		p.Fatalf("the onboarding was asked for by %s, signed by %+v, and started under %+v; want the feed, and the standing approval alone", v.RequestedBy, v.Approvals, starts.Items)
	}
	standing, err := client.ShowStanding.Call(p.Context(), p.reviewer, client.StandingParams{Standing: string(starts.Items[0].Standing)})
	p.must(err)
	var by []string
	for _, r := range standing.Reviews {
		by = append(by, r.By)
	}
	if !slices.Equal(by, []string{"reviewer", "officer"}) {
		p.Errorf("the standing approval was reviewed by %q; want two persons", by)
	}
}

// deal holds what the CRM shows of a deal against what Tenure should have written there.
func (p *platform) deal(when, id string, want map[string]any) {
	p.Helper()
	got := map[string]any{}
	for _, o := range p.crm.Objects("deals", func(o map[string]any) bool { return o["id"] == id }) {
		properties, _ := o["properties"].(map[string]any)
		for name, value := range properties {
			if strings.HasPrefix(name, "tenure_") && name != "tenure_mark" && value != "" {
				got[name] = value
			}
			if want["tenure_status"] == "closed" && name == "tenure_mark" && value != "" {
				p.Errorf("%s the deal still bears the mark %v", when, value)
			}
		}
		if properties["dealname"] != "Deal 0" || properties["amount"] != "4200" {
			p.Errorf("%s sales' own properties of the deal are %v", when, properties)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.Errorf("%s the CRM shows of the deal (-want +got):\n%s", when, diff)
	}
}

// seats looks in PostgreSQL and at the identity provider for what follows from a tenant's
// seats.
func (p *platform) seats(when, tenant string, limit int, users []string) {
	p.Helper()
	if got := postgrestest.Value[int](p, p.dsn, "select rolconnlimit from pg_roles where rolname = $1", "t_"+tenant); got != limit {
		p.Errorf("%s the role of %s may have %d connections; want %d", when, tenant, got, limit)
	}
	all, groups := p.people.All(p)
	ids := map[any]string{}
	var got, members []string
	for _, u := range all {
		if name, ours := strings.CutSuffix(fmt.Sprint(u["userName"]), "@"+tenant+".example"); ours {
			got, ids[u["id"]] = append(got, name), name
		}
	}
	for _, g := range groups {
		if g["displayName"] == tenant+" staff" {
			list, _ := g["members"].([]any)
			for _, m := range list {
				members = append(members, ids[m.(map[string]any)["value"]])
			}
		}
	}
	slices.Sort(got)
	slices.Sort(members)
	if !slices.Equal(got, users) || !slices.Equal(members, users) {
		p.Errorf("%s %s has the users %q, with %q in its group; want %q", when, tenant, got, members, users)
	}
}

// leaves lets time pass until a tenant is closed: its access goes after the grace and before
// its data, and nothing is erased that two persons haven't signed for.
func (p *platform) leaves(tenant string, k keys, id tenure.OperationID) {
	p.Helper()
	p.drive(id, func(v client.OperationDetail) bool {
		return v.State == tenure.OperationWaiting && v.DueAt.After(p.now().Add(10*day))
	}, nil)
	p.gets("Within its grace", tenant, k, everywhere)
	cut := func() bool { return len(p.ways(tenant, k)) == 0 }
	p.drive(id, func(client.OperationDetail) bool {
		v, err := client.ShowTenant.Call(p.Context(), p.reviewer, client.TenantParams{Tenant: tenant})
		p.must(err)
		return v.State == tenure.TenantRetained
	}, nil)
	if !cut() {
		p.Errorf("%s is retained, and gets into %q; want its access cut", tenant, p.ways(tenant, k))
	}
	p.data("before its retention is over", tenant, 50, 6)
	erased := map[string]bool{}
	p.drive(id, succeeded, func(gate string) {
		if len(erased) == 0 { // at the first, one signature erases nothing
			p.data("with one signature for its erasure", tenant, 50, 6)
		}
		erased[gate] = true
	})
	if len(erased) == 0 {
		p.Error("nobody was asked before the data was erased; want two persons at each point of no return")
	}
}

// data holds what a tenant has in PostgreSQL and in S3 against what it should have at least.
func (p *platform) data(when, tenant string, orders, versions int) {
	p.Helper()
	got := 0
	for _, row := range p.rows() {
		if strings.Contains(row, "article") && names(row, tenant) {
			got++
		}
	}
	if got != orders {
		p.Errorf("%s %s has %d orders; want %d", when, tenant, got, orders)
	}
	if got := p.held(tenant); got < versions {
		p.Errorf("%s %s has %d versions in S3; want at least %d", when, tenant, got, versions)
	}
}

// certified verifies the closing certificate offline, by the public verification alone.
func (p *platform) certified(tenant tenure.TenantID, id tenure.OperationID) {
	p.Helper()
	file, err := client.FetchCertificate.Call(p.Context(), p.reviewer, client.CertificateParams{TenantParams: client.TenantParams{Tenant: string(tenant)}, Certificate: "closing"})
	p.must(err)
	key, err := client.VerifierKey.Call(p.Context(), p.reviewer, client.None{})
	p.must(err)
	rep, err := evidence.Verify(file.Content, key.Key)
	if err != nil {
		p.Fatalf("the certificate: %v; want one that verifies", err)
	}
	signed := map[string]bool{}
	for _, a := range rep.Departure.Approvals {
		signed[a.By] = true
	}
	if rep.Departure.Operation != id || rep.Departure.Tenant.ID != tenant || len(rep.Departure.Classes) != 3 || len(signed) != 2 {
		p.Errorf("the certificate speaks of %s of %s, %d classes and %d who signed; want %s of %s, 3 and 2", rep.Departure.Operation, rep.Departure.Tenant.ID, len(rep.Departure.Classes), len(signed), id, tenant)
	}
	changed := slices.Clone(file.Content)
	changed[len(changed)/2] ^= 1
	if _, err := evidence.Verify(changed, key.Key); err == nil {
		p.Error("a certificate with a changed byte verifies")
	}
}

// usersFile is where the S3 server keeps all of its users.
const usersFile = `"/users/users.json"`

// whole holds what others have against what they had.
func (p *platform) whole(when string, before map[string][]string, tenant string) {
	p.Helper()
	after := p.look()
	for system, lines := range before {
		var others []string
		for _, line := range after[system] {
			if !names(line, tenant) && !strings.HasPrefix(line, usersFile) {
				others = append(others, line)
			}
		}
		if system == "crm" { // the customer's deal is sales', and has its number alone
			continue
		}
		lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, usersFile) })
		if diff := cmp.Diff(lines, others); diff != "" {
			p.Errorf("%s %s has otherwise of others (-before +after):\n%s", when, system, diff)
		}
	}
}

// nothingOf checks that all systems hold what they held before a tenant came, and that
// nothing there names it, Tenure's own records included.
func (p *platform) nothingOf(when string, before map[string][]string, tenant string) {
	p.Helper()
	after := p.look()
	for system, lines := range before {
		now := after[system]
		if system == "crm" { // the deal has the last word of Tenure, which deal looks at
			ofSales := func(line string) bool { return strings.Contains(line, `"Deal 0"`) }
			lines, now = slices.DeleteFunc(slices.Clone(lines), ofSales), slices.DeleteFunc(slices.Clone(now), ofSales)
		}
		if diff := cmp.Diff(lines, now); diff != "" {
			p.Errorf("%s %s isn't as it was before %s came (-before +after):\n%s", when, system, tenant, diff)
		}
	}
	for line := range strings.Lines(p.raw()) {
		if names(line, tenant) {
			p.Errorf("%s something of %s is left: %s", when, tenant, strings.TrimSpace(line))
		}
	}
	if entries := p.dir.All(p, "ou="+tenant+","+slapdtest.Base); len(entries) > 0 {
		p.Errorf("%s %d entries of %s are left", when, len(entries), tenant)
	}
}

// names says whether a line names a tenant, and not only one whose name begins with its own.
func names(line, tenant string) bool {
	for _, form := range []string{tenant, strings.ReplaceAll(tenant, "-", "_")} {
		for rest := line; ; {
			_, after, found := strings.Cut(rest, form)
			if !found {
				break
			}
			if after == "" || after[0] < '0' || after[0] > '9' {
				return true
			}
			rest = after
		}
	}
	return false
}

// operations holds the operations that a tenant had against those that its events led to.
func (p *platform) operations(name string, id tenure.TenantID, want map[tenure.OperationKind]int) {
	p.Helper()
	ops, err := client.ListOperations.Call(p.Context(), p.reviewer, client.OperationFilter{Tenant: string(id)})
	p.must(err)
	got := map[tenure.OperationKind]int{}
	for _, op := range ops.Items {
		got[op.Kind]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.Errorf("the operations of %s (-want +got):\n%s", name, diff)
	}
	tenants, err := client.ListTenants.Call(p.Context(), p.reviewer, client.TenantFilter{})
	p.must(err)
	for _, v := range tenants.Items {
		if v.Name == name && v.State != tenure.TenantClosed {
			p.Errorf("%s is there again, %s", name, v.State)
		}
	}
}
