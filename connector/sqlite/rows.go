package sqlite

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// pools are one tenant's rows in the platform's database: those whose tenant column
// has its key, and those that are found through them (relational.Holding).
type pools struct {
	*Driver
	gone bool // it was deleted, and its mark with it
}

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
	return a, checkCoverage(r, a.Coverage, false)
}

func (a poolAttributes) spec() poolSpec { return poolSpec{a.Column, a.Key} }

// specOfNote is what a note of ours says of the rows that it speaks for.
func specOfNote(n relational.Note) (p poolSpec) {
	_ = json.Unmarshal([]byte(n.Get("spec")), &p)
	return p
}

func (k pools) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(a.spec())
}

// asText is a value as text, in an order of bytes.
func asText(value string) string { return "cast(" + value + " as text) collate binary" }

// tenancy is how the resource's rows are told from others'.
func (a poolAttributes) tenancy(r connector.Ref) relational.Tenancy {
	return relational.Tenancy{Resource: string(r.Resource), Column: a.Column, Key: a.Key}
}

// bearers are the tables that have a tenant column, with what each calls it. Those
// of which only a reference tells it, such as the list of tenants, may have the
// tenant's row before Tenure knows of it.
func (c catalog) bearers(a poolAttributes) (map[*relational.Table]string, error) {
	h, err := relational.NewHolding(dialect{}, c.graph, a.tenancy(connector.Ref{}), c.within(a.Coverage))
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
func counts(ctx context.Context, s *session, cat catalog, a poolAttributes, keys []string) (map[string]int64, error) {
	bearers, err := cat.bearers(a)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for t, c := range bearers {
		kind, value := affinityOf(*t, c), valueOf("", c)
		asked := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return otherForm(kind, k) })
		if len(asked) == 0 {
			continue
		}
		var typ, text string
		var n int64
		err := s.each(ctx, "select typeof("+value+"), "+asText(value)+", count(*) from "+quote(t.Name)+" where "+isKey(value, kind, asked...)+" group by 1, 2", func() error {
			out[keyOf(typ, text)] += n
			return nil
		}, &typ, &text, &n)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// otherForm says that a key isn't written as a column of that affinity shows it,
// so no value there is it.
func otherForm(affinity, key string) bool {
	return affinity == "numeric" && numeral.MatchString(key) && !isNumber(key)
}

// fits is Invalid if there is no tenant column, or the key isn't written as one
// shows it: another tenant's key could be the same value.
func (k pools) fits(ctx context.Context, s *session, a poolAttributes) error {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return err
	}
	bearers, err := c.bearers(a)
	if err != nil {
		return err
	}
	if len(bearers) == 0 {
		return tenure.Errorf(tenure.Invalid, "no table of the platform's database has a column %q", a.Column)
	}
	for t, name := range bearers {
		if otherForm(affinityOf(*t, name), a.Key) {
			return tenure.Errorf(tenure.Invalid, "the key %q isn't how %s.%s shows the number", a.Key, t.Name, name).
				WithHint("write the key in the form that the database shows")
		}
	}
	return nil
}

// noteOf reads the note of r: nil if there is none, Conflict if it isn't ours.
func (k pools) noteOf(ctx context.Context, s *session, r connector.Ref) (*relational.Note, error) {
	n, found, err := marks.Free(ctx, s, k.marker, r)
	if err != nil || !found {
		return nil, err
	}
	return &n, nil
}

// has counts r's rows; there are none where no table can have any.
func (k pools) has(ctx context.Context, s *session, a poolAttributes) (int64, error) {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return 0, err
	}
	n, err := counts(ctx, s, c, a, []string{a.Key})
	return n[a.Key], err
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
	err = k.onShared(ctx, writing, func(s *session) error {
		return s.atomic(ctx, func() error {
			have, err := k.noteOf(ctx, s, d.Ref)
			if err != nil {
				return err
			}
			if have == nil {
				if err := k.fits(ctx, s, a); err != nil {
					return err
				}
			}
			n, err := k.has(ctx, s, a)
			if err != nil {
				return err
			}
			twin, _, err := k.beside(ctx, s, d.Ref, a.spec())
			if err != nil {
				return err
			}
			o = k.shown(d.Name, &note, a.spec(), n)
			strange := n
			if have == nil && n > 0 && !twin {
				if strange, err = k.strange(ctx, s, d.Ref, a, n); err != nil {
					return err
				}
			}
			switch {
			case have != nil && have.Get("spec") != note.Get("spec"):
				return tenure.Errorf(tenure.Conflict, "rows %q are of another column or key: %s", d.Name, have.Get("spec"))
			case have != nil && have.String() == note.String():
				return nil
			case have == nil && strange > 0 && !twin:
				return relational.Present(strange, a.Column+" = "+strconv.Quote(a.Key))
			}
			if have == nil && !twin {
				if err := k.unheld(ctx, s, d.Ref, a); err != nil {
					return err
				}
			}
			if err := k.free(ctx, s, d.Ref, a.spec()); err != nil {
				return err
			}
			rec.Changed = true
			return marks.Put(ctx, s, k.marker, note)
		})
	})
	return o, rec, err
}

