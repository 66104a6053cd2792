package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// schemas are a tenant's own schemas. The note keeps the digest of the ddl that
// was applied and the shape that it gives a schema, so that drift is seen in
// the catalog and not remembered.
type schemas struct{ *Driver }

type schemaAttributes struct {
	Owner string `json:"owner"`
	DDL   string `json:"ddl"`
	Seed  string `json:"seed"`
	relational.Elsewhere
	relational.Coverage
}

func (k schemas) parse(r connector.Ref) (a schemaAttributes, err error) {
	if err := checkName(r); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if a.Owner != "" {
		if err := checkRole(r, a.Owner); err != nil {
			return a, err
		}
	}
	if strings.ContainsRune(a.DDL+a.Seed, 0) {
		return a, tenure.Errorf(tenure.Invalid, "schema %q: the ddl or seed holds a NUL byte", r.Name)
	}
	if err := a.Elsewhere.Check(r); err != nil {
		return a, err
	}
	if err := a.Coverage.Check(r, true); err != nil {
		return a, err
	}
	if strings.TrimSpace(a.DDL) == "" {
		a.DDL = ""
	}
	return a, nil
}

// tenancy is how the tenant's rows are told, where the schema has a name.
func (a schemaAttributes) tenancy(home string) relational.Tenancy {
	return relational.Tenancy{Home: home, Column: a.Column, Key: a.Key, Own: func(t relational.TableName) bool { return t.Schema == home }}
}

func (a schemaAttributes) digest() string {
	if a.DDL == "" {
		return ""
	}
	return tenure.Digest([]byte(a.DDL))
}

func (k schemas) normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return k.shaped(a.digest(), a.Owner, false), nil
}

func (k schemas) shaped(ddl, owner string, public bool) json.RawMessage {
	var o object
	o.text("ddl", ddl)
	if owner != k.user {
		o.text("owner", owner)
	}
	if public {
		o.flag("public", true)
	}
	return o.done()
}

// shapeOf is an expression for the form of a schema's tables: names, kinds,
// columns with type and nullability, and row security. It goes by pg_depend,
// since pg_class has no index on the schema alone.
func shapeOf(oid string) string {
	return `coalesce((select md5(string_agg(format('%s %s %s %s %s %s %s %s', c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
 a.attname, t.typname, a.atttypmod, a.attnotnull), E'\n' order by c.relname collate "C", a.attname collate "C"))
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p', 'v', 'm', 'f')
 left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_type t on t.oid = a.atttypid
 where p.refclassid = 'pg_namespace'::regclass and p.refobjid = ` + oid + ` and p.classid = 'pg_class'::regclass), 'none')`
}

// schemasSQL reads schemas; what bears no ddl in its note isn't measured.
var schemasSQL = `select n.nspname as ` + seen + `, coalesce(d.description, ''), pg_get_userbyid(n.nspowner),
 (n.nspacl is not null and exists (select 1 from aclexplode(n.nspacl) x where x.grantee = 0))::text,
 case when d.description like '% ddl=%' then ` + shapeOf("n.oid") + ` end
 from pg_namespace n `

// withBytes adds the size that the schema's tables take.
var schemasWithBytes = strings.Replace(schemasSQL, "\n from pg_namespace n ", `, (select coalesce(sum(pg_total_relation_size(c.oid)), 0)::text
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'm') where p.refclassid = 'pg_namespace'::regclass
 and p.refobjid = n.oid and p.classid = 'pg_class'::regclass)
 from pg_namespace n `, 1)

const schemaNotes = `join pg_description d on d.objoid = n.oid and d.classoid = 'pg_namespace'::regclass and d.objsubid = 0 `

// schema is one row of schemasSQL.
type schema struct {
	name   string // the one that it has in the catalog
	note   relational.Note
	owner  string
	public bool
	shape  string
	bytes  int64
	sized  bool
}

func readSchema(v [][]byte) schema {
	s := schema{name: string(v[0]), note: relational.ParseNote(string(v[1])), owner: string(v[2]), public: string(v[3]) == "true", shape: string(v[4])}
	if len(v) > 5 {
		s.bytes, _ = strconv.ParseInt(string(v[5]), 10, 64)
		s.sized = true
	}
	return s
}

func (s schema) aside() bool { return strings.HasPrefix(s.name, quarantinePrefix) }

func (s schema) state() tenure.ResourceState {
	if s.aside() {
		return tenure.ResourceQuarantined
	}
	if was := tenure.ResourceState(s.note.Get("state")); was != "" {
		return was
	}
	return tenure.ResourcePresent
}

