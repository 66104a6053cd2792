package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/internal/store"
)

// driftMarker is the marker of the drift measurement.
func driftMarker() connector.Marker {
	return connector.Marker{Installation: "ins_00000000-0000-7000-8000-000000000001", System: systemName, Key: []byte(strings.Repeat("k", 32))}
}

// driftRefs are tenant i's role and schema.
func driftRefs(i int) [2]connector.Ref {
	id := func(n int) string { return fmt.Sprintf("0191d3a0-0000-7000-8000-%06x%06x", i, n) }
	name := fmt.Sprintf("d_%05d", i)
	tenant := tenure.TenantID("ten_" + id(0))
	return [2]connector.Ref{
		{Resource: tenure.ResourceID("res_" + id(1)), Tenant: tenant, Type: "role", Name: name, Attributes: map[string]any{"login": true, "connectionLimit": 10}},
		{Resource: tenure.ResourceID("res_" + id(2)), Tenant: tenant, Type: "schema", Name: name, Attributes: map[string]any{}},
	}
}

// makeTenants puts the tenants into the database and into a store, in bulk, as
// onboardings would have left them.
func makeTenants(ctx context.Context, sys *connector.System, dsn, path string, m connector.Marker) error {
	g, each := errgroup.WithContext(ctx)
	const lot = 250
	g.SetLimit(2)
	for first := 0; first < drifted; first += lot {
		g.Go(func() error { return makeLot(each, dsn, m, first, first+lot) })
	}
	g.Go(func() error { return storeTenants(each, sys, path) })
	if err := g.Wait(); err != nil {
		return err
	}
	var meddle []string
	for i := range driftPlant {
		one := i * drifted / driftPlant
		meddle = append(meddle, fmt.Sprintf("alter role d_%05d connection limit 11", one), fmt.Sprintf("grant usage on schema d_%05d to d_%05d", one, one+1))
	}
	// They are marked as an older build did, and taken over here.
	if _, _, err := sys.Observe(ctx, []connector.Ref{driftRefs(0)[0]}); err != nil {
		return err
	}
	return admin(ctx, dsn, append(meddle, "vacuum (analyze) pg_authid, pg_shdescription, pg_namespace, pg_description, tenure.mark", "checkpoint")...)
}

func makeLot(ctx context.Context, dsn string, m connector.Marker, first, end int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var b strings.Builder
	b.WriteString("begin;\n")
	for i := first; i < end; i++ {
		refs := driftRefs(i)
		name := pgx.Identifier{refs[0].Name}.Sanitize()
		fmt.Fprintf(&b, "create role %s login connection limit 10;\ncomment on role %s is '%s';\n", name, name, older(m, refs[0]))
		fmt.Fprintf(&b, "create schema %s;\ncomment on schema %s is '%s';\n", name, name, older(m, refs[1]))
	}
	b.WriteString("commit")
	_, err = conn.PgConn().Exec(ctx, b.String()).ReadAll()
	return err
}

// older is a note as it stood in a comment.
func older(m connector.Marker, r connector.Ref) string {
	n := relational.NewNote(m, r)
	n.Mark = m.Mark(r.Type, r.Resource)
	return n.String()
}

// storeTenants writes the inventory, in lots, as it stands when all has been seen.
func storeTenants(ctx context.Context, sys *connector.System, path string) error {
	db, err := store.Open(ctx, store.Options{DSN: path})
	if err != nil {
		return err
	}
	defer db.Close()
	const lot = 2000
	for first := 0; first < drifted; first += lot {
		err := db.Write(ctx, func(tx *store.Tx) error {
			for i := first; i < first+lot; i++ {
				for _, r := range driftRefs(i) {
					if err := storeSeen(tx, sys, r); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func storeSeen(tx *store.Tx, sys *connector.System, r connector.Ref) error {
	normal, err := sys.Normalise(connector.Desired{Ref: r})
	if err != nil {
		return err
	}
	err = tx.SaveResource(tenure.Resource{
		ID: r.Resource, Tenant: r.Tenant, Environment: "prod", Key: r.Type, System: systemName, Type: r.Type, Name: r.Name,
		Layer: tenure.LayerAccount, Desired: []byte("{}"), UpdatedAt: time.Now(),
	})
	if err == nil {
		_, err = tx.Exec(`update resource set state = 'present', verdict = 'verified', expires_at = 0, normal = $1, observed = $1 where id = $2`, string(normal), string(r.Resource))
	}
	return err
}
