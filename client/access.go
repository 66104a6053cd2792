package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Principal is a person or a machine that can ask.
type Principal struct {
	ID        tenure.PrincipalID `json:"id"`
	Name      string             `json:"name"` // unique for ever, in lower case
	Display   string             `json:"display,omitempty"`
	Email     string             `json:"email,omitempty"`
	Kind      tenure.CallerKind  `json:"kind"`
	Owner     string             `json:"owner,omitempty"` // of a machine: who answers for it
	Issuer    string             `json:"issuer,omitempty"`
	Bound     bool               `json:"bound,omitempty"`    // has signed in with an identity provider
	Disabled  bool               `json:"disabled,omitempty"` // also while it waits
	Waiting   bool               `json:"waiting,omitempty"`  // its name looks like another's: another admin than who added it must enable it
	CreatedBy string             `json:"createdBy"`
	CreatedAt time.Time          `json:"createdAt"`
	SeenAt    time.Time          `json:"seenAt,omitzero"`
	Version   int64              `json:"version"` // the ETag's
	Grants    []tenure.Grant     `json:"grants,omitempty"`
}

// PrincipalFilter pages through the principals.
type PrincipalFilter struct {
	Paging
}

// NewPrincipalParams add a principal.
type NewPrincipalParams struct {
	Body struct {
		Name    string            `json:"name" doc:"unique for ever; the log knows them by it; 100 bytes at most" maxLength:"100"`
		Display string            `json:"display,omitempty" maxLength:"200"`
		Email   string            `json:"email,omitempty" doc:"a person signs in with this verified address" maxLength:"254"`
		Kind    tenure.CallerKind `json:"kind" enum:"person,machine"`
		Owner   string            `json:"owner,omitempty" doc:"of a machine: the person who answers for it" maxLength:"100"`
	}
}

// PrincipalID names a principal by id or name.
type PrincipalID struct {
	Principal string `path:"principal" doc:"a principal's id, prn_…, or name" maxLength:"100"`
}

// PrincipalChange names a principal and the version that was read.
type PrincipalChange struct {
	PrincipalID
	IfMatch string `header:"If-Match" doc:"the ETag that was read" maxLength:"100"`
	Body    struct {
		Disabled bool `json:"disabled" doc:"keep them out, with their tokens and sessions"`
	}
}

// GrantFilter narrows a listing of grants.
type GrantFilter struct {
	Principal string `query:"principal" doc:"only this principal's, by id or name" maxLength:"100"`
	Ended     bool   `query:"ended" doc:"include revoked ones"`
}

// NewGrantParams give a role.
type NewGrantParams struct {
	Body struct {
		Principal string       `json:"principal" doc:"id or name" maxLength:"100"`
		Role      tenure.Role  `json:"role" maxLength:"40"`
		Scope     tenure.Scope `json:"scope"`
		Reason    string       `json:"reason,omitempty" doc:"1,000 bytes at most" maxLength:"1000"`
		ExpiresAt time.Time    `json:"expiresAt,omitzero"`
	}
}

// GrantID names a grant.
type GrantID struct {
	Grant string `path:"grant" doc:"a grant's id, grt_…" maxLength:"64"`
}

// APIToken is a token as it is listed; its text was shown once.
type APIToken struct {
	ID        tenure.TokenID      `json:"id"`
	Principal tenure.PrincipalID  `json:"principal"`
	Name      string              `json:"name"`
	Limit     tenure.Scope        `json:"limit,omitzero"`
	Only      []tenure.Permission `json:"only,omitempty"`
	CreatedBy string              `json:"createdBy"`
	CreatedAt time.Time           `json:"createdAt"`
	ExpiresAt time.Time           `json:"expiresAt"`
	UsedAt    time.Time           `json:"usedAt,omitzero"`
}

// NewAPIToken is a token with its text, which is shown this once.
type NewAPIToken struct {
	APIToken
	Token string `json:"token"`
}

// NewTokenParams make a token.
type NewTokenParams struct {
	Body struct {
		Principal string              `json:"principal,omitempty" doc:"id or name; blank is oneself" maxLength:"100"`
		Name      string              `json:"name" doc:"100 bytes at most" maxLength:"100"`
		Limit     tenure.Scope        `json:"limit,omitzero" doc:"narrows what the principal's grants cover"`
		Only      []tenure.Permission `json:"only,omitempty" doc:"narrows what the principal's roles let" maxItems:"50"`
		ExpiresAt time.Time           `json:"expiresAt" doc:"at most 366 days away"`
	}
}

// TokenFilter narrows a listing of tokens.
type TokenFilter struct {
	Principal string `query:"principal" doc:"id or name; blank is everybody's that the caller may see" maxLength:"100"`
}

// TokenID names a token.
type TokenID struct {
	Token string `path:"token" doc:"a token's id, tok_…" maxLength:"64"`
}

// Session is a browser that is signed in.
type Session struct {
	ID        tenure.SessionID   `json:"id"`
	Principal tenure.PrincipalID `json:"principal"`
	Strong    bool               `json:"strong,omitempty"`
	Method    string             `json:"method"`
	Agent     string             `json:"agent,omitempty"`
	CreatedAt time.Time          `json:"createdAt"`
	SeenAt    time.Time          `json:"seenAt"`
	ExpiresAt time.Time          `json:"expiresAt"`
	Mine      bool               `json:"mine,omitempty"` // the one that asks
}

// SessionID names a session.
type SessionID struct {
	Session string `path:"session" doc:"a session's id, ses_…" maxLength:"64"`
}

