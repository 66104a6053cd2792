package schematest

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

type generator struct {
	*rand.Rand
	*Schema
	wild float64 // how often a reference crosses from one tenant to another
	last int     // the last id
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// Generate makes a schema from a seed. Most are mended until the model lets them
// be erased; the others are left as chance made them.
func Generate(seed uint64, d Dialect) *Schema {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 20261126)), Schema: &Schema{Dialect: d}}
	g.Classes = []string{"first", "second", "third"}[:pick(g, 1, 1, 2, 2, 3)]
	g.wild = pick(g, 0, 0.05, 0.2)
	for i := range 2 + g.IntN(7) {
		g.Tables = append(g.Tables, g.table(i))
	}
	if !slices.ContainsFunc(g.Tables, func(t *Table) bool { return t.Key == "tenant" }) {
		t := g.Tables[0]
		t.Key, t.Alias, t.Decoy, t.Shared = "tenant", false, false, false
	}
	g.links()
	g.history()
	g.fill()
	for _, l := range g.Links {
		if l.Action == SetDefault && g.chance(0.4) {
			if rows := g.named(l.To).Rows; len(rows) > 0 && !g.named(l.To).Wide && !l.WithKey {
				l.Default = pick(g, rows...).ID
			}
		}
	}
	mended := 0.7
	if d == MariaDB { // which defers no check, so that more is refused
		mended = 0.85
	}
	if g.chance(mended) {
		g.mend()
	}
	return g.Schema
}

func (g *generator) named(name string) *Table { return g.Schema.table(name) }

func (g *generator) table(i int) *Table {
	t := &Table{Name: fmt.Sprintf("t%d", i), Class: pick(g, g.Classes...)}
	if g.chance(0.1) {
		t.Name = pick(g, `Sel"ect`, "user", "Größe", "two words") + fmt.Sprint(i)
	}
	switch f := g.Float64(); {
	case f < 0.4:
		t.Key = "tenant"
	case f < 0.55:
		t.Key, t.Alias = pick(g, "owner_key", "Account"), g.chance(0.4)
	case f < 0.65:
		t.Shared, t.Class = true, ""
	}
	t.KeyNotNull = t.Key != "" && g.chance(0.5)
	t.Decoy = t.Key != "tenant" && g.chance(0.15)
	t.Wide = g.chance(0.2)
	if g.chance(0.06) {
		t.Class = ""
	}
	if g.chance(0.2) {
		t.Trigger = Harmless
	} else if g.chance(0.03) {
		t.Trigger = Swallow
	}
	if g.Dialect == MariaDB {
		t.Elsewhere = g.chance(0.15)
	}
	if g.Dialect == Postgres {
		t.Elsewhere = g.chance(0.15)
		if g.chance(0.15) {
			t.Partitions = 2
		}
	}
	return t
}

func (g *generator) links() {
	n := len(g.Tables) - 1 + g.IntN(4)
	for i := range n {
		from, to := pick(g, g.Tables...), pick(g, g.Tables...)
		if g.chance(0.75) && g.indexOf(from) < g.indexOf(to) { // cycles are the rarer case
			from, to = to, from
		}
		if from.Shared && !to.Shared || from == to && g.chance(0.6) || to.Key == "" && !to.Shared && from == to && !g.chance(0.3) {
			continue
		}
		l := &Link{Name: fmt.Sprintf("l%d", i), From: from.Name, To: to.Name}
		l.Nullable = g.chance(0.45)
		l.Action = pick(g, NoAction, NoAction, NoAction, Restrict, Cascade, SetNull, SetDefault)
		if l.Action == SetNull && g.chance(0.9) {
			l.Nullable = true
		}
		if l.Action == SetDefault && g.chance(0.7) {
			l.Nullable = true
		}
		l.WithKey = from.Key != "" && to.Key != "" && !to.Wide && from != to && g.chance(0.25)
		l.OnlyID = g.Dialect == Postgres && l.Action == SetNull && (l.WithKey || to.Wide) && g.chance(0.6)
		l.Deferred = g.chance(0.25)
		simple := !to.Wide && !l.WithKey
		l.Checked = simple && l.Nullable && g.chance(0.05)
		l.Generated = simple && l.Nullable && !l.Checked && from.Partitions == 0 && g.chance(0.05) && (l.Action == NoAction || l.Action == Restrict)
		if g.Dialect == MariaDB {
			suit(l, from)
		}
		if l.Nullable || l.Action == SetNull || l.Action == SetDefault {
			l.Word = pick(g, "", "", "follow", "detach", "detach", "block")
		}
		g.Links = append(g.Links, l)
	}
	for _, t := range g.Tables {
		free := !slices.ContainsFunc(g.Links, func(l *Link) bool { return l.From == t.Name || l.To == t.Name })
		if g.Dialect == Postgres && free && t.Key != "" && t.Partitions == 0 {
			t.Heirs = g.IntN(3)
		}
	}
}

