package sqlite

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// holder is a kind that holds a tenant's rows.
type holder interface {
	kind
	// reach runs f on a session that can see the rows of r, with what they are
	// made from. It isn't run if r is absent; Conflict if r isn't ours.
	reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error)
}

// reacher is given a session and how to work out the resource's tables; and the
// path of the file that they are in.
type reacher func(s *session, of holdingOf, path string) error

// holdingOf makes a holding from a database's catalog.
type holdingOf func(c catalog) (*relational.Holding, error)

func (k databases) reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	defer k.lock(r.Name)()
	at, err := k.owned(ctx, r)
	if err != nil || at == nil {
		return false, err
	}
	if at.aside && h == writing {
		if err := os.Chmod(at.path, fileMode); err != nil {
			return true, err
		}
		defer func() {
			if again := os.Chmod(at.path, asideMode); err == nil {
				err = again
			}
		}()
	}
	return true, k.on(ctx, at.path, h, func(s *session) error {
		return f(s, func(c catalog) (*relational.Holding, error) {
			var roots []relational.Root
			for _, t := range c.tables {
				roots = append(roots, relational.Root{Table: t.TableName, Where: "true", Via: "its own"})
			}
			return relational.NewHolding(dialect{}, c.graph, roots, classesOf(c, a.Tables)), nil
		}, at.path)
	})
}

// classesOf gives the tables their names as the database has them.
func classesOf(c catalog, given map[string]string) map[relational.TableName]string {
	classes := map[relational.TableName]string{}
	for name, class := range given {
		classes[tableName(c.spelled(name))] = class
	}
	return classes
}

func (k pools) reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	err = k.onShared(ctx, h, func(s *session) error {
		note, err := k.noteOf(ctx, s, r)
		if err != nil {
			return err
		}
		if note == nil {
			n, err := k.has(ctx, s, a.spec())
			if err != nil || n == 0 {
				return err
			}
			return relational.Claim(k.marker, relational.Note{}, r)
		}
		there = true
		return f(s, func(c catalog) (*relational.Holding, error) { return k.holding(r, a, c) }, k.shared)
	})
	return there, err
}

func (k pools) holding(r connector.Ref, a poolAttributes, cat catalog) (*relational.Holding, error) {
	var roots []relational.Root
	for t, c := range cat.bearers(a.Column) {
		roots = append(roots, relational.Root{Table: t.TableName, Where: isKey(quote(c), t.affinities[c], a.Key), Via: "column " + c})
	}
	classes := classesOf(cat, a.Tables)
	h := relational.NewHolding(dialect{}, cat.graph, roots, classes)
	reached := map[relational.TableName]bool{}
	for _, t := range h.Tables {
		reached[t.Table.TableName] = true
	}
	for name := range classes {
		if _, is := cat.graph.Table(name); is && !reached[name] {
			return nil, tenure.Errorf(tenure.Invalid, "rows %q: table %s has no column %q and refers to none that has", r.Name, name, a.Column)
		}
	}
	return h, nil
}

func (d *Driver) holder(r connector.Ref, call string) (holder, error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return nil, err
	}
	h, ok := k.(holder)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "a %s holds no data, so it can't be %s", r.Type, call)
	}
	return h, nil
}

func held(ctx context.Context, s *session, of holdingOf) (*relational.Holding, error) {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return nil, err
	}
	return of(c)
}

// DataMap is described at connector.Mapper. Places are the tables that the
// resource's rows are in, and those that refer to such rows, wherever they are.
func (d *Driver) DataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	r := v.Ref
	k, err := d.holder(r, "mapped")
	if err != nil {
		return m, err
	}
	if m.Sighting, err = d.Observe(ctx, nil, func(connector.Observed) error { return nil }); err != nil {
		return m, err
	}
	_, err = k.reach(ctx, r, reading, func(s *session, of holdingOf, _ string) error {
		return s.snapshot(ctx, func() error {
			h, err := held(ctx, s, of)
			if err != nil {
				return err
			}
			m.Places, err = h.Places(ctx, s)
			return err
		})
	})
	return m, coded(err)
}

// Erase is described at connector.Eraser: one transaction a batch, children
// before parents. Rows of another class that refer to those of this one are
// Blocked, also where the database would delete them by itself. When a class is
// erased its traces in the write-ahead log and in the planner's statistics go
// too, and a tenant's own file is built anew, unless somebody has it in use.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	k, err := d.holder(r, "erased")
	if err != nil {
		return e, err
	}
	there, err := k.reach(ctx, r, writing, func(s *session, of holdingOf, path string) (err error) {
		if e, err = batch(ctx, s, of, b); err != nil || !e.Done {
			return err
		}
		if len(e.Counts) > 0 || b.Cursor != "" {
			if err := d.scrub(ctx, path); err != nil {
				return err
			}
		}
		return s.fold(ctx, path)
	})
	if err == nil && !there {
		e.Done = true
	}
	return e, coded(err)
}

