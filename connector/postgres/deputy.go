package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

const (
	deputyType   = "deputy"
	deputyPrefix = "t_deputy_"
	deputyTime   = 15 * time.Minute // for signing in, and for all of the call
	deputyLimit  = 20 * time.Second // for one statement: code on the premises may sleep
)

// A deputy is a login, made for one call, that is a member of the role that premises
// belong to and of nothing else. What runs in its session has no more than that
// role's rights, and there is no stronger role to go back to, as there is after set
// role (postgresql.org/docs/current/sql-set-role.html). It stands while the role itself
// can't sign in.
type deputy struct {
	premises
	word string // what lets it write into the tally; the tenant's code doesn't learn it
}

// deputise runs f in a deputy's session on the premises, which are in a database, "" for
// the system's own. The context that f gets ends with the deputy's term.
func (d *Driver) deputise(ctx context.Context, r connector.Ref, p premises, database string, f func(ctx context.Context, s *session) error) error {
	login, secret, word := deputyPrefix+random(), random()+random(), random()+random()
	ctx, cancel := context.WithTimeout(ctx, deputyTime) // code there may switch the server's limit off
	defer cancel()
	return d.with(ctx, func(s *session) (err error) {
		_ = d.overdue(ctx, s) // what one tenant holds up, the next call tries again
		if err := d.appoint(ctx, s, r, p, login, secret); err != nil {
			return err
		}
		var back []string // what takes back more than goes with the login
		defer func() {
			ctx := context.WithoutCancel(ctx)
			last := d.within(ctx, s, database, func(s *session) error { return s.run(ctx, back, "", nil) })
			err = cmp.Or(err, last, d.dismiss(ctx, s, login, p.owner))
		}()
		err = d.within(ctx, s, database, func(s *session) (err error) {
			back, err = d.admit(ctx, s, p, login, word)
			return err
		})
		if err != nil {
			return err
		}
		own, err := d.as(ctx, login, tenure.NewSecret(secret), database)
		if refusal(err) {
			return tenure.Errorf(tenure.Blocked, "the server refuses the login %s, in whose name Tenure acts in %s: %w", login, r.Name, coded(err)).
				WithHint("let roles that begin with %s sign in from where Tenure runs, by scram-sha-256, in pg_hba.conf", deputyPrefix)
		}
		if err != nil {
			return err
		}
		defer own.close(ctx)
		own.deputy = &deputy{p, word}
		if err := own.simple(ctx, "set statement_timeout to "+d.limit()+"; set lock_timeout to "+strconv.FormatInt(lockTime.Milliseconds(), 10), nil); err != nil {
			return err
		}
		return d.naming(ctx, own, func() error { return f(ctx, own) })
	})
}

// limit is how long a deputy's statement may run, in milliseconds.
func (d *Driver) limit() string {
	limit := deputyLimit.Milliseconds()
	if set, err := strconv.ParseInt(d.config.RuntimeParams["statement_timeout"], 10, 64); err == nil && set > 0 {
		limit = min(limit, set)
	}
	return strconv.FormatInt(limit, 10)
}

// within runs f on the session, or on one in another database.
func (d *Driver) within(ctx context.Context, s *session, database string, f func(s *session) error) error {
	if database == "" {
		return f(s)
	}
	return d.inside(ctx, database, f)
}

// appoint makes the login.
func (d *Driver) appoint(ctx context.Context, s *session, r connector.Ref, p premises, login, secret string) error {
	password, err := verifier(tenure.NewSecret(secret))
	if err != nil {
		return err
	}
	mine, err := d.mine(ctx, s, login)
	if err != nil {
		return err
	}
	// By the server's own clock, which is the one that it goes by.
	until, err := textsOf(ctx, s, "select to_char(clock_timestamp() + interval '"+strconv.Itoa(int(deputyTime.Seconds()))+" seconds', 'YYYY-MM-DD HH24:MI:SSOF')")
	if err != nil {
		return err
	}
	return s.atomic(ctx, func(s *session) error {
		err := s.simple(ctx, "create role "+quote(login)+" login nosuperuser nocreatedb nocreaterole inherit noreplication nobypassrls connection limit 1 password "+literal(password)+
			" valid until "+literal(until[0]), nil)
		if err != nil {
			return err
		}
		object, err := deputyClass.made(ctx, s, login)
		if err != nil {
			return err
		}
		note := relational.NewNote(d.marker, connector.Ref{Type: deputyType, Name: login, Resource: r.Resource, Tenant: r.Tenant}).With(relational.ObjectKey, object)
		statements := append(d.mark(deputyClass, login, note), "grant "+quote(p.owner)+" to "+quote(login))
		return s.simple(ctx, strings.Join(append(statements, mine...), ";\n"), nil)
	})
}

