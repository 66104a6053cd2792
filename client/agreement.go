package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// AgreementFilter narrows a listing.
type AgreementFilter struct {
	Paging
	Tenant string `query:"tenant" doc:"only this tenant's, by id or name" maxLength:"64"`
	Ended  bool   `query:"ended" doc:"include ended ones"`
}

// NewAgreementParams write an agreement down.
type NewAgreementParams struct {
	Body NewAgreement
}

// NewAgreement is an agreement that is to be written down.
type NewAgreement struct {
	Tenant    string               `json:"tenant" doc:"id or name" maxLength:"64"`
	Kind      tenure.AgreementKind `json:"kind" enum:"sharing,export"`
	Parties   []string             `json:"parties" doc:"organizations or systems, never persons" minItems:"1" maxItems:"20"`
	Classes   []string             `json:"classes" doc:"data classes of the tenant's blueprint" minItems:"1" maxItems:"100"`
	Purpose   string               `json:"purpose" maxLength:"1000"`
	StartsAt  time.Time            `json:"startsAt,omitzero" doc:"now, if it is blank"`
	ExpiresAt time.Time            `json:"expiresAt"`
}

// AgreementID names an agreement.
type AgreementID struct {
	Agreement string `path:"agreement" doc:"an agreement's id, agr_…" maxLength:"64"`
}

// EndAgreementParams end an agreement, as it was read.
type EndAgreementParams struct {
	AgreementID
	IfMatch string `header:"If-Match" doc:"the ETag that was read" maxLength:"100"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

var (
	// ListAgreements lists agreements.
	ListAgreements = Endpoint[AgreementFilter, Page[tenure.Agreement]]{Name: "agreement.list", Verb: "GET", Path: "/v1/agreements", Summary: "List data sharing agreements and export grants"}
	// AddAgreement writes one down.
	AddAgreement = Endpoint[NewAgreementParams, tenure.Agreement]{Name: "agreement.add", Verb: "POST", Path: "/v1/agreements", Summary: "Record a data sharing agreement or an export grant", Example: `{"tenant": "acme", "kind": "sharing", "parties": ["Parcel Post"], "classes": ["orders"], "purpose": "delivery", "expiresAt": "2099-01-01T00:00:00Z"}`}
	// ShowAgreement shows one.
	ShowAgreement = Endpoint[AgreementID, tenure.Agreement]{Name: "agreement.show", Verb: "GET", Path: "/v1/agreements/{agreement}", Summary: "Show an agreement"}
	// EndAgreement ends one before its date.
	EndAgreement = Endpoint[EndAgreementParams, tenure.Agreement]{Name: "agreement.end", Verb: "POST", Path: "/v1/agreements/{agreement}/end", Summary: "End an agreement before its date", Example: `{"reason": "the contract with them has ended"}`}
)
