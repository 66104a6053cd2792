package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Tracer = (*Driver)(nil)

// traceCatalog bounds one look at the server's own tables.
const traceCatalog = time.Minute

// Trace is described at connector.Tracer. It reads in a session that can't write, each query
// by itself: a transaction would keep the tables that it has read from being altered. The
// databases are those of the option databases.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (connector.Traced, error) {
	conn, err := d.pool.db.Conn(ctx)
	if err != nil {
		return connector.Traced{}, coded(err)
	}
	defer conn.Close()
	s := &session{conn: conn, sent: &d.pace.sent, calls: ask.Calls}
	defer s.discard()
	t := &tracing{
		d: d, s: s, ask: ask, yield: func(one connector.Trace) error { return stop(yield(one)) }, databases: map[string]*tracedDatabase{}, accounts: map[[2]string]*tracedAccount{},
		facts: map[relational.TableName]relational.TableFacts{}, open: map[string]string{}, bears: map[string]connector.Ownership{},
	}
	_, err = relational.TraceSteps(ctx, errSpent, t.says,
		relational.TraceStep{Name: "databases", Do: t.server},
		relational.TraceStep{Name: "tables", Do: t.tables},
		relational.TraceStep{Name: "sizes", Do: t.sizes},
		relational.TraceStep{Name: "users and roles", Do: t.people},
		relational.TraceStep{Name: "who may reach what", Do: t.rights},
		relational.TraceStep{Name: "owner marks", Do: t.marks},
		relational.TraceStep{Do: t.places},
		relational.TraceStep{Name: "rows", Do: func(ctx context.Context) error { return t.reader().Rows(ctx, t.plan) }})
	if err != nil {
		return connector.Traced{}, coded(err)
	}
	return t.out, nil
}

// tracing is one look at a server.
type tracing struct {
	d     *Driver
	s     *session
	ask   connector.Tracing
	yield func(connector.Trace) error
	out   connector.Traced

	databases map[string]*tracedDatabase
	accounts  map[[2]string]*tracedAccount // by user and host
	engines   map[relational.TableName]string
	plan      relational.TracePlan
	facts     map[relational.TableName]relational.TableFacts
	open      map[string]string              // by the ID
	bears     map[string]connector.Ownership // by the ID
}

type tracedDatabase struct {
	name, set, collation string
	tables               int
	alike                bool // most of its tables have the names of tables of two other databases at least: it is one of many like it
	bytes, rows          int64
}

func (t *tracing) says(s string) { t.out.Says = append(t.out.Says, s) }

// read reads rows for at most the given time. A right that is missing, or the time's running
// out, is said of what in words, and is no error.
func (t *tracing) read(ctx context.Context, what, query string, row func() error, dest ...any) (done bool, err error) {
	err = each(ctx, t.s, fmt.Sprintf("set statement max_statement_time = %d for %s", int(traceCatalog.Seconds()), query), row, dest...)
	return t.unread(ctx, what, err)
}

func (t *tracing) unread(ctx context.Context, what string, err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
	case isNumber(err, 1044, 1142, 1143, 1227, 1370): // the account may not
		t.says(what + " weren't read: the account lacks a right for it")
		return false, nil
	case isNumber(err, 1969, 1205, 1146, 1356), tenure.CodeOf(err) == tenure.Unavailable && tenure.CanRetry(err) && !errors.Is(err, context.Canceled):
		t.says(what + " weren't read, or not in time")
		return false, nil
	}
	return false, err
}

func databaseID(name string) string { return relational.TraceID("database", name) }

func tableID(n relational.TableName) string { return relational.TraceID("table", n.Schema, n.Name) }

// server reads who the server is, and its databases.
func (t *tracing) server(ctx context.Context) error {
	if err := t.s.run(ctx, "set session transaction read only"); err != nil {
		return err
	}
	var err error
	if t.out.Fingerprint, err = t.d.fingerprint(ctx, t.s); err != nil {
		return err
	}
	missing, err := t.d.missing(ctx, t.s)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		t.says("the server may hide databases, tables and accounts: the account lacks " + strings.ToLower(strings.Join(missing, ", ")))
	}
	var outside []string
	var name, set, collation string
	_, err = t.read(ctx, "databases", "select schema_name, default_character_set_name, default_collation_name from information_schema.schemata", func() error {
		switch {
		case t.d.inScope(name):
			t.databases[name] = &tracedDatabase{name: name, set: set, collation: collation, bytes: -1, rows: -1}
		case len(t.d.scope) > 0 && !slices.Contains(serverDatabases, strings.ToLower(name)) && !t.d.keptDatabase(name):
			outside = append(outside, name)
		}
		return nil
	}, &name, &set, &collation)
	if n := int64(len(outside)); n > 0 {
		t.says(fmt.Sprintf("%s %s looked into, as the option databases leaves them out: %s", relational.Plural(n, "database"), relational.Verb(n, "wasn't", "weren't"), relational.Some(outside)))
	}
	if err != nil {
		return err
	}
	var tables, twins int
	_, err = t.read(ctx, "names of tables", `select table_schema, count(*), sum(twins > 2) from (select table_schema, count(*) over (partition by table_name) as twins from information_schema.tables
 where table_schema not in ('information_schema', 'mysql', 'performance_schema', 'sys')) t group by table_schema`, func() error {
		if db := t.databases[name]; db != nil {
			db.tables, db.alike = tables, name != t.d.home && 2*twins > tables
		}
		return nil
	}, &name, &tables, &twins)
	return err
}

