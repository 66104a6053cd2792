package postgres

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// objectsAtOnce bounds the large objects of one transaction: each takes a lock, of
// which the server has a few thousand for everybody.
const objectsAtOnce = 1000

// locator is a column whose values name large objects.
type locator struct {
	table  relational.TableName
	column string
	many   bool // its values are lists
}

// ownedSQL is a condition over pg_largeobject_metadata under the alias m: a deputy
// counts, takes and hands over objects of its role alone, whatever its rows name.
func (s *session) ownedSQL() string {
	if s.deputy == nil {
		return "true"
	}
	return "pg_has_role(m.lomowner, 'usage')"
}

// values is an expression of what the column names, in a select's list.
func (l locator) values() string {
	if l.many {
		return "unnest(" + quote("t", l.column) + ")"
	}
	return quote("t", l.column)
}

// others is a query for those of the large objects of a list that rows name for
// which where holds under the alias t.
func (l locator) others(where, list string) string {
	if l.many {
		return fmt.Sprintf(`select x.o from %s "t", unnest(%s) x (o) where x.o in (%s) and %s`, l.in(), quote("t", l.column), list, where)
	}
	return fmt.Sprintf(`select %[1]s from %[2]s "t" where %[1]s in (%[3]s) and %[4]s`, quote("t", l.column), l.in(), list, where)
}

func (l locator) String() string { return l.table.String() + "." + l.column }

// in is the column's table.
func (l locator) in() string { return quote(l.table.Schema, l.table.Name) }

// objectsOf begins the names under which objects are tallied.
const objectsOf = "large objects of "

// kind is the name under which the objects are tallied.
func (l locator) kind() string { return objectsOf + l.table.String() }

const locatorsSQL = `select n.nspname, c.relname, a.attname, e.oid is not null, pg_get_userbyid(c.relowner) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype
 left join pg_type e on e.oid in (t.typelem, b.typelem) and 'oid'::regtype in (e.oid, e.typbasetype) and 'array_in'::regproc in (t.typinput, b.typinput)
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and not c.relispartition
 and ('oid'::regtype in (t.oid, t.typbasetype) or e.oid is not null) and ` + notOurs + ` order by 1, 2, a.attnum`

// locators are the columns of the whole database that may name large objects: of the
// type oid, or of a domain over it, as lo is, or lists of them. Those of tenants' roles
// are read by deputies alone.
func locators(ctx context.Context, s *session) (out []locator, err error) {
	var owners []string
	err = s.simple(ctx, locatorsSQL, func(_ int, v [][]byte) error {
		n := relational.TableName{Schema: string(v[0]), Name: string(v[1])}
		if s.deputy == nil || s.deputy.has(n) {
			out, owners = append(out, locator{n, string(v[2]), yes(v[3])}), append(owners, string(v[4]))
		}
		return nil
	})
	if err != nil || s.deputy != nil {
		return out, err
	}
	theirs, err := tenantsOf(ctx, s, owners)
	var safe []locator
	for i, l := range out {
		if !theirs[owners[i]] {
			safe = append(safe, l)
		}
	}
	return safe, err
}

// locatorsOf are those of the tables.
func locatorsOf(tables []relational.Reached) (out []locator) {
	for _, t := range tables {
		for _, c := range t.Table.Columns {
			if c.Locator {
				out = append(out, locator{t.Table.TableName, c.Name, c.List})
			}
		}
	}
	return out
}

