package site

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// certificate shows a certificate to read and print, checked as anybody can check
// its file.
func (v *visit) certificate() error {
	p := client.CertificateParams{TenantParams: client.TenantParams{Tenant: v.PathValue("tenant")}, Certificate: v.PathValue("certificate")}
	file, err := ask(v, client.FetchCertificate, p)
	if err != nil {
		return err
	}
	key, err := ask(v, client.VerifierKey, client.None{})
	if err != nil {
		return err
	}
	list, err := ask(v, client.ListCertificates, p.TenantParams)
	if err != nil {
		return err
	}
	view := certificateView(file.Content, key.Key)
	for _, c := range list.Items {
		if c.Digest == view.Digest {
			view.ID = string(c.ID)
		}
	}
	view.Download = strings.TrimSuffix(v.URL.EscapedPath(), "/view")
	if t, err := ask(v, client.ShowTenant, p.TenantParams); err == nil && t.Name != "" {
		view.Tenant = t.Name
	}
	return v.show(dashboard.AreaTenants, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Certificate(w, f, view) })
}

// certificateView is a certificate's file for people. What can't be read of a
// broken one is left out, and the page says that it doesn't verify.
func certificateView(file []byte, key string) dashboard.CertificateView {
	rep, err := evidence.Verify(file, key)
	d := &rep.Departure
	view := dashboard.CertificateView{
		Kind: string(d.Kind), Tenant: d.Tenant.Name, Organization: d.Tenant.Organization, Installation: string(d.Installation), Issued: d.Issued, Digest: rep.Digest, Plan: d.Plan, InterimOf: d.Interim,
		Valid: err == nil, Verify: "tenure certificate verify certificate.json --key '" + key + "'",
	}
	if strings.HasPrefix(view.Tenant, "sha256:") { // the name is only bound by its digest, so that it can be forgotten
		view.Tenant = string(d.Tenant.ID)
	}
	view.Statement = "Nothing of this tenant remains."
	if d.Kind == evidence.Interim {
		view.Statement = "Everything of this tenant is erased but for copies that expire by themselves."
	}
	if d.LegalReason {
		view.Statement += " Some of it was " + tenure.KeptForLegalReason + "."
	}
	if len(d.Exceptions) > 0 {
		view.Statement += " The exceptions are listed."
	}
	view.ValidSays = plural(len(rep.Checks), "check was", "checks were") + " made: the signature, what it may say, and each log entry that it rests on."
	if err != nil {
		view.ValidSays = err.Error()
	}
	for _, a := range d.Approvals {
		view.Signatures = append(view.Signatures, dashboard.Signature{By: a.By, Step: a.Gate, At: a.At})
	}
	for _, m := range d.Timeline {
		st := dashboard.StatusOf(m.State)
		view.Timeline = append(view.Timeline, dashboard.Moment{At: m.At, What: dashboard.Ref{Label: st.Word}, Tone: st.Tone, Icon: st.Icon})
	}
	certifiedInto(&view, d)
	for _, e := range d.Exceptions {
		what, step := strings.CutPrefix(e.What, "step:")
		row := dashboard.ExceptionRow{Step: what, Reason: e.Reason, By: e.By, Second: e.Attested}
		if step {
			view.LeftOut = append(view.LeftOut, row)
		} else {
			view.Exceptions = append(view.Exceptions, row)
		}
	}
	return view
}

func certifiedInto(view *dashboard.CertificateView, d *evidence.Departure) {
	for _, r := range d.Resources {
		row := dashboard.CertifiedRow{What: strings.TrimSpace(r.Type + " " + brief(r.Name)), Where: strings.Trim(r.System+"/"+r.Environment, "/"), Method: string(r.Method), Verdict: string(r.Verdict), At: r.At, Note: r.Detail}
		if r.Count > 0 {
			row.Note = strings.TrimPrefix(row.Note+"; "+plural(int(r.Count), "thing was in it", "things were in it"), "; ")
		}
		view.Resources = append(view.Resources, row)
	}
	for _, c := range d.Classes {
		row := dashboard.CertifiedRow{What: c.Class, Where: string(c.Disposition), Method: string(c.Method), Verdict: string(c.Verdict), At: c.At, Note: c.Because}
		switch stays, counted := c.Stays(); {
		case !counted:
			row.Note, row.Until = "what stays wasn't counted; "+row.Note, c.KeptUntil
		case stays != (evidence.Amount{}):
			row.Note, row.Until = stays.Words()+" stay; "+row.Note, c.KeptUntil
		}
		view.Classes = append(view.Classes, row)
	}
	for _, k := range d.Keys {
		row := dashboard.CertifiedRow{What: strings.TrimSpace(k.Purpose + " " + k.Class), Where: k.ID, Method: string(k.Method), Verdict: string(k.Verdict), At: k.At}
		if len(k.Copies) > 0 {
			row.Until = slices.MaxFunc(k.Copies, func(a, b evidence.Backup) int { return a.Expires.Compare(b.Expires) }).Expires
		}
		view.Keys = append(view.Keys, row)
	}
	for i := range d.Remnants {
		view.Remnants = append(view.Remnants, remnantRow(&d.Remnants[i], d.Issued))
	}
	for i := range d.Vendors {
		view.Vendors = append(view.Vendors, vendorRow(&d.Vendors[i]))
	}
	for _, a := range d.Artifacts {
		view.Artifacts = append(view.Artifacts, dashboard.ArtifactRow{Name: brief(a.Name), Outcome: a.Outcome, By: a.By, At: a.At})
	}
	for _, b := range d.Backups {
		view.Resources = append(view.Resources, remainder("backup", b.Where, b.Expires))
	}
	for _, t := range d.Tokens {
		view.Resources = append(view.Resources, remainder("token that can't be recalled", t.What, t.Until))
	}
}

// remnantRow is one line of what may physically be left.
func remnantRow(r *evidence.Remnant, issued time.Time) dashboard.RemnantRow {
	row := dashboard.RemnantRow{Kind: strings.ReplaceAll(string(r.Kind), "-", " "), System: r.System, Says: r.Says, Until: r.Until, Source: r.Source}
	switch {
	case r.Attested != "":
		row.Done, row.At = fmt.Sprintf("attested: %s, by %s", r.Task, r.Attested), r.At
	case !r.Cleaned.IsZero():
		row.Done, row.At = "cleaned", r.Cleaned
	}
	row.Open = r.Until.IsZero() && !r.Ended(issued)
	return row
}

// vendorRow is one line of what companies say.
func vendorRow(v *evidence.Vendor) dashboard.VendorRow {
	row := dashboard.VendorRow{Company: v.Company, Holds: v.Holds, Says: tenure.VendorReply{Answer: v.Answer, Until: v.Until, Reason: v.Reason}.Says(), Verdict: string(v.Verdict), By: strings.TrimSpace(v.By + " " + v.Role), At: v.At, Evidence: brief(v.Evidence)}
	if v.Recorded != "" {
		row.By += ", put down by " + v.Recorded
	}
	return row
}

// brief shortens a name that is only there as a digest.
func brief(name string) string {
	if strings.HasPrefix(name, "sha256:") && len(name) > 19 {
		return name[:19] + "…"
	}
	return name
}

// remainder is something that expires by itself.
func remainder(what, where string, until time.Time) dashboard.CertifiedRow {
	return dashboard.CertifiedRow{What: what, Where: where, Method: "expires by itself", Verdict: "waiting", Until: until}
}
