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
	// made from and the path of their file. It isn't run if r is absent; Conflict
	// if r isn't ours.
	reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error)
	// survey runs f on what a data map is made from: with gone whoever's it is, and
	// of a resource that is yet to be what its blueprint gives.
	// shared is the session on the platform's file that holds the pass's snapshot.
	survey(ctx context.Context, shared *session, v connector.Survey, f reacher) error
}

// reacher is given a session, how to work out what the resource holds there, and
// the path of the file.
type reacher func(s *session, of estateOf, path string) error

// estateOf works out what the resource holds in a database, which keeps parents'
// keys if written.
type estateOf func(c catalog, written bool) (*estate, error)

// estate is what a resource holds in a database.
type estate struct {
	*relational.Holding
	c       catalog
	a       poolAttributes    // Column and Key are blank for a tenant's own file
	indexes map[string]string // classes of the virtual tables that keep no rows, by name
	ignored map[string]bool   // such tables that belong to no tenant
	every   string
	whole   bool
}

// within is a coverage of the tables alone that hold rows: indexes that keep none,
// or can't be read, are no part of what package relational erases.
func (c catalog) within(given relational.Coverage) relational.Coverage {
	apart := c.apart()
	is := func(name string) bool { return foldedIn(apart, name) }
	out := given
	out.Tables = map[string]string{}
	for name, class := range given.Tables {
		if !is(name) {
			out.Tables[name] = class
		}
	}
	out.Shared = nil
	for _, name := range given.Shared {
		if !is(name) {
			out.Shared = append(out.Shared, name)
		}
	}
	return out
}

func foldedIn(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// estate works out what a resource holds; own says that the whole file is its.
func (c catalog) estate(t relational.Tenancy, a poolAttributes, own bool) (*estate, error) {
	if own {
		t.Own = func(relational.TableName) bool { return true }
	}
	h, err := relational.NewHolding(dialect{}, c.graph, t, c.within(a.Coverage))
	if err != nil {
		return nil, err
	}
	e := &estate{Holding: h, c: c, a: a, indexes: map[string]string{}, ignored: map[string]bool{}, whole: own}
	if own {
		e.every = a.Tables[relational.Every]
	}
	for _, name := range c.apart() {
		for given, class := range a.Tables {
			if strings.EqualFold(given, name) {
				e.indexes[name] = class
			}
		}
		e.ignored[name] = foldedIn(a.Shared, name)
	}
	return e, nil
}

// class is what covers a table or an index, "" if nothing does.
func (e *estate) class(name string) string {
	n, ok := e.Graph.Find("", name)
	if ok {
		return e.Classes[n]
	}
	if v := e.c.virtual(name); v != nil && e.indexes[v.name] != "" {
		return e.indexes[v.name]
	}
	return e.every
}

// table is what is held of the named table.
func (e *estate) table(name string) (relational.Reached, bool) {
	n, _ := e.Graph.Find("", name)
	return e.Table(n)
}

// shared says that the blueprint names the table as one that belongs to no tenant.
func (e *estate) shared(name string) bool {
	n, ok := e.Graph.Find("", name)
	if v := e.c.virtual(name); !ok && v != nil {
		return e.ignored[v.name]
	}
	return e.Shared(n)
}

func (k databases) reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	defer k.turns.Take("", r.Name)()
	at, err := k.owned(ctx, r)
	if err != nil || at == nil {
		return false, err
	}
	return true, k.inside(ctx, at, h, func(s *session) error { return f(s, a.estate(r), at.path) })
}

// inside runs f on a file, in quarantine or not.
func (k databases) inside(ctx context.Context, at *file, h how, f func(s *session) error) (err error) {
	if at.aside && h == writing {
		if err := os.Chmod(at.path, fileMode); err != nil {
			return err
		}
		defer func() {
			if again := os.Chmod(at.path, asideMode); err == nil {
				err = again
			}
		}()
	}
	return k.on(ctx, at.path, h, f)
}

func (a databaseAttributes) estate(r connector.Ref) estateOf {
	return func(c catalog, written bool) (*estate, error) {
		return c.estate(relational.Tenancy{Resource: string(r.Resource), Written: written}, poolAttributes{Coverage: a.Coverage}, true)
	}
}

func (k databases) survey(ctx context.Context, _ *session, v connector.Survey, read reacher) error {
	f := func(s *session, of estateOf, path string) error {
		return s.snapshot(ctx, func() error { return read(s, of, path) })
	}
	r := v.Ref
	if r.Resource != "" && !v.Gone {
		_, err := k.reach(ctx, r, reading, f)
		return err
	}
	a, err := k.parse(r)
	if err != nil {
		return err
	}
	if r.Resource == "" {
		return k.memory(ctx, func(s *session) error {
			if err := s.run(ctx, a.DDL+"\n"); err != nil {
				return tenure.Errorf(tenure.Invalid, "the ddl: %w", err)
			}
			return f(s, a.estate(r), "")
		})
	}
	defer k.turns.Take("", r.Name)()
	at, err := k.find(ctx, r.Name, r.Resource, justMark)
	if err != nil || at == nil {
		return err
	}
	if at.odd != "" {
		return tenure.Errorf(tenure.Blocked, "where database %q was stands something that can't be read: %s", r.Name, at.odd).WithHint("look at it, and take it away by hand")
	}
	return k.inside(ctx, at, reading, func(s *session) error { return f(s, a.estate(r), at.path) })
}

