package governance

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// ElevationAsk is what somebody asks for: a role over a scope for a while, and
// direct access to a system if it names one.
type ElevationAsk struct {
	Role   tenure.Role
	Scope  tenure.Scope
	Reason string
	For    tenure.Period
	System string
	Access tenure.DirectAccess
}

// RequestElevation asks for a role for a while. Another person approves it; then
// it is claimed. A tenant that the caller may not know of is NotFound, a role
// that conflicts with one of theirs Conflict.
func (g *Governor) RequestElevation(ctx context.Context, c tenure.Caller, ask ElevationAsk) (tenure.Elevation, error) {
	now := g.Now()
	e := ask.elevation()
	e.ID = tenure.NewID[tenure.ElevationID](now)
	cant := g.canElevate(ctx, e.System) // asked before the store is held, told after who asks was looked at
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := g.requireAny(c, tenure.ElevationRequest); err != nil {
			return err
		}
		if err := g.scoped(tx, c, &e.Scope); err != nil {
			return err
		}
		have, err := g.holder(tx, c, &e)
		if err != nil {
			return err
		}
		if cant != nil {
			return cant
		}
		if e, err = e.Request(have, g.o.Elevation, now); err != nil {
			return err
		}
		if err := tx.SaveElevation(e); err != nil {
			return err
		}
		return g.record(ctx, tx, "elevation.request", c.Name, e)
	})
	return e, err
}

func (a ElevationAsk) elevation() tenure.Elevation {
	return tenure.Elevation{Role: a.Role, Scope: a.Scope, Reason: a.Reason, For: a.For, System: a.System, Access: a.Access}
}

// ApproveElevation signs the digest of what was asked for. It takes
// elevation.approve over the whole scope, and another person.
func (g *Governor) ApproveElevation(ctx context.Context, c tenure.Caller, id tenure.ElevationID, digest string) (tenure.Elevation, error) {
	return g.change(ctx, c, id, "elevation.approve", func(tx *store.Tx, e tenure.Elevation) (tenure.Elevation, error) {
		if err := g.requireOver(ctx, tx, c, tenure.ElevationApprove, e.Scope); err != nil {
			return e, err
		}
		if why, err := tx.Withdrawn(e); err != nil || why != "" {
			return e, orConflict(err, e, why)
		}
		return e.Approve(c, digest, g.o.Elevation, g.Now())
	})
}

// RejectElevation refuses a request, for a reason.
func (g *Governor) RejectElevation(ctx context.Context, c tenure.Caller, id tenure.ElevationID, why string) (tenure.Elevation, error) {
	return g.change(ctx, c, id, "elevation.reject", func(tx *store.Tx, e tenure.Elevation) (tenure.Elevation, error) {
		if err := g.requireOver(ctx, tx, c, tenure.ElevationApprove, e.Scope); err != nil {
			return e, err
		}
		return e.Reject(c, why, g.Now())
	})
}

// RevokeElevation ends an elevation at once, or takes a request back: whose it
// is, who answers for them, and whoever may approve elevations, review
// break-glass or manage access over its scope. Where the login that it opened
// can't be ended at once the error is one that a retry mends; the role has ended
// all the same, and TickElevations goes on trying.
func (g *Governor) RevokeElevation(ctx context.Context, c tenure.Caller, id tenure.ElevationID, why string) (tenure.Elevation, error) {
	now := g.Now()
	e, err := g.change(ctx, c, id, "elevation.revoke", func(tx *store.Tx, e tenure.Elevation) (tenure.Elevation, error) {
		if err := g.mayRevoke(ctx, tx, c, e); err != nil {
			return e, err
		}
		e, err := e.Revoke(c.Name, why, now)
		if err != nil {
			return e, err
		}
		return e, tx.RevokeElevationGrants(e, c.Name, now)
	})
	if err != nil {
		return e, err
	}
	return g.endLogin(ctx, e)
}

