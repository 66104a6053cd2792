package server_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// person adds somebody with a role over a scope and gives a token of theirs, of a
// strong sign-in or of a weak one.
func person(t *testing.T, s *lifecycle.Service, name string, role tenure.Role, scope tenure.Scope, strong bool) tenure.Secret {
	t.Helper()
	ctx, g := context.Background(), governorOf(s)
	p, err := g.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson}, "test")
	if err == nil {
		_, err = g.Grant(ctx, governance.Local("test"), tenure.Grant{Principal: p.ID, Role: role, Scope: scope, Reason: "test"})
	}
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := g.NewToken(ctx, tenure.Caller{Principal: p.ID, Name: name, Kind: tenure.CallerPerson, Strong: strong}, name, store.Token{Name: "test", ExpiresAt: s.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tokenOf is a new person's token, of a weak sign-in.
func tokenOf(t *testing.T, s *lifecycle.Service, name string, role tenure.Role, scope tenure.Scope) tenure.Secret {
	t.Helper()
	return person(t, s, name, role, scope, false)
}

// signedIn is a new person's client, with a token of a weak sign-in.
func signedIn(t *testing.T, s *lifecycle.Service, at *httptest.Server, name string, role tenure.Role, scope tenure.Scope) *client.Client {
	t.Helper()
	return clientOf(t, at, person(t, s, name, role, scope, false))
}

// strongly is a new person's client, with a token of a strong sign-in.
func strongly(t *testing.T, s *lifecycle.Service, at *httptest.Server, name string, role tenure.Role, scope tenure.Scope) *client.Client {
	t.Helper()
	return clientOf(t, at, person(t, s, name, role, scope, true))
}

func clientOf(t *testing.T, at *httptest.Server, token tenure.Secret) *client.Client {
	t.Helper()
	c, err := client.New(at.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
