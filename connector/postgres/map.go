package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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
	all     *relational.Holding // with what a deputy alone reads
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
		if out, err = (databases{d}).outside(ctx, s, name[0]); err != nil {
			return nil, err
		}
		taken, err := taken(ctx, s)
		if err == nil && taken {
			out = append(out, dependent("tenure", "the schema tenure, or a table in it, isn't Tenure's, which keeps its counts there", "alter schema tenure rename to something else"))
		}
		return out, err
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
	g := &ground{survey: v, cover: a.Coverage, column: a.Column, key: a.Key, home: a.Schema, beside: relational.BesideOf(v, a.Key, "public")}
	if g.catalog, err = d.readCatalog(ctx, s, v.Ref, append(a.Schemas(), v.Ref.Name, quarantined(v.Ref.Resource), a.Schema)...); err != nil {
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
	g.held = holdsOf(held)
	if err != nil {
		return nil, err
	}
	return g, g.readBearing(ctx, s)
}

func holdsOf(held *relational.Holding) map[relational.TableName]holds {
	out := make(map[relational.TableName]holds, len(held.Tables))
	for _, t := range held.Tables {
		out[t.Table.TableName] = holds{class: held.Classes[t.Table.TableName], where: t.Where()}
	}
	return out
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
func (g *ground) heldOIDs() []oid {
	var out []oid
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
	for _, look := range []func(context.Context, *session) ([]connector.Place, error){g.bearers, g.aliens, g.lent, g.shown, g.unmarked, g.lists, g.parts, g.code, g.droppers, g.published, g.derived, g.objects, g.foreign} {
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
	return slices.ContainsFunc(g.relations, func(r *relation) bool { return strings.IndexByte("fvm", r.kind) >= 0 && g.named(r.name, as) })
}

// part is the table that a name of the blueprint's is a partition or an heir of.
func (g *ground) part(as string) (r *relation, is bool) {
	i := slices.IndexFunc(g.relations, func(r *relation) bool {
		return r.root != r.name && strings.IndexByte("rp", r.kind) >= 0 && g.named(r.name, as)
	})
	if i < 0 {
		return nil, false
	}
	return g.relations[i], true
}

// parts are partitions and heirs whose class isn't that of the tables which show
// their rows, so that they would go with another class.
func (g *ground) parts(context.Context, *session) (out []connector.Place, err error) {
	roots := map[oid][]relational.TableName{}
	for _, r := range g.relations {
		if r.root == r.name || strings.IndexByte("rp", r.kind) < 0 {
			continue
		}
		root := g.byName[r.root]
		class, said := g.classOf(root), g.said(r.name)
		place := connector.Place{Name: r.name.String(), Kind: connector.PlaceOrder, Class: class, Via: "a part of " + r.root.String(), Blocks: true}
		_, alone := g.held[r.name] // an heir that adds the tenant column
		if _, covered := g.held[r.root]; covered && g.strangers[r.name.Schema] {
			place.Says = fmt.Sprintf("%s is in another tenant's own schema and a part of %s, so its rows would go with those of it", r.name, r.root)
			place.Fix = fmt.Sprintf("take %s out of %s (no inherit, or detach partition), or move it to another schema", r.name, r.root)
			out = append(out, place)
		}
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

// others says that the table stands in a schema that is a resource by itself, is covered
// by another resource of the tenant's, or belongs to a tenant's role.
func (g *ground) others(n relational.TableName) bool {
	_, schema := g.strangers[n.Schema]
	return g.beside.Has(n) || schema || g.alien(n)
}

// alien says that the table belongs to a tenant's role, so that it isn't read.
func (g *ground) alien(n relational.TableName) bool {
	r := g.byName[n]
	return r != nil && r.alien
}

// aliens are such tables that no whole store holds, if a column of theirs has the name
// of the tenant column.
func (g *ground) aliens(context.Context, *session) (out []connector.Place, err error) {
	for _, b := range g.bearing {
		n := b.relation.name
		if _, store := g.strangers[n.Schema]; !store && b.relation.alien && !g.own(n) {
			out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceTable, Via: "column " + b.column,
				Says: n.String() + " belongs to " + b.relation.owner + ", a tenant's role whose code would run with Tenure's rights if it were read",
				Fix:  "give it to a role that no tenant is a member of, or drop it"})
		}
	}
	return out, nil
}

func uncovered(n relational.TableName, via, says string) connector.Place {
	return connector.Place{Name: n.String(), Kind: connector.PlaceTable, Via: via, Blocks: true, Says: says, Fix: "tables: {" + n.String() + ": CLASS}"}
}

// foreign are tables whose rows lie on another server.
func (g *ground) foreign(context.Context, *session) (out []connector.Place, err error) {
	tables := map[oid]bool{}
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

// specOf reads what a note in tenure.mark says of rows.
func specOf(n relational.Note) (p poolSpec, ok bool) {
	err := json.Unmarshal([]byte(n.Get("spec")), &p)
	return p, err == nil
}