func (k schemas) observed(s schema) connector.Observed {
	o := connector.Observed{Type: "schema", Name: s.name, Found: true, State: s.state()}
	o.Resource, o.Owner = s.note.Read(k.marker, "schema")
	if s.aside() && s.note.Name != "" {
		o.Name = s.note.Name
	}
	owner := s.owner
	if o.State != tenure.ResourcePresent {
		owner = s.note.Get("owner")
	}
	ddl := s.note.Get("ddl")
	if ddl != "" && s.shape != s.note.Get("shape") {
		ddl, o.Detail = "altered", "the tables aren't those that its ddl gives"
	}
	o.Attributes = k.shaped(ddl, owner, s.public)
	if s.sized {
		o.Metrics = map[string]int64{"bytes": s.bytes}
	}
	return o
}

// get reads the schema of r, aside or under its name; a thing of ours in
// quarantine is preferred.
func (k schemas) get(ctx context.Context, s *session, r connector.Ref) (found *schema, err error) {
	err = s.prepared(ctx, schemasSQL+"left "+schemaNotes+"where n.nspname = any (array[$1, $2]::name[])", func(v [][]byte) error {
		if one := readSchema(v); found == nil || one.aside() {
			found = &one
		}
		return nil
	}, r.Name, quarantined(r.Resource))
	return found, err
}

func (k schemas) own(ctx context.Context, s *session, r connector.Ref) (*schema, error) {
	if err := checkName(r); err != nil {
		return nil, err
	}
	have, err := k.get(ctx, s, r)
	if err != nil || have == nil {
		return nil, err
	}
	return have, relational.Claim(k.marker, have.note, r)
}

func (k schemas) ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		if have != nil && have.aside() {
			return tenure.Errorf(tenure.Conflict, "schema %q is quarantined; bring it back first", d.Name)
		}
		if err := k.keyed(ctx, s, d, a); err != nil {
			return err
		}
		statements := k.create(d, a)
		if have != nil {
			if a.DDL != "" && k.altered(a, *have) {
				if err := k.again(ctx, s, d, a, *have); err != nil {
					return err
				}
			}
			statements = k.repair(d, a, *have)
		}
		if len(statements) == 0 {
			o = k.observed(*have)
			return nil
		}
		rec.Changed = true
		err = s.run(ctx, statements, "", nil)
		if err != nil {
			return err
		}
		if have, err = k.get(ctx, s, d.Ref); have != nil {
			o = k.observed(*have)
		}
		return err
	})
	return o, rec, err
}

// create are the statements for a schema that isn't there.
func (k schemas) create(d connector.Desired, a schemaAttributes) []string {
	name := quote(d.Name)
	create := "create schema " + name
	if a.Owner != "" {
		create += " authorization " + quote(a.Owner)
	}
	statements := []string{create}
	statements = append(statements, k.inside(name, a.Owner, a.DDL, a.Seed)...)
	return append(statements, k.comment(d, a, d.Name)...)
}

// inside runs a blueprint's statements with the schema alone on the search path
// and, where the schema has an owner, as the owner.
func (k schemas) inside(name, owner string, texts ...string) []string {
	var body []string
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			body = append(body, t+"\n")
		}
	}
	if body == nil {
		return nil
	}
	out := []string{"set local search_path to " + name}
	if owner != "" && owner != k.user {
		out = append(out, "set local role "+quote(owner))
		body = append(body, "reset role")
	}
	return append(append(out, body...), "set local search_path to pg_catalog")
}

// comment writes the note, with the shape of the schema measure if there is ddl.
func (k schemas) comment(d connector.Desired, a schemaAttributes, measure string) []string {
	note := relational.NewNote(k.marker, d.Ref).With("ddl", a.digest()).With("key", a.Key)
	if a.DDL == "" {
		return []string{"comment on schema " + quote(d.Name) + " is " + literal(note.String())}
	}
	body := "begin execute format('comment on schema %I is %L', " + literal(d.Name) + ", " + literal(note.String()+" shape=") + " || " +
		shapeOf("(select oid from pg_namespace where nspname = "+literal(measure)+")") + "); end"
	return []string{"do " + literal(body)}
}

// altered says that the schema isn't what its ddl makes.
func (k schemas) altered(a schemaAttributes, have schema) bool {
	return have.note.Get("ddl") != a.digest() || have.note.Get("shape") != have.shape
}

