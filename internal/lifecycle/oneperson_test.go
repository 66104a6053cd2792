package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// machine adds a machine and the person who answers for it.
func (s *site) machine(name, keeper string) {
	s.t.Helper()
	s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
		now := s.Now()
		if err := tx.SavePrincipal(store.Principal{ID: tenure.NewID[tenure.PrincipalID](now), Name: keeper, Kind: tenure.CallerPerson, CreatedAt: now}); err != nil {
			return err
		}
		return tx.SavePrincipal(store.Principal{ID: tenure.NewID[tenure.PrincipalID](now), Name: name, Kind: tenure.CallerMachine, Owner: keeper, CreatedAt: now})
	}))
}

// Who answers for a machine publishes nothing that it wrote, and a machine nothing
// that its person wrote: the two are one pair of eyes.
func TestMachineAndKeeperPublishNothingAlone(t *testing.T) {
	t.Parallel()
	for author, by := range map[string]string{"ci": "keeper", "another": "cd"} {
		t.Run(author, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.machine("ci", "keeper")
			s.machine("cd", "another")
			b, err := s.SubmitBlueprint(t.Context(), []byte(sideText), "side.yaml", author)
			s.must(err)
			_, err = s.PublishBlueprint(t.Context(), b.Digest, by)
			wantCode(t, err, tenure.Forbidden, "can't publish it alone")
			c := everywhere(by, tenure.SecurityOfficer)
			if by == "cd" {
				c.Kind = tenure.CallerMachine
			}
			if s.waits(c, "blueprint") != 0 {
				t.Errorf("%s is asked to publish what %s wrote", by, author)
			}
		})
	}
}

// Who publishes a revision by its number publishes what they read: not a draft of
// the same number that somebody slipped in meanwhile.
func TestPublishingByNumberNeedsOneDraft(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	read, err := s.SubmitBlueprint(ctx, []byte(sideText), "side.yaml", "author")
	s.must(err)
	s.pass(time.Minute)
	_, err = s.SubmitBlueprint(ctx, []byte(strings.Replace(sideText, "P7D", "P8D", 1)), "side.yaml", "author")
	s.must(err)
	_, err = s.PublishBlueprint(ctx, read.Name+"@"+read.Version, "reviewer")
	wantCode(t, err, tenure.Conflict, "2 drafts")
	b, err := s.PublishBlueprint(ctx, read.Digest, "reviewer")
	if err != nil || b.Digest != read.Digest {
		t.Errorf("by its digest: %v, %v", b.Digest, err)
	}
}

// waits counts what of a kind is in somebody's inbox.
func (s *site) waits(c tenure.Caller, kind string) (n int) {
	s.t.Helper()
	items, _, err := s.Inbox(context.Background(), c, "", 100)
	s.must(err)
	for _, i := range items {
		if i.Kind == kind {
			n++
		}
	}
	return n
}

// The second word for a hold's release isn't that of a machine whose person gave
// the first.
func TestMachineAndKeeperReleaseNoHold(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.machine("bot", "keeper")
	h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "bot")
	s.must(err)
	_, err = s.ReleaseHold(ctx, h.ID, "bot")
	s.must(err)
	_, err = s.ReleaseHold(ctx, h.ID, "keeper")
	wantCode(t, err, tenure.Forbidden, "one person")
	if n := s.waits(everywhere("keeper", tenure.Legal), "hold"); n != 0 {
		t.Error("keeper is asked for the second word")
	}
	if h, err = s.ReleaseHold(ctx, h.ID, "counsel"); err != nil || h.Active() {
		t.Errorf("another person's word: %v, %v", h, err)
	}
}

// An exception takes two persons, of whom the second approves over the tenant: not
// a machine's keeper, not the one to whom the first lent their approvals, and not
// somebody who may only ask, however the two calls fall.
func TestExceptionTakesAnotherWhoApproves(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.machine("bot", "keeper")
	s.onboard("acme")
	s.world.Inject(memory.Fault{Call: "delete", Name: "acme-prod-seats", Err: tenure.Errorf(tenure.Forbidden, "the setting is locked")})
	op := s.toDeletion("acme")
	s.wantState(op, tenure.OperationBlocked)
	const step = "prod/seats/delete"
	skip := func(c tenure.Caller) error {
		_, err := s.SkipAs(ctx, c, op, step, "the vendor removes it by hand")
		return err
	}
	wantCode(t, skip(everywhere("viewer", tenure.Viewer)), tenure.Forbidden)
	bot := everywhere("bot", tenure.Operator)
	bot.Kind = tenure.CallerMachine
	s.must(skip(bot))
	wantCode(t, skip(everywhere("keeper", tenure.Approver)), tenure.Forbidden, "one person")
	if n := s.waits(everywhere("keeper", tenure.Approver), "exception"); n != 0 {
		t.Error("keeper is asked to attest")
	}
	wantCode(t, skip(everywhere("second", tenure.Operator)), tenure.Forbidden, "operation.approve")
	weak := everywhere("reviewer", tenure.Approver)
	weak.Strong = false
	wantCode(t, skip(weak), tenure.Forbidden, "stronger")
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveDelegation(tenure.Delegation{ID: tenure.NewID[tenure.DelegationID](s.Now()), From: "keeper", To: "stand-in", Scope: tenure.Scope{All: true}, Reason: "away", StartsAt: s.Now(), EndsAt: s.Now().Add(time.Hour), CreatedAt: s.Now()})
	}))
	wantCode(t, skip(everywhere("stand-in", tenure.Approver)), tenure.Forbidden, "one person")
	s.must(skip(everywhere("reviewer", tenure.Approver)))
}

// Who approves over one tier ends no standing approval of another.
func TestStandingIsEndedWithinReach(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	st := s.stand(s.rule())
	_, err := s.EndStanding(ctx, over(tenure.Scope{Tiers: []string{"gold"}}, "far", tenure.Approver), st.ID)
	wantCode(t, err, tenure.Forbidden, "more tenants")
	st, err = s.EndStanding(ctx, over(tenure.Scope{Tiers: []string{"team"}}, "near", tenure.Approver), st.ID)
	if err != nil || st.State != tenure.StandingEnded {
		t.Errorf("ended within reach: %s, %v", st.State, err)
	}
}
