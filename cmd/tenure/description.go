package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/exec"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/connector/trial"
	"github.com/tenurehq/tenure/internal/installation"
)

// declared is a connector that is made of a file: a description, or a program's manifest.
type declared struct {
	info   connector.Info
	digest string
	try    func(ctx context.Context, c connector.Config, tell func(trial.Trial)) (bool, error)
}

// declaredIn reads a file, or the description of that name that comes with Tenure.
func (a *app) declaredIn(named string) (declared, error) {
	src, ok := descriptions.Source(named)
	if !ok {
		var err error
		if src, err = a.readFile(named); err != nil {
			return declared{}, err
		}
	}
	if exec.Is(src) {
		m, err := exec.Parse(src, named)
		if err != nil {
			return declared{}, err
		}
		return declared{m.Info(), m.Digest(), func(ctx context.Context, c connector.Config, tell func(trial.Trial)) (bool, error) {
			return exec.Try(ctx, m, c, tell)
		}}, nil
	}
	d, err := http.Parse(src, filepath.Base(named))
	if err != nil {
		return declared{}, err
	}
	return declared{d.Info(), d.Digest(), func(ctx context.Context, c connector.Config, tell func(trial.Trial)) (bool, error) {
		return http.Try(ctx, d, c, tell)
	}}, nil
}

func (a *app) connectorCheck() *cobra.Command {
	return command("check FILE", "Say what is wrong with a description of a system, or with a program's manifest", "A file needs no installation and no system, and no program is run. - is the standard input.", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		d, err := a.declaredIn(args[0])
		if err != nil {
			return err
		}
		version, _, _ := strings.Cut(d.info.Version, "+")
		return a.show(map[string]string{"name": d.info.Name, "version": d.info.Version, "digest": d.digest}, func(o *page) {
			o.line("%s %s is fine.", d.info.Name, version)
			o.fields("digest", d.digest)
		})
	})
}

func (a *app) connectorSchema() *cobra.Command {
	schemas := map[string]func() []byte{"description": http.Schema, "program": exec.Schema, "answer": exec.AnswerSchema}
	return command("schema [description|program|answer]", "Print the JSON Schema of descriptions, for editors", "program: of the manifests of programs. answer: of the lines in which a program answers.", cobra.MaximumNArgs(1), func(_ *cobra.Command, args []string) error {
		name := "description"
		if len(args) > 0 {
			name = args[0]
		}
		schema, ok := schemas[name]
		if !ok {
			return tenure.Errorf(tenure.Invalid, "there is no schema %q", name).WithHint("schemas: answer, description, program")
		}
		_, err := a.out.Write(schema())
		return err
	})
}

func (a *app) connectorSource() *cobra.Command {
	return command("source NAME", "Print a description that comes with Tenure, to start another from", "", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		src, ok := descriptions.Source(args[0])
		if !ok {
			return tenure.Errorf(tenure.NotFound, "no description %q comes with Tenure", args[0]).WithHint("list the connectors: tenure connector list")
		}
		_, err := a.out.Write(src)
		return err
	})
}

func (a *app) connectorTry() *cobra.Command {
	var options map[string]string
	cmd := command("try DESCRIPTION", "Try a description, or a program, against a system, step by step, and say what was seen",
		"DESCRIPTION is a file, the manifest of a program, or the name of one that comes with Tenure. It makes, finds, cuts off and deletes one thing of each type, by the sample that the description gives, and shows each request that was sent, or each call of the program. Use a system where that does no harm. The sentinel, and the place for owner marks, stay there.\nSecrets are given as in the systems file: --option password=env:NAME.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			d, err := a.declaredIn(args[0])
			if err != nil {
				return err
			}
			plain, secrets, err := installation.ReadOptions(cmd.Context(), a.dir, d.info, options)
			if err != nil {
				return err
			}
			var all []trial.Trial
			good, err := d.try(cmd.Context(), connector.Config{System: "try", Options: plain, Secrets: secrets, Now: time.Now}, func(t trial.Trial) {
				all = append(all, t)
				if a.output == "human" {
					_ = a.show(t, func(o *page) { printTrial(o, t) })
				}
			})
			if a.output != "human" {
				if err := a.show(all, nil); err != nil {
					return err
				}
			}
			switch {
			case err != nil:
				return err
			case !good:
				return tenure.Errorf(tenure.Blocked, "%s doesn't do all that a connector must: see the lines that begin with ✗", d.info.Name)
			}
			return nil
		})
	cmd.Flags().StringToStringVar(&options, "option", nil, "an option of the system, as NAME=VALUE; repeat it for more")
	return cmd
}

func printTrial(o *page, t trial.Trial) {
	sign := "✓"
	if t.Bad {
		sign = "✗"
	}
	does := t.Does
	if t.Type != "" {
		does = t.Type + ": " + does
	}
	o.line("%s %s: %s", sign, does, strings.TrimSpace(t.Saw))
	for _, s := range t.Sent {
		o.line("    %s", s)
	}
}
