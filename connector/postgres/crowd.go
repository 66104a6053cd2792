package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

const (
	// pieceful is how many tables one transaction takes. Each costs a handful of locks,
	// and the server has max_locks_per_transaction times its connections for everybody.
	pieceful = 100

	// crowdOf is how many tables and partitions a tenant has before they are counted,
	// exported and dropped in pieces.
	crowdOf = 400
)

// crowd is how many tables and partitions each table of a holding comes to.
type crowd map[string]int

// all is their number.
func (c crowd) all() (n int) {
	for _, one := range c {
		n += one
	}
	return n
}

func (c crowd) is() bool { return c.all() > crowdOf }

func crowdIn(ctx context.Context, s *session, tables []relational.Reached) (crowd, error) {
	out := make(crowd, len(tables))
	if len(tables) == 0 {
		return out, nil
	}
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = literal(quote(t.Table.Schema, t.Table.Name))
	}
	err := s.simple(ctx, `with recursive here (root, oid) as (select x::regclass::oid, x::regclass::oid from unnest(array[`+strings.Join(names, ", ")+`]::text[]) x
 union select here.root, h.inhrelid from here join pg_inherits h on h.inhparent = here.oid)
select n.nspname, c.relname, count(*)::text from here join pg_class c on c.oid = here.root join pg_namespace n on n.oid = c.relnamespace group by 1, 2`, func(_ int, v [][]byte) (err error) {
		n := relational.TableName{Schema: string(v[0]), Name: string(v[1])}
		out[n.String()], err = strconv.Atoi(string(v[2]))
		return err
	})
	return out, err
}

// tell says at the places what a crowd of partitions means for the erasure.
func (c crowd) tell(places []connector.Place) {
	for i := range places {
		if p := &places[i]; c[p.Name] > crowdOf && p.Says == "" && p.IsData() {
			p.Says = fmt.Sprintf("%s has %d partitions: they are counted and dropped %d at a time, as the server hasn't the locks for all", p.Name, c[p.Name]-1, pieceful)
		}
	}
}

// partsOf are partitions of a table, or what inherits from it, that have none of their
// own, at most so many.
func partsOf(ctx context.Context, s *session, t relational.TableName, most int) (out []relational.TableName, err error) {
	err = s.simple(ctx, hereSQL(t)+`select n.nspname, c.relname from here join pg_class c on c.oid = here.oid join pg_namespace n on n.oid = c.relnamespace
 where c.oid <> `+literal(quote(t.Schema, t.Name))+`::regclass and not exists (select 1 from pg_inherits h where h.inhparent = c.oid) order by c.oid desc limit `+strconv.Itoa(most), func(_ int, v [][]byte) error {
		out = append(out, relational.TableName{Schema: string(v[0]), Name: string(v[1])})
		return nil
	})
	return out, err
}

// piecesSQL lists what is in a schema by how it is dropped: first what nothing inherits
// from, and the youngest of that, since a thing is younger than what it was made from.
const piecesSQL = `select i.type, i.identity from pg_depend p cross join lateral pg_identify_object(p.classid, p.objid, 0) i
 where p.refclassid = 'pg_namespace'::regclass and p.refobjid = to_regnamespace($1) and p.deptype = 'n' and i.identity is not null
 order by exists (select 1 from pg_inherits h where h.inhparent = p.objid and p.classid = 'pg_class'::regclass), p.objid desc limit $2`

// thin drops what a schema holds beyond a piece, piece by piece, each in a transaction in
// which nothing outside depends on the schema.
func (k schemas) thin(ctx context.Context, s *session, r connector.Ref, schema string) error {
	for last := 0; ; {
		n := 0
		if err := s.simple(ctx, "select count(*)::text from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = to_regnamespace("+literal(quote(schema))+")", func(_ int, v [][]byte) (err error) {
			n, err = strconv.Atoi(string(v[0]))
			return err
		}); err != nil || n <= pieceful || n == last {
			return err
		}
		last = n
		err := k.patient(ctx, s, func(s *session) error {
			var drops []string
			err := s.simple(ctx, replaced(piecesSQL, "$1", literal(quote(schema)), "$2", strconv.Itoa(pieceful)), func(_ int, v [][]byte) error {
				drops = append(drops, "drop "+string(v[0])+" if exists "+string(v[1])+" cascade")
				return nil
			})
			if err != nil {
				return err
			}
			if err := k.free(ctx, s, r, schema); err != nil {
				return err
			}
			return s.simple(ctx, strings.Join(drops, ";\n"), nil)
		})
		if err != nil {
			return err
		}
	}
}

// crowded says whether what a session reads is too much for one transaction.
func (d *Driver) crowded(ctx context.Context, s *session, at reading) (bool, error) {
	held, err := at.here(ctx, s)
	if err != nil {
		return false, err
	}
	many, err := crowdIn(ctx, s, held.Tables)
	return many.is(), err
}
