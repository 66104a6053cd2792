package postgres

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestLimitsOfTransactions: what a database or a role sets as the limit of its transactions
// ends none of Tenure's there: an erasure would never come to its end.
func TestLimitsOfTransactions(t *testing.T) {
	t.Parallel()
	_, w, _ := opened(t)
	if w.number(t, "select current_setting('server_version_num')::int") < 170000 {
		t.Skip("the setting is known from version 17 on")
	}
	database, role := postgrestest.Value[string](t, w.dsn, "select current_database()"), w.token+"limited"
	w.exec(t, "create role %s login password 'limited-secret-text'; alter role %[1]s set transaction_timeout = '1ms'; alter database %s set transaction_timeout = '1s'", quote(role), quote(database))
	d := w.driver(t, w.proxy.DSN)
	limit := func(where string) func(s *session) error {
		return func(s *session) error {
			got, err := textsOf(t.Context(), s, "select current_setting('transaction_timeout')")
			if err != nil || got[0] != "0" {
				t.Errorf("%s a transaction may take %v, error %v", where, got, err)
			}
			return nil
		}
	}
	if err := d.with(t.Context(), limit("in the system's own database")); err != nil {
		t.Fatal(err)
	}
	if err := d.inside(t.Context(), database, limit("inside a tenant's")); err != nil {
		t.Fatal(err)
	}
	s, err := d.as(t.Context(), role, tenure.NewSecret("limited-secret-text"), database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close(t.Context())
	_ = limit("as a tenant's role")(s)
}
