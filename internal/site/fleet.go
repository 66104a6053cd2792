package site

import (
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) fleetPages() {
	s.page("GET /{$}", (*visit).fleet)
}

func (v *visit) fleet() error {
	if !v.caller.May(tenure.TenantRead) {
		return v.show(dashboard.AreaFleet, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Fleet(w, f, dashboard.FleetView{}) })
	}
	f, err := ask(v, client.ShowFleet, client.None{})
	if err != nil {
		return err
	}
	view := fleetView(f)
	view.Needs, view.NeedsAll = v.needs(12), v.waiting()
	return v.show(dashboard.AreaFleet, "/v1/events", func(w io.Writer, frame dashboard.Frame) error { return v.s.pages.Fleet(w, frame, view) })
}

func fleetView(f client.Fleet) dashboard.FleetView {
	v := dashboard.FleetView{
		Tenants: int(f.Tenants), Held: f.Held, ByState: map[tenure.TenantState]int{}, Findings: f.Findings, StuckAll: f.StuckAll, LeavingAll: f.LeavingAll,
		Onboarding: onboardingView(f.Onboarding),
	}
	for s, n := range f.ByState {
		v.ByState[s] = int(n)
	}
	for _, c := range f.ByTier {
		v.ByTier = append(v.ByTier, dashboard.Count{Label: c.Name, N: int(c.Count), Href: "/tenants?tier=" + queryEscape(c.Name)})
	}
	for _, c := range f.ByRevision {
		v.ByRevision = append(v.ByRevision, dashboard.Count{Label: c.Name, N: int(c.Count), Href: "/tenants?blueprint=" + queryEscape(atVersion(c.Name))})
	}
	for _, o := range f.Stuck {
		v.Stuck = append(v.Stuck, dashboard.Stuck{
			Tenant: tenantRef(o.Tenant, o.TenantName), Operation: operationRef(o.ID, string(o.Kind)), State: o.State, Why: o.Reason,
			Unblocks: "an operator: mend the cause and retry, or leave the step out with a second person", Since: o.UpdatedAt,
		})
	}
	for _, o := range f.Leaving {
		l := dashboard.Leaving{Tenant: tenantRef(o.Tenant, o.TenantName), State: o.TenantState, Stage: stageOf(o.TenantState), Next: o.DueAt, What: o.Reason}
		v.Leaving = append(v.Leaving, l)
	}
	if f.Cost != nil {
		v.Cost = dashboard.CostFigures{Running: money(f.Cost.Running), Stopped: money(f.Cost.Stopped), Orphaned: money(f.Cost.Orphaned), Unused: money(f.Cost.Unused), UnusedTenants: f.Cost.UnusedTenants, At: f.Cost.At}
	}
	return v
}

// stageOf is the stage of an offboarding whose tenant is in a state.
func stageOf(s tenure.TenantState) tenure.Stage {
	switch s {
	case tenure.TenantTransition:
		return tenure.StageGrace
	case tenure.TenantTerminating:
		return tenure.StageCut
	case tenure.TenantRetained:
		return tenure.StageRetention
	case tenure.TenantErasing:
		return tenure.StageErasure
	case tenure.TenantAwaitingExpiry:
		return tenure.StageExpiry
	}
	return tenure.StageApproval
}

func onboardingView(o client.OnboardingFigures) dashboard.OnboardingFigures {
	out := dashboard.OnboardingFigures{Window: "the last 90 days", Runs: o.Runs, Failed: o.Failed, Expired: o.Expired, Rejected: o.Rejected, Withdrawn: o.Withdrawn, P50: seconds(o.P50), P95: seconds(o.P95), Incidents: o.Incidents, Settled: o.Settled}
	for _, w := range o.Weeks {
		out.Weeks = append(out.Weeks, dashboard.OnboardingWeek{Start: w.StartsAt, Runs: w.Runs, Failed: w.Failed, P50: seconds(w.P50), P95: seconds(w.P95)})
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// money shows the largest of the currencies' amounts: the pages have room for one.
func money(m map[string]int64) dashboard.Money {
	var out dashboard.Money
	for _, cur := range slices.Sorted(maps.Keys(m)) {
		if m[cur] > out.Minor || out.Currency == "" {
			out = dashboard.Money{Minor: m[cur], Currency: cur}
		}
	}
	return out
}
