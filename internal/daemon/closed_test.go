package daemon_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

const oneDay = 24 * time.Hour

// TestNothingOfAClosedTenantStays fills every field that a tenant's people, or ours, can
// fill about one tenant, has it leave, lets every retention end, and looks for each word
// in the rows, the files, the log and the metrics. Which fields there are is what
// internal/store/migrations/columns.txt declares: a column in which no word was seen is
// named, unless it is said here why.
func TestNothingOfAClosedTenantStays(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return postgrestest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLeaving(t, dsn(t))
			l.refusals()
			l.unstarted()
			l.withdrawn()
			l.neighbours()
			tenant := l.arrives()
			l.lives(tenant)
			l.staff(tenant)
			op := l.leaves(tenant)
			l.everyFieldWasFilled()
			l.pass(31 * oneDay)
			l.seek("a month after the closing")
			l.recorded(tenant, true)
			l.writtenSince(tenant)
			l.pass(32 * oneDay)
			l.seek("a month after more was written")
			l.pass(3 * 366 * oneDay)
			l.recorded(tenant, false)
			l.seek("when every retention has ended")
			l.verified()
			if state, _ := l.view(op); state != tenure.OperationSucceeded {
				t.Errorf("the departure is %s", state)
			}
		})
	}
}

// refusals send words where they don't belong.
func (l *leaving) refusals() {
	for _, body := range []map[string]any{
		{"parameters": map[string]any{"login": l.text("a wrong parameter"), "seats": "x"}},
		{"parameters": map[string]any{"login": "x", l.word("an unknown parameter"): l.text("its value")}},
		{"parameters": l.text("no parameters")},
		{"parameters": map[string]any{"login": "x"}, "blueprint": l.word("an unknown blueprint")},
	} {
		body["kind"], body["tenant"], body["tier"] = "onboard", l.word("a tenant that isn't made"), "team"
		if body["blueprint"] == nil {
			body["blueprint"] = "small"
		}
		status := 400
		if body["blueprint"] != "small" {
			status = 404
		}
		l.as("olga", "POST", "/v1/operations", body, status)
	}
	l.as("olga", "POST", "/v1/tenants/"+l.word("a path")+"/incidents", map[string]any{"id": l.text("an incident of nobody's"), "severity": "low", "source": "pager", "detail": "x"}, 404)
}

// unstarted is a plan that nobody starts.
func (l *leaving) unstarted() {
	l.as("olga", "POST", "/v1/plans", map[string]any{
		"kind": "onboard", "tenant": l.word("plan.body"), "blueprint": "small", "tier": "team", "organization": l.text("plan.body"), "parameters": map[string]any{"login": l.word("plan.body")},
	}, 2)
}

// withdrawn is an onboarding that somebody says no to.
func (l *leaving) withdrawn() {
	a := l.as("olga", "POST", "/v1/operations", map[string]any{
		"kind": "onboard", "tenant": l.word("tenant.name"), "blueprint": "small", "tier": "team", "organization": l.text("tenant.organization"), "contact": l.word("tenant.contact") + "@customer.example",
		"parameters": map[string]any{"login": l.word("tenant.parameters")}, "reason": l.text("operation.reason"), "labels": map[string]string{"k": l.word("tenant.labels")}, "trigger": l.text("operation.trigger_key"),
	}, 2)
	l.settle()
	l.as("rita", "POST", "/v1/operations/"+id(a)+"/reject", map[string]any{"reason": l.text("operation.wanted_why")}, 2)
	l.settle()
	if state, _ := l.view(id(a)); !state.Ended() {
		l.t.Fatalf("the withdrawn onboarding is %s", state)
	}
}

// neighbours make pages of the store that several tenants share.
func (l *leaving) neighbours() {
	for i := range 12 {
		a := l.as("olga", "POST", "/v1/operations", map[string]any{"kind": "onboard", "tenant": fmt.Sprintf("neighbour%d", i), "blueprint": "small", "tier": "team", "parameters": map[string]any{"login": "x"}}, 2)
		l.approve(id(a), "")
	}
}

func (l *leaving) approve(op, note string) {
	l.t.Helper()
	l.settle()
	_, digest := l.view(op)
	l.as("rita", "POST", "/v1/operations/"+op+"/approve", map[string]any{"digest": digest, "note": note}, 2)
	l.settle()
}

