package governance

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lookalike"
	"github.com/tenurehq/tenure/internal/store"
)

// AddPrincipal adds a person, who then signs in with the address, or a machine,
// which a person answers for. The name is stored in one spelling; what was written is
// the display name unless there is one. A name or address that is another's is
// Conflict. A name that looks like another's, or an address that differs from another's
// in what stands behind a plus alone, waits for another admin's word.
func (g *Governor) AddPrincipal(ctx context.Context, p store.Principal, by string) (store.Principal, error) {
	if err := checkPrincipal(&p); err != nil {
		return p, err
	}
	now := g.Now()
	p.ID, p.CreatedBy, p.CreatedAt, p.Version, p.Issuer, p.Subject, p.Disabled = tenure.NewID[tenure.PrincipalID](now), by, now, 1, "", "", false
	return p, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if p.Owner != "" {
			o, err := tx.Principal(p.Owner)
			if err != nil {
				return err
			}
			if o.Kind != tenure.CallerPerson {
				return tenure.Errorf(tenure.Invalid, "%s isn't a person and can't answer for a machine", o.Name)
			}
			p.Owner = o.Name
		}
		alike, err := place(tx, p)
		if err != nil {
			return err
		}
		facts := map[string]string{"kind": string(p.Kind)}
		if p.Waiting = alike != ""; p.Waiting {
			p.Disabled, facts["waiting"], facts["alike"] = true, "true", string(alike)
		}
		e, err := g.o.Entry(ctx, "principal.add", by, "", "", string(p.ID), facts)
		if err != nil {
			return err
		}
		if err := tx.SavePrincipal(p); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// checkPrincipal refuses what is no principal, and brings its name and address into
// the spelling in which they are stored.
func checkPrincipal(p *store.Principal) error {
	name, err := tenure.PrincipalName(p.Name)
	if err != nil {
		return err
	}
	if p.Display == "" && p.Name != name {
		p.Display = p.Name
	}
	if p.Display, err = tenure.Line("the display name", p.Display, tenure.MaxTitle); err != nil {
		return err
	}
	p.Name, p.Email = name, tenure.EmailAddress(p.Email)
	switch {
	case strings.HasPrefix(p.Name, tenure.StandingSigner):
		return tenure.Errorf(tenure.Invalid, "a name that begins with %s is a standing approval's", tenure.StandingSigner)
	case p.Kind != tenure.CallerPerson && p.Kind != tenure.CallerMachine:
		return tenure.Errorf(tenure.Invalid, "a principal is a person or a machine, not %q", p.Kind)
	case p.Kind == tenure.CallerMachine && p.Owner == "":
		return tenure.Errorf(tenure.Invalid, "a machine needs a person who answers for it").WithHint("owner: a person's name")
	case p.Kind == tenure.CallerPerson && p.Owner != "":
		return tenure.Errorf(tenure.Invalid, "a person has no owner")
	case p.Email != "" && !tenure.IsMailAddress(p.Email):
		return tenure.Errorf(tenure.Invalid, "the address isn't one")
	}
	return nil
}

// place refuses a new principal whose name or address is another's, and says whose
// name theirs looks like, or whose mailbox it is.
func place(tx *store.Tx, p store.Principal) (alike tenure.PrincipalID, err error) {
	all, err := tx.EveryPrincipal()
	if err != nil {
		return "", err
	}
	looks := lookalike.Skeleton(p.Name)
	for _, o := range all {
		if tenure.SamePerson(o.Name, p.Name) {
			return "", tenure.Errorf(tenure.Conflict, "there is or was a principal named %q", o.Name)
		}
		if alike == "" && (lookalike.Skeleton(o.Name) == looks || mayEnter(o) && tenure.SameMailbox(o.Email, p.Email)) {
			alike = o.ID
		}
	}
	return alike, freeAddress(all, p)
}

// mayEnter says whether somebody is let in, or may be by an admin's word.
func mayEnter(p store.Principal) bool { return !p.Disabled || p.Waiting }

// freeAddress refuses an address by which another person is let in.
func freeAddress(all []store.Principal, p store.Principal) error {
	for _, o := range all {
		if o.ID != p.ID && mayEnter(o) && tenure.SameAddress(o.Email, p.Email) {
			return tenure.Errorf(tenure.Conflict, "the address is that of %s: an address is one principal's", o.Name).WithHint("disable %s first, or use another address", o.Name)
		}
	}
	return nil
}

// DisablePrincipal keeps somebody out at once, with their tokens and sessions; or
// lets them sign in again, with new ones, which for one who waits takes another admin
// than the one who added them. Version 0 isn't compared.
func (g *Governor) DisablePrincipal(ctx context.Context, idOrName string, disabled bool, version int64, by string) (store.Principal, error) {
	var p store.Principal
	now := g.Now()
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		all, err := tx.EveryPrincipal()
		if err != nil {
			return err
		}
		if p, err = tx.Principal(idOrName); err != nil {
			return err
		}
		switch {
		case tenure.SamePerson(p.Name, by):
			return tenure.Errorf(tenure.Forbidden, "nobody disables or enables themselves")
		case disabled && p.Waiting: // kept out already, and it goes on waiting
			return nil
		case !disabled && p.Waiting && (tenure.SamePerson(p.CreatedBy, by) || tenure.SamePerson(p.Owner, by)):
			return tenure.Errorf(tenure.Forbidden, "%s looks like another, and %s added it: another admin lets it in", p.Name, by)
		case !disabled && p.Disabled:
			if err := freeAddress(all, p); err != nil {
				return err
			}
		}
		if err := tx.SetPrincipalState(p.ID, disabled, version); err != nil {
			return err
		}
		if disabled {
			if err := tx.RevokeCredentials(p.ID, now); err != nil {
				return err
			}
		}
		kind := "principal.enable"
		if disabled {
			kind = "principal.disable"
		}
		if p, err = tx.Principal(string(p.ID)); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, kind, by, "", "", string(p.ID), nil)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return p, err
}

