package sqlite

import (
	"context"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// readKeys reads the foreign keys. SQLite compares names without regard to the
// case of ASCII letters, and a reference that names no columns means the
// parent's primary key.
func readKeys(ctx context.Context, q relational.Querier, tables []relational.Table) ([]relational.ForeignKey, error) {
	r, err := q.Query(ctx, `select t.name, f.id, f."table", f."from", coalesce(f."to", ''), f.on_delete
 from pragma_table_list t, pragma_foreign_key_list(t.name) f where t.schema = 'main' and t.type = 'table' and not `+ownSQL+` order by t.name, f.id, f.seq`)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []relational.ForeignKey
	for r.Next() {
		var child, parent, from, to, action string
		var id int
		if err := r.Scan(&child, &id, &parent, &from, &to, &action); err != nil {
			return nil, err
		}
		p, c := named(tables, parent), named(tables, child)
		if p == nil || c == nil {
			continue // a reference to a table that isn't there holds nothing up
		}
		name := strconv.Itoa(id)
		if n := len(out); n == 0 || out[n-1].Child != c.TableName || out[n-1].Name != name {
			out = append(out, relational.ForeignKey{Name: name, Child: c.TableName, Parent: p.TableName, OnDelete: onDelete(action), Deferrable: action != "RESTRICT"})
		}
		k := &out[len(out)-1]
		from = spelled(c.Columns, from)
		if to == "" && len(k.Columns) < len(p.Key) {
			to = p.Key[len(k.Columns)]
		}
		k.Columns, k.Parents = append(k.Columns, from), append(k.Parents, spelled(p.Columns, to))
	}
	return out, r.Err()
}

func onDelete(action string) relational.OnDelete {
	switch action {
	case "CASCADE":
		return relational.Cascade
	case "SET NULL":
		return relational.SetNull
	case "SET DEFAULT":
		return relational.SetDefault
	case "RESTRICT":
		return relational.Restrict
	}
	return relational.NoAction
}

func named(tables []relational.Table, name string) *relational.Table {
	for i := range tables {
		if strings.EqualFold(tables[i].Name, name) {
			return &tables[i]
		}
	}
	return nil
}

// spelled gives a column's name as its table has it.
func spelled(columns []relational.Column, name string) string {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c.Name
		}
	}
	return name
}
