package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/installation"
)

// connectorView is what a connector declares, as it is shown.
type connectorView struct {
	Name    string                `json:"name"`
	Version string                `json:"version"`
	Tested  connector.Tested      `json:"tested"`
	How     string                `json:"how"`
	Summary string                `json:"summary"`
	Options []connector.Option    `json:"options,omitempty"`
	Types   []tenure.ResourceType `json:"types,omitempty"`
	Probes  []connector.ProbeKind `json:"probes,omitempty"`
	Reads   []connector.ReadKind  `json:"reads,omitempty"`
}

func (a *app) connector() *cobra.Command {
	return group(&cobra.Command{
		Use:   "connector",
		Short: "See what kinds of systems there are, and describe further ones",
		Long:  "A connector is the code for a kind of system, a description of one with an HTTP interface, or a program that a manifest names. Your own descriptions stand in the installation's folder descriptions, and manifests in its folder programs.",
	}, a.connectorList(), a.connectorShow(), a.connectorCheck(), a.connectorTry(), a.connectorSchema(), a.connectorSource())
}

func (a *app) connectorList() *cobra.Command {
	return command("list", "List the connectors, and how each was tested", "live: against the real system. fake: against a stand-in that behaves as the system's documentation says. unverified: never tried.", cobra.NoArgs, func(*cobra.Command, []string) error {
		connectors, err := installation.Connectors(a.dir, nil)
		if err != nil {
			return err
		}
		var list []connectorView
		for _, c := range connectors {
			list = append(list, connectorView{Name: c.Name, Version: c.Version, Tested: c.Tested, How: c.How, Summary: c.Summary})
		}
		return a.show(list, func(o *page) {
			rows := make([][]string, len(list))
			for i, c := range list {
				rows[i] = []string{c.Name, c.Version, string(c.Tested), c.Summary}
			}
			o.table([]string{"connector", "version", "tested", "what it is"}, rows)
		})
	})
}

func (a *app) connectorShow() *cobra.Command {
	return command("show CONNECTOR", "Show a connector's options, types and probes", "", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		connectors, err := installation.Connectors(a.dir, nil)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(connectors, func(c connector.Info) bool { return c.Name == args[0] })
		if i < 0 {
			return tenure.Errorf(tenure.NotFound, "there is no connector %q", args[0]).WithHint("list them: tenure connector list")
		}
		c := connectors[i]
		if c.Broken != nil {
			return tenure.Errorf(tenure.CodeOf(c.Broken), "%w", c.Broken)
		}
		return a.show(connectorView{c.Name, c.Version, c.Tested, c.How, c.Summary, c.Options, c.Types, c.Probes, c.Reads}, func(o *page) { printConnector(o, c) })
	})
}

func printConnector(o *page, c connector.Info) {
	o.fields("connector", c.Name, "version", c.Version, "what it is", c.Summary, "tested", string(c.Tested)+", "+c.How)
	if c.Rights != "" {
		o.fields("rights that its account needs", c.Rights, "what deletion leaves behind", c.Leaves)
	}
	if len(c.Options) > 0 {
		o.title("Options")
		var rows [][]string
		for _, opt := range c.Options {
			var marks []string
			if opt.Required {
				marks = append(marks, "required")
			}
			if opt.Secret {
				marks = append(marks, "secret: env:NAME, file:PATH or vault:MOUNT/PATH#FIELD")
			}
			rows = append(rows, []string{opt.Name, opt.Default, strings.Join(marks, ", "), opt.Help})
		}
		o.table([]string{"option", "default", "", "what it is"}, rows)
	}
	for _, t := range c.Types {
		o.title("%s: %s", t.Name, t.Summary)
		quarantine := "no"
		if t.Recovery.Quarantine {
			quarantine = "yes"
		}
		credential := ""
		switch {
		case t.Issued:
			credential = "made by the system and handed over"
		case t.Credential:
			credential = "made by Tenure and handed over"
		}
		o.fields("layer", t.Layer.String(), "deletion", t.Deletion, "verification", t.Verification, "recovery", t.Recovery.Says,
			"quarantine", quarantine, "holds", string(t.Holds), "credential", credential)
	}
	if len(c.Probes) > 0 {
		o.title("Probes")
		var rows [][]string
		for _, p := range c.Probes {
			rows = append(rows, []string{p.Name, strings.Join(p.Types, ", "), p.Help})
		}
		o.table([]string{"probe", "by itself on", "what it tries"}, rows)
	}
	if len(c.Reads) > 0 {
		o.title("What rules can look up")
		var rows [][]string
		for _, r := range c.Reads {
			rows = append(rows, []string{r.Name, r.Help})
		}
		o.table([]string{"kind", "what it is"}, rows)
	}
}
