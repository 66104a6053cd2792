package site

import (
	"io"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) holdPages() {
	s.page("GET /holds", (*visit).holds)
	s.page("POST /holds", (*visit).placeHold)
	s.page("POST /holds/{hold}/release", (*visit).releaseHold)
}

func (v *visit) holds() error {
	q := v.URL.Query()
	p := client.HoldFilter{Tenant: q.Get("tenant"), Released: q.Get("released") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListHolds, p)
	if err != nil {
		return err
	}
	view := dashboard.HoldsView{Pager: v.pager(list.Next, len(list.Items)), Place: v.placeAction(q), Filters: filters("/holds", q,
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Hint: "name or id: the holds that can cover it"},
		only("released", "Released or not", q.Get("released"), "those that bind", "released ones too"),
	)}
	names, targets := v.names(), v.targets()
	for _, h := range list.Items {
		id := tenure.TenantID(h.Scope.Tenant)
		row := holdRow(h, tenantRef(id, names.of(id)))
		row.Actions = v.holdActions(h, targets.of(id))
		view.Rows = append(view.Rows, row)
	}
	return v.show(dashboard.AreaHolds, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Holds(w, f, view) })
}

func holdRow(h client.Hold, t dashboard.Ref) dashboard.HoldRow {
	return dashboard.HoldRow{
		ID: h.ID, Matter: h.Matter, Scope: holdScope(h.Scope), Tenant: t, Reason: h.Reason, PlacedBy: h.PlacedBy, Placed: h.PlacedAt, Effective: h.EffectiveAt,
		AlreadyGone: h.AlreadyGone, ReleaseBy: h.ReleaseBy, Released: h.ReleasedAt,
	}
}

// holdScope says in words what a hold covers.
func holdScope(s client.HoldScope) string {
	var parts []string
	if s.Resource != "" {
		parts = append(parts, "resource "+s.Resource)
	}
	if s.Class != "" {
		parts = append(parts, "data class "+s.Class)
	}
	if s.System != "" {
		parts = append(parts, "system "+s.System)
	}
	what := "everything"
	if len(parts) > 0 {
		what = strings.Join(parts, ", ")
	}
	if s.Tenant == "" {
		return what + " of every tenant"
	}
	return what + " of this tenant"
}

func (v *visit) holdActions(h client.Hold, t tenure.Target) []dashboard.Action {
	if !h.ReleasedAt.IsZero() || !v.may(tenure.HoldRelease, t) {
		return nil
	}
	a := dashboard.Action{Label: "Ask for the release", Post: "/holds/" + url.PathEscape(string(h.ID)) + "/release", Tone: dashboard.ToneBad, Says: "A second person must say the same. Then the retention rules count again, and what they let go may be destroyed."}
	if len(h.ReleaseBy) > 0 {
		a.Label, a.Says = "Release", strings.Join(h.ReleaseBy, " and ")+" asked for it. With your decision the hold is released at once: the retention rules count again, and what they let go may be destroyed."
	}
	if tenure.NamesPerson(h.ReleaseBy, v.caller.Name) {
		a.Not = "You have asked for this release; a second person must."
	}
	return []dashboard.Action{a}
}

func (v *visit) placeAction(q url.Values) *dashboard.Action {
	if !v.caller.May(tenure.HoldPlace) {
		return nil
	}
	a := &dashboard.Action{Label: "Place a hold", Post: "/holds", Tone: dashboard.ToneAccent, Says: "It binds at once: nothing that it covers is destroyed, whatever a retention rule says, until two persons release it.",
		Fields: []dashboard.Field{
			{Name: "matter", Label: "Matter", Required: true, Max: 200, Hint: "the case that it serves"},
			{Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Max: 64, Hint: "name or id"},
			{Name: "class", Label: "Data class", Max: 100, Hint: "blank: every class"},
			{Name: "system", Label: "System", Max: 100, Hint: "blank: every system"},
			{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Max: 1000},
			{Kind: dashboard.FieldCheck, Name: "untold", Label: "The customer may not know that anything is kept for a legal reason"},
		}}
	if v.may(tenure.HoldPlace, tenure.Target{}) {
		a.Fields = append(a.Fields, dashboard.Field{Kind: dashboard.FieldCheck, Name: "all", Label: "Every tenant: the class or system named above, wherever it is"})
	}
	return a
}

func (v *visit) placeHold() error {
	p := client.HoldParams{Body: client.NewHold{
		Matter: v.PostFormValue("matter"), Reason: v.PostFormValue("reason"), AllTenants: v.PostFormValue("all") == "true", Untold: v.PostFormValue("untold") == "true",
		Scope: client.HoldScope{Tenant: strings.TrimSpace(v.PostFormValue("tenant")), Class: strings.TrimSpace(v.PostFormValue("class")), System: strings.TrimSpace(v.PostFormValue("system"))},
	}}
	h, err := ask(v, client.PlaceHold, p)
	say := "The hold binds."
	if err == nil && h.EffectiveAt.IsZero() {
		say = "The hold binds; it is effective when the batches in flight have drained."
	}
	back := "/holds"
	if err != nil && p.Body.Scope.Tenant != "" && tenure.CodeOf(err) != tenure.NotFound {
		back += "?tenant=" + queryEscape(p.Body.Scope.Tenant)
	}
	return v.tried(back, say, err)
}

func (v *visit) releaseHold() error {
	h, err := ask(v, client.ReleaseHold, client.HoldID{Hold: v.PathValue("hold")})
	say := "Noted: a second person must say the same."
	if !h.ReleasedAt.IsZero() {
		say = "The hold is released."
	}
	return v.tried("/holds", say, err)
}
