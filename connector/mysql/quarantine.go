package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Quarantiner = (*Driver)(nil)

// asidePrefix begins the names of databases in which quarantined tables stand.
const asidePrefix = "t_aside_"

// asideOf is where a resource's tables stand while it is quarantined. The server can't
// rename a database, but each table.
func asideOf(r tenure.ResourceID) string { return asidePrefix + string(r[max(0, len(r)-12):]) }

// isAside says that a note's database is quarantined, or about to be or to come back:
// its tables may stand in either place.
func isAside(n *relational.Note) bool {
	return noteState(n) == string(tenure.ResourceQuarantined)
}

// onDatabase runs f on r's own database, nil if it is absent.
func (d *Driver) onDatabase(ctx context.Context, r connector.Ref, f func(k databases, s *session, have *database, n *relational.Note) error) error {
	if r.Type != "database" {
		if _, err := d.kind(r.Type); err != nil {
			return err
		}
		return tenure.Errorf(tenure.Invalid, "a %s can't be set aside", r.Type)
	}
	k := databases{d}
	return d.with(ctx, func(s *session) error {
		have, n, err := k.own(ctx, s, r)
		if err != nil {
			return err
		}
		return f(k, s, have, n)
	})
}

// Quarantine is described at connector.Quarantiner. Every right on the database is
// revoked, events are switched off, triggers are kept and dropped, since no table moves
// with them, and the tables move into a database of Tenure's. Views and routines stay
// where they are and find nothing. Each step can be repeated.
func (d *Driver) Quarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = d.onDatabase(ctx, r, func(k databases, s *session, have *database, n *relational.Note) error {
		if have == nil {
			return nil
		}
		left, err := k.tablesOf(ctx, s, r.Name)
		if err != nil || isAside(n) && len(left) == 0 {
			return err
		}
		rec.Changed = true
		if err := k.marks.Put(ctx, s, k.marker, n.With("state", string(tenure.ResourceQuarantined))); err != nil {
			return err
		}
		if err := k.disown(ctx, s, r.Name); err != nil {
			return err
		}
		if err := k.still(ctx, s, r); err != nil {
			return err
		}
		if err := s.run(ctx, "create database if not exists "+quote(asideOf(r.Resource))); err != nil {
			return err
		}
		if err := k.move(ctx, s, left, r.Name, asideOf(r.Resource)); err != nil {
			return err
		}
		if left, err = k.tablesOf(ctx, s, r.Name); err == nil && len(left) > 0 {
			err = tenure.Errorf(tenure.Unavailable, "table %q came while the others were set aside", left[0]).Retryable()
		}
		return err
	})
	if err != nil {
		rec = connector.Receipt{}
	}
	return rec, err
}

// Unquarantine is described at connector.Quarantiner. Rights aren't given again.
func (d *Driver) Unquarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = d.onDatabase(ctx, r, func(k databases, s *session, have *database, n *relational.Note) error {
		if have == nil {
			return absent(r)
		}
		if !isAside(n) {
			return nil
		}
		rec.Changed = true
		away, err := k.tablesOf(ctx, s, asideOf(r.Resource))
		if err != nil {
			return err
		}
		if err := k.move(ctx, s, away, asideOf(r.Resource), r.Name); err != nil {
			return err
		}
		if err := k.stir(ctx, s, r); err != nil {
			return err
		}
		if err := s.run(ctx, "drop database if exists "+quote(asideOf(r.Resource))); err != nil {
			return err
		}
		return k.marks.Put(ctx, s, k.marker, n.With("state", ""))
	})
	if err != nil {
		rec = connector.Receipt{}
	}
	return rec, err
}

// tablesOf lists the tables of a database, sequences among them.
func (k databases) tablesOf(ctx context.Context, s *session, name string) (out []string, err error) {
	var schema, table string
	err = each(ctx, s, "select table_schema, table_name from information_schema.tables where table_schema = "+literal(name)+" and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') order by binary table_name", func() error {
		if schema == name {
			out = append(out, table)
		}
		return nil
	}, &schema, &table)
	return out, err
}

