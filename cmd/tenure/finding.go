package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) drift() *cobra.Command {
	return a.look("drift", "Compare live with desired, in every system", "Nothing has drifted.")
}

func (a *app) sweep() *cobra.Command {
	return a.look("sweep", "Look for what no inventory knows, and for what closed tenants left", "Nothing is there that the inventory doesn't know.")
}

func (a *app) look(kind, what, fine string) *cobra.Command {
	var p client.LookParams
	var fail bool
	p.Body.Kind = kind
	cmd := command(kind, what, "A system that couldn't be looked at makes the command end with exit code 8.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		look, err := ask(cmd.Context(), a, client.LookAt, p)
		if err != nil {
			return err
		}
		if err := a.show(look, func(o *page) { printLook(o, look, fine) }); err != nil {
			return err
		}
		return verdictOf(look, fail, a.now())
	})
	cmd.Flags().StringVar(&p.Body.Tenant, "tenant", "", "only this tenant")
	cmd.Flags().BoolVar(&fail, "fail", false, "end with exit code 7 if a finding is critical or high, and isn't waived")
	return cmd
}

// verdictOf is the error of a look that saw too little, or of one that must fail.
func verdictOf(look client.Look, fail bool, now time.Time) error {
	if len(look.Dead) > 0 {
		return tenure.Errorf(tenure.Unavailable, "these systems couldn't be looked at: %s", strings.Join(slices.Sorted(maps.Keys(look.Dead)), ", ")).WithHint("see why: tenure system list")
	}
	bad := 0
	for _, f := range look.Findings {
		if f.Open(now) && (f.Severity == tenure.Critical || f.Severity == tenure.High) {
			bad++
		}
	}
	if !fail || bad == 0 {
		return nil
	}
	err := tenure.Errorf(tenure.Blocked, "%d findings are critical or high", bad)
	for _, hint := range settles(look.Findings, now) {
		err = err.WithHint("%s", hint)
	}
	return err
}

// settles are the commands that settle what a look found.
func settles(found []tenure.Finding, now time.Time) (out []string) {
	for _, f := range found {
		hint := ""
		switch {
		case !f.Open(now) || f.Severity != tenure.Critical && f.Severity != tenure.High:
			continue
		case f.Kind == tenure.FindingResidue && f.Tenant != "":
			hint = "take away what a closed tenant has again: tenure tenant supplement " + string(f.Tenant)
		case f.Kind == tenure.FindingUncovered:
			hint = "cover what nothing covers in a revision, or for one tenant: tenure tenant cover TENANT"
		case f.Kind == tenure.FindingGhost, f.Kind == tenure.FindingOrphan:
			hint = "see what settles each: tenure finding show FINDING"
		case f.Kind == tenure.FindingDrift, f.Kind == tenure.FindingExposure:
			hint = "bring a tenant back to desired: tenure tenant repair TENANT"
		default:
			hint = "see what each is, and waive what may be: tenure finding waive FINDING"
		}
		if !slices.Contains(out, hint) {
			out = append(out, hint)
		}
	}
	return out
}

func printLook(o *page, look client.Look, fine string) {
	rows := make([][]string, 0, len(look.Systems)+len(look.Dead))
	for _, s := range look.Systems {
		trust := "proven"
		if !s.Trusted {
			trust = "not proven: " + s.Reason
		}
		rows = append(rows, []string{s.System, fmt.Sprint(s.Checked), fmt.Sprint(s.Findings), trust})
	}
	for _, name := range slices.Sorted(maps.Keys(look.Dead)) {
		rows = append(rows, []string{name, "0", "0", "not looked at: " + look.Dead[name]})
	}
	if len(rows) == 0 {
		o.line("No system was added yet: tenure system add NAME")
		return
	}
	o.table([]string{"system", "checked", "findings", "absence"}, rows)
	o.print("\n")
	switch {
	case len(look.Findings) > 0:
		printFindings(o, look.Findings)
	case len(look.Dead) == 0:
		o.line("%s", fine)
	}
}

