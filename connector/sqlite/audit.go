package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// ground is what an audit knows of what a resource holds.
type ground struct {
	whole   bool                              // a file of the tenant's own
	alone   bool                              // one class covers all of it
	reached func(table string) bool           // holds rows of the tenant
	class   func(table string) string         // what covers the table; "" is none
	shared  func(table string) bool           // belongs to no tenant
	rows    func(table string) (string, bool) // the condition for the tenant's rows in it
	known   func(key string) bool             // another tenant's key, as its owner mark says
	later   func(class, than string) bool     // the class goes after the other one
}

// audit lists what tables and foreign keys don't show: virtual tables, and
// triggers with the tables that they write to.
func (c catalog) audit(ctx context.Context, s *session, on ground) ([]connector.Place, error) {
	var out []connector.Place
	for _, v := range c.virtuals {
		p, err := c.virtualPlace(ctx, s, v, on)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	for _, g := range c.triggers {
		if on.reached(g.table) {
			out = append(out, c.triggerPlaces(g, on)...)
		}
	}
	return out, nil
}

// virtualPlace is what a virtual table is to the tenant; nil if it is nothing, or
// stands among the tables.
func (c catalog) virtualPlace(ctx context.Context, s *session, v virtual, on ground) (*connector.Place, error) {
	p := &connector.Place{Name: v.name, Kind: connector.PlaceDerived, Class: on.class(v.name), Via: v.module}
	block := func(fix, format string, args ...any) *connector.Place {
		p.Blocks, p.Fix, p.Says = true, fix, fmt.Sprintf(format, args...)
		return p
	}
	if on.shared(v.name) || on.reached(v.name) {
		return nil, nil
	}
	if v.unreadable != "" {
		if on.alone && p.Class != "" {
			p.Says = "the rows of " + v.name + " can't be read here (" + v.unreadable + "); they go with the file"
			return p, nil
		}
		return block("drop it, or erase its rows with the program that made it and name it in the attribute shared",
			"the rows of %s can't be read: %s", v.name, v.unreadable), nil
	}
	var sources []string
	for _, t := range c.writers(v.name) {
		if on.reached(t) {
			sources = append(sources, t)
		}
	}
	i := slices.IndexFunc(c.fulltexts, func(f fulltext) bool { return f.name == v.name })
	if i >= 0 && c.fulltexts[i].content != "" {
		return c.external(ctx, s, c.fulltexts[i], on, p, block)
	}
	switch {
	case len(sources) == 0 && len(c.writers(v.name)) > 0 && !on.whole:
		return nil, nil // it follows tables that hold nothing of the tenant's
	case len(sources) == 0 && on.whole && p.Class != "":
		return p, nil // it is emptied with its class
	case len(sources) == 0 && on.whole:
		return block("name it in the attribute tables", "no data class covers %s", v.name), nil
	case len(sources) == 0:
		return block("keep it in step by triggers, or name it in the attribute shared",
			"%s holds rows and nothing says whose they are: it has no tenant column, and no trigger keeps it in step with a table", v.name), nil
	}
	for _, t := range sources {
		if p.Class == "" {
			p.Class = on.class(t)
		}
		if !c.told(v.name, t) {
			return block(fmt.Sprintf("add a trigger that takes the row out of %s after one of %s is deleted", v.name, t),
				"rows that triggers copy from %s into %s stay when %s's rows go", t, v.name, t), nil
		}
	}
	p.Via += ", kept in step by the triggers of " + strings.Join(sources, ", ")
	return p, nil
}

// external is an index whose texts stand in another table.
func (c catalog) external(ctx context.Context, s *session, f fulltext, on ground, p *connector.Place, block func(fix, format string, args ...any) *connector.Place) (*connector.Place, error) {
	if c.table(f.content) == nil {
		if on.whole {
			p.Via += ", over " + f.content
			return p, nil // every row that it can show is the tenant's, and goes
		}
		return block("name the tables that it is made from as its content, or name it in the attribute shared",
			"%s is an index over the view %s, so it can't be kept in step when rows go", f.name, f.content), nil
	}
	where, reached := on.rows(f.content)
	if !reached {
		return nil, nil
	}
	p.Via += ", over " + f.content
	if p.Class == "" {
		p.Class = on.class(f.content)
	}
	return p, s.each(ctx, "select count(*) from "+quote(f.content)+" where "+where, func() error { return nil }, &p.Rows)
}

// triggerPlaces are the tables that a trigger of a table of the tenant's writes to
// and that nothing erases, and the deletes that it can keep from happening.
func (c catalog) triggerPlaces(g trigger, on ground) []connector.Place {
	var out []connector.Place
	place := func(says string) connector.Place {
		return connector.Place{Name: g.table + "." + g.name, Kind: connector.PlaceCode, Class: on.class(g.table), Via: "trigger on " + g.table, Says: says}
	}
	if g.event == "delete" && g.raises != "" {
		out = append(out, place("trigger "+g.name+" can keep rows of "+g.table+" from going (raise("+g.raises+"))"))
	}
	var told []string
	for _, w := range g.writes {
		if strings.EqualFold(w.table, g.table) || on.shared(w.table) || c.index(w.table) != nil || slices.Contains(told, w.table) {
			continue // an index is a place of its own
		}
		told = append(told, w.table)
		switch own, class := on.class(g.table), on.class(w.table); {
		case class == "" || !on.reached(w.table):
			p := place("trigger " + g.name + " writes rows of " + g.table + " into " + w.table + ", which no data class covers")
			p.Blocks, p.Fix = true, "name "+w.table+" in the attribute tables, or in shared if nothing of a tenant's gets there"
			out = append(out, p)
		case g.event != "insert" && !w.removes && class != own && on.later(own, class):
			p := place("when rows of " + g.table + " (" + own + ") go, trigger " + g.name + " writes into " + w.table + ", whose class " + class + " is gone by then")
			p.Kind, p.Blocks, p.Fix = connector.PlaceOrder, true, "put both tables into one data class"
			out = append(out, p)
		}
	}
	return out
}

// alikes are values of tenant columns that aren't the key and could mean the same
// to somebody. They are another tenant's if an owner mark says so.
func (c catalog) alikes(ctx context.Context, s *session, t *table, column, key string, on ground) ([]connector.Place, error) {
	var out []connector.Place
	var typ, text string
	var n int64
	value := quote(column)
	err := s.each(ctx, "select typeof("+value+"), "+asText(column)+", count(*) from "+quote(t.Name)+" where "+value+" is not null and not "+isKey(value, t.affinities[column], key)+" group by 1, 2", func() error {
		if !alike(text, key) || on.known(keyOf(typ, text)) {
			return nil
		}
		out = append(out, connector.Place{Name: t.Name + "." + column, Kind: connector.PlaceKey, Class: on.class(t.Name), Via: "column " + column, Rows: n, Blocks: true,
			Says: fmt.Sprintf("%d rows of %s have a key (%s) that differs from the tenant's in case, in blanks or in how a number is written", n, t.Name, typ),
			Fix:  "write the key in one form; or, if it is another tenant's, give that tenant its rows in Tenure"})
		return nil
	}, &typ, &text, &n)
	return out, err
}
