package governance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// noon is a Monday's.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const aDay = 24 * time.Hour

func event(ago time.Duration, kind, who, tenant, detail string) store.AccessEvent {
	return store.AccessEvent{At: noon.Add(-ago), Kind: kind, Principal: who, Tenant: tenant, Detail: detail}
}

// every makes so many events of one kind, the oldest first, so far apart, the last
// one so long ago.
func every(n int, apart, last time.Duration, kind, detail string) []store.AccessEvent {
	var out []store.AccessEvent
	for i := n - 1; i >= 0; i-- {
		out = append(out, event(last+time.Duration(i)*apart, kind, "ada", "", detail))
	}
	return out
}

func detail(s tenure.Scope) string {
	return tenure.ElevationAsked{Role: tenure.Operator, Scope: s}.String()
}

func approved(after time.Duration) string {
	return tenure.ApprovalDetail(tenure.ActApproval, after)
}

var (
	one   = tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}}
	three = tenure.Scope{Tenants: []tenure.TenantID{"ten_1", "ten_2", "ten_3"}}
	gold  = tenure.Scope{Tiers: []string{"gold"}}
	whole = tenure.Scope{All: true}
)

// TestAnomalyRules: each rule sees the planted case, says what is usual and what
// was seen, and is quiet about the nearest case that isn't one.
func TestAnomalyRules(t *testing.T) {
	t.Parallel()
	ask := event(0, tenure.EventElevation, "ada", "", detail(one))
	wide := event(0, tenure.EventElevation, "ada", "", detail(whole))
	destroy := event(0, tenure.EventDestructive, "ada", "ten_1", "offboard")
	counted := func(kind string, n int, routes ...string) (out []store.AccessEvent) {
		for i, r := range routes {
			e := event(time.Duration(len(routes)-1-i)*time.Minute, kind, "", "", tenure.RefusalsCounted{Route: r, Address: "192.0.2.7", Count: n}.String())
			if e.ID = fmt.Sprint("refusal", i); kind == tenure.EventDenied {
				e.Principal = "ada"
			}
			out = append(out, e)
		}
		return out
	}
	last := func(list []store.AccessEvent) governance.Case {
		return governance.Case{Event: list[len(list)-1], Past: list[:len(list)-1], Around: list[:len(list)-1]}
	}
	signIn := event(0, tenure.EventSignIn, "ada", "", "oidc")
	erase := event(0, tenure.EventErase, "ada", "ten_1", "")
	approve := func(after time.Duration) store.AccessEvent {
		return event(0, tenure.EventApproval, "ada", "ten_1", approved(after))
	}
	noReturn := event(0, tenure.EventApproval, "ada", "ten_1", tenure.ApprovalDetail(tenure.ActNoReturn, time.Hour))
	admin := []tenure.Role{tenure.Viewer, tenure.Admin}
	for _, c := range []struct {
		rule           string
		yes, no        governance.Case
		baseline, seen string
	}{
		{"elevation.first", governance.Case{Event: ask, KnownSince: noon.Add(-14 * aDay)}, governance.Case{Event: ask, KnownSince: noon.Add(-13 * aDay)},
			"no elevation by ada in the 14 days that are known", "one as operator over ten_1"},
		{"elevation.first", governance.Case{Event: event(0, tenure.EventBreakGlass, "ada", "", "operator over tier gold, label env=prod"), KnownSince: noon.Add(-400 * aDay)},
			governance.Case{Event: ask, KnownSince: noon.Add(-400 * aDay), Past: every(1, 0, 300*aDay, tenure.EventElevation, detail(one))},
			"in the 400 days", "one as operator over tier gold, label env=prod"},
		{"elevation.hour", governance.Case{Event: ask, Past: every(5, aDay, 15*time.Hour, tenure.EventElevation, detail(one))},
			governance.Case{Event: ask, Past: every(5, aDay, 22*time.Hour, tenure.EventElevation, detail(one))},
			"5 earlier ones, at the hours [21] UTC", "one at 12:00 UTC"},
		{"elevation.hour", governance.Case{Event: ask, Past: every(5, aDay, 15*time.Hour, tenure.EventElevation, detail(one))},
			governance.Case{Event: ask, Past: every(4, aDay, 15*time.Hour, tenure.EventElevation, detail(one))}, "5 earlier", "12:00"},
		{"elevation.scope", governance.Case{Event: wide, Past: every(4, aDay, aDay, tenure.EventElevation, detail(gold))},
			governance.Case{Event: wide, Past: append(every(4, aDay, 2*aDay, tenure.EventElevation, detail(one)), every(1, 0, aDay, tenure.EventElevation, detail(whole))...)},
			"the widest of 4 earlier ones was over tier gold", "one over all tenants"},
		{"elevation.scope", governance.Case{Event: event(0, tenure.EventElevation, "ada", "", detail(three)), Past: every(1, 0, aDay, tenure.EventElevation, detail(one))},
			governance.Case{Event: event(0, tenure.EventElevation, "ada", "", detail(tenure.Scope{Tenants: three.Tenants[:2]})), Past: every(1, 0, aDay, tenure.EventElevation, detail(one))},
			"was over ten_1", "one over ten_1, ten_2, ten_3"},
		{"elevation.scope", governance.Case{Event: event(0, tenure.EventBreakGlass, "ada", "", "operator over all tenants"), Past: every(1, 0, aDay, tenure.EventElevation, "operator over tier gold")},
			governance.Case{Event: event(0, tenure.EventBreakGlass, "ada", "", "operator over tier free"), Past: every(1, 0, aDay, tenure.EventElevation, "operator over tier gold")},
			"was over tier gold", "one over all tenants"},
		{"elevation.rate", governance.Case{Event: ask, Past: every(3, time.Hour, time.Hour, tenure.EventElevation, detail(one))},
			governance.Case{Event: ask, Past: every(2, time.Hour, time.Hour, tenure.EventElevation, detail(one))},
			"0.0 a day over the 30 days before", "4 within 24 hours"},
		{"elevation.rate", governance.Case{Event: ask, Past: every(3, time.Hour, time.Hour, tenure.EventElevation, detail(one))},
			governance.Case{Event: ask, Past: append(every(58, 12*time.Hour, 25*time.Hour, tenure.EventElevation, detail(one)), every(3, time.Hour, time.Hour, tenure.EventElevation, detail(one))...)},
			"a day", "4 within"},
		{"destructive.rate", governance.Case{Event: destroy, Past: append(every(2, time.Minute, 3*aDay, tenure.EventDestructive, ""), every(4, time.Minute, time.Minute, tenure.EventDestructive, "")...)},
			governance.Case{Event: destroy, Past: every(3, time.Minute, time.Minute, tenure.EventDestructive, "")},
			"at most 2 in any hour of the 30 days before", "5 destructive plans started within an hour"},
		{"destructive.rate", governance.Case{Event: destroy, Past: append(every(3, time.Minute, 3*aDay, tenure.EventDestructive, ""), every(6, time.Minute, time.Minute, tenure.EventDestructive, "")...)},
			governance.Case{Event: destroy, Past: append(every(4, time.Minute, 3*aDay, tenure.EventDestructive, ""), every(6, time.Minute, time.Minute, tenure.EventDestructive, "")...)},
			"at most 3", "7 destructive"},
		{"approval.quick", governance.Case{Event: approve(9 * time.Second), Past: every(3, aDay, aDay, tenure.EventApproval, approved(20*time.Minute))}, governance.Case{Event: approve(10 * time.Second)},
			"half of their 3 earlier ones took 20m0s or more", "approved 9 seconds after the gate had opened"},
		{"approvals.quick", governance.Case{Event: approve(time.Hour), Past: every(4, 10*time.Second, 10*time.Second, tenure.EventApproval, approved(time.Hour))},
			governance.Case{Event: approve(time.Hour), Past: every(4, 15*time.Second, 15*time.Second, tenure.EventApproval, approved(time.Hour))},
			"0 approvals in the 30 days before", "5 approvals within a minute"},
		{"signin.sprayed", last(counted(tenure.EventRefused, 10, "GET /a", "GET /b")), last(counted(tenure.EventRefused, 19, "GET /a")),
			"fewer than 20", "20 refused within ten minutes, from the address 192.0.2.7"},
		{"access.probed", last(counted(tenure.EventDenied, 1, "GET /a", "GET /b", "GET /c", "GET /d", "GET /e")), last(counted(tenure.EventDenied, 7, "GET /a", "GET /b", "GET /c", "GET /d")),
			"at fewer than 5 routes", "5 refused within ten minutes, at 5 routes"},
		{"access.probed", last(counted(tenure.EventDenied, 15, "GET /a", "GET /a")), last(counted(tenure.EventDenied, 29, "GET /a")),
			"fewer than 30 refused", "30 refused within ten minutes, at the route GET /a"},
		{"dormant.wakes", governance.Case{Event: signIn, Roles: admin, Past: append(every(1, 0, 60*aDay, tenure.EventSignIn, ""), every(3, aDay, aDay, tenure.EventRefused, "")...)},
			governance.Case{Event: signIn, Roles: admin, Past: every(1, 0, 59*aDay, tenure.EventApproval, approved(time.Hour))},
			"last seen 2026-01-01, 60 days before", "a sign-in with the role viewer, the role admin"},
		{"dormant.wakes", governance.Case{Event: signIn, Roles: []tenure.Role{tenure.SecurityOfficer}, Past: every(1, 0, 90*aDay, tenure.EventSignIn, "")},
			governance.Case{Event: signIn, Roles: []tenure.Role{tenure.Operator}, Past: every(1, 0, 90*aDay, tenure.EventSignIn, "")}, "90 days", "security-officer"},
		{"hold.erased", governance.Case{Event: erase, Around: []store.AccessEvent{event(23*time.Hour, tenure.EventHoldRelease, "eve", "ten_1", "")}},
			governance.Case{Event: erase, Around: []store.AccessEvent{event(25*time.Hour, tenure.EventHoldRelease, "eve", "ten_1", "")}},
			"for more than a day", "hold released by eve at 2026-03-01 13:00 UTC, erasure 23h0m0s later"},
		{"hold.erased", governance.Case{Event: noReturn, Around: []store.AccessEvent{event(time.Hour, tenure.EventHoldRelease, "eve", "", "")}},
			governance.Case{Event: noReturn, Around: []store.AccessEvent{event(time.Hour, tenure.EventHoldRelease, "eve", "ten_2", "")}},
			"for more than a day", "released by eve"},
		{"hold.erased", governance.Case{Event: erase, Around: []store.AccessEvent{event(0, tenure.EventHoldRelease, "eve", "ten_1", "")}},
			governance.Case{Event: approve(time.Hour), Around: []store.AccessEvent{event(time.Hour, tenure.EventHoldRelease, "eve", "ten_1", "")}}, "day", "eve"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			got := ruled(c.yes, c.rule)
			if got == nil {
				t.Fatalf("not seen: %+v", c.yes)
			}
			if !strings.Contains(got.Baseline, c.baseline) || !strings.Contains(got.Seen, c.seen) || got.Explanation == "" || got.Severity == "" {
				t.Errorf("usual: %q, seen: %q (%q); want %q and %q", got.Baseline, got.Seen, got.Explanation, c.baseline, c.seen)
			}
			who := map[string]string{"signin.sprayed": "", "hold.erased": "eve"}
			if want, special := who[c.rule]; special && got.Principal != want || !special && got.Principal != "ada" {
				t.Errorf("it is said of %q", got.Principal)
			}
			if got := ruled(c.no, c.rule); got != nil {
				t.Errorf("a false alarm: %+v", got)
			}
		})
	}
}

