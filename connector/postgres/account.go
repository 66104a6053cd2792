package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Enumerator = (*Driver)(nil)

// ownPrefixes begin the names of roles that Tenure keeps for itself.
var ownPrefixes = []string{groupPrefix, boundPrefix, loginPrefix, deputyPrefix, scratchPrefix, unfinishedPrefix}

var accountsSQL = "select " + roleClass.columns() + ", o.rolcanlogin::text" + roleClass.from() +
	`where (o.rolcanlogin or m.name is not null) and o.oid <> 10 and left(o.rolname, 3) <> 'pg_'
 and o.oid not in (select r.oid from pg_roles r where r.rolname in (session_user, current_user))`

// Accounts is described at connector.Enumerator: roles that can log in, and those of
// Tenure's making that can't. Roles are the whole server's, so that those of other systems
// are passed over. A password that has expired leaves other ways to log in, and so doesn't
// count as disabled. PostgreSQL keeps neither when a role was made nor when it logged in.
func (d *Driver) Accounts(ctx context.Context, yield func(connector.Account) error) (connector.Sighting, error) {
	var callers error
	k := roles{d}
	g, err := d.look(ctx, func(s *session) (bool, error) {
		err := s.simple(ctx, accountsSQL+roleClass.order(), func(_ int, v [][]byte) error {
			b := k.marked(roleClass, v)
			for _, p := range ownPrefixes {
				if strings.HasPrefix(b.name, p) {
					return nil
				}
			}
			if k.elsewhere(b.note, connector.Scope{}) {
				return nil
			}
			callers = yield(k.account(b, string(v[4]) == "true"))
			return stop(callers)
		})
		return true, err
	})
	if callers != nil {
		return connector.Sighting{}, callers
	}
	return g, coded(err)
}

func (k roles) account(b marked, login bool) connector.Account {
	a := connector.Account{Type: "role", Name: b.shownAs(), ID: b.name, Enabled: login}
	if a.Resource, a.Owner = b.note.Read(k.marker, "role"); a.Owner == connector.Ours {
		return a
	}
	a.Resource = ""
	name := quote(b.name)
	a.Disable = []string{
		"alter role " + name + " nologin",
		"select pg_terminate_backend(pid) from pg_stat_activity where usename = " + literal(b.name),
	}
	a.Remove = []string{
		"see what it owns, in each database: select * from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid = " + literal(name) + "::regrole",
		"drop role " + name,
	}
	return a
}
