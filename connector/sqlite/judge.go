package sqlite

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// runs says whether an erasure makes the trigger run: rows of its table go, or a
// reference in them becomes null, or another trigger that runs writes there.
func (e *estate) runs(g trigger) bool { return e.reaches(g, map[string]bool{}) }

func (e *estate) reaches(g trigger, seen map[string]bool) bool {
	if seen[g.name] {
		return false
	}
	seen[g.name] = true
	if _, held := e.table(g.table); held && g.event == "delete" || g.event == "update" && e.loses(g) {
		return true
	}
	return slices.ContainsFunc(e.c.triggers, func(o trigger) bool {
		return slices.ContainsFunc(o.writes, func(w write) bool {
			return strings.EqualFold(w.table, g.table) && (w.verb == g.event || w.upserts)
		}) && e.reaches(o, seen)
	})
}

// loses says that a reference which the trigger watches may become null.
func (e *estate) loses(g trigger) bool {
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); !held || !strings.EqualFold(k.Child.Name, g.table) {
			continue
		}
		t, _ := e.Graph.Table(k.Child)
		for _, name := range k.Columns {
			c, _ := t.Column(name)
			watched := len(g.columns) == 0 || slices.ContainsFunc(g.columns, func(s string) bool { return strings.EqualFold(s, name) })
			if watched && (!c.Required || k.OnDelete == relational.SetDefault) {
				return true
			}
		}
	}
	return false
}

// returns says whether what one table's rows leave behind when they go may come
// back into it by way of the other.
func (e *estate) returns(from, by string, seen map[string]bool) bool {
	if strings.EqualFold(from, by) {
		return true
	}
	if seen[strings.ToLower(by)] {
		return false
	}
	seen[strings.ToLower(by)] = true
	for _, g := range e.c.triggers {
		if !strings.EqualFold(g.table, by) {
			continue
		}
		for _, w := range g.writes {
			if !w.removes && e.returns(from, w.table, seen) {
				return true
			}
		}
	}
	return false
}

