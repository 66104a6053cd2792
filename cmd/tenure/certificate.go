package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/evidence"
)

func (a *app) certificate() *cobra.Command {
	return group(&cobra.Command{
		Use:   "certificate",
		Short: "Fetch and verify certificates",
		Long:  "A certificate says what became of each thing of a tenant's, signed, with proofs that the audit log holds it.",
	}, a.certificateList(), a.certificateShow(), a.certificateVerify(), a.certificateAnnex(), a.certificateKey())
}

func (a *app) certificateList() *cobra.Command {
	return command("list TENANT", "List a tenant's certificates", "A closed tenant is named by its id.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		all, err := ask(cmd.Context(), a, client.ListCertificates, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		list := all.Items
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No certificate was issued yet. See how far it is: tenure explain %s", args[0])
				return
			}
			rows := make([][]string, len(list))
			for i, c := range list {
				rows[i] = []string{c.Kind, o.when(c.IssuedAt), string(c.ID), c.Digest}
			}
			o.table([]string{"kind", "issued", "id", "digest"}, rows)
		})
	})
}

func (a *app) certificateShow() *cobra.Command {
	var p client.CertificateParams
	var kind, out string
	cmd := command("show TENANT", "Show a certificate, or write its file",
		"With --output json, or --out, it is the certificate's file, byte for byte. A closed tenant is named by its id.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			if k := evidence.Kind(kind); k != "" && k != evidence.Interim && k != evidence.Closing && k != evidence.Supplementary {
				return tenure.Errorf(tenure.Invalid, "there is no %q certificate", kind).WithHint("--kind interim, closing or supplementary")
			}
			p.Tenant, p.Certificate = args[0], orElse(kind, "latest")
			f, err := a.fetch(cmd.Context(), p)
			if err != nil {
				return orClosed(err, args[0])
			}
			if out != "" {
				if err := writeFile(out, f.Content); err != nil {
					return err
				}
			} else if a.output == "json" {
				if _, err := a.out.Write(f.Content); err != nil {
					return tenure.Errorf(tenure.Unavailable, "print: %w", err)
				}
				return nil
			}
			key, err := ask(cmd.Context(), a, client.VerifierKey, client.None{})
			if err != nil {
				return err
			}
			rep, err := evidence.Verify(f.Content, key.Key)
			if err != nil {
				return err
			}
			return a.show(rep, func(o *page) {
				printDeparture(o, rep)
				if out != "" {
					o.line("\nwritten to %s", out)
				}
			})
		})
	cmd.Flags().StringVar(&kind, "kind", "", "interim, closing or supplementary (default the latest)")
	cmd.Flags().StringVar(&out, "out", "", "write the file here")
	return cmd
}

// fetch asks for a certificate's file. Putting it together signs a checkpoint, so
// that the folder is opened for writing where no server runs.
func (a *app) fetch(ctx context.Context, p client.CertificateParams) (client.File, error) {
	s, err := a.writing(ctx)
	if err != nil {
		return client.File{}, err
	}
	defer s.close()
	return client.FetchCertificate.Call(ctx, s.Client, p)
}

// writeFile puts a file in place in one step.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tenure-*")
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return tenure.Errorf(tenure.Unavailable, "write %s: %w", path, err)
	}
	return nil
}

func (a *app) certificateAnnex() *cobra.Command {
	var kind, out string
	cmd := command("annex TENANT --out FILE", "Write the auditor's annex of a certificate: the history of the holds",
		"The certificate itself tells the customer no matter, person or scope of a hold; it has the annex's digest. Verify them together: tenure certificate verify FILE --annex ANNEX.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return tenure.Errorf(tenure.Invalid, "an annex is written to a file").WithHint("--out FILE")
			}
			f, err := ask(cmd.Context(), a, client.FetchAnnex, client.CertificateParams{TenantParams: client.TenantParams{Tenant: args[0]}, Certificate: orElse(kind, "latest")})
			if err != nil {
				return err
			}
			if err := writeFile(out, f.Content); err != nil {
				return err
			}
			return a.show(map[string]string{"digest": tenure.Digest(f.Content), "file": out}, func(o *page) { o.line("written to %s", out) })
		})
	cmd.Flags().StringVar(&kind, "kind", "", "of the interim, closing or supplementary certificate (default the latest)")
	cmd.Flags().StringVar(&out, "out", "", "write the file here")
	return cmd
}

