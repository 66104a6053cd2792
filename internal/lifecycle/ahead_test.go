package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// ahead lists what the platform was told of dates: when, and the first words.
func (s *site) ahead(tenant tenure.TenantID, since time.Time) (out []string) {
	s.t.Helper()
	list, err := s.db.Notices(context.Background(), tenant)
	s.must(err)
	slices.SortStableFunc(list, func(a, b store.Notice) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, n := range list {
		if n.Kind == tenure.NoticeDateAhead && n.Recipient != tenure.Timeline {
			text, _, _ := strings.Cut(n.Body, ". ")
			out = append(out, fmt.Sprintf("day %.1f, %.1f ahead, to %s: %s", n.CreatedAt.Sub(since).Hours()/24, n.AheadOf.Sub(n.CreatedAt).Hours()/24, n.Recipient, text))
		}
	}
	return out
}

// aheadSite is a site over one of the databases, and a second process over the same.
func aheadSite(t *testing.T, test func(*testing.T, *site, func())) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return postgrestest.Database(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiteIn(t, dsn(t), nil)
			o := s.options
			o.Owner = "another"
			other := s.service(o)
			test(t, s, func() {
				t.Helper()
				for _, svc := range []*lifecycle.Service{s.Service, other, s.Service} {
					s.must(svc.TickAhead(context.Background(), s.Now()))
				}
			})
		})
	}
}

// Whoever waits for the dates of a departure is told a week and a day before each, once, however many servers
// run; of one that passes while none does, never.
func TestDatesOfADepartureAreToldAhead(t *testing.T) {
	aheadSite(t, func(t *testing.T, s *site, tick func()) {
		s.publishText(strings.Replace(classesText("rows"), "grace: PT0S", "grace: P30D", 1))
		s.wantState(s.begin("acme", "classes-rows"), tenure.OperationSucceeded)
		op, began := s.leave("acme"), s.Now()
		tenant := s.view(op).Tenant
		until := func(days float64) {
			for s.Now().Sub(began) < time.Duration(days*24)*time.Hour {
				s.pass(12 * time.Hour)
				tick()
			}
		}
		until(46)
		s.pass(6 * day) // nothing runs as bb's retention ends
		until(54)
		want := []string{
			"day 23.0, 7.0 ahead, to platform: acme loses its access at 2026-04-01 09:00 UTC, when its grace ends",
			"day 29.0, 1.0 ahead, to platform: acme loses its access at 2026-04-01 09:00 UTC, when its grace ends",
			"day 33.0, 7.0 ahead, to platform: The retention of aa of acme ends at 2026-04-11 09:00 UTC",
			"day 39.0, 1.0 ahead, to platform: The retention of aa of acme ends at 2026-04-11 09:00 UTC",
			"day 43.0, 7.0 ahead, to platform: The retention of bb of acme ends at 2026-04-21 09:00 UTC",
			"day 53.0, 7.0 ahead, to platform: The retention of cc of acme ends at 2026-05-01 09:00 UTC",
		}
		if got := s.ahead(tenant, began); !slices.Equal(got, want) {
			t.Errorf("the platform was told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		systems := 0
		list, err := s.db.Notices(context.Background(), tenant)
		s.must(err)
		for _, n := range list {
			if n.Kind == tenure.NoticeDateAhead && n.Recipient == tenure.Timeline {
				systems++
			}
			if n.Kind == tenure.NoticeDateAhead && strings.Contains(n.Body, "retention") && !strings.Contains(n.Body, "tenure tenant reinstate acme") {
				t.Errorf("how to stop it isn't said: %s", n.Body)
			}
		}
		if systems != len(want) {
			t.Errorf("systems were told of %d dates", systems)
		}
		if _, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: tenant}}, "counsel"); err != nil {
			t.Fatal(err)
		}
		until(62)
		if got := s.ahead(tenant, began); len(got) != len(want) {
			t.Errorf("under a hold: %s", got[len(want)])
		}
	})
}

// A contract's end is told ahead; if it moves, anew with its new date; and not once it has passed.
func TestContractsEndIsToldAhead(t *testing.T) {
	aheadSite(t, func(t *testing.T, s *site, tick func()) {
		s.onboard("acme")
		tenant, err := s.Tenant(context.Background(), "acme")
		s.must(err)
		began := s.Now()
		ends := func(days int) {
			s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
				return tx.SaveTriggerCustomer(store.TriggerCustomer{Key: "c1", Tenant: tenant.ID, StartedAt: began, ContractEnd: began.Add(time.Duration(days) * day)})
			}))
		}
		ends(10)
		for range 4 { // to the fourth day
			s.pass(day)
			tick()
		}
		ends(14)
		for range 4 { // to the eighth
			s.pass(day)
			tick()
		}
		s.pass(5*day + 12*time.Hour) // nothing runs, until half a day before it
		tick()
		ends(15)
		s.pass(3 * day)
		tick()
		want := []string{
			"day 3.0, 7.0 ahead, to platform: The contract of acme ends at 2026-03-12 09:00 UTC.",
			"day 7.0, 7.0 ahead, to platform: The contract of acme ends at 2026-03-16 09:00 UTC.",
			"day 13.5, 0.5 ahead, to platform: The contract of acme ends at 2026-03-16 09:00 UTC.",
		}
		if got := s.ahead(tenant.ID, began); !slices.Equal(got, want) {
			t.Errorf("the platform was told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A finding that was waived comes back: who waived it is told before.
func TestWaiversEndIsToldAhead(t *testing.T) {
	aheadSite(t, func(t *testing.T, s *site, tick func()) {
		s.onboard("acme")
		tenant, err := s.Tenant(context.Background(), "acme")
		s.must(err)
		f := tenure.Finding{ID: tenure.NewID[tenure.FindingID](s.Now()), Kind: tenure.FindingResidue, Severity: tenure.Low, Tenant: tenant.ID, System: "main", Type: "rows", Name: "x", SeenAt: s.Now(), Detail: "x"}
		s.must(s.db.Write(context.Background(), func(tx *store.Tx) error { return tx.SaveFinding(f) }))
		began := s.Now()
		s.must(s.Waive(context.Background(), f.ID, began.Add(3*day), "it is known", "olga"))
		for range 6 {
			tick()
			s.pass(12 * time.Hour)
		}
		tick()
		if got := s.ahead(tenant.ID, began); len(got) != 4 || !strings.Contains(got[0], "day 0.0, 3.0 ahead, to p") || !strings.Contains(got[2], "day 2.0, 1.0 ahead") || !strings.Contains(strings.Join(got, "\n"), "to person:olga: The waiver of finding "+string(f.ID)) {
			t.Errorf("told: %s", strings.Join(got, "\n"))
		}
	})
}
