package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestRecordTakesNothingAlong deletes an account to which a neighbour's rows refer:
// it is Blocked and names them, whatever the constraint would do.
func TestRecordTakesNothingAlong(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"cascade", "set null", "no action"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, `create schema s; create table s.accounts (id serial unique, login text primary key, boss int references s.accounts (id), tenure_mark text);
create table s.posts (tenant_key text, author int references s.accounts (id) on delete `+action+")")
			own := desired("account", "admin", map[string]any{"schema": "s", "table": "accounts", "key": map[string]any{"login": "acme-admin"}})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "update s.accounts set boss = id; insert into s.posts select 'birch', id from s.accounts")
			_, err := d.Delete(t.Context(), own.Ref)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "1 row of s.posts by author") {
				t.Errorf("delete: %v, want blocked by the post", err)
			}
			if n := postgrestest.Value[int](t, w.dsn, "select count(author) from s.posts"); n != 1 {
				t.Errorf("%d posts have their author, want 1", n)
			}
			postgrestest.Exec(t, w.dsn, "delete from s.posts")
			if rec, err := d.Delete(t.Context(), own.Ref); err != nil || !rec.Changed {
				t.Errorf("delete without posts: %+v, %v", rec, err)
			}
		})
	}
}

// TestTriggersOfRecords: a record is a row too, and what a trigger makes of it stays
// when it goes, unless a store of the tenant's covers it.
func TestTriggersOfRecords(t *testing.T) {
	t.Parallel()
	const history = "create table platform.history (tenant_key text, body jsonb); create function platform.copy() returns trigger language plpgsql as 'begin WRITES; return null; end';" +
		"create trigger copies after EVENT on platform.members for each row execute function platform.copy()"
	on := func(event, writes string) string {
		return strings.NewReplacer("EVENT", event, "WRITES", writes).Replace(history)
	}
	rows := func(key string) []connector.Ref {
		return []connector.Ref{desired("rows", key, map[string]any{"schema": "platform", "column": "tenant_key", "key": key, "tables": map[string]any{"history": "log"}}).Ref}
	}
	old, fresh := on("delete", "insert into platform.history values (old.tenant, to_jsonb(old))"), on("insert", "insert into platform.history values (new.tenant, to_jsonb(new))")
	for what, c := range map[string]struct {
		sql    string
		beside []connector.Ref
		more   map[string]any
		finds  []string
	}{
		"nothing":                         {},
		"a copy as it goes":               {sql: old, finds: []string{"code platform.members.copies"}},
		"a copy as it comes":              {sql: fresh, finds: []string{"code platform.members.copies"}},
		"a copy as it is disabled":        {sql: on("update of active", "insert into platform.history values (new.tenant, to_jsonb(new))"), finds: []string{"code platform.members.copies"}},
		"a rule":                          {sql: "create table platform.history (body text); create rule copies as on delete to platform.members do also insert into platform.history values (old.login)", finds: []string{"code platform.members.copies"}},
		"what can't be read":              {sql: on("delete", "execute ''insert into x''"), finds: []string{"code platform.members.copies"}},
		"covered":                         {sql: old, beside: rows("acme")},
		"covered, as it comes":            {sql: fresh, beside: rows("acme")},
		"covered by one of several":       {sql: old, beside: append(rows("birch"), rows("acme")...)},
		"covered, and it can't be found":  {sql: on("delete", "insert into platform.history values (null, to_jsonb(old))"), beside: rows("acme"), finds: []string{"code platform.members.copies"}},
		"covered, and found as another's": {sql: on("delete", "insert into platform.history values (old.login, to_jsonb(old))"), beside: rows("acme"), finds: []string{"code platform.members.copies"}},
		"covered for another tenant":      {sql: old, beside: rows("birch"), finds: []string{"code platform.members.copies"}},
		"covered beside its schema":       {sql: old, beside: []connector.Ref{siloOf(map[string]any{"tables": map[string]any{"*": "trade", "platform.history": "log"}}).Ref}},
		"into its schema":                 {sql: "create schema silo; create table silo.history (body jsonb);" + on("delete", "insert into silo.history values (to_jsonb(old))"), beside: []connector.Ref{siloOf(nil).Ref}},
		"said":                            {sql: old, more: map[string]any{"triggers": map[string]any{"members.copies": "ignore"}}},
		"somebody else's rows":            {sql: on("delete", "delete from platform.history where tenant_key = old.login"), beside: rows("acme"), finds: []string{"code platform.members.copies"}},
		"it keeps the row":                {sql: "create function platform.keep() returns trigger language plpgsql as 'begin return null; end'; create trigger keeps before delete on platform.members for each row execute function platform.keep()", finds: []string{"code platform.members.keeps"}},
		"its own row":                     {sql: "create function platform.stamp() returns trigger language plpgsql as 'begin new.org = 1; return new; end'; create trigger stamps before update on platform.members for each row execute function platform.stamp()"},
		"another table's":                 {sql: "create table platform.other (body text);" + strings.Replace(old, "on platform.members", "on platform.other", 1)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, "create schema platform; create table platform.members (login text primary key, tenant text, org int, active bool, tenure_mark text);"+c.sql)
			own := desired("account", "ann", map[string]any{"schema": "platform", "table": "members", "key": map[string]any{"login": "ann"},
				"values": map[string]any{"tenant": "acme", "active": true}, "disable": map[string]any{"active": false}})
			maps.Copy(own.Attributes, c.more)
			for _, id := range []tenure.ResourceID{own.Resource, ""} {
				own.Resource = id
				m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Beside: c.beside})
				if got := blocking(m); err != nil || !m.Sighting.Sentinel || !slices.Equal(got, c.finds) {
					t.Errorf("resource %q: what blocks: %q, want %q, error %v\n%+v", id, got, c.finds, err, m)
				}
				for _, p := range m.Places {
					if p.Says == "" || p.Fix == "" || !p.Blocks {
						t.Errorf("%s says %q, and is to be mended by %q", p.Name, p.Says, p.Fix)
					}
				}
			}
		})
	}
}

