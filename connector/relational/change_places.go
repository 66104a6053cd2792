package relational

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// changing says what stands against what is to become of the classes: in the catalog, in
// triggers, and, once rows are counted, in groups that are too small.
func (h *Holding) changing(ctx context.Context, q Querier, c Changes, counted bool) ([]connector.Place, error) {
	out, err := h.changePlaces(ctx, q, c)
	if err != nil {
		return nil, err
	}
	for _, t := range h.Tables {
		if d := c.of(h.Classes[t.Table.TableName]); h.Classes[t.Table.TableName] == "" || d != tenure.Anonymise && d != tenure.Pseudonymise {
			continue
		}
		p, is, err := h.watched(ctx, q, t)
		if err != nil {
			return nil, err
		}
		if is {
			out = append(out, p)
		}
	}
	if !counted || !c.Groups || len(out) > 0 {
		return out, nil
	}
	groups, err := h.groups(ctx, q, c)
	return append(out, groups...), err
}

// changePlaces says what in the catalog stands against what is to become of the classes.
func (h *Holding) changePlaces(ctx context.Context, q Querier, c Changes) (out []connector.Place, err error) {
	for _, t := range h.Tables {
		n := t.Table.TableName
		d := c.of(h.Classes[n])
		if h.Classes[n] == "" || !d.Changes() {
			continue
		}
		refuse := func(says, fix string) {
			out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceChange, Class: h.Classes[n], Via: t.Via, Blocks: true, Says: n.String() + " is to be " + d.Done() + ": " + says, Fix: fix})
		}
		if d == tenure.Aggregate {
			for _, a := range h.changes.aggregates[n] {
				asks, err := h.Dialect.Constraints(ctx, q, a.into)
				if err != nil {
					return nil, err
				}
				a.check(t.Table, h, asks, refuse)
			}
			continue
		}
		asks, err := h.Dialect.Constraints(ctx, q, t.Table)
		if err != nil {
			return nil, err
		}
		h.checkTransform(t, d, asks, refuse)
		if err := h.checkChecks(ctx, q, t, asks, refuse); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkChecks finds the conditions that no row could meet any more: those over columns
// that all get one value. Of others the server itself says, when a row is changed.
func (h *Holding) checkChecks(ctx context.Context, q Querier, t Reached, asks Constraints, refuse func(says, fix string)) error {
	given := h.changes.transforms[t.Table.TableName]
	for _, k := range asks.Checks {
		var args []any
		var columns []string
		fixed := k.Clause != "" && len(k.Columns) > 0
		for _, name := range k.Columns {
			r := given.Columns[name]
			c, _ := t.Table.Column(name)
			var v any
			switch {
			case r.Word == transform.Constant:
				v = r.Value
			case r.Word == transform.Clear:
				v = r.Emptied(fieldOf(c))
			default:
				fixed = false
				continue
			}
			args = append(args, h.Dialect.Argument(v))
			columns = append(columns, h.Dialect.Typed(t.Table, name, "$"+strconv.Itoa(len(args)))+" as "+Quote(name))
		}
		if !fixed {
			continue
		}
		rows, err := q.Query(ctx, "select 1 from (select "+strings.Join(columns, ", ")+") as "+Quote(alias)+" where not ("+k.Clause+")", args...)
		if err != nil {
			return err
		}
		broken := rows.Next()
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		if broken {
			refuse("the constraint "+k.Name+" doesn't let "+strings.Join(k.Columns, ", ")+" become so", "another transform for "+strings.Join(k.Columns, ", "))
		}
	}
	return nil
}

func (h *Holding) checkTransform(t Reached, d tenure.Disposition, asks Constraints, refuse func(says, fix string)) {
	n := t.Table.TableName
	given, ok := h.changes.transforms[n]
	if !ok {
		refuse("transforms doesn't say what becomes of its columns", "transforms: {"+h.name(n)+": {columns: {…}}}")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(given.Columns)) {
		if !t.Table.Has(name) {
			refuse("it has no column "+name, "take "+name+" out of transforms."+h.name(n)+".columns")
		}
	}
	for _, c := range t.Table.Columns {
		h.checkColumn(t, d, given, c, asks, refuse)
	}
	for _, name := range slices.Concat(given.Identifying, given.permuted()) {
		if c, ok := t.Table.Column(name); ok && given.Short == suppress {
			if err := (transform.Rule{Word: transform.Clear}).Fits(fieldOf(c)); err != nil {
				refuse(name+" can't be emptied where a group is too small: "+err.Error(), "leave short out, or let "+name+" be null")
			}
		}
	}
	h.checkFound(t, d, refuse)
	if t.Table.Alien {
		refuse("its owner is a tenant's role", "give the table another owner")
	}
}

