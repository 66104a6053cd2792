package evidence

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Vendor is what a company that held data of the tenant, and has no interface, says of it. It is the
// company's word, and nobody has seen whether it is so.
type Vendor struct {
	Company string              `json:"company"`
	Holds   string              `json:"holds"`            // what it was asked about
	Answer  tenure.VendorAnswer `json:"answer,omitempty"` // blank: none yet
	Verdict tenure.Verdict      `json:"verdict"`          // claimed, or unknown while it hasn't answered or keeps it

	Until  time.Time `json:"until,omitzero"`   // it keeps it until then, and is asked again
	Reason string    `json:"reason,omitempty"` // and why

	By       string    `json:"by,omitempty"` // who answered there, as a pseudonym
	Role     string    `json:"role,omitempty"`
	Recorded string    `json:"recordedBy,omitempty"` // who of the operator's put it down, as a pseudonym; blank: it came by the link
	Evidence string    `json:"evidence,omitempty"`   // digest of the evidence's text
	File     string    `json:"file,omitempty"`       // digest of a file, as the company gave it
	At       time.Time `json:"at,omitzero"`

	Step  string `json:"step"`            // of the plan, that waited for it
	Entry string `json:"entry,omitempty"` // digest of the log entry of the answer
}

// Answers fills in a company's answer. By and recorded are pseudonyms.
func (v Vendor) Answers(r tenure.VendorReply, by, recorded string) Vendor {
	v.Answer, v.Verdict, v.Until, v.Reason, v.By, v.Role, v.Recorded = r.Answer, tenure.Claimed, r.Until, r.Reason, by, r.Role, recorded
	if r.Answer == tenure.VendorKept {
		v.Verdict = tenure.Unknown
	}
	if r.Evidence != "" {
		v.Evidence = tenure.Digest([]byte(r.Evidence))
	}
	if r.EvidenceSHA256 != "" {
		v.File = "sha256:" + r.EvidenceSHA256
	}
	return v
}

// Said is the digest of what the company was asked about and said: of the item's canonical JSON without
// verdict, at, step and entry. The log entry of the answer has it.
func (v Vendor) Said() (string, error) {
	v.Verdict, v.At, v.Step, v.Entry = "", time.Time{}, "", ""
	b, err := tenure.Canonical(v)
	return tenure.Digest(b), err
}

// Kinds of log entries of a company's answer: it came by the link, or somebody of the operator's put it down.
const (
	VendorAnswered = "vendor.answer"
	VendorRecorded = "vendor.record"
)

// EntryKind is the kind of the log entry of the answer.
func (v *Vendor) EntryKind() string {
	if v.Recorded != "" {
		return VendorRecorded
	}
	return VendorAnswered
}

func (v *Vendor) item() string { return "vendor:" + v.Company }

// vendorClaims are the answers that point to log entries.
func (d *Departure) vendorClaims() (out []claim) {
	for i := range d.Vendors {
		v := &d.Vendors[i]
		if v.Answer == "" {
			continue
		}
		said, _ := v.Said()
		out = append(out, claim{item: v.item(), settled: true, entry: v.Entry, kind: v.EntryKind(), step: v.Step, at: v.At, said: said})
	}
	return out
}

// checkVendors is Invalid if the word of a company is told as more than that. A closing certificate is
// Blocked by a company that hasn't answered, or keeps something.
func (d *Departure) checkVendors() error {
	if len(d.Vendors) > 0 && d.Kind == Supplementary {
		return tenure.Errorf(tenure.Invalid, "a supplementary certificate lists no vendors")
	}
	names := make(map[string]bool)
	for i := range d.Vendors {
		v := &d.Vendors[i]
		bad := func(what string) error { return tenure.Errorf(tenure.Invalid, "%s %s", v.item(), what) }
		ends := v.Answer == tenure.VendorGone || v.Answer == tenure.VendorNever
		want := tenure.Unknown
		if ends {
			want = tenure.Claimed
		}
		switch {
		case v.Company == "" || v.Holds == "" || v.Step == "":
			return bad("needs the company, what it holds, and its step")
		case names[v.Company]:
			return bad("is listed twice")
		case !ends && v.Answer != tenure.VendorKept && v.Answer != "":
			return bad("says " + string(v.Answer) + ", which is no answer")
		case v.Verdict != want:
			return bad("is called " + string(v.Verdict) + ": a company's word is claimed, and nothing else")
		case v.Answer == "" && (*v != Vendor{Company: v.Company, Holds: v.Holds, Verdict: v.Verdict, Step: v.Step}):
			return bad("hasn't answered, and says something")
		case v.Answer != "" && (v.By == "" || v.Role == "" || v.At.IsZero()):
			return bad("needs who answered, and when")
		case v.Recorded != "" && v.Evidence == "":
			return bad("was put down by " + v.Recorded + " without evidence")
		case (v.Answer == tenure.VendorKept) != !v.Until.IsZero() || (v.Answer == tenure.VendorKept) != (v.Reason != ""):
			return bad("gives a date and a reason if it keeps something, and only then")
		case v.Evidence != "" && !isDigest(v.Evidence) || v.File != "" && !isDigest(v.File):
			return bad("gives evidence that is no digest")
		case v.At.After(d.Issued):
			return bad("is of a time after the certificate")
		case d.Kind == Closing && !ends:
			return tenure.Errorf(tenure.Blocked, "no closing certificate: %s hasn't said that it holds nothing any more", v.Company).WithHint("ask it again: tenure vendor ask")
		}
		names[v.Company] = true
	}
	return nil
}
