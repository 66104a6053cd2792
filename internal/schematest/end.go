package schematest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Sums is a table into which another one's rows are added up.
type Sums struct {
	Name    string
	From    *Table
	By      *Extra
	Of      *Extra // what is added up
	AtLeast int
	Short   string
}

// Ended is a schema whose classes end in other ways than by deletion alone.
type Ended struct {
	*Schema
	Ends  map[string]tenure.Disposition // by class
	Sums  []*Sums
	Given map[string]map[string]any // transforms, by table
}

// End makes a schema from a seed, with what becomes of its classes.
func End(seed uint64, d Dialect) *Ended {
	s := Generate(seed, d)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 20261128)), Schema: s}
	e := &Ended{Schema: s, Ends: map[string]tenure.Disposition{}, Given: map[string]map[string]any{}}
	if g.chance(0.5) {
		s.Classes = s.Classes[:1]
		for _, t := range s.Tables {
			if t.Class != "" {
				t.Class = s.Classes[0]
			}
		}
	}
	for _, l := range s.Links {
		if l.WithKey && g.chance(0.85) { // a tenant column that others refer to can't change
			l.WithKey = false
			l.OnlyID = l.OnlyID && s.table(l.To).Wide
		}
	}
	for i, class := range s.Classes {
		e.Ends[class] = pick(g, tenure.Anonymise, tenure.Anonymise, tenure.Pseudonymise, tenure.Aggregate, tenure.Purge, tenure.Keep)
		if i == 0 && (e.Ends[class] == tenure.Purge || e.Ends[class] == tenure.Keep) {
			e.Ends[class] = tenure.Anonymise
		}
	}
	// What stays goes last, so the classes are sorted by that.
	slices.SortStableFunc(s.Classes, func(a, b string) int { return e.last(a) - e.last(b) })
	for i, t := range s.Tables {
		if t.Shared || t.Class == "" {
			continue
		}
		for j := range 1 + g.IntN(4) {
			if t.Name == History {
				break // a trigger fills it
			}
			t.Extras = append(t.Extras, g.extra(j, kindsOf(d)))
		}
		switch end := e.Ends[t.Class]; end {
		case tenure.Anonymise, tenure.Pseudonymise:
			e.Given[t.Name] = g.given(t, end)
		case tenure.Aggregate:
			if t.Name != History {
				e.add(g, t, i)
			}
		}
	}
	return e
}

func (e *Ended) last(class string) int {
	if e.Ends[class].Stays() {
		return 1
	}
	return 0
}

// given makes up what becomes of a table's columns.
func (g *generator) given(t *Table, end tenure.Disposition) map[string]any {
	columns := map[string]any{"id": "keep", "part": "keep", "blob": "clear"}
	columns["note"] = pick[any](g, "clear", map[string]any{"constant": "x"}, map[string]any{"prefix": 3})
	if end == tenure.Pseudonymise && g.chance(0.4) {
		columns["note"] = map[string]any{"pseudonym": "people"}
	}
	columns["doc"] = pick[any](g, "clear", map[string]any{"members": map[string]any{"no": "keep"}})
	switch {
	case strings.Contains(t.Key, "->>"):
		columns["doc"] = "clear"
	case t.Key != "":
		switch {
		case end == tenure.Pseudonymise:
			columns[t.Key] = "keep"
		case t.KeyNotNull || g.chance(0.2):
			columns[t.Key] = map[string]any{"constant": "gone"}
		default:
			columns[t.Key] = "clear"
		}
	}
	if t.Decoy {
		columns["tenant"] = pick[any](g, "clear", "clear", map[string]any{"constant": "gone"})
	}
	for _, l := range g.Links {
		if l.From != t.Name {
			continue
		}
		if l.WithKey {
			columns[l.Name+"_id"] = "keep"
			continue
		}
		rule := any("keep")
		if canNull(l) && g.chance(0.3) {
			rule = "clear"
		}
		if id := l.Name + "_id"; !l.Generated {
			columns[id] = rule
		} else {
			columns[l.Name+"_from"] = rule
		}
		if g.named(l.To).Wide && !l.WithKey {
			columns[l.Name+"_part"] = rule
		}
	}
	var makes []any
	permutes := false
	for _, e := range t.Extras {
		if m, _ := e.Rule.(map[string]any); m["pseudonym"] != nil && end == tenure.Anonymise {
			e.Rule = "clear" // what has a pseudonym isn't anonymous
			if e.NotNull && e.Kind == "uuid" {
				e.Rule = map[string]any{"constant": "00000000-0000-0000-0000-000000000000"}
			}
		}
		columns[e.Name] = e.Rule
		switch rule, _ := e.Rule.(string); {
		case rule == "permute":
			permutes = true
		case e.Spread > 0 && !e.Unique && len(makes) < 2:
			if m, is := e.Rule.(map[string]any); !is || m["pseudonym"] == nil {
				makes = append(makes, e.Name)
			}
		}
	}
	out := map[string]any{"columns": columns}
	if permutes && len(makes) == 0 {
		makes = append(makes, "part")
	}
	if len(makes) > 0 && (permutes || g.chance(0.5)) {
		out["identifying"], out["atLeast"] = makes, pick(g, 2, 2, 3)
		can := func(e *Extra) bool {
			return !e.NotNull || slices.Contains([]string{"text", "short", "padded", "bytes", "json", "list"}, e.Kind)
		}
		suppressible := !slices.Contains(makes, any("part"))
		for _, e := range t.Extras {
			if rule, _ := e.Rule.(string); rule == "permute" || slices.Contains(makes, any(e.Name)) {
				suppressible = suppressible && can(e)
			}
		}
		if suppressible && g.chance(0.85) {
			out["short"] = "suppress"
		}
	}
	return out
}

