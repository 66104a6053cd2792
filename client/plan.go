package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Intent is what somebody asks for.
type Intent struct {
	Kind         tenure.OperationKind `json:"kind,omitempty" doc:"onboard, change, upgrade, repair, suspend, resume, offboard, reinstate, revoke or supplement"`
	Tenant       string               `json:"tenant,omitempty" doc:"id or name; the new name for onboard, 40 bytes at most" maxLength:"40"`
	Blueprint    string               `json:"blueprint,omitempty" doc:"name, name@version or digest; for onboard and upgrade"`
	Parameters   map[string]any       `json:"parameters,omitempty"`
	Features     map[string]bool      `json:"features,omitempty"`
	Tier         string               `json:"tier,omitempty"`
	Labels       map[string]string    `json:"labels,omitempty" doc:"of a new tenant"`
	Organization string               `json:"organization,omitempty"`
	Contact      string               `json:"contact,omitempty"`
	Reason       string               `json:"reason,omitempty"`
	ContractEnd  time.Time            `json:"contractEnd,omitzero"`
	Recipient    string               `json:"recipient,omitempty" doc:"age1…, of the exports"`
	Adopt        bool                 `json:"adopt,omitempty" doc:"onboard: mark what stands there already as the tenant's; nothing is made or changed, and no credential is issued"`
	AtOnce       bool                 `json:"atOnce,omitempty" doc:"offboard without grace"`
	EraseOnly    bool                 `json:"eraseOnly,omitempty" doc:"offboard without export"`
	Reissue      bool                 `json:"reissue,omitempty" doc:"repair with new credentials"`
	Overdue      bool                 `json:"overdue,omitempty" doc:"repair: issue those credentials anew that should have been rotated by now, and repair nothing else"`
	Resources    []string             `json:"resources,omitempty" doc:"environment/key or id: revoke what gives access; repair, with reissue, these credentials and nothing else"`
	Trigger      string               `json:"trigger,omitempty" doc:"the requester's key for this; the same key again gives the same operation" maxLength:"200"`
}

// Plan is a stored plan: the canonical bytes, and the digest that names them.
type Plan struct {
	Digest string `json:"digest"`
	Body   []byte `json:"body" doc:"the plan's canonical JSON, in base64: exactly the bytes that the digest is of"`
}

// Read checks the bytes against the digest and gives the plan.
func (p Plan) Read() (*tenure.Plan, error) { return tenure.DecodePlan(p.Body, p.Digest) }

// PlanIntent is an intent as a request's body.
type PlanIntent struct {
	Body Intent
}

// DigestParams name a plan by its digest, or by at least 8 of its digits;
// "sha256:" may be left out.
type DigestParams struct {
	Digest string `path:"digest" doc:"sha256:… or at least 8 of its digits" maxLength:"80"`
}

// SignedBody says in a request's body which document was read: with another one's
// digest nothing is signed. It may be left out.
type SignedBody struct {
	Body *Signed
}

// Sign is the body of a signature under what has the digest.
func Sign(digest string) SignedBody { return SignedBody{&Signed{digest}} }

// Signs is the digest that is signed; blank: it was left out.
func (b SignedBody) Signs() string {
	if b.Body == nil {
		return ""
	}
	return b.Body.Digest
}

// Signed is the body of a signature.
type Signed struct {
	Digest string `json:"digest,omitempty" doc:"of what was read" pattern:"^(sha256:)?[0-9a-f]{64}$" patternDescription:"a digest: sha256: and 64 hexadecimal digits"`
}

const exampleDigest = `{"digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`

const exampleIntent = `{"kind": "onboard", "tenant": "acme", "blueprint": "small", "parameters": {"login": "a@b.example"}, "reason": "contract 4711"}`

var (
	// MakePlan compiles an intent and stores the plan; nothing runs.
	MakePlan = Endpoint[PlanIntent, Plan]{Name: "plan.make", Verb: "POST", Path: "/v1/plans", Summary: "Compile an intent into a stored plan; nothing runs", Example: exampleIntent}
	// ShowPlan gives a stored plan.
	ShowPlan = Endpoint[DigestParams, Plan]{Name: "plan.show", Verb: "GET", Path: "/v1/plans/{digest}", Summary: "Give a stored plan"}
)
