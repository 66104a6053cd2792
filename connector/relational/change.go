package relational

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// Transform is what a blueprint says becomes of the columns of a table whose rows stay
// after the tenant, anonymised or pseudonymised.
type Transform struct {
	Columns     map[string]transform.Rule `json:"columns"`     // every column of the table has one
	Identifying []string                  `json:"identifying"` // columns that together may tell of whom a row is
	AtLeast     int64                     `json:"atLeast"`     // so many rows, or persons, have the same in these; the k of k-anonymity (Sweeney, 2002)
	Of          string                    `json:"of"`          // the column that says of whom a row is, where a person has several
	Short       string                    `json:"short"`       // what becomes of smaller groups: "" refuses them, suppress empties their identifying columns
}

// Aggregate is what a blueprint says of a table of sums: which rows it adds up before
// they go.
type Aggregate struct {
	From    string            `json:"from"`    // the table whose rows are added up
	By      map[string]By     `json:"by"`      // columns of the table of sums that make a group
	Sums    map[string]string `json:"sums"`    // its columns to which the sum of a column is added
	Count   string            `json:"count"`   // its column to which the number of rows is added
	AtLeast int64             `json:"atLeast"` // so many rows, or persons, make a group at least
	Of      string            `json:"of"`      // the column that says of whom a row is
	Short   string            `json:"short"`   // what becomes of smaller groups: "" refuses them, suppress adds them to one that empty values name
}

// suppress is the word for emptying the identifying columns of groups that are too small.
const suppress = "suppress"

// By is a column of what is added up, with what is made of it.
type By struct {
	Column string         `json:"column"`
	Rule   transform.Rule `json:"as"`
}

