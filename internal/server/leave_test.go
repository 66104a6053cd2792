package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

const leaveRules = `
apiVersion: tenure.dev/v1
kind: Triggers
name: billing
version: "1"
as: feed
departures: 5
rules:
  - name: won
    source: crm
    on: [deal.won]
    customer: ${data.deal}
    onboard: {tenant: "${slug(data.company)}", blueprint: small, parameters: {login: "${data.login}"}, organization: "${data.company} Ltd", contact: "${data.login}", domains: ["acme.example"]}
  - name: leaves
    source: customer
    on: [customer.leaves]
    customer: ${event.subject}
    offboard: {reason: "the customer asks to leave: ${data.reason}"}
`

// leavers is an installation with acme, whose contact is a@acme.example and whose mail domain is acme.example.
func leavers(t *testing.T, dsn, rules string) *feed {
	t.Helper()
	f := newFeedOn(t, dsn, client.SubmitBlueprint.Example, rules)
	f.won("e1", 1, f.now())
	f.work()
	f.approve(f.want(store.InboundActed, "onboard acme").Operation)
	f.state(tenure.TenantActive)
	return f
}

func (f *feed) asks(tenant, address string) {
	f.t.Helper()
	f.must(f.s.AskLeave(f.t.Context(), lifecycle.LeaveAsk{Tenant: tenant, Address: address, Reason: "we\r\nmove\non"}))
	f.leaves()
}

// leaves does what is due at requests to leave, twice as after a restart.
func (f *feed) leaves() {
	f.t.Helper()
	for range 2 {
		f.must(f.s.TickLeaves(f.t.Context(), f.now()))
	}
}

// told are the notices about requests to leave to somebody, in order.
func (f *feed) told(to string) (out []string) {
	f.t.Helper()
	id := f.leaver()
	list, err := f.s.Engine.DB.Notices(f.t.Context(), id)
	f.must(err)
	for _, n := range list {
		if n.Kind == tenure.NoticeLeave && n.Recipient == to {
			out = append(out, n.Body)
		}
	}
	return out
}

func (f *feed) leaver() tenure.TenantID {
	f.t.Helper()
	row, err := f.s.Engine.DB.Tenant(f.t.Context(), "acme")
	f.must(err)
	return row.ID
}

// link is the one in the last notice to somebody.
func (f *feed) link(to string) tenure.Secret {
	f.t.Helper()
	list := f.told(to)
	if len(list) == 0 {
		f.t.Fatalf("nothing was sent to %s", to)
	}
	found := regexp.MustCompile(`/leave/(\S+)`).FindStringSubmatch(list[len(list)-1])
	if found == nil {
		f.t.Fatalf("%s has no link: %s", to, list[len(list)-1])
	}
	return tenure.NewSecret(found[1])
}

func (f *feed) leave() tenure.LeaveRequest {
	f.t.Helper()
	list, err := f.s.LeaveRequests(f.t.Context(), store.LeaveFilter{Limit: 1})
	f.must(err)
	if len(list) == 0 {
		f.t.Fatal("there is no request to leave")
	}
	return list[0]
}

func (f *feed) answer(l tenure.Secret, a lifecycle.LeaveAnswer, reason string) {
	f.t.Helper()
	f.must(f.s.AnswerLeave(f.t.Context(), l, a, reason))
	f.leaves()
}

func (f *feed) refusesLink(what string, l tenure.Secret) {
	f.t.Helper()
	_, open := f.s.OpenLeaveLink(f.t.Context(), l)
	answer := f.s.AnswerLeave(f.t.Context(), l, lifecycle.LeaveConfirm, "")
	for _, err := range []error{open, answer} {
		if tenure.CodeOf(err) != tenure.NotFound || err.Error() != "this link isn't good, or not any more" {
			f.t.Errorf("%s link: %v", what, err)
		}
	}
}

