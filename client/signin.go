package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Me is who asks, as the server knows them.
type Me struct {
	Principal tenure.PrincipalID  `json:"principal,omitempty"`
	Name      string              `json:"name"`
	Kind      tenure.CallerKind   `json:"kind"`
	Strong    bool                `json:"strong,omitempty"` // signed in with what destroying permissions take
	Grants    []tenure.Grant      `json:"grants,omitempty"`
	Limit     tenure.Scope        `json:"limit,omitzero"` // what a token is narrowed to
	Only      []tenure.Permission `json:"only,omitempty"`
}

// DeviceGrant is the beginning of a sign-in on another device (RFC 8628 §3.2).
type DeviceGrant struct {
	DeviceCode      string `json:"deviceCode"` // secret; polled with
	UserCode        string `json:"userCode"`   // for the person to enter
	VerificationURI string `json:"verificationUri"`
	Interval        int    `json:"interval"`  // seconds between polls
	ExpiresIn       int    `json:"expiresIn"` // seconds
}

// DeviceParams name the program that wants to sign in.
type DeviceParams struct {
	Body struct {
		Name string `json:"name,omitempty" doc:"what the token will be called" maxLength:"100"`
	}
}

// DevicePoll asks whether the person has confirmed.
type DevicePoll struct {
	Body struct {
		DeviceCode string `json:"deviceCode" maxLength:"200"`
	}
}

// Token is a credential that is shown this once.
type Token struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// BootstrapParams redeem the one-time code of a new installation.
type BootstrapParams struct {
	Body struct {
		Code  string `json:"code" maxLength:"200"`
		Name  string `json:"name" doc:"100 bytes at most" maxLength:"100"`
		Email string `json:"email,omitempty" maxLength:"254"`
	}
}

var (
	// ShowMe says who asks.
	ShowMe = Endpoint[None, Me]{Name: "me.show", Verb: "GET", Path: "/v1/me", Summary: "Say who asks, and what they may do"}
	// StartDevice begins a sign-in on another device.
	StartDevice = Endpoint[DeviceParams, DeviceGrant]{Name: "device.start", Verb: "POST", Path: "/v1/device", Summary: "Begin a sign-in that a person confirms in a browser (RFC 8628)", Example: `{"name": "laptop"}`, Once: true}
	// PollDevice gives the token once the person has confirmed; until then it is
	// Blocked and can be tried again.
	PollDevice = Endpoint[DevicePoll, Token]{Name: "device.token", Verb: "POST", Path: "/v1/device/token", Summary: "Give the token once the person has confirmed", Example: `{"deviceCode": "one-that-nobody-has"}`, Once: true}
	// Bootstrap makes the first admin.
	Bootstrap = Endpoint[BootstrapParams, Token]{Name: "bootstrap", Verb: "POST", Path: "/v1/bootstrap", Summary: "Redeem the one-time code of a new installation; makes its first admin", Example: `{"code": "one-that-nobody-has", "name": "olga"}`, Once: true}
	// SignOut revokes the credential that asks.
	SignOut = Endpoint[None, None]{Name: "me.signout", Verb: "POST", Path: "/v1/me/sign-out", Summary: "Revoke the credential that asks"}
)
