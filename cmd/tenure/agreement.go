package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) agreement() *cobra.Command {
	return group(&cobra.Command{
		Use:   "agreement",
		Short: "Keep data sharing agreements and export grants of tenants",
		Long:  "An agreement stands in the tenant's inventory and in access reviews. It ends at its date, by hand, or when the tenant's access is cut.",
	}, a.agreementAdd(), a.agreementList(), a.agreementEnd())
}

func (a *app) agreementAdd() *cobra.Command {
	var p client.NewAgreementParams
	var starts, until string
	cmd := command("add TENANT --party PARTY", "Write an agreement down", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		b := &p.Body
		b.Tenant = args[0]
		var err error
		if b.ExpiresAt, err = untilMoment(until, a.now()); err != nil {
			return err
		}
		if starts != "" {
			if b.StartsAt, err = parseDate(starts); err != nil {
				return err
			}
		}
		g, err := ask(cmd.Context(), a, client.AddAgreement, p)
		if err != nil {
			return err
		}
		return a.show(g, func(o *page) { printAgreements(o, []tenure.Agreement{g}) })
	})
	f := cmd.Flags()
	f.StringVar((*string)(&p.Body.Kind), "kind", "sharing", "sharing, or export for an export grant")
	f.StringSliceVar(&p.Body.Parties, "party", nil, "with whom: an organization or a system (may be repeated)")
	f.StringSliceVar(&p.Body.Classes, "class", nil, "which data classes (may be repeated)")
	f.StringVar(&p.Body.Purpose, "purpose", "", "what for")
	f.StringVar(&starts, "from", "", "since when: a date, or RFC 3339 (default now)")
	f.StringVar(&until, "until", "", "until when: a date, RFC 3339, or a period such as P1Y")
	return cmd
}

func (a *app) agreementList() *cobra.Command {
	var f client.AgreementFilter
	cmd := command("list", "List agreements", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListAgreements, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No agreement stands.")
				return
			}
			printAgreements(o, list)
		})
	})
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only this tenant's")
	cmd.Flags().BoolVar(&f.Ended, "ended", false, "ended ones too")
	return cmd
}

func (a *app) agreementEnd() *cobra.Command {
	var p client.EndAgreementParams
	cmd := command("end AGREEMENT --reason REASON", "End an agreement before its date", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Agreement = args[0]
		g, err := ask(cmd.Context(), a, client.EndAgreement, p)
		if err != nil {
			return err
		}
		return a.show(g, func(o *page) { printAgreements(o, []tenure.Agreement{g}) })
	})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why")
	return cmd
}

func printAgreements(o *page, list []tenure.Agreement) {
	rows := make([][]string, len(list))
	for i, g := range list {
		ended := ""
		if !g.EndedAt.IsZero() {
			ended = o.when(g.EndedAt) + ": " + g.EndedWhy
		}
		rows[i] = []string{string(g.ID), string(g.Kind), strings.Join(g.Parties, ", "), strings.Join(g.Classes, ", "), g.Purpose, o.when(g.ExpiresAt), ended}
	}
	o.table([]string{"id", "kind", "with", "classes", "purpose", "until", "ended"}, rows)
}
