package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// ProposeStanding writes a standing approval's rule. It starts nothing until two
// other persons have reviewed it.
func (s *Service) ProposeStanding(ctx context.Context, c tenure.Caller, rule tenure.StandingRule) (tenure.Standing, error) {
	if err := signer(c); err != nil {
		return tenure.Standing{}, err
	}
	now := s.Now()
	rule.EndsAt = rule.EndsAt.UTC().Truncate(time.Microsecond)
	if err := rule.Check(now); err != nil {
		return tenure.Standing{}, err
	}
	if err := s.speaksFor(c, tenure.StandingPropose, rule); err != nil {
		return tenure.Standing{}, err
	}
	digest, err := rule.Digest()
	if err != nil {
		return tenure.Standing{}, err
	}
	st := tenure.Standing{ID: tenure.NewID[tenure.StandingID](now), Rule: rule, Digest: digest, State: tenure.StandingProposed, ProposedBy: c.Name, ProposedAt: now}
	e, err := s.entry(ctx, "standing.propose", c.Name, "", "", string(st.ID), map[string]string{"rule": digest})
	if err != nil {
		return st, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Blueprint(rule.Blueprint, "", ""); err != nil {
			return err
		}
		if err := tx.SaveStanding(st); err != nil {
			return err
		}
		return tx.Log(e)
	})
	st.Version = 1
	return st, err
}

// speaksFor refuses a caller whose permission doesn't reach over all that a rule
// can be for.
func (s *Service) speaksFor(c tenure.Caller, p tenure.Permission, rule tenure.StandingRule) error {
	reach, limit := c.Reach(p)
	if !rule.Within(reach) || !rule.Within(limit) {
		return tenure.Errorf(tenure.Forbidden, "the rule is for more tenants than %s's %s reaches (%s)", c.Name, p, reach).WithHint("narrow it to tiers or labels of your grants")
	}
	return nil
}

