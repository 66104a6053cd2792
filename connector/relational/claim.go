package relational

import (
	"maps"
	"slices"
	"strings"
)

// Tenancy says how a tenant's rows are told from others'.
type Tenancy struct {
	Resource string // what is written down in the system stands under this name
	Home     string // the schema of bare table names

	// Column has Key in the tenant's rows of tables that tenants share. A whole store
	// may have no key; with one, rows of the tables that are covered outside of it are
	// found by it.
	Column, Key string

	// Own are the tables of a whole store of the tenant's; nil without one.
	Own func(TableName) bool

	// Others are the tables of other tenants' whole stores: every row of them is
	// theirs. Nil without any.
	Others func(TableName) bool

	// Written says that the table of parents' keys is there to be read.
	Written bool
}

// Reached is a table that holds rows of a tenant.
type Reached struct {
	Table  Table
	Via    string   // how it is reached
	Any    []string // SQL conditions over the table under the alias t; a row for which one holds is the tenant's
	Parent bool     // its rows are the tenant's as long as nobody else's rows refer to them
	Found  bool     // by itself, not through another table
}

// Where is the condition for the tenant's rows, over the table under the alias t.
func (r Reached) Where() string { return either(r.Any) }

// claims works out which rows are a tenant's.
type claims struct {
	g *Graph
	d Dialect
	t Tenancy
	b *bound

	keyed map[TableName]string       // the tenant column of each table that has one
	by    map[TableName][]ForeignKey // what claims the rows of a table without
	not   map[TableName][]ForeignKey // what claims them for others alone
	ring  map[TableName]*ring        // of tables that claim one another
	held  map[TableName]bool         // every table that may hold rows of the tenant
	bears map[TableName]bool         // those whose tenant column only a reference tells
	above map[TableName]bool         // parents that belong to no tenant by themselves
	bent  map[keyID]bool             // keys by which a parent is found through rows that follow it
	also  map[TableName]bool         // tables of held whose rows may be claimed by nothing, and are parents then
	round map[TableName][]TableName  // parents that refer to one another round about
	firm  *claims                    // what a key or a claim tells, without the parents among claimed tables
}

func newClaims(d Dialect, g *Graph, t Tenancy, b *bound) *claims {
	size := len(g.tables)
	c := &claims{g: g, d: d, t: t, b: b, keyed: make(map[TableName]string, size), by: make(map[TableName][]ForeignKey, size), not: map[TableName][]ForeignKey{},
		ring: map[TableName]*ring{}, held: make(map[TableName]bool, size), bears: map[TableName]bool{}, above: map[TableName]bool{}, bent: map[keyID]bool{},
		also: map[TableName]bool{}, round: map[TableName][]TableName{}}
	for _, t := range g.Tables() {
		if column := c.tenantColumn(t); column != "" {
			c.keyed[t.TableName] = column
		}
	}
	c.carry()
	var queue []TableName
	for _, t := range g.Tables() {
		if c.own(t.TableName) || c.byKey(t.TableName) {
			c.held[t.TableName] = true
			queue = append(queue, t.TableName)
		}
	}
	for len(queue) > 0 {
		c.down(queue)
		c.parents()
		queue = c.kin()
	}
	c.strange()
	c.rings()
	c.circles()
	c.bend()
	c.told()
	return c
}

// down follows the claims from tables that hold rows of the tenant.
func (c *claims) down(queue []TableName) {
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range c.g.below[at] {
			if c.above[k.Child] || !c.claiming(k) || c.claimed(k) {
				continue
			}
			c.by[k.Child] = append(c.by[k.Child], k)
			if !c.held[k.Child] {
				c.held[k.Child] = true
				queue = append(queue, k.Child)
			}
		}
	}
}

