package departure

import (
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/internal/postgrestest"
)

// The rows that the platforms are filled with keep to every foreign key, or what
// the departure is judged by would be wrong.
func TestFill(t *testing.T) {
	t.Parallel()
	for _, p := range []platform{shop, clinic} {
		dsn := postgrestest.Database(t)
		must(t, run(dsn, p.set(true)))
		(&postgres{platform: p, pooled: true, dsn: dsn}).fill(t, rand.New(rand.NewPCG(1, 2)))
		conn := postgrestest.Connect(t, dsn)
		rows, err := conn.Query(t.Context(), `select format('update pg_constraint set convalidated = false where oid = %s; alter table %s validate constraint %I', k.oid, conrelid::regclass, conname)
 from pg_constraint k join pg_class c on c.oid = conrelid where contype = 'f' and conparentid = 0 and relkind = 'r' and not condeferrable`)
		must(t, err)
		checks, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		for _, sql := range checks {
			must(t, run(dsn, sql))
		}
		for _, who := range tenants {
			if n := counted(rowsOf(t, dsn), who); len(n) < 25 {
				t.Errorf("%s: %s has rows in %d tables alone: %v", p.name, who.name, len(n), n)
			}
		}
	}
}
