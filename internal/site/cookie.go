package site

import (
	"crypto/hmac"
	"crypto/sha256"
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

// Cookies that last a moment, by the names that they have on loopback.
const (
	flashCookie  = "tenure-flash"   // what a change came to, over the redirect that follows it; it holds no secret
	flightCookie = "tenure-sign-in" // binds a sign-in under way to the browser that began it
)

// setBrief gives the browser a cookie for a moment. Over https only this host can have
// set it (the prefix __Host-, RFC 6265bis §4.1.3.2); on loopback http, where browsers
// take no such name, it is signed, so that no neighbouring port plants one.
func (s *Site) setBrief(w http.ResponseWriter, r *http.Request, name, value string, seconds int, same http.SameSite) {
	k := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: same}
	if s.secure(r) {
		k.Name, k.Secure = "__Host-"+name, true
	} else if seconds > 0 {
		k.Value += "." + s.mark(name, value)
	}
	http.SetCookie(w, k)
}

// takeBrief reads a cookie that setBrief set, and takes it away; "" for none and for one
// that wasn't set here.
func (s *Site) takeBrief(w http.ResponseWriter, r *http.Request, name string, same http.SameSite) string {
	stands := name
	if s.secure(r) {
		stands = "__Host-" + name
	}
	k, err := r.Cookie(stands)
	if err != nil || len(k.Value) > 3000 {
		return ""
	}
	s.setBrief(w, r, name, "", -1, same)
	if s.secure(r) {
		return k.Value
	}
	value, mark, _ := strings.Cut(k.Value, ".")
	if !hmac.Equal([]byte(mark), []byte(s.mark(name, value))) {
		return ""
	}
	return value
}

// mark signs a cookie's value with this process's own key.
func (s *Site) mark(name, value string) string {
	h := hmac.New(sha256.New, s.key[:])
	_, _ = h.Write([]byte(name + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (s *Site) setFlash(w http.ResponseWriter, r *http.Request, kind, text string) {
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "…"
	}
	s.setBrief(w, r, flashCookie, base64.RawURLEncoding.EncodeToString([]byte(kind+"\n"+text)), 60, http.SameSiteStrictMode)
}

func (s *Site) takeFlash(w http.ResponseWriter, r *http.Request) *dashboard.Flash {
	raw, err := base64.RawURLEncoding.DecodeString(s.takeBrief(w, r, flashCookie, http.SameSiteStrictMode))
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
