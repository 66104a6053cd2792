package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/installation"
)

func (a *app) blueprint() *cobra.Command {
	return group(&cobra.Command{
		Use:   "blueprint",
		Short: "Check, submit, review and publish blueprints",
		Long:  "A blueprint says what a tenant consists of. A revision is immutable; one person submits it, another publishes it.",
	}, a.blueprintCheck(), a.blueprintSubmit(), a.blueprintPublish(), a.blueprintList(), a.blueprintShow(), a.blueprintDiff(), a.blueprintImpact(), a.blueprintUpgrade(), a.blueprintScaffold(), a.blueprintSchema())
}

func (a *app) blueprintCheck() *cobra.Command {
	published := false
	cmd := command("check FILE", "Say what is wrong with a blueprint", "A file needs no installation. - is the standard input.\nWith --published it lists the published revisions that can't be used for more tenants, and why; the tenants that have them go on.", cobra.MaximumNArgs(1), func(cmd *cobra.Command, args []string) error {
		switch {
		case published && len(args) > 0:
			return tenure.Errorf(tenure.Invalid, "--published takes no file")
		case published:
			return a.checkPublished(cmd.Context())
		case len(args) == 0:
			return tenure.Errorf(tenure.Invalid, "the file is missing").WithHint("tenure blueprint check FILE, or tenure blueprint check --published")
		}
		b, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		src, err := blueprint.Parse(b, filepath.Base(args[0]))
		if err != nil {
			return err
		}
		connectors, err := installation.Connectors(a.dir, nil)
		if err != nil {
			return err
		}
		c, err := blueprint.Check(src, connectors)
		if err != nil {
			return err
		}
		ref := c.Ref()
		return a.show(ref, func(o *page) {
			o.line("%s %s is fine.", ref.Name, ref.Version)
			o.fields("digest", ref.Digest)
		})
	})
	cmd.Flags().BoolVar(&published, "published", false, "look at the published revisions instead of a file")
	return cmd
}

// checkPublished is Blocked while there is a revision at fault.
func (a *app) checkPublished(ctx context.Context) error {
	list, err := listed(ctx, a, client.ListFaultyBlueprints, client.Paging{}, 0)
	if err != nil {
		return err
	}
	err = a.show(list, func(o *page) {
		if len(list) == 0 {
			o.line("Every published revision can be used.")
			return
		}
		var rows [][]string
		for _, b := range list {
			for _, f := range b.Faults {
				at := f.Path
				if f.Line > 0 {
					at += ", line " + strconv.Itoa(f.Line)
				}
				rows = append(rows, []string{b.Name + "@" + b.Version, at, f.Expression, f.Reason})
			}
		}
		o.table([]string{"blueprint", "at", "expression", "reason"}, rows)
		o.next("publish a mended revision and move its tenants to it: tenure blueprint upgrade")
	})
	if err == nil && len(list) > 0 {
		err = tenure.Errorf(tenure.Blocked, "published revisions that can't be used for more tenants: %d", len(list))
	}
	return err
}

func (a *app) blueprintSubmit() *cobra.Command {
	return command("submit FILE", "Store a revision as a draft", "The same content twice is the same revision. - is the standard input.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		src, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		p := client.SourceParams{}
		p.Body.File, p.Body.Source = filepath.Base(args[0]), string(src)
		b, err := ask(cmd.Context(), a, client.SubmitBlueprint, p)
		if err != nil {
			return err
		}
		return a.show(b, func(o *page) {
			printBlueprint(o, b)
			if !b.Published() {
				o.next("another person reviews and publishes it: tenure blueprint publish " + b.Name + "@" + b.Version + " --as SOMEBODY-ELSE")
			}
		})
	})
}

func (a *app) blueprintPublish() *cobra.Command {
	return command("publish NAME@VERSION", "Publish a draft that another person wrote", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		b, err := ask(cmd.Context(), a, client.PublishBlueprint, client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: args[0]}})
		if err != nil {
			return err
		}
		return a.show(b, func(o *page) { printBlueprint(o, b) })
	})
}

