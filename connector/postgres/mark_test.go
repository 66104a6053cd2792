package postgres

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// kinds makes one resource of each type whose marks stood in comments once.
func (w *world) kinds(t *testing.T, d connector.Driver) (schema, role, database connector.Desired) {
	t.Helper()
	role = desired("role", w.token+"r", map[string]any{"login": true})
	schema = desired("schema", w.token+"s", map[string]any{"owner": role.Name, "ddl": "create table if not exists t (i int)"})
	database = desired("database", w.token+"d", map[string]any{"owner": role.Name})
	for _, r := range []*connector.Desired{&role, &schema, &database} {
		r.Tenant = "ten_acme"
		if _, _, err := d.Ensure(t.Context(), *r); err != nil {
			t.Fatal(err)
		}
	}
	return schema, role, database
}

func observe(t *testing.T, d connector.Driver, r connector.Ref) (o connector.Observed) {
	t.Helper()
	_, err := d.Observe(t.Context(), []connector.Ref{r}, func(seen connector.Observed) error { o = seen; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (w *world) as(t *testing.T, role string) *pgx.Conn {
	t.Helper()
	w.exec(t, "alter role %s login password 'a-tenants-password'", quote(role))
	return connect(t, postgrestest.As(t, w.dsn, role, "a-tenants-password"))
}

// TestCommentsAreNoMarks: whatever owners write into their comments, a thing stays whose
// it is, and nothing becomes anybody's.
func TestCommentsAreNoMarks(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	schema, role, database := w.kinds(t, d)
	other := desired("schema", w.token+"birch", map[string]any{"owner": role.Name})
	other.Tenant = "ten_birch"
	if _, _, err := d.Ensure(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	stranger := connector.Marker{Installation: "ins_other", System: d.system, Key: []byte("another key")}
	whole := func(m connector.Marker, r connector.Ref, more string) string {
		return relational.NewNote(m, r).Sealed(m) + more
	}
	old := func(m connector.Marker, r connector.Ref) string {
		n := relational.NewNote(m, r)
		n.Mark = m.Mark(r.Type, r.Resource)
		return n.String()
	}
	tenant := w.as(t, role.Name)
	for name, text := range map[string]string{
		"something": "VIP", "nothing": "", "another resource's note": whole(d.marker, other.Ref, ""), "another installation's": whole(stranger, schema.Ref, ""),
		"its own, suspended": strings.Replace(whole(d.marker, schema.Ref, ""), "system=", "state=suspended system=", 1),
		"an old mark of its": old(d.marker, schema.Ref), "an old mark of another's": old(d.marker, other.Ref),
	} {
		if _, err := tenant.Exec(t.Context(), "comment on schema "+quote(schema.Name)+" is "+literal(text)); err != nil {
			t.Fatal(err)
		}
		if o := observe(t, d, schema.Ref); o.Owner != connector.Ours || o.Resource != schema.Resource || o.State != tenure.ResourcePresent {
			t.Errorf("with %s as its comment the schema is %q, %s, %s", name, o.Owner, o.Resource, o.State)
		}
	}
	w.exec(t, "create schema %s; comment on schema %[1]s is %s", quote(w.token+"copy"), literal(old(d.marker, schema.Ref)))
	copied := schema.Ref
	copied.Name = w.token + "copy"
	if o := observe(t, d, copied); o.Owner != connector.Unmarked || !o.Found {
		t.Errorf("a copied comment makes a schema %q", o.Owner)
	}
	for _, r := range []connector.Ref{role.Ref, database.Ref} {
		w.exec(t, "comment on %s %s is %s", r.Type, quote(r.Name), literal(whole(stranger, r, "")))
		if o := observe(t, d, r); o.Owner != connector.Ours || o.Resource != r.Resource {
			t.Errorf("%s %s is %q", r.Type, r.Name, o.Owner)
		}
	}
	// And the tenant has no way to where the marks stand.
	for _, sql := range []string{"select 1 from tenure.mark", "insert into tenure.mark (type, name, note) values ('a', 'b', 'c')", "update tenure.mark set note = ''", "delete from tenure.mark", "drop table tenure.mark"} {
		if _, err := tenant.Exec(t.Context(), sql); state(err) != "42501" {
			t.Errorf("the tenant's role: %s: %v", sql, err)
		}
	}
}

// TestEveryFieldIsSealed: a row of tenure.mark in which one field was changed is
// nobody's word.
func TestEveryFieldIsSealed(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	schema, role, _ := w.kinds(t, d)
	other := desired("schema", w.token+"birch", map[string]any{})
	if _, _, err := d.Ensure(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	const update = "update tenure.mark set note = replace(note, %s, %s) where type = 'schema' and name = %s"
	for _, c := range [][2]string{
		{"tenant=ten_acme", "tenant=ten_mallory"}, {" ddl=sha256", " ddl=sha25"}, {" shape=", " shape=0"}, {" shape=", " state=revoked shape="},
		{string(schema.Resource), string(other.Resource)}, {"\nschema ", "\nrole "}, {"system=", "syste="}, {" seal=", " seal=A"}, {"tenure:2:", "tenure:1:"},
	} {
		before := strs(t, connect(t, w.dsn), "select note from tenure.mark where type = 'schema' and name = $1", schema.Name)[0]
		w.exec(t, update, literal(c[0]), literal(c[1]), literal(schema.Name))
		if o := observe(t, d, schema.Ref); o.Owner == connector.Ours || !o.Found {
			t.Errorf("with %q for %q the schema is still %q, found %v", c[1], c[0], o.Owner, o.Found)
		}
		if _, err := d.Delete(t.Context(), schema.Ref); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("with %q for %q it is deleted: %v", c[1], c[0], err)
		}
		w.exec(t, "update tenure.mark set note = %s where type = 'schema' and name = %s", literal(before), literal(schema.Name))
	}
	// A whole row that is moved to another object, or to another name.
	w.exec(t, "update tenure.mark m set object = o.object from tenure.mark o where m.type = 'role' and o.type = 'schema' and o.name = %s", literal(other.Name))
	if o := observe(t, d, role.Ref); o.Owner == connector.Ours {
		t.Error("a mark speaks for another object")
	}
	w.exec(t, "delete from tenure.mark where name = %s; update tenure.mark set name = %[1]s where type = 'schema' and name = %s", literal(other.Name), literal(schema.Name))
	for _, r := range []connector.Ref{schema.Ref, other.Ref} {
		if o := observe(t, d, r); o.Owner == connector.Ours {
			t.Errorf("a mark that was given another name makes %s %q", r.Name, o.Owner)
		}
	}
}

// TestNamesDontMove marks: what takes the name of a thing of ours isn't it, and the
// thing is found under the name that it has got.
func TestNamesDontMove(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	schema, role, database := w.kinds(t, d)
	for _, r := range []connector.Desired{schema, role, database} {
		now := w.token + "moved"
		w.exec(t, "alter %s %s rename to %s", r.Type, quote(r.Name), quote(now))
		w.exec(t, "create %s %s", r.Type, quote(r.Name))
		o := observe(t, d, r.Ref)
		if o.Owner != connector.Ours || o.Resource != r.Resource || !strings.Contains(string(o.Attributes), `"name":"`+now+`"`) {
			t.Errorf("the renamed %s is observed as %+v", r.Type, o)
		}
		if _, _, err := d.Ensure(t.Context(), r); err == nil {
			t.Errorf("%s: its name is another's, and it is given back all the same", r.Type)
		}
		w.exec(t, "drop %s %s", r.Type, quote(r.Name))
		if _, rec, err := d.Ensure(t.Context(), r); err != nil || !rec.Changed {
			t.Errorf("%s: the name isn't given back: %v", r.Type, err)
		}
		if o := observe(t, d, r.Ref); strings.Contains(string(o.Attributes), `"name"`) {
			t.Errorf("%s: it still shows %s", r.Type, o.Attributes)
		}
	}
	// Dropped and made again it is another thing, and one that was renamed goes, wherever it is.
	w.exec(t, "drop schema %s cascade; create schema %[1]s authorization %s", quote(schema.Name), quote(role.Name))
	if o := observe(t, d, schema.Ref); o.Owner != connector.Unmarked || !o.Found {
		t.Errorf("a schema that was made anew is %q", o.Owner)
	}
	if _, err := d.Delete(t.Context(), schema.Ref); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a schema that was made anew is dropped: %v", err)
	}
	if _, err := d.Adopt(t.Context(), schema.Ref, tenure.ResourcePresent); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "alter schema %s rename to %s", quote(schema.Name), quote(w.token+"away"))
	if _, err := d.Delete(t.Context(), schema.Ref); err != nil || w.is(t, "select from pg_namespace where nspname = %s", literal(w.token+"away")) {
		t.Errorf("a renamed schema stays: %v", err)
	}
}

// TestOlderMarks: what an older build has marked, in comments and without seals, is taken
// over at the first look, once; what its comments say besides isn't.
func TestOlderMarks(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	schema, role, database := w.kinds(t, d)
	grant := desired("grant", "use", map[string]any{"schema": schema.Name, "role": role.Name, "privileges": []any{"create", "usage"}})
	if _, _, err := d.Ensure(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	aside := desired("schema", w.token+"aside", map[string]any{})
	if _, _, err := d.Ensure(t.Context(), aside); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Quarantine(t.Context(), aside.Ref); err != nil {
		t.Fatal(err)
	}
	// As the build before kept them.
	older := func(r connector.Ref, more string) string {
		n := relational.NewNote(d.marker, r)
		n.Mark = d.marker.Mark(r.Type, r.Resource)
		return n.String() + more
	}
	ddl := strs(t, connect(t, w.dsn), "select substring(note from ' ddl=[^ ]+') || substring(note from ' shape=[^ ]+') from tenure.mark where name = $1", schema.Name)[0]
	grants := strs(t, connect(t, w.dsn), "select substring(note from ' spec=[^ ]+') || substring(note from ' on=[^ ]+') from tenure.mark where name = 'use'")[0]
	w.exec(t, "delete from tenure.mark; alter table tenure.mark drop column site, drop column object")
	w.exec(t, "comment on schema %s is %s", quote(schema.Name), literal(older(schema.Ref, ddl)))
	w.exec(t, "comment on schema %s is %s", quote(quarantined(aside.Resource)), literal(older(aside.Ref, " state=quarantined owner="+d.user)))
	w.exec(t, "comment on role %s is %s; comment on database %s is %s", quote(role.Name), literal(older(role.Ref, "")), quote(database.Name), literal(older(database.Ref, "")))
	w.exec(t, "insert into tenure.mark (type, name, note) values ('grant', 'use', %s)", literal(older(grant.Ref, grants)))
	w.exec(t, "create schema %s; comment on schema %[1]s is %s", quote(w.token+"copy"), literal(older(schema.Ref, "")))

	system = connector.NewSystem(system.Name, system.Info, w.driver(t, w.proxy.DSN), system.Fingerprint, 4)
	all := map[string]connector.Observed{}
	trusted, err := system.Discover(t.Context(), connector.Scope{}, func(o connector.Observed) error { all[o.Type+" "+o.Name] = o; return nil })
	if err != nil || trusted != nil {
		t.Fatal(err, trusted)
	}
	for _, r := range []connector.Desired{schema, aside, role, database, grant} {
		o := all[r.Type+" "+r.Name]
		want, err := system.Normalise(r)
		if err != nil || o.Owner != connector.Ours || o.Resource != r.Resource || string(o.Attributes) != string(want) {
			t.Errorf("%s %s is %q (%s) with %s, want %s: %v", r.Type, r.Name, o.Owner, o.Resource, o.Attributes, want, err)
		}
	}
	if o := all["schema "+w.token+"copy"]; o.Owner == connector.Ours {
		t.Error("a comment that stands elsewhere was taken over")
	}
	// Once: a comment of that time says nothing any more.
	w.unmark(t, schema.Ref)
	system = connector.NewSystem(system.Name, system.Info, w.driver(t, w.proxy.DSN), system.Fingerprint, 4)
	seen, _, err := system.Observe(t.Context(), []connector.Ref{schema.Ref})
	if err != nil || !seen[0].Found || seen[0].Owner == connector.Ours {
		t.Errorf("after its mark was lost the schema is %+v: %v", seen[0], err)
	}
	if _, _, err := system.Delete(t.Context(), role.Ref); err == nil {
		t.Error("a role that owns a schema is dropped")
	}
	if _, _, err := system.Delete(t.Context(), aside.Ref); err != nil {
		t.Errorf("what was set aside can't be deleted: %v", err)
	}
}

// TestHugeComments: a comment of 200 MB keeps nobody from looking, and isn't read.
func TestHugeComments(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	schema, role, _ := w.kinds(t, d)
	w.exec(t, "do $$ begin execute format('comment on schema %%I is %%L', %s, 'tenure:1:' || repeat('x', 200000000)); execute format('comment on role %%I is %%L', %s, repeat('x', 200000000)); end $$", literal(schema.Name), literal(role.Name))
	w.unmark(t, schema.Ref)
	w.unmark(t, role.Ref)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, r := range []connector.Ref{schema.Ref, role.Ref} {
		if o := observe(t, d, r); !o.Found || o.Owner == connector.Ours {
			t.Errorf("%s: %+v", r.Name, o)
		}
	}
	if _, err := d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := d.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := d.Adopt(t.Context(), schema.Ref, tenure.ResourcePresent); err != nil {
		t.Error(err)
	}
	if _, err := d.Delete(t.Context(), schema.Ref); err != nil {
		t.Error(err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 150<<20 {
		t.Errorf("looking took %d MB: the comment was read whole", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}

// TestMarksAreSecluded: who else has a right where marks stand is told, and a schema of
// Tenure's name that is a tenant's isn't used.
func TestMarksAreSecluded(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	_, role, _ := w.kinds(t, d)
	if says, err := d.Exposed(t.Context()); err != nil || len(says) > 0 {
		t.Errorf("as planted: %q, %v", says, err)
	}
	w.exec(t, "grant usage on schema tenure to public; grant select (note) on tenure.mark to %s; grant update on tenure.sentinel to %[1]s", quote(role.Name))
	says, err := d.Exposed(t.Context())
	want := []string{"everybody has usage on schema tenure", role.Name + " has select on column tenure.mark.note", role.Name + " has update on table tenure.sentinel"}
	if err != nil || !slices.Equal(says, want) {
		t.Errorf("told %q, want %q: %v", says, want, err)
	}
	if _, err := d.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := openWorld(t)
	other.exec(t, "create role %s; create schema tenure authorization %[1]s", quote(other.token+"early"))
	if _, err := other.driver(t, other.dsn).Plant(t.Context()); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a schema that a tenant has made before is used: %v", err)
	}
}
