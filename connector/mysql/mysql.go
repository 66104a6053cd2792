// Package mysql connects Tenure to MariaDB 10.11 and newer: databases, users, roles,
// grants, and tenants' rows in shared tables. What Tenure keeps for itself, the owner
// marks among it, stands in a database of its own, where no tenant can write.
package mysql

import (
	"context"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// Info describes the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "mysql",
		Version: "1",
		Tested:  connector.Live, How: "against MariaDB 10.11",
		Summary: "MariaDB: databases, users, roles, grants, and rows in shared tables",
		Options: []connector.Option{
			{Name: "dsn", Help: "user:password@tcp(host:3306)/database, of an account that may create what blueprints ask for. The database is the one in which a record's table is that is named without one; with tls=true the connection is encrypted", Required: true, Secret: true},
			{Name: "keep", Help: "the database in which Tenure keeps its marks; one for each system that stands on the server", Default: "tenure"},
			{Name: "databases", Help: "the platform's databases, by name or as prefix_*, with commas between: tenants' rows are sought in these, and in what refers to them. Where it isn't given every database of the server is one"},
			{Name: "connections", Help: "how many connections are kept at the most", Default: "8"},
			{Name: "timeout", Help: "how long one statement may run, and wait for a lock; 0 sets no limit", Default: "5m"},
		},
		Types:  types(),
		Probes: probes(), Remnants: remnants,
		Open:   open,
		Review: review,
		Check:  relational.Faults,
		SQL:    sqltext.MariaDB().Read,
	}
}

// Driver is one opened server.
type Driver struct {
	kinds
	pool     *pool
	config   *driver.Config
	home     string   // the database of the option dsn; "" if it names none
	keep     string   // Tenure's own database
	scope    []string // the platform's databases; none is all
	system   string
	marker   connector.Marker
	timeout  time.Duration
	now      func() time.Time
	marks    relational.Marks
	kept     relational.Kept
	records  relational.Records
	dialect  dialect
	pace     pace
	sentinel string // the database of the neighbour that probes try
}

var (
	_ connector.Driver    = (*Driver)(nil)
	_ connector.Adopter   = (*Driver)(nil)
	_ connector.Suspender = (*Driver)(nil)
	_ connector.Revoker   = (*Driver)(nil)
	_ connector.Exporter  = (*Driver)(nil)
	_ connector.Eraser    = (*Driver)(nil)
	_ connector.Tallier   = (*Driver)(nil)
	_ connector.Mapper    = (*Driver)(nil)
	_ connector.Prober    = (*Driver)(nil)
)

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	conf, err := driver.ParseDSN(c.Option("dsn"))
	if err != nil || conf.Net != "tcp" && conf.Net != "unix" || conf.User == "" {
		return nil, tenure.Errorf(tenure.Invalid, "the option dsn can't be read").WithHint("write it like user:password@tcp(host:3306)/database")
	}
	if len(conf.Params) > 0 || conf.MultiStatements {
		return nil, tenure.Errorf(tenure.Invalid, "the option dsn sets what Tenure sets itself").WithHint("leave out every parameter but tls, timeout, readTimeout and writeTimeout")
	}
	d := &Driver{home: conf.DBName, keep: orDefault(c.Option("keep"), "tenure"), system: c.System, marker: c.Marker, now: c.Now}
	if d.now == nil {
		d.now = time.Now
	}
	if err := checkDatabase("the option keep", d.keep); err != nil {
		return nil, err
	}
	if len(d.keep) > 50 {
		return nil, tenure.Errorf(tenure.Invalid, "the option keep is longer than 50 bytes")
	}
	d.sentinel = d.keep + "_sentinel"
	for name := range strings.SplitSeq(c.Option("databases"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			d.scope = append(d.scope, name)
		}
	}
	conns, err := strconv.Atoi(orDefault(c.Option("connections"), "8"))
	if err != nil || conns < 1 || conns > 1000 {
		return nil, tenure.Errorf(tenure.Invalid, "the option connections must be a number from 1 to 1000")
	}
	if d.timeout, err = time.ParseDuration(orDefault(c.Option("timeout"), "5m")); err != nil || d.timeout < 0 || d.timeout > 24*time.Hour {
		return nil, tenure.Errorf(tenure.Invalid, "the option timeout must be a duration such as 5m, up to 24h")
	}
	d.configure(conf)
	if d.pool, err = newPool(conf, conns); err != nil {
		return nil, err
	}
	d.config = conf
	d.dialect = dialect{keep: d.keep}
	d.marks = relational.Marks{Table: quote(d.keep, "mark"), Duplicate: true}
	d.kept = relational.Kept{Tally: quote(d.keep, "tally"), Parents: quote(d.keep, "parent"), Duplicate: true}
	d.records = relational.Records{Dialect: d.dialect, Marks: d.marks, Marker: c.Marker, Schema: d.home}
	d.kinds = kinds{Of: d.kind, Types: types, Look: d.look, Coded: coded}
	return d, nil
}

