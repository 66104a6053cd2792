package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) approval() *cobra.Command {
	return group(&cobra.Command{
		Use:   "approval",
		Short: "See what waits for your decision, and reject",
		Long:  "The inbox holds what the caller may decide now: approvals, exceptions, releases of holds, blueprints to publish, standing\napprovals and elevations to review; and the tasks that they may confirm. Sign an operation with: tenure operation approve.\nSay that a task is done with: tenure operation done.",
	}, a.approvalList(), a.approvalCount(), a.approvalReject())
}

func (a *app) approvalList() *cobra.Command {
	return command("list", "List what waits for your decision, the oldest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListApprovals, client.InboxParams{}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("Nothing waits for your decision.")
				return
			}
			rows := make([][]string, len(list))
			for i, w := range list {
				rows[i] = []string{w.Kind, w.ID, w.Gate, clip(w.Summary, 70), w.RequestedBy, fmt.Sprintf("%d of %d", w.Have, w.Need), clip(w.Missing, 60), relative(w.OpenedAt.Sub(o.now)), o.when(w.ExpiresAt), escalatedTo(w), short(w.Digest)}
			}
			o.table([]string{"KIND", "ID", "GATE", "WHAT", "ASKED BY", "HAS", "NEEDS", "SINCE", "EXPIRES", "ESCALATED TO", "DIGEST"}, rows)
		})
	})
}

// escalatedTo is whom the gate's escalation went to, if there was one.
func escalatedTo(w client.Waiting) string {
	if w.Escalation == "" {
		return ""
	}
	return cmp.Or(w.EscalatedTo, "nobody stands above")
}

func (a *app) approvalCount() *cobra.Command {
	return command("count", "Count what waits for your decision", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		n, err := ask(cmd.Context(), a, client.CountApprovals, client.None{})
		if err != nil {
			return err
		}
		return a.show(n, func(o *page) {
			if n.More {
				o.line("more than %d", n.Count)
				return
			}
			o.line("%d", n.Count)
		})
	})
}

func (a *app) approvalReject() *cobra.Command {
	var p client.RejectParams
	cmd := command("reject OPERATION --reason REASON", "Say no at a gate: the operation is cancelled",
		"What an onboarding had made by then is taken back. The reason stands in the operation. The requester cancels instead.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Operation = args[0]
			return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.GateAnswer, error) {
				return client.RejectOperation.Call(ctx, s.Client, p)
			}, false)
		})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why; it is kept with the operation")
	cmd.Flags().StringVar(&p.Body.Gate, "gate", "", "the gate, where more than one waits")
	return cmd
}
