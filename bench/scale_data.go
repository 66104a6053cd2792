package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/tenurehq/tenure"
)

// A full store, as years of use would leave it. It is written by SQL alone: what is
// measured is how it is read.
const (
	fullTenants  = 1_000_000
	fullFindings = 20_000
	fullOps      = 30_000
	fullHolds    = 2_000
	fullDays     = 400 // over which the tenants were made
)

// shares are how many of 1,000 tenants are in a state, and by which move.
var shares = []struct {
	move tenure.TenantMove
	n    int
}{
	{tenure.TenantMove{From: tenure.TenantProvisioning, To: tenure.TenantActive}, 700},
	{tenure.TenantMove{From: tenure.TenantErasing, To: tenure.TenantAwaitingExpiry}, 15},
	{tenure.TenantMove{From: tenure.TenantTerminating, To: tenure.TenantRetained}, 120},
	{tenure.TenantMove{From: tenure.TenantActive, To: tenure.TenantSuspended}, 30},
	{tenure.TenantMove{From: tenure.TenantActive, To: tenure.TenantTransition}, 20},
	{tenure.TenantMove{From: tenure.TenantTransition, To: tenure.TenantTerminating}, 4},
	{tenure.TenantMove{From: tenure.TenantRetained, To: tenure.TenantErasing}, 5},
	{tenure.TenantMove{To: tenure.TenantRequested}, 2},
	{tenure.TenantMove{From: tenure.TenantRequested, To: tenure.TenantValidating}, 1},
	{tenure.TenantMove{From: tenure.TenantValidating, To: tenure.TenantProvisioning}, 3},
	{tenure.TenantMove{From: tenure.TenantAwaitingExpiry, To: tenure.TenantClosed}, 100},
}

// sqlText writes SQL in a dialect's words.
type sqlText struct {
	postgres bool
	now      time.Time
	tenants  int
}

// series are the whole numbers from 0 up to n, as i.
func (s sqlText) series(n int) string {
	if s.postgres {
		return fmt.Sprintf("(select g::bigint as i from generate_series(0, %d) g) n", n-1)
	}
	return fmt.Sprintf("(with recursive n(i) as (select 0 union all select i + 1 from n where i < %d) select i from n) n", n-1)
}

func (s sqlText) hex(expr string, digits int) string {
	if s.postgres {
		return fmt.Sprintf("lpad(to_hex((%s)::bigint), %d, '0')", expr, digits)
	}
	return fmt.Sprintf("printf('%%0%dx', %s)", digits, expr)
}

// id is the id of a thing made at a millisecond.
func (s sqlText) id(prefix, ms, low string) string {
	h := s.hex(ms, 12)
	return fmt.Sprintf("'%s_' || substr(%s, 1, 8) || '-' || substr(%s, 9, 4) || '-7000-8000-' || %s", prefix, h, h, s.hex(low, 12))
}

// made is the millisecond at which the i-th of n was made, over so many days.
func (s sqlText) made(i string, n, days int) string {
	first := s.now.Add(-time.Duration(days) * 24 * time.Hour).UnixMilli()
	return fmt.Sprintf("(%d + (%s) * %d / %d)", first, i, int64(days)*24*3600*1000, n)
}

// tenant is the id of the i-th tenant.
func (s sqlText) tenant(i string) string { return s.id("ten", s.made(i, s.tenants, fullDays), i) }

// share is a value for each share of 1,000, by a number that looks random.
func (s sqlText) share(number string, value func(int) (int, string)) string {
	var b strings.Builder
	b.WriteString("case")
	upTo := 0
	for i := 0; ; i++ {
		n, v := value(i)
		if n == 0 {
			return b.String() + " end"
		}
		upTo += n
		fmt.Fprintf(&b, " when %s < %d then '%s'", number, upTo, v)
	}
}

func list(of ...any) func(int) (int, string) {
	return func(i int) (int, string) {
		if 2*i >= len(of) {
			return 0, ""
		}
		return of[2*i].(int), of[2*i+1].(string)
	}
}

const spread = "(i * 7919) % 1000"

