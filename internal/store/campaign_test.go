package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func campaignOf(items int, tenant tenure.TenantID) (tenure.Campaign, []store.ReviewItem) {
	c := tenure.Campaign{
		ID: tenure.NewID[tenure.CampaignID](start), Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewAccount}, Scope: tenure.Scope{Tiers: []string{"gold"}},
		Reviewers: []string{"bob", "cleo"}, Silence: tenure.ReviewRevoke, State: tenure.CampaignOpen, DueAt: start.Add(time.Hour), CreatedBy: "ann", CreatedAt: start, Version: 1,
	}
	var out []store.ReviewItem
	for i := range items {
		it := store.ReviewItem{ReviewItem: tenure.ReviewItem{Campaign: c.ID, Seq: i + 1, Kind: tenure.ReviewAccount, Subject: "res_x", Tenant: tenant, Detail: "an account", Reviewer: c.Reviewers[i%2]}, Salt: "salt"}
		if i == 0 {
			it.Kind, it.Tenant, it.Holder, it.Owner = tenure.ReviewGrant, "", "robot", "dan"
		}
		out = append(out, it)
	}
	return c, out
}

// A campaign and its answers come back as they were written, once.
func TestCampaign(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		c, items := campaignOf(3, ten.ID)
		f.write(func(tx *store.Tx) error { return tx.SaveCampaign(c, items) })
		got, err := f.Campaign(ctx, c.ID)
		f.must(err)
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("campaign (-want +got):\n%s", diff)
		}
		list, err := f.ReviewItems(ctx, store.ItemFilter{Campaign: c.ID, Grants: true, Visible: store.All, Limit: 10})
		f.must(err)
		if diff := cmp.Diff(items, list); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		answer := items[1].ReviewItem
		answer.Decision, answer.Reason, answer.DecidedBy, answer.DecidedAt = tenure.ReviewChange, "less", "cleo", start
		answer.ChangeTo = &tenure.ReviewTo{Parameters: map[string]any{"size": "small"}}
		f.write(func(tx *store.Tx) error { return tx.AnswerItem(answer) })
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.AnswerItem(answer) }), tenure.Conflict, "answered already")
		pending, err := f.PendingItems(ctx)
		f.must(err)
		if diff := cmp.Diff([]tenure.ReviewItem{answer}, []tenure.ReviewItem{pending[0].ReviewItem}); len(pending) != 1 || diff != "" {
			t.Errorf("%d items are pending (-want +got):\n%s", len(pending), diff)
		}
		counts, err := f.ReviewCounts(ctx, store.ItemFilter{Campaign: c.ID, Grants: true, Visible: store.All})
		f.must(err)
		if diff := cmp.Diff(map[tenure.ReviewDecision]int{"": 2, tenure.ReviewChange: 1}, counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		op := f.operation(request(ten.ID, tenure.Revoke, 1))
		f.write(func(tx *store.Tx) error { return tx.CarryItem(c.ID, 2, op.ID, "") })
		if pending, err = f.PendingItems(ctx); err != nil || len(pending) != 0 {
			t.Errorf("an item that an operation carries out still waits for one: %v, %v", pending, err)
		}
		if carried, err := f.CarriedItems(ctx); err != nil || len(carried) != 0 {
			t.Errorf("an operation under way counts as ended: %v, %v", carried, err)
		}
	})
}

// A campaign that nobody finishes comes up at its due date, and is closed once.
func TestCampaignIsClosedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		c, items := campaignOf(1, "")
		f.write(func(tx *store.Tx) error { return tx.SaveCampaign(c, items) })
		due := func(at time.Time) int {
			list, err := f.UnfinishedCampaigns(ctx, at)
			f.must(err)
			return len(list)
		}
		if due(start) != 0 || due(c.DueAt) != 1 {
			t.Errorf("%d campaigns are unfinished before the due date and %d on it, want 0 and 1", due(start), due(c.DueAt))
		}
		carry := func(tx *store.Tx) error {
			return tx.MoveCampaign(c.ID, tenure.CampaignOpen, tenure.CampaignCarrying, "", start)
		}
		f.write(carry)
		refused(t, f.Write(ctx, carry), tenure.Conflict)
		if _, err := f.Evidence(ctx, c.ID); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("evidence before the end: %v", err)
		}
		seal := func(tx *store.Tx) error { return tx.SealCampaign(c.ID, []byte(`{"a":1}`), "sha256:x") }
		f.write(seal)
		refused(t, f.Write(ctx, seal), tenure.Conflict)
		if doc, err := f.Evidence(ctx, c.ID); err != nil || string(doc) != `{"a":1}` {
			t.Errorf("the evidence is %q, %v", doc, err)
		}
	})
}

