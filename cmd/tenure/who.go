package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) whoami() *cobra.Command {
	return command("whoami", "Say who asks, and what they may do", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		me, err := ask(cmd.Context(), a, client.ShowMe, client.None{})
		if err != nil {
			return err
		}
		return a.show(me, func(o *page) {
			kind := string(me.Kind)
			if me.Kind == tenure.CallerLocal {
				kind += ": the name is asserted, and may do everything"
			}
			o.fields("name", me.Name, "kind", kind, "principal", string(me.Principal), "token narrowed to", limitWords(me.Limit), "token only for", joined(me.Only))
			if me.Kind == tenure.CallerPerson && !me.Strong {
				o.line("The sign-in isn't a strong one: what destroys, approves or gives access out takes another.")
			}
			if len(me.Grants) > 0 {
				o.title("Grants")
				printGrants(o, me.Grants, nil)
			}
		})
	})
}

func (a *app) accessCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "access",
		Short: "Ask why somebody may do something or not, and what happened at the door",
	}, a.accessExplain(), a.accessEvents())
}

func (a *app) accessExplain() *cobra.Command {
	var p client.DecisionParams
	cmd := command("explain [NAME] PERMISSION", "Say whether somebody may do something, and why",
		"About oneself, or, for who reads access, about another: as if they were signed in strongly. Without --tenant it is asked\nof the installation. A policy that denies is named. The permissions: tenure role list.",
		cobra.RangeArgs(1, 2), func(cmd *cobra.Command, args []string) error {
			p.Body.Permission = tenure.Permission(args[len(args)-1])
			if len(args) == 2 {
				p.Body.Principal = args[0]
			}
			d, err := ask(cmd.Context(), a, client.ExplainDecision, p)
			if err != nil {
				return err
			}
			return a.show(d, func(o *page) {
				o.fields("permission", string(d.Asked), "allowed", map[bool]string{true: "yes", false: "no"}[d.Allowed], "why", d.Why,
					"role", string(d.Role), "grant", string(d.Grant), "denied by", strings.Join(d.Denied, ", "))
			})
		})
	cmd.Flags().StringVar(&p.Body.Tenant, "tenant", "", "of this tenant, by id or name")
	return cmd
}

func (a *app) accessEvents() *cobra.Command {
	var f client.AccessEventFilter
	var from string
	cmd := command("events", "List sign-ins, refusals and uses of elevated access, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		if from != "" {
			var err error
			if f.From, err = parseDate(from); err != nil {
				return err
			}
		}
		list, err := ask(cmd.Context(), a, client.ListAccessEvents, f)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such event.")
				return
			}
			rows := make([][]string, len(list))
			for i, e := range list {
				if e.Count > 0 {
					e.Principal = orElse(e.Principal, e.Address)
					e.Detail = fmt.Sprintf("%d at %s", e.Count, e.Route)
				}
				rows[i] = []string{o.when(e.At), e.Kind, e.Principal, e.Detail}
			}
			o.table([]string{"at", "kind", "who", "detail"}, rows)
		})
	})
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only those of this kind, such as signin.refused")
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only this principal's, by name")
	cmd.Flags().StringVar(&from, "from", "", "only those since: a date, or RFC 3339")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "at most this many, up to 500")
	return cmd
}

func (a *app) tenantAccess() *cobra.Command {
	return command("access TENANT", "List who and what has access to a tenant", "Grants in Tenure, and the accounts, credentials and roles of its inventory.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, client.TenantAccess, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("Nobody and nothing has access.")
				return
			}
			rows := make([][]string, len(list))
			for i, w := range list {
				rows[i] = []string{w.Kind, w.Who, w.What, w.Where, w.State, o.when(w.CreatedAt), o.when(w.ExpiresAt), w.Source}
			}
			o.table([]string{"kind", "who", "what", "where", "state", "since", "until", "from"}, rows)
		})
	})
}
