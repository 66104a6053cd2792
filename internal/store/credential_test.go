package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func sum(text string) []byte {
	h := sha256.Sum256([]byte(text))
	return h[:]
}

// principal stores a person.
func (f *fixture) principal(name string) store.Principal {
	f.t.Helper()
	p := store.Principal{
		ID: tenure.NewID[tenure.PrincipalID](start), Name: name, Display: "A person", Email: name + "@example.com", Kind: tenure.CallerPerson, Owner: "", CreatedBy: "root", CreatedAt: start, Version: 1,
	}
	f.write(func(tx *store.Tx) error { return tx.SavePrincipal(p) })
	return p
}

// Who the log names is one person for ever: a name is never given to another, not
// even after its first holder was kept out.
func TestPrincipalNameIsNeverGivenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.principal("ada")
		f.write(func(tx *store.Tx) error { return tx.SetPrincipalState(ada.ID, true, 1) })
		other := store.Principal{ID: tenure.NewID[tenure.PrincipalID](start), Name: "ada", Kind: tenure.CallerMachine, CreatedAt: start}
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.SavePrincipal(other) }), tenure.Conflict, "ada")
		got, err := f.Principal(ctx, "ada")
		f.must(err)
		want := ada
		want.Disabled, want.Version = true, 2
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the first holder of the name (-want +got):\n%s", d)
		}
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.SetPrincipalState(ada.ID, false, 1) }), tenure.Conflict, "changed")
		_, err = f.Principal(ctx, "nobody")
		refused(t, err, tenure.NotFound, "nobody")
	})
}

// A person who was invited is bound to one identity; another's subject, or a
// second identity, never becomes that person.
func TestPrincipalIdentity(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada, ben := f.principal("ada"), f.principal("ben")
		find := func(tx *store.Tx, issuer, subject string) string {
			p, err := tx.PrincipalByIdentity(issuer, subject)
			if err != nil {
				refused(t, err, tenure.NotFound)
			}
			return p.Name
		}
		f.write(func(tx *store.Tx) error {
			if p, err := tx.UnboundPrincipal("ada@example.com"); err != nil || p.ID != ada.ID {
				t.Errorf("by the invitation's address one finds %q, %v", p.Name, err)
			}
			if got := find(tx, "", ""); got != "" {
				t.Errorf("a blank subject is %s", got)
			}
			return tx.BindPrincipal(ada.ID, "https://idp.example", "s1")
		})
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.BindPrincipal(ada.ID, "https://idp.example", "s2") }), tenure.Conflict)
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.BindPrincipal(ben.ID, "https://idp.example", "s1") }), tenure.Conflict)
		f.write(func(tx *store.Tx) error {
			for _, c := range [][3]string{{"https://idp.example", "s1", "ada"}, {"https://other.example", "s1", ""}, {"https://idp.example", "s2", ""}} {
				if got := find(tx, c[0], c[1]); got != c[2] {
					t.Errorf("subject %s of %s is %q, want %q", c[1], c[0], got, c[2])
				}
			}
			_, err := tx.UnboundPrincipal("ada@example.com")
			refused(t, err, tenure.NotFound)
			return nil
		})
	})
}

// Pages of principals leave none out, also where the database sorts names as a
// language does.
func TestPrincipalPages(t *testing.T) {
	onAll(t, func(t *testing.T, f *fixture) {
		want := map[string]bool{}
		for _, n := range []string{"ada", "ada-2", "ada2", "ad.a", "zoe", "ben@example.com", "b_n", "Ada"} {
			want[f.principal(n).Name] = true
		}
		for after, turn := "", 0; turn < 20; turn++ {
			page, err := f.Principals(t.Context(), after, 3)
			f.must(err)
			for _, p := range page {
				if !want[p.Name] {
					t.Errorf("%s comes twice", p.Name)
				}
				delete(want, p.Name)
				after = p.Name
			}
		}
		if len(want) > 0 {
			t.Errorf("%v are on no page", want)
		}
	})
}

