package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/internal/installation"
)

// description reads the description of a system: a file, or the name of one that comes with
// Tenure.
func (a *app) description(named string) (*http.Description, error) {
	if src, ok := descriptions.Source(named); ok {
		return http.Parse(src, named)
	}
	src, err := a.readFile(named)
	if err != nil {
		return nil, err
	}
	return http.Parse(src, filepath.Base(named))
}

func (a *app) connectorCheck() *cobra.Command {
	return command("check FILE", "Say what is wrong with a description of a system", "A file needs no installation and no system. - is the standard input.", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		d, err := a.description(args[0])
		if err != nil {
			return err
		}
		info := d.Info()
		return a.show(map[string]string{"name": d.Name, "version": info.Version, "digest": d.Digest()}, func(o *page) {
			o.line("%s %s is fine.", d.Name, d.Version)
			o.fields("digest", d.Digest())
		})
	})
}

func (a *app) connectorSchema() *cobra.Command {
	return command("schema", "Print the JSON Schema of descriptions, for editors", "", cobra.NoArgs, func(*cobra.Command, []string) error {
		_, err := a.out.Write(http.Schema())
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
	cmd := command("try DESCRIPTION", "Try a description against a system, step by step, and say what was seen",
		"DESCRIPTION is a file, or the name of one that comes with Tenure. It makes, finds, cuts off and deletes one thing of each type, by the sample that the description gives, and shows each request that was sent. Use a system where that does no harm. The sentinel, and the place for owner marks, stay there.\nSecrets are given as in the systems file: --option password=env:NAME.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			d, err := a.description(args[0])
			if err != nil {
				return err
			}
			plain, secrets, err := installation.ReadOptions(cmd.Context(), a.dir, d.Info(), options)
			if err != nil {
				return err
			}
			var all []http.Trial
			good, err := http.Try(cmd.Context(), d, connector.Config{System: "try", Options: plain, Secrets: secrets, Now: time.Now}, func(t http.Trial) {
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
				return tenure.Errorf(tenure.Blocked, "%s doesn't do all that a connector must: see the lines that begin with ✗", d.Name)
			}
			return nil
		})
	cmd.Flags().StringToStringVar(&options, "option", nil, "an option of the description, as NAME=VALUE; repeat it for more")
	return cmd
}

func printTrial(o *page, t http.Trial) {
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
