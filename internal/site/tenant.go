package site

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) tenantPages() {
	s.page("GET /tenants", (*visit).tenants)
	s.page("GET /tenants/{tenant}", (*visit).tenant)
	s.page("POST /tenants/{tenant}/links", (*visit).makeLink)
	s.page("POST /tenants/{tenant}/links/{link}/revoke", (*visit).revokeLink)
	s.page("POST /tenants/{tenant}/labels", (*visit).setLabels)
	s.page("GET /tenants/{tenant}/certificates/{certificate}", (*visit).certificateFile)
}

func (v *visit) tenants() error {
	q := v.URL.Query()
	p := client.TenantFilter{
		State: tenure.TenantState(q.Get("state")), Tier: q.Get("tier"), Label: q.Get("label"), Blueprint: q.Get("blueprint"), Finding: q.Get("finding"),
		From: day(q.Get("from")), To: day(q.Get("to")), Closed: q.Get("closed") == "true",
	}
	p.Unused, _ = strconv.Atoi(q.Get("unused"))
	p.Cursor = q.Get("cursor")
	if name := strings.TrimSpace(q.Get("q")); name != "" {
		if t, err := ask(v, client.ShowTenant, client.TenantParams{Tenant: name}); err == nil {
			http.Redirect(v.w, v.Request, dashboard.TenantPath(t.ID), http.StatusSeeOther)
			return nil
		}
		return v.back("/tenants", string(dashboard.FlashNote), "There is no tenant named "+name+", or not for you. A closed one is found by its id.")
	}
	list, err := ask(v, client.ListTenants, p)
	if err != nil {
		return err
	}
	var states []string
	for _, s := range tenure.TenantStates {
		states = append(states, string(s))
	}
	view := dashboard.TenantsView{Pager: v.pager(list.Next, len(list.Items)), Filters: filters("/tenants", q,
		choice("state", "State", q.Get("state"), "any but closed", states...),
		dashboard.Field{Name: "tier", Label: "Tier", Value: q.Get("tier")},
		dashboard.Field{Name: "blueprint", Label: "Blueprint", Value: q.Get("blueprint"), Hint: "name or name@version"},
		dashboard.Field{Name: "label", Label: "Label", Value: q.Get("label"), Hint: "key=value"},
		choice("finding", "Finding", q.Get("finding"), "with or without", "critical", "high", "medium", "low"),
		dashboard.Field{Kind: dashboard.FieldNumber, Name: "unused", Label: "Unused for days", Value: q.Get("unused")},
		dashboard.Field{Kind: dashboard.FieldDate, Name: "from", Label: "Made from", Value: q.Get("from")},
		dashboard.Field{Kind: dashboard.FieldDate, Name: "to", Label: "Made before", Value: q.Get("to")},
	)}
	for _, t := range list.Items {
		view.Rows = append(view.Rows, tenantRow(t))
	}
	if v.caller.May(tenure.OperationRequest) {
		view.Actions = append(view.Actions, dashboard.Action{Label: "Onboard a tenant", Href: "/new/onboard", Tone: dashboard.ToneAccent})
	}
	return v.show(dashboard.AreaTenants, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Tenants(w, f, view) })
}

func tenantRow(t client.Tenant) dashboard.TenantRow {
	row := dashboard.TenantRow{
		ID: t.ID, Name: t.Name, Organization: t.Organization, Tier: t.Tier, State: t.State, Held: t.Held, Blocked: t.Blocked,
		Blueprint: revision(t.Blueprint), Updated: t.UpdatedAt,
	}
	for _, n := range t.OpenFindings {
		row.Findings += n
	}
	if n := t.Next; n != nil {
		row.Next, row.NextWhat = n.At, n.What
		if n.Who != "" {
			row.NextWhat += " (" + n.Who + ")"
		}
	}
	return row
}