// A grant comes back as it was given, counts until it is revoked, and the first
// revocation is the one that stands.
func TestGrants(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada, ben := f.principal("ada"), f.principal("ben")
		grant := func(p store.Principal, s tenure.Scope, at time.Time) tenure.Grant {
			g := tenure.Grant{ID: tenure.NewID[tenure.GrantID](at), Principal: p.ID, Role: tenure.Operator, Scope: s, Reason: "on call", By: "root", At: at, ExpiresAt: at.Add(time.Hour), Elevation: "elv_1"}
			f.write(func(tx *store.Tx) error { return tx.SaveGrant(g) })
			return g
		}
		first := grant(ada, tenure.Scope{Tenants: []tenure.TenantID{"ten_1"}, Tiers: []string{"pro"}, Labels: []string{"region=eu"}}, start)
		second := grant(ada, tenure.Scope{All: true}, start.Add(time.Second))
		others := grant(ben, tenure.Scope{All: true}, start.Add(2*time.Second))
		same := func(what string, want []tenure.Grant, p tenure.PrincipalID, ended bool) {
			t.Helper()
			got, err := f.Grants(ctx, p, ended)
			f.must(err)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		same("ada's", []tenure.Grant{first, second}, ada.ID, false)
		revoke := func(by string, at time.Time) {
			f.write(func(tx *store.Tx) error { return tx.RevokeGrant(first.ID, by, at) })
		}
		revoke("ben", start.Add(time.Minute))
		revoke("mallory", start.Add(time.Hour))
		same("ada's after a revocation", []tenure.Grant{second}, ada.ID, false)
		same("everybody's", []tenure.Grant{second, others}, "", false)
		first.RevokedAt, first.RevokedBy = start.Add(time.Minute), "ben"
		same("ada's with those that ended", []tenure.Grant{first, second}, ada.ID, true)
		f.write(func(tx *store.Tx) error {
			got, err := tx.Grant(first.ID)
			f.must(err)
			if d := cmp.Diff(first, got); d != "" {
				t.Errorf("by its id:\n%s", d)
			}
			if list, err := tx.Grants(ada.ID); err != nil || len(list) != 1 {
				t.Errorf("in the transaction: %v, %v", list, err)
			}
			_, err = tx.Grant("grt_none")
			refused(t, err, tenure.NotFound)
			return nil
		})
	})
}

// A token is found by its hash alone, says what it is limited to, and stays ended.
func TestTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada, ben := f.principal("ada"), f.principal("ben")
		save := func(p store.Principal, text string) store.Token {
			k := store.Token{
				ID: tenure.NewID[tenure.TokenID](start), Principal: p.ID, Name: "ci", Limit: tenure.Scope{Tiers: []string{"free"}}, Only: []tenure.Permission{tenure.TenantRead}, Strong: true,
				CreatedBy: "root", CreatedAt: start, ExpiresAt: start.Add(time.Hour),
			}
			f.write(func(tx *store.Tx) error { return tx.SaveToken(k, sum(text)) })
			return k
		}
		one, two := save(ada, "one"), save(ben, "two")
		by := func(text string) store.Token {
			t.Helper()
			got, err := f.TokenByHash(ctx, sum(text))
			f.must(err)
			return got
		}
		if d := cmp.Diff(one, by("one")); d != "" {
			t.Errorf("a token comes back changed:\n%s", d)
		}
		plain := store.Token{ID: tenure.NewID[tenure.TokenID](start), Principal: ben.ID, CreatedAt: start, ExpiresAt: start}
		f.write(func(tx *store.Tx) error { return tx.SaveToken(plain, sum("plain")) })
		if got := by("plain"); !got.Limit.IsZero() || len(got.Only) > 0 || got.Strong {
			t.Errorf("a token without a limit comes back with one: %+v", got)
		}
		_, err := f.TokenByHash(ctx, sum("three"))
		refused(t, err, tenure.NotFound)
		refused(t, f.Write(ctx, func(tx *store.Tx) error {
			again := one
			again.ID = tenure.NewID[tenure.TokenID](start)
			return tx.SaveToken(again, sum("one"))
		}), tenure.Conflict)
		use := func(at time.Time) { f.write(func(tx *store.Tx) error { return tx.UseToken(one.ID, at) }) }
		use(start.Add(2 * time.Minute))
		use(start.Add(time.Minute)) // of another process, committed late
		if got := by("one").UsedAt; !got.Equal(start.Add(2 * time.Minute)) {
			t.Errorf("last used at %s", got)
		}
		if list, err := f.Tokens(ctx, ada.ID); err != nil || len(list) != 1 || list[0].ID != one.ID {
			t.Errorf("ada's tokens: %v, %v", list, err)
		}
		if list, err := f.Tokens(ctx, ""); err != nil || len(list) != 3 {
			t.Errorf("everybody's tokens: %d, %v", len(list), err)
		}
		f.write(func(tx *store.Tx) error { return tx.RevokeToken(one.ID, start.Add(time.Minute)) })
		f.write(func(tx *store.Tx) error { return tx.RevokeCredentials(ada.ID, start.Add(time.Hour)) })
		if got := by("one").RevokedAt; !got.Equal(start.Add(time.Minute)) {
			t.Errorf("revoked at %s, want the first time", got)
		}
		if got := by("two"); got.ID != two.ID || !got.RevokedAt.IsZero() {
			t.Errorf("another's token: %+v", got)
		}
	})
}

