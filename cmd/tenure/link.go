package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) tenantLink() *cobra.Command {
	var p client.LinkParams
	cmd := command("link TENANT --days N", "Make a link by which a leaving customer, or a stakeholder, sees the departure",
		"Who has the link needs no account: it shows where the departure stands, the export, what remains and the certificate.\nA stakeholder sees the checklist, and none of the customer's data. It is printed this once.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Tenant = args[0]
			l, err := ask(cmd.Context(), a, client.MakeLink, p)
			if err != nil {
				return orClosed(err, args[0])
			}
			t, err := a.target()
			if err != nil {
				return err
			}
			return a.show(l, func(o *page) {
				o.fields("link", string(l.ID), "tenant", string(l.Tenant), "ends", o.when(l.ExpiresAt), "address", strings.TrimSuffix(t.Server, "/")+l.Path)
				if t.Server == "" {
					o.line("The address begins with the server's own: https://…%s", l.Path)
				}
				o.line("It is shown this once.")
			})
		})
	cmd.Flags().StringVar(&p.Body.Audience, "for", "customer", "customer or stakeholder")
	cmd.Flags().IntVar(&p.Body.Days, "days", 30, "how many days it is good for, up to 400")
	return cmd
}

func (a *app) tenantLinks() *cobra.Command {
	return command("links TENANT", "List a tenant's departure links", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, client.ListLinks, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no departure link. Make one: tenure tenant link TENANT --days 30")
				return
			}
			rows := make([][]string, len(list))
			for i, l := range list {
				rows[i] = []string{string(l.ID), l.Audience, l.CreatedBy, o.when(l.CreatedAt), o.when(l.ExpiresAt), o.when(l.SeenAt), o.when(l.RevokedAt)}
			}
			o.table([]string{"id", "for", "made by", "made", "ends", "last seen", "revoked"}, rows)
		})
	})
}

func (a *app) tenantUnlink() *cobra.Command {
	return command("unlink TENANT LINK", "Revoke a departure link at once", "", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
		return gone(cmd, a, client.RevokeLink, client.LinkID{TenantParams: client.TenantParams{Tenant: args[0]}, Link: args[1]}, args[1])
	})
}