func (v *visit) tenant() error {
	name := v.PathValue("tenant")
	t, err := ask(v, client.ShowTenant, client.TenantParams{Tenant: name})
	if err != nil {
		return err
	}
	view := v.tenantView(t)
	v.tenantAround(&view, t)
	return v.show(dashboard.AreaTenants, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Tenant(w, f, view) })
}

func (v *visit) tenantView(t client.TenantDetail) dashboard.TenantView {
	view := dashboard.TenantView{
		ID: t.ID, Name: t.Name, Organization: t.Organization, Contact: t.Contact, Tier: t.Tier, Labels: tenure.LabelsText(t.Labels), State: t.State,
		Held: t.Held, Blocked: t.Blocked, Blueprint: blueprintRef(t.Blueprint), Created: t.CreatedAt, Parameters: parametersOf(t.Parameters),
	}
	if view.Name == "" {
		view.Name = string(t.ID)
	}
	if t.Blocked != "" {
		view.Unblocks = "an operator, once the cause is mended"
	}
	for _, h := range t.Holds {
		view.Holds = append(view.Holds, holdRow(h, tenantRef(t.ID, view.Name)))
	}
	for _, f := range t.Findings {
		view.Findings = append(view.Findings, findingRow(f, tenantRef(t.ID, view.Name)))
	}
	for _, o := range t.Operations {
		view.Operations = append(view.Operations, operationRow(o, view.Name))
	}
	view.Actions, view.Lease = v.tenantActions(t), leaseRow(t.Lease)
	view.Leave = v.leaveRows(t.ID, tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels})
	if v.may(tenure.EventRead, tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels}) {
		view.EventsHref = "/events?tenant=" + queryEscape(string(t.ID))
	}
	return view
}

// tenantAround asks for what stands around a tenant. What can't be had is left
// out of the page rather than the page lost.
func (v *visit) tenantAround(view *dashboard.TenantView, t client.TenantDetail) {
	params := client.TenantParams{Tenant: string(t.ID)}
	reasons, _ := ask(v, client.ExplainTenant, params)
	why := make(map[string]client.Reason)
	for _, r := range reasons.Items {
		why[r.Environment+"\x00"+r.Resource] = r
	}
	for _, r := range t.Resources {
		row := dashboard.ResourceRow{
			ID: r.ID, Environment: r.Environment, System: dashboard.Ref{Label: r.System, Href: "/systems"}, Type: r.Type, Name: r.Name, State: r.State, Verdict: r.Verdict, Classes: r.Classes, GoneBy: r.ExpiresAt,
		}
		if w, ok := why[r.Environment+"\x00"+r.Key]; ok {
			row.Why, row.UndoUntil = w.Reason, w.UndoExpiresAt
			if !w.GoneAt.IsZero() {
				row.GoneBy = w.GoneAt
			}
		}
		view.Resources = append(view.Resources, row)
	}
	access, _ := ask(v, client.TenantAccess, params)
	for _, a := range access {
		kind := map[string]string{"grant": "staff grant", "account": "account"}[a.Kind]
		if kind == "" {
			kind = a.Kind
		}
		view.People = append(view.People, dashboard.AccessRow{Who: a.Who, Kind: kind, System: a.Where, Role: a.What, State: a.State, Since: a.CreatedAt, Until: a.ExpiresAt})
	}
	v.classesInto(view, t)
	v.documentsInto(view, t)
	view.Timeline = v.timeline(view, t)
}