// arrives is the tenant's onboarding.
func (l *leaving) arrives() (tenant string) {
	l.login = l.word("tenant.parameters")
	a := l.as("olga", "POST", "/v1/operations", map[string]any{
		"kind": "onboard", "tenant": l.word("tenant.name"), "blueprint": "small", "tier": "team", "organization": l.text("tenant.organization"), "contact": l.word("tenant.contact") + "@customer.example",
		"parameters": map[string]any{"login": l.login, "motto": l.text("resource.desired")}, "features": map[string]bool{"reports": true},
		"reason": l.text("operation.reason"), "labels": map[string]string{"k": l.word("tenant.labels")}, "trigger": l.text("operation.trigger_key"),
	}, 2)
	l.approve(id(a), l.text("approval.note"))
	if state, _ := l.view(id(a)); state != tenure.OperationSucceeded {
		l.t.Fatalf("the onboarding is %s", state)
	}
	l.as("olga", "POST", "/v1/operations/"+id(a)+"/claim", nil, 2)
	return fmt.Sprint(a["tenant"])
}

func (l *leaving) name(tenant string) string {
	t, err := l.inst.DB.Tenant(l.t.Context(), tenant)
	check(l.t, err)
	return t.Name
}

// lives is what happens to a tenant.
func (l *leaving) lives(tenant string) {
	name := l.name(tenant)
	l.as("olga", "PATCH", "/v1/tenants/"+name, map[string]any{"labels": map[string]string{"k": l.word("tenant_label.label")}}, 2)
	l.incident = l.text("incident.id")
	l.as("olga", "POST", "/v1/tenants/"+name+"/incidents", map[string]any{"id": l.incident, "severity": "low", "source": l.text("incident.source"), "detail": l.text("incident.detail")}, 2)
	for range 2 {
		a := l.as("olga", "POST", "/v1/agreements", map[string]any{
			"tenant": name, "kind": "sharing", "parties": []string{l.text("agreement.party")}, "classes": []string{"orders"}, "purpose": l.text("agreement.purpose"), "expiresAt": l.now().Add(300 * oneDay),
		}, 2)
		defer l.as("olga", "POST", "/v1/agreements/"+id(a)+"/end", map[string]any{"reason": l.text("agreement.ended_why")}, 2)
	}
	l.as("olga", "POST", "/v1/tenants/"+name+"/coverage", map[string]any{"resource": "prod/store", "tables": map[string]string{l.word("coverage.body"): "orders"}, "reason": l.text("coverage.reason")}, 2)
	l.as("olga", "POST", "/v1/tenants/"+name+"/departure-links", map[string]any{"days": 400}, 2)
	l.world.Fill("store", name+"-prod", "orders", l.text("a row of the tenant's"))
	l.world.Tamper("setting", name+"-motto", func(t *memory.Thing) {
		t.Attributes = []byte(fmt.Sprintf(`{"value":%q}`, l.word("finding.got")))
	})
	l.world.Tamper("store", name+"-prod", func(t *memory.Thing) {
		t.Places = append(t.Places, connector.Place{Name: l.word("finding.name"), Rows: 3, Blocks: true, Says: l.text("finding.detail")})
	})
	found := l.as("sam", "POST", "/v1/looks", map[string]any{"kind": "drift"}, 2)
	for _, f := range found["findings"].([]any) {
		l.as("sam", "POST", "/v1/findings/"+id(f.(map[string]any))+"/waive", map[string]any{"expiresAt": l.now().Add(10 * oneDay), "reason": l.text("the waiver of a finding")}, 2)
	}
	l.world.Tamper("store", name+"-prod", func(t *memory.Thing) { t.Places = nil })
	l.external = l.word("tenant.external_ids")
	l.as("olga", "PUT", "/v1/tenants/"+name+"/known-by", map[string]any{"domains": []string{l.word("tenant.domains") + ".example", "customer.example"}, "externalIds": []string{l.external}}, 2)
	account := memory.Thing{Type: "account", Name: l.word("finding.steps"), Externals: []string{l.external}, CreatedAt: l.now().Add(-400 * oneDay)}
	l.world.Put(account)
	l.as("sam", "POST", "/v1/looks", map[string]any{"kind": "sweep"}, 2)
	l.world.Remove(account.Type, account.Name)
	l.told(l.external, "an event")
	events := l.as("olga", "GET", "/v1/inbound-events?state=failed", nil, 2)["items"].([]any)
	if len(events) != 1 {
		l.t.Fatalf("the events that failed: %v", events)
	}
	l.as("olga", "POST", "/v1/inbound-events/"+id(events[0].(map[string]any))+"/dismiss", map[string]any{"reason": l.text("inbound.why")}, 2)
	l.asksToLeave(tenant)
	change := l.as("olga", "POST", "/v1/operations", map[string]any{"kind": "change", "tenant": name, "parameters": map[string]any{"login": l.login, "motto": l.text("plan.body")}, "reason": l.text("operation.reason")}, 2)
	l.settle()
	l.as("rita", "POST", "/v1/operations/"+id(change)+"/reject", map[string]any{"reason": l.text("operation.wanted_why")}, 2)
	l.settle()
}

