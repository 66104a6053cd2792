package tenure

import (
	"slices"
	"strings"
	"time"
)

// VendorSpec is a company that holds data of tenants and has no interface. In a departure it is told to
// erase and answers by a link; its word is a claim, and its silence is none.
type VendorSpec struct {
	Name  string   `json:"name"`            // of the company
	Email string   `json:"email"`           // who is asked there
	Holds string   `json:"holds"`           // what it has of a tenant, in words
	Due   Period   `json:"due"`             // after the question: then it is reminded, and weekly from then on
	Tiers []string `json:"tiers,omitempty"` // the tiers of which it has something; none means every tier
	// Language is in which it is written to, by its tag (BCP 47); "" is the installation's.
	Language string `json:"language,omitempty"`
}

// For says whether the company holds something of tenants of a tier.
func (v VendorSpec) For(tier string) bool { return len(v.Tiers) == 0 || slices.Contains(v.Tiers, tier) }

// VendorAnswer is what a company says of a tenant's data.
type VendorAnswer string

const (
	VendorGone  VendorAnswer = "gone"       // it has erased what it held
	VendorNever VendorAnswer = "never-held" // it never held any
	VendorKept  VendorAnswer = "kept"       // it keeps it until a date, and is asked again then
)

// VendorAnswers lists them.
var VendorAnswers = []VendorAnswer{VendorGone, VendorNever, VendorKept}

// Bounds of a company's answer, in characters. Until isn't later than MaxVendorYears from the answer.
const (
	MaxVendorName     = 200
	MaxVendorReason   = 1000
	MaxVendorEvidence = 1000
	MaxVendorYears    = 10
)

// VendorReply is a company's answer, with who gave it there and what shows it.
type VendorReply struct {
	Answer         VendorAnswer `json:"answer"`
	Until          time.Time    `json:"until,omitzero"`   // kept: until when
	Reason         string       `json:"reason,omitempty"` // kept: why
	Name           string       `json:"name"`             // who answers
	Role           string       `json:"role"`
	Evidence       string       `json:"evidence,omitempty"`       // a ticket's number, an address
	EvidenceSHA256 string       `json:"evidenceSha256,omitempty"` // of a file, in 64 hexadecimal digits
}

// Checked is the reply without white space around its parts. Invalid if it says too little, too much, or
// what can't be: each text is a Line.
func (r VendorReply) Checked(now time.Time) (VendorReply, error) {
	for _, f := range []struct {
		what string
		text *string
		max  int
		need bool
	}{
		{"the name of who answers", &r.Name, MaxVendorName, true},
		{"the role of who answers", &r.Role, MaxVendorName, true},
		{"the reason for which it is kept", &r.Reason, MaxVendorReason, r.Answer == VendorKept},
		{"the evidence", &r.Evidence, MaxVendorEvidence, false},
		{"the file's SHA-256", &r.EvidenceSHA256, 100, false},
	} {
		read := Line
		if f.need {
			read = NeedLine
		}
		var err error
		if *f.text, err = read(f.what, *f.text, f.max); err != nil {
			return r, err
		}
	}
	r.EvidenceSHA256 = strings.ToLower(r.EvidenceSHA256)
	r.Until = r.Until.UTC().Truncate(time.Microsecond)
	switch {
	case !slices.Contains(VendorAnswers, r.Answer):
		return r, Errorf(Invalid, "choose one of the answers").WithHint("gone, never-held or kept")
	case r.EvidenceSHA256 != "" && (len(r.EvidenceSHA256) != 64 || strings.Trim(r.EvidenceSHA256, "0123456789abcdef") != ""):
		return r, Errorf(Invalid, "a SHA-256 has 64 hexadecimal digits")
	case r.Answer != VendorKept && (!r.Until.IsZero() || r.Reason != ""):
		return r, Errorf(Invalid, "a date and a reason belong to the answer that it is kept")
	case r.Answer == VendorKept && !r.Until.After(now):
		return r, Errorf(Invalid, "the date until which it is kept has to be in the future")
	case r.Answer == VendorKept && r.Until.After(now.AddDate(MaxVendorYears, 0, 0)):
		return r, Errorf(Invalid, "the date until which it is kept is more than %d years away", MaxVendorYears).WithHint("ask who sent you the link")
	}
	return r, nil
}

// Vendor is what one company was asked in one departure, and what it said.
type Vendor struct {
	Operation  OperationID `json:"operation"`
	Step       string      `json:"step"`
	Tenant     TenantID    `json:"tenant"`
	OpenedAt   time.Time   `json:"openedAt"`
	Email      string      `json:"email"` // who is asked, where that isn't who the blueprint names
	Link       LinkID      `json:"-"`
	AskedAt    time.Time   `json:"askedAt,omitzero"` // zero: it has to be asked
	AskedBy    string      `json:"askedBy,omitempty"`
	RemindedAt time.Time   `json:"remindedAt,omitzero"`
	VendorReply
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	RecordedBy string    `json:"recordedBy,omitempty"` // who of staff put it down; "" if it came by the link
	Earlier    string    `json:"earlier,omitempty"`    // answers that don't count any more, a line for each
	Version    int64     `json:"version"`
}

// Settles says whether the answer ends the question: the company has nothing of the tenant any more.
func (v *Vendor) Settles() bool { return v.Answer == VendorGone || v.Answer == VendorNever }

// Keeps says whether the company keeps what it has, and hasn't to be asked again before a date.
func (v *Vendor) Keeps(now time.Time) bool { return v.Answer == VendorKept && now.Before(v.Until) }

// Unanswered is the question without its answer, which stands among the earlier ones with why it doesn't
// count any more.
func (v Vendor) Unanswered(why string) Vendor {
	if v.Answer != "" {
		line := v.AnsweredAt.UTC().Format(time.DateOnly) + ": " + v.Says() + ", said " + v.Name + " (" + v.Role + ")"
		for _, more := range []struct{ what, text string }{{"evidence: ", v.Evidence}, {"SHA-256 of a file: ", v.EvidenceSHA256}, {"put down by ", v.RecordedBy}, {"", why}} {
			if more.text != "" {
				line += "; " + more.what + more.text
			}
		}
		v.Earlier += line + "\n"
	}
	v.VendorReply, v.AnsweredAt, v.RecordedBy = VendorReply{}, time.Time{}, ""
	return v
}

// Says is the answer in words, for people.
func (r VendorReply) Says() string {
	switch r.Answer {
	case VendorGone:
		return "what it held is gone"
	case VendorNever:
		return "it never held any"
	case VendorKept:
		return "it keeps it until " + r.Until.Format("2 January 2006") + ": " + r.Reason
	}
	return "no answer"
}
