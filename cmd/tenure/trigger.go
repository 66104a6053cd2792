package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/trigger"
)

func (a *app) trigger() *cobra.Command {
	return group(&cobra.Command{
		Use:   "trigger",
		Short: "Write, test, review and publish the rules by which events become requests",
		Long: "Rules say what an event of another system leads to: a deal that was won onboards a customer, payments that failed suspend it.\n" +
			"They are a YAML file with their own tests. One person submits a revision, another publishes it.",
	}, a.triggerTest(), a.triggerSubmit(), a.triggerPublish(), a.triggerList(), a.triggerShow(), a.triggerDryRun(), a.triggerSchema())
}

func (a *app) triggerTest() *cobra.Command {
	return command("test FILE", "Check a file of rules and run the tests in it", "It needs no installation. - is the standard input.", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		src, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		set, err := trigger.Check(src, filepath.Base(args[0]))
		if err != nil {
			return err
		}
		out := struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Digest  string `json:"digest"`
			Rules   int    `json:"rules"`
			Tests   int    `json:"tests"`
		}{set.Name, set.Version, set.Digest, len(set.Rules), len(set.Tests)}
		return a.show(out, func(o *page) {
			if out.Tests == 0 {
				o.line("%s %s is fine: %s. The file has no tests.", out.Name, out.Version, plural(out.Rules, "rule"))
			} else {
				o.line("%s %s is fine: %s, and %s pass.", out.Name, out.Version, plural(out.Rules, "rule"), plural(out.Tests, "test"))
			}
			o.fields("digest", out.Digest)
		})
	})
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func (a *app) triggerSubmit() *cobra.Command {
	return command("submit FILE", "Store a revision of rules as a draft", "Its tests run first, and each source that it names must be in tenure.yaml. - is the standard input.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		src, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		p := client.SourceParams{}
		p.Body.File, p.Body.Source = filepath.Base(args[0]), string(src)
		t, err := ask(cmd.Context(), a, client.SubmitTriggers, p)
		if err != nil {
			return err
		}
		return a.show(t, func(o *page) {
			printTriggers(o, t)
			if t.PublishedAt.IsZero() {
				o.next("see what recorded events would lead to: tenure trigger dry-run "+args[0], "another person reviews and publishes it: tenure trigger publish "+t.Name+"@"+t.Version+" --as SOMEBODY-ELSE")
			}
		})
	})
}

func (a *app) triggerPublish() *cobra.Command {
	return command("publish NAME@VERSION", "Put rules in force that another person wrote", "Events are decided by them from then on. A revision without rules takes those of its name out of force.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		t, err := ask(cmd.Context(), a, client.PublishTriggers, client.PublishTriggersParams{TriggersParams: client.TriggersParams{Triggers: args[0]}})
		if err != nil {
			return err
		}
		return a.show(t, func(o *page) { printTriggers(o, t) })
	})
}

func printTriggers(o *page, t client.Triggers) {
	published := "no, a draft"
	if !t.PublishedAt.IsZero() {
		published = o.when(t.PublishedAt) + " by " + t.PublishedBy
	}
	o.fields("triggers", t.Name+"@"+t.Version, "digest", t.Digest, "author", t.CreatedBy+", "+o.when(t.CreatedAt), "published", published)
	printWarnings(o, t.Warnings)
}

func printWarnings(o *page, list []string) {
	for _, w := range list {
		o.line("warning: %s", clean(w))
	}
}

func (a *app) triggerList() *cobra.Command {
	return command("list", "List every revision of rules", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListTriggers, client.Paging{}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There are no rules yet. Submit some: tenure trigger submit FILE")
				return
			}
			rows := make([][]string, len(list))
			for i, t := range list {
				state := "draft"
				switch {
				case t.InForce:
					state = "in force"
				case !t.PublishedAt.IsZero():
					state = "replaced"
				}
				rows[i] = []string{t.Name + "@" + t.Version, state, t.CreatedBy, t.PublishedBy, o.when(t.CreatedAt), t.Digest}
			}
			o.table([]string{"triggers", "state", "author", "published by", "submitted", "digest"}, rows)
		})
	})
}

func (a *app) triggerShow() *cobra.Command {
	return command("show TRIGGERS", "Show a revision of rules", "The revision is a digest, name@version, or a name for the one in force.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		t, err := ask(cmd.Context(), a, client.ShowTriggers, client.TriggersParams{Triggers: args[0]})
		if err != nil {
			return err
		}
		return a.show(t, func(o *page) {
			printTriggers(o, t)
			o.print("\n" + clean(t.Source))
		})
	})
}

func (a *app) triggerDryRun() *cobra.Command {
	var since string
	cmd := command("dry-run [FILE]", "Say what recorded events would have led to",
		"Nothing is done. With a file its rules are tried beside those in force of other names, without one those in force are. Each\ncustomer begins without a tenant, and each request succeeds at once.",
		cobra.MaximumNArgs(1), func(cmd *cobra.Command, args []string) error {
			var p client.DryRunParams
			if len(args) == 1 {
				src, err := a.readFile(args[0])
				if err != nil {
					return err
				}
				p.Body.File, p.Body.Source = filepath.Base(args[0]), string(src)
			}
			if since != "" {
				var err error
				if p.Body.ReceivedAt, err = parseDate(since); err != nil {
					return err
				}
			}
			list, err := ask(cmd.Context(), a, client.DryRunTriggers, p)
			if err != nil {
				return err
			}
			var warns client.TriggerCheck
			if p.Body.Source != "" {
				var c client.SourceParams
				c.Body.File, c.Body.Source = p.Body.File, p.Body.Source
				warns, _ = ask(cmd.Context(), a, client.CheckTriggers, c) // a test that fails is no matter of a dry run
			}
			return a.show(list, func(o *page) {
				printWarnings(o, warns.Warnings)
				if len(list.Items) == 0 {
					o.line("No event is recorded.")
					return
				}
				rows := make([][]string, len(list.Items))
				for i, v := range list.Items {
					rows[i] = []string{o.when(v.At), v.Source, v.Type, v.State, v.Asked, v.Reason}
				}
				o.table([]string{"at", "source", "type", "outcome", "asked for", "why"}, rows)
			})
		})
	cmd.Flags().StringVar(&since, "since", "", "only events received since then: a date, or RFC 3339")
	return cmd
}

