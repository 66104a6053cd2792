package postgres

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// neighbours are two tenants, acme and birch, each with a role, a schema that it owns,
// a database of its own and a place in a shared table, and their inventory.
type neighbours struct {
	*world
	t      *testing.T
	d      *Driver
	system *connector.System
	all    []connector.Declared
	refs   map[string]connector.Ref
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	return neighboursAs(t, false)
}

// neighboursAs is newNeighbours; Tenure may have the least rights alone.
func neighboursAs(t *testing.T, least bool) *neighbours {
	t.Helper()
	d, w, system := opened(t)
	if least {
		w.least(t)
	}
	n := &neighbours{world: w, t: t, d: d, system: system, refs: map[string]connector.Ref{}}
	postgrestest.Exec(t, w.dsn, "create role "+quote(w.token+"reader")+" login password 'reader-secret-text'; create role "+quote(w.token+"group")+"; create schema lookup; create table lookup.colours (c text)")
	for _, tenant := range []string{"acme", "birch"} {
		n.tenant(tenant)
	}
	return n
}

func (n *neighbours) tenant(name string) {
	id := tenure.NewID[tenure.TenantID](time.Now())
	role := n.token + name
	for _, r := range []struct {
		typ, name  string
		attributes map[string]any
	}{
		{"role", role, map[string]any{"login": true}},
		{"schema", name, map[string]any{"owner": role, "ddl": "create table if not exists orders (id int, note text)"}},
		{"database", role + "_db", map[string]any{"owner": role}},
		{"rows", name, map[string]any{"schema": "shared", "tables": map[string]any{"orders": "billing"}, "column": "tenant", "key": name, "seed": "insert into shared.orders values ('" + name + "', 1)"}},
		{"policy", name, map[string]any{"role": role, "schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": name}},
		{"grant", name + " shared", map[string]any{"role": role, "schema": "shared", "tables": []any{"orders"}, "privileges": []any{"select"}}},
	} {
		want := desired(r.typ, r.name, r.attributes)
		want.Tenant = id
		o, _, verdict, err := n.system.Ensure(n.t.Context(), want)
		if err != nil || verdict != tenure.Verified {
			n.t.Fatalf("ensure %s %s: %s, %v", r.typ, r.name, verdict, err)
		}
		n.refs[name+" "+r.typ] = want.Ref
		n.all = append(n.all, connector.Declared{Resource: want.Resource, Tenant: id, Type: r.typ, Name: r.name, State: tenure.ResourcePresent, Normal: o.Attributes})
	}
}

func (n *neighbours) look() (out []connector.Way) {
	n.t.Helper()
	trusted, err := n.system.Reach(context.Background(), n.all, func(w connector.Way) error { out = append(out, w); return nil })
	if err != nil || trusted != nil {
		n.t.Fatalf("a look at rights: %v, %v", trusted, err)
	}
	return slices.DeleteFunc(out, n.elsewhere)
}

// confine takes back all that stands at a resource undeclared.
func (n *neighbours) confine(r connector.Ref) (connector.Receipt, error) {
	return confined(context.Background(), n.system, r, n.all)
}

func confined(ctx context.Context, system *connector.System, r connector.Ref, all []connector.Declared) (connector.Receipt, error) {
	var rights []tenure.Right
	_, err := system.Reach(ctx, all, func(w connector.Way) error { rights = append(rights, w.Right()); return nil })
	if err != nil {
		return connector.Receipt{}, err
	}
	return system.Confine(ctx, r, all, rights)
}

