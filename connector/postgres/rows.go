package postgres

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

// pools are one tenant's rows in shared tables: those whose tenant column has its
// key, and those that are found through them (relational.Holding).
type pools struct {
	*Driver
	gone bool // it was deleted, and its mark with it
}

type poolAttributes struct {
	Schema string `json:"schema"`
	Column string `json:"column"`
	Key    string `json:"key"`
	Seed   string `json:"seed"`
	relational.Coverage
}

// poolSpec is what of it can be observed.
type poolSpec struct {
	Column string `json:"column"`
	Key    string `json:"key"`
	Schema string `json:"schema"`
}

func (k pools) parse(r connector.Ref) (a poolAttributes, err error) {
	if err := relational.CheckName("rows", r.Name, 200); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if err := checkNames("what rows names", a.Schema, a.Column); err != nil {
		return a, err
	}
	if err := a.Check(r, false); err != nil {
		return a, err
	}
	if strings.ContainsRune(a.Seed, 0) {
		return a, tenure.Errorf(tenure.Invalid, "rows %q: the seed holds a NUL byte", r.Name)
	}
	return a, checkKey(r, a.Key)
}

func (a poolAttributes) spec() poolSpec { return poolSpec{a.Column, a.Key, a.Schema} }

func (p poolSpec) object() string { return p.Schema + "\x00" + p.Column + "\x00" + p.Key }

// shared is where rows of many tenants stand.
func (p poolSpec) shared() string { return p.Schema + "\x00" + p.Column }

func (k pools) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(a.spec())
}

// bearing is a table that has the tenant column, with the column's type.
type bearing struct{ table, typ string }

