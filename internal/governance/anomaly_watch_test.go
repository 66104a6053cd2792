package governance_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// watched is a governor over a store of a test's own, with a clock that the test
// sets.
type watched struct {
	*governance.Governor
	t   *testing.T
	db  *store.DB
	now time.Time
}

func watch(t *testing.T, test func(*watched)) {
	t.Helper()
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "tenure.db") },
		"postgres": func(t *testing.T) string { return postgrestest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), store.Options{DSN: dsn(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			w := &watched{t: t, db: db, now: noon}
			w.Governor = governance.New(governance.Options{
				DB: db, Now: func() time.Time { return w.now },
				Entry: func(_ context.Context, kind, _ string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
					return audit.Entry{Format: audit.Format, At: w.now, Kind: kind, Tenant: tenant, Operation: op, Subject: subject, Data: audit.Facts(facts)}, nil
				},
			})
			test(w)
		})
	}
}

func (w *watched) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) note(events ...store.AccessEvent) {
	w.t.Helper()
	w.must(w.db.Write(w.t.Context(), func(tx *store.Tx) error {
		for _, e := range events {
			if err := tx.NoteAccess(e); err != nil {
				return err
			}
		}
		return nil
	}))
}

// refuse has an address that nobody is known by refused n times.
func (w *watched) refuse(n int) {
	w.t.Helper()
	for range n {
		w.Refuse(governance.Refusal{Address: "192.0.2.7", Route: "POST /v1/bootstrap", Status: 401})
	}
	w.must(w.TickRefusals(w.t.Context(), w.now))
}

// entries counts what the log says of what happened.
func (w *watched) entries() (n int) {
	for r, err := range w.db.Entries(w.t.Context(), 0) {
		w.must(err)
		if !strings.Contains(string(r.Entry), `"kind":"`+store.RowsEntry+`"`) {
			n++
		}
	}
	return n
}

func (w *watched) findings() []tenure.Finding {
	w.t.Helper()
	out, err := w.db.FindingsPage(w.t.Context(), store.FindingFilter{Kind: tenure.FindingAnomaly, Limit: 100})
	w.must(err)
	return out
}

// TestWatcherWritesOnce: an anomaly becomes one finding, one notice and one entry
// of the log, however often and by however many it is looked for, even after it
// was let be or a restart.
func TestWatcherWritesOnce(t *testing.T) {
	watch(t, func(w *watched) {
		ctx := w.t.Context()
		w.refuse(27) // all at one moment: a clock may stand still
		before := w.entries()
		first := w.Watcher()
		w.must(first.Tick(ctx, w.now))
		got := w.findings()
		if len(got) != 1 || got[0].Type != "signin.sprayed" || got[0].Name != "" || !strings.Contains(got[0].Got, "27 refused within ten minutes") {
			w.t.Fatalf("findings: %+v", got)
		}
		w.must(w.db.Write(ctx, func(tx *store.Tx) error { return tx.Waive(got[0].ID, "sid", w.now.Add(time.Hour)) }))
		w.must(first.Tick(ctx, w.now))
		w.must(w.Watcher().Tick(ctx, w.now.Add(time.Second))) // after a restart
		w.now = w.now.Add(2 * time.Minute)
		w.refuse(1)
		w.must(first.Tick(ctx, w.now))
		if got := w.findings(); len(got) != 1 || got[0].WaivedBy != "sid" {
			w.t.Errorf("findings: %+v", got)
		}
		if after := w.entries(); after != before+1 {
			w.t.Errorf("%d entries about one anomaly", after-before)
		}
		notices, err := w.db.Notices(ctx, "")
		w.must(err)
		if len(notices) != 1 || !strings.Contains(notices[0].Body, "Seen: 27 refused") {
			w.t.Errorf("notices: %+v", notices)
		}
	})
}

