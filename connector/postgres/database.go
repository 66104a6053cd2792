package postgres

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// databases are a tenant's own databases. One can't be made in a transaction,
// so it is made under a reserved name that its resource decides, and renamed
// when it is whole: a crash leaves nothing under the tenant's name, and the
// next call takes up the rest.
type databases struct{ *Driver }

type databaseAttributes struct {
	Owner           string `json:"owner"`
	Template        string `json:"template"`
	ConnectionLimit *int   `json:"connectionLimit"`
	DDL             string `json:"ddl"`
	Seed            string `json:"seed"`
	relational.Elsewhere
	relational.Coverage
}

func (k databases) parse(r connector.Ref) (a databaseAttributes, err error) {
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
	if a.Template != "" {
		if err := checkNames("the template of a database", a.Template); err != nil {
			return a, err
		}
	}
	if a.ConnectionLimit != nil && (*a.ConnectionLimit < 0 || *a.ConnectionLimit > 1_000_000) {
		return a, tenure.Errorf(tenure.Invalid, "database %q: the connection limit must be from 0 to 1000000", r.Name)
	}
	if strings.ContainsRune(a.DDL+a.Seed, 0) {
		return a, tenure.Errorf(tenure.Invalid, "database %q: the ddl or seed holds a NUL byte", r.Name)
	}
	if err := a.Elsewhere.Check(r); err != nil {
		return a, err
	}
	return a, a.Coverage.Check(r, true)
}

func (a databaseAttributes) limit() int {
	if a.ConnectionLimit == nil {
		return -1
	}
	return *a.ConnectionLimit
}

func (a databaseAttributes) digest() string {
	if strings.TrimSpace(a.DDL) == "" {
		return ""
	}
	return tenure.Digest([]byte(a.DDL))
}

func (k databases) shaped(renamed, owner string, limit int, public bool) json.RawMessage {
	var o object
	if limit >= 0 {
		o.raw("connectionLimit", strconv.Itoa(limit))
	}
	o.text("name", renamed)
	if owner != k.user {
		o.text("owner", owner)
	}
	if public {
		o.flag("public", true)
	}
	return o.done()
}

func (k databases) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return k.shaped("", a.Owner, a.limit(), false), nil
}

var databasesSQL = "select " + databaseClass.columns() + `, pg_get_userbyid(o.datdba), o.datconnlimit::text,
 exists (select 1 from aclexplode(coalesce(o.datacl, acldefault('d', o.datdba))) x where x.grantee = 0)::text` + databaseClass.from()

type database struct {
	marked
	owner  string
	limit  int
	public bool
}

func (k databases) read(v [][]byte) database {
	b := database{marked: k.marked(databaseClass, v), owner: string(v[4]), public: string(v[6]) == "true"}
	b.limit, _ = strconv.Atoi(string(v[5]))
	return b
}

func (b database) aside() bool      { return strings.HasPrefix(b.name, quarantinePrefix) }
func (b database) unfinished() bool { return strings.HasPrefix(b.name, unfinishedPrefix) }

// closed says that a quarantine of it has begun at least.
func (b database) closed() bool {
	return b.aside() || b.note.Get("state") == string(tenure.ResourceQuarantined)
}

func (k databases) observed(b database) connector.Observed {
	o := connector.Observed{Type: "database", Name: b.shownAs(), Found: true, State: tenure.ResourcePresent}
	o.Resource, o.Owner = b.note.Read(k.marker, "database")
	switch s := tenure.ResourceState(b.note.Get("state")); {
	case b.aside():
		o.State = tenure.ResourceQuarantined
	case s != "":
		o.State = s
	}
	owner, renamed := b.owner, ""
	if o.State != tenure.ResourcePresent {
		owner = b.note.Get("owner")
	}
	switch {
	case b.unfinished():
		o.Name, o.Detail = b.name, "it is being made, or its making was cut off"
	case b.renamed():
		renamed, o.Detail = b.name, "it has got another name"
	}
	o.Attributes = k.shaped(renamed, owner, b.limit, b.public)
	return o
}