// again runs the ddl in a schema that is there, in which the tenant may have written
// code that it sets off: by a deputy, if the schema is a tenant's role's.
func (k schemas) again(ctx context.Context, s *session, d connector.Desired, a schemaAttributes, have schema) error {
	p, err := k.premises(ctx, s, have.name, a.Owner, have.owner)
	if err != nil {
		return err
	}
	if p == nil {
		return repeated("schema", d.Name, s.run(ctx, k.inside(quote(d.Name), "", a.DDL), "", nil))
	}
	if have.owner != p.owner {
		if err := s.run(ctx, []string{"alter schema " + quote(d.Name) + " owner to " + quote(p.owner)}, "", nil); err != nil {
			return err
		}
	}
	return k.deputise(ctx, d.Ref, *p, "", func(s *session) error {
		return repeated("schema", d.Name, s.run(ctx, k.inside(quote(d.Name), p.owner, a.DDL), "", nil))
	})
}

// repeated puts into words that ddl can't be run again.
func repeated(what, name string, err error) error {
	if err == nil || tenure.CodeOf(coded(err)) == tenure.Unavailable {
		return err
	}
	return tenure.Errorf(tenure.CodeOf(coded(err)), "%s %q: its ddl can't be run again: %w", what, name, coded(err)).
		WithHint("write it so that it can, and by the owner alone: create table if not exists …, alter table … add column if not exists …")
}

// repair are the statements that bring a schema back to desired. Where ddl has run
// again it runs in a scratch schema too, whose shape is the one to have.
func (k schemas) repair(d connector.Desired, a schemaAttributes, have schema) []string {
	name := quote(d.Name)
	var statements []string
	owner := a.Owner
	if owner == "" {
		owner = k.user
	}
	if owner != have.owner {
		statements = append(statements, "alter schema "+name+" owner to "+quote(owner))
	}
	if have.public {
		statements = append(statements, "revoke all on schema "+name+" from public")
	}
	if a.DDL != "" && k.altered(a, have) {
		scratch := scratchPrefix + uuid(d.Resource)
		create := "create schema " + quote(scratch)
		if a.Owner != "" {
			create += " authorization " + quote(a.Owner)
		}
		statements = append(statements, create)
		statements = append(statements, k.inside(quote(scratch), a.Owner, a.DDL)...)
		statements = append(statements, k.comment(d, a, scratch)...)
		return append(statements, "drop schema "+quote(scratch)+" cascade")
	}
	want := relational.NewNote(k.marker, d.Ref).With("ddl", a.digest()).With("key", a.Key)
	if a.DDL != "" {
		want = want.With("shape", have.note.Get("shape"))
	}
	if want.String() != have.note.String() {
		statements = append(statements, "comment on schema "+name+" is "+literal(want.String()))
	}
	return statements
}

func (k schemas) observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	err := byName(refs, func(part []connector.Ref, names []string) error {
		byID := make(map[string]string, len(part))
		for i, r := range part {
			if names[i] != "" {
				byID[quarantined(r.Resource)] = r.Name
				names = append(names, quarantined(r.Resource))
			}
		}
		found := make(map[string]connector.Observed, len(part))
		err := s.simple(ctx, schemasWithBytes+"left "+schemaNotes+"where n.nspname = "+anyOf(names), func(_ int, v [][]byte) error {
			one := readSchema(v)
			o := k.observed(one)
			if name, aside := byID[one.name]; aside {
				o.Name = name
			} else if was, twice := found[o.Name]; twice && was.State == tenure.ResourceQuarantined {
				return nil
			}
			found[o.Name] = o
			return nil
		})
		if err != nil {
			return err
		}
		return answer(part, found, yield)
	})
	return true, err
}

func (k schemas) discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	err := s.simple(ctx, schemasSQL+schemaNotes+`where d.description like 'tenure:1:%' order by case when n.nspname like 'tenure\_quarantine\_%'
 then coalesce(nullif(substr(split_part(d.description, E'\n', 2), 8), ''), n.nspname) else n.nspname end collate "C"`, func(_ int, v [][]byte) error {
		one := readSchema(v)
		if k.elsewhere(one.note, sc) {
			return nil
		}
		return stop(yield(k.observed(one)))
	})
	return true, err
}

