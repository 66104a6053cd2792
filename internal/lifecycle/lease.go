package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

const (
	// LeasePath is where the page of a lease's link is.
	LeasePath = "/lease/"
	// LeaseTrigger begins the triggers of operations that leases ask for. Nobody else may give one.
	LeaseTrigger = "lease:"
	// leaseMachine is in whose name they are asked for.
	leaseMachine = "tenure:lease"
	// leaseRetry is when a lease is looked at again at which nothing could be done.
	leaseRetry = 10 * time.Minute
	// leaseShown is how long a link shows what was answered by it.
	leaseShown = 30 * 24 * time.Hour
)

// leaseRule is the rule of leases of a plan's revision; nil without one, or where it isn't needed.
func (s *Service) leaseRule(ctx context.Context, p *tenure.Plan, needed bool) (*tenure.LeaseSpec, error) {
	if !needed {
		return nil, nil
	}
	c, err := s.compiled(ctx, p.Blueprint.Digest, false)
	if err != nil {
		return nil, err
	}
	return c.Blueprint.Lease, nil
}

// leaseChange says whether the tenant's tier and revision had a lease before a plan, and has one by it.
func (s *Service) leaseChange(ctx context.Context, p *tenure.Plan) (had, has bool, err error) {
	t, err := s.o.DB.Tenant(ctx, string(p.Tenant))
	if err != nil {
		return false, false, err
	}
	had = true
	if before, err := s.compiled(ctx, t.Blueprint.Digest, false); err == nil { // an old revision that can't be read any more stops no upgrade
		had = before.Blueprint.Lease.For(t.Tier)
	}
	rule, err := s.leaseRule(ctx, p, true)
	return had, rule.For(p.Tier), err
}

// startLease begins the lease that the revision has for the tenant's tier, in the transaction in which
// the tenant becomes active for the first time.
func (s *Service) startLease(tx *store.Tx, p *tenure.Plan, rule *tenure.LeaseSpec, now time.Time) error {
	if !rule.For(p.Tier) {
		return nil
	}
	if _, err := tx.Lease(p.Tenant); tenure.CodeOf(err) != tenure.NotFound {
		return err
	}
	l := tenure.Lease{Tenant: p.Tenant, Rule: *rule, StartedAt: now, EndsAt: rule.Period.After(now), State: tenure.LeaseRunning}
	return tx.SaveLease(l, l.AskAt())
}

// dropLease ends a tenant's lease, if it has one that runs.
func dropLease(tx *store.Tx, tenant tenure.TenantID, why string, now time.Time) error {
	l, err := tx.Lease(tenant)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound, err == nil && l.State == tenure.LeaseOver:
		return nil
	case err != nil:
		return err
	}
	l.State, l.StateAt, l.Why, l.Link = tenure.LeaseOver, now, why, ""
	return tx.SaveLease(l, time.Time{})
}

// SetLease sets when a tenant's lease ends, or lifts it with a zero end. It holds for tenants whose
// blueprint has a rule of leases, whatever their tier. A question that is open is withdrawn.
func (s *Service) SetLease(ctx context.Context, tenantName string, ends time.Time, version int64, by string) (tenure.Lease, error) {
	if err := person(by); err != nil {
		return tenure.Lease{}, err
	}
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return tenure.Lease{}, err
	}
	c, err := s.compiled(ctx, t.Blueprint.Digest, false)
	if err != nil {
		return tenure.Lease{}, err
	}
	now := s.Now()
	ends = ends.UTC().Truncate(time.Microsecond)
	facts := map[string]string{"ends": "never"}
	if !ends.IsZero() {
		facts["ends"] = ends.Format(time.RFC3339)
	}
	e, err := s.entry(ctx, "lease.set", by, t.ID, "", string(t.ID), facts)
	if err != nil {
		return tenure.Lease{}, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Tenant(string(t.ID))
		if err != nil {
			return err
		}
		if leaving(row.State) {
			return tenure.Errorf(tenure.Conflict, "%s is %s: its lease doesn't count any more", row.Name, row.State)
		}
		l, err := tx.Lease(t.ID)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound && ends.IsZero():
			return tenure.Errorf(tenure.NotFound, "%s has no lease", row.Name)
		case tenure.CodeOf(err) == tenure.NotFound && c.Blueprint.Lease == nil:
			return tenure.Errorf(tenure.Invalid, "blueprint %s %s has no lease: how its tenants are asked isn't said", t.Blueprint.Name, t.Blueprint.Version).WithHint("add lease to the blueprint")
		case tenure.CodeOf(err) == tenure.NotFound:
			l = tenure.Lease{Tenant: t.ID, Rule: *c.Blueprint.Lease, StartedAt: now}
		case err != nil:
			return err
		case version != 0 && version != l.Version:
			return tenure.Errorf(tenure.Conflict, "the lease of %s has changed since it was read", row.Name).WithHint("read it again")
		}
		if !ends.IsZero() && (!ends.After(now) || ends.After(now.AddDate(10, 0, 0))) {
			return tenure.Errorf(tenure.Invalid, "a lease ends between now and ten years from now")
		}
		l.SetBy, l.SetAt, l.Link, l.Answer, l.AnsweredAt, l.AskedFor = by, now, "", "", time.Time{}, time.Time{}
		l.State, l.StateAt, l.Why, l.Suspension, l.Departure = tenure.LeaseRunning, now, "", "", ""
		due := time.Time{}
		if ends.IsZero() {
			l.State, l.Why = tenure.LeaseOver, "it was lifted"
		} else {
			l.EndsAt = ends
			if due = l.AskAt(); !due.After(now) {
				due = now
				// Who is asked has a day; so that the end doesn't move when they are, it has that day already.
				if least := now.Add(tenure.MinLeaseAnswer + time.Hour).Truncate(time.Hour); ends.Before(least) {
					l.EndsAt = least
				}
			}
		}
		if err := tx.SaveLease(l, due); err != nil {
			return err
		}
		return tx.Log(e)
	})
	if err != nil {
		return tenure.Lease{}, err
	}
	return s.o.DB.Lease(ctx, t.ID)
}

