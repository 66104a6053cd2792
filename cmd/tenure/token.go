package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) token() *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Make tokens, list and revoke them",
		Long: "A token speaks in its principal's name, so that a person's is made by that person alone, and a machine's by who answers\n" +
			"for it or an admin. It ends within 366 days, may be for less than its principal may do, and is never shown again.",
	}, a.tokenList(), a.tokenMake(), a.tokenRevoke())
}

func (a *app) tokenList() *cobra.Command {
	var f client.TokenFilter
	cmd := command("list", "List tokens: your own and your machines', or everybody's if you may read access", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		s, err := a.reading(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		list, err := client.ListTokens.Call(ctx, s.Client, f)
		if err != nil {
			return err
		}
		ids := map[tenure.PrincipalID]bool{}
		for _, t := range list {
			ids[t.Principal] = true
		}
		who, err := a.namesFor(ctx, s, ids)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such token.")
				return
			}
			rows := make([][]string, len(list))
			for i, t := range list {
				rows[i] = []string{string(t.ID), who.of(t.Principal), t.Name, limitWords(t.Limit), joined(t.Only), o.when(t.ExpiresAt), o.when(t.UsedAt), t.CreatedBy}
			}
			o.table([]string{"id", "whose", "name", "narrowed to", "only for", "ends", "last used", "made by"}, rows)
		})
	})
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only this principal's, by id or name")
	return cmd
}

// limitWords are a token's limit; one that narrows nothing has none.
func limitWords(s tenure.Scope) string {
	if s.IsZero() {
		return ""
	}
	return s.String()
}

func (a *app) tokenMake() *cobra.Command {
	var p client.NewTokenParams
	var only []string
	var over scopeFlags
	var expires string
	cmd := command("make [PRINCIPAL] --name NAME", "Make a token; its text is printed this once",
		"For oneself, or for a machine that one answers for. --only and the scope narrow what it may do; they never widen.",
		cobra.MaximumNArgs(1), func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			for _, v := range only {
				p.Body.Only = append(p.Body.Only, tenure.Permission(v))
			}
			if len(args) > 0 {
				p.Body.Principal = args[0]
			}
			var err error
			if p.Body.ExpiresAt, err = parseEnd(expires, a.now()); err != nil {
				return err
			}
			s, err := a.writing(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			if p.Body.Limit, err = over.scope(ctx, s); err != nil {
				return err
			}
			t, err := client.MakeToken.Call(ctx, s.Client, p)
			if err == nil {
				err = s.carryOn(ctx, "")
			}
			if err != nil {
				return err
			}
			return a.show(t, func(o *page) {
				o.fields("id", string(t.ID), "name", t.Name, "narrowed to", limitWords(t.Limit), "only for", joined(t.Only), "ends", o.when(t.ExpiresAt), "token", t.Token)
				o.line("The token is shown this once. Use it: TENURE_TOKEN, or tenure context set NAME --token-file FILE")
			})
		})
	over.add(cmd)
	f := cmd.Flags()
	f.StringVar(&p.Body.Name, "name", "", "what it is for")
	f.StringVar(&expires, "expires", "30d", "when it ends: how far away, such as 30d or 2h, a date, or RFC 3339")
	f.StringSliceVar(&only, "only", nil, "only for this permission, such as tenant.read (may be repeated)")
	return cmd
}

func (a *app) tokenRevoke() *cobra.Command {
	return command("revoke TOKEN", "End a token at once", "The token is named by its id.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return gone(cmd, a, client.RevokeToken, client.TokenID{Token: args[0]}, args[0])
	})
}
