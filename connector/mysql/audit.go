package mysql

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// audit are the triggers and the scheduler's events that write where nothing erases, or
// touch rows of which can't be told whose they are.
func (e *estate) audit(order []string) (out []connector.Place) {
	for _, g := range e.c.triggers {
		if _, held := e.Table(g.table); held {
			out = append(out, e.triggerPlaces(g, e.runs(g), order)...)
		}
	}
	for _, g := range e.c.events {
		out = append(out, e.eventPlaces(g)...)
	}
	return out
}

// runs says whether an erasure makes the trigger run: rows of its table go, or lose a
// reference. What a constraint does by itself runs no trigger.
func (e *estate) runs(g trigger) bool {
	if _, held := e.Table(g.table); held && g.event == "delete" && e.Classes[g.table] != "" {
		return true
	}
	return g.event == "update" && slices.ContainsFunc(e.Graph.Keys(), func(k relational.ForeignKey) bool {
		if _, held := e.Table(k.Parent); !held || k.Child != g.table {
			return false
		}
		t, _ := e.Graph.Table(k.Child)
		return slices.ContainsFunc(k.Columns, func(name string) bool { c, _ := t.Column(name); return !c.Required })
	})
}

// vouched says that the blueprint answers for a trigger or an event.
func (e *estate) vouched(of relational.TableName, name string) bool {
	bare := of.Name + "." + name
	for as := range e.a.Triggers {
		if strings.EqualFold(as, of.String()+"."+name) || of.Schema == e.a.Schema && strings.EqualFold(as, bare) {
			return true
		}
	}
	return false
}

// nameOf is how the blueprint best names a table.
func (e *estate) nameOf(n relational.TableName) string {
	if n.Schema == e.a.Schema {
		return n.Name
	}
	return n.String()
}

func (e *estate) ignore(g trigger) string {
	return "triggers: {" + e.nameOf(g.table) + "." + g.name + ": ignore} if it keeps nothing of a tenant's and touches nothing of others"
}

// triggerPlaces are what stands against a trigger.
func (e *estate) triggerPlaces(g trigger, runs bool, order []string) (out []connector.Place) {
	if e.vouched(g.table, g.name) {
		return nil
	}
	place := connector.Place{Name: g.table.String() + "." + g.name, Kind: connector.PlaceCode, Class: e.Classes[g.table], Via: "trigger on " + g.table.String()}
	// Code of a tenant's own, which runs with the tenant's rights, may do there what it likes.
	if g.odd != "" && !(e.Own(g.table) && e.one()) {
		out = append(out, blocked(place, "trigger "+g.name+" of "+g.table.String()+" holds "+g.odd+", and what that does can't be told", e.ignore(g)))
	}
	if runs && g.signals {
		stands := place
		stands.Says = "trigger " + g.name + " can keep rows of " + g.table.String() + " from going: it has a signal"
		out = append(out, stands)
	}
	told := map[string]bool{}
	for _, w := range g.writes {
		if p := e.writePlace(g, w, place, runs, order); p != nil && !told[p.Says] {
			told[p.Says] = true
			out = append(out, *p)
		}
	}
	return out
}

// one says that all of a whole store goes at once.
func (e *estate) one() bool { return e.whole && len(e.ClassNames()) < 2 }

