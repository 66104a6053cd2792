package sqlite

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// Typed is described at relational.Dialect: a value comes under its column's affinity by
// itself.
func (dialect) Typed(_ relational.Table, _, parameter string) string { return parameter }

// Assign is described at relational.Dialect.
func (d dialect) Assign(t relational.Table, alias string, columns []string, rows []relational.Assigned) (sql string, args []any) {
	set, values := make([]string, len(columns)), make([]string, len(rows))
	tuples := rowid(t) == ""
	width := 1
	if keys, _ := telling(t); tuples {
		width = len(keys)
	}
	for i, c := range columns {
		set[i] = quote(c) + ` = "v".column` + strconv.Itoa(width+1+i)
	}
	for i, r := range rows {
		address := r.Address
		if tuples {
			address = strings.TrimSuffix(strings.TrimPrefix(address, "("), ")")
		}
		parts := []string{address}
		for _, v := range r.Values {
			parts = append(parts, constant(v))
		}
		values[i] = "(" + strings.Join(parts, ", ") + ")"
	}
	same := ""
	if tuples {
		keys, _ := telling(t)
		all := make([]string, len(keys))
		for i, k := range keys {
			all[i] = relational.Quote(alias, k) + ` is "v".column` + strconv.Itoa(i+1)
		}
		same = strings.Join(all, " and ")
	} else {
		same = quote(alias) + "." + rowid(t) + ` = "v".column1`
	}
	return "update " + d.Name(t.TableName) + " as " + quote(alias) + " set " + strings.Join(set, ", ") + " from (values " + strings.Join(values, ", ") + `) as "v" where ` + same, nil
}

// constant is a value as SQL writes it. What was a blob is an object with its
// hexadecimal digits.
func constant(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if strings.ContainsRune(v, 0) {
			return "cast(x'" + hex.EncodeToString([]byte(v)) + "' as text)"
		}
		return literal(v)
	case json.Number:
		return string(v)
	case bool:
		if v {
			return "1"
		}
		return "0"
	case map[string]any:
		if digits, is := v["hex"].(string); is && len(v) == 1 {
			if raw, err := hex.DecodeString(digits); err == nil {
				return "x'" + hex.EncodeToString(raw) + "'"
			}
		}
	}
	raw, _ := tenure.Canonical(v)
	return literal(string(raw))
}

// Constraints is described at relational.Dialect. SQLite keeps checks as text alone, so
// what they ask for shows when a row is changed.
func (dialect) Constraints(ctx context.Context, q relational.Querier, t relational.Table) (out relational.Constraints, err error) {
	out.Loose = true
	if len(t.Key) > 0 {
		out.Uniques = append(out.Uniques, relational.Unique{Name: "primary key", Columns: t.Key})
	}
	rows, err := q.Query(ctx, `select i.name, i.partial, coalesce(c.name, ''), coalesce(s.sql, ''), t.sql from sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c left join sqlite_schema s on s.type = 'index' and s.name = i.name
 where t.type = 'table' and t.name = $1 and i."unique" order by i.name, c.seqno`, t.Name)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	for rows.Next() {
		var index, column, sql, table string
		var partial bool
		if err := rows.Scan(&index, &partial, &column, &sql, &table); err != nil {
			return out, err
		}
		at := len(out.Uniques) - 1
		if at < 0 || out.Uniques[at].Name != index {
			out.Uniques, at = append(out.Uniques, relational.Unique{Name: index, Partial: partial}), at+1
		}
		u := &out.Uniques[at]
		if u.Columns = append(u.Columns, column); column == "" || partial {
			u.Beside = mentioned(t, sql)
		}
	}
	if err := rows.Err(); err != nil {
		return out, err
	}
	if err := computed(ctx, q, t, &out); err != nil {
		return out, err
	}
	defaults, err := q.Query(ctx, "select name from pragma_table_xinfo($1) where dflt_value is not null", t.Name)
	if err != nil {
		return out, err
	}
	defer defaults.Close()
	for defaults.Next() {
		var name string
		if err := defaults.Scan(&name); err != nil {
			return out, err
		}
		out.Defaults = append(out.Defaults, name)
	}
	return out, defaults.Err()
}

// computed reads what generated columns are worked out from: each of the columns that the
// table's expressions name.
func computed(ctx context.Context, q relational.Querier, t relational.Table, out *relational.Constraints) error {
	rows, err := q.Query(ctx, "select x.name, t.sql from sqlite_schema t, pragma_table_xinfo(t.name) x where t.type = 'table' and t.name = $1 and x.hidden in (2, 3)", t.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	out.Computed = map[string][]string{}
	for rows.Next() {
		var name, sql string
		if err := rows.Scan(&name, &sql); err != nil {
			return err
		}
		var from []string
		for _, part := range expressions(sql) {
			from = append(from, mentioned(t, part)...)
		}
		out.Computed[name] = from
	}
	return rows.Err()
}

var asOpens = regexp.MustCompile(`(?i)\bas\s*\(`)

// expressions are the texts in parentheses after "as".
func expressions(sql string) (out []string) {
	for _, at := range asOpens.FindAllStringIndex(sql, -1) {
		depth, end := 0, at[1]-1
		for ; end < len(sql); end++ {
			if sql[end] == '(' {
				depth++
			} else if sql[end] == ')' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		out = append(out, sql[at[1]:min(end, len(sql))])
	}
	return out
}

// mentioned are the columns whose names stand in an expression, in whichever quotes.
func mentioned(t relational.Table, sql string) (out []string) {
	sql = strings.ToLower(sql)
	for _, c := range t.Columns {
		name := strings.ToLower(c.Name)
		if !c.Computed && (strings.Contains(sql, name) || strings.Contains(sql, strings.ReplaceAll(name, `"`, `""`)) || strings.Contains(sql, strings.ReplaceAll(name, "`", "``"))) {
			out = append(out, c.Name)
		}
	}
	return out
}
