package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) review() *cobra.Command {
	return group(&cobra.Command{
		Use:   "review",
		Short: "Review who has access: roles, tokens, delegations, accounts, agreements",
		Long: "A campaign asks named reviewers, item by item, whether access is still needed. Nobody reviews their own. A role that is\n" +
			"revoked is gone at once; an account that is revoked is taken off by an operation that somebody else approves.",
	}, a.reviewStart(), a.reviewList(), a.reviewShow(), a.reviewDecide(), a.reviewReassign(), a.reviewClose(), a.reviewEvidence())
}

// over are the flags that say over which tenants something is.
type over struct {
	scope   tenure.Scope
	tenants []string
}

func (v *over) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&v.scope.All, "all-tenants", false, "over all tenants")
	f.StringSliceVar(&v.tenants, "tenant", nil, "over this tenant (may be repeated)")
	f.StringSliceVar(&v.scope.Tiers, "tier", nil, "over this tier (may be repeated)")
	f.StringSliceVar(&v.scope.Labels, "label", nil, "over tenants with this label, key=value (may be repeated)")
}

// resolve finds the tenants that are named.
func (v *over) resolve(ctx context.Context, s *session) (tenure.Scope, error) {
	out := v.scope
	for _, name := range v.tenants {
		t, err := client.ShowTenant.Call(ctx, s.Client, client.TenantParams{Tenant: name})
		if err != nil {
			return out, err
		}
		out.Tenants = append(out.Tenants, t.ID)
	}
	return out, nil
}

func (a *app) reviewStart() *cobra.Command {
	var p client.NewCampaignParams
	var where over
	var due string
	var covers []string
	cmd := command("start --name NAME --reviewer PERSON", "Start an access review", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		s, err := a.writing(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		b := &p.Body
		if b.DueAt, err = untilMoment(due, a.now()); err != nil {
			return err
		}
		for _, k := range covers {
			b.Covers = append(b.Covers, tenure.ReviewKind(k))
		}
		if b.Scope, err = where.resolve(cmd.Context(), s); err != nil {
			return err
		}
		c, err := client.StartCampaign.Call(cmd.Context(), s.Client, p)
		if err != nil {
			return err
		}
		return a.show(c, func(o *page) {
			printCampaign(o, c)
			o.next("the reviewers: tenure review show "+string(c.ID)+" --open", "tenure review decide "+string(c.ID)+" --item 1 --keep")
		})
	})
	f := cmd.Flags()
	f.StringVar(&p.Body.Name, "name", "", "what it is called")
	f.StringSliceVar(&covers, "covers", []string{"grant", "account", "agreement", "export"}, "what it asks about; also token, delegation, standing, breakglass, credential")
	f.BoolVar(&p.Body.ByOwner, "by-owner", false, "items go first to their owner: whom the tenant's label owner names, or who gave it")
	f.StringSliceVar(&p.Body.Reviewers, "reviewer", nil, "who answers, by name (may be repeated)")
	f.StringVar((*string)(&p.Body.Silence), "silence", "revoke", "what becomes of what nobody answers: keep or revoke")
	f.StringVar(&due, "due", "P14D", "until when: a date, RFC 3339, or a period such as P14D")
	where.register(cmd)
	return cmd
}

// untilMoment reads a moment, or a period from now.
func untilMoment(s string, now time.Time) (time.Time, error) {
	if strings.HasPrefix(s, "P") {
		p, err := tenure.ParsePeriod(s)
		if err != nil {
			return time.Time{}, err
		}
		return p.After(now), nil
	}
	return parseDate(s)
}

func (a *app) reviewList() *cobra.Command {
	return command("list", "List access reviews, the newest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListCampaigns, client.CampaignFilter{}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No access was ever reviewed, or not by you.")
				return
			}
			rows := make([][]string, len(list))
			for i, c := range list {
				rows[i] = []string{string(c.ID), c.Name, string(c.State), strconv.Itoa(c.Open) + " of " + strconv.Itoa(c.Items), string(c.Silence), o.when(c.DueAt)}
			}
			o.table([]string{"id", "name", "state", "unanswered", "silence", "due"}, rows)
		})
	})
}

// campaignView is a review with its items.
type campaignView struct {
	client.Campaign
	List []tenure.ReviewItem `json:"list"`
}

func (a *app) reviewShow() *cobra.Command {
	var f client.ReviewItemFilter
	cmd := command("show REVIEW", "Show an access review with its items", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		f.Campaign = args[0]
		c, err := ask(cmd.Context(), a, client.ShowCampaign, f.CampaignID)
		if err != nil {
			return err
		}
		list, err := listed(cmd.Context(), a, client.ListReviewItems, f, 0)
		if err != nil {
			return err
		}
		return a.show(campaignView{c, list}, func(o *page) {
			printCampaign(o, c)
			o.line("")
			printItems(o, list)
		})
	})
	cmd.Flags().StringVar(&f.Reviewer, "reviewer", "", "only this reviewer's items")
	cmd.Flags().BoolVar(&f.Open, "open", false, "only items that aren't answered")
	return cmd
}

