package lifecycle_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

const vendorText = `offboarding:
  vendors:
    - {name: Example Print, email: desk@print.example, holds: addresses of letters, due: P14D}
    - {name: Example Payroll, email: desk@pay.example, holds: payslips, due: P14D, tiers: [enterprise]}`

// asks is a site whose blueprint has a vendor, and a departure that is past its points of no return.
func (s *site) asks() tenure.OperationID {
	s.t.Helper()
	s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "3.0"), "offboarding:", vendorText, 1))
	s.begin("acme", "small@3.0")
	s.fill("acme-prod", 2, 3)
	op := s.leave("acme")
	s.vendorTick()
	if got := s.vendorLinks(op); len(got) != 0 {
		s.t.Fatal("a vendor is told to erase while the tenant can still be reinstated")
	}
	for range 60 {
		if v := s.view(op); strings.HasPrefix(v.Reason, "Example Print hasn't been asked yet") {
			break
		}
		s.pass(10 * day)
		s.confirmIll(op)
	}
	s.vendorTick()
	return op
}

func (s *site) vendorTick() {
	s.t.Helper()
	for range 2 {
		s.must(s.TickVendors(context.Background(), s.Now()))
		s.settle()
	}
}

// vendorLinks are the links of all questions and reminders, in their order.
func (s *site) vendorLinks(op tenure.OperationID) (links []string) {
	s.t.Helper()
	list, err := s.db.Notices(context.Background(), s.view(op).Tenant)
	s.must(err)
	for _, n := range list {
		if n.Kind == tenure.NoticeVendor {
			if n.Recipient != "desk@print.example" && n.Recipient != "new@print.example" {
				s.t.Errorf("%s is asked", n.Recipient)
			}
			links = append(links, regexp.MustCompile(`https://tenure\.example/vendor/(\S+)`).FindStringSubmatch(n.Body)[1])
		}
	}
	return links
}

func (s *site) silent() (out []tenure.Finding) {
	s.t.Helper()
	all, err := s.db.Findings(context.Background(), "")
	s.must(err)
	for _, f := range all {
		if f.Kind == tenure.FindingUnanswered {
			out = append(out, f)
		}
	}
	return out
}

// settledBy has the rest of a departure done, and wants it closed.
func (s *site) settledBy(op tenure.OperationID) {
	s.t.Helper()
	for range 3 {
		s.pass(day)
		s.finish(op)
	}
	s.wantState(op, tenure.OperationSucceeded)
}

var goneReply = tenure.VendorReply{Answer: tenure.VendorGone, Name: "Kim Example", Role: "data protection", Evidence: "ticket 4711"}

