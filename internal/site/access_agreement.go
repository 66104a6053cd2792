package site

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) agreementForms() {
	s.page("POST /access/agreements", (*visit).addAgreement)
	s.page("POST /access/agreements/{agreement}/end", (*visit).endAgreement)
}

func (v *visit) agreements(view *dashboard.AccessView) error {
	q := v.URL.Query()
	p := client.AgreementFilter{Tenant: q.Get("tenant"), Ended: q.Get("ended") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListAgreements, p)
	if err != nil {
		return err
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	view.Filters = filters("/access/agreements", q,
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Hint: "name or id"},
		only("ended", "Over or not", q.Get("ended"), "those that count", "ended ones too"),
	)
	names, targets, now := v.names(), v.targets(), v.s.o.Governor.Now()
	for _, a := range list.Items {
		row := dashboard.AgreementRow{ID: a.ID, Tenant: tenantRef(a.Tenant, names.of(a.Tenant)), Party: strings.Join(a.Parties, ", "), Classes: a.Classes, Purpose: a.Purpose, Expires: a.ExpiresAt, State: "active"}
		if a.Kind == tenure.ExportGrant {
			row.Purpose = "may take exports away: " + a.Purpose
		}
		switch {
		case !a.EndedAt.IsZero():
			row.State = "ended"
		case !now.Before(a.ExpiresAt):
			row.State = "expired"
		case a.ExpiresAt.Sub(now) < tenure.AgreementNotice:
			row.State = "expiring"
		}
		if a.Open(now) && v.may(tenure.AgreementManage, targets.of(a.Tenant)) {
			row.Actions = []dashboard.Action{{
				Label: "End it", Post: "/access/agreements/" + url.PathEscape(string(a.ID)) + "/end", Tone: dashboard.ToneBad, Says: "It ends now, before its date.",
				Hidden: hiddenPairs("version", strconv.FormatInt(a.Version, 10)), Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Required: true, Max: 1000}},
			}}
		}
		view.Agreements = append(view.Agreements, row)
	}
	if v.caller.May(tenure.AgreementManage) {
		view.Actions = []dashboard.Action{{
			Label: "Write one down", Post: "/access/agreements", Tone: dashboard.ToneAccent, Says: "It stands in the inventory, in access reviews, and is cut off when the tenant leaves.",
			Fields: []dashboard.Field{
				{Name: "tenant", Label: "Tenant", Required: true, Value: q.Get("tenant"), Max: 64, Hint: "name or id"},
				{Kind: dashboard.FieldChoice, Name: "kind", Label: "Kind", Options: []dashboard.Option{{Value: "sharing", Label: "they share data"}, {Value: "export", Label: "they may take exports away"}}},
				{Name: "parties", Label: "Parties", Required: true, Max: 2000, Hint: "organizations or systems, never persons, with commas"},
				{Name: "classes", Label: "Data classes", Required: true, Max: 2000, Hint: "of the tenant's blueprint, with commas"},
				{Kind: dashboard.FieldLong, Name: "purpose", Label: "What for", Required: true, Max: 1000},
				{Kind: dashboard.FieldDate, Name: "expires", Label: "Until", Required: true},
			},
		}}
	}
	return nil
}

func (v *visit) addAgreement() error {
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	_, err := ask(v, client.AddAgreement, client.NewAgreementParams{Body: client.NewAgreement{
		Tenant: text("tenant"), Kind: tenure.AgreementKind(text("kind")), Parties: listOf(text("parties")), Classes: listOf(text("classes")), Purpose: text("purpose"), ExpiresAt: day(text("expires")),
	}})
	return v.tried("/access/agreements", "It is written down.", err)
}

func (v *visit) endAgreement() error {
	p := client.EndAgreementParams{AgreementID: client.AgreementID{Agreement: v.PathValue("agreement")}}
	if n := v.PostFormValue("version"); n != "" {
		p.IfMatch = `"` + n + `"`
	}
	p.Body.Reason = v.PostFormValue("reason")
	_, err := ask(v, client.EndAgreement, p)
	return v.tried("/access/agreements", "It is over.", err)
}
