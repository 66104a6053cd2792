package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) principal() *cobra.Command {
	return group(&cobra.Command{
		Use:   "principal",
		Short: "Add persons and machines, and keep them out",
		Long: "A person signs in with an identity provider or a token; a machine has tokens, and a person who answers for it.\n" +
			"Neither may do anything before a role is given: tenure grant give.",
	}, a.principalList(), a.principalShow(), a.principalAdd(),
		a.principalChange("disable NAME", "Keep a principal out at once", "Their tokens and sessions end, and don't come back when the principal is enabled again.", true),
		a.principalChange("enable NAME", "Let in a principal who is disabled or waits", "They sign in anew, and need new tokens. One whose name looks like another's waits for this, by another admin than who added it.", false))
}

func (a *app) principalList() *cobra.Command {
	var limit int
	cmd := command("list", "List persons and machines, by name", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListPrincipals, client.PrincipalFilter{}, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no principal. Add one: tenure principal add NAME --kind person")
				return
			}
			rows := make([][]string, len(list))
			for i, p := range list {
				rows[i] = []string{p.Name, string(p.Kind), p.Owner, p.Email, stateOf(p), o.when(p.SeenAt), string(p.ID)}
			}
			o.table([]string{"name", "kind", "answered for by", "email", "state", "last seen", "id"}, rows)
		})
	})
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this many (default all)")
	return cmd
}

func stateOf(p client.Principal) string {
	switch {
	case p.Waiting:
		return "waiting"
	case p.Disabled:
		return "disabled"
	}
	return "active"
}

func (a *app) principalShow() *cobra.Command {
	return command("show NAME", "Show a principal with their grants", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p, err := ask(cmd.Context(), a, client.ShowPrincipal, client.PrincipalID{Principal: args[0]})
		if err != nil {
			return err
		}
		return a.show(p, func(o *page) {
			printPrincipal(o, p)
			o.title("Grants")
			if len(p.Grants) == 0 {
				o.line("There are none.")
				return
			}
			printGrants(o, p.Grants, nil)
		})
	})
}

func (a *app) principalAdd() *cobra.Command {
	var p client.NewPrincipalParams
	var kind string
	cmd := command("add NAME --kind KIND", "Add a person or a machine", "The name is unique for ever, in all its spellings: the log knows them by it. One that looks like another's waits until another admin enables it. The address, once verified, is what a person signs in with; it is one principal's.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Body.Name, p.Body.Kind = args[0], tenure.CallerKind(kind)
			made, err := ask(cmd.Context(), a, client.AddPrincipal, p)
			if err != nil {
				return err
			}
			return a.show(made, func(o *page) {
				printPrincipal(o, made)
				if made.Waiting {
					o.line("The name looks like another's. Another admin than you lets it in.")
					o.next("another admin: tenure principal enable " + made.Name)
					return
				}
				o.next("tenure grant give " + made.Name + " ROLE --all-tenants")
			})
		})
	f := cmd.Flags()
	f.StringVar(&kind, "kind", string(tenure.CallerPerson), "person or machine")
	f.StringVar(&p.Body.Email, "email", "", "of a person: the address that they sign in with")
	f.StringVar(&p.Body.Owner, "owner", "", "of a machine: the person who answers for it")
	f.StringVar(&p.Body.Display, "display", "", "how to call them on pages")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"person", "machine"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) principalChange(use, short, long string, disabled bool) *cobra.Command {
	return command(use, short, long, cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		change := client.PrincipalChange{PrincipalID: client.PrincipalID{Principal: args[0]}}
		change.Body.Disabled = disabled
		p, err := ask(cmd.Context(), a, client.ChangePrincipal, change)
		if err != nil {
			return err
		}
		return a.show(p, func(o *page) { printPrincipal(o, p) })
	})
}

func printPrincipal(o *page, p client.Principal) {
	signsIn := ""
	if p.Bound {
		signsIn = "with " + p.Issuer
	}
	o.fields("principal", string(p.ID), "name", p.Name, "called", p.Display, "kind", string(p.Kind), "state", stateOf(p), "answered for by", p.Owner,
		"email", p.Email, "signs in", signsIn, "added", o.when(p.CreatedAt)+" by "+p.CreatedBy, "last seen", o.when(p.SeenAt))
}

// names are principals' names by their ids, as far as the caller may read them: a
// listing shows the id of the others.
type names map[tenure.PrincipalID]string

func (n names) of(id tenure.PrincipalID) string { return orElse(n[id], string(id)) }

// namesFor asks who the principals of a listing are, where a person reads it.
func (a *app) namesFor(ctx context.Context, s *session, ids map[tenure.PrincipalID]bool) (names, error) {
	out := names{}
	if a.output == "json" || len(ids) == 0 {
		return out, nil
	}
	me, err := client.ShowMe.Call(ctx, s.Client, client.None{})
	if err != nil {
		return nil, err
	}
	if me.Principal != "" {
		out[me.Principal] = me.Name
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if out[id] != "" {
			continue
		}
		p, err := client.ShowPrincipal.Call(ctx, s.Client, client.PrincipalID{Principal: string(id)})
		switch tenure.CodeOf(err) {
		case "":
			out[id] = p.Name
		case tenure.Forbidden, tenure.NotFound:
			return out, nil
		default:
			return nil, err
		}
	}
	return out, nil
}
