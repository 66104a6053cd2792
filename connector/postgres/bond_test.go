package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestMembershipsWithOtherOptions: from version 16 on a membership may go without the
// group's rights, and on any it may let the role pass it on. Either is drift that names
// what is wrong, and a repair mends it.
func TestMembershipsWithOtherOptions(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	w.sharing(t, "text")
	role := desired("role", w.token+"tenant", map[string]any{"login": true})
	use := desired("grant", "use", map[string]any{"role": role.Name, "schema": "app_data", "tables": []any{"more"}, "privileges": []any{"select"}})
	sees := desired("policy", "sees", map[string]any{"role": role.Name, "schema": "app_data", "tables": []any{"docs"}, "column": "tenant", "key": "acme"})
	for _, r := range []connector.Desired{role, use, sees} {
		ensured(t, system, r)
	}
	w.exec(t, "insert into app_data.docs values ('acme', 'a'); grant usage on schema app_data to %s; grant select on app_data.docs to %[1]s", quote(role.Name))
	options := []string{"admin option", "inherit false", "admin true, inherit false"}
	if !w.modern(t) {
		options = options[:1]
	}
	for _, option := range options {
		for _, group := range w.groupsOf(t, role.Name) {
			w.exec(t, "set role %s; grant %s to %s with %s; reset role", quote(w.platform), quote(group), quote(role.Name), option)
		}
		for _, r := range []connector.Desired{use, sees} {
			seen, _, err := system.Observe(t.Context(), []connector.Ref{r.Ref})
			if err != nil || !strings.Contains(string(seen[0].Attributes), map[string]string{"grant": `"extra"`, "policy": `"problems"`}[r.Type]) && !strings.Contains(string(seen[0].Attributes), `"missing"`) {
				t.Errorf("%s with %s is seen as %s, error %v", r.Type, option, seen[0].Attributes, err)
			}
			if _, _, v, err := system.Ensure(t.Context(), r); err != nil || v != tenure.Verified {
				t.Errorf("the repair of %s with %s: %s, %v", r.Type, option, v, err)
			}
			if _, rec, _, err := system.Ensure(t.Context(), r); err != nil || rec.Changed {
				t.Errorf("a second repair of %s: changed %t, error %v", r.Type, rec.Changed, err)
			}
		}
		if err := w.try(t, role.Name, "select from app_data.more; do $$ begin assert (select string_agg(body, '') from app_data.docs) = 'a'; end $$"); err != nil {
			t.Errorf("after the repair of %s: %v", option, err)
		}
		if w.is(t, "select from pg_auth_members where member = %s::regrole and admin_option", literal(quote(role.Name))) {
			t.Errorf("after the repair of %s the role may pass its membership on", option)
		}
	}
}

// TestGrantMovesBesideAnother: another grant of the role's goes through the same group,
// or gives the same right itself. It keeps what it gives when the one moves elsewhere.
func TestGrantMovesBesideAnother(t *testing.T) {
	t.Parallel()
	for _, move := range []string{"schema", "role"} {
		for _, tables := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, tables %t", move, tables), func(t *testing.T) {
				t.Parallel()
				_, w, system := opened(t)
				w.sharing(t, "text")
				w.exec(t, "create schema other authorization %s; create table other.more (); alter table other.more owner to %[1]s", quote(w.token+"app"))
				one, two := desired("role", w.token+"one", map[string]any{"login": true}), desired("role", w.token+"two", map[string]any{"login": true})
				attributes := map[string]any{"role": one.Name, "schema": "app_data", "privileges": []any{"usage"}}
				if tables {
					attributes["tables"], attributes["privileges"] = []any{"more"}, []any{"select"}
				}
				first, second := desired("grant", "first", attributes), desired("grant", "second", attributes)
				for _, r := range []connector.Desired{one, two, first, second} {
					ensured(t, system, r)
				}
				first = with(first, move, map[string]any{"schema": "other", "role": two.Name}[move])
				ensured(t, system, first)
				may := func(role, schema string) bool {
					return w.is(t, "select where has_schema_privilege(%s, %s, 'usage')", literal(role), literal(schema))
				}
				if !may(one.Name, "app_data") {
					t.Error("the role lost what another of its grants gives")
				}
				if role, schema := first.Attributes["role"].(string), first.Attributes["schema"].(string); !may(role, schema) {
					t.Error("the grant that moved gives nothing")
				}
				ensured(t, system, second)
				for _, r := range []connector.Desired{second, first} {
					if _, _, err := system.Delete(t.Context(), r.Ref); err != nil {
						t.Error(err)
					}
				}
				if may(one.Name, "app_data") || may(one.Name, "other") || may(two.Name, "app_data") {
					t.Error("a right is left once both grants are gone")
				}
			})
		}
	}
}
