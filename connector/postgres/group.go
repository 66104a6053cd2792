package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A table's access list fills a page with about 2,400 roles, so tenants' roles have
// their rights on tables that they share through groups: one role without a login for
// each set of rights, of which theirs are members. The name says which set it is, so
// that nothing has to be looked up, and whoever has another set is in another group.
const (
	groupPrefix = "tenure_g_"
	viaKey      = "via" // in a grant's note: the group through which the role has it
)

// groupOf names the group of a grant on shared tables of the database.
func groupOf(installation, database string, g grantSpec) string {
	parts := append([]string{installation, database, g.Schema, strings.Join(g.Privileges, ",")}, g.Tables...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return groupPrefix + hex.EncodeToString(sum[:12])
}

// grouped fills in through which groups the grants go: those on tables of schemas that
// aren't a tenant's own.
func (k grants) grouped(ctx context.Context, s *session, specs []grantSpec) error {
	var names []string
	for _, g := range specs {
		if g.on() == "table" {
			names = append(names, g.Schema)
		}
	}
	if len(names) == 0 {
		return nil
	}
	own := map[string]bool{}
	err := s.simple(ctx, "select name from tenure.mark where type = 'schema' and name in ("+literals(sorted(names))+")", func(_ int, v [][]byte) error {
		own[string(v[0])] = true
		return nil
	})
	for i := range specs {
		specs[i].group = ""
		if g := specs[i]; g.on() == "table" && !own[g.Schema] {
			specs[i].group = groupOf(string(k.marker.Installation), k.config.Database, g)
		}
	}
	return err
}

// join are the statements that make the group what it is to be, and the role its member.
func (g grantSpec) join(h held) (out []string) {
	if !h.there {
		out = append(out, "create role "+quote(g.group)+" nologin")
	}
	out = append(out, g.ofGroup().statements(false, minus(h.group, g.rights()))...)
	out = append(out, g.ofGroup().statements(true, minus(g.rights(), h.group))...)
	if !h.member {
		out = append(out, "grant "+quote(g.group)+" to "+quote(g.Role))
	}
	return out
}

// leave are the statements that take the role out of the group. A group without a
// member goes, with its rights.
func (g grantSpec) leave(h held) []string {
	if !h.member {
		return nil
	}
	gone := strings.Join(append(g.ofGroup().statements(false, h.group), "drop role "+quote(g.group)), "; ")
	tag := "$t" + random() + "$"
	return []string{"revoke " + quote(g.group) + " from " + quote(g.Role),
		"do " + tag + " begin if not exists (select 1 from pg_auth_members m where m.roleid = " + literal(quote(g.group)) + "::regrole and m.member <> " + ownOID + ") then " + gone + "; end if; end " + tag}
}
