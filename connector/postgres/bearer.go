package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// bearers are tables anywhere in the database that have the tenant column, or
// one of its other names, and that the blueprint says nothing of.
func (g *ground) bearers(ctx context.Context, s *session) (out []connector.Place, err error) {
	var of []bearer
	for _, b := range g.bearing {
		n := b.relation.name
		if strings.IndexByte("rp", b.relation.kind) < 0 || b.relation.root != n || g.others(n) || g.spoken(n) || g.marked[n] != "" {
			continue
		}
		p := uncovered(n, "column "+b.column, n.String()+" has the column "+b.column+" and no data class covers it")
		p.Fix += "; or columns: {" + n.String() + `: ""} if ` + b.column + " means something else there"
		out, of = append(out, p), append(of, b)
	}
	return out, g.count(ctx, s, out, of)
}

// names are those of tenant columns.
func (g *ground) names() []string {
	return slices.DeleteFunc(append([]string{g.column}, g.cover.Aliases...), func(n string) bool { return n == "" })
}

// bearer is a column with the name of the tenant column or an alias.
type bearer struct {
	relation *relation
	column   string
}

const bearingSQL = `select a.attrelid, a.attname from pg_attribute a where a.attnum > 0 and not a.attisdropped and a.attname = `

// readBearing finds the columns anywhere that have the tenant column's name or an alias.
func (g *ground) readBearing(ctx context.Context, s *session) error {
	names := g.names()
	if g.key == "" || len(names) == 0 {
		return nil
	}
	return s.simple(ctx, bearingSQL+anyOf(names)+" order by 1, 2", func(_ int, v [][]byte) error {
		if r := g.byOID[oidOf(v[0])]; r != nil && r.kind != 'v' && !r.blank {
			g.bearing = append(g.bearing, bearer{r, string(v[1])})
		}
		return nil
	})
}

// countTime bounds how long the rows of places that nobody named may be counted.
const countTime = 10 * time.Second

// count fills in how many rows of the places, one for each bearer, have the key.
// What takes too long stays uncounted: such a place stands in the way as it is.
func (g *ground) count(ctx context.Context, s *session, places []connector.Place, of []bearer) error {
	if len(places) == 0 || g.survey.Ref.Resource == "" {
		return nil
	}
	arms := make([]string, len(of))
	for i, b := range of {
		arms[i] = fmt.Sprintf("select %d, count(*)::text from %s where %s::text = %s", i, quote(b.relation.name.Schema, b.relation.name.Name), quote(b.column), literal(g.key))
	}
	_, err := s.tried(ctx, max(countTime, g.survey.Search), strings.Join(arms, "\nunion all "), func(v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		n, err := strconv.ParseInt(string(v[1]), 10, 64)
		places[i].Rows = n
		return err
	})
	return err
}

// unmarked are rows with the tenant's key among those that are resources by
// themselves, and bear no owner mark.
func (g *ground) unmarked(ctx context.Context, s *session) (out []connector.Place, err error) {
	var tables []*relation
	var arms []string
	for _, b := range g.bearing {
		n := b.relation.name
		if g.marked[n] == "" || g.spoken(n) || g.others(n) {
			continue
		}
		arms = append(arms, fmt.Sprintf("select %d, count(*)::text from %s where %s::text = %s and %s", len(tables), quote(n.Schema, n.Name),
			quote(b.column), literal(g.key), relational.Unmarked(g.marked[n])))
		tables = append(tables, b.relation)
	}
	if len(arms) == 0 || g.survey.Ref.Resource == "" {
		return nil, nil
	}
	err = s.simple(ctx, strings.Join(arms, " union all "), func(_ int, v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		if n, _ := strconv.ParseInt(string(v[1]), 10, 64); n > 0 {
			p := uncovered(tables[i].name, "column of the tenant's key", tables[i].name.String()+" has rows of the tenant's without an owner mark, and no data class covers it")
			p.Rows = n
			p.Fix += "; or delete the rows that Tenure didn't make"
			out = append(out, p)
		}
		return nil
	})
	return out, err
}
