package evidence_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/evidence"
)

// vendored is a closing certificate with a company's answer, and the entry of it.
func vendored(t *testing.T) (evidence.Departure, *audit.Entry) {
	t.Helper()
	d := departure()
	v := evidence.Vendor{Company: "Example Print", Holds: "addresses", Step: "vendor/1", At: noon}.Answers(tenure.VendorReply{Answer: tenure.VendorGone, Role: "desk", Evidence: "ticket 4711"}, "person:1", "")
	said, err := v.Said()
	if err != nil {
		t.Fatal(err)
	}
	e := &audit.Entry{Format: audit.Format, At: noon, Kind: evidence.VendorAnswered, Tenant: acme, Operation: d.Operation, Subject: string(d.Operation), Data: audit.Facts(map[string]string{"gate": "vendor/1", "said": said})}
	v.Entry = digestOf(e)
	d.Vendors = []evidence.Vendor{v}
	d.Entries = append(d.Entries, v.Entry)
	return d, e
}

// TestVendor: a company's answer verifies as what the log has of it, and anything else that is told of it doesn't:
// another answer, another company, another person, more than a claim.
func TestVendor(t *testing.T) {
	t.Parallel()
	d, e := vendored(t)
	m := makeWith(t, d, keyEntry(), goneEntry(), e)
	report, err := evidence.Verify(m.file, m.key())
	if err != nil {
		t.Fatal(err)
	}
	if v := report.Departure.Vendors[0]; v.Verdict != tenure.Claimed || v.Evidence != tenure.Digest([]byte("ticket 4711")) {
		t.Errorf("it says %+v", v)
	}
	if open := report.Departure.Open(); len(open) != 0 {
		t.Errorf("open %q", open)
	}
	for name, change := range map[string]func(*evidence.Vendor){
		"another answer":   func(v *evidence.Vendor) { v.Answer = tenure.VendorNever },
		"another company":  func(v *evidence.Vendor) { v.Company = "Example Payroll" },
		"another question": func(v *evidence.Vendor) { v.Holds = "nothing" },
		"another person":   func(v *evidence.Vendor) { v.By = "person:2" },
		"other evidence":   func(v *evidence.Vendor) { v.Evidence = sum },
		"another file":     func(v *evidence.Vendor) { v.File = sum },
		"another day":      func(v *evidence.Vendor) { v.At = noon.Add(-time.Hour) },
		"another step":     func(v *evidence.Vendor) { v.Step = "vendor/2" },
		"by staff":         func(v *evidence.Vendor) { v.Recorded = "person:3" },
	} {
		d, e := vendored(t)
		change(&d.Vendors[0])
		m := makeWith(t, d, keyEntry(), goneEntry(), e)
		if _, err := evidence.Verify(m.file, m.key()); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "log entry says something else") {
			t.Errorf("%s verifies: %v", name, err)
		}
	}
}

// TestVendorRefused: no certificate is made that says of a company what can't be.
func TestVendorRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(d *evidence.Departure, v *evidence.Vendor)
		want   tenure.Code
	}{
		"as it is":                  {func(*evidence.Departure, *evidence.Vendor) {}, ""},
		"verified":                  {func(_ *evidence.Departure, v *evidence.Vendor) { v.Verdict = tenure.Verified }, tenure.Invalid},
		"no entry":                  {func(_ *evidence.Departure, v *evidence.Vendor) { v.Entry = "" }, tenure.Invalid},
		"nobody":                    {func(_ *evidence.Departure, v *evidence.Vendor) { v.By = "" }, tenure.Invalid},
		"a letter without evidence": {func(_ *evidence.Departure, v *evidence.Vendor) { v.Recorded, v.Evidence = "person:3", "" }, tenure.Invalid},
		"another word":              {func(_ *evidence.Departure, v *evidence.Vendor) { v.Answer = "perhaps" }, tenure.Invalid},
		"later":                     {func(_ *evidence.Departure, v *evidence.Vendor) { v.At = noon.Add(time.Hour) }, tenure.Invalid},
		"twice":                     {func(d *evidence.Departure, v *evidence.Vendor) { d.Vendors = append(d.Vendors, *v) }, tenure.Invalid},
		"silent": {func(_ *evidence.Departure, v *evidence.Vendor) {
			*v = evidence.Vendor{Company: v.Company, Holds: v.Holds, Step: v.Step, Verdict: tenure.Unknown}
		}, tenure.Blocked},
		"silent, before the closing": {func(d *evidence.Departure, v *evidence.Vendor) {
			d.Kind, d.Interim = evidence.Interim, ""
			*v = evidence.Vendor{Company: v.Company, Holds: v.Holds, Step: v.Step, Verdict: tenure.Unknown}
		}, ""},
		"silent, and claimed": {func(_ *evidence.Departure, v *evidence.Vendor) {
			*v = evidence.Vendor{Company: v.Company, Holds: v.Holds, Step: v.Step, Verdict: tenure.Claimed}
		}, tenure.Invalid},
		"kept": {func(_ *evidence.Departure, v *evidence.Vendor) {
			v.Answer, v.Verdict, v.Until, v.Reason = tenure.VendorKept, tenure.Unknown, noon.AddDate(1, 0, 0), "tax law"
		}, tenure.Blocked},
		"kept, and claimed to be gone": {func(_ *evidence.Departure, v *evidence.Vendor) {
			v.Answer, v.Until, v.Reason = tenure.VendorKept, noon.AddDate(1, 0, 0), "tax law"
		}, tenure.Invalid},
		"gone, with a date": {func(_ *evidence.Departure, v *evidence.Vendor) { v.Until = noon.AddDate(1, 0, 0) }, tenure.Invalid},
		"supplementary": {func(d *evidence.Departure, _ *evidence.Vendor) {
			d.Kind, d.Interim, d.Closing = evidence.Supplementary, "", sum
		}, tenure.Invalid},
	} {
		d, _ := vendored(t)
		tt.change(&d, &d.Vendors[0])
		if _, err := evidence.Issue(context.Background(), newSigner(t, origin), d); tenure.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
