package relational

import "slices"

// components are the strongly connected components of a graph (Tarjan 1972).
// With edges from parent to child, each comes after every component that refers
// to it. The order of nodes and edges decides between equals.
func components[K comparable](nodes []K, edges map[K][]K) [][]K {
	t := tarjan[K]{edges: edges, index: make(map[K]int, len(nodes)), low: make(map[K]int, len(nodes)), on: make(map[K]bool, len(nodes)), stack: make([]K, 0, len(nodes)), parts: make([][]K, 0, len(nodes))}
	for _, n := range nodes {
		if _, seen := t.index[n]; !seen {
			t.visit(n)
		}
	}
	return t.parts
}

type tarjan[K comparable] struct {
	edges map[K][]K
	index map[K]int
	low   map[K]int
	on    map[K]bool
	stack []K
	parts [][]K
}

func (t *tarjan[K]) visit(n K) {
	t.index[n], t.low[n] = len(t.index), len(t.index)
	at := len(t.stack)
	t.stack, t.on[n] = append(t.stack, n), true
	for _, m := range t.edges[n] {
		if _, seen := t.index[m]; !seen {
			t.visit(m)
			t.low[n] = min(t.low[n], t.low[m])
		} else if t.on[m] {
			t.low[n] = min(t.low[n], t.index[m])
		}
	}
	if t.low[n] != t.index[n] {
		return
	}
	part := slices.Clone(t.stack[at:])
	for _, m := range part {
		delete(t.on, m)
	}
	t.stack = t.stack[:at]
	t.parts = append(t.parts, part)
}

// tableParts are the components of tables, each in the order of the names.
func tableParts(nodes []TableName, edges map[TableName][]TableName) [][]TableName {
	slices.SortFunc(nodes, TableName.Compare)
	for _, to := range edges {
		slices.SortFunc(to, TableName.Compare)
	}
	parts := components(nodes, edges)
	for _, part := range parts {
		slices.SortFunc(part, TableName.Compare)
	}
	return parts
}
