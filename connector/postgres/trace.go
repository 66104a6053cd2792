package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Tracer = (*Driver)(nil)

// Bounds of a look: of one query of the catalog, of one that asks the file system for sizes,
// and of how many databases' sizes are asked for.
const (
	traceCatalog   = time.Minute
	traceSizes     = 15 * time.Second
	traceDatabases = 100
)

// Trace is described at connector.Tracer. It reads the server's own catalog in one snapshot
// that can't write; rows are read of tables alone whose planning runs nobody's code.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (connector.Traced, error) {
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return connector.Traced{}, coded(err)
	}
	defer release(c)
	t := &tracing{
		d: d, s: &session{conn: c.Conn(), calls: ask.Calls}, ask: ask, yield: func(one connector.Trace) error { return stop(yield(one)) },
		near: &near{}, owners: map[string]bool{}, open: map[string]string{}, facts: map[relational.TableName]relational.TableFacts{}, closed: map[relational.TableName]string{}, bases: map[column]string{}, ownedBy: map[relational.TableName]string{}, bears: map[string]connector.Ownership{},
	}
	if err := t.look(ctx); err != nil {
		return connector.Traced{}, coded(err)
	}
	return t.out, nil
}

// tracing is one look at a server and one database of it.
type tracing struct {
	d     *Driver
	s     *session
	ask   connector.Tracing
	yield func(connector.Trace) error
	out   connector.Traced

	databases []*tracedDatabase
	roles     []*tracedRole
	owners    map[string]bool // roles by name: whether they are yielded
	schemas   []*tracedSchema
	near      *near
	plan      relational.TracePlan
	facts     map[relational.TableName]relational.TableFacts
	closed    map[relational.TableName]string
	bases     map[column]string
	ownedBy   map[relational.TableName]string // tables by their owner's ID, where the owner is yielded
	open      map[string]string               // by the ID
	bears     map[string]connector.Ownership  // by the ID
}

func (t *tracing) says(s string, args ...any) {
	t.out.Says = append(t.out.Says, fmt.Sprintf(s, args...))
}

// look reads what is in the catalog, yields it, and then reads rows. When the calls are spent
// it yields what it has read so far.
func (t *tracing) look(ctx context.Context) error {
	whole, err := relational.TraceSteps(ctx, errSpent, func(s string) { t.says("%s", s) },
		relational.TraceStep{Name: "databases, roles and schemas", Do: t.server},
		relational.TraceStep{Name: "tables", Do: t.tables},
		relational.TraceStep{Name: "sizes", Do: t.sizes},
		relational.TraceStep{Name: "who may reach what", Do: t.rights},
		relational.TraceStep{Name: "owner marks", Do: t.marks},
		relational.TraceStep{Do: t.places},
		relational.TraceStep{Name: "rows", Do: t.rows})
	if err != nil {
		return err
	}
	if whole {
		if err := t.s.simple(ctx, "commit", nil); !errors.Is(err, errSpent) {
			return err
		}
	}
	closeNow(t.s.conn)
	return nil
}

// tried runs a query for at most the given time, in one trip if all goes well. A right that
// is missing, a value that can't be read or the time's running out isn't an error.
func (t *tracing) tried(ctx context.Context, within time.Duration, sql string, row func(v [][]byte) error) (done bool, err error) {
	sql = fmt.Sprintf("savepoint tried; set local statement_timeout to %d; set local row_security to off;\n%s;\nrollback to savepoint tried; release savepoint tried", max(within.Milliseconds(), 1), sql)
	err = t.s.simple(ctx, sql, func(_ int, v [][]byte) error { return row(v) })
	switch code := state(err); {
	case err == nil:
		return true, nil
	case code == "57014" && ctx.Err() == nil, code == "55P03", code == "55000", strings.HasPrefix(code, "22"), strings.HasPrefix(code, "42"), strings.HasPrefix(code, "0A"):
		return false, t.s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
	}
	return false, err
}

func (t *tracing) schemaID(name string) string {
	return relational.TraceID("schema", t.d.config.Database, name)
}

func (t *tracing) tableID(n relational.TableName) string {
	return relational.TraceID("table", t.d.config.Database, n.Schema, n.Name)
}

