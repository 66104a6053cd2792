package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

func probes() []connector.ProbeKind {
	return []connector.ProbeKind{
		{Name: "reachable", Help: "a database is there and takes a table of Tenure's; a user signs in", Types: []string{"database", "user"}},
		{Name: "isolation", Help: "signed in as the user: a sentinel neighbour, Tenure's own database and the server's table of accounts are refused, and no database of another tenant's is seen", Types: []string{"user"}},
		{Name: "encryption", Help: "the profile asks for nothing that the server doesn't show: in transit, that the connection is encrypted and that the user's must be; at rest, that the server encrypts its tables (innodb_encrypt_tables)"},
		{Name: "sql", Help: "params query, as (tenant: the user of the resource; platform: Tenure's own account), expect (rows, no-rows, refused or value) and value: a query that must answer so, in a transaction that only reads", SQL: []string{"query"}},
	}
}

// Probe is described at connector.Prober.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	switch c.Kind {
	case "reachable":
		o, err = d.reachable(ctx, c)
	case "isolation":
		o, err = d.isolated(ctx, c)
	case "encryption":
		o, err = d.encrypted(ctx, c)
	case "sql":
		o, err = d.probeSQL(ctx, c)
	default:
		err = tenure.Errorf(tenure.Invalid, "mysql has no probe %q", c.Kind)
	}
	if err != nil {
		return connector.Outcome{}, coded(err)
	}
	return o, nil
}

func passed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: fmt.Sprintf(format, args...)}, nil
}

func failed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Detail: fmt.Sprintf(format, args...)}, nil
}

// signIn opens a session as a user with its password.
func (d *Driver) signIn(ctx context.Context, user string, password tenure.Secret) (s *session, done func(), err error) {
	conf := d.config.Clone()
	conf.User, conf.Passwd, conf.DBName = user, password.Reveal(), ""
	c, err := driver.NewConnector(conf)
	if err != nil {
		return nil, nil, tenure.Errorf(tenure.Internal, "the connection's settings can't be used")
	}
	db := sql.OpenDB(c)
	conn, err := db.Conn(ctx)
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return &session{conn: conn, sent: new(atomic.Int64)}, func() { _ = conn.Close(); _ = db.Close() }, nil
}

// asUser runs a probe in a session of the user that is probed.
func (d *Driver) asUser(ctx context.Context, c connector.Check, f func(s *session) (connector.Outcome, error)) (connector.Outcome, error) {
	if c.Ref.Type != "user" {
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "probe %s is for a user, and %q is a %s", c.Kind, c.Ref.Name, c.Ref.Type)
	}
	if c.Credential.IsZero() {
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "probe %s needs the credential of user %q", c.Kind, c.Ref.Name)
	}
	s, done, err := d.signIn(ctx, c.Ref.Name, c.Credential)
	if isNumber(err, 1045, 4151, 3118, 1698) { // refused, locked
		return failed("the user can't sign in")
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	defer done()
	return f(s)
}

func (d *Driver) reachable(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	if c.Ref.Type == "user" {
		return d.asUser(ctx, c, func(s *session) (connector.Outcome, error) {
			if _, err := s.value(ctx, "select 1"); err != nil {
				return connector.Outcome{}, err
			}
			return passed("the user signs in")
		})
	}
	if c.Ref.Type != "database" {
		return o, tenure.Errorf(tenure.Invalid, "probe reachable is for a database or a user, and %q is a %s", c.Ref.Name, c.Ref.Type)
	}
	err = d.with(ctx, func(s *session) error {
		have, n, err := databases{d}.own(ctx, s, c.Ref)
		if err != nil {
			return err
		}
		if have == nil || n == nil {
			o, err = failed("it isn't there")
			return err
		}
		if altered := recorded(n).altered(have.tables); len(altered) > 0 {
			o, err = failed("its tables aren't as its ddl made them: %s", strings.Join(altered, ", "))
			return err
		}
		o, err = passed("it is there, and its tables are as its ddl made them")
		return err
	})
	return o, err
}

// isolated tries, as the user, what no tenant may.
func (d *Driver) isolated(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	own := map[string]string{} // databases of tenants, by name
	err = d.with(ctx, func(s *session) error {
		notes, err := d.notes(ctx, s, "database")
		for name, n := range notes {
			own[name] = n.Get("tenant")
		}
		return err
	})
	if err != nil {
		return o, err
	}
	return d.asUser(ctx, c, func(s *session) (connector.Outcome, error) {
		return s.withRoles(ctx, func() (connector.Outcome, error) { return d.outside(ctx, s, c, own) })
	})
}