// strange follows the claims from tables that hold no row of the tenant and rows of
// others: what they lead to is theirs.
func (c *claims) strange() {
	seen := map[TableName]bool{}
	var queue []TableName
	for _, t := range c.g.Tables() {
		if n := t.TableName; c.others(n) || c.keyed[n] != "" && !c.held[n] {
			seen[n] = true
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range c.g.below[at] {
			if !c.claiming(k) {
				continue
			}
			c.not[k.Child] = append(c.not[k.Child], k)
			if !c.held[k.Child] && !seen[k.Child] { // a parent among them is claimed all the same
				seen[k.Child] = true
				queue = append(queue, k.Child)
			}
		}
	}
}

// claimed says that rows of the child are found by the key.
func (c *claims) claimed(k ForeignKey) bool {
	return slices.ContainsFunc(c.by[k.Child], func(o ForeignKey) bool { return o.id() == k.id() })
}

// kin are tables whose rows follow a parent: they are the tenant's as long as the
// parent's are.
func (c *claims) kin() []TableName {
	var out []TableName
	for _, t := range c.g.Tables() {
		if !c.above[t.TableName] {
			continue
		}
		for _, k := range c.g.below[t.TableName] {
			n := k.Child
			if c.b.links[k.id()] != Follow || !c.claiming(k) || c.claimed(k) || c.above[n] || c.keyed[n] != "" || c.held[n] && !slices.Contains(out, n) {
				continue
			}
			c.by[n], c.held[n] = append(c.by[n], k), true
			out = append(out, n)
		}
	}
	return out
}

// bend finds the keys by which a parent would be found through rows that
// themselves are found through it.
func (c *claims) bend() {
	for p := range c.above {
		for _, k := range c.g.below[p] {
			if !c.claimed(k) && c.turns(k.Child, p) {
				c.bent[k.id()] = true
			}
		}
	}
}

// turns says that rows of a table are found through rows that follow a parent,
// and these through the table p.
func (c *claims) turns(from, p TableName) bool {
	type step struct {
		at  TableName
		kin bool
	}
	seen, todo := map[step]bool{}, []step{{from, false}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case s.at == p && s.kin:
			return true
		case s.at == p || seen[s]:
			continue
		}
		seen[s] = true
		for _, k := range c.by[s.at] {
			todo = append(todo, step{k.Parent, s.kin || c.above[k.Parent]})
		}
		if !c.above[s.at] {
			continue
		}
		for _, k := range c.g.below[s.at] {
			if (c.held[k.Child] || c.above[k.Child]) && !c.claimed(k) {
				todo = append(todo, step{k.Child, s.kin})
			}
		}
	}
	return false
}

func (c *claims) own(n TableName) bool { return c.t.Own != nil && c.t.Own(n) }

// others says that the table is in another tenant's whole store.
func (c *claims) others(n TableName) bool { return c.t.Others != nil && !c.own(n) && c.t.Others(n) }

// byKey says that the tenant's rows of the table are those with its key. Beside a
// whole store, a table that nothing covers is left to whatever else covers it there.
func (c *claims) byKey(n TableName) bool {
	return c.keyed[n] != "" && (c.t.Own == nil || c.t.Key != "" && (c.b.classes[n] != "" || c.bears[n]))
}

// tenantColumn is the column, or the path in one, by which the table's rows are
// told apart; "" if there is none. A whole store's own tables need none.
func (c *claims) tenantColumn(t Table) string {
	if c.own(t.TableName) || c.others(t.TableName) || c.b.shared[t.TableName] {
		return ""
	}
	if given, ok := c.b.columns[t.TableName]; ok {
		return given
	}
	for _, name := range append([]string{c.t.Column}, c.b.aliases...) {
		if name != "" {
			if column := c.g.column(t, name); column != "" {
				return column
			}
		}
	}
	return ""
}

// carry finds the tenant columns that references tell of: what a tenant column
// refers to is a tenant's key too, whatever it is called there.
func (c *claims) carry() {
	queue := slices.DeleteFunc(slices.SortedFunc(maps.Keys(c.keyed), TableName.Compare), func(n TableName) bool { return !c.byKey(n) })
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range c.g.above[at] {
			i := slices.Index(k.Columns, c.keyed[at])
			_, said := c.b.columns[k.Parent]
			if i < 0 || said || c.keyed[k.Parent] != "" || c.b.shared[k.Parent] || c.own(k.Parent) || c.others(k.Parent) {
				continue
			}
			c.keyed[k.Parent], c.bears[k.Parent] = k.Parents[i], true
			queue = append(queue, k.Parent)
		}
	}
}

// claiming says whether a reference makes the child's rows the owner's of what
// they refer to.
func (c *claims) claiming(k ForeignKey) bool {
	if c.own(k.Child) || c.others(k.Child) || c.b.shared[k.Child] {
		return false
	}
	if column := c.keyed[k.Child]; column != "" { // of rows that name no tenant
		own, _ := c.g.tables[k.Child].Column(column)
		return c.b.links[k.id()] == Follow && !own.Required && c.byKey(k.Child)
	}
	switch word := c.b.links[k.id()]; {
	case word == Follow:
		return true
	case word != "":
		return false
	}
	return c.g.rigid(k) && !k.OnDelete.lets()
}