// find reads the databases that may be r's: by its note, under its name or aside, and
// unfinished.
func (k databases) find(ctx context.Context, s *session, r connector.Ref) (have, begun *database, err error) {
	names := "array[" + literals([]string{r.Name, quarantined(r.Resource), unfinished(r.Resource)}) + "]::name[]"
	err = s.simple(ctx, databasesSQL+databaseClass.named(names), func(_ int, v [][]byte) error {
		switch b := k.read(v); {
		case b.name == unfinished(r.Resource):
			begun = &b
		case b.answers(r) > 0 && (have == nil || b.answers(r) > have.answers(r)):
			have = &b
		}
		return nil
	})
	return have, begun, err
}

// own is the database of r, aside or under its name.
func (k databases) own(ctx context.Context, s *session, r connector.Ref) (have, begun *database, err error) {
	if err := checkName(r); err != nil {
		return nil, nil, err
	}
	have, begun, err = k.find(ctx, s, r)
	if err == nil && have != nil {
		err = relational.Claim(k.marker, have.note, r)
	}
	return have, begun, err
}

func (k databases) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, begun, err := k.own(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		switch {
		case have != nil && have.closed():
			return tenure.Errorf(tenure.Conflict, "database %q is quarantined; bring it back first", d.Name)
		case have != nil:
			rec.Changed, err = k.repair(ctx, s, d, a, *have)
		default:
			rec.Changed, err = true, k.create(ctx, s, d, a, begun)
		}
		if err != nil {
			return err
		}
		if have, _, err = k.find(ctx, s, d.Ref); have != nil {
			o = k.observed(*have)
		}
		return err
	})
	return o, rec, err
}

func (k databases) noteFor(r connector.Ref, a databaseAttributes, object string) relational.Note {
	return relational.NewNote(k.marker, r).With(relational.ObjectKey, object).With("ddl", a.digest())
}

// create makes the database under its reserved name, fills it and renames it.
// What an earlier try left is dropped first: nobody but Tenure was let in.
func (k databases) create(ctx context.Context, s *session, d connector.Desired, a databaseAttributes, begun *database) error {
	name := unfinished(d.Resource)
	if begun != nil {
		if err := s.simple(ctx, "drop database "+quote(name)+" with (force)", nil); err != nil {
			return err
		}
	}
	create := "create database " + quote(name)
	template := a.Template
	if template == "" {
		template = "template0" // to which nobody connects: a session in the copied one would hold everybody up
	}
	create += " template " + quote(template)
	if err := s.simple(ctx, create, nil); err != nil {
		return err
	}
	object, err := databaseClass.made(ctx, s, name)
	if err != nil {
		return err
	}
	marked := k.mark(databaseClass, name, k.noteFor(d.Ref, a, object))
	if err := s.run(ctx, append(marked, "revoke all on database "+quote(name)+" from public"), "", nil); err != nil {
		return err
	}
	if err := k.inside(ctx, name, func(s *session) error { return apply(ctx, s, a.Owner, a.DDL, a.Seed) }); err != nil {
		return err
	}
	last := []string{"alter database " + quote(name) + " rename to " + quote(d.Name)}
	if a.limit() >= 0 {
		last = append(last, "alter database "+quote(d.Name)+" connection limit "+strconv.Itoa(a.limit()))
	}
	if a.Owner != "" && a.Owner != k.user {
		last = append(last, "alter database "+quote(d.Name)+" owner to "+quote(a.Owner))
	}
	return s.run(ctx, last, "", nil)
}

// apply runs a blueprint's statements inside a database, in one transaction, as its
// owner where it has one: what they make is the owner's.
func apply(ctx context.Context, s *session, owner string, texts ...string) error {
	var body []string
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			body = append(body, t+"\n")
		}
	}
	if body == nil {
		return nil
	}
	first := []string{"set local search_path to public"}
	if owner != "" {
		first = append(first, "set local role "+quote(owner))
		if s.deputy == nil {
			first = append([]string{"grant create on schema public to " + quote(owner)}, first...)
		}
	}
	return s.run(ctx, append(first, body...), "", nil)
}

