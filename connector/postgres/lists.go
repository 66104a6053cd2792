package postgres

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// lists finds rows that have a list or an object where a JSON document should have
// the key: they are nobody's, whatever stands in it.
func (g *ground) lists(ctx context.Context, s *session) (out []connector.Place, err error) {
	if g.survey.Ref.Resource == "" {
		return nil, nil
	}
	for _, t := range g.tables {
		n := t.Table.TableName
		column := g.keyed(n)
		many := dialect{}.many(t.Table, "t", column)
		if many == "" {
			continue
		}
		err := s.simple(ctx, "select count(*)::text from "+quote(n.Schema, n.Name)+` "t" where `+many, func(_ int, v [][]byte) error {
			many, err := strconv.ParseInt(string(v[0]), 10, 64)
			if many > 0 {
				out = append(out, connector.Place{Name: n.String() + "." + column, Kind: connector.PlaceKey, Class: g.held[n].class, Via: "column " + column, Rows: many, Blocks: true,
					Says: "a list or an object stands at " + column + " in " + relational.Plural(many, "row") + " of " + n.String() + ", where one key should be, so nothing says whose they are",
					Fix:  "write one tenant's key there, or delete these rows"})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