// TestVendor: a company is asked once the tenant is past its points of no return. Its silence closes nothing,
// for a year; it is reminded weekly and is a finding. Its answer closes the case once, and stands on the
// certificate as its claim. A link that was forged or withdrawn opens nothing.
func TestVendor(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		ctx := context.Background()
		s.options.URL = "https://tenure.example"
		s.Service = s.service(s.options)
		op := s.asks()
		links := s.vendorLinks(op)
		if len(links) != 1 {
			t.Fatalf("asked %d times\n%s", len(links), s.show(op))
		}
		if n := len(s.silent()); n != 0 {
			t.Fatalf("%d findings before it is due", n)
		}
		for range 53 {
			s.pass(7 * day)
			s.vendorTick()
		}
		s.wantState(op, tenure.OperationWaiting)
		if v := s.view(op); !strings.Contains(v.Reason, "Example Print was asked on") || !strings.Contains(v.Reason, "hasn't answered") {
			t.Errorf("the reason is %q", v.Reason)
		}
		if n := len(s.vendorLinks(op)); n < 50 || n > 54 {
			t.Errorf("%d mails in 53 weeks, want the question and a reminder a week", n)
		}
		if f := s.silent(); len(f) != 1 || f[0].Name != "Example Print" || !strings.Contains(f[0].Detail, "addresses of letters") {
			t.Fatalf("findings of who is silent: %+v", f)
		}
		for _, forged := range []string{links[0] + "x", links[0][:len(links[0])-1], strings.Split(links[0], ".")[0], ""} {
			_, err := s.AnswerVendor(ctx, tenure.NewSecret(forged), goneReply)
			wantCode(t, err, tenure.NotFound, "isn't good")
		}

		// Staff asks another address: the old link is over.
		wantCode(t, s.AskVendor(ctx, op, "nobody", "", "", "operator"), tenure.NotFound, "nobody")
		wantCode(t, s.AskVendor(ctx, op, "example print", "no address", "", "operator"), tenure.Invalid)
		s.must(s.AskVendor(ctx, op, "example print", "new@print.example", "", "operator"))
		s.vendorTick()
		if n := len(s.silent()); n != 0 {
			t.Errorf("%d findings right after it was asked again", n)
		}
		all := s.vendorLinks(op)
		fresh := all[len(all)-1]
		_, err := s.AnswerVendor(ctx, tenure.NewSecret(links[0]), goneReply)
		wantCode(t, err, tenure.NotFound, "isn't good")

		// It keeps it for a while: the case waits, and then it is asked again.
		kept := goneReply
		kept.Answer, kept.Reason = tenure.VendorKept, "tax law"
		for _, wrong := range []time.Time{{}, s.Now(), s.Now().AddDate(10, 0, 1)} {
			kept.Until = wrong
			_, err := s.AnswerVendor(ctx, tenure.NewSecret(fresh), kept)
			wantCode(t, err, tenure.Invalid, "kept")
		}
		kept.Until = s.Now().AddDate(0, 0, 100)
		_, err = s.AnswerVendor(ctx, tenure.NewSecret(fresh), kept)
		s.must(err)
		_, err = s.AnswerVendor(ctx, tenure.NewSecret(fresh), goneReply)
		wantCode(t, err, tenure.Conflict, "answered already")
		s.pass(99 * day)
		s.vendorTick()
		s.wantState(op, tenure.OperationWaiting)
		if v := s.view(op); !strings.Contains(v.Reason, "keeps what it holds until") {
			t.Errorf("the reason is %q", v.Reason)
		}
		if n := len(s.vendorLinks(op)); n != len(all) {
			t.Errorf("it was written to %d times while it keeps what it has", n-len(all))
		}
		s.pass(2 * day)
		s.vendorTick()
		again := s.vendorLinks(op)
		if len(again) != len(all)+1 {
			t.Fatalf("after its date it was asked %d times", len(again)-len(all))
		}
		last := tenure.NewSecret(again[len(again)-1])

		q, err := s.AnswerVendor(ctx, last, goneReply)
		s.must(err)
		if q.Known != "acme" {
			t.Errorf("the question is of %q", q.Known)
		}
		_, err = s.AnswerVendor(ctx, last, goneReply)
		wantCode(t, err, tenure.Conflict, "answered already")
		s.settledBy(op)
		d := s.paper(op, "closing")
		if len(d.Vendors) != 1 {
			t.Fatalf("vendors on the certificate: %+v", d.Vendors)
		}
		if v := d.Vendors[0]; v.Company != "Example Print" || v.Verdict != tenure.Claimed || v.Answer != tenure.VendorGone || v.Role != "data protection" || v.Evidence != tenure.Digest([]byte("ticket 4711")) || v.Recorded != "" || strings.Contains(v.By, "Kim") {
			t.Errorf("the certificate says %+v", v)
		}
		if got := s.paper(op, "interim").Vendors; len(got) != 1 || got[0].Answer != "" || got[0].Verdict != tenure.Unknown {
			t.Errorf("the interim certificate says %+v", got)
		}
		_, err = s.OpenVendorLink(ctx, last)
		wantCode(t, err, tenure.NotFound)
		s.audited()
	})
}

