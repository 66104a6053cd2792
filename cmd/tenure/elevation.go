package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) elevation() *cobra.Command {
	return group(&cobra.Command{
		Use:   "elevation",
		Short: "Ask for a role for a while, approve, claim and end it",
		Long: "A role for a while is asked for with a reason, approved by another person, and claimed within an hour; its clock runs from\n" +
			"the claim, and it ends by itself or at once by revoke. With --system it opens a login of its own to the named tenants' data.",
	}, a.elevationRequest(), a.elevationApprove(), a.elevationReject(), a.elevationClaim(), a.elevationRevoke(), a.elevationReview(), a.elevationEntries(), a.elevationShow(), a.elevationList())
}

// elevationFlags are what both ways to a role take.
type elevationFlags struct {
	role, reason, length, system string
	scope                        tenure.Scope
	tenants                      []string
}

func (e *elevationFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.role, "role", "", "the role")
	f.StringSliceVar(&e.tenants, "tenant", nil, "over this tenant, by id or name (may be repeated)")
	f.StringSliceVar(&e.scope.Tiers, "tier", nil, "over this tier (may be repeated)")
	f.StringSliceVar(&e.scope.Labels, "label", nil, "over tenants with this label, key=value (may be repeated)")
	f.BoolVar(&e.scope.All, "all-tenants", false, "over all tenants")
	f.StringVar(&e.reason, "reason", "", "why")
	f.StringVar(&e.length, "for", "", "how long, such as 2h or PT2H")
	f.StringVar(&e.system, "system", "", "open a login of its own in this system, to the named tenants' data")
}

// read gives the scope and the length as the API has them.
func (e *elevationFlags) read() (tenure.Scope, string, error) {
	s := e.scope
	for _, t := range e.tenants {
		s.Tenants = append(s.Tenants, tenure.TenantID(t))
	}
	if e.length == "" || strings.HasPrefix(e.length, "P") {
		return s, e.length, nil
	}
	d, err := time.ParseDuration(e.length)
	if err != nil || d <= 0 || d%time.Second != 0 {
		return s, "", tenure.Errorf(tenure.Invalid, "%q is no length of time", clip(e.length, 40)).WithHint("write it like 2h, 30m or PT2H")
	}
	return s, "PT" + strings.ToUpper(d.String()), nil
}

func (a *app) elevationRequest() *cobra.Command {
	var e elevationFlags
	var access string
	cmd := command("request --role ROLE --tenant TENANT --for LENGTH --reason REASON", "Ask for a role for a while", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		scope, length, err := e.read()
		if err != nil {
			return err
		}
		if e.system != "" && access == "" {
			access = string(tenure.DirectRead)
		}
		out, err := ask(cmd.Context(), a, client.RequestElevation, client.ElevationParams{Body: client.NewElevation{
			Role: tenure.Role(e.role), Scope: scope, Reason: e.reason, Duration: length, System: e.system, Access: tenure.DirectAccess(access)}})
		if err != nil {
			return err
		}
		return a.show(out, func(o *page) { printElevation(o, out) })
	})
	e.add(cmd)
	cmd.Flags().StringVar(&access, "access", "", "what the login may: read, or write, which inserts and updates (default read)")
	return cmd
}

func (a *app) elevationApprove() *cobra.Command {
	var p client.ElevationApproval
	cmd := command("approve ELEVATION --digest DIGEST", "Approve what another person asked for", "The digest is of what was asked for, as elevation show prints it.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Elevation = args[0]
		e, err := ask(cmd.Context(), a, client.ApproveElevation, p)
		if err != nil {
			return err
		}
		return a.show(e, func(o *page) { printElevation(o, e) })
	})
	cmd.Flags().StringVar(&p.Body.Digest, "digest", "", "what is approved")
	return cmd
}

// elevationBy makes a command that gives a reason for what it does.
func (a *app) elevationBy(use, short string, e client.Endpoint[client.ElevationReason, client.Elevation]) *cobra.Command {
	var p client.ElevationReason
	cmd := command(use, short, "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Elevation = args[0]
		out, err := ask(cmd.Context(), a, e, p)
		if err != nil {
			return err
		}
		return a.show(out, func(o *page) { printElevation(o, out) })
	})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why")
	return cmd
}

func (a *app) elevationReject() *cobra.Command {
	return a.elevationBy("reject ELEVATION --reason REASON", "Reject what another person asked for", client.RejectElevation)
}

func (a *app) elevationRevoke() *cobra.Command {
	return a.elevationBy("revoke ELEVATION", "End an elevation at once, with its login's sessions", client.RevokeElevation)
}

func (a *app) elevationClaim() *cobra.Command {
	return command("claim ELEVATION", "Start an approved elevation's clock", "A login's secret is printed this once and kept nowhere.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		e, err := ask(cmd.Context(), a, client.ClaimElevation, client.ElevationID{Elevation: args[0]})
		if err != nil {
			return err
		}
		return a.show(e, func(o *page) { printClaimed(o, e) })
	})
}

func (a *app) elevationReview() *cobra.Command {
	var p client.BreakGlassReview
	cmd := command("review ELEVATION --note NOTE", "Review another person's break-glass", "It is reviewed when it has ended; elevation entries lists what was done while it lasted.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Elevation = args[0]
		e, err := ask(cmd.Context(), a, client.ReviewBreakGlass, p)
		if err != nil {
			return err
		}
		return a.show(e, func(o *page) { printElevation(o, e) })
	})
	cmd.Flags().StringVar(&p.Body.Note, "note", "", "what was found")
	return cmd
}

