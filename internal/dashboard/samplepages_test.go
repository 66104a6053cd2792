package dashboard_test

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// samples are all pages in one shape.
func samples(s shape) []sample {
	t := s.text
	f := func(a dashboard.Area) dashboard.Frame { return frame(a, t) }
	lone := dashboard.Frame{Installation: t("eu-production"), At: now}
	approval := func(i int) dashboard.ApprovalRow {
		return dashboard.ApprovalRow{Operation: "op_1", Step: "approval", Kind: pick(i, tenure.Offboard, tenure.Onboard), Tenant: ref(t(pick(i, tenantNames...)), "/tenants/ten_1"), Tier: "gold", Summary: t("Cuts access at once, keeps invoices until 2034, erases the rest after 14 days of quarantine."), Reason: t("contract ended"), RequestedBy: t("lena"), Asked: ago(3 * time.Hour), Expires: in(69 * time.Hour), Digest: digest, Steps: 60, Destructive: pick(i, 7, 0), Gone: pick(i, gone(t), nil), NoReturn: pick(i, in(14*day), time.Time{}), Rule: t("Two persons, one of them a security officer."), Need: 2, Have: 1, Signatures: []dashboard.Signature{{By: t("marco"), Role: "approver", At: ago(time.Hour)}}, Escalated: i == 1, Actions: actions(t)[:2]}
	}
	other := approval(1)
	other.Actions, other.Why = nil, t("you requested it, and the requester never approves")
	campaign := func(i int) dashboard.CampaignRow {
		return dashboard.CampaignRow{ID: "cmp_1", Title: t("Autumn review of operators"), Scope: t("grants over tier gold"), State: pick(i, "open", "overdue", "closed"), Due: in(6 * day), Items: 40, Kept: 22, Revoked: 3, Changed: 1, Mine: 5, Unanswered: "revoke", StartedBy: t("security-duty"), Started: ago(8 * day), EvidenceHref: "/reviews/cmp_1/evidence"}
	}
	rows := times(s.many, func(i int) dashboard.TenantRow { return tenantRow(i, t) })
	confirm := dashboard.ConfirmView{Title: t("Offboard acme"), Name: t("acme"), Says: t("Access is cut at once. Data follows by its retention."), Gone: gone(t), Stays: []string{t("Invoices are archived until 2034-12-31 (commercial code §257).")}, Dates: []dashboard.DepartureDate{{At: in(14 * day), What: t("the last moment to undo")}}, NoReturn: in(14 * day), Digest: digest, PlanHref: "/plans/1", Who: t("Two persons must approve it besides."), Fields: fields(t)[6:], Hidden: []dashboard.Pair{{Name: "version", Value: t("7")}}, Post: "/tenants/ten_1/offboard", Button: "Offboard " + t("acme"), Cancel: "/tenants/ten_1", Error: t("the name doesn't match"), Typed: t("acm")}
	final := confirm
	final.NoReturn, final.NoUndo, final.Error, final.Typed = time.Time{}, t("It can't be undone: the keys are destroyed."), "", ""
	plan := dashboard.PlanView{OperationView: operationView(s), Warnings: []string{t("the trial ends before the plan does")}, Gone: gone(t), Start: &actions(t)[0], Back: "/tenants/ten_1"}
	out := []sample{
		{"fleet", func(p *dashboard.Pages, w io.Writer) error { return p.Fleet(w, f("fleet"), fleet(s)) }},
		{"tenants", func(p *dashboard.Pages, w io.Writer) error {
			return p.Tenants(w, f("tenants"), dashboard.TenantsView{Filters: filters("/tenants", t), Rows: rows, Pager: pager, Actions: []dashboard.Action{{Label: "Onboard a tenant", Href: "/new/onboard", Tone: dashboard.ToneAccent}}})
		}},
		{"tenant", func(p *dashboard.Pages, w io.Writer) error { return p.Tenant(w, f("tenants"), tenantView(s)) }},
		{"operations", func(p *dashboard.Pages, w io.Writer) error {
			return p.Operations(w, f("operations"), dashboard.OperationsView{Filters: filters("/operations", t), Rows: times(s.many, func(i int) dashboard.OperationRow { return operationRow(i, t) }), Pager: pager})
		}},
		{"operation", func(p *dashboard.Pages, w io.Writer) error {
			fr := f("operations")
			fr.Events = "/v1/operations/op_1/events"
			return p.Operation(w, fr, operationView(s))
		}},
		{"plan", func(p *dashboard.Pages, w io.Writer) error { return p.NewPlan(w, f("operations"), plan) }},
		{"approvals", func(p *dashboard.Pages, w io.Writer) error {
			return p.Approvals(w, f("approvals"), dashboard.ApprovalsView{Mine: times(2, approval), Others: []dashboard.ApprovalRow{other}, Decided: times(s.many, func(i int) dashboard.DecidedRow {
				return dashboard.DecidedRow{Operation: ref("op_1", "/operations/op_1"), Tenant: ref(t("acme"), "/tenants/ten_1"), Kind: tenure.Offboard, By: t("marco"), Outcome: pick(i, "approved", "rejected", "expired"), At: ago(day), Note: t("fine")}
			})})
		}},
		{"findings", func(p *dashboard.Pages, w io.Writer) error {
			return p.Findings(w, f("findings"), dashboard.FindingsView{Filters: filters("/findings", t), Counts: fleet(s).Severities(), Rows: times(s.many, func(i int) dashboard.FindingRow { return findingRow(i, t) }), Pager: pager, Actions: []dashboard.Action{{Label: "Look now", Post: "/findings/look"}}})
		}},
		{"holds", func(p *dashboard.Pages, w io.Writer) error {
			return p.Holds(w, f("holds"), dashboard.HoldsView{Filters: filters("/holds", t), Rows: times(s.many, func(i int) dashboard.HoldRow { return holdRow(i, t) }), Pager: pager, Place: &dashboard.Action{Label: "Place a hold", Post: "/holds", Tone: dashboard.ToneAccent, Says: t("It binds at once."), Fields: fields(t)[:2]}})
		}},
		{"reviews", func(p *dashboard.Pages, w io.Writer) error {
			return p.Reviews(w, f("reviews"), dashboard.ReviewsView{Rows: times(3, campaign), Start: &dashboard.Action{Label: "Start a campaign", Post: "/reviews", Fields: fields(t)}})
		}},
		{"review", func(p *dashboard.Pages, w io.Writer) error {
			return p.Review(w, f("reviews"), dashboard.ReviewView{CampaignRow: campaign(0), Filters: filters("/reviews/cmp_1", t), Decide: "/reviews/cmp_1/decide", Roles: []dashboard.Option{{Value: "viewer", Label: "viewer"}}, Rows: times(s.many, func(i int) dashboard.ReviewItem {
				return dashboard.ReviewItem{ID: t("grt_1"), Subject: t(pick(i, "dana", "marco", "deploy-bot")), Kind: pick(i, "grant", "token"), What: t("operator over tier gold"), Tenant: pick(i, ref(t("acme"), "/tenants/ten_1"), dashboard.Ref{}), Since: ago(400 * day), LastUsed: pick(i, time.Time{}, ago(30*day)), Reviewer: t("lena"), Mine: i%3 != 2, Decision: pick(i, "", "", "keep", "revoke"), By: t("lena"), At: ago(day), Note: t("still needed"), Flags: pick(i, []string{t("never used")}, nil), Operation: pick(i, dashboard.Ref{}, dashboard.Ref{}, dashboard.Ref{}, ref("revocation", "/operations/op_1"))}
			})})
		}},
		{"blueprints", func(p *dashboard.Pages, w io.Writer) error {
			return p.Blueprints(w, f("blueprints"), dashboard.BlueprintsView{Rows: times(s.many, func(i int) dashboard.BlueprintRow {
				return dashboard.BlueprintRow{Name: t(pick(i, "crm", "portal")), Title: t("Customer relations on a shared database"), Href: "/blueprints/crm", Newest: "2.4.0", State: pick(i, "published", "submitted"), Revisions: 14, Tenants: 11300, Behind: 3400, Published: ago(20 * day), Author: t("dana")}
			})})
		}},
		{"blueprint", func(p *dashboard.Pages, w io.Writer) error {
			return p.Blueprint(w, f("blueprints"), dashboard.BlueprintView{Name: t("crm"), Title: t("Customer relations"), Version: "2.4.0", Digest: digest, State: "published", Author: t("dana"), Submitted: ago(22 * day), PublishedBy: t("lena"), Published: ago(20 * day), Facts: []dashboard.Pair{{Name: "environments", Value: t("prod, test")}}, Against: "2.3.1", Compare: dashboard.Filters{Path: "/blueprints/crm", Fields: []dashboard.Field{{Name: "against", Label: "Compare with", Kind: dashboard.FieldChoice, Options: []dashboard.Option{{Value: "2.3.1", Label: "2.3.1", On: true}}}}},
				Revisions: times(min(s.many, 6), func(i int) dashboard.RevisionRow {
					return dashboard.RevisionRow{Version: pick(i, "2.4.0", "2.3.1", "1.9.0"), Href: "/blueprints/crm", State: pick(i, "published", "superseded"), Digest: digest, Author: t("dana"), By: t("lena"), Published: ago(20 * day), Tenants: 7900, Current: i == 0}
				}),
				Diff:   []dashboard.DiffLine{{Kind: "changed", Path: t("resources/db/attributes/size"), From: t("small"), To: t("large"), Means: t("7,900 databases grow; no restart.")}, {Kind: "added", Path: "probes/export-refused", To: t("kind: exposure\nresource: db")}, {Kind: "removed", Path: "features/legacy-reports", From: t("default: true"), Means: t("280 tenants lose it.")}},
				Source: t("name: crm\nversion: 2.4.0\n"), Tenants: rows, TenantsPager: pager, Actions: actions(t)[:1]})
		}},
		{"events", func(p *dashboard.Pages, w io.Writer) error {
			return p.Events(w, f("events"), dashboard.EventsView{Filters: filters("/events", t), Rows: times(s.many, func(i int) dashboard.EventRow { return eventRow(i, t) }), Pager: pager})
		}},
		{"event", func(p *dashboard.Pages, w io.Writer) error {
			return p.Event(w, f("events"), dashboard.EventView{EventRow: eventRow(5, t), Reference: t("evt_1PqX"), Version: t("12"), Attempts: 3, Next: in(time.Minute), Decided: ago(time.Minute), By: t("lena"), Data: t(`{"customer": "cus_1", "paid": false}`), Actions: actions(t)})
		}},
		{"rules", func(p *dashboard.Pages, w io.Writer) error {
			return p.Rules(w, f("events"), dashboard.RulesView{Rows: times(s.many, func(i int) dashboard.RuleRow { return ruleRow(i, t) }), Actions: actions(t)[1:2]})
		}},
		{"rule", func(p *dashboard.Pages, w io.Writer) error {
			return p.Rule(w, f("events"), dashboard.RuleView{RuleRow: ruleRow(0, t), Source: t("name: billing\nrules: []\n"), Revisions: times(3, func(i int) dashboard.RuleRow { return ruleRow(i, t) }), Actions: actions(t)[:1]})
		}},
		{"audit", func(p *dashboard.Pages, w io.Writer) error {
			return p.Audit(w, f("audit"), dashboard.AuditView{Filters: filters("/audit", t), Rows: times(s.many, func(i int) dashboard.AuditRow { return auditRow(i, t) }), Pager: pager, Checkpoint: entryView(t).Checkpoint, Actions: []dashboard.Action{{Label: "Export", Post: "/audit/export"}}})
		}},
		{"entry", func(p *dashboard.Pages, w io.Writer) error { return p.Entry(w, f("audit"), entryView(t)) }},
		{"systems", func(p *dashboard.Pages, w io.Writer) error {
			return p.Systems(w, f("systems"), dashboard.SystemsView{Rows: times(min(s.many, 5), func(i int) dashboard.SystemRow {
				return dashboard.SystemRow{Name: t(pick(i, "main-db", "files", "identity")), Connector: t("postgres 3"), State: pick(i, "healthy", "slow", "down"), Checked: ago(time.Minute), Latency: 4 * time.Millisecond, Fingerprint: t("7412203345511298311"), Resources: 24800, Tenants: 12400, InFlight: 3, Limit: 16, Rate: 50, Lag: "PT0S", LastError: t(pick(i, "", "", "503 service unavailable")), LastErrorAt: pick(i, time.Time{}, ago(day)), Holds: t("suspends partition drops"), Actions: actions(t)[2:3]}
			})})
		}},
		{"departure", func(p *dashboard.Pages, w io.Writer) error { return p.Departure(w, lone, departure(t)) }},
		{"vendor", func(p *dashboard.Pages, w io.Writer) error {
			return p.Vendor(w, lone, dashboard.VendorView{Company: t("Example Print"), Customer: t("Acme"), Platform: t("the platform"), Holds: t("addresses of letters"), Due: in(7 * day), Error: t("the name of who answers is missing"), Post: "/vendor/x", Fields: []dashboard.Field{{Name: "name", Label: t("Who answers"), Required: true, Value: t("k"), Hint: t("a person")}}})
		}},
		{"lease", func(p *dashboard.Pages, w io.Writer) error {
			return p.Lease(w, lone, dashboard.LeaseView{Organization: t("Acme"), Tenant: t("acme"), Platform: t("the platform"), Ends: in(7 * day), Post: "/lease/x", Choices: []dashboard.LeaseChoice{{Answer: "keep", Label: t("Keep it"), Says: t("It goes on.")}, {Answer: "end", Label: t("End it"), Says: t("A departure is requested."), Tone: dashboard.ToneBad}}})
		}},
		{"leave", func(p *dashboard.Pages, w io.Writer) error {
			return p.Leave(w, lone, dashboard.LeaveView{Organization: t("Acme"), Tenant: t("acme"), Platform: t("the platform"), Title: "Shall it leave?", Says: t("Your answer counts once."), Facts: []dashboard.Pair{{Name: "Asked by", Value: t("bo@acme.example")}}, Post: "/leave/x", Choices: []dashboard.LeaveChoice{{Answer: "confirm", Label: t("Yes"), Says: t("It leaves."), Tone: dashboard.ToneBad}, {Answer: "refuse", Label: t("No"), Says: t("It stays."), Fields: fields(t)[:2]}}})
		}},
		{"certificate", func(p *dashboard.Pages, w io.Writer) error { return p.Certificate(w, lone, certificate(t)) }},
		{"confirm", func(p *dashboard.Pages, w io.Writer) error { return p.Confirm(w, f("tenants"), confirm) }},
		{"confirm-final", func(p *dashboard.Pages, w io.Writer) error { return p.Confirm(w, f("tenants"), final) }},
		{"request", func(p *dashboard.Pages, w io.Writer) error {
			return p.Request(w, f("tenants"), dashboard.RequestView{Kind: tenure.Onboard, Title: "Onboard a tenant", Says: t("You get a plan to read first."), Choose: &dashboard.Filters{Path: "/new/onboard", Fields: fields(t)[1:2]}, Groups: []dashboard.FieldGroup{{Title: "Tenant", Says: t("Who it is for."), Fields: fields(t)[:2]}, {Title: "Parameters", Fields: fields(t)[2:]}}, Post: "/new/onboard", Cancel: "/tenants", Error: t("2 fields can't be right"), Hints: []string{t("seats: at most 10")}, Blocked: t("the budget of this hour is used"), Others: []dashboard.Ref{ref("Offboard", "/new/offboard")}})
		}},
		{"signin", func(p *dashboard.Pages, w io.Writer) error {
			return p.SignIn(w, lone, dashboard.SignInView{Provider: t("Company sign-in"), Start: "/signin/start", Bootstrap: "/signin/bootstrap", Return: "/", Error: t("the sign-in took too long"), People: []dashboard.Action{{Label: t("operator"), Post: "/signin/as", Says: t("asks for operations")}}})
		}},
		{"device", func(p *dashboard.Pages, w io.Writer) error {
			return p.Device(w, lone, dashboard.DeviceView{Post: "/device", Error: t("no such code")})
		}},
		{"device-confirm", func(p *dashboard.Pages, w io.Writer) error {
			return p.Device(w, lone, dashboard.DeviceView{Post: "/device", Code: "BDWP-HQPK", Confirm: true, Asks: t("tenure login from 192.0.2.7"), Expires: in(9 * time.Minute), Gets: []string{t("operator over all tenants")}})
		}},
		{"logindone", func(p *dashboard.Pages, w io.Writer) error {
			return p.LoginDone(w, lone, dashboard.LoginDoneView{Title: t("You are signed in"), Says: t("Go back to your terminal."), Next: ref("To the fleet", "/")})
		}},
		{"problem", func(p *dashboard.Pages, w io.Writer) error {
			return p.Problem(w, f(""), dashboard.ProblemView{Code: tenure.Blocked, Message: t("hold 2026-044 covers invoices of acme"), Hints: []string{t("ask legal to narrow the hold")}, ID: "01J9Z", Retry: true, Back: ref("Back to acme", "/tenants/ten_1")})
		}},
	}
	for _, section := range dashboard.AccessSections {
		out = append(out, sample{"access-" + string(section), func(p *dashboard.Pages, w io.Writer) error {
			v := access(s)
			v.Section = section
			return p.Access(w, f("access"), v)
		}})
	}
	return out
}

