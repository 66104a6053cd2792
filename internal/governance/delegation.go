package governance

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Delegate gives a person's approvals into another person's hands for a while: over
// at most what the delegator's own grants cover, and never what somebody has by
// another's delegation or by an elevation. It is the delegator who asks. A zero
// StartsAt is now.
func (g *Governor) Delegate(ctx context.Context, c tenure.Caller, d tenure.Delegation) (tenure.Delegation, error) {
	now := g.Now()
	d.ID, d.From, d.CreatedAt, d.RevokedAt, d.RevokedBy = tenure.NewID[tenure.DelegationID](now), c.Name, now, time.Time{}, ""
	d.Reason, d.To = strings.TrimSpace(strings.ReplaceAll(d.Reason, "\r\n", "\n")), strings.TrimSpace(d.To)
	if d.StartsAt.IsZero() {
		d.StartsAt = now
	}
	d.StartsAt, d.EndsAt = d.StartsAt.UTC().Truncate(time.Microsecond), d.EndsAt.UTC().Truncate(time.Microsecond)
	if c.Kind == tenure.CallerMachine {
		return d, tenure.Errorf(tenure.Forbidden, "a machine approves nothing and delegates nothing")
	}
	if !c.Limit.IsZero() && !d.Scope.Within(c.Limit) {
		return d, tenure.Errorf(tenure.Forbidden, "the token is only for %s", c.Limit)
	}
	if err := g.denied(c, tenure.OperationApprove, tenure.Target{}); err != nil { // what a policy keeps from one isn't lent
		return d, err
	}
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error { return g.saveDelegation(ctx, tx, d, now) })
	return d, err
}

func (g *Governor) saveDelegation(ctx context.Context, tx *store.Tx, d tenure.Delegation, now time.Time) error {
	from, err := tx.Principal(d.From)
	if err != nil {
		return err
	}
	own, err := tx.Grants(from.ID)
	if err != nil {
		return err
	}
	if err := d.Check(own, now); err != nil {
		return err
	}
	to, err := tx.Principal(d.To)
	if err != nil {
		return err
	}
	switch {
	case to.Kind != tenure.CallerPerson:
		return tenure.Errorf(tenure.Invalid, "%s is a machine: only persons approve", to.Name)
	case to.Disabled || from.Disabled:
		return tenure.Errorf(tenure.Conflict, "one of the two is disabled")
	}
	have, err := tx.Grants(to.ID)
	if err != nil {
		return err
	}
	at := d.StartsAt
	if at.Before(now) {
		at = now
	}
	for _, gr := range d.Grants(own, at) { // static separation of duties holds here too
		if err := tenure.CheckGrant(have, gr, now); err != nil {
			return err
		}
	}
	if err := tx.SaveDelegation(d); err != nil {
		return err
	}
	e, err := g.o.Entry(ctx, "delegation.give", d.From, "", "", string(d.ID), map[string]string{"to": string(to.ID), "scope": d.Scope.String(), "until": d.EndsAt.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// RevokeDelegation ends a delegation at once: who gave it, who got it, or somebody
// who manages access. For others it isn't there. Words given under it stay, and
// count once with the delegator's.
func (g *Governor) RevokeDelegation(ctx context.Context, c tenure.Caller, id tenure.DelegationID) (tenure.Delegation, error) {
	var d tenure.Delegation
	now := g.Now()
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if d, err = tx.Delegation(id); err != nil {
			return Hidden()
		}
		if !tenure.SamePerson(c.Name, d.From) && !tenure.SamePerson(c.Name, d.To) {
			if !within(c, tenure.AccessManage, d.Scope) {
				return Hidden()
			}
			if err := g.mayOver(c, tenure.AccessManage, d.Scope); err != nil {
				return err
			}
		}
		if !d.RevokedAt.IsZero() {
			return nil
		}
		if err := tx.RevokeDelegation(id, c.Name, now); err != nil {
			return err
		}
		d.RevokedAt, d.RevokedBy = now, c.Name
		e, err := g.o.Entry(ctx, "delegation.revoke", c.Name, "", "", string(id), nil)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return d, err
}

// Delegations lists the caller's own, given and got; with everybody those of others
// too, for who reads access over the whole installation.
func (g *Governor) Delegations(ctx context.Context, c tenure.Caller, everybody, ended bool) ([]tenure.Delegation, error) {
	name := c.Name
	if everybody {
		if err := g.Require(ctx, c, tenure.AccessRead, tenure.Target{}); err != nil {
			return nil, err
		}
		name = ""
	}
	return g.o.DB.Delegations(ctx, name, ended, g.Now())
}

// delegated are the grants that a person has by others' delegations at now: of each
// delegator who isn't disabled, what they have themselves at this moment.
func delegatedIn(ctx context.Context, db *store.DB, name string, now time.Time) (out []tenure.Grant, err error) {
	list, err := db.DelegationsTo(ctx, name, now)
	for _, d := range list {
		from, err := db.Principal(ctx, d.From)
		if err != nil {
			return nil, err
		}
		if from.Disabled {
			continue
		}
		own, err := db.Grants(ctx, from.ID, false)
		if err != nil {
			return nil, err
		}
		out = append(out, d.Grants(own, now)...)
	}
	return out, err
}
