package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// databases are tenants' own.
type databases struct{ *Driver }

type databaseAttributes struct {
	CharacterSet string `json:"characterSet"`
	Collation    string `json:"collation"`
	DDL          string `json:"ddl"`
	Seed         string `json:"seed"`
	relational.Elsewhere
	relational.Coverage
}

var plainWord = regexp.MustCompile(`^[a-z0-9_]+$`)

func (k databases) parse(r connector.Ref) (a databaseAttributes, err error) {
	if err := k.check(r); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if a.CharacterSet == "" {
		a.CharacterSet = "utf8mb4"
	}
	for _, word := range []string{a.CharacterSet, a.Collation} {
		if word != "" && !plainWord.MatchString(word) {
			return a, tenure.Errorf(tenure.Invalid, "database %q: %q is no character set or collation", r.Name, word)
		}
	}
	if err := a.Elsewhere.Check(r); err != nil {
		return a, err
	}
	return a, checkCoverage(r, a.Coverage, true)
}

func (k databases) check(r connector.Ref) error {
	if err := checkDatabase("database", r.Name); err != nil {
		return err
	}
	if k.keptDatabase(r.Name) || r.Name == k.home {
		return tenure.Errorf(tenure.Invalid, "database %q is Tenure's own, or the platform's", r.Name)
	}
	return nil
}

// checkCoverage refuses what MariaDB hasn't got.
func checkCoverage(r connector.Ref, c relational.Coverage, whole bool) error {
	if len(c.Derived) > 0 {
		return tenure.Errorf(tenure.Invalid, "%s %q: MariaDB has no materialized views, so derived names none", r.Type, r.Name)
	}
	return c.Check(r, whole)
}

// digest names a text.
func digest(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (k databases) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	out := shape{}
	out.text("characterSet", a.CharacterSet)
	out.text("collation", a.Collation)
	out.text("ddl", digest(a.DDL))
	return out.done()
}

// database is one as it stands.
type database struct {
	name, characterSet, collation string
	bytes                         int64
	tables                        shapes
	access                        []string
	aside                         string // where its tables stand, of one that is quarantined
	moved                         bool   // all of them do
}

// read gives the databases of the names.
func (k databases) read(ctx context.Context, s *session, names []string) (map[string]*database, error) {
	return k.readShaped(ctx, s, names, nil)
}

// readShaped is read with the shapes of tables that were read just now, if there are any.
func (k databases) readShaped(ctx context.Context, s *session, names []string, all map[string]shapes) (map[string]*database, error) {
	out := map[string]*database{}
	var name, set, collation string
	for part := range slices.Chunk(names, 500) {
		asked := map[string]bool{}
		for _, n := range part {
			asked[n] = true
		}
		err := each(ctx, s, "select schema_name, default_character_set_name, default_collation_name from information_schema.schemata where schema_name in ("+literals(part)+")", func() error {
			if asked[name] {
				out[name] = &database{name: name, characterSet: set, collation: collation}
			}
			return nil
		}, &name, &set, &collation)
		if err != nil {
			return nil, err
		}
	}
	there := slices.Sorted(maps.Keys(out))
	if all == nil {
		var err error
		if all, err = shapesOf(ctx, s, there); err != nil {
			return nil, err
		}
	}
	if err := k.readAside(ctx, s, out, all); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(there, 500) {
		var n int64
		err := each(ctx, s, "select table_schema, coalesce(sum(data_length + index_length), 0) from information_schema.tables where table_schema in ("+literals(part)+") group by binary table_schema", func() error {
			if out[name] != nil {
				out[name].bytes = n
			}
			return nil
		}, &name, &n)
		if err != nil {
			return nil, err
		}
	}
	for name, d := range out {
		d.tables = all[name]
	}
	return out, k.readAccess(ctx, s, out)
}

// readAside puts the tables of those that are quarantined in their own place. Triggers
// are away meanwhile, so that their tables aren't as they were; these aren't compared.
func (k databases) readAside(ctx context.Context, s *session, in map[string]*database, all map[string]shapes) error {
	notes, err := k.notes(ctx, s, "database")
	if err != nil {
		return err
	}
	for name, d := range in {
		n := notes[name]
		if !isAside(n) {
			continue
		}
		d.moved = len(all[name]) == 0
		id, _, _ := strings.Cut(strings.TrimPrefix(n.Mark, "tenure:2:"), ":")
		_, resource, _ := strings.Cut(strings.TrimPrefix(n.Mark, "tenure:2:"), id+":")
		d.aside = asideOf(tenure.ResourceID(resource))
		all[name] = recorded(n)
	}
	return nil
}

// recorded are the shapes that a note keeps.
func recorded(n *relational.Note) (was shapes) {
	if n != nil {
		_ = json.Unmarshal([]byte(n.Get("shapes")), &was)
	}
	return was
}