// suit leaves out of a link what MariaDB doesn't have or doesn't take.
func suit(l *Link, from *Table) {
	if l.Action == SetDefault {
		l.Action = NoAction
	}
	l.Deferred = false
	if l.Action == SetNull {
		l.Nullable, l.Checked, l.Generated = true, false, false
		if l.WithKey {
			from.KeyNotNull = false
		}
	}
}

func (g *generator) indexOf(t *Table) int { return slices.Index(g.Tables, t) }

// history is a table that another's trigger copies what is deleted into.
func (g *generator) history() {
	if !g.chance(0.12) {
		return
	}
	h := &Table{Name: History, Key: "tenant", Class: g.Classes[len(g.Classes)-1]}
	if g.Dialect == Postgres && g.chance(0.5) {
		h.Key = "doc->>tenant"
	}
	if g.chance(0.15) {
		h.Class = ""
	}
	for _, t := range g.Tables {
		if t.Key != "" && t.Trigger == "" {
			t.Trigger = Copy
			g.Tables = append(g.Tables, h)
			return
		}
	}
}

// fill makes rows, parents before children as far as that is possible.
func (g *generator) fill() {
	for _, t := range g.Tables {
		if t.Name == History {
			continue
		}
		for range g.IntN(13) {
			g.last++
			r := &Row{ID: g.last, For: pick(g, Leaver, Leaver, Second, Third), Refs: map[string]int{}, Half: map[string]int{}}
			if t.Key != "" {
				if r.Key = r.For; !t.KeyNotNull && g.chance(0.03) {
					r.Key = ""
				}
			}
			if t.Shared {
				r.For = ""
			}
			if t.Heirs > 0 {
				r.Heir = g.IntN(t.Heirs + 1)
			}
			t.Rows = append(t.Rows, r)
		}
	}
	for _, l := range g.Links {
		from, to := g.named(l.From), g.named(l.To)
		for _, r := range slices.Clone(from.Rows) {
			if l.Nullable && !l.Checked && g.chance(0.35) {
				if to.Wide && g.chance(0.3) && len(to.Rows) > 0 {
					r.Half[l.Name] = pick(g, to.Rows...).ID
				}
				continue
			}
			g.refer(r, l, to)
		}
	}
	g.prune()
}

// refer gives the row a parent, mostly one of its own tenant's.
func (g *generator) refer(r *Row, l *Link, to *Table) {
	var same, any []int
	for _, p := range to.Rows {
		if l.WithKey && (r.Key == "" || p.Key != r.Key) {
			continue
		}
		any = append(any, p.ID)
		if p.For == r.For || p.For == "" {
			same = append(same, p.ID)
		}
	}
	switch {
	case len(same) > 0 && !g.chance(g.wild):
		r.Refs[l.Name] = pick(g, same...)
	case len(any) > 0 && (g.chance(g.wild) || to.Key == ""):
		r.Refs[l.Name] = pick(g, any...)
	}
}

