package site

import (
	"io"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) findingPages() {
	s.page("GET /findings", (*visit).findings)
	s.page("POST /findings/look", (*visit).look)
	s.page("POST /findings/{finding}/waive", (*visit).waive)
}

var findingKinds = []string{
	string(tenure.FindingDrift), string(tenure.FindingResidue), string(tenure.FindingOrphan), string(tenure.FindingExposure), string(tenure.FindingGhost), string(tenure.FindingDormant),
	string(tenure.FindingUncovered), string(tenure.FindingForeign), string(tenure.FindingLostMark), string(tenure.FindingAnomaly), string(tenure.FindingUnproven), string(tenure.FindingLimit), string(tenure.FindingIsolation), string(tenure.FindingCredential), string(tenure.FindingUnseenStart), string(tenure.FindingUnacknowledged), string(tenure.FindingRevision),
}

func (v *visit) findings() error {
	q := v.URL.Query()
	p := client.FindingFilter{
		Tenant: q.Get("tenant"), Kind: tenure.FindingKind(q.Get("kind")), Severity: tenure.Severity(q.Get("severity")), System: q.Get("system"),
		From: day(q.Get("from")), To: day(q.Get("to")), Waived: q.Get("waived") == "true",
	}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListFindings, p)
	if err != nil {
		return err
	}
	fleet, err := ask(v, client.ShowFleet, client.None{})
	if err != nil {
		return err
	}
	view := dashboard.FindingsView{
		Counts: dashboard.FleetView{Findings: fleet.Findings}.Severities(), Pager: v.pager(list.Next, len(list.Items)), Actions: v.lookActions(q.Get("tenant")),
		Filters: filters("/findings", q,
			choice("severity", "Severity", q.Get("severity"), "any severity", "critical", "high", "medium", "low"),
			choice("kind", "Kind", q.Get("kind"), "any kind", findingKinds...),
			dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Hint: "name or id"},
			dashboard.Field{Name: "system", Label: "System", Value: q.Get("system")},
			dashboard.Field{Kind: dashboard.FieldDate, Name: "from", Label: "Seen from", Value: q.Get("from")},
			dashboard.Field{Kind: dashboard.FieldDate, Name: "to", Label: "Seen before", Value: q.Get("to")},
			only("waived", "Waived or not", q.Get("waived"), "open ones", "waived ones too"),
		),
	}
	names, targets := v.names(), v.targets()
	for _, f := range list.Items {
		row := findingRow(f, tenantRef(f.Tenant, names.of(f.Tenant)))
		row.Actions = v.findingActions(f, targets.of(f.Tenant))
		view.Rows = append(view.Rows, row)
	}
	return v.show(dashboard.AreaFindings, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Findings(w, f, view) })
}

// only is a filter with two choices: without and with.
func only(name, label, value, without, with string) dashboard.Field {
	f := choice(name, label, value, without, "true")
	f.Options[1].Label = with
	return f
}

func findingRow(f tenure.Finding, t dashboard.Ref) dashboard.FindingRow {
	if f.Want == "" && f.Got == "" { // the field of what differs in nothing is a rule's name
		f.Field = ""
	}
	return dashboard.FindingRow{
		ID: f.ID, Kind: f.Kind, Severity: f.Severity, Tenant: t, Where: strings.Join(strings.Fields(f.System+" "+f.Type+" "+f.Name), " "), Field: f.Field, Want: f.Want, Got: f.Got,
		Detail: f.Detail, Confidence: f.Confidence, Steps: f.Steps, Seen: f.SeenAt, Resolved: f.ResolvedAt, Waived: f.WaivedUntil, WaivedBy: f.WaivedBy,
	}
}

func (v *visit) findingActions(f tenure.Finding, t tenure.Target) []dashboard.Action {
	if !f.ResolvedAt.IsZero() {
		return nil
	}
	var out []dashboard.Action
	if f.Kind == tenure.FindingDrift && f.Tenant != "" && v.may(tenure.OperationRequest, t) {
		out = append(out, dashboard.Action{Label: "Repair", Href: "/new/repair?tenant=" + queryEscape(string(f.Tenant)), Tone: dashboard.ToneAccent})
	}
	if v.may(tenure.FindingWaive, t) {
		out = append(out, dashboard.Action{
			Label: "Waive", Post: "/findings/" + url.PathEscape(string(f.ID)) + "/waive", Says: "It is let be until the day that you name, and comes back by itself then. Your name and reason stand in the log.",
			Fields: []dashboard.Field{
				{Kind: dashboard.FieldDate, Name: "until", Label: "Until", Required: true, Hint: "at most a year away"},
				{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Required: true, Max: 1000},
			},
		})
	}
	return out
}

func (v *visit) lookActions(tenant string) []dashboard.Action {
	var t tenure.Target
	if tenant != "" {
		var err error
		if t, err = v.s.o.Governor.Target(v.ctx, tenant); err != nil {
			return nil
		}
	}
	if !v.may(tenure.FindingLook, t) {
		return nil
	}
	over := "all tenants"
	if tenant != "" {
		over = tenant
	}
	return []dashboard.Action{
		{Label: "Look for drift", Post: "/findings/look", Hidden: hiddenPairs("kind", "drift", "tenant", tenant), Says: "Each system is read, and what is there is compared with what should be, for " + over + ". Nothing is changed."},
		{Label: "Sweep for residue", Post: "/findings/look", Hidden: hiddenPairs("kind", "sweep", "tenant", tenant), Says: "Each system is searched for what no inventory knows, for " + over + ". Nothing is changed."},
	}
}

func (v *visit) look() error {
	p := client.LookParams{}
	p.Body.Kind, p.Body.Tenant = v.PostFormValue("kind"), v.PostFormValue("tenant")
	back := "/findings"
	if p.Body.Tenant != "" {
		back += "?tenant=" + queryEscape(p.Body.Tenant)
	}
	seen, err := ask(v, client.LookAt, p)
	if err != nil {
		return v.tried(back, "", err)
	}
	say := plural(len(seen.Systems), "system was", "systems were") + " looked at; " + plural(len(seen.Findings), "finding", "findings") + "."
	if len(seen.Dead) > 0 {
		return v.back(back, string(dashboard.FlashNote), say+" "+plural(len(seen.Dead), "system", "systems")+" couldn't be asked.")
	}
	return v.done(back, say)
}

func (v *visit) waive() error {
	p := client.WaiveParams{Finding: v.PathValue("finding")}
	p.Body.ExpiresAt, p.Body.Reason = day(v.PostFormValue("until")), v.PostFormValue("reason")
	_, err := ask(v, client.WaiveFinding, p)
	return v.tried("/findings", "It is let be until "+p.Body.ExpiresAt.Format("2 January 2006")+".", err)
}

// targetTable remembers what scopes look at of the tenants on one page.
type targetTable struct {
	v    *visit
	have map[tenure.TenantID]tenure.Target
}

func (v *visit) targets() *targetTable {
	return &targetTable{v, map[tenure.TenantID]tenure.Target{"": {}}}
}

func (t *targetTable) of(id tenure.TenantID) tenure.Target {
	got, ok := t.have[id]
	if !ok {
		got = t.v.targetOf(id)
		t.have[id] = got
	}
	return got
}
