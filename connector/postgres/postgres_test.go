package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

func TestErrorsGetCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		code  tenure.Code
		retry bool
	}{
		{&pgconn.PgError{Code: "57P01"}, tenure.Unavailable, true}, // admin shutdown
		{&pgconn.PgError{Code: "57P03"}, tenure.Unavailable, true}, // starting up
		{&pgconn.PgError{Code: "53100"}, tenure.Unavailable, true}, // disk full
		{&pgconn.PgError{Code: "53300"}, tenure.Unavailable, true}, // too many connections
		{&pgconn.PgError{Code: "08006"}, tenure.Unavailable, true},
		{&pgconn.PgError{Code: "40001"}, tenure.Unavailable, true},
		{&pgconn.PgError{Code: "40P01"}, tenure.Unavailable, true},
		{&pgconn.PgError{Code: "55P03"}, tenure.Unavailable, true},
		{&pgconn.PgError{Code: "42501"}, tenure.Forbidden, false},
		{&pgconn.PgError{Code: "28P01"}, tenure.Unauthorized, false},
		{&pgconn.PgError{Code: "23505"}, tenure.Conflict, true},
		{&pgconn.PgError{Code: "42P06"}, tenure.Conflict, true},
		{&pgconn.PgError{Code: "23503"}, tenure.Blocked, false},
		{&pgconn.PgError{Code: "2BP01"}, tenure.Blocked, false},
		{&pgconn.PgError{Code: "25006"}, tenure.Blocked, false}, // a standby
		{&pgconn.PgError{Code: "42601"}, tenure.Invalid, false},
		{context.DeadlineExceeded, tenure.Unavailable, true},
		{io.ErrUnexpectedEOF, tenure.Unavailable, true},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, tenure.Unavailable, true},
		{errors.New("something else"), tenure.Internal, false},
	} {
		err := coded(fmt.Errorf("wrapped: %w", c.err))
		if tenure.CodeOf(err) != c.code || tenure.CanRetry(err) != c.retry {
			t.Errorf("%v: %s, retry %t; want %s, %t", c.err, tenure.CodeOf(err), tenure.CanRetry(err), c.code, c.retry)
		}
	}
	quoting := coded(&pgconn.PgError{Code: "23505", Message: "duplicate key", Detail: "Key (mail)=(someone@example.com) already exists."})
	if strings.Contains(quoting.Error(), "someone") {
		t.Errorf("an error quotes a tenant's data: %v", quoting)
	}
}

// TestPasswordNeverTravels reads what the server logs of every statement while
// a role is made, changed and repaired.
func TestPasswordNeverTravels(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	want := desired("role", w.token+"secret", map[string]any{"login": true})
	seen := w.proxy.Spy()
	for _, credential := range []string{"first-credential-text", "second-credential-text"} {
		want.Credential = tenure.NewSecret(credential)
		if _, _, _, err := system.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(seen(), credential) {
			t.Error("the credential was sent to the server in clear")
		}
		c := connect(t, postgrestest.As(t, w.dsn, want.Name, credential))
		if _, err := c.Exec(t.Context(), "select 1"); err != nil {
			t.Errorf("the login with the credential: %v", err)
		}
	}
	if !strings.Contains(seen(), "SCRAM-SHA-256$4096:") {
		t.Error("no verifier was seen, so the spy saw nothing")
	}
}

// TestTamperedPassword sets another password from outside: ensure sees it.
func TestTamperedPassword(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	want := desired("role", w.token+"tampered", map[string]any{"login": true})
	if _, _, _, err := system.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "alter role %s password 'another'", quote(want.Name))
	if _, rec, _, err := system.Ensure(t.Context(), want); err != nil || !rec.Changed {
		t.Errorf("the repair: changed %t, error %v", rec.Changed, err)
	}
	connect(t, postgrestest.As(t, w.dsn, want.Name, want.Credential.Reveal()))
}