// triggerPlaces are what a trigger does that nothing erases, or that touches rows
// of which can't be told whose they are, and the deletes that it can keep from
// happening.
func (e *estate) triggerPlaces(g trigger, runs bool, order []string) []connector.Place {
	var out []connector.Place
	if e.excused(g) {
		return nil
	}
	place := connector.Place{Name: g.table + "." + g.name, Kind: connector.PlaceCode, Class: e.class(g.table), Via: "trigger on " + g.table}
	if runs && g.event != "insert" && g.raises != "" {
		stands := place
		stands.Says = "trigger " + g.name + " can keep rows of " + g.table + " from going: raise(" + g.raises + ")"
		if stands.Blocks = g.raises == "ignore"; stands.Blocks {
			stands.Fix = "change it so that rows of " + g.table + " can go; or " + e.ignore(g)
		}
		out = append(out, stands)
	}
	if runs && g.asks {
		long := place
		long.Says = "trigger " + g.name + " asks a query of its own for rows of " + g.table + " that go; an erasure that it keeps too long is broken off and blocked"
		out = append(out, long)
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

func (e *estate) ignore(g trigger) string {
	return "triggers: {" + g.table + "." + g.name + ": ignore} if it keeps nothing of a tenant's and touches nothing of others"
}

// writePlace is what stands against one statement of a trigger; nil if nothing does.
func (e *estate) writePlace(g trigger, w write, place connector.Place, runs bool, order []string) *connector.Place {
	own, class := place.Class, e.class(w.table)
	_, held := e.table(w.table)
	self := strings.EqualFold(w.table, g.table)
	says := func(what string) *connector.Place {
		return blocked(place, "trigger "+g.name+" of "+g.table+" "+what, e.ignore(g))
	}
	switch {
	case e.c.virtual(w.table) != nil && !held: // an index is a place of its own
		if w.verb != "insert" && !w.all && runs {
			return says("changes rows of " + w.table + " (" + w.verb + "), and whose they are can't be told")
		}
		return nil
	case w.removes && w.all && e.c.virtual(w.table) != nil:
		return nil
	case self && !runs:
		return nil
	case class == "" && !e.shared(w.table), !held && !e.shared(w.table), runs && w.verb == "insert" && class == "":
		return blocked(place, "trigger "+g.name+" of "+g.table+" writes to "+w.table+", which no data class covers",
			"tables: {"+w.table+": CLASS}, with columns: {"+w.table+": COLUMN} if its tenant column is called otherwise; or "+e.ignore(g))
	case g.event != "insert" && w.verb == "insert" && class != own && at(order, class) < at(order, own):
		late := place
		late.Kind = connector.PlaceOrder
		return blocked(late, "when rows of "+g.table+" ("+own+") go, trigger "+g.name+" writes into "+w.table+", whose class "+class+" is gone by then",
			"tables: {"+w.table+": "+own+"}, so that the copies go with the rows; or give class "+class+" a longer retention than "+own+" has")
	case !runs || e.whole && class == own && len(e.ClassNames()) < 2:
		return nil
	case w.verb != "insert" || w.upserts:
		if e.whole && class == own {
			return nil
		}
		return says("changes rows of " + w.table + " (" + w.verb + "), and whose they are can't be told")
	case e.c.replaces(w.table) && !e.whole:
		return says("inserts into " + w.table + ", whose definition says on conflict replace, and whose rows it pushes out can't be told")
	case e.returns(g.table, w.table, map[string]bool{}):
		return says("writes to " + w.table + " what comes back into " + g.table)
	case !e.whole && !e.bears(g, w):
		p := says("writes to " + w.table + " rows of which can't be told that they have the tenant's key")
		into, _ := e.table(w.table)
		from, _ := e.table(g.table)
		if key, own := e.TenantColumn(into.Table.TableName), e.TenantColumn(from.Table.TableName); key != "" && own != "" {
			p.Fix = "have it write old." + own + " of " + g.table + " into " + key + " of " + w.table + "; or " + p.Fix
		}
		return p
	}
	return nil
}

// bears says that each row that the trigger inserts has the key of the row that
// changed, in the tenant column of the target or in the path of one.
func (e *estate) bears(g trigger, w write) bool {
	into, ok := e.table(w.table)
	from, held := e.table(g.table)
	if !ok || !held {
		return false
	}
	base, path, isPath := relational.CutPath(e.TenantColumn(into.Table.TableName))
	column := e.TenantColumn(from.Table.TableName)
	names := w.columns
	if len(names) == 0 {
		names = settable(into.Table)
	}
	i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, base) })
	if i < 0 || column == "" {
		return false
	}
	if w.veiled {
		return false
	}
	for _, row := range w.rows {
		if i >= len(row) || isPath && !documents(row[i], path, column, g.event) || !isPath && !isColumn(row[i], column, g.event) {
			return false
		}
	}
	return len(w.rows) > 0
}

// settable are the columns that an insert without a list gives values for.
func settable(t relational.Table) []string {
	var out []string
	for _, c := range t.Columns {
		if !c.Generated {
			out = append(out, c.Name)
		}
	}
	return out
}

// isColumn says that the expression is the column of the row that changed.
func isColumn(e []word, column, event string) bool {
	return len(e) == 3 && (e[0].is("old") || e[0].is("new") && event != "delete") && e[1].is(".") && strings.EqualFold(e[2].text, column)
}

// documents says that the expression is a JSON document with that column at the path.
func documents(e []word, path []string, column, event string) bool {
	if len(path) == 0 {
		return isColumn(e, column, event)
	}
	if len(e) < 4 || !e[0].is("json_object", "jsonb_object", "json", "jsonb") || !e[1].is("(") || until(e[2:]) != len(e)-3 {
		return false
	}
	args := split(e[2 : len(e)-1])
	if e[0].is("json", "jsonb") {
		return len(args) == 1 && documents(args[0], path, column, event)
	}
	for i := 0; i+1 < len(args); i += 2 {
		if k := args[i]; len(k) == 1 && k[0].quoted && k[0].text == path[0] {
			return documents(args[i+1], path[1:], column, event)
		}
	}
	return false
}