func (k databases) observed(r connector.Ref, d *database, n *relational.Note) (o connector.Observed, err error) {
	o = connector.Observed{Type: "database", Name: r.Name}
	if d == nil {
		return o, nil
	}
	o.Found, o.State = true, tenure.ResourcePresent
	if d.moved {
		o.State = tenure.ResourceQuarantined
	}
	o.Metrics = map[string]int64{"one": 1, "bytes": d.bytes}
	k.owned(&o, n)
	a := shape{}
	a.text("characterSet", d.characterSet)
	a.list("access", d.access)
	if n == nil {
		if r.Attributes["collation"] != nil {
			a.text("collation", d.collation)
		}
		o.Untold = []string{"ddl"}
	} else {
		if n.Get("collation") == "" || n.Get("collation") != d.collation {
			a.text("collation", d.collation)
		} else if n.Get("given") != "" {
			a.text("collation", n.Get("collation"))
		}
		a.text("ddl", n.Get("ddl"))
		a.list("altered", recorded(n).altered(d.tables))
		a.flag("making", n.Get(makingKey) != "")
	}
	o.Attributes, err = a.done()
	return o, err
}

func (k databases) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "database")
	if err != nil {
		return false, err
	}
	have, err := k.read(ctx, s, names(refs))
	if isNumber(err, 1142, 1143) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, r := range refs {
		o, err := k.observed(r, have[r.Name], notes[r.Name])
		if err != nil {
			return false, err
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (k databases) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "database")
	if err != nil {
		return false, err
	}
	var refs []connector.Ref
	for name, n := range notes {
		if !k.elsewhere(n, sc) {
			refs = append(refs, connector.Ref{Type: "database", Name: name})
		}
	}
	var all []connector.Observed
	whole, err := k.Observe(ctx, s, refs, func(o connector.Observed) error {
		if o.Found {
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return whole, byName(all, yield)
}

// own reads the database of r with its note: nil if there is none, Conflict if it isn't r's.
func (k databases) own(ctx context.Context, s *session, r connector.Ref) (*database, *relational.Note, error) {
	if err := k.check(r); err != nil {
		return nil, nil, err
	}
	n, err := k.noteOf(ctx, s, r)
	if err != nil {
		return nil, nil, err
	}
	have, err := k.read(ctx, s, []string{r.Name})
	if err != nil {
		return nil, nil, err
	}
	d := have[r.Name]
	if d != nil && n == nil {
		return nil, nil, relational.Claim(k.marker, relational.Note{}, r)
	}
	return d, n, nil
}

func (k databases) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(want.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, n, err := k.own(ctx, s, want.Ref)
		if err != nil {
			return err
		}
		if isAside(n) {
			return tenure.Errorf(tenure.Blocked, "database %q is quarantined", want.Name).WithHint("bring it back first")
		}
		if have == nil {
			rec.Changed = true
			if have, n, err = k.create(ctx, s, want.Ref, a); err != nil {
				return err
			}
		}
		if have.characterSet != a.CharacterSet || have.collation != n.Get("collation") && n.Get("collation") != "" || a.Collation != "" && have.collation != a.Collation {
			rec.Changed = true
			if err := s.run(ctx, "alter database "+quote(want.Name)+a.with()); err != nil {
				return err
			}
		}
		for _, one := range have.access {
			rec.Changed = true
			if err := k.revokeAccess(ctx, s, want.Name, strings.SplitN(one, ":", 2)[0]); err != nil {
				return err
			}
		}
		note, ran, now, err := k.form(ctx, s, want, a, have, n)
		if err != nil {
			return err
		}
		rec.Changed = rec.Changed || ran
		again, err := k.readShaped(ctx, s, []string{want.Name}, now)
		if err != nil {
			return err
		}
		if have = again[want.Name]; have == nil {
			return tenure.Errorf(tenure.Unavailable, "database %q was made and is gone again", want.Name).Retryable()
		}
		note = note.With("collation", have.collation)
		if a.Collation != "" {
			note = note.With("given", "collation")
		}
		note = relational.ParseNote(relational.NewNote(k.marker, want.Ref).With("ddl", note.Get("ddl")).With("shapes", note.Get("shapes")).With("seeded", note.Get("seeded")).
			With("collation", note.Get("collation")).With("given", note.Get("given")).String())
		if note.String() != n.String() {
			rec.Changed = true
			if err := k.marks.Put(ctx, s, k.marker, note); err != nil {
				return err
			}
		}
		note = note.Seal(k.marker)
		o, err = k.observed(want.Ref, have, &note)
		return err
	})
	return o, rec, err
}

func (a databaseAttributes) with() string {
	out := " character set " + a.CharacterSet
	if a.Collation != "" {
		out += " collate " + a.Collation
	}
	return out
}

// create makes the database, marked before it is there.
func (k databases) create(ctx context.Context, s *session, r connector.Ref, a databaseAttributes) (*database, *relational.Note, error) {
	if who, err := k.stale(ctx, s, r.Name); err != nil || len(who) > 0 {
		if err == nil {
			err = tenure.Errorf(tenure.Conflict, "database %q: accounts have rights on the name already, from one that stood there before: %s", r.Name, strings.Join(who, ", ")).
				WithHint("revoke these rights, or choose another name")
		}
		return nil, nil, err
	}
	note := relational.NewNote(k.marker, r).With(makingKey, "yes")
	if err := k.marks.Put(ctx, s, k.marker, note); err != nil {
		return nil, nil, err
	}
	if err := s.run(ctx, "create database "+quote(r.Name)+a.with()); err != nil {
		if isNumber(err, 1007) { // somebody else was faster, and it is theirs
			_ = k.marks.Delete(ctx, s, r.Type, r.Name)
		}
		return nil, nil, err
	}
	have, err := k.readShaped(ctx, s, []string{r.Name}, map[string]shapes{}) // it is empty
	if err == nil && have[r.Name] == nil {
		err = tenure.Errorf(tenure.Unavailable, "database %q was made and is gone again", r.Name).Retryable()
	}
	return have[r.Name], &note, err
}

// form runs the ddl where it has changed or its tables have, the seed once, and gives the
// note that tells of both, and the shapes of the tables if they were read after it.
func (k databases) form(ctx context.Context, s *session, want connector.Desired, a databaseAttributes, have *database, n *relational.Note) (note relational.Note, ran bool, all map[string]shapes, err error) {
	note = relational.NewNote(k.marker, want.Ref).With("ddl", digest(a.DDL)).With("shapes", n.Get("shapes")).With("seeded", n.Get("seeded"))
	was := recorded(n)
	changed := n.Get("ddl") != digest(a.DDL)
	seed := n.Get("seeded") == "" && n.Get(makingKey) != ""
	if !changed && !seed && len(was.altered(have.tables)) == 0 {
		return note, false, nil, nil
	}
	texts := []string{a.DDL}
	if seed {
		texts = append(texts, a.Seed)
	}
	if strings.TrimSpace(strings.Join(texts, "")) != "" {
		ran = true
		if err := k.asOwner(ctx, s, want.Resource, want.Name, texts...); err != nil {
			return note, ran, nil, tenure.Errorf(tenure.CodeOf(coded(err)), "the ddl or the seed of database %q: %w", want.Name, coded(err))
		}
	}
	if seed {
		note = note.With("seeded", "yes")
	}
	if changed {
		if all, err = shapesOf(ctx, s, []string{want.Name}); err != nil {
			return note, ran, nil, err
		}
		now := shapes{}
		for name, sum := range all[want.Name] {
			if _, known := was[name]; known || was == nil || have.tables[name] == "" {
				now[name] = sum
			}
		}
		text, err := tenure.Canonical(now)
		if err != nil {
			return note, ran, nil, err
		}
		note = note.With("shapes", string(text))
	}
	return note, ran, all, nil
}

// remove drops the database, once nothing outside of it refers to its tables.
func (k databases) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, n, err := k.own(ctx, s, r)
		if err != nil || have == nil && n == nil {
			return err
		}
		if have != nil {
			rec.Changed = true
			if err := k.unreferred(ctx, s, r); err != nil {
				return err
			}
			if err := k.disown(ctx, s, r.Name); err != nil {
				return err
			}
			for _, name := range []string{asideOf(r.Resource), r.Name} {
				if err := s.run(ctx, "drop database if exists "+quote(name)); err != nil {
					return err
				}
			}
		}
		if err := k.dropOwner(ctx, s, r.Resource); err != nil {
			return err
		}
		return s.atomic(ctx, func() error {
			if err := k.kept.Forget(ctx, s, string(r.Resource)); err != nil {
				return err
			}
			if _, err := s.Exec(ctx, "delete from "+quote(k.keep, "aside")+" where resource = "+literal(string(r.Resource))); err != nil {
				return err
			}
			return k.marks.Delete(ctx, s, r.Type, r.Name)
		})
	})
	return rec, err
}

