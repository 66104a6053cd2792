package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// TestReviewEndsAStandingApproval: what a review decided about a standing approval has
// ended; what it decided about a system's credential is told to who runs Tenure, since
// Tenure can't take it back; and the review closes over both.
func TestReviewEndsAStandingApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := context.Background()
	rule := tenure.StandingRule{Name: "sign-ups", Trigger: "shop:", Blueprint: "small", MaxResources: 5, PerDay: 5, EndsAt: o.Now().AddDate(0, 6, 0)}
	digest, err := rule.Digest()
	o.must(err)
	id := tenure.NewID[tenure.StandingID](o.Now())
	o.must(o.db.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveStanding(tenure.Standing{ID: id, Rule: rule, Digest: digest, State: tenure.StandingProposed, ProposedBy: "operator", ProposedAt: o.Now()})
	}))
	c, items := o.review(tenure.ReviewRevoke, tenure.ReviewStanding, tenure.ReviewCredential)
	if len(items) != 3 {
		t.Fatalf("it asks about %v, want the rule and two systems", items)
	}
	for _, it := range items {
		o.decide(c, it, tenure.ReviewRevoke, nil)
	}
	st, err := o.Standing(ctx, id)
	o.must(err)
	if st.State != tenure.StandingEnded || st.EndedBy != "bob" {
		t.Errorf("the standing approval is %s, by %q", st.State, st.EndedBy)
	}
	told, err := o.db.Notices(ctx, "")
	o.must(err)
	n := 0
	for _, w := range told {
		if w.Recipient == "platform" && strings.Contains(w.Body, "systems.yaml") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d notices say that a credential is to be taken back, want one for each system: %+v", n, told)
	}
	_, err = o.gov.CloseCampaign(ctx, governance.Local("cleo"), c.ID)
	o.must(err)
	if ev, err := o.gov.Evidence(ctx, governance.Local("cleo"), c.ID); err != nil || len(ev.Texts) != 3 {
		t.Errorf("the evidence has %d texts (%v)", len(ev.Texts), err)
	}
}