// TestRowsBesideARecordThatCameFirst: a tenant's account in a shared table may be made
// before the resource that covers the table's rows. It is none of the rows that can't be
// taken over; a row of a stranger's is, whatever it says of itself.
func TestRowsBesideARecordThatCameFirst(t *testing.T) {
	t.Parallel()
	const key = "00000000-0000-4000-8000-000000000001"
	for what, c := range map[string]struct {
		sql  string
		want tenure.Code
	}{
		"its own":           {},
		"an unmarked row":   {"insert into m.users (login, org) values ('zed', '" + key + "')", tenure.Conflict},
		"a mark made up":    {"insert into m.users (login, org, tenure_mark) values ('zed', '" + key + "', (select overlay(tenure_mark placing 'x' from length(tenure_mark)) from m.users limit 1))", tenure.Conflict},
		"a neighbour's row": {"update m.users set org = '" + key + "' where login = 'bob'", tenure.Conflict},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			postgrestest.Exec(t, w.dsn, "create schema m; create table m.users (login text primary key, org uuid not null, tenure_mark text)")
			for login, org := range map[string]string{"ann": key, "bob": "00000000-0000-4000-8000-000000000002"} {
				r := desired("account", login, map[string]any{"schema": "m", "table": "users", "key": map[string]any{"login": login}, "values": map[string]any{"org": org}})
				r.Tenant = tenure.TenantID("ten_" + login)
				if _, _, err := d.Ensure(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if c.sql != "" {
				postgrestest.Exec(t, w.dsn, c.sql)
			}
			r := desired("rows", "ann's rows", map[string]any{"schema": "m", "column": "org", "key": key, "tables": map[string]any{"users": "people"}})
			r.Tenant = "ten_ann"
			if _, _, err := d.Ensure(t.Context(), r); tenure.CodeOf(err) != c.want {
				t.Errorf("its rows: %v, want %q", err, c.want)
			}
		})
	}
}
