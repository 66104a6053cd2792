package mysql

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
)

// rightBits are the rights on the whole server, in the order of the bits in which
// mysql.global_priv keeps them.
var rightBits = []string{"select", "insert", "update", "delete", "create", "drop", "reload", "shutdown", "process", "file", "grant option", "references", "index", "alter", "show databases", "super",
	"create temporary tables", "lock tables", "execute", "replication slave", "binlog monitor", "create view", "show view", "create routine", "alter routine", "create user", "event", "trigger",
	"create tablespace", "delete history", "set user", "federated admin", "connection admin", "read_only admin", "replication slave admin", "replication master admin", "binlog admin", "binlog replay",
	"slave monitor", "show create routine"}

func wholeRights(access uint64) (out []string) {
	for i, name := range rightBits {
		if access&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	if access>>len(rightBits) != 0 {
		out = append(out, "all privileges")
	}
	return sorted(out)
}

// held is an account of the server's.
type held struct {
	name, host  string
	role        bool
	locked, tls bool
	limit       int64
	hash        string
	plugin      string
	whole       []string // rights on the whole server
	fallback    string   // the role that is on when it signs in
	roles       []string
	admin       []string // roles that it may pass on
	others      []string // hosts of further accounts of the name
	twins       []*held  // these accounts
	sessions    int64
	rights      []string // on databases and tables, by no grant of Tenure's
}

// read gives the accounts of the names.
func (k accounts) read(ctx context.Context, s *session, names []string) (map[string]*held, error) {
	out := map[string]*held{}
	for part := range slices.Chunk(names, 2000) {
		if err := k.readSome(ctx, s, part, out); err != nil {
			return nil, err
		}
	}
	rights, err := k.undeclared(ctx, s, names)
	if err != nil {
		return nil, err
	}
	for name, h := range out {
		h.rights = rights[name]
	}
	return out, nil
}

func (k accounts) readSome(ctx context.Context, s *session, names []string, out map[string]*held) error {
	var user, host, priv, role, admin string
	in := literals(names)
	err := each(ctx, s, "select user, host, priv from mysql.global_priv where user in ("+in+") order by user, host", func() error {
		var p struct {
			Access  uint64 `json:"access"`
			Plugin  string `json:"plugin"`
			Hash    string `json:"authentication_string"`
			Locked  bool   `json:"account_locked"`
			Role    bool   `json:"is_role"`
			Limit   int64  `json:"max_user_connections"`
			TLS     int    `json:"ssl_type"`
			Default string `json:"default_role"`
		}
		if err := json.Unmarshal([]byte(priv), &p); err != nil {
			return tenure.Errorf(tenure.Blocked, "what the server keeps of account %s can't be read", account(user, host))
		}
		h := &held{name: user, host: host, role: p.Role, locked: p.Locked, tls: p.TLS > 0, limit: p.Limit, hash: p.Hash, plugin: p.Plugin, fallback: p.Default, whole: wholeRights(p.Access)}
		if first := out[user]; first != nil {
			first.others, first.twins = append(first.others, host), append(first.twins, h)
		} else {
			out[user] = h
		}
		return nil
	}, &user, &host, &priv)
	if err != nil {
		return err
	}
	err = each(ctx, s, "select user, host, role, admin_option from mysql.roles_mapping where user in ("+in+") order by user, role", func() error {
		if h := out[user]; h != nil {
			for _, h := range append([]*held{h}, h.twins...) {
				if h.host == host {
					h.roles = append(h.roles, role)
					if admin == "Y" {
						h.admin = append(h.admin, role)
					}
				}
			}
		}
		return nil
	}, &user, &host, &role, &admin)
	if err != nil {
		return err
	}
	var locked []string // of the others it doesn't matter who is signed in
	for name, h := range out {
		if h.locked || slices.ContainsFunc(h.twins, func(t *held) bool { return t.locked }) {
			locked = append(locked, name)
		}
	}
	if len(locked) == 0 {
		return nil
	}
	var n int64
	return each(ctx, s, "select user, count(*) from information_schema.processlist where user in ("+literals(sorted(locked))+") group by binary user", func() error {
		if h := out[user]; h != nil {
			h.sessions = n
		}
		return nil
	}, &user, &n)
}

// from is the account for a host among those of the name, or the first of them.
func (h *held) from(host string) *held {
	if h == nil || h.host == host {
		return h
	}
	i := slices.IndexFunc(h.twins, func(t *held) bool { return t.host == host })
	if i < 0 {
		return h
	}
	one := h.twins[i]
	one.sessions, one.rights = h.sessions, h.rights
	one.others, one.twins = []string{h.host}, []*held{h}
	for _, t := range h.twins {
		if t != one {
			one.others, one.twins = append(one.others, t.host), append(one.twins, t)
		}
	}
	one.others = sorted(one.others)
	return one
}

// end ends the sessions of a user, until none is left.
func (d *Driver) end(ctx context.Context, s *session, user string) error {
	for n := range 100 {
		var id int64
		var name string
		var ids []int64
		err := each(ctx, s, "select id, user from information_schema.processlist where user = "+literal(user), func() error {
			if name == user {
				ids = append(ids, id)
			}
			return nil
		}, &id, &name)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.run(ctx, "kill connection "+strconv.FormatInt(id, 10)); err != nil && !isNumber(err, 1094, 1095) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Millisecond<<min(n, 10), 50*time.Millisecond)): // one that was just closed goes at once
		}
	}
	return tenure.Errorf(tenure.Unavailable, "sessions of user %q don't end", user).Retryable()
}
