// Package postgres connects Tenure to PostgreSQL 14 and newer: databases,
// schemas, roles, grants, row security policies, and tenants' rows in shared
// tables. The owner marks of what it makes stand in the table tenure.mark, where no
// tenant can write; comments only tell people.
package postgres

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// Info describes the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "postgres",
		Version: "1",
		Tested:  connector.Live, How: "against PostgreSQL 15, and the newest and oldest release that are supported",
		Summary: "PostgreSQL: databases, schemas, roles, grants, row security and rows in shared tables",
		Options: []connector.Option{
			{Name: "dsn", Help: "URL of the database, postgres://…, with a role that may create what blueprints ask for", Required: true, Secret: true},
			{Name: "connections", Help: "how many connections are kept at the most", Default: "8"},
			{Name: "timeout", Help: "how long one statement may run; 0 sets no limit", Default: "5m"},
		},
		Types:  types(),
		Probes: probes(), Remnants: remnants,
		Open:   open,
		Review: review,
		Check:  relational.Faults,
		SQL:    sqltext.PostgreSQL().Read,
	}
}

// Driver is one opened database.
type Driver struct {
	kinds
	pool   *pgxpool.Pool
	config *pgx.ConnConfig
	system string
	marker connector.Marker
	user   string
	clock  func() time.Time

	records relational.Records
	idle    time.Duration // how old a transaction is that sits idle before it is named

	unbound *atomic.Bool // sessions are to be begun without a limit to their transactions

	mu    sync.Mutex
	plans map[planKey]footing

	proven trials
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Adopter     = (*Driver)(nil)
	_ connector.Suspender   = (*Driver)(nil)
	_ connector.Revoker     = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
)

var marks = relational.Marks{Table: "tenure.mark"}

func open(ctx context.Context, c connector.Config) (connector.Driver, error) {
	conf, err := pgxpool.ParseConfig(c.Option("dsn"))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the option dsn can't be read").WithHint("write it like postgres://user:password@host:5432/database")
	}
	conns, err := strconv.Atoi(orDefault(c.Option("connections"), "8"))
	if err != nil || conns < 1 || conns > 1000 {
		return nil, tenure.Errorf(tenure.Invalid, "the option connections must be a number from 1 to 1000")
	}
	timeout, err := time.ParseDuration(orDefault(c.Option("timeout"), "5m"))
	if err != nil || timeout < 0 {
		return nil, tenure.Errorf(tenure.Invalid, "the option timeout must be a duration such as 5m")
	}
	conf.MaxConns = int32(conns)
	conf.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	params := conf.ConnConfig.RuntimeParams
	params["application_name"] = "tenure"
	params["client_encoding"] = "UTF8"
	params["standard_conforming_strings"] = "on"
	params["search_path"] = "pg_catalog"
	params["TimeZone"] = "UTC"
	// What a tenant sets for its own database isn't to hold here.
	for name, value := range map[string]string{"role": "none", "default_transaction_read_only": "off", "default_transaction_isolation": "read committed",
		"default_transaction_deferrable": "off", "local_preload_libraries": "", "row_security": "on", "lock_timeout": strconv.FormatInt(lockMost.Milliseconds(), 10), "idle_in_transaction_session_timeout": "0", "DateStyle": "ISO, MDY",
		"IntervalStyle": "postgres", "extra_float_digits": "1", "bytea_output": "hex", "quote_all_identifiers": "off", "idle_session_timeout": "0",
		"work_mem": "16MB"} { // the notes of 20,000 tenants are sorted in memory
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
	params["jit"] = "off" // reading the catalog takes less than compiling the query
	params["statement_timeout"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	if conf.ConnConfig.ConnectTimeout == 0 {
		conf.ConnConfig.ConnectTimeout = 15 * time.Second
	}
	unbound := new(atomic.Bool)
	if _, given := params[transactionTimeout]; !given {
		conf.ConnConfig.AfterConnect = func(ctx context.Context, c *pgconn.PgConn) error { return unbind(ctx, c, unbound) }
	}
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, coded(err)
	}
	d := &Driver{
		pool: pool, config: conf.ConnConfig.Copy(), system: c.System, marker: c.Marker, user: conf.ConnConfig.User, clock: c.Now, idle: idleTooLong,
		plans: map[planKey]footing{}, unbound: unbound,
	}
	d.records = relational.Records{Dialect: dialect{}, Marks: marks, Marker: c.Marker, Schema: "public"}
	d.kinds = kinds{Of: d.kind, Types: types, Look: d.look, Coded: coded}
	return d, nil
}

// transactionTimeout is a setting that servers know from version 17 on. A server that
// doesn't takes no session that names it.
const transactionTimeout = "transaction_timeout"

// unbind takes the limit that a database or a role has for its transactions off a session,
// and says in know that this server can be told so when a session begins: a short limit
// would end this statement, too.
func unbind(ctx context.Context, c *pgconn.PgConn, know *atomic.Bool) error {
	version := c.ParameterStatus("server_version") // 17.2, or 17beta1
	end := strings.IndexFunc(version+".", func(r rune) bool { return r < '0' || r > '9' })
	if major, err := strconv.Atoi(version[:end]); err != nil || major < 17 {
		return nil
	}
	know.Store(true)
	_, err := c.Exec(ctx, "set "+transactionTimeout+" to 0").ReadAll()
	return err
}

// sessionConfig is how a session of its own is begun.
func (d *Driver) sessionConfig() *pgx.ConnConfig {
	conf := d.config.Copy()
	if d.unbound.Load() {
		conf.RuntimeParams[transactionTimeout] = "0"
	}
	return conf
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// Close closes the connections.
func (d *Driver) Close() error {
	d.pool.Close()
	return nil
}

// kinds carry out the calls, each for one resource type. What they make is committed at once with
// its owner mark, save a database, which is made under a reserved name.
type kinds = relational.Kinds[*session]

type kind = relational.Kind[*session]

func (d *Driver) kind(typ string) (kind, error) {
	switch typ {
	case "database":
		return databases{d}, nil
	case "grant":
		return grants{d}, nil
	case "policy":
		return policies{d}, nil
	case "role":
		return roles{d}, nil
	case "rows":
		return pools{Driver: d}, nil
	case "schema":
		return schemas{d}, nil
	}
	if relational.IsRecord(typ) {
		return rowRecords{d, typ}, nil
	}
	return nil, tenure.Errorf(tenure.Invalid, "postgres has no resource type %q", typ)
}