// asksToLeave has somebody of the tenant's ask to leave whom staff refuses, and its contact, whose event no rule takes.
func (l *leaving) asksToLeave(tenant string) {
	ask := func(address string) tenure.Secret {
		check(l.t, l.inst.AskLeave(l.t.Context(), lifecycle.LeaveAsk{Tenant: l.name(tenant), Address: address, Reason: l.text("leave_request.reason")}))
		l.look() // it is blanked as it is looked at
		l.settle()
		list, err := l.inst.DB.Notices(l.t.Context(), tenure.TenantID(tenant))
		check(l.t, err)
		for _, n := range list {
			if found := regexp.MustCompile(`/leave/(\S+)`).FindStringSubmatch(n.Body); n.Recipient == address && found != nil {
				secret := tenure.NewSecret(found[1])
				if link, err := l.inst.OpenLeaveLink(l.t.Context(), secret); err == nil && link.State.Open() { // earlier ones aren't good any more
					return secret
				}
			}
		}
		l.t.Fatal("nobody was sent a link to leave by")
		return tenure.Secret{}
	}
	check(l.t, l.inst.AnswerLeave(l.t.Context(), ask(l.word("leave_request.requester")+"@customer.example"), lifecycle.LeaveConfirm, ""))
	l.settle()
	waits := l.as("olga", "GET", "/v1/leave-requests?state=waiting&tenant="+tenant, nil, 2)["items"].([]any)
	l.as("olga", "POST", "/v1/leave-requests/"+id(waits[0].(map[string]any))+"/refuse", map[string]any{"reason": l.text("leave_request.why")}, 2)
	row, err := l.inst.DB.Tenant(l.t.Context(), tenant)
	check(l.t, err)
	check(l.t, l.inst.AnswerLeave(l.t.Context(), ask(row.Contact), lifecycle.LeaveConfirm, ""))
	check(l.t, l.inst.Events.Work(l.t.Context()))
	l.settle()
}

