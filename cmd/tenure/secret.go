package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) secret() *cobra.Command {
	return group(&cobra.Command{
		Use:   "secret",
		Short: "See how old credentials are, whose they are, and when each is due for rotation",
	}, a.secretList())
}

func (a *app) secretList() *cobra.Command {
	var f client.SecretFilter
	cmd := command("list", "List the credentials of systems and tenants, never their values",
		"A tenant's is due when its blueprint's rotate has passed since it was made, a system's by rotate in systems.yaml. Rotate a\ntenant's with tenure tenant repair TENANT --overdue, a system's with tenure system rotate SYSTEM.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			list, err := listed(cmd.Context(), a, client.ListSecrets, f, 0)
			if err != nil {
				return err
			}
			return a.show(list, func(o *page) { printSecrets(o, list) })
		})
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only those of this tenant")
	cmd.Flags().BoolVar(&f.Overdue, "overdue", false, "only those that should have been rotated by now")
	return cmd
}

func printSecrets(o *page, list []client.Secret) {
	if len(list) == 0 {
		o.line("There is no such credential.")
		return
	}
	rows := make([][]string, len(list))
	for i, s := range list {
		whose, what := s.TenantName, tenure.ResourcePath(s.Environment, s.Key)
		if s.Of == "system" {
			whose, what = "Tenure", s.Name
		}
		due := o.when(s.DueAt)
		if s.Overdue {
			due += " (overdue)"
		}
		rows[i] = []string{whose, what, s.System, strings.TrimSpace(s.Type), o.when(s.MadeAt), o.when(s.RotatedAt), s.Owner, due, string(s.Operation)}
	}
	o.table([]string{"whose", "of", "system", "type", "made", "rotated", "owner", "due", "operation"}, rows)
}
