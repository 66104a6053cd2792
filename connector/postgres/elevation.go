package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Elevator = (*Driver)(nil)

// elevations are logins of people, for a while. They stand in no inventory, so
// their notes are of a type of their own and a sweep doesn't take them for a
// tenant's roles.
type elevations struct{ *Driver }

const (
	elevationType = "elevation"
	loginPrefix   = "t_elev_"

	// What a session that was opened before the end may still do without Tenure
	// is bounded by these; the guard ends it at the end itself.
	idleLimit      = 15 * time.Minute
	statementLimit = 10 * time.Minute
	maxSessions    = 3
)

// Elevate is described at connector.Elevator: a role that is a member of nothing
// and owns nothing, with valid until, and rights on the schemas and databases of
// the refs alone.
func (d *Driver) Elevate(ctx context.Context, e connector.Elevation) error {
	k := elevations{d}
	if err := k.check(e); err != nil {
		return err
	}
	reach, err := k.reach(ctx, e)
	if err != nil {
		return coded(err)
	}
	err = d.with(ctx, func(s *session) error { return k.open(ctx, s, e, reach) })
	if err == nil {
		err = k.finish(ctx, e, reach)
	}
	if err != nil {
		// A login that is half what was asked for is none; what this can't reach
		// either is swept.
		_ = d.Unelevate(context.WithoutCancel(ctx), e.Login)
		return err
	}
	return nil
}

func (k elevations) finish(ctx context.Context, e connector.Elevation, reach reached) error {
	for _, db := range reach.databases {
		if err := k.inside(ctx, db, func(s *session) error { return k.give(ctx, s, e, nil) }); err != nil {
			return err
		}
	}
	return k.guard(ctx, e.Login, e.Until)
}

// Unelevate is described at connector.Elevator.
func (d *Driver) Unelevate(ctx context.Context, login string) error {
	k := elevations{d}
	return d.with(ctx, func(s *session) error {
		have, err := k.get(ctx, s, login)
		if err != nil || have == nil {
			return err
		}
		if have.owner != connector.Ours {
			return tenure.Errorf(tenure.Conflict, "role %q isn't a login of an elevation of ours", login)
		}
		if err := (roles{d}).cut(ctx, s, login, &role{flags: "L"}, "alter role "+quote(login)+" password null"); err != nil {
			return err
		}
		return k.drop(ctx, s, login, "")
	})
}

// Elevations is described at connector.Elevator.
func (d *Driver) Elevations(ctx context.Context) (out []connector.Elevated, err error) {
	k := elevations{d}
	err = d.with(ctx, func(s *session) error {
		return s.simple(ctx, elevationsSQL+"where m.name is not null order by o.rolname", func(_ int, v [][]byte) error {
			one := k.read(v)
			if one.owner == connector.Ours {
				out = append(out, one.Elevated)
			}
			return nil
		})
	})
	return out, err
}

func (k elevations) check(e connector.Elevation) error {
	if !strings.HasPrefix(e.Login, loginPrefix) {
		return tenure.Errorf(tenure.Invalid, "a login for an elevation begins with %s", loginPrefix)
	}
	if err := relational.CheckName("login", e.Login, maxName); err != nil {
		return err
	}
	switch {
	case e.Access != tenure.DirectRead && e.Access != tenure.DirectWrite:
		return tenure.Errorf(tenure.Invalid, "direct access is read or write, not %q", e.Access)
	case e.Secret.IsZero() || e.Until.IsZero():
		return tenure.Errorf(tenure.Invalid, "a login for an elevation needs a secret and an end")
	}
	return nil
}

// reached is what a login is to reach: schemas of the system's own database, and
// other databases whole.
type reached struct{ schemas, databases []string }