// checkColumn says what stands against what becomes of one column.
func (h *Holding) checkColumn(t Reached, d tenure.Disposition, given Transform, c Column, asks Constraints, refuse func(says, fix string)) {
	n := t.Table.TableName
	r, said := given.Columns[c.Name]
	key, path, isPath := CutPath(h.claims.keyed[n])
	switch {
	case c.Computed:
		if said && r.Word != transform.Keep {
			refuse(c.Name+" is worked out from other columns, and can't be set", c.Name+": keep")
		}
		return
	case !said:
		refuse("nothing says what becomes of "+c.Name, "transforms: {"+h.name(n)+": {columns: {"+c.Name+": keep}}} if it tells of nobody, else clear, constant, …")
		return
	case r.Word == transform.Keep:
		if c.Name == key && d == tenure.Anonymise {
			refuse(c.Name+" names the tenant, and would stay", c.Name+": clear, or a constant that is no tenant's key")
		}
		return
	case c.Locator || c.List:
		refuse(c.Name+" names large objects, which would stay", "give the table a class that is deleted")
		return
	case c.Generated:
		refuse(c.Name+" can't be set", c.Name+": keep")
		return
	case slices.Contains(t.Table.Key, c.Name):
		refuse(c.Name+" is part of the primary key, by which a row is told from others", c.Name+": keep")
		return
	case c.Name == key && d == tenure.Pseudonymise:
		refuse(c.Name+" says whose the rows are until they go", c.Name+": keep")
		return
	case c.Name == key && isPath && r.Word != transform.Clear && r.Word != transform.Members:
		refuse("the tenant's key stands in it at "+strings.Join(path, ".")+", and must be taken out", c.Name+": clear")
		return
	case c.Name == key && !isPath && r.Word != transform.Clear && r.Word != transform.Constant:
		refuse("the tenant column can only become null or a constant", c.Name+": clear")
		return
	case c.Name == key && r.Word == transform.Constant && r.Value == any(h.claims.t.Key):
		refuse("the constant for "+c.Name+" is the tenant's own key", c.Name+": clear")
		return
	}
	if err := r.Fits(fieldOf(c)); err != nil {
		refuse(c.Name+" ("+c.Type+"): "+err.Error(), "another transform for "+c.Name)
		return
	}
	for _, u := range asks.Uniques {
		if slices.Contains(u, c.Name) && !h.staysUnique(t.Table, given, u) {
			refuse(strings.Join(u, ", ")+" must be unique, and rows may come to have the same", c.Name+": clear, where it can be null, or a pseudonym")
		}
	}
	for _, k := range h.Graph.above[n] {
		if slices.Contains(k.Columns, c.Name) && !(r.Word == transform.Clear && !c.Required || r.Word == transform.Constant && c.Name == key) {
			refuse(c.Name+" refers to "+k.Parent.String()+", and would lead nowhere", c.Name+": clear, if it can be null, else keep")
		}
	}
	for _, k := range h.Graph.below[n] {
		if slices.Contains(k.Parents, c.Name) {
			refuse(k.Link()+" refers to "+c.Name, c.Name+": keep")
		}
	}
}

// staysUnique says that rows which differ in some columns still do afterwards.
func (h *Holding) staysUnique(t Table, given Transform, columns []string) bool {
	for _, name := range columns {
		if c, _ := t.Column(name); given.Columns[name].Word == transform.Clear && !c.Required { // null is like nothing else
			return true
		}
	}
	for _, name := range columns {
		switch r := given.Columns[name]; {
		case r.Word == transform.Keep && slices.Equal(columns, []string{name}), r.Word == transform.Name && slices.Equal(columns, []string{name}):
			return true
		case r.Word != transform.Keep && r.Word != transform.Name:
			return false
		}
	}
	return true
}

// checkFound says what stands against rows that aren't found by a key of their own.
func (h *Holding) checkFound(t Reached, d tenure.Disposition, refuse func(says, fix string)) {
	n := t.Table.TableName
	if h.marked(t, d) && len(t.Table.Key) == 0 {
		refuse("it has no primary key, so nothing can say which of its rows are through", "give it a primary key")
	}
	if h.claims.keyed[n] != "" {
		return
	}
	if h.claims.ring[n] != nil || h.claims.tree(n) != nil || h.claims.circle(n) != nil {
		refuse("its rows are found through one another", "give it a tenant column")
	}
	through := slices.Clone(h.claims.by[n])
	if t.Parent {
		for _, k := range h.Graph.below[n] {
			if h.claims.held[k.Child] || h.claims.above[k.Child] {
				k.Parent = k.Child
				through = append(through, k)
			}
		}
	}
	for _, k := range through {
		if other := h.Classes[k.Parent]; other != h.Classes[n] && d == tenure.Anonymise {
			refuse("its rows are found through "+k.Parent.String()+", which is in another data class", "tables: {"+h.name(n)+": "+other+"}, or give it a tenant column")
		}
	}
}

