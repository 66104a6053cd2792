package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// Decider says what a caller may do: grants allow, and policies may deny further.
type Decider func(context.Context, tenure.Caller, tenure.Permission, tenure.Target) tenure.Decision

// Govern makes a decider decide beside the callers' grants. It is called once,
// before anybody asks.
func (s *Service) Govern(d Decider) { s.may = d }

func (s *Service) decide(ctx context.Context, c tenure.Caller, p tenure.Permission, t tenure.Target) tenure.Decision {
	if s.may == nil {
		return c.Decide(p, t)
	}
	return s.may(ctx, c, p, t)
}

// require refuses what the caller may not do: NotFound where they may not even know
// of the target.
func (s *Service) require(ctx context.Context, c tenure.Caller, p tenure.Permission, t tenure.Target) error {
	d := s.decide(ctx, c, p, t)
	switch {
	case d.Allowed:
		return nil
	case !d.Visible && t.Tenant != "":
		return tenure.Errorf(tenure.NotFound, "there is no such thing, or not for you")
	}
	return tenure.Errorf(tenure.Forbidden, "%s may not %s: %s", c.Name, p, d.Why)
}

// signer refuses who can't sign anything: nobody, and machines.
func signer(c tenure.Caller) error {
	if err := person(c.Name); err != nil {
		return err
	}
	if c.Kind == tenure.CallerMachine {
		return tenure.Errorf(tenure.Forbidden, "%s is a machine: only persons approve", c.Name)
	}
	return nil
}

func targetOf(t store.TenantRow) tenure.Target {
	return tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels}
}

// way is one of the rights by which somebody may sign: their own, or a delegator's.
type way struct {
	on    string // the delegator; "" in their own right
	roles []tenure.Role
}

// ways are the rights by which a caller may sign at an operation, their own first.
// None is Forbidden, or NotFound where they may not know of the operation.
func (s *Service) ways(ctx context.Context, tx *store.Tx, c tenure.Caller, op tenure.Operation) ([]way, error) {
	t, err := tx.Tenant(string(op.Tenant))
	if err != nil {
		return nil, err
	}
	out := s.waysOver(ctx, c, targetOf(t))
	if len(out) == 0 {
		return nil, s.require(ctx, c, tenure.OperationApprove, targetOf(t))
	}
	return out, nil
}

func (s *Service) waysOver(ctx context.Context, c tenure.Caller, t tenure.Target) []way {
	if c.Kind == tenure.CallerLocal {
		return []way{{roles: tenure.ApprovingRoles()}}
	}
	var from []string
	for _, g := range c.Grants {
		if !slices.Contains(from, g.Delegator) {
			from = append(from, g.Delegator)
		}
	}
	slices.Sort(from) // "" is the first
	var out []way
	for _, on := range from {
		only := c
		only.Grants = slices.DeleteFunc(slices.Clone(c.Grants), func(g tenure.Grant) bool { return g.Delegator != on })
		if !s.decide(ctx, only, tenure.OperationApprove, t).Allowed {
			continue
		}
		w := way{on: on}
		for _, g := range only.Grants {
			if g.May(tenure.OperationApprove) && g.Scope.Covers(t) && !slices.Contains(w.roles, g.Role) {
				w.roles = append(w.roles, g.Role)
			}
		}
		slices.Sort(w.roles)
		out = append(out, w)
	}
	return out
}

// counts finds the way by which the word counts at the gate, their own right before
// a delegator's; the refusal is that of the first.
func counts(op tenure.Operation, sign tenure.Signing, ways []way, l linked) (tenure.Signing, error) {
	sign.Delegations, sign.Answers = l.delegations, l.answers
	var first error
	for _, w := range ways {
		sign.For, sign.Roles = w.on, w.roles
		err := sign.Check(op)
		if err == nil {
			return sign, nil
		}
		if first == nil {
			first = err
		}
	}
	return sign, first
}

// linked is what couples somebody with others at an operation.
type linked struct {
	answers     string // who answers for the machine that requested it
	delegations []tenure.Delegation
}

// links reads what couples somebody with others at an operation, as a transaction
// sees it.
func links(tx *store.Tx, op tenure.Operation, name string, now time.Time) (out linked, err error) {
	if out.answers, err = answersFor(tx, op.RequestedBy); err != nil {
		return out, err
	}
	t, err := tx.Tenant(string(op.Tenant))
	if err != nil {
		return out, err
	}
	all, err := tx.DelegationsOf(name, now)
	out.delegations = covering(all, targetOf(t))
	return out, err
}

func covering(all []tenure.Delegation, t tenure.Target) []tenure.Delegation {
	return slices.DeleteFunc(slices.Clone(all), func(d tenure.Delegation) bool { return !d.Scope.Covers(t) })
}

// waitingSince is when a gate began to wait: when the last step that it needs had
// ended.
func waitingSince(op tenure.Operation, p *tenure.Plan, rows []store.StepRow, gate *tenure.Step) time.Time {
	at := op.CreatedAt
	for _, need := range gate.Needs {
		if i := stepIndex(p, need); i >= 0 && rows[i].EndedAt.After(at) {
			at = rows[i].EndedAt
		}
	}
	return at
}

// seal puts a person's name into an entry under the evidence key.
func (s *Service) seal(ctx context.Context, e *audit.Entry, field, value string) error {
	aead, err := s.o.Keys.AEAD(ctx, s.staff)
	if err != nil {
		return err
	}
	return e.Seal(aead, string(s.staff), field, []byte(value))
}
