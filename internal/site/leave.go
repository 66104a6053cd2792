package site

import (
	"net/http"
	"net/url"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/words"
)

// leaveSent is where the form leads to, whatever was typed.
const leaveSent = lifecycle.LeavePath + "/sent"

// leavePages are the page on which customers ask to leave, where the settings turn it on, and those
// that its links open. To look at one changes nothing, since programs that check mail follow links.
func (s *Site) leavePages() {
	s.page("POST /leave-requests/{request}/{what}", (*visit).answerLeave)
	if !s.o.Leave {
		return
	}
	s.public("GET "+lifecycle.LeavePath, func(w http.ResponseWriter, r *http.Request) error {
		lang := s.asked(r)
		return s.leaveView(w, r, lang, dashboard.LeaveView{
			Title: lang.Say("leave.page"), Post: lifecycle.LeavePath, Says: lang.Say("leave.page.says"),
			Choices: []dashboard.LeaveChoice{{
				Label: lang.Say("leave.page.send"), Tone: dashboard.ToneAccent, Says: lang.Say("leave.page.send.says"),
				Fields: []dashboard.Field{
					{Name: "service", Label: lang.Say("leave.page.service"), Required: true, Need: lang.Say("page.required"), Max: 200, Auto: "organization"},
					{Kind: dashboard.FieldEmail, Name: "address", Label: lang.Say("leave.page.address"), Required: true, Need: lang.Say("page.required"), Max: 254, Auto: "email"},
					{Kind: dashboard.FieldLong, Name: "reason", Label: lang.Say("leave.page.reason"), Max: 1000},
				},
			}},
		})
	})
	s.public("POST "+lifecycle.LeavePath, func(w http.ResponseWriter, r *http.Request) error {
		if err := s.o.Service.AskLeave(r.Context(), lifecycle.LeaveAsk{Tenant: r.PostFormValue("service"), Address: r.PostFormValue("address"), Reason: r.PostFormValue("reason")}); err != nil {
			return err
		}
		http.Redirect(w, r, leaveSent, http.StatusSeeOther)
		return nil
	})
	s.public("GET "+leaveSent, func(w http.ResponseWriter, r *http.Request) error {
		lang := s.asked(r)
		return s.leaveView(w, r, lang, dashboard.LeaveView{Title: lang.Say("page.thanks"), Says: lang.Say("leave.sent")})
	})
	s.public("GET "+lifecycle.LeavePath+"/{link}", s.leaveLink)
	s.public("POST "+lifecycle.LeavePath+"/{link}", func(w http.ResponseWriter, r *http.Request) error {
		lang := s.asked(r)
		if l, err := s.o.Service.OpenLeaveLink(r.Context(), tenure.NewSecret(r.PathValue("link"))); err == nil {
			if lang, err = s.tenantLanguage(r, l.Tenant); err != nil {
				return err
			}
		}
		err := s.o.Service.AnswerLeave(r.Context(), tenure.NewSecret(r.PathValue("link")), lifecycle.LeaveAnswer(r.PostFormValue("answer")), r.PostFormValue("reason"))
		switch tenure.CodeOf(err) {
		case "", tenure.Conflict: // what was answered before is what the page says
		default:
			return err
		}
		if lifecycle.LeaveAnswer(r.PostFormValue("answer")) == lifecycle.LeaveWithdraw && err == nil { // the link is good no more
			return s.leaveView(w, r, lang, dashboard.LeaveView{Title: lang.Say("leave.withdrawn.title"), Says: lang.Say("leave.withdrawn.says")})
		}
		http.Redirect(w, r, lifecycle.LeavePath+"/"+url.PathEscape(r.PathValue("link")), http.StatusSeeOther)
		return nil
	})
}

func (s *Site) leaveView(w http.ResponseWriter, r *http.Request, lang words.Language, v dashboard.LeaveView) error {
	v.Platform = s.o.Name
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.Leave(w, s.frameIn(r, lang), v)
}