// checkChanges is Invalid for what can't be right on any system.
func (c Coverage) checkChanges() error {
	for _, name := range slices.Sorted(maps.Keys(c.Transforms)) {
		if err := c.checkTransform(name); err != nil {
			return tenure.Errorf(tenure.Invalid, "transforms of %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Aggregates)) {
		if err := c.checkAggregate(name); err != nil {
			return tenure.Errorf(tenure.Invalid, "aggregates into %s: %w", name, err)
		}
	}
	return nil
}

// Faults is described at connector.Info.Check, for types with a Coverage.
func Faults(_ string, attributes map[string]any, _ map[string][]tenure.Disposition) (out []connector.Fault) {
	var c Coverage
	c.Tables, _ = textsOf(attributes["tables"])
	for _, of := range []string{"transforms", "aggregates"} {
		all, _ := attributes[of].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			given, _ := all[name].(map[string]any)
			faults := transform.Faults(given["columns"])
			for _, f := range faults {
				out = append(out, connector.Fault{At: append([]string{of, name, "columns"}, f.At...), Says: f.Says})
			}
			if len(faults) > 0 {
				continue
			}
			var err error
			if raw, failed := json.Marshal(map[string]any{of: map[string]any{name: given}}); failed != nil {
				err = failed
			} else if strings.Contains(string(raw), "${") {
				continue
			} else if err = json.Unmarshal(raw, &c); err == nil && of == "transforms" {
				err = c.checkTransform(name)
			} else if err == nil {
				err = c.checkAggregate(name)
			}
			if err != nil {
				out = append(out, connector.Fault{At: []string{of, name}, Says: err.Error()})
			}
		}
	}
	return out
}

// textsOf are the texts of an object, by name.
func textsOf(v any) (map[string]string, bool) {
	all, ok := v.(map[string]any)
	out := make(map[string]string, len(all))
	for name, v := range all {
		out[name], _ = v.(string)
	}
	return out, ok
}

func (c Coverage) checkTransform(name string) error {
	invalid := func(format string, args ...any) error { return tenure.Errorf(tenure.Invalid, format, args...) }
	t := c.Transforms[name]
	permutes := false
	for _, column := range slices.Sorted(maps.Keys(t.Columns)) {
		permutes = permutes || t.Columns[column].Word == transform.Permute
	}
	switch {
	case c.Tables[name] == "":
		return invalid("the table isn't among tables, so no data class covers it")
	case len(t.Columns) == 0:
		return invalid("no column is named")
	case t.AtLeast < 0 || t.AtLeast == 1:
		return invalid("atLeast is %d, and a group of one tells of one", t.AtLeast)
	case t.Short != "" && t.Short != suppress:
		return invalid("short is %q, not suppress", t.Short)
	case len(t.Identifying) > 0 && t.AtLeast == 0, len(t.Identifying) == 0 && (t.AtLeast > 0 || t.Of != ""):
		return invalid("identifying and atLeast belong together")
	case permutes && len(t.Identifying) == 0:
		return invalid("permute changes values among the rows of one group, and identifying names no columns that make one")
	}
	for _, column := range slices.Concat(t.Identifying, named(t.Of)) {
		r, ok := t.Columns[column]
		if !ok {
			return invalid("%s isn't among columns", column)
		}
		if column != t.Of && (r.Word == transform.Permute || r.Word == transform.Name) {
			return invalid("%s can't both be identifying and become %s", column, r)
		}
	}
	return nil
}

func (c Coverage) checkAggregate(name string) error {
	invalid := func(format string, args ...any) error { return tenure.Errorf(tenure.Invalid, format, args...) }
	a := c.Aggregates[name]
	switch {
	case c.Tables[a.From] == "":
		return invalid("%q isn't among tables, so no data class covers it", a.From)
	case c.Tables[name] != "":
		return invalid("the table is among tables, so its rows go with the tenant")
	case len(a.By) == 0:
		return invalid("by names no column that makes a group")
	case a.Count == "" && len(a.Sums) == 0:
		return invalid("there is neither a count nor a sum")
	case a.Short != "" && a.Short != suppress:
		return invalid("short is %q, not suppress", a.Short)
	case a.AtLeast < 2:
		return invalid("atLeast is %d, and a group of one tells of one", a.AtLeast)
	}
	for column, by := range a.By {
		if slices.Contains([]transform.Word{transform.Permute, transform.Name, transform.Members, transform.Each, ""}, by.Rule.Word) {
			return invalid("%s can't be %s in a group: use keep, constant, year, month, network, prefix or bucket", column, by.Rule)
		}
	}
	return nil
}

func named(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// changes are the transforms and aggregates as the catalog's names have them.
type changes struct {
	transforms map[TableName]Transform
	aggregates map[TableName][]sums // by the table that is added up
	written    map[TableName]string // how the blueprint writes the table of a transform
}

// sums is one aggregate.
type sums struct {
	Aggregate
	into Table
	from TableName
	name string // as the blueprint writes the table of sums
}

func bindChanges(g *Graph, home string, c Coverage, b *bound) changes {
	out := changes{transforms: map[TableName]Transform{}, aggregates: map[TableName][]sums{}, written: map[TableName]string{}}
	find := func(name string) (TableName, bool) {
		n, ok := g.Find(home, name)
		if !ok {
			b.missing = append(b.missing, name)
		}
		return n, ok
	}
	for _, name := range slices.Sorted(maps.Keys(c.Transforms)) {
		if n, ok := g.Find(home, name); ok { // one that is missing is missing among tables
			out.transforms[n], out.written[n] = c.Transforms[name], name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Aggregates)) {
		a := c.Aggregates[name]
		from, known := g.Find(home, a.From)
		if into, ok := find(name); ok && known {
			out.aggregates[from] = append(out.aggregates[from], sums{a, g.tables[into], from, name})
		}
	}
	return out
}

// KindOf is the kind of a column by its type's name, as any of the databases writes it.
func KindOf(typ string) transform.Kind {
	typ = strings.ToLower(strings.TrimSpace(typ))
	if typ == "" {
		return transform.Any
	}
	if strings.HasSuffix(typ, "[]") {
		return transform.List
	}
	word := typ
	if i := strings.IndexAny(typ, "( "); i >= 0 {
		word = typ[:i]
	}
	switch word {
	case "char", "character", "varchar", "nvarchar", "nchar", "text", "tinytext", "mediumtext", "longtext", "clob", "citext", "name", "bpchar":
		return transform.Text
	case "int", "integer", "int2", "int4", "int8", "bigint", "smallint", "tinyint", "mediumint", "serial", "bigserial", "year":
		return transform.Integer
	case "numeric", "decimal", "real", "double", "float", "float4", "float8", "money":
		return transform.Decimal
	case "date":
		return transform.Date
	case "timestamp", "timestamptz", "datetime":
		return transform.Moment
	case "inet", "cidr", "inet4", "inet6":
		return transform.Address
	case "uuid":
		return transform.UUID
	case "json", "jsonb":
		return transform.JSON
	case "bool", "boolean":
		return transform.Bool
	case "bytea", "blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary":
		return transform.Bytes
	}
	return transform.Other
}

// fieldOf is a column as rules see it.
func fieldOf(c Column) transform.Field {
	f := transform.Field{Kind: KindOf(c.Type), Required: c.Required}
	if f.Kind != transform.Text {
		return f
	}
	if i := strings.IndexByte(c.Type, '('); i >= 0 {
		for _, r := range c.Type[i+1:] {
			if r < '0' || r > '9' {
				break
			}
			f.Length = min(10*f.Length+int(r-'0'), 1<<30)
		}
	}
	return f
}

// Dispositions are those that a share of tables can carry out beside deletion.
var Dispositions = []tenure.Disposition{tenure.Aggregate, tenure.Anonymise, tenure.Pseudonymise}

// Changes is what a survey asks of rows that don't simply go.
type Changes struct {
	Of     map[string]tenure.Disposition // by class; what isn't here goes
	Groups bool                          // whether groups are counted, which reads every row
}

// ChangesOf are those of a survey.
func ChangesOf(v connector.Survey) Changes { return Changes{v.Changes, v.Groups} }

func (c Changes) of(class string) tenure.Disposition {
	if d, ok := c.Of[class]; ok {
		return d
	}
	return tenure.Purge
}
