package sqlite

import (
	"context"
	"encoding/hex"
	"encoding/json"
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
	if len(t.Key) > 0 {
		out.Uniques = append(out.Uniques, t.Key)
	}
	rows, err := q.Query(ctx, "select i.name, coalesce(c.name, '') from pragma_index_list($1) i, pragma_index_info(i.name) c where i.\"unique\" order by i.name, c.seqno", t.Name)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return out, err
		}
		if index != last {
			out.Uniques, last = append(out.Uniques, nil), index
		}
		at := len(out.Uniques) - 1
		out.Uniques[at] = append(out.Uniques[at], column)
	}
	if err := rows.Err(); err != nil {
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
