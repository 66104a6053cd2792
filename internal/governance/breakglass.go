package governance

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// noticed is who notices about break-glass are for.
const noticed = "security"

// BreakGlass takes a role at once, without anybody's leave: audited, a finding, a
// notice, and to be reviewed by another person. It takes breakglass.use over the
// whole scope. What it gives never destroys data nor releases a hold (see
// tenure.Grant.May and tenure.Caller.CheckDestructive).
func (g *Governor) BreakGlass(ctx context.Context, c tenure.Caller, ask ElevationAsk) (tenure.Elevation, *Login, error) {
	now := g.Now()
	e := ask.elevation()
	e.ID = tenure.NewID[tenure.ElevationID](now)
	if c.Kind == tenure.CallerMachine {
		return e, nil, tenure.Errorf(tenure.Forbidden, "break-glass is a person's")
	}
	cant := g.canElevate(ctx, e.System)
	var login *Login
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := g.requireAny(c, tenure.BreakGlassUse); err != nil {
			return err
		}
		if err := g.scoped(tx, c, &e.Scope); err != nil {
			return err
		}
		if err := g.requireOver(ctx, tx, c, tenure.BreakGlassUse, e.Scope); err != nil {
			return err
		}
		have, err := g.holder(tx, c, &e)
		if err != nil {
			return err
		}
		if cant != nil {
			return cant
		}
		if e, err = e.Break(have, g.o.Elevation, now); err != nil {
			return err
		}
		if login = nil; e.System != "" {
			login = newLogin(e)
			e.Login = login.Name
		}
		return g.saveBreakGlass(ctx, tx, e, now)
	})
	if err != nil || login == nil {
		return e, nil, err
	}
	if err := g.openLogin(ctx, e, login); err != nil {
		return g.breakFailed(ctx, c, e, err)
	}
	return e, login, nil
}

func (g *Governor) saveBreakGlass(ctx context.Context, tx *store.Tx, e tenure.Elevation, now time.Time) error {
	if err := tx.SaveElevation(e); err != nil {
		return err
	}
	if err := tx.SaveGrant(e.Grant(tenure.NewID[tenure.GrantID](now))); err != nil {
		return err
	}
	if err := tx.SaveFinding(breakGlassFinding(e, tenure.High, "to be reviewed by another person after its end, by "+e.ReviewDueAt(g.o.Elevation).Format("2006-01-02 15:04 MST"), now)); err != nil {
		return err
	}
	body := fmt.Sprintf("%s took the role %s over %s by break-glass until %s: %s", e.Name, e.Role, e.Scope, e.EndsAt.Format("2006-01-02 15:04 MST"), e.Reason)
	if err := tx.AddNotice(breakGlassNotice(e, "used", body, now)); err != nil {
		return err
	}
	return g.record(ctx, tx, "breakglass", e.Name, e)
}

// breakFailed ends a break-glass whose login couldn't be opened: what was asked
// for isn't there, and half of it is nobody's wish. It is reviewed all the same.
func (g *Governor) breakFailed(ctx context.Context, c tenure.Caller, e tenure.Elevation, cause error) (tenure.Elevation, *Login, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if _, err := g.RevokeElevation(ctx, c, e.ID, "its login couldn't be opened"); err != nil {
		return e, nil, tenure.Errorf(tenure.CodeOf(cause), "%w; and ending it: %s", cause, err.Error())
	}
	return e, nil, cause
}

// ReviewBreakGlass records another person's look at a break-glass, which closes
// its finding.
func (g *Governor) ReviewBreakGlass(ctx context.Context, c tenure.Caller, id tenure.ElevationID, note string) (tenure.Elevation, error) {
	now := g.Now()
	return g.change(ctx, c, id, "breakglass.review", func(tx *store.Tx, e tenure.Elevation) (tenure.Elevation, error) {
		if err := g.requireOver(ctx, tx, c, tenure.BreakGlassReview, e.Scope); err != nil {
			return e, err
		}
		e, err := e.Review(c, note, now)
		if err != nil {
			return e, err
		}
		return e, tx.ResolveElevationFindings(e.ID, tenure.FindingAnomaly, now)
	})
}

// ReviewDueAt is by when a break-glass is to be reviewed.
func (g *Governor) ReviewDueAt(e tenure.Elevation) time.Time { return e.ReviewDueAt(g.o.Elevation) }

func breakGlassFinding(e tenure.Elevation, s tenure.Severity, detail string, now time.Time) tenure.Finding {
	return tenure.Finding{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingAnomaly, Severity: s, Tenant: oneTenant(e.Scope), Type: "elevation", Name: string(e.ID), Field: "breakglass",
		Detail: "break-glass: the role " + string(e.Role) + " over " + e.Scope.String() + "; " + detail, SeenAt: now,
	}
}

func breakGlassNotice(e tenure.Elevation, what, body string, now time.Time) store.Notice {
	return store.Notice{ID: string(e.ID) + "/" + what, Kind: tenure.NoticeBreakGlass, Tenant: oneTenant(e.Scope), Recipient: noticed, Body: body, CreatedAt: now}
}
