package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Addition is what was added, for one tenant alone, to what its blueprint covers of
// a store. It counts once it was reviewed.
type Addition struct {
	tenure.Addition
	Digest      string            `json:"digest"`
	Resource    tenure.ResourceID `json:"resource"`
	Reason      string            `json:"reason"`
	RequestedBy string            `json:"requestedBy"`
	RequestedAt time.Time         `json:"requestedAt"`
	ReviewedBy  string            `json:"reviewedBy,omitempty"`
	ReviewedAt  time.Time         `json:"reviewedAt,omitzero"`
}

// CoverParams ask for an addition.
type CoverParams struct {
	TenantParams
	Body struct {
		tenure.Addition
		Resource string `json:"resource" doc:"environment/key, or an id" minLength:"1" maxLength:"200"`
		Reason   string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

// CoverageID names an addition of a tenant's by its digest.
type CoverageID struct {
	TenantParams
	Coverage string `path:"coverage" doc:"the addition's digest, sha256:…" maxLength:"80"`
}

// CoverageReview names an addition, and by its digest which one was read.
type CoverageReview struct {
	CoverageID
	SignedBody
}

var (
	// ListCoverage lists a tenant's additions in the order of their asking.
	ListCoverage = Endpoint[TenantParams, Page[Addition]]{Name: "coverage.list", Verb: "GET", Path: "/v1/tenants/{tenant}/coverage", Summary: "List what was added to a tenant's coverage"}
	// Cover asks for an addition, which a second person reviews.
	Cover = Endpoint[CoverParams, Addition]{Name: "coverage.ask", Verb: "POST", Path: "/v1/tenants/{tenant}/coverage", Summary: "Ask for a table to be covered for this tenant alone; a second person reviews it", Example: `{"resource": "prod/store", "tables": {"notes": "orders"}, "reason": "the tenant made this table itself"}`}
	// ReviewCoverage makes an addition count, for what is under way, too.
	ReviewCoverage = Endpoint[CoverageReview, Addition]{Name: "coverage.review", Verb: "POST", Path: "/v1/tenants/{tenant}/coverage/{coverage}/review", Summary: "Review an addition that another person asked for, so that it counts", Example: exampleDigest}
)