func (a *app) certificateVerify() *cobra.Command {
	var key, annex string
	cmd := command("verify FILE --key KEY", "Verify a certificate's file, offline",
		"Needs the file and the verifier key: no server, no store, no installation. Any changed byte makes it fail.",
		cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
			if key == "" {
				return tenure.Errorf(tenure.Invalid, "a certificate is verified with a key").WithHint("give the installation's verifier key: --key FILE, or its text; who issued it prints it with: tenure certificate key")
			}
			text, err := readKey(key)
			if err != nil {
				return err
			}
			file, err := a.readCertificate(args[0])
			if err != nil {
				return err
			}
			rep, bad := evidence.Verify(file, text)
			if bad == nil && annex != "" {
				bad = a.verifyAnnex(rep, annex)
			}
			err = a.show(rep, func(o *page) {
				for _, c := range rep.Checks {
					if c.OK {
						o.line("ok      %s: %s", c.Name, c.Detail)
					} else {
						o.loud("FAILED  %s: %s", c.Name, c.Detail)
					}
				}
				if bad == nil {
					o.print("\n")
					printDeparture(o, rep)
				}
			})
			if bad != nil {
				return bad
			}
			return err
		})
	cmd.Flags().StringVar(&key, "key", "", "the verifier key, or a file that holds it")
	cmd.Flags().StringVar(&annex, "annex", "", "the auditor's annex, to check that it is this certificate's")
	return cmd
}

// verifyAnnex adds to a report whether a file is the certificate's annex.
func (a *app) verifyAnnex(rep *evidence.Report, path string) error {
	file, err := a.readCertificate(path)
	if err != nil {
		return err
	}
	x, err := evidence.CheckAnnex(file, &rep.Departure)
	c := evidence.Check{Name: "its annex", OK: err == nil}
	if err != nil {
		c.Detail = err.Error()
	} else {
		c.Detail = fmt.Sprintf("the certificate has its digest; %d holds", len(x.Holds))
	}
	rep.Checks = append(rep.Checks, c)
	return err
}

// maxCertificate bounds a certificate's file, which grows with the entries that
// it proves.
const maxCertificate = 256 << 20

func (a *app) readCertificate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return nil, tenure.Errorf(tenure.NotFound, "there is no file %s", path)
	case err != nil:
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
	case info.Size() > maxCertificate:
		return nil, tenure.Errorf(tenure.Invalid, "%s is too long for a certificate", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
	}
	return b, nil
}

func printDeparture(o *page, rep *evidence.Report) {
	d := rep.Departure
	o.fields("certificate", string(d.Kind), "tenant", string(d.Tenant.ID), "issued", o.when(d.Issued), "installation", string(d.Installation),
		"operation", string(d.Operation), "plan", d.Plan, "digest", rep.Digest, "interim", d.Interim, "closing", d.Closing, "witness", d.Witness)
	if len(d.Approvals) > 0 {
		o.title("Signed by")
		rows := make([][]string, len(d.Approvals))
		for i, ap := range d.Approvals {
			rows[i] = []string{ap.Gate, ap.By, o.when(ap.At)}
		}
		o.table([]string{"gate", "who", "when"}, rows)
	}
	o.title("Resources")
	rows := make([][]string, len(d.Resources))
	for i, r := range d.Resources {
		rows[i] = []string{r.Environment, r.System, r.Type, string(r.Method), string(r.Verdict), fmt.Sprint(r.Count), o.when(r.At), string(r.ID)}
	}
	o.table([]string{"environment", "system", "type", "method", "verdict", "count", "when", "id"}, rows)
	if len(d.Classes) > 0 {
		o.title("Data classes")
		rows = nil
		for _, c := range d.Classes {
			stays, counted := c.Stays()
			left := stays.Words()
			if !counted {
				left = "not counted"
			}
			went := evidence.Amount{Rows: c.Rows, Objects: c.Objects, LargeObjects: c.LargeObjects, Bytes: c.Bytes}
			rows = append(rows, []string{c.Class, string(c.Method), string(c.Verdict), went.Words(), left, o.when(c.KeptUntil), c.Because})
		}
		o.table([]string{"class", "method", "verdict", "went", "stays", "kept until", "because"}, rows)
	}
	printPortions(o, d)
	for _, b := range d.Backups {
		o.line("still to expire: %s at %s", b.Where, o.when(b.Expires))
	}
	printRemnants(o, d)
	printVendors(o, d)
	printArtifacts(o, d)
	for _, x := range d.Additions {
		o.line("covered for this tenant alone: %s of %s (asked by %s, reviewed by %s)", x.Digest, x.Resource, x.By, x.Reviewed)
	}
	for _, text := range rep.Unproven {
		o.loud("not proven by a certificate of this format: %s", text)
	}
	for _, e := range d.Exceptions {
		o.loud("exception: %s: %s (asked by %s, attested by %s)", e.What, e.Reason, e.By, e.Attested)
	}
}

