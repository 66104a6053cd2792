// Package scaffold drafts a first blueprint from what stands in a system: which tables
// hold tenants' rows, whose row each is, and what people must say. It is pure: the
// catalog comes in as data, and the draft goes out as a text with the reasons in comments.
package scaffold

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/recogniser"
)

// Ask is what a draft is made from.
type Ask struct {
	Name      string // the blueprint's
	System    string
	Connector string
	Column    string // the tenant column; of no use for files
	Catalogue connector.Catalogue
}

// Draft is what was decided, and what is to be decided by a person.
type Draft struct {
	ask     Ask
	column  string // as the catalog writes it
	home    string
	keyType string
	tables  map[string]*placed
	links   map[string]said // by "table.column"
	columns map[string]said // tenant columns of other names
	shared  map[string]said
	Open    []string // what a person must decide, in words
	closed  []string
	untied  []string // tables that nothing ties to a tenant
	byName  map[string]connector.TableInfo
	stores  []connector.StoreInfo
}

// said is a word with its reason.
type said struct{ word, why string }

// placed is a table that holds tenants' rows.
type placed struct {
	connector.TableInfo
	class   string
	why     string
	parent  bool // rows are found by what refers to them
	holds   []recogniser.Class
	weakens bool // tied to a tenant by a choice of this draft
}

// Make drafts a blueprint. A tenant column that no table has is NotFound, with the names
// that could be meant.
func Make(ask Ask) (*Draft, error) {
	d := &Draft{ask: ask, tables: map[string]*placed{}, links: map[string]said{}, columns: map[string]said{}, shared: map[string]said{}, byName: map[string]connector.TableInfo{}}
	if len(ask.Catalogue.Tables) == 0 {
		if d.stores = ask.Catalogue.Stores; len(d.stores) == 0 {
			return nil, tenure.Errorf(tenure.NotFound, "system %s holds nothing that a blueprint could be drafted from", ask.System)
		}
		return d, nil
	}
	if ask.Column == "" {
		return nil, tenure.Errorf(tenure.Invalid, "the tenant column is missing").WithHint("name the column that says whose a row is: --tenant-column NAME").WithHint("columns that many tables have: %s", cmp.Or(strings.Join(frequent(ask.Catalogue), ", "), "none"))
	}
	for _, t := range ask.Catalogue.Tables {
		d.byName[t.String()] = t
	}
	d.bearers()
	if len(d.tables) == 0 {
		return nil, tenure.Errorf(tenure.NotFound, "no table of system %s has the column %q", ask.System, ask.Column).WithHint("columns that many tables have: %s", cmp.Or(strings.Join(frequent(ask.Catalogue), ", "), "none"))
	}
	d.roots()
	for again := true; again; {
		again = d.children() || d.choices() || d.parents()
	}
	d.rest()
	d.classes()
	return d, nil
}

// frequent are columns that end as a key does and that at least two tables have, those
// that are usual for a tenant first, then those of most tables.
func frequent(c connector.Catalogue) (out []string) {
	n := map[string]int{}
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			name := strings.ToLower(col.Name)
			if strings.HasSuffix(name, "id") && name != "id" || strings.HasSuffix(name, "key") || strings.Contains(name, "tenant") || strings.Contains(name, "org") {
				n[col.Name]++
			}
		}
	}
	for name, times := range n {
		if times > 1 {
			out = append(out, name)
		}
	}
	usual := func(name string) int {
		if slices.ContainsFunc([]string{"tenant", "org", "account", "workspace", "company", "customer", "mandant", "team"}, func(w string) bool { return strings.HasPrefix(strings.ToLower(name), w) }) {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(usual(a)-usual(b), n[b]-n[a], strings.Compare(a, b)) })
	return out[:min(len(out), 5)]
}

