package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// DelegationFilter narrows a listing.
type DelegationFilter struct {
	Paging
	All   bool `query:"all" doc:"everybody's, for a caller who may read access"`
	Ended bool `query:"ended" doc:"include those that are over"`
}

// DelegationParams name a delegation.
type DelegationParams struct {
	Delegation string `path:"delegation" doc:"a delegation's id, dlg_…" maxLength:"64"`
}

// NewDelegation gives the caller's approvals into another's hands.
type NewDelegation struct {
	Body struct {
		To        string       `json:"to" doc:"a person's name" maxLength:"100"`
		Scope     tenure.Scope `json:"scope" doc:"at most what one approves oneself"`
		Reason    string       `json:"reason" maxLength:"1000"`
		StartsAt  time.Time    `json:"startsAt,omitzero" doc:"now, if left out"`
		ExpiresAt time.Time    `json:"expiresAt" doc:"at most 90 days after it begins"`
	}
}

var (
	// ListDelegations lists one's own delegations, given and got.
	ListDelegations = Endpoint[DelegationFilter, Page[tenure.Delegation]]{Name: "delegation.list", Verb: "GET", Path: "/v1/delegations", Summary: "List one's own delegations, given and got"}
	// Delegate gives one's own approvals into another's hands for a while.
	Delegate = Endpoint[NewDelegation, tenure.Delegation]{Name: "delegation.give", Verb: "POST", Path: "/v1/delegations", Summary: "Let another person give one's own approvals for a while", Example: `{"to": "bob", "scope": {"all": true}, "reason": "on leave", "expiresAt": "2027-01-15T00:00:00Z"}`}
	// RevokeDelegation ends a delegation at once.
	RevokeDelegation = Endpoint[DelegationParams, tenure.Delegation]{Name: "delegation.revoke", Verb: "POST", Path: "/v1/delegations/{delegation}/revoke", Summary: "End a delegation at once"}
)
