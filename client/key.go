package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// KeyStatus is a key of the keystore and where it stands.
type KeyStatus struct {
	ID          string    `json:"id"`
	Spec        KeySpec   `json:"spec"`
	State       string    `json:"state"` // active, destroyed, erased
	CreatedAt   time.Time `json:"createdAt"`
	DestroyedAt time.Time `json:"destroyedAt,omitzero"`
	Copies      []KeyCopy `json:"copies,omitempty"`  // that remain
	GoneAt      time.Time `json:"goneAt,omitzero"`   // when the last of them expires
	Overdue     []string  `json:"overdue,omitempty"` // locations past their expiry which nobody has seen empty yet
}

// KeySpec says which key is meant.
type KeySpec struct {
	Tenant  tenure.TenantID `json:"tenant,omitempty"`
	Purpose string          `json:"purpose"`
	Class   string          `json:"class"`
	Name    string          `json:"name,omitempty"`
}

// KeyCopy is a place where a key can still be read.
type KeyCopy struct {
	Location  string    `json:"location"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // zero: nobody knows
	Own       bool      `json:"own,omitempty"`      // the keystore's file
}

// KeyCopyParams name a copy of a key by the place where it is.
type KeyCopyParams struct {
	Key  string `path:"key" doc:"a key's id, key_…" maxLength:"80"`
	Body struct {
		Location  string    `json:"location" doc:"the place of the copy"`
		ExpiresAt time.Time `json:"expiresAt,omitzero" doc:"when it expires; absent: nobody knows"`
	}
}

// KeyGoneParams name a copy that was seen to be gone.
type KeyGoneParams struct {
	Key  string `path:"key" doc:"a key's id, key_…" maxLength:"80"`
	Body struct {
		Location string `json:"location" doc:"the place of the copy"`
	}
}

var (
	// ListKeys lists the keys that are no tenant's.
	ListKeys = Endpoint[None, Page[KeyStatus]]{Name: "key.list", Verb: "GET", Path: "/v1/keys", Summary: "List the keys that belong to no tenant, with their known copies"}
	// ListTenantKeys lists a tenant's keys with the copies that are known.
	ListTenantKeys = Endpoint[TenantParams, Page[KeyStatus]]{Name: "tenant.keys", Verb: "GET", Path: "/v1/tenants/{tenant}/keys", Summary: "List a tenant's keys with their known copies"}
	// AddKeyCopy notes that a backup elsewhere holds a key.
	AddKeyCopy = Endpoint[KeyCopyParams, None]{Name: "key.copy", Verb: "POST", Path: "/v1/keys/{key}/copies", Summary: "Note that a backup elsewhere holds a key", Example: `{"location": "tape 17", "expiresAt": "2027-03-01T00:00:00Z"}`}
	// DropKeyCopy notes that somebody has seen that a copy is gone.
	DropKeyCopy = Endpoint[KeyGoneParams, None]{Name: "key.gone", Verb: "POST", Path: "/v1/keys/{key}/copies/gone", Summary: "Note that a copy of a key was seen to be gone", Example: `{"location": "tape 17"}`}
)
