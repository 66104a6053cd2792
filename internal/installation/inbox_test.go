package installation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// TestInboxHoldsLookalikes: somebody whose name reads like another's waits for an admin's
// word, so that word is asked for where admins look, of all but who added them.
func TestInboxHoldsLookalikes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i, err := installation.Init(ctx, installation.Options{Dir: t.TempDir()}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	var cyrillic store.Principal
	for _, name := range []string{"carl", "саrl"} {
		if cyrillic, err = i.Governor.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson}, "mallory"); err != nil {
			t.Fatal(err)
		}
	}
	waits := func(who string) (ids []string) {
		c, err := i.Governor.Asserted(ctx, who)
		if err != nil {
			t.Fatal(err)
		}
		items, _, err := i.Inbox(ctx, c, "", 50)
		if err != nil {
			t.Fatal(err)
		}
		items = slices.DeleteFunc(items, func(i lifecycle.InboxItem) bool { return i.Kind != "principal" })
		for _, i := range items {
			if !strings.Contains(i.Summary, "саrl") || i.RequestedBy != "mallory" {
				t.Errorf("%s reads %+v", who, i)
			}
			ids = append(ids, i.ID)
		}
		return ids
	}
	if got := waits("root"); !slices.Equal(got, []string{string(cyrillic.ID)}) {
		t.Errorf("an admin's inbox holds %v", got)
	}
	for _, who := range []string{"mallory", "Mallory"} {
		if got := waits(who); len(got) > 0 {
			t.Errorf("%s, who added them, is asked to let them in", who)
		}
	}
	if _, err := i.Governor.DisablePrincipal(ctx, string(cyrillic.ID), false, 0, "root"); err != nil {
		t.Fatal(err)
	}
	if got := waits("root"); len(got) > 0 {
		t.Errorf("who was let in still waits: %v", got)
	}
}

// TestInboxBreakGlass: a break-glass is to be reviewed when it has ended, and so it
// waits in the inbox from then on, not before.
func TestInboxBreakGlass(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	i, err := installation.Init(ctx, installation.Options{Dir: t.TempDir(), Now: func() time.Time { return now }}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	as := func(who string) tenure.Caller {
		c, err := i.Governor.Asserted(ctx, who)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := i.Governor.AddPrincipal(ctx, store.Principal{Name: "ada", Kind: tenure.CallerPerson}, "root"); err != nil {
		t.Fatal(err)
	}
	e, _, err := i.Governor.BreakGlass(ctx, as("ada"), governance.ElevationAsk{Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "checkout is down"})
	if err != nil {
		t.Fatal(err)
	}
	waits := func(who string) int {
		items, _, err := i.Inbox(ctx, as(who), "", 50)
		if err != nil {
			t.Fatal(err)
		}
		return len(slices.DeleteFunc(items, func(i lifecycle.InboxItem) bool { return i.Kind != "breakglass" || i.ID != string(e.ID) }))
	}
	if n := waits("root"); n != 0 {
		t.Errorf("while it lasts the inbox asks for %d reviews", n)
	}
	now = e.EndsAt
	if root, ada := waits("root"), waits("ada"); root != 1 || ada != 0 {
		t.Errorf("when it has ended %d reviews wait for another and %d for its holder, want 1 and 0", root, ada)
	}
}

// TestInboxHoldsEvents: who is named at the folder has the events that they may decide in their
// inbox, as they have them by their token.
func TestInboxHoldsEvents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i, err := installation.Init(ctx, installation.Options{Dir: t.TempDir()}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	for _, name := range []string{"ada", "bob"} {
		p, err := i.Governor.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson}, "root")
		if err != nil {
			t.Fatal(err)
		}
		if name == "bob" {
			continue
		}
		if _, err := i.Governor.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: p.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	row := store.Inbound{ID: tenure.NewOrderedID[tenure.InboundID](time.Now(), 1), Source: "crm", ExternalID: "e1", Type: "deal.won", HappenedAt: time.Now(), ReceivedAt: time.Now(), Body: []byte("{}")}
	err = i.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Receive(row); err != nil {
			return err
		}
		row.State, row.Why, row.DecidedAt = store.InboundHeld, "a person decides", time.Now()
		_, err := tx.DecideInbound(row)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]int{"ada": 1, "bob": 0} {
		c, err := i.Governor.Named(ctx, governance.Local(who))
		if err != nil {
			t.Fatal(err)
		}
		items, _, err := i.Inbox(ctx, c, "", 50)
		if err != nil {
			t.Fatal(err)
		}
		if items = slices.DeleteFunc(items, func(i lifecycle.InboxItem) bool { return i.Kind != "event" }); len(items) != want {
			t.Errorf("%d events wait for %s, want %d", len(items), who, want)
		}
	}
}
