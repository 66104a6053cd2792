package relational

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Catalogue is a graph as package connector tells of it. Closed says why a table's rows
// aren't read, "" if they are.
func (g *Graph) Catalogue(closed func(Table) string) (c connector.Catalogue) {
	for _, t := range g.sorted {
		info := connector.TableInfo{Schema: t.Schema, Name: t.Name, Key: t.Key, Closed: closed(t)}
		for _, col := range t.Columns {
			info.Columns = append(info.Columns, columnInfo(col))
		}
		c.Tables = append(c.Tables, info)
	}
	for _, k := range g.keys {
		c.Links = append(c.Links, connector.LinkInfo{Child: k.Child.String(), Parent: k.Parent.String(), Columns: k.Columns, Parents: k.Parents, OnDelete: string(k.OnDelete)})
	}
	return c
}

func columnInfo(c Column) connector.ColumnInfo {
	return connector.ColumnInfo{Name: c.Name, Type: c.Type, Required: c.Required}
}

// Reader is how a database's values are read as texts.
type Reader struct {
	Name func(TableName) string

	// Text is an expression that gives a column's value, under the alias t, as a text of
	// bounded length; or in words why it isn't read. With isJSON it is a JSON document.
	Text func(t Table, c Column) (expr string, isJSON bool, says string)

	// Run runs a query of texts for at most the given time; nil is null. Not done is no error: the time
	// ran out, or a value couldn't be read.
	Run func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string)) (done bool, err error)
}

// Bounds of one query of a sample.
const (
	tableTime  = 3 * time.Second
	sparseRows = 50 // of a column that is null in all rows that were read
)

// Sample reads some values of each column: of the first rows as the database gives them,
// and of the last by the primary key.
func (g *Graph) Sample(ctx context.Context, r Reader, closed func(Table) string, ask connector.Sampling, yield func(connector.ColumnSample) error) (partial string, err error) {
	if err := g.asked(ask.Tables); err != nil {
		return "", err
	}
	end := time.Now().Add(ask.For)
	var late []string
	for _, t := range g.sorted {
		name := t.String()
		if len(ask.Tables) > 0 && !slices.Contains(ask.Tables, name) {
			continue
		}
		within := tableTime
		if ask.For > 0 {
			within = min(within, time.Until(end))
		}
		out, inTime, err := g.sampleTable(ctx, r, t, closed(t), ask.Rows, within)
		if err != nil {
			return "", err
		}
		if !inTime {
			late = append(late, name)
		}
		for _, one := range out {
			if err := yield(one); err != nil {
				return "", err
			}
		}
	}
	if len(late) > 0 {
		partial = "not read, for lack of time or because a value can't be read: " + strings.Join(late[:min(len(late), 5)], ", ")
		if len(late) > 5 {
			partial += " and " + strconv.Itoa(len(late)-5) + " more"
		}
	}
	return partial, nil
}

// asked is NotFound for a table that isn't there.
func (g *Graph) asked(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(g.sorted, func(t Table) bool { return t.String() == name }) {
			return tenure.Errorf(tenure.NotFound, "there is no table %s", name).WithHint("give its name as the catalog has it, with its schema where there is one")
		}
	}
	return nil
}

func (g *Graph) sampleTable(ctx context.Context, r Reader, t Table, closed string, rows int, within time.Duration) (out []connector.ColumnSample, inTime bool, err error) {
	var exprs []string
	var at []int
	for _, c := range t.Columns {
		one := connector.ColumnSample{Table: t.String(), Column: columnInfo(c), Says: closed}
		if closed == "" {
			var expr string
			if expr, one.JSON, one.Says = r.Text(t, c); one.Says == "" {
				exprs, at = append(exprs, expr), append(at, len(out))
			}
		}
		out = append(out, one)
	}
	if len(exprs) == 0 {
		return out, true, nil
	}
	if within <= 0 {
		return unread(out, at, "there was no time left to read it"), false, nil
	}
	end := time.Now().Add(within)
	from := " from " + r.Name(t.TableName) + " as " + Quote(alias)
	read := func(exprs []string, rest string, limit int) (all [][]*string, done bool, err error) {
		left := time.Until(end)
		if left <= 0 {
			return nil, false, nil
		}
		done, err = r.Run(ctx, left, "select "+strings.Join(exprs, ", ")+from+rest+" limit "+strconv.Itoa(limit), len(exprs), func(v []*string) { all = append(all, slices.Clone(v)) })
		return all, done, err
	}
	all, done, err := read(exprs, "", rows)
	if err != nil {
		return nil, false, err
	}
	if !done {
		return unread(out, at, "it couldn't be read, or not in time"), false, nil
	}
	full := len(all) == rows
	if full && len(t.Key) > 0 {
		by := make([]string, len(t.Key))
		for i, name := range t.Key {
			by[i] = Quote(alias, name) + " desc"
		}
		last, done, err := read(exprs, " order by "+strings.Join(by, ", "), rows/2)
		if err != nil {
			return nil, false, err
		}
		if done {
			all = append(all[:rows-rows/2], last...)
		}
	}
	for i, n := range at {
		one := &out[n]
		one.Read = true
		for _, row := range all {
			if row[i] != nil {
				one.Values = append(one.Values, *row[i])
			}
		}
		if len(one.Values) > 0 || !full || t.Columns[n].Required {
			continue
		}
		sparse, done, err := read(exprs[i:i+1], " where "+Quote(alias, one.Column.Name)+" is not null", min(rows, sparseRows))
		if err != nil {
			return nil, false, err
		}
		for _, row := range sparse {
			if done && row[0] != nil {
				one.Values = append(one.Values, *row[0])
			}
		}
	}
	return out, true, nil
}

func unread(out []connector.ColumnSample, at []int, says string) []connector.ColumnSample {
	for _, n := range at {
		out[n].Says = says
	}
	return out
}
