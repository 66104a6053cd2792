package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) auditRecord() *cobra.Command {
	return command("record TENANT", "Open what staff wrote of a tenant that has closed",
		"When a tenant closes, the reasons of holds, of access and of exceptions and the notes at gates are sealed under a key that is destroyed when the setting sought has passed.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), a, client.ShowRecord, client.TenantParams{Tenant: args[0]})
			if err != nil {
				return orClosed(err, args[0])
			}
			return a.show(r, func(o *page) {
				rows := make([][]string, len(r.Items))
				for i, w := range r.Items {
					rows[i] = []string{w.Of, w.ID, w.Field, w.Text}
				}
				o.table([]string{"of", "id", "field", "text"}, rows)
				o.line("It can be opened until %s.", o.when(r.ExpiresAt))
			})
		})
}
