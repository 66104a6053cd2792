package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) systemCheck() *cobra.Command {
	of := ""
	cmd := command("check SYSTEM", "Check which rights Tenure's role has there, lacks, and has beyond need",
		"The system needn't have been added yet. It changes nothing. A right that is missing makes the command end with exit code 7;\none beyond need, or one that only some features need, is a warning.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p := client.CheckSystemParams{System: args[0]}
			if err := a.blueprintOf(&p, of); err != nil {
				return err
			}
			c, err := ask(cmd.Context(), a, client.CheckSystem, p)
			if err != nil {
				return err
			}
			if err := a.show(c, func(o *page) { printCheck(o, c) }); err != nil {
				return err
			}
			return verdictOfCheck(c)
		})
	cmd.Flags().StringVar(&of, "blueprint", "", "check what this blueprint asks for too: a file, NAME or NAME@VERSION")
	return cmd
}

// blueprintOf fills in the blueprint: a file's source where there is such a file, or the
// name is one of a file.
func (a *app) blueprintOf(p *client.CheckSystemParams, of string) error {
	at, err := os.Stat(of)
	file := err == nil && at.Mode().IsRegular() || of == "-" || slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(of))
	if !file {
		p.Body.Blueprint = of
		return nil
	}
	src, err := a.readFile(of)
	p.Body.File, p.Body.Source = filepath.Base(of), string(src)
	return err
}

func printCheck(o *page, c client.SystemCheck) {
	identified := map[string]string{"recorded": "yes, it is the system that was added", "not_added": "it wasn't added yet", "stranger": "no: " + c.Stranger}[c.Identity]
	words := map[string]string{"yes": "yes", "no": "no", "untold": "not told by this system: review by hand, docs/system-accounts.md"}
	beyond := words[c.Beyond]
	if c.Untold != "" {
		beyond += " (" + c.Untold + ")"
	}
	o.fields("system", c.System, "connector", c.Connector, "server", c.Version, "role", c.Role, "reachable", "yes", "identified", identified, "enough rights", words[c.Enough], "more than needed", beyond)
	if !c.Checked {
		o.line("Connector %s has nothing to check.", c.Connector)
		return
	}
	var rows [][]string
	for _, r := range c.Rights {
		rows = append(rows, []string{r.State, r.Name, r.For})
	}
	o.table([]string{"right", "name", "for"}, rows)
	for _, n := range c.Notes {
		o.line("note: %s", n)
	}
	for _, title := range []struct{ state, text string }{{"missing", "To grant what is missing"}, {"optional", "To grant what only some features need"}, {"beyond", "To take away what goes beyond need"}} {
		first := true
		for _, r := range c.Rights {
			if r.State != title.state {
				continue
			}
			if first {
				o.title("%s:", title.text)
			}
			first = false
			o.line("  %s;", r.Fix)
		}
	}
}

// verdictOfCheck is Blocked while a right is missing.
func verdictOfCheck(c client.SystemCheck) error {
	missing := 0
	for _, r := range c.Rights {
		if r.State == "missing" {
			missing++
		}
	}
	if missing > 0 {
		return tenure.Errorf(tenure.Blocked, "Tenure's role %s lacks rights in system %s: %d", c.Role, c.System, missing).
			WithHint("run the statements in its database as a superuser, or as who may grant them; then check again")
	}
	return nil
}