// printPortions shows what there was of each class in each store, and what went.
func printPortions(o *page, d evidence.Departure) {
	where := make(map[tenure.ResourceID]string)
	for _, r := range d.Resources {
		where[r.ID] = strings.TrimSpace(r.System+" "+r.Type+" "+r.Environment) + " " + string(r.ID)
	}
	var rows [][]string
	for _, c := range d.Classes {
		for _, p := range c.Stores {
			before := "not counted"
			if !p.Counted.IsZero() {
				before = p.Before.Words()
			}
			gone := p.Gone.Words()
			if p.AtLeast {
				gone = "at least " + gone
			}
			rows = append(rows, []string{c.Class, where[p.Resource], before, gone, fmt.Sprint(p.Detached), string(p.Method), string(p.Verdict), o.when(p.At)})
		}
	}
	if len(rows) == 0 {
		return
	}
	o.title("What went, by store")
	o.table([]string{"class", "store", "before", "went", "references of others that became null", "method", "verdict", "when"}, rows)
}

// printRemnants shows what the systems physically keep of what was deleted.
func printRemnants(o *page, d evidence.Departure) {
	if len(d.Remnants) == 0 {
		return
	}
	rows := make([][]string, len(d.Remnants))
	for i, r := range d.Remnants {
		done := ""
		switch {
		case r.Attested != "":
			done = fmt.Sprintf("attested by %s %s: %s", r.Attested, o.when(r.At), r.Task)
		case !r.Cleaned.IsZero():
			done = "cleaned " + o.when(r.Cleaned)
		}
		rows[i] = []string{r.System, string(r.Kind), cmp.Or(r.Says, "nothing seen"), remnantEnd(o, &r, d.Issued), done, r.Source}
	}
	o.title("What may physically be left")
	o.table([]string{"system", "kind", "what", "until", "done", "follows"}, rows)
}

// printArtifacts shows what became of what others go on using.
func printArtifacts(o *page, d evidence.Departure) {
	if len(d.Artifacts) == 0 {
		return
	}
	rows := make([][]string, len(d.Artifacts))
	for i, a := range d.Artifacts {
		rows[i] = []string{a.Item, short(a.Name), a.Outcome, a.By, o.when(a.At)}
	}
	o.title("Artifacts that others go on using")
	o.table([]string{"item", "name", "outcome", "by", "when"}, rows)
}

// remnantEnd says until when a remnant is there.
func remnantEnd(o *page, r *evidence.Remnant, issued time.Time) string {
	switch {
	case !r.Until.IsZero():
		return o.when(r.Until)
	case r.Ended(issued):
		return ""
	}
	return "no date is known"
}

func (a *app) certificateKey() *cobra.Command {
	return command("key", "Print the verifier key", "The public key that certificates and checkpoints of this installation are verified with.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		k, err := ask(cmd.Context(), a, client.VerifierKey, client.None{})
		if err != nil {
			return err
		}
		return a.show(k, func(o *page) { o.line("%s", k.Key) })
	})
}
