package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Open names what isn't verified, as exceptions must name it: "resource:<id>",
// "class:<name>@<resource>" for a class in a store, "key:<id>", and
// "backup:<where>" for each backup that is still to expire.
func (d *Departure) Open() []string {
	var open []string
	for _, r := range d.Resources {
		if !r.Verdict.Settled() {
			open = append(open, "resource:"+string(r.ID))
		}
	}
	for _, c := range d.Classes {
		for i := range c.Stores {
			if p := &c.Stores[i]; !p.Verdict.Settled() {
				open = append(open, p.item(c.Class))
			}
		}
		if len(c.Stores) == 0 && !c.Verdict.Settled() { // a certificate of the first format
			open = append(open, "class:"+c.Class)
		}
	}
	for _, k := range d.Keys {
		if !k.Verdict.Settled() || len(k.Copies) > 0 {
			open = append(open, "key:"+k.ID)
		}
	}
	for _, b := range d.Backups {
		open = append(open, "backup:"+b.Where)
	}
	return open
}

// Check says whether the departure may be certified. Missing or wrong fields
// are Invalid. A closing or supplementary certificate is Blocked by whatever
// isn't verified and not covered by an exception of two different persons. That no
// hold stands is for who issues it: it says nothing of holds.
func (d *Departure) Check() error {
	if len(d.Holds) > 0 || !isDigest(d.Annex) {
		return tenure.Errorf(tenure.Invalid, "a certificate lists no holds, and names the digest of its annex")
	}
	return d.checkV2()
}