// ReviewStanding signs a rule's digest. The second person's signature makes it
// active; neither is the proposer, or who answers for the rule's source.
func (s *Service) ReviewStanding(ctx context.Context, c tenure.Caller, id tenure.StandingID, digest string) (tenure.Standing, error) {
	var st tenure.Standing
	if err := signer(c); err != nil {
		return st, err
	}
	if err := s.o.DB.VouchedRow(ctx, "standing", string(id)); err != nil { // a first review that nobody gave isn't counted with the second
		return st, err
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if st, err = tx.Standing(id); err != nil {
			return err
		}
		if err := s.speaksFor(c, tenure.StandingApprove, st.Rule); err != nil {
			return err
		}
		answers, err := answersFor(tx, st.Rule.Source)
		if err != nil {
			return err
		}
		now := s.Now()
		if st, err = st.Review(tenure.StandingReview{By: c.Name, Digest: digest, Roles: rolesOver(c, st.Rule), At: now}, answers); err != nil {
			return err
		}
		if err := tx.SaveStanding(st); err != nil {
			return err
		}
		st.Version++
		e, err := s.entry(ctx, "standing.review", c.Name, "", "", string(id), map[string]string{"rule": st.Digest, "state": string(st.State)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return st, err
}

// rolesOver are the approving roles that a reviewer has over all that a rule can be
// for: what their signature is worth at a gate that asks for roles.
func rolesOver(c tenure.Caller, rule tenure.StandingRule) (out []tenure.Role) {
	for _, role := range tenure.ApprovingRoles() {
		var reach tenure.Scope
		for _, g := range c.Grants {
			if g.Role == role && g.Delegator == "" && g.May(tenure.OperationApprove) {
				reach = reach.Union(g.Scope)
			}
		}
		if c.Kind == tenure.CallerLocal || rule.Within(reach) {
			out = append(out, role)
		}
	}
	return out
}

// answersFor is the person who answers for a machine; "" for a person and for a
// name that no principal has.
func answersFor(tx *store.Tx, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	p, err := tx.Principal(name)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return "", nil
	case err != nil:
		return "", err
	}
	return p.Owner, nil
}

// countsAs is the person as whom a name counts: who answers for a machine, and a
// person as themselves.
func countsAs(tx *store.Tx, name string) (string, error) {
	answers, err := answersFor(tx, name)
	if answers == "" {
		answers = name
	}
	return answers, err
}

// onePerson says whether two names are one pair of eyes: the same person, or
// machines of theirs.
func onePerson(tx *store.Tx, a, b string) (bool, error) {
	x, err := countsAs(tx, a)
	if err != nil {
		return false, err
	}
	y, err := countsAs(tx, b)
	return tenure.SamePerson(x, y), err
}

// EndStanding ends a standing approval at once: who proposed it, or who may approve
// over all that it is for. What it started goes on.
func (s *Service) EndStanding(ctx context.Context, c tenure.Caller, id tenure.StandingID) (tenure.Standing, error) {
	var st tenure.Standing
	if err := signer(c); err != nil {
		return st, err
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if st, err = tx.Standing(id); err != nil {
			return err
		}
		if !tenure.SamePerson(c.Name, st.ProposedBy) {
			if err := s.speaksFor(c, tenure.StandingApprove, st.Rule); err != nil {
				return err
			}
		}
		return s.endStanding(ctx, tx, &st, c.Name)
	})
	return st, err
}

func (s *Service) endStanding(ctx context.Context, tx *store.Tx, st *tenure.Standing, by string) error {
	if st.State == tenure.StandingEnded {
		return nil
	}
	*st = st.End(by, s.Now())
	if err := tx.SaveStanding(*st); err != nil {
		return err
	}
	st.Version++
	e, err := s.entry(ctx, "standing.end", by, "", "", string(st.ID), map[string]string{"rule": st.Digest})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// Standings lists standing approvals, the latest first; with ended those that are
// over too.
func (s *Service) Standings(ctx context.Context, ended bool) ([]tenure.Standing, error) {
	return s.o.DB.Standings(ctx, ended)
}

// Standing shows one.
func (s *Service) Standing(ctx context.Context, id tenure.StandingID) (tenure.Standing, error) {
	return s.o.DB.StandingApproval(ctx, id)
}

// StandingStarts lists what standing approvals started, the oldest first.
func (s *Service) StandingStarts(ctx context.Context, f store.StartFilter) ([]store.StandingStart, error) {
	return s.o.DB.StandingStarts(ctx, f)
}

// SeeStandingStart records that a person has looked at what was started with no
// hands: somebody who may approve standing approvals, and who didn't ask for it.
func (s *Service) SeeStandingStart(ctx context.Context, c tenure.Caller, id tenure.OperationID) (store.StandingStart, error) {
	var start store.StandingStart
	if err := signer(c); err != nil {
		return start, err
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if start, err = tx.StandingStart(id); err != nil {
			return err
		}
		op, err := tx.Operation(id)
		if err != nil {
			return err
		}
		t, err := tx.Tenant(string(op.Tenant))
		if err != nil {
			return err
		}
		if err := s.require(ctx, c, tenure.StandingApprove, targetOf(t)); err != nil {
			return err
		}
		answers, err := answersFor(tx, op.RequestedBy)
		switch {
		case err != nil:
			return err
		case tenure.SamePerson(c.Name, op.RequestedBy) || tenure.SamePerson(c.Name, answers):
			return tenure.Errorf(tenure.Forbidden, "%s asked for it, or answers for who did; another person looks at it", c.Name)
		case !start.ReviewedAt.IsZero():
			return nil
		}
		now := s.Now()
		if err := tx.SeeStandingStart(id, c.Name, now); err != nil {
			return err
		}
		if err := tx.ResolveUnseen([]tenure.FindingKind{tenure.FindingUnseenStart}, "", op.Tenant, nil, now); err != nil {
			return err
		}
		start.ReviewedBy, start.ReviewedAt = c.Name, now
		e, err := s.entry(ctx, "standing.seen", c.Name, op.Tenant, id, string(start.Standing), nil)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return start, err
}

// standings are the standing approvals that may open a plan's gate: those that are as
// the log says.
func (s *Service) standings(ctx context.Context, p *tenure.Plan) (out []tenure.StandingID, err error) {
	if tenure.OnlyCreates(p) != "" {
		return nil, nil
	}
	all, err := s.o.DB.Standings(ctx, false)
	if err != nil {
		return nil, err
	}
	for _, st := range all {
		switch err := s.o.DB.VouchedRow(ctx, "standing", string(st.ID)); {
		case err == nil:
			out = append(out, st.ID)
		case tenure.CodeOf(err) != tenure.Blocked:
			return nil, err
		}
	}
	return out, nil
}

// startStanding lets a standing approval that covers a plan open its approval gate,
// in the transaction that starts it. Where none does, the gate waits for hands.
func (s *Service) startStanding(ctx context.Context, tx *store.Tx, p *tenure.Plan, op tenure.Operation, vouched []tenure.StandingID, trigger string, now time.Time) error {
	if len(vouched) == 0 {
		return nil
	}
	var gate *tenure.Step
	for i := range p.Steps {
		if p.Steps[i].Key == tenure.ApprovalKey {
			gate = &p.Steps[i]
		}
	}
	if gate == nil {
		return nil
	}
	rules, err := tx.StandingsIn(tenure.StandingActive)
	if err != nil || len(rules) == 0 {
		return err
	}
	facts := tenure.StartFacts{By: op.RequestedBy, Trigger: trigger}
	if facts.Answers, err = answersFor(tx, op.RequestedBy); err != nil {
		return err
	}
	for _, st := range rules {
		if !slices.Contains(vouched, st.ID) || st.Starts(p, op, gate, facts, 0, now) != "" {
			continue
		}
		today, err := tx.CountStarts(st.ID, now.Add(-24*time.Hour))
		if err != nil {
			return err
		}
		if st.Starts(p, op, gate, facts, today, now) != "" {
			continue
		}
		return s.openByStanding(ctx, tx, p, op, gate, st, now)
	}
	return nil
}

func (s *Service) openByStanding(ctx context.Context, tx *store.Tx, p *tenure.Plan, op tenure.Operation, gate *tenure.Step, st tenure.Standing, now time.Time) error {
	err := tx.Approve(tenure.Approval{Operation: op.ID, Step: gate.Key, Digest: op.Plan, By: tenure.StandingSigner + string(st.ID), At: now, Note: "standing approval " + st.Rule.Name})
	if err != nil {
		return err
	}
	start := store.StandingStart{Standing: st.ID, Operation: op.ID, Tenant: op.Tenant, Resources: len(p.Resources), At: now}
	if err := tx.SaveStandingStart(start); err != nil {
		return err
	}
	e, err := s.entry(ctx, "approval.standing", "", op.Tenant, op.ID, string(st.ID), map[string]string{"gate": gate.Key, "plan": op.Plan, "rule": st.Digest, "resources": fmt.Sprint(start.Resources)})
	if err != nil {
		return err
	}
	return tx.Log(e)
}
