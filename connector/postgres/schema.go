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
	return k.shaped(a.digest(), "", a.Owner, false), nil
}

func (k schemas) shaped(ddl, renamed, owner string, public bool) json.RawMessage {
	var o object
	o.text("ddl", ddl)
	o.text("name", renamed)
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
var schemasSQL = "select " + schemaClass.columns() + `, pg_get_userbyid(o.nspowner),
 (o.nspacl is not null and exists (select 1 from aclexplode(o.nspacl) x where x.grantee = 0))::text,
 case when m.note like '% ddl=%' then ` + shapeOf("o.oid") + " end" + schemaClass.from()

// schemasWithBytes adds the size that the schema's tables take.
var schemasWithBytes = strings.Replace(schemasSQL, schemaClass.from(), `, (select coalesce(sum(pg_total_relation_size(c.oid)), 0)::text
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'm') where p.refclassid = 'pg_namespace'::regclass
 and p.refobjid = o.oid and p.classid = 'pg_class'::regclass)`+schemaClass.from(), 1)

// schema is one row of schemasSQL.
type schema struct {
	marked
	owner  string
	public bool
	shape  string
	bytes  int64
	sized  bool
}

func (k schemas) read(v [][]byte) schema {
	s := schema{marked: k.marked(schemaClass, v), owner: string(v[4]), public: string(v[5]) == "true", shape: string(v[6])}
	if len(v) > 7 {
		s.bytes, _ = strconv.ParseInt(string(v[7]), 10, 64)
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
	o := connector.Observed{Type: "schema", Name: s.shownAs(), Found: true, State: s.state()}
	o.Resource, o.Owner = s.note.Read(k.marker, "schema")
	owner, renamed := s.owner, ""
	if o.State != tenure.ResourcePresent {
		owner = s.note.Get("owner")
	}
	ddl := s.note.Get("ddl")
	if ddl != "" && s.shape != s.note.Get("shape") {
		ddl, o.Detail = "altered", "the tables aren't those that its ddl gives"
	}
	if s.renamed() {
		renamed, o.Detail = s.name, "it has got another name"
	}
	o.Attributes = k.shaped(ddl, renamed, owner, s.public)
	if s.sized {
		o.Metrics = map[string]int64{"bytes": s.bytes}
	}
	return o
}

// get reads the schema of r: by its note, as what was set aside for it, or by its name.
func (k schemas) get(ctx context.Context, s *session, r connector.Ref) (found *schema, err error) {
	err = s.prepared(ctx, schemasSQL+schemaClass.named("$1::name[]"), func(v [][]byte) error {
		if one := k.read(v); one.answers(r) > 0 && (found == nil || one.answers(r) > found.answers(r)) {
			found = &one
		}
		return nil
	}, []string{r.Name, quarantined(r.Resource)})
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
		if have != nil && have.note.Get(begunKey) != "" { // nobody was told of it yet
			if err := k.undo(ctx, s, d.Ref); err != nil {
				return err
			}
			have = nil
		}
		statements, measure := k.create(d, a), d.Name
		if have == nil && a.Owner != "" && a.Owner != k.user && strings.TrimSpace(a.DDL+a.Seed) != "" {
			statements = nil
			if err := k.begin(ctx, s, d, a); err != nil {
				return err
			}
		}
		if have != nil {
			if have.renamed() {
				if err := s.run(ctx, []string{"alter schema " + quote(have.name) + " rename to " + quote(d.Name)}, "", nil); err != nil {
					return err
				}
				have.name, rec.Changed = d.Name, true
			}
			tried := false
			if a.DDL != "" && k.altered(a, *have) {
				if tried, err = k.again(ctx, s, d, a, *have); err != nil {
					return err
				}
			}
			statements, measure = k.repair(d, a, *have, tried)
		}
		if len(statements) == 0 && measure == "" {
			o = k.observed(*have)
			return nil
		}
		rec.Changed = true
		err = s.atomic(ctx, func(s *session) error { return k.bring(ctx, s, d, a, statements, measure) })
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
	return append(statements, k.inside(name, a.Owner, a.DDL, a.Seed)...)
}

// bring runs the statements and then writes the note, with the shape of the schema
// measure if there is ddl; without measure the note stays.
func (k schemas) bring(ctx context.Context, s *session, d connector.Desired, a schemaAttributes, statements []string, measure string) error {
	if len(statements) > 0 {
		if err := s.simple(ctx, strings.Join(statements, ";\n"), nil); err != nil {
			return err
		}
	}
	if measure == "" {
		return nil
	}
	object, err := schemaClass.made(ctx, s, d.Name)
	if err != nil {
		return err
	}
	shape := ""
	if a.DDL != "" {
		err := s.simple(ctx, "select "+shapeOf("(select oid from pg_namespace where nspname = "+literal(measure)+")"), func(_ int, v [][]byte) error {
			shape = string(v[0])
			return nil
		})
		if err != nil {
			return err
		}
	}
	last := k.mark(schemaClass, d.Name, k.noteFor(d.Ref, a, object, shape))
	if measure != d.Name {
		last = append(last, "drop schema "+quote(measure)+" cascade")
	}
	return s.simple(ctx, strings.Join(last, ";\n"), nil)
}

func (k schemas) noteFor(r connector.Ref, a schemaAttributes, object, shape string) relational.Note {
	return relational.NewNote(k.marker, r).With(relational.ObjectKey, object).With("ddl", a.digest()).With("key", a.Key).With("shape", shape)
}

// begunKey stands in the note of a schema until what its ddl and seed make is in it.
const begunKey = "begun"

// begin makes a schema of a tenant's role and fills it, by a deputy: what the ddl or the
// seed touches elsewhere may be the tenant's too. A schema that was only begun is made
// anew by the next call.
func (k schemas) begin(ctx context.Context, s *session, d connector.Desired, a schemaAttributes) error {
	err := s.atomic(ctx, func(s *session) error {
		if err := s.simple(ctx, "create schema "+quote(d.Name)+" authorization "+quote(a.Owner), nil); err != nil {
			return err
		}
		object, err := schemaClass.made(ctx, s, d.Name)
		if err != nil {
			return err
		}
		note := k.noteFor(d.Ref, schemaAttributes{}, object, "").With(begunKey, "true")
		return s.simple(ctx, strings.Join(k.mark(schemaClass, d.Name, note), ";\n"), nil)
	})
	if err != nil {
		return err
	}
	err = k.deputise(ctx, d.Ref, premises{d.Name, a.Owner}, "", func(ctx context.Context, s *session) error {
		return s.run(ctx, k.inside(quote(d.Name), a.Owner, a.DDL, a.Seed), "", nil)
	})
	if err != nil {
		_ = k.undo(context.WithoutCancel(ctx), s, d.Ref)
	}
	return err
}

func (k schemas) undo(ctx context.Context, s *session, r connector.Ref) error {
	if err := k.free(ctx, s, r, r.Name); err != nil {
		return err
	}
	return s.run(ctx, []string{"drop schema " + quote(r.Name) + " cascade", dropNote(r)}, "", nil)
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

// altered says that the schema isn't what its ddl makes.
func (k schemas) altered(a schemaAttributes, have schema) bool {
	return have.note.Get("ddl") != a.digest() || have.note.Get("shape") != have.shape
}

// again runs the ddl in a schema that is there, in which the tenant may have written
// code that it sets off: by a deputy, if the schema is a tenant's role's.
// It tells whether the ddl was run in a scratch schema by one, too.
func (k schemas) again(ctx context.Context, s *session, d connector.Desired, a schemaAttributes, have schema) (tried bool, err error) {
	p, err := k.premises(ctx, s, have.name, a.Owner, have.owner)
	if err != nil {
		return false, err
	}
	if p == nil {
		return false, repeated("schema", d.Name, s.run(ctx, k.inside(quote(d.Name), "", a.DDL), "", nil))
	}
	scratch := scratchPrefix + uuid(d.Resource)
	statements := []string{"drop schema if exists " + quote(scratch) + " cascade", "create schema " + quote(scratch) + " authorization " + quote(p.owner)}
	if a.Owner == p.owner && have.owner != p.owner {
		statements = append(statements, "alter schema "+quote(d.Name)+" owner to "+quote(p.owner))
	}
	if err := s.run(ctx, statements, "", nil); err != nil {
		return false, err
	}
	for _, on := range []premises{{scratch, p.owner}, *p} {
		err := k.deputise(ctx, d.Ref, on, "", func(ctx context.Context, s *session) error {
			return s.run(ctx, k.inside(quote(on.schema), on.owner, a.DDL), "", nil)
		})
		if err != nil {
			_ = s.run(context.WithoutCancel(ctx), statements[:1], "", nil)
			return false, repeated("schema", d.Name, err)
		}
	}
	return true, nil
}

// repeated puts into words that ddl can't be run again.
func repeated(what, name string, err error) error {
	if err == nil || tenure.CodeOf(coded(err)) == tenure.Unavailable {
		return err
	}
	return tenure.Errorf(tenure.CodeOf(coded(err)), "%s %q: its ddl can't be run again: %w", what, name, coded(err)).
		WithHint("write it so that it can, and by the owner alone: create table if not exists …, alter table … add column if not exists …")
}

// repair are the statements that bring a schema back to desired, and the schema that
// its note is to be written by, "" if the note is right. Where ddl has run again it runs
// in a scratch schema too, whose shape is the one to have.
func (k schemas) repair(d connector.Desired, a schemaAttributes, have schema, tried bool) (statements []string, measure string) {
	name := quote(d.Name)
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
		if tried {
			return statements, scratch
		}
		create := "create schema " + quote(scratch)
		if a.Owner != "" {
			create += " authorization " + quote(a.Owner)
		}
		statements = append(statements, create)
		return append(statements, k.inside(quote(scratch), a.Owner, a.DDL)...), scratch
	}
	shape := have.note.Get("shape")
	if a.DDL == "" {
		shape = ""
	}
	if k.noteFor(d.Ref, a, have.object, shape).String() != have.note.String() {
		measure = d.Name
	}
	return statements, measure
}

func (k schemas) observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	err := byName(refs, func(part []connector.Ref, names []string) error {
		byID := make(map[string]connector.Ref, len(part))
		byName := make(map[string]connector.Ref, len(part))
		for i, r := range part {
			if names[i] != "" {
				byName[r.Name], byID[quarantined(r.Resource)] = r, r
				names = append(names, quarantined(r.Resource))
			}
		}
		found, best := make(map[string]connector.Observed, len(part)), make(map[string]int, len(part))
		err := s.simple(ctx, schemasWithBytes+schemaClass.named("array["+literals(names)+"]::name[]"), func(_ int, v [][]byte) error {
			one := k.read(v)
			for _, r := range []connector.Ref{byName[one.known], byID[one.name], byName[one.name]} {
				if rank := one.answers(r); r.Name != "" && rank > best[r.Name] {
					o := k.observed(one)
					o.Name = r.Name
					found[r.Name], best[r.Name] = o, rank
				}
			}
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
	err := s.simple(ctx, schemasSQL+"where "+schemaClass.bears()+` or o.nspname like 'tenure\_quarantine\_%'`+schemaClass.order(), func(_ int, v [][]byte) error {
		one := k.read(v)
		if k.elsewhere(one.note, sc) {
			return nil
		}
		return stop(yield(k.observed(one)))
	})
	return true, err
}

// remove drops the schema with all in it; Blocked if anything outside depends on it.
// That is looked for first, and again in the drop's own transaction, under locks that
// keep more from coming. What is covered outside of it was erased before, by its
// key: a Conflict if rows are left there, as the drop wouldn't take them.
func (k schemas) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	_, err = k.reach(ctx, r, true, func(s *session, at reading) error {
		have, err := k.own(ctx, s, r)
		if err != nil {
			return err
		}
		if have == nil {
			return k.unmark(ctx, s, r)
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
		unlink := func(ctx context.Context, s *session) error { return s.unlinkAll(ctx, have.name, counts) }
		if at.deputise != nil {
			err = at.deputise(ctx, unlink)
		} else {
			err = unlink(ctx, s)
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
			return s.simple(ctx, dropNote(r)+"; drop schema "+quote(have.name)+" cascade", nil)
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
		statements = append(statements, "alter schema "+quote(have.name)+" rename to "+aside, "alter schema "+aside+" owner to current_user")
		err = s.simple(ctx, `select distinct case when x.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end
 from pg_namespace n, aclexplode(n.nspacl) x where x.grantee <> (select oid from pg_roles where rolname = current_user)
 and n.nspname = `+literal(have.name), func(_ int, v [][]byte) error {
			statements = append(statements, "revoke all on schema "+aside+" from "+string(v[0]))
			return nil
		})
		if err != nil {
			return err
		}
		rec.Changed = true
		return s.run(ctx, append(statements, k.mark(schemaClass, quarantined(r.Resource), note)...), "", nil)
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
		statements := append([]string{"alter schema " + quote(have.name) + " rename to " + quote(r.Name)}, k.mark(schemaClass, r.Name, note)...)
		for _, p := range parts {
			statements = append(statements, p.attach(r.Name))
		}
		rec.Changed = true
		return s.run(ctx, statements, "", nil)
	})
	return rec, err
}
