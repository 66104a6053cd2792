package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) tenantKnown() *cobra.Command {
	var p client.KnownByParams
	var clear bool
	cmd := command("known TENANT", "Set what other systems know a tenant by",
		"Accounts that bear one of the external ids, or have an address in one of the domains, are held to be the tenant's: they are\nghosts once it has left. A domain is one that the customer has shown to be its own; those below it don't count. What is given\ntakes the place of all that was there; without a flag it is printed. When the tenant has closed, keyed digests stay for as long\nas its places are looked at.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			change := clear || len(p.Body.Domains)+len(p.Body.ExternalIDs) > 0
			s, err := a.connect(ctx, !change)
			if err != nil {
				return err
			}
			defer s.close()
			p.Tenant = args[0]
			have, err := client.ShowTenant.Call(ctx, s.Client, p.TenantParams)
			if err != nil {
				return orClosed(err, args[0])
			}
			t := have.Tenant
			if change {
				p.IfMatch = strconv.Quote(strconv.FormatInt(t.Version, 10))
				if t, err = client.SetKnownBy.Call(ctx, s.Client, p); err != nil {
					return err
				}
				if err := s.carryOn(ctx, ""); err != nil {
					return err
				}
			}
			return a.show(t.KnownBy, func(o *page) {
				o.fields("tenant", t.Name+" ("+string(t.ID)+")", "mail domains", orElse(strings.Join(t.KnownBy.Domains, ", "), "none"), "external ids", orElse(strings.Join(t.KnownBy.ExternalIDs, ", "), "none"))
			})
		})
	cmd.Flags().StringSliceVar(&p.Body.Domains, "domain", nil, "a mail domain; may be repeated")
	cmd.Flags().StringSliceVar(&p.Body.ExternalIDs, "external-id", nil, "what another system calls the customer; may be repeated")
	cmd.Flags().BoolVar(&clear, "none", false, "take away all that is there")
	return cmd
}