// RoleInfo is what a role lets.
type RoleInfo struct {
	Role        tenure.Role            `json:"role"`
	Permissions []tenure.Permission    `json:"permissions"`
	Conflicts   map[tenure.Role]string `json:"conflicts,omitempty"` // roles that the same principal can't have, and why
}

// DecisionParams ask whether somebody may do something.
type DecisionParams struct {
	Body struct {
		Principal  string            `json:"principal,omitempty" doc:"id or name; blank is oneself" maxLength:"100"`
		Permission tenure.Permission `json:"permission" maxLength:"60"`
		Tenant     string            `json:"tenant,omitempty" doc:"id or name; blank is the installation" maxLength:"64"`
	}
}

// AccessEvent is one thing that somebody did at the door.
type AccessEvent struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Principal string    `json:"principal,omitempty"`
	Detail    string    `json:"detail,omitempty"`

	// Of refusals: at which route, from which address if nobody is known, and how many
	// within the minute.
	Route   string `json:"route,omitempty"`
	Address string `json:"address,omitempty"`
	Count   int    `json:"count,omitempty"`
}

// AccessEventFilter narrows a listing of access events.
type AccessEventFilter struct {
	Kind      string    `query:"kind" doc:"only those of this kind" enum:"signin,signin.refused,refused,elevation.request,breakglass,approval,destructive,hold.release,erase"`
	Principal string    `query:"principal" doc:"only this principal's, by id or name" maxLength:"100"`
	From      time.Time `query:"from"`
	Limit     int       `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

var (
	// ListPrincipals lists who can ask, by name.
	ListPrincipals = Endpoint[PrincipalFilter, Page[Principal]]{Name: "principal.list", Verb: "GET", Path: "/v1/principals", Summary: "List persons and machines"}
	// AddPrincipal adds a person or a machine.
	AddPrincipal = Endpoint[NewPrincipalParams, Principal]{Name: "principal.add", Verb: "POST", Path: "/v1/principals", Summary: "Add a person or a machine", Example: `{"name": "ci", "kind": "person", "email": "ci@example.com"}`}
	// ShowPrincipal shows one with their grants.
	ShowPrincipal = Endpoint[PrincipalID, Principal]{Name: "principal.show", Verb: "GET", Path: "/v1/principals/{principal}", Summary: "Show a principal with their grants"}
	// ChangePrincipal keeps a principal out, or lets them in again.
	ChangePrincipal = Endpoint[PrincipalChange, Principal]{Name: "principal.change", Verb: "PATCH", Path: "/v1/principals/{principal}", Summary: "Disable or enable a principal", Example: `{"disabled": true}`}
	// ListGrants lists grants.
	ListGrants = Endpoint[GrantFilter, []tenure.Grant]{Name: "grant.list", Verb: "GET", Path: "/v1/grants", Summary: "List grants"}
	// GiveGrant gives a role over a scope.
	GiveGrant = Endpoint[NewGrantParams, tenure.Grant]{Name: "grant.give", Verb: "POST", Path: "/v1/grants", Summary: "Give a role over a scope", Example: `{"principal": "olga", "role": "viewer", "scope": {"all": true}, "reason": "support"}`}
	// RevokeGrant ends a grant at once.
	RevokeGrant = Endpoint[GrantID, None]{Name: "grant.revoke", Verb: "DELETE", Path: "/v1/grants/{grant}", Summary: "Revoke a grant at once"}
	// ListTokens lists tokens that aren't revoked.
	ListTokens = Endpoint[TokenFilter, []APIToken]{Name: "token.list", Verb: "GET", Path: "/v1/tokens", Summary: "List tokens: one's own and one's machines', or everybody's for a caller who may read access"}
	// MakeToken makes a token; its text is shown this once.
	MakeToken = Endpoint[NewTokenParams, NewAPIToken]{Name: "token.make", Verb: "POST", Path: "/v1/tokens", Summary: "Make a token; its text is shown this once", Example: `{"principal": "olga", "name": "laptop", "expiresAt": "2099-01-01T00:00:00Z"}`, Once: true}
	// RevokeToken ends a token at once.
	RevokeToken = Endpoint[TokenID, None]{Name: "token.revoke", Verb: "DELETE", Path: "/v1/tokens/{token}", Summary: "Revoke a token at once"}
	// ListSessions lists browsers that are signed in.
	ListSessions = Endpoint[TokenFilter, []Session]{Name: "session.list", Verb: "GET", Path: "/v1/sessions", Summary: "List signed-in browsers: one's own, or everybody's for a caller who may read access"}
	// RevokeSession signs a browser out.
	RevokeSession = Endpoint[SessionID, None]{Name: "session.revoke", Verb: "DELETE", Path: "/v1/sessions/{session}", Summary: "Sign a browser out"}
	// ListRoles lists the roles.
	ListRoles = Endpoint[None, []RoleInfo]{Name: "role.list", Verb: "GET", Path: "/v1/roles", Summary: "List the roles and what they let"}
	// ExplainDecision says whether somebody may do something, and why.
	ExplainDecision = Endpoint[DecisionParams, tenure.Decision]{Name: "decision.explain", Verb: "POST", Path: "/v1/decisions", Summary: "Say whether somebody may do something, and why", Example: `{"permission": "tenant.read"}`}
	// ListAccessEvents lists sign-ins, refusals and the like, the latest first.
	ListAccessEvents = Endpoint[AccessEventFilter, []AccessEvent]{Name: "accessevent.list", Verb: "GET", Path: "/v1/access-events", Summary: "List sign-ins, refusals and uses of elevated access"}
)
