package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) leave() *cobra.Command {
	return group(&cobra.Command{
		Use:   "leave",
		Short: "See customers' own requests to leave, and answer them",
		Long: "With leave.page in tenure.yaml customers ask to leave on the page /leave. Who asked confirms it by a link in their mail, and\n" +
			"then the tenant's contact does, or staff where it has none. Then it is an event, and rules decide what it leads to.",
	}, a.leaveList(), a.leaveShow(), a.leaveConfirm(), a.leaveRefuse())
}

func (a *app) leaveList() *cobra.Command {
	var f client.LeaveFilter
	limit := 0
	cmd := command("list", "List requests to leave, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListLeave, f, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("Nobody has asked to leave.")
				return
			}
			rows := make([][]string, len(list))
			for i, l := range list {
				rows[i] = []string{string(l.ID), l.TenantName, l.Requester, string(l.State), o.when(l.AskedAt), o.when(l.ExpiresAt), l.EventState}
			}
			o.table([]string{"request", "tenant", "by", "state", "asked", "lapses", "event"}, rows)
		})
	})
	fl := cmd.Flags()
	fl.StringVar(&f.Tenant, "tenant", "", "only this tenant's, by id or name")
	fl.StringVar((*string)(&f.State), "state", "", "asked, waiting, confirmed, refused, lapsed or withdrawn")
	fl.IntVar(&limit, "limit", 100, "at most so many; 0 is all")
	return cmd
}

func (a *app) leaveShow() *cobra.Command {
	return command("show REQUEST", "Show a request to leave", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		l, err := ask(cmd.Context(), a, client.ShowLeave, client.LeaveParams{Leave: args[0]})
		if err != nil {
			return err
		}
		return a.show(l, func(o *page) { printLeave(o, l) })
	})
}

func (a *app) leaveConfirm() *cobra.Command {
	return command("confirm REQUEST", "Confirm a request of a tenant that has no contact to ask",
		"It becomes an event, and rules decide what it leads to. A departure takes the approvals that every departure does.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			l, err := ask(cmd.Context(), a, client.ConfirmLeave, client.LeaveParams{Leave: args[0]})
			if err != nil {
				return err
			}
			return a.show(l, func(o *page) { printLeave(o, l) })
		})
}

func (a *app) leaveRefuse() *cobra.Command {
	var p client.RefuseLeaveParams
	cmd := command("refuse REQUEST --reason WHY", "Refuse a request that is open; who asked is told the reason", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Leave = args[0]
		if p.Body.Reason == "" {
			return tenure.Errorf(tenure.Invalid, "the reason is missing").WithHint("tenure leave refuse REQUEST --reason WHY")
		}
		l, err := ask(cmd.Context(), a, client.RefuseLeave, p)
		if err != nil {
			return err
		}
		return a.show(l, func(o *page) { printLeave(o, l) })
	})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why")
	return cmd
}

func printLeave(o *page, l client.LeaveRequest) {
	o.fields("request", string(l.ID), "tenant", l.TenantName, "state", string(l.State), "asked by", l.Requester, "reason", l.Reason, "asked", o.when(l.AskedAt), "confirmed by them", o.when(l.VerifiedAt), "contact", l.Contact,
		"lapses", o.when(l.ExpiresAt), "decided", o.when(l.DecidedAt), "as", string(l.DecidedAs), "by", l.DecidedBy, "outcome", l.Outcome, "event", string(l.Event), "event's outcome", l.EventState, "why", l.EventWhy, "operation", string(l.Operation))
	switch {
	case l.State == tenure.LeaveWaiting && l.Contact == "":
		o.next("say yes: tenure leave confirm "+string(l.ID), "or no: tenure leave refuse "+string(l.ID)+" --reason WHY")
	case l.State.Open():
		o.next("end it: tenure leave refuse " + string(l.ID) + " --reason WHY")
	case l.Event != "" && l.EventState != "acted":
		o.next("see the event: tenure inbound show " + string(l.Event))
	}
}
