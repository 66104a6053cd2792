package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) blueprintImpact() *cobra.Command {
	return command("impact BLUEPRINT", "List the tenants that run another revision, and what this one would change", "Nothing is planned for good, and nothing runs.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := listed(cmd.Context(), a, client.ShowImpact, client.ImpactParams{BlueprintParams: client.BlueprintParams{Blueprint: args[0]}}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No tenant that you may see runs another revision.")
				return
			}
			rows := make([][]string, len(list))
			for i, t := range list {
				rows[i] = []string{t.TenantName, t.From.Version, strconv.Itoa(t.Makes), strconv.Itoa(t.Changes), strconv.Itoa(t.Leaves), strconv.Itoa(t.Destroys), strconv.Itoa(t.Approvals), t.Blocked}
			}
			o.table([]string{"tenant", "runs", "comes", "changes", "leaves", "destroys", "approvals", "blocked"}, rows)
			o.next("tenure blueprint upgrade " + args[0] + " --tenant " + list[0].TenantName)
		})
	})
}

func (a *app) blueprintUpgrade() *cobra.Command {
	var p client.UpgradesParams
	cmd := command("upgrade BLUEPRINT --tenant TENANT", "Begin the upgrades of tenants to a revision", "Each is an operation with its own plan and approval. It stops where the budget of destructive operations ends.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Blueprint = args[0]
		done, err := ask(cmd.Context(), a, client.StartUpgrades, p)
		if err != nil {
			return err
		}
		return a.show(done, func(o *page) {
			rows := make([][]string, len(done.Items))
			for i, u := range done.Items {
				rows[i] = []string{u.TenantName, string(u.Operation), u.Problem}
			}
			o.table([]string{"tenant", "operation", "problem"}, rows)
			if done.Stopped != "" {
				o.loud("Stopped: %s.", done.Stopped)
			}
		})
	})
	cmd.Flags().StringSliceVar(&p.Body.Tenants, "tenant", nil, "which tenants, each named (may be repeated)")
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why")
	return cmd
}
