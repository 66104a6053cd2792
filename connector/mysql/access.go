package mysql

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// stale are accounts with rights on the name, save those that grants of ours give.
func (k databases) stale(ctx context.Context, s *session, name string) (out []string, err error) {
	notes, err := k.notes(ctx, s, "grant")
	if err != nil {
		return nil, err
	}
	var user, host string
	err = each(ctx, s, "select user, host from mysql.db where db in ("+literals([]string{pattern(name), name})+") union select user, host from mysql.tables_priv where db = "+literal(name)+" order by 1, 2", func() error {
		declared := strings.HasPrefix(user, ownerPrefix) // one that was being made
		for _, n := range notes {
			a := specOf(n)
			declared = declared || a.To == user && a.Database == name
		}
		if !declared {
			out = append(out, account(user, host))
		}
		return nil
	}, &user, &host)
	return out, err
}

// revokeAccess takes from an account all that no grant of ours gives it on a database,
// "" for all of them, and ends its sessions.
func (k databases) revokeAccess(ctx context.Context, s *session, name, to string) error {
	notes, err := k.notes(ctx, s, "grant")
	if err != nil {
		return err
	}
	have, err := k.rightsOf(ctx, s, []string{to})
	if err != nil {
		return err
	}
	for at := range have.on {
		if at[0] != to || name != "" && at[1] != name {
			continue
		}
		a := grantSpec{To: to, Database: at[1]}
		if at[2] != "" {
			a.Tables = []string{at[2]}
		}
		declared := given(notes, "", to, at[1], at[2])
		if _, err := grants(k).revoke(ctx, s, a, "", notes, have, func(string) []string { return slices.Collect(maps.Keys(declared)) }); err != nil {
			return err
		}
	}
	if err := k.takeBack(ctx, s, name, to); err != nil {
		return err
	}
	if to == everybody {
		if err := k.openToAll(ctx, s); err != nil {
			return err
		}
		if err := k.endIn(ctx, s, name); err != nil {
			return err
		}
	}
	h, err := k.grantee(ctx, s, to)
	if err != nil || h == nil {
		return err
	}
	for _, w := range have.whole {
		if w.account != to || name != "" && !like(w.pattern, name) {
			continue
		}
		for _, what := range []string{"all privileges", "grant option"} {
			if err := s.run(ctx, "revoke "+what+" on "+quote(w.pattern)+".* from "+h.at()); err != nil && !isNumber(err, 1141) {
				return err
			}
		}
	}
	return k.endOf(ctx, s, h)
}

// disown revokes every right on a database: rights outlive what they are on, and would
// be there for the next of its name. One that is given by the plain name, with signs in
// it that stand for others, is on this database all the same.
func (k databases) disown(ctx context.Context, s *session, name string) error {
	var user, host, db, table string
	var statements []string
	var who []*held
	err := each(ctx, s, "select user, host, db, '' from mysql.db where db in ("+literals([]string{pattern(name), name})+") union select user, host, db, table_name from mysql.tables_priv where db = "+literal(name), func() error {
		h := &held{name: user, host: host, role: host == ""}
		at := h.at()
		object := quote(db) + ".*"
		if table != "" {
			object = quote(name, table)
		}
		if user != k.config.User {
			who = append(who, h)
		}
		statements = append(statements, "revoke all privileges on "+object+" from "+at, "revoke grant option on "+object+" from "+at)
		return nil
	}, &user, &host, &db, &table)
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if err := s.run(ctx, sql); err != nil && !isNumber(err, 1141, 1147, 1146) {
			return err
		}
	}
	for _, h := range who { // who uses the database goes on with the rights on it
		if err := k.endOf(ctx, s, h); err != nil {
			return err
		}
	}
	return nil
}

// readAccess finds tenants' accounts that have rights on databases by no grant of ours.
func (k databases) readAccess(ctx context.Context, s *session, in map[string]*database) error {
	if len(in) == 0 {
		return nil
	}
	var known []string
	for _, typ := range []string{"user", "role"} {
		notes, err := k.notes(ctx, s, typ)
		if err != nil {
			return err
		}
		known = slices.AppendSeq(known, maps.Keys(notes))
		for _, r := range connector.BeingAdopted(ctx, typ) {
			known = append(known, r.Name)
		}
	}
	known = sorted(append(known, everybody))
	have, err := k.rightsOn(ctx, s, known, slices.Sorted(maps.Keys(in)))
	if err != nil {
		return err
	}
	routines, err := k.lentTo(ctx, s, known)
	if err != nil {
		return err
	}
	for _, l := range routines {
		if d := in[l.database]; d != nil {
			_, what, _ := strings.Cut(l.says, ": ")
			d.access = append(d.access, l.account+": "+what)
		}
	}
	all, err := k.everywhere(ctx, s)
	if err != nil {
		return err
	}
	for _, d := range in {
		for _, p := range all {
			d.access = append(d.access, everybody+": "+p+" on every database")
		}
	}
	notes, err := k.declaring(ctx, s)
	if err != nil {
		return err
	}
	for at, has := range have.on {
		d := in[at[1]]
		if d == nil {
			continue
		}
		declared := given(notes, "", at[0], at[1], at[2])
		for _, p := range has {
			if !declared[p] {
				d.access = append(d.access, at[0]+": "+p+on(at[2]))
			}
		}
	}
	for _, w := range have.whole {
		for name, d := range in {
			if like(w.pattern, name) {
				d.access = append(d.access, w.account+": by the pattern "+w.pattern)
			}
		}
	}
	for _, d := range in {
		d.access = sorted(d.access)
	}
	return nil
}

func on(table string) string {
	if table == "" {
		return ""
	}
	return " on " + table
}

// undeclared are the rights of accounts on databases and tables that no grant of ours
// gives, in words.
func (d *Driver) undeclared(ctx context.Context, s *session, accounts []string) (map[string][]string, error) {
	have, err := d.rightsOf(ctx, s, accounts)
	if err != nil {
		return nil, err
	}
	notes, err := d.declaring(ctx, s)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for at, has := range have.on {
		declared := given(notes, "", at[0], at[1], at[2])
		for _, p := range has {
			if !declared[p] {
				out[at[0]] = append(out[at[0]], at[1]+": "+p+on(at[2]))
			}
		}
	}
	all, err := d.lentTo(ctx, s, accounts)
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		out[l.account] = append(out[l.account], l.says)
	}
	for _, w := range have.whole {
		out[w.account] = append(out[w.account], "the pattern "+w.pattern+": "+strings.Join(w.has, ", "))
	}
	for name := range out {
		out[name] = sorted(out[name])
	}
	return out, nil
}
