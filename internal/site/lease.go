package site

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/words"
)

// leasePages open with the link of a question alone. To look at it changes nothing, since programs that
// check mail follow links; the answer is a form that is sent.
func (s *Site) leasePages() {
	s.public("GET "+lifecycle.LeasePath+"{link}", func(w http.ResponseWriter, r *http.Request) error {
		l, err := s.o.Service.OpenLeaseLink(r.Context(), tenure.NewSecret(r.PathValue("link")))
		if err != nil {
			return err
		}
		return s.leasePage(w, r, l)
	})
	s.public("POST "+lifecycle.LeasePath+"{link}", func(w http.ResponseWriter, r *http.Request) error {
		_, err := s.o.Service.AnswerLease(r.Context(), tenure.NewSecret(r.PathValue("link")), tenure.LeaseAnswer(r.PostFormValue("answer")))
		if err != nil && tenure.CodeOf(err) != tenure.Conflict { // what was answered before is what the page says
			return err
		}
		http.Redirect(w, r, lifecycle.LeasePath+url.PathEscape(r.PathValue("link")), http.StatusSeeOther)
		return nil
	})
	s.page("POST /tenants/{tenant}/lease", (*visit).setLease)
}

func (s *Site) leasePage(w http.ResponseWriter, r *http.Request, l tenure.Lease) error {
	t, err := s.o.Service.Tenant(r.Context(), string(l.Tenant))
	if err != nil {
		return err
	}
	lang := s.o.Service.LanguageOf(t.TenantRow)
	view := dashboard.LeaseView{Organization: t.Organization, Tenant: t.Name, Platform: s.o.Name, Ends: l.EndsAt, Done: leaseDone(lang, l), Post: lifecycle.LeasePath + url.PathEscape(r.PathValue("link"))}
	keep := dashboard.LeaseChoice{Answer: string(tenure.LeaseKeep), Label: lang.Say("lease.keep"), Says: lang.Say("lease.keep.says")}
	if l.Rule.OwnerMayKeep {
		keep.Says = lang.Say("lease.keep.own")
	}
	view.Choices = append(view.Choices, keep)
	if l.MayExtend() {
		next := l.Rule.Period.After(l.EndsAt)
		left := l.Rule.Extensions - l.Extended
		says := lang.Say("lease.extend.says", words.Day(next), left)
		if left == 1 {
			says = lang.Say("lease.extend.once", words.Day(next))
		}
		view.Choices = append(view.Choices, dashboard.LeaseChoice{Answer: string(tenure.LeaseExtend), Label: lang.Say("lease.extend"), Tone: dashboard.ToneAccent, Says: says})
	}
	view.Choices = append(view.Choices, dashboard.LeaseChoice{Answer: string(tenure.LeaseEnd), Label: lang.Say("lease.end"), Tone: dashboard.ToneBad, Says: lang.Say("lease.end.says")})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.Lease(w, s.frameIn(r, lang), view)
}

func leaseDone(lang words.Language, l tenure.Lease) string {
	switch {
	case l.Answer == tenure.LeaseKeep && l.Rule.OwnerMayKeep:
		return lang.Say("lease.kept.own")
	case l.Answer == tenure.LeaseKeep:
		return lang.Say("lease.kept")
	case l.Answer == tenure.LeaseExtend:
		return lang.Say("lease.extended", words.Day(l.EndsAt))
	case l.Answer == tenure.LeaseEnd:
		return lang.Say("lease.ended")
	}
	return ""
}

func leaseRow(l *client.Lease) *dashboard.LeaseRow {
	if l == nil {
		return nil
	}
	row := &dashboard.LeaseRow{Ends: l.EndsAt, Asks: l.AskAt, Asked: l.AskedAt, Lapsed: l.State == tenure.LeaseLapsed}
	if l.State == tenure.LeaseOver {
		row.Over = l.Why
	}
	if l.Answer != tenure.LeaseExtend { // that made the present end, and is said by it
		row.Answer = string(l.Answer)
	}
	return row
}

func leaseActions(t client.TenantDetail) []dashboard.Action {
	at := dashboard.TenantPath(t.ID) + "/lease"
	version := strconv.FormatInt(t.Lease.Version, 10)
	out := []dashboard.Action{{
		Label: "Set the lease’s end", Post: at, Hidden: hiddenPairs("version", version), Says: "An open question to the contact is withdrawn; before the new end they are asked again.",
		Fields: []dashboard.Field{{Kind: dashboard.FieldDate, Name: "until", Label: "Until", Required: true}},
	}}
	if t.Lease.State != tenure.LeaseOver {
		out = append(out, dashboard.Action{Label: "Lift the lease", Post: at, Hidden: hiddenPairs("version", version, "lift", "true"), Says: "The tenant stays until somebody ends it."})
	}
	return out
}

func (v *visit) setLease() error {
	p := client.LeaseParams{TenantParams: client.TenantParams{Tenant: v.PathValue("tenant")}, IfMatch: strconv.Quote(v.PostFormValue("version"))}
	p.Body.Lift = v.PostFormValue("lift") == "true"
	said := "The lease is lifted."
	if !p.Body.Lift {
		p.Body.EndsAt = day(v.PostFormValue("until"))
		said = "The lease ends on " + p.Body.EndsAt.Format("2 January 2006") + "."
	}
	_, err := ask(v, client.SetLease, p)
	return v.tried(dashboard.TenantPath(tenure.TenantID(p.Tenant)), said, err)
}