// bearers are the tables of a schema that have the tenant column and belong to no
// tenant's role, and whether every row of them can be seen.
func bearers(ctx context.Context, s *session, schema, column string) (tables []bearing, whole bool, err error) {
	type one struct {
		bearing
		whole bool
		owner string
	}
	var all []one
	var owners []string
	err = s.simple(ctx, `select c.relname, (has_table_privilege(c.oid, 'select') and not row_security_active(c.oid))::text, format_type(a.atttypid, null),
 case when c.relowner = (select oid from pg_roles where rolname = current_user) then '' else pg_get_userbyid(c.relowner) end
 from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where n.nspname = `+literal(schema)+` and a.attname = `+literal(column)+` and c.relkind in ('r', 'p')
 and not exists (select 1 from pg_inherits h where h.inhrelid = c.oid) order by c.relname collate "C"`, func(_ int, v [][]byte) error {
		all, owners = append(all, one{bearing{string(v[0]), string(v[2])}, string(v[1]) == "true", string(v[3])}), append(owners, string(v[3]))
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	theirs, err := tenantsAmong(ctx, s, owners)
	whole = true
	for _, t := range all {
		if own, is := theirs[t.owner]; is {
			whole = whole && own // one of the platform's that a tenant came into isn't read either, and holds rows
			continue
		}
		tables, whole = append(tables, t.bearing), whole && t.whole
	}
	return tables, whole, err
}

// counts are the rows of the keys, as the database shows them, in the tables that
// bear the tenant column. No row has a key that isn't written as its type shows it.
func counts(ctx context.Context, s *session, schema, column string, tables []bearing, keys []string) (map[string]int64, error) {
	out := map[string]int64{}
	for _, t := range tables {
		at, asked := comparable(quote(column), t.typ, keys)
		if len(asked) == 0 {
			continue
		}
		err := s.simple(ctx, "select "+quote(column)+"::text, count(*)::text from "+quote(schema, t.table)+" where "+at+" in ("+literals(asked)+") group by 1",
			func(_ int, v [][]byte) error {
				if !slices.Contains(keys, string(v[0])) {
					return nil
				}
				n, err := strconv.ParseInt(string(v[1]), 10, 64)
				out[string(v[0])] += n
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// comparable is a column of a type as it can be compared with keys, by an index
// where that goes, and those of the keys that can be values of it.
func comparable(at, typ string, keys []string) (string, []string) {
	only := func(is func(string) bool) []string {
		return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !is(k) })
	}
	bits := map[string]int{"smallint": 16, "integer": 32, "bigint": 64}[typ]
	switch typ {
	case "text", "name", "character varying", "character":
		return at, keys
	case "smallint", "integer", "bigint":
		return at, only(func(k string) bool {
			_, err := strconv.ParseInt(k, 10, bits)
			return err == nil && isInteger(k)
		})
	case "uuid":
		return at, only(func(k string) bool { return uuidForm.MatchString(k) && k == strings.ToLower(k) && len(k) == 36 })
	case "numeric":
		return at, only(numbers.MatchString)
	}
	return at + "::text", keys
}

// byKey is what is held by a key, before anything is kept of it.
func (d *Driver) byKey(ctx context.Context, s *session, tenant tenure.TenantID, t relational.Tenancy, cover relational.Coverage) (*relational.Holding, error) {
	g, err := graphOf(ctx, s, t.Home, t.Column, cover)
	if err != nil {
		return nil, err
	}
	if t.Others, err = d.others(ctx, s, g, tenant); err != nil {
		return nil, err
	}
	return relational.NewHolding(dialect{}, g, t, cover)
}

// fits is Invalid if the key isn't a value of a tenant column's type, or if the
// database would show it otherwise: another tenant's key could be the same value.
func fits(ctx context.Context, s *session, h *relational.Holding, key string) error {
	seen := map[string]bool{"text": true, "character varying": true}
	for _, r := range h.Tables {
		name := h.TenantColumn(r.Table.TableName)
		c, has := r.Table.Column(name)
		if !has || seen[c.Type] {
			continue
		}
		seen[c.Type] = true
		at, shown := r.Table.String()+"."+name, ""
		err := s.simple(ctx, "select v::text, v = "+literal(key)+" from (select "+literal(key)+"::"+c.Type+") x (v)", func(_ int, v [][]byte) error { shown = string(v[0]); return nil })
		if state(err) == "42883" {
			return tenure.Errorf(tenure.Invalid, "%s can't be a tenant column: values of its type, %s, can't be compared", at, c.Type).
				WithHint("keep the key in a column of another type, such as text")
		}
		if class := state(err); len(class) == 5 && (class[:2] == "22" || class[:2] == "23") {
			return tenure.Errorf(tenure.Invalid, "the key %q can't stand in %s, whose type is %s", key, at, c.Type).WithHint("give the tenant a key that is a value of this type")
		}
		if err != nil {
			return err
		}
		if shown != key {
			return tenure.Errorf(tenure.Invalid, "the key %q reads back from %s as %q, which isn't how it was written", key, at, shown).
				WithHint("write the key in the form that the database shows")
		}
	}
	return nil
}

func (k pools) has(ctx context.Context, s *session, p poolSpec) (int64, error) {
	tables, whole, err := bearers(ctx, s, p.Schema, p.Column)
	if err != nil {
		return 0, err
	}
	if !whole {
		return 0, tenure.Errorf(tenure.Forbidden, "the rows of schema %q can't all be seen", p.Schema).
			WithHint("grant select on its tables to the role of the option dsn, with bypassrls where row security is on; and take tenants' roles out of those that own such tables")
	}
	n, err := counts(ctx, s, p.Schema, p.Column, tables, []string{p.Key})
	var sum int64
	for _, c := range n {
		sum += c
	}
	return sum, err
}

func (k pools) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.noteOf(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		held, err := k.byKey(ctx, s, d.Tenant, relational.Tenancy{Home: a.Schema, Column: a.Column, Key: a.Key}, a.Coverage)
		if err != nil {
			return err
		}
		if have == nil {
			if err := fits(ctx, s, held, a.Key); err != nil {
				return err
			}
		}
		n, err := k.has(ctx, s, a.spec())
		if err != nil {
			return err
		}
		spec, err := tenure.Canonical(a.spec())
		if err != nil {
			return err
		}
		note := k.noteBy(d.Ref, spec, a.spec().object(), a.spec().shared())
		twin, _, err := k.beside(ctx, s, d.Ref, note.Get("on"))
		if err != nil {
			return err
		}
		strange := n
		if have == nil && n > 0 && !twin {
			if strange, err = k.strange(ctx, s, d.Ref, a.spec(), n); err != nil {
				return err
			}
		}
		switch {
		case have != nil && have.Get("on") != note.Get("on"):
			return tenure.Errorf(tenure.Conflict, "rows %q are of another schema, column or key: %s", d.Name, have.Get("spec"))
		case have != nil && have.String() == note.String():
			o = k.shown(d.Name, have, a.spec(), n)
			return nil
		case have == nil && strange > 0 && !twin:
			return relational.Present(strange, a.Column+" = "+strconv.Quote(a.Key))
		}
		if have == nil {
			if err := k.unheld(ctx, s, d, held, a.Key, []poolSpec{a.spec()}); err != nil {
				return err
			}
		}
		statements := []string{k.putNote(note)}
		if have == nil && strings.TrimSpace(a.Seed) != "" {
			statements = append(statements, "set local search_path to "+quote(a.Schema), a.Seed+"\n", "set local search_path to pg_catalog")
		}
		if err := k.free(ctx, s, d.Ref, note.Get("on")); err != nil {
			return err
		}
		if err := alone(ctx, s, held, d.Ref, a.Key, func() (map[string]string, error) { return k.keysBeside(ctx, s, d.Name, a) }); err != nil {
			return err
		}
		rec.Changed = true
		if err := s.run(ctx, statements, "", nil); err != nil {
			return err
		}
		if n, err = k.has(ctx, s, a.spec()); err != nil {
			return err
		}
		o = k.shown(d.Name, &note, a.spec(), n)
		return nil
	})
	return o, rec, err
}

// strange is how many of n rows with the key aren't accounts, settings and the like of
// the same tenant, which may have been made first.
func (k pools) strange(ctx context.Context, s *session, r connector.Ref, p poolSpec, n int64) (int64, error) {
	tables, _, err := bearers(ctx, s, p.Schema, p.Column)
	if err != nil {
		return n, err
	}
	where := map[relational.TableName]string{}
	for _, t := range tables {
		if at, asked := comparable(quote(p.Column), t.typ, []string{p.Key}); len(asked) > 0 {
			where[relational.TableName{Schema: p.Schema, Name: t.table}] = at + " = " + literal(asked[0])
		}
	}
	own, err := k.records.Beside(ctx, s, r, where)
	return n - own, err
}

// free is Conflict if another tenant's resource names the same rows, or any does once
// r's own mark is gone.
func (k pools) free(ctx context.Context, s *session, r connector.Ref, on string) error {
	twin, taken, err := k.beside(ctx, s, r, on)
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
func (k pools) beside(ctx context.Context, s *session, r connector.Ref, on string) (twin bool, taken string, err error) {
	err = s.simple(ctx, "select note from tenure.mark where type = 'rows' and "+placeSQL+" = "+literal(on)+" and name <> "+literal(r.Name), func(_ int, v [][]byte) error {
		if n := relational.ParseNote(string(v[0])); relational.Twin(k.marker, n, r) {
			twin = true
		} else {
			taken = n.Name
		}
		return nil
	})
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

// poolPlace is where keys of many tenants stand.
type poolPlace struct{ schema, column string }

// observe counts the rows of many keys with one query for each table.
func (k pools) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	specs, names, notes := make([]poolSpec, len(refs)), make([]string, len(refs)), map[string]relational.Note{}
	for i, r := range refs {
		a, err := k.parse(r)
		if err != nil {
			return false, err
		}
		specs[i], names[i] = a.spec(), r.Name
	}
	err := s.simple(ctx, "select note from tenure.mark where type = 'rows' and name in ("+literals(append(slices.Clone(names), ""))+")", func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[0]))
		notes[n.Name] = n
		return nil
	})
	if err != nil {
		return false, err
	}
	keys := map[poolPlace][]string{}
	for i := range refs {
		if n, ok := notes[names[i]]; ok {
			var p poolSpec
			if json.Unmarshal([]byte(n.Get("spec")), &p) == nil {
				specs[i] = p
			}
		}
		p := poolPlace{specs[i].Schema, specs[i].Column}
		keys[p] = append(keys[p], specs[i].Key)
	}
	whole, found := true, map[poolPlace]map[string]int64{}
	for p, list := range keys {
		tables, all, err := bearers(ctx, s, p.schema, p.column)
		if err != nil {
			return false, err
		}
		if whole = whole && all; !all {
			continue
		}
		if found[p], err = counts(ctx, s, p.schema, p.column, tables, sorted(list)); err != nil {
			return false, err
		}
	}
	for i := range refs {
		var note *relational.Note
		n := found[poolPlace{specs[i].Schema, specs[i].Column}][specs[i].Key]
		if have, ok := notes[names[i]]; ok {
			note = &have
		} else if n > 0 {
			twin, _, err := k.beside(ctx, s, refs[i], place(specs[i].object()))
			if err != nil {
				return false, err
			}
			if twin {
				n = 0
			}
		}
		if err := yield(k.shown(names[i], note, specs[i], n)); err != nil {
			return false, &stopped{err}
		}
	}
	return whole, nil
}

