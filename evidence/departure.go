// Package evidence makes and checks certificates: signed statements of what
// became of a tenant, with proofs that the audit log holds them. Checking one
// takes the file and a public key, nothing else.
//
// A certificate is an in-toto Statement v1 whose predicate is a Departure, in a
// DSSE envelope under the installation's Ed25519 key. A bundle adds to it the
// log entries that it rests on with their C2SP tlog-proofs.
package evidence

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Kind says which of a departure's certificates it is.
type Kind string

const (
	Interim       Kind = "interim"       // after erasure; backups and key copies are still to expire
	Closing       Kind = "closing"       // no system shows anything of the tenant any more
	Supplementary Kind = "supplementary" // what came back after the closing one is gone, too
)

// Method is the word for what was done. Erasing words of NIST SP 800-88r2 are
// said of keys and media alone; rows and things in systems are logically deleted.
type Method string

const (
	LogicallyDeleted Method = "logically deleted"
	Validated        Method = "validated" // seen to be absent, and no call of ours was answered with its removal
	LetGo            Method = "let go"    // a record that others keep too stays with its last word, and bears no mark any more
	Pseudonymised    Method = "pseudonymised"
	Anonymised       Method = "anonymised"
	Archived         Method = "archived"
	Aggregated       Method = "aggregated"
	Kept             Method = "kept"

	CryptographicErase Method = "cryptographic erase"
	Clear              Method = "clear"
	Purge              Method = "purge"
	Destroy            Method = "destroy"
)

// Departure is the predicate of a certificate (predicate type PredicateType).
// It names no person in the clear: By and Attested are pseudonymous references
// that the installation can resolve while its evidence key lives. Times are UTC,
// and those of what was done, not of the issuing.
type Departure struct {
	Kind         Kind                  `json:"kind"`
	Issued       time.Time             `json:"issued"`
	Installation tenure.InstallationID `json:"installation"`
	Tenant       Tenant                `json:"tenant"`
	Operation    tenure.OperationID    `json:"operation"`
	Plan         string                `json:"plan"` // digest of the plan that was run
	Blueprint    Blueprint             `json:"blueprint"`
	Interim      string                `json:"interim,omitempty"` // a closing certificate names the digest of the interim one's payload
	Closing      string                `json:"closing,omitempty"` // a supplementary certificate names the digest of the closing one's payload
	Witness      string                `json:"witness,omitempty"` // who keeps the log's checkpoints outside; blank: nobody

	Approvals  []Approval  `json:"approvals,omitempty"`
	Timeline   []Moment    `json:"timeline,omitempty"`
	Resources  []Resource  `json:"resources,omitempty"`
	Classes    []DataClass `json:"dataClasses,omitempty"`
	Keys       []Key       `json:"keys,omitempty"`
	Exceptions []Exception `json:"exceptions,omitempty"`
	Backups    []Backup    `json:"backups,omitempty"`   // still to expire
	Remnants   []Remnant   `json:"remnants,omitempty"`  // what is physically left, or may be
	Vendors    []Vendor    `json:"vendors,omitempty"`   // what companies without an interface say
	Artifacts  []Artifact  `json:"artifacts,omitempty"` // what others go on using, and what became of it
	Tokens     []Token     `json:"tokens,omitempty"`    // that outlive the cut-off
	Costs      []Cost      `json:"costs,omitempty"`     // that stopped
	Holds      []Hold      `json:"holds,omitempty"`     // of earlier formats alone: since the third they stand in the annex
	Additions  []Addition  `json:"additions,omitempty"`
	Entries    []string    `json:"entries,omitempty"` // digests of the log entries that a bundle must prove

	LegalReason bool   `json:"keptForLegalReason,omitempty"` // some of it was kept for a legal reason, and the customer may know
	Annex       string `json:"annex,omitempty"`              // digest of the auditor's Annex
}

// Tenant is who left. Names appear as NameDigest makes them.
type Tenant struct {
	ID           tenure.TenantID `json:"id"`
	Name         string          `json:"name"`
	Organization string          `json:"organization,omitempty"`
}

// NameDigest is a name that only those who know it can recognise: the SHA-256
// of the tenant's id, a line feed and the name. A name that can be guessed can
// be found by guessing.
func NameDigest(id tenure.TenantID, name string) string {
	return tenure.Digest([]byte(string(id) + "\n" + name))
}