// staff is what ours write of themselves for this tenant's sake.
func (l *leaving) staff(tenant string) {
	over := map[string]any{"tenants": []string{tenant}}
	elevation := func(by string) map[string]any {
		return l.as(by, "POST", "/v1/elevations", map[string]any{"role": "operator", "scope": over, "reason": l.text("elevation.reason"), "duration": "PT1H", "system": "main", "access": "read"}, 2)
	}
	e := elevation("sam")
	l.as("rita", "POST", "/v1/elevations/"+id(e)+"/approve", map[string]any{"digest": e["digest"]}, 2)
	l.as("sam", "POST", "/v1/elevations/"+id(e)+"/claim", nil, 2)
	l.as("sam", "POST", "/v1/elevations/"+id(e)+"/revoke", map[string]any{"reason": l.text("elevation.why")}, 2)
	l.as("rita", "POST", "/v1/elevations/"+id(elevation("sam"))+"/reject", map[string]any{"reason": l.text("elevation.why")}, 2)
	glass := l.as("olga", "POST", "/v1/break-glass", map[string]any{"role": "operator", "scope": over, "reason": l.text("elevation.reason"), "duration": "PT1H"}, 2)
	l.pass(2 * time.Hour)
	l.as("sue", "POST", "/v1/elevations/"+id(glass)+"/review", map[string]any{"note": l.text("elevation.review_note")}, 2)
	l.as("adam", "POST", "/v1/grants", map[string]any{"principal": "aurel", "role": "viewer", "scope": over, "reason": l.text("role_grant.reason")}, 2)
	l.as("rita", "POST", "/v1/delegations", map[string]any{"to": "ruth", "scope": over, "reason": l.text("delegation.reason"), "expiresAt": l.now().Add(20 * oneDay)}, 2)
	for range 2 { // a hold over nothing that stands in the way, and one that is released
		h := l.as("leo", "POST", "/v1/holds", map[string]any{"matter": l.text("hold.matter"), "reason": l.text("hold.reason"), "scope": map[string]any{"tenant": tenant, "class": "orders"}}, 2)
		for _, by := range []string{"leo", "lena"} {
			l.as(by, "POST", "/v1/holds/"+id(h)+"/release", nil, 2)
		}
	}
	review := l.as("sam", "POST", "/v1/reviews", map[string]any{
		"name": "of one tenant", "covers": []string{"grant", "account", "agreement"}, "scope": over, "reviewers": []string{"otto"}, "silence": "keep", "dueAt": l.now().Add(5 * oneDay),
	}, 2)
	items := l.as("aurel", "GET", "/v1/reviews/"+id(review)+"/items", nil, 2)["items"].([]any)
	if len(items) == 0 {
		l.t.Fatal("the review asks nothing")
	}
	for _, raw := range items {
		it := raw.(map[string]any)
		field := "review_item.reason"
		if it["kind"] == "grant" {
			field = "review_item.reason of a grant"
		}
		if it["kind"] == "account" {
			l.as("otto", "POST", "/v1/reviews/"+id(review)+"/reassign", map[string]any{"items": []any{it["item"]}, "to": "olga", "reason": l.text("review_item.assigned_why")}, 2)
			it["reviewer"] = "olga"
		}
		answer := map[string]any{"item": it["item"], "decision": "keep", "reason": l.text(field)}
		if it["kind"] == "account" {
			answer["decision"], answer["changeTo"] = "change", map[string]any{"parameters": map[string]any{"login": l.login, "motto": l.text("review_item.change_to")}}
		}
		l.as(fmt.Sprint(it["reviewer"]), "POST", "/v1/reviews/"+id(review)+"/decide", map[string]any{"answers": []any{answer}}, 2)
	}
	l.settle()
}

// leaves is the departure: a step fails and is left out by two persons, and a hold comes
// when something is gone already.
func (l *leaving) leaves(tenant string) string {
	name := l.name(tenant)
	for _, op := range l.open(tenant) { // what a review began
		l.as("olga", "POST", "/v1/operations/"+op+"/cancel", nil, 2)
	}
	l.settle()
	l.world.Inject(memory.Fault{Call: "delete", Name: name + "-motto", Err: tenure.Errorf(tenure.Forbidden, "%s", l.text("step.error"))})
	a := l.as("olga", "POST", "/v1/operations", map[string]any{"kind": "offboard", "tenant": name, "atOnce": true, "reason": l.text("operation.reason"), "trigger": l.text("operation.trigger_key")}, 2)
	op := id(a)
	l.approve(op, l.text("approval.note"))
	task := l.as("olga", "POST", "/v1/operations/"+op+"/checklist", map[string]any{"task": l.text("task.task"), "owner": "platform"}, 2)
	l.as("olga", "POST", "/v1/operations/"+op+"/done", map[string]any{"gate": task["item"], "note": l.text("task.note")}, 2)
	artifact := l.as("olga", "POST", "/v1/operations/"+op+"/checklist", map[string]any{"task": l.text("task.task"), "artifact": true, "location": l.text("task.place")}, 2)
	l.as("olga", "POST", "/v1/operations/"+op+"/done", map[string]any{"gate": artifact["item"], "outcome": "reassigned", "destination": l.text("task.destination")}, 2)
	l.pass(31 * oneDay)
	l.gates(op)
	l.pass(8 * oneDay)
	h := l.as("leo", "POST", "/v1/holds", map[string]any{"matter": l.text("hold.matter"), "scope": map[string]any{"tenant": tenant}}, 2)
	l.settle()
	for _, by := range []string{"leo", "lena"} {
		l.as(by, "POST", "/v1/holds/"+id(h)+"/release", nil, 2)
	}
	l.settle()
	l.gates(op)
	for range 6 {
		if state, _ := l.view(op); state == tenure.OperationBlocked || state.Ended() {
			break
		}
		l.pass(4 * oneDay)
		l.gates(op)
	}
	if state, _ := l.view(op); state != tenure.OperationBlocked {
		l.t.Fatalf("the departure is %s, where a step can't be done", state)
	}
	for _, by := range []string{"olga", "rita"} {
		l.as(by, "POST", "/v1/operations/"+op+"/skip", map[string]any{"step": "prod/motto/delete", "reason": l.text("exception.reason")}, 2)
	}
	l.world.Heal()
	l.world.Remove("setting", name+"-motto")
	for range 3 {
		l.pass(4 * oneDay)
		l.gates(op)
	}
	l.vendor(op)
	for range 3 {
		l.pass(4 * oneDay)
		l.gates(op)
	}
	if state, _ := l.view(op); state != tenure.OperationSucceeded {
		l.t.Fatalf("the departure is %s", state)
	}
	return op
}