func (d *Draft) add(t connector.TableInfo, why string, parent bool) {
	p := &placed{TableInfo: t, why: why, parent: parent}
	for _, c := range t.Columns {
		got := recogniser.Propose(recogniser.Column{Table: t.Name, Name: c.Name, Type: c.Type})
		if got.Class != recogniser.None && got.Confidence >= 0.5 && !slices.Contains(p.holds, got.Class) {
			p.holds = append(p.holds, got.Class)
		}
	}
	d.tables[t.String()] = p
}

// bearers are the tables that have the tenant column. The schema of most of them is home.
func (d *Draft) bearers() {
	in := map[string]int{}
	for _, t := range d.ask.Catalogue.Tables {
		for _, c := range t.Columns {
			if !strings.EqualFold(c.Name, d.ask.Column) {
				continue
			}
			if t.Closed != "" {
				d.closed = append(d.closed, t.String()+": "+t.Closed)
				break
			}
			if d.column == "" {
				d.column, d.keyType = c.Name, strings.ToLower(c.Type)
			}
			if c.Name != d.column {
				d.columns[t.String()] = said{c.Name, "the same column, written otherwise"}
			}
			why := "it has " + c.Name
			if !c.Required {
				why += ", which may be null: rows without a tenant block"
			}
			d.add(t, why, false)
			in[t.Schema]++
		}
	}
	most := 0
	for _, schema := range sorted(in) {
		if in[schema] > most {
			d.home, most = schema, in[schema]
		}
	}
}

// roots are the tables that the tenant column refers to, or that are called like it.
func (d *Draft) roots() {
	found := false
	for _, l := range d.ask.Catalogue.Links {
		child := d.tables[l.Child]
		if child == nil || l.Child == l.Parent {
			continue
		}
		for i, c := range l.Columns {
			if !strings.EqualFold(c, d.column) {
				continue
			}
			parent, ok := d.byName[l.Parent]
			if ok && parent.Closed == "" {
				found = true
				if d.tables[l.Parent] == nil {
					d.add(parent, l.Child+"."+c+" refers to its "+l.Parents[i], false)
				}
			}
		}
	}
	if found {
		return
	}
	stem := strings.ToLower(d.column)
	for _, end := range []string{"_id", "_key", "_uuid", "id"} {
		if cut, ok := strings.CutSuffix(stem, end); ok && cut != "" {
			stem = cut
			break
		}
	}
	for _, t := range d.ask.Catalogue.Tables {
		name := strings.ToLower(t.Name)
		if len(t.Key) != 1 || t.Closed != "" || d.tables[t.String()] != nil || !like(name, stem) {
			continue
		}
		d.add(t, "it is called like "+d.column+", and its rows seem to be the tenants themselves", false)
		d.columns[t.String()] = said{t.Key[0], "no reference says so; take the line out if it isn't true"}
		return
	}
}

// like says that a table's name is the stem's, in singular or plural, or a word that
// begins with it.
func like(name, stem string) bool {
	return name == stem || name == stem+"s" || name == stem+"es" || strings.TrimSuffix(stem, "y")+"ies" == name ||
		len(stem) >= 3 && slices.Contains([]string{"organization", "organizations", "organisation", "organisations"}, name) && strings.HasPrefix(name, stem)
}

// firm says that a row can't be without the reference, and goes with what it refers to.
func (d *Draft) firm(l connector.LinkInfo) bool {
	return d.required(l) && l.OnDelete != "set null" && l.OnDelete != "set default"
}

// required says that no column of the reference may be null.
func (d *Draft) required(l connector.LinkInfo) bool {
	child := d.byName[l.Child]
	return !slices.ContainsFunc(l.Columns, func(name string) bool { c, _ := child.Column(name); return !c.Required })
}