// Blueprint is what the tenant was made from.
type Blueprint struct {
	Name     string `json:"name"`
	Revision string `json:"revision"` // digest
}

// Approval is a person's consent to the plan or to a gate in it.
type Approval struct {
	Gate string    `json:"gate"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Moment is when the tenant came into a state.
type Moment struct {
	State tenure.TenantState `json:"state"`
	At    time.Time          `json:"at"`
}

// Resource is one thing of the tenant's in one system.
type Resource struct {
	ID          tenure.ResourceID `json:"id"`
	System      string            `json:"system"`
	Type        string            `json:"type"`
	Environment string            `json:"environment,omitempty"`
	Name        string            `json:"name,omitempty"` // a digest where the name is the tenant's choice
	Method      Method            `json:"method"`
	Verdict     tenure.Verdict    `json:"verdict"`
	Count       int64             `json:"count,omitempty"` // of what was in it: rows, objects, messages
	At          time.Time         `json:"at"`
	Detail      string            `json:"detail,omitempty"` // how the verdict was reached
	Step        string            `json:"step,omitempty"`   // the plan's step that deleted it
	Entry       string            `json:"entry,omitempty"`  // digest of the log entry that says that it is gone
}

// DataClass is what became of one kind of data, over all systems. Its amounts
// are the sums of what went from its stores.
type DataClass struct {
	Class       string             `json:"class"`
	Disposition tenure.Disposition `json:"disposition"`
	Method      Method             `json:"method"`
	Key         string             `json:"key,omitempty"` // whose destruction was the cryptographic erase
	Verdict     tenure.Verdict     `json:"verdict"`
	Rows        int64              `json:"rows,omitempty"`
	Objects     int64              `json:"objects,omitempty"`
	Bytes       int64              `json:"bytes,omitempty"`
	KeptUntil   time.Time          `json:"keptUntil,omitzero"`
	At          time.Time          `json:"at"`
	Because     string             `json:"because,omitempty"` // which rule won, and over what

	LargeObjects int64     `json:"largeObjects,omitempty"`
	Stores       []Portion `json:"stores,omitempty"` // what became of it in each store
}

// Key is a destroyed key.
type Key struct {
	ID      string         `json:"id"`
	Purpose string         `json:"purpose"`
	Class   string         `json:"class"`
	Method  Method         `json:"method"`
	Verdict tenure.Verdict `json:"verdict"`
	At      time.Time      `json:"at"`
	Copies  []Backup       `json:"copies,omitempty"` // still to expire
	Step    string         `json:"step,omitempty"`   // the plan's step that destroyed it
}

// Exception lets a certificate stand though something isn't verified. It takes
// two persons, and covers the one thing whose own step they let be left out.
type Exception struct {
	What     string `json:"what"` // the item as Departure.Open names it, or "step:<key>" for a step that was left out
	Reason   string `json:"reason"`
	By       string `json:"by"`
	Attested string `json:"attestedBy"`
	Step     string `json:"step,omitempty"`  // the step that was left out
	Entry    string `json:"entry,omitempty"` // digest of the log entry of its attestation
}

// Backup is a copy that goes by itself.
type Backup struct {
	Where   string    `json:"where"`
	Expires time.Time `json:"expires,omitzero"` // zero: nobody knows
}

// Token is a credential that can't be recalled.
type Token struct {
	What  string    `json:"what"`
	Until time.Time `json:"until"`
}

// Cost is what a system no longer costs.
type Cost struct {
	System   string `json:"system"`
	Minor    int64  `json:"minorPerMonth"` // in the currency's smallest unit
	Currency string `json:"currency"`      // ISO 4217
}

// Addition is what two persons added, for this tenant alone, to what its blueprint
// covers of a store.
type Addition struct {
	Resource tenure.ResourceID `json:"resource"`
	Digest   string            `json:"digest"`
	By       string            `json:"by"`
	Reviewed string            `json:"reviewedBy"`
	At       time.Time         `json:"at"`
	Entry    string            `json:"entry"` // digest of the log entry of its review
}

// Hold is a legal hold that covered the tenant, as earlier formats list it.
type Hold struct {
	ID       tenure.HoldID `json:"id"`
	Since    time.Time     `json:"since"`
	Released time.Time     `json:"released,omitzero"`
}