// move moves tables from one database to another, some at a time.
func (k databases) move(ctx context.Context, s *session, tables []string, from, to string) error {
	for part := range slices.Chunk(tables, 50) {
		all := make([]string, len(part))
		for i, t := range part {
			all[i] = quote(from, t) + " to " + quote(to, t)
		}
		if err := s.run(ctx, "rename table "+strings.Join(all, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// still keeps what runs by itself in a database: triggers as they are, events by name.
// They are written down before they go.
func (k databases) still(ctx context.Context, s *session, r connector.Ref) error {
	var at kept
	var all []kept
	find := func(query string) error {
		return each(ctx, s, query, func() error { all = append(all, at); return nil }, &at.kind, &at.name, &at.place, &at.body, &at.definer, &at.mode, &at.client, &at.connection)
	}
	err := find(`select 'trigger', trigger_name, concat(lower(action_timing), ' ', lower(event_manipulation), char(10), lpad(action_order, 5, '0'), char(10), event_object_table), action_statement,
 definer, sql_mode, character_set_client, collation_connection from information_schema.triggers where binary trigger_schema = ` + literal(r.Name))
	if err == nil {
		err = find("select 'event', event_name, '', '', '', '', '', '' from information_schema.events where binary event_schema = " + literal(r.Name) + " and status = 'ENABLED'")
	}
	if err != nil {
		return err
	}
	for _, one := range all {
		if _, err := s.Exec(ctx, "insert into "+quote(k.keep, "aside")+" (resource, kind, name, place, body, definer, mode, client, connection) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on duplicate key update body = values(body), place = values(place)",
			string(r.Resource), one.kind, one.name, one.place, one.body, one.definer, one.mode, one.client, one.connection); err != nil {
			return err
		}
		sql := "drop trigger if exists " + quote(r.Name, one.name)
		if one.kind == "event" {
			sql = "alter event " + quote(r.Name, one.name) + " disable"
		}
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// kept is a trigger or an event as still has written it down.
type kept struct{ kind, name, place, body, definer, mode, client, connection string }

// stir makes again what still has kept. A trigger's text is read as it was written, by
// the settings of the session that it was made in.
func (k databases) stir(ctx context.Context, s *session, r connector.Ref) error {
	var at kept
	var all []kept
	err := each(ctx, s, "select kind, name, place, body, definer, mode, client, connection from "+quote(k.keep, "aside")+" where resource = "+literal(string(r.Resource))+" order by kind, place, name", func() error {
		all = append(all, at)
		return nil
	}, &at.kind, &at.name, &at.place, &at.body, &at.definer, &at.mode, &at.client, &at.connection)
	if err != nil {
		return err
	}
	err = k.with(ctx, func(s *session) error {
		defer s.discard() // its settings are those of whoever made the triggers
		for _, one := range all {
			if err := k.again(ctx, s, r, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.Exec(ctx, "delete from "+quote(k.keep, "aside")+" where resource = "+literal(string(r.Resource)))
	return err
}

// again makes one trigger again, or switches an event on.
func (k databases) again(ctx context.Context, s *session, r connector.Ref, one kept) error {
	if one.kind == "event" {
		if err := s.run(ctx, "alter event "+quote(r.Name, one.name)+" enable"); err != nil && !isNumber(err, 1539) { // it isn't there any more
			return err
		}
		return nil
	}
	parts := strings.SplitN(one.place, "\n", 3)
	user, host, ok := cutLast(one.definer, "@")
	if len(parts) != 3 || !ok {
		return tenure.Errorf(tenure.Internal, "the trigger %q was kept in another form", one.name)
	}
	text := "create or replace definer=" + ticked(user) + "@" + ticked(host) + " trigger " + ticked(r.Name, one.name) + " " + parts[0] + " on " + ticked(r.Name, parts[2]) + " for each row "
	for _, sql := range []string{"set character_set_client = " + one.client + ", collation_connection = " + one.connection, "set sql_mode = " + literal(one.mode), text + one.body} {
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// ticked quotes names as every mode of the server takes them.
func ticked(parts ...string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = "`" + strings.ReplaceAll(p, "`", "``") + "`"
	}
	return strings.Join(out, ".")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
