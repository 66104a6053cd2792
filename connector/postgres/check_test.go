package postgres

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// pooled is a blueprint that asks for every right that there is.
func (w *world) pooled() []connector.Asked {
	return []connector.Asked{
		{Key: "login", Type: "role", Name: "${tenant.name}", Attributes: map[string]any{"login": true, "memberOf": []any{w.token + "owner"}}},
		{Key: "base", Type: "database", Name: "${tenant.name}", Attributes: map[string]any{"owner": "${resources.login.name}"}},
		{Key: "place", Type: "schema", Name: "${tenant.name}", Attributes: map[string]any{"owner": w.token + "owner", "tables": map[string]any{"*": "crm", "app.settings": "crm"}}},
		{Key: "use", Type: "grant", Name: "use", Attributes: map[string]any{"role": "${resources.login.name}", "schema": "granted", "tables": []any{"a", "b"}, "privileges": []any{"select"}}},
		{Key: "count", Type: "grant", Name: "count", Attributes: map[string]any{"role": "${resources.login.name}", "schema": "pool", "sequences": []any{"notes_id_seq"}, "privileges": []any{"usage"}}},
		{Key: "call", Type: "grant", Name: "call", Attributes: map[string]any{"role": "${resources.login.name}", "schema": "granted", "functions": []any{"ring(integer, text)"}, "privileges": []any{"execute"}}},
		{Key: "orders", Type: "policy", Name: "orders", Attributes: map[string]any{"schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": "${tenant.id}", "role": "${resources.login.name}"}},
		{Key: "notes", Type: "rows", Name: "notes", Attributes: map[string]any{"schema": "pool", "column": "tenant", "key": "${tenant.id}", "tables": map[string]any{"notes": "crm", "shared.orders": "crm"}}},
		{Key: "account", Type: "account", Name: "account", Attributes: map[string]any{"schema": "app", "table": "accounts", "key": map[string]any{"id": "${tenant.id}"}}},
	}
}

