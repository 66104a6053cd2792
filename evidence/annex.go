package evidence

import (
	"time"

	"github.com/tenurehq/tenure"
)

// AnnexType is the type of an Annex.
const AnnexType = "https://tenure.dev/departure-annex/v1"

// Annex is for auditors: which legal holds covered the tenant, from the first to the
// certificate's issue. The certificate has its digest and nothing of what it says; the
// salt keeps that from being guessed. It names no person in the clear.
type Annex struct {
	Type      string             `json:"type"`
	Kind      Kind               `json:"kind"`
	Tenant    tenure.TenantID    `json:"tenant"`
	Operation tenure.OperationID `json:"operation"`
	Issued    time.Time          `json:"issued"`
	Salt      string             `json:"salt"`
	Holds     []AnnexHold        `json:"holds"`
}

// AnnexHold is a legal hold that covered the tenant. A blank field of its scope
// covered everything.
type AnnexHold struct {
	ID          tenure.HoldID         `json:"id"`
	Matter      string                `json:"matter"`
	Reason      string                `json:"reason,omitempty"`
	Tenant      tenure.TenantID       `json:"tenant,omitempty"`
	Class       string                `json:"class,omitempty"`
	System      string                `json:"system,omitempty"`
	Resource    tenure.ResourceID     `json:"resource,omitempty"`
	Environment string                `json:"environment,omitempty"`
	Table       string                `json:"table,omitempty"` // of rows alone, with Rows
	Rows        []tenure.RowCondition `json:"rows,omitempty"`
	Prefix      string                `json:"prefix,omitempty"` // of objects alone
	Custodians  []AnnexCustodian      `json:"custodians,omitempty"`
	Untold      bool                  `json:"untold,omitempty"` // the customer wasn't to know
	PlacedBy    string                `json:"placedBy"`
	Placed      time.Time             `json:"placed"`
	Effective   time.Time             `json:"effective,omitzero"`
	AlreadyGone string                `json:"alreadyGone,omitempty"`
	ReleaseBy   []string              `json:"releaseBy,omitempty"`
	Released    time.Time             `json:"released,omitzero"`
}

// AnnexCustodian is one who kept what was held.
type AnnexCustodian struct {
	Name         string    `json:"name"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
}

// Encode writes the annex in its canonical form, whose digest the certificate has.
func (a *Annex) Encode() ([]byte, error) { return marshal(a) }

// CheckAnnex reads an annex and says whether it is the one that the certificate refers
// to: Invalid if it isn't.
func CheckAnnex(file []byte, d *Departure) (*Annex, error) {
	var a Annex
	if err := parse("the annex", file, &a); err != nil {
		return nil, err
	}
	if d.Annex == "" || tenure.Digest(file) != d.Annex || a.Type != AnnexType || a.Kind != d.Kind || a.Tenant != d.Tenant.ID || a.Operation != d.Operation {
		return nil, tenure.Errorf(tenure.Invalid, "the annex isn't the one that the certificate refers to")
	}
	return &a, nil
}
