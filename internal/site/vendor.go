package site

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/words"
)

// vendorPages open with the link of a question alone. To look at it changes nothing, since programs that
// check mail follow links; the answer is a form that is sent.
func (s *Site) vendorPages() {
	s.public("GET "+lifecycle.VendorPath+"{link}", func(w http.ResponseWriter, r *http.Request) error {
		q, err := s.o.Service.OpenVendorLink(r.Context(), tenure.NewSecret(r.PathValue("link")))
		if err != nil {
			return err
		}
		return s.vendorPage(w, r, q, http.StatusOK, "")
	})
	s.public("POST "+lifecycle.VendorPath+"{link}", func(w http.ResponseWriter, r *http.Request) error {
		reply := vendorReply(r.PostFormValue)
		q, err := s.o.Service.AnswerVendor(r.Context(), tenure.NewSecret(r.PathValue("link")), reply)
		switch code := tenure.CodeOf(err); {
		case code == "", code == tenure.Conflict && q.Answer != "" && sameReply(q.VendorReply, reply): // sent twice
			http.Redirect(w, r, lifecycle.VendorPath+url.PathEscape(r.PathValue("link")), http.StatusSeeOther)
			return nil
		case code == tenure.Invalid, code == tenure.Conflict: // what was typed stands there again
			return s.vendorPage(w, r, q, code.Status(), err.Error())
		}
		return err
	})
	s.page("POST /operations/{operation}/vendors/{what}", (*visit).changeVendor)
}

// vendorReply is what a form says.
// sameReply says whether an answer is what was answered before.
func sameReply(a, b tenure.VendorReply) bool {
	return a.Answer == b.Answer && a.Until.Equal(b.Until)
}

func vendorReply(value func(string) string) tenure.VendorReply {
	r := tenure.VendorReply{
		Answer: tenure.VendorAnswer(value("answer")), Reason: value("reason"), Name: value("name"), Role: value("role"), Evidence: value("evidence"), EvidenceSHA256: value("sha256"),
	}
	if at := strings.TrimSpace(value("until")); at != "" {
		if r.Until = day(at); r.Until.IsZero() {
			r.Until = time.Unix(0, 0) // no date, and refused as one that is past
		}
	}
	return r
}

// vendorFields are the form for an answer, with what was typed before.
func vendorFields(lang words.Language, value func(string) string) []dashboard.Field {
	need := lang.Say("page.required")
	return []dashboard.Field{
		{Kind: dashboard.FieldChoice, Name: "answer", Label: lang.Say("vendor.answer"), Required: true, Need: need, Value: value("answer"), Options: []dashboard.Option{
			{Value: "", Label: lang.Say("vendor.choose")}, {Value: string(tenure.VendorGone), Label: lang.Say("vendor.gone")}, {Value: string(tenure.VendorNever), Label: lang.Say("vendor.never")}, {Value: string(tenure.VendorKept), Label: lang.Say("vendor.kept")},
		}},
		{Kind: dashboard.FieldDate, Name: "until", Label: lang.Say("vendor.until"), Value: value("until"), Hint: lang.Say("vendor.until.hint")},
		{Name: "reason", Label: lang.Say("vendor.reason"), Max: tenure.MaxVendorReason, Value: value("reason"), Hint: lang.Say("vendor.reason.hint")},
		{Name: "name", Label: lang.Say("vendor.name"), Required: true, Need: need, Max: tenure.MaxVendorName, Value: value("name")},
		{Name: "role", Label: lang.Say("vendor.role"), Required: true, Need: need, Max: tenure.MaxVendorName, Value: value("role")},
		{Name: "evidence", Label: lang.Say("vendor.evidence"), Max: tenure.MaxVendorEvidence, Value: value("evidence"), Hint: lang.Say("vendor.evidence.hint")},
		{Name: "sha256", Label: lang.Say("vendor.sha"), Max: 64, Value: value("sha256"), Hint: lang.Say("vendor.sha.hint")},
	}
}

