package mysql

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// pools are one tenant's rows in the platform's tables: those whose tenant column has its
// key, and those that are found through them (relational.Holding).
type pools struct {
	*Driver
	gone bool // it was deleted, and its mark with it
}

type poolAttributes struct {
	Schema string `json:"schema"`
	Column string `json:"column"`
	Key    string `json:"key"`
	relational.Coverage
}

// poolSpec is what of it can be observed.
type poolSpec struct {
	Schema string `json:"schema"`
	Column string `json:"column"`
	Key    string `json:"key"`
}

func (k pools) parse(r connector.Ref) (a poolAttributes, err error) {
	if err := relational.CheckName("rows", r.Name, maxName); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if err := checkDatabase("the schema of rows", a.Schema); err != nil {
		return a, err
	}
	if !k.inScope(a.Schema) {
		return a, tenure.Errorf(tenure.Invalid, "rows %q: %q is none of the platform's databases", r.Name, a.Schema).WithHint("name it in the option databases")
	}
	if err := checkIdentifier("the column of rows", a.Column, 64); err != nil {
		return a, err
	}
	if err := relational.CheckName("the key of rows", a.Key, 1000); err != nil {
		return a, err
	}
	return a, checkCoverage(r, a.Coverage, false)
}

func (a poolAttributes) spec() poolSpec { return poolSpec{a.Schema, a.Column, a.Key} }

func poolOf(n *relational.Note) (p poolSpec) {
	if n != nil {
		_ = json.Unmarshal([]byte(n.Get("spec")), &p)
	}
	return p
}

func (k pools) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(a.spec())
}

// tenancy is how the resource's rows are told from others'.
func (a poolAttributes) tenancy(r connector.Ref) relational.Tenancy {
	return relational.Tenancy{Resource: string(r.Resource), Home: a.Schema, Column: a.Column, Key: a.Key, Written: true}
}

// bearers are the tables that have a tenant column, with what each calls it. Those of
// which only a reference tells it, such as the list of tenants, may have the tenant's
// row before Tenure knows of it.
func (k pools) bearers(c catalog, a poolAttributes) (map[*relational.Table]string, error) {
	h, err := relational.NewHolding(k.dialect, c.graph, a.tenancy(connector.Ref{}), a.Coverage)
	if err != nil {
		return nil, err
	}
	out := map[*relational.Table]string{}
	for _, t := range h.Tables {
		if column := h.TenantColumn(t.Table.TableName); column != "" && !h.Carried(t.Table.TableName) {
			out[&t.Table] = column
		}
	}
	return out, nil
}