// Whoever sees one tenant sees no other's items, nor how many there are; a
// reviewer sees their own.
func TestReviewItemsAreNarrowed(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		mine, other := f.tenant("acme"), f.tenant("birch")
		c, items := campaignOf(4, mine.ID)
		items[3].Tenant = other.ID
		f.write(func(tx *store.Tx) error { return tx.SaveCampaign(c, items) })
		only := store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{mine.ID}}, Limit: tenure.Scope{All: true}}
		for _, q := range []struct {
			name string
			f    store.ItemFilter
			want []int
		}{
			{"all", store.ItemFilter{Visible: store.All, Grants: true}, []int{1, 2, 3, 4}},
			{"one tenant's", store.ItemFilter{Visible: only}, []int{2, 3}},
			{"one tenant's and grants", store.ItemFilter{Visible: only, Grants: true}, []int{1, 2, 3}},
			{"nothing but one's own", store.ItemFilter{Own: "cleo"}, []int{2, 4}},
			{"nothing", store.ItemFilter{}, nil},
			{"a reviewer's, of what is seen", store.ItemFilter{Visible: only, Reviewer: "bob"}, []int{3}},
			{"after the second", store.ItemFilter{Visible: store.All, Grants: true, After: 2}, []int{3, 4}},
		} {
			q.f.Campaign, q.f.Limit = c.ID, 10
			list, err := f.ReviewItems(ctx, q.f)
			f.must(err)
			var got []int
			for _, it := range list {
				got = append(got, it.Seq)
			}
			if diff := cmp.Diff(q.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", q.name, diff)
			}
			counts, err := f.ReviewCounts(ctx, q.f)
			f.must(err)
			if counts[""] != len(q.want) {
				t.Errorf("%s: %d are counted, want %d", q.name, counts[""], len(q.want))
			}
		}
	})
}

func TestAgreement(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten, other := f.tenant("acme"), f.tenant("birch")
		a := tenure.Agreement{
			ID: tenure.NewID[tenure.AgreementID](start), Tenant: ten.ID, Kind: tenure.SharingAgreement, Parties: []string{"Parcel Post, Ltd"}, Classes: []string{"orders", "invoices"},
			Purpose: "delivery", StartsAt: start, ExpiresAt: start.AddDate(0, 1, 0), CreatedBy: "ann", CreatedAt: start, Version: 1,
		}
		f.write(func(tx *store.Tx) error { return tx.SaveAgreement(a) })
		got, err := f.Agreement(ctx, a.ID)
		f.must(err)
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("agreement (-want +got):\n%s", diff)
		}
		see := func(id tenure.TenantID) int {
			list, err := f.Agreements(ctx, store.AgreementFilter{Limit: 10, Visible: store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{id}}, Limit: tenure.Scope{All: true}}})
			f.must(err)
			return len(list)
		}
		if see(ten.ID) != 1 || see(other.ID) != 0 {
			t.Errorf("who sees its tenant sees %d agreements and who doesn't sees %d, want 1 and 0", see(ten.ID), see(other.ID))
		}
		ended, soon, err := f.DueAgreements(ctx, start, start.AddDate(0, 0, 14))
		f.must(err)
		if len(ended)+len(soon) != 0 {
			t.Errorf("a month before its end, %d have ended and %d soon will", len(ended), len(soon))
		}
		near := a.ExpiresAt.AddDate(0, 0, -3)
		if _, soon, err = f.DueAgreements(ctx, near, near.AddDate(0, 0, 14)); err != nil || len(soon) != 1 {
			t.Errorf("three days before its end %d will soon end (%v), want 1", len(soon), err)
		}
		f.write(func(tx *store.Tx) error { _, err := tx.NoticeAgreement(a.ID, near); return err })
		if _, soon, err = f.DueAgreements(ctx, near, near.AddDate(0, 0, 14)); err != nil || len(soon) != 0 {
			t.Errorf("after its notice %d want one (%v)", len(soon), err)
		}
		stale := a
		stale.Version = 7
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.NarrowAgreement(stale) }), tenure.Conflict, "changed")
		var first, again bool
		f.write(func(tx *store.Tx) error { first, err = tx.EndAgreement(a.ID, "ann", "by hand", 0, start); return err })
		f.write(func(tx *store.Tx) error { again, err = tx.EndAgreement(a.ID, "bob", "by hand", 0, start); return err })
		if got, err = f.Agreement(ctx, a.ID); err != nil || !first || again || got.EndedBy != "ann" || see(ten.ID) != 0 {
			t.Errorf("ended twice, it is %+v (%v)", got, err)
		}
		// Its words go with the tenant, the row stays.
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(ten.ID, start); return err })
		if got, err = f.Agreement(ctx, a.ID); err != nil || got.Purpose != "" || len(got.Parties) != 0 {
			t.Errorf("forgotten, the agreement still says %+v (%v)", got, err)
		}
	})
}

// A move is found under its digest as it was written, decided once, and noticed
// if somebody has written in its row.
func TestMove(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](start), Name: "bob", Kind: tenure.CallerPerson, CreatedBy: "ann", CreatedAt: start}
		m := tenure.Move{Format: 1, Principal: p.ID, Name: "bob", Begins: []tenure.MoveRole{{Role: tenure.Operator, Scope: tenure.Scope{All: true}}}, Reason: "another desk", By: "ann", At: start}
		body, digest, err := m.Encode()
		f.must(err)
		f.write(func(tx *store.Tx) error {
			if err := tx.SavePrincipal(p); err != nil {
				return err
			}
			return tx.SaveMove(m, digest, body)
		})
		got, err := f.Move(ctx, digest)
		f.must(err)
		if diff := cmp.Diff(m, got.Move, cmpopts.EquateEmpty()); diff != "" || got.State != "waiting" {
			t.Errorf("the move is %s (-want +got):\n%s", got.State, diff)
		}
		decide := func(tx *store.Tx) error { return tx.DecideMove(digest, "done", "cleo", "", start) }
		f.write(decide)
		refused(t, f.Write(ctx, decide), tenure.Conflict, "decided already")
		if list, err := f.Moves(ctx, true, 10); err != nil || len(list) != 0 {
			t.Errorf("a move that is done waits: %v, %v", list, err)
		}
		_, err = f.raw().Exec(`update access_move set body = replace(body, 'operator', 'security-officer')`)
		f.must(err)
		_, err = f.Move(ctx, digest)
		refused(t, err, tenure.Conflict, "was changed")
	})
}
