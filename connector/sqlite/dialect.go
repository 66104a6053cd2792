package sqlite

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is SQLite's SQL for package relational.
type dialect struct{}

var _ relational.Dialect = dialect{}

func quote(name string) string { return relational.Quote(name) }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// own says whether a table is Tenure's or SQLite's own.
const (
	ownTables = `('tenure_mark', 'tenure_sentinel', 'tenure_tally', 'tenure_parent')`
	ownSQL    = `(t.name like 'sqlite\_%' escape '\' or t.name in ` + ownTables + `)`
)

func (dialect) Name(t relational.TableName) string { return quote(t.Name) }

// Literal compares byte by byte, also with a column that folds case: two
// tenants' keys may differ in case alone.
func (dialect) Literal(s string) string { return literal(s) + " collate binary" }

func (dialect) ForUpdate() string { return "" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", instr(" + column + ", char(10)) + 1) collate binary"
}

// Keyed is described at relational.Dialect.
func (dialect) Keyed(t relational.Table, alias, column, key string) (ours, theirs, nobodys string) {
	value := valueOf(alias, column)
	ours = isKey(value, affinityOf(t, column), key)
	return ours, "(" + value + " is not null and not " + ours + ")", value + " is null"
}

// valueOf is a tenant column, or a path of keys in one, as an expression. What
// isn't JSON has no path, and a list or an object is no key.
func valueOf(alias, column string) string {
	name, path, is := strings.Cut(column, "->>")
	out := quote(name)
	if alias != "" {
		out = relational.Quote(alias, name)
	}
	if !is {
		return out
	}
	at := "$"
	for part := range strings.SplitSeq(path, "->>") {
		at += `."` + part + `"`
	}
	at = out + ", " + literal(at) + ")"
	return "(case when not json_valid(" + out + ") then null when json_type(" + at + " in ('array', 'object') then null else json_extract(" + at + " end)"
}

// affinityOf is a tenant column's affinity; what stands in JSON has none.
func affinityOf(t relational.Table, column string) string {
	c, _ := t.Column(column)
	return affinity(c.Type)
}

// rowid is the name under which a table's rowid can be read; "" if columns have
// taken all three.
func rowid(t relational.Table) string {
	if !t.RowID {
		return ""
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.ContainsFunc(t.Columns, func(c relational.Column) bool { return strings.EqualFold(c.Name, name) }) {
			return name
		}
	}
	return ""
}

// telling are the columns that tell a table's rows apart where their rowid can't
// be read: the key if none of it can be null, else all of them.
func telling(t relational.Table) (columns []string, null bool) {
	if !t.RowID && len(t.Key) > 0 {
		return t.Key, false
	}
	return t.Names(), true
}

// Address is described at relational.Dialect: a rowid, or values as SQL writes them.
func (dialect) Address(t relational.Table, alias string) string {
	if name := rowid(t); name != "" {
		return quote(alias) + "." + name // a quoted rowid would be a column
	}
	columns, _ := telling(t)
	parts := make([]string, len(columns))
	for i, c := range columns {
		v := relational.Quote(alias, c)
		parts[i] = "case typeof(" + v + ") when 'text' then 'cast(x''' || hex(" + v + ") || ''' as text)' else quote(" + v + ") end"
	}
	return "'(' || " + strings.Join(parts, " || ', ' || ") + " || ')'"
}

// At is described at relational.Dialect.
func (dialect) At(t relational.Table, alias string, addresses []string) string {
	if name := rowid(t); name != "" {
		return quote(alias) + "." + name + " in (" + strings.Join(addresses, ", ") + ")"
	}
	columns, null := telling(t)
	mine := make([]string, len(columns))
	for i, c := range columns {
		mine[i] = relational.Quote(alias, c)
	}
	values := "(values " + strings.Join(addresses, ", ") + ")"
	if !null {
		return "(" + strings.Join(mine, ", ") + ") in " + values
	}
	for i := range mine {
		mine[i] += ` is "v".column` + strconv.Itoa(i+1)
	}
	return "exists (select 1 from " + values + ` "v" where ` + strings.Join(mine, " and ") + ")"
}