// placeOf is the ID of what a table stands in; the schema public isn't a place.
func (t *tracing) placeOf(n relational.TableName) string {
	if n.Schema == "public" {
		return relational.TraceID("database", t.d.config.Database)
	}
	return t.schemaID(n.Schema)
}

// places yields everything but rows, what others stand in first.
func (t *tracing) places(context.Context) error {
	for _, db := range t.databases {
		if err := t.yield(t.databaseTrace(db)); err != nil {
			return err
		}
	}
	for _, r := range t.roles {
		if r.kept {
			if err := t.yield(t.roleTrace(r)); err != nil {
				return err
			}
		}
	}
	for _, n := range t.schemas {
		if n.name != "public" {
			if err := t.yield(t.schemaTrace(n)); err != nil {
				return err
			}
		}
	}
	return t.reader().Tables(t.plan)
}

func (t *tracing) rows(ctx context.Context) error { return t.reader().Rows(ctx, t.plan) }

func (t *tracing) reader() relational.TraceReader {
	return relational.TraceReader{
		Name: dialect{}.Name, ID: t.tableID, In: t.placeOf, Catalogue: &t.out.Catalogue,
		Closed: func(of relational.Table) string {
			if of.Hidden {
				return "rights or row security hide them from this login"
			}
			if b := t.bears[t.schemaID(of.Schema)]; b != "" && b != connector.Unmarked {
				return "it is in a tenant's own schema, whose code could run"
			}
			return t.closed[of.TableName]
		},
		Facts: func(n relational.TableName) relational.TableFacts {
			f, known := t.facts[n]
			if !known {
				f.Rows, f.Bytes = -1, -1
			}
			f.Open = t.open[t.tableID(n)]
			if owner := t.ownedBy[n]; owner != "" {
				f.Labels = maps.Clone(f.Labels)
				if f.Labels == nil {
					f.Labels = map[string]string{}
				}
				f.Labels["owner"] = owner
			}
			return f
		},
		Text: func(of relational.Table, c relational.Column) (string, string) {
			base := t.bases[column{of.TableName, c.Name}]
			switch base {
			case "enum": // a cast may be people's, the type's own output isn't
				return "textin(enum_out(" + quote("t", c.Name) + "))", ""
			case "bytea":
				return "encode(substring(" + quote("t", c.Name) + " from 1 for 2000), 'hex')", ""
			}
			expr, _, says := textOf(c, base)
			return expr, says
		},
		Latest: func(of relational.Table, c relational.Column) string {
			switch base := t.bases[column{of.TableName, c.Name}]; base {
			case "timestamptz", "timestamp", "date":
				return "max(" + quote("t", c.Name) + ")::text"
			}
			return ""
		},
		Frequent: t.frequent,
		Run: func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string) error) (bool, error) {
			return t.tried(ctx, within, query, func(v [][]byte) error {
				values := make([]*string, columns)
				for i := range values {
					if text := string(v[i]); v[i] != nil {
						values[i] = &text
					}
				}
				return row(values)
			})
		},
		Yield: t.yield, Says: func(s string) { t.says("%s", s) }, Now: t.d.now,
	}
}

// frequent reads the server's statistics of a column.
func (t *tracing) frequent(ctx context.Context, of relational.Table, name string, value func(string, int64) error) (whole bool, err error) {
	switch base := t.bases[column{of.TableName, name}]; base {
	case "", "enum":
		return false, nil
	}
	total, n, distinct := t.facts[of.TableName].Rows, 0, 0.0
	_, err = t.tried(ctx, traceCatalog, fmt.Sprintf(`select v.value, round(v.part::numeric * %d)::text, s.n_distinct::text from pg_stats s, unnest(s.most_common_vals::text::text[], s.most_common_freqs) v (value, part)
 where s.schemaname = %s and s.tablename = %s and s.attname = %s and s.inherited = %t`, total, literal(of.Schema), literal(of.Name), literal(name), of.Parts), func(v [][]byte) error {
		n++
		_, _ = fmt.Sscan(string(v[2]), &distinct)
		return value(string(v[0]), int64(number(v[1])))
	})
	return n > 0 && distinct == float64(n), err
}
