package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// CarryReviews carries out what access reviews decided about tenants: an
// agreement ends or narrows at once; an account is revoked, or its tenant
// changed, by an operation whose plan somebody else approves, one for each
// tenant, reviewer and answer. What can't be begun now, as another operation is
// at work, is tried again on the next call; what an ended operation came to is
// written down. It is idempotent, and cheap when nothing is due.
func (s *Service) CarryReviews(ctx context.Context) error {
	ended, err := s.o.DB.CarriedItems(ctx)
	if err != nil {
		return err
	}
	for _, it := range ended {
		if err := s.carried(ctx, it); err != nil {
			return err
		}
	}
	items, err := s.o.DB.PendingItems(ctx)
	if err != nil {
		return err
	}
	var order []reviewLot
	lots := make(map[reviewLot][]store.ReviewItem)
	for _, it := range items {
		if it.Kind != tenure.ReviewAccount {
			if err := s.carryOne(ctx, it); err != nil {
				return err
			}
			continue
		}
		lot := reviewLot{it.Campaign, it.Tenant, it.DecidedBy, it.Decision, 0}
		if it.Decision == tenure.ReviewChange {
			lot.seq = it.Seq // each has parameters of its own
		}
		if lots[lot] == nil {
			order = append(order, lot)
		}
		lots[lot] = append(lots[lot], it)
	}
	for _, lot := range order {
		if err := s.carryAccounts(ctx, lot, lots[lot]); err != nil {
			return err
		}
	}
	return nil
}

// carryOne carries out what takes no operation.
func (s *Service) carryOne(ctx context.Context, it store.ReviewItem) error {
	switch it.Kind {
	case tenure.ReviewStanding:
		return s.carryStanding(ctx, it)
	case tenure.ReviewCredential: // Tenure only reads where it comes from
		return s.outcome(ctx, it, "", "not taken back by Tenure: whoever runs the system takes it back there, and gives Tenure another in systems.yaml")
	}
	return s.carryAgreement(ctx, it)
}

// carryStanding ends a standing approval.
func (s *Service) carryStanding(ctx context.Context, it store.ReviewItem) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		st, err := tx.Standing(tenure.StandingID(it.Subject))
		if err != nil {
			return err
		}
		outcome := "it had ended already"
		if st.State != tenure.StandingEnded {
			outcome = "ended"
			if err := s.endStanding(ctx, tx, &st, it.DecidedBy); err != nil {
				return err
			}
		}
		return tx.CarryItem(it.Campaign, it.Seq, "", outcome)
	})
}

// TickRevocations is CarryReviews as a part of what time makes due.
func (s *Service) TickRevocations(ctx context.Context, _ time.Time) error {
	return s.CarryReviews(ctx)
}

// reviewLot are the items that one operation carries out.
type reviewLot struct {
	campaign tenure.CampaignID
	tenant   tenure.TenantID
	by       string
	decision tenure.ReviewDecision
	seq      int
}

// carryAccounts begins the operation of a lot. The trigger makes a repetition
// after a crash find the operation that was begun.
func (s *Service) carryAccounts(ctx context.Context, lot reviewLot, items []store.ReviewItem) error {
	by := lot.by
	if by == "" { // by the campaign's rule: in the name of who set it
		c, err := s.o.DB.Campaign(ctx, lot.campaign)
		if err != nil {
			return err
		}
		by = c.CreatedBy
	}
	in := Intent{
		Kind: tenure.Revoke, Tenant: string(lot.tenant), Reason: "decided in review " + string(lot.campaign),
		Trigger: fmt.Sprintf("review:%s:%s:%s:%d", lot.campaign, lot.tenant, lot.decision, items[0].Seq),
	}
	if lot.decision == tenure.ReviewChange {
		in.Kind, in.Parameters = tenure.Change, items[0].ChangeTo.Parameters
	}
	var live []store.ReviewItem
	for _, it := range items {
		r, err := s.o.DB.Resource(ctx, tenure.ResourceID(it.Subject))
		if err != nil {
			return err
		}
		if r.State == tenure.ResourceGone || r.State == tenure.ResourceRevoked && lot.decision == tenure.ReviewRevoke {
			if err := s.outcome(ctx, it, "", "it gave no access any more: "+string(r.State)); err != nil {
				return err
			}
			continue
		}
		in.Resources = append(in.Resources, string(r.ID))
		live = append(live, it)
	}
	if len(live) == 0 {
		return nil
	}
	if lot.decision == tenure.ReviewChange {
		in.Resources = nil
	}
	op, err := s.begin(ctx, in, live, by)
	if err != nil || op.ID == "" {
		return err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return err
	}
	for _, it := range live {
		// After a crash the operation may be older than an item of the lot, which
		// then gets one of its own on the next call.
		if in.Kind == tenure.Revoke && !slices.ContainsFunc(p.Resources, func(r tenure.PlannedResource) bool { return string(r.ID) == it.Subject }) {
			continue
		}
		if err := s.outcome(ctx, it, op.ID, ""); err != nil {
			return err
		}
	}
	return nil
}

