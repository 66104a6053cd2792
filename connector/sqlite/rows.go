package sqlite

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// pools are one tenant's rows in the platform's database: those whose tenant
// column has its key, and all that refer to them by foreign keys.
type pools struct{ *Driver }

type poolAttributes struct {
	Column string `json:"column"`
	Key    string `json:"key"`
	relational.Coverage
}

// poolSpec is what of it can be observed.
type poolSpec struct {
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
	if err := relational.CheckName("the column of rows", a.Column, maxName); err != nil {
		return a, err
	}
	if err := relational.CheckName("the key of rows", a.Key, 1000); err != nil {
		return a, err
	}
	return a, a.Check(r, false)
}

func (a poolAttributes) spec() poolSpec { return poolSpec{a.Column, a.Key} }

func (k pools) normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(a.spec())
}

// exactly is a column's value compared byte by byte, whatever its collation.
func exactly(column string) string { return quote(column) + " collate binary" }

// asText is a column's value as text, in an order of bytes.
func asText(column string) string { return "cast(" + quote(column) + " as text) collate binary" }

// bearers are the tables that have the column, under the name that they give it.
func bearers(g *relational.Graph, column string) map[string]string {
	out := map[string]string{}
	for _, t := range g.Tables() {
		if i := slices.IndexFunc(t.Columns, func(c relational.Column) bool { return strings.EqualFold(c.Name, column) }); i >= 0 {
			out[t.Name] = t.Columns[i].Name
		}
	}
	return out
}

// counts are the rows of each of the keys.
func counts(ctx context.Context, s *session, g *relational.Graph, column string, keys []string) (map[string]int64, error) {
	out := map[string]int64{}
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = literal(key)
	}
	for t, c := range bearers(g, column) {
		var key string
		var n int64
		err := s.each(ctx, "select "+asText(c)+", count(*) from "+quote(t)+" where "+exactly(c)+" in ("+strings.Join(list, ", ")+") group by 1", func() error {
			if !slices.Contains(keys, key) {
				return tenure.Errorf(tenure.Invalid, "a key of %s reads back as %q, which isn't how it was written", t, key).
					WithHint("write the key in the form that the database shows")
			}
			out[key] += n
			return nil
		}, &key, &n)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noteOf reads the note of r: nil if there is none, Conflict if it isn't ours.
func (k pools) noteOf(ctx context.Context, s *session, r connector.Ref) (*relational.Note, error) {
	n, found, err := marks.Free(ctx, s, k.marker, r)
	if err != nil || !found {
		return nil, err
	}
	return &n, nil
}

// has counts r's rows.
func (k pools) has(ctx context.Context, s *session, p poolSpec) (int64, error) {
	g, err := dialect{}.Graph(ctx, s)
	if err != nil {
		return 0, err
	}
	if len(bearers(g, p.Column)) == 0 {
		return 0, tenure.Errorf(tenure.Invalid, "no table of the platform's database has a column %q", p.Column)
	}
	n, err := counts(ctx, s, g, p.Column, []string{p.Key})
	return n[p.Key], err
}

func (k pools) ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	text, err := tenure.Canonical(a.spec())
	if err != nil {
		return o, rec, err
	}
	note := relational.NewNote(k.marker, d.Ref).With("spec", string(text))
	err = k.onShared(ctx, writing, func(s *session) error {
		return s.atomic(ctx, func() error {
			have, err := k.noteOf(ctx, s, d.Ref)
			if err != nil {
				return err
			}
			n, err := k.has(ctx, s, a.spec())
			if err != nil {
				return err
			}
			o = k.shown(d.Name, &note, a.spec(), n)
			switch {
			case have != nil && have.Get("spec") != note.Get("spec"):
				return tenure.Errorf(tenure.Conflict, "rows %q are of another column or key: %s", d.Name, have.Get("spec"))
			case have != nil && have.String() == note.String():
				return nil
			case have == nil && n > 0:
				return tenure.Errorf(tenure.Conflict, "%d rows with %s = %q are there already and no owner mark names them", n, a.Column, a.Key)
			}
			if err := k.free(ctx, s, note); err != nil {
				return err
			}
			rec.Changed = true
			return marks.Put(ctx, s, note)
		})
	})
	return o, rec, err
}

// free is Conflict if another resource names the same rows.
func (k pools) free(ctx context.Context, s *session, note relational.Note) error {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	for _, n := range all {
		if err == nil && n.Name != note.Name && n.Get("spec") == note.Get("spec") {
			err = tenure.Errorf(tenure.Conflict, "rows %q: %q names the same rows", note.Name, n.Name)
		}
	}
	return err
}

func (k pools) shown(name string, note *relational.Note, p poolSpec, n int64) connector.Observed {
	if note == nil && n == 0 {
		return connector.Observed{Type: "rows", Name: name}
	}
	o := connector.Observed{Type: "rows", Name: name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked, Metrics: map[string]int64{"rows": n}}
	if note != nil {
		o.Resource, o.Owner = note.Read(k.marker, "rows")
	}
	o.Attributes, _ = tenure.Canonical(p)
	return o
}

// observe counts the rows of many keys with one query for each table.
func (k pools) observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return false, err
	}
	notes := make(map[string]*relational.Note, len(all))
	for i := range all {
		notes[all[i].Name] = &all[i]
	}
	specs, keys := make([]poolSpec, len(refs)), map[string][]string{}
	for i, r := range refs {
		a, err := k.parse(r)
		if err != nil {
			return false, err
		}
		specs[i] = a.spec()
		if n := notes[r.Name]; n != nil {
			_ = json.Unmarshal([]byte(n.Get("spec")), &specs[i])
		}
		keys[specs[i].Column] = append(keys[specs[i].Column], specs[i].Key)
	}
	g, err := dialect{}.Graph(ctx, s)
	if err != nil {
		return false, err
	}
	found := map[string]map[string]int64{}
	for column, list := range keys {
		if found[column], err = counts(ctx, s, g, column, list); err != nil {
			return false, err
		}
	}
	for i, r := range refs {
		if err := yield(k.shown(r.Name, notes[r.Name], specs[i], found[specs[i].Column][specs[i].Key])); err != nil {
			return false, err
		}
	}
	return true, nil
}

// discover yields what notes name and, where tables that have a column that a
// note names hold rows of a key that none names, those too: as Unmarked, under
// "column=key".
func (k pools) discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return false, err
	}
	var out []connector.Observed
	known, columns := map[poolSpec]bool{}, map[string]bool{}
	for _, n := range all {
		var p poolSpec
		_ = json.Unmarshal([]byte(n.Get("spec")), &p)
		known[p], columns[p.Column] = true, true
		if t := n.Get("tenant"); sc.Tenant == "" || t == "" || t == string(sc.Tenant) {
			out = append(out, k.shown(n.Name, &n, p, 0))
		}
	}
	g, err := dialect{}.Graph(ctx, s)
	if err != nil {
		return false, err
	}
	for column := range columns {
		var parts []string
		for t, c := range bearers(g, column) {
			parts = append(parts, "select "+asText(c)+" as key from "+quote(t)+" where "+quote(c)+" is not null")
		}
		if len(parts) == 0 {
			continue
		}
		var key string
		err := s.each(ctx, "select distinct key collate binary from ("+strings.Join(parts, " union all ")+")", func() error {
			if one := (poolSpec{column, key}); !known[one] {
				out = append(out, k.shown(column+"="+key, nil, one, 1))
			}
			return nil
		}, &key)
		if err != nil {
			return false, err
		}
	}
	slices.SortFunc(out, func(a, b connector.Observed) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range out {
		o.Metrics = nil
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return true, nil
}
