package store_test

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// An onboarding counts as troubled for what happened to its tenant in the 30 days
// after it, and for nothing before, after or of another tenant.
func TestTroubledOnboardings(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		day := 24 * time.Hour
		for name, c := range map[string]struct {
			happens func(tx *store.Tx, ten, other tenure.TenantID) error
			want    bool
		}{
			"nothing":                {func(*store.Tx, tenure.TenantID, tenure.TenantID) error { return nil }, false},
			"incident":               {incidentAfter(30*day-time.Second, true), true},
			"incident-late":          {incidentAfter(30*day, true), false},
			"incident-before":        {incidentAfter(-time.Second, true), false},
			"incident-of-another":    {incidentAfter(day, false), false},
			"critical-finding":       {findingAfter(tenure.Critical, day), true},
			"critical-finding-late":  {findingAfter(tenure.Critical, 31*day), false},
			"finding-of-high":        {findingAfter(tenure.High, day), false},
			"blocked-operation":      {operationAfter(tenure.OperationBlocked, day), true},
			"blocked-operation-late": {operationAfter(tenure.OperationBlocked, 31*day), false},
			"waiting-operation":      {operationAfter(tenure.OperationWaiting, day), false},
		} {
			ten, other := f.tenant(name), f.tenant(name+"-not")
			op := request(ten.ID, tenure.Onboard, 1)
			op.State = tenure.OperationSucceeded
			f.operation(op)
			f.write(func(tx *store.Tx) error { return c.happens(tx, ten.ID, other.ID) })
			runs, err := f.OnboardingRuns(t.Context(), store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{ten.ID}}, Limit: store.All.Limit}, start)
			f.must(err)
			if len(runs) != 1 || runs[0].Troubled != c.want {
				t.Errorf("%s: %+v, want troubled %v", name, runs, c.want)
			}
		}
	})
}

type happening = func(tx *store.Tx, ten, other tenure.TenantID) error

func incidentAfter(d time.Duration, own bool) happening {
	return func(tx *store.Tx, ten, other tenure.TenantID) error {
		if !own {
			ten = other
		}
		i := store.Incident{ID: string(newID[tenure.FindingID]()), Tenant: ten, Severity: tenure.High, Source: "pager", Detail: "d", At: start.Add(d)}
		_, err := tx.AddIncident(i)
		return err
	}
}

func findingAfter(s tenure.Severity, d time.Duration) happening {
	return func(tx *store.Tx, ten, _ tenure.TenantID) error {
		return tx.SaveFinding(tenure.Finding{ID: newID[tenure.FindingID](), Kind: tenure.FindingDrift, Severity: s, Tenant: ten, System: "main", Detail: "d", SeenAt: start.Add(d)})
	}
}

func operationAfter(s tenure.OperationState, d time.Duration) happening {
	return func(tx *store.Tx, ten, _ tenure.TenantID) error {
		op := request(ten, tenure.Change, 1)
		op.State, op.CreatedAt = s, start.Add(d)
		_, _, err := create(tx, op)
		return err
	}
}

// The same incident reported twice is one.
func TestIncidents(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		i := store.Incident{ID: "pager-1", Tenant: ten.ID, Severity: tenure.High, Source: "pager", Detail: "slow", At: start}
		for n := range 2 {
			f.write(func(tx *store.Tx) error {
				added, err := tx.AddIncident(i)
				if added != (n == 0) {
					t.Errorf("time %d: said to be new: %v", n+1, added)
				}
				return err
			})
		}
		list, err := f.Incidents(t.Context(), ten.ID)
		f.must(err)
		if len(list) != 1 || list[0] != i {
			t.Errorf("incidents: %+v", list)
		}
	})
}
