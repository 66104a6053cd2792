package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// StandingFilter narrows a listing.
type StandingFilter struct {
	Paging
	Ended bool `query:"ended" doc:"include those that are over"`
}

// StandingParams name a standing approval.
type StandingParams struct {
	Standing string `path:"standing" doc:"a standing approval's id, std_…" maxLength:"64"`
}

// StandingProposal is a rule to propose.
type StandingProposal struct {
	Body tenure.StandingRule
}

// StandingReviewParams sign a rule's digest.
type StandingReviewParams struct {
	StandingParams
	Body struct {
		Digest string `json:"digest" doc:"of the rule that was read" pattern:"^(sha256:)?[0-9a-f]{64}$" patternDescription:"a digest: sha256: and 64 hexadecimal digits"`
	}
}

// StandingStart is an operation that a standing approval started.
type StandingStart struct {
	Standing   tenure.StandingID  `json:"standing"`
	Operation  tenure.OperationID `json:"operation"`
	Tenant     tenure.TenantID    `json:"tenant"`
	Resources  int                `json:"resources"`
	At         time.Time          `json:"at"`
	ReviewedBy string             `json:"reviewedBy,omitempty"`
	ReviewedAt time.Time          `json:"reviewedAt,omitzero"`
}

// StartFilter narrows a listing of starts.
type StartFilter struct {
	Paging
	Standing string `query:"standing" doc:"only those of this standing approval" maxLength:"64"`
	Unseen   bool   `query:"unseen" doc:"only those that nobody has looked at"`
}

const exampleStanding = `{"name": "sign-ups", "trigger": "shop:", "source": "shop", "blueprint": "small", "tiers": ["team"], "maxResources": 20, "perDay": 50, "expiresAt": "2027-03-31T00:00:00Z"}`

var (
	// ListStandings lists standing approvals, the latest first.
	ListStandings = Endpoint[StandingFilter, Page[tenure.Standing]]{Name: "standing.list", Verb: "GET", Path: "/v1/standing-approvals", Summary: "List standing approvals, the latest first"}
	// ProposeStanding writes a rule, which starts nothing until two others reviewed it.
	ProposeStanding = Endpoint[StandingProposal, tenure.Standing]{Name: "standing.propose", Verb: "POST", Path: "/v1/standing-approvals", Summary: "Propose a standing approval; two other persons review it", Example: exampleStanding}
	// ShowStanding shows one.
	ShowStanding = Endpoint[StandingParams, tenure.Standing]{Name: "standing.show", Verb: "GET", Path: "/v1/standing-approvals/{standing}", Summary: "Show a standing approval with its rule and reviews"}
	// ReviewStanding signs a rule's digest; the second signature makes it active.
	ReviewStanding = Endpoint[StandingReviewParams, tenure.Standing]{Name: "standing.review", Verb: "POST", Path: "/v1/standing-approvals/{standing}/review", Summary: "Sign a standing approval's rule; the second signature makes it active", Example: exampleDigest}
	// EndStanding ends one at once.
	EndStanding = Endpoint[StandingParams, tenure.Standing]{Name: "standing.end", Verb: "POST", Path: "/v1/standing-approvals/{standing}/end", Summary: "End a standing approval at once; what it started goes on"}
	// ListStarts lists what standing approvals started.
	ListStarts = Endpoint[StartFilter, Page[StandingStart]]{Name: "standing.starts", Verb: "GET", Path: "/v1/standing-starts", Summary: "List what standing approvals started without a person"}
	// SeeStart records that a person has looked at a start.
	SeeStart = Endpoint[OperationParams, StandingStart]{Name: "standing.see", Verb: "POST", Path: "/v1/standing-starts/{operation}/see", Summary: "Record that one has looked at what a standing approval started"}
)