// vendor has a company keep something, which staff withdraws, and then say that it is gone.
func (l *leaving) vendor(op string) {
	at := "/v1/operations/" + op + "/vendors/"
	answer := map[string]any{"vendor": "Example Print", "name": l.text("vendor.name"), "role": l.text("vendor.role"), "evidence": l.text("vendor.evidence")}
	kept := maps.Clone(answer)
	kept["answer"], kept["expiresAt"], kept["reason"] = "kept", l.now().Add(100*oneDay), l.text("vendor.earlier")
	l.as("olga", "POST", at+"record", kept, 2)
	l.settle()
	l.as("olga", "POST", at+"ask", map[string]any{"vendor": "Example Print", "reason": l.text("vendor.earlier")}, 2)
	l.settle()
	answer["answer"] = "gone"
	l.as("olga", "POST", at+"record", answer, 2)
	l.settle()
}

func (l *leaving) open(tenant string) (out []string) {
	ops, err := l.inst.DB.Operations(l.t.Context(), store.OperationFilter{Tenant: tenure.TenantID(tenant), Open: true})
	check(l.t, err)
	for _, op := range ops {
		out = append(out, string(op.ID))
	}
	return out
}

// gates has two persons confirm what waits for them.
func (l *leaving) gates(op string) {
	l.t.Helper()
	for _, by := range []string{"rita", "ruth", "sam"} {
		for _, w := range l.waiting(op) {
			_, digest := l.view(op)
			if _, err := l.inst.Approve(l.t.Context(), tenure.OperationID(op), w, digest, by, l.text("approval.note")); err != nil && tenure.CodeOf(err) != tenure.Conflict && tenure.CodeOf(err) != tenure.Blocked {
				l.t.Fatal(err)
			}
			l.settle()
		}
	}
}

func (l *leaving) waiting(op string) (out []string) {
	l.cells(func(table, column string, value []byte) {
		if table == "approval_wait" && column == "step" {
			out = append(out, string(value))
		}
	})
	return out
}

// recorded: what ours wrote can be opened until the key that seals it is destroyed.
func (l *leaving) recorded(tenant string, open bool) {
	l.t.Helper()
	const annex = "/certificates/closing/annex"
	if !open {
		l.as("aurel", "GET", "/v1/tenants/"+tenant+"/record", nil, 404)
		l.as("aurel", "GET", "/v1/tenants/"+tenant+annex, nil, 404)
		return
	}
	text := []byte(fmt.Sprint(l.as("aurel", "GET", "/v1/tenants/"+tenant+annex, nil, 2)["content"]))
	if !slices.ContainsFunc(l.words, func(p planted) bool { return p.field == "hold.matter" && p.in(text) }) {
		l.t.Error("the annex doesn't tell of the holds")
	}
	got := make(map[string]bool)
	for _, raw := range l.as("aurel", "GET", "/v1/tenants/"+tenant+"/record", nil, 2)["items"].([]any) {
		it := raw.(map[string]any)
		name := fmt.Sprintf("%s.%s", it["of"], it["field"])
		got[name] = got[name] || slices.ContainsFunc(l.words, func(p planted) bool { return p.in([]byte(fmt.Sprint(it["text"]))) })
	}
	for _, table := range store.Declared() {
		for _, c := range table.Columns {
			if name := table.Name + "." + c.Name; c.Goes == store.Sealed && apart[name] == "" && elsewhere[name] == "" && !got[name] {
				l.t.Errorf("%s isn't in the record", name)
			}
		}
	}
}

