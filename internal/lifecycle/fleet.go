package lifecycle

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Fleet is how all tenants are that somebody may see.
type Fleet struct {
	Counts     []store.FleetCount // by state and revision
	ByTier     []store.FleetCount
	Held       int
	Stuck      []store.Attention
	StuckAll   int
	Waiting    int // operations that wait for a date or a person
	Leaving    []store.Attention
	LeavingAll int
	Findings   map[tenure.Severity]int
	Onboarding Onboarding
	Cost       *Cost     // nil for who doesn't see everything
	CountedAt  time.Time // how old what is counted is: waiting, held, findings
}

// Onboarding says how moving in went in the last 90 days.
type Onboarding struct {
	Since     time.Time
	Runs      int           // that ended
	Failed    int           // for a technical cause
	Expired   int           // nobody approved it in time
	Rejected  int           // somebody said no
	Withdrawn int           // whoever asked took it back
	P50, P95  time.Duration // from request to end, of all that ended
	Settled   int           // succeeded
	Incidents int           // of these, with trouble within 30 days
	Weeks     []OnboardingWeek
}

// OnboardingWeek is one week of it.
type OnboardingWeek struct {
	Start        time.Time
	Runs, Failed int
	P50, P95     time.Duration
}

// Cost is what the tenants' resources cost a month, by currency, in minor units:
// the part of each type's formula that doesn't hang on what was measured.
type Cost struct {
	At                         time.Time        // when it was added up
	Running, Stopped, Orphaned map[string]int64 // Stopped is of what ran and has ended
	Unused                     map[string]int64 // of what runs: of tenants that nobody has used for 90 days
	UnusedTenants              int
}

// onboardingWindow is how far back the figures go.
const onboardingWindow = 90 * 24 * time.Hour

// Fleet puts the fleet's figures together. Counts of tenants are read as they are
// kept; those of what needs somebody may be seconds old, see counted.
func (s *Service) Fleet(ctx context.Context, v store.Visible) (*Fleet, error) {
	now := s.Now()
	f := &Fleet{}
	var err error
	if f.Counts, f.ByTier, err = s.o.DB.FleetCounts(ctx, v); err != nil {
		return nil, err
	}
	if f.Stuck, err = s.o.DB.Attention(ctx, v, tenure.OperationBlocked, "", 20); err != nil {
		return nil, err
	}
	if f.Leaving, err = s.o.DB.Attention(ctx, v, tenure.OperationWaiting, tenure.Offboard, 20); err != nil {
		return nil, err
	}
	counted, err := s.counted(ctx, v, now)
	if err != nil {
		return nil, err
	}
	f.Held, f.Findings, f.Onboarding = counted.held, counted.findings, counted.onboarding
	f.CountedAt = counted.at
	f.StuckAll, f.LeavingAll, f.Waiting = counted.stuck, counted.leaving, counted.waiting
	if v.Reach.All && v.Limit.All {
		f.Cost = s.cost.last()
	}
	return f, nil
}

func onboardingOf(runs []store.OnboardingRun, since, now time.Time) Onboarding {
	o := Onboarding{Since: since}
	var took []time.Duration
	weeks := make(map[int][]store.OnboardingRun)
	for _, r := range runs {
		o.Runs++
		weeks[int(r.Ended.Sub(since)/(7*24*time.Hour))] = append(weeks[int(r.Ended.Sub(since)/(7*24*time.Hour))], r)
		took = append(took, r.Ended.Sub(r.Began))
		switch {
		case r.State == tenure.OperationSucceeded:
			o.Settled++
			if r.Troubled {
				o.Incidents++
			}
		case r.State == tenure.OperationFailed:
			o.Failed++
		case r.Refused == "expired":
			o.Expired++
		case r.Refused == "rejected":
			o.Rejected++
		default:
			o.Withdrawn++
		}
	}
	o.P50, o.P95 = quantile(took, 0.50), quantile(took, 0.95)
	for n := 0; since.Add(time.Duration(n) * 7 * 24 * time.Hour).Before(now); n++ {
		w := OnboardingWeek{Start: since.Add(time.Duration(n) * 7 * 24 * time.Hour)}
		var took []time.Duration
		for _, r := range weeks[n] {
			w.Runs++
			if r.State == tenure.OperationFailed {
				w.Failed++
			}
			took = append(took, r.Ended.Sub(r.Began))
		}
		w.P50, w.P95 = quantile(took, 0.50), quantile(took, 0.95)
		o.Weeks = append(o.Weeks, w)
	}
	return o
}