func stores(t *testing.T, do func(t *testing.T, dsn func(*testing.T) string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		do(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "tenure.db") })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		do(t, func(t *testing.T) string { return postgrestest.Database(t) })
	})
}

// A colleague asks to leave, the contact confirms, and the rules request a departure, once, with its approvals.
func TestCustomerLeaves(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, dsn func(*testing.T) string) {
		f := leavers(t, dsn(t), leaveRules)
		const bo = "Bo.Smith@Acme.example"
		f.asks("ACME ltd", bo)
		mine := f.link("bo.smith@acme.example")
		if got := f.told("a@acme.example"); len(got) != 0 {
			t.Fatalf("the contact is asked before who asked has confirmed: %q", got)
		}
		for range 3 { // as programs that check mail do
			if _, err := f.s.OpenLeaveLink(t.Context(), mine); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.leave(); got.State != tenure.LeaveAsked || got.Reason != "we move on" {
			t.Fatalf("to open the link made it %+v", got)
		}
		f.answer(mine, lifecycle.LeaveConfirm, "")
		if err := f.s.AnswerLeave(t.Context(), mine, lifecycle.LeaveConfirm, ""); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("who asked confirms twice: %v", err)
		}
		if got := f.told("a@acme.example"); len(got) != 1 || strings.Contains(got[0], "we move on") {
			t.Errorf("the contact is asked %q", got)
		}
		theirs := f.link("a@acme.example")
		f.work()
		if n := f.departures("acme"); n != 0 {
			t.Fatal("it leaves without the contact's word")
		}
		f.answer(theirs, lifecycle.LeaveConfirm, "")
		if err := f.s.AnswerLeave(t.Context(), theirs, lifecycle.LeaveRefuse, "no"); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("the contact answers twice: %v", err)
		}
		f.work()
		e := f.want(store.InboundActed, "offboard acme")
		if e.Source != "customer" || e.Type != "customer.leaves" || e.Tenant != f.leaver() || f.departures("acme") != 1 {
			t.Fatalf("event %+v, %d departures", e, f.departures("acme"))
		}
		f.state(tenure.TenantActive) // until people have approved it
		op, err := f.s.Operation(t.Context(), e.Operation)
		f.must(err)
		if op.State != tenure.OperationWaiting || op.Reason != "" && strings.Contains(op.Reason, "\n") {
			t.Errorf("the departure is %s", op.State)
		}
		f.clock.Add(time.Minute.Microseconds())
		f.leaves()
		if got := f.told("platform"); len(got) != 0 {
			t.Errorf("staff is told of what rules have taken: %q", got)
		}
		f.asks("acme", "a@acme.example")
		if got := f.told("a@acme.example"); !strings.Contains(got[len(got)-1], "leaving already") || f.leave().Requester != "bo.smith@acme.example" {
			t.Errorf("who asks for a tenant that is to leave is told %q", got)
		}
		page, err := f.s.OpenLeaveLink(t.Context(), theirs)
		if err != nil || page.State != tenure.LeaveConfirmed {
			t.Errorf("the contact's link shows %+v (%v)", page, err)
		}
		f.clock.Add(31 * 24 * time.Hour.Microseconds())
		f.refusesLink("an old", theirs)
		rep, err := f.s.VerifyAudit(t.Context())
		if f.must(err); !rep.OK() {
			t.Errorf("the audit has problems: %q", rep.Problems)
		}
	})
}

