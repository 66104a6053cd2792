package governance

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// moveGoodFor is how long a move waits for its signature. What somebody may do is
// decided soon or anew.
const moveGoodFor = 7 * 24 * time.Hour

// maxTouched bounds the tenants that a move lists.
const maxTouched = 200

// MoveView is a move with the tenants that it touches, of those that the caller
// may see; how many there are besides isn't told.
type MoveView struct {
	store.Move
	Tenants []store.TenantRow
	More    bool // the list was cut after 200
}

// PlanMove compiles what a person's new roles end and begin, and stores it until
// a second person signs its digest; dry compiles it alone. Nobody moves
// themselves, a machine of theirs, or beyond what they manage; roles that
// conflict are refused here already.
func (g *Governor) PlanMove(ctx context.Context, c tenure.Caller, principal string, to []tenure.MoveRole, reason string, dry bool) (MoveView, error) {
	var m tenure.Move
	var body []byte
	var digest string
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		p, err := tx.Principal(principal)
		if err != nil {
			return err
		}
		if m, err = g.compileMove(tx, c, p, to, reason); err != nil {
			return err
		}
		if body, digest, err = m.Encode(); err != nil || dry {
			return err
		}
		if err := tx.SaveMove(m, digest, body); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "move.request", c.Name, "", "", string(m.Principal), map[string]string{"move": digest})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	if err != nil {
		return MoveView{}, err
	}
	return g.moveView(ctx, c, store.Move{Move: m, Digest: digest, State: "waiting"})
}

func (g *Governor) compileMove(tx *store.Tx, c tenure.Caller, p store.Principal, to []tenure.MoveRole, reason string) (tenure.Move, error) {
	m := tenure.Move{Principal: p.ID, Name: p.Name, Reason: reason, By: c.Name, At: g.Now()}
	switch {
	case !c.May(tenure.AccessManage):
		return m, tenure.Errorf(tenure.Forbidden, "%s manages nobody's access", c.Name)
	case p.Disabled:
		return m, tenure.Errorf(tenure.Conflict, "%s is disabled", p.Name)
	case tenure.SamePerson(p.Owner, c.Name):
		return m, tenure.Errorf(tenure.Forbidden, "nobody moves a machine of theirs").WithHint("ask another admin")
	}
	for _, r := range to {
		if p.Kind == tenure.CallerMachine && slices.ContainsFunc(machineNever, r.Role.May) {
			return m, tenure.Errorf(tenure.Invalid, "a machine can't be %s: only persons approve, release and review", r.Role)
		}
		for _, t := range r.Scope.Tenants {
			if _, err := tx.Tenant(string(t)); err != nil {
				return m, err
			}
		}
	}
	have, err := tx.Grants(p.ID)
	if err != nil {
		return m, err
	}
	if m, err = tenure.MakeMove(m, have, to); err != nil {
		return m, err
	}
	for _, s := range scopesOf(m) {
		if err := g.mayOver(c, tenure.AccessManage, s); err != nil {
			return m, err
		}
	}
	return m, g.ownerConflicts(tx, p, m)
}

// ownerConflicts refuses what begins for a machine and conflicts with a role of
// the person who answers for it, or the other way round: the two count as one.
func (g *Governor) ownerConflicts(tx *store.Tx, p store.Principal, m tenure.Move) error {
	its, err := g.ownerGrants(tx, p)
	if err != nil {
		return err
	}
	for _, r := range m.Begins {
		if err := tenure.CheckGrant(its, tenure.Grant{Role: r.Role, Scope: r.Scope}, g.Now()); err != nil {
			return err
		}
	}
	return nil
}

// ownerGrants are the grants of who answers for a machine, and of the machines that
// a person answers for.
func (g *Governor) ownerGrants(tx *store.Tx, p store.Principal) (out []tenure.Grant, err error) {
	if p.Kind != tenure.CallerMachine {
		machines, err := tx.MachinesOf(p.Name)
		for _, m := range machines {
			if err == nil {
				var its []tenure.Grant
				its, err = tx.Grants(m.ID)
				out = append(out, its...)
			}
		}
		return out, err
	}
	owner, err := tx.Principal(p.Owner)
	if err != nil {
		return nil, err
	}
	return tx.Grants(owner.ID)
}

func scopesOf(m tenure.Move) []tenure.Scope {
	var out []tenure.Scope
	for _, e := range m.Ends {
		out = append(out, e.Scope)
	}
	for _, b := range m.Begins {
		out = append(out, b.Scope)
	}
	return out
}

// moveView adds the tenants that a move touches.
func (g *Governor) moveView(ctx context.Context, c tenure.Caller, m store.Move) (MoveView, error) {
	v := MoveView{Move: m}
	touched := tenure.Scope{}
	for _, s := range scopesOf(m.Move) {
		touched = touched.Union(s)
	}
	reach, _ := c.Reach(tenure.TenantRead)
	f := store.TenantFilter{Visible: &store.Visible{Reach: reach, Limit: touched}, Limit: 100}
	for {
		page, err := g.o.DB.Tenants(ctx, f)
		if err != nil || len(page) == 0 {
			return v, err
		}
		for _, t := range page {
			if !c.Decide(tenure.TenantRead, TargetOf(t)).Allowed { // a token narrows further
				continue
			}
			if len(v.Tenants) == maxTouched {
				v.More = true
				return v, nil
			}
			v.Tenants = append(v.Tenants, t)
		}
		f.After = page[len(page)-1].ID
	}
}

