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

// refusal notes what stands against a change, what would settle it, and where below the
// table's transform, or in the attributes if it is an aggregate, that is said which doesn't fit.
type refusal func(says, fix string, at ...string)

// changePlaces says what in the catalog stands against what is to become of the classes.
func (h *Holding) changePlaces(ctx context.Context, q Querier, c Changes) (out []connector.Place, err error) {
	for _, t := range h.Tables {
		n := t.Table.TableName
		d := c.of(h.Classes[n])
		if h.Classes[n] == "" || !d.Changes() {
			continue
		}
		refuse := func(says, fix string, at ...string) {
			p := connector.Place{Name: n.String(), Kind: connector.PlaceChange, Class: h.Classes[n], Via: t.Via, Blocks: true, Says: n.String() + " is to be " + d.Done() + ": " + says, Fix: fix}
			if written, given := h.changes.written[n]; given && d != tenure.Aggregate {
				at = append([]string{"transforms", written}, at...)
			}
			if len(at) > 0 {
				p.At = connector.Pointer(at...)
			}
			out = append(out, p)
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
		h.leads(t, d, h.changes.transforms[n], c, refuse)
		if err := h.checkChecks(ctx, q, t, asks, refuse); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkChecks finds the conditions that no row could meet any more: those over columns
// that all get one value. Of others the server itself says, when a row is changed.
func (h *Holding) checkChecks(ctx context.Context, q Querier, t Reached, asks Constraints, refuse refusal) error {
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
			refuse("the constraint "+k.Name+" doesn't let "+strings.Join(k.Columns, ", ")+" become so", "another transform for "+strings.Join(k.Columns, ", "), "columns", k.Columns[0])
		}
	}
	return nil
}

func (h *Holding) checkTransform(t Reached, d tenure.Disposition, asks Constraints, refuse refusal) {
	n := t.Table.TableName
	given, ok := h.changes.transforms[n]
	if !ok {
		refuse("transforms doesn't say what becomes of its columns", "transforms: {"+h.name(n)+": {columns: {…}}}")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(given.Columns)) {
		if !t.Table.Has(name) {
			refuse("it has no column "+name, "take "+name+" out of transforms."+h.name(n)+".columns", "columns", name)
		}
	}
	for _, c := range t.Table.Columns {
		h.checkColumn(t, d, given, c, asks, refuse)
	}
	for _, name := range slices.Concat(given.Identifying, given.permuted()) {
		if c, ok := t.Table.Column(name); ok && given.Short == suppress {
			if err := (transform.Rule{Word: transform.Clear}).Fits(fieldOf(c)); err != nil {
				refuse(name+" can't be emptied where a group is too small: "+err.Error(), "leave short out, or let "+name+" be null", "short")
			}
		}
	}
	h.checkUniques(t, given, asks, refuse)
	h.checkFound(t, d, refuse)
	if t.Table.Alien {
		refuse("its owner is a tenant's role", "give the table another owner")
	}
}

// checkColumn says what stands against what becomes of one column.
func (h *Holding) checkColumn(t Reached, d tenure.Disposition, given Transform, c Column, asks Constraints, refuse refusal) {
	n := t.Table.TableName
	whole := refuse
	refuse = func(says, fix string, _ ...string) { whole(says, fix, "columns", c.Name) }
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
	if len(r.Names()) > 0 && d == tenure.Anonymise {
		refuse(c.Name+" would become a pseudonym, and what has one isn't anonymous", c.Name+": clear, or the disposition pseudonymise for its class")
		return
	}
	if err := r.Fits(fieldOf(c)); err != nil {
		refuse(c.Name+" ("+c.Type+"): "+err.Error(), "another transform for "+c.Name)
		return
	}
	for _, k := range h.Graph.above[n] {
		if slices.Contains(k.Columns, c.Name) && !h.cut(t.Table, given, k) {
			refuse(c.Name+" refers to "+k.Parent.String()+", and would lead nowhere", c.Name+": clear, if it can be null, else keep")
		}
	}
	for _, k := range h.Graph.below[n] {
		if slices.Contains(k.Parents, c.Name) {
			refuse(k.Link()+" refers to "+c.Name, c.Name+": keep")
		}
	}
}

// cut says that a reference is to nothing once a row has changed.
func (h *Holding) cut(t Table, given Transform, k ForeignKey) bool {
	cleared := 0
	for _, name := range k.Columns {
		if c, _ := t.Column(name); given.Columns[name].Word == transform.Clear && !c.Required {
			cleared++
		}
	}
	return cleared == len(k.Columns) || cleared > 0 && !k.Full
}

// leads finds references of rows that become nobody's to rows which go, or go later: these
// could go no more, and would stay as they are.
func (h *Holding) leads(t Reached, d tenure.Disposition, given Transform, c Changes, refuse refusal) {
	if d != tenure.Anonymise {
		return
	}
	n := t.Table.TableName
	for _, k := range h.Graph.above[n] {
		class := h.Classes[k.Parent]
		if _, held := h.at[k.Parent]; !held || class == "" || class == h.Classes[n] || h.cut(t.Table, given, k) {
			continue
		}
		switch _, changes := h.changes.transforms[k.Parent]; c.of(class) {
		case tenure.Anonymise:
			continue
		case tenure.Purge: // or it is asked of one class alone
			if changes {
				continue
			}
		}
		refuse(strings.Join(k.Columns, ", ")+" refers to "+k.Parent.String()+", whose rows are of class "+class+" and go", strings.Join(k.Columns, ", ")+": clear, if it can be null, or tables: {"+h.name(k.Parent)+": "+h.Classes[n]+"}", "columns", k.Columns[0])
	}
}

// checkFound says what stands against rows that aren't found by a key of their own.
func (h *Holding) checkFound(t Reached, d tenure.Disposition, refuse refusal) {
	n := t.Table.TableName
	if h.marked(t, d) && len(t.Table.Key) == 0 {
		refuse("it has no primary key, so nothing can say which of its rows are through", "give it a primary key")
	}
	if key := h.claims.keyed[n]; key != "" {
		given := h.changes.transforms[n]
		if d != tenure.Anonymise || given.Columns[key].Word == transform.Constant {
			return
		}
		for _, k := range h.claims.by[n] {
			if !h.cut(t.Table, given, k) {
				refuse("rows without a key in "+key+" are found through "+k.Parent.String(), key+": a constant that is no tenant's key, or "+strings.Join(k.Columns, ", ")+": clear", "columns", key)
			}
		}
		return
	}
	for _, k := range h.claims.by[n] {
		if d == tenure.Pseudonymise && h.cut(t.Table, h.changes.transforms[n], k) {
			refuse("its rows are found by "+strings.Join(k.Columns, ", ")+" until they go", strings.Join(k.Columns, ", ")+": keep", "columns", k.Columns[0])
		}
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
func (a sums) check(from Table, h *Holding, asks Constraints, refuse refusal) {
	into, n := a.into, a.into.TableName
	whole, at := refuse, []string(nil)
	refuse = func(says, fix string, _ ...string) {
		whole(says, fix, append([]string{"aggregates", a.name}, at...)...)
	}
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
		by, at = append(by, name), []string{"by", name}
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
		at = []string{"sums", name}
		column(name, "sum")
		if c, ok := source(a.Sums[name]); ok && KindOf(c.Type) != transform.Integer && KindOf(c.Type) != transform.Decimal && KindOf(c.Type) != transform.Any {
			refuse(c.Name+" ("+c.Type+") is no number", "take it out of aggregates."+a.name+".sums")
		} else if to, there := into.Column(name); ok && there && !holdsAll(to, c, asks.Loose) {
			refuse(name+" of "+n.String()+" ("+to.Type+") has fewer digits behind the point than "+c.Name+" ("+c.Type+") can have, so sums would be rounded", "make it a decimal of as many digits, or take it out of aggregates."+a.name+".sums")
		} else if ok && there && floating(to) && !asks.Loose {
			refuse(name+" of "+n.String()+" ("+to.Type+") is a floating number, so sums would be rounded batch by batch", "make it a decimal, or take it out of aggregates."+a.name+".sums")
		}
	}
	if a.Count != "" {
		at = []string{"count"}
		column(a.Count, "sum")
	}
	if a.Of != "" {
		at = []string{"of"}
		source(a.Of)
	}
	at = nil
	if _, held := h.at[n]; held || h.claims.keyed[n] != "" {
		refuse(n.String()+" holds rows of tenants, and sums are nobody's", "add up into a table without a tenant column")
	}
	if into.Code {
		refuse("triggers or rules of "+n.String()+" would run", "take them off")
	}
	slices.Sort(by)
	if !slices.ContainsFunc(asks.Uniques, func(u Unique) bool {
		return !u.Partial && slices.Equal(slices.Sorted(slices.Values(u.Columns)), by)
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
