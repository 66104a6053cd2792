package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) tenantCover() *cobra.Command {
	var p client.CoverParams
	var review string
	cmd := command("cover TENANT --resource ENVIRONMENT/KEY --table NAME=CLASS --reason TEXT", "Cover tables for one tenant alone, with a second person's review",
		"For a table that the blueprint doesn't know, such as one that the tenant made itself, where no new revision is wanted. It\n"+
			"counts once another person has reviewed it with --review DIGEST, also for an offboarding that it blocks: retry that then.\n"+
			"Without a flag it lists what was added.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			p.Tenant = args[0]
			switch {
			case review != "" && (p.Body.Resource != "" || !p.Body.Addition.Empty()):
				return tenure.Errorf(tenure.Invalid, "an addition is asked for, or reviewed: not both at once")
			case review != "":
				return a.reviewCoverage(ctx, client.CoverageReview{CoverageID: client.CoverageID{TenantParams: p.TenantParams, Coverage: review}})
			case p.Body.Resource == "" && p.Body.Addition.Empty():
				list, err := ask(ctx, a, client.ListCoverage, p.TenantParams)
				if err != nil {
					return orClosed(err, args[0])
				}
				return a.show(list.Items, func(o *page) { printCoverage(o, list.Items) })
			}
			s, err := a.writing(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			c, err := client.Cover.Call(ctx, s.Client, p)
			if err != nil {
				return err
			}
			return a.show(c, func(o *page) {
				printCoverage(o, []client.Addition{c})
				o.next("another person reviews it: tenure tenant cover " + args[0] + " --review " + c.Digest + " --as SOMEBODY-ELSE")
			})
		})
	f := cmd.Flags()
	f.StringVar(&p.Body.Resource, "resource", "", "the store: environment/key, or its id")
	f.StringToStringVar(&p.Body.Tables, "table", nil, "NAME=CLASS: the table's rows are of this data class")
	f.StringToStringVar(&p.Body.Columns, "column", nil, "TABLE=COLUMN: the table's tenant column")
	f.StringToStringVar(&p.Body.Links, "link", nil, "TABLE.COLUMN=follow, detach or block: what this reference means")
	f.StringToStringVar(&p.Body.Derived, "derived", nil, "VIEW=refresh: Tenure refreshes the view after an erasure")
	f.StringToStringVar(&p.Body.Triggers, "trigger", nil, "TABLE.TRIGGER=ignore: what this trigger writes holds nothing of the tenant")
	f.StringSliceVar(&p.Body.Shared, "shared", nil, "a table that belongs to no tenant, and stays")
	f.StringSliceVar(&p.Body.Aliases, "alias", nil, "another name of the tenant column")
	f.StringVar(&p.Body.Reason, "reason", "", "why, for who reviews it")
	f.StringVar(&review, "review", "", "review the addition of this digest")
	return cmd
}

func (a *app) reviewCoverage(ctx context.Context, p client.CoverageReview) error {
	s, err := a.writing(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := client.ReviewCoverage.Call(ctx, s.Client, p)
	if err != nil {
		return err
	}
	return a.show(c, func(o *page) { printCoverage(o, []client.Addition{c}) })
}

func printCoverage(o *page, list []client.Addition) {
	if len(list) == 0 {
		o.line("Nothing was added to what the blueprint covers.")
		return
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		reviewed := "waits for a second person"
		if c.ReviewedBy != "" {
			reviewed = c.ReviewedBy + ", " + o.when(c.ReviewedAt)
		}
		rows[i] = []string{string(c.Resource), coverageWords(c.Addition), c.Reason, c.RequestedBy, reviewed, c.Digest}
	}
	o.table([]string{"resource", "adds", "because", "asked by", "reviewed", "digest"}, rows)
}

// coverageWords are an addition as its flags say it.
func coverageWords(c tenure.Addition) string {
	var out []string
	for _, part := range []struct {
		word string
		m    map[string]string
	}{{"table", c.Tables}, {"column", c.Columns}, {"link", c.Links}, {"derived", c.Derived}, {"trigger", c.Triggers}} {
		for _, k := range slices.Sorted(maps.Keys(part.m)) {
			out = append(out, part.word+" "+k+"="+part.m[k])
		}
	}
	for _, name := range c.Shared {
		out = append(out, "shared "+name)
	}
	for _, name := range c.Aliases {
		out = append(out, "alias "+name)
	}
	return strings.Join(out, ", ")
}