func (a *app) reviewDecide() *cobra.Command {
	var items []int
	var keep, revoke bool
	var change, reason string
	cmd := command("decide REVIEW --item N", "Answer items that you are the reviewer of", "All of the items get the same answer; all are taken, or none.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p := client.DecideParams{CampaignID: client.CampaignID{Campaign: args[0]}}
		answer, err := answerOf(keep, revoke, change, reason)
		if err != nil {
			return err
		}
		for _, n := range items {
			answer.Item = n
			p.Body.Answers = append(p.Body.Answers, answer)
		}
		if len(items) == 0 {
			return tenure.Errorf(tenure.Invalid, "no item is named").WithHint("name them: --item 1,2,5")
		}
		done, err := ask(cmd.Context(), a, client.DecideReview, p)
		if err != nil {
			return err
		}
		return a.show(done.Items, func(o *page) {
			printItems(o, done.Items)
			for _, it := range done.Items {
				if it.Operation != "" {
					o.next("somebody else approves what follows: tenure operation show " + string(it.Operation))
					break
				}
			}
		})
	})
	f := cmd.Flags()
	f.IntSliceVar(&items, "item", nil, "the items' numbers (may be repeated)")
	f.BoolVar(&keep, "keep", false, "it is still needed")
	f.BoolVar(&revoke, "revoke", false, "it isn't needed any more")
	f.StringVar(&change, "change", "", `less is needed, as JSON: {"scope": {"tiers": ["team"]}}`)
	f.StringVar(&reason, "reason", "", "why; needed where access goes")
	return cmd
}

func (a *app) reviewReassign() *cobra.Command {
	var p client.ReassignParams
	cmd := command("reassign REVIEW --item N --to PERSON --reason REASON", "Give items to another reviewer", "For their reviewer, and for who manages reviews. Nobody gets what concerns themselves.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Campaign = args[0]
		if len(p.Body.Items) == 0 {
			return tenure.Errorf(tenure.Invalid, "no item is named").WithHint("name them: --item 1,2,5")
		}
		done, err := ask(cmd.Context(), a, client.ReassignReview, p)
		if err != nil {
			return err
		}
		return a.show(done.Items, func(o *page) { printItems(o, done.Items) })
	})
	f := cmd.Flags()
	f.IntSliceVar(&p.Body.Items, "item", nil, "the items' numbers (may be repeated)")
	f.StringVar(&p.Body.To, "to", "", "the other reviewer, by name")
	f.StringVar(&p.Body.Reason, "reason", "", "why; it is kept")
	return cmd
}

func answerOf(keep, revoke bool, change, reason string) (client.ReviewAnswer, error) {
	out := client.ReviewAnswer{Reason: reason}
	n := 0
	for _, d := range []struct {
		said bool
		is   tenure.ReviewDecision
	}{{keep, tenure.ReviewKeep}, {revoke, tenure.ReviewRevoke}, {change != "", tenure.ReviewChange}} {
		if d.said {
			out.Decision = d.is
			n++
		}
	}
	if n != 1 {
		return out, tenure.Errorf(tenure.Invalid, "an item has one answer").WithHint("--keep, --revoke or --change JSON")
	}
	if change == "" {
		return out, nil
	}
	if err := tenure.CheckJSON([]byte(change)); err != nil {
		return out, err
	}
	dec := json.NewDecoder(strings.NewReader(change))
	dec.DisallowUnknownFields()
	out.ChangeTo = new(tenure.ReviewTo)
	if err := dec.Decode(out.ChangeTo); err != nil {
		return out, tenure.Errorf(tenure.Invalid, "--change %q isn't what an item can become: %w", clip(change, 80), err)
	}
	return out, nil
}

func (a *app) reviewClose() *cobra.Command {
	return command("close REVIEW", "Close an access review whose items are all answered", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		c, err := ask(cmd.Context(), a, client.CloseCampaign, client.CampaignID{Campaign: args[0]})
		if err != nil {
			return err
		}
		return a.show(c, func(o *page) { printCampaign(o, c) })
	})
}

func (a *app) reviewEvidence() *cobra.Command {
	return command("evidence REVIEW", "Give a closed review's evidence", "The SHA-256 of the document's canonical JSON is in the audit log.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		ev, err := ask(cmd.Context(), a, client.ShowEvidence, client.CampaignID{Campaign: args[0]})
		if err != nil {
			return err
		}
		canonical, err := tenure.Canonical(ev.Document)
		if err != nil {
			return err
		}
		if got := tenure.Digest(canonical); got != ev.Digest {
			return tenure.Errorf(tenure.Internal, "the evidence hashes to %s, and not to %s: it was changed", got, ev.Digest)
		}
		return a.show(ev, func(o *page) {
			o.fields("review", args[0], "digest", ev.Digest)
			o.print(string(canonical) + "\n")
		})
	})
}

func printCampaign(o *page, c client.Campaign) {
	words := make([]string, len(c.Covers))
	for i, k := range c.Covers {
		words[i] = string(k)
	}
	o.fields("review", string(c.ID), "name", c.Name, "state", strings.ReplaceAll(string(c.State), "_", " "), "covers", strings.Join(words, ", "), "over", c.Scope.String(),
		"reviewers", strings.Join(c.Reviewers, ", "), "schedule", c.Schedule, "silence", string(c.Silence), "due", o.when(c.DueAt),
		"answers", fmt.Sprintf("%d of %d: %d kept, %d revoked, %d changed", c.Items-c.Open, c.Items, c.Kept, c.Revoked, c.Narrowed),
		"started by", c.CreatedBy, "evidence", c.Evidence)
}

func printItems(o *page, list []tenure.ReviewItem) {
	if len(list) == 0 {
		o.line("There is no such item.")
		return
	}
	rows := make([][]string, len(list))
	for i, it := range list {
		outcome := it.Outcome
		if outcome == "" && it.Operation != "" {
			outcome = "by " + string(it.Operation)
		}
		rows[i] = []string{strconv.Itoa(it.Seq), string(it.Kind), it.Detail, o.when(it.LastUsed), it.Reviewer, string(it.Decision), outcome}
	}
	o.table([]string{"item", "kind", "what", "last used", "reviewer", "answer", "outcome"}, rows)
}
