package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) plan() *cobra.Command {
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Make and read plans; nothing runs",
		Long: "A plan is compiled from the blueprint, the parameters and the inventory, stored, and named by the SHA-256 of its\n" +
			"canonical JSON. With --output json exactly those bytes are printed, and a line feed.",
	}
	for _, k := range kindWords {
		plan.AddCommand(a.planMake(k.kind, k.short, k.long))
	}
	return group(plan, a.planShow())
}

func (a *app) planMake(kind tenure.OperationKind, what, long string) *cobra.Command {
	var f intentFlags
	cmd := command(string(kind)+" TENANT", "Plan: "+what, long, cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p, err := a.makePlan(cmd.Context(), &f, args[0])
		if err != nil {
			return err
		}
		return a.showPlan(p, true)
	})
	f.register(cmd, kind)
	return cmd
}

func (a *app) makePlan(ctx context.Context, f *intentFlags, tenant string) (client.Plan, error) {
	s, err := a.writing(ctx)
	if err != nil {
		return client.Plan{}, err
	}
	defer s.close()
	in, err := f.intent(ctx, a, s, tenant)
	if err != nil {
		return client.Plan{}, err
	}
	return client.MakePlan.Call(ctx, s.Client, client.PlanIntent{Body: in})
}

func (a *app) planShow() *cobra.Command {
	return command("show DIGEST", "Show a stored plan", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p, err := ask(cmd.Context(), a, client.ShowPlan, client.DigestParams{Digest: args[0]})
		if err != nil {
			return err
		}
		return a.showPlan(p, false)
	})
}

// showPlan prints a plan whose bytes match its digest: as those bytes, or for a
// person.
func (a *app) showPlan(p client.Plan, fresh bool) error {
	plan, err := p.Read()
	if err != nil {
		return err
	}
	if a.output == "json" {
		if _, err := a.out.Write(append(p.Body, '\n')); err != nil {
			return tenure.Errorf(tenure.Unavailable, "print: %w", err)
		}
		return nil
	}
	return a.show(nil, func(o *page) {
		printPlan(o, plan, p.Digest)
		if fresh {
			o.next("tenure operation start " + p.Digest)
		}
	})
}