// TestVendorByLetter: staff puts down an answer that came otherwise, with evidence; withdraws it with a reason,
// and the case waits again; while a hold stands nobody is told to erase.
func TestVendorByLetter(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t, func(o *lifecycle.Options) { o.URL = "https://tenure.example" }), context.Background()
	op := s.asks()
	bare := goneReply
	bare.Evidence = ""
	wantCode(t, s.RecordVendor(ctx, op, "Example Print", bare, "operator"), tenure.Invalid, "evidence")
	wantCode(t, s.RecordVendor(ctx, op, "Example Payroll", goneReply, "operator"), tenure.NotFound) // another tier's
	s.behind(`update vendor set due_at = due_at + 864000000000 where operation = ?`, string(op))    // as where the question has arrived
	hold, err := s.PlaceHold(ctx, tenure.Hold{Matter: "m", Reason: "r", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant}}, "counsel")
	s.must(err)
	s.vendorTick() // at once
	if f := s.silent(); len(f) != 1 || !strings.Contains(f[0].Detail, string(hold.ID)) {
		t.Fatalf("under a hold the findings are %+v", f)
	}
	s.releaseHold(hold.ID)
	s.pass(2 * time.Hour)
	s.vendorTick()
	if f := s.silent(); len(f) != 0 {
		t.Errorf("once the hold is released the findings are %+v", f)
	}
	hold, err = s.PlaceHold(ctx, tenure.Hold{Matter: "m", Reason: "r", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant}}, "counsel")
	s.must(err)
	s.must(s.RecordVendor(ctx, op, "Example Print", goneReply, "operator"))
	if f := s.silent(); len(f) != 1 || f[0].Severity != tenure.High || !strings.Contains(f[0].Detail, "has erased") || !strings.Contains(f[0].Detail, string(hold.ID)) {
		t.Errorf("what was erased under a hold is told as %+v", f)
	}
	s.settle()
	for _, st := range s.view(op).Body.Steps {
		if st.Key == "certificate/closing" && !slices.Contains(st.Needs, "vendor/1") {
			t.Errorf("the closing certificate rests on %v, so that an answer withdrawn late fails it", st.Needs)
		}
	}
	if got := s.row(op, "vendor/1"); got.State != tenure.StepDone || got.Verdict != tenure.Claimed {
		t.Errorf("the step is %s, %s", got.State, got.Verdict)
	}
	wantCode(t, s.AskVendor(ctx, op, "vendor/1", "", "", "operator"), tenure.Invalid, "reason")
	s.must(s.AskVendor(ctx, op, "vendor/1", "", "the letter was of another customer", "operator"))
	list, err := s.Vendors(ctx, op)
	s.must(err)
	for _, want := range []string{"what it held is gone", "Kim Example (data protection)", "ticket 4711", "put down by operator", "the letter was of another customer"} {
		if q := list[0]; q.Answer != "" || !strings.Contains(q.Earlier, want) {
			t.Errorf("of the withdrawn answer is kept %q, without %q", q.Earlier, want)
		}
	}
	s.pass(2 * time.Hour)
	s.vendorTick()
	if got := s.row(op, "vendor/1"); got.State != tenure.StepPending {
		t.Errorf("after its answer was withdrawn the step is %s", got.State)
	}
	if n := len(s.vendorLinks(op)); n != 1 || !strings.Contains(s.view(op).Reason, "isn't told to erase") {
		t.Errorf("under a hold it was asked %d times: %s", n, s.view(op).Reason)
	}
	s.releaseHold(hold.ID)
	s.pass(2 * time.Hour)
	s.vendorTick()
	if n := len(s.vendorLinks(op)); n != 2 {
		t.Errorf("once the hold is released it was asked %d times", n)
	}
	s.must(s.RecordVendor(ctx, op, "Example Print", goneReply, "operator"))
	s.settle()
	_, err = s.Retry(ctx, op, "certificate/closing", "operator") // which the hold had stopped
	s.must(err)
	s.settledBy(op)
	if v := s.paper(op, "closing").Vendors[0]; v.Recorded == "" || v.Verdict != tenure.Claimed {
		t.Errorf("the certificate says %+v", v)
	}
	wantCode(t, s.AskVendor(ctx, op, "vendor/1", "", "too late", "operator"), tenure.NotFound)
	s.audited()
}

// TestVendorForged: an answer that somebody writes into the store isn't believed.
func TestVendorForged(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) { o.URL = "https://tenure.example" })
	op := s.asks()
	s.behind(`update vendor set answer = 'gone', name = 'n', role = 'r', answered_at = asked_at where operation = ?`, string(op))
	s.must(s.db.Write(t.Context(), func(tx *store.Tx) error { return tx.Poke(op, s.Now()) }))
	s.settle()
	if got := s.row(op, "vendor/1"); got.State != tenure.StepPending {
		t.Errorf("a forged answer has the step %s", got.State)
	}
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "vendor") {
		t.Errorf("the operation is %s: %s", v.State, v.Reason)
	}
	if all := s.problems(); !strings.Contains(all, "vendor ") {
		t.Errorf("the audit doesn't name it:\n%s", all)
	}
}

// TestVendorUnreachable: that a question can't arrive is seen before it is due.
func TestVendorUnreachable(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil) // no url: there can be no link
	op := s.asks()
	if f := s.silent(); len(f) != 1 || f[0].Severity != tenure.High || !strings.Contains(f[0].Detail, "url") {
		t.Fatalf("without a url the findings are %+v", f)
	}
	s.options.URL = "https://tenure.example"
	s.Service = s.service(s.options)
	s.pass(2 * time.Hour)
	s.vendorTick()
	list, err := s.db.Notices(t.Context(), s.view(op).Tenant)
	s.must(err)
	for _, n := range list {
		if n.Kind == tenure.NoticeVendor {
			s.must(s.db.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.RouteNotice(n, []store.Delivery{{ID: n.ID, Target: "mail", Error: "no mail address is known of " + n.Recipient}}, s.Now())
				return err
			}))
		}
	}
	s.pass(time.Hour)
	s.vendorTick()
	if f := s.silent(); len(f) != 1 || !strings.Contains(f[0].Detail, "wasn't reached") {
		t.Errorf("of mail that doesn't get through the findings are %+v", f)
	}
	s.behind(`update delivery set state = 'waiting'`) // as when it is delivered once more
	s.pass(2 * time.Hour)
	s.vendorTick()
	if f := s.silent(); len(f) != 0 {
		t.Errorf("once it is on its way the findings are %+v", f)
	}
}