func (g *Governor) mayRevoke(ctx context.Context, tx *store.Tx, c tenure.Caller, e tenure.Elevation) error {
	if isHolder(c, e) || tenure.SamePerson(e.Owner, c.Name) {
		return nil
	}
	var first error
	for _, p := range []tenure.Permission{tenure.ElevationApprove, tenure.BreakGlassReview, tenure.AccessManage} {
		err := g.requireOver(ctx, tx, c, p, e.Scope)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// change reads an elevation that the caller may see, lets f move it, and stores
// and audits what came of it.
func (g *Governor) change(ctx context.Context, c tenure.Caller, id tenure.ElevationID, kind string, f func(*store.Tx, tenure.Elevation) (tenure.Elevation, error)) (e tenure.Elevation, err error) {
	if err := g.o.DB.VouchedRow(ctx, "elevation", string(id)); err != nil {
		return e, err
	}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Elevation(id)
		if tenure.CodeOf(err) == tenure.NotFound {
			return Hidden()
		}
		if err != nil {
			return err
		}
		if e, err = f(tx, row.Elevation); err != nil {
			return g.unlessSeen(tx, c, row.Elevation, err)
		}
		if err := tx.MoveElevation(e); err != nil {
			return err
		}
		e.Version++
		return g.record(ctx, tx, kind, c.Name, e)
	})
	return e, err
}

// unlessSeen gives a refusal to who may see the elevation, and to others only
// that there is none.
func (g *Governor) unlessSeen(tx *store.Tx, c tenure.Caller, e tenure.Elevation, refusal error) error {
	if ok, err := g.sees(tx, c, e); err != nil || ok {
		return refusal
	}
	return Hidden()
}

// seeing are the permissions that let somebody see others' elevations.
var seeing = []tenure.Permission{tenure.AccessRead, tenure.ElevationApprove, tenure.BreakGlassReview, tenure.AccessManage}

func isHolder(c tenure.Caller, e tenure.Elevation) bool {
	return c.Principal != "" && c.Principal == e.Principal || c.Kind == tenure.CallerLocal && tenure.SamePerson(c.Name, e.Name)
}

// sees says whether the caller may know of an elevation: it is theirs, or a
// machine's that they answer for, or they may see every tenant that it is over.
func (g *Governor) sees(tx *store.Tx, c tenure.Caller, e tenure.Elevation) (bool, error) {
	if c.Kind == tenure.CallerLocal || isHolder(c, e) || tenure.SamePerson(e.Owner, c.Name) {
		return true, nil
	}
	for _, p := range seeing {
		if covered, err := coveredBy(tx, c, p, e.Scope); err != nil || covered {
			return covered, err
		}
	}
	return false, nil
}

// Elevation shows one elevation to who may know of it.
func (g *Governor) Elevation(ctx context.Context, c tenure.Caller, id tenure.ElevationID) (tenure.Elevation, error) {
	list, err := g.Elevations(ctx, c, store.ElevationFilter{ID: id})
	if err == nil && len(list) == 0 {
		err = Hidden()
	}
	if err != nil {
		return tenure.Elevation{}, err
	}
	return list[0], nil
}

// Elevations lists the caller's own elevations, and those of others that are over
// nothing but what the caller may see, the latest first. Mine and Visible of the
// filter are set here.
func (g *Governor) Elevations(ctx context.Context, c tenure.Caller, f store.ElevationFilter) ([]tenure.Elevation, error) {
	f.Mine, f.Visible = c.Principal, store.Visible{}
	if c.Kind == tenure.CallerPerson {
		f.Owner = c.Name
	}
	for _, p := range seeing {
		reach, limit := c.Reach(p)
		f.Visible.Reach = f.Visible.Reach.Union(reach)
		if !limit.IsZero() {
			f.Visible.Limit = limit
		}
	}
	rows, err := g.o.DB.Elevations(ctx, f)
	out := make([]tenure.Elevation, len(rows))
	for i, r := range rows {
		out[i] = r.Elevation
	}
	return out, err
}

