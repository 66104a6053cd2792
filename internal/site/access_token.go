package site

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (v *visit) tokens(view *dashboard.AccessView) error {
	list, err := ask(v, client.ListTokens, client.TokenFilter{})
	if err != nil {
		return err
	}
	names, who, now := v.names(), v.people(), v.s.o.Governor.Now()
	for _, t := range list {
		row := dashboard.TokenRow{
			ID: t.ID, Name: t.Name, Principal: who.of(t.Principal), Limit: v.limitText(t, names), Created: t.CreatedAt, Expires: t.ExpiresAt, LastUsed: t.UsedAt,
			State: ended(time.Time{}, t.ExpiresAt, now),
		}
		a := dashboard.Action{Label: "Revoke", Post: "/access/tokens/" + url.PathEscape(string(t.ID)) + "/revoke", Tone: dashboard.ToneBad, Says: "What uses it is refused from now on."}
		switch {
		case row.State != "active":
		case t.Principal == v.caller.Principal || tenure.SamePerson(t.CreatedBy, v.caller.Name):
			row.Actions = []dashboard.Action{a}
		default:
			row.Actions = v.offer(a, tenure.AccessManage, tenure.Target{})
		}
		view.Tokens = append(view.Tokens, row)
	}
	fields := append([]dashboard.Field{
		{Name: "name", Label: "Name", Required: true, Max: 100, Hint: "what it is for"},
		{Name: "principal", Label: "Of", Max: 100, Hint: "blank: yourself; or a machine that you answer for"},
		{Kind: dashboard.FieldNumber, Name: "days", Label: "Good for how many days", Value: "30", Required: true, Hint: "at most 366"},
	}, scopeFields(false)...)
	fields = append(fields, dashboard.Field{Name: "only", Label: "Only for", Max: 1000, Hint: "permissions such as tenant.read, with commas; blank: all that its owner may"})
	view.Actions = []dashboard.Action{{
		Label: "Make a token", Post: "/access/tokens", Tone: dashboard.ToneAccent, Fields: fields,
		Says: "It speaks in its owner's name. Its text is shown once, on the next page; only its hash is kept. Tenants, tiers and labels narrow it.",
	}}
	return nil
}

func (v *visit) limitText(t client.APIToken, names *nameTable) string {
	var parts []string
	if !t.Limit.IsZero() {
		parts = append(parts, v.scopeText(t.Limit, names))
	}
	for _, p := range t.Only {
		parts = append(parts, string(p))
	}
	return strings.Join(parts, ", ")
}

func (v *visit) makeToken() error {
	p := client.NewTokenParams{}
	days, err := strconv.Atoi(v.PostFormValue("days"))
	if err != nil || days < 1 || days > 366 {
		return v.back("/access/tokens", string(dashboard.FlashFail), "A token is good for 1 to 366 days.")
	}
	p.Body.Name, p.Body.Principal = strings.TrimSpace(v.PostFormValue("name")), strings.TrimSpace(v.PostFormValue("principal"))
	p.Body.ExpiresAt = v.s.o.Governor.Now().Add(time.Duration(days) * 24 * time.Hour)
	for _, only := range listOf(v.PostFormValue("only")) {
		p.Body.Only = append(p.Body.Only, tenure.Permission(only))
	}
	if p.Body.Limit, err = v.scopeOf(); err != nil {
		return v.tried("/access/tokens", "", err)
	}
	t, err := ask(v, client.MakeToken, p)
	if tenure.CodeOf(err) == tenure.NotFound { // a name that was mistyped is no lost page
		err = tenure.Errorf(tenure.Invalid, "there is nobody named %q", p.Body.Principal)
	}
	if err != nil {
		return v.tried("/access/tokens", "", err)
	}
	return v.once(dashboard.AccessTokens, "This is the token "+t.Name+". Keep it now: it is shown this once.", t.Token)
}

func (v *visit) revokeToken() error {
	_, err := ask(v, client.RevokeToken, client.TokenID{Token: v.PathValue("token")})
	return v.tried("/access/tokens", "The token is revoked.", err)
}

func (v *visit) sessions(view *dashboard.AccessView) error {
	list, err := ask(v, client.ListSessions, client.TokenFilter{})
	if err != nil {
		return err
	}
	who := v.people()
	for _, s := range list {
		row := dashboard.SessionRow{
			ID: s.ID, Principal: who.of(s.Principal), Agent: s.Agent, From: s.Method, Strong: s.Strong, Started: s.CreatedAt, Seen: s.SeenAt, Expires: s.ExpiresAt, Current: s.ID == v.caller.Session,
		}
		a := dashboard.Action{Label: "Sign out", Post: "/access/sessions/" + url.PathEscape(string(s.ID)) + "/revoke", Tone: dashboard.ToneBad}
		if s.Principal == v.caller.Principal {
			row.Actions = []dashboard.Action{a}
		} else {
			row.Actions = v.offer(a, tenure.AccessManage, tenure.Target{})
		}
		view.Sessions = append(view.Sessions, row)
	}
	return nil
}

func (v *visit) revokeSession() error {
	_, err := ask(v, client.RevokeSession, client.SessionID{Session: v.PathValue("session")})
	return v.tried("/access/sessions", "That browser is signed out.", err)
}