// again runs the ddl in a database that is there, in which the tenant may have
// written code that it sets off: by a deputy, if the database is a tenant's role's.
func (k databases) again(ctx context.Context, d connector.Desired, a databaseAttributes) error {
	var p *premises
	err := k.inside(ctx, d.Name, func(s *session) (err error) {
		if p, err = k.premises(ctx, s, "", a.Owner); err != nil {
			return err
		}
		if p == nil {
			return apply(ctx, s, "", a.DDL)
		}
		return hand(ctx, s, p.owner)
	})
	if err == nil && p != nil {
		err = k.deputise(ctx, d.Ref, *p, d.Name, func(ctx context.Context, s *session) error { return apply(ctx, s, p.owner, a.DDL) })
	}
	return repeated("database", d.Name, err)
}

// hand gives the owner the tables and sequences that Tenure's role has made for it.
func hand(ctx context.Context, s *session, owner string) error {
	statements, err := textsOf(ctx, s, `select format('alter %s %I.%I owner to %I', case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, n.nspname, c.relname, `+literal(owner)+`)
 from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'S', 'v', 'm') and c.relowner = (select oid from pg_roles where rolname = current_user) and `+notOurs+`
 and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and (d.deptype = 'e' or c.relkind = 'S' and d.deptype in ('a', 'i')))`)
	if err != nil || len(statements) == 0 {
		return err
	}
	return s.run(ctx, statements, "", nil)
}

