package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) explain() *cobra.Command {
	return command("explain TENANT", "Say why a tenant's things still exist, and when they will be gone", "Dates are projections: holds and retention decide. A closed tenant is named by its id.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		all, err := ask(cmd.Context(), a, client.ExplainTenant, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		list := all.Items
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("Nothing of it is left.")
				return
			}
			rows := make([][]string, len(list))
			for i, r := range list {
				rows[i] = []string{tenure.ResourcePath(r.Environment, r.Resource), r.System, string(r.State), r.Reason, o.when(r.GoneAt), o.when(r.UndoExpiresAt)}
			}
			o.table([]string{"what", "where", "state", "why", "gone when", "can be undone until"}, rows)
		})
	})
}