// A session is listed until it ends, whichever way it does.
func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.principal("ada")
		var made []store.Session
		for i, cookie := range []string{"one", "two", "three"} {
			s := store.Session{
				ID: tenure.NewID[tenure.SessionID](start), Principal: ada.ID, Strong: i == 0, Method: "oidc", Agent: "a browser",
				CreatedAt: start.Add(time.Duration(i) * time.Second), SeenAt: start.Add(time.Duration(i) * time.Second), ExpiresAt: start.Add(time.Duration(i+1) * time.Hour),
			}
			f.write(func(tx *store.Tx) error { return tx.SaveSession(s, sum(cookie)) })
			made = append(made, s)
		}
		got, err := f.SessionByHash(ctx, sum("one"))
		f.must(err)
		if d := cmp.Diff(made[0], got); d != "" {
			t.Errorf("a session comes back changed:\n%s", d)
		}
		open := func(at time.Time) []store.Session {
			t.Helper()
			list, err := f.Sessions(ctx, ada.ID, at)
			f.must(err)
			all, err := f.Sessions(ctx, "", at)
			f.must(err)
			if d := cmp.Diff(all, list); d != "" {
				t.Errorf("everybody's and ada's differ:\n%s", d)
			}
			return list
		}
		if d := cmp.Diff(made, open(start)); d != "" {
			t.Errorf("sessions:\n%s", d)
		}
		if list := open(start.Add(time.Hour)); len(list) != 2 {
			t.Errorf("%d sessions at the moment when the first lapses, want 2", len(list))
		}
		f.write(func(tx *store.Tx) error { return tx.SeeSession(made[1].ID, start.Add(time.Minute)) })
		f.write(func(tx *store.Tx) error { return tx.RevokeSession(made[2].ID, start) })
		if list := open(start); len(list) != 2 || !list[1].SeenAt.Equal(start.Add(time.Minute)) {
			t.Errorf("after one was revoked and one seen: %+v", list)
		}
		f.write(func(tx *store.Tx) error { return tx.RevokeCredentials(ada.ID, start) })
		if list := open(start); len(list) > 0 {
			t.Errorf("after all were revoked: %+v", list)
		}
	})
}

