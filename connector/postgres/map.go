package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// ground is what an audit of the live catalog rests on: whose data it is, what is known
// to hold it, and what the blueprint says of the rest.
type ground struct {
	*catalog
	survey  connector.Survey
	cover   relational.Coverage
	home    string // the schema of bare table names
	store   string // the tenant's own schema, as the catalog calls it; "" for rows and databases
	whole   bool   // every table of the store, or of the database, is the tenant's
	column  string // of rows: the tenant column, and its value
	key     string
	record  relational.TableName // the table of a record, of which one row comes, changes and goes
	holding *relational.Holding
	tables  []relational.Reached
	graph   *relational.Graph
	keyed   func(relational.TableName) string // a table's tenant column, or the path in one
	held    map[relational.TableName]holds    // the tables, by name
	beside  relational.Beside                 // what other resources of the tenant say of tables

	bearing []bearer
	over    []view // views over the tables; nil until they are asked for
}

// holds is a table that holds rows of the tenant.
type holds struct {
	class string
	where string // the condition for them, over the table under the alias t
}

// relation is a table, a view, or what else has rows.
type relation struct {
	oid  string
	name relational.TableName
	kind byte                 // pg_class.relkind
	root relational.TableName // the table that shows its rows: itself, or the one it is a partition or heir of
}

// catalog is the relations of a database, save the server's and Tenure's own.
type catalog struct {
	relations []relation
	byOID     map[string]*relation
	byName    map[relational.TableName]*relation
	strangers map[string]bool                 // schemas that are a tenant's own store: true if another tenant's
	marked    map[relational.TableName]string // the column of owner marks of tables whose rows are resources by themselves
}

const notOurs = `n.nspname not in ('pg_catalog', 'information_schema', 'tenure', 'tenure_sentinel') and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'`

const catalogSQL = `with recursive up (oid, top) as (
 select c.oid, c.oid from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f') and not exists (select 1 from pg_inherits h where h.inhrelid = c.oid)
 union select h.inhrelid, u.top from up u join pg_inherits h on h.inhparent = u.oid)
select c.oid::text, n.nspname, c.relname, c.relkind::text, tn.nspname, t.relname
 from up u join pg_class c on c.oid = u.oid join pg_namespace n on n.oid = c.relnamespace
 join pg_class t on t.oid = u.top join pg_namespace tn on tn.oid = t.relnamespace where ` + notOurs + ` order by n.nspname, c.relname, c.oid`

