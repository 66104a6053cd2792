package relational

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// StepKind is how one step of an erasure goes about it.
type StepKind string

const (
	StepDelete StepKind = "delete" // rows in batches
	StepLeaves StepKind = "leaves" // rows in batches, those first that no other row of the table refers to
	StepNull   StepKind = "null"   // a reference is set to null in batches, which opens a cycle
	StepWhole  StepKind = "whole"  // tables of a cycle of deferrable references, in one transaction
)

// EraseStep is one step of an erasure.
type EraseStep struct {
	Kind   StepKind
	Tables []Reached // one, but for StepWhole
	Keys   []ForeignKey
}

// Order is how the rows of the tables go: children before their parents. A
// cycle is opened at references that may be null and aren't needed to find the
// rows, or taken whole if its references are deferrable; otherwise it is a
// Blocked error that names its tables.
func (g *Graph) Order(tables []Reached) ([]EraseStep, error) {
	at := make(map[TableName]Reached, len(tables))
	for _, t := range tables {
		at[t.Table.TableName] = t
	}
	open := map[string]bool{} // references that have been set to null
	var steps []EraseStep
	for _, ring := range g.rings(at, open) {
		if len(ring) == 1 {
			continue
		}
		for _, k := range g.within(ring) {
			if k.Nullable && at[k.Child].depth <= at[k.Parent].depth {
				open[k.id()] = true
				steps = append(steps, EraseStep{Kind: StepNull, Tables: []Reached{at[k.Child]}, Keys: []ForeignKey{k}})
			}
		}
	}
	for _, ring := range g.rings(at, open) {
		if len(ring) > 1 {
			if k := g.rigid(ring, open); k != nil {
				return nil, tenure.Errorf(tenure.Blocked, "the foreign keys of %s form a cycle that can't be opened", listed(ring)).
					WithHint("make %s of %s nullable or deferrable", strings.Join(k.Columns, ", "), k.Child)
			}
			steps = append(steps, whole(ring, at))
			continue
		}
		steps = append(steps, g.single(at[ring[0]]))
	}
	return steps, nil
}

func (k ForeignKey) id() string { return k.Child.String() + "\x00" + k.Name }

func listed(names []TableName) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}

// whole takes the tables farthest from the roots first, as their rows are found
// through the nearer ones.
func whole(ring []TableName, at map[TableName]Reached) EraseStep {
	s := EraseStep{Kind: StepWhole}
	for _, n := range ring {
		s.Tables = append(s.Tables, at[n])
	}
	slices.SortStableFunc(s.Tables, func(a, b Reached) int { return b.depth - a.depth })
	return s
}

func (g *Graph) single(r Reached) EraseStep {
	s := EraseStep{Kind: StepDelete, Tables: []Reached{r}}
	for _, k := range g.above[r.Table.TableName] {
		if k.self() && k.OnDelete == NoAction {
			s.Kind, s.Keys = StepLeaves, append(s.Keys, k)
		}
	}
	return s
}

func (g *Graph) within(ring []TableName) []ForeignKey {
	var out []ForeignKey
	for _, n := range ring {
		for _, k := range g.above[n] {
			if !k.self() && slices.Contains(ring, k.Parent) {
				out = append(out, k)
			}
		}
	}
	return out
}

// rigid returns a reference of the ring that is checked at once.
func (g *Graph) rigid(ring []TableName, open map[string]bool) *ForeignKey {
	for _, k := range g.within(ring) {
		if !k.Deferrable && !open[k.id()] {
			return &k
		}
	}
	return nil
}

// rings are the strongly connected components of the tables (Tarjan 1972), each
// after every component that refers to it, in an order that the names decide.
func (g *Graph) rings(at map[TableName]Reached, open map[string]bool) [][]TableName {
	names := make([]TableName, 0, len(at))
	for n := range at {
		names = append(names, n)
	}
	slices.SortFunc(names, TableName.Compare)
	t := tarjan{g: g, at: at, open: open, index: map[TableName]int{}, low: map[TableName]int{}, on: map[TableName]bool{}}
	for _, n := range names {
		if _, seen := t.index[n]; !seen {
			t.visit(n)
		}
	}
	return t.rings
}

type tarjan struct {
	g     *Graph
	at    map[TableName]Reached
	open  map[string]bool
	index map[TableName]int
	low   map[TableName]int
	on    map[TableName]bool
	stack []TableName
	rings [][]TableName
}

// visit goes from parent to child, so that children's components come out first.
func (t *tarjan) visit(n TableName) {
	t.index[n], t.low[n] = len(t.index), len(t.index)
	t.stack, t.on[n] = append(t.stack, n), true
	for _, k := range t.g.below[n] {
		if _, in := t.at[k.Child]; !in || k.self() || t.open[k.id()] {
			continue
		}
		if _, seen := t.index[k.Child]; !seen {
			t.visit(k.Child)
			t.low[n] = min(t.low[n], t.low[k.Child])
		} else if t.on[k.Child] {
			t.low[n] = min(t.low[n], t.index[k.Child])
		}
	}
	if t.low[n] != t.index[n] {
		return
	}
	i := slices.Index(t.stack, n)
	ring := slices.Clone(t.stack[i:])
	for _, m := range ring {
		t.on[m] = false
	}
	t.stack = t.stack[:i]
	slices.SortFunc(ring, TableName.Compare)
	t.rings = append(t.rings, ring)
}
