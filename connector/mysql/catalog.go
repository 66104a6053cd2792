package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// catalog is what the server says of the tables of some databases, and of those that
// refer to them or that they refer to.
type catalog struct {
	graph     *relational.Graph
	versioned map[relational.TableName]bool   // the server keeps their past rows
	engines   map[relational.TableName]string // of those that no transaction covers
	fulltext  map[relational.TableName]bool
	unique    map[relational.TableName][][]string // the columns of each unique index
	triggers  []trigger
	events    []trigger
	digest    string // of all of it
	unlisted  bool   // InnoDB's own list of tables may not be read, so that nothing is compared with it
}

// databasesOf lists the platform's databases, save those that are tenants' own.
func (d *Driver) databasesOf(ctx context.Context, s *session) ([]string, error) {
	own, err := d.notes(ctx, s, "database")
	if err != nil {
		return nil, err
	}
	var name string
	var out []string
	err = each(ctx, s, "select schema_name from information_schema.schemata", func() error {
		if d.inScope(name) && own[name] == nil {
			out = append(out, name)
		}
		return nil
	}, &name)
	slices.Sort(out)
	return out, err
}

// named is a part of a name as InnoDB keeps it: DATABASE/TABLE, each written as a file's.
func named(column, part string) string {
	return "convert(convert(convert(substring_index(" + column + ", '/', " + part + ") using binary) using filename) using utf8mb4)"
}

// filed are names as InnoDB keeps them, as a list for in.
func filed(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = "convert(convert(" + literal(name) + " using filename) using binary)"
	}
	return strings.Join(out, ", ")
}

// keysOf reads the foreign keys from and to tables of the databases, from InnoDB's own
// tables: the others show those alone of tables that the account may use, and open every
// table to do so.
func keysOf(ctx context.Context, q relational.Querier, databases []string) (out []relational.ForeignKey, err error) {
	if len(databases) == 0 {
		return nil, nil
	}
	in := filed(databases)
	at := map[string]int{}
	var homes []string // of the constraints, as InnoDB keeps them
	var id, schema, table, pschema, parent string
	var kind int
	err = each(ctx, q, "select id, "+named("for_name", "1")+", "+named("for_name", "-1")+", "+named("ref_name", "1")+", "+named("ref_name", "-1")+", type from information_schema.innodb_sys_foreign where substring_index(for_name, '/', 1) in ("+in+") or substring_index(ref_name, '/', 1) in ("+in+") order by binary id", func() error {
		home, name, _ := strings.Cut(id, "/")
		homes = append(homes, home)
		k := relational.ForeignKey{Name: name, Child: relational.TableName{Schema: schema, Name: table}, Parent: relational.TableName{Schema: pschema, Name: parent}, OnDelete: relational.Restrict}
		switch {
		case kind&1 != 0:
			k.OnDelete = relational.Cascade
		case kind&2 != 0:
			k.OnDelete = relational.SetNull
		}
		k.Refuses = k.OnDelete == relational.Restrict // no action is the same: it is looked at for each row
		at[id] = len(out)
		out = append(out, k)
		return nil
	}, &id, &schema, &table, &pschema, &parent, &kind)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	var column, pcolumn string
	err = each(ctx, q, "select id, for_col_name, ref_col_name from information_schema.innodb_sys_foreign_cols where substring_index(id, '/', 1) in ("+literals(sorted(homes))+") order by binary id, pos", func() error {
		if i, ok := at[id]; ok {
			out[i].Columns, out[i].Parents = append(out[i].Columns, column), append(out[i].Parents, pcolumn)
		}
		return nil
	}, &id, &column, &pcolumn)
	return out, err
}