// statements fill the store.
func (s sqlText) statements() []string {
	state := s.share(spread, func(i int) (int, string) {
		if i >= len(shares) {
			return 0, ""
		}
		return shares[i].n, string(shares[i].move.To)
	})
	previous := s.share(spread, func(i int) (int, string) {
		if i >= len(shares) {
			return 0, ""
		}
		return shares[i].n, string(shares[i].move.From)
	})
	revision := func(v string) string {
		return fmt.Sprintf(`{"digest":"%s","name":"standard","version":"%s"}`, tenure.Digest([]byte(v)), v)
	}
	tier := s.share("(i / 7 * 104729) % 1000", list(600, "free", 250, "team", 120, "business", 30, "enterprise"))
	blueprint := s.share("(i / 3 * 611953) % 1000", list(600, revision("1.2"), 300, revision("1.1"), 100, revision("1.0")))
	labels := s.share("(i / 11 * 350377) % 1000", list(150, `{"region":"eu"}`, 150, `{"region":"us"}`, 30, `{"region":"eu","vip":"yes"}`, 3, `{"pilot":"yes"}`, 667, ""))
	micros := s.made("i", s.tenants, fullDays) + " * 1000"
	opMade := s.made("i", fullOps, 120)
	foundAt := s.made("i", fullFindings, 60)
	heldAt := s.made("i", fullHolds, fullDays)
	out := []string{
		`insert into tenant (id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, labels, created_at, updated_at, version)
			select ` + s.tenant("i") + `, case when ` + spread + ` < 900 then 'customer-' || i else '' end, 'an organization', 'someone@example.com', ` + tier + `, ` + state + `, ` + previous + `, '', ` + blueprint + `,
			'{"plan":"standard","seats":25}', '{"reports":true}', '', ` + labels + `, ` + micros + `, ` + micros + `, 5 from ` + s.series(s.tenants),
		`insert into plan (digest, tenant, kind, body, made_by, created_at) values ('sha256:none', '', 'change', '', 'somebody', 0)`,
		`insert into operation (id, kind, tenant, plan, state, reason, requested_by, trigger_key, blueprint, destructive, driver, locked, wanted, created_at, updated_at, due_at, reserved_until, version)
			select ` + s.id("op", opMade, "i") + `, ` + s.share(spread, list(550, "onboard", 250, "change", 100, "upgrade", 100, "offboard")) + `, ` + s.tenant(fmt.Sprintf("(i * 613) %% %d", s.tenants)) + `, 'sha256:none', ` +
			s.share("(i / 5 * 104729) % 1000", list(820, "succeeded", 50, "failed", 20, "cancelled", 80, "waiting", 25, "blocked", 5, "paused")) + `, 'a reason', 'somebody', '', 'standard', 0, 'embedded', 0, '', ` +
			opMade + ` * 1000, ` + opMade + ` * 1000 + 90000000 + i * 1000, 0, 0, 3 from ` + s.series(fullOps),
		`insert into finding (id, fingerprint, kind, severity, tenant, resource, system, type, name, field, want, got, detail, seen_at, resolved_at, waived_until, waived_by)
			select ` + s.id("fnd", foundAt, "i") + `, 'f' || i, ` + s.share(spread, list(700, "drift", 200, "residue", 50, "orphan", 50, "ghost_user")) + `, ` +
			s.share("(i / 5 * 104729) % 1000", list(20, "critical", 80, "high", 400, "medium", 500, "low")) + `, ` + s.tenant(fmt.Sprintf("(i * 49) %% %d", s.tenants)) + `, '', 'main-db', 'role', 'r' || i, 'limit', '10', '11', 'it differs', ` +
			foundAt + ` * 1000, 0, 0, '' from ` + s.series(fullFindings),
		`insert into hold (id, matter, tenant, class, system, resource, reason, placed_by, placed_at, effective_at, already_gone, release_by, released_at)
			select ` + s.id("hld", heldAt, "i") + `, 'a matter', ` + s.tenant(fmt.Sprintf("(i * 497) %% %d", s.tenants)) + `, '', '', '', 'a reason', 'counsel', ` + heldAt + ` * 1000, ` + heldAt + ` * 1000, '', '', case when i % 10 < 3 then ` + heldAt + ` * 1000 else 0 end from ` + s.series(fullHolds),
	}
	for _, l := range []string{"region=eu", "region=us", "vip=yes", "pilot=yes"} {
		k, v, _ := strings.Cut(l, "=")
		out = append(out, fmt.Sprintf(`insert into tenant_label (label, tenant) select '%s', id from tenant where labels like '%%"%s":"%s"%%'`, l, k, v))
	}
	for _, r := range []string{"1.0", "1.1", "1.2"} {
		out = append(out, fmt.Sprintf(`insert into blueprint (digest, name, version, body, author, created_at, published_by, published_at) values ('%s', 'standard', '%s', '', 'somebody', 1, 'somebody-else', 1)`, tenure.Digest([]byte(r)), r))
	}
	out = append(out,
		`insert into fleet_count (label, tier, state, blueprint, n) select '', tier, state, blueprint, count(*) from tenant group by tier, state, blueprint`,
		`insert into fleet_count (label, tier, state, blueprint, n) select l.label, t.tier, t.state, t.blueprint, count(*) from tenant_label l join tenant t on t.id = l.tenant group by l.label, t.tier, t.state, t.blueprint`)
	if s.postgres {
		out = append(out, "analyze") // as autovacuum would have
	}
	return out
}

// fill writes a full store into one that was migrated and is closed.
func fill(ctx context.Context, dsn string, tenants int) error {
	s := sqlText{postgres: strings.Contains(dsn, "://"), now: time.Now().UTC().Truncate(time.Millisecond), tenants: tenants}
	driver, source := "pgx", dsn
	if !s.postgres {
		driver, source = "sqlite", "file:"+dsn+"?_pragma=synchronous(off)&_pragma=cache_size(-400000)&_pragma=temp_store(memory)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range s.statements() {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%.60s: %w", q, err)
		}
	}
	if s.postgres {
		return nil
	}
	_, err = db.ExecContext(ctx, "pragma wal_checkpoint(truncate)")
	return err
}
