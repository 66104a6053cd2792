package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestRowSecurityIsForeseen has a shared table that an application owns and another
// program reads: what a policy would hide from them is said beforehand, the owner is
// left out unless the policy forces it, and nothing is said once it is done.
func TestRowSecurityIsForeseen(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	app, reader, tenant, role := w.token+"app", w.token+"reader", w.token+"tenant", w.token+"acme"
	w.exec(t, "create role %s", quote(app))
	w.exec(t, "create role %s", quote(reader))
	if _, _, _, err := system.Ensure(t.Context(), desired("role", tenant, map[string]any{"login": false})); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := system.Ensure(t.Context(), desired("role", role, map[string]any{"login": true})); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "create table shared.seen (tenant text, n int); insert into shared.seen values ('acme', 1), ('birch', 2); alter table shared.seen owner to %s; grant usage on schema shared to %[1]s, %s; grant select on shared.seen to %[2]s, %s", quote(app), quote(reader), quote(tenant))
	for _, r := range []string{app, reader, tenant} {
		t.Cleanup(func() { w.exec(t, "drop owned by %s; drop role %[1]s", quote(r)) })
	}
	policy := func(attributes map[string]any) connector.Desired {
		all := map[string]any{"schema": "shared", "tables": []any{"seen"}, "column": "tenant", "key": "acme", "role": role}
		for k, v := range attributes {
			all[k] = v
		}
		return desired("policy", "seen", all)
	}
	foreseen := func(p connector.Desired) string {
		t.Helper()
		changes, err := system.Foresee(t.Context(), []connector.Desired{p})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range changes {
			if c.Resource != p.Resource {
				t.Errorf("a change of another resource's: %+v", c)
			}
			out = append(out, c.Says)
		}
		return strings.Join(out, "\n")
	}
	rows := func(as string) (n int) {
		t.Helper()
		w.hand(t, func(c *pgx.Conn) error {
			tx, err := c.Begin(t.Context())
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			if _, err := tx.Exec(t.Context(), "set local role "+quote(as)); err != nil {
				return err
			}
			return tx.QueryRow(t.Context(), "select count(*) from shared.seen").Scan(&n)
		})
		return n
	}

	plain, forced := policy(nil), policy(map[string]any{"force": true})
	forced.Resource = plain.Resource
	if says := foreseen(plain); !strings.Contains(says, "shared.seen is switched on, and "+reader+" sees no row") || strings.Contains(says, app) || strings.Contains(says, tenant) {
		t.Errorf("without force: %q", says)
	}
	if says := foreseen(forced); !strings.Contains(says, "its owner "+app) || !strings.Contains(says, "leave out force") {
		t.Errorf("with force: %q", says)
	}
	w.exec(t, "create policy readers on shared.seen to %s using (true)", quote(reader))
	if says := foreseen(plain); says != "" {
		t.Errorf("the reader has a policy of its own: %q", says)
	}

	ensure := func(p connector.Desired) {
		t.Helper()
		if _, _, verdict, err := system.Ensure(t.Context(), p); err != nil || verdict != tenure.Verified {
			t.Fatalf("%s, error %v", verdict, err)
		}
	}
	ensure(plain)
	if n := rows(app); n != 2 {
		t.Errorf("the owner's application sees %d of its 2 rows", n)
	}
	if n := rows(reader); n != 2 {
		t.Errorf("the reader sees %d of 2 rows", n)
	}
	ensure(forced)
	if n := rows(app); n != 0 {
		t.Errorf("forced, and the owner without a policy sees %d rows", n)
	}
	if says := foreseen(forced); says != "" {
		t.Errorf("all is done, and still: %q", says)
	}
}