// shared are the databases that tenants share: those that aren't among many alike.
func (t *tracing) shared() (out []string) {
	for name, db := range t.databases {
		if !db.alike {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// tables reads the tables of shared databases.
func (t *tracing) tables(ctx context.Context) error {
	in := t.shared()
	if len(in) == 0 {
		return nil
	}
	missing, err := t.d.missing(ctx, t.s)
	if err != nil {
		return err
	}
	c := catalog{unlisted: slices.Contains(missing, "PROCESS")}
	tables, err := c.tables(ctx, t.s, in, func(n relational.TableName) bool { return slices.Contains(in, n.Schema) })
	if done, err := t.unread(ctx, "tables", err); !done {
		return err
	}
	keys, err := keysOf(ctx, t.s, in)
	if _, err := t.unread(ctx, "foreign keys", err); err != nil {
		return err
	}
	t.engines = c.engines
	t.plan = relational.PlanTrace(relational.NewGraph(tables, asWritten(tables, keys)).FoldColumns(), t.ask.Columns)
	return nil
}

// sizes adds up what InnoDB says of its files, and of the numbers of rows: information_schema
// would open every table.
func (t *tracing) sizes(ctx context.Context) error {
	var n relational.TableName
	var bytes, rows int64
	fact := func(f func(*relational.TableFacts)) {
		one, known := t.facts[n]
		if !known {
			one.Rows, one.Bytes = -1, -1
		}
		f(&one)
		t.facts[n] = one
	}
	add := func(to *int64, n int64) { *to = max(*to, 0) + n }
	_, err := t.read(ctx, "sizes", "select "+named("name", "1")+", substring_index("+named("name", "-1")+", '#', 1), file_size from information_schema.innodb_sys_tablespaces where name like '%/%'", func() error {
		if db := t.databases[n.Schema]; db != nil {
			if add(&db.bytes, bytes); !db.alike {
				fact(func(f *relational.TableFacts) { add(&f.Bytes, bytes) })
			}
		}
		return nil
	}, &n.Schema, &n.Name, &bytes)
	if err != nil {
		return err
	}
	_, err = t.read(ctx, "numbers of rows", "select database_name, substring_index(table_name, '#', 1), n_rows from mysql.innodb_table_stats", func() error {
		if db := t.databases[n.Schema]; db != nil {
			if add(&db.rows, rows); !db.alike {
				fact(func(f *relational.TableFacts) { add(&f.Rows, rows) })
			}
		}
		return nil
	}, &n.Schema, &n.Name, &rows)
	return err
}

// marks reads whose marks the things bear, where Tenure keeps any.
func (t *tracing) marks(ctx context.Context) error {
	for _, typ := range []string{"database", "user", "role"} {
		notes, err := t.d.notes(ctx, t.s, typ)
		if isNumber(err, 1146, 1049, 1142, 1044, 1143) {
			return nil
		}
		if err != nil {
			return err
		}
		for name, n := range notes {
			_, t.bears[typ+":"+name] = n.Read(t.d.marker, typ)
		}
	}
	return nil
}

func (t *tracing) reader() relational.TraceReader {
	return relational.TraceReader{
		Catalogue: &t.out.Catalogue,
		Name:      t.d.dialect.Name, ID: tableID, In: func(n relational.TableName) string { return databaseID(n.Schema) },
		Closed: func(of relational.Table) string {
			if e := t.engines[of.TableName]; e != "" && !slices.Contains([]string{"Aria", "MyISAM", "MEMORY"}, e) {
				return "their engine " + e + " may read them elsewhere"
			}
			if b := t.bears["database:"+of.Schema]; b != "" && b != connector.Unmarked {
				return "it is in a tenant's own database"
			}
			return ""
		},
		Facts: func(n relational.TableName) relational.TableFacts {
			f, known := t.facts[n]
			if !known {
				f.Rows, f.Bytes = -1, -1
			}
			f.Open = t.open[tableID(n)]
			return f
		},
		Text: func(of relational.Table, c relational.Column) (string, string) {
			if kind, _, _ := strings.Cut(c.Type, " "); kind == "enum" {
				return "convert(" + quote("t", c.Name) + " using utf8mb4)", ""
			}
			if sortOf(c.Type) == binary {
				return "convert(lower(hex(" + quote("t", c.Name) + ")) using utf8mb4)", ""
			}
			expr, _, says := textOf(of, c)
			return expr, says
		},
		Latest: func(_ relational.Table, c relational.Column) string {
			if word, _, _ := strings.Cut(c.Type, "("); word == "datetime" || word == "timestamp" || word == "date" {
				return "cast(max(" + quote("t", c.Name) + ") as char)"
			}
			return ""
		},
		Run: func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string) error) (bool, error) {
			var callers error
			done, err := t.s.texts(ctx, within, query, columns, func(v []*string) {
				if callers == nil {
					callers = row(slices.Clone(v))
				}
			})
			return done, errors.Join(err, callers)
		},
		Yield: t.yield, Says: t.says, Now: t.d.now,
	}
}
