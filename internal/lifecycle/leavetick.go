package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

const (
	leaveLot    = 50               // how many are looked at in a turn
	leaveRetry  = 10 * time.Minute // when one is looked at again at which nothing could be done
	leaveFollow = 10 * time.Second // how long after its event was made it is looked at what became of it
	leaveCalled = 1000             // tenants of one name or organization that are looked at
)

// TickLeaves looks at what came over the page, and does what is due at requests: it has those lapse
// that nobody answers, asks a contact who is new, and tells staff of those to which no rule led.
func (s *Service) TickLeaves(ctx context.Context, now time.Time) error {
	asks, err := s.o.DB.LeaveAsks(ctx, leaveLot)
	if err != nil {
		return err
	}
	var all error
	for _, a := range asks {
		if err := s.takeLeave(ctx, a, now); err != nil {
			all = errors.Join(all, fmt.Errorf("request to leave %s: %w", a.ID, err))
		}
	}
	due, err := s.o.DB.DueLeaveRequests(ctx, now, leaveLot)
	if err != nil {
		return errors.Join(all, err)
	}
	for _, l := range due {
		read, t, err := s.o.DB.VouchedLeave(ctx, l.ID)
		if err == nil {
			err = s.advanceLeave(ctx, read, t, now)
		}
		if err == nil {
			continue
		}
		all = errors.Join(all, fmt.Errorf("request to leave %s: %w", l.ID, err))
		if err := s.lookAtLeave(ctx, l, now.Add(leaveRetry)); err != nil {
			return errors.Join(all, err)
		}
	}
	return all
}

func (s *Service) lookAtLeave(ctx context.Context, l tenure.LeaveRequest, at time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.LookAtLeaveRequest(l, at) })
}

// leaveLook is when a request that waits is looked at again: at its end, and each hour in between,
// since the tenant may leave or have another contact.
func leaveLook(l tenure.LeaveRequest, now time.Time) time.Time {
	if hour := now.Add(time.Hour); hour.Before(l.ExpiresAt) {
		return hour
	}
	return l.ExpiresAt
}

// takeLeave looks whose request it is that came over the page. Nobody is written to but an address
// that belongs to the tenant. Rows that aren't as the log says are of nobody.
func (s *Service) takeLeave(ctx context.Context, a store.LeaveAsk, now time.Time) error {
	address, err := leaveAddress(a.Address) // the row may have been changed past Tenure
	var named []tenure.TenantID
	if err == nil {
		named, err = s.o.DB.TenantsCalled(ctx, a.Named, leaveCalled)
	}
	var own, bare []store.TenantRow
	var forged error
	for _, id := range named {
		t, err := s.o.DB.VouchedTenant(ctx, id)
		switch {
		case tenure.CodeOf(err) == tenure.Blocked:
			forged = errors.Join(forged, err)
		case err != nil:
			return err
		case mayLeave(t, address):
			own = append(own, t)
		case leaveContact(t) == "" && len(t.KnownBy.Domains) == 0 && t.State != tenure.TenantClosed:
			bare = append(bare, t)
		}
	}
	switch {
	case tenure.CodeOf(err) == tenure.Invalid: // nobody could have typed it
		return s.endAsk(ctx, a, now)
	case err != nil:
		return err
	case len(own) == 1:
		err = s.openLeave(ctx, a, own[0], address, now)
	case len(own) > 1:
		err = s.endAsk(ctx, a, now, s.leaveWhich(own, address, now)...)
	case len(bare) == 1:
		t := bare[0]
		err = s.endAsk(ctx, a, now, store.Notice{ID: "leave/bare/" + string(t.ID) + "/" + now.UTC().Format(time.DateOnly), Kind: tenure.NoticeLeave, Tenant: t.ID, Recipient: "platform", CreatedAt: now,
			Body: fmt.Sprintf("Somebody asks that %s leave, and gives the address %s. Nobody was written to: %s has neither a contact nor a mail domain by which that could be checked (tenure tenant known %s --domain DOMAIN).", t.Name, address, t.Name, t.Name)})
	default:
		err = s.endAsk(ctx, a, now)
	}
	return errors.Join(forged, err)
}

// leaveWhich asks which of several tenants is meant: in a notice for each, once a day, that names no
// other, since it is seen by who may see that tenant.
func (s *Service) leaveWhich(own []store.TenantRow, address string, now time.Time) (out []store.Notice) {
	for _, t := range own {
		n := store.Notice{ID: s.leaveDaily("many", t, address, now), Kind: tenure.NoticeLeave, Tenant: t.ID, Recipient: address, CreatedAt: now}
		out = append(out, written(n, s.LanguageOf(t), words.Of("leave.which", t.Name, t.ID, strings.TrimSuffix(s.o.URL, "/")+LeavePath)))
	}
	return out
}

// leaveDaily names what an address is told once a day of a tenant.
func (s *Service) leaveDaily(what string, t store.TenantRow, address string, now time.Time) string {
	return "leave/" + what + "/" + s.KeyedDigest("leave address", string(t.ID)+" "+address) + "/" + now.UTC().Format(time.DateOnly)
}

