package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) storeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "store",
		Short: "See whether the store is the one that was last in use, and confirm it",
	}, a.storeShow(), a.storeConfirm())
}

func (a *app) storeShow() *cobra.Command {
	return command("show", "Tell whether the store is the one that was last in use", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		s, err := ask(cmd.Context(), a, client.ShowStore, client.None{})
		if err != nil {
			return err
		}
		return a.show(s, func(o *page) { printStore(o, s) })
	})
}

func (a *app) storeConfirm() *cobra.Command {
	p := client.ConfirmStoreParams{}
	cmd := command("confirm", "Say that the store is right",
		"Where the keystore or the witness has seen more of the log than the store has, or another log, nothing is destroyed\n"+
			"until two persons confirm the store. Before you do, put back what came after the backup: holds first. The guide\n"+
			"tells how, under \"Restore an old backup\".",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			s, err := ask(cmd.Context(), a, client.ConfirmStore, p)
			if err != nil {
				return err
			}
			return a.show(s, func(o *page) { printStore(o, s) })
		})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "where the store is from, and what was put back")
	return cmd
}

func printStore(o *page, s client.Store) {
	if len(s.Doubts) == 0 {
		o.line("Nothing speaks against the store.")
		return
	}
	for _, d := range s.Doubts {
		o.loud("in doubt: %s", d.Reason)
		by := "nobody"
		if len(d.ConfirmedBy) > 0 {
			by = strings.Join(d.ConfirmedBy, ", ")
		}
		o.fields("confirmed by", fmt.Sprintf("%s (%d of %d)", by, len(d.ConfirmedBy), d.Need))
	}
	o.line("What destroys, and what a date makes due, waits until %d persons confirm the store.", s.Doubts[0].Need)
	o.next("tenure store confirm --reason …")
}
