package schematest

import (
	"fmt"
	"maps"
	"slices"
)

// Verdict is what the model says of a schema.
type Verdict struct {
	Refusals []Refusal    // not empty: the erasure must be refused, before anything goes
	Either   []Refusal    // the rules leave it open whether it is refused
	Gone     map[int]bool // the rows that go, if it isn't refused
	Cut      map[int][]Cut
	Late     bool // it may be refused by the first batch that meets a swallowing trigger instead of the map
}

// Cut is a reference of a row that stays, which becomes null (or its default).
type Cut struct {
	Link    string
	Columns []string
	Default int
}

// Refusal is one reason against an erasure.
type Refusal struct {
	Kind  string // uncovered, parent, two owners, neighbour, unowned, order, cycle, swallow, …
	Table string
	Link  string
	Row   int
}

func (r Refusal) String() string {
	return fmt.Sprintf("%s (table %s, link %s, row %d)", r.Kind, r.Table, r.Link, r.Row)
}

type judge struct {
	*Schema
	v      Verdict
	tables map[string]*Table
	byID   map[int]*Row
	in     map[int]*Table
	reach  map[string]bool            // tables whose rows a key or a claiming path tells
	parent map[string]bool            // tables that reached ones refer to
	owners map[int]map[string]bool    // by row
	refers map[int][]reference        // by the row that is referred to
	claims map[string]map[string]bool // by table: the links that claim its rows
}

type reference struct {
	row  *Row
	link *Link
}

// Judge applies the rules to the schema.
func Judge(s *Schema) Verdict {
	j := &judge{Schema: s, tables: map[string]*Table{}, reach: map[string]bool{}, parent: map[string]bool{}, owners: map[int]map[string]bool{}, refers: map[int][]reference{}, claims: map[string]map[string]bool{}}
	j.v = Verdict{Gone: map[int]bool{}, Cut: map[int][]Cut{}}
	j.byID, j.in = s.rows()
	for _, t := range s.Tables {
		j.tables[t.Name], j.claims[t.Name] = t, map[string]bool{}
	}
	for _, l := range s.Links {
		if claiming(l) && j.tables[l.From].Key == "" && !j.tables[l.From].Shared {
			j.claims[l.From][l.Name] = true
		}
		for _, r := range j.tables[l.From].Rows {
			if to := r.Refs[l.Name]; to != 0 {
				j.refers[to] = append(j.refers[to], reference{r, l})
			}
		}
	}
	j.coverage()
	j.own()
	j.parents()
	j.references()
	j.order()
	j.cycles()
	j.triggers()
	return j.v
}

// claiming: all columns not null, and an action that doesn't let go; or a word.
func claiming(l *Link) bool {
	return l.Word == "follow" || !l.Nullable && (l.Action == NoAction || l.Action == Restrict || l.Action == Cascade)
}

func (j *judge) refuse(kind, table, link string, row int) {
	j.v.Refusals = append(j.v.Refusals, Refusal{kind, table, link, row})
}

func (j *judge) either(kind, table, link string, row int) {
	j.v.Either = append(j.v.Either, Refusal{kind, table, link, row})
}

// coverage goes by the catalog: what can hold the tenant's rows is covered.
func (j *judge) coverage() {
	for again := true; again; {
		again = false
		for _, t := range j.Tables {
			if j.reach[t.Name] {
				continue
			}
			is := t.Key != ""
			for _, l := range j.Links {
				is = is || j.claims[t.Name][l.Name] && j.reach[l.To]
			}
			if is {
				j.reach[t.Name], again = true, true
			}
		}
	}
	for again := true; again; {
		again = false
		for _, l := range j.Links {
			from, to := j.tables[l.From], j.tables[l.To]
			mine := j.reach[from.Name] || j.parent[from.Name] && from.Class != ""
			if mine && !from.Shared && !j.reach[to.Name] && !j.parent[to.Name] {
				j.parent[to.Name], again = true, true
			}
		}
	}
	for _, l := range j.Links {
		if from := j.tables[l.From]; l.Word == "follow" && from.Class == "" && j.parent[l.To] {
			j.either("follows a parent and isn't covered", from.Name, l.Name, 0)
		}
	}
	for _, t := range j.Tables {
		switch {
		case t.Shared || t.Class != "":
		case j.reach[t.Name]:
			j.refuse("uncovered", t.Name, "", 0)
		case j.parent[t.Name]:
			j.refuse("parent", t.Name, "", 0)
		}
		if t.Class != "" && !j.reach[t.Name] && !j.parent[t.Name] {
			j.either("covered and not reached", t.Name, "", 0)
		}
	}
}

// own says whose each row is.
func (j *judge) own() {
	null := map[int]bool{} // claimed by a row without a key
	for id, r := range j.byID {
		j.owners[id] = map[string]bool{}
		if j.in[id].Key == "" {
			continue
		}
		if j.in[id].Decoy && (r.decoy() == Leaver) != (r.Key == Leaver) {
			j.refuse("two keys", j.in[id].Name, "", id)
		}
		if r.Key != "" {
			j.owners[id][r.Key] = true
		} else {
			null[id] = true
		}
	}
	for again := true; again; {
		again = false
		for id, r := range j.byID {
			for link := range j.claims[j.in[id].Name] {
				to := r.Refs[link]
				for k := range j.owners[to] {
					again = again || !j.owners[id][k]
					j.owners[id][k] = true
				}
				again = again || null[to] && !null[id]
				null[id] = null[id] || null[to]
			}
		}
	}
	for id, o := range j.owners {
		if !o[Leaver] {
			continue
		}
		j.v.Gone[id] = true
		if len(o) > 1 {
			j.refuse("two owners", j.in[id].Name, "", id)
		}
		if null[id] {
			j.either("a claim of a row without key besides", j.in[id].Name, "", id)
		}
	}
}

