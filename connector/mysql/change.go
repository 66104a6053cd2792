package mysql

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// Typed is described at relational.Dialect: the server makes of a parameter what the
// column is, but adds a text to a decimal as floating numbers.
func (dialect) Typed(t relational.Table, column, parameter string) string {
	c, _ := t.Column(column)
	switch sortOf(c.Type) {
	case integral:
		return "cast(" + parameter + " as decimal(65,0))"
	case decimal:
		_, scale, _ := strings.Cut(c.Type, ",")
		scale, _, _ = strings.Cut(scale, ")")
		if scale == "" {
			scale = "0"
		}
		return "cast(" + parameter + " as decimal(65," + scale + "))"
	}
	return parameter
}

// Assign is described at relational.Dialect.
func (d dialect) Assign(t relational.Table, alias string, columns []string, rows []relational.Assigned) (sql string, args []any) {
	keys, set := make([]string, len(t.Key)), make([]string, len(columns))
	for i, k := range t.Key {
		keys[i] = quote(alias, k) + " = " + quote("v", "k"+strconv.Itoa(i))
	}
	for i, c := range columns {
		set[i] = quote(alias, c) + " = " + quote("v", "c"+strconv.Itoa(i))
	}
	selects := make([]string, len(rows))
	for i, r := range rows {
		address := r.Address
		if len(t.Key) > 1 {
			address = strings.TrimSuffix(strings.TrimPrefix(address, "("), ")")
		}
		parts := []string{address}
		for i, v := range r.Values {
			c, _ := t.Column(columns[i])
			parts = append(parts, constant(v, c.Type))
		}
		selects[i] = "select " + strings.Join(parts, ", ")
	}
	// The first names the columns, and has no row.
	names := make([]string, 0, len(t.Key)+len(columns))
	for i, k := range t.Key {
		names = append(names, quote("f", k)+" as "+quote("k"+strconv.Itoa(i)))
	}
	for i, c := range columns {
		names = append(names, quote("f", c)+" as "+quote("c"+strconv.Itoa(i)))
	}
	first := "select " + strings.Join(names, ", ") + " from " + d.Name(t.TableName) + " as " + quote("f") + " where false"
	return "update " + d.Name(t.TableName) + " as " + quote(alias) + " join (" + first + " union all " + strings.Join(selects, " union all ") + ") as " + quote("v") + " on " +
		strings.Join(keys, " and ") + " set " + strings.Join(set, ", "), nil
}

// leastTimestamp is a moment that a timestamp can hold in every time zone: its first second
// is 1970-01-01 00:00:01 UTC.
const leastTimestamp = "1970-01-02 00:00:00"

// constant is a value of a type as SQL writes it. What was binary is an object with its
// hexadecimal digits.
func constant(v any, typ string) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if strings.HasPrefix(typ, "timestamp") && v < leastTimestamp {
			v = leastTimestamp // the first day of the year 1970 isn't one, nor is an earlier one
		}
		if !strings.HasPrefix(typ, "json ") {
			return literal(v)
		}
	case map[string]any:
		digits, _ := v["hex"].(string)
		raw, err := hex.DecodeString(digits)
		switch sort := sortOf(typ); {
		case err != nil:
		case sort == binary:
			return "x'" + hex.EncodeToString(raw) + "'"
		case sort == shaped:
			return "st_geomfromwkb(x'" + hex.EncodeToString(raw) + "')"
		}
	case json.Number:
		return string(v)
	case bool:
		switch {
		case strings.HasPrefix(typ, "json "):
		case v:
			return "1"
		default:
			return "0"
		}
	}
	raw, _ := tenure.Canonical(v)
	return literal(string(raw))
}

// Constraints is described at relational.Dialect.
func (dialect) Constraints(ctx context.Context, q relational.Querier, t relational.Table) (out relational.Constraints, err error) {
	where := " where table_schema = " + literal(t.Schema) + " and table_name = " + literal(t.Name)
	var index, column string
	unique := map[string][]string{}
	err = each(ctx, q, "select index_name, coalesce(column_name, '') from information_schema.statistics"+where+" and non_unique = 0 order by index_name, seq_in_index", func() error {
		unique[index] = append(unique[index], column)
		return nil
	}, &index, &column)
	if err != nil {
		return out, err
	}
	for _, columns := range unique {
		out.Uniques = append(out.Uniques, columns)
	}
	slices.SortFunc(out.Uniques, slices.Compare)
	err = each(ctx, q, "select column_name from information_schema.columns"+where+" and (column_default is not null or extra like '%auto_increment%')", func() error {
		out.Defaults = append(out.Defaults, column)
		return nil
	}, &column)
	if err != nil {
		return out, err
	}
	var name, clause string
	err = each(ctx, q, "select constraint_name, check_clause from information_schema.check_constraints where constraint_schema = "+literal(t.Schema)+" and table_name = "+literal(t.Name), func() error {
		k := relational.Check{Name: name, Clause: clause}
		for _, c := range t.Columns {
			if strings.Contains(clause, "`"+strings.ReplaceAll(c.Name, "`", "``")+"`") {
				k.Columns = append(k.Columns, c.Name)
			}
		}
		out.Checks = append(out.Checks, k)
		return nil
	}, &name, &clause)
	return out, err
}
