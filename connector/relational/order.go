package relational

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// StepKind is how one step of an erasure goes about it.
type StepKind string

const (
	StepDelete StepKind = "delete" // rows in batches
	StepChain  StepKind = "chain"  // rows in batches, those first that no other row of the table refers to
	StepNull   StepKind = "null"   // a reference is set to null in batches, which opens a cycle
	StepWhole  StepKind = "whole"  // tables of a cycle of references that are checked late, in one transaction
)

// EraseStep is one step of an erasure.
type EraseStep struct {
	Kind    StepKind
	Tables  []Reached // one, but for StepWhole
	Keys    []ForeignKey
	Columns []string // of StepNull: what becomes null
}

// Plan is the order in which the rows of a class go, children before their
// parents. A cycle is opened at references that may be null and by which no row
// is found, or taken whole if its references are checked late; otherwise it is
// Blocked, with its tables named.
func (h *Holding) Plan(class string) ([]EraseStep, error) {
	steps, stuck := h.plan(class)
	if stuck != nil {
		return nil, stuck
	}
	return steps, nil
}

func (h *Holding) plan(class string) ([]EraseStep, *tenure.Error) {
	of := h.of(class)
	in := make(map[TableName]bool, len(of))
	for _, t := range of {
		n := t.Table.TableName
		if r := h.claims.ring[n]; r != nil && r.loose {
			return nil, tenure.Errorf(tenure.Blocked, "the rows of %s are found through one another, in more ways than one or by columns whose type the database can't follow", listed(r.tables)).
				WithHint("give one of them a tenant column, or say detach of one of the references in links")
		}
		if r := h.claims.tree(n); r != nil && r.blind() != "" {
			return nil, tenure.Errorf(tenure.Blocked, "the rows of %s refer to one another by %s, whose type the database can't follow", t.Table, r.blind()).
				WithHint("take it out of tables and erase its rows yourself, or refer to them by a column of another type")
		}
		in[n] = true
	}
	steps := make([]EraseStep, 0, len(of))
	open := map[keyID]bool{}
	for {
		parts := h.parts(in, open)
		k, columns := h.opening(parts, open)
		if k == nil {
			for _, part := range parts {
				s, err := h.stepFor(part, open)
				if err != nil {
					return nil, err
				}
				steps = append(steps, s)
			}
			return steps, nil
		}
		open[k.id()] = true
		if columns != nil {
			steps = append(steps, EraseStep{Kind: StepNull, Tables: []Reached{h.at[k.Child]}, Keys: []ForeignKey{*k}, Columns: columns})
		}
	}
}

// parts are the tables that have to go together, children first.
func (h *Holding) parts(in map[TableName]bool, open map[keyID]bool) [][]TableName {
	nodes, edges := make([]TableName, 0, len(in)), make(map[TableName][]TableName, len(in))
	for n := range in {
		nodes = append(nodes, n)
	}
	for _, k := range h.Graph.keys {
		if in[k.Child] && in[k.Parent] && !k.self() && !open[k.id()] {
			edges[k.Parent] = append(edges[k.Parent], k.Child)
		}
	}
	return tableParts(nodes, edges)
}

// opening is a reference at which a cycle can be opened, with the columns to set
// to null; none where the database does that by itself.
func (h *Holding) opening(parts [][]TableName, open map[keyID]bool) (*ForeignKey, []string) {
	for _, part := range parts {
		for _, k := range h.within(part, open) {
			if k.OnDelete == SetNull && h.yields(k) && h.Graph.ripples(k, k.sets()) == nil {
				return &k, nil
			}
		}
		for _, k := range h.within(part, open) {
			if columns := h.openable(k); columns != nil && h.Graph.ripples(k, columns) == nil {
				return &k, columns
			}
		}
	}
	return nil, nil
}

func (h *Holding) within(part []TableName, open map[keyID]bool) []ForeignKey {
	if len(part) < 2 {
		return nil
	}
	var out []ForeignKey
	for _, n := range part {
		for _, k := range h.Graph.above[n] {
			if !k.self() && !open[k.id()] && slices.Contains(part, k.Parent) {
				out = append(out, k)
			}
		}
	}
	return out
}

// openable are the columns of a reference that may be set to null without a row
// being lost from sight; nil if the reference can't be taken away so.
func (h *Holding) openable(k ForeignKey) []string {
	var out []string
	for _, c := range h.Graph.optional(k) {
		if h.mayLose(k, []string{c}) {
			out = append(out, c)
		}
	}
	if k.Full && len(out) < len(k.Columns) || !h.mayLose(k, out) {
		return nil
	}
	return out
}

// yields says that the constraint lets the child's row go on without its parent,
// and that the row is found all the same.
func (h *Holding) yields(k ForeignKey) bool {
	switch k.OnDelete {
	case SetNull:
		return h.mayLose(k, k.sets())
	case SetDefault:
		return !slices.ContainsFunc(k.sets(), func(c string) bool { return h.identifies(k.Child, c) })
	}
	return false
}

// fixed says that a column can't be set, or has the row's key.
func (h *Holding) fixed(n TableName, column string) bool {
	tenant, _, _ := CutPath(h.claims.keyed[n])
	c, _ := h.Graph.tables[n].Column(column)
	return c.Generated || column == tenant
}

// identifies says that a column is one by which the table's rows are found, or one
// that can't be set. Where a reference that is never null tells each row's tenant,
// by a key, no other is needed.
func (h *Holding) identifies(n TableName, column string) bool {
	has := func(k ForeignKey) bool { return slices.Contains(k.Columns, column) }
	claims := h.claims.by[n]
	return h.fixed(n, column) || slices.ContainsFunc(claims, has) && !slices.ContainsFunc(claims, func(k ForeignKey) bool {
		return !has(k) && h.Graph.rigid(k) && !k.self() && h.claims.byKey(k.Parent)
	})
}

