package site

import (
	"net/http"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/words"
)

// outside says whether a page is for people who have no account, and so in their language.
func outside(path string) bool {
	for _, at := range []string{lifecycle.LeavePath + "/", lifecycle.LeasePath, lifecycle.VendorPath, server.LeaverPath} {
		if strings.HasPrefix(path, at) {
			return true
		}
	}
	return path == lifecycle.LeavePath
}

// public serves a page for people outside. A form that has a field twice is Invalid: who reads the first and
// who reads the last would read different answers.
func (s *Site) public(pattern string, f func(http.ResponseWriter, *http.Request) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Robots-Tag", "noindex")
		err := r.ParseForm()
		if err != nil {
			err = tenure.Errorf(tenure.Invalid, "the form can't be read")
		}
		for _, values := range r.PostForm {
			if len(values) > 1 {
				err = tenure.Errorf(tenure.Invalid, "the form has a field twice")
			}
		}
		if err == nil {
			err = f(w, r)
		}
		if err != nil {
			s.problem(w, r, nil, err)
		}
	})
}

// asked is the language that a browser asks for, for pages of which nothing else says who reads them.
func (s *Site) asked(r *http.Request) words.Language {
	return words.Accepted(r.Header.Get("Accept-Language"), s.o.Service.Language())
}

// frameIn is the frame of a page for people outside.
func (s *Site) frameIn(r *http.Request, lang words.Language) dashboard.Frame {
	f := s.frame(r)
	f.Language = lang
	return f
}

// tenantLanguage is the one of a tenant's people.
func (s *Site) tenantLanguage(r *http.Request, id tenure.TenantID) (words.Language, error) {
	t, err := s.o.Service.TenantRow(r.Context(), id)
	return s.o.Service.LanguageOf(t), err
}

// toldIn puts an error's page into a language. What there are no words for isn't said in English, but in
// general; hints are left out then.
func toldIn(lang words.Language, p dashboard.ProblemView) dashboard.ProblemView {
	var known bool
	if p.Message, known = lang.Translate(p.Message); !known {
		p.Message = lang.Say("problem.any")
	}
	var hints []string
	for _, h := range p.Hints {
		if says, known := lang.Translate(h); known {
			hints = append(hints, says)
		}
	}
	p.Hints = hints
	return p
}
