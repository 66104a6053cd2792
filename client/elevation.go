package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Elevation is a role for a while, as it is shown.
type Elevation struct {
	ID             tenure.ElevationID    `json:"id"`
	Kind           tenure.ElevationKind  `json:"kind"`      // elevation or breakglass
	Principal      string                `json:"principal"` // whose it is
	Owner          string                `json:"owner,omitempty"`
	Role           tenure.Role           `json:"role"`
	Scope          tenure.Scope          `json:"scope"`
	Reason         string                `json:"reason"`
	Duration       string                `json:"duration"` // ISO 8601, such as PT2H
	System         string                `json:"system,omitempty"`
	Access         tenure.DirectAccess   `json:"access,omitempty"`
	Digest         string                `json:"digest"` // of what was asked for; an approval signs it
	State          tenure.ElevationState `json:"state"`
	RequestedAt    time.Time             `json:"requestedAt"`
	DecidedBy      string                `json:"decidedBy,omitempty"`
	DecidedAt      time.Time             `json:"decidedAt,omitzero"`
	ClaimExpiresAt time.Time             `json:"claimExpiresAt,omitzero"`
	StartedAt      time.Time             `json:"startedAt,omitzero"`
	ExpiresAt      time.Time             `json:"expiresAt,omitzero"`
	EndedAt        time.Time             `json:"endedAt,omitzero"`
	EndedBy        string                `json:"endedBy,omitempty"`
	EndedReason    string                `json:"endedReason,omitempty"` // of a rejection or revocation
	ReviewDueAt    time.Time             `json:"reviewDueAt,omitzero"`  // of a break-glass: counted from its end
	ReviewedBy     string                `json:"reviewedBy,omitempty"`
	ReviewedAt     time.Time             `json:"reviewedAt,omitzero"`
	ReviewNote     string                `json:"reviewNote,omitempty"`
	Login          string                `json:"login,omitempty"`
	LoginGoneAt    time.Time             `json:"loginGoneAt,omitzero"`
	Version        int64                 `json:"version"`
}

// ClaimedElevation is an elevation whose clock runs, with the login that it
// opened, whose secret is shown this once.
type ClaimedElevation struct {
	Elevation
	Secret string `json:"secret,omitempty"`
}

// NewElevation is what is asked for. Direct access, to tenants by name, names a
// system and says read or write.
type NewElevation struct {
	Role     tenure.Role         `json:"role" maxLength:"40"`
	Scope    tenure.Scope        `json:"scope" doc:"tenants by id or name, tiers, labels, or all"`
	Reason   string              `json:"reason" maxLength:"1000"`
	Duration string              `json:"duration" doc:"from when it is claimed, ISO 8601, such as PT2H" maxLength:"20"`
	System   string              `json:"system,omitempty" doc:"open a login of its own in this system" maxLength:"100"`
	Access   tenure.DirectAccess `json:"access,omitempty" doc:"what the login may: read, or write (insert and update)" enum:"read,write"`
}

// ElevationParams ask for an elevation.
type ElevationParams struct {
	Body NewElevation
}

// NewBreakGlass is a role that is taken at once.
type NewBreakGlass struct {
	Role     tenure.Role  `json:"role" doc:"viewer, operator or security-officer" maxLength:"40"`
	Scope    tenure.Scope `json:"scope" doc:"tenants by id or name, tiers, labels, or all"`
	Reason   string       `json:"reason" doc:"at least 10 bytes" maxLength:"1000"`
	Duration string       `json:"duration,omitempty" doc:"from now, ISO 8601; PT1H where it isn't given" maxLength:"20"`
	System   string       `json:"system,omitempty" doc:"open a login of its own in this system, to read" maxLength:"100"`
}

// BreakGlassParams take a role at once.
type BreakGlassParams struct {
	Body NewBreakGlass
}

// ElevationFilter narrows a listing.
type ElevationFilter struct {
	Paging
	State      tenure.ElevationState `query:"state" doc:"only those in this state" enum:"requested,approved,rejected,lapsed,active,ended,revoked"`
	Kind       tenure.ElevationKind  `query:"kind" doc:"only those of this kind" enum:"elevation,breakglass"`
	Principal  string                `query:"principal" doc:"only this principal's, by id or name" maxLength:"100"`
	Unreviewed bool                  `query:"unreviewed" doc:"only break-glass that nobody has reviewed"`
}

// ElevationID names an elevation.
type ElevationID struct {
	Elevation string `path:"elevation" doc:"an elevation's id, elv_…" maxLength:"64"`
}