// One word is enough where the contact asks; no, silence and withdrawal lead to nothing, and everybody is told.
func TestCustomerLeavesAnswers(t *testing.T) {
	t.Parallel()
	const bo, contact = "bo@acme.example", "a@acme.example"
	last := func(f *feed, to string) string {
		list := f.told(to)
		if len(list) == 0 {
			return ""
		}
		return list[len(list)-1]
	}
	for name, do := range map[string]func(t *testing.T, f *feed){
		"the contact asks": func(t *testing.T, f *feed) {
			f.asks("acme", contact)
			f.answer(f.link(contact), lifecycle.LeaveConfirm, "")
			f.work()
			f.want(store.InboundActed, "offboard acme")
			if got := f.told(contact); len(got) != 1 {
				t.Errorf("the contact is asked twice: %q", got)
			}
		},
		"no": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			f.answer(f.link(bo), lifecycle.LeaveConfirm, "")
			theirs := f.link(contact)
			if err := f.s.AnswerLeave(t.Context(), theirs, lifecycle.LeaveRefuse, " \n"); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("no without a reason: %v", err)
			}
			if err := f.s.AnswerLeave(t.Context(), theirs, lifecycle.LeaveWithdraw, ""); tenure.CodeOf(err) != tenure.Conflict {
				t.Errorf("the contact withdraws: %v", err)
			}
			f.answer(theirs, lifecycle.LeaveRefuse, "we\nstay")
			f.work()
			if got := last(f, bo); f.leave().State != tenure.LeaveRefused || f.departures("acme") != 0 || !strings.Contains(got, "said no") || !strings.Contains(got, "we stay") {
				t.Errorf("%+v; told %q", f.leave(), got)
			}
		},
		"silence": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			f.answer(f.link(bo), lifecycle.LeaveConfirm, "")
			theirs := f.link(contact)
			f.clock.Add(13 * 24 * time.Hour.Microseconds())
			f.leaves()
			if got := f.leave(); got.State != tenure.LeaveWaiting {
				t.Fatalf("after 13 days it is %s", got.State)
			}
			f.clock.Add(25 * time.Hour.Microseconds())
			f.refusesLink("an expired", theirs)
			f.leaves()
			if got := f.leave(); got.State != tenure.LeaveLapsed || !strings.Contains(last(f, bo), "lapsed") || !strings.Contains(last(f, contact), "lapsed") {
				t.Errorf("%+v; told %q and %q", got, last(f, bo), last(f, contact))
			}
			if got := last(f, "platform"); !strings.Contains(got, "never asked") {
				t.Errorf("no mail has left, and staff is told %q", got)
			}
			f.refusesLink("a lapsed", theirs)
		},
		"who asked doesn't confirm": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			mine := f.link(bo)
			f.clock.Add(48 * time.Hour.Microseconds())
			f.refusesLink("an expired", mine)
			f.leaves()
			if got := f.leave(); got.State != tenure.LeaveLapsed || len(f.told(bo)) != 1 || len(f.told(contact)) != 0 {
				t.Errorf("%+v; told %q", got, f.told(bo))
			}
		},
		"withdrawn": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			mine := f.link(bo)
			f.answer(mine, lifecycle.LeaveConfirm, "")
			theirs := f.link(contact)
			f.answer(mine, lifecycle.LeaveWithdraw, "")
			if got := f.leave(); got.State != tenure.LeaveWithdrawn || !strings.Contains(last(f, contact), "withdrawn") {
				t.Errorf("%+v; the contact is told %q", got, last(f, contact))
			}
			f.refusesLink("a withdrawn", theirs)
			f.refusesLink("the withdrawn request's own", mine)
		},
		"staff refuses": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			f.answer(f.link(bo), lifecycle.LeaveConfirm, "")
			theirs := f.link(contact)
			if err := f.s.ConfirmLeave(t.Context(), f.leave().ID, "rita"); tenure.CodeOf(err) != tenure.Conflict {
				t.Errorf("staff confirms in the contact's place: %v", err)
			}
			f.must(f.s.RefuseLeave(t.Context(), f.leave().ID, "call us", "rita"))
			f.refusesLink("a refused", theirs)
			if got := f.leave(); got.State != tenure.LeaveRefused || got.DecidedBy != "rita" || !strings.Contains(last(f, bo), "call us") || !strings.Contains(last(f, contact), "call us") {
				t.Errorf("%+v; told %q", got, last(f, bo))
			}
		},
		"links of others": func(t *testing.T, f *feed) {
			f.asks("acme", bo)
			mine := f.link(bo)
			id, mac, _ := strings.Cut(mine.Reveal(), ".")
			for _, wrong := range []string{"", ".", id, id + ".", id + "." + mac + "x", id + "." + mac[1:], strings.Repeat("a", 5000), string(tenure.NewID[tenure.LeaveID](f.now())) + "." + mac, "lnk_" + id[4:] + "." + mac} {
				f.refusesLink(fmt.Sprintf("%.60q as a", wrong), tenure.NewSecret(wrong))
			}
			f.answer(mine, lifecycle.LeaveConfirm, "")
			theirs := f.link(contact)
			if err := f.s.AnswerLeave(t.Context(), mine, lifecycle.LeaveRefuse, "x"); tenure.CodeOf(err) != tenure.Conflict {
				t.Errorf("who asked answers for the contact: %v", err)
			}
			if f.must(f.s.AnswerLeave(t.Context(), theirs, lifecycle.LeaveConfirm, "")); f.leave().DecidedAs != tenure.LeaveContact {
				t.Errorf("%+v", f.leave())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), leaveRules)
			do(t, f)
		})
	}
}

