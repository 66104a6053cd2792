package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// judgement is what an audit of code goes by.
type judgement struct {
	*ground
	known library
	fired map[relational.TableName]events                        // what the erasure does, by itself or through triggers
	feeds map[relational.TableName]map[relational.TableName]bool // into which tables deletes from a table insert
}

// judgeAll says what of the triggers' effects stands in the way.
func (g *ground) judgeAll(all []trigger, effects []effect, known library, fired map[relational.TableName]events) (out []connector.Place) {
	j := judgement{g, known, fired, map[relational.TableName]map[relational.TableName]bool{}}
	for more := true; more; {
		more = false
		for i, t := range all {
			more = j.fire(t, effects[i]) || more
		}
	}
	for i, t := range all {
		out = append(out, j.swallows(t)...)
		out = append(out, j.rekeys(t)...)
		out = append(out, j.judge(t, effects[i])...)
	}
	return out
}

// runs says whether the erasure makes the trigger run.
func (j judgement) runs(t trigger) bool {
	e := j.fired[t.relation.root].and(t.on)
	if e.update && len(t.columns) > 0 && !e.insert && !e.delete && t.relation.root != j.record {
		return slices.ContainsFunc(j.referring(t.relation.root), func(c string) bool { return slices.Contains(t.columns, c) })
	}
	return e != events{}
}

// fire takes in what a trigger that runs does to other tables.
func (j judgement) fire(t trigger, e effect) (more bool) {
	if !j.runs(t) {
		return false
	}
	for _, w := range e.writes {
		if j.on(t).and(w.on) == (events{}) {
			continue
		}
		for _, target := range j.resolve(w) {
			now := j.fired[target]
			switch w.verb {
			case "insert", "copy":
				now.insert = true
			case "update":
				now.update = true
			case "delete":
				now.delete = true
			default:
				now = events{true, true, true}
			}
			more = more || now != j.fired[target]
			j.fired[target] = now
			if from := j.feeds[t.relation.root]; from == nil {
				j.feeds[t.relation.root] = map[relational.TableName]bool{target: true}
			} else {
				from[target] = true
			}
		}
	}
	return more
}

// returns says whether what goes from the one table may come back by way of the other.
func (j judgement) returns(from, by relational.TableName) bool {
	seen := map[relational.TableName]bool{}
	var visit func(n relational.TableName) bool
	visit = func(n relational.TableName) bool {
		if n == from {
			return true
		}
		if seen[n] {
			return false
		}
		seen[n] = true
		for next := range j.feeds[n] {
			if visit(next) {
				return true
			}
		}
		return false
	}
	return visit(by)
}

// place is that of a trigger, in the words that all of its findings share.
func (j judgement) place(t trigger, says string) connector.Place {
	return connector.Place{Name: t.String(), Kind: connector.PlaceCode, Class: j.classFor(t), Via: t.kind + " of " + t.relation.root.String(), Blocks: true,
		Says: fmt.Sprintf("%s %s of %s %s", t.kind, t.name, t.relation.root, says), Fix: ignore(t)}
}

// classFor is the class at whose erasure the trigger runs: of its table, or of
// what a table refers to that is none of the tenant's.
func (j judgement) classFor(t trigger) string {
	if c := j.classOf(t.relation); c != "" {
		return c
	}
	for _, k := range j.graph.Keys() {
		if h := j.held[k.Parent]; k.Child == t.relation.root && h.class != "" {
			return h.class
		}
	}
	return ""
}

func ignore(t trigger) string {
	return "triggers: {" + t.String() + ": ignore} if it keeps nothing of the tenant and touches nothing of others"
}

