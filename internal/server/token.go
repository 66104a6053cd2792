package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func tokenRoutes(s *Server) {
	route(s, client.ListTokens, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.TokenFilter) ([]client.APIToken, error) {
		list, err := c.Governor.Tokens(ctx, c.Caller, p.Principal)
		if err == nil && len(list) == 0 {
			err = c.knownPerson(ctx, p.Principal)
		}
		return each(list, tokenOf), err
	})
	created(s, client.MakeToken, Access{"", Signed}, makeToken)
	route(s, client.RevokeToken, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.TokenID) (client.None, error) {
		id, err := tenure.ParseID[tenure.TokenID](p.Token)
		if err == nil {
			err = c.Governor.RevokeToken(ctx, c.Caller, id)
		}
		return client.None{}, err
	})
	route(s, client.ListSessions, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.TokenFilter) ([]client.Session, error) {
		list, err := c.Governor.Sessions(ctx, c.Caller, p.Principal)
		if err == nil && len(list) == 0 {
			err = c.knownPerson(ctx, p.Principal)
		}
		return each(list, func(v store.Session) client.Session {
			return client.Session{
				ID: v.ID, Principal: v.Principal, Strong: v.Strong, Method: v.Method, Agent: v.Agent,
				CreatedAt: v.CreatedAt, SeenAt: v.SeenAt, ExpiresAt: v.ExpiresAt, Mine: v.ID == c.Caller.Session,
			}
		}), err
	})
	route(s, client.RevokeSession, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.SessionID) (client.None, error) {
		id, err := tenure.ParseID[tenure.SessionID](p.Session)
		if err == nil {
			err = c.Governor.RevokeSession(ctx, c.Caller, id)
		}
		return client.None{}, err
	})
}

func tokenOf(t store.Token) client.APIToken {
	return client.APIToken{ID: t.ID, Principal: t.Principal, Name: t.Name, Limit: t.Limit, Only: t.Only, CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, UsedAt: t.UsedAt}
}

func makeToken(ctx context.Context, c *Call, p *client.NewTokenParams) (client.NewAPIToken, error) {
	b := p.Body
	who := b.Principal
	if who == "" {
		who = c.Caller.Name
	}
	t, text, err := c.Governor.NewToken(ctx, c.Caller, who, store.Token{Name: b.Name, Limit: b.Limit, Only: b.Only, ExpiresAt: b.ExpiresAt.UTC()})
	if err != nil {
		return client.NewAPIToken{}, err
	}
	c.Location("/v1/tokens/" + string(t.ID))
	return client.NewAPIToken{APIToken: tokenOf(t), Token: text.Reveal()}, nil
}