// A tenant without a contact waits for staff; where no rule takes the event staff is told.
func TestCustomerLeavesPastRules(t *testing.T) {
	t.Parallel()
	rules := strings.Replace(strings.Replace(leaveRules, `contact: "${data.login}", `, "", 1), "on: [customer.leaves]", "on: [customer.stays]", 1)
	f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), rules)
	const bo = "bo@acme.example"
	f.asks("acme", "bo@elsewhere.example")
	if got := f.told("bo@elsewhere.example"); len(got) != 0 {
		t.Errorf("an address elsewhere is sent %q", got)
	}
	f.asks("acme", bo)
	f.answer(f.link(bo), lifecycle.LeaveConfirm, "")
	staff := f.told("platform")
	if got := f.leave(); got.State != tenure.LeaveWaiting || len(staff) != 1 || !strings.Contains(staff[0], "tenure leave confirm "+string(got.ID)) {
		t.Fatalf("%+v; staff is told %q", got, staff)
	}
	f.must(f.s.ConfirmLeave(t.Context(), f.leave().ID, "rita"))
	f.work()
	e := f.want(store.InboundIgnored, "")
	if e.Tenant != f.leaver() {
		t.Errorf("the event that no rule takes is of %q", e.Tenant)
	}
	f.clock.Add(time.Minute.Microseconds())
	f.leaves()
	if staff = f.told("platform"); len(staff) != 2 || !strings.Contains(staff[1], "no departure was requested") || !strings.Contains(staff[1], string(e.ID)) {
		t.Errorf("staff is told %q", staff)
	}
	f.clock.Add(24 * time.Hour.Microseconds())
	f.leaves()
	if n := len(f.told("platform")); n != 2 {
		t.Errorf("staff is told %d times", n)
	}
}