func batch(ctx context.Context, s *session, of holdingOf, b connector.Batch) (e connector.Erased, err error) {
	if err := attend(ctx, s); err != nil {
		return e, err
	}
	err = s.atomic(ctx, func() error {
		c, err := readCatalog(ctx, s)
		if err != nil {
			return err
		}
		h, err := of(c)
		if err != nil {
			return err
		}
		steps, err := h.Plan(b.Class)
		if err != nil {
			return err
		}
		if b.Cursor == "" {
			if err := h.Stands(ctx, s, b.Class); err != nil {
				return err
			}
		}
		e, err = h.Erase(ctx, s, steps, b)
		if err != nil || !e.Done {
			return err
		}
		went := func(t string) bool {
			class := h.Classes[tableName(c.spelled(t))]
			return class != "" && (b.Class == "" || b.Class == class)
		}
		if err := purge(ctx, s, c, went, len(e.Counts) > 0); err != nil {
			return err
		}
		return forget(ctx, s)
	})
	if err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

// forget drops the samples of rows that analyze has kept (sqlite.org/fileformat2,
// sqlite_stat4). The next analyze takes others.
func forget(ctx context.Context, s *session) error {
	kept, err := s.value(ctx, "select name from sqlite_schema where name = 'sqlite_stat4'")
	if err != nil || kept == "" {
		return err
	}
	return s.run(ctx, "delete from sqlite_stat4")
}

// remove takes the note away once no rows are left. Rows that came since they were
// erased are Conflict, rows that no data class covers are Blocked.
func (k pools) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	there, err := k.reach(ctx, r, writing, func(s *session, of holdingOf, _ string) error {
		return s.atomic(ctx, func() error {
			if err := remains(ctx, s, of); err != nil {
				return err
			}
			return marks.Delete(ctx, s, r.Type, r.Name)
		})
	})
	rec.Changed = there && err == nil
	return rec, err
}

// remains is an error if any row is left.
func remains(ctx context.Context, s *session, of holdingOf) error {
	h, err := held(ctx, s, of)
	if err != nil {
		return err
	}
	places, err := h.Places(ctx, s)
	if err != nil {
		return err
	}
	for _, place := range places {
		if place.Rows > 0 && place.Class == "" {
			return tenure.Errorf(tenure.Blocked, "%d rows of %s are in no data class", place.Rows, place.Name).WithHint("name the table in the attribute tables")
		} else if place.Rows > 0 {
			return tenure.Errorf(tenure.Conflict, "%d rows of %s are left", place.Rows, place.Name).Retryable().WithHint("erase its data classes before it is deleted")
		}
	}
	return nil
}

// Export is described at connector.Exporter: relational.Archive's form, all of
// it from one snapshot. A blob is given as an object with its hexadecimal digits
// under "hex".
func (d *Driver) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	k, err := d.holder(r, "exported")
	if err != nil {
		return rec, err
	}
	there, err := k.reach(ctx, r, reading, func(s *session, of holdingOf, _ string) error {
		return s.snapshot(ctx, func() error {
			h, err := held(ctx, s, of)
			if err != nil {
				return err
			}
			ddl, err := ddlOf(ctx, s, h.Tables)
			if err != nil {
				return err
			}
			a, err := h.Export(ctx, s, w, ddl, d.now())
			if err == nil {
				rec.Counts = map[string]int64{"rows": a.Rows, "bytes": a.Bytes}
			}
			return err
		})
	})
	if err == nil && !there {
		err = tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
	}
	return rec, coded(err)
}

// ddlOf writes the statements that made the tables, with their indexes, triggers
// and the views, as they were given.
func ddlOf(ctx context.Context, s *session, tables []relational.Reached) (string, error) {
	in := map[string]bool{}
	for _, t := range tables {
		in[t.Table.Name] = true
	}
	var b strings.Builder
	var on, text string
	err := s.each(ctx, "select tbl_name, sql from sqlite_schema where sql is not null order by case type when 'table' then 0 when 'index' then 1 when 'view' then 2 else 3 end, name", func() error {
		if in[on] {
			b.WriteString(text + ";\n")
		}
		return nil
	}, &on, &text)
	return b.String(), err
}
