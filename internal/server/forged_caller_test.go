package server_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Whoever writes a right into the store, past the program, may look and do nothing with it.
func TestForgedRightsLetNobodyAct(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge, says string
		mend        string // blank: none is needed
	}{
		"a grant": {
			`insert into role_grant select 'gra_forged', principal, 'admin', scope, reason, granted_by, granted_at, expires_at, elevation, break_glass, revoked_at, revoked_by from role_grant where principal = (select id from principal where name = 'mallory')`,
			"role_grant gra_forged isn't known to it", `delete from role_grant where id = 'gra_forged'`,
		},
		"a longer grant":      {`update role_grant set expires_at = 9000000000000000000 where principal = (select id from principal where name = 'mallory')`, "was changed", `update role_grant set expires_at = 0 where principal = (select id from principal where name = 'mallory')`},
		"a wider scope":       {`update role_grant set scope = '{"all":true}' where principal = (select id from principal where name = 'mallory')`, "was changed", ""},
		"a revocation undone": {`update role_grant set revoked_at = 0, revoked_by = '' where principal = (select id from principal where name = 'mallory')`, "was changed", ""},
		"who answers for it":  {`update principal set owner = 'ada' where name = 'mallory'`, "was changed", ""},
		"a token's end":       {`update token set expires_at = expires_at + 1 where principal = (select id from principal where name = 'mallory')`, "was changed", ""},
		"another's token":     {`update token set principal = (select id from principal where name = 'mallory') where principal = (select id from principal where name = 'ada')`, "was changed", ""},
		"a delegation": {
			`insert into delegation values ('del_forged', 'ada', 'mallory', '{"all":true}', 'x', 0, 9223372036854775807, 0, 0, '')`,
			"delegation del_forged isn't known to it", `delete from delegation where id = 'del_forged'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s, past := tampered(t)
			db := s.Engine.DB
			srv := newServer(t, s)
			ada := bearer(t, s, "ada", tenure.Approver, tenure.Scope{All: true})
			mallory := bearer(t, s, "mallory", tenure.Operator, gold)
			plant(t, s, "acme", "gold", "seen")
			called := mallory
			if name == "another's token" {
				called = ada
			}
			label := func() (int, string) {
				code, _, body := do(t, srv.Handler(), "PATCH", "/v1/tenants/acme", `{"labels":{"team":"gold"}}`, called)
				return code, body
			}
			if code, body := label(); name != "another's token" && code != 200 {
				t.Fatalf("before: %d %s", code, body)
			}
			if strings.HasPrefix(name, "a revocation") {
				p, err := db.Principal(ctx, "mallory")
				if err != nil {
					t.Fatal(err)
				}
				grants, err := db.Grants(ctx, p.ID, false)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range grants {
					if err := db.Write(ctx, func(tx *store.Tx) error { return tx.RevokeGrant(g.ID, "ada", time.Now()) }); err != nil {
						t.Fatal(err)
					}
				}
			}
			past(c.forge)
			code, body := label()
			if said, detail := codeOf(t, body); said != tenure.Blocked || !strings.Contains(detail, c.says) {
				t.Errorf("with what is forged: %d %s", code, body)
			}
			if code, _, body := do(t, srv.Handler(), "GET", "/v1/tenants/acme", "", called); code != 200 {
				t.Errorf("a look: %d %s", code, body)
			}
			if c.mend == "" {
				return
			}
			past(c.mend)
			if code, body := label(); code != 200 {
				t.Errorf("put back: %d %s", code, body)
			}
		})
	}
}

// tampered is a service, and what changes its store past it.
func tampered(t *testing.T) (*lifecycle.Service, func(q string, args ...any)) {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tenure.db")
	db, err := store.Open(ctx, store.Options{DSN: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return serviceOn(t, db, keys, dir, time.Now), func(q string, args ...any) {
		t.Helper()
		raw, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		r, err := raw.Exec(q, args...)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := r.RowsAffected(); n == 0 {
			t.Fatalf("%s changed nothing", q)
		}
	}
}

// What lets somebody in, or gives them something, gives nothing where it was written into the store.
func TestForgedRowsLetNobodyIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	refused := func(t *testing.T, err error, says string) {
		t.Helper()
		if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), says) {
			t.Errorf("it says %v", err)
		}
	}
	t.Run("a bootstrap code", func(t *testing.T) {
		t.Parallel()
		s, past := tampered(t)
		sum := sha256.Sum256([]byte("boot_forged"))
		past(`insert into one_time (hash, purpose, code, principal, data, created_at, expires_at, used_at) values (?, 'bootstrap', '', '', '', 1, ?, 0)`, sum[:], time.Now().Add(time.Hour).UnixMicro())
		_, err := governorOf(s).Redeem(ctx, tenure.NewSecret("boot_forged"), "mallory", "mallory@example.com")
		refused(t, err, "one_time")
	})
	t.Run("an old bootstrap code", func(t *testing.T) {
		t.Parallel()
		s, past := tampered(t)
		g := governorOf(s)
		code, err := g.BootstrapCode(ctx)
		if err == nil {
			_, err = g.Redeem(ctx, code, "ada", "ada@example.com")
		}
		if err != nil {
			t.Fatal(err)
		}
		past(`update one_time set used_at = 0`)
		_, err = g.Redeem(ctx, code, "mallory", "mallory@example.com")
		refused(t, err, "one_time")
	})
	t.Run("a device's confirmation", func(t *testing.T) {
		t.Parallel()
		s, past := tampered(t)
		g := governorOf(s)
		bearer(t, s, "ada", tenure.Admin, tenure.Scope{All: true})
		d, err := g.BeginDevice(ctx)
		if err != nil {
			t.Fatal(err)
		}
		past(`update one_time set principal = (select id from principal where name = 'ada'), data = 'strong' where purpose = 'device'`)
		_, _, err = g.DeviceToken(ctx, d.DeviceCode)
		refused(t, err, "one_time")
	})
	t.Run("an elevation", func(t *testing.T) {
		t.Parallel()
		s, past := tampered(t)
		g := governorOf(s)
		bearer(t, s, "mallory", tenure.Operator, tenure.Scope{All: true})
		p, grants, err := g.Principal(ctx, "mallory")
		if err != nil {
			t.Fatal(err)
		}
		c := tenure.Caller{Principal: p.ID, Name: p.Name, Kind: tenure.CallerPerson, Strong: true, Grants: grants}
		hour, err := tenure.ParsePeriod("PT1H")
		if err != nil {
			t.Fatal(err)
		}
		e, err := g.RequestElevation(ctx, c, governance.ElevationAsk{Role: tenure.Legal, Scope: tenure.Scope{All: true}, Reason: "to see", For: hour})
		if err != nil {
			t.Fatal(err)
		}
		past(`update elevation set state = 'approved', decided_by = 'ada', decided_at = requested_at + 1, claim_until = requested_at + 3600000000`)
		_, _, err = g.ClaimElevation(ctx, c, e.ID)
		refused(t, err, "elevation")
	})
	t.Run("a departure link", func(t *testing.T) {
		t.Parallel()
		s, past := tampered(t)
		plant(t, s, "acme", "gold", "seen")
		l, secret, err := s.NewDepartureLink(ctx, "acme", "", time.Hour, "ada")
		if err == nil {
			err = s.RevokeDepartureLink(ctx, "acme", l.ID, "ada")
		}
		if err != nil {
			t.Fatal(err)
		}
		past(`update departure_link set revoked_at = 0`)
		_, err = s.OpenDepartureLink(ctx, secret)
		refused(t, err, "departure_link")
	})
}

// What lets somebody in and is taken away again before it is compared with the log lets
// nobody act: both are looked at in one snapshot.
func TestForgedForAMomentLetsNobodyAct(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, past := tampered(t)
	newServer(t, s)
	plant(t, s, "acme", "gold", "seen")
	header := bearer(t, s, "mallory", tenure.Operator, gold)["Authorization"]
	gov := governorOf(s)
	acme, err := gov.Target(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	whose := ` where principal = (select id from principal where name = 'mallory')`
	for name, c := range map[string]struct {
		forge, back string
		over        tenure.Target
	}{
		"a wider grant": {`update role_grant set scope = '{"all":true}'` + whose, `update role_grant set scope = '` + text(t, gold) + `'` + whose, tenure.Target{}},
		"a strong mark": {`update token set strong = 1 - strong` + whose, `update token set strong = 1 - strong` + whose, acme},
	} {
		past(c.forge)
		as, err := gov.Authenticate(ctx, governance.Credential{Bearer: tenure.NewSecret(strings.TrimPrefix(header, "Bearer "))})
		if err != nil {
			t.Fatal(err)
		}
		past(c.back)
		if err := gov.Require(ctx, as, tenure.TenantRead, c.over); err != nil {
			t.Errorf("%s: a look: %v", name, err)
		}
		if err := gov.Require(ctx, as, tenure.TenantChange, c.over); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("%s that was there for a moment: %v", name, err)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
