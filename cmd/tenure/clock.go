package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) clockCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "clock",
		Short: "See whether the time can be relied on, and confirm it",
	}, a.clockShow(), a.clockConfirm())
}

func (a *app) clockShow() *cobra.Command {
	return command("show", "Tell the server's time, and whether it can be relied on", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		c, err := ask(cmd.Context(), a, client.ShowClock, client.None{})
		if err != nil {
			return err
		}
		return a.show(c, func(o *page) { printClock(o, c) })
	})
}

func (a *app) clockConfirm() *cobra.Command {
	said := ""
	cmd := command("confirm", "Say that the clock is right",
		"After a jump of over an hour, a gap of over 72 hours, or without a heartbeat file, nothing is destroyed and nothing\n"+
			"happens that a date alone makes due until somebody confirms the time. Look at another clock first. Without --time it\n"+
			"confirms the time of this machine, which the server's clock must agree with to within an hour.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			p := client.ConfirmTimeParams{}
			p.Body.At = a.now().UTC()
			if said != "" {
				t, err := time.Parse(time.RFC3339, said)
				if err != nil {
					return tenure.Errorf(tenure.Invalid, "%q is no moment", said).WithHint("write it like 2027-01-31T12:00:00Z")
				}
				p.Body.At = t.UTC()
			}
			before, err := ask(cmd.Context(), a, client.ShowClock, client.None{})
			if err != nil {
				return err
			}
			c, err := ask(cmd.Context(), a, client.ConfirmTime, p)
			if err != nil {
				return err
			}
			return a.show(c, func(o *page) {
				if d := before.Doubt; d != nil {
					o.line("It was in doubt: %s.", d.Reason)
				}
				printClock(o, c)
			})
		})
	cmd.Flags().StringVar(&said, "time", "", "what time it is (RFC 3339)")
	return cmd
}

func printClock(o *page, c client.ServerClock) {
	o.fields("time", c.At.UTC().Format(time.RFC3339))
	switch {
	case c.Virtual:
		o.line("Somebody sets this clock: it is never in doubt.")
	case c.Doubt == nil:
		o.line("The time can be relied on.")
	default:
		o.loud("in doubt: %s", c.Doubt.Reason)
		o.line("What destroys, and what a date makes due, waits until somebody confirms the time.")
		o.next("tenure clock confirm")
	}
}
