package sqlite

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// readKeys reads the foreign keys. SQLite compares names without regard to the
// case of ASCII letters, and a reference that names no columns means the
// parent's primary key. Every reference but restrict can be checked late (pragma
// defer_foreign_keys). Those in broken lead to columns that are no key.
func readKeys(ctx context.Context, q relational.Querier, skip []string, tables []relational.Table, indexes map[string][]index) (out, broken []relational.ForeignKey, err error) {
	var all []relational.ForeignKey
	var child, parent, from, to, action string
	var id int
	byName := map[string]*relational.Table{}
	for i := range tables {
		byName[strings.ToLower(tables[i].Name)] = &tables[i]
	}
	err = each(ctx, q, listed(skip)+` select l.name, f.id, f."table", f."from", coalesce(f."to", ''), f.on_delete
 from l, pragma_foreign_key_list(l.name) f order by l.name, f.id, f.seq`, func() error {
		p, c := byName[strings.ToLower(parent)], byName[strings.ToLower(child)]
		if p == nil || c == nil {
			return nil // a reference to a table that isn't there holds nothing up
		}
		name := strconv.Itoa(id)
		if n := len(all); n == 0 || all[n-1].Child != c.TableName || all[n-1].Name != name {
			all = append(all, relational.ForeignKey{Name: name, Child: c.TableName, Parent: p.TableName, OnDelete: relational.OnDelete(strings.ToLower(action)), Deferrable: action != "RESTRICT"})
		}
		k := &all[len(all)-1]
		if to == "" && len(k.Columns) < len(p.Key) {
			to = p.Key[len(k.Columns)]
		}
		k.Columns, k.Parents = append(k.Columns, spelled(c, from)), append(k.Parents, spelled(p, to))
		return nil
	}, &child, &id, &parent, &from, &to, &action)
	for _, k := range all {
		p := byName[strings.ToLower(k.Parent.Name)]
		if sameColumns(p.Key, k.Parents) || slices.ContainsFunc(indexes[k.Parent.Name], func(x index) bool { return x.unique && sameColumns(x.columns, k.Parents) }) {
			out = append(out, k)
		} else {
			broken = append(broken, k)
		}
	}
	return out, broken, err
}

// index is an index, or a primary key, of a table.
type index struct {
	columns []string
	unique  bool
}

// readIndexes are the indexes that cover all rows, by table.
func readIndexes(ctx context.Context, q relational.Querier, skip []string) (map[string][]index, error) {
	out := map[string][]index{}
	var table, name, column, last string
	var unique bool
	err := each(ctx, q, listed(skip)+` select l.name, i.name, i."unique", coalesce(x.name, '') from l, pragma_index_list(l.name) i, pragma_index_info(i.name) x
 where not i.partial order by l.name, i.name, x.seqno`, func() error {
		if name != last {
			out[table] = append(out[table], index{unique: unique})
		}
		last = name
		at := &out[table][len(out[table])-1]
		at.columns = append(at.columns, column)
		return nil
	}, &table, &name, &unique, &column)
	return out, err
}

func sameColumns(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return len(a) > 0 && slices.EqualFunc(a, b, strings.EqualFold)
}

// slow says that SQLite would read the whole of the child for each row that goes
// from the parent, since no index leads to the rows that refer to it.
func (c catalog) slow(k relational.ForeignKey) bool {
	leads := func(columns []string) bool {
		return len(columns) >= len(k.Columns) && sameColumns(columns[:len(k.Columns)], k.Columns)
	}
	t, _ := c.graph.Table(k.Child)
	return !leads(t.Key) && !slices.ContainsFunc(c.indexes[k.Child.Name], func(x index) bool { return leads(x.columns) })
}

// spelled gives a column's name as its table has it.
func spelled(t *relational.Table, name string) string {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c.Name
		}
	}
	return name
}
