package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) standing() *cobra.Command {
	return group(&cobra.Command{
		Use:   "standing",
		Short: "Propose, review and end standing approvals",
		Long: "A standing approval lets onboardings that only create start without a person: those of one blueprint that come by a known\n" +
			"trigger or from a known source, within a budget a day, for a year at most. Two persons beside the proposer review its\nrule. It never covers erasure, and what it started is listed until somebody has looked at it.",
	}, a.standingPropose(), a.standingList(), a.standingShow(), a.standingReview(), a.standingEnd(), a.standingStarts(), a.standingSee())
}

func (a *app) standingPropose() *cobra.Command {
	var p client.StandingProposal
	var ends string
	r := &p.Body
	cmd := command("propose NAME --blueprint BLUEPRINT --ends DATE", "Propose a standing approval", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		r.Name = args[0]
		var err error
		if r.EndsAt, err = parseDate(ends); err != nil {
			return err
		}
		st, err := ask(cmd.Context(), a, client.ProposeStanding, p)
		if err != nil {
			return err
		}
		return a.show(st, func(o *page) { printStanding(o, st) })
	})
	f := cmd.Flags()
	f.StringVar(&r.Trigger, "trigger", "", "what the key of the request's trigger begins with")
	f.StringVar(&r.Source, "source", "", "the name of the principal that asks")
	f.StringVar(&r.Blueprint, "blueprint", "", "the blueprint's name")
	f.StringVar(&r.Revision, "revision", "", "only this version or digest of it")
	f.StringSliceVar(&r.Tiers, "tier", nil, "only this tier (may be repeated)")
	f.StringSliceVar(&r.Labels, "label", nil, "only tenants with this label, key=value (may be repeated)")
	f.IntVar(&r.MaxResources, "max-resources", 100, "how many resources one plan may make")
	f.IntVar(&r.PerDay, "per-day", 10, "how many it may start within 24 hours")
	f.StringVar(&ends, "ends", "", "when it ends: a date, or RFC 3339; within a year")
	return cmd
}

func (a *app) standingList() *cobra.Command {
	var f client.StandingFilter
	cmd := command("list", "List standing approvals", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListStandings, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no standing approval.")
				return
			}
			rows := make([][]string, len(list))
			for i, s := range list {
				rows[i] = []string{string(s.ID), s.Rule.Name, string(s.State), s.Rule.Blueprint, fmt.Sprint(s.Rule.PerDay), o.when(s.Rule.EndsAt), s.ProposedBy, reviewers(s)}
			}
			o.table([]string{"STANDING", "NAME", "STATE", "BLUEPRINT", "A DAY", "ENDS", "PROPOSED BY", "REVIEWED BY"}, rows)
		})
	})
	cmd.Flags().BoolVar(&f.Ended, "ended", false, "those that are over too")
	return cmd
}

func (a *app) standingShow() *cobra.Command {
	return command("show STANDING", "Show a standing approval with its rule", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.standingBy(cmd, client.ShowStanding, args[0])
	})
}

func (a *app) standingEnd() *cobra.Command {
	return command("end STANDING", "End a standing approval at once; what it started goes on", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.standingBy(cmd, client.EndStanding, args[0])
	})
}

func (a *app) standingBy(cmd *cobra.Command, e client.Endpoint[client.StandingParams, tenure.Standing], id string) error {
	st, err := ask(cmd.Context(), a, e, client.StandingParams{Standing: id})
	if err != nil {
		return err
	}
	return a.show(st, func(o *page) { printStanding(o, st) })
}

func (a *app) standingReview() *cobra.Command {
	var p client.StandingReviewParams
	cmd := command("review STANDING --digest DIGEST", "Sign a standing approval's rule; the second person's signature makes it active",
		"The digest is that of the rule that was read. The proposer, and who answers for the rule's source, can't sign.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Standing = args[0]
			st, err := ask(cmd.Context(), a, client.ReviewStanding, p)
			if err != nil {
				return err
			}
			return a.show(st, func(o *page) { printStanding(o, st) })
		})
	cmd.Flags().StringVar(&p.Body.Digest, "digest", "", "digest of the rule that was read")
	return cmd
}

func (a *app) standingStarts() *cobra.Command {
	var f client.StartFilter
	cmd := command("starts", "List what standing approvals started", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListStarts, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No standing approval has started anything.")
				return
			}
			rows := make([][]string, len(list))
			for i, s := range list {
				rows[i] = []string{string(s.Operation), string(s.Tenant), string(s.Standing), fmt.Sprint(s.Resources), o.when(s.At), s.ReviewedBy}
			}
			o.table([]string{"OPERATION", "TENANT", "STANDING", "RESOURCES", "STARTED", "LOOKED AT BY"}, rows)
		})
	})
	cmd.Flags().StringVar(&f.Standing, "standing", "", "only those of this standing approval")
	cmd.Flags().BoolVar(&f.Unseen, "unseen", false, "only those that nobody has looked at")
	return cmd
}

func (a *app) standingSee() *cobra.Command {
	return command("see OPERATION", "Say that you have looked at what a standing approval started", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		st, err := ask(cmd.Context(), a, client.SeeStart, client.OperationParams{Operation: args[0]})
		if err != nil {
			return err
		}
		return a.show(st, func(o *page) { o.line("%s looked at %s.", st.ReviewedBy, string(st.Operation)) })
	})
}

func reviewers(s tenure.Standing) string {
	names := make([]string, len(s.Reviews))
	for i, r := range s.Reviews {
		names[i] = r.By
	}
	return strings.Join(names, ", ")
}

func printStanding(o *page, s tenure.Standing) {
	r := s.Rule
	o.fields("standing", string(s.ID), "name", r.Name, "state", string(s.State), "trigger", r.Trigger, "source", r.Source,
		"blueprint", strings.TrimSpace(r.Blueprint+" "+r.Revision), "tiers", strings.Join(r.Tiers, ", "), "labels", strings.Join(r.Labels, ", "),
		"resources", fmt.Sprintf("at most %d a plan", r.MaxResources), "budget", fmt.Sprintf("%d a day", r.PerDay), "ends", o.when(r.EndsAt),
		"proposed by", s.ProposedBy, "reviewed by", reviewers(s), "ended by", s.EndedBy, "ended", o.when(s.EndedAt), "digest", s.Digest)
	if s.State == tenure.StandingProposed {
		o.next(fmt.Sprintf("another person: tenure standing review %s --digest %s --as SOMEBODY-ELSE", s.ID, s.Digest))
	}
}
