package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// DevicePath is the dashboard's page where a person lets a device in.
const DevicePath = "/device"

// bootstrapToken is how long the first admin's token is good for.
const bootstrapToken = 12 * time.Hour

func signInRoutes(s *Server) {
	route(s, client.StartDevice, Access{"", Public}, func(ctx context.Context, c *Call, _ *client.DeviceParams) (client.DeviceGrant, error) {
		d, err := c.Governor.BeginDevice(ctx)
		if err != nil {
			return client.DeviceGrant{}, err
		}
		return client.DeviceGrant{
			DeviceCode: d.DeviceCode.Reveal(), UserCode: d.UserCode, VerificationURI: s.reachedAt(c.x.r) + DevicePath, Interval: 2,
			ExpiresIn: int(d.ExpiresAt.Sub(c.Governor.Now()).Seconds()),
		}, nil
	})
	route(s, client.PollDevice, Access{"", Public}, func(ctx context.Context, c *Call, p *client.DevicePoll) (client.Token, error) {
		t, text, err := c.Governor.DeviceToken(ctx, tenure.NewSecret(p.Body.DeviceCode))
		if err != nil {
			return client.Token{}, err
		}
		return client.Token{Token: text.Reveal(), ExpiresAt: t.ExpiresAt}, nil
	})
	route(s, client.Bootstrap, Access{"", Public}, bootstrap)
	route(s, client.SignOut, Access{"", Signed}, func(ctx context.Context, c *Call, _ *client.None) (client.None, error) {
		switch {
		case c.Caller.Token != "":
			return client.None{}, c.Governor.RevokeToken(ctx, c.Caller, c.Caller.Token)
		case c.Caller.Session != "":
			return client.None{}, c.Governor.RevokeSession(ctx, c.Caller, c.Caller.Session)
		}
		return client.None{}, nil
	})
}

// reachedAt is the address that people reach this server at (RFC 8628 §3.2 wants a
// whole URI). At the socket there is none.
func (s *Server) reachedAt(r *http.Request) string {
	switch {
	case s.o.URL != "":
		return strings.TrimSuffix(s.o.URL, "/")
	case isLocal(r):
		return ""
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func bootstrap(ctx context.Context, c *Call, p *client.BootstrapParams) (client.Token, error) {
	who, err := c.Governor.Redeem(ctx, tenure.NewSecret(p.Body.Code), p.Body.Name, p.Body.Email)
	if err != nil {
		return client.Token{}, err
	}
	as := tenure.Caller{Principal: who.ID, Name: who.Name, Kind: tenure.CallerPerson, Strong: true}
	t, text, err := c.Governor.NewToken(ctx, as, who.Name, store.Token{Name: "bootstrap", ExpiresAt: c.Governor.Now().Add(bootstrapToken)})
	if err != nil {
		return client.Token{}, err
	}
	return client.Token{Token: text.Reveal(), ExpiresAt: t.ExpiresAt}, nil
}
