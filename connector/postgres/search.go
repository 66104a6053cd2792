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

// searchedAtOnce is how many columns one query of a search reads.
const searchedAtOnce = 40

// wholePages is how many pages of a table are read where no index helps; of a
// larger one as many are sampled.
const wholePages = 4000

// A candidate is a column that may hold the tenant's key.
type candidate struct {
	relation *relation
	column   string
	typ      string // the base type; for hstore, with its schema
	indexed  bool
	pages    int64
}

// Only types whose values are read and compared by the server's own functions,
// and hstore where it is the extension's: nothing that a tenant wrote is run.
const candidatesSQL = `select a.attrelid::text, a.attname, case when b.typname = 'hstore' then quote_ident(bn.nspname) || '.hstore' else b.typname end,
 exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisvalid and i.indpred is null and i.indkey[0] = a.attnum)::text, c.relpages::text
 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 join pg_type t on t.oid = a.atttypid join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) join pg_namespace bn on bn.oid = b.typnamespace
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and ` + notOurs + `
 and (bn.nspname = 'pg_catalog' and b.typname in ('text', 'varchar', 'bpchar', 'name', 'uuid', 'int2', 'int4', 'int8', 'numeric', 'json', 'jsonb')
 or b.typname = 'hstore' and exists (select 1 from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_type'::regclass and d.objid = b.oid and d.deptype = 'e' and e.extname = 'hstore'))
 order by 4 desc, c.relpages, 1, a.attnum`

