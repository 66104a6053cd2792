package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

const (
	// VendorPath is where the page of a vendor's link is.
	VendorPath = "/vendor/"
	// vendorRetry is when a question is looked at again at which nothing could be done.
	vendorRetry = time.Hour
	// vendorLook is when it is looked again whether a question has arrived.
	vendorLook = time.Minute
	// vendorWeek is between two reminders.
	vendorWeek = 7 * 24 * time.Hour
)

// VendorQuestion is what a company was asked, with all that the question is about.
type VendorQuestion struct {
	tenure.Vendor
	Spec   tenure.VendorSpec
	Known  string // the tenant's name, which the company knows it by
	Client string // the tenant's organization; "" where none is known
	Due    time.Time
	Asked  bool // the question is there, though it may not have left yet
}

// Address is who is asked.
func (q *VendorQuestion) Address() string { return cmp.Or(q.Vendor.Email, q.Spec.Email) }

func (s *Service) question(st *tenure.Step, t store.TenantRow, v tenure.Vendor) VendorQuestion {
	q := VendorQuestion{Vendor: v, Spec: *st.Gate.Vendor, Known: t.Name, Client: t.Organization, Asked: !v.OpenedAt.IsZero()}
	if !v.AskedAt.IsZero() {
		q.Due = q.Spec.Due.After(v.AskedAt)
	}
	return q
}

// Vendors lists the companies that an operation's plan has asked, in its order: also those that weren't yet.
func (s *Service) Vendors(ctx context.Context, id tenure.OperationID) ([]VendorQuestion, error) {
	op, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return nil, err
	}
	t, err := s.o.DB.Tenant(ctx, string(op.Tenant))
	if err != nil {
		return nil, err
	}
	rows, err := s.o.DB.Vendors(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []VendorQuestion
	for i := range p.Steps {
		st := &p.Steps[i]
		if st.Action != tenure.ActVendor {
			continue
		}
		v := tenure.Vendor{Operation: id, Step: st.Key, Tenant: op.Tenant}
		if j := slices.IndexFunc(rows, func(v tenure.Vendor) bool { return v.Step == st.Key }); j >= 0 {
			v = rows[j]
		}
		out = append(out, s.question(st, t, v))
	}
	return out, nil
}

// vendorSecret signs a link: its id, and an HMAC over id, step and the moment of the question.
func (s *Service) vendorSecret(v tenure.Vendor) tenure.Secret {
	return s.signLink(string(v.Link), "vendor", string(v.Link), string(v.Operation), v.Step, strconv.FormatInt(v.AskedAt.UnixMicro(), 10))
}

// OpenVendorLink gives the question that a link is of; it changes nothing. One that isn't known, was
// withdrawn, or is of a departure that has ended is NotFound, and which of these isn't said.
func (s *Service) OpenVendorLink(ctx context.Context, secret tenure.Secret) (q VendorQuestion, err error) {
	id := tenure.LinkID(linkID(secret))
	if id == "" {
		return q, errNoLink()
	}
	v, err := s.o.DB.VendorByLink(ctx, id)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return q, errNoLink()
	case err != nil:
		return q, err
	case !sameLink(s.vendorSecret(v), secret):
		return q, errNoLink()
	}
	op, err := s.o.DB.Operation(ctx, v.Operation)
	switch {
	case err != nil:
		return q, err
	case op.State.Ended():
		return q, errNoLink()
	}
	if err := s.o.DB.Vouched(ctx, v.Operation, v.Tenant, nil); err != nil {
		return q, err
	}
	list, err := s.Vendors(ctx, v.Operation)
	for _, q := range list {
		if q.Step == v.Step && q.Link == id {
			return q, nil
		}
	}
	return q, cmp.Or(err, errNoLink())
}