// What is good once is good once: of several who bring it at the same moment, by
// two processes, one gets in.
func TestOneTimeIsUsedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		dbs := []*store.DB{f.DB, f.other()}
		save := func(o store.OneTime) {
			f.write(func(tx *store.Tx) error { return tx.SaveOneTime(o) })
		}
		use := func(db *store.DB, purpose string, hash []byte, at time.Time) (o store.OneTime, err error) {
			err = db.Write(context.Background(), func(tx *store.Tx) (err error) {
				o, err = tx.UseOneTime(purpose, hash, at)
				return err
			})
			return o, err
		}
		for round := range 10 {
			o := store.OneTime{Hash: sum(fmt.Sprint(round)), Purpose: "bootstrap", Code: fmt.Sprint("C", round), Principal: "prn_1", Data: "d", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
			save(o)
			var all sync.WaitGroup
			in := make(chan store.OneTime, 8)
			for n := range cap(in) {
				all.Go(func() {
					if got, err := use(dbs[n%2], "bootstrap", o.Hash, start.Add(time.Minute)); err == nil {
						in <- got
					} else if tenure.CodeOf(err) != tenure.Unauthorized {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if len(in) != 1 {
				t.Fatalf("%d got in with a code that is good once", len(in))
			}
			o.UsedAt = start.Add(time.Minute)
			if d := cmp.Diff(o, <-in); d != "" {
				t.Errorf("the one who got in was told (-want +got):\n%s", d)
			}
		}
		o := store.OneTime{Hash: sum("x"), Purpose: "device", Code: "X", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		save(o)
		for what, try := range map[string]func() error{
			"for another purpose": func() error { _, err := use(f.DB, "bootstrap", o.Hash, start); return err },
			"after it lapsed":     func() error { _, err := use(f.DB, "device", o.Hash, o.ExpiresAt); return err },
			"of another text":     func() error { _, err := use(f.DB, "device", sum("y"), start); return err },
		} {
			if err := try(); tenure.CodeOf(err) != tenure.Unauthorized {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// A row's key is named so that a terminal shows it: bytes as hexadecimal digits.
func TestRowsAreNamedInPlainLetters(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		o := store.OneTime{Hash: sum("x"), Purpose: "device", Code: "X", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		f.write(func(tx *store.Tx) error { return tx.SaveOneTime(o) })
		var says []string
		f.must(f.Proven(t.Context(), func(p store.Proven) error {
			if strings.HasPrefix(p.Says, "one_time ") {
				says = append(says, p.Says)
			}
			return nil
		}))
		if d := cmp.Diff([]string{fmt.Sprintf("one_time %x", sum("x"))}, says); d != "" {
			t.Errorf("a row is named (-want +got):\n%s", d)
		}
	})
}

// A device is let in by its code, once, by one person, while it waits.
func TestOneTimeIsConfirmedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		o := store.OneTime{Hash: sum("device"), Purpose: "device", Code: "ABCD", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		f.write(func(tx *store.Tx) error { return tx.SaveOneTime(o) })
		confirm := func(who string, at time.Time) error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.ConfirmOneTime(o.Hash, who, "data", at) })
		}
		refused(t, confirm("prn_late", o.ExpiresAt), tenure.Conflict)
		f.must(confirm("prn_ada", start))
		refused(t, confirm("prn_mallory", start), tenure.Conflict)
		got, err := f.OneTimeByCode(ctx, "device", "ABCD")
		f.must(err)
		if got.Principal != "prn_ada" || got.Data != "data" {
			t.Errorf("confirmed for %q with %q", got.Principal, got.Data)
		}
		f.write(func(tx *store.Tx) error { _, err := tx.UseOneTime("device", o.Hash, start); return err })
		_, err = f.OneTimeByCode(ctx, "device", "ABCD")
		refused(t, err, tenure.NotFound)
		_, err = f.OneTimeByCode(ctx, "device", "")
		refused(t, err, tenure.NotFound)
		// What lapsed is cleared away a day later, by whoever comes next.
		next := store.OneTime{Hash: sum("next"), Purpose: "device", CreatedAt: o.ExpiresAt.Add(25 * time.Hour), ExpiresAt: o.ExpiresAt.Add(26 * time.Hour)}
		f.write(func(tx *store.Tx) error { return tx.SaveOneTime(next) })
		_, err = f.OneTime(ctx, "device", o.Hash)
		refused(t, err, tenure.NotFound)
		if _, err = f.OneTime(ctx, "device", next.Hash); err != nil {
			t.Error(err)
		}
	})
}

// Anomalies are found in what happened at the door: the latest first, of a kind or
// a person, and not for longer than it may be kept.
func TestAccessEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		var all []store.AccessEvent
		for i := range 6 {
			e := store.AccessEvent{At: start.Add(time.Duration(i) * time.Minute), Kind: []string{"sign-in", "refused"}[i%2], Principal: []string{"ada", "ben", "zoe"}[i%3], Tenant: "ten_1", Detail: fmt.Sprint(i)}
			f.write(func(tx *store.Tx) error { return tx.NoteAccess(e) })
			all = append([]store.AccessEvent{e}, all...)
		}
		list := func(kind, who string, since time.Time, limit int) []store.AccessEvent {
			t.Helper()
			got, err := f.AccessEvents(ctx, kind, who, since, limit)
			f.must(err)
			return got
		}
		for what, c := range map[string]struct{ want, got []store.AccessEvent }{
			"all":                {all, list("", "", start, 10)},
			"the latest two":     {all[:2], list("", "", start, 2)},
			"of a kind":          {[]store.AccessEvent{all[0], all[2], all[4]}, list("refused", "", start, 10)},
			"of a person":        {[]store.AccessEvent{all[2], all[5]}, list("", "ada", start, 10)},
			"of both":            {[]store.AccessEvent{all[2]}, list("refused", "ada", start, 10)},
			"since a moment":     {all[:3], list("", "", start.Add(3*time.Minute), 10)},
			"after the last one": {nil, list("", "", start.Add(time.Hour), 10)},
		} {
			if d := cmp.Diff(c.want, c.got); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		f.write(func(tx *store.Tx) error { return tx.DropOld(start.Add(store.AccessEventsKept + 4*time.Minute)) })
		if got := list("", "", start, 10); len(got) != 2 {
			t.Errorf("%d events are left, want 2", len(got))
		}
	})
}