// Lease returns a tenant's lease, nil if it has none.
func (s *Service) Lease(ctx context.Context, tenant tenure.TenantID) (*tenure.Lease, error) {
	l, err := s.o.DB.Lease(ctx, tenant)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &l, nil
}

// leaseSecret signs a link: its id, and an HMAC over id, tenant and the moment of the question.
func (s *Service) leaseSecret(l tenure.Lease) tenure.Secret {
	return s.signLink(string(l.Link), "lease", string(l.Link), string(l.Tenant), strconv.FormatInt(l.AskedAt.UnixMicro(), 10))
}

// OpenLeaseLink gives the lease that a link asks about; it changes nothing. One that isn't known, was
// withdrawn or has expired is NotFound, and which of these isn't said. It can be opened until the
// lease ends and, once it was answered, for 30 days more.
func (s *Service) OpenLeaseLink(ctx context.Context, secret tenure.Secret) (tenure.Lease, error) {
	id := linkID(secret)
	if id == "" {
		return tenure.Lease{}, errNoLink()
	}
	l, err := s.o.DB.LeaseByLink(ctx, tenure.LinkID(id))
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return tenure.Lease{}, errNoLink()
	case err != nil:
		return tenure.Lease{}, err
	case !sameLink(s.leaseSecret(l), secret):
		return tenure.Lease{}, errNoLink()
	}
	now := s.Now()
	if l.Answer == "" && (l.State != tenure.LeaseRunning || !now.Before(l.EndsAt)) || l.Answer != "" && !now.Before(l.AnsweredAt.Add(leaseShown)) {
		return tenure.Lease{}, errNoLink()
	}
	return l, s.o.DB.VouchedRow(ctx, "lease", string(l.Tenant))
}

// AnswerLease takes the answer of who has the link, once. A departure that they ask for is requested
// by TickLeases; it takes the approvals that every departure does.
func (s *Service) AnswerLease(ctx context.Context, secret tenure.Secret, a tenure.LeaseAnswer) (tenure.Lease, error) {
	l, err := s.OpenLeaseLink(ctx, secret)
	if err != nil {
		return l, err
	}
	t, err := s.o.DB.Tenant(ctx, string(l.Tenant))
	if err != nil {
		return l, err
	}
	now := s.Now()
	next, err := l.AnswerWith(a, now)
	if err != nil {
		return l, err
	}
	e, err := s.entry(ctx, "lease.answer", "", l.Tenant, "", string(l.Tenant), map[string]string{"answer": string(a), "ends": next.EndsAt.Format(time.RFC3339)})
	if err != nil {
		return l, err
	}
	return next, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var due time.Time
		switch {
		case a == tenure.LeaseExtend:
			due = next.AskAt()
		case a == tenure.LeaseEnd:
			due = now
		case next.State == tenure.LeaseRunning:
			if err := s.tellStaff(tx, next, t.Name, "kept", "the contact of "+t.Name+" asks to keep it for good; its lease waits until somebody decides: tenure tenant lease "+t.Name+" --until DATE, or --lift"); err != nil {
				return err
			}
		}
		if err := tx.SaveLease(next, due); err != nil { // the version makes it once
			return err
		}
		return tx.Log(e)
	})
}

