package mysql

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// search seeks the key in columns that the catalog doesn't give away, within a budget.
func (d *Driver) search(ctx context.Context, s *session, e *estate, budget time.Duration, beside relational.Beside) (out []connector.Place, partial string, err error) {
	if budget <= 0 || e.a.Key == "" {
		return nil, "", nil
	}
	registered, err := d.marks.Registered(ctx, s, d.dialect)
	if err != nil {
		return nil, "", err
	}
	end, judged := time.Now().Add(budget), e.judged()
	for _, t := range e.Tables {
		sql := e.Alone(t)
		if sql == "" || time.Now().After(end) {
			continue
		}
		n, err := count(ctx, s, sql)
		if err != nil {
			return nil, "", err
		}
		if name := t.Table.String(); n > 0 {
			out = append(out, connector.Place{Name: name, Kind: connector.PlaceKey, Class: e.Classes[t.Table.TableName], Via: "nobody", Rows: n, Says: relational.UnclaimedSays(n, name)})
		}
	}
	for _, t := range e.Graph.Tables() {
		r, held := e.Table(t.TableName)
		if beside.Has(t.TableName) || e.Shared(t.TableName) || held && e.Classes[t.TableName] == "" {
			continue
		}
		rest, theirs := "", "0"
		if mark := registered[t.TableName]; t.Has(mark) {
			rest = " and " + relational.Unmarked(mark)
		}
		if held {
			rest += " and (" + r.Where() + ") is not true"
			theirs = "count(case when " + e.Theirs(t.TableName) + " then 1 end)"
		}
		for _, c := range t.Columns {
			where := e.seeks(t, c)
			if where == "" || slices.Contains(judged[t.TableName], c.Name) {
				continue
			}
			left := time.Until(end)
			if left <= 0 {
				return out, "the budget ended before the key was sought in " + t.String(), nil
			}
			var n, others int64
			err := each(ctx, s, "set statement max_statement_time = "+strconv.FormatFloat(max(left.Seconds(), 0.01), 'f', 3, 64)+" for select count(*), "+theirs+" from "+d.dialect.Name(t.TableName)+` as "t" where (`+where+")"+rest, nil, &n, &others)
			if isNumber(err, 1969) && ctx.Err() == nil {
				return out, "the budget ended before the key was sought in " + t.String(), nil
			}
			if err != nil {
				return nil, "", err
			}
			if n > 0 {
				out = append(out, e.Found(t, c.Name, n, others))
			}
			if n > 0 && !held {
				break
			}
		}
	}
	return out, "", nil
}

// judged are the columns, by table, that other looks judge: tenant columns, and those
// that refer to the tenant's rows.
func (e *estate) judged() map[relational.TableName][]string {
	out := map[relational.TableName][]string{}
	for _, t := range e.Tables {
		out[t.Table.TableName] = []string{e.TenantColumn(t.Table.TableName)}
	}
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); held {
			out[k.Child] = append(out[k.Child], k.Columns...)
		}
	}
	return out
}

// seeks is the condition under which a column has the key as its value, in any case of
// letters, or in a JSON document at any depth; "" if it isn't one to look at.
func (e *estate) seeks(t relational.Table, c relational.Column) string {
	key := e.a.Key
	names, _ := e.TenantColumns(t.TableName)
	if len(names) == 0 {
		names = []string{"tenant"}
	}
	wide := relational.Telling(key) || relational.Speaks(c.Name, names)
	if !wide || c.Computed {
		return ""
	}
	value := quote("t", c.Name)
	switch sortOf(c.Type) {
	case textual:
		// The server's own search in JSON takes signs of patterns; the key has none of its own.
		return "trim(convert(" + value + " using utf8mb4)) collate utf8mb4_general_ci = " + literal(key) +
			" or json_valid(" + value + ") and json_search(" + value + ", 'one', " + literal(likeless(key)) + ", '|') is not null"
	case binary, integral, decimal, bits, typed:
		if cond := isKey(t, "t", c.Name, key); cond != "false" {
			return cond
		}
	}
	return ""
}

// likeless is a text in which no sign stands for others, with | as the sign that takes
// the meaning off another.
func likeless(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r == '%' || r == '_' || r == '|' {
			out = append(out, '|')
		}
		out = append(out, r)
	}
	return string(out)
}
