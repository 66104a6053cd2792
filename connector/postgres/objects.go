package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// locator is a column whose values name large objects.
type locator struct {
	relation *relation
	column   string
}

func (l locator) String() string { return l.relation.root.String() + "." + l.column }

// in is the column's table.
func (l locator) in() string { return quote(l.relation.name.Schema, l.relation.name.Name) }

const locatorsSQL = `select a.attrelid::text, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 join pg_type t on t.oid = a.atttypid where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
 and (t.oid = 'oid'::regtype or t.typbasetype = 'oid'::regtype) and ` + notOurs + ` order by 1, a.attnum`

// locators are the columns of the database, by table, that may name large
// objects: of the type oid, or of a domain over it, as lo is. Partitions and heirs
// stand under their table.
func (c *catalog) locators(ctx context.Context, s *session) (out []locator, err error) {
	err = s.simple(ctx, locatorsSQL, func(_ int, v [][]byte) error {
		if r := c.byOID[string(v[0])]; r != nil && r.root == r.name {
			out = append(out, locator{r, string(v[1])})
		}
		return nil
	})
	return out, err
}

// objects counts the large objects that the tenant's rows name.
func (g *ground) objects(ctx context.Context, s *session) (out []connector.Place, err error) {
	all, err := g.locators(ctx, s)
	if err != nil {
		return nil, err
	}
	var arms []string
	var of []locator
	for _, l := range all {
		if h, ok := g.held[l.relation.name]; ok && h.where != "" {
			names := fmt.Sprintf("select %s from %s t where %s", quote("t", l.column), l.in(), h.where)
			arms = append(arms, fmt.Sprintf("select %d, count(*)::text, {{bytes}} from pg_largeobject_metadata m where m.oid in (%s)", len(of), names))
			of = append(of, l)
		}
	}
	if len(arms) == 0 {
		return nil, nil
	}
	bytes := "0::text"
	if readable, err := textsOf(ctx, s, "select has_table_privilege('pg_catalog.pg_largeobject', 'select')::text"); err != nil {
		return nil, err
	} else if readable[0] == "true" {
		bytes = "coalesce(sum((select sum(length(l.data)) from pg_largeobject l where l.loid = m.oid)), 0)::text"
	}
	err = s.simple(ctx, strings.ReplaceAll(strings.Join(arms, "\nunion all "), "{{bytes}}", bytes), func(_ int, v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		l := of[i]
		p := connector.Place{Name: l.String(), Kind: connector.PlaceObjects, Class: g.held[l.relation.name].class, Via: "large objects that the column names"}
		p.Rows, _ = strconv.ParseInt(string(v[1]), 10, 64)
		p.Bytes, _ = strconv.ParseInt(string(v[2]), 10, 64)
		if p.Rows > 0 {
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// unlink takes away the large objects of the given ids that no row names any
// more, whatever table it is in. It belongs into the transaction that deleted the
// rows which named them.
func (c *catalog) unlink(ctx context.Context, s *session, all []locator, ids []string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	list := oidList(ids)
	var named []string
	for _, l := range all {
		named = append(named, fmt.Sprintf("select %s from %s where %[1]s = %[3]s", quote(l.column), l.in(), list))
	}
	where := "m.oid = " + list
	if len(named) > 0 {
		where += " and m.oid not in (" + strings.Join(named, " union all ") + ")"
	}
	var n int64
	err := s.simple(ctx, "select lo_unlink(m.oid)::text from pg_largeobject_metadata m where "+where, func(int, [][]byte) error {
		n++
		return nil
	})
	return n, err
}

// locates lists the columns of one table that may name large objects.
func locates(all []locator, n relational.TableName) (out []string) {
	for _, l := range all {
		if l.relation.name == n {
			out = append(out, l.column)
		}
	}
	return out
}
