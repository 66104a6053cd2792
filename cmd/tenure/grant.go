package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) grant() *cobra.Command {
	return group(&cobra.Command{
		Use:   "grant",
		Short: "Give roles over tenants, and take them back",
		Long: "A grant gives a principal a role over all tenants, or those that it names by id, tier or label. Nobody gives a role to\n" +
			"themselves, and roles that conflict are never one principal's (tenure role list).",
	}, a.grantList(), a.grantGive(), a.grantRevoke())
}

func (a *app) grantList() *cobra.Command {
	var f client.GrantFilter
	cmd := command("list", "List grants", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		s, err := a.reading(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		list, err := client.ListGrants.Call(ctx, s.Client, f)
		if err != nil {
			return err
		}
		ids := map[tenure.PrincipalID]bool{}
		for _, g := range list {
			ids[g.Principal] = true
		}
		who, err := a.namesFor(ctx, s, ids)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such grant.")
				return
			}
			printGrants(o, list, who)
		})
	})
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only this principal's, by id or name")
	cmd.Flags().BoolVar(&f.Ended, "ended", false, "revoked ones too")
	return cmd
}

func (a *app) grantGive() *cobra.Command {
	var p client.NewGrantParams
	var over scopeFlags
	var until string
	cmd := command("give NAME ROLE --all-tenants", "Give a principal a role", "Over all tenants, or over those that --tenant, --tier and --label name together.", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		p.Body.Principal, p.Body.Role = args[0], tenure.Role(args[1])
		if until != "" {
			var err error
			if p.Body.ExpiresAt, err = parseEnd(until, a.now()); err != nil {
				return err
			}
		}
		s, err := a.writing(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		if p.Body.Scope, err = over.scope(ctx, s); err != nil {
			return err
		}
		g, err := client.GiveGrant.Call(ctx, s.Client, p)
		if err == nil {
			err = s.carryOn(ctx, "")
		}
		if err != nil {
			return err
		}
		return a.show(g, func(o *page) {
			o.fields("grant", string(g.ID), "whose", args[0], "role", string(g.Role), "over", g.Scope.String(), "reason", g.Reason,
				"given", o.when(g.At)+" by "+g.By, "until", o.when(g.ExpiresAt))
		})
	})
	over.add(cmd)
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why; it is kept with the grant")
	cmd.Flags().StringVar(&until, "until", "", "when it ends: a date, RFC 3339, or how far away, such as 30d or 2h (default never)")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return texts(tenure.Roles), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

func (a *app) grantRevoke() *cobra.Command {
	return command("revoke GRANT", "Take a role back at once", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return gone(cmd, a, client.RevokeGrant, client.GrantID{Grant: args[0]}, args[0])
	})
}

// revoked says what was ended.
type revoked struct {
	Revoked string `json:"revoked"` // its id
}

// gone ends something that answers with nothing.
func gone[P any](cmd *cobra.Command, a *app, e client.Endpoint[P, client.None], p P, id string) error {
	if _, err := ask(cmd.Context(), a, e, p); err != nil {
		return err
	}
	return a.show(revoked{id}, func(o *page) { o.line("%s is revoked.", id) })
}

func printGrants(o *page, list []tenure.Grant, who names) {
	headers := []string{"id", "whose", "role", "over", "given", "by", "until", "revoked", "reason"}
	rows := make([][]string, len(list))
	for i, g := range list {
		over := g.Scope.String()
		switch {
		case g.BreakGlass:
			over += ", by break-glass " + string(g.Elevation)
		case g.Elevation != "":
			over += ", by " + string(g.Elevation)
		case g.Delegator != "":
			over += ", delegated by " + g.Delegator
		}
		rows[i] = []string{string(g.ID), who.of(g.Principal), string(g.Role), over, o.when(g.At), g.By, o.when(g.ExpiresAt), o.when(g.RevokedAt), clip(g.Reason, 40)}
	}
	if who == nil { // they are one principal's
		headers = slices.Delete(headers, 1, 2)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
	}
	o.table(headers, rows)
}

func (a *app) role() *cobra.Command {
	return group(&cobra.Command{
		Use:   "role",
		Short: "See what the roles let",
	}, a.roleList())
}

func (a *app) roleList() *cobra.Command {
	return command("list", "List the roles, what they let, and which are never one principal's", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, client.ListRoles, client.None{})
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			for i, r := range list {
				if i > 0 {
					o.print("\n")
				}
				var never []string
				for _, other := range tenure.Roles {
					if why := r.Conflicts[other]; why != "" {
						never = append(never, string(other)+" ("+why+")")
					}
				}
				o.fields("role", string(r.Role), "lets", joined(r.Permissions), "never with", strings.Join(never, ", "))
			}
		})
	})
}
