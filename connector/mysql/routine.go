package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// everybody is the role that the server gives to each account (MariaDB 10.11).
const everybody = "PUBLIC"

// lent is a right of an account's that is on no database and no table: on a routine,
// which runs with its definer's rights if it says so, or to act as another account.
type lent struct {
	account, host string
	database      string // of a routine; "" of an account
	says          string
	revoke        string // the statement that ends it
}

// lentTo reads what the accounts were lent by others. What an account made itself, and
// what isn't there any more, is left out.
func (d *Driver) lentTo(ctx context.Context, s *session, accounts []string) (out []lent, err error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	in := literals(accounts)
	var l lent
	var name, kind string
	err = each(ctx, s, "select p.user, p.host, p.db, p.routine_name, lower(p.routine_type) from mysql.procs_priv p join mysql.proc r on binary r.db = p.db and r.name = p.routine_name and r.type = p.routine_type where p.user in ("+in+
		") and binary r.definer <> concat(p.user, '@', p.host) order by 1, 2, 3, 4", func() error {
		if !slices.Contains(accounts, l.account) {
			return nil
		}
		l.says = l.database + ": " + kind + " " + name
		l.revoke = "revoke execute, alter routine, grant option on " + kind + " " + quote(l.database, name) + " from " + (&held{name: l.account, host: l.host, role: l.host == ""}).at()
		out = append(out, l)
		return nil
	}, &l.account, &l.host, &l.database, &name, &kind)
	if err != nil {
		return nil, err
	}
	l.database = ""
	var as, asHost string
	err = each(ctx, s, "select user, host, proxied_user, proxied_host from mysql.proxies_priv where user in ("+in+") order by 1, 2, 3, 4", func() error {
		if slices.Contains(accounts, l.account) {
			l.says = "proxy of " + account(as, asHost)
			l.revoke = "revoke proxy on " + account(as, asHost) + " from " + account(l.account, l.host)
			out = append(out, l)
		}
		return nil
	}, &l.account, &l.host, &as, &asHost)
	return out, err
}

// takeBack ends what an account was lent, of one database or of all.
func (d *Driver) takeBack(ctx context.Context, s *session, database, to string) error {
	all, err := d.lentTo(ctx, s, []string{to})
	for _, l := range all {
		if database != "" && l.database != database {
			continue
		}
		if err := s.run(ctx, l.revoke); err != nil && !isNumber(err, 1141, 1403) {
			return err
		}
	}
	return err
}

// everywhere are the rights on data that everybody has on every database.
func (d *Driver) everywhere(ctx context.Context, s *session) (out []string, err error) {
	have := map[string]*held{}
	if err := (accounts{d, "role"}).readSome(ctx, s, []string{everybody}, have); err != nil || have[everybody] == nil {
		return nil, err
	}
	for _, p := range have[everybody].whole {
		if slices.ContainsFunc(privileges, func(o privilege) bool { return o.name == p }) || p == "all privileges" {
			out = append(out, p)
		}
	}
	return out, nil
}

// openToAll is Blocked while everybody has rights on every database: that isn't one
// tenant's to end.
func (d *Driver) openToAll(ctx context.Context, s *session) error {
	all, err := d.everywhere(ctx, s)
	if err == nil && len(all) > 0 {
		err = tenure.Errorf(tenure.Blocked, "every account of the server has %s on every database, by the role public", strings.Join(all, ", ")).
			WithHint("revoke %s on *.* from public", strings.Join(all, ", "))
	}
	return err
}

// endIn ends the sessions of others that are in a database: rights on it go on in these.
func (d *Driver) endIn(ctx context.Context, s *session, database string) error {
	var user, in string
	var users []string
	err := each(ctx, s, "select user, db from information_schema.processlist where db = "+literal(database), func() error {
		if in == database && user != d.config.User {
			users = append(users, user)
		}
		return nil
	}, &user, &in)
	for _, user := range sorted(users) {
		if err := d.end(ctx, s, user); err != nil {
			return err
		}
	}
	return err
}