// A repair takes back what its plan lists and no more: what came since stays, also what
// hangs on a right that is listed, and is named. Whoever holds a right is told, and
// whether that is a tenant.
func TestConfineTakesWhatIsListed(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	at := n.refs["acme schema"]
	postgrestest.Exec(t, n.dsn, n.fill("create role APP; grant usage on schema acme to READER, BIRCH; grant select on acme.orders to READER with grant option"))
	var rights []tenure.Right
	for _, w := range n.look() {
		rights = append(rights, w.Right())
		if reader := w.Holder == n.token+"reader"; reader != w.Outside || !reader && w.Holder != n.token+"birch" {
			t.Errorf("the holder is %q, outside %t: %s", w.Holder, w.Outside, w.Says)
		}
		if w.Holder == n.token+"birch" { // somebody waived it
			rights[len(rights)-1].Waived = true
		}
	}
	if len(rights) != 3 {
		t.Fatalf("there are %+v", rights)
	}
	postgrestest.Exec(t, n.dsn, n.fill("set role READER; grant select on acme.orders to GROUP; reset role; grant insert on acme.orders to APP"))
	left := func() (out string) {
		for _, w := range n.look() {
			out += w.Holder + " " + w.Got + "\n"
		}
		return out
	}
	rec, err := n.system.Confine(t.Context(), at, n.all, rights)
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "what the plan doesn't list") || !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "look again") || !rec.Changed {
		t.Errorf("with rights beside those of the list: changed %t, %v", rec.Changed, err)
	}
	for _, want := range []string{n.application() + " insert", n.token + "group select", n.token + "birch usage"} {
		if !strings.Contains(left(), want) {
			t.Errorf("of what isn't listed there is no %q any more:\n%s", want, left())
		}
	}
	if strings.Contains(left(), n.token+"reader usage") {
		t.Errorf("what is listed stays:\n%s", left())
	}
	rights = nil
	for _, w := range n.look() {
		right := w.Right()
		right.Waived = w.Holder == n.token+"birch"
		rights = append(rights, right)
	}
	if _, err := n.system.Confine(t.Context(), at, n.all, rights); err != nil || left() != n.token+"birch usage\n" {
		t.Errorf("once all is listed: %v, and there is\n%s", err, left())
	}
}

// elsewhere says that a way is another test's doing: roles and databases are the whole
// server's, and tests run side by side on one.
func (n *neighbours) elsewhere(w connector.Way) bool {
	database := postgrestest.Value[string](n.t, n.dsn, "select current_database()")
	return slices.ContainsFunc(placesOfTests.FindAllString(w.Says, -1), func(name string) bool {
		return name != database && name != n.token
	})
}

var placesOfTests = regexp.MustCompile(`\btest_[0-9a-f]{12}\b|\bt[0-9a-f]{12}_`)

// fill puts this run's names into a statement.
func (n *neighbours) fill(sql string) string {
	return strings.NewReplacer("ACME", n.token+"acme", "BIRCH", n.token+"birch", "READER", n.token+"reader", "APP", n.application(), "GROUP", n.token+"group", "DB", postgrestest.Value[string](n.t, n.dsn, "select current_database()")).Replace(sql)
}

