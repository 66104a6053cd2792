package relational

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// Places says what is held, table by table, and what stands in the way of its
// erasure in the order of the classes. The rows are counted by the conditions by
// which they are erased, or not at all.
func (h *Holding) Places(ctx context.Context, q Querier, order []string, changes Changes, counted bool) ([]connector.Place, error) {
	out := h.tables()
	refers, keys, stay := h.references(), h.nulls(), h.staying()
	ripples := h.ripples(refers)
	if counted {
		for _, fill := range []func() error{
			func() error { return h.fill(ctx, q, out) },
			func() error { return h.fillReferences(ctx, q, refers) },
			func() error { return h.fillNulls(ctx, q, keys) },
			func() error { return h.count(ctx, q, stay) },
			func() error { return h.fillRipples(ctx, q, ripples) },
		} {
			if err := fill(); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range refers {
		if p, ok := h.place(r, counted); ok {
			out = append(out, p)
		}
	}
	for _, r := range ripples {
		if r.rows > 0 {
			out = append(out, h.placeOf(r))
		}
	}
	for _, k := range keys {
		// Rows that an anonymisation cleared of their tenant are nobody's, as they should be.
		if cleared := h.changes.transforms[k.Table.TableName].Columns[k.column].Word == transform.Clear; k.rows > 0 && !cleared {
			out = append(out, connector.Place{Name: k.Table.String() + "." + k.column, Kind: connector.PlaceKey, Class: h.Classes[k.Table.TableName], Rows: k.rows,
				Says: Plural(k.rows, "row") + " of " + k.Table.String() + " with no tenant: " + k.column + " is null"})
		}
	}
	for _, p := range stay {
		if p.Rows > 0 {
			out = append(out, p.place())
		}
	}
	if counted {
		knots, err := h.knots(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, knots...)
		unnamed, err := h.unnamed(ctx, q, changes)
		if err != nil {
			return nil, err
		}
		out = append(out, unnamed...)
	}
	changing, err := h.changing(ctx, q, changes, counted)
	if err != nil {
		return nil, err
	}
	return append(append(append(out, changing...), h.unknown(counted)...), h.Objections(order)...), nil
}

// tables are the places of the tables, one for each of h.Tables.
func (h *Holding) tables() []connector.Place {
	out := make([]connector.Place, len(h.Tables))
	for i, t := range h.Tables {
		n := t.Table.TableName
		p := connector.Place{Name: n.String(), Kind: connector.PlaceTable, Class: h.Classes[n], Via: t.Via}
		switch {
		case p.Class != "":
		case t.Parent, h.Carried(n):
			p.Blocks, p.Says = true, "the tenant's rows refer to "+p.Name+" ("+p.Via+"), and neither tables nor shared names it"
			p.Fix = "tables: {" + h.name(n) + ": CLASS}, or shared: [" + h.name(n) + "] if its rows belong to no tenant"
		default:
			p.Blocks, p.Says = true, p.Name+" can be reached from the tenant ("+p.Via+") and no data class covers it"
			p.Fix = "tables: {" + h.name(n) + ": CLASS}"
		}
		out[i] = p
	}
	return out
}

// name is how the blueprint best names a table.
func (h *Holding) name(n TableName) string {
	if n.Schema == h.claims.t.Home {
		return n.Name
	}
	return n.String()
}

// countedAtOnce is how many selects one query joins; SQLite takes 500 at the most.
const countedAtOnce = 200

// numbers runs selects of n numbers each and gives them in their order.
func numbers(ctx context.Context, q Querier, n int, selects []string) ([][]int64, error) {
	out := make([][]int64, len(selects))
	at := 0
	for part := range slices.Chunk(selects, countedAtOnce) {
		all := make([]string, len(part))
		for i, s := range part {
			all[i] = "select " + strconv.Itoa(at+i) + ", " + s
		}
		at += len(part)
		if err := read(ctx, q, strings.Join(all, " union all "), n, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func read(ctx context.Context, q Querier, sql string, n int, out [][]int64) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		v := make([]int64, n)
		dest := []any{&i}
		for j := range v {
			dest = append(dest, &v[j])
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		out[i] = v
	}
	return rows.Err()
}

// fill counts the rows of the tables, and those that two tenants claim.
func (h *Holding) fill(ctx context.Context, q Querier, places []connector.Place) error {
	selects := make([]string, len(h.Tables))
	for i, t := range h.Tables {
		both := "0"
		if theirs := h.twice(t); theirs != "" {
			both = "count(case when " + theirs + " then 1 end)"
		}
		selects[i] = "count(*), " + both + " from " + h.from(t) + " where " + t.Where()
	}
	n, err := numbers(ctx, q, 2, selects)
	if err != nil {
		return err
	}
	for i := range places {
		p := &places[i]
		if p.Rows = n[i][0]; n[i][1] > 0 {
			p.Blocks, p.Says = true, Plural(n[i][1], "row")+" of "+p.Name+" "+Verb(n[i][1], "refers", "refer")+" to rows of this tenant and of another"
			p.Fix = h.unclaim(h.Tables[i].Table.TableName)
		}
	}
	return nil
}

// unclaim is what would settle that several references claim a table's rows.
func (h *Holding) unclaim(n TableName) string {
	var links []string
	for _, k := range slices.Concat(h.claims.by[n], h.claims.not[n]) {
		if !k.self() {
			word := Detach
			if len(h.Graph.optional(k)) == 0 { // it claims nothing any more
				word = Block
			}
			links = append(links, `links: {"`+h.link(k)+`": `+string(word)+`}`)
		}
	}
	return strings.Join(links, " or ") + ", for the reference that doesn't say whose a row is"
}

// reference is a key by which rows refer to the tenant's and aren't found by it.
type reference struct {
	ForeignKey
	referring
	updater string // a trigger that runs on others' rows as they lose it
	keeps   bool   // it is looked at for rows of nobody's that keep the parent's from going
}

func (h *Holding) references() []reference {
	var out []reference
	for _, k := range h.Graph.keys {
		parent, ok := h.at[k.Parent]
		if !ok || h.claims.own(k.Child) || h.claims.claimed(k) && h.claims.keyed[k.Child] == "" {
			continue
		}
		if !parent.Parent {
			out = append(out, reference{ForeignKey: k})
		}
		if h.claims.parent(k.Parent) && h.Classes[k.Parent] != "" && !k.self() && !h.claims.b.shared[k.Child] {
			out = append(out, reference{ForeignKey: k, keeps: true})
		}
	}
	return out
}

func (h *Holding) fillReferences(ctx context.Context, q Querier, refers []reference) error {
	selects := make([]string, len(refers))
	inner := next(alias)
	for i, k := range refers {
		if k.keeps {
			selects[i] = h.keeping(k.ForeignKey, inner)
			continue
		}
		ours, theirs := h.conditions(k.Child)
		selects[i] = "count(case when " + theirs + " then 1 end), count(case when (" + theirs + ") is not true then 1 end) from " + h.Dialect.Name(k.Child) + " as " + Quote(alias) +
			" where (" + ours + ") is not true and " + k.up(alias, inner, h.Dialect.Name(k.Parent), either(h.claims.ours(k.Parent, inner)))
	}
	n, err := numbers(ctx, q, 2, selects)
	if err != nil {
		return err
	}
	for i, v := range n {
		r := &refers[i]
		r.referring = referring{theirs: v[0], nobodys: v[1]}
		if r.theirs+r.nobodys == 0 {
			continue
		}
		if r.updater, err = h.updater(ctx, q, r.ForeignKey); err != nil {
			return err
		}
	}
	return nil
}

// keeping is the select list that counts rows of which nothing says whose they
// are, and which alone keep a parent's rows that the tenant's refer to from going.
func (h *Holding) keeping(k ForeignKey, inner string) string {
	ours, theirs := h.conditions(k.Child)
	also := "false"
	if cond := h.claims.foreign(k.Parent, inner, nil); cond != "" {
		also = cond
	}
	if h.claims.also[k.Parent] { // a row that is the tenant's by a claim is kept by nothing
		also = either(append(h.claims.firm.ours(k.Parent, inner), also))
	}
	return "0, count(*) from " + h.Dialect.Name(k.Child) + " as " + Quote(alias) + " where (" + ours + ") is not true and (" + theirs + ") is not true and " +
		k.up(alias, inner, h.Dialect.Name(k.Parent), h.claims.asked(k.Parent, inner)+" and ("+also+") is not true")
}

// place is what a person must know of a reference; nothing where no row of
// somebody else's refers to the tenant's.
func (h *Holding) place(r reference, counted bool) (connector.Place, bool) {
	k := r.ForeignKey
	if r.keeps && !counted && !h.claims.above[k.Parent] { // the other look at the key says it
		return connector.Place{}, false
	}
	p := connector.Place{Name: k.Link(), Kind: connector.PlaceReference, Class: h.Classes[k.Parent], Via: "→ " + k.Parent.String(), Rows: r.theirs + r.nobodys}
	if !counted {
		_, held := h.at[k.Child]
		if held || h.claims.b.links[k.id()] != "" || h.claims.b.shared[k.Child] {
			return p, false
		}
		p.Says = "nothing says whose the rows of " + k.Child.String() + " are that refer to " + k.Parent.String() + " by " + strings.Join(k.Columns, ", ")
		p.Fix = `links: {"` + h.link(k) + `": follow, detach or block}`
		return p, true
	}
	if p.Rows == 0 {
		return p, false
	}
	if r.keeps {
		p.Blocks = true
		p.Says, p.Fix = h.kept(k, r.nobodys)
		return p, true
	}
	p.Says, p.Fix = h.refused(k, r.referring)
	p.Blocks = p.Says != ""
	if r.nobodys > 0 && p.Blocks && len(h.Graph.optional(k)) > 0 {
		p.Fix = `links: {"` + h.link(k) + `": follow} if they are the tenant's, detach if they are to stay`
	}
	if !p.Blocks && r.updater != "" {
		p.Blocks = true
		p.Says, p.Fix = h.loud(k, r.updater)
	}
	if !p.Blocks {
		p.Says = Plural(p.Rows, "reference") + " of others' rows of " + k.Child.String() + " to the tenant's rows of " + k.Parent.String() + " will be " + outcome(k)
	}
	return p, true
}

// kept says that rows of which nothing says whose they are keep a parent's, and
// what would settle it.
func (h *Holding) kept(k ForeignKey, n int64) (says, fix string) {
	says = Plural(n, "row") + " of " + k.Child.String() + ", of which nothing says whose " + Verb(n, "it is, refers", "they are, refer") + " by " + strings.Join(k.Columns, ", ") +
		" to rows of " + k.Parent.String() + " that the tenant's rows refer to, and " + Verb(n, "keeps", "keep") + " them from going"
	_, held := h.at[k.Child]
	switch {
	case h.claims.keyed[k.Child] != "":
		return says, "give those rows a key in " + h.claims.keyed[k.Child] + ", or delete them"
	case held:
		return says, "say in links what else of " + k.Child.String() + " refers to the tenant's rows, or delete those rows"
	}
	fix = `links: {"` + h.link(k) + `": follow} if they belong to what they refer to`
	if h.claims.b.classes[k.Child] == "" {
		fix += ", with tables: {" + h.name(k.Child) + ": CLASS}"
	}
	return says, fix + "; columns: {" + h.name(k.Child) + ": COLUMN} if a column says whose they are"
}

func outcome(k ForeignKey) string {
	if k.OnDelete == SetDefault {
		return "set to their default"
	}
	return "set to null"
}

// null is a tenant column that may be null.
type null struct {
	Reached
	column string
	rows   int64
}

func (h *Holding) nulls() []null {
	var out []null
	for _, t := range h.Tables {
		column := h.claims.keyed[t.Table.TableName]
		if c, _ := t.Table.Column(column); column != "" && !c.Required && h.claims.byKey(t.Table.TableName) {
			out = append(out, null{Reached: t, column: column})
		}
	}
	return out
}

func (h *Holding) fillNulls(ctx context.Context, q Querier, keys []null) error {
	selects := make([]string, len(keys))
	for i, k := range keys {
		_, _, nobodys := h.Dialect.Keyed(k.Table, alias, k.column, h.claims.t.Key)
		selects[i] = "count(*) from " + h.from(k.Reached) + " where " + nobodys + " and (" + k.Where() + ") is not true"
	}
	n, err := numbers(ctx, q, 1, selects)
	if err != nil {
		return err
	}
	for i := range keys {
		keys[i].rows = n[i][0]
	}
	return nil
}

// unknown are names of the blueprint that fit nothing: tables that aren't there,
// where a tenant can't make them later, and tables that hold nothing of a tenant.
func (h *Holding) unknown(counted bool) []connector.Place {
	var out []connector.Place
	if h.claims.t.Own == nil {
		for _, name := range h.Missing {
			out = append(out, connector.Place{Name: name, Kind: connector.PlaceTable, Blocks: true,
				Says: name + " is named and isn't there", Fix: "give it its name back, or name what stands in its place"})
		}
	}
	for _, t := range h.Graph.Tables() {
		if p, ok := h.ambiguous(t); ok {
			out = append(out, p)
		}
	}
	if h.claims.t.Own != nil && !counted {
		return out // the store that they refer to is yet to be
	}
	for _, t := range h.Graph.Tables() {
		n := t.TableName
		class := h.claims.b.classes[n]
		if _, ok := h.at[n]; ok || class == "" || h.linked(n) {
			continue
		}
		out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceTable, Class: class, Blocks: true,
			Says: n.String() + " is named, and nothing leads to its rows from the tenant: it has no tenant column, and no reference to or from the tenant's rows finds them",
			Fix:  "columns: {" + h.name(n) + ": COLUMN}, or take it out of tables"})
	}
	return out
}

// linked says that the table refers to the tenant's by a reference that may be
// null; the reference is a place of its own.
func (h *Holding) linked(n TableName) bool {
	return slices.ContainsFunc(h.Graph.above[n], func(k ForeignKey) bool { _, ok := h.at[k.Parent]; return ok })
}
