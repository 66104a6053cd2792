package server_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// sending is an event as a sender has it: what it signs, and what it means.
type sending struct {
	source, id, kind, body string
	customer               int
	forged                 bool
}

// TestFloodOfEvents: many customers' lives in no order, each event twice or more, forged ones
// among them, the server started anew in the middle. What comes of them is what a model says
// that has seen nothing of the order: a customer has one tenant at the most, and whose
// subscription ended leaves, once; the highest version of its seats counts; every event says
// what became of it. TENURE_FLOOD is how many customers there are, with seven events each:
// make flood has 10,000 events, which take too long for every run.
func TestFloodOfEvents(t *testing.T) {
	t.Parallel()
	customers := 30
	if n, err := strconv.Atoi(os.Getenv("TENURE_FLOOD")); err == nil {
		customers = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	f := newFeedOf(t, strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), strings.Replace(eventRules, "departures: 1", "departures: 10000", 1))
	begin := f.now()
	f.clock.Add((40 * 24 * time.Hour).Microseconds())

	ends, seats := map[int]bool{}, map[int]int{}
	var all []sending
	for c := range customers {
		won := begin.Add(time.Duration(c) * time.Minute)
		say := func(kind string, day int, more string) {
			id := fmt.Sprintf("%s-%d-%d", kind, c, len(all))
			all = append(all, sending{"pay", id, kind, fmt.Sprintf(`{"id":%q,"type":%q,"created":%d,"data":{"object":{"id":"sub_%d","customer":"cus_%d"%s}}}`, id, kind, won.AddDate(0, 0, day).Unix(), c, c, more), c, false})
		}
		id := fmt.Sprintf("won-%d", c)
		all = append(all, sending{"crm", id, "deal.won", fmt.Sprintf(`{"id":%q,"type":"deal.won","deal":"deal-%d","version":"1","at":%q,"company":"Customer %d","login":"a@b.example","stripe":"cus_%d"}`, id, c, won.Format(time.RFC3339), c, c), c, false})
		for day := 1; day <= 1+r.IntN(3); day++ {
			seats[c] = 1 + r.IntN(900)
			say("customer.subscription.updated", day, fmt.Sprintf(`,"quantity":%d`, seats[c]))
		}
		if r.IntN(3) == 0 {
			ends[c] = true
			say("customer.subscription.deleted", 20, "")
		}
	}
	for _, e := range append([]sending(nil), all...) { // sent again, and forged
		all = append(all, e)
		if r.IntN(10) == 0 {
			e.id, e.forged = "forged-"+e.id, true
			e.body = strings.Replace(strings.Replace(e.body, `"id":"`, `"id":"forged-`, 1), "Customer", "Evil", 1)
			all = append(all, e)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	sent, started := map[string]bool{}, time.Now()
	for n, e := range all {
		if n == len(all)/2 {
			f.shut()
			f.open()
		}
		key := map[bool]string{false: map[string]string{"crm": crmSecret, "pay": paySecret}[e.source], true: "another"}[e.forged]
		header, signature := "X-Signature", hmacOf(key, e.body)
		if e.source == "pay" {
			at := fmt.Sprint(f.now().Unix())
			header, signature = "Stripe-Signature", "t="+at+",v1="+hmacOf(key, at+"."+e.body)
		}
		want := 200
		if e.forged {
			want = 401
			f.clock.Add(time.Second.Microseconds()) // an address may show so many wrong signatures
		}
		if code := f.post(e.source, header, signature, e.body); code != want {
			t.Fatalf("%s answers %d, want %d", e.id, code, want)
		}
		if !e.forged {
			sent[e.source+" "+e.id] = true
		}
		if r.IntN(20) == 0 {
			f.must(f.events.Work(t.Context()))
		}
	}
	answered := time.Since(started)
	for round := 0; ; round++ {
		f.work()
		n, err := f.s.Engine.DB.InboundCounts(t.Context())
		f.must(err)
		if n[store.InboundReceived] == 0 {
			break
		}
		if round == 200 {
			t.Fatalf("events wait without end: %v", n)
		}
		f.clock.Add(time.Minute.Microseconds())
	}
	f.work()
	t.Logf("%d events of %d customers: the last was answered after %s, and all were decided and done after %s", len(all), customers, answered.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))

	rows, err := f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Limit: len(all) + 1})
	f.must(err)
	first := map[int]string{} // whether a customer's deal or the end of its subscription came first
	for i := len(rows) - 1; i >= 0; i-- {
		e := rows[i]
		if delete(sent, e.Source+" "+e.ExternalID); strings.HasPrefix(e.ExternalID, "forged") || e.Why == "" {
			t.Errorf("%s is kept as %s: %q", e.ExternalID, e.State, e.Why)
		}
		var c int
		if _, err := fmt.Sscanf(e.ExternalID, "won-%d", &c); err == nil && first[c] == "" {
			first[c] = "won"
		} else if _, err := fmt.Sscanf(e.ExternalID, "customer.subscription.deleted-%d", &c); err == nil && first[c] == "" {
			first[c] = "deleted"
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d events were answered and aren't kept: %v", len(sent), sent)
	}
	for c := range customers {
		name := fmt.Sprintf("customer-%d", c)
		tenant, err := f.s.Engine.DB.Tenant(t.Context(), name)
		if first[c] == "deleted" {
			if tenure.CodeOf(err) != tenure.NotFound {
				t.Errorf("%s had left before its deal came, and has a tenant (%v)", name, err)
			}
			continue
		}
		if tenure.CodeOf(err) == tenure.NotFound && ends[c] { // its deal was tried again after the end had come
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ops, err := f.s.Engine.DB.Operations(t.Context(), store.OperationFilter{Tenant: tenant.ID})
		f.must(err)
		kinds := map[tenure.OperationKind]int{}
		for _, op := range ops {
			kinds[op.Kind]++
		}
		if kinds[tenure.Onboard] != 1 || kinds[tenure.Offboard] != map[bool]int{true: 1}[ends[c]] {
			t.Errorf("%s has %v; it ended: %t", name, kinds, ends[c])
			for _, e := range rows {
				if strings.Contains(string(e.Body), fmt.Sprintf(`"cus_%d"`, c)) {
					t.Logf("  %s %s: %s", e.ExternalID, e.State, e.Why)
				}
			}
		}
		if !ends[c] && !strings.Contains(string(tenant.Parameters), fmt.Sprintf(`"seats":%d}`, seats[c])) {
			t.Errorf("%s has %s, and bought %d seats", name, tenant.Parameters, seats[c])
		}
	}
}
