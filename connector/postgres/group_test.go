package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// shareOf is a grant on a shared table for a role that it makes.
func (w *world) shareOf(t *testing.T, n int) connector.Desired {
	t.Helper()
	role := fmt.Sprint(w.token, "share", n)
	w.exec(t, "create role %s", quote(role))
	return desired("grant", role, map[string]any{"role": role, "schema": "granted", "tables": []any{"a", "b"}, "privileges": []any{"select", "insert"}})
}

func roleOf(r connector.Desired) string { return r.Attributes["role"].(string) }

// groupsOf names the groups of which a role is a member.
func (w *world) groupsOf(t *testing.T, role string) (out []string) {
	t.Helper()
	w.hand(t, func(c *pgx.Conn) error {
		out = strs(t, c, "select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member where r.rolname = $1", role)
		return nil
	})
	return out
}

// TestSharedTablesHaveShortLists: however many roles have the same rights on a shared
// table, its access list has one group; who has others is in another one, and the group
// of the last role that goes goes too.
func TestSharedTablesHaveShortLists(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	ensure := func(g connector.Desired) {
		t.Helper()
		if _, _, verdict, err := system.Ensure(t.Context(), g); err != nil || verdict != tenure.Verified {
			t.Fatalf("ensure %s: %q, error %v", g.Name, verdict, err)
		}
	}
	const items = "select cardinality(relacl) from pg_class where oid = 'granted.a'::regclass"
	ensure(w.shareOf(t, 0))
	before := w.number(t, items)
	var all []connector.Desired
	for n := range 40 {
		all = append(all, w.shareOf(t, n+1))
		ensure(all[n])
	}
	if after := w.number(t, items); after != before {
		t.Errorf("the access list had %d entries, and has %d with 40 roles more", before, after)
	}
	group := w.groupsOf(t, roleOf(all[0]))
	if len(group) != 1 || !strings.HasPrefix(group[0], groupPrefix) {
		t.Fatalf("the groups of a role: %v", group)
	}
	for _, g := range all[1:] {
		if other := w.groupsOf(t, roleOf(g)); !slices.Equal(group, other) {
			t.Errorf("another group for the same rights: %v, %v", group, other)
		}
	}
	less := w.shareOf(t, 100)
	less.Attributes["privileges"] = []any{"select"}
	ensure(less)
	only := w.groupsOf(t, roleOf(less))
	if slices.Equal(only, group) || w.is(t, "select where has_table_privilege(%s, 'granted.a', 'insert')", literal(roleOf(less))) {
		t.Errorf("who may only read is in %v with %v", only, group)
	}
	if _, _, err := system.Delete(t.Context(), less.Ref); err != nil {
		t.Fatal(err)
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(only[0])) {
		t.Error("a group without a member is left")
	}
	if w.is(t, "select where has_table_privilege(%s, 'granted.a', 'select')", literal(roleOf(less))) {
		t.Error("the right is left")
	}
}

