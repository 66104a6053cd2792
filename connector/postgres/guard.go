package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tenurehq/tenure"
)

// valid until keeps people from signing in, and ends no session that is open.
// So the server itself is given the task of ending them: a statement that sleeps
// until the end, takes the login away and terminates what is open. It commits
// after each nap, so that it holds back neither vacuum nor anybody's lock. A
// server doesn't notice that a statement's client has gone
// (client_connection_check_interval is 0), so the guard outlives this process.
const guardSQL = `do $guard$
begin
 perform set_config('client_connection_check_interval', '0', false), set_config('statement_timeout', '0', false);
 commit;
 raise notice '{{hello}}';
 while clock_timestamp() < {{until}}::timestamptz and exists (select 1 from pg_roles where rolname = {{login}} and rolvaliduntil = {{until}}::timestamptz) loop
  perform pg_sleep(least(15, extract(epoch from {{until}}::timestamptz - clock_timestamp())::float8));
  commit;
 end loop;
 if exists (select 1 from pg_roles where rolname = {{login}} and rolvaliduntil <= clock_timestamp()) then
  execute format('alter role %I nologin', {{login}});
  commit;
  perform pg_terminate_backend(pid) from pg_stat_activity where usename = {{login}};
 end if;
end $guard$`

const guardHello = "the guard is up"

// guardName is the application_name under which a login's guard is seen.
func guardName(login string) string { return "tenure guard " + login }

// guard leaves a guard for the login in the server, and returns once it is up.
func (k elevations) guard(ctx context.Context, login string, until time.Time) error {
	sql := strings.NewReplacer("{{hello}}", guardHello, "{{login}}", literal(login), "{{until}}", literal(stamp(until))).Replace(guardSQL)
	conf := k.sessionConfig()
	conf.RuntimeParams["application_name"] = guardName(login)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, &conf.Config)
	if err != nil {
		return coded(err)
	}
	err = leave(ctx, conn, sql)
	if own, herr := conn.Hijack(); herr == nil {
		_ = own.Conn.Close() // without a word, so that the server goes on
	}
	return coded(err)
}

// leave sends a statement and returns when its greeting has come.
func leave(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.Conn().SetDeadline(deadline)
	}
	f := conn.Frontend()
	f.Send(&pgproto3.Query{String: sql})
	if err := f.Flush(); err != nil {
		return err
	}
	for {
		m, err := f.Receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.NoticeResponse:
			if m.Message == guardHello {
				return nil
			}
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return tenure.Errorf(tenure.Internal, "the guard ended without a word")
		}
	}
}

// stamp is a time as the server reads it, whatever its DateStyle.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000Z07:00") }