// Each way in that a person or a tenant opened by hand is found, at whose it is, and a
// repair takes it back or says why it doesn't. Nothing else is found: noise is what
// makes people look away.
func TestEveryWayIn(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	if ways := n.look(); len(ways) > 0 {
		t.Fatalf("two tenants as they were made show %+v", ways)
	}
	const (
		critical, high, medium = tenure.Critical, tenure.High, tenure.Medium
		platform               = ""
	)
	for _, c := range []struct {
		name, plant, in string // in: another database
		at              string
		severity        tenure.Severity
		says            string
		undo            string // where a repair can't
		also            string // at whom something is found besides
	}{
		{name: "a neighbour in the schema", plant: "grant usage on schema acme to BIRCH; grant select on acme.orders to BIRCH", at: "acme schema", severity: critical, says: "BIRCH, another tenant's, may select on table acme.orders"},
		{name: "a column", plant: "grant select (note) on acme.orders to BIRCH", at: "acme schema", severity: critical, says: "column note of acme.orders"},
		{name: "everybody", plant: "grant select on acme.orders to public", at: "acme schema", severity: critical, says: "PUBLIC may select on table acme.orders"},
		{name: "a role of the platform's", plant: "grant select on acme.orders to READER", at: "acme schema", severity: high, says: "role READER may select"},
		{name: "a group that a neighbour is in", plant: "grant select on acme.orders to GROUP; grant GROUP to BIRCH", at: "acme schema", severity: critical, says: "of which BIRCH is a member", undo: "revoke GROUP from BIRCH"},
		{name: "rights passed on", plant: "grant usage on schema acme to READER; grant select on acme.orders to READER with grant option; set role READER; grant select on acme.orders to BIRCH; reset role", at: "acme schema", severity: critical, says: "granted by READER"},
		{name: "a sequence", plant: "create sequence acme.s; alter sequence acme.s owner to ACME; grant usage on sequence acme.s to BIRCH", at: "acme schema", severity: critical, says: "sequence acme.s"},
		{name: "a function", plant: "create function acme.f() returns int language sql as 'select 1'; alter function acme.f() owner to ACME; grant execute on function acme.f() to BIRCH", at: "acme schema", severity: critical, says: "function acme.f()"},
		{name: "a type", plant: "create type acme.colour as enum ('red'); alter type acme.colour owner to ACME; grant usage on type acme.colour to BIRCH", at: "acme schema", severity: critical, says: "type acme.colour"},
		{name: "an owner", plant: "create table acme.theirs (i int); alter table acme.theirs owner to BIRCH", at: "acme schema", severity: critical, says: "BIRCH, which isn't the tenant's, owns table acme.theirs", undo: "drop table acme.theirs"},
		{name: "what is yet to be made", plant: "alter default privileges for role ACME in schema acme grant select on tables to BIRCH", at: "acme schema", severity: critical, says: "from now on"},
		{name: "what is yet to be made, for everybody", plant: "alter default privileges for role ACME grant select on tables to public", at: "acme role", severity: critical, says: "PUBLIC gets select on tables"},
		{name: "what the platform is yet to make", plant: "alter default privileges in schema lookup grant select on tables to BIRCH", at: "birch role", severity: critical, says: "from now on"},
		{name: "a large object", plant: "do $$ declare o oid; begin o := lo_create(0); execute format('alter large object %s owner to ACME', o); execute format('grant select on large object %s to BIRCH', o); end $$", at: "acme role", severity: critical, says: "large object"},
		{name: "the database", plant: `grant connect on database "ACME_db" to BIRCH`, at: "acme database", severity: critical, says: "connect on database ACME_db"},
		{name: "in the database", in: "ACME_db", plant: "create table t (i int); alter table t owner to ACME; grant select on t to BIRCH", at: "acme database", severity: critical, says: "table public.t"},
		{name: "a member", plant: "grant ACME to READER", at: "acme role", severity: high, says: "READER is a member of ACME"},
		{name: "a member through a group", plant: "grant BIRCH to GROUP; grant GROUP to ACME", at: "acme role", severity: critical, says: "may act as BIRCH", also: "birch role", undo: "revoke GROUP from ACME; revoke BIRCH from GROUP"},
		{name: "reads all through a group", plant: "grant pg_read_all_data to GROUP; grant GROUP to ACME", at: "acme role", severity: critical, says: "may act as pg_read_all_data", undo: "revoke GROUP from ACME; revoke pg_read_all_data from GROUP"},
		{name: "admin of a group", plant: "grant GROUP to ACME with admin option", at: "acme role", severity: critical, says: "may make others members", undo: "revoke GROUP from ACME"},
		{name: "a search path", plant: "alter role ACME set search_path = birch", at: "acme role", severity: critical, says: "search_path of role ACME is birch"},
		{name: "a setting in a database", plant: "alter role ACME in database DB set work_mem = '1GB'", at: "acme role", severity: high, says: "work_mem"},
		{name: "a setting of its own", plant: "alter role ACME set app.tenant = 'birch'", at: "acme role", severity: high, says: "app.tenant"},
		{name: "a setting of the database", plant: `alter database "ACME_db" set search_path = nowhere`, at: "acme database", severity: critical, says: "search_path"},
		{name: "a table of the platform's", plant: "grant usage on schema lookup to ACME; grant select on lookup.colours to ACME", at: "acme role", severity: critical, says: "table lookup.colours"},
		{name: "past row security", plant: "create view shared.v as select * from shared.orders; grant select on shared.v to ACME", at: "acme role", severity: critical, says: "past row security", undo: "drop view shared.v"},
		{name: "past row security, copied", plant: "create materialized view shared.mv as select * from shared.orders; grant select on shared.mv to ACME", at: "acme role", severity: critical, says: "past row security", undo: "drop materialized view shared.mv"},
		{name: "past row security, everybody", plant: "create view shared.v as select * from shared.orders; grant select on shared.v to public", at: platform, severity: critical, says: "PUBLIC may select on view shared.v", undo: "drop view shared.v"},
		{name: "a view of a view", plant: "create view shared.v as select * from shared.orders; create view shared.w as select * from shared.v; grant select on shared.w to public", at: platform, severity: critical, says: "view shared.w", undo: "drop view shared.w, shared.v"},
		{name: "a function of the platform's", plant: "create function shared.all_orders() returns setof shared.orders security definer language sql as 'select * from shared.orders'", at: platform, severity: critical, says: "PUBLIC may execute on function shared.all_orders()", undo: "drop function shared.all_orders()"},
		{name: "a function for one", plant: "create function lookup.all_orders() returns bigint security definer language sql as 'select count(*) from shared.orders'; revoke execute on function lookup.all_orders() from public; grant execute on function lookup.all_orders() to ACME", at: "acme role", severity: critical, says: "function lookup.all_orders()", undo: "drop function lookup.all_orders()"},
		{name: "a lookup for everybody", plant: "grant usage on schema lookup to public; grant select on lookup.colours to public", at: platform, severity: medium, says: "PUBLIC may select on table lookup.colours", undo: "revoke all on schema lookup from public; revoke all on lookup.colours from public"},
		{name: "a shared table that row security doesn't guard", plant: "create table shared.more (tenant text); grant select on shared.more to public", at: platform, severity: critical, says: "PUBLIC may select on table shared.more", undo: "drop table shared.more"},
		{name: "a schema to make things in", plant: "grant create on schema shared to public", at: platform, severity: critical, says: "PUBLIC may create on schema shared", undo: "revoke create on schema shared from public"},
		{name: "Tenure's own", plant: "grant usage on schema tenure to public; grant select on tenure.mark to public", at: platform, severity: critical, says: "PUBLIC may select on table tenure.mark", undo: "revoke all on schema tenure from public; revoke all on tenure.mark from public"},
		{name: "a table in a place that is nobody's", plant: "create table lookup.mine (i int); alter table lookup.mine owner to ACME", at: "acme role", severity: critical, says: "ACME owns table lookup.mine", undo: "drop table lookup.mine"},
		{name: "a schema that nobody declared", plant: "create schema extra authorization ACME", at: "acme role", severity: high, says: "owns schema extra", undo: "drop schema extra"},
		{name: "the server's own", plant: "grant select on pg_catalog.pg_authid to ACME", at: "acme role", severity: critical, says: "pg_authid"},
		{name: "a function of the server's", plant: "grant execute on function pg_catalog.pg_read_file(text) to ACME", at: "acme role", severity: medium, says: "pg_read_file"},
		{name: "in another database", in: "postgres", plant: "create table if not exists ACME_t (i int); grant select on ACME_t to ACME", at: "acme role", severity: critical, says: "ACME_t, which tenure owns", undo: "drop table ACME_t"},
		{name: "large objects for all", plant: "alter database DB set lo_compat_privileges = on", at: platform, severity: critical, says: "large object", undo: "alter database DB reset lo_compat_privileges"},
		{name: "a publication", plant: "create publication p; alter publication p owner to ACME", at: "acme role", severity: high, says: "owns publication p", undo: "drop publication p"},
		{name: "a foreign server", plant: "create foreign data wrapper w; create server far foreign data wrapper w; grant usage on foreign server far to ACME; create user mapping for ACME server far", at: "acme role", severity: high, says: "foreign server far", undo: "drop foreign data wrapper w cascade"},
	} {
		n.t.Run(c.name, func(t *testing.T) {
			n := *n
			n.t = t
			dsn := n.dsn
			if c.in != "" {
				dsn = n.databaseDSN(n.fill(c.in))
			}
			postgrestest.Exec(t, dsn, n.fill(c.plant))
			n.reopen()
			ways := n.look()
			n.wants(ways, c.at, c.also, c.severity, n.fill(c.says))
			if c.at != platform {
				rec, err := n.confine(n.refs[c.at])
				left := n.look()
				mine := slices.ContainsFunc(left, func(w connector.Way) bool { return w.At != nil && w.At.Resource == n.refs[c.at].Resource })
				switch {
				case mine && (tenure.CodeOf(err) != tenure.Blocked || len(tenure.HintsOf(err)) == 0):
					t.Errorf("a repair leaves %+v and says %v", left, err)
				case !mine && (err != nil || !rec.Changed):
					t.Errorf("a repair that took all back says changed %t, %v", rec.Changed, err)
				case mine && c.undo == "":
					t.Errorf("a repair doesn't take back %+v", left)
				}
			}
			if c.undo != "" {
				postgrestest.Exec(t, dsn, n.fill(c.undo))
				n.reopen()
			}
			if left := n.look(); len(left) > 0 && c.at == platform {
				t.Errorf("afterwards there is %+v", left)
			}
		})
	}
}