// search looks for the tenant's key in columns that the catalog doesn't give
// away, in tables that nothing else led to, for as long as the survey says. What
// it didn't look at, or only in part, it puts into words.
func (g *ground) search(ctx context.Context, s *session, known []connector.Place) (out []connector.Place, partial string, err error) {
	var all []candidate
	err = s.simple(ctx, candidatesSQL, func(_ int, v [][]byte) error {
		r := g.byOID[string(v[0])]
		if r == nil || r.root != r.name || g.others(r.name) || g.spoken(r.name) {
			return nil
		}
		if slices.ContainsFunc(known, func(p connector.Place) bool { return p.Name == r.name.String() }) {
			return nil
		}
		pages, _ := strconv.ParseInt(string(v[4]), 10, 64)
		one := candidate{relation: r, column: string(v[1]), typ: string(v[2]), indexed: string(v[3]) == "true", pages: pages}
		if g.test(one) != "" {
			all = append(all, one)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	end := time.Now().Add(g.survey.Search)
	sampled, skipped := map[relational.TableName]bool{}, map[relational.TableName]bool{}
	for part := range slices.Chunk(all, searchedAtOnce) {
		left := time.Until(end)
		done := false
		if left > 0 {
			var found []connector.Place
			if found, done, err = g.seek(ctx, s, part, left); err != nil {
				return nil, "", err
			}
			out = append(out, found...)
		}
		for _, c := range part {
			if !done {
				skipped[c.relation.name] = true
			} else if c.sampled() {
				sampled[c.relation.name] = true
			}
		}
	}
	return onePerTable(out), unseen(sampled, skipped), nil
}

func (c candidate) sampled() bool { return !c.indexed && c.pages > wholePages }

// test is the condition under which the column bears the key; "" if it isn't one
// to look at. A short number says nothing by itself: it is looked for only where
// the column's name speaks of a tenant.
func (g *ground) test(c candidate) string {
	column, key := quote(c.column), literal(g.key)
	names := append([]string{g.column}, g.cover.Aliases...)
	var any []string
	switch {
	case strings.HasSuffix(c.typ, ".hstore"):
		schema, _ := strings.CutSuffix(c.typ, ".hstore")
		for _, n := range names {
			any = append(any, column+" operator("+schema+".->) "+literal(n)+"::text = "+key)
		}
	case c.typ == "json", c.typ == "jsonb":
		for _, n := range names {
			any = append(any, column+"->>"+literal(n)+" = "+key)
		}
	case !telling(g.key) && !speaks(c.column, names):
		return ""
	case slices.Contains([]string{"text", "varchar", "bpchar", "name"}, c.typ):
		any = append(any, column+" = "+key)
		if c.typ == "text" && !c.indexed {
			any = append(any, column+" like '{%' and "+column+" like "+literal(`%"`+g.column+`"%"`+g.key+`"%`))
		}
	default: // numbers and uuid: where the key isn't one, none equals it
		any = append(any, column+"::text = "+literal(strings.ToLower(g.key)))
	}
	return strings.Join(any, " or ")
}

// bare leaves out rows that bear an owner mark: each is a resource by itself.
func (g *ground) bare(c candidate) string {
	if mark := g.marked[c.relation.name]; mark != "" {
		return " and " + relational.Unmarked(mark)
	}
	return ""
}

// telling says that a column with the key is unlikely to mean anything else.
func telling(key string) bool {
	digits := strings.Trim(key, "0123456789") == ""
	return digits && len(key) >= 7 || !digits && len(key) >= 3
}

// speaks says that a column's name suggests a tenant's key.
func speaks(column string, names []string) bool {
	column = strings.ToLower(column)
	for _, n := range append(names, "tenant", "customer", "account", "client", "company", "workspace", "org") {
		if strings.Contains(column, strings.ToLower(n)) {
			return true
		}
	}
	return false
}

// seek runs one query over the columns.
func (g *ground) seek(ctx context.Context, s *session, part []candidate, within time.Duration) (out []connector.Place, done bool, err error) {
	const most = 10_000 // more rows than that aren't counted
	arms := make([]string, len(part))
	for i, c := range part {
		from := quote(c.relation.name.Schema, c.relation.name.Name)
		if c.sampled() {
			from += fmt.Sprintf(" tablesample system (%.4f)", 100*float64(wholePages)/float64(c.pages))
		}
		arms[i] = fmt.Sprintf("select %d, count(*)::text from (select 1 from %s where (%s)%s limit %d) x", i, from, g.test(c), g.bare(c), most)
	}
	done, err = s.tried(ctx, within, strings.Join(arms, "\nunion all "), func(v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		n, _ := strconv.ParseInt(string(v[1]), 10, 64)
		if n > 0 {
			c := part[i]
			p := uncovered(c.relation.name, "the key in column "+c.column, c.relation.name.String()+" has rows with the tenant's key in column "+c.column+" and no data class covers it")
			p.Rows = n
			p.Fix += ", columns: {" + p.Name + ": " + g.path(c) + `}; or columns: {` + p.Name + `: ""} if it means something else`
			out = append(out, p)
		}
		return nil
	})
	if !done {
		out = nil
	}
	if !done && err == nil && len(part) > 1 && within > 0 { // one column may have spoilt it for all
		return g.halves(ctx, s, part, within)
	}
	return out, done, err
}

func (g *ground) halves(ctx context.Context, s *session, part []candidate, within time.Duration) (out []connector.Place, done bool, err error) {
	end := time.Now().Add(within)
	done = true
	for half := range slices.Chunk(part, (len(part)+1)/2) {
		left := time.Until(end)
		if left <= 0 {
			return out, false, nil
		}
		found, all, err := g.seek(ctx, s, half, left)
		if err != nil {
			return nil, false, err
		}
		out, done = append(out, found...), done && all
	}
	return out, done, nil
}

// path is how the attribute columns names the key's place.
func (g *ground) path(c candidate) string {
	if c.typ == "json" || c.typ == "jsonb" {
		return c.column + "->>" + g.column
	}
	return c.column
}

func onePerTable(places []connector.Place) (out []connector.Place) {
	for _, p := range places {
		if !slices.ContainsFunc(out, func(o connector.Place) bool { return o.Name == p.Name }) {
			out = append(out, p)
		}
	}
	return out
}

// unseen puts into words what a search left out.
func unseen(sampled, skipped map[relational.TableName]bool) string {
	var says []string
	if len(sampled) > 0 {
		says = append(says, "only a sample was searched for the key: "+few(sampled))
	}
	if len(skipped) > 0 {
		says = append(says, "not searched for the key, for lack of time or because it can't be read: "+few(skipped))
	}
	return strings.Join(says, "; ")
}

// few names three of the tables and the number of the rest.
func few(set map[relational.TableName]bool) string {
	var names []string
	for n := range set {
		names = append(names, n.String())
	}
	slices.Sort(names)
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}