// swallows finds what keeps rows from going, or references from being let go, as
// far as the text shows it.
func (j judgement) swallows(t trigger) (out []connector.Place) {
	changed := j.fired[t.relation.root].and(t.on)
	if _, held := j.held[t.relation.root]; !held && !changed.update || !j.runs(t) {
		return nil
	}
	d := read(t.function.body)
	if changed.delete && d.raises && j.own(t.relation.root) && j.store != "" { // whoever leaves may have written it
		p := j.place(t, "can raise an error, which would stop the erasure of its rows; the drop of the whole goes without it")
		p.Blocks, p.Fix = false, ""
		out = append(out, p)
	}
	says := func(what string) {
		p := j.place(t, what)
		p.Fix = "change it so that rows of " + t.relation.root.String() + " can go and references become null; or " + p.Fix
		out = append(out, p)
	}
	switch {
	case t.kind == "rule" && strings.HasPrefix(t.function.body, "do INSTEAD"):
		says("does something else instead, so rows stay as they are")
	case t.kind != "trigger" || !t.before:
	case (changed.delete || changed.update) && slices.Contains(d.keeps, "null"):
		says("can return null, so rows stay as they are")
	case changed.delete && slices.Contains(d.keeps, "new") && !slices.Contains(d.keeps, "old"):
		says("returns new, which is null when a row is deleted, so rows stay")
	case changed.update && slices.Contains(d.keeps, "old") && !slices.Contains(d.keeps, "new"):
		says("returns old, so a reference that is to become null stays")
	}
	if t.kind != "trigger" || !t.before || !changed.update || len(d.sets) == 0 {
		return out
	}
	referring := j.referring(t.relation.root)
	if i := slices.IndexFunc(d.sets, func(c string) bool { return c == "*" || slices.Contains(referring, c) }); i >= 0 {
		says("sets " + strings.Replace(d.sets[i], "*", "all of new", 1) + ", so a reference that is to become null may stay")
		return out
	}
	p := j.place(t, "also sets "+strings.Join(d.sets, ", ")+" where a reference becomes null")
	p.Blocks, p.Fix = false, ""
	return append(out, p)
}

// rekeys finds a trigger that gives another key, or may, to rows which others of
// the erasure's triggers insert into its table.
func (j judgement) rekeys(t trigger) (out []connector.Place) {
	finds := j.finders(t.relation.root)
	if t.kind != "trigger" || !t.before || !j.on(t).insert || len(finds) == 0 {
		return nil
	}
	for _, c := range read(t.function.body).sets {
		if c == "*" || slices.Contains(finds, c) {
			return append(out, j.place(t, "sets "+strings.Replace(c, "*", "all of new", 1)+" of the rows that the erasure's own triggers insert, by which they are found as the tenant's"))
		}
	}
	return nil
}

// finders are the columns by which the rows of a covered table are found.
func (j judgement) finders(n relational.TableName) (out []string) {
	if _, held := j.held[n]; !held || j.own(n) {
		return nil
	}
	if column, _, _ := relational.CutPath(j.keyed(n)); column != "" {
		return []string{column}
	}
	for _, k := range j.graph.Keys() {
		if _, held := j.held[k.Parent]; held && k.Child == n {
			out = append(out, k.Columns...)
		}
	}
	return out
}

// judge says what of a trigger's writing stands in the way.
func (j judgement) judge(t trigger, e effect) (out []connector.Place) {
	runs := j.runs(t)
	if t.kind == "expression" && !runs || j.held[t.relation.root].class == "" && j.beside.Has(t.relation.root) { // the other resource's map has it
		return nil
	}
	told := map[string]bool{}
	add := func(p connector.Place) {
		if !told[p.Says] {
			told[p.Says] = true
			out = append(out, p)
		}
	}
	if i := slices.IndexFunc(e.runs, func(f function) bool { return j.known.tenants[f.owner] }); i >= 0 {
		add(lent(t, e.runs[i], j.classFor(t)))
	}
	if e.hidden != "" {
		add(j.place(t, e.hidden+": where it writes can't be told"))
	}
	for _, w := range e.writes {
		targets := j.resolve(w)
		if len(targets) == 0 {
			add(j.place(t, "writes to "+w.name.String()+", which can't be found"))
		}
		for _, target := range targets {
			if p, stands := j.objection(t, w, target, runs && j.on(t).and(w.on) != events{}); stands {
				add(p)
			}
		}
	}
	return out
}

