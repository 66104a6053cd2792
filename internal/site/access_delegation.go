package site

import (
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) delegationForms() {
	s.page("POST /access/delegations", (*visit).delegate)
	s.page("POST /access/delegations/{delegation}/revoke", (*visit).revokeDelegation)
}

func (v *visit) delegations(view *dashboard.AccessView) error {
	q := v.URL.Query()
	p := client.DelegationFilter{Ended: q.Get("ended") == "true", All: q.Get("all") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListDelegations, p)
	if err != nil {
		return err
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	fields := []dashboard.Field{only("ended", "Over or not", q.Get("ended"), "those that count", "those that are over too")}
	if v.may(tenure.AccessRead, tenure.Target{}) {
		fields = append(fields, only("all", "Whose", q.Get("all"), "mine", "everybody's"))
	}
	view.Filters = filters("/access/delegations", q, fields...)
	names, now := v.names(), v.s.o.Governor.Now()
	for _, d := range list.Items {
		row := dashboard.DelegationRow{ID: d.ID, From: d.From, To: d.To, What: "approvals over " + v.scopeText(d.Scope, names), Since: d.StartsAt, Until: d.EndsAt, State: ended(d.RevokedAt, d.EndsAt, now)}
		if row.State == "active" && now.Before(d.StartsAt) {
			row.State = "pending"
		}
		if (row.State == "active" || row.State == "pending") && (tenure.SamePerson(d.From, v.caller.Name) || v.may(tenure.AccessManage, tenure.Target{})) {
			row.Actions = []dashboard.Action{{Label: "End it", Post: "/access/delegations/" + url.PathEscape(string(d.ID)) + "/revoke", Tone: dashboard.ToneBad, Says: d.To + " no longer decides in " + d.From + "'s place, at once."}}
		}
		view.Delegations = append(view.Delegations, row)
	}
	if v.caller.May(tenure.OperationApprove) {
		fields := append([]dashboard.Field{{Name: "to", Label: "To", Required: true, Max: 100, Hint: "a person's name"}}, scopeFields(true)...)
		view.Actions = []dashboard.Action{{
			Label: "Delegate my approvals", Post: "/access/delegations", Tone: dashboard.ToneAccent,
			Says:   "They approve in your place, over at most what you approve yourself. You and they count as one at a gate, and they can't pass it on.",
			Fields: append(fields, reasonField(), dashboard.Field{Kind: dashboard.FieldDate, Name: "starts", Label: "From", Hint: "blank: now"}, dashboard.Field{Kind: dashboard.FieldDate, Name: "ends", Label: "Until", Required: true, Hint: "at most 90 days"}),
		}}
	}
	return nil
}

func (v *visit) delegate() error {
	p := client.NewDelegation{}
	scope, err := v.scopeOf()
	if err == nil {
		p.Body.To, p.Body.Scope, p.Body.Reason = strings.TrimSpace(v.PostFormValue("to")), scope, v.PostFormValue("reason")
		p.Body.StartsAt, p.Body.ExpiresAt = day(v.PostFormValue("starts")), day(v.PostFormValue("ends"))
		_, err = ask(v, client.Delegate, p)
	}
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.Invalid, "there is nobody named %q", p.Body.To)
	}
	return v.tried("/access/delegations", p.Body.To+" decides in your place.", err)
}

func (v *visit) revokeDelegation() error {
	_, err := ask(v, client.RevokeDelegation, client.DelegationParams{Delegation: v.PathValue("delegation")})
	return v.tried("/access/delegations", "It is over.", err)
}
