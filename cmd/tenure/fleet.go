package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) fleet() *cobra.Command {
	return command("fleet", "Show the state of all tenants that you may see", "Onboardings are those of the last 90 days; costs are shown to those who see every tenant.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		f, err := ask(cmd.Context(), a, client.ShowFleet, client.None{})
		if err != nil {
			return err
		}
		return a.show(f, func(o *page) { printFleet(o, f) })
	})
}

func printFleet(o *page, f client.Fleet) {
	o.fields("tenants", fmt.Sprint(f.Tenants), "by state", counted(tenure.TenantStates, f.ByState), "by tier", inCommon(f.ByTier), "by blueprint", inCommon(f.ByRevision),
		"held", fmt.Sprint(f.Held), "waiting", fmt.Sprint(f.Waiting)+", for a date or a person", "stuck", fmt.Sprint(f.StuckAll), "leaving", fmt.Sprint(f.LeavingAll),
		"findings", orElse(counted(severities(), f.Findings), "none"), "onboarding", onboardingWords(f.Onboarding), "counted", o.when(f.CountedAt))
	if c := f.Cost; c != nil {
		o.fields("a month", "running "+moneyWords(c.Running)+"; stopped "+moneyWords(c.Stopped)+"; orphaned "+moneyWords(c.Orphaned), "unused for 90 days", fmt.Sprintf("%d tenants, %s a month", c.UnusedTenants, moneyWords(c.Unused)), "as of", o.when(c.At))
	}
	for _, part := range []struct {
		title string
		list  []client.FleetOperation
	}{{"Stuck", f.Stuck}, {"Leaving", f.Leaving}} {
		if len(part.list) == 0 {
			continue
		}
		o.title("%s", part.title)
		rows := make([][]string, len(part.list))
		for i, op := range part.list {
			rows[i] = []string{op.TenantName, string(op.TenantState), string(op.Kind), string(op.State), clip(op.Reason, 60), o.when(op.UpdatedAt), o.when(op.DueAt), string(op.ID)}
		}
		o.table([]string{"tenant", "its state", "kind", "state", "why", "since", "goes on", "operation"}, rows)
	}
}

// counted are the counts that aren't zero, in the order of what is counted.
func counted[K ~string, N int | int64](order []K, n map[K]N) string {
	var out []string
	for _, k := range order {
		if n[k] != 0 {
			out = append(out, fmt.Sprintf("%s %d", k, n[k]))
		}
	}
	return strings.Join(out, ", ")
}

func inCommon(list []client.FleetCount) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = fmt.Sprintf("%s: %d", c.Name, c.Count)
	}
	return strings.Join(out, ", ")
}

func onboardingWords(f client.OnboardingFigures) string {
	if f.Runs == 0 {
		return "none since " + f.StartsAt.UTC().Format(time.DateOnly)
	}
	s := fmt.Sprintf("%d since %s, %d failed", f.Runs, f.StartsAt.UTC().Format(time.DateOnly), f.Failed)
	s += fmt.Sprintf(", %d expired, %d rejected, %d withdrawn; p50 %s, p95 %s", f.Expired, f.Rejected, f.Withdrawn, seconds(f.P50), seconds(f.P95))
	if f.Settled > 0 {
		s += fmt.Sprintf("; %d of %d with an incident within 30 days", f.Incidents, f.Settled)
	}
	return s
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

// moneyWords are amounts in hundredths, by currency.
func moneyWords(minor map[string]int64) string {
	var out []string
	for _, currency := range slices.Sorted(maps.Keys(minor)) {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d.%02d %s", minor[currency]/100, minor[currency]%100, currency)))
	}
	return orElse(strings.Join(out, " + "), "nothing")
}