// unreferred is Blocked if tables of other databases refer to tables of this one.
func (k databases) unreferred(ctx context.Context, s *session, r connector.Ref) error {
	if err := k.seeing(ctx, s); err != nil {
		return err
	}
	all, err := keysOf(ctx, s, []string{r.Name, asideOf(r.Resource)})
	var out []string
	for _, key := range all {
		own := func(name string) bool { return name == r.Name || name == asideOf(r.Resource) }
		if own(key.Parent.Schema) && !own(key.Child.Schema) {
			out = append(out, key.Child.String())
		}
	}
	out = sorted(out)
	if err == nil && len(out) > 0 {
		err = tenure.Errorf(tenure.Blocked, "tables of other databases refer to tables of database %q: %s", r.Name, strings.Join(out, ", ")).
			WithHint("drop these foreign keys, then retry")
	}
	return err
}

func (k databases) Adopt(ctx context.Context, r connector.Ref, _ tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		notes, err := k.notes(ctx, s, "database")
		if err != nil {
			return err
		}
		have, err := k.read(ctx, s, []string{r.Name})
		if err != nil {
			return err
		}
		if have[r.Name] == nil {
			return absent(r)
		}
		if lost, err := k.lost(notes[r.Name], r); err != nil || !lost {
			return err
		}
		rec.Changed = true
		note := relational.NewNote(k.marker, r).With("seeded", "yes").With("collation", have[r.Name].collation)
		if a.Collation != "" {
			note = note.With("given", "collation")
		}
		return k.marks.Put(ctx, s, k.marker, note)
	})
	return rec, err
}
