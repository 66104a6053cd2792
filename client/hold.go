package client

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
)

// Hold is a legal hold as it is shown.
type Hold struct {
	ID          tenure.HoldID      `json:"id"`
	Matter      string             `json:"matter"`
	Scope       HoldScope          `json:"scope"`
	Reason      string             `json:"reason,omitempty"`
	PlacedBy    string             `json:"placedBy"`
	PlacedAt    time.Time          `json:"placedAt"`
	EffectiveAt time.Time          `json:"effectiveAt,omitzero"` // batches in flight have drained
	AlreadyGone string             `json:"alreadyGone,omitempty"`
	ReleaseBy   []string           `json:"releaseBy,omitempty"`
	ReleasedAt  time.Time          `json:"releasedAt,omitzero"`
	Untold      bool               `json:"untold,omitempty"` // the customer may not know of it
	Custodians  []tenure.Custodian `json:"custodians,omitempty"`
	RemindDays  int                `json:"remindDays,omitempty"` // those who haven't acknowledged it are reminded so often
	RemindedAt  time.Time          `json:"remindedAt,omitzero"`
	Named       *int64             `json:"named,omitempty" doc:"in the answer to its placing: how many rows or objects a hold on a part of a resource names now"`
}

// HoldScope is what a hold covers; a blank field covers everything.
type HoldScope struct {
	Tenant      string                `json:"tenant,omitempty" doc:"id or name" minLength:"1" maxLength:"64"`
	Environment string                `json:"environment,omitempty" minLength:"1"`
	Class       string                `json:"class,omitempty" minLength:"1" doc:"a data class"`
	System      string                `json:"system,omitempty" minLength:"1"`
	Resource    string                `json:"resource,omitempty" minLength:"1" doc:"a resource's id, res_…"`
	Table       string                `json:"table,omitempty" minLength:"1" doc:"rows of this table alone, as the blueprint or the data map names it"`
	Rows        []tenure.RowCondition `json:"rows,omitempty" doc:"the rows of the table for which every condition holds; all of them if it is left out" minItems:"1"`
	Prefix      string                `json:"prefix,omitempty" minLength:"1" doc:"objects alone whose keys begin so, below the resource's own place"`
}

// UnmarshalJSON reads a scope. One with a field that is null is Invalid: it would cover as
// much as one without the field.
func (s *HoldScope) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if string(fields[name]) == "null" {
			return tenure.Errorf(tenure.Invalid, "scope.%s is null, and the hold would be as if it weren't there; leave it out to hold whatever there is of it", name)
		}
	}
	type plain HoldScope
	return json.Unmarshal(b, (*plain)(s))
}

// HoldParams are a hold to place. A scope without a tenant needs AllTenants, so
// that a forgotten tenant isn't taken for everyone.
type HoldParams struct {
	Body NewHold
}

// NewHold is a hold that is to be placed.
type NewHold struct {
	Matter     string    `json:"matter" doc:"the case that it is for"`
	Reason     string    `json:"reason,omitempty"`
	Scope      HoldScope `json:"scope"`
	AllTenants bool      `json:"all,omitempty" doc:"the class or system of every tenant"`
	Untold     bool      `json:"untold,omitempty" doc:"the customer may not know that anything is kept for a legal reason"`
	Custodians []string  `json:"custodians,omitempty" doc:"who keeps what is held; each is asked to acknowledge it"`
	RemindDays int       `json:"remindDays,omitempty" doc:"after how many days those who haven't are reminded; 0 is never"`
}

// HoldFilter narrows a listing.
type HoldFilter struct {
	Paging
	Tenant   string `query:"tenant" doc:"only those that can cover this tenant" maxLength:"64"`
	Released bool   `query:"released" doc:"include released ones"`
}

// HoldID names a hold.
type HoldID struct {
	Hold string `path:"hold" doc:"a hold's id, hld_…" maxLength:"64"`
}

var (
	// ListHolds lists the holds that can cover a tenant, or all.
	ListHolds = Endpoint[HoldFilter, Page[Hold]]{Name: "hold.list", Verb: "GET", Path: "/v1/holds", Summary: "List legal holds"}
	// PlaceHold places a legal hold; it binds at once.
	PlaceHold = Endpoint[HoldParams, Hold]{Name: "hold.place", Verb: "POST", Path: "/v1/holds", Summary: "Place a legal hold; it binds at once", Example: `{"matter": "4 O 12/26", "scope": {"tenant": "acme", "class": "orders"}, "reason": "court order"}`}
	// ShowHold shows one hold.
	ShowHold = Endpoint[HoldID, Hold]{Name: "hold.show", Verb: "GET", Path: "/v1/holds/{hold}", Summary: "Show a legal hold"}
	// AcknowledgeHold records that the caller, one of its custodians, knows of a hold.
	AcknowledgeHold = Endpoint[HoldID, Hold]{Name: "hold.acknowledge", Verb: "POST", Path: "/v1/holds/{hold}/acknowledge", Summary: "Say, as one of its custodians, that you know of a hold"}
	// ReleaseHold records one person's word for a release; the second releases it.
	ReleaseHold = Endpoint[HoldID, Hold]{Name: "hold.release", Verb: "POST", Path: "/v1/holds/{hold}/release", Summary: "Agree to the release of a hold; the second person's agreement releases it"}
)
