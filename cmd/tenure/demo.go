package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/demo"
)

func (a *app) demo() *cobra.Command {
	var folder, postgres string
	var exit bool
	c := command("demo [--folder DIR] [--postgres DSN] [--exit]", "Play a whole tenant's life on a sample platform",
		"Sets up a sample low-code platform on SQLite and files (or one on PostgreSQL), lets three tenants move in, repairs\n"+
			"drift, stops an erasure by a legal hold, takes one tenant through its retention windows under a fast clock, and\n"+
			"verifies its certificate offline. What it claims it has seen itself in the files and tables. Then it leaves the\n"+
			"dashboard open on loopback until it is interrupted, with people of different roles to sign in as.\n"+
			"On PostgreSQL it makes a database tenure_demo and roles t_alder_…, t_birch_… and t_cedar_…, and drops those of an\n"+
			"earlier demo first.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if folder == "" {
				var err error
				if folder, err = os.MkdirTemp("", "tenure-demo-"); err != nil {
					return tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
				}
			}
			if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
				return tenure.Errorf(tenure.Conflict, "the folder %s isn't empty", folder).WithHint("name an empty or a new one: --folder DIR")
			}
			return demo.Run(cmd.Context(), demo.Options{Dir: folder, Postgres: postgres, Exit: exit, Out: a.out})
		})
	c.Flags().StringVar(&folder, "folder", "", "where everything goes (default a new temporary folder, which stays)")
	c.Flags().StringVar(&postgres, "postgres", "", "play on the PostgreSQL server of this address instead, as a role that may make databases and roles")
	c.Flags().BoolVar(&exit, "exit", false, "end after the story, for scripts")
	_ = c.MarkFlagDirname("folder")
	return c
}
