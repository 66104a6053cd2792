package main

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

// hire NAME ROLE [TIER]: adds a person with a role over all tenants, or over a
// tier's.
func hire(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	clock := ts.Getenv("TENURE_TEST_CLOCK")
	inst, err := installation.Open(ctx, installation.Options{Dir: ts.MkAbs("tenure-data"), Now: func() time.Time { return readClock(clock) }})
	ts.Check(err)
	defer inst.Close()
	p, err := inst.Governor.AddPrincipal(ctx, store.Principal{Name: args[0], Kind: tenure.CallerPerson}, "setup")
	ts.Check(err)
	scope := tenure.Scope{All: true}
	if len(args) > 2 {
		scope = tenure.Scope{Tiers: args[2:]}
	}
	_, err = inst.Governor.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: p.ID, Role: tenure.Role(args[1]), Scope: scope, Reason: "setup"})
	ts.Check(err)
}
