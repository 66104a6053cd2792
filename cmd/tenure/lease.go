package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) tenantLease() *cobra.Command {
	var until string
	var lift bool
	cmd := command("lease TENANT", "Show a tenant's lease, set its end, or lift it",
		"A blueprint's lease gives trials and sandboxes an end. Before it the tenant's contact is asked once, by a link, whether to\nkeep, extend or end; without an answer the tenant is suspended. Who sets the end here, or lifts the lease, withdraws an\nopen question. What is suspended already is resumed with: tenure tenant resume.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p := client.LeaseParams{TenantParams: client.TenantParams{Tenant: args[0]}}
			p.Body.Lift = lift
			var l client.Lease
			var err error
			if until == "" && !lift {
				l, err = ask(cmd.Context(), a, client.ShowLease, p.TenantParams)
			} else {
				if until != "" {
					if p.Body.EndsAt, err = parseDate(until); err != nil {
						return err
					}
				}
				l, err = ask(cmd.Context(), a, client.SetLease, p)
			}
			if err != nil {
				return orClosed(err, args[0])
			}
			return a.show(l, func(o *page) {
				o.fields("tenant", string(l.Tenant), "state", string(l.State), "why", l.Why, "ends", o.when(l.EndsAt), "is asked", o.when(l.AskAt), "was asked", o.when(l.AskedAt),
					"answer", string(l.Answer), "extended", fmt.Sprintf("%d of %d times", l.Extended, l.Extensions), "set by", l.SetBy, "suspension", string(l.Suspension), "departure", string(l.Departure))
			})
		})
	f := cmd.Flags()
	f.StringVar(&until, "until", "", "the new end: a date, or RFC 3339")
	f.BoolVar(&lift, "lift", false, "no end at all")
	cmd.MarkFlagsMutuallyExclusive("until", "lift")
	return cmd
}

// leaseText says in a line where a lease stands.
func leaseText(o *page, l *client.Lease) string {
	switch {
	case l == nil:
		return ""
	case l.State == tenure.LeaseOver:
		return "over: " + l.Why
	case l.State == tenure.LeaseLapsed:
		return "ended " + o.when(l.EndsAt) + ", and nobody answered"
	case l.Answer != "" && l.Answer != tenure.LeaseExtend:
		return "ends " + o.when(l.EndsAt) + "; the answer: " + string(l.Answer)
	case l.AskedAt.IsZero():
		return "ends " + o.when(l.EndsAt) + "; asked " + o.when(l.AskAt)
	}
	return "ends " + o.when(l.EndsAt) + "; asked " + o.when(l.AskedAt) + ", no answer yet"
}
