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
	at := server.LeaverPath + url.PathEscape(r.PathValue("link"))
	view := dashboard.DepartureView{
		Organization: t.Organization, Tenant: t.Name, Platform: s.o.Name, Expires: l.ExpiresAt,
		Progress: dashboard.TenantView{State: t.State}.Life(), Stakeholder: l.Audience == store.Stakeholder,
	}
	if view.Tenant == "" {
		view.Tenant = string(t.ID)
	}
	if view.Headline, view.Says = headline(t); view.Stakeholder {
		view.Headline, view.Says = "The departure of "+view.Tenant, ""
	}
	if err := s.departureDates(r, t, &view); err != nil {
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
		view.Downloads = append(view.Downloads, dashboard.Document{Name: dashboard.Ref{Label: f.Name, Href: at + "/files/" + url.PathEscape(f.Name)}, Kind: "your data", At: f.At, Bytes: f.Bytes})
	}
	if len(files) > 0 {
		view.DownloadSays = "Files that end in .age are encrypted to the key that you gave us; open them with: age --decrypt -i KEYFILE FILE"
	}
	if err := s.departureRemains(r, t, &view); err != nil {
		return err
	}
	certs, err := s.o.Service.Certificates(r.Context(), string(t.ID))
	if err != nil {
		return err
	}
	for _, c := range certs {
		href := at + "/certificates/" + url.PathEscape(c.Kind)
		view.Certificates = append(view.Certificates, dashboard.CertificateRow{Ref: dashboard.Ref{Label: c.Kind + " certificate", Href: href}, Kind: c.Kind, Issued: c.IssuedAt, Digest: c.Digest, Download: href})
	}
	if key, err := s.o.Service.VerifierKey(); err == nil {
		view.Verify = "tenure certificate verify certificate.json --key '" + key + "'"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.Departure(w, s.frame(r), view)
}

// headline says where a departure stands, in plain words.
func headline(t *lifecycle.TenantView) (headline, says string) {
	switch t.State {
	case tenure.TenantTransition:
		return "Your service goes on while you move", "Notice was given. Until it ends you can use everything as before and take your data with you."
	case tenure.TenantTerminating:
		return "Your access is being switched off", "Accounts, keys and connections are closed one after the other, and we check that each is closed."
	case tenure.TenantRetained:
		return "Your data is kept, and nobody can use it", "Access is off. Some of your data must be kept for a while; the dates are below."
	case tenure.TenantErasing:
		return "Your data is being erased", "Each store is erased and checked. What is gone can't be brought back."
	case tenure.TenantAwaitingExpiry:
		return "Your data is erased; the last copies run out", "Backups and copies of keys expire by themselves. We look that each is gone before we close."
	case tenure.TenantClosed:
		return "Your data is gone", "Everything of yours has been erased and checked. The certificate says so, and you can verify it without us."
	}
	return "Your service is active", "No departure is under way."
}

// departureDates are the dates of the open offboarding, in its own plan's words.
func (s *Site) departureDates(r *http.Request, t *lifecycle.TenantView, view *dashboard.DepartureView) error {
	now := s.o.Governor.Now()
	for _, o := range t.Operations {
		if o.Kind != tenure.Offboard || o.State == tenure.OperationCancelled || o.State == tenure.OperationFailed {
			continue
		}
		full, err := s.o.Service.Operation(r.Context(), o.ID)
		if err != nil {
			return err
		}
		if full.Body == nil {
			continue
		}
		done := make(map[string]bool)
		for _, st := range full.Steps {
			done[st.Key] = st.State == tenure.StepDone
		}
		// A date that has come isn't a thing that was done: a hold, or a person whose
		// word is missing, may still stand before it.
		for _, d := range full.Body.Dates {
			if !d.At.IsZero() {
				view.Dates = append(view.Dates, dashboard.DepartureDate{At: d.At, What: d.What, Past: done[d.Step] || d.Step == "" && d.At.Before(now)})
			}
		}
		slices.SortStableFunc(view.Dates, func(a, b dashboard.DepartureDate) int { return a.At.Compare(b.At) })
		break
	}
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

func (s *Site) departureRemains(r *http.Request, t *lifecycle.TenantView, view *dashboard.DepartureView) error {
	if t.State == tenure.TenantClosed {
		view.Gone = append(view.Gone, "everything")
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
		rm := dashboard.Remains{What: what, Why: x.Reason, Until: x.GoneAt}
		if rm.Until.IsZero() {
			rm.NoDate = "no date is fixed yet"
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
