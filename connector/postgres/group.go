package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// A table's access list fills a page with about 2,400 roles, so tenants' roles have
// their rights on tables that they share through groups: one role without a login for
// each set of rights, of which theirs are members. The name says which set it is, so
// that nothing has to be looked up, and whoever has another set is in another group.
const (
	groupPrefix = "tenure_g_" // of grants
	boundPrefix = "tenure_p_" // of policies
	viaKey      = "via"       // in a grant's note: the group through which the role has it
)

// isGroup says whether a role is such a group by its name.
func isGroup(role string) bool {
	return strings.HasPrefix(role, groupPrefix) || strings.HasPrefix(role, boundPrefix)
}

// groupName is the name of the group of a set that the parts say.
func groupName(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + hex.EncodeToString(sum[:12])
}

// groupOf names the group of a grant on shared objects of the database.
func groupOf(installation, database string, g grantSpec) string {
	return groupName(groupPrefix, append([]string{installation, database, g.on(), g.Schema, strings.Join(g.Privileges, ",")}, g.names()...)...)
}

// newGroup makes a group that may have been made meanwhile. It stands after turnSQL.
func newGroup(name string) string {
	return ifSQL("not exists (select 1 from pg_roles where rolname = "+literal(name)+")", "create role "+quote(name)+" nologin")
}

// emptied takes what the statements name from a group without a member, and drops it. If
// somebody gave it rights elsewhere it stays, as nobody's.
func emptied(name string, statements ...string) string {
	return ifSQL("exists (select 1 from pg_roles where rolname = "+literal(name)+") and not exists (select 1 from pg_auth_members m where m.roleid = to_regrole("+literal(quote(name))+") and m.member <> "+ownOID+")",
		strings.Join(append(statements, "begin drop role "+quote(name)+"; exception when dependent_objects_still_exist then null; end"), "; "))
}

func ifSQL(condition, then string) string {
	tag := "$t" + random() + "$"
	return "do " + tag + " begin if " + condition + " then " + then + "; end if; end " + tag
}

// inTurn is with for what makes, joins and leaves groups: a group that went between the
// look and the call is looked for again.
func (d *Driver) inTurn(ctx context.Context, f func(s *session) error) error {
	return d.with(ctx, func(s *session) (err error) {
		for range 3 {
			if err = f(s); state(err) != "42704" && state(err) != "42710" { // it went, or another has made it
				break
			}
		}
		return err
	})
}

// grouped fills in through which groups the grants go: those on objects of schemas that
// aren't a tenant's own.
func (k grants) grouped(ctx context.Context, s *session, specs []grantSpec) error {
	var names []string
	for _, g := range specs {
		if len(g.names()) > 0 {
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
	for _, r := range connector.BeingAdopted(ctx, "schema") {
		own[r.Name] = true
	}
	for i := range specs {
		specs[i].group = ""
		if g := specs[i]; len(g.names()) > 0 && !own[g.Schema] {
			specs[i].group = groupOf(string(k.marker.Installation), k.config.Database, g)
		}
	}
	return err
}

// join are the statements that make the group what it is to be, and the role its member.
func (g grantSpec) join(h held) (out []string) {
	if !h.there {
		out = append(out, newGroup(g.group))
	}
	out = append(out, g.ofGroup().statements(false, minus(h.group, g.rights()))...)
	out = append(out, g.ofGroup().statements(true, minus(g.rights(), h.group))...)
	return append(out, h.joining(g.group, g.Role)...)
}

// leave are the statements that take the role out of the group. A group without a
// member goes, with its rights.
func (g grantSpec) leave(h held) []string {
	if !h.member {
		return nil
	}
	return []string{leaving(g.group, g.Role), emptied(g.group, g.ofGroup().statements(false, h.group)...)}
}