// counts are the rows of each of the keys, in the tables that a says.
func (k pools) counts(ctx context.Context, s *session, c catalog, a poolAttributes, keys []string) (map[string]int64, error) {
	bearers, err := k.bearers(c, a)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for t, column := range bearers {
		for part := range slices.Chunk(sorted(keys), 200) {
			parts := make([]string, len(part))
			for i, key := range part {
				parts[i] = "select " + strconv.Itoa(i) + ", count(*) from " + k.dialect.Name(t.TableName) + ` as "t" where ` + isKey(*t, "t", column, key)
			}
			var i int
			var n int64
			err := each(ctx, s, strings.Join(parts, " union all "), func() error { out[part[i]] += n; return nil }, &i, &n)
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// shared reads the catalog of the platform's databases.
func (d *Driver) shared(ctx context.Context, s *session) (catalog, error) {
	databases, err := d.databasesOf(ctx, s)
	if err != nil {
		return catalog{}, err
	}
	return readCatalog(ctx, s, databases)
}

// fits is Invalid if there is no tenant column, or the key isn't written as one shows
// it: another tenant's key could be the same value.
func (k pools) fits(c catalog, a poolAttributes) error {
	bearers, err := k.bearers(c, a)
	if err != nil {
		return err
	}
	if len(bearers) == 0 {
		return tenure.Errorf(tenure.Invalid, "no table of the platform's databases has a column %q", a.Column)
	}
	for t, column := range bearers {
		if isKey(*t, "t", column, a.Key) == "false" {
			return tenure.Errorf(tenure.Invalid, "the key %q isn't how %s.%s shows a value of its type", a.Key, t, column).
				WithHint("write the key in the form that the database shows")
		}
	}
	return nil
}

func (k pools) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	text, err := tenure.Canonical(a.spec())
	if err != nil {
		return o, rec, err
	}
	note := relational.NewNote(k.marker, d.Ref).With("spec", string(text)).Seal(k.marker)
	err = k.with(ctx, func(s *session) error {
		c, err := k.shared(ctx, s)
		if err != nil {
			return err
		}
		return s.atomic(ctx, func() error {
			have, err := k.noteOf(ctx, s, d.Ref)
			if err != nil {
				return err
			}
			if have == nil {
				if err := k.fits(c, a); err != nil {
					return err
				}
			}
			n, err := k.counts(ctx, s, c, a, []string{a.Key})
			if err != nil {
				return err
			}
			twin, _, err := k.beside(ctx, s, d.Ref, a.spec())
			if err != nil {
				return err
			}
			o = k.shown(d.Name, &note, a.spec(), n[a.Key])
			switch {
			case have != nil && have.Get("spec") != note.Get("spec"):
				return tenure.Errorf(tenure.Conflict, "rows %q are of another column or key: %s", d.Name, have.Get("spec"))
			case have != nil && have.String() == note.String():
				return nil
			case have == nil && !twin:
				if err := k.strange(ctx, s, c, d.Ref, a); err != nil {
					return err
				}
			}
			if err := k.free(ctx, s, d.Ref, a.spec()); err != nil {
				return err
			}
			rec.Changed = true
			return k.marks.Put(ctx, s, k.marker, note)
		})
	})
	return o, rec, err
}

// strange is Conflict if rows of the tenant's are there before it, save its records.
func (k pools) strange(ctx context.Context, s *session, c catalog, r connector.Ref, a poolAttributes) error {
	h, err := relational.NewHolding(k.dialect, c.graph, a.tenancy(r), a.Coverage)
	if err != nil {
		return err
	}
	bearers, err := k.bearers(c, a)
	if err != nil {
		return err
	}
	where := map[relational.TableName]string{}
	total := int64(0)
	for t, column := range bearers {
		cond := isKey(*t, "t", column, a.Key)
		n, err := count(ctx, s, "select count(*) from "+k.dialect.Name(t.TableName)+` as "t" where `+cond)
		if err != nil {
			return err
		}
		where[t.TableName], total = cond, total+n
	}
	own, err := k.records.Beside(ctx, s, r, where)
	if err != nil {
		return err
	}
	if n := total - own; n > 0 {
		return relational.Present(n, a.Column+" = "+strconv.Quote(a.Key))
	}
	return h.Strange(ctx, s, k.records, r, func(relational.TableName) bool { return false })
}

// free is Conflict if another tenant's resource names the same rows, or any does once
// r's own mark is gone.
func (k pools) free(ctx context.Context, s *session, r connector.Ref, p poolSpec) error {
	twin, taken, err := k.beside(ctx, s, r, p)
	if err == nil && twin && k.gone && taken == "" {
		taken = "another resource of the tenant's"
	}
	if err == nil && taken != "" {
		return tenure.Errorf(tenure.Conflict, "rows %q: %q names the same rows", r.Name, taken)
	}
	return err
}

// beside says whether another resource of the tenant's names the same rows, each
// covering tables of its own, and which of another's does.
func (k pools) beside(ctx context.Context, s *session, r connector.Ref, p poolSpec) (twin bool, taken string, err error) {
	all, err := k.notes(ctx, s, "rows")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n := all[name]
		at := poolOf(n)
		switch {
		case name == r.Name || at.Key != p.Key || at.Column != p.Column:
		case relational.Twin(k.marker, *n, r):
			twin = true
		default:
			taken = name
		}
	}
	return twin, taken, err
}

func (k pools) shown(name string, note *relational.Note, p poolSpec, n int64) connector.Observed {
	if note == nil && n == 0 {
		return connector.Observed{Type: "rows", Name: name}
	}
	o := connector.Observed{Type: "rows", Name: name, Found: true, State: tenure.ResourcePresent, Metrics: map[string]int64{"rows": n}}
	k.owned(&o, note)
	o.Attributes, _ = tenure.Canonical(p)
	return o
}

// kind names what tells the tables that have a tenant column; what it has in common
// with another's can be counted at once.
func (a poolAttributes) kind() string {
	raw, _ := tenure.Canonical([]any{a.Schema, a.Column, a.Coverage})
	return string(raw)
}

func (k pools) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "rows")
	if err != nil {
		return false, err
	}
	asked := make([]poolAttributes, len(refs))
	kinds, keys := map[string]poolAttributes{}, map[string][]string{} // by what tells the tables
	for i, r := range refs {
		a, err := k.parse(r)
		if err != nil {
			return false, err
		}
		if n := notes[r.Name]; n != nil {
			p := poolOf(n)
			a.Schema, a.Column, a.Key = p.Schema, p.Column, p.Key
		}
		asked[i] = a
		kinds[a.kind()], keys[a.kind()] = a, append(keys[a.kind()], a.Key)
	}
	c, err := k.shared(ctx, s)
	if err != nil {
		return false, err
	}
	found := map[string]map[string]int64{}
	for kind, a := range kinds {
		if found[kind], err = k.counts(ctx, s, c, a, keys[kind]); err != nil {
			return false, err
		}
	}
	for i, r := range refs {
		n := found[asked[i].kind()][asked[i].Key]
		for _, other := range notes {
			if notes[r.Name] == nil && poolOf(other) == asked[i].spec() && relational.Twin(k.marker, *other, r) {
				n = 0 // they are another resource's of the tenant
			}
		}
		if err := yield(k.shown(r.Name, notes[r.Name], asked[i].spec(), n)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// discover yields what notes name and, where tables that have a column that a note names
// hold rows of a key that none names, those too: as Unmarked, under "column=key".
func (k pools) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "rows")
	if err != nil {
		return false, err
	}
	var out []connector.Observed
	known, columns := map[[2]string]bool{}, map[string]string{}
	for name, n := range notes {
		p := poolOf(n)
		known[[2]string{p.Column, p.Key}], columns[p.Column] = true, p.Schema
		if !k.elsewhere(n, sc) {
			out = append(out, k.shown(name, n, p, 0))
		}
	}
	c, err := k.shared(ctx, s)
	if err != nil {
		return false, err
	}
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		bearers, err := k.bearers(c, poolAttributes{Schema: columns[column], Column: column})
		if err != nil {
			return false, err
		}
		for t, name := range bearers {
			value, _ := expression("t", name)
			if sortOf(typeOf(*t, name)) == binary || sortOf(typeOf(*t, name)) == shaped {
				continue
			}
			var key string
			err = each(ctx, s, "select distinct "+exactly("cast("+value+" as char)")+" from "+k.dialect.Name(t.TableName)+` as "t" where `+value+" is not null", func() error {
				if at := [2]string{column, key}; !known[at] {
					known[at] = true
					out = append(out, k.shown(column+"="+key, nil, poolSpec{columns[column], column, key}, 1))
				}
				return nil
			}, &key)
			if err != nil {
				return false, err
			}
		}
	}
	for i := range out {
		out[i].Metrics = nil
	}
	return true, byName(out, yield)
}

func (k pools) Adopt(ctx context.Context, r connector.Ref, _ tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	spec, err := tenure.Canonical(a.spec())
	if err != nil {
		return rec, err
	}
	err = k.atomic(ctx, func(s *session) error {
		notes, err := k.notes(ctx, s, "rows")
		if err != nil {
			return err
		}
		if lost, err := k.lost(notes[r.Name], r); err != nil || !lost {
			return err
		}
		if err := k.free(ctx, s, r, a.spec()); err != nil {
			return err
		}
		rec.Changed = true
		return k.marks.Put(ctx, s, k.marker, relational.NewNote(k.marker, r).With("spec", string(spec)))
	})
	return rec, err
}