func (n *neighbours) wants(ways []connector.Way, at, also string, severity tenure.Severity, says string) {
	n.t.Helper()
	ok := false
	for _, w := range ways {
		whose := tenure.ResourceID("")
		if w.At != nil {
			whose = w.At.Resource
		}
		if whose != n.refs[at].Resource && (also == "" || whose != n.refs[also].Resource) {
			n.t.Errorf("it is laid to the charge of %+v: %s", w.At, w.Says)
		}
		ok = ok || strings.Contains(w.Says, says) && w.Severity == severity && whose == n.refs[at].Resource && w.Field != "" && w.Got != "" && w.Fix != ""
	}
	if !ok {
		n.t.Errorf("no way of severity %s at %q says %q: %+v", severity, at, says, ways)
	}
}

func (n *neighbours) databaseDSN(name string) string {
	return postgrestest.With(n.t, n.dsn, func(u *url.URL) { u.Path = "/" + name })
}

// reopen lets settings of the database come into force.
func (n *neighbours) reopen() { n.d.pool.Reset() }

// A repair runs ddl in a schema of its own beside the tenant's, and what it makes there is
// the tenant's role's: a look at that moment finds nothing, and a repair has nothing to take back.
func TestAScratchSchemaIsNoDrift(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	at := quote(scratchPrefix + uuid(n.refs["acme schema"].Resource))
	postgrestest.Exec(t, n.dsn, n.fill("create schema "+at+" authorization ACME; create table "+at+".t (i int); alter table "+at+".t owner to ACME"))
	if ways := n.look(); len(ways) > 0 {
		t.Errorf("there is %+v", ways)
	}
	if rec, err := n.confine(n.refs["acme role"]); err != nil || rec.Changed {
		t.Errorf("a repair: changed %t, error %v", rec.Changed, err)
	}
}