// DeleteFrom is described at relational.Dialect.
func (d dialect) DeleteFrom(t relational.TableName, alias string) string {
	return "delete from " + d.Name(t) + " as " + quote(alias)
}

// DeleteSome is described at relational.Dialect.
func (d dialect) DeleteSome(t relational.Table, alias, where string, limit int) string {
	from := d.Name(t.TableName) + " as " + quote(alias)
	rest := " from " + from + " where " + where + " limit " + strconv.Itoa(limit) + ")"
	if name := rowid(t); name != "" {
		at := quote(alias) + "." + name
		return "delete from " + from + " where " + at + " in (select " + at + rest
	}
	columns, _ := telling(t)
	mine, same := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		mine[i] = relational.Quote(alias, c) + ` as "v` + strconv.Itoa(i) + `"`
		same[i] = relational.Quote(alias, c) + ` is "v"."v` + strconv.Itoa(i) + `"`
	}
	return "delete from " + from + " where exists (select 1 from (select " + strings.Join(mine, ", ") + rest + ` "v" where ` + strings.Join(same, " and ") + ")"
}

// Obstacles is described at relational.Dialect.
func (dialect) Obstacles(ctx context.Context, q relational.Querier, t relational.TableName) (string, error) {
	all, err := triggers(ctx, q)
	var raising, before []string
	for _, g := range all {
		switch {
		case !strings.EqualFold(g.table, t.Name) || g.event == "insert":
		case g.raises != "":
			raising = append(raising, "trigger "+g.name)
		case g.before:
			before = append(before, "trigger "+g.name)
		}
	}
	if len(raising) == 0 {
		raising = before
	}
	return strings.Join(raising, ", "), err
}

// Updaters is described at relational.Dialect. Left out are triggers that don't run
// when a reference changes, that write nothing, and that keep an index in step.
func (dialect) Updaters(ctx context.Context, q relational.Querier, t relational.TableName, _ []string) (out []string, err error) {
	c, err := readCatalog(ctx, q)
	for _, g := range c.triggers {
		if c.watches(g, t) && slices.ContainsFunc(g.writes, func(w write) bool { return !c.keeps(w) }) {
			out = append(out, g.name)
		}
	}
	return out, err
}

// watches says that the trigger runs when rows of the table lose a reference.
func (c catalog) watches(g trigger, t relational.TableName) bool {
	return g.event == "update" && strings.EqualFold(g.table, t.Name) && (len(g.columns) == 0 || slices.ContainsFunc(c.graph.Keys(), func(k relational.ForeignKey) bool {
		return k.Child == t && slices.ContainsFunc(k.Columns, func(name string) bool { return foldedIn(g.columns, name) })
	}))
}

// keeps says that the statement keeps an index in step with the row that changed.
func (c catalog) keeps(w write) bool {
	v := c.virtual(w.table)
	if v == nil {
		return false
	}
	_, wrong := c.unsure(*v)
	return wrong == ""
}

// kept are the tables of what an erasure keeps in the file.
var kept = relational.Kept{Tally: "tenure_tally", Parents: "tenure_parent"}

// Written is described at relational.Dialect.
func (dialect) Written(resource string, t relational.Table, columns []string) string {
	parts := make([]string, len(columns))
	for i := range columns {
		at := "'$[" + strconv.Itoa(i) + "]"
		parts[i] = "case json_type(p.key, " + at + "') when 'object' then unhex(json_extract(p.key, " + at + ".hex')) else json_extract(p.key, " + at + "') end"
	}
	return "select " + strings.Join(parts, ", ") + " from " + kept.Parents + " p where p.resource = " + literal(resource) + " and p.relation = " +
		literal(t.Name) + " and p.columns = " + literal(strings.Join(columns, ","))
}