func (k pools) reach(ctx context.Context, r connector.Ref, h how, f reacher) (there bool, err error) {
	err = k.onShared(ctx, h, func(s *session) (err error) {
		there, err = k.found(ctx, s, r, f)
		return err
	})
	return there, err
}

func (k pools) found(ctx context.Context, s *session, r connector.Ref, f reacher) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	note, err := k.noteOf(ctx, s, r)
	if err != nil {
		return false, err
	}
	switch {
	case note != nil:
	case k.gone:
		if err := k.free(ctx, s, r, a.spec()); err != nil {
			return false, err
		}
	default:
		n, err := k.has(ctx, s, a)
		if err != nil || n == 0 {
			return false, err
		}
		if twin, _, err := k.beside(ctx, s, r, a.spec()); err != nil || twin {
			return false, err // the rows are another resource's of the tenant
		}
		return false, relational.Claim(k.marker, relational.Note{}, r)
	}
	return true, f(s, a.estate(r), k.shared)
}

func (a poolAttributes) estate(r connector.Ref) estateOf {
	return func(c catalog, written bool) (*estate, error) {
		t := a.tenancy(r)
		t.Written = written
		return c.estate(t, a, false)
	}
}

func (k pools) survey(ctx context.Context, shared *session, v connector.Survey, f reacher) error {
	if v.Ref.Resource != "" && !v.Gone {
		_, err := k.found(ctx, shared, v.Ref, f)
		return err
	}
	a, err := k.parse(v.Ref)
	if err != nil {
		return err
	}
	return f(shared, a.estate(v.Ref), k.shared)
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

// held is what the resource holds as the file is now.
func (s *session) held(ctx context.Context, of estateOf) (*estate, error) {
	if err := s.unveiled(ctx); err != nil {
		return nil, err
	}
	c, err := readCatalog(ctx, s)
	if err != nil {
		return nil, err
	}
	keeps, err := s.keeps(ctx)
	if err != nil {
		return nil, err
	}
	return of(c, keeps)
}

// keeps says whether the tables of what an erasure keeps are in the file.
func (s *session) keeps(ctx context.Context) (bool, error) {
	name, err := s.value(ctx, "select name from sqlite_schema where type = 'table' and name = "+literal(kept.Parents))
	return name != "", err
}

// remove takes the note and the tallies away once no rows are left. Rows that came
// since they were erased are Conflict, rows that no data class covers are Blocked.
func (k pools) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	there, err := k.reach(ctx, r, writing, func(s *session, of estateOf, _ string) error {
		return s.atomic(ctx, func() error {
			e, err := s.held(ctx, of)
			if err != nil {
				return err
			}
			twin, _, err := k.beside(ctx, s, r, poolSpec{e.a.Column, e.a.Key})
			if err != nil {
				return err
			}
			if err := e.remains(ctx, s, twin); err != nil {
				return err
			}
			if err := s.forgetOf(ctx, r.Resource); err != nil {
				return err
			}
			return marks.Delete(ctx, s, r.Type, r.Name)
		})
	})
	if err == nil && !there { // what late rows left after the mark had gone
		err = k.onShared(ctx, writing, func(s *session) error { return s.forgetOf(ctx, r.Resource) })
	}
	rec.Changed = there && err == nil
	return rec, err
}

// forgetOf takes away what is kept of a resource, where anything is kept at all.
func (s *session) forgetOf(ctx context.Context, r tenure.ResourceID) error {
	keeps, err := s.keeps(ctx)
	if err != nil || !keeps {
		return err
	}
	return kept.Forget(ctx, s, string(r))
}

// remains is an error if rows are left: Blocked where no class covers them, else a
// Conflict that a further erasure ends. What no class covers is left to a twin.
func (e *estate) remains(ctx context.Context, s *session, twin bool) error {
	places, err := e.held(ctx, s, connector.Survey{}, true)
	if err != nil {
		return err
	}
	return relational.Remaining(places, twin)
}

// Export is described at connector.Exporter: relational.Archive's form, all of
// it from one snapshot. A blob is given as an object with its hexadecimal digits
// under "hex".
func (d *Driver) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	k, err := d.holder(r, "exported")
	if err != nil {
		return rec, err
	}
	there, err := k.reach(ctx, r, reading, func(s *session, of estateOf, _ string) error {
		return s.snapshot(ctx, func() error {
			e, err := s.held(ctx, of)
			if err != nil {
				return err
			}
			ddl, err := ddlOf(ctx, s, e.Tables)
			if err != nil {
				return err
			}
			a := relational.NewArchive(w, d.now())
			if err := a.Text("schema.sql", ddl); err != nil {
				return err
			}
			if err := e.Export(ctx, s, a); err != nil {
				return err
			}
			err = a.Close()
			rec.Counts = map[string]int64{"rows": a.Rows, "bytes": a.Bytes}
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