func ruled(c governance.Case, rule string) *governance.Anomaly {
	for _, a := range c.Anomalies() {
		if a.Rule == rule {
			return &a
		}
	}
	return nil
}

// TestNormalLifeIsQuiet: a month of people at work raises no alarm, and at most one
// low note about who elevates for the first time.
func TestNormalLifeIsQuiet(t *testing.T) {
	t.Parallel()
	var all []store.AccessEvent
	add := func(at time.Time, kind, who, tenant, detail string) {
		all = append(all, store.AccessEvent{ID: fmt.Sprint(len(all)), At: at, Kind: kind, Principal: who, Tenant: tenant, Detail: detail})
	}
	first := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for day := range 30 {
		morning := first.AddDate(0, 0, day).Add(8 * time.Hour)
		weekend := morning.Weekday() == time.Saturday || morning.Weekday() == time.Sunday
		for i, who := range []string{"ada", "bob", "cyd", "dee"} {
			if weekend {
				continue
			}
			at := morning.Add(time.Duration(i*17+day%7) * time.Minute)
			if (day+i)%6 == 0 { // a password typed wrong
				add(at.Add(-time.Minute), tenure.EventRefused, who, "", "oidc: no")
				add(at.Add(-30*time.Second), tenure.EventRefused, who, "", "oidc: no")
			}
			add(at, tenure.EventSignIn, who, "", "oidc")
			for n := range 3 { // approvals through the day, some of them two at a time
				add(at.Add(time.Duration(n)*2*time.Hour), tenure.EventApproval, who, fmt.Sprintf("ten_%d", n), approved(time.Duration(2+n*11+day)*time.Minute))
				add(at.Add(time.Duration(n)*2*time.Hour+40*time.Second), tenure.EventApproval, who, fmt.Sprintf("ten_%d", n), approved(time.Duration(3+n*11)*time.Minute))
			}
		}
		if !weekend && day%3 == 0 {
			add(morning.Add(3*time.Hour), tenure.EventElevation, "bob", "", detail(one))
		}
		if day%7 == 2 {
			for i := range 3 {
				add(morning.Add(time.Duration(300+i*10)*time.Minute), tenure.EventDestructive, "ada", fmt.Sprintf("ten_%d%d", day, i), "offboard")
			}
			add(morning.Add(4*time.Hour), tenure.EventHoldRelease, "dee", "ten_held", "")
		}
		if day%7 == 5 {
			add(morning.Add(4*time.Hour), tenure.EventErase, "ada", "ten_held", "")
		}
	}
	slices.SortStableFunc(all, func(a, b store.AccessEvent) int { return a.At.Compare(b.At) })
	n := 0
	for i, e := range all {
		c := governance.Case{Event: e, KnownSince: all[0].At, Roles: []tenure.Role{tenure.Admin}}
		for _, p := range all[:i] {
			if p.Principal == e.Principal {
				c.Past = append(c.Past, p)
			}
			if p.Kind == e.Kind && e.Kind == tenure.EventRefused && e.At.Sub(p.At) < 10*time.Minute || p.Kind == tenure.EventHoldRelease && e.At.Sub(p.At) < aDay {
				c.Around = append(c.Around, p)
			}
		}
		n++
		for _, a := range c.Anomalies() {
			t.Errorf("%s: %s (%s; %s)", e.At, a.Explanation, a.Baseline, a.Seen)
		}
	}
	if n < 500 {
		t.Errorf("only %d events: that is no month", n)
	}
}

// TestElevationDetail: what an elevation's event says is read back,
// whatever the scope.
func TestElevationDetail(t *testing.T) {
	t.Parallel()
	for _, s := range []tenure.Scope{one, three, gold, whole, {Tiers: []string{"gold"}, Labels: []string{"env=prod"}, Tenants: one.Tenants}} {
		for _, text := range []string{detail(s)} {
			c := governance.Case{Event: event(0, tenure.EventElevation, "ada", "", text), KnownSince: noon.Add(-20 * aDay)}
			a := ruled(c, "elevation.first")
			if a == nil {
				t.Fatalf("%q: nothing", text)
			}
			if d := cmp.Diff("one as operator over "+s.String(), a.Seen); d != "" {
				t.Errorf("%q: %s", text, d)
			}
		}
	}
}
