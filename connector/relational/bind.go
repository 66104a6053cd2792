package relational

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// bound is a blueprint's coverage as the catalog's names have it.
type bound struct {
	classes map[TableName]string
	every   string
	columns map[TableName]string
	aliases []string
	links   map[keyID]Link // by key
	shared  map[TableName]bool
	missing []string // what is named and isn't there
}

func bind(g *Graph, home string, c Coverage) (*bound, error) {
	b := &bound{classes: map[TableName]string{}, every: c.Tables[Every], columns: map[TableName]string{}, aliases: c.Aliases,
		links: map[keyID]Link{}, shared: map[TableName]bool{}}
	find := func(name string) TableName {
		n, ok := g.Find(home, name)
		if !ok {
			b.missing = append(b.missing, name)
		}
		return n
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tables)) {
		if name != Every {
			b.classes[find(name)] = c.Tables[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		n, column := find(name), c.Columns[name]
		if base, path, is := CutPath(column); column != "" {
			t := g.tables[n]
			if own := g.column(t, base); own != "" && !is {
				column = own
			} else if own == "" && t.Name != "" {
				b.missing = append(b.missing, name+"."+base)
			} else if is {
				column = own + "->>" + strings.Join(path, "->>")
			}
		}
		b.columns[n] = column
	}
	for _, name := range c.Shared {
		b.shared[find(name)] = true
	}
	if len(c.Links) == 0 {
		return b, nil
	}
	words := map[string]string{} // a link's plain form, and how it was written
	for name := range c.Links {
		words[plainLink(g, name)] = name
	}
	for _, k := range g.keys {
		names := []string{k.Link()}
		if k.Child.Schema == home {
			names = append(names, k.Child.Name+"."+strings.Join(k.Columns, ","))
		}
		for _, name := range names {
			given, ok := words[plainLink(g, name)]
			if !ok {
				continue
			}
			word := c.Links[given]
			if word == Detach && !k.OnDelete.lets() && len(g.optional(k)) == 0 {
				return nil, tenure.Errorf(tenure.Invalid, "link %q can't be detached: its columns can't be null", given).WithHint("make one of %s nullable", strings.Join(k.Columns, ", "))
			}
			b.links[k.id()] = word
			words[plainLink(g, name)] = given
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Links)) {
		if !b.linked(g, home, name) {
			b.missing = append(b.missing, name)
		}
	}
	return b, nil
}

func (b *bound) linked(g *Graph, home, name string) bool {
	return slices.ContainsFunc(g.keys, func(k ForeignKey) bool {
		_, has := b.links[k.id()]
		want := plainLink(g, name)
		return has && (want == plainLink(g, k.Link()) || k.Child.Schema == home && want == plainLink(g, k.Child.Name+"."+strings.Join(k.Columns, ",")))
	})
}

// apart is Invalid if the attributes would make rows of another tenant's whole store
// the tenant's.
func (b *bound) apart(g *Graph, t Tenancy) error {
	others := func(n TableName) bool { return t.Others != nil && (t.Own == nil || !t.Own(n)) && t.Others(n) }
	refuse := func(what string, n TableName) error {
		return tenure.Errorf(tenure.Invalid, "%s: %s is in a store of another tenant's own, so none of its rows can be this tenant's", what, n).
			WithHint("take it out of %s: what it refers to stays, and needs no word", what)
	}
	for _, n := range slices.SortedFunc(maps.Keys(b.classes), TableName.Compare) {
		if others(n) {
			return refuse("tables", n)
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(b.columns), TableName.Compare) {
		if b.columns[n] != "" && others(n) {
			return refuse("columns", n)
		}
	}
	for _, k := range g.keys {
		if b.links[k.id()] == Follow && others(k.Child) {
			return refuse("links", k.Child)
		}
	}
	return nil
}

// plainLink is a link's name with its columns in order.
func plainLink(g *Graph, link string) string {
	i := strings.LastIndexByte(link, '.')
	switch {
	case g.fold:
		link = strings.ToLower(link)
	case g.folds:
		link = link[:i+1] + strings.ToLower(link[i+1:])
	}
	columns := strings.Split(link[i+1:], ",")
	for j := range columns {
		columns[j] = strings.TrimSpace(columns[j])
	}
	slices.Sort(columns)
	return link[:i+1] + strings.Join(columns, ",")
}

// class is the data class that covers a table, "" if none does.
func (b *bound) class(n TableName, own bool) string {
	if c := b.classes[n]; c != "" {
		return c
	}
	if own {
		return b.every
	}
	return ""
}
