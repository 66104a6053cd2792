package sqlite

import (
	"context"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Erase is described at connector.Eraser: one transaction a batch, in which the
// file's own tally is written too. When a class is erased its traces go as well:
// the words in full-text indexes, the planner's samples of rows, the write-ahead
// log, and what lies unused in the pages of a file of up to 256 MiB.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	k, err := d.holder(r, "erased")
	if err != nil {
		return e, err
	}
	there, err := k.reach(ctx, r, writing, func(s *session, of estateOf, path string) (err error) {
		if e, err = batch(ctx, s, of, string(r.Resource), b); err != nil || !e.Done {
			return err
		}
		if len(e.Total) > 0 {
			if err := d.scrub(ctx, path); err != nil {
				return err
			}
		}
		return s.fold(ctx, path)
	})
	if err != nil {
		return connector.Erased{}, coded(err)
	}
	if !there {
		e = connector.Erased{Total: map[string]int64{}, Done: true}
	}
	return e, nil
}

func batch(ctx context.Context, s *session, of estateOf, resource string, b connector.Batch) (e connector.Erased, err error) {
	if err := s.run(ctx, strings.Join(kept.DDL(), ";\n")); err != nil {
		return e, err
	}
	if err := attend(ctx, s); err != nil {
		return e, err
	}
	err = s.atomic(ctx, func() error {
		held, err := s.held(ctx, of)
		if err != nil {
			return err
		}
		erasure, err := held.Erasure(b.Class)
		if err != nil {
			return err
		}
		if e, err = erasure.Batch(ctx, s, b); err != nil {
			return held.refused(err, b.Class)
		}
		took := len(e.Counts) > 0
		if err := kept.Add(ctx, s, b.Run, resource, &e); err != nil || !e.Done {
			return err
		}
		return held.finish(ctx, s, b.Class, took)
	})
	return e, err
}

// finish takes away what is left of a class's rows outside of its tables.
func (e *estate) finish(ctx context.Context, s *session, class string, took bool) error {
	went := func(name string) bool {
		c := e.class(name)
		return c != "" && (class == "" || class == c)
	}
	if err := purge(ctx, s, e.c, went, took); err != nil {
		return err
	}
	return forget(ctx, s)
}

// refused makes of a constraint's or a trigger's refusal an error that names the
// triggers and what a person can do.
func (e *estate) refused(err error, class string) error {
	if result(err) != sqlite3.SQLITE_CONSTRAINT {
		return err
	}
	var names []string
	for _, g := range e.c.triggers {
		if c := e.class(g.table); g.raises != "" && g.event != "insert" && c != "" && (class == "" || class == c) {
			names = append(names, "trigger "+g.name+" of "+g.table)
		}
	}
	if code := extended(err); len(names) == 0 || code != sqlite3.SQLITE_CONSTRAINT_TRIGGER {
		return tenure.Errorf(tenure.Blocked, "rows don't go: %w", err)
	}
	return tenure.Errorf(tenure.Blocked, "rows don't go, %s stands in the way: %w", strings.Join(names, " or "), err).
		WithHint("change it so that the rows of a tenant that leaves can go, then retry")
}

// forget drops the samples of rows that analyze has kept (sqlite.org/fileformat2,
// sqlite_stat4). The next analyze takes others.
func forget(ctx context.Context, s *session) error {
	has, err := s.value(ctx, "select name from sqlite_schema where name = 'sqlite_stat4'")
	if err != nil || has == "" {
		return err
	}
	return s.run(ctx, "delete from sqlite_stat4")
}

// Tally is described at connector.Tallier.
func (d *Driver) Tally(ctx context.Context, r connector.Ref, run string) (e connector.Erased, err error) {
	k, err := d.holder(r, "erased")
	if err != nil {
		return e, err
	}
	_, err = k.reach(ctx, r, reading, func(s *session, _ estateOf, _ string) error {
		keeps, err := s.keeps(ctx)
		if err != nil || !keeps {
			return err
		}
		e, err = kept.Read(ctx, s, run, string(r.Resource))
		return err
	})
	return e, coded(err)
}