// A link shows one tenant's departure until it lapses or is revoked, and another
// tenant's name doesn't revoke it.
func TestDepartureLinks(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ten, other := f.tenant("acme"), f.tenant("other")
		l := store.DepartureLink{ID: tenure.NewID[tenure.LinkID](start), Tenant: ten.ID, CreatedBy: "ada", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		f.write(func(tx *store.Tx) error { return tx.SaveDepartureLink(l, sum("secret")) })
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.RevokeDepartureLink(other.ID, l.ID, start) }), tenure.NotFound)
		for _, minute := range []time.Duration{2, 1} {
			f.write(func(tx *store.Tx) error { return tx.SeeDepartureLink(l.ID, start.Add(minute*time.Minute)) })
		}
		l.SeenAt = start.Add(2 * time.Minute)
		got, err := f.DepartureLinkByHash(ctx, sum("secret"))
		f.must(err)
		if d := cmp.Diff(l, got); d != "" {
			t.Errorf("a link comes back changed:\n%s", d)
		}
		for _, at := range []time.Duration{time.Minute, time.Hour} {
			f.write(func(tx *store.Tx) error { return tx.RevokeDepartureLink(ten.ID, l.ID, start.Add(at)) })
		}
		list, err := f.DepartureLinks(ctx, ten.ID)
		f.must(err)
		if len(list) != 1 || !list[0].RevokedAt.Equal(start.Add(time.Minute)) {
			t.Errorf("the tenant's links: %+v", list)
		}
		if list, err = f.DepartureLinks(ctx, other.ID); err != nil || len(list) > 0 {
			t.Errorf("another tenant's links: %+v, %v", list, err)
		}
		_, err = f.DepartureLinkByHash(ctx, sum("guess"))
		refused(t, err, tenure.NotFound)
	})
}
