package site

import (
	"net/http"
	"net/url"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
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
	public := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Robots-Tag", "noindex")
			if err := f(w, r); err != nil {
				s.problem(w, r, nil, err)
			}
		})
	}
	public("GET "+lifecycle.LeavePath, func(w http.ResponseWriter, r *http.Request) error {
		return s.leaveView(w, r, dashboard.LeaveView{
			Title: "Ask to leave", Post: lifecycle.LeavePath,
			Says: "You use a service here and want to end it. Say which one and who you are; you are sent a mail with a link, by which you confirm it.",
			Choices: []dashboard.LeaveChoice{{
				Label: "Send", Tone: dashboard.ToneAccent, Says: "Nothing ends by this alone. Who is named as your organization’s contact is asked too, and the people who run the service approve it.",
				Fields: []dashboard.Field{
					{Name: "service", Label: "Name of the service or of your organization", Required: true, Max: 200, Auto: "organization"},
					{Kind: dashboard.FieldEmail, Name: "address", Label: "Your mail address there", Required: true, Max: 254, Auto: "email"},
					{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason, if you want to give one", Max: 1000},
				},
			}},
		})
	})
	public("POST "+lifecycle.LeavePath, func(w http.ResponseWriter, r *http.Request) error {
		if err := s.o.Service.AskLeave(r.Context(), lifecycle.LeaveAsk{Tenant: r.PostFormValue("service"), Address: r.PostFormValue("address"), Reason: r.PostFormValue("reason")}); err != nil {
			return err
		}
		http.Redirect(w, r, leaveSent, http.StatusSeeOther)
		return nil
	})
	public("GET "+leaveSent, func(w http.ResponseWriter, r *http.Request) error {
		return s.leaveView(w, r, dashboard.LeaveView{Title: "Thank you", Says: "If we know this address for this service, a mail with a link is on its way to it. Nothing happens before you have confirmed by that link that you asked. If none comes, ask the people who run the service."})
	})
	public("GET "+lifecycle.LeavePath+"/{link}", s.leaveLink)
	public("POST "+lifecycle.LeavePath+"/{link}", func(w http.ResponseWriter, r *http.Request) error {
		err := s.o.Service.AnswerLeave(r.Context(), tenure.NewSecret(r.PathValue("link")), lifecycle.LeaveAnswer(r.PostFormValue("answer")), r.PostFormValue("reason"))
		switch tenure.CodeOf(err) {
		case "", tenure.Conflict: // what was answered before is what the page says
		default:
			return err
		}
		if lifecycle.LeaveAnswer(r.PostFormValue("answer")) == lifecycle.LeaveWithdraw && err == nil { // the link is good no more
			return s.leaveView(w, r, dashboard.LeaveView{Title: "It is withdrawn", Says: "Your request is withdrawn, and nothing happens."})
		}
		http.Redirect(w, r, lifecycle.LeavePath+"/"+url.PathEscape(r.PathValue("link")), http.StatusSeeOther)
		return nil
	})
}

func (s *Site) leaveView(w http.ResponseWriter, r *http.Request, v dashboard.LeaveView) error {
	v.Platform = s.o.Name
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.Leave(w, s.frame(r), v)
}

// leaveLink is the page of who asked, or of the contact who is asked about it.
func (s *Site) leaveLink(w http.ResponseWriter, r *http.Request) error {
	l, err := s.o.Service.OpenLeaveLink(r.Context(), tenure.NewSecret(r.PathValue("link")))
	if err != nil {
		return err
	}
	v := dashboard.LeaveView{Organization: l.Organization, Tenant: l.Name, Post: lifecycle.LeavePath + "/" + url.PathEscape(r.PathValue("link"))}
	mine := l.As == tenure.LeaveRequester
	const until = "2 January 2006"
	switch {
	case l.State == tenure.LeaveConfirmed:
		v.Title, v.Says = "It is confirmed", "The people who run the service have the request. They approve it before anything ends, and nothing is erased before."
	case l.State == tenure.LeaveRefused:
		v.Title, v.Says = "You said no", "Who asked is told. Nothing happens."
	case l.Leaves:
		v.Title, v.Says = "It is leaving already", "There is nothing more to confirm."
	case mine && l.State == tenure.LeaveAsked:
		v.Title, v.Says = "Do you ask to leave?", "Nothing is done by opening this page; your confirmation counts once. If you didn’t ask, close it."
		v.Choices = []dashboard.LeaveChoice{{Answer: string(lifecycle.LeaveConfirm), Label: "Yes, I ask to leave", Tone: dashboard.ToneBad,
			Says: "Unless you are the contact of your organization yourself, the contact is asked next. Then the people who run the service approve it, access ends, you can take your data with you, and it is erased when its retention period ends."}}
	case mine:
		v.Title, v.Says = "You have confirmed it", "It waits for the contact of your organization until "+l.ExpiresAt.UTC().Format(until)+". Without an answer it lapses, and you are told."
		if l.Contact == "" {
			v.Says = "It waits for the people who run the service until " + l.ExpiresAt.UTC().Format(until) + ". Without an answer it lapses, and you are told."
		}
		v.Choices = []dashboard.LeaveChoice{{Answer: string(lifecycle.LeaveWithdraw), Label: "Withdraw it", Says: "Nothing happens then."}}
	default:
		v.Title, v.Says = "Shall it leave?", "Nothing is done by opening this page; your answer counts once. Without one the request lapses on "+l.ExpiresAt.UTC().Format(until)+", and nothing happens."
		v.Facts = []dashboard.Pair{{Name: "Asked by", Value: l.Requester}, {Name: "On", Value: l.AskedAt.UTC().Format(until)}}
		if l.Reason != "" {
			v.Facts = append(v.Facts, dashboard.Pair{Name: "Their reason", Value: l.Reason})
		}
		v.Choices = []dashboard.LeaveChoice{
			{Answer: string(lifecycle.LeaveConfirm), Label: "Yes, it shall leave", Tone: dashboard.ToneBad, Says: "The people who run the service approve it next. Then access ends, you can take your data with you, and it is erased when its retention period ends."},
			{Answer: string(lifecycle.LeaveRefuse), Label: "No, it stays", Says: "Nothing happens. Who asked is told your reason.",
				Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Required: true, Max: 1000}}},
		}
	}
	return s.leaveView(w, r, v)
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
