package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

func (k schemas) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
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
	shape, names := "", ""
	if a.DDL != "" {
		at := "(select oid from pg_namespace where nspname = " + literal(measure) + ")"
		err := s.simple(ctx, "select "+shapeOf(at, "null::text")+", "+strings.Replace(namesSQL, "OID", at, 1), func(_ int, v [][]byte) error {
			shape, names = string(v[0]), string(v[1])
			return nil
		})
		if err != nil {
			return err
		}
	}
	last := k.mark(schemaClass, d.Name, k.noteFor(d.Ref, a, object, shape, names))
	if measure != d.Name {
		last = append(last, "drop schema "+quote(measure)+" cascade")
	}
	return s.simple(ctx, strings.Join(last, ";\n"), nil)
}

// noteFor is the note of a schema. In one of Tenure's own every table counts; in one that
// belongs to a role, those of its ddl.
func (k schemas) noteFor(r connector.Ref, a schemaAttributes, object, shape, names string) relational.Note {
	if a.Owner == "" || a.Owner == k.user {
		names = ""
	}
	return relational.NewNote(k.marker, r).With(relational.ObjectKey, object).With("ddl", a.digest()).With("key", a.Key).With("shape", shape).With(namesKey, names)
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
		note := k.noteFor(d.Ref, schemaAttributes{}, object, "", "").With(begunKey, "true")
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
	if k.noteFor(d.Ref, a, have.object, shape, have.note.Get(namesKey)).String() != have.note.String() {
		measure = d.Name
	}
	return statements, measure
}
