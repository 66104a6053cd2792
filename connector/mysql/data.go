package mysql

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// estate is what a resource holds.
type estate struct {
	*relational.Holding
	c     catalog
	a     poolAttributes // Column and Key are those sought outside of a whole store
	whole bool
}

// holder is a kind that holds a tenant's rows.
type holder interface {
	kind
	// there says whether the resource is there to be reached; Conflict if it isn't r's.
	there(ctx context.Context, s *session, r connector.Ref) (bool, error)
	// estate works out what it holds, as the catalog is now.
	estate(ctx context.Context, s *session, r connector.Ref) (*estate, error)
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

// others says which tables are in databases of other tenants' own.
func (d *Driver) others(ctx context.Context, s *session, but string) (func(relational.TableName) bool, error) {
	own, err := d.notes(ctx, s, "database")
	if err != nil {
		return nil, err
	}
	delete(own, but)
	if len(own) == 0 {
		return nil, nil
	}
	return func(n relational.TableName) bool { return own[n.Schema] != nil }, nil
}

func (d *Driver) held(c catalog, t relational.Tenancy, a poolAttributes) (*estate, error) {
	h, err := relational.NewHolding(d.dialect, c.graph, t, a.Coverage)
	if err != nil {
		return nil, err
	}
	h.ByRow, h.BySelf = true, true
	return &estate{Holding: h, c: c, a: a, whole: t.Own != nil}, nil
}

func (k pools) there(ctx context.Context, s *session, r connector.Ref) (bool, error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	n, err := k.noteOf(ctx, s, r)
	switch {
	case err != nil:
		return false, err
	case n != nil:
		return true, nil
	case k.gone:
		return true, k.free(ctx, s, r, a.spec())
	}
	c, err := k.shared(ctx, s)
	if err != nil {
		return false, err
	}
	rows, err := k.counts(ctx, s, c, a, []string{a.Key})
	if err != nil || rows[a.Key] == 0 {
		return false, err
	}
	if twin, _, err := k.beside(ctx, s, r, a.spec()); err != nil || twin {
		return false, err // the rows are another resource's of the tenant
	}
	return false, relational.Claim(k.marker, relational.Note{}, r)
}

func (k pools) estate(ctx context.Context, s *session, r connector.Ref) (*estate, error) {
	a, err := k.parse(r)
	if err != nil {
		return nil, err
	}
	c, err := k.shared(ctx, s)
	if err != nil {
		return nil, err
	}
	t := a.tenancy(r)
	if t.Others, err = k.others(ctx, s, ""); err != nil {
		return nil, err
	}
	return k.held(c, t, a)
}

func (k databases) there(ctx context.Context, s *session, r connector.Ref) (bool, error) {
	d, _, err := k.own(ctx, s, r)
	return d != nil, err
}

func (k databases) estate(ctx context.Context, s *session, r connector.Ref) (*estate, error) {
	a, err := k.parse(r)
	if err != nil {
		return nil, err
	}
	n, err := k.notes(ctx, s, "database")
	if err != nil {
		return nil, err
	}
	home := r.Name
	if isAside(n[r.Name]) {
		home = asideOf(r.Resource)
		a.Coverage = a.Coverage.Within(r.Name)
	}
	schemas := []string{r.Name, home}
	if a.Key != "" {
		more, err := k.databasesOf(ctx, s)
		if err != nil {
			return nil, err
		}
		schemas = sorted(append(schemas, more...))
	}
	c, err := readCatalog(ctx, s, sorted(schemas))
	if err != nil {
		return nil, err
	}
	t := relational.Tenancy{Resource: string(r.Resource), Home: home, Column: a.Column, Key: a.Key, Written: true,
		Own: func(n relational.TableName) bool { return n.Schema == r.Name || n.Schema == home }}
	if t.Others, err = k.others(ctx, s, r.Name); err != nil {
		return nil, err
	}
	return k.held(c, t, poolAttributes{Schema: home, Column: a.Column, Key: a.Key, Coverage: a.Coverage})
}

// remove takes the note and the tallies away once no rows are left. Rows that came since
// they were erased are Conflict, rows that no data class covers are Blocked.
func (k pools) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) error {
		there, err := k.there(ctx, s, r)
		if err != nil {
			return err
		}
		if there {
			e, err := k.estate(ctx, s, r)
			if err != nil {
				return err
			}
			twin, _, err := k.beside(ctx, s, r, e.a.spec())
			if err != nil {
				return err
			}
			if err := e.remains(ctx, s, k.marks, twin); err != nil {
				return err
			}
			rec.Changed = true
		}
		if err := k.kept.Forget(ctx, s, string(r.Resource)); err != nil { // also what late rows left
			return err
		}
		return k.marks.Delete(ctx, s, r.Type, r.Name)
	})
	if err != nil {
		rec = connector.Receipt{}
	}
	return rec, err
}