// ElevationApproval signs what was asked for.
type ElevationApproval struct {
	ElevationID
	Body struct {
		Digest string `json:"digest" doc:"the elevation's, as it was read" pattern:"^(sha256:)?[0-9a-f]{64}$" patternDescription:"a digest: sha256: and 64 hexadecimal digits"`
	}
}

// ElevationReason names an elevation and says why.
type ElevationReason struct {
	ElevationID
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000"`
	}
}

// ElevationEntries page through what was done while an elevation lasted.
type ElevationEntries struct {
	ElevationID
	Limit int `query:"limit" doc:"at most this many (default 50)" minimum:"1" maximum:"500"`
}

// DoneUnder is what somebody did while an elevation of theirs lasted, as the log has
// it, the oldest first.
type DoneUnder struct {
	Items []LogEntry `json:"items"`
	More  bool       `json:"more"` // there may be more than this
}

// BreakGlassReview says what a look at a break-glass found.
type BreakGlassReview struct {
	ElevationID
	Body struct {
		Note string `json:"note" maxLength:"2000"`
	}
}

var (
	// ListElevations lists one's own and those that one may see, the latest first.
	ListElevations = Endpoint[ElevationFilter, Page[Elevation]]{Name: "elevation.list", Verb: "GET", Path: "/v1/elevations", Summary: "List one's own elevations and those over what one may see, the latest first"}
	// ShowElevation shows one.
	ShowElevation = Endpoint[ElevationID, Elevation]{Name: "elevation.show", Verb: "GET", Path: "/v1/elevations/{elevation}", Summary: "Show an elevation"}
	// RequestElevation asks for a role for a while.
	RequestElevation = Endpoint[ElevationParams, Elevation]{
		Name: "elevation.request", Verb: "POST", Path: "/v1/elevations", Summary: "Ask for a role for a while; another person approves, and the clock starts when it is claimed",
		Example: `{"role": "operator", "scope": {"tenants": ["acme"]}, "reason": "a stuck migration", "duration": "PT2H", "system": "main-db", "access": "read"}`,
	}
	// ApproveElevation signs what was asked for.
	ApproveElevation = Endpoint[ElevationApproval, Elevation]{
		Name: "elevation.approve", Verb: "POST", Path: "/v1/elevations/{elevation}/approve", Summary: "Approve what another person asked for, by its digest",
		Example: `{"digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`,
	}
	// RejectElevation refuses it.
	RejectElevation = Endpoint[ElevationReason, Elevation]{Name: "elevation.reject", Verb: "POST", Path: "/v1/elevations/{elevation}/reject", Summary: "Reject what another person asked for, for a reason", Example: `{"reason": "the runbook does without"}`}
	// ClaimElevation starts the clock.
	ClaimElevation = Endpoint[ElevationID, ClaimedElevation]{Name: "elevation.claim", Verb: "POST", Path: "/v1/elevations/{elevation}/claim", Summary: "Start an approved elevation's clock; a login's secret is shown this once", Once: true}
	// RevokeElevation ends it at once.
	RevokeElevation = Endpoint[ElevationReason, Elevation]{Name: "elevation.revoke", Verb: "POST", Path: "/v1/elevations/{elevation}/revoke", Summary: "End an elevation at once, with its login's sessions, or take a request back", Example: `{"reason": "done"}`}
	// BreakGlass takes a role at once.
	BreakGlass = Endpoint[BreakGlassParams, ClaimedElevation]{
		Name: "elevation.breakglass", Verb: "POST", Path: "/v1/break-glass", Summary: "Take a role at once, without approval: everybody hears of it, and another person reviews it within 24 hours of its end",
		Example: `{"role": "operator", "scope": {"tenants": ["acme"]}, "reason": "checkout is down for everybody", "duration": "PT1H"}`, Once: true,
	}
	// ElevationLog lists what was done while it lasted.
	ElevationLog = Endpoint[ElevationEntries, DoneUnder]{Name: "elevation.entries", Verb: "GET", Path: "/v1/elevations/{elevation}/entries", Summary: "List what the holder did during an elevation or break-glass, for whoever reviews it or may read the log"}
	// ReviewBreakGlass records another person's look at it.
	ReviewBreakGlass = Endpoint[BreakGlassReview, Elevation]{Name: "elevation.review", Verb: "POST", Path: "/v1/elevations/{elevation}/review", Summary: "Review another person's break-glass when it has ended", Example: `{"note": "was needed; the runbook is mended"}`}
)