// requireAny refuses who has a permission over nothing at all.
func (g *Governor) requireAny(c tenure.Caller, p tenure.Permission) error {
	if c.May(p) && g.denied(c, p, tenure.Target{}) == nil {
		return nil
	}
	return tenure.Errorf(tenure.Forbidden, "%s may not %s", c.Name, p)
}

// RequireUndenied refuses what a policy denies over the installation: for what is no
// tenant's, and so in reach of a grant over any.
func (g *Governor) RequireUndenied(c tenure.Caller, p tenure.Permission) error {
	return g.denied(c, p, tenure.Target{})
}

func (g *Governor) denied(c tenure.Caller, p tenure.Permission, t tenure.Target) error {
	if c.Kind == tenure.CallerLocal || g.o.Policies == nil {
		return nil
	}
	if by := g.o.Policies.Denies(c, p, t, g.Now()); len(by) > 0 {
		return tenure.Errorf(tenure.Forbidden, "%s may not %s: denied by %s", c.Name, p, joinWords(by))
	}
	return nil
}

// requireOver refuses who hasn't a permission over the whole of a scope: for each
// tenant that it names, and for its tiers and labels as they stand.
func (g *Governor) requireOver(ctx context.Context, tx *store.Tx, c tenure.Caller, p tenure.Permission, s tenure.Scope) error {
	if c.Kind == tenure.CallerLocal {
		return nil
	}
	if p.NeedsStrong() && c.Kind == tenure.CallerPerson && !c.Strong {
		return tenure.Errorf(tenure.Forbidden, "%s takes a stronger sign-in than this one", p)
	}
	covered, err := coveredBy(tx, c, p, s)
	if err != nil {
		return err
	}
	if !covered {
		return tenure.Errorf(tenure.Forbidden, "%s has %s not over all of %s", c.Name, p, s)
	}
	if len(s.Tenants) == 0 || s.All || len(s.Tiers)+len(s.Labels) > 0 {
		if err := g.denied(c, p, tenure.Target{}); err != nil {
			return err
		}
	}
	for _, id := range s.Tenants {
		t, err := tx.Tenant(string(id))
		if err != nil {
			return err
		}
		if err := g.Require(ctx, c, p, TargetOf(t)); err != nil {
			return err
		}
	}
	return nil
}

// coveredBy says whether the caller has a permission over the whole of a scope.
func coveredBy(tx *store.Tx, c tenure.Caller, p tenure.Permission, s tenure.Scope) (bool, error) {
	if c.Kind == tenure.CallerLocal {
		return true, nil
	}
	reach, limit := c.Reach(p)
	rest := tenure.Scope{All: s.All, Tiers: s.Tiers, Labels: s.Labels}
	if !rest.IsZero() && (!rest.Within(reach) || !rest.Within(limit)) {
		return false, nil
	}
	for _, id := range s.Tenants {
		t, err := tx.Tenant(string(id))
		if tenure.CodeOf(err) == tenure.NotFound { // forgotten since
			t.ID, err = id, nil
		}
		if err != nil {
			return false, err
		}
		if target := TargetOf(t); !reach.Covers(target) || !limit.Covers(target) {
			return false, nil
		}
	}
	return !s.IsZero(), nil
}

// scoped turns the tenants' names of a scope into ids; one that the caller may not
// know of isn't there.
func (g *Governor) scoped(tx *store.Tx, c tenure.Caller, s *tenure.Scope) error {
	ids := make([]tenure.TenantID, 0, len(s.Tenants))
	for _, name := range s.Tenants {
		t, err := tx.Tenant(string(name))
		if err == nil && !c.Sees(TargetOf(t)) {
			err = Hidden()
		}
		if tenure.CodeOf(err) == tenure.NotFound {
			return Hidden()
		}
		if err != nil {
			return err
		}
		ids = append(ids, t.ID)
	}
	slices.Sort(ids)
	s.Tenants = slices.Compact(ids)
	if len(ids) == 0 {
		s.Tenants = nil
	}
	if !c.Limit.IsZero() && !s.Within(c.Limit) {
		return tenure.Errorf(tenure.Forbidden, "the token is only for %s", c.Limit)
	}
	return nil
}

