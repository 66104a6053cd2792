package lifecycle_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Whoever changes the rows behind the log's back is found out, and what was
// changed is named.
func TestTamperingIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sql  string   // $op, $tenant and $resource stand for ids
		says []string // all of them, in the problems
	}{
		{"an entry is changed", `update audit_entry set body = cast(replace(cast(body as text), '"to":"active"', '"to":"closed"') as blob) where cast(body as text) like '%"to":"active"%'`, []string{"entry"}},
		{"an entry is dropped", `delete from audit_entry where idx = 7`, []string{"7"}},
		{"the last entry is dropped", `delete from audit_entry where idx = (select max(idx) from audit_entry)`, []string{"entr"}},
		{"two entries change places", `update audit_entry set idx = case idx when 5 then 100006 else 100005 end where idx in (5, 6); update audit_entry set idx = idx - 100000 where idx > 100000`, []string{"entries 5 and 6"}},
		{"a node is changed", `update audit_node set data = zeroblob(length(data)) where first = (select min(first) from audit_node)`, []string{"hash"}},
		{"the head goes back", `update audit_head set size = size - 1`, []string{""}},
		{"a tenant's state", `update tenant set previous = 'active', state = 'suspended' where id = $tenant`, []string{"tenant $tenant", "suspended", "active"}},
		{"an operation's state", `update operation set state = 'failed' where id = $op`, []string{"operation $op", "failed"}},
		{"a step's state", `update step set state = 'skipped' where operation = $op and seq = 3`, []string{"step $op/3", "skipped"}},
		{"a step's verdict", `update step set verdict = 'claimed' where operation = $op and seq = 3`, []string{"step $op/3", "claimed"}},
		{"a resource's state", `update resource set state = 'gone', live = 0 where id = $resource`, []string{"resource $resource", "gone"}},
		{"a resource from nowhere", `insert into resource select 'res_made-up', tenant, environment, 'x', system, type, 'x', layer, state, live, verdict, desired, normal, observed, classes, needs, operation, created_at, updated_at, expires_at, version from resource where id = $resource`, []string{"resource res_made-up", "doesn't know"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := s.onboard("acme")
			tv, err := s.Tenant(context.Background(), "acme")
			s.must(err)
			s.audited() // or the test below proves nothing
			ids := strings.NewReplacer("$op", string(op), "$tenant", string(tv.ID), "$resource", string(tv.Resources[0].ID))
			quoted := strings.NewReplacer("$op", "'"+string(op)+"'", "$tenant", "'"+string(tv.ID)+"'", "$resource", "'"+string(tv.Resources[0].ID)+"'")
			s.behind(quoted.Replace(c.sql))
			rep, err := s.VerifyAudit(context.Background())
			s.must(err)
			all := strings.Join(rep.Problems, "\n")
			if rep.OK() {
				t.Fatal("the audit finds nothing")
			}
			for _, w := range c.says {
				if !strings.Contains(all, ids.Replace(w)) {
					t.Errorf("no problem says %q:\n%s", ids.Replace(w), all)
				}
			}
		})
	}
}

// Not even raw SQL can put a tenant into a state that the table doesn't allow.
func TestIllegalMoveCantBeStored(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	err := s.db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Exec(`update tenant set previous = state, state = 'closed' where name = 'acme'`)
		return err
	})
	if err == nil {
		t.Error("the database let an active tenant be closed")
	}
	if got := s.state("acme"); got != tenure.TenantActive {
		t.Errorf("acme is %s", got)
	}
}

// Credentials leave no trace in the store in clear, nor in the plan or the log.
func TestCredentialsAreNowhereInClear(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	words := s.passwords(s.onboard("acme"))
	s.must(s.db.Close())
	for name, body := range s.files() {
		for env, w := range words {
			if bytes.Contains(body, []byte(w)) {
				t.Errorf("the password of %s stands in clear in %s", env, name)
			}
		}
	}
}
