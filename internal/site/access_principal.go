package site

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// dormantAfter is how long nobody was seen of a principal before the page says so.
const dormantAfter = 90 * 24 * time.Hour

func (v *visit) principals(view *dashboard.AccessView) error {
	p := client.PrincipalFilter{}
	p.Cursor = v.URL.Query().Get("cursor")
	list, err := ask(v, client.ListPrincipals, p)
	if err != nil {
		return err
	}
	grants, err := ask(v, client.ListGrants, client.GrantFilter{})
	if err != nil {
		return err
	}
	now := v.s.o.Governor.Now()
	roles := make(map[tenure.PrincipalID][]string)
	for _, g := range grants {
		if g.Active(now) && !slices.Contains(roles[g.Principal], string(g.Role)) {
			roles[g.Principal] = append(roles[g.Principal], string(g.Role))
		}
	}
	for _, p := range list.Items {
		row := dashboard.PrincipalRow{ID: p.ID, Name: p.Name, Email: p.Email, Kind: string(p.Kind), Owner: p.Owner, State: "active", Roles: roles[p.ID], LastSeen: p.SeenAt, Created: p.CreatedAt}
		last := p.SeenAt
		if last.IsZero() {
			last = p.CreatedAt
		}
		switch {
		case p.Waiting:
			row.State = "waiting"
		case p.Disabled:
			row.State = "disabled"
		case now.Sub(last) > dormantAfter:
			row.State = "dormant"
		}
		row.Actions = v.principalActions(p)
		view.Principals = append(view.Principals, row)
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	view.Actions = v.offer(dashboard.Action{
		Label: "Add a person or machine", Post: "/access/principals", Tone: dashboard.ToneAccent, Says: "They may do nothing until somebody gives them a role.",
		Fields: []dashboard.Field{
			{Name: "name", Label: "Name", Required: true, Max: 100, Hint: "unique for ever; the log knows them by it"},
			{Kind: dashboard.FieldChoice, Name: "kind", Label: "Kind", Options: []dashboard.Option{{Value: "person", Label: "person"}, {Value: "machine", Label: "machine"}}},
			{Kind: dashboard.FieldEmail, Name: "email", Label: "Email", Max: 254, Hint: "a person signs in with this verified address"},
			{Name: "owner", Label: "Who answers for it", Max: 100, Hint: "of a machine: a person's name"},
		},
	}, tenure.AccessManage, tenure.Target{})
	return nil
}

func (v *visit) principalActions(p client.Principal) []dashboard.Action {
	a := dashboard.Action{Label: "Disable", Post: "/access/principals/" + url.PathEscape(string(p.ID)), Tone: dashboard.ToneBad, Says: p.Name + " is kept out at once, with their tokens and sessions.", Hidden: hiddenPairs("disabled", "true", "version", strconv.FormatInt(p.Version, 10))}
	if p.Disabled {
		a = dashboard.Action{Label: "Enable", Post: a.Post, Says: p.Name + " may come in again, with the roles that they have.", Hidden: hiddenPairs("disabled", "false", "version", strconv.FormatInt(p.Version, 10))}
	}
	out := v.offer(a, tenure.AccessManage, tenure.Target{})
	return append(out, dashboard.Action{Label: "Grants", Href: "/access/grants?principal=" + queryEscape(p.Name)})
}

func (v *visit) addPrincipal() error {
	p := client.NewPrincipalParams{}
	p.Body.Name, p.Body.Email, p.Body.Owner = strings.TrimSpace(v.PostFormValue("name")), strings.TrimSpace(v.PostFormValue("email")), strings.TrimSpace(v.PostFormValue("owner"))
	p.Body.Kind = tenure.CallerKind(v.PostFormValue("kind"))
	made, err := ask(v, client.AddPrincipal, p)
	return v.tried("/access/principals", made.Name+" is added; give them a role now.", err)
}

func (v *visit) changePrincipal() error {
	p := client.PrincipalChange{PrincipalID: client.PrincipalID{Principal: v.PathValue("principal")}}
	if n := v.PostFormValue("version"); n != "" {
		p.IfMatch = `"` + n + `"`
	}
	p.Body.Disabled = v.PostFormValue("disabled") == "true"
	who, err := ask(v, client.ChangePrincipal, p)
	say := who.Name + " may come in again."
	if who.Disabled {
		say = who.Name + " is kept out."
	}
	return v.tried("/access/principals", say, err)
}

// maxGrants bounds how many grants a page shows.
const maxGrants = 500

func (v *visit) grants(view *dashboard.AccessView) error {
	q := v.URL.Query()
	list, err := ask(v, client.ListGrants, client.GrantFilter{Principal: q.Get("principal"), Ended: q.Get("ended") == "true"})
	if err != nil {
		return err
	}
	view.Filters = filters("/access/grants", q,
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "principal", Label: "Who", Value: q.Get("principal"), Hint: "name or id"},
		only("ended", "Ended or not", q.Get("ended"), "those that count", "ended ones too"),
	)
	view.Pager.Total, view.Pager.Shown = len(list), min(len(list), maxGrants)
	names, who, now := v.names(), v.people(), v.s.o.Governor.Now()
	for _, g := range list[:view.Pager.Shown] {
		row := dashboard.GrantRow{
			ID: g.ID, Principal: who.of(g.Principal), Role: g.Role, Scope: v.scopeText(g.Scope, names), Reason: g.Reason, By: g.By, At: g.At, Expires: g.ExpiresAt,
			Elevation: g.Elevation != "", State: ended(g.RevokedAt, g.ExpiresAt, now),
		}
		if row.State == "active" {
			row.Actions = v.offer(dashboard.Action{
				Label: "Revoke", Post: "/access/grants/" + url.PathEscape(string(g.ID)) + "/revoke", Tone: dashboard.ToneBad, Says: row.Principal + " is no longer " + string(g.Role) + " over " + row.Scope + ", at once.",
			}, tenure.AccessManage, tenure.Target{})
		}
		view.Grants = append(view.Grants, row)
	}
	fields := append([]dashboard.Field{{Name: "principal", Label: "Who", Required: true, Value: q.Get("principal"), Max: 100, Hint: "name or id"}, roleField("")}, scopeFields(true)...)
	fields = append(fields, reasonField(), dashboard.Field{Kind: dashboard.FieldDate, Name: "expires", Label: "Until", Hint: "blank: without an end"})
	view.Actions = v.offer(dashboard.Action{
		Label: "Give a role", Post: "/access/grants", Tone: dashboard.ToneAccent, Fields: fields,
		Says: "It counts at once, over the tenants that you name. Roles that conflict are refused, and nobody gives one to themselves.",
	}, tenure.AccessManage, tenure.Target{})
	return nil
}

func (v *visit) giveGrant() error {
	p := client.NewGrantParams{}
	scope, err := v.scopeOf()
	if err == nil {
		p.Body.Principal, p.Body.Role, p.Body.Scope = strings.TrimSpace(v.PostFormValue("principal")), tenure.Role(v.PostFormValue("role")), scope
		p.Body.Reason, p.Body.ExpiresAt = v.PostFormValue("reason"), day(v.PostFormValue("expires"))
		_, err = ask(v, client.GiveGrant, p)
	}
	if tenure.CodeOf(err) == tenure.NotFound { // a name that was mistyped is no lost page
		err = tenure.Errorf(tenure.Invalid, "there is nobody named %q", p.Body.Principal)
	}
	return v.tried("/access/grants", p.Body.Principal+" is "+string(p.Body.Role)+" over "+scope.String()+" now.", err)
}

func (v *visit) revokeGrant() error {
	_, err := ask(v, client.RevokeGrant, client.GrantID{Grant: v.PathValue("grant")})
	return v.tried("/access/grants", "The grant is revoked.", err)
}