func (s *Service) tellStaff(tx *store.Tx, l tenure.Lease, name, what, body string) error {
	return tx.AddNotice(store.Notice{ID: leaseKey(l, what), Kind: tenure.NoticeLease, Tenant: l.Tenant, Recipient: "platform", CreatedAt: s.Now(), Body: body})
}

// leaseKey names what is done once for one end of a lease.
func leaseKey(l tenure.Lease, what string) string {
	return LeaseTrigger + string(l.Tenant) + ":" + strconv.FormatInt(l.EndsAt.UnixMicro(), 10) + ":" + strconv.FormatInt(l.SetAt.UnixMicro(), 36) + ":" + what
}

// TickLeases does what is due at leases: it asks the tenants' contacts, suspends where nobody answered,
// and requests departures. What can't be done now is tried again in ten minutes.
func (s *Service) TickLeases(ctx context.Context, now time.Time) error {
	due, err := s.o.DB.DueLeases(ctx, now, 100)
	if err != nil {
		return err
	}
	var all error
	for _, l := range due {
		err := s.o.DB.VouchedRow(ctx, "lease", string(l.Tenant))
		if err == nil {
			err = s.advanceLease(ctx, l, now)
		}
		if err == nil {
			continue
		}
		all = errors.Join(all, fmt.Errorf("lease of %s: %w", l.Tenant, err))
		if err := s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.LookAtLease(l, now.Add(leaseRetry)) }); err != nil {
			return errors.Join(all, err)
		}
	}
	return all
}

// advanceLease takes a lease one step on.
func (s *Service) advanceLease(ctx context.Context, l tenure.Lease, now time.Time) error {
	t, err := s.o.DB.Tenant(ctx, string(l.Tenant))
	if err != nil {
		return err
	}
	switch {
	case leaving(t.State) || t.State == tenure.TenantTransition:
		return s.leaseOver(ctx, l, "the tenant leaves", "", now)
	case l.State == tenure.LeaseOver:
		return s.lookAgain(ctx, l, time.Time{})
	case l.State == tenure.LeaseLapsed:
		return s.afterLapse(ctx, l, t, now)
	case l.Answer == tenure.LeaseEnd && l.AskedFor.Equal(l.EndsAt):
		op, err := s.leaseRequest(ctx, l, tenure.Offboard, "the tenant's contact ends it")
		if err != nil {
			return err
		}
		return s.leaseOver(ctx, l, "the tenant's contact ended it", op, now)
	case l.Answer == tenure.LeaseKeep:
		return s.lookAgain(ctx, l, time.Time{})
	case !l.Asked() && now.Before(l.AskAt()):
		return s.lookAgain(ctx, l, l.AskAt())
	case !l.Asked():
		return s.askLease(ctx, l, t, now)
	case now.Before(l.EndsAt):
		return s.lookAgain(ctx, l, l.EndsAt)
	}
	sent, err := s.o.DB.NoticeSentAt(ctx, leaseKey(l, "ask"))
	switch {
	case err != nil:
		return err
	case sent.IsZero(): // who wasn't asked isn't silent
		return s.lookAgain(ctx, l, now.Add(leaseRetry))
	case now.Before(sent.Add(tenure.MinLeaseAnswer)):
		return s.lookAgain(ctx, l, sent.Add(tenure.MinLeaseAnswer))
	}
	return s.lapse(ctx, l, t, now)
}

func (s *Service) lookAgain(ctx context.Context, l tenure.Lease, at time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.LookAtLease(l, at) })
}

