package postgres

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// strangersSQL is the schemas that bear a note, with it.
const strangersSQL = `select n.nspname, d.description from pg_namespace n ` + schemaNotes + `where d.description like 'tenure:1:%'`

// storeOf says whether a schema with a note is somebody's own store, and whether it
// is another tenant's than the given one. A note counts if its mark authenticates and
// it stands on the schema that it names, or if another installation wrote it.
func (d *Driver) storeOf(schema, note string, tenant tenure.TenantID) (owned, theirs bool) {
	n := relational.ParseNote(note)
	id, owner := n.Read(d.marker, "schema")
	switch owner {
	case connector.Ours:
		owned = n.Name == schema || quarantined(id) == schema
	case connector.Others:
		owned = true
	}
	return owned, owned && (n.Get("tenant") != string(tenant) || tenant == "")
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
	err := s.simple(ctx, strangersSQL+" and n.nspname = "+anyOf(schemas), func(_ int, v [][]byte) error {
		_, theirs[string(v[0])] = d.storeOf(string(v[0]), string(v[1]), tenant)
		return nil
	})
	return func(n relational.TableName) bool { return theirs[n.Schema] }, err
}
