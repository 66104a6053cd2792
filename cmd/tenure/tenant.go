package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) tenant() *cobra.Command {
	tenant := &cobra.Command{
		Use:   "tenant",
		Short: "Move tenants in, change them, move them out",
		Long:  "Each command that acts makes a plan and starts it. To read the plan first: tenure plan, then tenure operation start.",
	}
	for _, k := range kindWords {
		tenant.AddCommand(a.tenantAct(k.kind, k.short, k.long))
	}
	return group(tenant, a.tenantList(), a.tenantShow(), a.tenantOutputs(), a.tenantLabel(), a.tenantKnown(), a.tenantAccess(), a.tenantLink(), a.tenantLinks(), a.tenantUnlink(), a.tenantLease(),
		a.tenantIncident(), a.tenantIncidents(), a.tenantCover())
}

func (a *app) tenantAct(kind tenure.OperationKind, short, long string) *cobra.Command {
	var f intentFlags
	var plan string
	cmd := command(string(kind)+" TENANT", short, long, cobra.MaximumNArgs(1), func(cmd *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		if plan == "" && strings.TrimSpace(name) == "" {
			return tenure.Errorf(tenure.Invalid, "no tenant is named").WithHint("%s TENANT", cmd.CommandPath())
		}
		return a.act(cmd.Context(), &f, name, plan)
	})
	f.register(cmd, kind)
	cmd.Flags().StringVar(&plan, "plan", "", "start this stored plan, by its digest, instead of making one")
	cmd.Flags().StringVar(&f.in.Trigger, "trigger", "", "the requester's key for this; the same key again gives the same operation")
	return cmd
}

// act makes a plan, or takes a stored one, starts it, and stays with it until it
// rests.
func (a *app) act(ctx context.Context, f *intentFlags, tenant, plan string) error {
	s, err := a.writing(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if plan != "" {
		return a.startPlan(ctx, s, plan, f, tenant)
	}
	in, err := f.intent(ctx, a, s, tenant)
	if err != nil {
		return err
	}
	if in.Kind == tenure.Reinstate {
		if err := a.withdraw(ctx, s, tenant); err != nil {
			return err
		}
	}
	req := client.OperationRequest{}
	req.Body.Intent = in
	op, err := client.RequestOperation.Call(ctx, s.Client, req)
	if err != nil {
		return err
	}
	return a.stay(ctx, s, op.ID, true)
}

// withdraw cancels the tenant's open offboarding, which a reinstatement takes
// the place of. One past its point of no return is Blocked.
func (a *app) withdraw(ctx context.Context, s *session, name string) error {
	for op, err := range client.All(ctx, s.Client, client.ListOperations, client.OperationFilter{Tenant: name, Open: true, Kind: tenure.Offboard}) {
		if err != nil {
			return err
		}
		if _, err := client.CancelOperation.Call(ctx, s.Client, client.OperationChange{OperationParams: client.OperationParams{Operation: string(op.ID)}}); err != nil {
			return err
		}
		if err := s.carryOn(ctx, op.ID); err != nil {
			return err
		}
	}
	return nil
}

// nextWords is what is next for a tenant, when, and who must act.
func nextWords(o *page, n *client.TenantNext) string {
	if n == nil {
		return ""
	}
	out := clip(n.What, 60)
	if !n.At.IsZero() {
		out += ", " + o.when(n.At)
	}
	if n.Who != "" {
		out += ", by " + n.Who
	}
	return out
}

func (a *app) tenantList() *cobra.Command {
	var f client.TenantFilter
	var limit int
	var state, after string
	cmd := command("list", "List tenants", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		f.State = tenure.TenantState(state)
		if state != "" && !slices.Contains(tenure.TenantStates, f.State) {
			return tenure.Errorf(tenure.Invalid, "there is no state %q", state).WithHint("states: %s", joined(tenure.TenantStates))
		}
		if after != "" {
			id, err := tenure.ParseID[tenure.TenantID](after)
			if err != nil {
				return err
			}
			f.After = id
		}
		list, err := listed(cmd.Context(), a, client.ListTenants, f, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such tenant. Move one in: tenure tenant onboard NAME --blueprint BLUEPRINT")
				return
			}
			rows := make([][]string, len(list))
			if f.Unused > 0 {
				for i, t := range list {
					rows[i] = []string{t.Name, string(t.State), t.Tier, orElse(o.when(t.LastUsedAt), "never"), moneyWords(t.Monthly), string(t.ID)}
				}
				o.table([]string{"name", "state", "tier", "last sign-in", "a month", "id"}, rows)
				return
			}
			for i, t := range list {
				rows[i] = []string{t.Name, string(t.State), t.Blueprint.Name + "@" + t.Blueprint.Version, t.Tier, t.Organization, o.when(t.CreatedAt), string(t.ID), counted(severities(), t.OpenFindings), nextWords(o, t.Next), t.Blocked}
			}
			o.table([]string{"name", "state", "blueprint", "tier", "organization", "since", "id", "findings", "next", "blocked"}, rows)
		})
	})
	cmd.Flags().StringVar(&state, "state", "", "only those in this state")
	cmd.Flags().StringVar(&after, "after", "", "only those made after this one (an id), for the next page")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most this many")
	cmd.Flags().IntVar(&f.Unused, "unused", 0, "only those that nobody has signed in to for so many days, with what they cost a month")
	cmd.Flags().BoolVar(&f.Closed, "closed", false, "closed ones too")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(texts(tenure.TenantStates), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

func joined[T ~string](in []T) string { return strings.Join(texts(in), ", ") }

func (a *app) tenantShow() *cobra.Command {
	return command("show TENANT", "Show a tenant with everything about it", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		t, err := ask(cmd.Context(), a, client.ShowTenant, client.TenantParams{Tenant: args[0]})
		if err != nil {
			return orClosed(err, args[0])
		}
		return a.show(t, func(o *page) { printTenant(o, t) })
	})
}

