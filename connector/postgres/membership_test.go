package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestMembershipsOfOtherGrantors: from version 16 on a membership stands once for each who
// granted it. One that is declared is no drift if a superuser has granted it too; one that
// isn't is taken back in every grantor's name, or it is said who has to.
func TestMembershipsOfOtherGrantors(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	w.sharing(t, "text")
	group := desired("role", w.token+"group", map[string]any{"login": false})
	role := desired("role", w.token+"tenant", map[string]any{"login": true, "memberOf": []any{group.Name}})
	use := desired("grant", "use", map[string]any{"role": role.Name, "schema": "app_data", "tables": []any{"docs"}, "privileges": []any{"select"}})
	sees := desired("policy", "sees", map[string]any{"role": role.Name, "schema": "app_data", "tables": []any{"docs"}, "column": "tenant", "key": "acme"})
	for _, r := range []connector.Desired{group, role, use, sees} {
		ensured(t, system, r)
	}
	again := func() {
		for _, g := range append(w.groupsOf(t, role.Name), group.Name) {
			w.exec(t, "grant %s to %s", quote(g), quote(role.Name))
		}
	}
	again()
	for _, r := range []connector.Desired{role, use, sees} {
		if o, _, v, err := system.Ensure(t.Context(), r); err != nil || v != tenure.Verified {
			t.Errorf("%s with memberships that a superuser granted too: %s, %s, %v", r.Type, v, o.Attributes, err)
		}
	}

	w.exec(t, "grant %s to %s with admin option; set role %s; grant %s to %s; reset role", quote(w.token+"owner"), quote(w.platform), quote(w.platform), quote(w.token+"owner"), quote(role.Name))
	ensured(t, system, role)

	role.Attributes = map[string]any{"login": true}
	for _, r := range []connector.Desired{sees, use} {
		_, err := d.Delete(t.Context(), r.Ref)
		w.told(t, r.Type, err)
	}
	_, _, err := d.Ensure(t.Context(), role)
	w.told(t, role.Type, err)
	w.exec(t, "revoke %s from %s", quote(group.Name), quote(role.Name))
	for _, g := range w.groupsOf(t, role.Name) {
		w.exec(t, "revoke %s from %s", quote(g), quote(role.Name))
	}
	ensured(t, system, role)
	for _, r := range []connector.Desired{sees, use, role, group} {
		if _, err := d.Delete(t.Context(), r.Ref); err != nil {
			t.Errorf("delete of %s %s: %v", r.Type, r.Name, err)
		}
	}
}

// told says that who must take a membership back is named, where Tenure's role can't.
func (w *world) told(t *testing.T, what string, err error) {
	t.Helper()
	if !w.modern(t) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "granted the membership") || !strings.Contains(err.Error(), "revoke … granted by tenure") {
		t.Errorf("%s: %v, want it to say who can take the membership back", what, err)
	}
}