// remains is an error if rows are left: Blocked where no class covers them, else a
// Conflict that a further erasure ends. What no class covers is left to a twin.
func (e *estate) remains(ctx context.Context, s *session, m relational.Marks, twin bool) error {
	places, err := e.places(ctx, s, m, connector.Survey{}, true)
	if err != nil {
		return err
	}
	return relational.Remaining(places, twin)
}

// Export is described at connector.Exporter: relational.Archive's form, all rows from one
// snapshot. Bytes are given as an object with their hexadecimal digits under "hex".
func (d *Driver) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	k, err := d.holder(r, "exported")
	if err != nil {
		return rec, err
	}
	err = d.with(ctx, func(s *session) error {
		there, err := k.there(ctx, s, r)
		if err == nil && !there {
			err = absent(r)
		}
		if err != nil {
			return err
		}
		e, err := k.estate(ctx, s, r)
		if err != nil {
			return err
		}
		ddl, err := ddlOf(ctx, s, e)
		if err != nil {
			return err
		}
		return s.snapshot(ctx, func() error {
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
	return rec, coded(err)
}

// ddlOf writes the statements that made the tables, with their triggers, as the server
// shows them.
func ddlOf(ctx context.Context, s *session, e *estate) (string, error) {
	var b strings.Builder
	for _, t := range e.Tables {
		var name, text string
		err := each(ctx, s, "show create table "+e.Dialect.Name(t.Table.TableName), func() error { b.WriteString(text + ";\n\n"); return nil }, &name, &text)
		if err != nil {
			return "", err
		}
	}
	for _, g := range e.c.triggers {
		if _, held := e.Table(g.table); !held {
			continue
		}
		var text string
		err := each(ctx, s, "select concat('create trigger ', trigger_name, ' ', lower(action_timing), ' ', lower(event_manipulation), ' on ', event_object_table, ' for each row ', action_statement) from information_schema.triggers where trigger_schema = "+
			literal(g.schema)+" and trigger_name = "+literal(g.name), func() error { b.WriteString(text + ";\n\n"); return nil }, &text)
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// record gives the kind of a resource whose access can be taken off.
func (d *Driver) change(ctx context.Context, r connector.Ref, call string, records func(rowRecords) (connector.Receipt, error), accounted func(accounts) (connector.Receipt, error), granted func(grants) (connector.Receipt, error)) (rec connector.Receipt, err error) {
	any, err := d.kind(r.Type)
	if err != nil {
		return rec, err
	}
	if slices.Contains([]string{"user", "role", "grant"}, r.Type) || r.Type != "rows" && r.Type != "database" {
		if _, err := any.Normalise(connector.Desired{Ref: r}); err != nil {
			return rec, coded(err)
		}
	}
	switch k := any.(type) {
	case rowRecords:
		rec, err = records(k)
	case accounts:
		rec, err = accounted(k)
	case grants:
		rec, err = granted(k)
	default:
		err = tenure.Errorf(tenure.Invalid, "a %s can't be %s", r.Type, call)
	}
	if err != nil {
		rec = connector.Receipt{}
	}
	return rec, coded(err)
}

// Suspend is described at connector.Suspender.
func (d *Driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	const to = tenure.ResourceSuspended
	return d.change(ctx, r, "suspended", func(k rowRecords) (connector.Receipt, error) { return k.disable(ctx, r, to) },
		func(k accounts) (connector.Receipt, error) { return k.cut(ctx, r, to) }, func(k grants) (connector.Receipt, error) { return k.cut(ctx, r, to) })
}

// Resume is described at connector.Suspender.
func (d *Driver) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.change(ctx, r, "resumed", func(k rowRecords) (connector.Receipt, error) { return k.resume(ctx, r) },
		func(k accounts) (connector.Receipt, error) { return k.resume(ctx, r) }, func(k grants) (connector.Receipt, error) { return k.resume(ctx, r) })
}

// Revoke is described at connector.Revoker. A user gets a password that nobody has, and
// a credential's digest in a row is replaced.
func (d *Driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	const to = tenure.ResourceRevoked
	return d.change(ctx, r, "revoked", func(k rowRecords) (connector.Receipt, error) { return k.disable(ctx, r, to) },
		func(k accounts) (connector.Receipt, error) { return k.cut(ctx, r, to) }, func(k grants) (connector.Receipt, error) { return k.cut(ctx, r, to) })
}
