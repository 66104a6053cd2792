package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// sharing is a shared table whose rows each belong to one of many tenants, with its
// platform's role as its owner and Tenure's role as a member of that one.
func (w *world) sharing(t *testing.T, typ string) {
	t.Helper()
	w.least(t)
	w.exec(t, `create role %[1]s; grant %[1]s to %[2]s; create schema app_data authorization %[1]s;
create table app_data.docs (tenant %[3]s, body text); alter table app_data.docs owner to %[1]s; create table app_data.more (tenant %[3]s); alter table app_data.more owner to %[1]s`,
		quote(w.token+"app"), quote(w.platform), typ)
}

// policyOf is a policy on those tables for a role that it makes, which may use them.
func (w *world) policyOf(t *testing.T, n int, key string, tables ...any) connector.Desired {
	t.Helper()
	role := fmt.Sprint(w.token, "bound", n)
	w.exec(t, "create role %s; grant usage on schema app_data to %[1]s; grant select, insert on app_data.docs to %[1]s; insert into app_data.docs values (%[2]s, %[2]s)", quote(role), literal(key))
	return desired("policy", role, map[string]any{"role": role, "schema": "app_data", "tables": append([]any{"docs"}, tables...), "column": "tenant", "key": key})
}

// sees are the rows of the shared table that a role sees, or why it may not look.
func (w *world) sees(t *testing.T, roles ...string) (out []string) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error {
		tx, err := c.Begin(t.Context())
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		for i, role := range roles {
			set := "set session authorization "
			if i > 0 {
				set = "set role "
			}
			if _, err := tx.Exec(t.Context(), set+quote(role)); err != nil {
				out = []string{state(err)}
				return nil
			}
		}
		rows, err := tx.Query(t.Context(), "select body from app_data.docs order by body")
		if err == nil {
			out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			out = []string{state(err)}
		}
		return nil
	})
	w.exec(t, "reset session authorization")
	return out
}

func ensured(t *testing.T, system *connector.System, d connector.Desired) {
	t.Helper()
	if o, _, verdict, err := system.Ensure(t.Context(), d); err != nil || verdict != tenure.Verified {
		t.Fatalf("ensure %s %s: %q, %s, error %v", d.Type, d.Name, verdict, o.Attributes, err)
	}
}

