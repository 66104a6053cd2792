package postgres

import (
	"cmp"
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
	typ      string // the base type; array and enum for those; of an extension, with its schema
	indexed  bool   // an index leads to a value
	pages    int64
}

// Only types whose values are read and compared by the server's own functions,
// and hstore and citext where they are the extensions': nothing that a tenant
// wrote is run.
const candidatesSQL = `with recursive domain (oid, base) as (
 select oid, typbasetype from pg_type where typtype = 'd' union select d.oid, t.typbasetype from domain d join pg_type t on t.oid = d.base where t.typtype = 'd')
select a.attrelid::text, a.attname, case when b.typname in ('hstore', 'citext') then quote_ident(bn.nspname) || '.' || b.typname when b.typtype = 'e' then 'enum' when b.typcategory = 'A' then 'array' else b.typname end,
 exists (select 1 from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
  where i.indrelid = c.oid and i.indisvalid and i.indpred is null and i.indkey[0] = a.attnum and m.amname in ('btree', 'hash'))::text, c.relpages::text
 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 left join domain d on d.oid = a.atttypid and not exists (select 1 from pg_type t where t.oid = d.base and t.typtype = 'd')
 join pg_type b on b.oid = coalesce(d.base, a.atttypid) join pg_namespace bn on bn.oid = b.typnamespace left join pg_type e on e.oid = b.typelem and b.typcategory = 'A'
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and ` + notOurs + `
 and (bn.nspname = 'pg_catalog' and b.typname in (` + searched + `) or b.typtype = 'e'
 or e.typtype = 'e' or e.typnamespace = 'pg_catalog'::regnamespace and e.typname in (` + searched + `)
 or b.typname in ('hstore', 'citext') and exists (select 1 from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_type'::regclass and d.objid = b.oid and d.deptype = 'e' and e.extname = b.typname))
 order by 4 desc, c.relpages, 1, a.attnum`

const searched = `'text', 'varchar', 'bpchar', 'name', 'uuid', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'json', 'jsonb', 'bytea'`

