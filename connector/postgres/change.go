package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// Typed is described at relational.Dialect.
func (dialect) Typed(t relational.Table, column, parameter string) string {
	c, _ := t.Column(column)
	return "(" + parameter + "::text)::" + c.Type
}

// Assign is described at relational.Dialect. The values go as one JSON text.
func (d dialect) Assign(t relational.Table, alias string, columns []string, rows []relational.Assigned) (sql string, args []any) {
	set, shape, addresses := make([]string, len(columns)), make([]string, len(columns)), make([]string, len(rows))
	for i, name := range columns {
		at := quote("v", "c"+strconv.Itoa(i))
		c, _ := t.Column(name)
		set[i], shape[i] = quote(name)+" = "+at+"::"+c.Type, quote("c"+strconv.Itoa(i))+" text"
	}
	all := make([]map[string]any, len(rows))
	for i, r := range rows {
		addresses[i] = r.Address
		all[i] = map[string]any{"at": r.Address}
		for j, v := range r.Values {
			c, _ := t.Column(columns[j])
			all[i]["c"+strconv.Itoa(j)] = inText(v, c.Type)
		}
	}
	raw, _ := json.Marshal(all) // maps of texts
	return "update " + d.Name(t.TableName) + " as " + quote(alias) + " set " + strings.Join(set, ", ") + ` from json_to_recordset($1::json) as "v" ("at" text, ` + strings.Join(shape, ", ") + ") where " +
		d.At(t, alias, addresses) + " and " + d.Address(t, alias) + ` = "v"."at"`, []any{string(raw)}
}

// inText is a value as its type, named as the catalog names it, reads it; nil is null.
func inText(v any, typ string) any {
	kind := relational.KindOf(typ)
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if kind != "json" {
			return v
		}
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		if kind == "list" {
			return arrayText(v)
		}
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

// arrayText is a list as the server reads an array.
func arrayText(v []any) string {
	parts := make([]string, len(v))
	for i, e := range v {
		switch e := e.(type) {
		case nil:
			parts[i] = "NULL"
		case []any:
			parts[i] = arrayText(e)
		default:
			s, _ := inText(e, "text").(string)
			parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// constraintsSQL reads the unique indexes of a table, its checks and its defaults.
const constraintsSQL = `select 'unique', i.relname::text, coalesce((select json_agg(a.attname order by k.n) from unnest(x.indkey::int2[]) with ordinality k (at, n) left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.at and k.at > 0
  where k.n <= x.indnkeyatts)::text, '[]'), '' from pg_index x join pg_class i on i.oid = x.indexrelid where x.indisunique and x.indrelid = RELATION
 union all
select 'check', c.conname::text, coalesce((select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey))::text, '[]'), pg_get_expr(c.conbin, c.conrelid)
 from pg_constraint c where c.contype = 'c' and c.conrelid = RELATION
 union all
select 'default', a.attname::text, '[]', '' from pg_attribute a where a.attrelid = RELATION and a.attnum > 0 and not a.attisdropped and (a.atthasdef or a.attidentity <> '')`

// Constraints is described at relational.Dialect.
func (dialect) Constraints(ctx context.Context, q relational.Querier, t relational.Table) (out relational.Constraints, err error) {
	at := literal(quote(t.Schema, t.Name)) + "::regclass"
	err = each(ctx, q, strings.ReplaceAll(constraintsSQL, "RELATION", at), 4, func(v []string) {
		var names []*string
		_ = json.Unmarshal([]byte(v[2]), &names) // what json_agg made
		columns := make([]string, 0, len(names))
		for _, n := range names {
			if n != nil {
				columns = append(columns, *n)
			} else {
				columns = append(columns, "") // an expression
			}
		}
		switch v[0] {
		case "unique":
			out.Uniques = append(out.Uniques, columns)
		case "check":
			out.Checks = append(out.Checks, relational.Check{Name: v[1], Columns: slices.Clone(columns), Clause: v[3]})
		default:
			out.Defaults = append(out.Defaults, v[1])
		}
	})
	return out, err
}
