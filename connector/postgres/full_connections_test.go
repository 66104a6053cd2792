package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

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