// objection is what stands against one statement of a trigger.
func (j judgement) objection(t trigger, w written, target relational.TableName, runs bool) (p connector.Place, stands bool) {
	class := j.classOf(t.relation)
	into := ""
	if r := j.byName[target]; r != nil {
		into = j.classOf(r)
	}
	_, held := j.held[target]
	source := t.relation.root
	switch {
	case target.Schema == "tenure":
		return j.place(t, "writes to "+target.String()+", which is Tenure's"), runs
	case j.own(target) && into == class: // all of both is the tenant's, and goes at once
		return j.place(t, "writes to "+target.String()+" rows that come back into "+source.String()), runs && class != "" && len(j.classes()) > 1 && j.returns(source, target)
	case !j.settled(target) && (!held || into == ""), runs && w.verb == "insert" && into == "" && !j.own(target):
		if by := j.beside.By(target); by != "" {
			p = j.place(t, "writes to "+target.String()+", which "+by+" covers: each erasure accounts for its own rows alone")
			p.Fix = fmt.Sprintf("cover %s and %s by one of the two; or %s", source, target, p.Fix)
			return p, true
		}
		p = j.place(t, "writes to "+target.String()+", which no data class covers")
		p.Fix = fmt.Sprintf("tables: {%s: CLASS}, with columns: {%s: COLUMN} if its tenant column is called otherwise; or %s", target, target, ignore(t))
		return p, true
	case !runs: // what it copied as rows came stands there all the same
		lacks := j.lacks(t, w, target)
		p = j.place(t, "copies rows into "+target.String()+", which are found there by "+lacks+", and "+source.String()+" has no such column: the copies are nobody's and stay")
		p.Fix = fmt.Sprintf("give %s a column %s that has the tenant's key; or %s", source, lacks, ignore(t))
		return p, lacks != ""
	case w.verb != "insert":
		return j.place(t, "changes rows of "+target.String()+" ("+w.verb+"), and whose they are can't be told"), true
	case j.returns(source, target):
		return j.place(t, "writes to "+target.String()+" what comes back into "+source.String()), true
	case j.on(t).delete && j.earlier(target, class):
		return connector.Place{Name: t.String(), Kind: connector.PlaceOrder, Class: into, Via: t.kind + " of " + source.String(), Blocks: true,
			Says: fmt.Sprintf("%s %s of %s writes to %s when rows of class %s go, and class %s goes before", t.kind, t.name, source, target, class, into),
			Fix:  fmt.Sprintf("tables: {%s: %s}, so that the copies go with the rows; or give class %s a longer retention than %s has", target, class, into, class)}, true
	case j.own(target) || j.bears(t, w, target):
		return p, false
	}
	p = j.place(t, "writes to "+target.String()+" rows of which can't be told that they have the tenant's key")
	if key, own := j.keyed(target), j.keyed(source); key != "" && own != "" {
		p.Fix = fmt.Sprintf("have it write old.%s of %s into %s of %s; or %s", own, source, key, target, p.Fix)
	}
	return p, true
}

// lacks is the name by which the target's rows are found and that the statement
// can't give them, since neither the trigger's table has such a column nor the
// function's text names it; "" if it may, or they are found in another way.
func (j judgement) lacks(t trigger, w written, target relational.TableName) string {
	key := j.holding.TenantColumn(target)
	key = key[strings.LastIndexByte(key, '>')+1:]
	source, held := j.holding.Table(t.relation.root)
	if w.verb != "insert" || key == "" || !held || source.Table.Has(key) || target == t.relation.root || strings.Contains(strings.ToLower(w.by.body), strings.ToLower(key)) {
		return ""
	}
	return key
}

// on is what the erasure does that the trigger runs at.
func (j judgement) on(t trigger) events { return j.fired[t.relation.root].and(t.on) }

// bears says that what the statement inserts has the key of the row that changed.
func (j judgement) bears(t trigger, w written, target relational.TableName) bool {
	into, _ := j.graph.Table(target)
	from, _ := j.graph.Table(t.relation.root)
	column := j.keyed(target)
	if !w.direct || column == "" || t.kind == "expression" {
		return false
	}
	o := origin{table: from, column: j.keyed(t.relation.root)}
	on := t.on.and(w.on)
	if on.delete || on.update {
		o.rows = append(o.rows, "old")
	}
	if sets := read(t.function.body).sets; !on.delete && !slices.Contains(sets, o.column) && !slices.Contains(sets, "*") {
		o.rows = append(o.rows, "new")
	}
	if n := len(w.from); n > 0 && n <= 3 && w.from[0].word && slices.Contains([]string{t.olds, t.news}, w.from[0].text) && (n < 3 || w.from[1].is("as")) {
		o.rows = append(o.rows, "", w.from[n-1].text, w.from[0].text)
	}
	return o.bears(w.insertion, into, column)
}
