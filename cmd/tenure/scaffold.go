package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) blueprintScaffold() *cobra.Command {
	var p client.ScaffoldParams
	out := ""
	cmd := command("scaffold --system SYSTEM", "Draft a first blueprint from what stands in a system",
		"It reads the system's own catalog, and no rows: which tables have the tenant column, which follow them by references,\nwhich are shared. Each choice has its reason in a comment, and what a person must decide stands at the top. The draft\nparses; it can be published there as it is, or says in comments what stands in the way.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if p.System == "" {
				return tenure.Errorf(tenure.Invalid, "the system is missing").WithHint("tenure blueprint scaffold --system SYSTEM --tenant-column COLUMN")
			}
			d, err := ask(cmd.Context(), a, client.ScaffoldBlueprint, p)
			if err != nil {
				return err
			}
			if out != "" {
				if err := isNew(out); err != nil {
					return err
				}
				if err := writeFile(out, []byte(d.Source)); err != nil {
					return err
				}
			} else if a.output == "human" {
				if _, err := a.out.Write([]byte(d.Source)); err != nil {
					return tenure.Errorf(tenure.Unavailable, "print: %w", err)
				}
				return nil
			}
			return a.show(d, func(o *page) {
				o.fields("draft", out, "tables of tenants", strconv.Itoa(d.Tables), "shared tables", strconv.Itoa(d.Shared), "references decided", strconv.Itoa(d.Links), "tables that nothing ties to a tenant", strconv.Itoa(d.Untied), "to decide", strconv.Itoa(d.Open+len(d.Blocks)))
				for _, s := range d.Blocks {
					o.loud("stands in the way: %s", s)
				}
				o.next("read it, decide what stands under TO DECIDE, then: tenure blueprint submit " + out)
			})
		})
	f := cmd.Flags()
	f.StringVar(&p.System, "system", "", "the system, as systems.yaml calls it")
	f.StringVar(&p.Column, "tenant-column", "", "the column that says whose a row is, such as org_id")
	f.StringVar(&p.Name, "name", "", "the blueprint's name (default the system's)")
	f.StringVar(&out, "out", "", "write the draft to this file, which mustn't be there yet")
	return cmd
}