func departure(t func(string) string) dashboard.DepartureView {
	return dashboard.DepartureView{
		Organization: t("Acme GmbH"), Tenant: t("acme"), Platform: t("Example CRM"), Headline: t("Your data is set aside and will be erased on 20 December 2026."), Says: t("Nobody can sign in any more. Until 6 December you can still change your mind."), Contact: t("privacy@crm.example"), Expires: in(90 * day), DownloadSays: t("Until 22 December 2026. It opens with the key that you gave us."), Verify: "tenure certificate verify acme.bundle.json --key installation.pub",
		Progress:     []dashboard.LifeStep{{Word: "notice given", Place: "past"}, {Word: "access cut", Place: "past"}, {Word: t("data kept"), Place: "now"}, {Word: "data erased", Place: "ahead"}, {Word: "backups expired", Place: "ahead"}},
		Dates:        []dashboard.DepartureDate{{At: ago(44 * day), What: t("You gave notice."), Past: true}, {At: in(14 * day), What: t("Last day to change your mind.")}, {At: in(28 * day), What: t("Your data is erased.")}, {At: in(118 * day), What: t("The last backup that may hold it expires.")}},
		Tasks:        []dashboard.DepartureTask{{What: t("Name the new owner of the flows"), State: "open", Due: in(7 * day)}, {What: t("Monthly report"), Where: t("Reports, folder Finance"), Went: t("to be handed over to the finance team"), State: "open"}},
		Downloads:    []dashboard.Document{{Name: ref(t("the export"), "/departure/x/export"), Kind: t("encrypted archive"), Bytes: 4_120_883_112}},
		Remains:      []dashboard.Remains{{What: t("Invoices"), Why: t("The law asks us to keep them for eight years (commercial code §257)."), Until: in(2900 * day)}, {What: t("Backups of the database"), Why: t("They expire by themselves; nobody reads them."), NoDate: t("They expire 90 days after the erasure.")}},
		Gone:         []string{t("All API keys, sessions and accounts, on 8 November 2026.")},
		Certificates: []dashboard.CertificateRow{{Ref: ref(t("Interim certificate"), "/departure/x/certificate"), Kind: "interim", Issued: ago(day), Digest: digest, Download: "/departure/x/certificate/bundle"}},
	}
}