// reach finds the schemas and databases of the refs that are there and ours.
func (k elevations) reach(ctx context.Context, e connector.Elevation) (out reached, err error) {
	err = k.with(ctx, func(s *session) error {
		for _, r := range e.Refs {
			switch r.Type {
			case "schema":
				have, err := schemas(k).own(ctx, s, r)
				if err != nil {
					return err
				}
				if have != nil && have.state() == tenure.ResourcePresent {
					out.schemas = append(out.schemas, have.name)
				}
			case "database":
				have, _, err := databases(k).own(ctx, s, r)
				if err != nil {
					return err
				}
				if have != nil && !have.closed() {
					out.databases = append(out.databases, have.name)
				}
			}
		}
		return nil
	})
	if err == nil && len(out.schemas)+len(out.databases) == 0 {
		err = tenure.Errorf(tenure.Blocked, "there is no schema or database of the tenant's own in system %s that a login could be opened for", k.system).
			WithHint("rows in shared tables stand beside its neighbours', so nobody is let in there")
	}
	out.schemas, out.databases = sorted(out.schemas), sorted(out.databases)
	return out, err
}

// noteFor is what the login bears.
func (k elevations) noteFor(e connector.Elevation, object string) relational.Note {
	return relational.NewNote(k.marker, connector.Ref{Type: elevationType, Name: e.Login, Resource: tenure.ResourceID(e.ID)}).With(relational.ObjectKey, object)
}

// open makes the role in one transaction with its note, and then gives it its rights
// on schemas. One of ours that is there is brought to what is asked.
func (k elevations) open(ctx context.Context, s *session, e connector.Elevation, reach reached) error {
	have, err := k.get(ctx, s, e.Login)
	if err != nil {
		return err
	}
	name := quote(e.Login)
	first := "create role " + name + " login nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"
	if have != nil {
		if have.owner != connector.Ours || have.ID != e.ID {
			return tenure.Errorf(tenure.Conflict, "role %q is there already and isn't this elevation's", e.Login)
		}
		first = "alter role " + name + " login"
	}
	password, err := verifier(e.Secret)
	if err != nil {
		return err
	}
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	err = s.atomic(ctx, func(s *session) error {
		err := s.simple(ctx, first+" connection limit "+strconv.Itoa(maxSessions)+" password "+literal(password)+" valid until "+literal(stamp(e.Until)), nil)
		if err != nil {
			return err
		}
		object, err := loginClass.made(ctx, s, e.Login)
		if err != nil {
			return err
		}
		mine, err := k.mine(ctx, s, e.Login)
		if err != nil {
			return err
		}
		return s.simple(ctx, strings.Join(append(mine, k.mark(loginClass, e.Login, k.noteFor(e, object))...), ";\n"), nil)
	})
	if err != nil {
		return err
	}
	var statements []string
	rest := len(statements)
	for setting, value := range k.settings(e, reach, version) {
		statements = append(statements, "alter role "+name+" set "+setting+" to "+value)
	}
	slices.Sort(statements[rest:])
	for _, db := range reach.databases {
		statements = append(statements, "grant connect on database "+quote(db)+" to "+name)
	}
	if len(reach.schemas) == 0 {
		return s.run(ctx, statements, "", nil)
	}
	statements = append(statements, "grant connect on database "+quote(k.config.Database)+" to "+name)
	return k.give(ctx, s, e, append([]string{""}, reach.schemas...), statements...)
}

// mine makes Tenure's role, where it is no superuser, a member of another: a server lets
// no one else end its sessions, make things for it or take its rights back.
func (d *Driver) mine(ctx context.Context, s *session, role string) (statements []string, err error) {
	err = s.simple(ctx, `select 'needed' from pg_roles me where me.rolname = current_user and not me.rolsuper
 and not exists (select 1 from pg_roles r where r.rolname = `+literal(role)+` and pg_has_role(r.oid, 'usage'))`, func(int, [][]byte) error {
		statements = []string{"grant " + quote(role) + " to current_user"}
		return nil
	})
	return statements, err
}

