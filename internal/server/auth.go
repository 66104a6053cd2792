package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
)

const (
	// SessionCookie holds a session over https: the prefix binds it to this host and
	// to https (RFC 6265bis §4.1.3.2).
	SessionCookie = "__Host-tenure"
	// LoopbackCookie holds it on loopback http, where a browser takes no __Host-.
	LoopbackCookie = "tenure"
)

type localKey struct{}

// identify says who asks. Where the name may be asserted it is believed; elsewhere
// a bearer token or a session's cookie says it, and without either it is
// Unauthorized, save where anybody may.
func (s *Server) identify(r *http.Request, public bool) (tenure.Caller, error) {
	if r.Context().Value(localKey{}) != nil {
		name, err := url.PathUnescape(r.Header.Get(client.PrincipalHeader))
		if err != nil || !isText(name) {
			return tenure.Caller{}, tenure.Errorf(tenure.Invalid, "the header %s is not text in UTF-8, percent-encoded", client.PrincipalHeader)
		}
		return s.o.Governor.Asserted(r.Context(), name)
	}
	if as, ok := r.Context().Value(callerKey{}).(tenure.Caller); ok {
		return as, nil
	}
	c, err := credential(r)
	if err != nil {
		return tenure.Caller{}, err
	}
	if c.Bearer.IsZero() { // a browser: it sends the cookie along whoever made it ask
		if err := s.origin.Check(r); err != nil {
			return tenure.Caller{}, tenure.Errorf(tenure.Forbidden, "the request comes from another site")
		}
	}
	if public {
		return tenure.Caller{}, nil
	}
	if c.Bearer.IsZero() && c.Session.IsZero() {
		return tenure.Caller{}, tenure.Errorf(tenure.Unauthorized, "nobody is signed in").WithHint("sign in: tenure login, or send Authorization: Bearer TOKEN")
	}
	caller, err := s.o.Governor.Authenticate(r.Context(), c)
	if tenure.CodeOf(err) == tenure.Unauthorized {
		// A right credential always gets in: many people may share one address.
		if many := s.limits.tries(r); many != nil {
			return tenure.Caller{}, many
		}
		s.limits.failed(r)
	}
	return caller, err
}

// Caller says who asks, for what is mounted beside the API.
func (s *Server) Caller(r *http.Request) (tenure.Caller, error) { return s.identify(r, false) }

func credential(r *http.Request) (governance.Credential, error) {
	var c governance.Credential
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 {
			return c, tenure.Errorf(tenure.Unauthorized, "the Authorization header holds no bearer token")
		}
		c.Bearer = tenure.NewSecret(token)
		return c, nil
	}
	for _, name := range []string{SessionCookie, LoopbackCookie} {
		if name == LoopbackCookie && !onLoopback(r) {
			continue
		}
		if k, err := r.Cookie(name); err == nil && k.Value != "" && len(k.Value) <= 512 {
			c.Session = tenure.NewSecret(k.Value)
			return c, nil
		}
	}
	return c, nil
}

// onLoopback says whether the server was asked by a loopback name over http.
func onLoopback(r *http.Request) bool {
	host := r.Host
	if u, err := url.Parse("http://" + host); err == nil {
		host = u.Hostname()
	}
	return r.TLS == nil && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

// local marks the requests in which the name of who asks is believed.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.WithContext(context.WithValue(r.Context(), localKey{}, true))
		h.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern // who counts requests by their route looks at the outer one
	})
}