// withRoles runs a probe with no role on and then with each of the user's in turn, up
// to the first that doesn't pass.
func (s *session) withRoles(ctx context.Context, f func() (connector.Outcome, error)) (o connector.Outcome, err error) {
	var role string
	names := []string{""}
	err = each(ctx, s, "select distinct role_name from information_schema.applicable_roles", func() error { names = append(names, role); return nil }, &role)
	if err != nil {
		return o, err
	}
	for _, name := range names {
		set := "none"
		if name != "" {
			set = quote(name)
		}
		if err := s.run(ctx, "set role "+set); err != nil {
			return o, err
		}
		if o, err = f(); err != nil || !o.Passed {
			return o, err
		}
	}
	return o, nil
}

// outside tries what isn't the user's.
func (d *Driver) outside(ctx context.Context, s *session, c connector.Check, own map[string]string) (connector.Outcome, error) {
	for what, query := range map[string]string{
		"the sentinel neighbour":         "select count(*) from " + quote(d.sentinel, "canary"),
		"Tenure's own database":          "select count(*) from " + d.marks.Table,
		"the server's table of accounts": "select count(*) from mysql.global_priv",
	} {
		_, err := s.value(ctx, query)
		if err == nil {
			return failed("the user reads %s", what)
		}
		if !isNumber(err, 1142, 1044, 1143) {
			return connector.Outcome{}, err
		}
	}
	var seen []string
	var name string
	err := each(ctx, s, "select schema_name from information_schema.schemata", func() error {
		if of, is := own[name]; is && of != string(c.Ref.Tenant) || d.keptDatabase(name) {
			seen = append(seen, name)
		}
		return nil
	}, &name)
	if err != nil {
		return connector.Outcome{}, err
	}
	if len(seen) > 0 {
		slices.Sort(seen)
		return failed("the user sees databases of others: %s", strings.Join(seen, ", "))
	}
	return passed("the neighbour, Tenure's database and the accounts are refused, and no database of another tenant's is seen")
}

func (d *Driver) encrypted(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	want := c.Encryption
	err = d.with(ctx, func(s *session) error {
		if want.KeyOwner == "tenant" {
			o, err = failed("the server can't show with whose key its tables are encrypted")
			return err
		}
		if want.InTransit != "" {
			version, err := s.value(ctx, "select variable_value from information_schema.session_status where variable_name = 'SSL_VERSION'")
			if err != nil {
				return err
			}
			if version == "" || d.config.TLS == nil && d.config.TLSConfig == "" {
				o, err = failed("the connection isn't encrypted")
				return err
			}
			if c.Ref.Type == "user" {
				have, err := accounts{d, "user"}.read(ctx, s, []string{c.Ref.Name})
				if err != nil {
					return err
				}
				if h := have[c.Ref.Name]; h == nil || !h.tls {
					o, err = failed("the user's connections need not be encrypted; set tls: true")
					return err
				}
			}
		}
		if want.AtRest != "" {
			on, err := s.value(ctx, "select @@global.innodb_encrypt_tables")
			if err != nil {
				return err
			}
			if on == "OFF" || on == "0" || on == "" {
				o, err = failed("the server doesn't encrypt its tables at rest (innodb_encrypt_tables)")
				return err
			}
		}
		o, err = passed("the server shows all that the profile asks for")
		return err
	})
	return o, err
}

// probeSQL runs a blueprint's query in a transaction that only reads.
func (d *Driver) probeSQL(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	query, expect := c.Params["query"], c.Params["expect"]
	if err := sqltext.MariaDB().One(query); err != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe sql: %w", err)
	}
	rows, first := 0, ""
	try := func(s *session) error {
		return s.snapshot(ctx, func() error {
			r, err := s.conn.QueryContext(ctx, query)
			if err != nil {
				return err
			}
			defer r.Close()
			columns, err := r.Columns()
			if err != nil {
				return err
			}
			values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			for ; r.Next(); rows++ {
				if err := r.Scan(into...); err != nil {
					return err
				}
				if rows == 0 && len(values) > 0 {
					first = string(values[0])
				}
			}
			return r.Err()
		})
	}
	switch c.Params["as"] {
	case "tenant":
		var why error
		o, err = d.asUser(ctx, c, func(s *session) (connector.Outcome, error) {
			why = try(s)
			return connector.Outcome{Passed: true}, nil
		})
		if err != nil || !o.Passed {
			return o, err
		}
		err = why
	case "platform", "":
		err = d.with(ctx, func(s *session) error { return stop(try(s)) })
	default:
		return o, tenure.Errorf(tenure.Invalid, "probe sql: parameter as is %q, not tenant or platform", c.Params["as"])
	}
	return judge(expect, c.Params["value"], rows, first, err)
}

// judge compares an answer with what was expected of it.
func judge(expect, value string, rows int, first string, err error) (connector.Outcome, error) {
	refused := isNumber(err, 1142, 1044, 1143, 1227, 1370, 1792)
	if err != nil && !refused {
		return connector.Outcome{}, err
	}
	return relational.Judge(expect, value, rows, first, refused)
}