// asWritten is how values of a row are written down.
func asWritten(alias string, columns []string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		v := relational.Quote(alias, c)
		out[i] = "json(case typeof(" + v + ") when 'blob' then json_object('hex', hex(" + v + ")) else json_quote(" + v + ") end)"
	}
	return "json_array(" + strings.Join(out, ", ") + ")"
}

// IsWritten is described at relational.Dialect.
func (dialect) IsWritten(resource string, t relational.Table, columns []string, alias string) string {
	return "exists (select 1 from " + kept.Parents + " p where p.resource = " + literal(resource) + " and p.relation = " + literal(t.Name) + " and p.columns = " + literal(strings.Join(columns, ",")) + " and p.key = " + asWritten(alias, columns) + ")"
}

// Write is described at relational.Dialect.
func (dialect) Write(ctx context.Context, q relational.Querier, resource string, k relational.ForeignKey, where string) error {
	has := ""
	for _, c := range k.Columns {
		has += " and " + relational.Quote("t", c) + " is not null"
	}
	_, err := q.Exec(ctx, "insert into "+kept.Parents+" (resource, relation, columns, key) select distinct "+literal(resource)+", "+literal(k.Parent.Name)+", "+
		literal(strings.Join(k.Parents, ","))+", "+asWritten("t", k.Columns)+" from "+quote(k.Child.Name)+` "t" where (`+where+")"+has+" on conflict do nothing")
	return err
}

func (dialect) Defer(ctx context.Context, q relational.Querier) error {
	_, err := q.Exec(ctx, "pragma defer_foreign_keys = 1")
	return err
}

// Argument gives a number as a number, true and false as 1 and 0, and lists and
// objects as JSON text.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case nil, string:
		return v
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return string(v)
	case int, int64, float64:
		return v
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

func (d dialect) Stored(v any) any {
	switch v := v.(type) {
	case bool:
		return d.Argument(v)
	case []any, map[string]any:
		return d.Argument(v)
	}
	return v
}

// View is described at relational.Dialect. A row's JSON gives a blob as an
// object with its hexadecimal digits under "hex". What is worked out when it is read
// isn't in it: the schema says how, and a tenant's own expression may be anything.
func (dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{Whole: true}
	r, err := q.Query(ctx, `select x.name from sqlite_schema t, pragma_table_xinfo(t.name) x
 where t.type = 'table' and t.name = $1 and x.hidden not in (1, 2) and not `+ownSQL+` order by x.cid`, t.Name)
	if err != nil {
		return v, err
	}
	defer r.Close()
	var parts []string
	for r.Next() {
		var column string
		if err := r.Scan(&column); err != nil {
			return v, err
		}
		v.Exists = true
		v.Columns = append(v.Columns, column)
		name, _ := tenure.Canonical(column)
		c := quote(alias) + "." + quote(column)
		parts = append(parts, literal(string(name)+":")+" || case typeof("+c+") when 'blob' then json_object('hex', hex("+c+")) else json_quote("+c+") end")
	}
	v.JSON = "'{' || " + joined(parts, " || ',' || ") + " || '}'"
	return v, r.Err()
}

// joined puts an operator between parts so that an expression of many isn't deep.
func joined(parts []string, operator string) string {
	if len(parts) < 3 {
		return strings.Join(parts, operator)
	}
	half := len(parts) / 2
	return "(" + joined(parts[:half], operator) + ")" + operator + "(" + joined(parts[half:], operator) + ")"
}

// Graph reads every table, save SQLite's and Tenure's own, those behind virtual
// tables, and virtual tables that keep no rows of their own or can't be read.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	c, err := readCatalog(ctx, q)
	if err != nil {
		return nil, err
	}
	return c.graph, nil
}

// Referring is described at relational.Dialect.
func (d dialect) Referring(ctx context.Context, q relational.Querier, t relational.TableName) (out []relational.ForeignKey, err error) {
	g, err := d.Graph(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, k := range g.Keys() {
		if strings.EqualFold(k.Parent.Name, t.Name) {
			out = append(out, k)
		}
	}
	return out, nil
}