// prune takes the rows away that need a parent and have none.
func (g *generator) prune() {
	for again := true; again; {
		again = false
		for _, l := range g.Links {
			if l.Nullable && !l.Checked {
				continue
			}
			for _, r := range slices.Clone(g.named(l.From).Rows) {
				if r.Refs[l.Name] == 0 {
					g.remove(r.ID)
					again = true
				}
			}
		}
	}
}

// mend changes the schema, one reason at a time, until nothing refuses it.
func (g *generator) mend() {
	for range 200 {
		v := Judge(g.Schema)
		reasons := append(v.Refusals, v.Either...)
		if len(reasons) == 0 {
			return
		}
		g.settle(reasons[0])
		g.prune()
	}
}

func (g *generator) settle(r Refusal) {
	var l *Link
	for _, one := range g.Links {
		if one.Name == r.Link {
			l = one
		}
	}
	t := g.named(r.Table)
	switch r.Kind {
	case "uncovered", "follows a parent and isn't covered":
		t.Class = g.Classes[len(g.Classes)-1]
	case "parent":
		if t.Class = pick(g, "", g.Classes[len(g.Classes)-1]); t.Class == "" {
			g.share(t)
		}
	case "covered and not reached":
		t.Class = ""
	case "order", "found by what goes earlier", "a parent goes before what it is found by":
		from, to := g.named(l.From), g.named(l.To)
		if g.chance(0.5) {
			from.Class = to.Class
		} else {
			to.Class = from.Class
		}
	case "cycle", "cycle that can be deferred in part", "a parent refers back", "a parent's own kin", "ring of rows":
		g.loosen(r, l, t)
	case "detach is said of what can't be null":
		l.Word = ""
	case "swallow", "a trigger could keep rows":
		t.Trigger = Harmless
	default: // of one row
		g.part(r, l)
	}
	for _, h := range g.Tables {
		if h.Name == History && h.Class != "" {
			h.Class = g.Classes[len(g.Classes)-1]
		}
	}
}

// share makes a table, and what it refers to, nobody's.
func (g *generator) share(t *Table) {
	t.Shared, t.Class = true, ""
	g.Links = slices.DeleteFunc(g.Links, func(l *Link) bool {
		if l.From != t.Name || g.named(l.To).Shared {
			return false
		}
		for _, r := range t.Rows {
			delete(r.Refs, l.Name)
			delete(r.Half, l.Name)
		}
		return true
	})
}

func (g *generator) loosen(r Refusal, l *Link, t *Table) {
	switch {
	case l == nil:
		g.remove(r.Row)
	case r.Kind == "cycle" && g.Dialect != MariaDB && g.chance(0.5):
		l.Action, l.Deferred, l.OnlyID, l.Default = NoAction, true, false, 0
	case r.Kind == "cycle" || r.Kind == "cycle that can be deferred in part":
		l.Nullable, l.Checked, l.Generated, l.Default, l.Word = true, false, false, 0, pick(g, "", "detach")
	case r.Kind == "ring of rows":
		g.remove(r.Row)
	default:
		g.Links = slices.DeleteFunc(g.Links, func(one *Link) bool { return one == l })
		for _, row := range t.Rows {
			delete(row.Refs, l.Name)
			delete(row.Half, l.Name)
		}
	}
}

// part ends a reference of one row, or lets the blueprint say what it means.
func (g *generator) part(r Refusal, l *Link) {
	row, _ := g.rows()
	switch {
	case l == nil:
		g.remove(r.Row)
	case (r.Kind == "silent" || r.Kind == "unowned") && g.chance(0.7):
		l.Word = "detach"
	case l.Nullable && !l.Checked && g.chance(0.7):
		delete(row[r.Row].Refs, l.Name)
	default:
		g.remove(r.Row)
	}
}
