package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// TouchedTenant is a tenant that a move touches.
type TouchedTenant struct {
	ID   tenure.TenantID `json:"id"`
	Name string          `json:"name"`
}

// Move is a change of somebody's roles: waiting for its signature, done or
// rejected. Tenants are those that it touches of those that the caller may see.
type Move struct {
	tenure.Move
	Digest    string          `json:"digest"`
	State     string          `json:"state"` // waiting, done, rejected
	DecidedBy string          `json:"decidedBy,omitempty"`
	DecidedAt time.Time       `json:"decidedAt,omitzero"`
	Note      string          `json:"note,omitempty"`
	Tenants   []TouchedTenant `json:"tenants,omitempty"`
	More      bool            `json:"more,omitempty"` // the list of tenants was cut
}

// NewMoveParams ask for a move.
type NewMoveParams struct {
	Body struct {
		Principal string            `json:"principal" doc:"id or name" maxLength:"100"`
		To        []tenure.MoveRole `json:"to" doc:"every role that they have afterwards; none if they leave" maxItems:"50"`
		Reason    string            `json:"reason" minLength:"1" maxLength:"1000"`
		DryRun    bool              `json:"dryRun,omitempty" doc:"say what would happen, and store nothing"`
	}
}

// MoveFilter narrows a listing.
type MoveFilter struct {
	Paging
	Waiting bool `query:"waiting" doc:"only those that wait for their signature"`
}

// MoveID names a move by its digest.
type MoveID struct {
	Move string `path:"move" doc:"the move's digest, sha256:…" maxLength:"80"`
}

// DecideMoveParams sign a move, or turn it down.
type DecideMoveParams struct {
	MoveID
	Body struct {
		Digest string `json:"digest,omitempty" doc:"of the move that was read" pattern:"^(sha256:)?[0-9a-f]{64}$" patternDescription:"a digest: sha256: and 64 hexadecimal digits"`
		Note   string `json:"note,omitempty" doc:"1,000 bytes at most" maxLength:"1000"`
	}
}

var (
	// PlanMove says what a change of somebody's roles ends and begins, and keeps it for
	// a second person's signature.
	PlanMove = Endpoint[NewMoveParams, Move]{Name: "move.plan", Verb: "POST", Path: "/v1/moves", Summary: "Plan a change of somebody's roles; a second person signs it", Example: `{"principal": "olga", "to": [{"role": "viewer", "scope": {"all": true}}], "reason": "another desk", "dryRun": true}`}
	// ListMoves lists moves, the newest first.
	ListMoves = Endpoint[MoveFilter, Page[Move]]{Name: "move.list", Verb: "GET", Path: "/v1/moves", Summary: "List changes of roles"}
	// ShowMove shows one with the tenants that it touches.
	ShowMove = Endpoint[MoveID, Move]{Name: "move.show", Verb: "GET", Path: "/v1/moves/{move}", Summary: "Show a change of roles with the tenants that it touches"}
	// ApproveMove signs a move's digest, which carries it out.
	ApproveMove = Endpoint[DecideMoveParams, Move]{Name: "move.approve", Verb: "POST", Path: "/v1/moves/{move}/approve", Summary: "Sign a change of roles, which carries it out", Example: `{"note": "as agreed"}`}
	// RejectMove turns a move down.
	RejectMove = Endpoint[DecideMoveParams, Move]{Name: "move.reject", Verb: "POST", Path: "/v1/moves/{move}/reject", Summary: "Reject a change of roles, or withdraw one's own", Example: `{"note": "not yet"}`}
)
