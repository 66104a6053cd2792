package site

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

const (
	signInPath    = "/sign-in"
	beginPath     = "/sign-in/begin"
	bootstrapPath = "/sign-in/bootstrap"
)

func (s *Site) signInPages() {
	s.mux.HandleFunc("GET "+signInPath, func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.caller(r); err == nil {
			http.Redirect(w, r, governance.SafePath(r.URL.Query().Get("return")), http.StatusSeeOther)
			return
		}
		s.signIn(w, r, http.StatusOK, "")
	})
	s.mux.HandleFunc("POST "+beginPath, s.begin)
	s.mux.HandleFunc("GET "+installation.CallbackPath, s.callback)
	s.mux.HandleFunc("POST "+bootstrapPath, s.bootstrap)
	s.mux.HandleFunc("POST /signout", s.signOut)
	s.page("GET "+server.DevicePath, func(v *visit) error { return v.device("", "") })
	s.page("POST "+server.DevicePath, (*visit).confirmDevice)
}

func (s *Site) toSignIn(w http.ResponseWriter, r *http.Request) {
	to := signInPath
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?" + url.Values{"return": {governance.SafePath(r.URL.RequestURI())}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	v := dashboard.SignInView{Return: governance.SafePath(r.FormValue("return")), Error: wrong}
	if s.o.Governor.CanSignIn() {
		v.Provider, v.Start = s.o.Provider, beginPath
	}
	if s.o.Governor.AwaitsFirst(r.Context()) {
		v.Bootstrap = bootstrapPath
	}
	s.refused(r, status)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := s.pages.SignIn(w, s.frame(r), v); err != nil {
		s.o.Log.Error("sign-in page", "error", err)
	}
}

// begin sends the browser to the identity provider. A cookie binds the sign-in to
// this browser; it is Lax, since the provider's answer comes from another site.
func (s *Site) begin(w http.ResponseWriter, r *http.Request) {
	address, cookie, err := s.o.Governor.BeginSignIn(r.Context(), r.PostFormValue("return"))
	if err != nil {
		s.signIn(w, r, tenure.CodeOf(err).Status(), err.Error())
		return
	}
	s.setBrief(w, r, flightCookie, cookie.Reveal(), 600, http.SameSiteLaxMode)
	http.Redirect(w, r, address, http.StatusSeeOther)
}

func (s *Site) callback(w http.ResponseWriter, r *http.Request) {
	var cookie tenure.Secret
	if value := s.takeBrief(w, r, flightCookie, http.SameSiteLaxMode); len(value) <= 512 {
		cookie = tenure.NewSecret(value)
	}
	session, value, returnTo, err := s.o.Governor.FinishSignIn(r.Context(), cookie, r.URL.Query(), r.UserAgent())
	if err == nil {
		err = s.setSession(w, r, value, int(session.ExpiresAt.Sub(session.CreatedAt)/time.Second))
	}
	if err != nil {
		s.signIn(w, r, tenure.CodeOf(err).Status(), withHints(err))
		return
	}
	http.Redirect(w, r, governance.SafePath(returnTo), http.StatusSeeOther)
}

func withHints(err error) string {
	say := err.Error()
	for _, h := range tenure.HintsOf(err) {
		say += "; " + h
	}
	return say
}

func (s *Site) bootstrap(w http.ResponseWriter, r *http.Request) {
	p, err := s.o.Governor.Redeem(r.Context(), tenure.NewSecret(r.PostFormValue("code")), r.PostFormValue("name"), r.PostFormValue("email"))
	if err != nil {
		s.signIn(w, r, tenure.CodeOf(err).Status(), withHints(err))
		return
	}
	session, value, err := s.o.Governor.NewSession(r.Context(), p, "bootstrap", r.UserAgent(), true)
	if err == nil {
		err = s.setSession(w, r, value, int(session.ExpiresAt.Sub(session.CreatedAt)/time.Second))
	}
	if err != nil {
		s.signIn(w, r, tenure.CodeOf(err).Status(), withHints(err))
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := s.caller(r); err == nil {
		if err := s.o.Governor.RevokeSession(r.Context(), c, c.Session); err != nil {
			s.problem(w, r, nil, err)
			return
		}
	}
	s.dropSession(w, r)
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
}

// device asks for the code that a command line shows, and whether it is theirs.
func (v *visit) device(code, wrong string) error {
	if code == "" {
		code = v.URL.Query().Get("code")
	}
	view := dashboard.DeviceView{Post: server.DevicePath, Code: code, Error: wrong}
	if wrong == "" && code != "" {
		view.Confirm, view.Asks = true, "A command line wants to act as "+v.caller.Name+" for 12 hours."
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return v.s.pages.Device(v.w, v.frame("", ""), view)
}

func (v *visit) confirmDevice() error {
	code := v.PostFormValue("code")
	switch v.PostFormValue("answer") {
	case "":
		return v.device(code, "")
	case "yes":
		if err := v.s.o.Governor.ConfirmDevice(v.ctx, v.caller, code); err != nil {
			if tenure.CodeOf(err) == tenure.Internal {
				return err
			}
			return v.device(code, withHints(err))
		}
		return v.loginDone("The command line is signed in", "You can close this page and go back to your terminal.", false)
	}
	return v.loginDone("Nothing was let in", "The code was left alone and lapses by itself within ten minutes.", true)
}

func (v *visit) loginDone(title, says string, bad bool) error {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return v.s.pages.LoginDone(v.w, v.frame("", ""), dashboard.LoginDoneView{Title: title, Says: says, Bad: bad, Next: dashboard.Ref{Label: "To the fleet", Href: "/"}})
}
