package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// placeSQL is what a note in tenure.mark is on, as place writes it; it is
// indexed, so that notes on one object are found among many.
const placeSQL = `substring(note from ' on=([0-9a-f]+)')`

// bySQL is by what else a note is found (noteBy); null in notes of an older release.
const (
	bySQL = `substring(note from ' by=([0-9a-f]+)')`
	byKey = "by"
)

func place(object string) string {
	sum := sha256.Sum256([]byte(object))
	return hex.EncodeToString(sum[:12])
}

// siteSQL names the database, so that a note says nothing of an object that has the
// same oid elsewhere, as in a copy that was restored from a dump.
const siteSQL = `(select (select system_identifier::text from pg_control_system()) || ':' || oid from pg_database where datname = current_database())`

// class is a catalog whose objects bear notes, under the alias o.
type class struct {
	typ      string // of the resources
	catalog  string
	name     string // the column
	comments string // where comments on it stand
}

var (
	schemaClass   = class{"schema", "pg_namespace", "nspname", "pg_description"}
	databaseClass = class{"database", "pg_database", "datname", "pg_shdescription"}
	roleClass     = class{"role", "pg_roles", "rolname", "pg_shdescription"}
	loginClass    = class{elevationType, "pg_roles", "rolname", "pg_shdescription"}
	deputyClass   = class{deputyType, "pg_roles", "rolname", "pg_shdescription"}
)

// commentSQL is the beginning of the comment on an object: it may be of any size.
func (c class) commentSQL() string {
	catalog, part := c.catalog, ""
	if catalog == "pg_roles" {
		catalog = "pg_authid"
	}
	if c.comments == "pg_description" {
		part = " and d.objsubid = 0"
	}
	return "(select left(d.description, 2000) from " + c.comments + " d where d.objoid = o.oid and d.classoid = '" + catalog + "'::regclass" + part + ")"
}

// columns are what Driver.marked reads. What has a note needs no comment.
func (c class) columns() string {
	return "o." + c.name + " as " + seen + ", coalesce(m.name, ''), " + siteSQL + " || ':' || o.oid, coalesce(m.note, " + c.commentSQL() + ", '')"
}

// from joins the objects with their notes.
func (c class) from() string {
	return " from " + c.catalog + " o left join tenure.mark m on m.type = '" + c.typ + "' and m.object = o.oid and m.site = " + siteSQL + " "
}

// named is a condition: the object has one of the names, given as an array, or its
// note does.
func (c class) named(names string) string {
	return "where o.oid = any (array(select oid from " + c.catalog + " where " + c.name + " = any (" + names + ") union all select object from tenure.mark where type = '" + c.typ + "' and name = any (" + names + ")))"
}

// bears is a condition: the object has a note, or its comment claims one.
func (c class) bears() string {
	return "(m.name is not null or left(" + c.commentSQL() + ", 7) = 'tenure:')"
}

// order is the order of Discover.
func (c class) order() string { return " order by coalesce(m.name, o." + c.name + `) collate "C"` }

// marked is an object of the catalog with its note.
type marked struct {
	name   string // the one that it has in the catalog
	known  string // the one that its note was written for; "" if it has none
	object string
	note   relational.Note
}

// marked reads the columns of a class.
func (d *Driver) marked(c class, v [][]byte) marked {
	b := marked{name: string(v[0]), known: string(v[1]), object: string(v[2])}
	if b.known == "" {
		b.note = d.courtesy(string(v[3]))
		return b
	}
	b.note = relational.ParseNote(string(v[3])).At(c.typ, b.known).On(b.object)
	return b
}

// courtesy is what a comment says. Whoever owns the object can write it, so it says
// at the most that the object is another installation's or system's, never that it
// is ours.
func (d *Driver) courtesy(comment string) relational.Note {
	n := relational.ParseNote(comment)
	if id, owner := n.Read(d.marker, n.Type); owner == connector.Others && id == "" {
		return n
	}
	return relational.Note{}
}