func checked(t *testing.T, d *Driver, asked []connector.Asked) connector.Checkup {
	t.Helper()
	c, err := d.Check(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// in are the rights in a state.
func in(c connector.Checkup, state connector.RightState) (out []connector.Right) {
	for _, r := range c.Rights {
		if r.State == state {
			out = append(out, r)
		}
	}
	return out
}

func names(rights []connector.Right) string {
	out := make([]string, len(rights))
	for i, r := range rights {
		out[i] = r.Name
	}
	return strings.Join(out, ", ")
}

// TestCheckRights: an operator who grants what docs/system-accounts.md says is told of
// nothing missing and nothing beyond; of each right that is taken away the check says
// which it is, and the statement that it gives mends it.
func TestCheckRights(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.least(t)
	w.exec(t, "create function granted.ring(int, text) returns void language sql as ''; alter function granted.ring owner to %s", quote(w.application()))
	d := w.driver(t, w.proxy.DSN)
	for name, asked := range map[string][]connector.Asked{"no blueprint": nil, "a blueprint": w.pooled()} {
		c := checked(t, d, asked)
		if bad := slices.Concat(in(c, connector.RightMissing), in(c, connector.RightBeyond), in(c, connector.RightOptional)); len(bad) > 0 {
			t.Fatalf("with the least rights and %s: %+v", name, bad)
		}
		if text := strings.Join(c.Notes, "; "); strings.Contains(text, "there is no") {
			t.Errorf("notes: %s", text)
		}
		if !strings.HasPrefix(c.Version, "PostgreSQL ") || c.Role != w.platform || len(c.Notes) == 0 {
			t.Errorf("with %s: role %q, version %q, notes %q", name, c.Role, c.Version, c.Notes)
		}
	}
	modern := w.modern(t)
	me, database, application, owner := quote(w.platform), quote(strs(t, connect(t, w.dsn), "select current_database()")[0]), w.application(), w.token+"owner"
	for _, c := range []struct {
		take, says string
		feature    bool // that only a blueprint asks for
		modern     bool // only from version 16 on
	}{
		{take: "alter role " + me + " nocreaterole", says: "createrole"},
		{take: "alter role " + me + " nocreatedb", says: "createdb", feature: true},
		{take: "alter role " + me + " nobypassrls", says: "bypassrls", feature: true},
		{take: "alter table app.accounts drop column tenure_mark", says: "column tenure_mark of app.accounts", feature: true},
		{take: "alter database " + database + " owner to tenure", says: "create on database"},
		{take: "revoke pg_monitor from " + me, says: "member of pg_monitor"},
		{take: "revoke pg_signal_backend from " + me, says: "member of pg_signal_backend"},
		{take: "revoke " + application + " from " + me, says: "member of " + application, feature: true},
		{take: "revoke " + owner + " from " + me, says: "member of " + owner, feature: true},
		{take: "revoke admin option for " + owner + " from " + me, says: "member of " + owner + " with admin option", feature: true, modern: true},
		{take: "grant pg_monitor to " + me + " with inherit false", says: "member of pg_monitor", modern: true},
	} {
		if c.modern && !modern {
			continue
		}
		t.Run(c.take, func(t *testing.T) {
			w.exec(t, "%s", c.take)
			seen := checked(t, d, w.pooled())
			missing := in(seen, connector.RightMissing)
			if len(missing) != 1 || !strings.HasPrefix(missing[0].Name, c.says) || missing[0].For == "" {
				t.Fatalf("missing: %+v, want %q", missing, c.says)
			}
			bare := checked(t, d, nil)
			if got := names(in(bare, connector.RightMissing)) != ""; got == c.feature {
				t.Errorf("without a blueprint missing: %q", names(in(bare, connector.RightMissing)))
			}
			postgrestest.Exec(t, w.dsn, missing[0].Fix)
			if after := checked(t, d, w.pooled()); names(in(after, connector.RightMissing)) != "" || names(in(after, connector.RightBeyond)) != "" {
				t.Errorf("after %q: missing %q, beyond %q", missing[0].Fix, names(in(after, connector.RightMissing)), names(in(after, connector.RightBeyond)))
			}
		})
	}
}

// TestCheckBeyond: an operator whose Tenure could do more than it needs is told what, and
// the statement that it is given takes that away.
func TestCheckBeyond(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.least(t)
	d := w.driver(t, w.proxy.DSN)
	me, strong := quote(w.platform), quote(w.token+"strong")
	w.exec(t, "create role %s superuser", strong)
	for give, says := range map[string]string{
		"alter role " + me + " superuser":                                                     "superuser",
		"alter role " + me + " replication":                                                   "replication",
		"grant pg_execute_server_program to " + me:                                            "member of pg_execute_server_program",
		"grant pg_read_server_files to " + me:                                                 "member of pg_read_server_files",
		"grant pg_write_server_files to " + me:                                                "member of pg_write_server_files",
		"grant pg_read_all_data to " + me:                                                     "member of pg_read_all_data",
		"grant pg_write_all_data to " + w.application():                                       "member of pg_write_all_data through " + w.application(),
		"grant " + strong + " to " + me:                                                       "member of " + w.token + "strong",
		"grant execute on function pg_catalog.pg_read_file(text) to " + me:                    "execute on function pg_read_file(text)",
		"grant select on table pg_catalog.pg_authid to " + me:                                 "select on table pg_authid",
		fmt.Sprintf("grant alter system on parameter archive_command to %s", w.application()): "alter system on parameter archive_command through " + w.application(),
	} {
		t.Run(says, func(t *testing.T) {
			w.exec(t, "%s", give)
			seen := checked(t, d, w.pooled())
			beyond := in(seen, connector.RightBeyond)
			if names(beyond) != says || beyond[0].For == "" {
				t.Fatalf("beyond: %+v, want %q", beyond, says)
			}
			if m := names(in(seen, connector.RightMissing)); m != "" {
				t.Errorf("missing: %s", m)
			}
			postgrestest.Exec(t, w.dsn, beyond[0].Fix)
			if after := checked(t, d, w.pooled()); names(in(after, connector.RightMissing)) != "" || names(in(after, connector.RightBeyond)) != "" {
				t.Errorf("after %q: missing %q, beyond %q", beyond[0].Fix, names(in(after, connector.RightMissing)), names(in(after, connector.RightBeyond)))
			}
		})
	}
}

// TestCheckNewLogin: an operator who gives Tenure another login, with rights as they
// should be, is told what still belongs to the old one, and Tenure goes on when the
// statements have run.
func TestCheckNewLogin(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.least(t)
	old := w.driver(t, w.proxy.DSN)
	if _, err := old.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := desired("role", w.token+"tenant", map[string]any{"login": true})
	use := desired("grant", "use", map[string]any{"role": role.Name, "schema": "granted", "tables": []any{"a"}, "privileges": []any{"select"}})
	sees := desired("policy", "sees", map[string]any{"role": role.Name, "schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": "acme"})
	for _, r := range []connector.Desired{role, use, sees} {
		if _, _, err := old.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	second := w.token + "second"
	w.exec(t, "create role %s login createrole createdb bypassrls password 'second-secret-text'; grant pg_monitor, pg_signal_backend to %[1]s; grant create on database %[2]s to %[1]s; grant %[3]s to %[1]s", second, quote(strs(t, connect(t, w.dsn), "select current_database()")[0]), w.application())
	d := w.driver(t, postgrestest.As(t, w.dsn, second, "second-secret-text"))
	want := []string{"owner of Tenure's own schemas"}
	if w.modern(t) {
		want = append(want, "admin option on 3 roles that Tenure keeps")
	}
	for _, name := range want {
		missing := in(checked(t, d, nil), connector.RightMissing)
		if names(missing) != name {
			t.Fatalf("missing: %+v, want %q", missing, name)
		}
		postgrestest.Exec(t, w.dsn, missing[0].Fix)
	}
	if m := in(checked(t, d, nil), connector.RightMissing); len(m) > 0 {
		t.Fatalf("at the end is missing: %+v", m)
	}
	_ = old.Close()
	w.exec(t, "reassign owned by %s to %s; drop owned by %[1]s; drop role %[1]s", quote(w.platform), second)
	role.Attributes = map[string]any{"login": true, "connectionLimit": 3}
	if _, _, err := d.Ensure(t.Context(), role); err != nil {
		t.Errorf("with the new login a role is changed: %v", err)
	}
	for _, r := range []connector.Desired{sees, use, role} {
		if _, err := d.Delete(t.Context(), r.Ref); err != nil {
			t.Errorf("with the new login a %s is deleted: %v", r.Type, err)
		}
	}
}

// TestCheckSuperusersTables: nobody is told to make Tenure's role a member of a
// superuser, and a superuser's rights are told from those that it needs of its own.
func TestCheckSuperusersTables(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.least(t)
	w.exec(t, "alter table pool.notes owner to tenure; create function granted.ring(int, text) returns void language sql as ''")
	d := w.driver(t, w.proxy.DSN)
	missing := in(checked(t, d, w.pooled()), connector.RightMissing)
	if len(missing) != 1 || strings.Contains(missing[0].Fix, `grant "tenure"`) || !strings.HasPrefix(missing[0].Fix, `alter function granted.ring(integer,text) owner to `) {
		t.Fatalf("missing: %+v", missing)
	}
	postgrestest.Exec(t, w.dsn, strings.ReplaceAll(missing[0].Fix, "APPLICATION", quote(w.application())))
	if m := in(checked(t, d, w.pooled()), connector.RightMissing); len(m) > 0 {
		t.Errorf("then is missing: %+v", m)
	}

	w.exec(t, "alter role %[1]s superuser nocreaterole nocreatedb nobypassrls; revoke pg_monitor, pg_signal_backend, %s from %[1]s", quote(w.platform), quote(w.application()))
	beyond := in(checked(t, d, w.pooled()), connector.RightBeyond)
	if names(beyond) != "superuser" {
		t.Fatalf("beyond: %+v", beyond)
	}
	postgrestest.Exec(t, w.dsn, beyond[0].Fix)
	if c := checked(t, d, w.pooled()); names(in(c, connector.RightMissing))+names(in(c, connector.RightBeyond)) != "" {
		t.Errorf("after %q: %+v", beyond[0].Fix, c.Rights)
	}
}

// TestCheckLessens: an operator whose Tenure ran as a superuser does what the check says,
// and Tenure goes on with the tenants that it has.
func TestCheckLessens(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	role := desired("role", w.token+"tenant", map[string]any{"login": true})
	place := desired("schema", w.token+"place", map[string]any{"owner": role.Name, "ddl": "create table if not exists t (n int)", "tables": map[string]any{"t": "aa"}})
	place.Classes = []string{"aa"}
	bare := desired("schema", w.token+"bare", map[string]any{"ddl": "create table if not exists t (n int)", "tables": map[string]any{"t": "aa"}})
	bare.Classes = place.Classes
	base := desired("database", w.token+"base", map[string]any{"owner": role.Name})
	all := []connector.Desired{role, place, bare, base}
	for _, r := range all {
		if _, _, err := d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	postgrestest.Exec(t, w.dsn, "insert into "+place.Name+".t values (1)")
	beyond := in(checked(t, d, nil), connector.RightBeyond)
	if names(beyond) != "superuser" {
		t.Fatalf("beyond: %+v", beyond)
	}
	postgrestest.Exec(t, w.dsn, beyond[0].Fix)
	if c := checked(t, d, nil); names(in(c, connector.RightMissing))+names(in(c, connector.RightBeyond)) != "" {
		t.Errorf("after %q: %+v", beyond[0].Fix, c.Rights)
	}
	role.Attributes["connectionLimit"] = 3
	if _, _, err := d.Ensure(t.Context(), role); err != nil {
		t.Errorf("then a role is changed: %v", err)
	}
	if _, err := d.Export(t.Context(), place.Ref, io.Discard); err != nil {
		t.Errorf("then a schema is exported: %v", err)
	}
	for _, r := range []connector.Desired{place, bare} {
		if _, err := eraseAll(t, d, r.Ref, 100); err != nil {
			t.Errorf("then %s is erased: %v", r.Name, err)
		}
	}
	for _, r := range []connector.Desired{base, place, bare, role} {
		if _, err := d.Delete(t.Context(), r.Ref); err != nil {
			t.Errorf("then %s is deleted: %v", r.Name, err)
		}
	}
}
