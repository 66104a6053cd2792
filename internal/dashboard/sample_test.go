package dashboard_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// sample is one page from one view, by a name that says which.
type sample struct {
	name   string
	render func(p *dashboard.Pages, w io.Writer) error
}

// shape is how the samples are filled.
type shape struct {
	name string
	text func(string) string // what a person or a system wrote
	many int                 // rows in a list
}

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}} javascript:alert(3)`

var shapes = []shape{
	{"normal", func(s string) string { return s }, 8},
	{"hostile", func(string) string { return hostile }, 3},
	{"long", func(s string) string { return strings.Repeat(s+"unbroken", 30) }, 3},
	{"righttoleft", func(string) string { return "שלום עולם مرحبا بالعالم" }, 3},
	{"many", func(s string) string { return s }, 200},
}

var now = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

const digest = "sha256:4f1c0b7d9a2e63858ce1b0a7f4d2935e6c81a0b94d7f23e5a6180c9bd7e4f312"

func ago(d time.Duration) time.Time { return now.Add(-d) }
func in(d time.Duration) time.Time  { return now.Add(d) }

const day = 24 * time.Hour

func times[T any](n int, make func(i int) T) []T {
	var out []T
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

func pick[T any](i int, of ...T) T { return of[i%len(of)] }

func frame(area dashboard.Area, t func(string) string) dashboard.Frame {
	return dashboard.Frame{
		Installation: t("eu-production"), At: now, Current: area, Events: "/v1/events",
		Who:   &dashboard.Who{Name: t("lena"), Roles: []tenure.Role{tenure.Operator, tenure.Approver}, Strong: true},
		Nav:   dashboard.Navigation(func(tenure.Permission) bool { return true }, dashboard.Badges{Approvals: 3, Findings: 12, Reviews: 5}),
		Flash: &dashboard.Flash{Kind: dashboard.FlashDone, Text: t("Signed. One more signature is needed.")},
	}
}

func ref(label, href string) dashboard.Ref { return dashboard.Ref{Label: label, Href: href} }

func actions(t func(string) string) []dashboard.Action {
	return []dashboard.Action{
		{
			Label: "Approve", Post: "/operations/op_1/approve", Tone: dashboard.ToneAccent, Digest: digest,
			Says:   t("You sign this digest. When one more person has signed, access is cut at once and 3 stores are set aside for 14 days."),
			Fields: []dashboard.Field{{Name: "note", Label: "Note", Kind: dashboard.FieldLong, Value: t(""), Hint: t("Stands in the log.")}},
			Hidden: []dashboard.Pair{{Name: "step", Value: t("approval")}},
		},
		{Label: "Reject", Post: "/operations/op_1/reject", Tone: dashboard.ToneBad, Says: t("The operation ends; nothing has been made."), Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Required: true, Error: t("a reason is needed")}}},
		{Label: "Pause", Post: "/operations/op_1/pause"},
		{Label: "Cancel", Not: t("it has passed its point of no return")},
	}
}

func fields(t func(string) string) []dashboard.Field {
	return []dashboard.Field{
		{Name: "name", Label: "Name", Value: t("acme"), Required: true, Pattern: "[a-z][a-z0-9-]*", Max: 40, Hint: t("Lower-case letters, digits and hyphens; people type it.")},
		{Name: "region", Label: "Region", Kind: dashboard.FieldChoice, Value: "eu", Options: []dashboard.Option{{Value: "eu", Label: t("Europe")}, {Value: "us", Label: "United States"}}},
		{Name: "seats", Label: "Seats", Kind: dashboard.FieldNumber, Value: "20", Error: t("at most 10 in this tier")},
		{Name: "end", Label: "Contract ends", Kind: dashboard.FieldDate, Value: "2026-12-31"},
		{Name: "features", Label: "Features", Kind: dashboard.FieldMany, Options: []dashboard.Option{{Value: "sso", Label: t("Single sign-on"), On: true}, {Value: "api", Label: "API"}}},
		{Name: "confirm", Label: "The customer has agreed in writing", Kind: dashboard.FieldCheck},
		{Name: "reason", Label: "Reason", Kind: dashboard.FieldLong, Value: t("ticket 4711")},
	}
}

func filters(path string, t func(string) string) dashboard.Filters {
	return dashboard.Filters{Path: path, On: 2, Fields: []dashboard.Field{
		{Name: "q", Label: "Name or id", Kind: dashboard.FieldSearch, Value: t("ac")},
		{Name: "state", Label: "State", Kind: dashboard.FieldChoice, Value: "active", Options: []dashboard.Option{{Label: "any"}, {Value: "active", Label: "active"}}},
		{Name: "label", Label: "Label", Value: t("region=eu")},
		{Name: "since", Label: "Changed since", Kind: dashboard.FieldDate},
	}}
}

var pager = dashboard.Pager{Next: "/tenants?cursor=abc%3D", First: "/tenants", Shown: 50, Total: 12480}

var tenantNames = []string{"acme", "borealis-labs", "cobalt", "delta-freight", "ember", "fjord-health", "granite", "harbour-nine"}

func tenantRow(i int, t func(string) string) dashboard.TenantRow {
	r := dashboard.TenantRow{
		ID: tenure.TenantID(fmt.Sprintf("ten_0198a4c2-1f00-7a3b-9d21-00000000%04x", i)), Name: t(pick(i, tenantNames...)), Organization: t(pick(i, "Acme GmbH", "Borealis Labs Ltd", "Cobalt AG", "Delta Freight Inc.")),
		Tier: pick(i, "gold", "silver", "gold", "trial"), State: tenure.TenantStates[(i*3+3)%11], Blueprint: pick(i, "crm 2.4.0", "crm 2.3.1", "portal 1.0.2"),
		Findings: pick(i, 0, 2, 0, 0, 14), Updated: ago(time.Duration(i*i+1) * time.Hour),
	}
	r.Held = i%5 == 1
	if i%6 == 2 {
		r.Blocked = t("main-db: the erasure of rows found a foreign key that no plan knows")
	}
	if i%3 == 0 {
		r.Next, r.NextWhat = in(time.Duration(i+2)*day), t("stores are set aside")
	}
	return r
}

func operationRow(i int, t func(string) string) dashboard.OperationRow {
	return dashboard.OperationRow{
		ID: tenure.OperationID(fmt.Sprintf("op_0198a4c2-1f00-7a3b-9d21-00000000%04x", i)), Kind: pick(i, tenure.Offboard, tenure.Onboard, tenure.Repair, tenure.Upgrade),
		Tenant: ref(t(pick(i, tenantNames...)), "/tenants/ten_1"), State: pick(i, tenure.OperationWaiting, tenure.OperationRunning, tenure.OperationBlocked, tenure.OperationSucceeded, tenure.OperationFailed, tenure.OperationPaused),
		Reason: t(pick(i, "waits for 2 approvals", "", "main-db refuses: too many connections", "")), RequestedBy: t(pick(i, "lena", "marco", "billing-bot")), Done: 7 + i, Steps: 40 + i, Created: ago(time.Duration(i+1) * 5 * time.Hour), Updated: ago(time.Hour), Due: in(time.Duration(i) * day),
	}
}

func eventRow(i int, t func(string) string) dashboard.EventRow {
	r := dashboard.EventRow{
		ID: tenure.InboundID(fmt.Sprintf("evt_0198a4c2-1f00-7a3b-9d21-00000000%04x", i)), Source: t(pick(i, "crm", "billing", "clock")), Type: t(pick(i, "deal.won", "invoice.payment_failed", "customer.subscription.deleted", "")),
		State: pick(i, "acted", "noted", "received", "superseded", "held", "failed", "ignored", "dismissed"), Reason: t(pick(i, "onboard acme", "payment 1 of 3 that failed within P21D", "", "the customer left at 2026-03-02 09:00 UTC, and no event brings it back")), Happened: ago(time.Duration(i+1) * time.Hour), Received: ago(time.Duration(i+1) * time.Hour),
	}
	if i%3 != 2 {
		r.Rule, r.Tenant = ref(t("billing@1/won"), "/events/rules/billing@1"), ref(t(pick(i, tenantNames...)), "/tenants/ten_1")
	}
	if r.State == "acted" {
		r.Operation = ref("operation", "/operations/op_1")
	}
	return r
}

func ruleRow(i int, t func(string) string) dashboard.RuleRow {
	r := dashboard.RuleRow{Name: t(pick(i, "billing", "sales")), Version: t("2.4"), Href: "/events/rules/" + digest, State: pick(i, "draft", "in force", "replaced"), Digest: digest, Author: t("dana"), Submitted: ago(day), Current: i == 0}
	if r.State != "draft" {
		r.By, r.Published = t("lena"), ago(time.Hour)
	}
	return r
}

func findingRow(i int, t func(string) string) dashboard.FindingRow {
	r := dashboard.FindingRow{
		ID: tenure.FindingID(fmt.Sprintf("fnd_0198a4c2-1f00-7a3b-9d21-00000000%04x", i)), Kind: pick(i, tenure.FindingDrift, tenure.FindingResidue, tenure.FindingGhost, tenure.FindingExposure),
		Severity: pick(i, tenure.Critical, tenure.Medium, tenure.High, tenure.Low), Tenant: ref(t("acme"), "/tenants/ten_1"), Where: t("main-db / postgres.schema / acme_prod"),
		Detail: t(pick(i, "The schema can be read by the role reporting, which isn't the tenant's.", "A bucket bears the mark of a tenant that left in March.", "An account is alive in the directory though its tenant closed.")), Seen: ago(time.Duration(i+1) * 7 * time.Hour), Actions: actions(t)[1:3],
	}
	if i%2 == 0 {
		r.Field, r.Want, r.Got = t("privileges"), t("acme_app: all"), t("acme_app: all, reporting: select")
	}
	if i%5 == 3 {
		r.Waived, r.WaivedBy = in(20*day), t("marco")
	}
	return r
}

func holdRow(i int, t func(string) string) dashboard.HoldRow {
	r := dashboard.HoldRow{
		ID: tenure.HoldID(fmt.Sprintf("hld_0198a4c2-1f00-7a3b-9d21-00000000%04x", i)), Matter: t("2026-044 supplier dispute"), Scope: t("invoices of acme in main-db"), Tenant: ref(t("acme"), "/tenants/ten_1"),
		Reason: t("The court asked for all invoices since 2023."), PlacedBy: t("legal-desk"), Placed: ago(9 * day), Effective: ago(9*day - time.Minute), Stops: []dashboard.Ref{ref(t("offboard acme"), "/operations/op_1")}, Actions: actions(t)[1:2],
	}
	switch i % 4 {
	case 1:
		r.Effective, r.AlreadyGone = time.Time{}, t("12 rows of sessions")
	case 2:
		r.ReleaseBy = []string{t("legal-desk")}
	case 3:
		r.ReleaseBy, r.Released = []string{t("legal-desk"), t("counsel")}, ago(day)
	}
	return r
}

func fleet(s shape) dashboard.FleetView {
	t := s.text
	v := dashboard.FleetView{
		Tenants: 12480, Held: 7,
		ByState:    map[tenure.TenantState]int{tenure.TenantProvisioning: 120, tenure.TenantValidating: 40, tenure.TenantActive: 11320, tenure.TenantSuspended: 310, tenure.TenantTransition: 240, tenure.TenantTerminating: 60, tenure.TenantRetained: 280, tenure.TenantErasing: 30, tenure.TenantAwaitingExpiry: 80},
		ByTier:     []dashboard.Count{{Label: t("gold"), N: 1840, Href: "/tenants?tier=gold"}, {Label: "silver", N: 6210, Href: "/tenants?tier=silver"}, {Label: "trial", N: 4430, Href: "/tenants?tier=trial"}},
		ByRevision: []dashboard.Count{{Label: t("crm 2.4.0"), N: 7900, Href: "/tenants?blueprint=crm"}, {Label: "crm 2.3.1", N: 3120}, {Label: "portal 1.0.2", N: 1180}, {Label: "crm 1.9.0", N: 280}},
		Findings:   map[tenure.Severity]int{tenure.Critical: 2, tenure.High: 9, tenure.Medium: 41, tenure.Low: 120},
		Onboarding: dashboard.OnboardingFigures{Window: "the last 90 days", Runs: 1204, Failed: 17, P50: 94 * time.Second, P95: 412 * time.Second, Incidents: 11, Settled: 1102},
		Cost:       dashboard.CostFigures{Running: dashboard.Money{Minor: 48_213_450, Currency: "EUR"}, Stopped: dashboard.Money{Minor: 3_120_000, Currency: "EUR"}, Orphaned: dashboard.Money{Minor: 184_200, Currency: "EUR"}},
		NeedsAll:   s.many, StuckAll: s.many, LeavingAll: 690,
	}
	for i := range min(s.many, 5) {
		v.Needs = append(v.Needs, dashboard.Need{What: ref(t(pick(i, "Approve the offboarding of acme", "Hand over the reports of cobalt", "Decide on a conflict of rules: ember, invoices", "Review break-glass by marco")), "/approvals"), Kind: pick(i, "approval", "task", "conflict", "review"), Since: ago(time.Duration(i+1) * 3 * time.Hour), Due: in(time.Duration(i) * 9 * time.Hour), Mine: i%2 == 0})
		v.Stuck = append(v.Stuck, dashboard.Stuck{Tenant: ref(t(pick(i, tenantNames...)), "/tenants/ten_1"), Operation: ref(t(pick(i, "Offboard", "Repair", "Onboard")), "/operations/op_1"), State: pick(i, tenure.OperationBlocked, tenure.OperationPaused), Why: t(pick(i, "main-db: the erasure found a foreign key that no plan knows", "paused by lena: supplier asks for a week", "identity: answers 503 since 4 hours")), Unblocks: t(pick(i, "an operator", "lena", "whoever runs identity")), Since: ago(time.Duration(i+1) * 26 * time.Hour)})
	}
	if s.many > 3 {
		v.Stuck = v.Stuck[:3]
	}
	for i := range 12 {
		v.Onboarding.Weeks = append(v.Onboarding.Weeks, dashboard.OnboardingWeek{Start: ago(time.Duration(12-i) * 7 * day), P50: time.Duration(80+i*i%23) * time.Second, P95: time.Duration(300+(i*67)%190) * time.Second, Runs: 90 + i, Failed: i % 3})
	}
	for i := range s.many {
		v.Leaving = append(v.Leaving, dashboard.Leaving{Tenant: ref(t(pick(i, tenantNames...)), "/tenants/ten_1"), State: pick(i, tenure.TenantTransition, tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing), Stage: pick(i, tenure.StageGrace, tenure.StageCut, tenure.StageRetention, tenure.StageErasure, tenure.StageExpiry), Next: in(time.Duration(i+1) * 40 * time.Hour), What: t(pick(i, "access is cut", "the export is deleted", "retention of invoices ends")), NoReturn: pick(i, in(30*day), time.Time{})})
	}
	return v
}

func tenantView(s shape) dashboard.TenantView {
	t := s.text
	stepwise := func(make func(i int, t func(string) string) dashboard.OperationRow) []dashboard.OperationRow {
		return times(min(s.many, 4), func(i int) dashboard.OperationRow { return make(i, t) })
	}
	link := actions(t)[1]
	return dashboard.TenantView{
		ID: "ten_0198a4c2-1f00-7a3b-9d21-6f0c52b1a001", Name: t("acme"), Organization: t("Acme GmbH"), Contact: t("it@acme.example"), Tier: "gold", Labels: []string{t("region=eu"), "segment=retail"},
		State: tenure.TenantRetained, Held: true, Blocked: t("invoices: a rule keeps them until 2034, another wants them gone by 2027"), Unblocks: t("legal"), Blueprint: ref(t("crm 2.4.0"), "/blueprints/crm"), Created: ago(900 * day), Monthly: dashboard.Money{Minor: 41250, Currency: "EUR"}, NoReturn: in(14 * day),
		Actions: []dashboard.Action{{Label: "Reinstate", Href: "/tenants/ten_1/reinstate"}, {Label: "Look for drift", Post: "/tenants/ten_1/look"}, actions(t)[1]}, Parameters: []dashboard.Pair{{Name: "seats", Value: t("200")}, {Name: "domain", Value: t("acme.example")}},
		Timeline: []dashboard.Moment{
			{At: ago(900 * day), What: ref(t("onboarded with crm 1.9.0"), "/operations/op_1"), By: t("lena"), Tone: dashboard.ToneOK, Icon: "ok"},
			{At: ago(200 * day), What: ref(t("upgraded to crm 2.4.0"), "/operations/op_2"), By: t("marco"), Tone: dashboard.ToneOK, Icon: "up"},
			{At: ago(44 * day), What: ref(t("notice given"), ""), By: t("billing-bot"), Tone: dashboard.ToneWarn, Icon: "leave"},
			{At: ago(14 * day), What: ref(t("access cut, 6 probes passed"), "/operations/op_3"), Tone: dashboard.ToneBad, Icon: "lock"},
			{At: in(14 * day), What: ref(t("stores are erased: point of no return"), ""), Tone: dashboard.ToneBad, Icon: "erase", Ahead: true},
			{At: in(104 * day), What: ref(t("backups expire, closing certificate"), ""), Tone: dashboard.ToneIdle, Icon: "seal", Ahead: true},
		},
		Resources: times(s.many, func(i int) dashboard.ResourceRow {
			return dashboard.ResourceRow{ID: tenure.ResourceID(fmt.Sprintf("res_%04x", i)), Environment: pick(i, "prod", "test", ""), System: ref(t(pick(i, "main-db", "files", "identity")), "/systems"), Type: pick(i, "postgres.schema", "filesystem.folder", "scim.group"), Name: t(pick(i, "acme_prod", "acme-uploads", "acme-users")), State: pick(i, tenure.ResourceQuarantined, tenure.ResourcePresent, tenure.ResourceRevoked, tenure.ResourceUnknown), Verdict: pick(i, tenure.Verified, tenure.Claimed, tenure.Unknown), Classes: []string{"invoices", t("people")}, Monthly: dashboard.Money{Minor: 12050, Currency: "EUR"}, Why: t("It is set aside since 8 November and waits for the retention of invoices."), Because: []string{t("hold 2026-044 covers invoices"), "commercial code §257 keeps it until 2034-12-31"}, GoneBy: in(90 * day), UndoUntil: in(14 * day)}
		}),
		People: times(min(s.many, 4), func(i int) dashboard.AccessRow {
			return dashboard.AccessRow{Who: t(pick(i, "acme-admin", "lena", "zapier", "auditor export")), Kind: pick(i, "account", "staff grant", "app connector", "export grant"), System: pick(i, "identity", "tenure"), Role: t(pick(i, "owner", "operator")), State: pick(i, "revoked", "active", "expired"), Until: pick(i, time.Time{}, in(30*day)), LastUsed: ago(15 * day)}
		}),
		Holds: []dashboard.HoldRow{holdRow(0, t)},
		Classes: times(3, func(i int) dashboard.ClassRow {
			return dashboard.ClassRow{Name: pick(i, "invoices", "people", "sessions"), Title: t(pick(i, "Invoices", "People", "Sessions")), Personal: i == 1, Disposition: pick(i, tenure.Archive, tenure.Anonymise, tenure.Purge), Clock: tenure.Clock{State: pick(i, tenure.ClockHeld, tenure.ClockKeep, tenure.ClockErase), KeepUntil: in(400 * day), GoneBy: in(500 * day), Overdue: i == 2, Because: t("hold 2026-044 stands; a hold beats every retention rule"), Losers: []string{t("privacy wants it gone by 2027-01-31")}}, Rules: []string{t("tax keeps it for 8 years from contract end (commercial code §257)")}, NoReturn: pick(i, time.Time{}, in(14*day)), Stores: []string{t("prod/db"), "prod/files"}}
		}),
		Findings: times(min(s.many, 2), func(i int) dashboard.FindingRow { return findingRow(i, t) }), Operations: stepwise(operationRow),
		Documents:      []dashboard.Document{{Name: ref(t("hand-over.pdf"), "/tenants/ten_1/documents/1"), Kind: t("hand-over"), At: ago(14 * day), Bytes: 183_220}},
		Certificates:   []dashboard.CertificateRow{{Ref: ref(t("Interim certificate"), "/certificates/crt_1"), Kind: "interim", Issued: ago(day), Digest: digest, Download: "/certificates/crt_1/bundle"}},
		DepartureLinks: []dashboard.DepartureLink{{ID: "lnk_1", By: t("lena"), At: ago(10 * day), Expires: in(80 * day), Opened: ago(day), State: "active", Revoke: &link}}, Lease: &dashboard.LeaseRow{Ends: in(7 * day), Asked: ago(day)}, Leave: []dashboard.LeaveRow{{State: "waiting", Requester: t("bo@acme.example"), Reason: t("we move on"), Asked: ago(day), Lapses: in(day), Awaits: t("the contact"), Actions: []dashboard.Action{link}}, {State: "confirmed", Requester: t("bo@acme.example"), Asked: ago(day), Outcome: t("yes"), Event: ref("event", "/events/evt_1"), Became: t("ignored: no rule is for it"), Operation: ref("operation", "/operations/op_1")}}, LinkAction: &dashboard.Action{Label: "Make a link", Post: "/tenants/ten_1/links", Says: t("Who has the link sees where the departure stands, without an account."), Fields: []dashboard.Field{{Name: "until", Label: "Until", Kind: dashboard.FieldDate}}},
	}
}

// offboarding is a plan of 54 steps, as a tenant with two environments has it.
func offboarding(t func(string) string) []dashboard.StepRow {
	var steps []dashboard.StepRow
	add := func(stage tenure.Stage, action tenure.Action, key, summary string, needs ...string) string {
		i := len(steps)
		s := dashboard.StepRow{Key: t(key), Stage: stage, Action: action, Summary: t(summary), System: t("main-db"), Environment: pick(i, "prod", "test"), Resource: t("acme_prod"), Attempts: 1}
		for _, n := range needs {
			s.Needs = append(s.Needs, t(n))
		}
		switch {
		case i < 26:
			s.State, s.Verdict, s.Started, s.Ended, s.Receipt = tenure.StepDone, pick(i, tenure.Verified, tenure.Verified, tenure.Verified, tenure.Claimed), ago(50*time.Hour), ago(50*time.Hour-time.Duration(i*377)*time.Millisecond), t(`{"revoked": 14, "observed": 0}`)
		case i == 26:
			s.State, s.Attempts, s.ErrorCode, s.Error = tenure.StepFailed, 3, tenure.Unavailable, t("identity: 503 service unavailable")
			s.Actions = actions(t)[1:3]
			s.Log = []dashboard.LogLine{{At: ago(time.Hour), Text: t("asked for 14 accounts")}, {At: ago(time.Minute), Text: t("503, gave up after 3 tries"), Tone: dashboard.ToneBad}}
		case i < 29:
			s.State, s.Started, s.Progress = tenure.StepRunning, ago(time.Minute), t("1,200 of 4,000 rows")
		default:
			s.State = tenure.StepPending
		}
		if action.IsGate() && s.State == tenure.StepPending {
			s.Waits, s.Due = t("until the retention of invoices ends"), in(14*day)
		}
		s.Destructive = action == tenure.ActErase || action == tenure.ActDelete || action == tenure.ActKeyDestroy
		steps = append(steps, s)
		return key
	}
	approval := add(tenure.StageApproval, tenure.ActApproval, "approval", "two persons sign the plan")
	grace := add(tenure.StageGrace, tenure.ActDate, "grace", "30 days of full service after the notice", approval)
	var cut, probes, exports, erased []string
	for _, env := range []string{"prod", "test"} {
		for _, what := range []string{"API keys and tokens", "sessions", "accounts", "webhooks and jobs"} {
			key := add(tenure.StageCut, tenure.ActRevoke, env+"/"+what, "revoke "+what+" in "+env, append([]string{grace, approval}, cut...)...)
			cut = append(cut, key)
			probes = append(probes, add(tenure.StageCut, tenure.ActProbe, env+"/probe/"+what, "see that "+what+" are refused", key))
		}
	}
	reconcile := add(tenure.StageReconcile, tenure.ActSweep, "sweep", "look for what still bears the tenant's mark", probes...)
	for _, env := range []string{"prod", "test"} {
		for _, what := range []string{"database", "files", "search index", "reports"} {
			exports = append(exports, add(tenure.StageHandover, tenure.ActExport, env+"/export/"+what, "export the "+what+" of "+env+" for the customer", reconcile))
		}
	}
	task := add(tenure.StageHandover, tenure.ActTask, "task", "hand over the ownership of shared reports", exports...)
	retention := add(tenure.StageRetention, tenure.ActRetention, "retention/invoices", "wait for the retention of invoices", task)
	people := add(tenure.StageRetention, tenure.ActRetention, "retention/people", "wait for the retention of people", task)
	for _, env := range []string{"prod", "test"} {
		for _, what := range []string{"database", "files", "search index"} {
			set := add(tenure.StageQuaran, tenure.ActQuarantine, env+"/quarantine/"+what, "set the "+what+" of "+env+" aside", retention)
			noreturn := add(tenure.StageErasure, tenure.ActNoReturn, env+"/noreturn/"+what, "two persons confirm fresh counts of "+env+" "+what, set, people)
			erased = append(erased, add(tenure.StageErasure, tenure.ActErase, env+"/erase/"+what, "erase "+what+" of "+env, noreturn))
		}
	}
	reclaim := add(tenure.StageReclaim, tenure.ActReclaim, "reclaim", "say what cost has stopped", erased...)
	interim := add(tenure.StageCertify, tenure.ActCertify, "certify/interim", "issue the interim certificate", reclaim)
	backups := add(tenure.StageExpiry, tenure.ActExpire, "expire/backups", "see that the backups have expired", interim)
	keys := add(tenure.StageExpiry, tenure.ActKeyDestroy, "keys", "destroy the tenant's keys and see that no copy is left", interim)
	last := add(tenure.StageReconcile, tenure.ActSweep, "sweep/last", "look once more for what remains", backups, keys)
	add(tenure.StageCertify, tenure.ActCertify, "certify/closing", "issue the closing certificate", last)
	return steps
}

func operationView(s shape) dashboard.OperationView {
	t := s.text
	steps := offboarding(t)
	v := dashboard.OperationView{
		OperationRow: operationRow(0, t), Plan: digest, Blueprint: ref(t("crm 2.4.0"), "/blueprints/crm"), From: "2.3.1", Why: t("contract ended, ticket 4711"), Rule: t("An offboarding in tier gold takes two persons, one of them a security officer."), Need: 2, Have: 1,
		Signatures: []dashboard.Signature{{By: t("marco"), Role: "approver", At: ago(time.Hour), Note: t("read it twice"), For: t("dana")}}, Exceptions: []dashboard.ExceptionRow{{Step: t("prod/accounts"), Reason: t("the directory is gone for good"), By: t("lena"), Second: t("marco"), At: ago(day)}},
		Tasks: []dashboard.TaskRow{
			{DepartureTask: dashboard.DepartureTask{What: t("Hand the flows over"), Owner: t("group:flows"), State: "overdue", Due: ago(day)}, Actions: actions(t)[:1]},
			{DepartureTask: dashboard.DepartureTask{What: t("Tell the auditors"), State: "dropped"}, By: t("lena"), Note: t("there are none")},
			{DepartureTask: dashboard.DepartureTask{What: t("Monthly report"), Where: t("Reports, folder Finance"), Went: t("reassigned to the finance team"), State: "done"}, By: t("lena")},
		},
		AddTask:  &dashboard.Action{Label: "Add a task", Post: "/operations/op_1/add-task", Fields: []dashboard.Field{{Name: "task", Label: "What is to be done"}}},
		StepRows: steps, Dates: []tenure.Projection{{What: t("stores are erased"), At: in(28 * day), Undo: in(14 * day), Why: t("14 days of quarantine")}}, Destructive: 7, OnFailure: tenure.Park, Actions: actions(t),
		Diff:    []tenure.Difference{{Resource: t("prod/db"), Field: t("size"), From: t("small"), To: t("large")}, {Resource: t("prod/files"), Field: "quota", To: "10"}},
		Outputs: &dashboard.Action{Label: "Claim the outputs", Post: "/operations/op_1/outputs", Says: t("They are shown once.")}, OutputsSay: t("The outputs wait for lena until tomorrow."),
	}
	v.Steps, v.Done = len(steps), 26
	return v
}

func gone(t func(string) string) []dashboard.GoneItem {
	return []dashboard.GoneItem{
		{What: t("Invoices, orders and 38 more tables"), Where: t("prod / main-db"), Count: 1_204_331, At: in(28 * day), Undo: in(14 * day)},
		{What: t("Uploaded files"), Where: t("prod / files"), Count: 48_120, At: in(28 * day), Undo: in(14 * day)},
		{What: t("API keys and tokens"), Where: t("identity"), Count: 14, At: now},
	}
}

func checkpoint(size int64, root []byte, t func(string) string) dashboard.CheckpointView {
	return dashboard.CheckpointView{Origin: t("tenure.example/log"), Size: size, Root: root, At: ago(time.Minute), Note: t("tenure.example/log\n8\nroot\n\n— tenure.example/log c2lnbmF0dXJl\n"), Witness: t("agreed at size 8"), Href: "/audit/checkpoint"}
}

// entryView is the sixth of eight entries with a proof that holds.
func entryView(t func(string) string) dashboard.EntryView {
	leaves := times(8, func(i int) []byte { return fmt.Appendf(nil, `{"at":%d,"kind":"step.result"}`, i) })
	hash := func(parts ...[]byte) []byte { h := sha256.Sum256(bytes.Join(parts, nil)); return h[:] }
	level := times(8, func(i int) []byte { return hash([]byte{0}, leaves[i]) })
	leaf, at, path := level[5], 5, [][]byte(nil)
	for len(level) > 1 {
		path = append(path, level[at^1])
		level = times(len(level)/2, func(i int) []byte { return hash([]byte{1}, level[2*i], level[2*i+1]) })
		at /= 2
	}
	return dashboard.EntryView{
		AuditRow: auditRow(5, t), Leaf: leaves[5], Pretty: t(`{"kind": "step.result"}`), Sealed: []dashboard.Pair{{Name: "contact", Value: t("its key was destroyed with the tenant")}}, LeafHash: leaf, Path: path,
		Checkpoint: checkpoint(8, level[0], t), Checked: true, CheckSays: t("included in the checkpoint of size 8"), ProofHref: "/audit/5/proof", Newer: "/audit/6", Older: "/audit/4",
	}
}

func auditRow(i int, t func(string) string) dashboard.AuditRow {
	return dashboard.AuditRow{Index: int64(i), At: ago(time.Duration(i) * time.Minute), Kind: t(pick(i, "step.result", "approval.given", "hold.placed")), Tenant: ref(t("acme"), "/tenants/ten_1"), Operation: ref(t("offboard"), "/operations/op_1"), Subject: t("res_0001"), By: pick(i, t("lena"), ""), Facts: t("verdict=verified attempts=1")}
}