// add makes a table of sums for one of the class's.
func (e *Ended) add(g *generator, t *Table, i int) {
	number := &Extra{Name: "amount", Kind: pick(g, "money", "integer"), Spread: pick(g, 0, 3), NotNull: g.chance(0.5)}
	by := &Extra{Name: "region", Kind: pick(g, "short", "date", "integer"), Spread: pick(g, 1, 2, 3), NotNull: g.chance(0.6)}
	switch by.Rule = "keep"; by.Kind {
	case "date":
		by.Rule = pick[any](g, "month", "year")
		if g.Dialect == SQLite && by.NotNull {
			by.Rule = map[string]any{"year": true, "else": "0001-01-01"}
		}
	case "integer":
		by.Rule = map[string]any{"bucket": 100}
	}
	t.Extras = append(t.Extras, number, by)
	e.Sums = append(e.Sums, &Sums{Name: fmt.Sprintf("sums %d", i), From: t, By: by, Of: number, AtLeast: pick(g, 2, 2, 3), Short: pick(g, "", "suppress", "suppress", "suppress")})
}

// DDL makes the tables, links and tables of sums.
func (e *Ended) DDL() string {
	var b strings.Builder
	b.WriteString(e.Schema.DDL())
	for _, s := range e.Sums {
		number := kinds[s.Of.Kind][e.Dialect]
		if s.Of.Kind == "money" && e.Dialect != SQLite {
			number = strings.Replace(number, "18", "30", 1)
		}
		null := ""
		if s.By.NotNull && s.Short == "" {
			null = " not null"
		}
		fmt.Fprintf(&b, "create table %s (%s %s%s, rows_n int not null, total %s not null, unique (%s));\n", e.sums(s), quote("by"), kinds[s.By.Kind][e.Dialect], null, number, quote("by"))
	}
	return b.String()
}

func (e *Ended) sums(s *Sums) string {
	if e.Dialect == SQLite {
		return quote(s.Name)
	}
	return "m." + quote(s.Name)
}

// Attributes are the resource's in a blueprint.
func (e *Ended) Attributes() map[string]any {
	out := e.Schema.Attributes()
	name := func(t *Table) string {
		if t.Elsewhere && e.Dialect != SQLite {
			return "extra." + t.Name
		}
		return t.Name
	}
	transforms, aggregates := map[string]any{}, map[string]any{}
	for _, t := range e.Tables {
		if given := e.Given[t.Name]; given != nil {
			transforms[name(t)] = given
		}
	}
	for _, s := range e.Sums {
		a := map[string]any{"from": name(s.From), "by": map[string]any{"by": map[string]any{"column": s.By.Name, "as": s.By.Rule}}, "sums": map[string]any{"total": s.Of.Name}, "count": "rows_n", "atLeast": s.AtLeast}
		if s.Short != "" {
			a["short"] = s.Short
		}
		aggregates[s.Name] = a
	}
	if len(transforms) > 0 {
		out["transforms"] = transforms
	}
	if len(aggregates) > 0 {
		out["aggregates"] = aggregates
	}
	if e.Dialect == MariaDB {
		out["schema"] = "m"
	}
	raw, err := json.Marshal(out) // as they come from a blueprint
	if err != nil {
		panic(err)
	}
	var a map[string]any
	if err := json.Unmarshal(raw, &a); err != nil {
		panic(err)
	}
	return a
}

// Story tells a failure so that somebody can play it again.
func (e *Ended) Story() string {
	b, _ := json.MarshalIndent(e.Attributes(), "", "  ")
	ends := []string{}
	for _, class := range slices.Sorted(maps.Keys(e.Ends)) {
		ends = append(ends, class+": "+string(e.Ends[class]))
	}
	return fmt.Sprintf("%s%s-- classes, in order: %v; %v\n-- attributes: %s", e.DDL(), e.Insert(), e.Classes, ends, b)
}