// strange is how many of n rows with the key aren't accounts, settings and the like of
// the same tenant, which may have been made first.
func (k pools) strange(ctx context.Context, s *session, r connector.Ref, a poolAttributes, n int64) (int64, error) {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return n, err
	}
	bearers, err := c.bearers(a)
	if err != nil {
		return n, err
	}
	where := map[relational.TableName]string{}
	for t, column := range bearers {
		where[t.TableName] = isKey(valueOf("", column), affinityOf(*t, column), a.Key)
	}
	own, err := k.records.Beside(ctx, s, r, where)
	return n - own, err
}

// unheld is Conflict if rows that no tenant column tells, and that references lead to, are
// there already.
func (k pools) unheld(ctx context.Context, s *session, r connector.Ref, a poolAttributes) error {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return err
	}
	h, err := relational.NewHolding(dialect{}, c.graph, a.tenancy(r), c.within(a.Coverage))
	if err != nil {
		return err
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
	all, err := marks.All(ctx, s, dialect{}, "rows")
	for _, n := range all {
		switch {
		case n.Name == r.Name || specOfNote(n) != p:
		case relational.Twin(k.marker, n, r):
			twin = true
		default:
			taken = n.Name
		}
	}
	return twin, taken, err
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
func (k pools) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return false, err
	}
	notes := make(map[string]*relational.Note, len(all))
	for i := range all {
		notes[all[i].Name] = &all[i]
	}
	asked := make([]poolAttributes, len(refs))
	kinds, keys := map[string]poolAttributes{}, map[string][]string{} // by what tells the tables
	for i, r := range refs {
		a, err := k.parse(r)
		if err != nil {
			return false, err
		}
		if n := notes[r.Name]; n != nil {
			p := specOfNote(*n)
			a.Column, a.Key = p.Column, p.Key
		}
		asked[i] = a
		kinds[a.kind()], keys[a.kind()] = a, append(keys[a.kind()], a.Key)
	}
	c, err := readCatalog(ctx, s)
	if err != nil {
		return false, err
	}
	found := map[string]map[string]int64{}
	for kind, a := range kinds {
		if found[kind], err = counts(ctx, s, c, a, keys[kind]); err != nil {
			return false, err
		}
	}
	for i, r := range refs {
		n := found[asked[i].kind()][asked[i].Key]
		for j := range all {
			if notes[r.Name] == nil && specOfNote(all[j]) == asked[i].spec() && relational.Twin(k.marker, all[j], r) {
				n = 0 // they are another resource's of the tenant
			}
		}
		if err := yield(k.shown(r.Name, notes[r.Name], asked[i].spec(), n)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// kind names what tells the tables that have a tenant column; what it has in
// common with another's can be counted at once.
func (a poolAttributes) kind() string {
	raw, _ := tenure.Canonical([]any{a.Column, a.Coverage})
	return string(raw)
}

// discover yields what notes name and, where tables that have a column that a
// note names hold rows of a key that none names, those too: as Unmarked, under
// "column=key".
func (k pools) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return false, err
	}
	var out []connector.Observed
	known, columns := map[poolSpec]bool{}, map[string]bool{}
	for _, n := range all {
		p := specOfNote(n)
		known[p], columns[p.Column] = true, true
		if t := n.Get("tenant"); sc.Tenant == "" || t == "" || t == string(sc.Tenant) {
			out = append(out, k.shown(n.Name, &n, p, 0))
		}
	}
	cat, err := readCatalog(ctx, s)
	if err != nil {
		return false, err
	}
	for column := range columns {
		var parts []string
		bearers, err := cat.bearers(poolAttributes{Column: column})
		if err != nil {
			return false, err
		}
		for t, c := range bearers {
			parts = append(parts, "select typeof("+quote(c)+") as typ, "+asText(quote(c))+" as key from "+quote(t.Name)+" where "+quote(c)+" is not null")
		}
		if len(parts) == 0 {
			continue
		}
		var typ, text string
		err = s.each(ctx, "select distinct typ, key collate binary from ("+strings.Join(parts, " union all ")+")", func() error {
			one := poolSpec{column, keyOf(typ, text)}
			if !known[one] {
				known[one] = true
				out = append(out, k.shown(column+"="+one.Key, nil, one, 1))
			}
			return nil
		}, &typ, &text)
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
