// Package site is the dashboard's way in: it says who looks, asks the API in
// their name and in this process, and puts what it answers into the pages of
// package dashboard. It knows nothing that the API wouldn't tell the caller, and
// changes nothing but through it.
package site

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
)

// Options are what a Site is made of. All but People are needed.
type Options struct {
	Governor *governance.Governor
	Service  *lifecycle.Service // of departure links, which open without an account
	Log      *slog.Logger
	Name     string // of the installation, for people
	Provider string // of sign-ins, for people; "" without one
	Issuer   string // its origin, which the sign-in form may lead to
	URL      string // what people reach this at; "" is the request's host

	Sources func() []string // of events, by name; nil: there are none
	Leave   bool            // customers can ask to leave on a public page
}

// Site answers the dashboard's requests. It is an http.Handler, safe for many at
// once.
type Site struct {
	o     Options
	pages *dashboard.Pages
	mux   *http.ServeMux
	cross *http.CrossOriginProtection
	api   *client.Client
	key   [32]byte // signs cookies that last a moment

	inboxes inboxes
}

// New makes the site. Use gives it the API before it answers anything.
func New(o Options) (*Site, error) {
	pages, err := dashboard.New()
	if err != nil {
		return nil, err
	}
	if o.Sources == nil {
		o.Sources = func() []string { return nil }
	}
	s := &Site{o: o, pages: pages, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	_, _ = rand.Read(s.key[:])
	s.mux.Handle("GET "+dashboard.AssetPrefix, dashboard.Assets())
	for _, room := range []func(){
		s.signInPages, s.departurePages, s.leasePages, s.leavePages, s.vendorPages, s.fleetPages, s.tenantPages, s.operationPages, s.eventPages, s.requestPages,
		s.approvalPages, s.findingPages, s.holdPages, s.reviewPages, s.blueprintPages, s.auditPages, s.systemPages, s.accessPages,
	} {
		room()
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if allow := strings.Join(server.Allowed(s.mux, r), ", "); allow != "" {
			w.Header().Set("Allow", allow)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			http.Error(w, "this page takes "+allow, http.StatusMethodNotAllowed)
			return
		}
		s.problem(w, r, nil, tenure.Errorf(tenure.NotFound, "there is no page at %s", r.URL.Path))
	})
	return s, nil
}

// Use says which handler answers the API.
func (s *Site) Use(api http.Handler) (err error) {
	s.api, err = client.New("http://tenure.internal", client.WithHandler(api, ""), client.WithUserAgent("dashboard"))
	return err
}

// maxForm bounds what a form may hold.
const maxForm = 1 << 20

// ServeHTTP is http.Handler's.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.contentPolicy(r))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if !strings.HasPrefix(r.URL.Path, dashboard.AssetPrefix) {
		h.Set("Cache-Control", "no-store")
	}
	if err := s.cross.Check(r); err != nil {
		s.problem(w, r, nil, tenure.Errorf(tenure.Forbidden, "this request came from another site, and nothing was done"))
		return
	}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			s.problem(w, r, nil, tenure.Errorf(tenure.Invalid, "the form can't be read"))
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// contentPolicy lets a page load its own files alone. The sign-in's form may lead
// on to the identity provider: browsers hold form-action against redirects too.
func (s *Site) contentPolicy(r *http.Request) string {
	forms := "'self'"
	if r.URL.Path == signInPath && s.o.Issuer != "" {
		forms += " " + s.o.Issuer
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action " + forms + "; frame-ancestors 'none'; base-uri 'none'"
}

// Visit is one request of somebody who is signed in.
type visit struct {
	*http.Request
	s      *Site
	w      http.ResponseWriter
	ctx    context.Context // the API is asked in the caller's name within it
	caller tenure.Caller
	mine   *[]client.Waiting // the caller's inbox, once it was read
}

// page registers one of who is signed in; an error of f becomes a page.
func (s *Site) page(pattern string, f func(*visit) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.caller(r)
		if tenure.CodeOf(err) == tenure.Unauthorized {
			s.toSignIn(w, r)
			return
		}
		if err != nil {
			s.problem(w, r, nil, err)
			return
		}
		v := &visit{Request: r, s: s, w: w, ctx: server.As(r.Context(), caller), caller: caller}
		if r.Method == http.MethodPost { // what they do now may change what waits for them
			defer s.inboxes.drop(v.whose())
		}
		if err := f(v); err != nil {
			s.problem(w, r, v, err)
		}
	})
}

// caller says who looks.
func (s *Site) caller(r *http.Request) (tenure.Caller, error) {
	for _, name := range cookieNames(r) {
		if k, err := r.Cookie(name); err == nil && k.Value != "" && len(k.Value) <= 512 {
			return s.o.Governor.Authenticate(r.Context(), governance.Credential{Session: tenure.NewSecret(k.Value)})
		}
	}
	return tenure.Caller{}, tenure.Errorf(tenure.Unauthorized, "nobody is signed in")
}

// ask asks the API in the name of who looks.
func ask[P, R any](v *visit, e client.Endpoint[P, R], p P) (R, error) {
	return e.Call(v.ctx, v.s.api, p)
}

