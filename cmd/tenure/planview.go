package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// printPlan shows what a plan would do: the diff, the graph by stages, what it
// destroys, the dates, and until when each store can be brought back.
func printPlan(o *page, p *tenure.Plan, digest string) {
	from := ""
	if p.From != nil {
		from = p.From.Name + " " + p.From.Version
	}
	o.fields(
		"plan", digest,
		"kind", string(p.Kind),
		"tenant", p.Name+" ("+string(p.Tenant)+")",
		"blueprint", p.Blueprint.Name+" "+p.Blueprint.Version,
		"from", from,
		"tier", p.Tier,
		"organization", p.Organization,
		"contact", p.Contact,
		"made", o.when(p.At),
		"reason", p.Reason,
		"on failure", string(p.OnFailure),
		"exports to", p.Recipient,
		"regions", regions(p),
	)
	printDiff(o, p.Diff)
	printLosses(o, p.Losses)
	printGraph(o, p)
	printDispositions(o, p.Dispositions)
	printDates(o, p.Dates)
	if p.Destructive == 0 {
		o.line("\nNothing is destroyed.")
	} else {
		o.print("\n")
		o.loud("%d steps destroy; they are marked with !", p.Destructive)
	}
	o.line("digest %s", digest)
}

// regions says where the plan's systems stand, as far as their settings say.
func regions(p *tenure.Plan) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Regions)) {
		out = append(out, name+" in "+p.Regions[name])
	}
	return strings.Join(out, ", ")
}

// printLosses says that data loses its feature; the diff says which, and what becomes of it.
func printLosses(o *page, all []tenure.Loss) {
	for i := range all {
		if all[i].Data() {
			o.print("\n")
			o.loud("Data loses its feature, and what changes says what becomes of it: a person approves this.")
			return
		}
	}
}

func printDiff(o *page, diff []tenure.Difference) {
	if len(diff) == 0 {
		return
	}
	o.title("What changes")
	rows := make([][]string, len(diff))
	for i, d := range diff {
		rows[i] = []string{d.Resource, d.Field, d.From, d.To}
	}
	o.table([]string{"resource", "field", "from", "to"}, rows)
}

// printGraph prints the steps by stage, in the order in which the plan has them,
// each with what it needs.
func printGraph(o *page, p *tenure.Plan) {
	var stages []tenure.Stage
	by := make(map[tenure.Stage][]*tenure.Step)
	for i := range p.Steps {
		st := &p.Steps[i]
		if by[st.Stage] == nil {
			stages = append(stages, st.Stage)
		}
		by[st.Stage] = append(by[st.Stage], st)
	}
	for _, stage := range stages {
		o.title("%s", stage)
		for _, st := range by[stage] {
			needs := ""
			if len(st.Needs) > 0 {
				needs = "  <- " + list(st.Needs, 4)
			}
			if st.Destructive {
				o.loud("  ! %s: %s%s", st.Key, st.Summary, needs)
				continue
			}
			o.line("    %s: %s%s%s", st.Key, st.Summary, gateWords(st), needs)
		}
	}
}

func gateWords(st *tenure.Step) string {
	switch {
	case st.Gate != nil && st.Gate.Approvals == 1:
		return " (waits for 1 person)"
	case st.Gate != nil && st.Gate.Approvals > 1:
		return fmt.Sprintf(" (waits for %d persons)", st.Gate.Approvals)
	case st.Action.IsGate():
		return " (waits)"
	case st.Optional:
		return " (may fail)"
	}
	return ""
}

// list joins names, at most n of them.
func list(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// printDispositions says what becomes of each data class in each environment, and who won.
func printDispositions(o *page, all []tenure.DispositionDecision) {
	if len(all) == 0 {
		return
	}
	o.title("What becomes of the data")
	rows := make([][]string, len(all))
	for i, d := range all {
		rows[i] = []string{d.Class, d.Environment, string(d.Disposition), d.Because, strings.Join(d.Losers, ", ")}
	}
	o.table([]string{"data class", "environment", "disposition", "because", "overruled"}, rows)
}

func printDates(o *page, dates []tenure.Projection) {
	if len(dates) == 0 {
		return
	}
	o.title("When, as projected")
	rows := make([][]string, len(dates))
	for i, d := range dates {
		rows[i] = []string{d.What, o.when(d.At), o.when(d.Undo), d.Why}
	}
	o.table([]string{"what", "when", "can be undone until", "because"}, rows)
}