// admit gives the login what its role has lost, or never had, on the premises: the way
// in, and the rows of tables there that belong to somebody else. Where the premises are
// set aside the role itself gets the way in too, since the server looks after foreign
// keys with the rights of whom the tables belong to. back takes that back.
func (d *Driver) admit(ctx context.Context, s *session, p premises, login, word string) (back []string, err error) {
	var give []string
	// What the role has the login has through it; a list that is changed and changed back
	// isn't as it was.
	err = s.simple(ctx, `select 'connect on database ' || quote_ident(current_database()) where not has_database_privilege(`+literal(p.owner)+`, current_database(), 'connect');
select 'usage on schema ' || quote_ident(n.nspname) from pg_namespace n where not has_schema_privilege(`+literal(p.owner)+`, n.oid, 'usage') and `+p.schemas()+`;
select 'select, update, delete on table ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and pg_get_userbyid(c.relowner) <> `+literal(p.owner)+` and `+p.schemas(), func(result int, v [][]byte) error {
		give = append(give, "grant "+string(v[0])+" to "+quote(login))
		if result == 1 && strings.HasPrefix(p.schema, quarantinePrefix) {
			give = append(give, "grant "+string(v[0])+" to "+quote(p.owner))
			back = append(back, "revoke "+string(v[0])+" from "+quote(p.owner))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	there, err := keeps(ctx, s, "deputy", "tally")
	if err != nil {
		return nil, err
	}
	if there {
		sum := sha256.Sum256([]byte(word))
		give = append(give, "insert into tenure.deputy (login, word) values ("+literals([]string{login, hex.EncodeToString(sum[:])})+")",
			"grant usage on schema tenure to "+quote(login), "grant execute on function tenure.tell(text, text, text, text, text, bigint), tenure.step() to "+quote(login))
		back = append(back, "delete from tenure.deputy where login = "+literal(login))
	}
	return back, s.run(ctx, give, "", nil)
}

// schemas is the condition for the schemas under the alias n.
func (p premises) schemas() string {
	if p.schema != "" {
		return "n.nspname = " + literal(p.schema)
	}
	return notOurs
}

// dismiss takes the login's rights back and drops it. What its session made is the
// role's whose rights it had.
func (d *Driver) dismiss(ctx context.Context, s *session, login, owner string) error {
	if err := (roles{d}).cut(ctx, s, login, &role{flags: "L"}, ""); err != nil {
		return err
	}
	return (elevations{d}).drop(ctx, s, login, owner)
}

// overdue dismisses deputies that a process left behind.
func (d *Driver) overdue(ctx context.Context, s *session) error {
	var left []string
	err := s.simple(ctx, "select "+deputyClass.columns()+deputyClass.from()+"where m.name is not null and o.rolvaliduntil < clock_timestamp()", func(_ int, v [][]byte) error {
		b := d.marked(deputyClass, v)
		if _, whose := b.note.Read(d.marker, deputyType); whose == connector.Ours {
			left = append(left, b.name)
		}
		return nil
	})
	member := map[string]string{}
	if err == nil && len(left) > 0 {
		err = s.simple(ctx, "select u.rolname, g.rolname from pg_auth_members m join pg_roles u on u.oid = m.member join pg_roles g on g.oid = m.roleid where u.rolname = "+anyOf(left), func(_ int, v [][]byte) error {
			member[string(v[0])] = string(v[1])
			return nil
		})
	}
	for _, login := range left {
		if err == nil {
			err = d.dismiss(ctx, s, login, member[login])
		}
	}
	return err
}

// random is a random text of 12 hexadecimal digits.
func random() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// tellSQL lets a deputy write into the tally, which no tenant may, in the transaction
// in which it deletes. Its word is sent as a parameter, when the tenant's code has run.
const tellSQL = `create table if not exists tenure.deputy (login text primary key, word text not null);
create or replace function tenure.tell(word text, run text, resource text, kind text, name text, n bigint) returns void language plpgsql security definer set search_path to pg_catalog as $tell$
begin
 if not exists (select 1 from tenure.deputy d where d.login = session_user and d.word = encode(sha256(convert_to(tell.word, 'UTF8')), 'hex')) then
  raise insufficient_privilege using message = 'only a deputy of Tenure writes into the tally';
 end if;
 insert into tenure.tally as t (run, resource, kind, name, n) values (tell.run, tell.resource, tell.kind, tell.name, tell.n)
  on conflict on constraint tally_pk do update set n = t.n + excluded.n;
end $tell$;
create or replace function tenure.step() returns void language plpgsql security definer set search_path to pg_catalog as $step$
begin
 insert into tenure.parent values ('', '', '', '');
 raise exception 'undone';
exception when others then null;
end $step$;
revoke all on function tenure.tell(text, text, text, text, text, bigint), tenure.step() from public`

// tell adds a batch to the tally of its run.
func (s *session) tell(ctx context.Context, run, resource string, e *connector.Erased) error {
	for kind, counts := range relational.Tallied(e) {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			if _, err := s.Exec(ctx, "select tenure.tell($1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint)", s.deputy.word, run, resource, kind, name, counts[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func replaced(sql string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(sql) }
