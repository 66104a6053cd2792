package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) notice() *cobra.Command {
	return group(&cobra.Command{
		Use:   "notice",
		Short: "See which notices go out, and what became of them",
		Long: "Notices go to the targets that tenure.yaml names under notify.targets: webhooks, chats, mail. Each target gets its notices in\n" +
			"order; what doesn't arrive is tried again for a week. A target that has failed for five days isn't tried until it is enabled.",
	}, a.noticeList(), a.noticeReplay(), a.noticeAcknowledge(), a.noticeTargets(), a.noticeEnable(), a.noticeTry(), a.noticePreview(), a.noticeSettings())
}

func (a *app) noticeList() *cobra.Command {
	var f client.DeliveryFilter
	limit := 0
	cmd := command("list", "List notices on their way and those that have arrived, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListDeliveries, f, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("No notice is on its way or has arrived.")
				return
			}
			rows := make([][]string, len(list))
			for i, d := range list {
				rows[i] = []string{d.ID, o.when(d.CreatedAt), d.Target, d.Address, d.Kind, o.delivered(d), clip(d.Text, 80)}
			}
			o.table([]string{"delivery", "made", "target", "address", "kind", "state", "text"}, rows)
		})
	})
	fl := cmd.Flags()
	fl.StringVar(&f.Tenant, "tenant", "", "only those about this tenant, by id or name")
	fl.StringVar(&f.Target, "target", "", "only those to this target")
	fl.StringVar(&f.State, "state", "", "waiting, sending, sent, refused, expired or unwanted")
	fl.IntVar(&limit, "limit", 100, "at most so many; 0 is all")
	return cmd
}

// delivered says in a few words where a delivery is.
func (p *page) delivered(d client.Delivery) string {
	out := d.State
	if d.Error != "" {
		out += ": " + d.Error
	}
	switch {
	case d.Answer == "missed":
		out += ", not acknowledged in time"
	case d.Answer != "":
		out += ", acknowledged"
	case !d.DueAt.IsZero():
		out += ", to be acknowledged until " + p.when(d.DueAt)
	}
	return out
}

func (a *app) noticeBy(cmd *cobra.Command, e client.Endpoint[client.DeliveryParams, client.Delivery], id string) error {
	d, err := ask(cmd.Context(), a, e, client.DeliveryParams{Delivery: id})
	if err != nil {
		return err
	}
	return a.show(d, func(o *page) { o.delivery(d) })
}

func (p *page) delivery(d client.Delivery) {
	p.line("%s to %s: %s", d.ID, strings.TrimSpace(d.Target+" "+d.Address), p.delivered(d))
}

func (a *app) noticeReplay() *cobra.Command {
	return command("replay DELIVERY", "Have a notice sent once more", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.noticeBy(cmd, client.ReplayDelivery, args[0])
	})
}

func (a *app) noticeAcknowledge() *cobra.Command {
	return command("acknowledge DELIVERY", "Say that a system has done what a notice told it", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return a.noticeBy(cmd, client.AcknowledgeDelivery, args[0])
	})
}

func (a *app) noticeTargets() *cobra.Command {
	return command("targets", "List where notices go, and how each target does", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListNotifyTargets, client.Paging{}, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("Notices go nowhere: tenure.yaml names no target under notify.")
				return
			}
			rows := make([][]string, len(list))
			for i, t := range list {
				rows[i] = []string{t.Name, t.Kind, strings.Join(t.Notices, ", "), strings.Join(t.To, ", "), o.target(t)}
			}
			o.table([]string{"target", "kind", "notices", "to", "state"}, rows)
		})
	})
}

// target says how a target does.
func (p *page) target(t client.NotifyTarget) string {
	switch {
	case !t.DisabledAt.IsZero():
		return "given up " + p.when(t.DisabledAt) + ": " + t.Reason
	case !t.FailingSince.IsZero():
		return "failing since " + p.when(t.FailingSince) + ": " + t.Reason
	}
	return "works"
}

func (a *app) noticeEnable() *cobra.Command {
	return command("enable TARGET", "Have a target used again that was given up", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		t, err := ask(cmd.Context(), a, client.EnableNotifyTarget, client.NotifyTargetParams{Target: args[0]})
		if err != nil {
			return err
		}
		return a.show(t, func(o *page) { o.line("%s: %s", t.Name, o.target(t)) })
	})
}

func (a *app) noticeTry() *cobra.Command {
	return command("try TARGET", "Send a trial notice to a target, or to one's own address by mail", "The server sends it; `tenure notice list` says what became of it.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		d, err := ask(cmd.Context(), a, client.TryNotifyTarget, client.NotifyTargetParams{Target: args[0]})
		if err != nil {
			return err
		}
		return a.show(d, func(o *page) { o.delivery(d) })
	})
}

func (a *app) noticePreview() *cobra.Command {
	var p client.PreviewParams
	html := false
	cmd := command("preview", "Show the words of a mail, with made-up values", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		l, err := ask(cmd.Context(), a, client.PreviewLetter, p)
		if err != nil {
			return err
		}
		return a.show(l, func(o *page) {
			if html {
				o.print(l.HTML)
				return
			}
			o.line("Subject: %s", l.Subject)
			o.line("")
			o.print(l.Text)
		})
	})
	f := cmd.Flags()
	f.StringVar(&p.Kind, "kind", "tenant.suspended", "a kind of notice")
	f.StringVar(&p.Language, "language", "en", "a language tag: en or de")
	f.StringVar(&p.To, "to", "contact", "a recipient, such as contact or platform; requester is who asks to leave, vendor a company that is told to erase")
	f.BoolVar(&html, "html", false, "show it as HTML")
	return cmd
}
