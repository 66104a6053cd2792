package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestFullAccessList grants roles on one table until its access list is full: at half of
// it a look says so, and what is refused then has a reason that somebody can act on.
func TestFullAccessList(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	const many = 2600 // more than a page holds
	t.Cleanup(func() {
		w.exec(t, "drop table shared.crowded")
		for i := 0; i < many; i += 500 {
			w.exec(t, "do $$ begin for i in %d..%d loop execute format('drop role if exists %%I', '%s' || i); end loop; end $$", i, i+499, w.token+"crowd")
		}
	})
	w.exec(t, "create table shared.crowded (tenant text)")
	for i := 0; i < many; i += 500 {
		w.exec(t, "do $$ begin for i in %d..%d loop execute format('create role %%I', '%s' || i); end loop; end $$", i, i+499, w.token+"crowd")
	}
	levels := func() (found []connector.Level) {
		t.Helper()
		all, err := system.Gauge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range all {
			if strings.Contains(l.Name, "shared.crowded") {
				found = append(found, l)
			}
		}
		return found
	}
	grant := func(from, to int) {
		t.Helper()
		w.exec(t, "do $$ begin execute (select 'grant select on shared.crowded to ' || string_agg(format('%%I', '%s' || i), ', ') from generate_series(%d, %d) i); end $$", w.token+"crowd", from, to)
	}
	grant(0, 99)
	if l := levels(); len(l) > 0 {
		t.Errorf("a hundred roles are no matter: %+v", l)
	}
	grant(100, 1799)
	if l := levels(); len(l) != 1 || l[0].Used*2 < l[0].Limit || l[0].Used > l[0].Limit {
		t.Errorf("with 1,800 roles: %+v", l)
	}
	var refused error
	w.hand(t, func(c *pgx.Conn) error {
		for i := 1800; i < many && refused == nil; i++ {
			_, refused = c.Exec(t.Context(), "grant select on shared.crowded to "+quote(fmt.Sprint(w.token, "crowd", i)))
		}
		return nil
	})
	refused = coded(refused)
	if tenure.CodeOf(refused) != tenure.Blocked || !strings.Contains(fmt.Sprint(refused), "54000") {
		t.Errorf("the full list: %s, %v", tenure.CodeOf(refused), refused)
	}
}