// remove drops the schema with all in it; Blocked if anything outside depends on it.
// That is looked for first, and again in the drop's own transaction, under locks that
// keep more from coming.
// remove drops the schema. What is covered outside of it was erased before, by its
// key: a Conflict if rows are left there, as the drop wouldn't take them.
func (k schemas) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	_, err = k.reach(ctx, r, true, func(s *session, at reading) error {
		have, err := k.own(ctx, s, r)
		if err != nil || have == nil {
			return err
		}
		if err := k.free(ctx, s, r, have.name); err != nil {
			return err
		}
		if held, err := at.here(ctx, s); err != nil {
			return err
		} else if err := held.Empty(ctx, s, false); err != nil {
			return err
		}
		counts := map[string]int64{}
		unlink := func(s *session) error { return s.unlinkAll(ctx, have.name, counts) }
		if at.deputise != nil {
			err = at.deputise(ctx, unlink)
		} else {
			err = unlink(s)
		}
		if err != nil {
			return err
		}
		rec.Changed, rec.Counts = true, knownAll(r, counts)
		return k.patient(ctx, s, func(s *session) error {
			parts, err := k.parts(ctx, s, have.name)
			if err != nil {
				return err
			}
			for _, p := range parts {
				if err := s.simple(ctx, p.detach(have.name), nil); err != nil {
					return err
				}
			}
			if err := s.secure(ctx, have.name); err != nil {
				return err
			}
			if err := k.free(ctx, s, r, have.name); err != nil {
				return err
			}
			if err := forget(ctx, s, r.Resource); err != nil {
				return err
			}
			return s.simple(ctx, "drop schema "+quote(have.name)+" cascade", nil)
		})
	})
	return rec, err
}

// free is Blocked, and names what depends on the schema from outside, if anything does.
func (k schemas) free(ctx context.Context, s *session, r connector.Ref, name string) error {
	outside, err := k.outside(ctx, s, name)
	if err != nil {
		return err
	}
	return unbound("schema "+strconv.Quote(r.Name), outside)
}

// secure locks the tables of a schema and, where the role may, the catalog of
// dependencies, until the transaction ends: nothing new can depend on the schema
// before it is gone.
func (s *session) secure(ctx context.Context, schema string) error {
	var tables []string
	may := false
	err := s.simple(ctx, `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = `+literal(schema)+` and c.relkind in ('r', 'p') order by c.relname;
select has_table_privilege('pg_catalog.pg_depend', 'update')::text`, func(result int, v [][]byte) error {
		if result == 0 {
			tables = append(tables, string(v[0]))
		} else {
			may = string(v[0]) == "true"
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(tables) > 0 {
		if err := s.simple(ctx, "lock table "+strings.Join(tables, ", ")+" in access exclusive mode", nil); err != nil {
			return err
		}
	}
	if !may {
		return nil
	}
	return s.simple(ctx, "lock table pg_catalog.pg_depend in share row exclusive mode", nil)
}

// quarantine renames the schema to a reserved name, takes it from its owner,
// takes back what others were granted on it, and detaches what shows its rows in
// a table outside. Blocked if something outside depends on it, which could still read it.
func (k schemas) quarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		if err != nil || have == nil || have.aside() {
			return err
		}
		if err := k.free(ctx, s, r, have.name); err != nil {
			return err
		}
		parts, err := k.parts(ctx, s, have.name)
		if err != nil {
			return err
		}
		kept, err := writeParts(parts)
		if err != nil {
			return err
		}
		note := have.note.With("state", string(tenure.ResourceQuarantined)).With(partsKey, kept)
		if have.note.Get("state") == "" {
			note = note.With("owner", have.owner)
		}
		var statements []string
		for _, p := range parts {
			statements = append(statements, p.detach(have.name))
		}
		aside := quote(quarantined(r.Resource))
		statements = append(statements, "alter schema "+quote(r.Name)+" rename to "+aside, "alter schema "+aside+" owner to current_user")
		err = s.simple(ctx, `select distinct case when x.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end
 from pg_namespace n, aclexplode(n.nspacl) x where x.grantee <> (select oid from pg_roles where rolname = current_user)
 and n.nspname = `+literal(r.Name), func(_ int, v [][]byte) error {
			statements = append(statements, "revoke all on schema "+aside+" from "+string(v[0]))
			return nil
		})
		if err != nil {
			return err
		}
		rec.Changed = true
		return s.run(ctx, append(statements, "comment on schema "+aside+" is "+literal(note.String())), "", nil)
	})
	return rec, err
}

// unquarantine gives the schema its name back, and its tables their places in tables
// outside. Access stays off: it belongs to Tenure's role until it is ensured.
func (k schemas) unquarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case have == nil:
			return tenure.Errorf(tenure.NotFound, "schema %q isn't there", r.Name)
		case !have.aside():
			return nil
		}
		parts, err := readParts(have.note.Get(partsKey))
		if err != nil {
			return err
		}
		note := have.note.With("state", string(tenure.ResourceSuspended)).With(partsKey, "")
		statements := []string{
			"alter schema " + quote(have.name) + " rename to " + quote(r.Name),
			"comment on schema " + quote(r.Name) + " is " + literal(note.String()),
		}
		for _, p := range parts {
			statements = append(statements, p.attach(r.Name))
		}
		rec.Changed = true
		return s.run(ctx, statements, "", nil)
	})
	return rec, err
}