// decides are what only persons have, and so what no machine is elevated to.
var decides = []tenure.Permission{tenure.OperationApprove, tenure.HoldRelease, tenure.ElevationApprove, tenure.StandingApprove, tenure.BreakGlassReview, tenure.AccessManage}

// holder notes whose an elevation is, and gives the grants that its role is
// compared with: a machine and the person who answers for it count as one.
func (g *Governor) holder(tx *store.Tx, c tenure.Caller, e *tenure.Elevation) ([]tenure.Grant, error) {
	key := string(c.Principal)
	if c.Kind == tenure.CallerLocal {
		key = c.Name
	}
	p, err := tx.Principal(key)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, tenure.Errorf(tenure.NotFound, "an elevation is a principal's, and %q is none", c.Name).WithHint("say who you are with --as, or have an admin add you")
	}
	if err != nil {
		return nil, err
	}
	if p.Disabled {
		return nil, tenure.Errorf(tenure.Conflict, "%s is disabled", p.Name)
	}
	if p.Kind == tenure.CallerMachine && slices.ContainsFunc(decides, e.Role.May) {
		return nil, tenure.Errorf(tenure.Invalid, "a machine can't be %s: only persons approve, release and review", e.Role)
	}
	e.Principal, e.Name, e.Owner = p.ID, p.Name, p.Owner
	return heldBy(tx, p)
}

func heldBy(tx *store.Tx, p store.Principal) ([]tenure.Grant, error) {
	have, err := tx.Grants(p.ID)
	if err != nil || p.Owner == "" {
		return have, err
	}
	owner, err := tx.Principal(p.Owner)
	if err != nil {
		return nil, err
	}
	its, err := tx.Grants(owner.ID)
	return append(have, its...), err
}

func orConflict(err error, e tenure.Elevation, why string) error {
	if err != nil {
		return err
	}
	return tenure.Errorf(tenure.Conflict, "elevation %s can't be: %s", e.ID, why)
}

// oneTenant is the tenant that a scope is, "" if it is more than one.
func oneTenant(s tenure.Scope) tenure.TenantID {
	if !s.All && len(s.Tenants) == 1 && len(s.Tiers)+len(s.Labels) == 0 {
		return s.Tenants[0]
	}
	return ""
}

// record writes down what happened to an elevation: in the log, and among the
// access events, where anomalies are looked for.
func (g *Governor) record(ctx context.Context, tx *store.Tx, kind, by string, e tenure.Elevation) error {
	tenant := oneTenant(e.Scope)
	facts := map[string]string{"kind": string(e.Kind), "principal": string(e.Principal), "role": string(e.Role), "scope": e.Scope.String(), "digest": e.Digest, "state": string(e.State)}
	if e.System != "" {
		facts["system"], facts["access"] = e.System, string(e.Access)
	}
	if !e.EndsAt.IsZero() {
		facts["ends"] = e.EndsAt.Format("2006-01-02T15:04:05Z07:00")
	}
	entry, err := g.o.Entry(ctx, kind, by, tenant, "", string(e.ID), facts)
	if err != nil {
		return err
	}
	if by != "" {
		if err := tx.NoteAccess(store.AccessEvent{At: g.Now(), Kind: kind, Principal: by, Tenant: string(tenant), Detail: tenure.ElevationAsked{Role: e.Role, Scope: e.Scope}.String()}); err != nil {
			return err
		}
	}
	return tx.Log(entry)
}