func (s *Site) vendorPage(w http.ResponseWriter, r *http.Request, q lifecycle.VendorQuestion, status int, wrong string) error {
	lang := s.o.Service.LanguageOfVendor(q)
	if wrong != "" {
		wrong = toldIn(lang, dashboard.ProblemView{Message: wrong}).Message
	}
	view := dashboard.VendorView{
		Company: q.Spec.Name, Customer: cmp.Or(q.Client, q.Known), Platform: s.o.Name, Holds: q.Spec.Holds, Due: q.Due, Overdue: !s.o.Service.Now().Before(q.Due), Error: wrong,
		Fields: vendorFields(lang, r.PostFormValue), Post: lifecycle.VendorPath + url.PathEscape(r.PathValue("link")),
	}
	if q.Client != "" {
		view.Customer += " (" + q.Known + ")"
	}
	if q.Answer != "" {
		view.Done = vendorDone(lang, q.VendorReply)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	return s.pages.Vendor(w, s.frameIn(r, lang), view)
}

func vendorDone(lang words.Language, r tenure.VendorReply) string {
	switch r.Answer {
	case tenure.VendorGone:
		return lang.Say("vendor.answered.gone")
	case tenure.VendorNever:
		return lang.Say("vendor.answered.never")
	}
	return lang.Say("vendor.answered.kept", words.Day(r.Until), r.Reason)
}

// vendorActions are what staff can do at a question.
func vendorActions(op tenure.OperationID, q *client.Vendor) []dashboard.Action {
	at := dashboard.OperationPath(op) + "/vendors/"
	again := dashboard.Action{Label: "Ask again", Post: at + "ask", Hidden: hiddenPairs("vendor", q.Step), Says: "The link that was sent is withdrawn, and a new one goes out.",
		Fields: []dashboard.Field{{Name: "email", Label: "Another address (optional)", Max: 254}}}
	if q.Answer != "" {
		again.Label, again.Says, again.Tone = "Withdraw the answer", "The answer doesn’t count any more, and the company is asked again.", dashboard.ToneBad
		again.Fields = append(again.Fields, dashboard.Field{Name: "reason", Label: "Reason", Required: true, Max: 1000})
		return []dashboard.Action{again}
	}
	fields := vendorFields(words.English, func(string) string { return "" })
	for i := range fields {
		if fields[i].Name == "evidence" {
			fields[i].Required, fields[i].Hint = true, "Where the letter is kept."
		}
		if fields[i].Name == "answer" {
			fields[i].Label = "The company’s answer"
		}
	}
	return []dashboard.Action{again, {Label: "Put down an answer", Post: at + "record", Hidden: hiddenPairs("vendor", q.Step), Says: "For an answer that came otherwise, such as by letter. The certificate says that you put it down.", Fields: fields}}
}

// vendors are the questions of an operation, by step; those of most there are none.
func (v *visit) vendors(o client.OperationDetail) (map[string]*client.Vendor, error) {
	if !slices.ContainsFunc(o.Body.Steps, func(st tenure.Step) bool { return st.Action == tenure.ActVendor }) {
		return nil, nil
	}
	list, err := ask(v, client.ListVendors, client.OperationParams{Operation: string(o.ID)})
	out := make(map[string]*client.Vendor)
	for i := range list.Items {
		out[list.Items[i].Step] = &list.Items[i]
	}
	return out, err
}

// vendorState says where a question stands.
func vendorState(q *client.Vendor) string {
	at := func(t time.Time) string { return t.UTC().Format("2 January 2006") }
	switch q.State {
	case "waiting":
		return "asked once the points of no return are passed"
	case "open":
		return "not asked yet"
	case "asked", "overdue":
		if q.State == "overdue" {
			return "asked " + at(q.RequestedAt) + " at " + q.Email + ", due " + at(q.DueAt) + ", and silent"
		}
		return "asked " + at(q.RequestedAt) + " at " + q.Email + ", due " + at(q.DueAt)
	}
	says := tenure.VendorReply{Answer: q.Answer, Until: q.Until, Reason: q.Reason}.Says() + ", says " + q.Name + " (" + q.Role + ") on " + at(q.AnsweredAt)
	if q.Evidence != "" {
		says += "; evidence: " + q.Evidence
	}
	if q.RecordedBy != "" {
		says += "; put down by " + q.RecordedBy
	}
	return says
}

func (v *visit) changeVendor() error {
	id, what := v.PathValue("operation"), v.PathValue("what")
	params := client.OperationChange{OperationParams: client.OperationParams{Operation: id}}
	said := "The company is asked again."
	var err error
	switch what {
	case "ask":
		p := client.VendorAskParams{OperationChange: params}
		p.Body.Vendor, p.Body.Email, p.Body.Reason = v.PostFormValue("vendor"), strings.TrimSpace(v.PostFormValue("email")), v.PostFormValue("reason")
		_, err = ask(v, client.AskVendor, p)
	case "record":
		r := vendorReply(v.PostFormValue)
		p := client.VendorRecordParams{OperationChange: params}
		p.Body.Vendor, p.Body.Answer, p.Body.Until, p.Body.Reason, p.Body.Name, p.Body.Role, p.Body.Evidence, p.Body.EvidenceSHA256 = v.PostFormValue("vendor"), r.Answer, r.Until, r.Reason, r.Name, r.Role, r.Evidence, r.EvidenceSHA256
		_, err = ask(v, client.RecordVendor, p)
		said = "The answer is put down."
	default:
		return tenure.Errorf(tenure.NotFound, "there is no page at %s", v.URL.Path)
	}
	return v.tried(dashboard.OperationPath(tenure.OperationID(id)), said, err)
}
