package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"hash"
	"slices"
)

// shapes are digests of what the catalog says of tables, by name.
type shapes map[string]string

// shapesOf reads the shapes of the tables of databases, in bulk.
func shapesOf(ctx context.Context, s *session, databases []string) (map[string]shapes, error) {
	sums := map[[2]string]hash.Hash{}
	var db, table string
	var what sql.NullString
	for part := range slices.Chunk(databases, 500) {
		in := literals(part)
		for _, query := range []string{
			`select table_schema, table_name, json_array('column', ordinal_position, column_name, column_type, is_nullable, column_default, extra, generation_expression, character_set_name, collation_name)
 from information_schema.columns where table_schema in (` + in + `) order by table_schema, table_name, ordinal_position`,
			`select table_schema, table_name, json_array('index', index_name, seq_in_index, column_name, non_unique, sub_part, index_type)
 from information_schema.statistics where table_schema in (` + in + `) order by table_schema, table_name, binary index_name, seq_in_index`,
			`select constraint_schema, table_name, json_array('key', constraint_name, referenced_table_name, update_rule, delete_rule)
 from information_schema.referential_constraints where constraint_schema in (` + in + `) order by constraint_schema, table_name, binary constraint_name`,
			`select constraint_schema, table_name, json_array('check', constraint_name, check_clause)
 from information_schema.check_constraints where constraint_schema in (` + in + `) order by constraint_schema, table_name, binary constraint_name`,
			`select event_object_schema, event_object_table, json_array('trigger', trigger_name, action_timing, event_manipulation, action_statement)
 from information_schema.triggers where event_object_schema in (` + in + `) order by event_object_schema, event_object_table, binary trigger_name`,
		} {
			err := each(ctx, s, query, func() error {
				at := [2]string{db, table}
				if sums[at] == nil {
					sums[at] = sha256.New()
				}
				sums[at].Write([]byte(what.String + "\n"))
				return nil
			}, &db, &table, &what)
			if err != nil {
				return nil, err
			}
		}
	}
	out := map[string]shapes{}
	for at, h := range sums {
		if out[at[0]] == nil {
			out[at[0]] = shapes{}
		}
		out[at[0]][at[1]] = hex.EncodeToString(h.Sum(nil)[:6])
	}
	return out, nil
}

// altered are the tables that aren't as they were recorded.
func (was shapes) altered(now shapes) (out []string) {
	for name, sum := range was {
		if now[name] != sum {
			out = append(out, name)
		}
	}
	return sorted(out)
}
