package postgres

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// strangersSQL is the schemas that bear a note, or a comment that speaks of one.
var strangersSQL = "select " + schemaClass.columns() + schemaClass.from() + "where " + schemaClass.bears()

// storeOf says whether a schema is somebody's own store, and whether it is another
// tenant's than the given one: its note is ours, or another installation says that the
// schema is its own.
func (d *Driver) storeOf(b marked, tenant tenure.TenantID) (owned, theirs bool) {
	switch _, owner := b.note.Read(d.marker, "schema"); owner {
	case connector.Ours, connector.Others:
		owned = true
	}
	return owned, owned && (b.note.Get("tenant") != string(tenant) || tenant == "")
}

// others are the tables of the graph that are in other tenants' own schemas.
func (d *Driver) others(ctx context.Context, s *session, g *relational.Graph, tenant tenure.TenantID) (func(relational.TableName) bool, error) {
	in, schemas := map[string]bool{}, []string(nil)
	for _, t := range g.Tables() {
		if !in[t.Schema] {
			in[t.Schema] = true
			schemas = append(schemas, t.Schema)
		}
	}
	theirs := map[string]bool{}
	if kept, err := keeps(ctx, s, "mark"); err != nil || !kept {
		return func(relational.TableName) bool { return false }, err // a tenant's own database keeps no marks
	}
	err := s.simple(ctx, strangersSQL+" and o.nspname = "+anyOf(schemas), func(_ int, v [][]byte) error {
		_, theirs[string(v[0])] = d.storeOf(d.marked(schemaClass, v), tenant)
		return nil
	})
	return func(n relational.TableName) bool { return theirs[n.Schema] }, err
}
