package postgres

import (
	"cmp"
	"context"
	"strconv"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// alikeAtMost is how many keys that look like a tenant's are shown of a table.
const alikeAtMost = 20

// alike finds keys that a person would take for the tenant's and the database doesn't:
// they are written alike (relational.Alike). One that another resource names is a neighbour's.
// It reads whole columns, so it runs only where a search is asked for.
func (d *Driver) alike(ctx context.Context, s *session, v connector.Survey, held *relational.Holding) (out []connector.Place, err error) {
	var a poolSpec
	if err := attributes(v.Ref, &a); err != nil || v.Search <= 0 || a.Key == "" || v.Ref.Resource == "" {
		return nil, err
	}
	for _, t := range held.Tables {
		column := held.TenantColumn(t.Table.TableName)
		if column == "" {
			continue
		}
		_, theirs, _ := dialect{}.Keyed(t.Table, "t", column, a.Key)
		at := dialect{}.expression("t", column) + "::text"
		keys := map[string]int64{}
		err := each(ctx, s, "select "+at+", count(*)::text from "+dialect{}.Name(t.Table.TableName)+` "t" where `+theirs+" group by 1", 2, func(v []string) {
			if len(keys) < alikeAtMost && relational.Alike(v[0], a.Key) {
				keys[v[0]], _ = strconv.ParseInt(v[1], 10, 64)
			}
		})
		if err != nil {
			return nil, err
		}
		for key, n := range keys {
			spec := poolSpec{Column: a.Column, Key: key, Schema: cmp.Or(a.Schema, t.Table.Schema)}
			taken := false
			err := s.simple(ctx, "select 1 from tenure.mark where type = 'rows' and "+placeSQL+" = "+literal(place(spec.object())), func(int, [][]byte) error { taken = true; return nil })
			if err != nil {
				return nil, err
			}
			if !taken {
				out = append(out, connector.Place{Name: t.Table.String() + "." + column, Kind: connector.PlaceKey, Class: held.Classes[t.Table.TableName], Rows: n, Blocks: true,
					Says: strconv.FormatInt(n, 10) + " rows of " + t.Table.String() + " have the key " + strconv.Quote(key) + ", which looks like this tenant's but isn't equal to it",
					Fix:  "update " + t.Table.String() + " so that " + column + " is " + strconv.Quote(a.Key) + " in them, if they are this tenant's; if they are another's, onboard that tenant with a resource of type rows and key: " + strconv.Quote(key)})
			}
		}
	}
	return out, nil
}
