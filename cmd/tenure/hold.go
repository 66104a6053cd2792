package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) hold() *cobra.Command {
	return group(&cobra.Command{
		Use:   "hold",
		Short: "Place, release and list legal holds",
		Long:  "A hold binds at once and has no expiry: while it stands nothing in its scope is destroyed. Releasing it needs two persons.",
	}, a.holdPlace(), a.holdAcknowledge(), a.holdRelease(), a.holdList())
}

func (a *app) holdPlace() *cobra.Command {
	var p client.HoldParams
	var rows []string
	cmd := command("place --matter MATTER", "Place a legal hold", holdPlaceLong, cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"tenant", "class", "system", "resource", "environment", "table", "prefix"} {
			if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
				return tenure.Errorf(tenure.Invalid, "--%s is empty, and the hold would be as if it weren't there", name).WithHint("leave it out to hold whatever there is of it")
			}
		}
		for _, text := range rows {
			c, err := tenure.ParseRowCondition(text)
			if err != nil {
				return err
			}
			p.Body.Scope.Rows = append(p.Body.Scope.Rows, c)
		}
		h, err := ask(cmd.Context(), a, client.PlaceHold, p)
		if err != nil {
			return err
		}
		return a.show(h, func(o *page) { printHold(o, h) })
	})
	f := cmd.Flags()
	f.StringVar(&p.Body.Matter, "matter", "", "the case that it serves")
	f.StringVar(&p.Body.Reason, "reason", "", "why")
	f.StringVar(&p.Body.Scope.Tenant, "tenant", "", "what it covers: one tenant")
	f.StringVar(&p.Body.Scope.Class, "class", "", "what it covers: one data class")
	f.StringVar(&p.Body.Scope.System, "system", "", "what it covers: one system")
	f.StringVar(&p.Body.Scope.Resource, "resource", "", "what it covers: one resource, by its id")
	f.StringVar(&p.Body.Scope.Environment, "environment", "", "what it covers: one environment")
	f.StringVar(&p.Body.Scope.Table, "table", "", "what it covers: rows of one table of a resource")
	f.StringArrayVar(&rows, "row", nil, "of the table's rows those for which this holds, as in 'status = \"open\"' (repeat it: all must hold)")
	f.StringVar(&p.Body.Scope.Prefix, "prefix", "", "what it covers: objects or files whose keys begin so, below the resource's own place")
	f.StringArrayVar(&p.Body.Custodians, "custodian", nil, "who keeps what is held and is asked to acknowledge it (repeatable)")
	f.IntVar(&p.Body.RemindDays, "remind-days", 0, "after how many days custodians who haven't acknowledged it are reminded; 0 is never")
	f.BoolVar(&p.Body.AllTenants, "all-tenants", false, "the class or system of every tenant")
	f.BoolVar(&p.Body.Untold, "untold", false, "the customer may not know that anything is kept for a legal reason")
	return cmd
}

const holdPlaceLong = `It binds at once. What is held stays where it is, and so do the rows that it refers to,
however far; everything else of its class goes, and so does the rest of a departure.

A condition is COLUMN OPERATOR VALUE. The operators are =, !=, <, <=, >, >=, in, like-prefix and
is null; the value is JSON, and one that isn't JSON is taken as a text. A null in the column is
unequal to every value. No SQL is taken.`

func (a *app) holdAcknowledge() *cobra.Command {
	return command("acknowledge HOLD", "Say, as one of its custodians, that you know of a hold", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		h, err := ask(cmd.Context(), a, client.AcknowledgeHold, client.HoldID{Hold: args[0]})
		if err != nil {
			return err
		}
		return a.show(h, func(o *page) { printHold(o, h) })
	})
}

func (a *app) holdRelease() *cobra.Command {
	return command("release HOLD", "Ask for a hold's release; the second person who asks releases it", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		h, err := ask(cmd.Context(), a, client.ReleaseHold, client.HoldID{Hold: args[0]})
		if err != nil {
			return err
		}
		return a.show(h, func(o *page) {
			printHold(o, h)
			if h.ReleasedAt.IsZero() {
				o.next("a second person: tenure hold release " + string(h.ID) + " --as SOMEBODY-ELSE")
			}
		})
	})
}

func (a *app) holdList() *cobra.Command {
	var f client.HoldFilter
	cmd := command("list", "List holds", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListHolds, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No hold stands.")
				return
			}
			printHolds(o, list)
		})
	})
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only those that can cover this tenant")
	cmd.Flags().BoolVar(&f.Released, "released", false, "released ones too")
	return cmd
}

func printHold(o *page, h client.Hold) {
	effective := o.when(h.EffectiveAt)
	if h.EffectiveAt.IsZero() {
		effective = "when the batches in flight have drained"
	}
	told := "that something is " + tenure.KeptForLegalReason
	if h.Untold {
		told = "nothing"
	}
	o.fields("hold", string(h.ID), "matter", h.Matter, "covers", scopeWords(h.Scope), "names now", namedWords(h.Named), "reason", h.Reason, "placed", o.when(h.PlacedAt)+" by "+h.PlacedBy,
		"effective", effective, "gone before", h.AlreadyGone, "release asked by", strings.Join(h.ReleaseBy, ", "), "released", o.when(h.ReleasedAt), "the customer is told", told, "custodians", custodianWords(o, h.Custodians))
}

func printHolds(o *page, list []client.Hold) {
	rows := make([][]string, len(list))
	for i, h := range list {
		rows[i] = []string{string(h.ID), h.Matter, scopeWords(h.Scope), h.PlacedBy, o.when(h.PlacedAt), o.when(h.EffectiveAt), h.AlreadyGone, strings.Join(h.ReleaseBy, ", "), o.when(h.ReleasedAt)}
	}
	o.table([]string{"id", "matter", "covers", "placed by", "placed", "effective", "gone before", "release asked by", "released"}, rows)
}

// namedWords says how much a hold on a part of a resource named when it was placed.
func namedWords(n *int64) string {
	switch {
	case n == nil:
		return ""
	case *n == 0:
		return "nothing that is there; look at its quotes and spelling, if something should be"
	case *n == 1:
		return "1 row or object"
	}
	return strconv.FormatInt(*n, 10) + " rows or objects"
}

// custodianWords says who has acknowledged a hold, and when.
func custodianWords(o *page, all []tenure.Custodian) string {
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = c.Name + " (not acknowledged)"
		if !c.AcknowledgedAt.IsZero() {
			words[i] = c.Name + " (" + o.when(c.AcknowledgedAt) + ")"
		}
	}
	return strings.Join(words, ", ")
}

func scopeWords(s client.HoldScope) string {
	words := []string{"every tenant"}
	if s.Tenant != "" {
		words[0] = s.Tenant
	}
	for _, kv := range [][2]string{{"environment", s.Environment}, {"class", s.Class}, {"system", s.System}, {"resource", s.Resource}, {"table", s.Table}, {"keys beginning", s.Prefix}} {
		if kv[1] != "" {
			words = append(words, kv[0]+" "+kv[1])
		}
	}
	text := strings.Join(words, ", ")
	for i, c := range s.Rows {
		text += map[bool]string{true: " with ", false: " and "}[i == 0] + c.String()
	}
	return text
}