// AnswerVendor takes the answer of who has the link, once. The question that it gives is as it was read last.
func (s *Service) AnswerVendor(ctx context.Context, secret tenure.Secret, r tenure.VendorReply) (VendorQuestion, error) {
	q, err := s.OpenVendorLink(ctx, secret)
	if err != nil {
		return q, err
	}
	err = s.answerVendor(ctx, q, r, "")
	if tenure.CodeOf(err) != tenure.Conflict || q.Answer != "" {
		return q, err
	}
	// A reminder may have gone out since it was read.
	if q, again := s.OpenVendorLink(ctx, secret); again != nil || q.Answer != "" {
		return q, cmp.Or(again, err)
	}
	return q, s.answerVendor(ctx, q, r, "")
}

// RecordVendor puts down an answer that came otherwise, such as by letter. It names who gave it at the
// company, and what shows it. vendor is the company's name, or the step's key.
func (s *Service) RecordVendor(ctx context.Context, id tenure.OperationID, vendor string, r tenure.VendorReply, by string) error {
	if err := person(by); err != nil {
		return err
	}
	q, err := s.vendorOf(ctx, id, vendor)
	if err != nil {
		return err
	}
	if strings.TrimSpace(r.Evidence) == "" {
		return tenure.Errorf(tenure.Invalid, "an answer that somebody puts down needs evidence").WithHint("say where the letter is kept")
	}
	return s.answerVendor(ctx, q, r, by)
}

// answerVendor stores an answer with its entry, and lets the operation go on.
func (s *Service) answerVendor(ctx context.Context, q VendorQuestion, r tenure.VendorReply, by string) error {
	now := s.Now()
	r, err := r.Checked(now)
	switch {
	case err != nil:
		return err
	case q.Answer != "":
		return tenure.Errorf(tenure.Conflict, "this was answered already: %s", q.Says()).WithHint("staff may ask again: tenure vendor ask %s %q", q.Operation, q.Spec.Name)
	}
	v := q.Vendor
	v.VendorReply, v.AnsweredAt, v.RecordedBy = r, now, by
	item := s.statement().VendorItem(&tenure.Step{Key: v.Step, Gate: &tenure.Gate{Vendor: &q.Spec}}, &v)
	said, err := item.Said()
	if err != nil {
		return err
	}
	e, err := s.entry(ctx, item.EntryKind(), by, v.Tenant, v.Operation, string(v.Operation), map[string]string{"gate": v.Step, "answer": string(v.Answer), "said": said})
	if err != nil {
		return err
	}
	e.At = now
	op, err := s.o.DB.Operation(ctx, v.Operation)
	if err != nil {
		return err
	}
	hold, err := s.vendorHold(ctx, op, v)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if err := s.vendorOpen(tx, v); err != nil {
			return err
		}
		var due time.Time
		if v.Answer == tenure.VendorKept {
			due = v.Until
		}
		if err := tx.SaveVendor(v, due); err != nil { // the version makes it once
			return err
		}
		if hold != "" && v.Answer == tenure.VendorGone { // counsel has to know
			err = tx.SaveFinding(found(q, tenure.High, fmt.Sprintf("%s says that it has erased what it held of %s, on which hold %s stands", q.Spec.Name, q.Known, hold), now))
		} else {
			err = tx.ResolveFinding(unanswered(q), now)
		}
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(v.Operation, now)
	})
}

// vendorOpen refuses to change an answer once the closing certificate is being made.
func (s *Service) vendorOpen(tx *store.Tx, v tenure.Vendor) error {
	op, p, rows, err := s.operation(tx, v.Operation)
	if err != nil {
		return err
	}
	closed := op.State.Ended()
	for i := range p.Steps {
		if st := &p.Steps[i]; i < len(rows) && st.Action == tenure.ActCertify && st.To == string(evidence.Closing) {
			closed = closed || rows[i].State == tenure.StepRunning || rows[i].State == tenure.StepDone
		}
	}
	if closed {
		return tenure.Errorf(tenure.Conflict, "the departure has ended, or its closing certificate is being made: answers stay as they are")
	}
	return nil
}