// inside runs f on a connection of its own to another database of the server.
func (d *Driver) inside(ctx context.Context, name string, f func(s *session) error) error {
	conf := d.sessionConfig()
	conf.Database = name
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return coded(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	s := &session{conn: conn}
	return coded(d.naming(ctx, s, func() error { return f(s) }))
}

func (k databases) repair(ctx context.Context, s *session, d connector.Desired, a databaseAttributes, have database) (bool, error) {
	name := quote(d.Name)
	var statements []string
	changed := have.renamed()
	if changed {
		if err := s.simple(ctx, "alter database "+quote(have.name)+" rename to "+name, nil); err != nil {
			return false, err
		}
	}
	if have.public {
		statements = append(statements, "revoke all on database "+name+" from public")
	}
	owner := a.Owner
	if owner == "" {
		owner = k.user
	}
	if owner != have.owner {
		statements = append(statements, "alter database "+name+" owner to "+quote(owner))
	}
	if a.limit() != have.limit {
		statements = append(statements, "alter database "+name+" connection limit "+strconv.Itoa(a.limit()))
	}
	if have.note.Get("ddl") != a.digest() {
		if err := k.again(ctx, d, a); err != nil {
			return false, err
		}
	}
	if note := k.noteFor(d.Ref, a, have.object); note.String() != have.note.String() {
		statements = append(statements, k.mark(databaseClass, d.Name, note)...)
	}
	if len(statements) == 0 {
		return changed, nil
	}
	return true, s.run(ctx, statements, "", nil)
}

func (k databases) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	err := byName(refs, func(part []connector.Ref, names []string) error {
		byID, byName := map[string]connector.Ref{}, map[string]connector.Ref{}
		for i, r := range part {
			if names[i] != "" {
				byName[r.Name], byID[quarantined(r.Resource)], byID[unfinished(r.Resource)] = r, r, r
				names = append(names, quarantined(r.Resource), unfinished(r.Resource))
			}
		}
		found, best, sizes := map[string]connector.Observed{}, map[string]int{}, map[string]string{}
		err := s.simple(ctx, databasesSQL+databaseClass.named("array["+literals(names)+"]::name[]"), func(_ int, v [][]byte) error {
			b := k.read(v)
			for _, r := range []connector.Ref{byName[b.known], byID[b.name], byName[b.name]} {
				rank := 2 * b.answers(r)
				if b.unfinished() {
					rank = 1
				}
				if r.Name != "" && rank > best[r.Name] {
					o := k.observed(b)
					o.Name = r.Name
					found[r.Name], best[r.Name], sizes[r.Name] = o, rank, b.name
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := k.sizes(ctx, s, sizes, found); err != nil {
			return err
		}
		return answer(part, found, yield)
	})
	return true, err
}

// sizes adds the bytes that each database takes, by the names that they have now.
func (k databases) sizes(ctx context.Context, s *session, now map[string]string, found map[string]connector.Observed) error {
	if len(now) == 0 {
		return nil
	}
	was := make(map[string]string, len(now))
	for name, is := range now {
		was[is] = name
	}
	return s.simple(ctx, "select datname, pg_database_size(oid)::text from pg_database where datname = "+anyOf(slices.Collect(maps.Keys(was)))+
		" and (has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage'))", func(_ int, v [][]byte) error {
		name := was[string(v[0])]
		if len(v[1]) == 0 { // it is being dropped
			return nil
		}
		n, err := strconv.ParseInt(string(v[1]), 10, 64)
		if o, ok := found[name]; ok {
			o.Metrics = map[string]int64{"bytes": n}
			found[name] = o
		}
		return err
	})
}

func (k databases) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	err := s.simple(ctx, databasesSQL+"where "+databaseClass.bears()+` or o.datname like 'tenure\_new\_%' or o.datname like 'tenure\_quarantine\_%'
 order by case when o.datname like 'tenure\_new\_%' then o.datname else coalesce(m.name, o.datname) end collate "C"`, func(_ int, v [][]byte) error {
		b := k.read(v)
		if k.elsewhere(b.note, sc) {
			return nil
		}
		return stop(yield(k.observed(b)))
	})
	return true, err
}

// free is a Blocked error that names what is tied to the database.
func (k databases) free(ctx context.Context, s *session, r connector.Ref, name string) error {
	outside, err := k.outside(ctx, s, name)
	if err != nil {
		return err
	}
	return unbound("database "+strconv.Quote(r.Name), outside)
}

func (k databases) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, begun, err := k.own(ctx, s, r)
		if err != nil {
			return err
		}
		for _, b := range []*database{have, begun} {
			if b == nil {
				continue
			}
			if err := k.free(ctx, s, r, b.name); err != nil {
				return err
			}
			name := quote(b.name)
			if err := s.simple(ctx, "alter database "+name+" with is_template false", nil); err != nil { // its owner may have made it one, and such aren't dropped
				return err
			}
			if err := s.simple(ctx, "drop database if exists "+name+" with (force)", nil); err != nil {
				return err
			}
			rec.Changed = true
		}
		return k.unmark(ctx, s, r)
	})
	return rec, err
}

// quarantine closes the database to everybody, ends its sessions and renames it.
func (k databases) quarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, _, err := k.own(ctx, s, r)
		if err != nil || have == nil || have.aside() {
			return err
		}
		if err := k.free(ctx, s, r, have.name); err != nil {
			return err
		}
		note := have.note.With("state", string(tenure.ResourceQuarantined))
		if have.note.Get("state") == "" {
			note = note.With("owner", have.owner)
		}
		name, aside := quote(have.name), quote(quarantined(r.Resource))
		statements := []string{"alter database " + name + " owner to current_user"}
		err = s.simple(ctx, `select distinct case when x.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end
 from pg_database b, aclexplode(b.datacl) x where x.grantee <> (select oid from pg_roles where rolname = current_user) and b.datname = `+literal(have.name), func(_ int, v [][]byte) error {
			statements = append(statements, "revoke all on database "+name+" from "+string(v[0]))
			return nil
		})
		if err != nil {
			return err
		}
		rec.Changed = true
		// The note goes first, so that a call that is cut off here can be taken up.
		statements = append(statements, "alter database "+name+" with allow_connections false", k.putNote(note))
		if err := s.run(ctx, statements, "", nil); err != nil {
			return err
		}
		if err := vacated(ctx, s, have.name); err != nil {
			return err
		}
		return s.run(ctx, []string{"alter database " + name + " rename to " + aside}, "", nil)
	})
	return rec, err
}