// checkV2 is Check for a certificate of the second format, and what both share.
func (d *Departure) checkV2() error {
	for _, check := range []func() error{d.checkHeader, d.checkMethods, d.checkParts, d.checkRemnants, d.checkVendors, d.checkArtifacts, d.checkExceptions, d.checkSteps, d.checkFinal} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkV1 is Check for a certificate of the first format, whose items name no stores,
// steps or entries.
func (d *Departure) checkV1() error {
	if d.Annex != "" || d.LegalReason || len(d.Remnants) > 0 || len(d.Vendors) > 0 || len(d.Artifacts) > 0 || d.Closing != "" || d.Witness != "" || d.Kind == Supplementary ||
		slices.ContainsFunc(d.claims(), func(c claim) bool { return c.entry != "" || c.step != "" }) ||
		slices.ContainsFunc(d.Keys, func(k Key) bool { return k.Step != "" }) ||
		slices.ContainsFunc(d.Classes, func(c DataClass) bool { return c.LargeObjects != 0 || len(c.Stores) > 0 }) {
		return tenure.Errorf(tenure.Invalid, "a certificate of the first format says what that format doesn't have")
	}
	for _, check := range []func() error{d.checkHeader, d.checkMethods, d.checkExceptions, d.checkFinal} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Departure) checkFinal() error {
	if d.Kind == Interim {
		return nil
	}
	covered := make(map[string]bool, len(d.Exceptions))
	for _, e := range d.Exceptions {
		covered[e.What] = true
	}
	for _, item := range d.Open() {
		if !covered[item] {
			return tenure.Errorf(tenure.Blocked, "no %s certificate: %s isn't verified and no exception covers it", d.Kind, item).
				WithHint("verify it, or have a second person attest an exception")
		}
	}
	for _, h := range d.Holds {
		if h.Released.IsZero() {
			return tenure.Errorf(tenure.Blocked, "no %s certificate: hold %s stands", d.Kind, h.ID)
		}
	}
	return nil
}

func (d *Departure) checkHeader() error {
	_, tenantErr := tenure.ParseID[tenure.TenantID](string(d.Tenant.ID))
	_, installErr := tenure.ParseID[tenure.InstallationID](string(d.Installation))
	_, operationErr := tenure.ParseID[tenure.OperationID](string(d.Operation))
	digests := append([]string{d.Plan, d.Blueprint.Revision, d.Tenant.Name}, d.Entries...)
	switch {
	case d.Kind != Interim && d.Kind != Closing && d.Kind != Supplementary:
		return tenure.Errorf(tenure.Invalid, "%q is no kind of certificate", d.Kind)
	case tenantErr != nil:
		return tenantErr
	case installErr != nil:
		return installErr
	case operationErr != nil:
		return operationErr
	case d.Issued.IsZero():
		return tenure.Errorf(tenure.Invalid, "a certificate needs the time of its issue")
	case d.Blueprint.Name == "":
		return tenure.Errorf(tenure.Invalid, "a certificate needs the blueprint's name")
	case (d.Kind == Closing) != (d.Interim != ""):
		return tenure.Errorf(tenure.Invalid, "a closing certificate names the interim one, and no other does")
	case (d.Kind == Supplementary) != (d.Closing != ""):
		return tenure.Errorf(tenure.Invalid, "a supplementary certificate names the closing one, and no other does")
	}
	for _, s := range []string{d.Interim, d.Closing} {
		if s != "" {
			digests = append(digests, s)
		}
	}
	for _, s := range digests {
		if !isDigest(s) {
			return tenure.Errorf(tenure.Invalid, "%q is no digest of a certificate's", s).WithHint("it looks like sha256: and 64 hexadecimal digits")
		}
	}
	return nil
}

func isDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

var (
	methodsOfThings = []Method{LogicallyDeleted, Validated, LetGo, Kept}
	methodsOfData   = []Method{LogicallyDeleted, Validated, Pseudonymised, Anonymised, Archived, Aggregated, Kept}
	methodsOfKeys   = []Method{CryptographicErase, Clear, Purge, Destroy}
)

func (d *Departure) checkMethods() error {
	for _, r := range d.Resources {
		if err := checkItem("resource:"+string(r.ID), r.Method, r.Verdict, methodsOfThings); err != nil {
			return err
		}
	}
	keys := make(map[string]bool, len(d.Keys))
	for _, k := range d.Keys {
		if err := checkItem("key:"+k.ID, k.Method, k.Verdict, methodsOfKeys); err != nil {
			return err
		}
		keys[k.ID] = true
	}
	for _, c := range d.Classes {
		methods := methodsOfData
		if keys[c.Key] {
			methods = []Method{CryptographicErase}
		}
		if err := checkItem("class:"+c.Class, c.Method, c.Verdict, methods); err != nil {
			return err
		}
	}
	return nil
}

func checkItem(item string, m Method, v tenure.Verdict, methods []Method) error {
	if !slices.Contains(methods, m) {
		return tenure.Errorf(tenure.Invalid, "%s: %q is not said of it", item, m).
			WithHint("it may be %s", fmt.Sprint(methods))
	}
	if !slices.Contains([]tenure.Verdict{tenure.Verified, tenure.Claimed, tenure.Unknown, tenure.Failed}, v) {
		return tenure.Errorf(tenure.Invalid, "%s: %q is no verdict", item, v)
	}
	return nil
}

// checkParts checks classes against their stores, and that everything that is said to
// be verified points to a log entry that the file proves.
func (d *Departure) checkParts() error {
	for i := range d.Classes {
		if err := checkClass(&d.Classes[i]); err != nil {
			return err
		}
	}
	for _, c := range d.claims() {
		if c.settled && c.entry == "" {
			return tenure.Errorf(tenure.Invalid, "%s is said to be verified and points to no log entry", c.item)
		}
		if c.entry != "" && !slices.Contains(d.Entries, c.entry) {
			return tenure.Errorf(tenure.Invalid, "%s points to an entry that the certificate doesn't list", c.item)
		}
	}
	return nil
}

func (d *Departure) checkExceptions() error {
	open := d.Open()
	for _, a := range d.Additions {
		if a.By == "" || a.Reviewed == "" || a.By == a.Reviewed {
			return tenure.Errorf(tenure.Blocked, "the addition %s for %s needs two persons", a.Digest, a.Resource)
		}
	}
	for _, e := range d.Exceptions {
		switch {
		case e.Reason == "" || e.By == "" || e.Attested == "":
			return tenure.Errorf(tenure.Invalid, "the exception for %s needs a reason and two persons", e.What)
		case e.By == e.Attested:
			return tenure.Errorf(tenure.Blocked, "the exception for %s is attested by who asked for it", e.What)
		case strings.HasPrefix(e.What, "step:") && len(e.What) > len("step:"):
			// a step that was left out, whatever it was about: said, and covering no item
		case !slices.Contains(open, e.What):
			return tenure.Errorf(tenure.Invalid, "the exception for %s covers nothing that is open", e.What)
		}
	}
	return nil
}

// checkSteps is Blocked by an exception that was made for another step than the one
// that should have taken the thing.
func (d *Departure) checkSteps() error {
	own := make(map[string]string)
	for _, r := range d.Resources {
		own["resource:"+string(r.ID)] = r.Step
	}
	for _, c := range d.Classes {
		for i := range c.Stores {
			own[c.Stores[i].item(c.Class)] = c.Stores[i].Step
		}
	}
	for _, k := range d.Keys {
		own["key:"+k.ID] = k.Step
	}
	for _, e := range d.Exceptions {
		want, thing := own[e.What]
		switch {
		case e.Step == "":
			return tenure.Errorf(tenure.Invalid, "the exception for %s names no step", e.What)
		case strings.HasPrefix(e.What, "step:") && e.What != "step:"+e.Step, !strings.HasPrefix(e.What, "step:") && (!thing || want != e.Step):
			return tenure.Errorf(tenure.Blocked, "the exception for %s was made for step %s, which isn't the one that takes it", e.What, e.Step).
				WithHint("an exception covers the step and the thing that it names, and nothing else")
		}
	}
	return nil
}