// parents finds the tables that claimed rows refer to and that nothing claims.
func (c *claims) parents() {
	queue := slices.Collect(maps.Keys(c.held))
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range c.g.above[at] {
			p := k.Parent
			if c.held[p] || c.above[p] || c.b.shared[p] || c.keyed[p] != "" || c.others(p) {
				continue
			}
			c.above[p] = true
			queue = append(queue, p)
		}
	}
}

// reached are the tables that may hold rows of the tenant, ordered by name.
func (c *claims) reached() []Reached {
	out := make([]Reached, 0, len(c.held)+len(c.above))
	for _, t := range c.g.Tables() {
		switch n := t.TableName; {
		case c.held[n]:
			found := c.own(n) || c.keyed[n] != ""
			out = append(out, Reached{Table: t, Via: c.via(n), Any: c.ours(n, alias), Found: found})
		case c.above[n]:
			out = append(out, Reached{Table: t, Via: c.via(n), Any: []string{c.orphaned(n, alias)}, Parent: true})
		}
	}
	return out
}

// alias is the name under which Reached.Any knows the table.
const alias = "t"

func (c *claims) via(n TableName) string {
	switch {
	case c.own(n):
		return "its own"
	case c.keyed[n] != "":
		return "column " + c.keyed[n]
	}
	var says []string
	if c.above[n] {
		for _, k := range c.g.below[n] {
			if c.held[k.Child] || c.above[k.Child] {
				says = append(says, "from "+k.Link())
			}
		}
		return strings.Join(says, "; ")
	}
	for _, k := range c.by[n] {
		if !k.self() {
			says = append(says, strings.Join(k.Columns, ",")+" → "+k.Parent.String())
		}
	}
	return strings.Join(says, "; ")
}

// ours are conditions for the tenant's rows of a table under the alias a. None
// means that no row is.
func (c *claims) ours(n TableName, a string) []string {
	switch {
	case c.own(n):
		return []string{"true"}
	case c.byKey(n):
		if len(c.by[n]) == 0 {
			ours, _, _ := c.d.Keyed(c.g.tables[n], a, c.keyed[n], c.t.Key)
			return []string{ours}
		}
	case c.above[n]:
		return []string{c.orphaned(n, a)}
	case !c.held[n]:
		return nil
	}
	if r := c.ring[n]; r != nil {
		return r.ours(n, a)
	}
	return c.outer(n, a, nil)
}

// outer are the conditions by the claims that come from outside the ring.
func (c *claims) outer(n TableName, a string, r *ring) []string {
	var out []string
	if column := c.keyed[n]; column != "" {
		ours, _, _ := c.d.Keyed(c.g.tables[n], a, column, c.t.Key)
		out = append(out, ours)
	}
	for _, k := range c.by[n] {
		if r.has(k.Parent) {
			continue
		}
		inner := next(a)
		if any := c.ours(k.Parent, inner); len(any) > 0 {
			out = append(out, c.refers(k, a, inner, either(any)))
		}
	}
	if c.also[n] {
		out = append(out, c.orphaned(n, a))
	}
	return out
}

// theirs is the condition for rows, under the alias a, that surely are another
// tenant's: by their own key, or since what claims them is. "" if there is none.
func (c *claims) theirs(n TableName, a string) string { return c.foreign(n, a, nil) }

func (c *claims) foreign(n TableName, a string, path []TableName) string {
	if c.others(n) {
		return "true"
	}
	var any []string
	if column := c.keyed[n]; column != "" {
		_, theirs, nobodys := c.d.Keyed(c.g.tables[n], a, column, c.t.Key)
		if !c.byKey(n) { // beside a whole store, whoever has a key is somebody else
			return "not (" + nobodys + ")"
		}
		any = append(any, theirs)
	}
	if cond := c.alien(n, a, path); cond != "" {
		any = append(any, cond)
	}
	path = append(slices.Clone(path), n)
	switch t, r := c.tree(n), c.circle(n); {
	case r != nil:
		path = append(path, r.tables...)
		any = append(any, r.with(n, a, func(n TableName, a string) string {
			if cond := c.users(n, a, path); cond != "" {
				return cond
			}
			return "false"
		}))
	case t == nil:
		if cond := c.users(n, a, path); cond != "" {
			any = append(any, cond)
		}
	default:
		if cond := c.users(n, next(a), path); cond != "" {
			any = append(any, t.with(a, cond))
		}
	}
	if len(any) == 0 {
		return ""
	}
	return either(any)
}