func (a *app) triggerSchema() *cobra.Command {
	return command("schema", "Print the JSON Schema of a file of rules, for editors", "", cobra.NoArgs, func(*cobra.Command, []string) error {
		_, err := a.out.Write(trigger.Schema())
		return err
	})
}

func (a *app) inbound() *cobra.Command {
	return group(&cobra.Command{
		Use:   "inbound",
		Short: "See events from other systems, and what became of them",
		Long: "Events of other systems come to /v1/events/SOURCE. Each is kept, and says which rule decided it, what it led to, and why.\n" +
			"Held events wait for a person; those that failed are the dead letters.",
	}, a.inboundList(), a.inboundShow(), a.inboundReplay(), a.inboundRelease(), a.inboundDismiss())
}

func (a *app) inboundList() *cobra.Command {
	var f client.InboundFilter
	limit := 0
	cmd := command("list", "List events, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListInbound, f, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No event has come.")
				return
			}
			rows := make([][]string, len(list))
			for i, e := range list {
				rows[i] = []string{string(e.ID), o.when(e.ReceivedAt), e.Source, e.Type, e.State, e.Rule, clip(e.Reason, 80)}
			}
			o.table([]string{"event", "received", "source", "type", "outcome", "rule", "why"}, rows)
		})
	})
	fl := cmd.Flags()
	fl.StringVar(&f.Source, "source", "", "only those of this source")
	fl.StringVar(&f.State, "state", "", "received, acted, noted, ignored, superseded, held, failed or dismissed")
	fl.StringVar(&f.Type, "type", "", "only those of this type")
	fl.StringVar(&f.Subject, "subject", "", "only those about this, by the source's own id")
	fl.StringVar(&f.Reference, "reference", "", "only that with this id of the source's own")
	fl.StringVar(&f.Tenant, "tenant", "", "only those about this tenant, by id or name")
	fl.StringVar(&f.Operation, "operation", "", "only those that led to this operation")
	fl.IntVar(&limit, "limit", 100, "at most so many; 0 is all")
	return cmd
}

func (a *app) inboundShow() *cobra.Command {
	return command("show EVENT", "Show an event with what its source sent", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.inboundBy(cmd, client.ShowInbound, args[0])
	})
}

func (a *app) inboundBy(cmd *cobra.Command, e client.Endpoint[client.InboundParams, client.InboundEvent], id string) error {
	ev, err := ask(cmd.Context(), a, e, client.InboundParams{Event: id})
	if err != nil {
		return err
	}
	return a.show(ev, func(o *page) { printInbound(o, ev) })
}

func printInbound(o *page, e client.InboundEvent) {
	o.fields("event", string(e.ID), "source", e.Source, "source's id", e.Reference, "type", e.Type, "about", e.Subject, "version", e.Version, "happened", o.when(e.HappenedAt), "received", o.when(e.ReceivedAt),
		"outcome", e.State, "why", e.Reason, "rule", e.Rule, "tenant", string(e.Tenant), "operation", string(e.Operation), "decided by", e.DecidedBy)
	if e.State == "received" && e.Attempts > 0 {
		o.fields("tried", plural(e.Attempts, "time"), "next", o.when(e.NextAt))
	}
	if len(e.Data) > 0 {
		var b bytes.Buffer
		if json.Indent(&b, e.Data, "", "  ") != nil {
			b.Reset()
			b.Write(e.Data)
		}
		o.print("\n" + clean(b.String()) + "\n")
	}
	switch e.State {
	case "held":
		o.next("let it go on: tenure inbound release "+string(e.ID), "or end it: tenure inbound dismiss "+string(e.ID)+" --reason WHY")
	case "received":
		o.next("or end it: tenure inbound dismiss " + string(e.ID) + " --reason WHY")
	case "failed":
		o.next("mend what it says, then: tenure inbound replay "+string(e.ID), "or end it: tenure inbound dismiss "+string(e.ID)+" --reason WHY")
	}
}

func (a *app) inboundReplay() *cobra.Command {
	return command("replay EVENT", "Have an event decided anew that led to nothing", "It is decided by the rules that are in force now. What has led to an operation isn't decided twice.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.inboundBy(cmd, client.ReplayInbound, args[0])
	})
}

func (a *app) inboundRelease() *cobra.Command {
	return command("release EVENT", "Let a held event go on", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.inboundBy(cmd, client.ReleaseInbound, args[0])
	})
}

func (a *app) inboundDismiss() *cobra.Command {
	var p client.DismissInboundParams
	cmd := command("dismiss EVENT --reason WHY", "End an event that is held, failed or still tried, without doing anything", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Event = args[0]
		if p.Body.Reason == "" {
			return tenure.Errorf(tenure.Invalid, "the reason is missing").WithHint("tenure inbound dismiss EVENT --reason WHY")
		}
		ev, err := ask(cmd.Context(), a, client.DismissInbound, p)
		if err != nil {
			return err
		}
		return a.show(ev, func(o *page) { printInbound(o, ev) })
	})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why nothing is done")
	return cmd
}
