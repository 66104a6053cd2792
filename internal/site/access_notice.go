package site

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// notices fills the section on which a person says which notices they get by mail.
func (v *visit) notices(view *dashboard.AccessView) error {
	who := strings.TrimSpace(v.URL.Query().Get("person"))
	if v.may(tenure.AccessRead, tenure.Target{}) {
		view.Filters = filters("/access/notices", v.URL.Query(), dashboard.Field{Name: "person", Label: "Whose", Value: who, Hint: "a person's name; blank: yours", Max: 100})
	}
	set, err := ask(v, client.ShowNoticeSettings, client.NoticeSettingsParams{Principal: who})
	if who == "" && (tenure.CodeOf(err) == tenure.NotFound || tenure.CodeOf(err) == tenure.Invalid) { // who looks is nobody with an address
		return nil
	}
	if err != nil {
		return err
	}
	n := &view.Notices
	n.Person, n.SetBy, n.SetAt = set.Principal, set.SetBy, set.SetAt
	n.Kinds, n.Without, n.Language, n.Zone = strings.Join(set.Notices, ", "), strings.Join(set.Unwanted, ", "), set.Language, set.Zone
	n.Comes = "at once"
	switch set.Pace {
	case tenure.PaceHourly:
		n.Comes = "hourly, in one message"
	case tenure.PaceDaily:
		n.Comes = "daily at " + set.Clock + ", in one message"
	}
	switch q := set.Quiet; {
	case q.From != "" && q.Weekends:
		n.Quiet = "from " + q.From + " to " + q.To + ", and weekends"
	case q.From != "":
		n.Quiet = "from " + q.From + " to " + q.To
	case q.Weekends:
		n.Quiet = "weekends"
	}
	if who != "" && !tenure.SamePerson(who, v.caller.Name) && !v.may(tenure.AccessManage, tenure.Target{}) {
		return nil
	}
	choice := func(name, label, value string, options ...dashboard.Option) dashboard.Field {
		for i := range options {
			options[i].On = options[i].Value == value
		}
		return dashboard.Field{Kind: dashboard.FieldChoice, Name: name, Label: label, Options: options}
	}
	languages := []dashboard.Option{{Label: "the installation's"}}
	for _, tag := range tenure.NoticeLanguages() {
		languages = append(languages, dashboard.Option{Value: tag, Label: tag})
	}
	const clock = "[0-2][0-9]:[0-5][0-9]"
	view.Actions = []dashboard.Action{{
		Label: "Change", Post: "/access/notices/settings", Tone: dashboard.ToneAccent,
		Says:   "It is about mail to " + set.Principal + " alone. Break-glass, escalations, gates that wait for one person alone and legal holds come in any case.",
		Hidden: hiddenPairs("person", who, "version", strconv.FormatInt(set.Version, 10)),
		Fields: []dashboard.Field{
			{Name: "kinds", Label: "Only these kinds", Value: n.Kinds, Hint: "such as approval.*, tenant.suspended; blank: all", Max: 1000},
			{Name: "without", Label: "Without these kinds", Value: n.Without, Hint: "such as review.*", Max: 1000},
			choice("language", "Language", set.Language, languages...),
			choice("pace", "They come", string(set.Pace), dashboard.Option{Label: "at once"}, dashboard.Option{Value: string(tenure.PaceHourly), Label: "hourly"}, dashboard.Option{Value: string(tenure.PaceDaily), Label: "daily"}),
			{Name: "time", Label: "Daily at", Value: set.Clock, Hint: "such as 08:00", Max: 5, Pattern: clock},
			{Name: "zone", Label: "Time zone", Value: set.Zone, Hint: "such as Europe/Berlin; blank: UTC", Max: 64},
			{Name: "from", Label: "Quiet from", Value: set.Quiet.From, Hint: "such as 20:00", Max: 5, Pattern: clock},
			{Name: "to", Label: "Quiet until", Value: set.Quiet.To, Hint: "such as 07:00; what waited comes then as one message", Max: 5, Pattern: clock},
			choice("weekends", "Saturdays and Sundays", strconv.FormatBool(set.Quiet.Weekends), dashboard.Option{Value: "false", Label: "as other days"}, dashboard.Option{Value: "true", Label: "quiet"}),
		},
	}}
	return nil
}

func (v *visit) setNotices() error {
	p := client.NoticeSettingsChange{NoticeSettingsParams: client.NoticeSettingsParams{Principal: v.PostFormValue("person")}, IfMatch: strconv.Quote(v.PostFormValue("version"))}
	b := &p.Body
	b.Notices, b.Unwanted = kindsIn(v.PostFormValue("kinds")), kindsIn(v.PostFormValue("without"))
	b.Language, b.Pace, b.Zone = v.PostFormValue("language"), tenure.NoticePace(v.PostFormValue("pace")), strings.TrimSpace(v.PostFormValue("zone"))
	if b.Pace == tenure.PaceDaily {
		b.Clock = strings.TrimSpace(v.PostFormValue("time"))
	}
	b.Quiet = tenure.QuietHours{From: strings.TrimSpace(v.PostFormValue("from")), To: strings.TrimSpace(v.PostFormValue("to")), Weekends: v.PostFormValue("weekends") == "true"}
	_, err := ask(v, client.SetNoticeSettings, p)
	back := "/access/notices"
	if p.Principal != "" {
		back += "?" + url.Values{"person": {p.Principal}}.Encode()
	}
	return v.tried(back, "It is set.", err)
}

// kindsIn are the kinds of notices in a line of text, parted by commas or blanks.
func kindsIn(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