// Moves lists moves, the newest first, to who manages access or signs moves over
// all that they change.
func (g *Governor) Moves(ctx context.Context, c tenure.Caller, waiting bool) ([]store.Move, error) {
	list, err := g.o.DB.Moves(ctx, waiting, 500)
	return slices.DeleteFunc(list, func(m store.Move) bool { return !seesMove(c, m.Move) }), err
}

// seesMove says whether a caller may know of a move: they read, or approve,
// access over all that it changes.
func seesMove(c tenure.Caller, m tenure.Move) bool {
	all := func(p tenure.Permission) bool {
		return c.May(p) && !slices.ContainsFunc(scopesOf(m), func(s tenure.Scope) bool { return !within(c, p, s) })
	}
	return all(tenure.AccessRead) || all(tenure.ElevationApprove)
}

// Move returns a move, by its digest, with the tenants that it touches.
func (g *Governor) Move(ctx context.Context, c tenure.Caller, digest string) (MoveView, error) {
	m, err := g.o.DB.Move(ctx, digest)
	if tenure.CodeOf(err) == tenure.NotFound || err == nil && !seesMove(c, m.Move) {
		return MoveView{}, Hidden()
	}
	if err != nil {
		return MoveView{}, err
	}
	return g.moveView(ctx, c, m)
}

// ApproveMove signs a move's digest, which carries it out in the same
// transaction: the old grants end, the new ones begin. It takes a second person
// whom the move doesn't concern and who approves access over all that it changes.
// A move whose ground has changed, or that has waited for a week, is Conflict.
func (g *Governor) ApproveMove(ctx context.Context, c tenure.Caller, digest, note string) (store.Move, error) {
	return g.decideMove(ctx, c, digest, "done", note)
}

// RejectMove turns a move down. Who asked for it may withdraw it.
func (g *Governor) RejectMove(ctx context.Context, c tenure.Caller, digest, note string) (store.Move, error) {
	return g.decideMove(ctx, c, digest, "rejected", note)
}

func (g *Governor) decideMove(ctx context.Context, c tenure.Caller, digest, state, note string) (store.Move, error) {
	note, err := tenure.Lines("the note", note, tenure.MaxReason)
	if err != nil {
		return store.Move{}, err
	}
	now := g.Now()
	if err := g.o.DB.VouchedRow(ctx, "access_move", digest); err != nil {
		return store.Move{}, err
	}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		m, err := tx.Move(digest)
		if tenure.CodeOf(err) == tenure.NotFound || err == nil && !seesMove(c, m.Move) {
			return Hidden()
		}
		if err != nil {
			return err
		}
		withdrawn := state == "rejected" && tenure.SamePerson(m.By, c.Name)
		for _, s := range scopesOf(m.Move) {
			if withdrawn {
				break
			}
			if err := g.mayOver(c, tenure.ElevationApprove, s); err != nil {
				return err
			}
		}
		if err := tx.DecideMove(digest, state, c.Name, note, now); err != nil {
			return err
		}
		if state == "done" {
			if err := g.carryMove(ctx, tx, c, m.Move, digest, now); err != nil {
				return err
			}
		}
		kind := "move.reject"
		if state == "done" {
			kind = "move.approve"
		}
		e, err := g.o.Entry(ctx, kind, c.Name, "", "", string(m.Principal), map[string]string{"move": digest})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	if err != nil {
		return store.Move{}, err
	}
	return g.o.DB.Move(ctx, digest)
}

// carryMove checks that the ground is as the move saw it, and changes it.
func (g *Governor) carryMove(ctx context.Context, tx *store.Tx, c tenure.Caller, m tenure.Move, digest string, now time.Time) error {
	p, err := tx.Principal(string(m.Principal))
	if err != nil {
		return err
	}
	if err := tenure.CheckMoveApproval(m, p.Owner, c.Name); err != nil {
		return err
	}
	if now.After(m.At.Add(moveGoodFor)) {
		return tenure.Errorf(tenure.Conflict, "the move has waited for more than a week").WithHint("ask for it again")
	}
	have, err := tx.Grants(p.ID)
	if err != nil {
		return err
	}
	var to []tenure.MoveRole
	for _, k := range m.Keeps {
		to = append(to, tenure.MoveRole{Role: k.Role, Scope: k.Scope})
	}
	again, err := tenure.MakeMove(tenure.Move{Principal: m.Principal, Name: m.Name, Reason: m.Reason, By: m.By, At: now}, have, slices.Concat(to, m.Begins))
	if err != nil {
		return err
	}
	again.At = m.At
	if _, is, err := again.Encode(); err != nil || is != digest || p.Disabled {
		if err == nil {
			err = tenure.Errorf(tenure.Conflict, "what %s may do has changed since the move was asked for", p.Name).WithHint("ask for it again")
		}
		return err
	}
	if err := g.ownerConflicts(tx, p, m); err != nil {
		return err
	}
	for _, e := range m.Ends {
		if err := g.endGrant(ctx, tx, tenure.Grant{ID: e.ID, Principal: m.Principal, Role: e.Role}, c.Name, digest); err != nil {
			return err
		}
	}
	for _, b := range m.Begins {
		gr := tenure.Grant{ID: tenure.NewID[tenure.GrantID](now), Principal: m.Principal, Role: b.Role, Scope: b.Scope, Reason: m.Reason, By: m.By, At: now}
		if err := g.giveGrant(ctx, tx, gr, digest); err != nil {
			return err
		}
	}
	return nil
}