func printFindings(o *page, list []tenure.Finding) {
	rows := make([][]string, len(list))
	for i, f := range list {
		what := f.Detail
		if f.Field != "" && f.Want+f.Got != "" {
			what = fmt.Sprintf("%s (%s: want %s, got %s)", what, f.Field, clip(orNothing(f.Want), 60), clip(orNothing(f.Got), 60))
		}
		kind := string(f.Kind)
		if f.Confidence != "" {
			kind += " (" + string(f.Confidence) + ")"
		}
		rows[i] = []string{string(f.Severity), kind, f.System, strings.TrimSpace(f.Type + " " + f.Name), what, o.when(f.SeenAt), o.when(f.WaivedUntil), string(f.ID)}
	}
	o.table([]string{"severity", "kind", "system", "what", "detail", "seen", "waived until", "id"}, rows)
}

// orNothing is one side of a comparison as a person reads it.
func orNothing(s string) string { return cmp.Or(s, "nothing") }

func (a *app) finding() *cobra.Command {
	return group(&cobra.Command{
		Use:   "finding",
		Short: "List findings, see what settles each, and waive some for a while",
	}, a.findingList(), a.findingShow(), a.findingWaive())
}

func (a *app) findingList() *cobra.Command {
	var f client.FindingFilter
	cmd := command("list", "List what is open, the worst first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListFindings, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No finding is open. Look again: tenure drift, tenure sweep")
				return
			}
			printFindings(o, list)
		})
	})
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only those of this tenant")
	cmd.Flags().BoolVar(&f.Waived, "waived", false, "waived ones too")
	return cmd
}

func (a *app) findingShow() *cobra.Command {
	return command("show FINDING", "Show a finding, and what settles it", "What bears Tenure's own mark is taken away by a plan. Anything else is a person's to take away: the steps are printed, and\nTenure does none of them.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		d, err := ask(cmd.Context(), a, client.ShowFinding, client.FindingID{Finding: args[0]})
		if err != nil {
			return err
		}
		return a.show(d, func(o *page) {
			f := d.Finding
			o.fields("finding", string(f.ID), "kind", string(f.Kind), "severity", string(f.Severity), "whose it is", string(f.Confidence), "tenant", string(f.Tenant), "system", f.System,
				"what", strings.TrimSpace(f.Type+" "+f.Name), "seen", o.when(f.SeenAt), "waived until", o.when(f.WaivedUntil))
			o.line("%s", f.Detail)
			o.title("What settles it")
			if d.Repair.Plan != "" {
				o.line("Plan it: %s", d.Repair.Plan)
			}
			for i, s := range d.Repair.Steps {
				o.line("%d. %s", i+1, s)
			}
			o.line("%s", d.Repair.Checked)
		})
	})
}

// waived is what waive says that it did.
type waived struct {
	ID     string    `json:"id"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

func (a *app) findingWaive() *cobra.Command {
	var until, reason string
	cmd := command("waive FINDING --until DATE --reason REASON", "Let a finding be until a date", "The date is at most a year away; a period such as P30D counts from now.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		at, err := a.parseUntil(until)
		if err != nil {
			return err
		}
		p := client.WaiveParams{Finding: args[0]}
		p.Body.ExpiresAt, p.Body.Reason = at, reason
		if _, err := ask(cmd.Context(), a, client.WaiveFinding, p); err != nil {
			return err
		}
		return a.show(waived{args[0], at, reason}, func(o *page) { o.line("%s is waived until %s.", args[0], o.when(at)) })
	})
	cmd.Flags().StringVar(&until, "until", "", "a date, or a period from now such as P30D")
	cmd.Flags().StringVar(&reason, "reason", "", "why it may be")
	return cmd
}

// parseUntil reads a date, or a period from now.
func (a *app) parseUntil(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, tenure.Errorf(tenure.Invalid, "a waiver needs an end").WithHint("say until when: --until 2027-01-31 or --until P30D")
	}
	if strings.HasPrefix(s, "P") {
		p, err := tenure.ParsePeriod(s)
		if err != nil {
			return time.Time{}, err
		}
		return p.After(a.now()), nil
	}
	return parseDate(s)
}