// mayLose says that a row may lose the columns' values and is found all the same:
// none is the tenant column, generated, required by a check or part of a
// reference that claims the row.
func (h *Holding) mayLose(k ForeignKey, columns []string) bool {
	return h.nullable(k.Child, columns) && !slices.ContainsFunc(columns, func(c string) bool { return h.identifies(k.Child, c) })
}

// nullable says that the columns of a row may become null together.
func (h *Holding) nullable(n TableName, columns []string) bool {
	t := h.Graph.tables[n]
	for _, name := range columns {
		if c, _ := t.Column(name); c.Required {
			return false
		}
	}
	return !slices.ContainsFunc(t.Checks, func(check []string) bool {
		return !slices.ContainsFunc(check, func(c string) bool { return !slices.Contains(columns, c) })
	})
}

func (h *Holding) stepFor(part []TableName, open map[keyID]bool) (EraseStep, *tenure.Error) {
	s := EraseStep{Kind: StepDelete}
	for _, n := range part {
		s.Tables = append(s.Tables, h.at[n])
		for _, k := range h.Graph.above[n] {
			if k.self() {
				s.Kind, s.Keys = StepChain, append(s.Keys, k)
			}
		}
	}
	if len(part) == 1 {
		return s, nil
	}
	s.Kind, s.Keys = StepWhole, nil
	for _, k := range h.within(part, open) {
		if (!k.Deferrable || k.OnDelete == Restrict) && k.OnDelete != Cascade {
			if on := h.Graph.ripples(k, h.openable(k)); len(on) > 0 {
				return s, tenure.Errorf(tenure.Blocked, "the foreign keys of %s form a cycle that can't be opened at %s, since %s refers to it", listed(part), k.Link(), on[0].Link()).
					WithHint("make the reference %s of %s deferrable", strings.Join(k.Columns, ", "), k.Child)
			}
			return s, tenure.Errorf(tenure.Blocked, "the foreign keys of %s form a cycle that can't be opened", listed(part)).
				WithHint("make %s of %s nullable or its reference deferrable", strings.Join(k.Columns, ", "), k.Child)
		}
	}
	return s, nil
}

func listed(names []TableName) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}

// Objections are what stands against an erasure in the order of the classes, by
// the catalog alone: also where no row refers to another today.
func (h *Holding) Objections(order []string) []connector.Place {
	var out []connector.Place
	for _, class := range h.ClassNames() {
		if _, err := h.plan(class); err != nil {
			out = append(out, connector.Place{Name: class, Kind: connector.PlaceOrder, Class: class, Says: err.Error(), Blocks: true, Fix: strings.Join(err.Hints, "; ")})
		}
	}
	for _, k := range h.Graph.keys {
		if h.claims.bent[k.id()] {
			out = append(out, connector.Place{Name: k.Link(), Kind: connector.PlaceOrder, Class: h.Classes[k.Parent], Blocks: true,
				Says: "rows of " + k.Child.String() + " follow those of " + k.Parent.String() + ", which are found through them",
				Fix:  "give " + k.Child.String() + " a tenant column, or take follow out of its links"})
		}
	}
	return append(out, h.between(order)...)
}

// between is what stands against the order of the classes.
func (h *Holding) between(order []string) (out []connector.Place) {
	at := func(class string) int {
		if i := slices.Index(order, class); i >= 0 {
			return i
		}
		return len(order)
	}
	for _, k := range h.Graph.keys {
		parent, child := h.Classes[k.Parent], h.Classes[k.Child]
		if parent == "" || child == "" || parent == child || at(parent) >= at(child) {
			continue
		}
		if says := h.early(k, at); says != "" {
			out = append(out, connector.Place{Name: k.Link(), Kind: connector.PlaceOrder, Class: parent, Blocks: true,
				Says: "class " + parent + " goes before class " + child + ", but " + says,
				Fix:  "tables: {" + h.name(k.Child) + ": " + parent + "}, so that both go at once; or give class " + parent + " a retention that ends no sooner than that of " + child})
		}
	}
	return out
}

// early says why a parent's rows may not go before those of a later class that
// refer to them, "" if they may.
func (h *Holding) early(k ForeignKey, at func(string) int) string {
	if h.finds(k, at) {
		return "rows of " + k.Child.String() + " are found only through those of " + k.Parent.String()
	}
	if on := h.Graph.ripples(k, h.loses(k)); len(on) > 0 {
		return "rows of " + on[0].Child.String() + " refer to columns of " + k.Child.String() + " that change as rows of " + k.Parent.String() + " go"
	}
	switch {
	case h.yields(k):
		return ""
	case k.OnDelete.lets():
		return "rows of " + k.Child.String() + " would lose columns by which they are found, or that can't be null"
	case h.claims.b.links[k.id()] == Detach && h.openable(k) != nil:
		return ""
	case k.OnDelete == Cascade:
		return "its rows would take those of " + k.Child.String() + " along"
	}
	return "rows of " + k.Child.String() + " refer to those of " + k.Parent.String()
}

// finds says that rows of the child are lost from sight when the parent's go.
func (h *Holding) finds(k ForeignKey, at func(string) int) bool {
	by := h.claims.by[k.Child]
	if !slices.ContainsFunc(by, func(b ForeignKey) bool { return b.id() == k.id() }) {
		return false
	}
	return !slices.ContainsFunc(by, func(b ForeignKey) bool {
		return b.id() != k.id() && !b.self() && h.Graph.rigid(b) && at(h.Classes[b.Parent]) >= at(h.Classes[k.Child])
	})
}