func printBlueprint(o *page, b client.Blueprint) {
	published := "no, a draft"
	if b.Published() {
		published = o.when(b.PublishedAt) + " by " + b.PublishedBy
	}
	o.fields("blueprint", b.Name+"@"+b.Version, "digest", b.Digest, "author", b.CreatedBy+", "+o.when(b.CreatedAt), "published", published)
	for _, text := range b.Says {
		o.loud("note: %s", text)
	}
}

func (a *app) blueprintList() *cobra.Command {
	return command("list", "List every revision", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListBlueprints, client.BlueprintFilter{}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no blueprint yet. Submit one: tenure blueprint submit FILE")
				return
			}
			rows := make([][]string, len(list))
			for i, b := range list {
				state := "draft"
				if b.Published() {
					state = "published"
				}
				rows[i] = []string{b.Name + "@" + b.Version, state, b.CreatedBy, b.PublishedBy, o.when(b.CreatedAt), b.Digest}
			}
			o.table([]string{"blueprint", "state", "author", "published by", "submitted", "digest"}, rows)
		})
	})
}

func (a *app) blueprintShow() *cobra.Command {
	return command("show BLUEPRINT", "Show a revision", "The revision is a digest, name@version, or a name for the latest published one.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		b, err := ask(cmd.Context(), a, client.ShowBlueprint, client.BlueprintParams{Blueprint: args[0]})
		if err != nil {
			return err
		}
		return a.show(b, func(o *page) {
			printBlueprint(o, b)
			printBlueprintBody(o, b.Body)
		})
	})
}

func printBlueprintBody(o *page, raw []byte) {
	var body tenure.Blueprint
	if json.Unmarshal(raw, &body) != nil {
		return
	}
	o.fields("title", body.Title, "grace", body.Offboarding.Grace.String(), "retrieval", body.Offboarding.Retrieval.String(), "quarantine", body.Offboarding.Quarantine.String())
	o.title("Resources")
	rows := make([][]string, len(body.Resources))
	for i, r := range body.Resources {
		rows[i] = []string{r.Key, r.System, r.Type, r.Name, list(r.Data, 5), list(r.Needs, 5)}
	}
	o.table([]string{"key", "system", "type", "name", "data", "needs"}, rows)
	if len(body.DataClasses) == 0 {
		return
	}
	o.title("Data classes")
	rows = nil
	for _, c := range body.DataClasses {
		for _, r := range c.Retention {
			rows = append(rows, []string{c.Name, string(c.Disposition), string(r.Kind), r.Period.String() + " from " + string(r.From), r.Source})
		}
	}
	o.table([]string{"class", "disposition", "rule", "period", "source"}, rows)
}

func (a *app) blueprintDiff() *cobra.Command {
	return command("diff FROM TO", "Say in what two revisions differ", "", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
		all, err := ask(cmd.Context(), a, client.DiffBlueprints, client.DiffParams{BlueprintParams: client.BlueprintParams{Blueprint: args[0]}, To: args[1]})
		if err != nil {
			return err
		}
		diff := all.Items
		return a.show(diff, func(o *page) {
			if len(diff) == 0 {
				o.line("They don't differ.")
				return
			}
			rows := make([][]string, len(diff))
			for i, d := range diff {
				rows[i] = []string{d.Resource, d.Field, d.From, d.To}
			}
			o.table([]string{"where", "field", "from", "to"}, rows)
		})
	})
}

func (a *app) blueprintSchema() *cobra.Command {
	return command("schema", "Print the JSON Schema of a blueprint file, for editors", "", cobra.NoArgs, func(*cobra.Command, []string) error {
		if _, err := a.out.Write(blueprint.Schema()); err != nil {
			return tenure.Errorf(tenure.Unavailable, "print: %w", err)
		}
		return nil
	})
}