// show renders a page to who is signed in.
func (v *visit) show(area dashboard.Area, events string, render func(w io.Writer, f dashboard.Frame) error) error {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return render(v.w, v.frame(area, events))
}

func (v *visit) frame(area dashboard.Area, events string) dashboard.Frame {
	who := &dashboard.Who{Name: v.caller.Name, Strong: v.caller.Strong}
	seen := map[tenure.Role]bool{}
	for _, g := range v.caller.Grants {
		if !seen[g.Role] {
			seen[g.Role] = true
			who.Roles = append(who.Roles, g.Role)
		}
		if g.BreakGlass && g.ExpiresAt.After(who.BreakGlass) {
			who.BreakGlass = g.ExpiresAt
		}
	}
	f := v.s.frame(v.Request)
	f.Who, f.Current, f.Events = who, area, events
	f.Nav = dashboard.Navigation(v.caller.May, v.badges())
	f.Flash = v.s.takeFlash(v.w, v.Request)
	f.Search = ""
	return f
}

// badges counts what waits, as far as that is cheap to say.
func (v *visit) badges() dashboard.Badges {
	var b dashboard.Badges
	if v.caller.May(tenure.TenantRead) {
		if n, err := v.s.o.Service.OpenFindings(v.ctx, v.s.o.Governor.Visible(v.caller, tenure.TenantRead)); err == nil {
			b.Findings = n
		}
	}
	b.Approvals = v.waiting()
	return b
}

func (s *Site) frame(r *http.Request) dashboard.Frame {
	return dashboard.Frame{Installation: s.o.Name, At: s.o.Governor.Now()}
}

// problem answers with an error's page. What has no code is a fault of ours: the
// person gets an id, and the log has the cause under it, with the route and not the
// path, which holds a secret where a departure link opened it.
func (s *Site) problem(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the browser has left for another page, and nobody reads an answer
	}
	var coded *tenure.Error
	p := dashboard.ProblemView{Code: tenure.CodeOf(err), Message: err.Error(), Hints: tenure.HintsOf(err), Retry: tenure.CanRetry(err), Back: dashboard.Ref{Label: "Back to the fleet", Href: "/"}}
	if !errors.As(err, &coded) || coded.Code == tenure.Internal {
		id := w.Header().Get("Tenure-Request-Id")
		s.o.Log.Error("internal error", "id", id, "route", r.Pattern, "error", err)
		p = dashboard.ProblemView{Code: tenure.Internal, Message: "internal error " + id, ID: id, Back: p.Back}
	}
	frame := s.frame(r)
	if outside(r.URL.Path) { // they have no other page
		p.Back, p.Outside = dashboard.Ref{}, true
		frame = s.frameIn(r, s.asked(r))
		if p.Code == tenure.Blocked { // what stands in the way is for staff
			s.o.Log.Error("a page for people outside can't be shown", "route", r.Pattern, "error", err)
			p.Message, p.Hints = "", nil
		}
		p = toldIn(frame.Language, p)
	}
	if v == nil { // the API counts what it refuses to who is signed in
		s.refused(r, p.Code.Status())
	}
	if v != nil {
		frame = v.frame("", "")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.Code.Status())
	_ = s.pages.Problem(w, frame, p)
}

// refused has what was refused to somebody who isn't known counted, with the address
// that it came from.
func (s *Site) refused(r *http.Request, status int) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests:
		s.o.Governor.Refuse(governance.Refusal{Address: server.AddressOf(r), Route: r.Pattern, Status: status})
	}
}

// back sends the browser to a page of ours after a change (RFC 9110 §15.4.4), with
// what it came to.
func (v *visit) back(path, kind, text string) error {
	v.s.setFlash(v.w, v.Request, kind, text)
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

// done is back after a change that was made.
func (v *visit) done(path, text string) error { return v.back(path, string(dashboard.FlashDone), text) }

// tried is back after a change: with the text if it was made, and with what is
// wrong otherwise, so that the person stays where they were.
func (v *visit) tried(path, text string, err error) error {
	switch tenure.CodeOf(err) {
	case "":
		return v.done(path, text)
	case tenure.Internal, tenure.Unauthorized, tenure.NotFound:
		return err
	}
	say := err.Error()
	if hints := tenure.HintsOf(err); len(hints) > 0 {
		say += " (" + strings.Join(hints, "; ") + ")"
	}
	return v.back(path, string(dashboard.FlashFail), say)
}

// may says whether who looks has a permission over a tenant, for what a page
// offers; the API decides for itself.
func (v *visit) may(p tenure.Permission, t tenure.Target) bool {
	return v.s.o.Governor.Decide(v.ctx, v.caller, p, t).Allowed
}

// pager makes the links of a list's pages out of the address that was asked for.
func (v *visit) pager(next string, shown int) dashboard.Pager {
	p := dashboard.Pager{Shown: shown}
	q := v.URL.Query()
	if q.Has("cursor") {
		q.Del("cursor")
		p.First = pathWith(v.URL.Path, q)
	}
	if next != "" {
		q.Set("cursor", next)
		p.Next = pathWith(v.URL.Path, q)
	}
	return p
}

func pathWith(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// day reads a date of a form or filter; zero for none or nonsense.
func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
