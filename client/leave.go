package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// LeaveRequest is a customer's own request to leave, and what became of it.
type LeaveRequest struct {
	ID         tenure.LeaveID     `json:"id"`
	Tenant     tenure.TenantID    `json:"tenant"`
	TenantName string             `json:"tenantName"`
	State      tenure.LeaveState  `json:"state" doc:"asked: who asked hasn't confirmed it by their link; waiting: for the tenant's contact, or for staff where contact is absent; confirmed: it became an event" enum:"asked,waiting,confirmed,refused,lapsed,withdrawn"`
	Requester  string             `json:"requester" doc:"the mail address of who asked"`
	Reason     string             `json:"reason,omitempty" doc:"in their words"`
	AskedAt    time.Time          `json:"requestedAt"`
	VerifiedAt time.Time          `json:"verifiedAt,omitzero" doc:"when they confirmed it by the link in their mail"`
	Contact    string             `json:"contact,omitempty" doc:"the mail address of the tenant's contact who is asked"`
	ExpiresAt  time.Time          `json:"expiresAt,omitzero" doc:"when it lapses without the word that is awaited; absent once it was decided"`
	DecidedAt  time.Time          `json:"decidedAt,omitzero"`
	DecidedAs  tenure.LeaveParty  `json:"decidedAs,omitempty" enum:"requester,contact,staff"`
	DecidedBy  string             `json:"decidedBy,omitempty" doc:"who of staff"`
	Outcome    string             `json:"outcome,omitempty" doc:"what they said, or why it lapsed"`
	Event      tenure.InboundID   `json:"event,omitempty" doc:"the event that it became"`
	EventState string             `json:"eventState,omitempty" doc:"what rules made of it: received, acted, noted, ignored, superseded, held, failed or dismissed"`
	EventWhy   string             `json:"eventReason,omitempty"`
	Operation  tenure.OperationID `json:"operation,omitempty" doc:"that the event led to"`
}

// LeaveFilter narrows a listing.
type LeaveFilter struct {
	Paging
	Tenant string            `query:"tenant" doc:"only this tenant's, by id or name" maxLength:"64"`
	State  tenure.LeaveState `query:"state" doc:"only those in this state" enum:"asked,waiting,confirmed,refused,lapsed,withdrawn"`
}

// LeaveParams name a request to leave.
type LeaveParams struct {
	Leave string `path:"leave" doc:"the id of a request to leave, lve_…" maxLength:"64"`
}

// RefuseLeaveParams name a request that staff says no to, and why.
type RefuseLeaveParams struct {
	LeaveParams
	Body struct {
		Reason string `json:"reason" doc:"who asked is told" minLength:"1" maxLength:"1000"`
	}
}

var (
	// ListLeave lists customers' own requests to leave, the latest first.
	ListLeave = Endpoint[LeaveFilter, Page[LeaveRequest]]{Name: "leave.list", Verb: "GET", Path: "/v1/leave-requests", Summary: "List customers' own requests to leave and what became of them, the latest first"}
	// ShowLeave shows one.
	ShowLeave = Endpoint[LeaveParams, LeaveRequest]{Name: "leave.show", Verb: "GET", Path: "/v1/leave-requests/{leave}", Summary: "Show a customer's own request to leave"}
	// ConfirmLeave says yes in the place of a contact that the tenant hasn't got.
	ConfirmLeave = Endpoint[LeaveParams, LeaveRequest]{Name: "leave.confirm", Verb: "POST", Path: "/v1/leave-requests/{leave}/confirm", Summary: "Confirm a request to leave of a tenant that has no contact to ask"}
	// RefuseLeave says no; who asked is told.
	RefuseLeave = Endpoint[RefuseLeaveParams, LeaveRequest]{Name: "leave.refuse", Verb: "POST", Path: "/v1/leave-requests/{leave}/refuse", Summary: "Refuse a request to leave that is open; who asked is told the reason", Example: `{"reason": "the contract runs until June"}`}
)