func (d *Driver) readCatalog(ctx context.Context, s *session, r connector.Ref) (*catalog, error) {
	c := &catalog{byOID: map[string]*relation{}, byName: map[relational.TableName]*relation{}, strangers: map[string]bool{}}
	err := s.simple(ctx, catalogSQL+";\n"+strangersSQL, func(result int, v [][]byte) error {
		if result == 1 {
			if owned, theirs := d.storeOf(string(v[0]), string(v[1]), r.Tenant); owned {
				c.strangers[string(v[0])] = theirs
			}
			return nil
		}
		c.relations = append(c.relations, relation{oid: string(v[0]), name: relational.TableName{Schema: string(v[1]), Name: string(v[2])},
			kind: v[3][0], root: relational.TableName{Schema: string(v[4]), Name: string(v[5])}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range c.relations {
		one := &c.relations[i]
		c.byOID[one.oid], c.byName[one.name] = one, one
	}
	shared := false // a tenant's own database keeps no marks
	err = s.simple(ctx, "select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'tenure' and c.relname = 'mark'", func(int, [][]byte) error {
		shared = true
		return nil
	})
	if err == nil && shared {
		c.marked, err = marks.Registered(ctx, s, dialect{})
	}
	return c, err
}

// audit lists every other place than the holding's tables that can hold the tenant's
// data, what depends on its store from outside, and in words what wasn't looked at. It
// runs in one read-only transaction.
func (d *Driver) audit(ctx context.Context, s *session, g *ground) (places []connector.Place, partial string, err error) {
	if places, partial, err = g.audit(ctx, s); err != nil {
		return nil, "", err
	}
	outside, err := d.hanging(ctx, s, g)
	return append(places, outside...), partial, err
}

// hanging is what is outside a whole store and depends on it.
func (d *Driver) hanging(ctx context.Context, s *session, g *ground) (out []connector.Place, err error) {
	switch {
	case !g.whole:
		return nil, nil
	case g.store == "":
		name, err := textsOf(ctx, s, "select current_database()")
		if err != nil {
			return nil, err
		}
		return databases{d}.outside(ctx, s, name[0])
	}
	k := schemas{d}
	parts, err := k.parts(ctx, s, g.store)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		out = append(out, p.place(g.store))
	}
	outside, err := k.outside(ctx, s, g.store)
	return append(out, outside...), err
}

// ground reads what an audit goes by.
func (d *Driver) ground(ctx context.Context, s *session, v connector.Survey, held *relational.Holding) (*ground, error) {
	var a struct {
		Schema, Column, Key string
		relational.Coverage
	}
	err := attributes(v.Ref, &a)
	if err != nil {
		return nil, err
	}
	g := &ground{survey: v, cover: a.Coverage, column: a.Column, key: a.Key, home: a.Schema, held: map[relational.TableName]holds{}, beside: relational.BesideOf(v, a.Key, "public")}
	if g.catalog, err = d.readCatalog(ctx, s, v.Ref); err != nil {
		return nil, err
	}
	switch v.Ref.Type {
	case "schema":
		g.whole, g.home = true, v.Ref.Name
		err = s.simple(ctx, "select nspname from pg_namespace where nspname = "+literal(quarantined(v.Ref.Resource)), func(_ int, v [][]byte) error {
			g.home = string(v[0])
			return nil
		})
		g.store = g.home
	case "database":
		g.whole, g.home = true, "public"
	}
	g.holding, g.tables, g.graph, g.keyed = held, held.Tables, held.Graph, held.TenantColumn
	for _, t := range held.Tables {
		g.held[t.Table.TableName] = holds{class: held.Classes[t.Table.TableName], where: t.Where()}
	}
	if err != nil {
		return nil, err
	}
	return g, g.readBearing(ctx, s)
}

// attributes reads those of a resource's that into has.
func attributes(r connector.Ref, into any) error {
	raw, err := json.Marshal(r.Attributes)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "the attributes of %s %q can't be read: %w", r.Type, r.Name, err)
	}
	return nil
}

// own says whether the table is of the tenant's whole store.
func (g *ground) own(n relational.TableName) bool {
	return g.whole && (g.store == "" || n.Schema == g.store)
}

// named says whether one of the blueprint's names, bare or with its schema, is
// the table's.
func (g *ground) named(n relational.TableName, as string) bool {
	return as == n.String() || n.Schema == g.home && (as == n.Name || as == g.survey.Ref.Name+"."+n.Name && g.store != "")
}

// class is the data class that covers a table, "" if none does.
func (g *ground) class(n relational.TableName) string {
	if class := g.said(n); class != "" || !g.own(n) {
		return class
	}
	return g.cover.Tables[relational.Every]
}

// said is the data class of a table that the blueprint names.
func (g *ground) said(n relational.TableName) string {
	for as, class := range g.cover.Tables {
		if as != relational.Every && g.named(n, as) {
			return class
		}
	}
	return ""
}

// shared says that the blueprint names the table as one that belongs to no tenant.
func (g *ground) shared(n relational.TableName) bool {
	return slices.ContainsFunc(g.cover.Shared, func(as string) bool { return g.named(n, as) })
}

// settled says that the blueprint has an answer for the table.
func (g *ground) settled(n relational.TableName) bool {
	return g.class(n) != "" || g.own(n) || g.shared(n)
}

// heldOIDs are the tables that hold rows of the tenant, with the partitions and
// heirs in which they lie.
func (g *ground) heldOIDs() []string {
	var out []string
	for _, r := range g.relations {
		if _, held := g.held[r.root]; held || g.own(r.name) {
			out = append(out, r.oid)
		}
	}
	return out
}

// classOf is the data class of a relation, by the table that shows its rows.
func (g *ground) classOf(r *relation) string {
	if h, ok := g.held[r.root]; ok && h.class != "" {
		return h.class
	}
	return g.class(r.root)
}

// audit finds what can hold the tenant's data beside the tables that its rows
// were followed to, and what stands in the way of its erasure there.
func (g *ground) audit(ctx context.Context, s *session) (places []connector.Place, partial string, err error) {
	for _, look := range []func(context.Context, *session) ([]connector.Place, error){g.bearers, g.unmarked, g.parts, g.code, g.derived, g.objects, g.foreign} {
		found, err := look(ctx, s)
		if err != nil {
			return nil, "", err
		}
		places = append(places, found...)
	}
	if g.survey.Search > 0 && g.key != "" {
		found, rest, err := g.search(ctx, s, places)
		if err != nil {
			return nil, "", err
		}
		places, partial = append(places, found...), rest
	}
	return places, partial, nil
}

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

const bearingSQL = `select a.attrelid::text, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relkind in ('r', 'p', 'm', 'f') and a.attnum > 0 and not a.attisdropped and a.attname = `

// readBearing finds the columns anywhere that have the tenant column's name or an alias.
func (g *ground) readBearing(ctx context.Context, s *session) error {
	names := g.names()
	if g.key == "" || len(names) == 0 {
		return nil
	}
	return s.simple(ctx, bearingSQL+anyOf(names)+" order by 1, 2", func(_ int, v [][]byte) error {
		if r := g.byOID[string(v[0])]; r != nil {
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
		if g.marked[n] == "" || g.spoken(n) {
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

// spoken says that the blueprint, or what it reaches, has an answer for the table.
func (g *ground) spoken(n relational.TableName) bool {
	_, held := g.held[n]
	return held || g.settled(n) || g.keyless(n)
}

// keyless says that the blueprint gives the table no tenant column.
func (g *ground) keyless(n relational.TableName) bool {
	for as, column := range g.cover.Columns {
		if column == "" && g.named(n, as) {
			return true
		}
	}
	return false
}

// shows says that a name of the blueprint is that of something which shows rows
// and keeps none of its own here: a view, a foreign table, or a part of a table.
func (g *ground) shows(as string) bool {
	if _, is := g.part(as); is {
		return true
	}
	return slices.ContainsFunc(g.relations, func(r relation) bool { return strings.IndexByte("fvm", r.kind) >= 0 && g.named(r.name, as) })
}

// part is the table that a name of the blueprint's is a partition or an heir of.
func (g *ground) part(as string) (r *relation, is bool) {
	i := slices.IndexFunc(g.relations, func(r relation) bool {
		return r.root != r.name && strings.IndexByte("rp", r.kind) >= 0 && g.named(r.name, as)
	})
	if i < 0 {
		return nil, false
	}
	return &g.relations[i], true
}

// parts are partitions and heirs whose class isn't that of the tables which show
// their rows, so that they would go with another class.
func (g *ground) parts(context.Context, *session) (out []connector.Place, err error) {
	roots := map[string][]relational.TableName{}
	for _, r := range g.relations {
		if r.root == r.name || strings.IndexByte("rp", r.kind) < 0 {
			continue
		}
		root := g.byName[r.root]
		class, said := g.classOf(root), g.said(r.name)
		place := connector.Place{Name: r.name.String(), Kind: connector.PlaceOrder, Class: class, Via: "a part of " + r.root.String(), Blocks: true}
		_, alone := g.held[r.name] // an heir that adds the tenant column
		if said != "" && said != class && !alone {
			place.Says = fmt.Sprintf("%s is a part of %s, so its rows are of class %q and not of %q", r.name, r.root, class, said)
			place.Fix = fmt.Sprintf("take %s out of tables; or tables: {%s: CLASS, %s: CLASS} with one class for both", r.name, r.root, r.name)
			out = append(out, place)
		}
		for _, other := range roots[r.oid] {
			if c := g.classOf(g.byName[other]); c != "" && class != "" && c != class {
				place.Class = ""
				place.Says = fmt.Sprintf("%s is a part of %s (class %s) and of %s (class %s), so its rows would go with whichever goes first", r.name, other, c, r.root, class)
				place.Fix = fmt.Sprintf("tables: {%s: CLASS, %s: CLASS} with one class for both", other, r.root)
				out = append(out, place)
			}
		}
		roots[r.oid] = append(roots[r.oid], r.root)
	}
	return out, nil
}

// others says that the table stands in a schema that is a resource by itself, or is
// covered by another resource of the tenant's.
func (g *ground) others(n relational.TableName) bool {
	_, schema := g.strangers[n.Schema]
	return g.beside.Has(n) || schema
}

func uncovered(n relational.TableName, via, says string) connector.Place {
	return connector.Place{Name: n.String(), Kind: connector.PlaceTable, Via: via, Blocks: true, Says: says, Fix: "tables: {" + n.String() + ": CLASS}"}
}

// foreign are tables whose rows lie on another server.
func (g *ground) foreign(context.Context, *session) (out []connector.Place, err error) {
	tables := map[string]bool{}
	for _, r := range g.relations {
		if _, held := g.held[r.root]; r.kind == 'f' && (held || g.own(r.name)) {
			tables[r.oid] = true
		}
	}
	for _, b := range g.bearing {
		if b.relation.kind == 'f' {
			tables[b.relation.oid] = true
		}
	}
	for _, r := range g.relations {
		if !tables[r.oid] || g.strangers[r.name.Schema] && !g.own(r.name) {
			continue
		}
		p := connector.Place{Name: r.name.String(), Kind: connector.PlaceForeign, Via: "rows of another server"}
		if !g.shared(r.name) { // a data class would say that they are erased
			p.Blocks, p.Says = true, p.Name+" shows rows of another server, which Tenure doesn't erase"
			p.Fix = "erase them there, and name the table: shared: [" + p.Name + "]"
		}
		out = append(out, p)
	}
	return out, nil
}

// tried runs a query for at most the given time. Running out of it, or a value
// that the query can't read, isn't an error: the transaction goes on without.
func (s *session) tried(ctx context.Context, within time.Duration, sql string, row func(v [][]byte) error) (done bool, err error) {
	ms := strconv.FormatInt(max(within.Milliseconds(), 1), 10)
	if err := s.simple(ctx, "savepoint tried; set local statement_timeout to "+ms+"; set local row_security to off", nil); err != nil {
		return false, err
	}
	err = s.simple(ctx, sql, func(_ int, v [][]byte) error { return row(v) })
	if code := state(err); err != nil && (code == "57014" && ctx.Err() == nil || strings.HasPrefix(code, "22") || strings.HasPrefix(code, "42")) {
		return false, s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
	}
	if err != nil {
		return false, err
	}
	return true, s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
}

func oidList(oids []string) string {
	return fmt.Sprintf("any (array[%s]::oid[])", strings.Join(oids, ", "))
}

// specOf reads what a note in tenure.mark says of rows.
func specOf(n relational.Note) (p poolSpec, ok bool) {
	err := json.Unmarshal([]byte(n.Get("spec")), &p)
	return p, err == nil
}