// A tenant that opens its own schema to everybody stops nobody else's probe, which
// names it; the look at rights lays it to its charge.
func TestMisdeedOfANeighbour(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	probe := func() connector.Outcome {
		t.Helper()
		o, err := n.system.Probe(t.Context(), connector.Check{Kind: "isolation", Ref: n.refs["acme role"], Credential: n.credential("acme")})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := probe(); !o.Passed {
		t.Fatalf("before anything: %s", o.Detail)
	}
	birch := connect(t, postgrestest.As(t, n.dsn, n.token+"birch", n.credential("birch").Reveal()))
	for _, sql := range []string{"grant usage on schema birch to public", "grant select on all tables in schema birch to public", n.fill("grant all on birch.orders to ACME")} {
		if _, err := birch.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if o := probe(); !o.Passed || !strings.Contains(o.Detail, "birch") {
		t.Errorf("a neighbour's misdeed: passed %t, %s", o.Passed, o.Detail)
	}
	ways := n.look()
	n.wants(ways, "birch schema", "", tenure.Critical, "PUBLIC may select on table birch.orders")
	n.wants(ways, "birch schema", "", tenure.Critical, n.fill("role ACME, another tenant's, may"))
}

// A view that a grant declares is tried: it is fine while it shows the tenant's own
// rows, and fails the probe when it shows another's.
func TestDeclaredView(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	postgrestest.Exec(t, n.dsn, n.fill("create view shared.mine as select * from shared.orders where tenant = substr(current_user, length(current_user) - 3)"))
	want := desired("grant", "acme view", map[string]any{"role": n.token + "acme", "schema": "shared", "tables": []any{"mine"}, "privileges": []any{"select"}})
	if _, _, _, err := n.system.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		view   string
		passes bool
	}{{"", true}, {"create or replace view shared.mine as select * from shared.orders", false}} {
		if c.view != "" {
			postgrestest.Exec(t, n.dsn, c.view)
		}
		o, err := n.system.Probe(t.Context(), connector.Check{Kind: "isolation", Ref: n.refs["acme role"], Credential: n.credential("acme")})
		if err != nil || o.Passed != c.passes {
			t.Errorf("after %q: passed %t (%s), %v", c.view, o.Passed, o.Detail, err)
		}
	}
}

func (n *neighbours) credential(tenant string) tenure.Secret {
	return tenure.NewSecret("credential-of-" + n.token + tenant)
}

// The logins that Tenure makes for people and for itself, for a while, are no strangers;
// one that only bears such a name is.
func TestLoginsOfOurOwn(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	err := n.d.Elevate(t.Context(), connector.Elevation{ID: tenure.NewID[tenure.ElevationID](time.Now()), Login: loginPrefix + n.token, Access: tenure.DirectWrite, Secret: tenure.NewSecret("a-secret-text"), Until: time.Now().Add(time.Hour),
		Refs: []connector.Ref{n.refs["acme schema"], n.refs["acme database"]}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.d.Unelevate(context.Background(), loginPrefix+n.token) }()
	if ways := n.look(); len(ways) > 0 {
		t.Errorf("a login of an elevation is found as %+v", ways)
	}
	fake := deputyPrefix + n.token
	postgrestest.Exec(t, n.dsn, "create role "+quote(fake)+"; grant "+quote(n.token+"acme")+" to "+quote(fake))
	defer postgrestest.Exec(t, n.dsn, "drop role "+quote(fake))
	n.wants(n.look(), "acme role", "", tenure.High, fake+" is a member of")
}
