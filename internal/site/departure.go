package site

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// departurePages open with a signed link alone: no account, and nothing but the
// one tenant's departure.
func (s *Site) departurePages() {
	s.leaver("GET "+server.LeaverPath+"{link}", s.departure)
	s.leaver("GET "+server.LeaverPath+"{link}/files/{name}", s.departureFile)
	s.leaver("GET "+server.LeaverPath+"{link}/certificates/{kind}", s.departureCertificate)
}

func (s *Site) leaver(pattern string, f func(http.ResponseWriter, *http.Request, *lifecycle.TenantView, store.DepartureLink) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Robots-Tag", "noindex")
		link := r.PathValue("link")
		l, err := s.o.Service.OpenDepartureLink(r.Context(), tenure.NewSecret(link))
		var t *lifecycle.TenantView
		if err == nil {
			t, err = s.o.Service.Tenant(r.Context(), string(l.Tenant))
		}
		if err == nil {
			err = f(w, r, t, l)
		}
		if err != nil {
			s.problem(w, r, nil, err)
		}
	})
}

func (s *Site) departure(w http.ResponseWriter, r *http.Request, t *lifecycle.TenantView, l store.DepartureLink) error {
	lang := s.o.Service.LanguageOf(t.TenantRow)
	if l.Audience == store.Stakeholder { // who isn't one of the tenant's people
		lang = s.o.Service.Language()
	}
	at := server.LeaverPath + url.PathEscape(r.PathValue("link"))
	view := dashboard.DepartureView{
		Organization: t.Organization, Tenant: t.Name, Platform: s.o.Name, Expires: l.ExpiresAt,
		Progress: dashboard.TenantView{State: t.State}.Life(), Stakeholder: l.Audience == store.Stakeholder,
	}
	if view.Tenant == "" {
		view.Tenant = string(t.ID)
	}
	for i, step := range view.Progress {
		view.Progress[i].Word = lang.Say(words.Key("way." + strings.ReplaceAll(step.Word, " ", "_")))
	}
	if view.Headline, view.Says = headline(lang, t); view.Stakeholder {
		view.Headline, view.Says = lang.Say("depart.of", view.Tenant), ""
	}
	if err := s.departureDates(r, t, lang, &view); err != nil {
		return err
	}
	if err := s.departureTasks(r, t, &view); err != nil {
		return err
	}
	files, err := s.o.Service.HandoverFiles(t.ID)
	if err != nil {
		return err
	}
	for _, f := range files {
		view.Downloads = append(view.Downloads, dashboard.Document{Name: dashboard.Ref{Label: f.Name, Href: at + "/files/" + url.PathEscape(f.Name)}, Kind: lang.Say("depart.your_data"), At: f.At, Bytes: f.Bytes})
	}
	if len(files) > 0 {
		view.DownloadSays = lang.Say("depart.age")
	}
	if err := s.departureRemains(r, t, lang, &view); err != nil {
		return err
	}
	certs, err := s.o.Service.Certificates(r.Context(), string(t.ID))
	if err != nil {
		return err
	}
	for _, c := range certs {
		href := at + "/certificates/" + url.PathEscape(c.Kind)
		view.Certificates = append(view.Certificates, dashboard.CertificateRow{Ref: dashboard.Ref{Label: lang.Say(words.Key("depart." + c.Kind)), Href: href}, Kind: c.Kind, Issued: c.IssuedAt, Digest: c.Digest, Download: href})
	}
	if key, err := s.o.Service.VerifierKey(); err == nil {
		view.Verify = "tenure certificate verify certificate.json --key '" + key + "'"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.Departure(w, s.frameIn(r, lang), view)
}

// headline says where a departure stands, in plain words.
func headline(lang words.Language, t *lifecycle.TenantView) (headline, says string) {
	key := words.Key("depart." + string(t.State))
	if !words.Has(key) {
		key = "depart.active"
	}
	return lang.Say(key), lang.Say(key + ".says")
}

// departureDates are the dates of the open offboarding, as things stand. A date that has come isn't a thing
// that was done: a hold, or a person whose word is missing, may still stand before it.
func (s *Site) departureDates(r *http.Request, t *lifecycle.TenantView, lang words.Language, view *dashboard.DepartureView) error {
	dates, past, err := s.o.Service.DepartureDates(r.Context(), string(t.ID))
	if err != nil {
		return err
	}
	now := s.o.Governor.Now()
	for _, d := range dates {
		if !d.At.IsZero() {
			what, _ := lang.Translate(d.What)
			view.Dates = append(view.Dates, dashboard.DepartureDate{At: d.At, What: what, Past: past[d.Step] || d.Step == "" && d.At.Before(now)})
		}
	}
	slices.SortStableFunc(view.Dates, func(a, b dashboard.DepartureDate) int { return a.At.Compare(b.At) })
	return nil
}

// departureTasks are the checklist of the open offboarding; who leaves sees what they themselves are to do.
func (s *Site) departureTasks(r *http.Request, t *lifecycle.TenantView, view *dashboard.DepartureView) error {
	i := slices.IndexFunc(t.Operations, func(o store.OperationRow) bool { return o.Kind == tenure.Offboard && !o.State.Ended() })
	if i < 0 {
		return nil
	}
	list, err := s.o.Service.Checklist(r.Context(), t.Operations[i].ID)
	if err != nil {
		return err
	}
	for _, it := range list {
		if !view.Stakeholder && it.Owner != "contact" {
			continue
		}
		row := dashboard.DepartureTask{What: it.Text, State: string(it.State), Due: it.DueAt}
		if view.Stakeholder {
			row.Owner = it.Owner
		}
		if it.Artifact {
			handedInto(&row, it.Where, it.To, it.Archive, it.State, it.Handed)
		}
		if it.Overdue(s.o.Governor.Now()) {
			row.State = "overdue"
		}
		view.Tasks = append(view.Tasks, row)
	}
	return nil
}

func (s *Site) departureRemains(r *http.Request, t *lifecycle.TenantView, lang words.Language, view *dashboard.DepartureView) error {
	if t.State == tenure.TenantClosed {
		view.Gone = append(view.Gone, lang.Say("depart.everything"))
		return nil
	}
	reasons, err := s.o.Service.ExplainToCustomer(r.Context(), string(t.ID))
	if err != nil {
		return err
	}
	for _, x := range reasons {
		what := strings.TrimPrefix(strings.Trim(x.Environment+" "+x.Resource, " "), "/")
		if x.State == tenure.ResourceGone {
			view.Gone = append(view.Gone, what)
			continue
		}
		rm := dashboard.Remains{Until: x.GoneAt}
		rm.What, _ = lang.Translate(what)
		rm.Why, _ = lang.Translate(x.Reason)
		if rm.Until.IsZero() {
			rm.NoDate = lang.Say("depart.no_date")
		}
		view.Remains = append(view.Remains, rm)
	}
	for _, res := range t.Resources {
		if res.State == tenure.ResourceGone && !slices.Contains(view.Gone, strings.Trim(res.Environment+" "+res.Key, " ")) {
			view.Gone = append(view.Gone, strings.Trim(res.Environment+" "+res.Key, " "))
		}
	}
	return nil
}

func (s *Site) departureFile(w http.ResponseWriter, r *http.Request, t *lifecycle.TenantView, l store.DepartureLink) error {
	if l.Audience == store.Stakeholder {
		return tenure.Errorf(tenure.NotFound, "the export is for the customer alone")
	}
	f, err := s.o.Service.OpenHandover(t.ID, r.PathValue("name"))
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(r.PathValue("name")))
	_, err = io.Copy(w, f)
	return err
}

func (s *Site) departureCertificate(w http.ResponseWriter, r *http.Request, t *lifecycle.TenantView, _ store.DepartureLink) error {
	kind := r.PathValue("kind")
	if kind != "interim" && kind != "closing" {
		return tenure.Errorf(tenure.NotFound, "there is no such certificate")
	}
	b, err := s.o.Service.Certificate(r.Context(), string(t.ID), kind)
	if err != nil {
		return err
	}
	return sendFile(w, kind+"-certificate.json", b)
}
