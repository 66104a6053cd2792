package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func secretRoutes(s *Server) {
	route(s, client.ListSecrets, Access{tenure.TenantRead, List}, listSecrets)
}

// secretLot is how many credentials are read at once, some of which the filter may leave out.
const secretLot = 500

// secretPlace is a credential's place in the list: systems by name, then resources by id.
type secretPlace struct {
	System   string            `json:"s,omitempty"`
	Resource tenure.ResourceID `json:"r,omitempty"`
}

func listSecrets(ctx context.Context, c *Call, p *client.SecretFilter) (client.Page[client.Secret], error) {
	out := client.Page[client.Secret]{Items: []client.Secret{}}
	var from, last secretPlace
	if err := c.after(p.Cursor, &from); err != nil {
		return out, err
	}
	f := store.SecretFilter{After: from.Resource, Limit: secretLot, Visible: &c.Visible}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.TenantRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	now := c.Service.Now()
	full := func(k lifecycle.KeptSecret) bool {
		switch {
		case p.Overdue && !k.Overdue(now):
		case len(out.Items) == limitOf(p.Paging):
			out.Next = c.cursor(last)
			return true
		default:
			out.Items = append(out.Items, secretOf(k, now))
			if last = (secretPlace{System: k.System}); k.Resource != "" {
				last = secretPlace{Resource: k.Resource}
			}
		}
		return false
	}
	if from.Resource == "" && f.Tenant == "" && c.seesSystems() {
		systems, err := c.Service.SystemSecrets(ctx)
		if err != nil {
			return out, err
		}
		for _, k := range systems {
			if k.System > from.System && full(k) {
				return out, nil
			}
		}
	}
	for {
		lot, err := c.Service.TenantSecrets(ctx, f)
		if err != nil {
			return out, err
		}
		for _, k := range lot {
			if full(k) {
				return out, nil
			}
		}
		if len(lot) < secretLot {
			return out, nil
		}
		f.After = lot[len(lot)-1].Resource
	}
}

// seesSystems says whether the caller may list the systems.
func (c *Call) seesSystems() bool {
	return c.Caller.May(tenure.SystemRead) && c.server.o.Governor.RequireUndenied(c.Caller, tenure.SystemRead) == nil
}

func secretOf(k lifecycle.KeptSecret, now time.Time) client.Secret {
	out := client.Secret{
		Of: "tenant", Tenant: k.Tenant, TenantName: k.TenantName, Resource: k.Resource, Environment: k.Environment, Key: k.Key, System: k.System, Type: k.Type, Name: k.Name,
		MadeAt: k.MadeAt, RotatedAt: k.RotatedAt, Operation: k.Operation, Owner: k.Owner, DueAt: k.DueAt, Overdue: k.Overdue(now), ClaimedAt: k.ClaimedAt,
	}
	if k.Resource == "" {
		out.Of = "system"
	}
	if !k.Rotate.IsZero() {
		out.Rotate = k.Rotate.String()
	}
	return out
}
