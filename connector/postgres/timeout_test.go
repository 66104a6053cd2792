package postgres

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// A tenant that lets no transaction of its role's, or in its database, last would
// otherwise keep its data from being mapped and exported, and itself from leaving.
func TestTenantLetsNoTransactionLast(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	if n.number(t, "select current_setting('server_version_num')::int") < 170000 {
		t.Skip("transaction_timeout is from version 17 on")
	}
	own := connect(t, postgrestest.As(t, n.dsn, n.token+"acme", n.credential("acme").Reveal()))
	for _, sql := range []string{`alter role "ACME" set transaction_timeout = 1`, `alter database "ACME_db" set transaction_timeout = 1`} {
		if _, err := own.Exec(t.Context(), n.fill(sql)); err != nil && !strings.Contains(err.Error(), "transaction timeout") {
			t.Fatal(err)
		}
	}
	base := n.refs["acme database"]
	if o, err := n.system.Probe(t.Context(), connector.Check{Kind: "isolation", Ref: n.refs["acme role"], Credential: n.credential("acme")}); err != nil || !o.Passed {
		t.Errorf("isolation: %+v, %v", o, err)
	}
	for range 5 { // the server's clock ticks where it will
		if _, _, err := n.system.DataMap(t.Context(), connector.Survey{Ref: base, Prove: true, Search: time.Second}); err != nil {
			t.Errorf("a map: %v", err)
		}
		if _, err := n.system.Export(t.Context(), base, io.Discard); err != nil {
			t.Errorf("an export: %v", err)
		}
	}
	e := elevation(t, n.world, tenure.DirectRead, base)
	if err := n.system.Elevate(t.Context(), e); err != nil {
		t.Errorf("a login: %v", err)
	}
	if err := n.system.Unelevate(t.Context(), e.Login); err != nil {
		t.Errorf("its end: %v", err)
	}
	if _, verdict, err := n.system.Delete(t.Context(), base); err != nil || verdict != tenure.Verified {
		t.Errorf("its deletion: %s, %v", verdict, err)
	}
}

// Where a tenant has taken up every connection, whoever waits for a cut is told so and
// what to do, and goes on with a reserved one.
func TestTenantTakesUpConnections(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	postgrestest.Exec(t, n.dsn, n.fill(`alter role "ACME" connection limit 1`))
	own := postgrestest.As(t, n.dsn, n.token+"acme", n.credential("acme").Reveal())
	held, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close(t.Context())
	_, err = n.system.Probe(t.Context(), connector.Check{Kind: "reachable", Ref: n.refs["acme role"], Credential: n.credential("acme")})
	if e := tenure.CodeOf(err); e != tenure.Unavailable || !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "connection") {
		t.Errorf("a probe says %v, %q", err, tenure.HintsOf(err))
	}
	if n.modern(t) {
		n.exec(t, "grant pg_use_reserved_connections to %s", quote(n.platform))
		if b := in(checked(t, n.d, nil), connector.RightBeyond); len(b) > 0 {
			t.Errorf("what keeps connections for Tenure is beyond what it needs: %+v", b)
		}
	}
}
