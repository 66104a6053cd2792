package site

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/server"
)

// secure says whether the browser reached us over https, by itself or through the
// proxy that the installation's url names.
func (s *Site) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(s.o.URL, "https://")
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// cookieNames are where a session may be: the loopback name counts on loopback
// alone.
func cookieNames(r *http.Request) []string {
	if loopbackHost(r.Host) {
		return []string{server.SessionCookie, server.LoopbackCookie}
	}
	return []string{server.SessionCookie}
}

// setSession gives the browser its session. Over anything but https or loopback
// there is none: it would travel in clear.
func (s *Site) setSession(w http.ResponseWriter, r *http.Request, value tenure.Secret, seconds int) error {
	name := server.SessionCookie
	switch {
	case s.secure(r):
	case loopbackHost(r.Host):
		name = server.LoopbackCookie
	default:
		return tenure.Errorf(tenure.Forbidden, "people sign in over https, or on this machine's own loopback address").WithHint("put a proxy with TLS before the server and write its address as url into tenure.yaml")
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: value.Reveal(), Path: "/", MaxAge: seconds, HttpOnly: true, Secure: name == server.SessionCookie, SameSite: http.SameSiteLaxMode})
	return nil
}

func (s *Site) dropSession(w http.ResponseWriter, r *http.Request) {
	for _, name := range cookieNames(r) {
		http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: name == server.SessionCookie, SameSite: http.SameSiteLaxMode})
	}
}

// flashCookie carries what a change came to over the redirect that follows it. It
// holds no secret.
const flashCookie = "tenure-flash"

func setFlash(w http.ResponseWriter, _ *http.Request, kind, text string) {
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "…"
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(kind + "\n" + text)), Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func takeFlash(w http.ResponseWriter, r *http.Request) *dashboard.Flash {
	k, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	raw, err := base64.RawURLEncoding.DecodeString(k.Value)
	if err != nil {
		return nil
	}
	kind, text, _ := strings.Cut(string(raw), "\n")
	switch dashboard.FlashKind(kind) {
	case dashboard.FlashDone, dashboard.FlashNote, dashboard.FlashFail:
		return &dashboard.Flash{Kind: dashboard.FlashKind(kind), Text: text}
	}
	return nil
}
