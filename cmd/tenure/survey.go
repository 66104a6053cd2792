package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/survey"
)

// surveyRows is how many findings of a kind, and how many tenants, a terminal is shown.
const surveyRows = 20

func (a *app) surveyCommand() *cobra.Command {
	var ask survey.Ask
	systems, file, dormant := "", "", "P90D"
	cmd := command("survey [SYSTEM…]", "Find out which tenants exist in systems that Tenure doesn't manage yet",
		`It reads the systems of a file in the format of systems.yaml; give it read-only credentials. It creates and changes
nothing, and needs no installation. It reports which tenants exist, what belongs to each, and why; accounts and data
that a tenant left behind, things whose owner is in no customer list, rights that reach across tenants, copies that
outlive a tenant, and what that costs; and what most tenants have and one lacks. It says what it couldn't read.`,
		cobra.ArbitraryArgs, func(cmd *cobra.Command, names []string) error {
			if systems == "" {
				systems = filepath.Join(a.dir, "systems.yaml")
			}
			window, err := tenure.ParsePeriod(dormant)
			if err != nil {
				return err
			}
			ask.Now = time.Now()
			ask.Dormant = window.After(ask.Now).Sub(ask.Now)
			sources, err := installation.Sources(cmd.Context(), a.dir, systems, names)
			if err != nil {
				return err
			}
			if len(sources) == 0 {
				return tenure.Errorf(tenure.Invalid, "%s names no system", systems).WithHint("write what to look at as in docs/survey.md")
			}
			if file != "" {
				if err := isNew(file); err != nil {
					return err
				}
			}
			seen, err := survey.Look(cmd.Context(), sources, ask)
			if err != nil {
				return tenure.Errorf(tenure.Unavailable, "the survey ended early: %w", err)
			}
			r := survey.Map(seen, ask)
			if file != "" {
				var b bytes.Buffer
				if err := r.HTML(&b); err != nil {
					return err
				}
				if err := writeFile(file, b.Bytes()); err != nil {
					return err
				}
			}
			if err := a.show(r, func(o *page) { printSurvey(o, r, file) }); err != nil {
				return err
			}
			return failedSystems(r)
		})
	f := cmd.Flags()
	f.StringVar(&systems, "systems", "", "the file that names the systems (default systems.yaml of the installation)")
	f.StringSliceVar(&ask.Columns, "tenant-column", nil, "a column that holds the tenant of a row, such as org_id (default the usual names)")
	f.IntVar(&ask.Calls, "calls", 0, "the most calls to make to each system (default no limit)")
	f.StringSliceVar(&ask.Own, "own-domain", nil, "a mail domain of the platform's own staff")
	f.StringVar(&dormant, "dormant", dormant, "how long an account may be unused before it counts as dormant")
	f.StringVar(&file, "html", "", "write the report as one page to this file, which must not exist yet")
	return cmd
}

// failedSystems is an error if nothing was read of a system: the survey says less than it
// seems to.
func failedSystems(r *survey.Report) error {
	var failed []string
	for _, s := range r.Systems {
		if s.Failed != "" {
			failed = append(failed, s.Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return tenure.Errorf(tenure.Unavailable, "nothing was read of %s: the report says why", strings.Join(failed, ", "))
}

func printSurvey(o *page, r *survey.Report, file string) {
	if unseen := r.Unseen(); len(unseen) > 0 {
		o.line("Not everything was read. What is missing here may exist all the same:")
		for _, says := range unseen[:min(len(unseen), surveyRows)] {
			o.line("  %s", says)
		}
		more(o, len(unseen))
	}
	pairs := []string{"tenants", strconv.Itoa(len(r.Tenants)), "of them left", strconv.Itoa(r.Left()), "in no customer list", strconv.Itoa(r.Unlisted()), "findings", strconv.Itoa(len(r.Findings))}
	sums := map[string]int64{}
	for currency, sum := range r.Waste {
		sums[currency] = int64(sum)
	}
	if len(sums) > 0 {
		pairs = append(pairs, "a month for nothing", moneyWords(sums))
	}
	o.fields(append(pairs, "page", file)...)
	var rows [][]string
	for _, s := range r.Systems {
		rows = append(rows, []string{s.Name, s.Connector, strconv.Itoa(s.Things), s.Sight()})
	}
	o.title("Systems")
	o.table([]string{"system", "connector", "things", "read"}, rows)
	for _, g := range r.Groups() {
		o.title("%s (%d): %s", g.Title(), len(g.List), g.Means())
		found := g.Rows()
		rows = nil
		for _, f := range found[:min(len(found), surveyRows)] {
			rows = append(rows, []string{f.Tenant, f.System, f.What, f.Says})
		}
		o.table([]string{"tenant", "system", "what", "why"}, rows)
		more(o, len(found))
	}
	rows = nil
	for _, t := range r.Tenants[:min(len(r.Tenants), surveyRows)] {
		status := t.Status
		switch {
		case len(t.Listed) == 0:
			status = "in no customer list"
		case t.Left && status == "":
			status = "left"
		}
		lacks := ""
		if len(t.Lacks) > 0 {
			lacks = t.Lacks[0]
		}
		if n := len(t.Lacks); n > 1 {
			lacks += fmt.Sprintf("; and %d more", n-1)
		}
		rows = append(rows, []string{t.Name, status, strconv.Itoa(len(t.Things)), lacks})
	}
	if len(rows) > 0 {
		o.title("Tenants (%d)", len(r.Tenants))
		o.table([]string{"tenant", "status", "things", "lacks"}, rows)
		more(o, len(r.Tenants))
	}
	o.next("read all of it: tenure survey --output json, or --html FILE")
}

func more(o *page, n int) {
	if n > surveyRows {
		o.line("and %d more", n-surveyRows)
	}
}
