package site

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) holdPages() {
	s.page("GET /holds", (*visit).holds)
	s.page("POST /holds", (*visit).placeHold)
	s.page("POST /holds/{hold}/release", (*visit).releaseHold)
	s.page("POST /holds/{hold}/acknowledge", (*visit).acknowledgeHold)
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
		AlreadyGone: h.AlreadyGone, ReleaseBy: h.ReleaseBy, Released: h.ReleasedAt, Custodians: h.Custodians,
	}
}

// holdScope says in words what a hold covers.
func holdScope(s client.HoldScope) string {
	var parts []string
	if s.Resource != "" {
		parts = append(parts, "resource "+s.Resource)
	}
	if s.Table != "" {
		rows := "rows of " + s.Table
		for i, c := range s.Rows {
			rows += map[bool]string{true: " with ", false: " and "}[i == 0] + c.String()
		}
		parts = append([]string{rows}, parts...)
	}
	if s.Prefix != "" {
		parts = append([]string{"keys beginning " + s.Prefix}, parts...)
	}
	if s.Environment != "" {
		parts = append(parts, "environment "+s.Environment)
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
	if !h.ReleasedAt.IsZero() {
		return nil
	}
	var out []dashboard.Action
	for _, c := range h.Custodians {
		if c.AcknowledgedAt.IsZero() && tenure.SamePerson(c.Name, v.caller.Name) {
			out = append(out, dashboard.Action{Label: "Acknowledge", Post: "/holds/" + url.PathEscape(string(h.ID)) + "/acknowledge", Says: "You know of the hold, and keep what it covers."})
		}
	}
	if !v.may(tenure.HoldRelease, t) {
		return out
	}
	a := dashboard.Action{Label: "Ask for the release", Post: "/holds/" + url.PathEscape(string(h.ID)) + "/release", Tone: dashboard.ToneBad, Says: "A second person must say the same. Then the retention rules count again, and what they let go may be destroyed."}
	if len(h.ReleaseBy) > 0 {
		a.Label, a.Says = "Release", strings.Join(h.ReleaseBy, " and ")+" asked for it. With your decision the hold is released at once: the retention rules count again, and what they let go may be destroyed."
	}
	if tenure.NamesPerson(h.ReleaseBy, v.caller.Name) {
		a.Not = "You have asked for this release; a second person must."
	}
	return append(out, a)
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
			{Name: "environment", Label: "Environment", Max: 100, Hint: "blank: every environment"},
			{Name: "system", Label: "System", Max: 100, Hint: "blank: every system"},
			{Name: "resource", Label: "Resource", Max: 64, Hint: "its id; blank: every resource, or the one that has the table or prefix"},
			{Name: "table", Label: "Table", Max: 200, Hint: "rows of this table alone, with what they refer to"},
			{Kind: dashboard.FieldLong, Name: "rows", Label: "Conditions on its rows", Max: 4000, Hint: "one a line, all of which hold: status = \"open\""},
			{Name: "prefix", Label: "Prefix", Max: 1000, Hint: "objects or files alone whose keys begin so"},
			{Kind: dashboard.FieldLong, Name: "custodians", Label: "Custodians", Max: 4000, Hint: "one a line; each is asked to acknowledge the hold"},
			{Name: "remind", Label: "Remind after", Max: 3, Hint: "days, for custodians who haven't; blank: never"},
			{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Max: 1000},
			{Kind: dashboard.FieldCheck, Name: "untold", Label: "The customer may not know that anything is kept for a legal reason"},
		}}
	if v.may(tenure.HoldPlace, tenure.Target{}) {
		a.Fields = append(a.Fields, dashboard.Field{Kind: dashboard.FieldCheck, Name: "all", Label: "Every tenant: the class or system named above, wherever it is"})
	}
	return a
}

// holdScope reads what the form says of a hold's scope and custodians.
func (v *visit) holdScope(in *client.NewHold) error {
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	in.Scope = client.HoldScope{
		Tenant: text("tenant"), Environment: text("environment"), Class: text("class"), System: text("system"), Resource: text("resource"), Table: text("table"), Prefix: v.PostFormValue("prefix"),
	}
	for line := range strings.Lines(text("rows")) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, err := tenure.ParseRowCondition(line)
		if err != nil {
			return err
		}
		in.Scope.Rows = append(in.Scope.Rows, c)
	}
	for line := range strings.Lines(text("custodians")) {
		if name := strings.TrimSpace(line); name != "" {
			in.Custodians = append(in.Custodians, name)
		}
	}
	if days := text("remind"); days != "" {
		n, err := strconv.Atoi(days)
		if err != nil {
			return tenure.Errorf(tenure.Invalid, "%q isn't a number of days", days)
		}
		in.RemindDays = n
	}
	return nil
}

func (v *visit) placeHold() error {
	p := client.HoldParams{Body: client.NewHold{
		Matter: v.PostFormValue("matter"), Reason: v.PostFormValue("reason"), AllTenants: v.PostFormValue("all") == "true", Untold: v.PostFormValue("untold") == "true",
	}}
	var h client.Hold
	err := v.holdScope(&p.Body)
	if err == nil {
		h, err = ask(v, client.PlaceHold, p)
	}
	say := "The hold binds."
	if err == nil && h.EffectiveAt.IsZero() {
		say = "The hold binds; it is effective when the batches in flight have drained."
	}
	if h.Named != nil {
		say += fmt.Sprintf(" It names %d rows or objects that are there now.", *h.Named)
	}
	back := "/holds"
	if err != nil && p.Body.Scope.Tenant != "" && tenure.CodeOf(err) != tenure.NotFound {
		back += "?tenant=" + queryEscape(p.Body.Scope.Tenant)
	}
	return v.tried(back, say, err)
}

func (v *visit) acknowledgeHold() error {
	_, err := ask(v, client.AcknowledgeHold, client.HoldID{Hold: v.PathValue("hold")})
	return v.tried("/holds", "Acknowledged.", err)
}

func (v *visit) releaseHold() error {
	h, err := ask(v, client.ReleaseHold, client.HoldID{Hold: v.PathValue("hold")})
	say := "Noted: a second person must say the same."
	if !h.ReleasedAt.IsZero() {
		say = "The hold is released."
	}
	return v.tried("/holds", say, err)
}
