package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*Driver)(nil)

// needed is a right on the whole server, what it is for, and which types or which cleaning
// ask for it; neither is always.
type needed struct {
	name, why string
	types     []string
	clean     tenure.RemnantKind
}

func (n needed) by(a connector.Asked) bool {
	return n.types == nil && n.clean == "" || a.Clean != "" && a.Clean == n.clean || slices.Contains(n.types, a.Type)
}

var neededRights = []needed{
	{"select", "to see every database, account and row", nil, ""},
	{"show databases", "without it the server hides databases", nil, ""},
	{"process", "to see foreign keys, tables and sessions of others", nil, ""},
	{"create", "Tenure's own database, and tenants'", nil, ""},
	{"insert", "marks and tallies", nil, ""},
	{"update", "marks and tallies", nil, ""},
	{"delete", "erasure", nil, ""},
	{"create user", "users, roles and the accounts that a blueprint's SQL runs as", []string{"database", "user", "role"}, ""},
	{"connection admin", "to end sessions as access is cut", []string{"database", "user", "grant"}, ""},
	{"grant option", "to pass rights on", []string{"database", "grant"}, ""},
	{"drop", "tenants' databases", []string{"database"}, ""},
	{"alter", "quarantine, which moves tables", []string{"database"}, ""},
	{"trigger", "to see triggers, and to give them back after a quarantine", []string{"database", "rows"}, ""},
	{"event", "to see events, to switch them off in quarantine, and to end logins in time", []string{"database", "rows"}, ""},
	{"set user", "to give triggers back to their definers, and to suspend others' events while a hold covers what they delete", []string{"database", "rows"}, ""},
	{"reload", "to close files of the binary log, where a blueprint has the remnant log cleaned", nil, tenure.RemnantLog},
	{"delete history", "to have the server forget past rows", []string{"database"}, ""},
	{"references", "passed on", []string{"database"}, ""}, {"index", "passed on", []string{"database"}, ""}, {"create temporary tables", "passed on", []string{"database"}, ""},
	{"lock tables", "passed on", []string{"database"}, ""}, {"create view", "passed on", []string{"database"}, ""}, {"show view", "passed on", []string{"database"}, ""},
	{"create routine", "passed on", []string{"database"}, ""}, {"alter routine", "passed on", []string{"database"}, ""}, {"execute", "passed on", []string{"database"}, ""},
}

// beyond are rights without which Tenure works, and what they let their holder do.
var beyond = map[string]string{"super": "nearly everything", "file": "read and write files of the server's", "shutdown": "stop the server", "create tablespace": "write files",
	"replication slave": "read all that is written", "binlog replay": "write as anybody", "federated admin": "reach other servers"}

// Check is described at connector.Checker.
func (d *Driver) Check(ctx context.Context, asked []connector.Asked) (c connector.Checkup, err error) {
	err = d.with(ctx, func(s *session) error {
		var at, role string
		if err := each(ctx, s, "select current_user(), @@version", nil, &at, &c.Version); err != nil {
			return err
		}
		c.Role = at
		held := map[string]bool{}
		var passes string
		err := each(ctx, s, "select lower(privilege_type), is_grantable from information_schema.user_privileges where "+isMe, func() error {
			held[role] = true
			held["grant option"] = held["grant option"] || passes == "YES"
			return nil
		}, &role, &passes)
		if err != nil {
			return err
		}
		user, host, _ := cutLast(at, "@")
		for _, n := range neededRights {
			r := connector.Right{Name: n.name, State: connector.RightHeld, For: n.why}
			if !held[n.name] {
				r.State, r.Fix = connector.RightMissing, "grant "+n.name+" on *.* to "+account(user, host)
				if !n.by(connector.Asked{}) && !slices.ContainsFunc(asked, n.by) {
					r.State = connector.RightOptional
				}
			}
			c.Rights = append(c.Rights, r)
		}
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name := range beyond {
				if !yield(name) {
					return
				}
			}
		}) {
			if held[name] {
				c.Rights = append(c.Rights, connector.Right{Name: name, State: connector.RightBeyond, For: beyond[name], Fix: "revoke " + name + " on *.* from " + account(user, host)})
			}
		}
		return d.notesOf(ctx, s, &c)
	})
	return c, coded(err)
}

// notesOf are what is to know of the server besides.
func (d *Driver) notesOf(ctx context.Context, s *session, c *connector.Checkup) error {
	if _, err := d.fingerprint(ctx, s); err != nil {
		if tenure.CodeOf(err) != tenure.Blocked {
			return err
		}
		c.Notes = append(c.Notes, err.Error())
	}
	for _, n := range []struct{ query, is, says string }{
		{"select @@global.event_scheduler", "OFF", "the event scheduler is off, so no login can be opened for people"},
		{"select @@global.event_scheduler", "DISABLED", "the event scheduler is disabled, so no login can be opened for people"},
		{"select @@global.read_only", "1", "the server is read-only: use the primary's endpoint"},
		{"select @@lower_case_table_names", "1", "names that differ in case are the same to the server, so it can't be added"},
	} {
		is, err := s.value(ctx, n.query)
		if err != nil {
			return err
		}
		if strings.EqualFold(is, n.is) {
			c.Notes = append(c.Notes, n.says)
		}
	}
	return nil
}
