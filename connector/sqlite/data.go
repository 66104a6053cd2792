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

// reacher is given a session and how to work out the resource's tables; of a
// tenant's own file also the file.
type reacher func(s *session, of holdingOf, own *file) error

// holdingOf makes a holding from a database's graph.
type holdingOf func(g *relational.Graph) (*relational.Holding, error)

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
		return f(s, func(g *relational.Graph) (*relational.Holding, error) {
			return relational.NewHolding(dialect{}, g, relational.Tenancy{Resource: string(r.Resource), Own: func(relational.TableName) bool { return true }}, a.Coverage)
		}, at)
	})
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
		return f(s, func(g *relational.Graph) (*relational.Holding, error) {
			return relational.NewHolding(dialect{}, g, relational.Tenancy{Resource: string(r.Resource), Column: a.Column, Key: a.Key}, a.Coverage)
		}, nil)
	})
	return there, err
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
	g, err := dialect{}.Graph(ctx, s)
	if err != nil {
		return nil, err
	}
	return of(g)
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
	_, err = k.reach(ctx, r, reading, func(s *session, of holdingOf, _ *file) error {
		return s.snapshot(ctx, func() error {
			h, err := held(ctx, s, of)
			if err != nil {
				return err
			}
			m.Places, err = h.Places(ctx, s, v.Order, r.Resource != "")
			return err
		})
	})
	return m, coded(err)
}

// Erase is described at connector.Eraser: one transaction a batch, children
// before parents. When a class is
// erased its traces in the write-ahead log and in the planner's statistics go
// too, and a tenant's own file is built anew, unless somebody has it in use.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	k, err := d.holder(r, "erased")
	if err != nil {
		return e, err
	}
	there, err := k.reach(ctx, r, writing, func(s *session, of holdingOf, own *file) (err error) {
		if e, err = batch(ctx, s, of, b); err != nil || !e.Done || own == nil || len(e.Counts) == 0 && b.Cursor == "" {
			return err
		}
		return rebuild(ctx, s, own)
	})
	if err == nil && !there {
		e.Done = true
	}
	return e, coded(err)
}

func batch(ctx context.Context, s *session, of holdingOf, b connector.Batch) (e connector.Erased, err error) {
	err = s.atomic(ctx, func() error {
		h, err := held(ctx, s, of)
		if err != nil {
			return err
		}
		for _, ddl := range kept.DDL() {
			if err := s.run(ctx, ddl); err != nil {
				return err
			}
		}
		p, err := h.Erasure(b.Class)
		if err != nil {
			return err
		}
		if e, err = p.Batch(ctx, s, b); err != nil || !e.Done {
			return err
		}
		return forget(ctx, s)
	})
	if err != nil {
		return connector.Erased{}, err
	}
	if e.Done {
		_ = s.run(ctx, "pragma wal_checkpoint(truncate)")
	}
	return e, nil
}

// rebuildLimit is the size up to which a file is built anew after an erasure.
const rebuildLimit = 256 << 20

// rebuild writes a tenant's file anew, so that nothing of what was erased stays
// between the rows of its pages, which secure_delete leaves alone. A file that
// is too large, or in use, keeps that until it is deleted.
func rebuild(ctx context.Context, s *session, f *file) error {
	if f.size > rebuildLimit {
		return nil
	}
	if err := s.attachable(1); err != nil {
		return err
	}
	_ = s.run(ctx, "vacuum")
	_ = s.run(ctx, "pragma wal_checkpoint(truncate)")
	return s.attachable(0)
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

// remove takes the owner mark and what was kept of the rows away. It deletes no
// row: those that are left are Blocked if no class covers them, else a Conflict.
func (k pools) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	rec.Changed, err = k.reach(ctx, r, writing, func(s *session, of holdingOf, _ *file) error {
		return s.atomic(ctx, func() error {
			h, err := held(ctx, s, of)
			if err != nil {
				return err
			}
			if err := h.Empty(ctx, s); err != nil {
				return err
			}
			return marks.Delete(ctx, s, r.Type, r.Name)
		})
	})
	rec.Changed = rec.Changed && err == nil
	return rec, err
}

// Export is described at connector.Exporter: relational.Archive's form, all of
// it from one snapshot. A blob is given as an object with its hexadecimal digits
// under "hex".
func (d *Driver) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	k, err := d.holder(r, "exported")
	if err != nil {
		return rec, err
	}
	there, err := k.reach(ctx, r, reading, func(s *session, of holdingOf, _ *file) error {
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
