package tenure

import (
	"slices"
	"time"
)

// AgreementKind says what an agreement lets somebody do with a tenant's data.
type AgreementKind string

const (
	SharingAgreement AgreementKind = "sharing" // the parties share data of these classes for a purpose
	ExportGrant      AgreementKind = "export"  // the parties may take exports of these classes away
)

// AgreementNotice is how long before its end an agreement's notice goes out.
const AgreementNotice = 14 * 24 * time.Hour

// Agreement is a data sharing agreement or an export grant of a tenant's. It
// ends at its date, by a person, by a review, or when the tenant's access is cut.
type Agreement struct {
	ID        AgreementID   `json:"id"`
	Tenant    TenantID      `json:"tenant"`
	Kind      AgreementKind `json:"kind"`
	Parties   []string      `json:"parties"` // organizations or systems, never persons
	Classes   []string      `json:"classes"` // data classes of the tenant's blueprint
	Purpose   string        `json:"purpose"`
	StartsAt  time.Time     `json:"startsAt"`
	ExpiresAt time.Time     `json:"expiresAt"`
	CreatedBy string        `json:"createdBy"`
	CreatedAt time.Time     `json:"createdAt"`
	EndedAt   time.Time     `json:"endedAt,omitzero"`
	EndedBy   string        `json:"endedBy,omitempty"`     // "" if nobody did
	EndedWhy  string        `json:"endedReason,omitempty"` // expired, the tenant's access is cut, …
	Version   int64         `json:"version"`
}

// Open says whether it stands at now; one whose start is to come stands too, for
// it must end like the others.
func (a Agreement) Open(now time.Time) bool {
	return a.EndedAt.IsZero() && now.Before(a.ExpiresAt)
}

// Check refuses an agreement that can't be made at now, for a tenant whose
// blueprint has these data classes.
func (a Agreement) Check(classes []string, now time.Time) error {
	switch {
	case a.Kind != SharingAgreement && a.Kind != ExportGrant:
		return Errorf(Invalid, "an agreement is sharing or export, not %q", clip(string(a.Kind)))
	case len(a.Parties) == 0 || len(a.Parties) > 20:
		return Errorf(Invalid, "an agreement names 1 to 20 parties")
	case len(a.Classes) == 0:
		return Errorf(Invalid, "an agreement names the data classes that it is about")
	case a.ExpiresAt.IsZero():
		return Errorf(Invalid, "an agreement has an end")
	case !a.ExpiresAt.After(now):
		return Errorf(Invalid, "the agreement's end has passed already")
	case !a.ExpiresAt.After(a.StartsAt):
		return Errorf(Invalid, "the agreement ends before it starts")
	}
	if _, err := NeedLines("an agreement's purpose", a.Purpose, MaxReason); err != nil {
		return err
	}
	for i, p := range a.Parties {
		if _, err := NeedLine("a party's name", p, MaxTitle); err != nil {
			return err
		}
		if slices.Contains(a.Parties[:i], p) {
			return Errorf(Invalid, "the party %q is named twice", clip(p))
		}
	}
	for i, c := range a.Classes {
		if !slices.Contains(classes, c) || slices.Contains(a.Classes[:i], c) {
			return Errorf(Invalid, "the tenant's blueprint has no data class %q, or it is named twice", clip(c)).WithHint("classes: %s", joined(classes))
		}
	}
	return nil
}

// Narrowed is the agreement that a review makes of one: fewer classes or an
// earlier end.
func (a Agreement) Narrowed(to ReviewTo, now time.Time) (Agreement, error) {
	n := a
	if len(to.Classes) > 0 {
		n.Classes = to.Classes
	}
	if !to.ExpiresAt.IsZero() {
		n.ExpiresAt = to.ExpiresAt
	}
	switch {
	case to.Role != "" || to.Scope != nil || to.Parameters != nil:
		return n, Errorf(Invalid, "an agreement has classes and an end to change, nothing else")
	case !subset(n.Classes, a.Classes), n.ExpiresAt.After(a.ExpiresAt), !n.ExpiresAt.After(now):
		return n, Errorf(Invalid, "a review only takes away: fewer classes, or an end after now and before the old one")
	case subset(a.Classes, n.Classes) && n.ExpiresAt.Equal(a.ExpiresAt):
		return n, Errorf(Invalid, "nothing would change").WithHint("keep it")
	}
	return n, nil
}

func joined(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	out := words[0]
	for _, w := range words[1:] {
		out += ", " + w
	}
	return out
}