// occupantsSQL are the sessions in a database, each with whether Tenure's role may end it.
// What the server does there by itself has no user, and makes way.
const occupantsSQL = `select a.pid::text, r.rolname, (not r.rolsuper or me.rolsuper)::text from pg_stat_get_activity(null) a join pg_database b on b.oid = a.datid join pg_roles r on r.oid = a.usesysid
 cross join (select rolsuper from pg_roles where rolname = current_user) me where b.datname = `

// vacated ends the sessions in a database. Blocked are those of superusers, which they
// alone may end, if they don't go by themselves within two seconds: one that somebody has
// closed stands there for a moment.
func vacated(ctx context.Context, s *session, name string) error {
	stays, err := occupants(ctx, s, name)
	for end := time.Now().Add(2 * time.Second); err == nil && len(stays) > 0 && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		stays, err = occupants(ctx, s, name)
	}
	if err == nil && len(stays) > 0 {
		return tenure.Errorf(tenure.Blocked, "database %q is in use by a superuser: %s", name, strings.Join(stays, ", ")).
			WithHint("a superuser ends such a session: select pg_terminate_backend(PROCESS); then retry")
	}
	return err
}

// occupants ends the sessions that Tenure's role may end, and names the others.
func occupants(ctx context.Context, s *session, name string) (stays []string, err error) {
	var ends []string
	err = s.simple(ctx, occupantsSQL+literal(name)+" order by 1", func(_ int, v [][]byte) error {
		if string(v[2]) == "true" {
			ends = append(ends, string(v[0]))
		} else {
			stays = append(stays, "process "+string(v[0])+" of "+string(v[1]))
		}
		return nil
	})
	if err == nil && len(ends) > 0 {
		err = s.simple(ctx, "select pg_terminate_backend(pid, 5000)::text from unnest("+literal("{"+strings.Join(ends, ",")+"}")+"::int[]) p (pid)", nil)
	}
	return stays, err
}

func (k databases) unquarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, _, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case have == nil:
			return tenure.Errorf(tenure.NotFound, "database %q isn't there", r.Name)
		case !have.closed():
			return nil
		}
		rec.Changed = true
		name := quote(r.Name)
		var statements []string
		if have.aside() {
			statements = append(statements, "alter database "+quote(have.name)+" rename to "+name)
		}
		return s.run(ctx, append(statements,
			"alter database "+name+" with allow_connections true",
			k.putNote(have.note.With("state", string(tenure.ResourceSuspended))),
		), "", nil)
	})
	return rec, err
}

// opened runs f inside the database of r. One that is closed takes connections while f
// runs; of one in quarantine only Tenure's role may use them.
func (k databases) opened(ctx context.Context, r connector.Ref, marked bool, f func(s *session, have database) error) (there bool, err error) {
	err = k.with(ctx, func(s *session) error {
		have, _, err := k.find(ctx, s, r)
		if marked {
			have, _, err = k.own(ctx, s, r)
		}
		if err != nil || have == nil {
			return err
		}
		there = true
		// Set aside, or closed by its owner.
		back, err := textsOf(ctx, s, "select format('alter database %I with allow_connections %s connection limit %s', datname, datallowconn, datconnlimit) from pg_database where datname = "+literal(have.name)+" and (not datallowconn or datconnlimit = 0)")
		if err != nil {
			return err
		}
		if len(back) > 0 {
			if err := s.simple(ctx, "alter database "+quote(have.name)+" with allow_connections true connection limit -1", nil); err != nil {
				return err
			}
			defer func() { _ = s.simple(context.WithoutCancel(ctx), back[0], nil) }()
		}
		return k.inside(ctx, have.name, func(s *session) error { return f(s, *have) })
	})
	return there, err
}