func (v *visit) classesInto(view *dashboard.TenantView, t client.TenantDetail) {
	b, err := ask(v, client.ShowBlueprint, client.BlueprintParams{Blueprint: t.Blueprint.Digest})
	if err != nil {
		return
	}
	var body struct {
		DataClasses []tenure.DataClass `json:"dataClasses"`
	}
	if json.Unmarshal(b.Body, &body) != nil {
		return
	}
	dates := v.openDates(t)
	for _, c := range body.DataClasses {
		row := dashboard.ClassRow{Name: c.Name, Title: c.Title, Personal: c.Personal, Disposition: c.Disposition, Clock: tenure.Clock{Class: c.Name, State: tenure.ClockPending, Because: "the tenant isn't leaving: its retention counts from then"}}
		for _, clock := range t.Clocks {
			if clock.Class == c.Name {
				row.Clock = clock
			}
		}
		for _, r := range c.Retention {
			row.Rules = append(row.Rules, ruleText(r))
		}
		for _, r := range t.Resources {
			if slices.Contains(r.Classes, c.Name) && r.State != tenure.ResourceGone {
				row.Stores = append(row.Stores, tenure.ResourcePath(r.Environment, r.Key))
			}
		}
		for _, d := range dates {
			if strings.Contains(d.Step, c.Name) && !d.Undo.IsZero() {
				row.NoReturn = d.Undo
			}
		}
		if !row.NoReturn.IsZero() && (view.NoReturn.IsZero() || row.NoReturn.Before(view.NoReturn)) {
			view.NoReturn = row.NoReturn
		}
		view.Classes = append(view.Classes, row)
	}
}

func ruleText(r tenure.RetentionRule) string {
	raw, err := json.Marshal(r)
	var m map[string]any
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return ""
	}
	text := func(k string) string {
		if s, ok := m[k]; ok && s != nil {
			return fmt.Sprint(s)
		}
		return ""
	}
	say := strings.ReplaceAll(text("kind"), "_", " ") + " " + text("period")
	if from := text("from"); from != "" {
		say += " after " + strings.ReplaceAll(from, "_", " ")
	}
	if basis := text("basis"); basis != "" {
		say += " (" + basis + ")"
	}
	return strings.TrimSpace(say)
}

// openDates are the projected dates of the tenant's open offboarding.
func (v *visit) openDates(t client.TenantDetail) []tenure.Projection {
	for _, o := range t.Operations {
		if o.Kind == tenure.Offboard && !o.State.Ended() {
			if d, err := ask(v, client.ShowOperation, client.OperationParams{Operation: string(o.ID)}); err == nil && d.Body != nil {
				return d.Body.Dates
			}
		}
	}
	return nil
}

func (v *visit) documentsInto(view *dashboard.TenantView, t client.TenantDetail) {
	at := dashboard.TenantPath(t.ID)
	certs, _ := ask(v, client.ListCertificates, client.TenantParams{Tenant: string(t.ID)})
	for _, c := range certs.Items {
		href := at + "/certificates/" + url.PathEscape(string(c.ID))
		view.Certificates = append(view.Certificates, dashboard.CertificateRow{Ref: dashboard.Ref{Label: c.Kind + " certificate", Href: href + "/view"}, Kind: c.Kind, Issued: c.IssuedAt, Digest: c.Digest, Download: href})
	}
	files, _ := v.s.o.Service.HandoverFiles(t.ID)
	for _, f := range files {
		view.Documents = append(view.Documents, dashboard.Document{Name: dashboard.Ref{Label: f.Name}, Kind: "export for the customer", At: f.At, Bytes: f.Bytes})
	}
	target := tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels}
	if !v.may(tenure.TenantChange, target) {
		return
	}
	links, _ := ask(v, client.ListLinks, client.TenantParams{Tenant: string(t.ID)})
	now := v.s.o.Governor.Now()
	for _, l := range links {
		row := dashboard.DepartureLink{ID: l.ID, By: l.CreatedBy, At: l.CreatedAt, Expires: l.ExpiresAt, Opened: l.SeenAt, State: "active"}
		switch {
		case !l.RevokedAt.IsZero():
			row.State = "revoked"
		case !now.Before(l.ExpiresAt):
			row.State = "expired"
		default:
			row.Revoke = &dashboard.Action{Label: "Revoke", Post: at + "/links/" + url.PathEscape(string(l.ID)) + "/revoke", Tone: dashboard.ToneBad}
		}
		view.DepartureLinks = append(view.DepartureLinks, row)
	}
	if t.State != tenure.TenantActive && t.State != tenure.TenantRequested && t.State != tenure.TenantValidating && t.State != tenure.TenantProvisioning {
		view.LinkAction = &dashboard.Action{Label: "Make a link", Post: at + "/links", Says: "Whoever has the link sees where this departure stands and needs no account. The customer may download the export and the certificate. It is shown this once.",
			Fields: []dashboard.Field{{Kind: dashboard.FieldNumber, Name: "days", Label: "Good for how many days", Value: "60", Required: true},
				{Kind: dashboard.FieldChoice, Name: "audience", Label: "For", Options: []dashboard.Option{{Value: "customer", Label: "the customer", On: true}, {Value: "stakeholder", Label: "a stakeholder, who sees the checklist and no data"}}}}}
	}
}