// begin starts the operation that carries items out, or finds the one that was
// started. The zero row says that there is none: the items have their outcome, or
// wait for the next call.
func (s *Service) begin(ctx context.Context, in Intent, items []store.ReviewItem, by string) (op store.OperationRow, err error) {
	if op, ok, err := s.triggered(ctx, in.Trigger); err != nil || ok {
		return op, err
	}
	tenant := items[0].Tenant
	if busy, err := s.busy(ctx, tenant, in.Kind, items); err != nil || busy {
		return op, err
	}
	p, err := s.Plan(ctx, in, by)
	if err == nil {
		op, err = s.Start(ctx, p.Digest, in, by)
	}
	switch code := tenure.CodeOf(err); code {
	case "", tenure.Internal, tenure.Unauthorized:
		return op, err
	case tenure.Conflict, tenure.Unavailable, tenure.Blocked:
		if in.Kind == tenure.Revoke || p != nil || code != tenure.Conflict {
			return store.OperationRow{}, s.leftTenant(ctx, tenant, items)
		}
	}
	for _, it := range items {
		if err := s.outcome(ctx, it, "", "not carried out: "+string(tenure.CodeOf(err))); err != nil {
			return op, err
		}
	}
	return store.OperationRow{}, nil
}

// busy says whether the tenant has an operation at work, or an open one of the
// same kind, that excludes another: asked before anything is planned, so that a
// wait makes no plan again and again.
func (s *Service) busy(ctx context.Context, tenant tenure.TenantID, kind tenure.OperationKind, items []store.ReviewItem) (busy bool, err error) {
	ids := make([]tenure.ResourceID, len(items))
	for i, it := range items {
		ids[i] = tenure.ResourceID(it.Subject)
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		at, err := tx.ActiveExcluding(kind, ids)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperation(tenant, kind)
		busy = at != "" || open != ""
		return err
	})
	return busy, err
}

// leftTenant gives items of a tenant whose access is being cut anyway their
// outcome: no revocation is begun any more.
func (s *Service) leftTenant(ctx context.Context, tenant tenure.TenantID, items []store.ReviewItem) error {
	t, err := s.o.DB.Tenant(ctx, string(tenant))
	if err != nil {
		return err
	}
	if !leaving(t.State) {
		return nil
	}
	for _, it := range items {
		if err := s.outcome(ctx, it, "", "its tenant's access is cut by the offboarding"); err != nil {
			return err
		}
	}
	return nil
}

// outcome notes what an item has come to.
func (s *Service) outcome(ctx context.Context, it store.ReviewItem, op tenure.OperationID, outcome string) error {
	facts := map[string]string{"campaign": string(it.Campaign), "item": fmt.Sprint(it.Seq)}
	if outcome != "" {
		facts["outcome"] = outcome
	}
	e, err := s.entry(ctx, "review.carry", "", it.Tenant, op, it.Subject, facts)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.CarryItem(it.Campaign, it.Seq, op, outcome); err != nil {
			return err
		}
		if strings.HasPrefix(outcome, "not ") {
			err := tx.AddNotice(store.Notice{
				ID: fmt.Sprintf("review/%s/%d", it.Campaign, it.Seq), Kind: tenure.NoticeReviewFinding, Tenant: it.Tenant, Operation: op, Recipient: "platform", CreatedAt: s.Now(),
				Body: fmt.Sprintf("a review decided to %s %s, and it was %s", it.Decision, it.Subject, outcome),
			})
			if err != nil {
				return err
			}
		}
		return tx.Log(e)
	})
}

// carried writes down what an ended operation came to.
func (s *Service) carried(ctx context.Context, it store.ReviewItem) error {
	op, err := s.o.DB.Operation(ctx, it.Operation)
	if err != nil {
		return err
	}
	did := map[tenure.ReviewDecision]string{tenure.ReviewRevoke: "revoked", tenure.ReviewChange: "changed"}[it.Decision]
	if op.State != tenure.OperationSucceeded {
		did = "not " + did + ": the operation " + string(op.State)
	}
	return s.outcome(ctx, it, it.Operation, did)
}

// carryAgreement ends or narrows an agreement or export grant.
func (s *Service) carryAgreement(ctx context.Context, it store.ReviewItem) error {
	e, err := s.entry(ctx, "agreement.narrow", it.DecidedBy, it.Tenant, "", it.Subject, map[string]string{"campaign": string(it.Campaign)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		a, err := tx.Agreement(tenure.AgreementID(it.Subject))
		if err != nil {
			return err
		}
		outcome := "it had ended already"
		switch {
		case !a.EndedAt.IsZero():
		case it.Decision == tenure.ReviewRevoke:
			outcome = "ended"
			err = s.endAgreement(ctx, tx, a, "", it.DecidedBy, "decided in review "+string(it.Campaign))
		default:
			var n tenure.Agreement
			if n, err = a.Narrowed(*it.ChangeTo, s.Now()); err != nil {
				outcome, err = "not changed: "+string(tenure.CodeOf(err)), nil // its ground moved since
				break
			}
			outcome = "narrowed"
			if err = tx.NarrowAgreement(n); err == nil {
				err = tx.Log(e)
			}
		}
		if err != nil {
			return err
		}
		return tx.CarryItem(it.Campaign, it.Seq, "", outcome)
	})
}