func certificate(t func(string) string) dashboard.CertificateView {
	row := func(what, method string) dashboard.CertifiedRow {
		return dashboard.CertifiedRow{What: t(what), Where: t("prod / main-db"), Method: method, Verdict: "verified", At: ago(day), Until: in(90 * day), Note: t("read back with the same credential")}
	}
	return dashboard.CertificateView{
		ID: "crt_1", Kind: "interim", Tenant: t("acme"), Organization: t("Acme GmbH"), Installation: "ins_1", Issued: ago(day), Digest: digest, Plan: digest, InterimOf: digest, Statement: t("Everything of this tenant is gone from the stores. Backups and key copies expire by 20 March 2027."), Valid: true, ValidSays: t("signed by eu-production, 14 entries proven"),
		Timeline: []dashboard.Moment{{At: ago(20 * day), What: ref(t("access cut"), ""), Tone: dashboard.ToneBad, Icon: "lock"}}, Signatures: []dashboard.Signature{{By: t("person 4"), Step: t("noreturn/invoices"), At: ago(20 * day)}}, Resources: []dashboard.CertifiedRow{row("acme_prod", "logically deleted"), row("acme-uploads", "validated")}, Classes: []dashboard.CertifiedRow{row("invoices", "archived"), row("people", "anonymised")}, Keys: []dashboard.CertifiedRow{row("data key", "cryptographic erase")},
		Exceptions: []dashboard.ExceptionRow{{Step: t("prod/accounts"), Reason: t("the directory is gone for good"), Second: t("person 2"), At: ago(day)}}, LeftOut: []dashboard.ExceptionRow{{Step: t("test/reports"), Reason: t("never made")}}, Artifacts: []dashboard.ArtifactRow{{Name: "sha256:0d1e2f3a…", Outcome: "reassigned", By: t("person 5"), At: ago(day)}}, Vendors: []dashboard.VendorRow{{Company: t("Example Print"), Holds: t("addresses"), Says: t("what it held is gone"), Verdict: "claimed", By: t("person 4"), Evidence: t("ticket"), At: ago(day)}}, Remnants: []dashboard.RemnantRow{{Kind: "log", System: t("main-db"), Says: "the write-ahead log may hold deleted rows; checkpoints recycle it (max_wal_size = 1GB)", Until: in(14 * day), Source: t("logs are kept for 14 days")}, {Kind: "snapshots", System: t("main-db"), Says: "copies of the disks can’t be seen from the server", Done: t("attested: no snapshot is older, by person 3"), At: ago(day)}, {Kind: "free space", System: t("files"), Says: "the blocks of removed files aren’t written over", Open: true}}, Download: "/certificates/crt_1/bundle", Verify: "tenure certificate verify acme.bundle.json --key installation.pub",
	}
}