// readCatalog reads the tables of the databases with all that references lead to from
// them, either way.
func readCatalog(ctx context.Context, q relational.Querier, databases []string) (c catalog, err error) {
	in := map[string]bool{}
	for _, name := range databases {
		in[name] = true
	}
	keys, err := connectedKeys(ctx, q, in)
	if err != nil {
		return c, err
	}
	also := map[relational.TableName]bool{} // tables of other databases
	schemas := slices.Clone(databases)
	for _, k := range keys {
		for _, n := range []relational.TableName{k.Child, k.Parent} {
			if !in[n.Schema] {
				also[n] = true
				schemas = append(schemas, n.Schema)
			}
		}
	}
	schemas = sorted(schemas)
	wanted := func(n relational.TableName) bool { return in[n.Schema] || also[n] }
	sum := sha256.New()
	tables, err := c.tables(ctx, q, schemas, wanted)
	if err != nil {
		return c, err
	}
	if c.triggers, err = readTriggers(ctx, q, "event_object_schema in ("+literals(schemas)+")"); err != nil {
		return c, err
	}
	if err := settled(ctx, q); err != nil {
		return c, err
	}
	c.triggers = slices.DeleteFunc(c.triggers, func(g trigger) bool { return !wanted(g.table) })
	if c.events, err = readEvents(ctx, q, databases, eventsOn); err != nil {
		return c, err
	}
	for i := range tables {
		tables[i].Code = slices.ContainsFunc(c.triggers, func(g trigger) bool { return g.table == tables[i].TableName && g.event != "insert" })
	}
	c.graph = relational.NewGraph(tables, asWritten(tables, keys)).FoldColumns()
	fmt.Fprintf(sum, "%v %v %v %v %v %v", c.graph.Tables(), c.graph.Keys(), c.versioned, c.engines, c.unique, c.triggers)
	c.digest = hex.EncodeToString(sum.Sum(nil))
	return c, nil
}

// connectedKeys are those that connected finds among all keys of the server. Those of the
// databases to which they lead are read when they are known.
func connectedKeys(ctx context.Context, q relational.Querier, in map[string]bool) ([]relational.ForeignKey, error) {
	read := slices.Sorted(maps.Keys(in))
	for {
		all, err := keysOf(ctx, q, read)
		if err != nil {
			return nil, err
		}
		keys, next := connected(all, in), slices.Clone(read)
		for _, k := range keys {
			next = append(next, k.Child.Schema, k.Parent.Schema)
		}
		if next = sorted(next); len(next) == len(read) {
			return keys, nil
		}
		read = next
	}
}

// asWritten gives the columns of references the names that their tables give them: a
// reference may write them in another case.
func asWritten(tables []relational.Table, keys []relational.ForeignKey) []relational.ForeignKey {
	at := make(map[relational.TableName]relational.Table, len(tables))
	for _, t := range tables {
		at[t.TableName] = t
	}
	for _, k := range keys {
		rename(at[k.Child], k.Columns)
		rename(at[k.Parent], k.Parents)
	}
	return keys
}

func rename(t relational.Table, columns []string) {
	for i, name := range columns {
		for _, c := range t.Columns {
			if strings.EqualFold(c.Name, name) {
				columns[i] = c.Name
			}
		}
	}
}

// connected are the keys that tables of the databases take part in, however far.
func connected(all []relational.ForeignKey, in map[string]bool) (out []relational.ForeignKey) {
	reached := map[relational.TableName]bool{}
	is := func(n relational.TableName) bool { return in[n.Schema] || reached[n] }
	taken := make([]bool, len(all))
	for again := true; again; {
		again = false
		for i, k := range all {
			if taken[i] || !is(k.Child) && !is(k.Parent) {
				continue
			}
			taken[i], again = true, true
			reached[k.Child], reached[k.Parent] = true, true
			out = append(out, k)
		}
	}
	return out
}