// check says what stands against an aggregate.
func (a sums) check(from Table, h *Holding, asks Constraints, refuse func(says, fix string)) {
	into, n := a.into, a.into.TableName
	column := func(name, what string) (Column, bool) {
		c, ok := into.Column(name)
		switch {
		case !ok:
			refuse(n.String()+", into which it is added up, has no column "+name, "take it out of aggregates."+a.name)
		case c.Generated || c.Computed:
			refuse(name+" of "+n.String()+" can't be set", "take it out of aggregates."+a.name)
			ok = false
		case what == "sum" && KindOf(c.Type) != transform.Integer && KindOf(c.Type) != transform.Decimal && KindOf(c.Type) != transform.Any:
			refuse(name+" of "+n.String()+" is no number", "add up into a number")
			ok = false
		}
		return c, ok
	}
	source := func(name string) (Column, bool) {
		c, ok := from.Column(name)
		if !ok {
			refuse("it has no column "+name, "take it out of aggregates."+a.name)
		}
		return c, ok
	}
	key := h.claims.keyed[from.TableName]
	var by []string
	for _, name := range slices.Sorted(maps.Keys(a.By)) {
		by = append(by, name)
		c, ok := source(a.By[name].Column)
		if _, there := column(name, "group"); !there || !ok {
			continue
		}
		if into, _ := into.Column(name); a.Short == suppress {
			if err := (transform.Rule{Word: transform.Clear}).Fits(fieldOf(into)); err != nil {
				refuse(name+" of "+n.String()+" can't be empty where a group is too small: "+err.Error(), "leave short out, or let "+name+" be null")
			}
		}
		if err := a.By[name].Rule.Fits(fieldOf(c)); err != nil {
			refuse(c.Name+" ("+c.Type+"): "+err.Error(), "another transform in aggregates."+a.name+".by")
		}
		if a.By[name].Column == key {
			refuse("the tenant column would stand in "+n.String(), "take "+name+" out of aggregates."+a.name+".by")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Sums)) {
		column(name, "sum")
		if c, ok := source(a.Sums[name]); ok && KindOf(c.Type) != transform.Integer && KindOf(c.Type) != transform.Decimal && KindOf(c.Type) != transform.Any {
			refuse(c.Name+" ("+c.Type+") is no number", "take it out of aggregates."+a.name+".sums")
		} else if to, there := into.Column(name); ok && there && !holdsAll(to, c) {
			refuse(name+" of "+n.String()+" ("+to.Type+") has fewer digits behind the point than "+c.Name+" ("+c.Type+"), so sums would be rounded", "make it wider, or take it out of aggregates."+a.name+".sums")
		}
	}
	if a.Count != "" {
		column(a.Count, "sum")
	}
	if a.Of != "" {
		source(a.Of)
	}
	if _, held := h.at[n]; held || h.claims.keyed[n] != "" {
		refuse(n.String()+" holds rows of tenants, and sums are nobody's", "add up into a table without a tenant column")
	}
	if into.Code {
		refuse("triggers or rules of "+n.String()+" would run", "take them off")
	}
	slices.Sort(by)
	if !slices.ContainsFunc(asks.Uniques, func(u []string) bool {
		u = slices.Clone(u)
		slices.Sort(u)
		return slices.Equal(u, by)
	}) {
		refuse("no unique constraint of "+n.String()+" is on "+strings.Join(by, ", ")+", so a group could stand there twice", "add unique ("+strings.Join(by, ", ")+") to "+n.String())
	}
	if alone := a.alone(asks); len(alone) > 0 {
		refuse(strings.Join(alone, ", ")+" of "+n.String()+" can't be null and gets no value", "name it in aggregates."+a.name+", or give it a default")
	}
}

// alone are the columns of the table of sums that must have a value, have no default,
// and get none.
func (a sums) alone(asks Constraints) (out []string) {
	for _, c := range a.into.Columns {
		_, by := a.By[c.Name]
		_, sum := a.Sums[c.Name]
		if c.Required && !by && !sum && c.Name != a.Count && !c.Generated && !c.Computed && !slices.Contains(asks.Defaults, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}
