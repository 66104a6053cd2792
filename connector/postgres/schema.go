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

func (k schemas) Normalise(d connector.Desired) (json.RawMessage, error) {
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
// since pg_class has no index on the schema alone. The second expression is for the
// names of tables that count, as namesSQL gives them; null counts all.
func shapeOf(oid, of string) string {
	return `coalesce((select md5(string_agg(format('%s %s %s %s %s %s %s %s', c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
 a.attname, t.typname, a.atttypmod, a.attnotnull), E'\n' order by c.relname collate "C", a.attname collate "C"))
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p', 'v', 'm', 'f')
 left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_type t on t.oid = a.atttypid
 where p.refclassid = 'pg_namespace'::regclass and p.refobjid = ` + oid + ` and p.classid = 'pg_class'::regclass
 and (` + of + ` is null or left(md5(c.relname), 5) = any (string_to_array(` + of + `, '-')))), 'none')`
}

// namesSQL are the names of a schema's tables in little room, since a note bears them:
// those of a blueprint's ddl, where the tenant may make tables of its own beside them.
const namesSQL = `coalesce((select string_agg(left(md5(c.relname), 5), '-' order by c.relname collate "C") 
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p', 'v', 'm', 'f')
 where p.refclassid = 'pg_namespace'::regclass and p.refobjid = OID and p.classid = 'pg_class'::regclass), 'none')`

// namesKey is the key of a note for such names.
const namesKey = "of"

// schemasSQL reads schemas; what bears no ddl in its note isn't measured.
var schemasSQL = "select " + schemaClass.columns() + `, pg_get_userbyid(o.nspowner),
 (o.nspacl is not null and exists (select 1 from aclexplode(o.nspacl) x where x.grantee = 0))::text,
 case when m.note like '% ddl=%' then ` + shapeOf("o.oid", `substring(m.note from ' ' || '`+namesKey+`=([^ \n]*)')`) + " end" + schemaClass.from()

// schemasWithBytes adds the size that the schema's tables take, where nobody keeps them
// locked: the server opens a table to measure it, and one tenant's lock would hold up
// the look at all.
var schemasWithBytes = "savepoint sized; set local lock_timeout = 500;\n" + `with shut as materialized (select distinct c.relnamespace as oid from pg_locks l join pg_class c on c.oid = l.relation
 where l.mode = 'AccessExclusiveLock' and l.database = (select oid from pg_database where datname = current_database()) and l.pid is distinct from pg_backend_pid())
` + strings.Replace(schemasSQL, schemaClass.from(), `, case when o.oid not in (select oid from shut) then (select coalesce(sum(pg_total_relation_size(c.oid)), 0)::text
 from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'm') where p.refclassid = 'pg_namespace'::regclass
 and p.refobjid = o.oid and p.classid = 'pg_class'::regclass) end`+schemaClass.from(), 1)

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
	if len(v) > 7 && v[7] != nil {
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
	if o.Owner == connector.Unmarked {
		o.Untold = []string{"ddl"}
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

func (k schemas) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
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
		row := func(_ int, v [][]byte) error {
			one := k.read(v)
			for _, r := range []connector.Ref{byName[one.known], byID[one.name], byName[one.name]} {
				if rank := one.answers(r); r.Name != "" && rank > best[r.Name] {
					o := k.observed(one)
					o.Name = r.Name
					found[r.Name], best[r.Name] = o, rank
				}
			}
			return nil
		}
		at := schemaClass.named("array[" + literals(names) + "]::name[]")
		err := s.simple(ctx, schemasWithBytes+at+";\nrollback to savepoint sized; release savepoint sized", row)
		if state(err) == "55P03" { // somebody has locked a table meanwhile
			clear(found)
			clear(best)
			err = s.simple(ctx, "rollback to savepoint sized; release savepoint sized;\n"+schemasSQL+at, row)
		}
		if err != nil {
			return err
		}
		return answer(part, found, yield)
	})
	return true, err
}

func (k schemas) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
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
func (k schemas) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
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
		if err := k.thin(ctx, s, r, have.name); err != nil {
			return err
		}
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
