package mysql

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Enumerator = (*Driver)(nil)

// login is a user, with every host that an account of its name is for.
type login struct {
	hosts []string
	open  bool // one of them isn't locked
}

// Accounts is described at connector.Enumerator: users, each name once for all its hosts.
// Users are the whole server's, so that those of other systems are passed over. The server
// keeps neither when a user was made nor when it signed in.
func (d *Driver) Accounts(ctx context.Context, yield func(connector.Account) error) (connector.Sighting, error) {
	var callers error
	g, err := d.look(ctx, func(s *session) (bool, error) {
		notes, err := d.notes(ctx, s, "user")
		if err != nil {
			return false, err
		}
		all := map[string]*login{}
		var user, host, priv string
		err = each(ctx, s, "select user, host, priv from mysql.global_priv", func() error {
			var p struct {
				Locked bool `json:"account_locked"`
				Role   bool `json:"is_role"`
			}
			if json.Unmarshal([]byte(priv), &p) != nil || p.Role || user == "" || user == d.config.User || slices.Contains(reservedAccounts, strings.ToLower(user)) ||
				strings.HasPrefix(user, ownerPrefix) || strings.HasPrefix(user, elevationPrefix) || strings.HasPrefix(user, "mysql.") {
				return nil
			}
			l := all[user]
			if l == nil {
				l = &login{}
				all[user] = l
			}
			l.hosts, l.open = append(l.hosts, host), l.open || !p.Locked
			return nil
		}, &user, &host, &priv)
		if isNumber(err, 1142, 1143) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			a := connector.Account{Type: "user", Name: name, Owner: connector.Unmarked, Enabled: all[name].open}
			if n := notes[name]; n != nil {
				if d.elsewhere(n, connector.Scope{}) {
					continue
				}
				if a.Resource, a.Owner = n.Read(d.marker, "user"); a.Owner != connector.Ours {
					a.Resource = ""
				}
			}
			if a.Owner != connector.Ours {
				slices.Sort(all[name].hosts)
				for _, host := range all[name].hosts {
					a.Disable = append(a.Disable, "alter user "+account(name, host)+" account lock")
					a.Remove = append(a.Remove, "drop user "+account(name, host))
				}
				a.Disable = append(a.Disable, "kill user "+literal(name))
			}
			if callers = yield(a); callers != nil {
				return false, callers
			}
		}
		return true, nil
	})
	if callers != nil {
		return connector.Sighting{}, callers
	}
	return g, coded(err)
}