// writePlace is what stands against one statement of a trigger's; nil if nothing does.
func (e *estate) writePlace(g trigger, w write, place connector.Place, runs bool, order []string) *connector.Place {
	own, class := place.Class, e.Classes[w.table]
	_, held := e.Table(w.table)
	says := func(what string) *connector.Place {
		p := blocked(place, "trigger "+g.name+" of "+g.table.String()+" "+what, e.ignore(g))
		return &p
	}
	adds := w.verb == "insert" || w.verb == "replace"
	switch {
	case !adds && !runs:
		return nil // rows that are there are found by what they hold, however they were changed
	case e.Own(w.table) && e.one():
		return nil
	case adds && class == "" && !e.Shared(w.table), adds && !held && !e.Shared(w.table), adds && runs && class == "":
		p := blocked(place, "trigger "+g.name+" of "+g.table.String()+" writes to "+w.table.String()+", which no data class covers",
			"tables: {"+e.nameOf(w.table)+": CLASS}, with columns: {"+e.nameOf(w.table)+": COLUMN} if its tenant column is called otherwise; or "+e.ignore(g))
		return &p
	case g.event != "insert" && adds && class != own && at(order, class) < at(order, own):
		p := blocked(place, "when rows of "+g.table.String()+" ("+own+") go, trigger "+g.name+" writes into "+w.table.String()+", whose class "+class+" is gone by then",
			"tables: {"+e.nameOf(w.table)+": "+own+"}, so that the copies go with the rows; or give class "+class+" a longer retention than "+own+" has")
		p.Kind = connector.PlaceOrder
		return &p
	case !runs:
		return nil
	case !w.simple:
		if e.whole && class == own && e.Own(w.table) {
			return nil
		}
		return says("changes rows of " + w.table.String() + " (" + w.verb + "), and whose they are can't be told")
	case e.leads(w.table, g.table, map[relational.TableName]bool{}):
		return says("writes to " + w.table.String() + " what comes back into " + g.table.String())
	case !e.whole && !e.bears(g, w):
		p := says("writes to " + w.table.String() + " rows of which can't be told that they have the tenant's key")
		if key, from := e.TenantColumn(w.table), e.TenantColumn(g.table); key != "" && from != "" {
			p.Fix = "have it write old." + from + " of " + g.table.String() + " into " + key + " of " + w.table.String() + "; or " + p.Fix
		}
		return p
	}
	return nil
}

// leads says whether what is inserted into a table makes triggers write into another.
func (e *estate) leads(from, to relational.TableName, seen map[relational.TableName]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, g := range e.c.triggers {
		if g.table != from || g.event != "insert" {
			continue
		}
		if g.odd != "" && !e.vouched(g.table, g.name) {
			return true
		}
		for _, w := range g.writes {
			if e.leads(w.table, to, seen) {
				return true
			}
		}
	}
	return false
}

// bears says that each row that the trigger inserts has the key of the row that changed.
func (e *estate) bears(g trigger, w write) bool {
	key, from := e.TenantColumn(w.table), e.TenantColumn(g.table)
	if key == "" || from == "" || strings.Contains(from, "->") {
		return false
	}
	into, _ := e.Graph.Table(w.table)
	source, _ := e.Graph.Table(g.table)
	b, _ := source.Column(from)
	if name, path, is := relational.CutPath(key); is {
		at := strings.ToLower(name) + "->>" + strings.Join(path, "->>")
		return strings.EqualFold(w.values[at], from) && sortOf(b.Type) == textual
	}
	a, _ := into.Column(key)
	return strings.EqualFold(w.values[strings.ToLower(key)], from) && sortOf(a.Type) == sortOf(b.Type)
}

// eventPlaces are what stands against an event of the scheduler's: one that reads a table
// of the tenant's rows and writes where nothing erases.
func (e *estate) eventPlaces(g trigger) (out []connector.Place) {
	of := relational.TableName{Schema: g.schema, Name: g.name}
	if e.vouchedEvent(g) {
		return nil
	}
	place := connector.Place{Name: of.String(), Kind: connector.PlaceCode, Via: "event " + of.String()}
	fix := "triggers: {" + of.String() + ": ignore} if it keeps nothing of a tenant's"
	reads := slices.ContainsFunc(e.Tables, func(t relational.Reached) bool { return slices.Contains(g.names, strings.ToLower(t.Table.Name)) })
	if g.odd != "" && !(e.whole && !reads && g.schema != e.a.Schema) {
		return []connector.Place{blocked(place, "event "+of.String()+" holds "+g.odd+", and what that does can't be told", fix)}
	}
	for _, w := range g.writes {
		if (w.verb == "insert" || w.verb == "replace") && reads && e.Classes[w.table] == "" && !e.Shared(w.table) {
			out = append(out, blocked(place, "event "+of.String()+" reads tables of the tenant's rows and writes to "+w.table.String()+", which no data class covers",
				"tables: {"+e.nameOf(w.table)+": CLASS}; or "+fix))
		}
	}
	return out
}

// vouchedEvent says that the blueprint answers for an event, by its own name.
func (e *estate) vouchedEvent(g trigger) bool {
	for as := range e.a.Triggers {
		if strings.EqualFold(as, g.schema+"."+g.name) {
			return true
		}
	}
	return false
}