// sqlMode is the mode of each of Tenure's sessions, whatever the server's is: "x" is a
// name, a backslash in '…' stands for itself, and no value is cut off to fit.
const sqlMode = "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION'"

// configure sets what a session needs. What somebody has set for the whole server, as
// foreign_key_checks = 0, isn't to hold here.
func (d *Driver) configure(conf *driver.Config) {
	conf.DBName = ""
	conf.Collation = ""
	conf.InterpolateParams = true
	conf.ParseTime = false
	conf.AllowAllFiles = false
	conf.AllowCleartextPasswords = false
	conf.RejectReadOnly = false
	conf.Logger = silent{}
	if conf.Timeout == 0 {
		conf.Timeout = 15 * time.Second
	}
	seconds := "0"
	lock := "50"
	if d.timeout > 0 {
		seconds = strconv.FormatFloat(d.timeout.Seconds(), 'f', 3, 64)
		lock = strconv.Itoa(max(1, min(int(d.timeout.Seconds()), 50)))
	}
	conf.Params = map[string]string{
		"sql_mode": sqlMode, "time_zone": "'+00:00'", "foreign_key_checks": "1", "unique_checks": "1", "check_constraint_checks": "1",
		"max_statement_time": seconds, "innodb_lock_wait_timeout": lock, "lock_wait_timeout": lock, "sql_safe_updates": "0", "sql_select_limit": "18446744073709551615",
		"autocommit": "1", "tx_isolation": "'REPEATABLE-READ'", "old_mode": "''", "character_set_client": "utf8mb4", "character_set_results": "utf8mb4", "collation_connection": "utf8mb4_nopad_bin",
		"sql_quote_show_create": "1", "group_concat_max_len": "1048576", "div_precision_increment": "4", "system_versioning_asof": "DEFAULT",
		"max_error_count": "65535", "lc_messages": "'en_US'", "completion_type": "'NO_CHAIN'", "tx_read_only": "0", "sql_big_selects": "1", "sql_auto_is_null": "0", "idle_transaction_timeout": "0",
		"idle_write_transaction_timeout": "0", "idle_readonly_transaction_timeout": "0", "sql_notes": "1", "sql_warnings": "0", "default_storage_engine": "InnoDB", "explicit_defaults_for_timestamp": "1",
	}
}

// silent keeps the driver's own words, which may quote what was sent, out of the log.
type silent struct{}

func (silent) Print(...any) {}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// Close closes the connections.
func (d *Driver) Close() error { return coded(d.pool.db.Close()) }

// kinds carry out the calls, each for one resource type. The server commits each change of its
// catalog by itself, so the owner mark is written before what it is on is made, and a
// call that was cut off goes on where it ended.
type kinds = relational.Kinds[*session]

type kind = relational.Kind[*session]

func (d *Driver) kind(typ string) (kind, error) {
	switch typ {
	case "database":
		return databases{d}, nil
	case "grant":
		return grants{d}, nil
	case "role", "user":
		return accounts{d, typ}, nil
	case "rows":
		return pools{Driver: d}, nil
	}
	if relational.IsRecord(typ) {
		return rowRecords{d, typ}, nil
	}
	return nil, tenure.Errorf(tenure.Invalid, "mysql has no resource type %q", typ)
}