// TestDirectGrantsMoveToGroups: what an older release granted to the role itself is said
// to be too much, works on, and goes through the group after the next ensure.
func TestDirectGrantsMoveToGroups(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	one := w.shareOf(t, 0)
	two := desired("grant", one.Name+" too", map[string]any{"role": roleOf(one), "schema": "granted", "tables": []any{"a"}, "privileges": []any{"select"}})
	for _, g := range []connector.Desired{one, two} { // as that release left them
		if _, _, _, err := system.Ensure(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		for _, group := range w.groupsOf(t, roleOf(one)) {
			w.exec(t, "revoke %s from %s", quote(group), quote(roleOf(one)))
		}
	}
	w.older(t, one, two)
	w.exec(t, "grant usage on schema granted to %s; grant select, insert on granted.a, granted.b to %[1]s", quote(roleOf(one)))

	seen, _, err := system.Observe(t.Context(), []connector.Ref{one.Ref})
	if err != nil || !seen[0].Found || !strings.Contains(string(seen[0].Attributes), "missing") {
		t.Errorf("the older form is seen as %s, error %v", seen[0].Attributes, err)
	}
	direct := func() bool {
		return w.is(t, "select from pg_class c, aclexplode(c.relacl) x where c.relnamespace = 'granted'::regnamespace and x.grantee = to_regrole(%s)", literal(quote(roleOf(one))))
	}
	for i, g := range []connector.Desired{one, two} {
		if _, _, verdict, err := system.Ensure(t.Context(), g); err != nil || i == 1 && verdict != tenure.Verified {
			t.Fatalf("ensure %s: %q, error %v", g.Name, verdict, err)
		}
		if !w.is(t, "select where has_table_privilege(%s, 'granted.a', 'select')", literal(roleOf(one))) {
			t.Error("the role lost its right meanwhile")
		}
	}
	if direct() {
		t.Error("rights that the role has itself are left")
	}
}

// older takes the word of groups out of the grants' notes.
func (w *world) older(t *testing.T, all ...connector.Desired) {
	t.Helper()
	d := w.driver(t, w.proxy.DSN)
	for _, g := range all {
		w.hand(t, func(c *pgx.Conn) error {
			note := strs(t, c, "select note from tenure.mark where type = 'grant' and name = $1", g.Name)[0]
			n := readNoted([][]byte{[]byte(note)}).note.With(viaKey, "")
			_, err := c.Exec(t.Context(), "update tenure.mark set note = $1 where type = 'grant' and name = $2", n.Sealed(d.marker), g.Name)
			return err
		})
	}
}

// TestStrangersInGroups: a role that no grant puts into a group, and rights that a group
// has beyond its set, are ways across tenants that a look names.
func TestStrangersInGroups(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	g := w.shareOf(t, 0)
	role := desired("role", roleOf(g), map[string]any{"login": false})
	w.exec(t, "drop role %s", quote(role.Name))
	stranger := desired("role", w.token+"stranger", map[string]any{"login": false})
	var all []connector.Declared
	for _, r := range []connector.Desired{role, stranger, g} {
		if _, _, _, err := system.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		normal, err := system.Normalise(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, connector.Declared{Resource: r.Resource, Tenant: tenure.TenantID("ten_" + r.Name), Type: r.Type, Name: r.Name, State: tenure.ResourcePresent, Normal: normal})
	}
	ways := func() string {
		t.Helper()
		var says []string
		if _, err := system.Reach(t.Context(), all, func(way connector.Way) error {
			if strings.Contains(way.Says, groupPrefix) || strings.Contains(way.Says, w.token) {
				says = append(says, string(way.Severity)+": "+way.Says)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(says, "\n")
	}
	if got := ways(); got != "" {
		t.Fatalf("all is as declared, and still: %s", got)
	}
	group := w.groupsOf(t, role.Name)[0]
	w.exec(t, "grant %s to %s", quote(group), quote(stranger.Name))
	if got := ways(); !strings.Contains(got, "critical: role "+stranger.Name+" is a member of the group "+group) {
		t.Errorf("a stranger in the group: %q", got)
	}
	w.exec(t, "revoke %s from %s; create table granted.%s (i int); grant select on granted.%[3]s to %[1]s; grant delete on granted.a to %[1]s", quote(group), quote(stranger.Name), quote(w.token+"more"))
	t.Cleanup(func() { w.exec(t, "drop table granted.%s", quote(w.token+"more")) })
	if got := ways(); !strings.Contains(got, "critical: role "+group) || !strings.Contains(got, "select on table granted."+w.token+"more") {
		t.Errorf("rights on what the group isn't for: %q", got)
	}
	seen, _, err := system.Observe(t.Context(), []connector.Ref{g.Ref})
	if err != nil || !strings.Contains(string(seen[0].Attributes), `"extra":["group a delete"]`) {
		t.Errorf("a right too many on what the group is for: %s, error %v", seen[0].Attributes, err)
	}
	if _, _, verdict, err := system.Ensure(t.Context(), g); err != nil || verdict != tenure.Verified {
		t.Errorf("the repair: %q, error %v", verdict, err)
	}
}