// children adds the tables whose rows refer to tenants' rows and can't be without.
func (d *Draft) children() (added bool) {
	for _, l := range d.ask.Catalogue.Links {
		child, ok := d.byName[l.Child]
		parent := d.tables[l.Parent]
		if !ok || parent == nil || parent.parent || d.tables[l.Child] != nil || child.Closed != "" || d.shared[l.Child] != (said{}) || !d.firm(l) {
			continue
		}
		d.add(child, "it follows "+l.Parent+" by "+strings.Join(l.Columns, ", ")+", which can't be null", false)
		added = true
	}
	return added
}

func linkName(d *Draft, l connector.LinkInfo) string {
	return d.short(l.Child) + "." + strings.Join(l.Columns, ",")
}

// choices decides on references that may be null: those by which alone a table's rows
// could be a tenant's.
func (d *Draft) choices() (added bool) {
	for _, l := range d.ask.Catalogue.Links {
		child, ok := d.byName[l.Child]
		parent := d.tables[l.Parent]
		if !ok || parent == nil || parent.parent || d.tables[l.Child] != nil || child.Closed != "" || d.firm(l) || d.links[linkName(d, l)].word != "" {
			continue
		}
		var others []connector.LinkInfo // references of the child to what isn't a tenant's
		rivals := 0
		for _, o := range d.ask.Catalogue.Links {
			if o.Child != l.Child || slices.Equal(o.Columns, l.Columns) {
				continue
			}
			if d.tables[o.Parent] == nil && o.Parent != o.Child && d.required(o) {
				others = append(others, o)
			}
			if d.tables[o.Parent] != nil {
				rivals++
			}
		}
		name := linkName(d, l)
		switch {
		case l.OnDelete == "cascade":
			d.links[name] = said{"follow", "the database itself deletes these rows with those of " + l.Parent}
			d.add(child, "it follows "+l.Parent+" by "+strings.Join(l.Columns, ", ")+": see links", false)
			d.tables[l.Child].weakens = true
			return true
		case len(others) > 0:
			d.links[name] = said{"detach", "the rows also belong to " + others[0].Parent + ", which isn't a tenant's: they stay, without the reference"}
		case actor(l.Columns):
			d.links[name] = said{"detach", "it says who did something, not whose the row is"}
		default:
			why := "nothing else says whose these rows are"
			if l.OnDelete == "set null" || l.OnDelete == "set default" {
				why += ", and the database itself lets them stay when those of " + l.Parent + " go"
			}
			why += ": follow if they are the tenant's (with a data class for " + d.short(l.Child) + " under tables), detach if they are to stay"
			if rivals > 0 {
				why = "several references could say whose these rows are: follow where they do (with a data class for " + d.short(l.Child) + " under tables), detach where not"
			}
			d.links[name] = said{"block", why}
			d.Open = append(d.Open, "links: {"+name+": follow, detach or block}: "+why)
		}
		added = true
	}
	return added
}

// actor says that a reference's name is of who did something.
func actor(columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool {
		c = strings.ToLower(c)
		return strings.HasSuffix(c, "_by") || strings.HasSuffix(c, "_by_id") || slices.ContainsFunc([]string{"reviewer", "approver", "moderator", "author", "editor", "creator", "assignee", "inviter", "referrer"}, func(w string) bool { return strings.Contains(c, w) })
	})
}

// parents decides on the tables that tenants' rows refer to and that have no tenant
// column: lists that all share, or rows that go when nobody refers to them any more.
func (d *Draft) parents() (added bool) {
	for _, l := range d.ask.Catalogue.Links {
		child := d.tables[l.Child]
		parent, ok := d.byName[l.Parent]
		if child == nil || !ok || d.tables[l.Parent] != nil || d.shared[l.Parent] != (said{}) || l.Child == l.Parent {
			continue
		}
		if parent.Closed != "" {
			d.Open = append(d.Open, l.Parent+", which "+l.Child+" refers to, can't be read: "+parent.Closed)
			d.shared[l.Parent] = said{"", "it can't be read: " + parent.Closed}
			added = true
			continue
		}
		probe := &Draft{tables: map[string]*placed{}}
		probe.add(parent, "", true)
		holds := probe.tables[l.Parent].holds
		personal := slices.DeleteFunc(slices.Clone(holds), func(c recogniser.Class) bool { return c == recogniser.FreeText || c == recogniser.Location })
		switch {
		case len(personal) > 0 && !list(parent):
			d.add(parent, "rows of "+l.Child+" refer to it, and its columns look personal ("+words(personal)+"): a row goes once nobody else's refers to it", true)
		default:
			why := "rows of " + l.Child + " refer to it, and nothing in it looks like a tenant's"
			d.shared[l.Parent] = said{"", why}
			if !list(parent) {
				d.Open = append(d.Open, d.short(l.Parent)+": shared as drafted, or under tables if its rows are tenants' ("+why+")")
			}
		}
		added = true
	}
	return added
}