// TestWatcherSeesDormantAdmins: it knows who has which role.
func TestWatcherSeesDormantAdmins(t *testing.T) {
	watch(t, func(w *watched) {
		ctx := w.t.Context()
		for _, name := range []string{"ada", "olu"} {
			p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](w.now), Name: name, Kind: tenure.CallerPerson, CreatedAt: w.now, Version: 1}
			g := tenure.Grant{ID: tenure.NewID[tenure.GrantID](w.now), Principal: p.ID, Role: tenure.Admin, Scope: whole, At: w.now.Add(-90 * aDay)}
			if name == "olu" {
				g.Role = tenure.Operator
			}
			w.must(w.db.Write(ctx, func(tx *store.Tx) error {
				if err := tx.SavePrincipal(p); err != nil {
					return err
				}
				return tx.SaveGrant(g)
			}))
			w.note(event(61*aDay, tenure.EventSignIn, name, "", "oidc"), event(time.Second, tenure.EventSignIn, name, "", "oidc"))
		}
		w.must(w.Watcher().Tick(ctx, w.now))
		got := w.findings()
		if len(got) != 1 || got[0].Name != "ada" || got[0].Type != "dormant.wakes" {
			w.t.Errorf("findings: %+v", got)
		}
	})
}

// TestFloodDoesNotHide: thousands of refused sign-ins under a name, which anybody
// can make, don't push out what that person's elevations are compared with.
func TestFloodDoesNotHide(t *testing.T) {
	watch(t, func(w *watched) {
		ctx := w.t.Context()
		w.note(every(6, aDay, 15*time.Hour, tenure.EventElevation, detail(one))...)
		w.note(every(5100, time.Second, time.Minute, tenure.EventRefused, "")...) // an earlier build wrote them one by one, with the name that was given
		w.note(event(0, tenure.EventElevation, "ada", "", detail(whole)))
		w.must(w.Watcher().Tick(ctx, w.now))
		rules := make(map[string]int)
		for _, f := range w.findings() {
			rules[f.Type]++
		}
		if rules["elevation.hour"] != 1 || rules["elevation.scope"] != 1 || rules["signin.sprayed"] != 1 || len(rules) > 4 {
			w.t.Errorf("findings: %v", rules)
		}
	})
}

// TestRequiresMore: an anomaly asks for another person's word while it stands;
// what others did in one's name doesn't.
func TestRequiresMore(t *testing.T) {
	watch(t, func(w *watched) {
		ctx := w.t.Context()
		w.note(event(aDay, tenure.EventElevation, "ada", "", detail(one)), event(0, tenure.EventElevation, "ada", "", detail(whole)))
		w.refuse(40)
		w.must(w.Watcher().Tick(ctx, w.now))
		more := func(who string, at time.Time) (int, string) {
			n, why, until, err := w.RequiresMore(ctx, who, at)
			w.must(err)
			if n > 0 && until.Sub(w.now) <= 7*aDay {
				w.t.Errorf("it weighs until %s", until)
			}
			return n, why
		}
		if n, why := more("ada", w.now); n != 1 || !strings.Contains(why, "over more than they ever did") {
			w.t.Errorf("ada needs %d more: %s", n, why)
		}
		for _, who := range []string{"bob", "cyd", ""} {
			if n, why := more(who, w.now); n != 0 {
				w.t.Errorf("%q needs %d more: %s", who, n, why)
			}
		}
		if n, why := more("ada", w.now.Add(8*aDay)); n != 0 {
			w.t.Errorf("a week later ada needs %d more: %s", n, why)
		}
		for _, f := range w.findings() {
			w.must(w.db.Write(ctx, func(tx *store.Tx) error { return tx.Waive(f.ID, "sid", w.now.Add(aDay)) }))
		}
		if n, why := more("ada", w.now); n != 0 {
			w.t.Errorf("though it is let be, ada needs %d more: %s", n, why)
		}
	})
}

// TestOldEventsGo: personal data about the door isn't kept for ever.
func TestOldEventsGo(t *testing.T) {
	watch(t, func(w *watched) {
		w.note(event(store.AccessEventsKept+time.Hour, tenure.EventSignIn, "ada", "", ""), event(store.AccessEventsKept-time.Hour, tenure.EventSignIn, "ada", "", ""))
		w.must(w.db.Write(w.t.Context(), func(tx *store.Tx) error { return tx.DropOld(w.now) }))
		left, err := w.db.AccessEvents(w.t.Context(), "", "", time.Time{}, 10)
		w.must(err)
		if len(left) != 1 {
			w.t.Errorf("left: %v", left)
		}
	})
}