// objects counts the large objects that the tenant's rows name, each where it goes:
// with the last row that names it; and those of them that stay because somebody
// else's rows name them too.
func (g *ground) objects(ctx context.Context, s *session) (out []connector.Place, err error) {
	of := locatorsOf(g.tables)
	if len(of) == 0 || g.survey.Ref.Resource == "" {
		return nil, nil
	}
	bytes := "0::text"
	if readable, err := textsOf(ctx, s, "select has_table_privilege('pg_catalog.pg_largeobject', 'select')::text"); err != nil {
		return nil, err
	} else if readable[0] == "true" {
		bytes = "coalesce(sum((select sum(length(l.data)) from pg_largeobject l where l.loid = m.oid)) filter (where not stays), 0)::text"
	}
	all, err := locators(ctx, s)
	if err != nil {
		return nil, err
	}
	arms := make([]string, len(of))
	for i, l := range of {
		named := fmt.Sprintf("select m.oid from pg_largeobject_metadata m where %s and m.oid in (select %s from %s t where %s)", s.ownedSQL(), l.values(), l.in(), g.held[l.table].where)
		for j, o := range of {
			if at := cmp.Compare(g.place(o), g.place(l)); at > 0 || at == 0 && j < i {
				named += fmt.Sprintf(" except select %s from %s t where %s", o.values(), o.in(), g.held[o.table].where)
			}
		}
		theirs := make([]string, len(all))
		for k, o := range all {
			where := "true"
			if h, held := g.held[o.table]; held {
				where = "(" + h.where + ") is not true"
			}
			theirs[k] = o.others(where, "select oid from named")
		}
		arms[i] = fmt.Sprintf(`(with named as materialized (%s), theirs as materialized (%s) select %d, count(*) filter (where not stays)::text, %s, count(*) filter (where stays)::text
 from (select oid, oid in (select * from theirs) as stays from named) m)`, named, strings.Join(theirs, " union "), i, bytes)
	}
	err = s.simple(ctx, strings.Join(arms, "\nunion all "), func(_ int, v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		p := connector.Place{Name: of[i].String(), Kind: connector.PlaceObjects, Class: g.held[of[i].table].class, Via: "large objects that the column names"}
		p.Rows, _ = strconv.ParseInt(string(v[1]), 10, 64)
		p.Bytes, _ = strconv.ParseInt(string(v[2]), 10, 64)
		if n := string(v[3]); n != "0" {
			p.Says = n + " of the large objects that " + p.Name + " names stay: rows that aren't the tenant's name them too"
		}
		if p.Rows > 0 || p.Says != "" {
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// place is when the rows that the column is of go.
func (g *ground) place(l locator) int {
	if i := slices.Index(g.survey.Order, g.held[l.table].class); i >= 0 {
		return i
	}
	return len(g.survey.Order)
}

// unlinker is what a holding does before rows go: it takes away the large objects
// that they name and no other row does, in whatever table. Nil if its tables name
// none.
func unlinker(ctx context.Context, s *session, h *relational.Holding) (func(context.Context, relational.Querier, relational.Reached, string) (map[string]int64, error), error) {
	own := locatorsOf(h.Tables)
	if len(own) == 0 {
		return nil, nil
	}
	all, err := locators(ctx, s)
	if err != nil {
		return nil, err
	}
	managed, err := managers(ctx, s)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, q relational.Querier, t relational.Reached, where string) (map[string]int64, error) {
		counts := map[string]int64{}
		for _, l := range own {
			if l.table != t.Table.TableName {
				continue
			}
			n, err := l.unlink(ctx, q, where, all, 0, managed[l.String()], s.ownedSQL())
			counts[l.kind()] += n
			if err != nil {
				return nil, err
			}
		}
		return counts, nil
	}, nil
}

// unlink takes away the large objects named by the column in rows for which where
// holds under the alias t, save those that a row of all the rest names too. A
// limit of 0 is none. What a trigger manages is counted alone: it goes with its row.
func (l locator) unlink(ctx context.Context, q relational.Querier, where string, all []locator, limit int, managed bool, owned string) (n int64, err error) {
	named := fmt.Sprintf(`select %s from %s "t" where %s`, l.values(), l.in(), where)
	sql := "with named as (select m.oid from pg_catalog.pg_largeobject_metadata m where " + owned + " and m.oid in (" + named + ")), others as (select null::oid where false"
	for _, o := range all {
		sql += " union all "
		rest := "true"
		if o.table == l.table {
			rest = "(" + where + ") is not true"
		}
		sql += o.others(rest, "select oid from named")
	}
	unlink := "lo_unlink(x.oid)"
	if managed {
		unlink = "x.oid"
	}
	sql += ") select " + unlink + "::text from (select oid from named where oid not in (select * from others)"
	if limit > 0 {
		sql += " limit " + strconv.Itoa(limit)
	}
	err = each(ctx, q, sql+") x", 1, func([]string) { n++ })
	return n, err
}

const managersSQL = `select n.nspname, c.relname, split_part(encode(g.tgargs, 'escape'), E'\\000', 1) from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_language l on l.oid = p.prolang
 join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
 where p.proname = 'lo_manage' and l.lanname = 'c' and g.tgenabled in ('O', 'A') and g.tgtype & 9 = 9 and g.tgqual is null and not c.relispartition`

// managers are the columns whose large objects the extension lo unlinks by itself
// when a row goes.
func managers(ctx context.Context, s *session) (map[string]bool, error) {
	out := map[string]bool{}
	err := s.simple(ctx, managersSQL, func(_ int, v [][]byte) error {
		out[locator{table: relational.TableName{Schema: string(v[0]), Name: string(v[1])}, column: string(v[2])}.String()] = true
		return nil
	})
	return out, err
}

// unlinkAll takes away the large objects that a whole store's rows name and no other
// row that the session can read does, a bounded number in each transaction.
func (s *session) unlinkAll(ctx context.Context, schema string, counts map[string]int64) error {
	all, err := locators(ctx, s)
	if err != nil {
		return err
	}
	var rest []locator
	for _, l := range all {
		if l.table.Schema != schema {
			rest = append(rest, l)
		}
	}
	for _, l := range all {
		if l.table.Schema != schema {
			continue
		}
		for n := int64(objectsAtOnce); n == objectsAtOnce; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			err := s.atomic(ctx, func(s *session) (err error) {
				n, err = l.unlink(ctx, s, "true", rest, objectsAtOnce, false, s.ownedSQL())
				return err
			})
			if err != nil {
				return err
			}
			counts[l.kind()] += n
		}
	}
	return nil
}

// exportObjects adds the large objects that the holding's rows name to an archive,
// each once, in pieces.
func exportObjects(ctx context.Context, s *session, h *relational.Holding, a *relational.Archive) error {
	done := map[string]bool{}
	for _, l := range locatorsOf(h.Tables) {
		t, _ := h.Table(l.table)
		ids, err := textsOf(ctx, s, fmt.Sprintf(`select m.oid::text from pg_largeobject_metadata m where %s and m.oid in (select %s from %s "t" where %s) order by m.oid`, s.ownedSQL(), l.values(), l.in(), t.Where()))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if done[id] {
				continue
			}
			done[id] = true
			err := a.Object(id, l.table, h.Classes[l.table], func(w io.Writer) error { return s.object(ctx, id, w) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// object writes a large object's bytes.
func (s *session) object(ctx context.Context, id string, w io.Writer) error {
	const piece = 1 << 20
	for at := int64(0); ; at += piece {
		var data []byte
		err := s.simple(ctx, fmt.Sprintf("select encode(lo_get(%s, %d, %d), 'hex')", id, at, piece), func(_ int, v [][]byte) (err error) {
			data, err = hex.DecodeString(string(v[0]))
			return err
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return tenure.Errorf(tenure.Unavailable, "export: %w", err).Retryable()
		}
		if len(data) < piece {
			return nil
		}
	}
}
