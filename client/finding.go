package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// LookParams ask for a look at systems.
type LookParams struct {
	Body struct {
		Kind   string `json:"kind" enum:"drift,sweep" doc:"drift compares live with desired; sweep looks for what no inventory knows"`
		Tenant string `json:"tenant,omitempty" doc:"only this tenant" maxLength:"64"`
	}
}

// Look is the outcome of a drift check or a sweep.
type Look struct {
	Systems  []LookedAt        `json:"systems"`
	Findings []tenure.Finding  `json:"findings"`
	Dead     map[string]string `json:"dead,omitempty"` // systems that couldn't be asked, and why
}

// LookedAt is one system's part of a look.
type LookedAt struct {
	System   string `json:"system"`
	Checked  int    `json:"checked"`
	Findings int    `json:"findings"`
	Trusted  bool   `json:"trusted"` // absence in this pass is proven
	Reason   string `json:"reason,omitempty"`
}

// FindingFilter narrows a listing.
type FindingFilter struct {
	Paging
	Tenant   string             `query:"tenant" doc:"only those of this tenant" maxLength:"64"`
	Kind     tenure.FindingKind `query:"kind" doc:"only those of this kind" enum:"drift,residue,orphan,exposure,ghost_user,dormant_account,uncovered_data,foreign,lost_mark,anomaly,unproven_absence,limit,isolation,credential,standing_unseen,unacknowledged,unanswered,revision"`
	Severity tenure.Severity    `query:"severity" doc:"only those of this severity" enum:"critical,high,medium,low"`
	System   string             `query:"system" doc:"only those in this system"`
	From     time.Time          `query:"from" doc:"only those seen at or after this moment (RFC 3339)"`
	To       time.Time          `query:"to" doc:"only those seen before this moment (RFC 3339)"`
	Waived   bool               `query:"waived" doc:"include waived ones"`
}

// WaiveParams let a finding be until a moment, for a reason.
type WaiveParams struct {
	Finding string `path:"finding" doc:"a finding's id, fnd_…" maxLength:"64"`
	Body    struct {
		ExpiresAt time.Time `json:"expiresAt" doc:"at most a year away"`
		Reason    string    `json:"reason"`
	}
}

// FindingID names a finding.
type FindingID struct {
	Finding string `path:"finding" doc:"a finding's id, fnd_…" maxLength:"64"`
}

// Repair is what settles a finding: a plan of Tenure's own where the thing is
// authenticated as ours, steps for a person where it isn't.
type Repair struct {
	Plan    string   `json:"plan,omitempty" doc:"the command that plans it; nothing is done before that plan is approved"`
	Steps   []string `json:"steps,omitempty" doc:"what a person does, in this order"`
	Checked string   `json:"checked" doc:"how it is seen that it worked"`
}

// FindingDetail is a finding with what settles it.
type FindingDetail struct {
	Finding tenure.Finding `json:"finding"`
	Repair  Repair         `json:"repair"`
}

// Probed is what one isolation probe showed.
type Probed struct {
	Resource tenure.ResourceID `json:"resource"`
	System   string            `json:"system"`
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Passed   bool              `json:"passed"`
	Detail   string            `json:"detail,omitempty"`
	Unknown  string            `json:"unknown,omitempty" doc:"why it couldn't be made"`
}

// Probes are the isolation probes of one tenant.
type Probes struct {
	Probes []Probed `json:"probes"`
}

var (
	// ProbeTenant makes a tenant's isolation probes.
	ProbeTenant = Endpoint[TenantParams, Probes]{Name: "probe.make", Verb: "POST", Path: "/v1/tenants/{tenant}/probes", Summary: "Probe, as the tenant, that its neighbours are refused"}
	// LookAt compares live with desired, or sweeps, and stores what it finds.
	LookAt = Endpoint[LookParams, Look]{Name: "look.make", Verb: "POST", Path: "/v1/looks", Summary: "Look at the systems: for drift, or for what no inventory knows", Example: `{"kind": "drift"}`}
	// ListFindings lists what is open, the worst first.
	ListFindings = Endpoint[FindingFilter, Page[tenure.Finding]]{Name: "finding.list", Verb: "GET", Path: "/v1/findings", Summary: "List open findings, the worst first"}
	// ShowFinding shows one with what settles it.
	ShowFinding = Endpoint[FindingID, FindingDetail]{Name: "finding.show", Verb: "GET", Path: "/v1/findings/{finding}", Summary: "Show a finding, and what settles it"}
	// WaiveFinding lets a finding be until a moment, at most a year away.
	WaiveFinding = Endpoint[WaiveParams, None]{Name: "finding.waive", Verb: "POST", Path: "/v1/findings/{finding}/waive", Summary: "Waive a finding until a moment, for a reason", Example: `{"expiresAt": "2026-12-31T00:00:00Z", "reason": "the vendor mends it in December"}`}
)