// discover yields what notes name and, where tables that a note names hold rows
// of a key that none names, those too: as Unmarked, under "schema.column=key".
func (k pools) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return false, err
	}
	var out []connector.Observed
	known := map[poolSpec]bool{}
	places := map[poolSpec]bool{}
	for _, n := range all {
		var p poolSpec
		_ = json.Unmarshal([]byte(n.Get("spec")), &p)
		known[p] = true
		places[poolSpec{Schema: p.Schema, Column: p.Column}] = true
		if k.elsewhere(n, sc) {
			continue
		}
		o := k.shown(n.Name, &n, p, 0)
		o.Metrics = nil
		out = append(out, o)
	}
	whole := true
	for p := range places {
		tables, seen, err := bearers(ctx, s, p.Schema, p.Column)
		if err != nil {
			return false, err
		}
		if whole = whole && seen; !seen {
			continue
		}
		var parts []string
		for _, t := range tables {
			parts = append(parts, "select "+quote(p.Column)+"::text as key from "+quote(p.Schema, t.table)+" where "+quote(p.Column)+" is not null")
		}
		if len(parts) == 0 {
			continue
		}
		err = s.simple(ctx, "select distinct key from ("+strings.Join(parts, " union all ")+") u", func(_ int, v [][]byte) error {
			if one := (poolSpec{p.Column, string(v[0]), p.Schema}); !known[one] {
				o := k.shown(p.Schema+"."+p.Column+"="+one.Key, nil, one, 1)
				o.Metrics = nil
				out = append(out, o)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	slices.SortFunc(out, func(a, b connector.Observed) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range out {
		if err := yield(o); err != nil {
			return false, &stopped{err}
		}
	}
	return whole, nil
}