// Grant gives a principal a role over a scope. Nobody grants to themselves, or
// more than they have power over; roles that conflict are refused (static
// separation of duties). Machines never approve, release or review.
func (g *Governor) Grant(ctx context.Context, c tenure.Caller, gr tenure.Grant) (tenure.Grant, error) {
	now := g.Now()
	gr.ID, gr.By, gr.At, gr.RevokedAt, gr.RevokedBy = tenure.NewID[tenure.GrantID](now), c.Name, now, time.Time{}, ""
	if !gr.ExpiresAt.IsZero() && !gr.ExpiresAt.After(now) {
		return gr, tenure.Errorf(tenure.Invalid, "the grant's end has passed already")
	}
	var err error
	if gr.Reason, err = tenure.Lines("the reason", gr.Reason, tenure.MaxReason); err != nil {
		return gr, err
	}
	if err := g.RequireScope(ctx, c, tenure.AccessManage, gr.Scope); err != nil {
		return gr, err
	}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error { return g.saveGrant(ctx, tx, c, &gr, now) })
	return gr, err
}

func (g *Governor) saveGrant(ctx context.Context, tx *store.Tx, c tenure.Caller, gr *tenure.Grant, now time.Time) error {
	p, err := tx.Principal(string(gr.Principal))
	if err != nil {
		return err
	}
	gr.Principal = p.ID
	switch {
	case p.Waiting:
		return tenure.Errorf(tenure.Conflict, "%s waits for another admin's word, since the name or address looks like another's", p.Name).WithHint("another admin: tenure principal enable %s", p.Name)
	case p.Disabled:
		return tenure.Errorf(tenure.Conflict, "%s is disabled", p.Name)
	case tenure.SamePerson(p.Name, c.Name) || tenure.SamePerson(p.Owner, c.Name):
		return tenure.Errorf(tenure.Forbidden, "nobody gives a role to themselves or to a machine of theirs").WithHint("ask another admin")
	case p.Kind == tenure.CallerMachine && slices.ContainsFunc(machineNever, gr.Role.May):
		return tenure.Errorf(tenure.Invalid, "a machine can't be %s: only persons approve, release and review", gr.Role)
	}
	have, err := tx.Grants(p.ID)
	if err != nil {
		return err
	}
	machines, err := tx.MachinesOf(p.Name)
	if err != nil {
		return err
	}
	if p.Kind == tenure.CallerMachine {
		// A machine and the person who answers for it count as one.
		owner, err := tx.Principal(p.Owner)
		if err != nil {
			return err
		}
		its, err := tx.Grants(owner.ID)
		if err != nil {
			return err
		}
		have = append(have, its...)
	}
	for _, m := range machines {
		its, err := tx.Grants(m.ID)
		if err != nil {
			return err
		}
		have = append(have, its...)
	}
	if err := tenure.CheckGrant(have, *gr, now); err != nil {
		return err
	}
	gr.Scope.Tenants = slices.Clone(gr.Scope.Tenants)
	for i, t := range gr.Scope.Tenants { // a name is another tenant's one day; the id never is
		row, err := tx.Tenant(string(t))
		if err != nil {
			return err
		}
		gr.Scope.Tenants[i] = row.ID
	}

	if err := tx.SaveGrant(*gr); err != nil {
		return err
	}
	e, err := g.o.Entry(ctx, "grant.give", c.Name, "", "", string(gr.ID), map[string]string{"principal": string(gr.Principal), "role": string(gr.Role), "scope": gr.Scope.String()})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// machineNever is what no machine may do, whatever its role.
var machineNever = []tenure.Permission{tenure.OperationApprove, tenure.HoldRelease, tenure.ElevationApprove, tenure.StandingApprove, tenure.BreakGlassReview, tenure.AccessManage}

// RevokeGrant ends a grant at once.
func (g *Governor) RevokeGrant(ctx context.Context, c tenure.Caller, id tenure.GrantID) error {
	now := g.Now()
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		gr, err := tx.Grant(id)
		if tenure.CodeOf(err) == tenure.NotFound || err == nil && !within(c, tenure.AccessManage, gr.Scope) {
			return Hidden()
		}
		if err == nil {
			err = g.mayOver(c, tenure.AccessManage, gr.Scope)
		}
		if err != nil || !gr.RevokedAt.IsZero() {
			return err
		}
		if err := tx.RevokeGrant(id, c.Name, now); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "grant.revoke", c.Name, "", "", string(id), map[string]string{"principal": string(gr.Principal), "role": string(gr.Role)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}
