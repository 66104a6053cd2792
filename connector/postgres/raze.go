package postgres

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// raze drops one table of a class that a tenant's own code keeps from being emptied
// row by row: no trigger of the tenant's can stop its exit. The rows are counted first,
// in the same transaction. It runs in a deputy's session, on premises of which the
// whole goes; what depends on the table there goes with it.
func (d *Driver) raze(ctx context.Context, s *session, r connector.Ref, at reading, b connector.Batch) (e connector.Erased, err error) {
	held, err := at.here(ctx, s)
	if err != nil {
		return e, err
	}
	tables := slices.DeleteFunc(slices.Clone(held.Tables), func(t relational.Reached) bool {
		class := held.Classes[t.Table.TableName]
		return class == "" || b.Class != "" && class != b.Class
	})
	if kept := held.Withheld(); len(kept) > 0 {
		all := len(tables)
		tables = slices.DeleteFunc(tables, func(t relational.Reached) bool { return held.Needs(t.Table.TableName) })
		if len(tables) == 0 && all > 0 {
			return e, tenure.Errorf(tenure.Blocked, "code on the tenant's own tables keeps rows of %s from going one by one, and a hold keeps others of them, so the table can't be dropped", kept[0]).
				WithHint("take the code off the table, or wait for the hold's release")
		}
	}
	if len(tables) == 0 {
		e.Done = true
		return e, nil
	}
	many, err := crowdIn(ctx, s, tables)
	if err != nil {
		return e, err
	}
	razed := 0
	err = d.patient(ctx, s, func(s *session) (err error) {
		if razed, err = razeSome(ctx, s, r, tables, many.is(), &e); err != nil || b.Run == "" {
			return err
		}
		return s.tell(ctx, b.Run, string(r.Resource), &e)
	})
	e.Done = err == nil && razed == len(tables) && len(held.Withheld()) == 0
	return e, err
}

// razeSome drops the first of the tables; of many, as many as a piece holds, and a table
// that has more partitions than that loses a piece of them. It says how many tables went.
func razeSome(ctx context.Context, s *session, r connector.Ref, tables []relational.Reached, many bool, e *connector.Erased) (razed int, err error) {
	e.Counts = map[string]int64{}
	for room := pieceful; room > 0 && razed < len(tables); {
		t := tables[razed].Table
		drop := []relational.TableName{t.TableName}
		if many {
			parts, err := partsOf(ctx, s, t.TableName, room+1)
			if err != nil {
				return razed, err
			}
			if len(parts) > room {
				drop = parts[:room]
			} else {
				room -= len(parts)
			}
		}
		if room -= len(drop); !many {
			room = 0
		}
		if err := s.razeTables(ctx, r, t, drop, e); err != nil {
			return razed, err
		}
		if drop[0] == t.TableName {
			razed++
		}
	}
	return razed, nil
}

// razeTables drops a table, or parts of it, and counts what was there.
func (s *session) razeTables(ctx context.Context, r connector.Ref, t relational.Table, drop []relational.TableName, e *connector.Erased) error {
	names := make([]string, len(drop))
	for i, n := range drop {
		names[i] = quote(n.Schema, n.Name)
	}
	list := strings.Join(names, ", ")
	if err := s.simple(ctx, "lock table "+list+" in access exclusive mode", nil); err != nil {
		return err
	}
	for _, n := range drop {
		rows, err := s.copied(ctx, n)
		if err != nil {
			return err
		}
		e.Counts[known(r, t.String())] += rows
		part := t
		part.TableName = n
		objects, err := s.unlinkNamed(ctx, part)
		if err != nil {
			return err
		}
		if objects > 0 {
			e.Counts[known(r, locator{table: t.TableName}.kind())] += objects
		}
	}
	return s.simple(ctx, "drop table "+list+" cascade", nil)
}

// unlinkNamed takes away the large objects that a table's rows name and the deputy's
// role owns.
func (s *session) unlinkNamed(ctx context.Context, t relational.Table) (objects int64, err error) {
	for _, c := range t.Columns {
		if !c.Locator {
			continue
		}
		var text bytes.Buffer
		if _, err := s.copyTo(ctx, t.TableName, "("+quote(c.Name)+")", &text); err != nil {
			return 0, err
		}
		for ids := range slices.Chunk(numbersIn(text.Bytes()), objectsAtOnce) {
			gone, err := textsOf(ctx, s, "select lo_unlink(m.oid)::text from pg_largeobject_metadata m where m.oid = any ("+array(ids)+"::oid[]) and pg_has_role(m.lomowner, 'usage')")
			if err != nil {
				return 0, err
			}
			objects += int64(len(gone))
		}
	}
	return objects, nil
}

// numbersIn are the numbers in a text, each once.
func numbersIn(text []byte) (out []oid) {
	for _, f := range bytes.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.ParseUint(string(f), 10, 32); err == nil {
			out = append(out, oid(n))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// settle ends the erasure of a class on a deputy's premises: materialized views forget
// the rows, or are dropped where the tenant's code hinders that, and so does what the
// planner keeps of the tables, unless it goes with them in the end.
func (s *session) settle(ctx context.Context) error {
	var views, tables []string
	err := s.simple(ctx, "select c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm') and "+s.deputy.schemas(), func(_ int, v [][]byte) error {
		if string(v[0]) == "m" {
			views = append(views, string(v[1]))
		} else {
			tables = append(tables, string(v[1]))
		}
		return nil
	})
	for _, v := range views {
		if err == nil {
			if err = s.simple(ctx, "refresh materialized view "+v, nil); hindered(err) {
				err = s.simple(ctx, "drop materialized view if exists "+v+" cascade", nil)
			}
		}
	}
	for _, t := range tables {
		if err == nil {
			if err = s.simple(ctx, "analyze "+t, nil); hindered(err) {
				err = nil
			}
		}
	}
	return err
}
