package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// FleetView is the first page: how all tenants are, and what wants who looks.
type FleetView struct {
	Tenants    int // those that aren't closed
	Held       int
	ByState    map[tenure.TenantState]int
	ByTier     []Count
	ByRevision []Count // "name version", the fleet's newest first
	Needs      []Need  // of who looks
	NeedsAll   int     // how many there are, if Needs is cut short
	Stuck      []Stuck
	StuckAll   int
	Findings   map[tenure.Severity]int // open ones
	Onboarding OnboardingFigures
	Leaving    []Leaving // by their next date
	LeavingAll int       // how many there are, if Leaving is cut short
	Cost       CostFigures
}

// Need is something that waits for a person.
type Need struct {
	What  Ref // "Approve the offboarding of acme"
	Kind  string
	Since time.Time
	Due   time.Time // zero: no date
	Mine  bool      // the person who looks may do it
}

// Stuck is something that can't go on by itself.
type Stuck struct {
	Tenant    Ref
	Operation Ref
	State     tenure.OperationState
	Why       string
	Unblocks  string // who or what can
	Since     time.Time
}

// OnboardingFigures say how moving in goes, over Window.
type OnboardingFigures struct {
	Window    string // "the last 90 days"
	Runs      int
	Failed    int // for a technical cause
	Expired   int
	Rejected  int
	Withdrawn int
	P50, P95  time.Duration // from request to end, of all that ended
	Incidents int           // tenants with an incident within 30 days of moving in
	Settled   int           // tenants onboarded in the window, that Incidents is out of
	Weeks     []OnboardingWeek
}

// OnboardingWeek is one point of the chart.
type OnboardingWeek struct {
	Start        time.Time
	P50, P95     time.Duration
	Runs, Failed int
}

// Leaving is a tenant on its way out.
type Leaving struct {
	Tenant   Ref
	State    tenure.TenantState
	Stage    tenure.Stage
	Next     time.Time // zero: it waits for no date
	What     string    // what happens then
	NoReturn time.Time // until when it can be undone; zero: not known, or past
}

// CostFigures are what tenants' resources cost a month.
type CostFigures struct {
	Running, Stopped, Orphaned Money // stopped is of what ran and has ended
	Unused                     Money // of what runs: of tenants that nobody has used for 90 days
	UnusedTenants              int
	At                         time.Time
}

// Fleet renders the fleet page.
func (p *Pages) Fleet(w io.Writer, frame Frame, v FleetView) error {
	return p.render(w, "fleet", framed, frame, v)
}

// States are the counts by state in the order of a life, without empty ones.
func (v FleetView) States() []Count {
	var out []Count
	for _, s := range tenure.TenantStates {
		if n := v.ByState[s]; n > 0 && s != tenure.TenantClosed {
			out = append(out, Count{spaced(string(s)), n, "/tenants?state=" + string(s), tenantTone(s)})
		}
	}
	return out
}

// tenantTone tells neighbours in the stacked bar apart, where two states have
// one tone.
func tenantTone(s tenure.TenantState) Tone {
	switch s {
	case tenure.TenantRequested, tenure.TenantValidating, tenure.TenantRetained, tenure.TenantErasing:
		return tenantStatus(s).Tone + "-2"
	}
	return tenantStatus(s).Tone
}

// Severities are the open findings by severity, worst first.
func (v FleetView) Severities() []Count {
	var out []Count
	for _, s := range []tenure.Severity{tenure.Critical, tenure.High, tenure.Medium, tenure.Low} {
		tone := severityStatus(s).Tone
		if s == tenure.High {
			tone += "-2"
		}
		out = append(out, Count{string(s), v.Findings[s], "/findings?severity=" + string(s), tone})
	}
	return out
}

// OpenFindings is how many findings are open.
func (v FleetView) OpenFindings() int {
	n := 0
	for _, c := range v.Findings {
		n += c
	}
	return n
}

// Stages counts those who leave by the stage that they are in, in the order in
// which stages come.
func (v FleetView) Stages() []Count {
	var out []Count
	for _, s := range []tenure.Stage{
		tenure.StageIntake, tenure.StageApproval, tenure.StageGrace, tenure.StageCut, tenure.StageReconcile, tenure.StageHandover,
		tenure.StageRetention, tenure.StageQuaran, tenure.StageErasure, tenure.StageReclaim, tenure.StageExpiry, tenure.StageCertify,
	} {
		n := 0
		for _, l := range v.Leaving {
			if l.Stage == s {
				n++
			}
		}
		if n > 0 {
			out = append(out, Count{Label: string(s), N: n})
		}
	}
	return out
}

// Costs are the parts of the monthly cost.
func (v FleetView) Costs() []Count {
	return []Count{
		{Label: "running", N: int(v.Cost.Running.Minor), Tone: ToneOK},
		{Label: "stopped", N: int(v.Cost.Stopped.Minor), Tone: ToneIdle},
		{Label: "orphaned", N: int(v.Cost.Orphaned.Minor), Tone: ToneBad},
	}
}
