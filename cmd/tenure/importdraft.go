package main

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/proposal"
	"github.com/tenurehq/tenure/internal/source"
	"github.com/tenurehq/tenure/internal/survey"
)

// drafted is what became of a draft.
type drafted struct {
	File      string   `json:"file"`
	Resources int      `json:"resources"`
	Rows      int      `json:"rows"` // resources of rows in shared tables
	Open      []string `json:"toDecide"`
	Blocks    []string `json:"blocks"` // what keeps it from being published
}

func (a *app) importDraft() *cobra.Command {
	report, name, file := "", "existing-platform", ""
	cmd := command("draft", "Draft a blueprint from a survey",
		"It takes what most tenants have, under names that follow from what the tenant is called, and the tables that tenants share,\nand says why of each. It contacts no system and needs no installation.",
		cobra.NoArgs, func(*cobra.Command, []string) error {
			if report == "" || file == "" {
				return tenure.Errorf(tenure.Invalid, "a draft needs a survey and a file to write").WithHint("tenure import draft --survey report.json --out blueprint.yaml")
			}
			if err := isNew(file); err != nil {
				return err
			}
			r, err := readSurvey(report)
			if err != nil {
				return err
			}
			known, err := installation.Connectors(a.dir, nil)
			if err != nil {
				return err
			}
			p, err := proposal.Draft(r, name, connectorsOf(r, known))
			if err != nil {
				return err
			}
			out := drafted{File: file, Resources: len(p.Resources), Rows: len(p.Rows), Open: p.Decisions(), Blocks: unpublishable(p.YAML(nil), known)}
			if err := writeFile(file, p.YAML(out.Blocks)); err != nil {
				return err
			}
			return a.show(out, func(o *page) {
				o.fields("draft", file, "resources", strconv.Itoa(out.Resources), "rows in shared tables", strconv.Itoa(out.Rows), "to decide", strconv.Itoa(len(out.Open)+len(out.Blocks)))
				for _, s := range out.Blocks {
					o.loud("before it can be published: %s", s)
				}
				o.next("read it, decide what stands under TO DECIDE; then: tenure import propose --survey " + report + " --blueprint " + file + " --out bindings.yaml")
			})
		})
	f := cmd.Flags()
	f.StringVar(&report, "survey", "", "the survey, as tenure survey --output json printed it")
	f.StringVar(&name, "name", name, "the blueprint's name")
	f.StringVar(&file, "out", "", "the file to write, which must not exist yet")
	return cmd
}

// isNew refuses a file to write that is there already.
func isNew(file string) error {
	if _, err := os.Lstat(file); err == nil {
		return tenure.Errorf(tenure.Conflict, "%s exists already", file).WithHint("give another name, or move it away")
	}
	return nil
}

func readSurvey(file string) (*survey.Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, tenure.Errorf(tenure.NotFound, "read the survey: %w", err)
	}
	var r survey.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't a survey: %w", file, err).WithHint("write one with: tenure survey --output json")
	}
	return &r, nil
}

// connectorsOf are the connectors of a survey's systems, by the systems' names.
func connectorsOf(r *survey.Report, known []connector.Info) map[string]connector.Info {
	out := map[string]connector.Info{}
	for _, s := range r.Systems {
		for _, i := range known {
			if i.Name == s.Connector {
				out[s.Name] = i
			}
		}
	}
	return out
}

// unpublishable says what keeps a draft from being published, as far as the file alone tells.
func unpublishable(text []byte, known []connector.Info) (out []string) {
	src, err := blueprint.Parse(text, "the draft")
	if err == nil {
		_, err = blueprint.Check(src, known)
	}
	var all source.Problems
	if errors.As(err, &all) {
		for _, p := range all {
			out = append(out, strings.TrimPrefix(p.Path+": ", ": ")+p.Message)
		}
		return out
	}
	if err != nil {
		out = append(out, err.Error())
	}
	return out
}
