package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) delegation() *cobra.Command {
	return group(&cobra.Command{
		Use:   "delegation",
		Short: "Let others give your approvals for a while",
		Long: "The delegate may approve what the delegator may, for 90 days at most, and can't hand it on. While it stands the two count\n" +
			"as one person: neither signs what the other requested, and their approvals at one gate count once.",
	}, a.delegationGive(), a.delegationList(), a.delegationRevoke())
}

func (a *app) delegationGive() *cobra.Command {
	var p client.NewDelegation
	var from, until string
	var over scopeFlags
	b := &p.Body
	cmd := command("give PERSON --until DATE --reason REASON", "Let another person give your approvals for a while", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		b.To = args[0]
		var err error
		if b.ExpiresAt, err = parseDate(until); err != nil {
			return err
		}
		if from != "" {
			if b.StartsAt, err = parseDate(from); err != nil {
				return err
			}
		}
		s, err := a.writing(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		if b.Scope, err = over.scope(cmd.Context(), s); err != nil {
			return err
		}
		d, err := client.Delegate.Call(cmd.Context(), s.Client, p)
		if err != nil {
			return err
		}
		return a.show(d, func(o *page) { printDelegation(o, d) })
	})
	f := cmd.Flags()
	over.add(cmd)
	f.StringVar(&b.Reason, "reason", "", "why")
	f.StringVar(&from, "from", "", "when it begins: a date, or RFC 3339 (default now)")
	f.StringVar(&until, "until", "", "when it ends: a date, or RFC 3339; within 90 days")
	return cmd
}

func (a *app) delegationList() *cobra.Command {
	var f client.DelegationFilter
	cmd := command("list", "List one's own delegations, given and got", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListDelegations, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no delegation.")
				return
			}
			rows := make([][]string, len(list))
			for i, d := range list {
				rows[i] = []string{string(d.ID), d.From, d.To, d.Scope.String(), o.when(d.StartsAt), o.when(d.EndsAt), d.Reason, o.when(d.RevokedAt)}
			}
			o.table([]string{"DELEGATION", "FROM", "TO", "OVER", "BEGINS", "ENDS", "REASON", "REVOKED"}, rows)
		})
	})
	cmd.Flags().BoolVar(&f.All, "all", false, "everybody's, for who reads access")
	cmd.Flags().BoolVar(&f.Ended, "ended", false, "those that are over too")
	return cmd
}

func (a *app) delegationRevoke() *cobra.Command {
	return command("revoke DELEGATION", "End a delegation at once", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		d, err := ask(cmd.Context(), a, client.RevokeDelegation, client.DelegationParams{Delegation: args[0]})
		if err != nil {
			return err
		}
		return a.show(d, func(o *page) { printDelegation(o, d) })
	})
}

func printDelegation(o *page, d tenure.Delegation) {
	o.fields("delegation", string(d.ID), "from", d.From, "to", d.To, "over", d.Scope.String(), "begins", o.when(d.StartsAt), "ends", o.when(d.EndsAt),
		"reason", d.Reason, "revoked", o.when(d.RevokedAt), "revoked by", d.RevokedBy)
}
