package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/store"
)

func noticeRoutes(s *Server) {
	route(s, client.ListDeliveries, Access{tenure.NoticeRead, List}, listDeliveries)
	route(s, client.ReplayDelivery, Access{tenure.NoticeSend, OfDelivery}, steerDelivery(func(ctx context.Context, c *Call, d store.Delivery) error {
		return c.Service.ReplayDelivery(ctx, d, c.By())
	}))
	route(s, client.AcknowledgeDelivery, Access{tenure.NoticeAcknowledge, OfDelivery}, steerDelivery(func(ctx context.Context, c *Call, d store.Delivery) error {
		return c.Service.Acknowledge(ctx, d, c.By())
	}))
	route(s, client.ListNotifyTargets, Access{tenure.NoticeRead, Anywhere}, listNotifyTargets)
	route(s, client.EnableNotifyTarget, Access{tenure.NoticeSend, Installation}, enableNotifyTarget)
	route(s, client.TryNotifyTarget, Access{tenure.NoticeSend, Installation}, tryNotifyTarget)
	route(s, client.PreviewLetter, Access{tenure.NoticeRead, Anywhere}, previewLetter)
}

func deliveryOf(d store.Delivery) client.Delivery {
	n := d.Notice
	out := client.Delivery{
		ID: d.ID, Notice: n.ID, Kind: string(n.Kind), Target: d.Target, Address: notify.AddressOf(d), Tenant: cmp.Or(n.Tenant, n.About), Operation: n.Operation, Recipient: n.Recipient, Text: lifecycle.WithoutLinks(n.Body),
		State: string(d.State), Attempts: d.Attempts, EndedAt: d.EndedAt, Error: d.Error, DueAt: d.DueAt, Answer: d.Answer, CreatedAt: d.CreatedAt,
	}
	if d.State == store.DeliveryWaiting {
		out.NextAt = d.NextAt
	}
	return out
}

func listDeliveries(ctx context.Context, c *Call, p *client.DeliveryFilter) (client.Page[client.Delivery], error) {
	out := client.Page[client.Delivery]{Items: []client.Delivery{}}
	if p.Target != "" && !slices.Contains(c.targets(), p.Target) {
		return out, unknown("target of notices", p.Target)
	}
	f := store.DeliveryFilter{Target: p.Target, State: store.DeliveryState(p.State), Sight: &c.Visible, Limit: limitOf(p.Paging) + 1}
	if err := c.after(p.Cursor, &f.Before); err != nil {
		return out, err
	}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.NoticeRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	rows, err := c.Service.Engine.DB.Deliveries(ctx, f)
	if err != nil {
		return out, err
	}
	if n := f.Limit - 1; len(rows) > n {
		rows = rows[:n]
		out.Next = c.cursor(rows[n-1].ID)
	}
	out.Items = each(rows, deliveryOf)
	return out, nil
}

// steerDelivery does something with a delivery, and gives it as it is then.
func steerDelivery(do func(context.Context, *Call, store.Delivery) error) func(context.Context, *Call, *client.DeliveryParams) (client.Delivery, error) {
	return func(ctx context.Context, c *Call, p *client.DeliveryParams) (client.Delivery, error) {
		db := c.Service.Engine.DB
		d, err := db.Delivery(ctx, p.Delivery)
		if err == nil {
			err = do(ctx, c, d)
		}
		if err == nil {
			d, err = db.Delivery(ctx, p.Delivery)
		}
		return deliveryOf(d), err
	}
}

// targets are the names of the targets in the settings.
func (c *Call) targets() (names []string) {
	for _, t := range c.server.o.Notices.Targets() {
		names = append(names, t.Name)
	}
	return names
}

func listNotifyTargets(ctx context.Context, c *Call, p *client.Paging) (client.Page[client.NotifyTarget], error) {
	known, err := c.Service.Engine.DB.NotifyTargets(ctx)
	if err != nil {
		return client.Page[client.NotifyTarget]{}, err
	}
	list := each(c.server.o.Notices.Targets(), func(t notify.Target) client.NotifyTarget {
		out := client.NotifyTarget{Name: t.Name, Kind: string(t.Kind), Notices: t.Notices, To: t.To}
		if i := slices.IndexFunc(known, func(k store.NotifyTarget) bool { return k.Name == t.Name }); i >= 0 {
			out.FailingSince, out.DisabledAt, out.Reason = known[i].FailingSince, known[i].DisabledAt, known[i].Why
		}
		return out
	})
	return pageInOrder(c, list, *p, func(t client.NotifyTarget) string { return t.Name })
}

func (c *Call) notifyTarget(ctx context.Context, name string) (client.NotifyTarget, error) {
	page, err := listNotifyTargets(ctx, c, &client.Paging{Limit: 1000})
	if err != nil {
		return client.NotifyTarget{}, err
	}
	i := slices.IndexFunc(page.Items, func(t client.NotifyTarget) bool { return t.Name == name })
	if i < 0 {
		return client.NotifyTarget{}, tenure.Errorf(tenure.NotFound, "there is no target %q", name).WithHint("list them: tenure notice targets")
	}
	return page.Items[i], nil
}

func enableNotifyTarget(ctx context.Context, c *Call, p *client.NotifyTargetParams) (client.NotifyTarget, error) {
	if _, err := c.notifyTarget(ctx, p.Target); err != nil {
		return client.NotifyTarget{}, err
	}
	if err := c.Service.EnableTarget(ctx, p.Target, c.By()); err != nil {
		return client.NotifyTarget{}, err
	}
	return c.notifyTarget(ctx, p.Target)
}

func tryNotifyTarget(ctx context.Context, c *Call, p *client.NotifyTargetParams) (client.Delivery, error) {
	if _, err := c.notifyTarget(ctx, p.Target); err != nil {
		return client.Delivery{}, err
	}
	d, err := c.server.o.Notices.Try(ctx, p.Target, c.By(), c.Service.Now())
	return deliveryOf(d), err
}

func previewLetter(_ context.Context, _ *Call, p *client.PreviewParams) (client.Letter, error) {
	if k := tenure.NoticeKind(p.Kind); p.Kind != "" && !slices.Contains(tenure.NoticeKinds(), k) {
		return client.Letter{}, unknown("kind of notice", p.Kind)
	}
	l, err := notify.Preview(tenure.NoticeKind(p.Kind), p.Language, p.To)
	return client.Letter{Subject: l.Subject, Text: l.Text, HTML: l.HTML}, err
}
