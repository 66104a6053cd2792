package sqlite

import (
	"context"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
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
	if shared, ok := k.(pools); ok && b.Gone {
		shared.gone = true
		k = shared
	}
	there, err := k.reach(ctx, r, writing, func(s *session, of estateOf, path string) (err error) {
		if e, err = d.batch(ctx, s, of, r, b); err != nil || !e.Done {
			return err
		}
		if len(e.Total) > 0 {
			if err := d.scrub(ctx, path, scrubLimit); err != nil {
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

// batch is one batch. Its cursor ends with the version of the schema that it saw.
func (d *Driver) batch(ctx context.Context, s *session, of estateOf, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	if err := s.run(ctx, strings.Join(kept.DDL(), ";\n")); err != nil {
		return e, err
	}
	alone, err := prepare(ctx, s, of)
	if err != nil {
		return e, err
	}
	doubts := addresses{}
	for range 5 {
		if e, err = d.attempt(ctx, s, of, r, b, alone, doubts); err != errDoubted {
			return e, err
		}
		took := int64(0)
		for _, n := range e.Counts {
			took += n
		}
		b.Limit, b.For = int(max(1, min(took, int64(b.Limit)))), 0 // the same rows again
	}
	return connector.Erased{}, tenure.Errorf(tenure.Unavailable, "triggers changed other rows each time").Retryable()
}

// attempt is one transaction of a batch.
func (d *Driver) attempt(ctx context.Context, s *session, of estateOf, r connector.Ref, b connector.Batch, alone bool, doubts addresses) (e connector.Erased, err error) {
	var held *estate
	err = s.atomic(ctx, func() (err error) {
		if held, err = s.held(ctx, of); err != nil {
			return err
		}
		if err := followed(held.withhold(b.Keep)); err != nil {
			return err
		}
		if held.Unenforced, held.ByRow = alone, !alone; alone && !held.unattended() {
			return tenure.Errorf(tenure.Unavailable, "the schema changed meanwhile").Retryable()
		}
		if k := held.mixed(); k != nil {
			says, fix := mixedSays(*k)
			return tenure.Errorf(tenure.Blocked, "%s", says).WithHint("%s", fix)
		}
		version, err := s.value(ctx, "pragma schema_version")
		if err != nil {
			return err
		}
		cursor, last, goesOn := strings.Cut(b.Cursor, "@")
		if b.Cursor = cursor; goesOn && last != version {
			if err := d.allowed(ctx, s, held, r, b.Class); err != nil {
				return err
			}
		}
		w, err := look(ctx, s, held, b.Class, doubts)
		if err != nil {
			return err
		}
		if e, err = w.batch(ctx, b, string(r.Resource)); err != nil {
			return err
		}
		if !e.Done {
			e.Cursor += "@" + version
			return nil
		}
		if connector.Total(e.Held) > 0 {
			return nil // what is left of the rows that went goes with the rest
		}
		return held.finish(ctx, s, b.Class, len(e.Counts) > 0)
	})
	if held != nil {
		err = held.refused(err, b.Class) // by a constraint that is checked at the end
	}
	return e, err
}

// allowed is Blocked by what the data map would show as blocking the class.
func (d *Driver) allowed(ctx context.Context, s *session, held *estate, r connector.Ref, class string) error {
	places, _, err := d.places(ctx, s, held, connector.Survey{Ref: r})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(places, func(p connector.Place) bool {
		return p.Blocks && (class == "" || p.Class == "" || p.Class == class)
	})
	if i < 0 {
		return nil
	}
	says := places[i].Says
	if says == "" {
		says = places[i].Name + " holds rows of the tenant, and no data class covers it"
	}
	return tenure.Errorf(tenure.Blocked, "the tables changed while rows were erased: %s", says).WithHint("%s", places[i].Fix)
}

// prepare makes a session ready for deletes. Alone says that SQLite doesn't look
// after references in it: the erasure does, with one look for many rows.
func prepare(ctx context.Context, s *session, of estateOf) (alone bool, err error) {
	e, err := s.held(ctx, of)
	if err != nil {
		return false, err
	}
	if alone = e.unattended(); alone {
		if err := s.run(ctx, "pragma foreign_keys = 0"); err != nil {
			return false, err
		}
	}
	return alone, attend(ctx, s, e.c)
}

// unattended says that the erasure should look after references by itself: SQLite
// would read a whole table for each row that goes. It mustn't where a trigger
// deletes more rows, or a constraint sets what the erasure can't.
func (e *estate) unattended() bool {
	slow := false
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); !held {
			continue
		}
		if k.OnDelete == relational.SetDefault {
			return false
		}
		slow = slow || e.c.slow(k)
	}
	return slow && len(e.c.broken) == 0 && !slices.ContainsFunc(e.c.triggers, func(g trigger) bool {
		_, held := e.table(g.table)
		return held && slices.ContainsFunc(g.writes, func(w write) bool { return e.c.has(w.table) })
	})
}

// mixed is a reference to a held table whose two sides are compared by different
// collations, nil if there is none: SQLite goes by the parent's, a query by the
// child's, so a look at references would find too much or too little.
func (e *estate) mixed() *relational.ForeignKey {
	for i, k := range e.c.mixed {
		if _, held := e.Table(k.Parent); held {
			return &e.c.mixed[i]
		}
	}
	return nil
}

func mixedSays(k relational.ForeignKey) (says, fix string) {
	return k.Link() + " and " + k.Parent.Name + "." + strings.Join(k.Parents, ",") + " are compared by different collations, so what refers to what can't be told",
		"declare both with the same collation"
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
	if result(err) != sqlite3.SQLITE_CONSTRAINT || isCoded(err) {
		return err
	}
	var names []string
	for _, g := range e.c.triggers {
		if c := e.class(g.table); g.raises != "" && g.event != "insert" && c != "" && (class == "" || class == c) {
			names = append(names, "trigger "+g.name+" of "+g.table)
		}
	}
	if code := extended(err); len(names) == 0 || code != sqlite3.SQLITE_CONSTRAINT_TRIGGER {
		return tenure.Errorf(tenure.Blocked, "rows don't go: %s", e.constraint(err, class)).
			WithHint("change or move the rows that the constraint speaks of, then retry; nothing was erased in this batch")
	}
	return tenure.Errorf(tenure.Blocked, "rows don't go, %s stands in the way: %w", strings.Join(names, " or "), err).
		WithHint("change it so that the rows of a tenant that leaves can go, then retry")
}

// constraint says in SQLite's words which constraint refused. Of a reference SQLite
// says nothing, so those that may be meant are named.
func (e *estate) constraint(err error, class string) string {
	says := strings.TrimPrefix(plain(err), "constraint failed: ")
	if extended(err) != sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
		return says
	}
	var links []string
	for _, k := range e.Graph.Keys() {
		if c := e.Classes[k.Parent]; c != "" && (class == "" || c == class) {
			links = append(links, k.Link()+" → "+k.Parent.Name)
		}
	}
	if len(links) > 0 {
		says += ", of " + strings.Join(links, " or ")
	}
	return says
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
	if shared, ok := k.(pools); ok { // their tally outlives the mark while late rows go
		shared.gone = true
		k = shared
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