// alien is the condition for rows, under the alias a, that another tenant's claim; ""
// if there is none.
func (c *claims) alien(n TableName, a string, path []TableName) string {
	var any []string
	path = append(slices.Clone(path), n)
	inner := next(a)
	for _, k := range slices.Concat(c.by[n], c.not[n]) {
		// A reference to the table itself is followed once: the row that it leads to
		// has claims of its own.
		if seen := count(path, k.Parent); seen > 1 || seen > 0 && !k.self() {
			continue
		}
		if cond := c.foreign(k.Parent, inner, path); cond != "" {
			any = append(any, c.refers(k, a, inner, cond))
		}
	}
	if len(any) == 0 {
		return ""
	}
	return either(any)
}

// users is the condition for rows of a parent, under the alias a, that others' rows
// refer to; "" if none can be told to.
func (c *claims) users(n TableName, a string, path []TableName) string {
	if !c.parent(n) {
		return ""
	}
	var any []string
	inner := next(a)
	for _, k := range c.g.below[n] {
		if c.claimed(k) && !c.also[n] || slices.Contains(path, k.Child) {
			continue
		}
		cond := "true" // what belongs to no tenant keeps its parents
		if !c.b.shared[k.Child] {
			cond = c.foreign(k.Child, inner, path)
		}
		if cond != "" {
			any = append(any, k.down(a, inner, c.d.Name(k.Child), cond))
		}
	}
	switch {
	case len(any) == 0:
		return ""
	case c.also[n]: // the tenant's own by a claim are its own
		return either(any) + " and (" + either(c.firm.ours(n, a)) + ") is not true"
	}
	return either(any)
}

func count(path []TableName, n TableName) (times int) {
	for _, p := range path {
		if p == n {
			times++
		}
	}
	return times
}

// refers is the condition that the row under the alias a refers by k to a row,
// under the alias inner, for which cond holds.
func (c *claims) refers(k ForeignKey, a, inner, cond string) string {
	return c.keyless(k.Child, a) + k.up(a, inner, c.d.Name(k.Parent), cond)
}

// keyless begins a condition by which rows are claimed: what has a key of its own
// isn't claimed by anything else.
func (c *claims) keyless(n TableName, a string) string {
	column := c.keyed[n]
	if column == "" {
		return ""
	}
	_, _, nobodys := c.d.Keyed(c.g.tables[n], a, column, c.t.Key)
	return "(" + nobodys + ") and "
}

func in(a string, columns []string, inner, table string, others []string, cond string) string {
	return tuple(a, columns) + " in (select " + list(inner, others) + " from " + table + " " + Quote(inner) + " where " + cond + ")"
}

// among is the condition that columns under the alias a are equal, each by the given
// operator, = if blank, to those that a query gives.
func among(a string, columns, equal []string, query string) string {
	if !slices.ContainsFunc(equal, func(op string) bool { return op != "" }) {
		return tuple(a, columns) + " in (" + query + ")"
	}
	names, on := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i] = numbered(i)
		on[i] = equals(Quote(a, c), equal[i], `"w".`+names[i])
	}
	return "exists (select 1 from (" + query + `) "w"(` + strings.Join(names, ", ") + ") where " + strings.Join(on, " and ") + ")"
}

func equals(left, op, right string) string {
	if op == "" {
		op = "="
	}
	return left + " " + op + " " + right
}

// next is an alias for a table within the condition of another.
func next(a string) string {
	if a == alias {
		return alias + "1"
	}
	return a + "1"
}

func list(a string, columns []string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = Quote(a, c)
	}
	return strings.Join(out, ", ")
}

func tuple(a string, columns []string) string {
	if len(columns) == 1 {
		return Quote(a, columns[0])
	}
	return "(" + list(a, columns) + ")"
}

// either is true where one of the conditions is.
func either(any []string) string {
	switch len(any) {
	case 0:
		return "false"
	case 1:
		return any[0]
	}
	return "(" + strings.Join(any, " or ") + ")"
}