// renamed says that the object has another name than that of its note, and none
// that Tenure gives.
func (b marked) renamed() bool {
	return b.known != "" && b.name != b.known && !strings.HasPrefix(b.name, quarantinePrefix) && !strings.HasPrefix(b.name, unfinishedPrefix)
}

// shownAs is the name that the object is observed under.
func (b marked) shownAs() string {
	if b.known != "" {
		return b.known
	}
	return b.name
}

// answers says how well the object answers for a resource: by its note, as what was
// set aside for it, by its name, or, with 0, not at all.
func (b marked) answers(r connector.Ref) int {
	switch {
	case b.known == r.Name:
		return 3
	case b.name == quarantined(r.Resource) && b.known == "":
		return 2
	case b.name == r.Name:
		return 1
	}
	return 0
}

// made reads the identity of an object that was just made.
func (c class) made(ctx context.Context, s *session, name string) (object string, err error) {
	err = s.simple(ctx, "select "+siteSQL+" || ':' || oid from "+c.catalog+" where "+c.name+" = "+literal(name), func(_ int, v [][]byte) error {
		object = string(v[0])
		return nil
	})
	return object, err
}

// note is what r bears in tenure.mark: with it the resource can be read without
// its blueprint.
func (d *Driver) note(r connector.Ref, spec []byte, object string) relational.Note {
	return relational.NewNote(d.marker, r).With("spec", string(spec)).With("on", place(object)).Seal(d.marker)
}

// noteBy is note, to be found by something else, too: a grant by its role, what is of
// shared tables by their schema and tenant column.
func (d *Driver) noteBy(r connector.Ref, spec []byte, object, by string) relational.Note {
	return d.note(r, spec, object).With(byKey, place(by)).Seal(d.marker)
}

// putNote writes a note, sealed.
func (d *Driver) putNote(n relational.Note) string {
	site, object := "null", "null"
	if whole := n.Get(relational.ObjectKey); whole != "" {
		i := strings.LastIndexByte(whole, ':')
		site, object = literal(whole[:i]), whole[i+1:]
	}
	return "insert into tenure.mark (type, name, note, site, object) values (" + literals([]string{n.Type, n.Name, n.Sealed(d.marker)}) + ", " + site + ", " + object +
		") on conflict (type, name) do update set note = excluded.note, site = excluded.site, object = excluded.object"
}

// mark writes the note of an object of the catalog, and tells people of it in the
// object's comment.
func (d *Driver) mark(c class, name string, n relational.Note) []string {
	word := map[string]string{elevationType: "role", deputyType: "role"}[c.typ]
	if word == "" {
		word = c.typ
	}
	told := n.Mark + "\n" + n.Type + " " + n.Name + "\n"
	for _, key := range []string{"system", "tenant"} {
		if v := n.Get(key); v != "" {
			told += key + "=" + v + " "
		}
	}
	return []string{d.putNote(n), "comment on " + word + " " + quote(name) + " is " + literal(strings.TrimSpace(told))}
}

func dropNote(r connector.Ref) string {
	return "delete from tenure.mark where type = " + literal(r.Type) + " and name = " + literal(r.Name)
}

// unmark drops the note of r if it is ours: what it was on is gone.
func (d *Driver) unmark(ctx context.Context, s *session, r connector.Ref) error {
	n, err := d.noteOf(ctx, s, r)
	switch {
	case tenure.CodeOf(err) == tenure.Conflict:
		return nil // another's
	case err != nil || n == nil:
		return err
	}
	return s.simple(ctx, dropNote(r), nil)
}

// noteOf reads the note of r: nil if there is none, Conflict if it isn't ours.
func (d *Driver) noteOf(ctx context.Context, s *session, r connector.Ref) (found *relational.Note, err error) {
	if err := relational.CheckName(r.Type, r.Name, 200); err != nil {
		return nil, err
	}
	err = s.simple(ctx, "select note from tenure.mark where type = "+literal(r.Type)+" and name = "+literal(r.Name), func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[0])).At(r.Type, r.Name)
		found = &n
		return nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	return found, relational.Claim(d.marker, *found, r)
}