// tables reads the tables' columns, keys and checks.
func (c *catalog) tables(ctx context.Context, q relational.Querier, schemas []string, wanted func(relational.TableName) bool) ([]relational.Table, error) {
	c.versioned, c.engines, c.fulltext, c.unique = map[relational.TableName]bool{}, map[relational.TableName]string{}, map[relational.TableName]bool{}, map[relational.TableName][][]string{}
	if len(schemas) == 0 {
		return nil, nil
	}
	in := literals(schemas)
	at, sequences := map[relational.TableName]int{}, map[relational.TableName]bool{}
	var out []relational.Table
	var n relational.TableName
	var kind, engine string
	var left relational.TableName
	err := each(ctx, q, "select table_schema, table_name, table_type, coalesce(engine, '') from information_schema.tables where table_schema in ("+in+") and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') order by binary table_schema, binary table_name", func() error {
		switch {
		case !wanted(n):
			return nil
		case kind == "SEQUENCE": // a number, and nobody's row
			sequences[n] = true
			return nil
		case engine == "": // it can't be opened
			left = n
			return nil
		}
		at[n] = len(out)
		out = append(out, relational.Table{TableName: n})
		if kind == "SYSTEM VERSIONED" {
			c.versioned[n] = true
		}
		if engine != "InnoDB" {
			c.engines[n] = engine
		}
		return nil
	}, &n.Schema, &n.Name, &kind, &engine)
	if err == nil && left.Name != "" {
		err = tenure.Errorf(tenure.Unavailable, "table %s can't be read now: somebody alters it, or it is damaged", left).Retryable()
	}
	if err != nil {
		return nil, err
	}
	err = readColumns(ctx, q, schemas, "", func(n relational.TableName, col relational.Column) {
		if i, ok := at[n]; ok {
			out[i].Columns = append(out[i].Columns, col)
		}
	})
	if err == nil {
		err = settled(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	if err := c.indexes(ctx, q, in, at, out); err != nil {
		return nil, err
	}
	if err := settled(ctx, q); err != nil {
		return nil, err
	}
	if !c.unlisted {
		err = unskipped(ctx, q, schemas, func(n relational.TableName) bool {
			i, ok := at[n]
			return sequences[n] || !wanted(n) || ok && len(out[i].Columns) > 0
		})
	}
	if err != nil {
		return nil, err
	}
	var clause string
	err = each(ctx, q, "select constraint_schema, table_name, check_clause from information_schema.check_constraints where constraint_schema in ("+in+")", func() error {
		if i, ok := at[n]; ok {
			out[i].Checks = append(out[i].Checks, checked(out[i], clause)...)
		}
		return nil
	}, &n.Schema, &n.Name, &clause)
	return out, err
}

// unskipped is Unavailable if a table was left out: the server passes over one that
// somebody alters at the moment, and only warns of it. InnoDB's own list has all.
func unskipped(ctx context.Context, q relational.Querier, schemas []string, read func(relational.TableName) bool) error {
	of := map[string]bool{}
	for _, name := range schemas {
		of[name] = true
	}
	var n relational.TableName
	var left relational.TableName
	err := each(ctx, q, "select "+named("name", "1")+", "+named("name", "-1")+" from information_schema.innodb_sys_tables where substring_index(name, '/', 1) in ("+filed(schemas)+") and name not like '%#%' and name not like '%/FTS\\_%' escape '\\'", func() error {
		if of[n.Schema] && !read(n) {
			left = n
		}
		return nil
	}, &n.Schema, &n.Name)
	if err == nil && left.Name != "" {
		err = tenure.Errorf(tenure.Unavailable, "table %s is being altered", left).Retryable()
	}
	return err
}

// settled is Unavailable if the last look at the catalog passed over a table that is
// locked, of which the server only warns.
func settled(ctx context.Context, q relational.Querier) error {
	var level, says string
	var number int
	locked := false
	err := each(ctx, q, "show warnings", func() error {
		locked = locked || number == 1205 || number == 1213 || number == 1684 || number == 1969
		return nil
	}, &level, &number, &says)
	if err == nil && locked {
		err = tenure.Errorf(tenure.Unavailable, "a table is locked by somebody who alters it, so it can't be seen").Retryable()
	}
	return err
}

// onlyJSON is a check that lets every null pass.
var onlyJSON = regexp.MustCompile(`^json_valid\([^()]*\)$`)

// checked are the columns that a check speaks of, each by itself: what it lets pass
// isn't worked out.
func checked(t relational.Table, clause string) (out [][]string) {
	if onlyJSON.MatchString(clause) {
		return nil
	}
	for _, c := range t.Columns {
		if strings.Contains(clause, quote(c.Name)) || strings.Contains(clause, "`"+strings.ReplaceAll(c.Name, "`", "``")+"`") {
			out = append(out, []string{c.Name})
		}
	}
	return out
}

// readColumns reads the columns of the databases' tables, or of one table. A column of
// JSON is a text with a check.
func readColumns(ctx context.Context, q relational.Querier, schemas []string, table string, f func(relational.TableName, relational.Column)) error {
	where, checks := "table_schema in ("+literals(schemas)+")", "constraint_schema in ("+literals(schemas)+")"
	if len(schemas) == 1 && table != "" {
		one := " = " + literal(schemas[0]) + " and table_name = " + literal(table)
		where, checks = "table_schema"+one, "constraint_schema"+one
	}
	type column struct {
		relational.TableName
		name string
	}
	isJSON := map[column]bool{}
	var at column
	var clause string
	err := each(ctx, q, "select constraint_schema, table_name, constraint_name, check_clause from information_schema.check_constraints where "+checks+" and level = 'Column' and check_clause like 'json_valid(%'", func() error {
		isJSON[at] = onlyJSON.MatchString(clause)
		return nil
	}, &at.Schema, &at.Name, &at.name, &clause)
	if err != nil {
		return err
	}
	var n relational.TableName
	var name, typ, nullable, generated string
	var set, collation sql.NullString
	return each(ctx, q, `select table_schema, table_name, column_name, column_type, is_nullable, is_generated, character_set_name, collation_name
 from information_schema.columns where `+where+" order by table_schema, table_name, ordinal_position", func() error {
		col := relational.Column{Name: name, Type: strings.ToLower(typ), Required: nullable == "NO", Generated: generated == "ALWAYS", Computed: generated == "ALWAYS"}
		if sortOf(col.Type) == textual {
			kind, _, _ := strings.Cut(typ, "(") // what an enumeration may be is no part of how it compares
			switch {
			case isJSON[column{n, name}]:
				kind = "json"
			case kind != "enum" && kind != "set":
				kind = typ
			}
			col.Type = strings.ToLower(kind) + " " + orDefault(set.String, "utf8mb4") + " " + orDefault(collation.String, exact)
		}
		f(n, col)
		return nil
	}, &n.Schema, &n.Name, &name, &typ, &nullable, &generated, &set, &collation)
}

// columnsOf reads one table's columns and key.
func columnsOf(ctx context.Context, q relational.Querier, t relational.TableName) (relational.Table, error) {
	out := relational.Table{TableName: t}
	err := readColumns(ctx, q, []string{t.Schema}, t.Name, func(n relational.TableName, c relational.Column) {
		if n == t {
			out.Columns = append(out.Columns, c)
		}
	})
	return out, err
}

// indexes finds by which columns each table's rows are told apart: its primary key, or
// else a unique index whose columns are never null.
func (c *catalog) indexes(ctx context.Context, q relational.Querier, in string, at map[relational.TableName]int, out []relational.Table) error {
	type index struct {
		name    string
		columns []string
	}
	found := map[relational.TableName][]index{}
	var n relational.TableName
	var name, column, kind string
	var open int
	err := each(ctx, q, "select table_schema, table_name, index_name, column_name, non_unique, index_type from information_schema.statistics where table_schema in ("+in+") order by table_schema, table_name, binary index_name, seq_in_index", func() error {
		if _, ok := at[n]; !ok {
			return nil
		}
		if kind == "FULLTEXT" {
			c.fulltext[n] = true
		}
		if open != 0 {
			return nil
		}
		all := found[n]
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, index{name: name})
		}
		all[len(all)-1].columns = append(all[len(all)-1].columns, column)
		found[n] = all
		return nil
	}, &n.Schema, &n.Name, &name, &column, &open, &kind)
	for n, all := range found {
		t := &out[at[n]]
		for _, one := range all {
			c.unique[n] = append(c.unique[n], one.columns)
		}
		slices.SortStableFunc(all, func(a, b index) int {
			if (a.name == "PRIMARY") != (b.name == "PRIMARY") {
				return map[bool]int{true: -1, false: 1}[a.name == "PRIMARY"]
			}
			return strings.Compare(a.name, b.name)
		})
		for _, one := range all {
			if !slices.ContainsFunc(one.columns, func(name string) bool { c, _ := t.Column(name); return !c.Required || !addressable(c.Type) }) {
				t.Key = one.columns
				break
			}
		}
	}
	return err
}
