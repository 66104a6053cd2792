package governance_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// Roles that came after the approval are looked at when it is claimed.
func TestElevationClaimLooksAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	e := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	_, _, err := w.ClaimElevation(ctx, w.who["bo"], e.ID)
	w.wants("another's claim", err, tenure.Forbidden)
	_, _, err = w.ClaimElevation(ctx, w.who["tim"], e.ID)
	w.wants("a claim by somebody who may not know of it", err, tenure.NotFound)
	_, err = w.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: "ada", Role: tenure.Admin, Scope: tenure.Scope{All: true}})
	w.must(err)
	_, _, err = w.ClaimElevation(ctx, w.as("ada"), e.ID)
	w.wants("a claim by somebody who became an admin", err, tenure.Conflict)
	w.pass(time.Hour)
	late := w.approved(w.ask(tenure.Viewer, "", ""))
	w.pass(time.Hour)
	_, _, err = w.ClaimElevation(ctx, w.as("ada"), late.ID)
	w.wants("a claim after the window", err, tenure.Conflict)
	w.tick()
	if w.state(e.ID) != tenure.ElevationLapsed || w.state(late.ID) != tenure.ElevationLapsed || w.logins() != 0 {
		t.Errorf("unclaimed they are %s and %s", w.state(e.ID), w.state(late.ID))
	}
	asked, err := w.RequestElevation(ctx, w.as("ada"), w.ask(tenure.Viewer, "", ""))
	w.must(err)
	w.pass(72 * time.Hour)
	w.tick()
	if w.state(asked.ID) != tenure.ElevationLapsed {
		t.Errorf("unanswered it is %s", w.state(asked.ID))
	}
	if w.logged("elevation.claim") {
		t.Error("the log has a claim")
	}
}

// Many claim at once: one starts the clock and gets the login's secret.
func TestElevationClaimedOnce(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	e := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	var wait sync.WaitGroup
	logins, errs := make([]*governance.Login, 8), make([]error, 8)
	for i := range errs {
		wait.Go(func() { _, logins[i], errs[i] = w.ClaimElevation(context.Background(), w.who["ada"], e.ID) })
	}
	wait.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			if !w.in(logins[i]) {
				t.Error("who claimed it can't sign in: another claim took the login away")
			}
			continue
		}
		w.wants("a claim beside another", err, tenure.Conflict)
	}
	if won != 1 || w.logins() != 1 {
		t.Errorf("%d claims won, with %d logins", won, w.logins())
	}
	grants, err := w.db.Grants(t.Context(), e.Principal, false)
	if n := slices.IndexFunc(grants, func(g tenure.Grant) bool { return g.Elevation == e.ID }); err != nil || n < 0 || len(grants) != 2 {
		t.Errorf("ada's grants are %+v (%v)", grants, err)
	}
}

// A claim that hangs for minutes gives way to the next one, and takes nothing
// from it when it comes to its end.
func TestElevationClaimGivesWay(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	e := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	w.world.Inject(memory.Fault{Call: "elevate", Times: 1, Stall: true})
	ctx, stop := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() {
		_, _, err := w.ClaimElevation(ctx, w.who["ada"], e.ID)
		hung <- err
	}()
	for w.world.Calls("elevate") == 0 {
		runtime.Gosched()
	}
	_, _, err := w.ClaimElevation(t.Context(), w.who["ada"], e.ID)
	w.wants("a claim while another is under way", err, tenure.Conflict)
	w.pass(6 * time.Minute)
	_, login, err := w.ClaimElevation(t.Context(), w.who["ada"], e.ID)
	w.must(err)
	stop()
	w.wants("the claim that hung", <-hung, tenure.Unavailable)
	if !w.in(login) || !w.may("ada", tenure.AuditRead) {
		t.Error("the claim that hung took the login of the one that followed")
	}
}

// Crashes at every point of a claim: nothing is left in the system that the store
// doesn't account for, and no clock has started.
func TestElevationClaimCrashes(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	e := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	w.world.Inject(memory.Fault{Call: "elevate", Times: 1})
	_, _, err := w.ClaimElevation(ctx, w.who["ada"], e.ID)
	w.wants("a claim while the system refuses", err, tenure.Unavailable)
	w.world.Inject(memory.Fault{Call: "elevate", Times: 1, DropAnswer: true})
	_, _, err = w.ClaimElevation(ctx, w.who["ada"], e.ID)
	w.wants("a claim whose answer was lost", err, tenure.Unavailable)
	if w.logins() != 0 || w.may("ada", tenure.AuditRead) || w.state(e.ID) != tenure.ElevationApproved {
		t.Fatalf("after failed claims it is %s with %d logins", w.state(e.ID), w.logins())
	}
	w.fail(errors.New("disk full"))
	_, _, err = w.ClaimElevation(ctx, w.who["ada"], e.ID)
	w.fail(nil)
	if err == nil || w.logins() != 0 || w.may("ada", tenure.AuditRead) {
		t.Fatalf("a claim that couldn't be stored: %v, with %d logins", err, w.logins())
	}
	if _, login, err := w.ClaimElevation(ctx, w.who["ada"], e.ID); err != nil || !w.in(login) {
		t.Fatalf("the claim that follows: %v", err)
	}

	// A process that died between the login and the commit.
	left := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	row, err := w.db.Elevation(ctx, left.ID)
	w.must(err)
	name := connector.LoginName(left.ID)
	w.write(func(tx *store.Tx) error {
		return tx.BeginLogin(row.Elevation, name, w.clock().Add(-time.Hour), w.clock())
	})
	refs := []connector.Ref{{Resource: w.resource(w.acme), Type: "store", Name: "acme"}}
	orphan := tenure.NewID[tenure.ElevationID](w.clock())
	for id, login := range map[tenure.ElevationID]string{left.ID: name, orphan: connector.LoginName(orphan)} {
		w.must(w.sys.Elevate(ctx, connector.Elevation{ID: id, Login: login, Secret: tenure.NewSecret("x"), Until: w.clock().Add(time.Hour), Access: tenure.DirectRead, Refs: refs}))
	}
	w.restart()
	w.tick()
	if w.logins() != 2 {
		t.Errorf("%d logins, want the active one and the one being claimed; the one that nobody knows of goes", w.logins())
	}
	w.pass(10 * time.Minute)
	w.tick()
	if w.logins() != 1 {
		t.Errorf("%d logins after the claim was given up, want the active one", w.logins())
	}
	w.pass(3 * time.Hour) // Tenure is down meanwhile
	w.restart()
	w.tick()
	if w.logins() != 0 {
		t.Errorf("%d overdue logins are left after a start", w.logins())
	}
	if !w.logged("elevation.login.sweep") {
		t.Error("the sweep isn't in the log")
	}
}

func (w *ward) resource(id tenure.TenantID) tenure.ResourceID {
	w.t.Helper()
	rows, err := w.db.Resources(context.Background(), id, false)
	w.must(err)
	return rows[0].ID
}