// TestOverlappingGrants lets two grants give the same: taking one back leaves
// what the other gives.
func TestOverlappingGrants(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	role := w.token + "both"
	postgrestest.Exec(t, w.dsn, "create role "+quote(role))
	one := desired("grant", "one", map[string]any{"role": role, "schema": "granted", "tables": []any{"a"}, "privileges": []any{"select", "insert"}})
	two := desired("grant", "two", map[string]any{"role": role, "schema": "granted", "tables": []any{"a", "b"}, "privileges": []any{"select"}})
	for _, g := range []connector.Desired{one, two, one} {
		if _, _, verdict, err := system.Ensure(t.Context(), g); err != nil || verdict != tenure.Verified {
			t.Fatalf("ensure %s: %q, error %v", g.Name, verdict, err)
		}
	}
	if _, verdict, err := system.Delete(t.Context(), one.Ref); err != nil || verdict != tenure.Verified {
		t.Fatalf("delete: %q, error %v", verdict, err)
	}
	for privilege, want := range map[string]bool{"select": true, "insert": false} {
		if w.is(t, "select where has_table_privilege(%s, 'granted.a', %s)", literal(role), literal(privilege)) != want {
			t.Errorf("after one of two grants went, %s on the shared table isn't %t", privilege, want)
		}
	}
	if _, _, verdict, err := system.Ensure(t.Context(), two); err != nil || verdict != tenure.Verified {
		t.Errorf("the other grant: %q, error %v", verdict, err)
	}
}

// TestNoDriftOnKeyTypes makes policies on columns of many types: what the server
// makes of the expression is recognised.
func TestNoDriftOnKeyTypes(t *testing.T) {
	t.Parallel()
	for typ, key := range map[string]string{
		"text": `it's "a" \ key`, "varchar(80)": "acme", "char(8)": "acme", "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
		"int": "42", "bigint": "-42", "numeric": "42", "name": "acme", "shared.colour": "red", `text collate "C"`: "acme", `char(8) collate "C"`: "acme",
		"shared.number": "42", "shared.word": "acme", "shared.short": "acme", "shared.nested": "acme", "bit(3)": "101", "date": "2027-01-01", `text collate shared.alike`: "acme",
	} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			_, w, system := opened(t)
			role := w.token + "typed"
			postgrestest.Exec(t, w.dsn, "create role "+quote(role)+"; create type shared.colour as enum ('red', 'blue'); create domain shared.number as int; create domain shared.word as varchar(9); create domain shared.short as char(9); create domain shared.nested as shared.short; create collation shared.alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create table shared.typed (\"the Key\" "+typ+", v text)")
			p := desired("policy", "typed", map[string]any{"schema": "shared", "tables": []any{"typed"}, "column": "the Key", "key": key, "role": role})
			if o, _, verdict, err := system.Ensure(t.Context(), p); err != nil || verdict != tenure.Verified {
				t.Fatalf("ensure: %q, %s, error %v", verdict, o.Attributes, err)
			}
			if _, rec, verdict, err := system.Ensure(t.Context(), p); err != nil || verdict != tenure.Verified || rec.Changed {
				t.Errorf("second ensure: %q, changed %t, error %v", verdict, rec.Changed, err)
			}
		})
	}
}

func TestReview(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ        string
		attributes map[string]any
	}{
		{"role", map[string]any{"superuser": true}}, {"role", map[string]any{"bypassrls": "${params.x}"}}, {"role", map[string]any{"memberOf": []any{"pg_read_all_data"}}},
		{"grant", map[string]any{"role": "PUBLIC"}}, {"grant", map[string]any{"privileges": []any{"ALL"}}}, {"grant", map[string]any{"privileges": []any{"all privileges"}}},
		{"grant", map[string]any{"tables": []any{"*"}}}, {"grant", map[string]any{"schema": "pg_catalog"}}, {"schema", map[string]any{"owner": "postgres"}},
		{"rows", map[string]any{"key": "%"}},
	} {
		if len(review(c.typ, c.attributes)) == 0 {
			t.Errorf("%s %v passes the review", c.typ, c.attributes)
		}
	}
	fine := map[string]any{"role": "${tenant.name}_app", "schema": "${tenant.name}", "tables": []any{"orders"}, "privileges": []any{"select"}}
	if reasons := review("grant", fine); len(reasons) > 0 {
		t.Errorf("a grant that is fine is refused: %v", reasons)
	}
}

func FuzzLiteral(f *testing.F) {
	f.Add(`it's \ "x"`)
	f.Fuzz(func(t *testing.T, s string) {
		q := literal(s)
		body, escaped := strings.CutPrefix(q, " E'")
		if !escaped {
			body = strings.TrimPrefix(q, "'")
		}
		body = strings.TrimSuffix(body, "'")
		if escaped {
			body = strings.ReplaceAll(body, `\\`, `\`)
		}
		if strings.ReplaceAll(body, "''", "'") != s || !escaped && strings.Contains(s, `\`) {
			t.Errorf("%q is quoted as %s", s, q)
		}
	})
}
