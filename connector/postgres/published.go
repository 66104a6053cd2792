package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

const publishedSQL = `select p.schemaname, p.tablename, string_agg(distinct p.pubname, ', ') from pg_publication_tables p
 join pg_class c on c.relname = p.tablename join pg_namespace n on n.oid = c.relnamespace and n.nspname = p.schemaname where c.oid {{oids}} group by 1, 2 order by 1, 2`

// published finds tables that can't lose rows since a publication can't tell of it:
// the server says so when it plans a delete.
func (g *ground) published(ctx context.Context, s *session) (out []connector.Place, err error) {
	oids := g.heldOIDs()
	if len(oids) == 0 {
		return nil, nil
	}
	// To plan the look at the view takes longer than to see that there is none.
	if any, err := textsOf(ctx, s, "select exists (select from pg_publication)::text"); err != nil || any[0] != "true" {
		return nil, err
	}
	type table struct{ schema, name, by string }
	var all []table
	err = s.simple(ctx, strings.ReplaceAll(publishedSQL, "{{oids}}", isOneOf(oids)), func(_ int, v [][]byte) error {
		all = append(all, table{string(v[0]), string(v[1]), string(v[2])})
		return nil
	})
	for _, t := range all {
		if err != nil {
			return nil, err
		}
		err = s.simple(ctx, "savepoint published; explain delete from "+quote(t.schema, t.name)+"; release savepoint published", nil)
		code := state(err)
		if code == "" {
			continue
		}
		if r := g.byName[relational.TableName{Schema: t.schema, Name: t.name}]; r != nil && (code == "42P10" || code == "55000") {
			out = append(out, connector.Place{Name: r.name.String(), Kind: connector.PlaceCode, Class: g.classOf(r), Via: "publication " + t.by, Blocks: true,
				Says: "rows of " + r.name.String() + " can't go: publication " + t.by + " couldn't tell of it by the table's replica identity", Fix: fixPublished})
		}
		err = s.simple(ctx, "rollback to savepoint published; release savepoint published", nil)
	}
	return out, err
}

const fixPublished = "give the table a replica identity (alter table … replica identity) that has every column of the publication's filter and none outside of its list, or take it out of the publication"