// tenantActions are the operations that a tenant's state allows.
func (v *visit) tenantActions(t client.TenantDetail) []dashboard.Action {
	var out []dashboard.Action
	target := tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels}
	if v.may(tenure.OperationRequest, target) {
		for _, k := range []struct {
			kind  tenure.OperationKind
			label string
			tone  dashboard.Tone
		}{
			{tenure.Change, "Change", ""}, {tenure.Upgrade, "Upgrade", ""}, {tenure.Repair, "Repair drift", ""}, {tenure.Suspend, "Suspend", ""}, {tenure.Resume, "Resume", dashboard.ToneAccent},
			{tenure.Reinstate, "Reinstate", dashboard.ToneAccent}, {tenure.Offboard, "Offboard", dashboard.ToneBad}, {tenure.Supplement, "Take away what came back", dashboard.ToneBad},
		} {
			if slices.Contains(tenure.OperationKinds[k.kind], t.State) {
				out = append(out, dashboard.Action{Label: k.label, Href: "/new/" + string(k.kind) + "?tenant=" + queryEscape(string(t.ID)), Tone: k.tone})
			}
		}
	}
	if v.may(tenure.HoldPlace, target) && t.State != tenure.TenantClosed {
		out = append(out, dashboard.Action{Label: "Place a hold", Href: "/holds?tenant=" + queryEscape(string(t.ID)) + "#place"})
	}
	if v.may(tenure.TenantChange, target) && t.State != tenure.TenantClosed {
		out = append(out, dashboard.Action{Label: "Labels", Post: dashboard.TenantPath(t.ID) + "/labels", Says: "Labels decide, beside tiers, who may see a tenant.", Hidden: hiddenPairs("version", strconv.FormatInt(t.Version, 10)),
			Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "labels", Label: "Labels, one key=value a line", Value: strings.Join(tenure.LabelsText(t.Labels), "\n"), Max: 4000}}})
	}
	if t.Lease != nil && v.may(tenure.TenantChange, target) && t.State != tenure.TenantClosed {
		out = append(out, leaseActions(t)...)
	}
	return out
}

func parametersOf(raw json.RawMessage) []dashboard.Pair {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	var out []dashboard.Pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, dashboard.Pair{Name: k, Value: valueText(m[k])})
	}
	return out
}

