package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) sessionCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "session",
		Short: "List signed-in browsers, and sign them out",
	}, a.sessionList(), a.sessionRevoke())
}

func (a *app) sessionList() *cobra.Command {
	var f client.TokenFilter
	cmd := command("list", "List signed-in browsers: your own, or everybody's if you may read access", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		s, err := a.reading(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		list, err := client.ListSessions.Call(ctx, s.Client, f)
		if err != nil {
			return err
		}
		ids := map[tenure.PrincipalID]bool{}
		for _, v := range list {
			ids[v.Principal] = true
		}
		who, err := a.namesFor(ctx, s, ids)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No browser is signed in.")
				return
			}
			rows := make([][]string, len(list))
			for i, v := range list {
				rows[i] = []string{string(v.ID), who.of(v.Principal), v.Method, map[bool]string{true: "yes", false: "no"}[v.Strong], clip(v.Agent, 40), o.when(v.SeenAt), o.when(v.ExpiresAt)}
			}
			o.table([]string{"id", "whose", "signed in with", "strong", "browser", "last seen", "ends"}, rows)
		})
	})
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only this principal's, by id or name")
	return cmd
}

func (a *app) sessionRevoke() *cobra.Command {
	return command("revoke SESSION", "Sign a browser out", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return gone(cmd, a, client.RevokeSession, client.SessionID{Session: args[0]}, args[0])
	})
}