// vendorOf finds a question by the company's name or the step's key. One whose turn hasn't come is Conflict.
func (s *Service) vendorOf(ctx context.Context, id tenure.OperationID, vendor string) (VendorQuestion, error) {
	list, err := s.Vendors(ctx, id)
	if err != nil {
		return VendorQuestion{}, err
	}
	var names []string
	for _, q := range list {
		if q.Step == vendor || strings.EqualFold(q.Spec.Name, vendor) {
			if !q.Asked {
				return q, tenure.Errorf(tenure.Conflict, "%s isn't asked yet: the tenant isn't past its points of no return", q.Spec.Name)
			}
			return q, s.o.DB.Vouched(ctx, id, q.Tenant, nil)
		}
		names = append(names, q.Spec.Name)
	}
	if len(names) == 0 {
		return VendorQuestion{}, tenure.Errorf(tenure.NotFound, "operation %s asks no vendor", id)
	}
	return VendorQuestion{}, tenure.Errorf(tenure.NotFound, "operation %s asks no vendor %q", id, vendor).WithHint("it asks %s", strings.Join(names, ", "))
}

// AskVendor withdraws a company's answer and its link, and has it asked again, at another address where one
// is given. A withdrawn answer takes a reason.
func (s *Service) AskVendor(ctx context.Context, id tenure.OperationID, vendor, email, reason, by string) error {
	if err := person(by); err != nil {
		return err
	}
	reason, err := tenure.Line("the reason", reason, tenure.MaxReason)
	if err != nil {
		return err
	}
	q, err := s.vendorOf(ctx, id, vendor)
	if err != nil {
		return err
	}
	switch {
	case q.Answer != "" && reason == "":
		return tenure.Errorf(tenure.Invalid, "%s has answered: to withdraw that needs a reason", q.Spec.Name)
	case email != "" && !tenure.IsMailAddress(email):
		return tenure.Errorf(tenure.Invalid, "%q is no plain mail address", email)
	}
	if email != "" {
		q.Vendor.Email = email
	}
	kind, facts := "vendor.ask_again", map[string]string{"gate": q.Step}
	if q.Answer != "" {
		kind, facts["withdrawn"] = "vendor.withdraw", string(q.Answer)
	}
	e, err := s.entry(ctx, kind, by, q.Tenant, id, string(id), facts)
	if err != nil {
		return err
	}
	now := s.Now()
	v := q.Unanswered("withdrawn by " + by + " on " + now.UTC().Format(time.DateOnly) + ": " + reason)
	v.AskedBy, v.AskedAt, v.Link, v.RemindedAt = by, time.Time{}, "", time.Time{}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := s.vendorOpen(tx, v); err != nil {
			return err
		}
		if err := tx.SaveVendor(v, now); err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
}

// TickVendors does what is due at the questions to companies: it asks, reminds, and finds who is silent or
// can't be reached. It closes nothing. What can't be done now is tried again in an hour.
func (s *Service) TickVendors(ctx context.Context, now time.Time) error {
	due, err := s.o.DB.DueVendors(ctx, now, 100)
	if err != nil {
		return err
	}
	var all error
	for _, v := range due {
		err := s.advanceVendor(ctx, v, now)
		if err == nil {
			continue
		}
		all = errors.Join(all, fmt.Errorf("%s of %s: %w", v.Step, v.Operation, err))
		if err := s.vendorLater(ctx, v, now.Add(vendorRetry)); err != nil {
			return errors.Join(all, err)
		}
	}
	return all
}

func (s *Service) vendorLater(ctx context.Context, v tenure.Vendor, at time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.LookAtVendor(v, at) })
}

