package schematest

import "slices"

// order judges the links between classes, from the catalog alone.
func (j *judge) order() {
	for _, l := range j.Links {
		from, to := j.tables[l.From], j.tables[l.To]
		if l.Word == "detach" && !canNull(l) {
			j.either("detach is said of what can't be null", l.From, l.Name, 0)
		}
		if from == to || !j.taken(from) || !j.taken(to) || j.class(from) <= j.class(to) {
			continue
		}
		// Rows of from go later than those of to.
		if j.parent[to.Name] && (l.Action == SetNull || l.Action == SetDefault || l.Word == "detach") {
			j.either("a parent goes before what it is found by", from.Name, l.Name, 0)
			continue
		}
		switch l.Action {
		case SetNull, SetDefault:
			switch {
			case !j.letsGo(l):
				j.refuse("order", from.Name, l.Name, 0)
			case slices.Contains(j.cut(l), tenantColumn):
				j.refuse("order", from.Name, l.Name, 0)
			case j.needed(l) || from.Key != "" && l.Word == "follow": // then rows without a key are found by it
				j.either("found by what goes earlier", from.Name, l.Name, 0)
			}
		default:
			if l.Word != "detach" || !canNull(l) {
				j.refuse("order", from.Name, l.Name, 0)
			}
		}
	}
}

// taken says whether rows of the table are erased under a class.
func (j *judge) taken(t *Table) bool {
	return t.Class != "" && !t.Shared && (j.reach[t.Name] || j.parent[t.Name])
}

// needed says whether rows are found by the link and may be by nothing else.
func (j *judge) needed(l *Link) bool {
	if !j.claims[l.From][l.Name] {
		return false
	}
	for _, other := range j.Links {
		if other != l && j.claims[l.From][other.Name] && !other.Nullable && j.foundWithout(l.From, other.To) {
			return false
		}
	}
	return true
}

// foundWithout says whether rows of a table are found by a path that doesn't lead
// through the table left out.
func (j *judge) foundWithout(out, table string) bool {
	seen, todo := map[string]bool{out: true}, []string{table}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			continue
		}
		if seen[at] = true; j.tables[at].Key != "" {
			return true
		}
		for _, l := range j.Links {
			if l.From == at && j.claims[at][l.Name] {
				todo = append(todo, l.To)
			}
		}
	}
	return false
}

// cycles judges those within a class: opened where a null can, or taken whole.
func (j *judge) cycles() {
	var hard, kin, keyless []*Link
	for _, l := range j.Links {
		from, to := j.tables[l.From], j.tables[l.To]
		if !j.taken(from) || !j.taken(to) || from.Class != to.Class {
			continue
		}
		if from == to {
			j.ring(l)
			continue
		}
		if j.parent[from.Name] && j.reach[to.Name] {
			j.either("a parent refers back", from.Name, l.Name, 0)
		}
		if j.parent[from.Name] && j.parent[to.Name] {
			kin = append(kin, l)
		}
		if from.Key != "" && l.Word == "follow" {
			keyless = append(keyless, l)
		}
		if !canNull(l) || j.needed(l) || l.Action == SetDefault && l.Default != 0 {
			hard = append(hard, l)
		}
	}
	if l := inCycle(kin); l != nil {
		j.either("a parent refers back", l.From, l.Name, 0)
	}
	for _, l := range keyless { // rows without a key are found by it
		if through(l, append(slices.Clone(hard), keyless...)) != nil {
			j.either("cycle", l.From, l.Name, 0)
		}
	}
	// SQLite can defer every check that is no restrict, said so or not.
	rigid := slices.DeleteFunc(slices.Clone(hard), func(l *Link) bool { return (l.Deferred || j.Dialect == SQLite) && l.Action == NoAction })
	for _, l := range hard {
		if !l.Deferred && l.Action == NoAction && j.Dialect == SQLite && through(l, hard) != nil {
			j.either("cycle that can be deferred in part", l.From, l.Name, 0)
		}
	}
	if l := inCycle(rigid); l != nil {
		if l.Action == SetDefault && l.Default != 0 {
			j.either("cycle", l.From, l.Name, 0)
			return
		}
		j.refuse("cycle", l.From, l.Name, 0)
		return
	}
	for _, l := range rigid {
		if l := through(l, hard); l != nil {
			j.either("cycle that can be deferred in part", l.From, l.Name, 0)
		}
	}
}

// ring leaves it open what becomes of several rows that refer to each other in a
// circle of one table, where neither a null nor a deferred check helps.
func (j *judge) ring(l *Link) {
	follows := j.Dialect == MariaDB && l.Word == "follow" // by which some rows are found, if not these
	if canNull(l) && !j.needed(l) && !follows || l.Deferred && l.Action == NoAction {
		return
	}
	for _, r := range j.tables[l.From].Rows {
		seen := map[int]bool{r.ID: true}
		for to := r.Refs[l.Name]; to != 0 && j.byID[to] != nil; to = j.byID[to].Refs[l.Name] {
			if seen[to] {
				if to != r.ID || len(seen) > 1 || j.Dialect == MariaDB {
					j.either("ring of rows", l.From, l.Name, to)
				}
				break
			}
			seen[to] = true
		}
	}
}

// inCycle is a link that lies on a cycle of the links, or nil.
func inCycle(links []*Link) *Link {
	for _, l := range links {
		if through(l, links) != nil {
			return l
		}
	}
	return nil
}

// through is l if a path of the links leads from where it ends to where it starts.
func through(l *Link, links []*Link) *Link {
	seen, todo := map[string]bool{}, []string{l.To}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at == l.From {
			return l
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		for _, n := range links {
			if n.From == at {
				todo = append(todo, n.To)
			}
		}
	}
	return nil
}