func access(s shape) dashboard.AccessView {
	t, n := s.text, s.many
	do := actions(t)[1:2]
	few := min(n, 4)
	return dashboard.AccessView{
		Sections: dashboard.AccessSections, Filters: filters("/access/grants", t), Pager: pager, Actions: []dashboard.Action{{Label: "Give a grant", Post: "/access/grants", Tone: dashboard.ToneAccent, Fields: fields(t)}},
		Principals: times(n, func(i int) dashboard.PrincipalRow {
			return dashboard.PrincipalRow{ID: "prn_1", Name: t(pick(i, "lena", "marco", "deploy-bot")), Email: t("lena@crm.example"), Kind: pick(i, "person", "person", "machine"), Owner: pick(i, "", "", t("lena")), State: pick(i, "active", "dormant", "disabled"), Roles: []string{"operator", "approver"}, LastSeen: ago(day), Created: ago(300 * day), Actions: do}
		}),
		Grants: times(n, func(i int) dashboard.GrantRow {
			return dashboard.GrantRow{ID: "grt_1", Principal: t("lena"), Role: pick(i, tenure.Operator, tenure.Auditor), Scope: t("tier gold, label region=eu"), Reason: t("on call"), By: t("admin"), At: ago(100 * day), Expires: pick(i, time.Time{}, in(9*day)), LastUsed: ago(time.Hour), Elevation: i%3 == 1, State: pick(i, "active", "revoked"), Actions: do}
		}),
		Tokens: times(few, func(i int) dashboard.TokenRow {
			return dashboard.TokenRow{ID: "tok_1", Name: t("ci"), Principal: t("deploy-bot"), Limit: t(pick(i, "", "operation.request over tier trial")), Created: ago(20 * day), Expires: in(70 * day), LastUsed: ago(time.Minute), State: pick(i, "active", "expired"), Actions: do}
		}),
		Sessions: times(few, func(i int) dashboard.SessionRow {
			return dashboard.SessionRow{ID: "ses_1", Principal: t("lena"), Agent: t("Firefox on Linux"), From: "192.0.2.7", Strong: i%2 == 0, Started: ago(3 * time.Hour), Seen: ago(time.Minute), Expires: in(5 * time.Hour), Current: i == 0, Actions: do}
		}),
		Notices: dashboard.NoticesView{Person: t("lena"), Kinds: pick(n, "", "approval.*"), Without: "review.*", Zone: "Europe/Berlin", Language: "de", Comes: "daily at 08:00, in one message", Quiet: "from 20:00 to 07:00", SetBy: t("lena"), SetAt: ago(day)},
		Elevations: times(few, func(i int) dashboard.ElevationRow {
			return dashboard.ElevationRow{ID: tenure.ElevationID("elv_" + pick(i, "a", "b", "c", "d")), Principal: t("marco"), Role: tenure.Operator, Scope: t("tenant acme"), Reason: t("incident 88"), State: pick(i, "requested", "claimable", "active", "ended"), Duration: time.Hour, Asked: ago(time.Hour), ClaimUntil: in(time.Hour), Ends: in(30 * time.Minute), Approved: t("lena"), Ephemeral: t("tenure_elv_88"), Actions: do}
		}),
		BreakGlass: times(few, func(i int) dashboard.BreakGlassRow {
			return dashboard.BreakGlassRow{Principal: t("marco"), Reason: t("nobody on call could sign"), Scope: t("all tenants"), Started: ago(5 * time.Hour), Ends: ago(4 * time.Hour), ReviewBy: in(19 * time.Hour), Reviewed: pick(i, "", t("lena")), Outcome: pick(i, "", t("justified")), State: pick(i, "overdue", "reviewed"), Did: []dashboard.Ref{ref(t("suspend acme"), "/operations/op_1")}, Actions: do}
		}),
		Delegations: times(few, func(i int) dashboard.DelegationRow {
			return dashboard.DelegationRow{ID: "dlg_1", From: t("dana"), To: t("marco"), What: t("approvals over tier gold"), Since: ago(day), Until: in(9 * day), State: pick(i, "active", "ended"), Actions: do}
		}),
		Standing: times(few, func(i int) dashboard.StandingRow {
			return dashboard.StandingRow{ID: tenure.StandingID("std_" + pick(i, "a", "b", "c", "d")), Name: t("Trial sign-ups"), Rule: t("onboard with crm in tier trial, region eu"), Blueprint: t("crm 2.4.0"), Used: 14, Budget: 50, Per: "day", ProposedBy: t("lena"), Reviewed: pick(i, nil, []string{t("marco"), t("dana")}), Expires: in(60 * day), State: pick(i, "pending", "active"), Started: []dashboard.Ref{ref(t("onboard ember"), "/operations/op_1")}, Actions: do}
		}),
		Agreements: times(few, func(i int) dashboard.AgreementRow {
			return dashboard.AgreementRow{ID: "agr_1", Tenant: ref(t("acme"), "/tenants/ten_1"), Party: t("Data Partner Ltd"), Classes: []string{"invoices"}, Purpose: t("credit check"), Expires: in(90 * day), State: pick(i, "active", "expiring"), Actions: do}
		}),
		Policies: times(few, func(i int) dashboard.PolicyRow {
			return dashboard.PolicyRow{ID: t("no-erasure-on-friday"), File: "friday.cedar", Effect: "forbid", Says: t("No erasure starts on a Friday."), Source: t(`forbid (principal, action, resource);`), Denied: 3, Loaded: ago(day), Problem: pick(i, "", t("line 3: unknown attribute"))}
		}),
		Decision: dashboard.DecisionView{Ask: filters("/access/decision", t), Asked: t("May marco approve the offboarding of acme?"), Answer: tenure.Decision{Visible: true, Role: tenure.Approver, Grant: "grt_1", Why: t("denied by a policy"), Denied: []string{t("no-erasure-on-friday")}, Asked: tenure.OperationApprove}, Steps: []dashboard.DecisionStep{{What: "grants", Found: t("approver over tier gold covers it"), Outcome: "allowed"}, {What: "policies", Found: t("no-erasure-on-friday forbids"), Outcome: "denied"}}},
	}
}