func (a *app) elevationShow() *cobra.Command {
	return command("show ELEVATION", "Show an elevation", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		e, err := ask(cmd.Context(), a, client.ShowElevation, client.ElevationID{Elevation: args[0]})
		if err != nil {
			return err
		}
		return a.show(e, func(o *page) {
			printElevation(o, e)
			if e.Kind != tenure.BreakGlass {
				return
			}
			if did, err := ask(cmd.Context(), a, client.ElevationLog, client.ElevationEntries{ElevationID: client.ElevationID{Elevation: args[0]}, Limit: 50}); err == nil {
				o.line("")
				printDone(o, did)
			}
		})
	})
}

func (a *app) elevationEntries() *cobra.Command {
	var p client.ElevationEntries
	cmd := command("entries ELEVATION", "List what was done while an elevation or break-glass lasted", "From the audit log: what its holder did from its start to its end, by whatever right.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Elevation = args[0]
		did, err := ask(cmd.Context(), a, client.ElevationLog, p)
		if err != nil {
			return err
		}
		return a.show(did, func(o *page) { printDone(o, did) })
	})
	cmd.Flags().IntVar(&p.Limit, "limit", 50, "at most this many, up to 500")
	return cmd
}

func printDone(o *page, did client.DoneUnder) {
	if len(did.Items) == 0 {
		o.line("The log has nothing that was done while it lasted.")
		return
	}
	rows := make([][]string, len(did.Items))
	for i, e := range did.Items {
		rows[i] = []string{fmt.Sprint(e.Index), e.At, e.Kind, e.Tenant, e.Subject}
	}
	o.table([]string{"entry", "at", "what", "tenant", "subject"}, rows)
	if did.More {
		o.line("There may be more: read the log, tenure audit log --from %d", did.Items[len(did.Items)-1].Index+1)
	}
}

func (a *app) elevationList() *cobra.Command {
	var f client.ElevationFilter
	var state string
	var glass bool
	cmd := command("list", "List elevations, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		f.State = tenure.ElevationState(state)
		if glass {
			f.Kind = tenure.BreakGlass
		}
		list, err := listed(cmd.Context(), a, client.ListElevations, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such elevation.")
				return
			}
			rows := make([][]string, len(list))
			for i, e := range list {
				rows[i] = []string{string(e.ID), string(e.Kind), e.Principal, string(e.Role), e.Scope.String(), string(e.State), o.when(e.RequestedAt), o.when(e.ExpiresAt), e.ReviewedBy}
			}
			o.table([]string{"id", "kind", "whose", "role", "over", "state", "requested", "ends", "reviewed by"}, rows)
		})
	})
	cmd.Flags().StringVar(&state, "state", "", "only those in this state")
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only this principal's")
	cmd.Flags().BoolVar(&glass, "break-glass", false, "only break-glass")
	cmd.Flags().BoolVar(&f.Unreviewed, "unreviewed", false, "only break-glass that nobody has reviewed")
	return cmd
}

func (a *app) breakGlass() *cobra.Command {
	var e elevationFlags
	cmd := command("break-glass --role ROLE --tenant TENANT --reason REASON", "Take a role at once, without approval",
		"For emergencies. Everybody hears of it, and another person reviews it within 24 hours of its end. It lasts an hour, or --for up to four,\nand never destroys data, approves, gives access out or releases a hold.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			scope, length, err := e.read()
			if err != nil {
				return err
			}
			out, err := ask(cmd.Context(), a, client.BreakGlass, client.BreakGlassParams{Body: client.NewBreakGlass{Role: tenure.Role(e.role), Scope: scope, Reason: e.reason, Duration: length, System: e.system}})
			if err != nil {
				return err
			}
			return a.show(out, func(o *page) { printClaimed(o, out) })
		})
	e.add(cmd)
	return cmd
}

func printElevation(o *page, e client.Elevation) {
	direct := ""
	if e.System != "" {
		direct = string(e.Access) + " in " + e.System
	}
	o.fields("elevation", string(e.ID), "kind", string(e.Kind), "whose", e.Principal, "role", string(e.Role), "over", e.Scope.String(), "direct access", direct, "reason", e.Reason, "for", e.Duration,
		"digest", e.Digest, "state", string(e.State), "requested", o.when(e.RequestedAt), "decided by", e.DecidedBy, "claim until", o.when(e.ClaimExpiresAt), "started", o.when(e.StartedAt),
		"ends", o.when(e.ExpiresAt), "ended", o.when(e.EndedAt), "ended by", e.EndedBy, "why", e.EndedReason, "review due", o.when(e.ReviewDueAt), "reviewed by", e.ReviewedBy, "review", e.ReviewNote)
	switch {
	case e.State == tenure.ElevationRequested:
		o.next("another person: tenure elevation approve " + string(e.ID) + " --digest " + e.Digest)
	case e.State == tenure.ElevationApproved:
		o.next(e.Principal + ": tenure elevation claim " + string(e.ID))
	case e.Kind == tenure.BreakGlass && e.State == tenure.ElevationActive:
		o.next("tenure elevation revoke "+string(e.ID), "when it has ended, another person reviews it")
	case e.Kind == tenure.BreakGlass && e.ReviewedAt.IsZero():
		o.next("another person: tenure elevation review " + string(e.ID) + " --note WHAT-WAS-FOUND")
	}
}

func printClaimed(o *page, e client.ClaimedElevation) {
	printElevation(o, e.Elevation)
	if e.Secret != "" {
		o.line("")
		o.fields("login", e.Login, "secret", e.Secret)
		o.line("The secret is shown this once.")
	}
}