// Whoever isn't of the tenant is sent nothing, floods are bounded, and nobody can tell from an answer
// whether there is such a tenant.
func TestCustomerLeavesStrangers(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, dsn func(*testing.T) string) {
		f := leavers(t, dsn(t), leaveRules)
		ctx := context.Background()
		for _, address := range []string{"x@gmail.com", "bo@sub.acme.example", "bo@acme.example.evil.example", "a+b@other.example"} {
			f.asks("acme", address)
		}
		for _, name := range []string{"nobody", "' or 1=1 --", "%", "ten_x", "lve_1", "Ünïcode 測試 💥", strings.Repeat("é", 100), `"acme"`} {
			f.asks(name, fmt.Sprintf("n%d@acme.example", len(name)))
		}
		for _, address := range []string{"", "a", "@acme.example", "a@", "a@b", "a@acme.example\r\nBcc: x@evil.example", "a\nb@acme.example", `"a b"@acme.example`, "a@acme.example,b@acme.example", "a <a@acme.example>", "a@acme.example\x00", strings.Repeat("a", 300) + "@acme.example", "ä@acme.example", "a@[127.0.0.1]", "a@acme .example"} {
			if err := f.s.AskLeave(ctx, lifecycle.LeaveAsk{Tenant: "acme", Address: address}); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%q is taken as an address: %v", address, err)
			}
		}
		for _, name := range []string{"", " ", "a\nb", "a\x00b", "a\u202eb", strings.Repeat("a", 201), "\xff"} {
			if err := f.s.AskLeave(ctx, lifecycle.LeaveAsk{Tenant: name, Address: "a@acme.example"}); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%q is taken as a name: %v", name, err)
			}
		}
		if list, err := f.s.LeaveRequests(ctx, store.LeaveFilter{Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("strangers made %+v (%v)", list, err)
		}
		notices, err := f.s.Engine.DB.Notices(ctx, f.leaver())
		f.must(err)
		for _, n := range notices {
			if n.Kind == tenure.NoticeLeave {
				t.Errorf("%s is sent %q", n.Recipient, n.Body)
			}
		}
		f.clock.Add(2 * time.Hour.Microseconds())
		for range 20 {
			f.asks("acme", "bo@acme.example")
		}
		if n := len(f.told("bo@acme.example")); n != 1 {
			t.Errorf("%d mails to who asks twenty times", n)
		}
		for n := range 20 {
			f.asks([]string{"acme", "Acme Ltd", string(f.leaver())}[n%3], fmt.Sprintf("bo+%d@acme.example", n))
		}
		if list, err := f.s.LeaveRequests(ctx, store.LeaveFilter{Limit: 100}); err != nil || len(list) != 5 {
			t.Errorf("a flood of addresses made %d requests in an hour (%v)", len(list), err)
		}
		f.asks(string(f.leaver()), "a@acme.example")
		if n := len(f.told("a@acme.example")); n != 1 {
			t.Errorf("a flood of others keeps the contact from asking: %d mails", n)
		}
		asks, err := f.s.Engine.DB.LeaveAsks(ctx, 1000)
		if err != nil || len(asks) != 0 {
			t.Errorf("%d are kept that were looked at (%v)", len(asks), err)
		}
		for n := range 400 {
			f.must(f.s.AskLeave(ctx, lifecycle.LeaveAsk{Tenant: fmt.Sprint("t", n), Address: fmt.Sprintf("x%d@x.example", n)}))
		}
		if asks, err = f.s.Engine.DB.LeaveAsks(ctx, 1000); err != nil || len(asks) > 300 {
			t.Errorf("%d are kept in an hour (%v)", len(asks), err)
		}
	})
}

