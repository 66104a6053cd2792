package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// probedTenant is what the isolation probes of one tenant showed.
type probedTenant struct {
	Tenant string          `json:"tenant"`
	Probes []client.Probed `json:"probes"`
}

func (a *app) probe() *cobra.Command {
	var all bool
	cmd := command("probe [TENANT]", "Probe, as a tenant, that its neighbours are refused",
		"A server makes these probes once a day for each active tenant. A probe that fails makes the command end with exit code 7, one that couldn't be made with 8.",
		cobra.MaximumNArgs(1), func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == all {
				return tenure.Errorf(tenure.Invalid, "which tenant is to be probed?").WithHint("name one, or all of them: tenure probe --all")
			}
			names := args
			if all {
				list, err := listed(cmd.Context(), a, client.ListTenants, client.TenantFilter{State: tenure.TenantActive}, 0)
				if err != nil {
					return err
				}
				for _, t := range list {
					names = append(names, t.Name)
				}
			}
			out := []probedTenant{}
			for _, name := range names {
				p, err := ask(cmd.Context(), a, client.ProbeTenant, client.TenantParams{Tenant: name})
				if err != nil {
					return err
				}
				out = append(out, probedTenant{Tenant: name, Probes: p.Probes})
			}
			if err := a.show(out, func(o *page) { printProbes(o, out) }); err != nil {
				return err
			}
			return verdictOfProbes(out)
		})
	cmd.Flags().BoolVar(&all, "all", false, "every active tenant, one after the other")
	return cmd
}

func printProbes(o *page, list []probedTenant) {
	var rows [][]string
	for _, t := range list {
		for _, p := range t.Probes {
			word, what := "passed", p.Detail
			switch {
			case p.Unknown != "":
				word, what = "unknown", p.Unknown
			case !p.Passed:
				word = "failed"
			}
			rows = append(rows, []string{t.Tenant, p.System, p.Type + " " + p.Name, word, what})
		}
	}
	if len(rows) == 0 {
		o.line("There is no login to probe with.")
		return
	}
	o.table([]string{"tenant", "system", "as", "isolation", "detail"}, rows)
}

// verdictOfProbes is the error of probes that failed, or of such that weren't made.
func verdictOfProbes(list []probedTenant) error {
	failed, unknown := 0, 0
	for _, t := range list {
		for _, p := range t.Probes {
			switch {
			case p.Unknown != "":
				unknown++
			case !p.Passed:
				failed++
			}
		}
	}
	switch {
	case failed > 0:
		return tenure.Errorf(tenure.Blocked, "%d isolation probes failed", failed).WithHint("see by what: tenure drift; bring a tenant back to desired: tenure tenant repair TENANT")
	case unknown > 0:
		return tenure.Errorf(tenure.Unavailable, "%d isolation probes couldn't be made", unknown)
	}
	return nil
}