// list says that a table looks like a list of codes: few columns and one of them called so.
func list(t connector.TableInfo) bool {
	return len(t.Columns) <= 6 && slices.ContainsFunc(t.Columns, func(c connector.ColumnInfo) bool {
		return slices.Contains([]string{"code", "iso", "iso2", "iso_code", "symbol", "slug", "label", "title", "kind"}, strings.ToLower(c.Name))
	}) || slices.ContainsFunc([]string{"countr", "currenc", "language", "locale", "timezone", "unit", "categor", "type", "status", "plan", "role", "permission", "region", "tax_rate"}, func(w string) bool { return strings.Contains(strings.ToLower(t.Name), w) })
}

func words(all []recogniser.Class) string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = string(c)
	}
	return strings.Join(out, ", ")
}

// rest are the tables that nothing ties to a tenant.
func (d *Draft) rest() {
	for _, t := range d.ask.Catalogue.Tables {
		name := t.String()
		if d.tables[name] != nil || d.shared[name] != (said{}) {
			continue
		}
		if t.Closed != "" {
			if !slices.Contains(d.closed, name+": "+t.Closed) {
				d.closed = append(d.closed, name+": "+t.Closed)
			}
			continue
		}
		if !slices.ContainsFunc(d.ask.Catalogue.Links, func(l connector.LinkInfo) bool { return l.Child == name && d.links[linkName(d, l)].word != "" }) {
			d.untied = append(d.untied, name)
		}
	}
	slices.Sort(d.closed)
}

// classes gives tables that references connect one data class: rows that find one another
// leave together, in whatever order the classes' clocks end.
func (d *Draft) classes() {
	group := map[string]string{}
	var find func(string) string
	find = func(n string) string {
		if group[n] == n {
			return n
		}
		group[n] = find(group[n])
		return group[n]
	}
	for n := range d.tables {
		group[n] = n
	}
	for _, l := range d.ask.Catalogue.Links {
		if d.tables[l.Child] != nil && d.tables[l.Parent] != nil {
			a, b := find(l.Child), find(l.Parent)
			group[max(a, b)] = min(a, b)
		}
	}
	members := map[string][]string{}
	for _, n := range sorted(d.tables) {
		members[find(n)] = append(members[find(n)], n)
	}
	count := map[string]int{}
	roots := sorted(members)
	slices.SortStableFunc(roots, func(a, b string) int { return len(members[b]) - len(members[a]) })
	for _, root := range roots {
		kind := "business"
		for _, n := range members[root] {
			if len(d.tables[n].holds) > 0 {
				kind = "personal"
			}
		}
		if len(members[root]) > 1 && kind == "personal" {
			kind = "tenant"
		}
		if kind == "tenant" {
			if count[kind]++; count[kind] > 1 {
				kind += "-" + string(rune('0'+min(count[kind], 9)))
			}
		}
		for _, n := range members[root] {
			d.tables[n].class = kind + "-data"
		}
	}
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// short is a table's name as the blueprint writes it.
func (d *Draft) short(name string) string {
	if t, ok := d.byName[name]; ok && t.Schema == d.home {
		return t.Name
	}
	return name
}
