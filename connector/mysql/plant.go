package mysql

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Secluder = (*Driver)(nil)

// plantSQL sets up what Tenure keeps: its database with the sentinel, the notes and
// what erasures took, and the neighbour that isolation probes try to read.
func (d *Driver) plantSQL() []string {
	const end = " engine=InnoDB default character set utf8mb4 collate " + exact
	return []string{
		"create database if not exists " + quote(d.keep) + " character set utf8mb4 collate " + exact,
		"create table if not exists " + quote(d.keep, "sentinel") + " (id int not null, token varchar(64) not null, primary key (id))" + end,
		"create table if not exists " + quote(d.keep, "mark") + " (type varchar(40) not null, name varchar(250) not null, note mediumtext not null, primary key (type, name))" + end,
		"create table if not exists " + d.kept.Tally + " (run varchar(200) not null, resource varchar(64) not null, kind varchar(20) not null, name varchar(200) not null, n bigint not null, primary key (run, resource, kind, name))" + end,
		"create table if not exists " + d.kept.Parents + " (resource varchar(64) not null, relation varchar(200) not null, columns varchar(400) not null, digest char(64) not null, value longtext not null, primary key (resource, relation, columns, digest))" + end,
		"create table if not exists " + quote(d.keep, "aside") + " (resource varchar(64) not null, kind varchar(20) not null, name varchar(64) not null, place varchar(200) not null, body longtext not null, definer varchar(300) not null, mode varchar(1000) not null, client varchar(64) not null, connection varchar(64) not null, primary key (resource, kind, name))" + end,
		"create database if not exists " + quote(d.sentinel) + " character set utf8mb4",
		"create table if not exists " + quote(d.sentinel, "canary") + " (id int not null, primary key (id))" + end,
	}
}

// Plant is described at connector.Driver.
func (d *Driver) Plant(ctx context.Context) (fingerprint string, err error) {
	err = d.with(ctx, func(s *session) error {
		if fingerprint, err = d.fingerprint(ctx, s); err != nil {
			return err
		}
		if folds, err := s.value(ctx, "select @@lower_case_table_names"); err != nil || folds != "0" {
			if err == nil {
				err = tenure.Errorf(tenure.Blocked, "the server takes names that differ in case for the same (lower_case_table_names = %s)", folds).WithHint("Tenure needs a server with lower_case_table_names = 0, as on Linux")
			}
			return err
		}
		exposed, err := d.exposed(ctx, s)
		if err != nil {
			return err
		}
		if len(exposed) > 0 {
			return tenure.Errorf(tenure.Conflict, "%s", strings.Join(exposed, "; ")).WithHint("revoke these rights, or give Tenure's database another name by the option keep")
		}
		for _, sql := range d.plantSQL() {
			if err := s.run(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := s.Exec(ctx, "insert ignore into "+quote(d.keep, "sentinel")+" (id, token) values (1, $1)", rand.Text()); err != nil {
			return err
		}
		return s.run(ctx, "insert ignore into "+quote(d.sentinel, "canary")+" (id) values (1)")
	})
	return fingerprint, coded(err)
}

// Exposed is described at connector.Secluder.
func (d *Driver) Exposed(ctx context.Context) (out []string, err error) {
	err = d.with(ctx, func(s *session) error {
		out, err = d.exposed(ctx, s)
		return err
	})
	return out, coded(err)
}

// exposed says who has rights on Tenure's own databases, by name or by pattern.
func (d *Driver) exposed(ctx context.Context, s *session) (out []string, err error) {
	var user, host, on string
	own := literal(d.keep) + ", " + literal(d.sentinel)
	err = each(ctx, s, "select user, host, db from mysql.db where "+literal(d.keep)+" like db or "+literal(d.sentinel)+" like db"+
		" union select user, host, concat(db, '.', table_name) from mysql.tables_priv where db in ("+own+") order by 1, 2, 3", func() error {
		if user+"@"+host != d.config.User+"@"+host {
			out = append(out, "the account "+account(user, host)+" has rights on "+on+", where Tenure keeps its marks")
		}
		return nil
	}, &user, &host, &on)
	return out, err
}
