package governance

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Principals lists principals by name, after a name.
func (g *Governor) Principals(ctx context.Context, after string, limit int) ([]store.Principal, error) {
	return g.o.DB.Principals(ctx, after, limit)
}

// Principal shows one by id or name, with their grants that weren't revoked.
func (g *Governor) Principal(ctx context.Context, idOrName string) (store.Principal, []tenure.Grant, error) {
	p, err := g.o.DB.Principal(ctx, idOrName)
	if err != nil {
		return p, nil, err
	}
	grants, err := g.o.DB.Grants(ctx, p.ID, false)
	return p, grants, err
}

// WaitingPrincipals lists those whom the caller may let in although they look like
// another: none that they added or would answer for.
func (g *Governor) WaitingPrincipals(ctx context.Context, c tenure.Caller) ([]store.Principal, error) {
	if !g.Decide(ctx, c, tenure.AccessManage, tenure.Target{}).Allowed {
		return nil, nil
	}
	list, err := g.o.DB.WaitingPrincipals(ctx)
	return slices.DeleteFunc(list, func(p store.Principal) bool {
		return tenure.NamesPerson([]string{p.Name, p.CreatedBy, p.Owner}, c.Name)
	}), err
}

// Grants lists grants; a principal, by id or name, narrows it.
func (g *Governor) Grants(ctx context.Context, principal string, ended bool) ([]tenure.Grant, error) {
	id := tenure.PrincipalID("")
	if principal != "" {
		p, err := g.o.DB.Principal(ctx, principal)
		if err != nil {
			return nil, err
		}
		id = p.ID
	}
	return g.o.DB.Grants(ctx, id, ended)
}

// Tokens lists the caller's own tokens and those of the machines that they answer
// for; everybody's for who reads access over everything.
func (g *Governor) Tokens(ctx context.Context, c tenure.Caller, principal string) ([]store.Token, error) {
	all, err := g.o.DB.Tokens(ctx, "")
	if err != nil {
		return nil, err
	}
	return filterOwned(ctx, g, c, principal, all, func(t store.Token) tenure.PrincipalID { return t.Principal })
}

// Sessions lists the caller's own sessions; everybody's for who reads access over
// everything.
func (g *Governor) Sessions(ctx context.Context, c tenure.Caller, principal string) ([]store.Session, error) {
	all, err := g.o.DB.Sessions(ctx, "", g.Now())
	if err != nil {
		return nil, err
	}
	return filterOwned(ctx, g, c, principal, all, func(s store.Session) tenure.PrincipalID { return s.Principal })
}

func filterOwned[T any](ctx context.Context, g *Governor, c tenure.Caller, principal string, all []T, of func(T) tenure.PrincipalID) ([]T, error) {
	everybody := g.Decide(ctx, c, tenure.AccessRead, tenure.Target{}).Allowed
	owners := make(map[tenure.PrincipalID]store.Principal)
	var out []T
	for _, v := range all {
		id := of(v)
		p, ok := owners[id]
		if !ok {
			var err error
			if p, err = g.o.DB.Principal(ctx, string(id)); err != nil {
				return nil, err
			}
			owners[id] = p
		}
		mine := id == c.Principal && id != "" || tenure.SamePerson(p.Owner, c.Name)
		if (everybody || mine) && (principal == "" || tenure.SamePerson(p.Name, principal) || string(p.ID) == principal) {
			out = append(out, v)
		}
	}
	return out, nil
}

// AccessEvents lists what happened at the door, the latest first.
func (g *Governor) AccessEvents(ctx context.Context, kind, principal string, since time.Time, limit int) ([]store.AccessEvent, error) {
	_ = g.TickRefusals(ctx, g.Now()) // a full disk mustn't hide what is written already
	return g.o.DB.AccessEvents(ctx, kind, principal, since, limit)
}

// Explain says whether somebody may do something now, and why.
func (g *Governor) Explain(ctx context.Context, principal string, p tenure.Permission, t tenure.Target) (tenure.Decision, error) {
	if !slices.ContainsFunc(tenure.Roles, func(r tenure.Role) bool { return r.May(p) }) {
		return tenure.Decision{}, tenure.Errorf(tenure.Invalid, "there is no permission %q", p)
	}
	who, err := g.o.DB.Principal(ctx, principal)
	if err != nil {
		return tenure.Decision{}, err
	}
	c, err := g.caller(ctx, who.ID, g.Now())
	if err != nil {
		return tenure.Decision{Asked: p, Why: "the principal is disabled"}, nil
	}
	c.Strong = true
	return g.Decide(ctx, c, p, t), nil
}

// Covering lists the active grants that cover a tenant, with who has them.
func (g *Governor) Covering(ctx context.Context, t tenure.Target) ([]tenure.Grant, map[tenure.PrincipalID]store.Principal, error) {
	all, err := g.o.DB.Grants(ctx, "", false)
	if err != nil {
		return nil, nil, err
	}
	who := make(map[tenure.PrincipalID]store.Principal)
	var out []tenure.Grant
	for _, gr := range all {
		if !gr.Active(g.Now()) || !gr.Scope.Covers(t) {
			continue
		}
		if _, ok := who[gr.Principal]; !ok {
			if who[gr.Principal], err = g.o.DB.Principal(ctx, string(gr.Principal)); err != nil {
				return nil, nil, err
			}
		}
		if !who[gr.Principal].Disabled {
			out = append(out, gr)
		}
	}
	return out, who, nil
}
