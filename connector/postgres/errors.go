package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenurehq/tenure"
)

// coded gives an error its code by its SQLSTATE (PostgreSQL, appendix A). The
// server's detail and context are left out: they may quote a tenant's data.
// A caller's own error passes as it is.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var own *tenure.Error
	var stop *stopped
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &stop):
		return stop.err
	case errors.As(err, &own):
		return err
	case errors.As(err, &pg):
		return bySQLState(pg)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", contextCause(err)).Retryable()
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err), strings.Contains(err.Error(), "conn closed"):
		return tenure.Errorf(tenure.Unavailable, "the server doesn't answer").Retryable()
	case errors.Is(err, pgx.ErrNoRows):
		return tenure.Errorf(tenure.Internal, "a query that always has a row had none")
	}
	return tenure.Errorf(tenure.Internal, "postgres: %w", err)
}

func contextCause(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// stopped carries an error of the caller's through a pass.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func bySQLState(pg *pgconn.PgError) error {
	e := tenure.Errorf(tenure.Internal, "the server says: %s (SQLSTATE %s)", pg.Message, pg.Code)
	set := func(code tenure.Code) *tenure.Error { e.Code = code; return e }
	switch pg.Code {
	case "42501":
		return set(tenure.Forbidden).WithHint("grant the role of the option dsn what this needs")
	case "42P04", "42P06", "42710", "42P07", "23505": // duplicate database, schema, object, table; unique violation
		return set(tenure.Conflict).Retryable()
	case "2BP01", "23503", "23001": // dependent objects; foreign key violation, restrict violation
		return set(tenure.Blocked)
	case "40001", "40P01", "55P03", "55006", "57014": // serialization, deadlock, lock, in use, statement timeout
		return set(tenure.Unavailable).Retryable()
	case "XX000": // grants on one table that meet have no SQLSTATE of their own
		if strings.HasPrefix(pg.Message, "tuple concurrently ") {
			return set(tenure.Unavailable).Retryable()
		}
	case "54000": // a limit of the server's own, such as an access list that fills its page
		return set(tenure.Blocked).WithHint("where a table's or schema's access list is full, revoke what roles no longer need there")
	case "25P03", "25P04": // idle in a transaction, transaction timeout
		return set(tenure.Unavailable).Retryable().WithHint("the server ends transactions sooner than Tenure's take: let neither transaction_timeout nor idle_in_transaction_session_timeout bind the role of the option dsn")
	case "53300": // connections, which a tenant may have taken up
		return set(tenure.Unavailable).Retryable().WithHint("all connections of the server, or of a role, are taken (select usename, count(*) from pg_stat_activity group by 1 order by 2 desc): end some, and give tenants' roles a connectionLimit; from version 16 on reserved_connections and pg_use_reserved_connections keep some for Tenure's role")
	case "53200": // memory, which locks on very many objects take up
		return set(tenure.Unavailable).Retryable().WithHint("raise max_locks_per_transaction, or let whoever holds very many locks end (select pid, count(*) from pg_locks group by pid order by 2 desc)")
	case "53100":
		return set(tenure.Unavailable).Retryable().WithHint("the server's disk, or the tablespace's, is full; make room there; the call is tried again")
	case "25006": // a standby
		return set(tenure.Blocked).WithHint("the endpoint is a read-only standby; use the primary's")
	case "28P01", "28000":
		return set(tenure.Unauthorized).WithHint("check the password of the option dsn")
	case "3D000":
		if strings.HasPrefix(pg.Message, "database with OID ") { // it was dropped while it was looked at
			return set(tenure.Unavailable).Retryable()
		}
		return set(tenure.NotFound)
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "53", "57", "58": // connection, resources, intervention, input/output
		return set(tenure.Unavailable).Retryable()
	case "22", "23", "3F", "42", "0A", "25", "2F", "44", "P0": // what was asked for can't be done
		return set(tenure.Invalid)
	}
	return e
}

// state is an error's SQLSTATE, "" if it has none.
func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