// advanceVendor takes a question one step on.
func (s *Service) advanceVendor(ctx context.Context, v tenure.Vendor, now time.Time) error {
	op, err := s.o.DB.Operation(ctx, v.Operation)
	if err != nil {
		return err
	}
	if op.State.Ended() {
		return s.vendorLater(ctx, v, time.Time{})
	}
	q, err := s.vendorOf(ctx, v.Operation, v.Step) // as the log has it
	if err != nil {
		return err
	}
	v = q.Vendor
	hold, err := s.vendorHold(ctx, op, v)
	if err != nil {
		return err
	}
	lost := ""
	if !v.AskedAt.IsZero() {
		if lost, err = s.o.DB.NoticeLost(ctx, vendorKey(v, "ask")); err != nil {
			return err
		}
	}
	switch {
	case v.Settles():
		return s.vendorLater(ctx, v, time.Time{})
	case v.Keeps(now):
		return s.vendorLater(ctx, v, v.Until)
	case hold != "" && v.AskedAt.IsZero():
		return s.vendorLater(ctx, v, now.Add(vendorRetry)) // the step's reason says it
	case hold != "":
		return s.vendorFound(ctx, q, tenure.High, fmt.Sprintf("%s was told on %s to erase what it holds of %s, and hold %s stands since then: tell it to keep that", q.Spec.Name, v.AskedAt.Format(time.DateOnly), q.Known, hold), now.Add(vendorRetry), now)
	case v.AskedAt.IsZero() || v.Answer == tenure.VendorKept:
		if s.o.URL == "" {
			return s.vendorFound(ctx, q, tenure.High, q.Spec.Name+" can't be asked: there is no link to answer by, since tenure.yaml has no url", now.Add(vendorRetry), now)
		}
		return s.askVendor(ctx, q, now)
	case lost != "":
		return s.vendorFound(ctx, q, tenure.High, fmt.Sprintf("%s wasn't reached at %s: %s", q.Spec.Name, q.Address(), lost), now.Add(vendorRetry), now) // it may be delivered once more
	case now.Before(q.Due):
		next := q.Due
		sent, err := s.o.DB.NoticeSentAt(ctx, vendorKey(v, "ask"))
		if err != nil {
			return err
		}
		if at := now.Add(vendorLook); sent.IsZero() && at.Before(next) {
			next = at
		}
		return s.vendorFree(ctx, q, next, now)
	case now.Before(v.RemindedAt.Add(vendorWeek)):
		return s.vendorFound(ctx, q, tenure.Medium, silence(q), v.RemindedAt.Add(vendorWeek), now)
	}
	return s.remindVendor(ctx, q, now)
}

// vendorHold is a hold that stands against any of the tenant's data; "" if none does.
func (s *Service) vendorHold(ctx context.Context, op store.OperationRow, v tenure.Vendor) (tenure.HoldID, error) {
	holds, err := s.o.DB.Holds(ctx, v.Tenant, false)
	if err != nil || len(holds) == 0 {
		return "", err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return "", err
	}
	for i := range p.Steps {
		if st := &p.Steps[i]; st.Key == v.Step {
			if h := p.Touching(holds, st); len(h) > 0 {
				return h[0].ID, nil
			}
		}
	}
	return "", nil
}

// vendorKey names what is done once for one question.
func vendorKey(v tenure.Vendor, what string) string {
	return "vendor:" + string(v.Operation) + ":" + string(v.Link) + ":" + what
}

// vendorSays is what a company is told.
func (s *Service) vendorSays(q VendorQuestion) words.Phrase {
	who := q.Known
	if q.Client != "" {
		who = q.Client + " (" + q.Known + ")"
	}
	return words.Of("vendor.ask", who, words.Plain(q.Spec.Holds), words.Day(q.Due), s.linkTo(VendorPath, s.vendorSecret(q.Vendor)))
}