// writtenSince is what people write of a tenant that has closed.
func (l *leaving) writtenSince(tenant string) {
	l.told(tenant, "an event since")
	l.told(l.external, "another")
	for _, incident := range []string{l.text("incident.id"), l.incident} { // another, and once more what was told before
		l.as("olga", "POST", "/v1/tenants/"+tenant+"/incidents", map[string]any{"id": incident, "severity": "low", "source": l.text("incident.source"), "detail": l.text("incident.detail")}, 2)
	}
	h := l.as("leo", "POST", "/v1/holds", map[string]any{"matter": l.text("hold.matter"), "reason": l.text("hold.reason"), "scope": map[string]any{"tenant": tenant, "class": "orders"}}, 2)
	for _, by := range []string{"leo", "lena"} {
		l.as(by, "POST", "/v1/holds/"+id(h)+"/release", nil, 2)
	}
	l.as("adam", "POST", "/v1/grants", map[string]any{"principal": "aurel", "role": "viewer", "scope": map[string]any{"tenants": []string{tenant}}, "reason": l.text("role_grant.reason")}, 2)
}

// verified holds the store against the log: what was forgotten is gone by both.
func (l *leaving) verified() {
	rep, err := l.inst.VerifyAudit(l.t.Context())
	if check(l.t, err); len(rep.Problems) > 0 {
		l.t.Errorf("the audit: %v", rep.Problems)
	}
}

// apart are the columns that no planted word can come to, and why.
var apart = map[string]string{
	"tenant.features":     "the blueprint's words",
	"tenant.blocked":      "Tenure's words, and the step's key",
	"step.progress":       "counts by data class",
	"secret.box":          "sealed",
	"secret_replaced.box": "sealed",
	"sought.box":          "sealed",
	"record.box":          "sealed",
	"hold.already_gone":   "Tenure's words",
	"hold.part":           "none of the systems here can hold a part; it goes with the row's other columns, by the same declaration",
	"hold.stalled":        "the words of a system's own rules, and none of the systems here has any",
	"review_item.holder":  "of a tenant's own items, one of our staff",
	"review_item.owner":   "one of our staff",
	"review_item.salt":    "random",
	"tenant.salt":         "random",
	"approval_wait.gate":  "made of the blueprint's words",
	"access_event.detail": "roles, scopes and counts",
	"departure_link.hash": "random",
	"inbound.pending":     "noted and taken back within one turn; its row goes as a whole",
}

// elsewhere are sealed fields whose words the record has under another name, or that are asked for by themselves.
var elsewhere = map[string]string{
	"certificate.annex": "asked for in recorded",
	"vendor.reason":     "a company that keeps something is asked again before the closing: what it said stands in vendor.earlier then",
}

// kept are what the declaration lets stay of the planted words, by the place where.
var kept = map[string][]string{
	"exception.reason":              {"the column certificate.body"},
	"vendor.role":                   {"the column certificate.body"}, // in whose capacity a company was spoken for
	"review_item.reason of a grant": {"the column review_item.reason"},
}

// everyFieldWasFilled: a field that nobody filled proves nothing.
func (l *leaving) everyFieldWasFilled() {
	l.t.Helper()
	unused := maps.Clone(apart)
	for _, table := range store.Declared() {
		for _, c := range table.Columns {
			name := table.Name + "." + c.Name
			delete(unused, name)
			switch {
			case c.Class == "public", c.Whose != "tenant":
			case apart[name] != "" && l.filled[name]:
				l.t.Errorf("a word came to %s, which is said to be apart: %s", name, apart[name])
			case apart[name] == "" && !l.filled[name]:
				l.t.Errorf("no word came to %s: fill it in this test, or say in it why it can't be", name)
			}
		}
	}
	for name := range unused {
		l.t.Errorf("%s is said to be apart, and there is no such column", name)
	}
}

// seek looks for every word everywhere.
func (l *leaving) seek(when string) {
	l.t.Helper()
	l.everywhere(func(where string, body []byte) {
		for _, p := range l.words {
			if at := kept[p.field]; p.in(body) && !slices.Contains(at, where) && !(len(at) > 0 && strings.HasPrefix(where, "the file /tenure.db")) {
				l.t.Errorf("%s, the word of %s (%q) stands in %s", when, p.field, p.text, where)
			}
		}
	})
}
