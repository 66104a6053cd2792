package client

import "time"

// Record is what staff wrote of a tenant that has closed, as it is sealed until
// ExpiresAt.
type Record struct {
	ExpiresAt time.Time    `json:"expiresAt"`
	Items     []RecordItem `json:"items"`
}

// RecordItem is one text: which field of what, such as the reason of a hold.
type RecordItem struct {
	Of    string `json:"of"`    // hold, elevation, role_grant, delegation, exception, approval or operation
	ID    string `json:"id"`    // its id; of a step or a gate, the operation's id and its key
	Field string `json:"field"` // reason, note, …
	Text  string `json:"text"`
}

// ShowRecord opens what staff wrote of a closed tenant.
var ShowRecord = Endpoint[TenantParams, Record]{Name: "audit.record", Verb: "GET", Path: "/v1/tenants/{tenant}/record", Summary: "Open what staff wrote of a tenant that has closed: reasons of holds, of access and of exceptions, notes at gates"}