// askVendor puts the question, by a new link. What the company said before is over.
func (s *Service) askVendor(ctx context.Context, q VendorQuestion, now time.Time) error {
	v := q.Unanswered("")
	v.AskedAt, v.Link, v.RemindedAt = now, tenure.NewID[tenure.LinkID](now), time.Time{}
	q.Vendor, q.Due = v, q.Spec.Due.After(now)
	e, err := s.entry(ctx, "vendor.ask", "", v.Tenant, v.Operation, string(v.Operation), map[string]string{"gate": v.Step, "due": q.Due.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveVendor(v, now.Add(vendorLook)); err != nil {
			return err
		}
		if err := tx.AddNotice(s.vendorNotice(q, "ask", s.vendorSays(q), now)); err != nil {
			return err
		}
		if err := tx.ResolveFinding(unanswered(q), now); err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(v.Operation, now) // its reason says so
	})
}

// LanguageOfVendor is the language in which a company is written to.
func (s *Service) LanguageOfVendor(q VendorQuestion) words.Language {
	return words.In(q.Spec.Language, s.o.Language)
}

func (s *Service) vendorNotice(q VendorQuestion, what string, says words.Phrase, now time.Time) store.Notice {
	n := store.Notice{ID: vendorKey(q.Vendor, what), Kind: tenure.NoticeVendor, Tenant: q.Tenant, Operation: q.Operation, Recipient: q.Address(), CreatedAt: now}
	return written(n, s.LanguageOfVendor(q), says)
}

// remindVendor asks once more by the same link. That the company is silent is a finding until it answers.
func (s *Service) remindVendor(ctx context.Context, q VendorQuestion, now time.Time) error {
	v := q.Vendor
	v.RemindedAt = now
	e, err := s.entry(ctx, "vendor.reminder", "", v.Tenant, v.Operation, string(v.Operation), map[string]string{"gate": v.Step})
	if err != nil {
		return err
	}
	n := s.vendorNotice(q, "reminder:"+now.UTC().Format(time.DateOnly), words.Of("vendor.reminder", words.Day(v.AskedAt), s.vendorSays(q)), now)
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveVendor(v, now.Add(vendorWeek)); err != nil {
			return err
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
		if err := tx.SaveFinding(found(q, tenure.Medium, silence(q), now)); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// unanswered is the finding at a company, without what is found.
func unanswered(q VendorQuestion) tenure.Finding {
	return tenure.Finding{Kind: tenure.FindingUnanswered, Tenant: q.Tenant, Type: "vendor", Name: q.Spec.Name, Field: string(q.Operation) + "/" + q.Step}
}

func found(q VendorQuestion, severity tenure.Severity, detail string, now time.Time) tenure.Finding {
	f := unanswered(q)
	f.ID, f.Severity, f.Detail, f.SeenAt = tenure.NewID[tenure.FindingID](now), severity, detail, now
	f.Steps = []string{
		fmt.Sprintf("ask it again, or another address: tenure vendor ask %s %q --email ADDRESS", q.Operation, q.Spec.Name),
		fmt.Sprintf("put down what it has answered otherwise: tenure vendor record %s %q", q.Operation, q.Spec.Name),
	}
	return f
}

// silence says that a company hasn't answered in time.
func silence(q VendorQuestion) string {
	return fmt.Sprintf("%s was asked on %s to erase what it holds of %s (%s), by %s, and hasn't answered", q.Spec.Name, q.AskedAt.Format(time.DateOnly), q.Known, q.Spec.Holds, q.Due.Format(time.DateOnly))
}

// vendorFree looks again later at a question that nothing stands in the way of, such as a hold that was released.
func (s *Service) vendorFree(ctx context.Context, q VendorQuestion, again, now time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ResolveFinding(unanswered(q), now); err != nil {
			return err
		}
		return tx.LookAtVendor(q.Vendor, again)
	})
}

// vendorFound says what stands in the way of an answer, and looks again later.
func (s *Service) vendorFound(ctx context.Context, q VendorQuestion, severity tenure.Severity, detail string, again, now time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveFinding(found(q, severity, detail, now)); err != nil {
			return err
		}
		return tx.LookAtVendor(q.Vendor, again)
	})
}
