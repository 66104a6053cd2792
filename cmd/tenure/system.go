package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) system() *cobra.Command {
	return group(&cobra.Command{
		Use:   "system",
		Short: "Add the systems that tenants live in, and look at them",
		Long:  "A system is described in systems.yaml and then added, which plants Tenure's sentinel there and records who it is.",
	}, a.systemAdd(), a.systemList(), a.systemCheck(), a.systemRotate())
}

func (a *app) systemAdd() *cobra.Command {
	var p client.AddSystemParams
	cmd := command("add SYSTEM", "Add a system of systems.yaml",
		"Adding it again changes nothing. One that is now another system than the recorded one is refused, unless --replace\nsays that this is meant.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Body.Name = args[0]
			sys, err := ask(cmd.Context(), a, client.AddSystem, p)
			if err != nil {
				return err
			}
			return a.show(sys, func(o *page) {
				o.fields("system", sys.Name, "connector", sys.Connector+" "+sys.Version, "fingerprint", sys.Fingerprint, "added", o.when(sys.AddedAt)+" by "+sys.AddedBy)
			})
		})
	cmd.Flags().BoolVar(&p.Body.Replace, "replace", false, "confirm that the system was replaced on purpose")
	return cmd
}

func (a *app) systemRotate() *cobra.Command {
	return command("rotate SYSTEM", "Use the credential that is now kept for a system",
		"Reads the system's credential again from where systems.yaml says that it is kept. Another one takes over once it is seen to\nwork: what is under way ends on the old one. One that the system refuses isn't taken over, and the old one goes on.\nA server does this by itself once a minute, and at once when it is refused. An environment variable stays as it was\nwhen the server began: keep what is to be rotated in a file or a vault.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), a, client.RotateSystem, client.RotateSystemParams{System: args[0]})
			if err != nil {
				return err
			}
			return a.show(r, func(o *page) {
				if r.Changed {
					o.line("System %s is used with the new credential.", r.System)
				} else {
					o.line("The credential of system %s is the one in use: nothing has changed where it is kept.", r.System)
				}
			})
		})
}

func (a *app) systemList() *cobra.Command {
	return command("list", "List the added systems, with a look at each", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		all, err := ask(cmd.Context(), a, client.ListSystems, client.None{})
		if err != nil {
			return err
		}
		list := all.Items
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No system was added yet. Describe it in systems.yaml, then: tenure system add NAME")
				return
			}
			rows := make([][]string, len(list))
			for i, s := range list {
				state := "well"
				if !s.Well {
					state = "not well: " + s.Reason
				}
				rows[i] = []string{s.Name, s.Connector, state, s.Fingerprint, o.when(s.AddedAt), s.AddedBy}
			}
			o.table([]string{"system", "connector", "state", "fingerprint", "added", "by"}, rows)
		})
	})
}
