package governance

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// MaxTokenLife is the longest that a token is good for.
const MaxTokenLife = 366 * 24 * time.Hour

// NewToken makes a token for a principal and gives its text, which is shown this
// once. It can only narrow what the principal may do.
func (g *Governor) NewToken(ctx context.Context, c tenure.Caller, principal string, t store.Token) (store.Token, tenure.Secret, error) {
	now := g.Now()
	if t.Name == "" || len(t.Name) > 100 {
		return t, tenure.Secret{}, tenure.Errorf(tenure.Invalid, "a token's name has 1 to 100 bytes")
	}
	if !t.ExpiresAt.After(now) || t.ExpiresAt.Sub(now) > MaxTokenLife {
		return t, tenure.Secret{}, tenure.Errorf(tenure.Invalid, "a token ends within 366 days, and not before now")
	}
	if !t.Limit.IsZero() {
		if err := t.Limit.Check(); err != nil {
			return t, tenure.Secret{}, err
		}
	}
	for _, p := range t.Only {
		if !slices.ContainsFunc(tenure.Roles, func(r tenure.Role) bool { return r.May(p) }) {
			return t, tenure.Secret{}, tenure.Errorf(tenure.Invalid, "there is no permission %q", p)
		}
	}
	text, hash := newSecret(tokenPrefix)
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		p, err := tx.Principal(principal)
		if err != nil {
			if tenure.CodeOf(err) == tenure.NotFound && !c.May(tenure.AccessRead) {
				return tenure.Errorf(tenure.Forbidden, "only who answers for a machine, or an admin, makes a token for it")
			}
			return err
		}
		if p.Disabled {
			return tenure.Errorf(tenure.Conflict, "%s is disabled", p.Name)
		}
		mine := tenure.SamePerson(p.Name, c.Name) || tenure.SamePerson(p.Owner, c.Name)
		if !mine && p.Kind == tenure.CallerPerson && c.Kind != tenure.CallerLocal {
			return tenure.Errorf(tenure.Forbidden, "a person's token is made by that person alone: it speaks in their name")
		}
		if !mine && !g.Decide(ctx, c, tenure.AccessManage, tenure.Target{}).Allowed {
			return tenure.Errorf(tenure.Forbidden, "only who answers for a machine, or an admin, makes a token for it")
		}
		t.Limit.Tenants = slices.Clone(t.Limit.Tenants)
		for i, name := range t.Limit.Tenants {
			row, err := tx.Tenant(string(name))
			if err == nil && !c.Sees(TargetOf(row)) {
				err = Hidden()
			}
			if err != nil {
				return err
			}
			t.Limit.Tenants[i] = row.ID
		}
		t.ID, t.Principal, t.CreatedBy, t.CreatedAt = tenure.NewID[tenure.TokenID](now), p.ID, c.Name, now
		t.Strong = p.Kind == tenure.CallerPerson && (c.Strong && mine || c.Kind == tenure.CallerLocal) // who has the folder has its keys

		if tenure.SamePerson(p.Name, c.Name) && c.Token != "" { // nor one that outlives it: a leaked one would never end
			asks, err := tx.Token(c.Token)
			if err != nil {
				return err
			}
			if t.ExpiresAt.After(asks.ExpiresAt) {
				return tenure.Errorf(tenure.Forbidden, "the new token would outlive the one that asks for it, which ends at %s", asks.ExpiresAt.Format(time.RFC3339)).
					WithHint("ask for one that ends before, or make it on the dashboard's Access page, signed in")
			}
		}
		if mine && c.Token != "" { // a token can't make one that may more than itself
			if t.Limit.IsZero() {
				t.Limit = c.Limit
			}
			if !c.Limit.IsZero() && !t.Limit.Within(c.Limit) {
				return tenure.Errorf(tenure.Forbidden, "the new token would reach further than the one that asks for it")
			}
			if len(t.Only) == 0 {
				t.Only = c.Only
			}
			if len(c.Only) > 0 && slices.ContainsFunc(t.Only, func(p tenure.Permission) bool { return !slices.Contains(c.Only, p) }) {
				return tenure.Errorf(tenure.Forbidden, "the new token would be for more than the one that asks for it")
			}
		}
		if err := tx.SaveToken(t, hash); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "token.make", c.Name, "", "", string(t.ID), map[string]string{"principal": string(p.ID), "expires": t.ExpiresAt.Format(time.RFC3339)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return t, text, err
}

// RevokeToken ends a token: its own principal's, one of a machine that the caller
// answers for, or any for who manages access.
func (g *Governor) RevokeToken(ctx context.Context, c tenure.Caller, id tenure.TokenID) error {
	now := g.Now()
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.Token(id)
		if err != nil {
			return err
		}
		if err := g.mineOr(ctx, tx, c, t.Principal); err != nil {
			return err
		}
		if err := tx.RevokeToken(id, now); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "token.revoke", c.Name, "", "", string(id), nil)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// RevokeSession signs a browser out: one's own, or anybody's for who manages
// access.
func (g *Governor) RevokeSession(ctx context.Context, c tenure.Caller, id tenure.SessionID) error {
	now := g.Now()
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		s, err := tx.Session(id)
		if err != nil {
			return err
		}
		if err := g.mineOr(ctx, tx, c, s.Principal); err != nil {
			return err
		}
		if err := tx.RevokeSession(id, now); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "session.revoke", c.Name, "", "", string(id), nil)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// mineOr lets through who a credential belongs to, and who manages access; for
// others it isn't there.
func (g *Governor) mineOr(ctx context.Context, tx *store.Tx, c tenure.Caller, owner tenure.PrincipalID) error {
	if owner == c.Principal && owner != "" || c.Kind == tenure.CallerLocal {
		return nil
	}
	p, err := tx.Principal(string(owner))
	if err != nil {
		return err
	}
	if tenure.SamePerson(p.Owner, c.Name) {
		return nil
	}
	if g.Decide(ctx, c, tenure.AccessManage, tenure.Target{}).Allowed {
		return nil
	}
	return Hidden()
}