// leaveLink is the page of who asked, or of the contact who is asked about it.
func (s *Site) leaveLink(w http.ResponseWriter, r *http.Request) error {
	l, err := s.o.Service.OpenLeaveLink(r.Context(), tenure.NewSecret(r.PathValue("link")))
	if err != nil {
		return err
	}
	v := dashboard.LeaveView{Organization: l.Organization, Tenant: l.Name, Post: lifecycle.LeavePath + "/" + url.PathEscape(r.PathValue("link"))}
	lang, err := s.tenantLanguage(r, l.Tenant)
	if err != nil {
		return err
	}
	mine, until := l.As == tenure.LeaveRequester, words.Day(l.ExpiresAt)
	head := func(key words.Key, values ...any) {
		v.Title, v.Says = lang.Say(key+".title"), lang.Say(key+".says", values...)
	}
	switch {
	case l.State == tenure.LeaveConfirmed:
		head("leave.confirmed")
	case l.State == tenure.LeaveRefused:
		head("leave.refused")
	case l.Leaves:
		head("leave.leaves")
	case mine && l.State == tenure.LeaveAsked:
		head("leave.asked")
		v.Choices = []dashboard.LeaveChoice{{Answer: string(lifecycle.LeaveConfirm), Label: lang.Say("leave.asked.yes"), Tone: dashboard.ToneBad, Says: lang.Say("leave.asked.yes.says")}}
	case mine:
		v.Title, v.Says = lang.Say("leave.waits.title"), lang.Say("leave.waits.contact", until)
		if l.Contact == "" {
			v.Says = lang.Say("leave.waits.staff", until)
		}
		v.Choices = []dashboard.LeaveChoice{{Answer: string(lifecycle.LeaveWithdraw), Label: lang.Say("leave.withdraw"), Says: lang.Say("leave.withdraw.says")}}
	default:
		head("leave.shall", until)
		v.Facts = []dashboard.Pair{{Name: lang.Say("leave.shall.by"), Value: l.Requester}, {Name: lang.Say("leave.shall.on"), Value: lang.Day(l.AskedAt)}}
		if l.Reason != "" {
			v.Facts = append(v.Facts, dashboard.Pair{Name: lang.Say("leave.shall.reason"), Value: l.Reason})
		}
		v.Choices = []dashboard.LeaveChoice{
			{Answer: string(lifecycle.LeaveConfirm), Label: lang.Say("leave.shall.yes"), Tone: dashboard.ToneBad, Says: lang.Say("leave.shall.yes.says")},
			{Answer: string(lifecycle.LeaveRefuse), Label: lang.Say("leave.shall.no"), Says: lang.Say("leave.shall.no.says"),
				Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "reason", Label: lang.Say("leave.reason"), Required: true, Need: lang.Say("page.required"), Max: 1000}}},
		}
	}
	return s.leaveView(w, r, lang, v)
}

// leaveRows are a tenant's requests to leave, the latest first.
func (v *visit) leaveRows(tenant tenure.TenantID, target tenure.Target) (out []dashboard.LeaveRow) {
	p := client.LeaveFilter{Tenant: string(tenant)}
	p.Limit = 5
	list, err := ask(v, client.ListLeave, p)
	if err != nil {
		return nil
	}
	for _, l := range list.Items {
		row := dashboard.LeaveRow{State: string(l.State), Requester: l.Requester, Reason: l.Reason, Asked: l.AskedAt, Lapses: l.ExpiresAt, Outcome: l.Outcome, Became: l.EventState, Operation: operationRef(l.Operation, "operation")}
		if l.Event != "" {
			row.Event = dashboard.Ref{Label: "event", Href: dashboard.EventPath(l.Event)}
		}
		if l.EventWhy != "" {
			row.Became += ": " + l.EventWhy
		}
		at := "/leave-requests/" + url.PathEscape(string(l.ID))
		hidden := hiddenPairs("tenant", string(tenant))
		switch {
		case l.State == tenure.LeaveAsked:
			row.Awaits = "who asked, who was sent a link"
		case l.State == tenure.LeaveWaiting && l.Contact != "":
			row.Awaits = "the contact, " + l.Contact
		case l.State == tenure.LeaveWaiting:
			row.Awaits = "staff, since there is no contact"
			if v.may(tenure.OperationRequest, target) {
				row.Actions = append(row.Actions, dashboard.Action{Label: "Confirm", Post: at + "/confirm", Hidden: hidden, Tone: dashboard.ToneAccent, Says: "It becomes an event, and rules decide what it leads to. Your name stands in the log."})
			}
		}
		if l.State.Open() && v.may(tenure.OperationSteer, target) {
			row.Actions = append(row.Actions, dashboard.Action{Label: "Refuse", Post: at + "/refuse", Hidden: hidden, Tone: dashboard.ToneBad, Says: "Who asked is told your reason, and its links are good no more.",
				Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Required: true, Max: 1000}}})
		}
		out = append(out, row)
	}
	return out
}

func (v *visit) answerLeave() error {
	p := client.LeaveParams{Leave: v.PathValue("request")}
	var err error
	said := ""
	switch v.PathValue("what") {
	case "confirm":
		_, err = ask(v, client.ConfirmLeave, p)
		said = "It is confirmed. Rules decide in a moment what it leads to."
	case "refuse":
		r := client.RefuseLeaveParams{LeaveParams: p}
		r.Body.Reason = v.PostFormValue("reason")
		_, err = ask(v, client.RefuseLeave, r)
		said = "It is refused, and who asked is told."
	default:
		return tenure.Errorf(tenure.NotFound, "a request to leave can't be asked to %q", v.PathValue("what"))
	}
	return v.tried(dashboard.TenantPath(tenure.TenantID(v.PostFormValue("tenant"))), said, err)
}