// valueText is a JSON value for people: a text as it is, the rest as JSON.
func valueText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func (v *visit) timeline(view *dashboard.TenantView, t client.TenantDetail) []dashboard.Moment {
	out := []dashboard.Moment{{At: t.CreatedAt, What: dashboard.Ref{Label: "requested"}, Icon: "plus", Tone: dashboard.ToneInfo}}
	for _, o := range t.Operations {
		st := dashboard.StatusOf(o.State)
		at := o.CreatedAt
		if o.State.Ended() {
			at = o.UpdatedAt
		}
		out = append(out, dashboard.Moment{At: at, What: operationRef(o.ID, string(o.Kind)+" "+st.Word), By: o.RequestedBy, Tone: st.Tone, Icon: st.Icon})
	}
	for _, h := range view.Holds {
		out = append(out, dashboard.Moment{At: h.Placed, What: dashboard.Ref{Label: "held: " + h.Matter, Href: "/holds"}, By: h.PlacedBy, Tone: dashboard.ToneHold, Icon: "lock"})
	}
	for _, c := range view.Certificates {
		out = append(out, dashboard.Moment{At: c.Issued, What: c.Ref, Tone: dashboard.ToneOK, Icon: "ok"})
	}
	now := v.s.o.Governor.Now()
	for _, d := range v.openDates(t) {
		if d.At.After(now) && !strings.HasPrefix(d.What, "gone: ") { // each resource says that by itself
			out = append(out, dashboard.Moment{At: d.At, What: dashboard.Ref{Label: d.What}, Tone: dashboard.ToneIdle, Icon: "clock", Ahead: true})
		}
	}
	slices.SortStableFunc(out, func(a, b dashboard.Moment) int { return a.At.Compare(b.At) })
	return out
}

func (v *visit) makeLink() error {
	id := v.PathValue("tenant")
	p := client.LinkParams{TenantParams: client.TenantParams{Tenant: id}}
	p.Body.Days, _ = strconv.Atoi(v.PostFormValue("days"))
	p.Body.Audience = v.PostFormValue("audience")
	l, err := ask(v, client.MakeLink, p)
	if err != nil {
		return v.tried("/tenants/"+url.PathEscape(id), "", err)
	}
	t, err := ask(v, client.ShowTenant, client.TenantParams{Tenant: id})
	if err != nil {
		return err
	}
	view := v.tenantView(t)
	v.tenantAround(&view, t)
	frame := v.frame(dashboard.AreaTenants, "")
	frame.Flash = &dashboard.Flash{Kind: dashboard.FlashDone, Text: "Send this link to the customer. It is shown this once, and is good until " + l.ExpiresAt.UTC().Format("2 January 2006") + ".", Code: v.s.base(v.Request) + l.Path}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return v.s.pages.Tenant(v.w, frame, view)
}

// base is the address that people reach the site at.
func (s *Site) base(r *http.Request) string {
	if s.o.URL != "" {
		return strings.TrimSuffix(s.o.URL, "/")
	}
	if s.secure(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (v *visit) revokeLink() error {
	p := client.LinkID{TenantParams: client.TenantParams{Tenant: v.PathValue("tenant")}, Link: v.PathValue("link")}
	_, err := ask(v, client.RevokeLink, p)
	return v.tried("/tenants/"+url.PathEscape(p.Tenant), "The link opens nothing any more.", err)
}

func (v *visit) setLabels() error {
	p := client.LabelParams{TenantParams: client.TenantParams{Tenant: v.PathValue("tenant")}}
	if n := v.PostFormValue("version"); n != "" {
		p.IfMatch = `"` + n + `"`
	}
	p.Body.Labels = map[string]string{}
	for _, line := range strings.FieldsFunc(v.PostFormValue("labels"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			return v.back("/tenants/"+url.PathEscape(p.Tenant), string(dashboard.FlashFail), "A label is written key=value.")
		}
		p.Body.Labels[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	_, err := ask(v, client.SetLabels, p)
	return v.tried("/tenants/"+url.PathEscape(p.Tenant), "The labels are set.", err)
}

// certificateFile hands a certificate's bundle over as a file.
func (v *visit) certificateFile() error {
	f, err := ask(v, client.FetchCertificate, client.CertificateParams{TenantParams: client.TenantParams{Tenant: v.PathValue("tenant")}, Certificate: v.PathValue("certificate")})
	if err != nil {
		return err
	}
	return sendFile(v.w, "certificate.json", f.Content)
}

func sendFile(w http.ResponseWriter, name string, content []byte) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(name))
	_, err := w.Write(content)
	return err
}