func printTenant(o *page, t client.TenantDetail) {
	held := ""
	if t.Held {
		held = fmt.Sprintf("by %d holds", len(t.Holds))
	}
	o.fields(
		"tenant", t.Name+" ("+string(t.ID)+")",
		"state", string(t.State),
		"held", held,
		"blocked", t.Blocked,
		"blueprint", t.Blueprint.Name+"@"+t.Blueprint.Version+" ("+short(t.Blueprint.Digest)+")",
		"organization", t.Organization,
		"contact", t.Contact,
		"tier", t.Tier,
		"lease", leaseText(o, t.Lease),
		"mail domains", strings.Join(t.KnownBy.Domains, ", "),
		"external ids", strings.Join(t.KnownBy.ExternalIDs, ", "),
		"parameters", string(t.Parameters),
		"features", featureWords(t.Features),
		"since", o.when(t.CreatedAt),
	)
	for _, anchor := range slices.Sorted(maps.Keys(t.Anchors)) {
		o.fields(string(anchor), o.when(t.Anchors[anchor]))
	}
	o.title("Resources")
	if len(t.Resources) == 0 {
		o.line("There are none.")
	} else {
		printResources(o, t.Resources)
	}
	if len(t.Clocks) > 0 {
		o.title("Retention")
		rows := make([][]string, len(t.Clocks))
		for i, c := range t.Clocks {
			rows[i] = []string{c.Class, string(c.State), o.when(c.KeepUntil), o.when(c.GoneBy), c.Because}
		}
		o.table([]string{"data class", "clock", "keep until", "gone by", "because"}, rows)
	}
	if len(t.Holds) > 0 {
		o.title("Holds")
		printHolds(o, t.Holds)
	}
	if len(t.Findings) > 0 {
		o.title("Findings")
		printFindings(o, t.Findings)
	}
	if len(t.Operations) > 0 {
		o.title("Operations")
		printOperations(o, t.Operations)
	}
}

func printResources(o *page, list []client.Resource) {
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{r.Environment, r.Key, r.System, r.Type, r.Name, string(r.State), string(r.Verdict), string(r.ID)}
	}
	o.table([]string{"environment", "key", "system", "type", "name", "state", "verdict", "id"}, rows)
}

func featureWords(features map[string]bool) string {
	var on []string
	for _, f := range slices.Sorted(maps.Keys(features)) {
		if features[f] {
			on = append(on, f)
		}
	}
	return strings.Join(on, ", ")
}

func (a *app) tenantOutputs() *cobra.Command {
	var claim bool
	cmd := command("outputs OPERATION", "Show what an operation hands over",
		"With --claim the one-time secrets are printed too: once, and only for who asked for the operation.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			e := client.ShowOutputs
			if claim {
				e = client.ClaimOutputs
			}
			page1, err := ask(cmd.Context(), a, e, client.OperationParams{Operation: args[0]})
			if err != nil {
				return err
			}
			list := page1.Items
			return a.show(list, func(o *page) {
				if len(list) == 0 {
					o.line("This operation hands nothing over.")
					return
				}
				rows := make([][]string, len(list))
				for i, out := range list {
					rows[i] = []string{out.Environment, out.Name, outputWords(out)}
				}
				o.table([]string{"environment", "name", "value"}, rows)
			})
		})
	cmd.Flags().BoolVar(&claim, "claim", false, "reveal the one-time secrets, this once")
	return cmd
}

func outputWords(out client.Output) string {
	switch {
	case out.Secret != "":
		return out.Secret
	case out.Claim == "open":
		return "[secret, to be claimed once with --claim]"
	case out.Claim == "claimed":
		return "[secret, claimed at " + out.ClaimedAt.Format(time.RFC3339) + "]"
	case out.Claim != "":
		return "[secret, " + out.Claim + "]"
	}
	if s, ok := out.Value.(string); ok {
		return s
	}
	b, _ := json.Marshal(out.Value)
	return string(b)
}
