package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func severities() []tenure.Severity {
	return []tenure.Severity{tenure.Critical, tenure.High, tenure.Medium, tenure.Low}
}

func (a *app) tenantIncident() *cobra.Command {
	var p client.IncidentParams
	var severity, at string
	cmd := command("incident TENANT --id ID --severity SEVERITY --source SOURCE", "Report an incident of a tenant that another system saw",
		"The id is the reporting system's: the same one again changes nothing. One within 30 days of the onboarding counts in the\nfleet's figures.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Tenant, p.Body.Severity = args[0], tenure.Severity(severity)
			if at != "" {
				var err error
				if p.Body.At, err = parseDate(at); err != nil {
					return err
				}
			}
			i, err := ask(cmd.Context(), a, client.ReportIncident, p)
			if err != nil {
				return orClosed(err, args[0])
			}
			return a.show(i, func(o *page) {
				o.fields("incident", i.ID, "tenant", string(i.Tenant), "severity", string(i.Severity), "source", i.Source, "detail", i.Detail, "at", o.when(i.At))
			})
		})
	f := cmd.Flags()
	f.StringVar(&p.Body.ID, "id", "", "the reporting system's id of it")
	f.StringVar(&severity, "severity", "", "critical, high, medium or low")
	f.StringVar(&p.Body.Source, "source", "", "which system saw it")
	f.StringVar(&p.Body.Detail, "detail", "", "what was seen")
	f.StringVar(&at, "at", "", "when: a date, or RFC 3339 (default now)")
	_ = cmd.RegisterFlagCompletionFunc("severity", cobra.FixedCompletions(texts(severities()), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) tenantIncidents() *cobra.Command {
	return command("incidents TENANT", "List a tenant's incidents, the latest first", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, client.ListIncidents, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No incident was reported.")
				return
			}
			rows := make([][]string, len(list))
			for i, v := range list {
				rows[i] = []string{o.when(v.At), string(v.Severity), v.Source, v.ID, clip(v.Detail, 60)}
			}
			o.table([]string{"at", "severity", "source", "id", "detail"}, rows)
		})
	})
}
