package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/keystore"
)

// A key's id doesn't tell whose it is, so that who notes copies does so for all.
func keyRoutes(s *Server) {
	route(s, client.ListKeys, Access{tenure.KeyRead, Installation}, listKeys)
	route(s, client.ListTenantKeys, Access{tenure.KeyRead, OfTenant}, listTenantKeys)
	route(s, client.AddKeyCopy, Access{tenure.KeyManage, Installation}, addKeyCopy)
	route(s, client.DropKeyCopy, Access{tenure.KeyManage, Installation}, dropKeyCopy)
}

func keyOf(k keystore.Status) client.KeyStatus {
	return client.KeyStatus{
		ID: string(k.Key), Spec: client.KeySpec{Tenant: k.Spec.Tenant, Purpose: string(k.Spec.Purpose), Class: k.Spec.Class, Name: k.Spec.Name}, State: string(k.State),
		CreatedAt: k.Created, DestroyedAt: k.Destroyed, GoneAt: k.Until, Overdue: k.Overdue,
		Copies: each(k.Copies, func(c keystore.Copy) client.KeyCopy { return client.KeyCopy(c) }),
	}
}

func listKeys(ctx context.Context, c *Call, _ *client.None) (client.Page[client.KeyStatus], error) {
	list, err := c.Service.Keys(ctx, "")
	return whole(each(list, keyOf)), err
}

func listTenantKeys(ctx context.Context, c *Call, p *client.TenantParams) (client.Page[client.KeyStatus], error) {
	list, err := c.Service.Keys(ctx, p.Tenant)
	return whole(each(list, keyOf)), err
}

func addKeyCopy(ctx context.Context, c *Call, p *client.KeyCopyParams) (client.None, error) {
	return client.None{}, c.Service.RegisterKeyCopy(ctx, keystore.KeyID(p.Key), p.Body.Location, p.Body.ExpiresAt, c.By())
}

func dropKeyCopy(ctx context.Context, c *Call, p *client.KeyGoneParams) (client.None, error) {
	return client.None{}, c.Service.ForgetKeyCopy(ctx, keystore.KeyID(p.Key), p.Body.Location, c.By())
}
