package relational

import (
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// group are the values by which a row is added up.
func (a sums) group(from Table, row map[string]any) ([]any, error) {
	names := slices.Sorted(maps.Keys(a.By))
	out := make([]any, len(names))
	for i, name := range names {
		by := a.By[name]
		c, _ := from.Column(by.Column)
		into, _ := a.into.Column(name)
		f := fieldOf(c)
		f.Required = into.Required
		v, err := by.Rule.Apply(row[by.Column], f, nil)
		if err != nil {
			return nil, err
		}
		if v == nil && into.Required {
			return nil, tenure.Errorf(tenure.Blocked, "%s of a row of %s is null, and %s of %s can't be", by.Column, from, name, a.into).
				WithHint("say else in aggregates.%s.by.%s", a.name, name)
		}
		out[i] = v
	}
	return out, nil
}

// addition is what is added to one group.
type addition struct {
	by   []any
	rows int64
	sums map[string]*big.Rat
}

// addUp adds rows that are about to go to the tables of sums, in the transaction in which
// they go.
func (w *batch) addUp(ctx context.Context, g going) error {
	h := w.Holding
	all := h.changes.aggregates[g.t.Table.TableName]
	if w.Disposition != tenure.Aggregate || len(all) == 0 || len(g.addresses) == 0 {
		return nil
	}
	rows, err := w.stored(ctx, g.t, h.those(g, alias), 0)
	if err != nil {
		return err
	}
	for _, a := range all {
		groups := map[string]*addition{}
		short, err := w.judgeAdded(ctx, g.t, a, rows)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := a.add(g.t.Table, r.values, groups, short); err != nil {
				return err
			}
		}
		for _, key := range slices.Sorted(maps.Keys(groups)) {
			if err := w.store(ctx, a, groups[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a sums) add(from Table, row map[string]any, groups map[string]*addition, short map[string]bool) error {
	by, err := a.group(from, row)
	if err != nil {
		return err
	}
	raw, err := tenure.Canonical(by)
	if err != nil {
		return err
	}
	if short[string(raw)] {
		for i, name := range slices.Sorted(maps.Keys(a.By)) {
			into, _ := a.into.Column(name)
			by[i] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(into))
		}
		if raw, err = tenure.Canonical(by); err != nil {
			return err
		}
	}
	g := groups[string(raw)]
	if g == nil {
		g = &addition{by: by, sums: map[string]*big.Rat{}}
		groups[string(raw)] = g
	}
	g.rows++
	for into, column := range a.Sums {
		if g.sums[into] == nil {
			g.sums[into] = new(big.Rat)
		}
		var text string
		switch v := row[column].(type) {
		case nil:
			continue
		case json.Number:
			text = string(v)
		case string:
			text = v
		}
		n, ok := transform.Number(text)
		if !ok {
			return tenure.Errorf(tenure.Blocked, "%s of a row of %s is no number that can be added", column, from).WithHint("mend that row")
		}
		g.sums[into].Add(g.sums[into], n)
	}
	return nil
}

// addedUp counts the rows of a table that are yet to be added up, by their groups.
func (h *Holding) addedUp(ctx context.Context, q Querier, t Reached, a sums, d tenure.Disposition) (*transform.Groups, error) {
	groups := transform.NewGroups(slices.Sorted(maps.Keys(a.By)))
	return groups, h.each(ctx, q, t, d, func(row map[string]any) error {
		by, err := a.group(t.Table, row)
		if err != nil {
			return err
		}
		return groups.Add(by, person(a.Of, row))
	})
}

// store adds to one group of a table of sums, or makes it.
func (w *batch) store(ctx context.Context, a sums, g *addition) error {
	h := w.Holding
	names := slices.Sorted(maps.Keys(a.By))
	var args []any
	value := func(v any) string {
		args = append(args, h.Dialect.Argument(v))
		return "$" + strconv.Itoa(len(args))
	}
	added := map[string]any{}
	for into, n := range g.sums {
		added[into] = json.Number(transform.Exact(n))
	}
	if a.Count != "" {
		added[a.Count] = json.Number(strconv.Itoa(int(g.rows)))
	}
	sumNames := slices.Sorted(maps.Keys(added))
	set := make([]string, len(sumNames))
	for i, name := range sumNames {
		set[i] = Quote(name) + " = coalesce(" + Quote(name) + ", 0) + " + h.Dialect.Typed(a.into, name, value(added[name]))
	}
	where := make([]string, len(names))
	for i, name := range names {
		where[i] = Quote(name) + " is null"
		if g.by[i] != nil {
			where[i] = Quote(name) + " = " + h.Dialect.Typed(a.into, name, value(g.by[i]))
		}
	}
	n, err := w.q.Exec(ctx, "update "+h.Dialect.Name(a.into.TableName)+" set "+strings.Join(set, ", ")+" where "+strings.Join(where, " and "), args...)
	switch {
	case err != nil:
		return err
	case n == 1:
		w.nulls[a.into.TableName]++
		return nil
	case n > 1:
		return tenure.Errorf(tenure.Blocked, "a group stands in %s more than once", a.into)
	}
	args = nil
	columns, values := make([]string, 0, len(names)+len(sumNames)), make([]string, 0, len(names)+len(sumNames))
	for i, name := range names {
		columns, values = append(columns, Quote(name)), append(values, h.Dialect.Typed(a.into, name, value(g.by[i])))
	}
	for _, name := range sumNames {
		columns, values = append(columns, Quote(name)), append(values, h.Dialect.Typed(a.into, name, value(added[name])))
	}
	_, err = w.q.Exec(ctx, "insert into "+h.Dialect.Name(a.into.TableName)+" ("+strings.Join(columns, ", ")+") values ("+strings.Join(values, ", ")+")", args...)
	if err == nil {
		w.adds[a.into.TableName]++
	}
	return err
}

// groups says which groups of the rows that are to be changed or added up are smaller
// than the blueprint asks for.
func (h *Holding) groups(ctx context.Context, q Querier, c Changes) (out []connector.Place, err error) {
	for _, t := range h.Tables {
		n := t.Table.TableName
		class := h.Classes[n]
		d := c.of(class)
		short := func(says, names, fix string) {
			out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceChange, Class: class, Via: t.Via, Blocks: true, Says: says + ": " + names, Fix: fix})
		}
		given := h.changes.transforms[n]
		switch {
		case class == "" || !d.Changes():
		case d == tenure.Aggregate:
			for _, a := range h.changes.aggregates[n] {
				if a.Short == suppress {
					continue
				}
				groups, err := h.addedUp(ctx, q, t, a, d)
				if err != nil {
					return nil, err
				}
				if names := groups.Short(a.AtLeast); names != "" {
					short("groups of "+a.into.String()+" by "+strings.Join(slices.Sorted(maps.Keys(a.By)), ", ")+" would have fewer than "+strconv.Itoa(int(a.AtLeast)), names, "group more coarsely in aggregates."+a.name+".by, or say short: suppress")
				}
			}
		default:
			groups, says, fix, err := h.foreseen(ctx, q, t, given, d)
			if err != nil {
				return nil, err
			}
			if says != "" {
				short(n.String()+" is to be "+d.Done(), says, fix)
			}
			if names := groups.Short(given.AtLeast); names != "" && given.Short != suppress {
				short("groups of "+n.String()+" by "+strings.Join(given.Identifying, ", ")+" have fewer than "+strconv.Itoa(int(given.AtLeast)), names, "generalise these columns further in transforms."+h.name(n)+", or say short: suppress")
			}
		}
	}
	return out, nil
}

// person is of whom a row is, nil if nothing says; who isn't named counts as one.
func person(of string, row map[string]any) any {
	if of == "" {
		return nil
	}
	if v := row[of]; v != nil {
		return v
	}
	return ""
}

// each reads the rows of a table that are yet to be changed.
func (h *Holding) each(ctx context.Context, q Querier, t Reached, d tenure.Disposition, f func(row map[string]any) error) error {
	view, err := h.Dialect.View(ctx, q, t.Table.TableName, alias)
	if err != nil {
		return err
	}
	rows, err := q.Query(ctx, "select "+view.stored()+" from "+h.from(t)+" where "+h.due(t, d))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		row, err := rowOf(text)
		if err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}