// endAsk ends what came over the page without a request, with notices or none.
func (s *Service) endAsk(ctx context.Context, a store.LeaveAsk, now time.Time, told ...store.Notice) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		first, err := tx.EndLeaveAsk(a.ID, now)
		for i := 0; err == nil && first && i < len(told); i++ {
			err = tx.AddNotice(told[i])
		}
		return err
	})
}

// openLeave makes a request of what came over the page, and sends its link to who asked. One that is
// open already, or more than a tenant's in an hour, makes none.
func (s *Service) openLeave(ctx context.Context, a store.LeaveAsk, t store.TenantRow, address string, now time.Time) error {
	gone, err := s.leaves(ctx, t)
	if err != nil {
		return err
	}
	if gone {
		n := store.Notice{ID: s.leaveDaily("gone", t, address, now), Kind: tenure.NoticeLeave, Tenant: t.ID, Recipient: address, CreatedAt: now}
		return s.endAsk(ctx, a, now, written(n, s.LanguageOf(t), words.Of("leave.gone", t.Name)))
	}
	l := tenure.LeaveRequest{ID: a.ID, Tenant: t.ID, Requester: address, Reason: a.Reason, AskedAt: now, ExpiresAt: now.Add(tenure.LeaveConfirmWithin), State: tenure.LeaveAsked}
	n := written(leaveNotice(l, "link", address, "", now), s.LanguageOf(t), words.Of("leave.link", t.Name, s.linkTo(LeavePath+"/", s.leaveSecret(l, tenure.LeaveRequester))))
	e, err := s.entry(ctx, "leave.request", "", t.ID, "", string(l.ID), map[string]string{"expires": l.ExpiresAt.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	contact := leaveContact(t)
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		first, err := tx.EndLeaveAsk(a.ID, now)
		if err != nil || !first {
			return err
		}
		open, others, err := tx.LeaveRequestsOf(t.ID, address, contact, now.Add(-time.Hour))
		if err != nil || open > 0 || address != contact && others >= leavesOfOthers {
			return err
		}
		if err := tx.SaveLeaveRequest(l, l.ExpiresAt); err != nil {
			return err
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// advanceLeave takes a request one step on.
func (s *Service) advanceLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, now time.Time) error {
	switch l.State {
	case tenure.LeaveConfirmed:
		return s.followLeave(ctx, l, t, now)
	case tenure.LeaveAsked:
		if now.Before(l.ExpiresAt) {
			return s.lookAtLeave(ctx, l, l.ExpiresAt)
		}
		return s.endLeave(ctx, l, t, tenure.LeaveLapsed, "", "", words.Of("leave.why.unconfirmed"))
	case tenure.LeaveWaiting:
	default:
		return s.lookAtLeave(ctx, l, time.Time{})
	}
	gone, err := s.leaves(ctx, t)
	contact := leaveContact(t)
	switch {
	case err != nil:
		return err
	case gone:
		return s.endLeave(ctx, l, t, tenure.LeaveLapsed, "", "", words.Of("leave.why.leaves", t.Name))
	case !now.Before(l.ExpiresAt):
		return s.lapseLeave(ctx, l, t, now)
	case contact == l.Contact:
		return s.lookAtLeave(ctx, l, leaveLook(l, now))
	case contact == l.Requester: // who has confirmed it already
		return s.confirmLeave(ctx, l, t, tenure.LeaveRequester, "")
	}
	return s.askContact(ctx, l, t, "leave.ask")
}

// lapseLeave ends a request that nobody answered. A contact to whom no mail arrived wasn't asked, and
// so staff is told.
func (s *Service) lapseLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, now time.Time) error {
	why := words.Of("leave.why.silent")
	var more []store.Notice
	if l.Contact != "" {
		why = words.Of("leave.why.contact", t.Name)
		sent, err := s.o.DB.NoticeSentAt(ctx, leaveNotice(l, leaveAsking(l.LinkedAt), "", "", now).ID)
		if err != nil {
			return err
		}
		if sent.IsZero() {
			more = append(more, leaveNotice(l, "unasked", "platform", fmt.Sprintf("The request of %s that %s leave has lapsed, and its contact was never asked: no mail arrived at %s. See tenure notice list, and get in touch with them.", l.Requester, t.Name, l.Contact), now))
		}
	}
	return s.endLeave(ctx, l, t, tenure.LeaveLapsed, "", "", why, more...)
}

// followLeave looks what became of a request's event. Staff is told where no rule led to anything.
func (s *Service) followLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, now time.Time) error {
	e, err := s.o.DB.Inbound(ctx, l.Event)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return s.lookAtLeave(ctx, l, time.Time{})
	case err != nil:
		return err
	case e.State == store.InboundReceived:
		return s.lookAtLeave(ctx, l, now.Add(time.Minute))
	case e.State == store.InboundActed, e.State == store.InboundDismissed:
		return s.lookAtLeave(ctx, l, time.Time{})
	}
	why := e.Why
	if why == "" {
		why = "no rule is for it"
	}
	body := fmt.Sprintf("%s asks to leave, confirmed by its %s, and no departure was requested: event %s is %s (%s). See tenure inbound show %s; to have it leave: tenure tenant offboard %s.", t.Name, l.DecidedAs, e.ID, e.State, why, e.ID, t.Name)
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddNotice(leaveNotice(l, "without", "platform", body, now)); err != nil {
			return err
		}
		return tx.LookAtLeaveRequest(l, time.Time{})
	})
}
