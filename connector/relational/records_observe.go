package relational

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// bulk is how many rows one query asks for.
const bulk = 1000

// Observe reads the refs, table by table. Whole is false if rows may be hidden.
func (s Records) Observe(ctx context.Context, q Querier, refs []connector.Ref, yield func(connector.Observed) error) (whole bool, err error) {
	type place struct {
		table     TableName
		mark, key string
	}
	groups := map[place][]int{}
	recs := make([]record, len(refs))
	for i, r := range refs {
		if recs[i], err = s.parse(r); err != nil {
			return false, err
		}
		p := place{recs[i].table, recs[i].mark, encode(slices.Sorted(maps.Keys(recs[i].key)))}
		groups[p] = append(groups[p], i)
	}
	whole = true
	for p, group := range groups {
		v, err := s.Dialect.View(ctx, q, p.table, "t")
		if err != nil {
			return false, err
		}
		whole = whole && (!v.Exists || v.Whole)
		for part := range slices.Chunk(group, bulk) {
			found := map[string]live{}
			if v.Exists && v.Whole {
				if found, err = s.rows(ctx, q, v, recs, part); err != nil {
					return false, err
				}
			}
			for _, i := range part {
				if err := yield(s.observed(refs[i], recs[i], found)); err != nil {
					return false, err
				}
			}
		}
	}
	return whole, nil
}

// rows reads the rows of some records of one table, by their keys.
func (s Records) rows(ctx context.Context, q Querier, v View, recs []record, part []int) (map[string]live, error) {
	columns := slices.Sorted(maps.Keys(recs[part[0]].key))
	first := recs[part[0]]
	asked := make(map[string]bool, len(part))
	var list []string
	for _, i := range part {
		asked[encode(recs[i].key)] = true
		if len(columns) == 1 {
			list = append(list, s.Dialect.Literal(text(recs[i].key[columns[0]])))
		} else {
			list = append(list, "("+s.condition(recs[i])+")")
		}
	}
	in := strings.Join(list, " or ")
	if len(columns) == 1 {
		in = Quote(columns[0]) + " in (" + strings.Join(list, ", ") + ")"
	}
	rows, err := s.read(ctx, q, v, first.table, first.mark, in)
	if err != nil {
		return nil, err
	}
	found := make(map[string]live, len(rows))
	for _, l := range rows {
		key := map[string]any{}
		for _, c := range columns {
			key[c] = l.row[c]
		}
		k := encode(key)
		if !asked[k] {
			return nil, tenure.Errorf(tenure.Invalid, "a key of %s reads back as %s, which isn't how it was written", first.table, k).
				WithHint("write the key in the form that the database shows")
		}
		if old, twice := found[k]; twice && old.note.Mark != "" {
			continue
		}
		found[k] = l
	}
	return found, nil
}

func (s Records) observed(r connector.Ref, rec record, found map[string]live) connector.Observed {
	l, ok := found[encode(rec.key)]
	if !ok {
		return connector.Observed{Type: r.Type, Name: r.Name}
	}
	return s.shown(r.Type, r.Name, l, rec)
}

// shown is a live row as an observation.
func (s Records) shown(typ, name string, l live, rec record) connector.Observed {
	o := connector.Observed{Type: typ, Name: name, Found: true, State: l.state(rec.disable)}
	o.Resource, o.Owner = l.note.Read(s.Marker, typ)
	o.Attributes, _ = s.attributes(rec.table, rec.key, l.values(slices.Collect(maps.Keys(rec.values)), rec.disable))
	return o
}

// Discover yields the rows of a type that bear a note, ordered by name in bytes.
func (s Records) Discover(ctx context.Context, q Querier, typ string, tenant tenure.TenantID, yield func(connector.Observed) error) (whole bool, err error) {
	registered, err := s.Marks.Registered(ctx, q, s.Dialect)
	if err != nil {
		return false, err
	}
	whole = true
	var tables []TableName
	var selects []string
	for _, t := range slices.SortedFunc(maps.Keys(registered), TableName.Compare) {
		mark := registered[t]
		v, err := s.Dialect.View(ctx, q, t, "t")
		if err != nil {
			return false, err
		}
		if !v.Exists || !slices.Contains(v.Columns, mark) {
			continue
		}
		if !v.Whole {
			whole = false
			continue
		}
		column := `"t".` + Quote(mark)
		selects = append(selects, "select "+strconv.Itoa(len(tables))+` as "n", `+column+` as "note", `+v.JSON+` as "body" from `+s.Dialect.Name(t)+
			` "t" where `+column+" like 'tenure:_:%' and substr("+s.Dialect.Rest(column)+", 1, "+strconv.Itoa(len(typ)+1)+") = "+s.Dialect.Literal(typ+" "))
		tables = append(tables, t)
	}
	if len(selects) == 0 {
		return whole, nil
	}
	rows, err := q.Query(ctx, `select "n", "note", "body" from (`+strings.Join(selects, " union all ")+`) "u" order by `+s.Dialect.Rest(`"note"`))
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var note, body string
		if err := rows.Scan(&n, &note, &body); err != nil {
			return false, err
		}
		o, err := s.discovered(typ, tables[n], s.noteOf(note), body)
		if err != nil {
			return false, err
		}
		if t := ParseNote(note).Get("tenant"); tenant != "" && t != "" && t != string(tenant) {
			continue
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return whole, rows.Err()
}

// discovered reads a row by what its own note says of its columns.
func (s Records) discovered(typ string, t TableName, n Note, body string) (connector.Observed, error) {
	row, err := decodeRow(body)
	if err != nil {
		return connector.Observed{}, err
	}
	var key, values []string
	_ = json.Unmarshal([]byte(n.Get("key")), &key)
	_ = json.Unmarshal([]byte(n.Get("values")), &values)
	rec := record{table: t, key: map[string]any{}, values: map[string]any{}, disable: object(n.Get("disable"))}
	for _, c := range key {
		rec.key[c] = row[c]
	}
	for _, c := range values {
		rec.values[c] = row[c]
	}
	return s.shown(typ, n.Name, live{note: n, row: row}, rec), nil
}