// parents adds the rows of covered tables that only rows of the leaver refer to, and
// rows that go with these.
func (j *judge) parents() {
	for again := true; again; {
		again = false
		going, theirs := j.below(j.leaving), j.below(j.staying)
		for cut := true; cut; {
			cut = false
			for id := range going {
				for _, by := range j.refers[id] {
					if j.kin(by) || by.row.ID == id || j.v.Gone[by.row.ID] || going[by.row.ID] {
						continue
					}
					if !j.staying(by.row) && !theirs[by.row.ID] && !theirs[id] {
						j.either("a parent that a row of nobody's refers to", j.in[id].Name, by.link.Name, id)
					}
					delete(going, id)
					cut = true
				}
			}
		}
		for id := range going {
			j.v.Gone[id], again = true, true
			for _, by := range j.refers[id] {
				if j.kin(by) {
					j.follow(by.row.ID)
				}
			}
		}
	}
}

func (j *judge) leaving(r *Row) bool { return j.v.Gone[r.ID] }

// staying says that a row surely is somebody else's, or nobody's for good.
func (j *judge) staying(r *Row) bool {
	return !j.v.Gone[r.ID] && (len(j.owners[r.ID]) > 0 || j.in[r.ID].Shared)
}

// below are the rows of covered parents that rows refer to, however far.
func (j *judge) below(from func(*Row) bool) map[int]bool {
	out := map[int]bool{}
	for again := true; again; {
		again = false
		for id := range j.byID {
			t := j.in[id]
			if out[id] || j.v.Gone[id] || t.Key != "" || t.Shared || t.Class == "" || len(j.owners[id]) > 0 {
				continue
			}
			for _, by := range j.refers[id] {
				if !j.kin(by) && (out[by.row.ID] || from(by.row)) {
					out[id], again = true, true
				}
			}
		}
	}
	return out
}

// kin says that a row follows a parent.
func (j *judge) kin(by reference) bool {
	from := j.in[by.row.ID]
	return by.link.Word == "follow" && from.Key == "" && !from.Shared && !j.reach[from.Name] && !j.parent[from.Name]
}

// follow takes a row that follows a parent, and what is claimed through it.
func (j *judge) follow(id int) {
	if j.v.Gone[id] {
		return
	}
	j.v.Gone[id] = true
	j.either("a row that follows a parent", j.in[id].Name, "", id)
	for _, by := range j.refers[id] {
		if j.claims[j.in[by.row.ID].Name][by.link.Name] {
			j.follow(by.row.ID)
		}
	}
}

// references judges those of rows that stay to rows that go.
func (j *judge) references() {
	for _, id := range slices.Sorted(maps.Keys(j.v.Gone)) {
		for _, by := range j.refers[id] {
			if !j.v.Gone[by.row.ID] {
				j.reference(by.row, by.link)
			}
		}
	}
}

func (j *judge) reference(r *Row, l *Link) {
	theirs, word := len(j.owners[r.ID]) > 0, l.Word
	refuse := func(kind string) { j.refuse(kind, l.From, l.Name, r.ID) }
	if !theirs && word == "follow" {
		j.either("followed from a row without key", l.From, l.Name, r.ID)
		return
	}
	switch l.Action {
	case SetNull, SetDefault:
		switch {
		case !j.letsGo(l):
			refuse("can't be null")
		case theirs && word == "block":
			j.either("block is said of a link that lets go", l.From, l.Name, r.ID)
		case !theirs && word != "detach":
			refuse("unowned")
		}
	default:
		switch {
		case !canNull(l):
			refuse("neighbour")
		case word != "detach":
			refuse("silent")
		}
	}
	c := Cut{Link: l.Name, Columns: j.cut(l)}
	if l.Action == SetDefault {
		c.Default = l.Default
	}
	j.v.Cut[r.ID] = append(j.v.Cut[r.ID], c)
}

// canNull says whether somebody can set the link's id column to null.
func canNull(l *Link) bool { return l.Nullable && !l.Checked && !l.Generated }

// letsGo says whether the constraint's own action works.
func (j *judge) letsGo(l *Link) bool {
	if l.Action == SetDefault && l.Default != 0 {
		return !j.v.Gone[l.Default] && j.in[l.Default] != nil
	}
	if j.tables[l.From].KeyNotNull && slices.Contains(j.cut(l), tenantColumn) {
		return false
	}
	return canNull(l)
}

// tenantColumn stands for it, whatever its name, among the columns of a cut.
const tenantColumn = "tenant column"

// cut are the columns that become null when the link lets go.
func (j *judge) cut(l *Link) []string {
	id, part := l.Name+"_id", l.Name+"_part"
	switch {
	case (l.Action == SetNull || l.Action == SetDefault) && !l.OnlyID && l.WithKey:
		return []string{tenantColumn, id}
	case j.tables[l.To].Wide && l.Action == SetNull && l.OnlyID:
		return []string{id}
	case j.tables[l.To].Wide:
		return []string{part, id}
	}
	return []string{id}
}

func (j *judge) triggers() {
	for _, t := range j.Tables {
		if t.Trigger != Swallow {
			continue
		}
		if slices.ContainsFunc(t.Rows, func(r *Row) bool { return j.v.Gone[r.ID] }) {
			j.v.Late = len(j.v.Refusals) == 0
			j.refuse("swallow", t.Name, "", 0)
		} else {
			j.either("a trigger could keep rows", t.Name, "", 0)
		}
	}
}