// A row that was changed past Tenure confirms nothing.
func TestCustomerLeavesForged(t *testing.T) {
	t.Parallel()
	const bo = "bo@acme.example"
	for name, change := range map[string]string{
		"the request":    `update leave_request set requester = 'a@acme.example'`,
		"its state":      `update leave_request set state = 'waiting', contact = 'bo@acme.example', linked_at = asked_at`,
		"its end":        `update leave_request set expires_at = expires_at * 2`,
		"the contact":    `update tenant set contact = 'bo@acme.example'`,
		"the domains":    `update tenant set domains = 'evil.example'`,
		"another tenant": `update leave_request set tenant = 'ten_01890a5d-ac96-774b-bcce-b302099a8057'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), leaveRules)
			f.asks("acme", bo)
			mine := f.link(bo)
			f.past(change)
			f.refusesLink("a forged", mine)
			f.past(`update leave_request set due_at = 1`)
			if err := f.s.TickLeaves(t.Context(), f.now()); err == nil && name != "the domains" {
				t.Error("nobody notices")
			}
			if err := f.s.ConfirmLeave(t.Context(), f.leave().ID, "rita"); err == nil {
				t.Error("staff confirms it")
			}
			f.work()
			if n := f.departures("acme"); n != 0 {
				t.Errorf("%d departures", n)
			}
			f.must(f.s.AskLeave(t.Context(), lifecycle.LeaveAsk{Tenant: "acme", Address: "x@evil.example"}))
			_ = f.s.TickLeaves(t.Context(), f.now())
			if got := f.told("x@evil.example"); len(got) != 0 {
				t.Errorf("a forged domain is believed: %q", got)
			}
		})
	}
}

// A domain that was entered as the tenant's lets nobody ask where the contact's address is in another.
func TestCustomerLeavesDomain(t *testing.T) {
	t.Parallel()
	f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), strings.Replace(leaveRules, `contact: "${data.login}"`, `contact: "Kim <Kim@other.example>"`, 1))
	for _, address := range []string{"bo@acme.example", "bo@other.example"} {
		f.asks("acme", address)
		if got := f.told(address); len(got) != 0 {
			t.Errorf("%s is sent %q", address, got)
		}
	}
	f.asks("acme", "kim@OTHER.example")
	f.answer(f.link("kim@other.example"), lifecycle.LeaveConfirm, "")
	f.work()
	f.want(store.InboundActed, "offboard acme")
}

// Where several tenants are called so, each is told of by itself, with what can't be mistaken; a flood makes
// one mail a day of each, and the last of many may ask as well.
func TestCustomerLeavesWhich(t *testing.T) {
	t.Parallel()
	f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), leaveRules)
	names := map[tenure.TenantID]string{f.leaver(): "acme"}
	f.must(f.s.Engine.DB.Write(t.Context(), func(tx *store.Tx) error {
		for n := range 24 {
			row := store.TenantRow{Tenant: tenure.Tenant{ID: tenure.NewID[tenure.TenantID](f.now()), Name: fmt.Sprintf("other%02d", n), Organization: "ACME Ltd", Contact: "a@acme.example", State: tenure.TenantActive, Parameters: []byte(`{}`), CreatedAt: f.now()}}
			names[row.ID] = row.Name
			if err := tx.CreateTenant(row); err != nil {
				return err
			}
		}
		return nil
	}))
	for range 3 {
		f.asks("acme ltd", "a@acme.example")
	}
	for id, name := range names {
		list, err := f.s.Engine.DB.Notices(t.Context(), id)
		f.must(err)
		list = slices.DeleteFunc(list, func(n store.Notice) bool { return n.Kind != tenure.NoticeLeave })
		if len(list) != 1 || !strings.Contains(list[0].Body, name+" is one of them") || !strings.Contains(list[0].Body, string(id)) {
			t.Fatalf("of %s are told %+v", name, list)
		}
		for other, called := range names {
			if other != id && (strings.Contains(list[0].Body, called+" ") || strings.Contains(list[0].Body, string(other))) {
				t.Errorf("what is told of %s names %s: %s", name, called, list[0].Body)
			}
		}
	}
}

// Who becomes the contact while a request waits is asked anew, and the link of who was it is good no more.
func TestCustomerLeavesNewContact(t *testing.T) {
	t.Parallel()
	f := leavers(t, filepath.Join(t.TempDir(), "tenure.db"), leaveRules)
	const bo = "bo@acme.example"
	f.asks("acme", bo)
	f.answer(f.link(bo), lifecycle.LeaveConfirm, "")
	old := f.link("a@acme.example")
	f.must(f.s.Engine.DB.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`update tenant set name = name, organization = organization, contact = $1 where name = 'acme'`, "Cleo <Cleo@acme.example>")
		return err
	}))
	f.refusesLink("the former contact's", old)
	f.clock.Add(time.Hour.Microseconds())
	f.leaves()
	f.refusesLink("the former contact's", old)
	f.answer(f.link("cleo@acme.example"), lifecycle.LeaveConfirm, "")
	f.work()
	f.want(store.InboundActed, "offboard acme")
}