// TestOnePolicyForManyTenants: however many tenants share a table, it has one policy, and
// each of them sees its own rows and no others, whatever type the key has: also a login
// that has the tenant's rights for a time, but not who takes on the policy's group, nor a
// member without the rights until it becomes the tenant's role.
func TestOnePolicyForManyTenants(t *testing.T) {
	t.Parallel()
	for typ, key := range map[string]func(n int) string{
		"text": func(n int) string { return fmt.Sprintf(`it's "%d" \`, n) },
		"int":  func(n int) string { return fmt.Sprint(n) },
		"uuid": func(n int) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a%04d", n) },
	} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			_, w, system := opened(t)
			w.sharing(t, typ)
			w.exec(t, "insert into app_data.docs values (null, 'nobody')")
			all := make([]connector.Desired, 25)
			for n := range all {
				all[n] = w.policyOf(t, n, key(n), "more")
				ensured(t, system, all[n])
			}
			if n := w.number(t, "select count(*) from pg_policy where polrelid = 'app_data.docs'::regclass"); n != 1 {
				t.Errorf("%d policies for 25 tenants", n)
			}
			group := w.groupsOf(t, roleOf(all[0]))[0]
			w.exec(t, "create role %[1]s; grant %[2]s to %[1]s; create role %[3]s noinherit; grant %[2]s to %[3]s; grant usage on schema app_data to %[4]s; grant select on app_data.docs to %[4]s",
				quote(w.token+"visitor"), quote(roleOf(all[7])), quote(w.token+"bystander"), quote(group))
			for n, p := range all {
				if got := w.sees(t, roleOf(p)); !slices.Equal(got, []string{key(n)}) {
					t.Errorf("tenant %d sees %q", n, got)
				}
			}
			for who, roles := range map[string][]string{"a login with the tenant's rights": {w.token + "visitor"}, "a member that became the tenant's role": {w.token + "bystander", roleOf(all[7])}} {
				if got := w.sees(t, roles...); !slices.Equal(got, []string{key(7)}) {
					t.Errorf("%s sees %q", who, got)
				}
			}
			if got := w.sees(t, roleOf(all[7]), group); len(got) > 0 && !(w.modern(t) && slices.Equal(got, []string{"42501"})) { // from 16 on it can't become that
				t.Errorf("the tenant's role as the policy's group sees %q", got)
			}
			if got := w.sees(t, w.token+"bystander"); !slices.Equal(got, []string{"42501"}) {
				t.Errorf("a member without the tenant's rights sees %q", got)
			}
			for _, sql := range []string{"insert into tenure.role_key values ('x', 0, 'x', 'x', 'x')", "select from tenure.role_key", "create table tenure_shared.t ()", "delete from tenure_shared.own_key", "insert into app_data.docs values (" + literal(key(3)) + ", '')"} {
				if err := w.try(t, roleOf(all[7]), sql); err == nil {
					t.Errorf("a tenant can %s: %v", sql, err)
				}
			}
			for _, p := range all {
				if _, verdict, err := system.Delete(t.Context(), p.Ref); err != nil || verdict != tenure.Verified {
					t.Fatalf("delete: %q, error %v", verdict, err)
				}
				if got := w.sees(t, roleOf(p)); len(got) > 0 {
					t.Errorf("after its policy went, a tenant sees %q", got)
				}
			}
			w.exec(t, "revoke all on schema app_data from %s", quote(group)) // the test's own; the group stayed for it
			if left := w.number(t, "select count(*) from pg_policy where polname = "+literal(group)) + w.number(t, "select count(*) from tenure.role_key"); left != 0 {
				t.Errorf("%d policies and keys are left", left)
			}
		})
	}
}

// try runs a statement as a role, and takes it back.
func (w *world) try(t *testing.T, role, sql string) (err error) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error {
		tx, begin := c.Begin(t.Context())
		if begin != nil {
			return begin
		}
		_, err = tx.Exec(t.Context(), "set local role "+quote(role)+"; "+sql)
		return tx.Rollback(t.Context())
	})
	return err
}

// TestKeysAreOfOneRole: in a copy that was restored elsewhere another role may have the oid
// that a key was given to; it sees nothing by it.
func TestKeysAreOfOneRole(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	p := w.policyOf(t, 0, "acme")
	ensured(t, system, p)
	w.exec(t, "alter role %s rename to %s", quote(roleOf(p)), quote(w.token+"renamed"))
	if got := w.sees(t, w.token+"renamed"); len(got) > 0 {
		t.Errorf("a role of another name with the same oid sees %q", got)
	}
}

// TestLastTenantLeaves: with the last tenant the policy and its group go; row security
// stays on, so that nothing is open to anybody.
func TestLastTenantLeaves(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	p := w.policyOf(t, 0, "acme")
	ensured(t, system, p)
	group := w.groupsOf(t, roleOf(p))[0]
	if _, _, err := system.Delete(t.Context(), p.Ref); err != nil {
		t.Fatal(err)
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(group)) || w.is(t, "select from pg_policy where polrelid = 'app_data.docs'::regclass") {
		t.Error("the group or its policy is left")
	}
	if got := w.sees(t, roleOf(p)); len(got) > 0 {
		t.Errorf("the role sees %q", got)
	}
}

// TestPoliciesOfOlderReleases: a policy for one role works on, is said to be of an older
// release, and moves into the table's one policy without a moment in which its tenant
// sees nothing or more.
func TestPoliciesOfOlderReleases(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	acme, birch := w.policyOf(t, 0, "acme"), w.policyOf(t, 1, "birch")
	for _, p := range []connector.Desired{acme, birch} {
		ensured(t, system, p)
	}
	d := w.driver(t, w.proxy.DSN)
	for _, p := range []connector.Desired{acme, birch} { // as that release left them
		w.exec(t, "revoke %s from %s; delete from tenure.role_key", quote(w.groupsOf(t, roleOf(p))[0]), quote(roleOf(p)))
		w.exec(t, "create policy %s on app_data.docs as permissive for all to %[1]s using (tenant = %[2]s) with check (tenant = %[2]s)", quote(roleOf(p)), literal(p.Attributes["key"].(string)))
		w.hand(t, func(c *pgx.Conn) error {
			note := strs(t, c, "select note from tenure.mark where type = 'policy' and name = $1", p.Name)[0]
			n := readNoted([][]byte{[]byte(note)}).note.With(byKey, "")
			_, err := c.Exec(t.Context(), "update tenure.mark set note = $1 where type = 'policy' and name = $2", n.Sealed(d.marker), p.Name)
			return err
		})
	}
	w.exec(t, "do $$ begin execute format('drop policy %I on app_data.docs', (select polname from pg_policy where polname like 'tenure_p_%')); end $$")
	if got := w.sees(t, roleOf(acme)); !slices.Equal(got, []string{"acme"}) {
		t.Fatalf("the older form: %q", got)
	}
	tables, err := d.shared(t.Context(), roleOf(acme))
	if err != nil || !slices.ContainsFunc(tables, func(s sharedTable) bool { return s.table == "docs" && s.column == "tenant" && s.key == "acme" }) {
		t.Errorf("a probe doesn't know the table of an older policy: %v, %v", tables, err)
	}
	seen, _, err := system.Observe(t.Context(), []connector.Ref{acme.Ref})
	if err != nil || !strings.Contains(string(seen[0].Attributes), "of an older release") {
		t.Errorf("the older form is seen as %s, error %v", seen[0].Attributes, err)
	}
	ensured(t, system, acme)
	for _, p := range []connector.Desired{acme, birch} {
		if got := w.sees(t, roleOf(p)); !slices.Equal(got, []string{p.Attributes["key"].(string)}) {
			t.Errorf("after one of two moved, %s sees %q", p.Attributes["key"], got)
		}
	}
	ensured(t, system, birch)
	if got := w.sees(t, roleOf(birch)); !slices.Equal(got, []string{"birch"}) || w.number(t, "select count(*) from pg_policy where polrelid = 'app_data.docs'::regclass") != 1 {
		t.Errorf("after both moved, birch sees %q", got)
	}
}

// TestKeysThatArentDeclared: whatever lets a role see another's rows of a shared table is
// seen, whether it stands in the policy, among the keys or in a membership.
func TestKeysThatArentDeclared(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "varchar(20)")
	acme := w.policyOf(t, 0, "acme")
	ensured(t, system, acme)
	group := w.groupsOf(t, roleOf(acme))[0]
	for name, c := range map[string][2]string{
		"the policy shows all":    {"alter policy GROUP on app_data.docs using (true)", "isn't the one that was made"},
		"it lets all be written":  {"alter policy GROUP on app_data.docs with check (true)", "isn't the one that was made"},
		"it is for everybody":     {"alter policy GROUP on app_data.docs to public", "isn't the one that was made"},
		"it cuts keys":            {"alter policy GROUP on app_data.docs using (tenant = any (array(select key from tenure_shared.own_key where policy = 'GROUPNAME')::varchar(3)[]))", "isn't the one that was made"},
		"it asks for others":      {"alter policy GROUP on app_data.docs using (tenant = any (array(select key from tenure_shared.own_key)::text[]))", "isn't the one that was made"},
		"another key":             {"update tenure.role_key set key = 'birch'", "another one"},
		"another role's key":      {"update tenure.role_key set role = 10", "another role's"},
		"another name's key":      {"update tenure.role_key set login = 'x'", "another role's"},
		"the role was made anew":  {"drop owned by ROLE; drop role ROLE; create role ROLE; set role PLATFORM; grant GROUP to ROLE; reset role", "another role's"},
		"a second key":            {"insert into tenure.role_key select 'x', role, login, policy, 'birch' from tenure.role_key", ""},
		"no key":                  {"delete from tenure.role_key", "no key is kept"},
		"no member":               {"set role PLATFORM; revoke GROUP from ROLE; reset role", "isn't bound"}, // from version 16 on a grant is taken back in its grantor's name
		"the group reads no keys": {"revoke all on tenure_shared.own_key from GROUP", "can't read the keys"},
	} {
		w.exec(t, "%s", strings.NewReplacer("GROUPNAME", group, "GROUP", quote(group), "ROLE", quote(roleOf(acme)), "PLATFORM", quote(w.platform)).Replace(c[0]))
		seen, _, err := system.Observe(t.Context(), []connector.Ref{acme.Ref})
		if err != nil || !strings.Contains(string(seen[0].Attributes), c[1]) || !strings.Contains(string(seen[0].Attributes), "problems") {
			t.Errorf("%s: seen as %s, error %v", name, seen[0].Attributes, err)
		}
		w.exec(t, "delete from tenure.role_key where name = 'x'")
		ensured(t, system, acme)
	}
	if err := w.try(t, roleOf(acme), "select from tenure_shared.own_key"); err != nil {
		t.Errorf("after the repairs: %v", err)
	}
	for _, key := range []string{"", " "} {
		if _, _, _, err := system.Ensure(t.Context(), with(acme, "key", key)); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("the key %q: %v", key, err)
		}
	}
	w.exec(t, "create table app_data.numbers (tenant int); alter table app_data.numbers owner to %s", quote(w.token+"app"))
	for _, key := range []string{"acme", "1.5", "99999999999999"} {
		wrong := desired("policy", w.token+"wrong", map[string]any{"role": roleOf(acme), "schema": "app_data", "tables": []any{"numbers"}, "column": "tenant", "key": key})
		if _, _, _, err := system.Ensure(t.Context(), wrong); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "can't hold") {
			t.Errorf("the key %q in a column of numbers: %v", key, err)
		}
	}
}

// TestStrangersAmongKeys: a look at rights names a role that somebody put into a policy's
// group or gave a key, and a repair takes both back.
func TestStrangersAmongKeys(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	group := n.groupsOf(t, n.token+"acme")
	bound := group[slices.IndexFunc(group, func(g string) bool { return strings.HasPrefix(g, boundPrefix) })]
	for _, c := range []struct{ plant, says, kind string }{
		{"insert into tenure.role_key select 'x', 'BIRCH'::regrole, 'BIRCH', " + literal(bound) + ", 'acme'", `role BIRCH sees the rows of the key "acme"`, "birch role"},
		{"grant " + quote(bound) + " to BIRCH with admin option", "may make others members of role " + bound, "birch role"},
		{"grant select on lookup.colours to " + quote(bound), "role " + bound + ", of which", ""},
		{"grant insert on tenure_shared.own_key to " + quote(bound), "may insert, select on view tenure_shared.own_key", ""},
		{"grant select on tenure.role_key to " + quote(bound), "may select on table tenure.role_key", ""},
		{"grant usage on schema tenure_shared to BIRCH; grant select on tenure_shared.own_key to BIRCH", "BIRCH may usage on schema tenure_shared", "birch role"},
	} {
		n.exec(t, "%s", n.fill(c.plant))
		found := false
		for _, way := range n.look() {
			if strings.Contains(way.Says, n.fill(c.says)) {
				if found = true; way.Severity != tenure.Critical {
					t.Errorf("%s: %s", way.Severity, way.Says)
				}
				if c.kind != "" {
					if _, err := n.confine(n.refs[c.kind]); err != nil {
						t.Errorf("%s: the repair: %v", c.plant, err)
					}
				} else if way.Fix != "" {
					n.exec(t, "%s", way.Fix)
				}
			}
		}
		if !found {
			t.Errorf("%s isn't seen", c.plant)
		}
	}
	if left := n.look(); len(left) > 0 {
		t.Errorf("after all repairs: %+v", left)
	}
}

// TestTenantsComeAndGoAtOnce: the first to come and the last to go make and drop what
// they share; others at the same moment lose nothing by it.
func TestTenantsComeAndGoAtOnce(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	var all [4]connector.Desired
	for n := range all {
		all[n] = w.policyOf(t, n, fmt.Sprint("key", n))
	}
	grants := [4]connector.Desired{}
	for n := range grants {
		grants[n] = desired("grant", all[n].Name, map[string]any{"role": roleOf(all[n]), "schema": "app_data", "tables": []any{"more"}, "privileges": []any{"select"}})
	}
	again := func(f func() error) error {
		for {
			if err := f(); !tenure.CanRetry(err) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for n := range all {
		wg.Go(func() {
			for round := range 6 {
				for _, d := range []connector.Desired{all[n], grants[n]} {
					if err := again(func() error { _, _, _, err := system.Ensure(t.Context(), d); return err }); err != nil {
						t.Errorf("ensure: %v", err)
					}
				}
				if round == 5 {
					return
				}
				for _, d := range []connector.Desired{all[n], grants[n]} {
					if err := again(func() error { _, _, err := system.Delete(t.Context(), d.Ref); return err }); err != nil {
						t.Errorf("delete: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	for n, p := range all {
		if got := w.sees(t, roleOf(p)); !slices.Equal(got, []string{fmt.Sprint("key", n)}) {
			t.Errorf("tenant %d sees %q", n, got)
		}
		if !w.is(t, "select where has_table_privilege(%s, 'app_data.more', 'select')", literal(roleOf(p))) {
			t.Errorf("tenant %d lost its right", n)
		}
	}
}

// TestPoliciesBySetting: an application's role sees the rows of the tenant that it has set
// for its transaction, none if it has set nothing, and its tables' owner is as it was; a
// tenant's own role isn't let in that way.
func TestPoliciesBySetting(t *testing.T) {
	t.Parallel()
	for typ, keys := range map[string][2]string{"text": {"acme", "birch"}, "int": {"1", "2"}, "uuid": {"01890a5d-ac96-774b-bcce-b302099a0001", "01890a5d-ac96-774b-bcce-b302099a0002"}, `char(8) collate "C"`: {"acme", "birch"}} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			_, w, system := opened(t)
			w.sharing(t, typ)
			app := w.token + "pool"
			w.exec(t, "create role %s; grant usage on schema app_data to %[1]s; grant select, insert on app_data.docs to %[1]s; insert into app_data.docs values (%s, 'a'), (%s, 'b'), (null, 'c')", quote(app), literal(keys[0]), literal(keys[1]))
			all := make([]connector.Desired, 2)
			for i, key := range keys {
				all[i] = desired("policy", fmt.Sprint(w.token, "by", i), map[string]any{"role": app, "schema": "app_data", "tables": []any{"docs"}, "column": "tenant", "key": key, "setting": "app.tenant"})
				ensured(t, system, all[i])
				if _, rec, _, err := system.Ensure(t.Context(), all[i]); err != nil || rec.Changed {
					t.Errorf("again: changed %t, error %v", rec.Changed, err)
				}
			}
			if got := w.sees(t, app); len(got) > 0 {
				t.Errorf("without a setting the application sees %q", got)
			}
			for i, key := range keys {
				if err := w.try(t, app, "set local app.tenant = "+literal(key)+fmt.Sprintf("; do $$ begin assert (select string_agg(body, ' ') from app_data.docs) = %s; end $$; insert into app_data.docs values (%s, '')", literal(string("ab"[i])), literal(key))); err != nil {
					t.Errorf("with the setting %s: %v", key, err)
				}
				if err := w.try(t, app, "set local app.tenant = "+literal(key)+"; insert into app_data.docs values ("+literal(keys[1-i])+", '')"); state(err) != "42501" {
					t.Errorf("with the setting %s the other's row is written: %v", key, err)
				}
			}
			if got := w.sees(t, w.token+"app"); len(got) != 3 {
				t.Errorf("the tables' owner sees %q", got)
			}
			role := desired("role", w.token+"tenant", map[string]any{"login": true})
			ensured(t, system, role)
			if _, _, _, err := system.Ensure(t.Context(), with(all[0], "role", role.Name)); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "is a tenant's") {
				t.Errorf("a tenant's role: %v", err)
			}
			for _, p := range all {
				if _, _, err := system.Delete(t.Context(), p.Ref); err != nil {
					t.Error(err)
				}
			}
			// The application serves others than Tenure's tenants, and row security stays on.
			if err := w.try(t, app, "set local app.tenant = "+literal(keys[0])+"; do $$ begin assert (select count(*) from app_data.docs) > 0; end $$"); err != nil {
				t.Errorf("once no tenant of Tenure's is left the application sees nothing: %v", err)
			}
			if got := w.sees(t, app); len(got) > 0 {
				t.Errorf("and without a setting it sees %q", got)
			}
			w.exec(t, "do $$ declare g text; begin select polname into g from pg_policy where polrelid = 'app_data.docs'::regclass; execute format('drop policy %1$I on app_data.docs; drop owned by %1$I; drop role %1$I', g); end $$")
		})
	}
}

// TestPolicyBySettingLeavesATable: a blueprint that names fewer tables is applied tenant by
// tenant. The application, which is bound on each table, sees the rows of what it has set
// before, between and after, and none without.
func TestPolicyBySettingLeavesATable(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	app := w.token + "pool"
	w.exec(t, "create table app_data.notes (tenant text, body text); alter table app_data.notes owner to %s; create role %s; grant usage on schema app_data to %[2]s; grant select on app_data.docs, app_data.notes to %[2]s", quote(w.token+"app"), quote(app))
	w.exec(t, "insert into app_data.docs values ('acme', 'a'), ('birch', 'b'); insert into app_data.notes values ('acme', 'a'), ('birch', 'b')")
	all := make([]connector.Desired, 2)
	for i, key := range []string{"acme", "birch"} {
		all[i] = desired("policy", fmt.Sprint(w.token, "by", i), map[string]any{"role": app, "schema": "app_data", "tables": []any{"docs", "notes"}, "column": "tenant", "key": key, "setting": "app.tenant"})
		ensured(t, system, all[i])
	}
	sees := func(when string) {
		t.Helper()
		for _, table := range []string{"docs", "notes"} {
			if err := w.try(t, app, "do $$ begin assert (select count(*) from app_data."+table+") = 0; end $$; set local app.tenant = acme; do $$ begin assert (select string_agg(body, '') from app_data."+table+") = 'a'; end $$"); err != nil {
				t.Errorf("%s, the application doesn't see just acme's rows of %s: %v", when, table, err)
			}
		}
	}
	sees("at first")
	for _, tables := range [][]any{{"docs"}, {"docs", "notes"}, {"notes"}} {
		for i, p := range all {
			p = with(p, "tables", tables)
			if _, _, _, err := system.Ensure(t.Context(), p); err != nil {
				t.Fatalf("tenant %d to %v: %v", i, tables, err)
			}
			seen, _, err := system.Observe(t.Context(), []connector.Ref{p.Ref})
			if err != nil || strings.Contains(string(seen[0].Attributes), "problems") {
				t.Errorf("tenant %d with %v is seen as %s, error %v", i, tables, seen[0].Attributes, err)
			}
			sees(fmt.Sprintf("with tenant %d moved to %v", i, tables))
		}
	}
	for _, p := range all {
		if _, _, err := system.Delete(t.Context(), p.Ref); err != nil {
			t.Error(err)
		}
		sees("after a tenant left")
	}
	w.exec(t, "do $$ declare g text; begin for g in select distinct polname from pg_policy where polrelid in ('app_data.docs'::regclass, 'app_data.notes'::regclass) loop execute format('drop owned by %1$I; drop role %1$I', g); end loop; end $$")
}