// search looks for the tenant's key in columns that the catalog doesn't give
// away, for as long as the survey says: in tables that nothing else led to, and
// in rows of covered tables that aren't found as the tenant's. What it didn't look
// at, or only in part, it puts into words.
func (g *ground) search(ctx context.Context, s *session, known []connector.Place) (out []connector.Place, partial string, err error) {
	var all []candidate
	skip := g.judged()
	err = s.simple(ctx, candidatesSQL, func(_ int, v [][]byte) error {
		r := g.byOID[oidOf(v[0])]
		if r == nil || r.root != r.name || !g.searchable(r.name) || skip[column{r.name, string(v[1])}] {
			return nil
		}
		if slices.ContainsFunc(known, func(p connector.Place) bool { return p.Name == r.name.String() }) {
			return nil
		}
		pages, _ := strconv.ParseInt(string(v[4]), 10, 64)
		one := candidate{relation: r, column: string(v[1]), typ: string(v[2]), indexed: string(v[3]) == "true", pages: pages}
		for _, c := range one.looks() {
			if g.test(c) != "" {
				all = append(all, c)
			}
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
	alone, err := g.alone(ctx, s, time.Until(end))
	return append(onePerTable(out), alone...), unseen(sampled, skipped), err
}

// alone are the covered parents of which some rows are referred to by none, as far
// as there is time to count them.
func (g *ground) alone(ctx context.Context, s *session, within time.Duration) (out []connector.Place, err error) {
	for _, t := range g.tables {
		sql := g.holding.Alone(t)
		if sql == "" || within <= 0 || err != nil {
			continue
		}
		_, err = s.tried(ctx, within, sql, func(v [][]byte) error {
			n, err := strconv.ParseInt(string(v[0]), 10, 64)
			if name := t.Table.String(); n > 0 {
				out = append(out, connector.Place{Name: name, Kind: connector.PlaceKey, Class: g.held[t.Table.TableName].class, Via: "nobody", Rows: n, Says: relational.UnclaimedSays(n, name)})
			}
			return err
		})
	}
	return out, err
}

func (c candidate) sampled() bool { return !c.indexed && c.pages > wholePages }

// looks are the ways in which the column is looked at. An index leads to the key
// as it is; its other forms are sought by reading.
func (c candidate) looks() []candidate {
	c.indexed = c.indexed && c.typ != "array" && c.typ != "json" && c.typ != "jsonb"
	if !c.indexed || c.pages <= wholePages || !slices.Contains(textual, c.typ) {
		return []candidate{c}
	}
	read := c
	read.indexed = false
	return []candidate{c, read}
}

// searchable says that rows of the table may bear the key without being found as
// the tenant's, and that the blueprint doesn't say what they are.
func (g *ground) searchable(n relational.TableName) bool {
	if g.others(n) || g.own(n) || g.shared(n) || g.keyless(n) {
		return false
	}
	h, held := g.held[n]
	return held && h.class != "" || !held && g.class(n) == ""
}

type column struct {
	table relational.TableName
	name  string
}

// judged are the columns that other looks judge: tenant columns, and those that
// refer to the tenant's rows.
func (g *ground) judged() map[column]bool {
	out := map[column]bool{}
	for n := range g.held {
		out[column{n, g.holding.TenantColumn(n)}] = true
	}
	for _, k := range g.holding.Graph.Keys() {
		if _, held := g.held[k.Parent]; held {
			for _, name := range k.Columns {
				out[column{k.Child, name}] = true
			}
		}
	}
	return out
}

// bare leaves out rows that bear an owner mark: each is a resource by itself.
func (g *ground) bare(c candidate) string {
	if mark := g.marked[c.relation.name]; mark != "" {
		return " and " + relational.Unmarked(mark)
	}
	return ""
}

// seek runs one query over the columns.
func (g *ground) seek(ctx context.Context, s *session, part []candidate, within time.Duration) (out []connector.Place, done bool, err error) {
	const most = 10_000 // more rows than that aren't counted
	arms := make([]string, len(part))
	for i, c := range part {
		n := c.relation.name
		from, theirs, found := quote(n.Schema, n.Name)+` as "t"`, "false", "false"
		if h, held := g.held[n]; held {
			theirs, found = g.holding.Theirs(n), h.where
		}
		if c.sampled() {
			from += fmt.Sprintf(" tablesample system (%.4f)", 100*float64(wholePages)/float64(c.pages))
		}
		arms[i] = fmt.Sprintf("select %d, count(*)::text, count(*) filter (where theirs)::text from (select %s as theirs from %s where (%s)%s and (%s) is not true limit %d) x",
			i, theirs, from, g.test(c), g.bare(c), found, most)
	}
	done, err = s.tried(ctx, within, strings.Join(arms, "\nunion all "), func(v [][]byte) error {
		i, _ := strconv.Atoi(string(v[0]))
		n, _ := strconv.ParseInt(string(v[1]), 10, 64)
		theirs, _ := strconv.ParseInt(string(v[2]), 10, 64)
		if n > 0 {
			out = append(out, g.bears(part[i], n, theirs))
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

// bears is the place of a column that has the tenant's key in n rows, theirs of
// which surely are other tenants'.
func (g *ground) bears(c candidate, n, theirs int64) connector.Place {
	name := c.relation.name.String()
	mine := ", columns: {" + name + ": " + g.path(c) + `}; or columns: {` + name + `: ""} if it means something else`
	h, held := g.held[c.relation.name]
	if !held {
		p := uncovered(c.relation.name, "the key in column "+c.column, name+" has rows with the tenant's key in column "+c.column+" and no data class covers it")
		p.Rows = n
		p.Fix += mine
		return p
	}
	p := connector.Place{Name: name + "." + c.column, Kind: connector.PlaceKey, Class: h.class, Via: "the key in column " + c.column, Rows: n}
	if n == theirs {
		p.Says = fmt.Sprintf("%s of %s that %s to other tenants %s the key in column %s, and %s", relational.Plural(n, "row"), name, relational.Verb(n, "belongs", "belong"), relational.Verb(n, "has", "have"), c.column, relational.Verb(n, "stays", "stay"))
		return p
	}
	p.Rows, p.Blocks = n-theirs, true
	p.Says = fmt.Sprintf("%s of %s %s the tenant's key in column %s and %s found as the tenant's", relational.Plural(p.Rows, "row"), name, relational.Verb(p.Rows, "has", "have"), c.column, relational.Verb(p.Rows, "isn't", "aren't"))
	if at := g.holding.TenantColumn(c.relation.name); at != "" {
		p.Fix = "write the key of whoever they belong to into " + at + " of these rows"
	} else {
		p.Fix = strings.TrimPrefix(mine, ", ")
	}
	return p
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
		return c.column + "->>" + cmp.Or(g.column, "NAME")
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