// quantile is the nearest-rank quantile; 0 of nothing.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// costKeeper keeps the last cost: adding it up reads every resource, so nobody
// who looks at a page waits for it.
type costKeeper struct {
	mu   sync.Mutex
	cost *Cost
}

func (k *costKeeper) last() *Cost {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cost
}

// UnusedAfter is how long nobody uses a tenant that the fleet calls unused.
const UnusedAfter = 90 * 24 * time.Hour

// costEvery is how old the cost may be.
const costEvery = 10 * time.Minute

// TickCost adds the cost up again when it is old.
func (s *Service) TickCost(ctx context.Context, now time.Time) error {
	if last := s.cost.last(); last != nil && now.Sub(last.At) < costEvery {
		return nil
	}
	rows, err := s.o.DB.ResourceCounts(ctx)
	if err != nil {
		return err
	}
	stray, err := s.o.DB.StrayCounts(ctx)
	if err != nil {
		return err
	}
	c := &Cost{At: now, Running: map[string]int64{}, Stopped: map[string]int64{}, Orphaned: map[string]int64{}, Unused: map[string]int64{}}
	idle, unused, err := s.o.DB.UnusedCounts(ctx, now.Add(-UnusedAfter), now.Add(-store.UseFor))
	if err != nil {
		return err
	}
	c.UnusedTenants = idle
	for _, r := range unused {
		s.addCost(c.Unused, r)
	}
	for _, r := range rows {
		switch r.State {
		case tenure.ResourcePlanned: // nothing of it runs yet
		case tenure.ResourceGone:
			s.addCost(c.Stopped, r)
		default: // what is suspended or set aside is still there
			s.addCost(c.Running, r)
		}
	}
	for _, r := range stray {
		s.addCost(c.Orphaned, r)
	}
	s.cost.mu.Lock()
	s.cost.cost = c
	s.cost.mu.Unlock()
	return nil
}

func (s *Service) addCost(into map[string]int64, r store.ResourceCount) {
	set, ok := s.o.Settings[r.System]
	if !ok || set.Currency == "" {
		return
	}
	info, err := s.info(set.Connector)
	if err != nil {
		return
	}
	if t, ok := info.Type(r.Type); ok {
		into[set.Currency] += r.N * tenure.MonthlyCost(t.Cost, set.Prices, nil)
	}
}

// OpenFindings counts the open findings that somebody may see.
func (s *Service) OpenFindings(ctx context.Context, v store.Visible) (int, error) {
	f, err := s.counted(ctx, v, s.Now())
	n := 0
	for _, c := range f.findings {
		n += c
	}
	return n, err
}

// TenantCosts is what some tenants' resources cost a month, by currency, in minor units: the part that
// doesn't hang on what was measured.
func (s *Service) TenantCosts(ctx context.Context, tenants []tenure.TenantID) (map[tenure.TenantID]map[string]int64, error) {
	rows, err := s.o.DB.TenantResourceCounts(ctx, tenants)
	if err != nil {
		return nil, err
	}
	out := make(map[tenure.TenantID]map[string]int64)
	for _, r := range rows {
		if out[r.Tenant] == nil {
			out[r.Tenant] = map[string]int64{}
		}
		s.addCost(out[r.Tenant], r.ResourceCount)
	}
	return out, nil
}
