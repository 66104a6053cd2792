package main

import (
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/register"
)

func (a *app) datamapRecord() *cobra.Command {
	var p client.BlueprintParams
	file, format, out := "", "md", ""
	cmd := command("record --blueprint BLUEPRINT", "Write the record of processing activities (GDPR, article 30)",
		"It is drawn up from a blueprint and from the file under review: an activity for each data class. What neither says is\nsaid to be not known; purposes, data subjects, recipients and the like may stand under record in the file.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			switch {
			case p.Blueprint == "":
				return tenure.Errorf(tenure.Invalid, "the blueprint is missing").WithHint("tenure datamap record --blueprint NAME")
			case format != "md" && format != "csv":
				return tenure.Errorf(tenure.Invalid, "--format is %q, not md or csv", format)
			}
			f, err := a.readRegister(file, false)
			if err != nil {
				return err
			}
			b, err := ask(cmd.Context(), a, client.ShowBlueprint, p)
			if err != nil {
				return err
			}
			var body tenure.Blueprint
			if err := json.Unmarshal(b.Body, &body); err != nil {
				return tenure.Errorf(tenure.Internal, "read blueprint %s: %w", p.Blueprint, err)
			}
			r := register.Of(body, f)
			text := r.Markdown()
			if format == "csv" {
				if text, err = r.CSV(); err != nil {
					return err
				}
			}
			switch {
			case out != "":
				if err := writeFile(out, text); err != nil {
					return err
				}
			case a.output == "human":
				if _, err := a.out.Write(text); err != nil {
					return tenure.Errorf(tenure.Unavailable, "print: %w", err)
				}
				return nil
			}
			return a.show(r, func(o *page) {
				o.fields("record", out, "activities", strconv.Itoa(len(r.Activities)), "columns not decided", strconv.Itoa(len(r.Undecided)))
			})
		})
	f := cmd.Flags()
	f.StringVar(&p.Blueprint, "blueprint", "", "the revision: a digest, name@version, or a name for the latest published one")
	f.StringVar(&file, "file", "", "the file under review; without it no column's data is known")
	f.StringVar(&format, "format", "md", "how to write it: md or csv")
	f.StringVar(&out, "out", "", "write it to this file")
	return cmd
}