// settings bound what a session does. The holder of the login may change them:
// they keep the forgetful to it, and the guard everybody.
func (k elevations) settings(e connector.Elevation, reach reached, version int) map[string]string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	out := map[string]string{
		"statement_timeout": ms(statementLimit), "idle_in_transaction_session_timeout": ms(idleLimit), "idle_session_timeout": ms(idleLimit),
	}
	if version >= 170000 {
		out["transaction_timeout"] = ms(statementLimit)
	}
	if e.Access == tenure.DirectRead {
		out["default_transaction_read_only"] = "on"
	}
	if len(reach.databases) == 0 {
		quoted := make([]string, len(reach.schemas))
		for i, n := range reach.schemas {
			quoted[i] = quote(n)
		}
		out["search_path"] = strings.Join(quoted, ", ")
	}
	return out
}

// give grants the rights on the schemas of the session's database: those named
// after a first blank one, or, with nil, all that aren't the system's. before
// goes into the same transaction.
func (k elevations) give(ctx context.Context, s *session, e connector.Elevation, named []string, before ...string) error {
	list := named
	if named == nil {
		err := s.simple(ctx, "select nspname from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema'", func(_ int, v [][]byte) error {
			list = append(list, string(v[0]))
			return nil
		})
		if err != nil {
			return err
		}
	}
	list = slices.DeleteFunc(slices.Clone(list), func(n string) bool { return n == "" })
	if err := k.harmless(ctx, s, list); err != nil {
		return err
	}
	tables, sequences := "select", "select"
	if e.Access == tenure.DirectWrite {
		tables, sequences = "select, insert, update", "select, usage"
	}
	statements := slices.Clone(before)
	for _, n := range list {
		on, to := quote(n), " to "+quote(e.Login)
		statements = append(statements,
			"grant usage on schema "+on+to,
			"grant "+tables+" on all tables in schema "+on+to,
			"grant "+sequences+" on all sequences in schema "+on+to)
	}
	if named != nil { // in a tenant's own database nobody else changes rights
		statements = append([]string{turnSQL}, statements...)
	}
	return s.run(ctx, statements, "", nil)
}

// harmless refuses schemas with functions that run with their owner's rights and
// that everybody may call: through them a login could do what it mayn't itself.
func (k elevations) harmless(ctx context.Context, s *session, list []string) error {
	found := ""
	err := s.simple(ctx, `select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where p.prosecdef and n.nspname = `+anyOf(list)+` and exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee = 0) limit 1`, func(_ int, v [][]byte) error {
		found = string(v[0])
		return nil
	})
	if err == nil && found != "" {
		err = tenure.Errorf(tenure.Blocked, "everybody may call the function %s, which runs with its owner's rights", found).WithHint("revoke execute on function … from public")
	}
	return err
}

// elevated is one row of elevationsSQL.
type elevated struct {
	connector.Elevated
	owner connector.Ownership
}

var elevationsSQL = "select " + loginClass.columns() + `, o.rolcanlogin::text,
 case when o.rolvaliduntil is null or not isfinite(o.rolvaliduntil) then '' else (extract(epoch from o.rolvaliduntil) * 1000000)::bigint::text end,
 (select count(*)::text from pg_stat_get_activity(null) a where a.usesysid = o.oid)` + loginClass.from()

func (k elevations) read(v [][]byte) elevated {
	b := k.marked(loginClass, v)
	e := elevated{Elevated: connector.Elevated{Login: b.name, Open: string(v[4]) == "true"}}
	if micros, err := strconv.ParseInt(string(v[5]), 10, 64); err == nil {
		e.Until = time.UnixMicro(micros).UTC()
	}
	e.Sessions, _ = strconv.Atoi(string(v[6]))
	id, owner := b.note.Read(k.marker, elevationType)
	e.ID, e.owner = tenure.ElevationID(id), owner
	return e
}

func (k elevations) get(ctx context.Context, s *session, login string) (found *elevated, err error) {
	err = s.simple(ctx, elevationsSQL+"where o.rolname = "+literal(login), func(_ int, v [][]byte) error {
		one := k.read(v)
		found = &one
		return nil
	})
	return found, err
}

// version is the server's, as server_version_num.
func (s *session) version(ctx context.Context) (n int, err error) {
	err = s.simple(ctx, "select current_setting('server_version_num')", func(_ int, v [][]byte) error {
		n, err = strconv.Atoi(string(v[0]))
		return err
	})
	return n, err
}