// askLease asks the tenant's contact, or staff where there is none. Who is asked late has a day.
func (s *Service) askLease(ctx context.Context, l tenure.Lease, t store.TenantRow, now time.Time) error {
	if least := now.Add(tenure.MinLeaseAnswer); l.EndsAt.Before(least) {
		l.EndsAt = least
	}
	l.AskedAt, l.AskedFor, l.Link, l.Answer, l.AnsweredAt = now, l.EndsAt, tenure.NewID[tenure.LinkID](now), "", time.Time{}
	n := store.Notice{ID: leaseKey(l, "ask"), Kind: tenure.NoticeLease, Tenant: l.Tenant, Recipient: t.Contact, CreatedAt: now}
	switch {
	case s.o.URL == "":
		n.Recipient, n.Body = "platform", fmt.Sprintf("The access to %s ends on %s, and nobody of it can be asked: there is no link to answer by, since tenure.yaml has no url. Without a decision it is suspended then; decide with: tenure tenant lease %s --until DATE, or --lift", t.Name, words.English.Moment(l.EndsAt), t.Name)
	default:
		n.Recipient = cmp.Or(t.Contact, "platform")
		n = written(n, s.LanguageFor(t, n.Recipient), words.Of("lease.ask", t.Name, words.Moment(l.EndsAt), s.linkTo(LeasePath, s.leaseSecret(l))))
	}
	e, err := s.entry(ctx, "lease.ask", "", l.Tenant, "", string(l.Tenant), map[string]string{"ends": l.EndsAt.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveLease(l, l.EndsAt); err != nil {
			return err
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// lapse suspends a tenant whose contact was asked and is silent.
func (s *Service) lapse(ctx context.Context, l tenure.Lease, t store.TenantRow, now time.Time) error {
	if t.State == tenure.TenantActive {
		op, err := s.leaseRequest(ctx, l, tenure.Suspend, "the lease ended on "+l.EndsAt.UTC().Format(time.DateOnly)+", and nobody answered")
		if err != nil {
			return err
		}
		l.Suspension = op
	}
	if l.Rule.OffboardAfter.IsZero() {
		return s.leaseOver(ctx, l, "nobody answered: it was suspended", "", now)
	}
	l.State, l.StateAt, l.Link = tenure.LeaseLapsed, now, ""
	return s.saveLease(ctx, l, "lease.lapse", l.Suspension, l.Rule.OffboardAfter.After(now))
}

// afterLapse requests the departure once the time after the suspension is over. What a person has done
// since counts: who resumed the tenant, or refused its suspension, has decided.
func (s *Service) afterLapse(ctx context.Context, l tenure.Lease, t store.TenantRow, now time.Time) error {
	if at := l.Rule.OffboardAfter.After(l.StateAt); now.Before(at) {
		return s.lookAgain(ctx, l, at)
	}
	if l.Suspension != "" {
		op, err := s.o.DB.Operation(ctx, l.Suspension)
		switch {
		case err != nil:
			return err
		case !op.State.Ended():
			return s.lookAgain(ctx, l, now.Add(time.Hour))
		case op.State != tenure.OperationSucceeded:
			return s.leaseOver(ctx, l, "its suspension was refused", "", now)
		}
	}
	back, err := s.o.DB.Operations(ctx, store.OperationFilter{Tenant: t.ID, Kind: tenure.Resume, Limit: 1})
	if err != nil {
		return err
	}
	if t.State != tenure.TenantSuspended || len(back) > 0 && back[0].CreatedAt.After(l.StateAt) && back[0].State == tenure.OperationSucceeded {
		return s.leaseOver(ctx, l, "a person resumed it", "", now)
	}
	op, err := s.leaseRequest(ctx, l, tenure.Offboard, "the lease ended on "+l.EndsAt.UTC().Format(time.DateOnly)+", and nobody answered")
	if err != nil {
		return err
	}
	return s.leaseOver(ctx, l, "nobody answered", op, now)
}

// leaseRequest asks for an operation in the lease's name, once: its trigger gives the same one again.
func (s *Service) leaseRequest(ctx context.Context, l tenure.Lease, kind tenure.OperationKind, reason string) (tenure.OperationID, error) {
	_, op, err := s.Request(ctx, Intent{Kind: kind, Tenant: string(l.Tenant), Reason: reason, Trigger: leaseKey(l, string(kind))}, leaseMachine)
	return op.ID, err
}

func (s *Service) leaseOver(ctx context.Context, l tenure.Lease, why string, departure tenure.OperationID, now time.Time) error {
	l.State, l.StateAt, l.Why, l.Departure = tenure.LeaseOver, now, why, departure
	if l.Answer == "" {
		l.Link = ""
	}
	return s.saveLease(ctx, l, "lease.over", departure, time.Time{})
}

func (s *Service) saveLease(ctx context.Context, l tenure.Lease, kind string, op tenure.OperationID, due time.Time) error {
	e, err := s.entry(ctx, kind, "", l.Tenant, op, string(l.Tenant), map[string]string{"ends": l.EndsAt.Format(time.RFC3339), "why": l.Why})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveLease(l, due); err != nil {
			return err
		}
		return tx.Log(e)
	})
}
