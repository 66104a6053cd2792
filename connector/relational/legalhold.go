package relational

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// withheld is what legal holds keep of a holding: rows, and the rows that they refer to,
// however far, so that no constraint takes or changes a row that is kept.
type withheld struct {
	h      *Holding
	keep   []connector.Kept
	direct map[TableName][]connector.Kept // what names the table's rows
	whole  map[TableName]bool             // every row stays, as what refers to it can't be read here
	reach  map[TableName]bool             // tables of which rows may stay
	cyclic bool                           // they refer to one another round about, or in too many ways to write out
}

// Withhold keeps what the holds name, and what that needs, from every erasure and count
// of what remains that follows. A table or column that isn't there is NotFound, a
// condition that its type can't have is Invalid. What a hold says of prefixes is nothing
// to a database.
func (h *Holding) Withhold(keep []connector.Kept) error {
	h.withheld = nil
	w := &withheld{h: h, direct: map[TableName][]connector.Kept{}, whole: map[TableName]bool{}, reach: map[TableName]bool{}}
	for _, k := range keep {
		n, err := h.KeptTable(k)
		if err != nil {
			return err
		}
		if n == (TableName{}) { // another resource's, elsewhere
			continue
		}
		if _, err := h.keeps(n, k, alias); err != nil {
			return err
		}
		w.keep = append(w.keep, k)
		w.direct[n] = append(w.direct[n], k)
	}
	if len(w.direct) == 0 {
		return nil
	}
	w.follow()
	if w.cyclic {
		for n := range w.reach {
			if t := h.Graph.tables[n]; h.Dialect.Address(t, alias) == "null" {
				return tenure.Errorf(tenure.Blocked, "what a hold keeps refers to itself round about, and rows of %s can't be told apart", t).WithHint("give it a primary key, or hold the whole resource")
			}
		}
	}
	h.withheld = w
	return nil
}

// WithholdAll keeps every row of the tables, and what they need: holds keep rows that
// refer to them and that this holding doesn't see.
func (h *Holding) WithholdAll(tables []TableName) {
	w := h.withheld
	if w == nil {
		w = &withheld{h: h, direct: map[TableName][]connector.Kept{}, whole: map[TableName]bool{}, reach: map[TableName]bool{}}
	}
	for _, n := range tables {
		if _, ok := h.Graph.tables[n]; ok {
			w.whole[n] = true
		}
	}
	if len(w.direct)+len(w.whole) > 0 {
		w.follow()
		h.withheld = w
	}
}

// Withheld are the tables of which rows may stay for holds, ordered by name.
func (h *Holding) Withheld() (out []TableName) {
	if h.withheld == nil {
		return nil
	}
	for _, t := range h.Graph.Tables() {
		if h.withheld.reach[t.TableName] {
			out = append(out, t.TableName)
		}
	}
	return out
}

// KeptTable is the table of a hold; blank for one in another resource that isn't among
// the tables of this one.
func (h *Holding) KeptTable(k connector.Kept) (TableName, error) {
	if k.Place != "" {
		for _, t := range h.Graph.Tables() {
			if t.String() == k.Place {
				return t.TableName, nil
			}
		}
		return TableName{}, nil
	}
	if k.Table == "" {
		return TableName{}, tenure.Errorf(tenure.Invalid, "a hold names what keys begin with: %w", connector.ErrNoKeys).WithHint("name a table: --table")
	}
	n, ok := h.Graph.Find(h.claims.t.Home, k.Table)
	if _, held := h.at[n]; !ok || !held {
		return n, tenure.Errorf(tenure.NotFound, "the tenant has no table %q there", k.Table).WithHint("write it as the data map does: %s", strings.Join(h.heldNames(), ", "))
	}
	return n, nil
}

// heldNames are the names of some of the tables.
func (h *Holding) heldNames() []string {
	var out []string
	for _, t := range h.Tables {
		if len(out) == 20 {
			return append(out, "…")
		}
		out = append(out, h.name(t.Table.TableName))
	}
	return out
}

// keeps is the condition for the rows that a hold names, under the alias a.
func (h *Holding) keeps(n TableName, k connector.Kept, a string) (string, error) {
	all := []string{"true"}
	if k.Place == "" {
		all[0] = "(" + either(h.claims.ours(n, a)) + ")"
	}
	for _, c := range k.Rows {
		cond, err := h.condition(h.Graph.tables[n], c, a)
		if err != nil {
			return "", err
		}
		all = append(all, "("+cond+")")
	}
	if k.Class != "" && k.Place == "" && h.Classes[n] != k.Class {
		return "false", nil
	}
	return strings.Join(all, " and "), nil
}

// maxSpelled is how many references a condition spells out; beyond, they are followed by
// a recursive query.
const maxSpelled = 60

// follow finds the tables of the rows that the kept ones need.
func (w *withheld) follow() {
	var queue []TableName
	for _, t := range w.h.Graph.Tables() {
		if n := t.TableName; w.direct[n] != nil || w.whole[n] {
			w.reach[n] = true
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range w.h.Graph.above[at] {
			if !w.reach[k.Parent] {
				w.reach[k.Parent] = true
				queue = append(queue, k.Parent)
			}
		}
	}
	spelled := map[TableName]int{}
	w.cyclic = false
	for n := range w.reach {
		if w.spell(n, nil, spelled) > maxSpelled {
			w.cyclic = true
		}
	}
}

// spell is how many references the condition of a table spells out, more than maxSpelled
// where they go round about.
func (w *withheld) spell(n TableName, path []TableName, known map[TableName]int) int {
	if slices.Contains(path, n) {
		return maxSpelled + 1
	}
	if c, ok := known[n]; ok {
		return c
	}
	total := 1
	for _, k := range w.above(n) {
		if total += w.spell(k.Child, append(slices.Clone(path), n), known); total > maxSpelled {
			break
		}
	}
	known[n] = total
	return total
}

// above are the references by which rows of a table are needed.
func (w *withheld) above(n TableName) (out []ForeignKey) {
	for _, k := range w.h.Graph.below[n] {
		if w.reach[k.Child] {
			out = append(out, k)
		}
	}
	return out
}

// own is the condition for rows, under the alias a, that the holds name; "" if none do.
func (w *withheld) own(n TableName, a string) string {
	if w.whole[n] {
		return "true"
	}
	if len(w.direct[n]) == 0 {
		return ""
	}
	any := make([]string, len(w.direct[n]))
	for i, k := range w.direct[n] {
		any[i], _ = w.h.keeps(n, k, a) // Withhold has seen that it can be
	}
	return either(any)
}

// stays is the condition for rows, under the alias a, that stay; "" if none can.
func (w *withheld) stays(n TableName, a string) string {
	switch {
	case !w.reach[n]:
		return ""
	case w.whole[n]:
		return "true"
	case w.cyclic:
		return w.closed(n, a)
	}
	var any []string
	if own := w.own(n, a); own != "" {
		any = append(any, own)
	}
	inner := next(a)
	for _, k := range w.above(n) {
		if cond := w.stays(k.Child, inner); cond != "" {
			any = append(any, k.down(a, inner, w.h.Dialect.Name(k.Child), cond))
		}
	}
	return either(any)
}

// wide is how a dialect makes an address as wide as every other one, where a recursive
// query would cut it off.
type wide interface{ Wide(address string) string }

// closed is stays by a recursive query over the addresses of rows.
func (w *withheld) closed(n TableName, a string) string {
	d, g := w.h.Dialect, w.h.Graph
	at := map[TableName]string{}
	for _, t := range g.Tables() {
		if w.reach[t.TableName] {
			at[t.TableName] = strconv.Itoa(len(at))
		}
	}
	address := func(n TableName, a string) string {
		text := d.Address(g.tables[n], a)
		if v, ok := d.(wide); ok {
			text = v.Wide(text)
		}
		return text
	}
	var seeds, edges []string
	for _, t := range g.Tables() {
		n := t.TableName
		if own := w.own(n, alias); own != "" {
			seeds = append(seeds, "select "+at[n]+", "+address(n, alias)+" from "+d.Name(n)+" "+Quote(alias)+" where "+own)
		}
		if !w.reach[n] {
			continue
		}
		for _, k := range g.above[n] {
			edges = append(edges, "select "+at[n]+", "+address(n, "c")+", "+at[k.Parent]+", "+address(k.Parent, "p")+
				" from "+d.Name(n)+` "c" join `+d.Name(k.Parent)+` "p" on `+k.same("c", "p"))
		}
	}
	query := `with recursive "link"("child", "low", "parent", "high") as (` + strings.Join(edges, " union all ") + `), "kept"("tab", "row") as (` + strings.Join(seeds, " union all ") +
		` union select "link"."parent", "link"."high" from "kept" join "link" on "link"."child" = "kept"."tab" and "link"."low" = "kept"."row") select "row" from "kept" where "tab" = ` + at[n]
	return address(n, a) + " in (" + query + ")"
}

// spared is a table of the holding without the rows that stay for holds.
func (h *Holding) spared(t Reached) Reached {
	if h.withheld == nil {
		return t
	}
	stays := h.withheld.stays(t.Table.TableName, alias)
	if stays == "" {
		return t
	}
	any := make([]string, len(t.Any))
	for i, where := range t.Any {
		any[i] = "((" + where + ") and (" + stays + ") is not true)"
	}
	t.Any = any
	return t
}

// Goes is the condition for the rows of a table, under the alias t, that may go.
func (h *Holding) Goes(t Reached) string { return h.spared(t).Where() }

// Held counts the rows of a class, "" of every one, that stay for holds.
func (h *Holding) Held(ctx context.Context, q Querier, class string) (out []connector.Held, err error) {
	if h.withheld == nil {
		return nil, nil
	}
	for _, k := range h.withheld.keep {
		one := *h
		if err := one.Withhold([]connector.Kept{k}); err != nil {
			return nil, err
		}
		if one.withheld == nil {
			continue
		}
		more, err := one.heldBy(ctx, q, class, k)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// heldBy counts what stays for the one hold that the holding has.
func (h *Holding) heldBy(ctx context.Context, q Querier, class string, k connector.Kept) (out []connector.Held, err error) {
	w := h.withheld
	var selects []string
	for _, t := range h.Tables {
		n := t.Table.TableName
		if !w.reach[n] || class != "" && h.Classes[n] != class {
			continue
		}
		own := w.own(n, alias)
		if own == "" || k.Place != "" {
			own = "false"
		}
		selects = append(selects, "count(case when "+own+" then 1 end), count(case when ("+own+") is not true then 1 end) from "+h.from(t)+" where ("+t.Where()+") and ("+w.stays(n, alias)+")")
		held := connector.Held{Hold: k.Hold, Place: n.String(), Class: h.Classes[n]}
		if w.direct[n] != nil && k.Place == "" {
			held.Named = h.name(n)
		}
		out = append(out, held)
	}
	counts, err := numbers(ctx, q, 2, selects)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Rows, out[i].Needed = counts[i][0], counts[i][1]
	}
	return slices.DeleteFunc(out, func(o connector.Held) bool { return o.Rows+o.Needed == 0 && o.Named == "" }), nil
}

// Needs says that rows of the table may stay for holds.
func (h *Holding) Needs(n TableName) bool { return h.withheld != nil && h.withheld.reach[n] }

// family is how values of a column are compared with those of a condition.
type family string

const (
	numeric  family = "a number"
	textual  family = "a text"
	listedOf family = "one of some texts"
	temporal family = "a date or a time, as a text"
	logical  family = "true or false"
	opaque   family = "nothing"
	varied   family = "a text or a number" // SQLite: a column takes whatever it is given
)

// loose is a dialect whose columns take values of every kind.
type loose interface{ Loose() bool }

var families = map[string]family{
	"smallint": numeric, "integer": numeric, "int": numeric, "bigint": numeric, "tinyint": numeric, "mediumint": numeric, "numeric": numeric, "decimal": numeric, "real": numeric, "double": numeric,
	"float": numeric, "year": numeric, "text": textual, "character": textual, "varchar": textual, "char": textual, "bpchar": textual, "name": textual, "tinytext": textual, "mediumtext": textual, "longtext": textual,
	"date": temporal, "timestamp": temporal, "datetime": temporal, "time": temporal, "boolean": logical, "bool": logical,
	"json": opaque, "jsonb": opaque, "xml": opaque, "bytea": opaque, "blob": opaque, "tinyblob": opaque, "mediumblob": opaque, "longblob": opaque, "binary": opaque, "varbinary": opaque, "bit": opaque,
	"geometry": opaque, "point": opaque, "linestring": opaque, "polygon": opaque, "multipoint": opaque, "multilinestring": opaque, "multipolygon": opaque, "geometrycollection": opaque, "box": opaque, "path": opaque, "circle": opaque, "line": opaque, "lseg": opaque,
}

// familyOf is how a column is compared.
func (h *Holding) familyOf(c Column) family {
	if v, ok := h.Dialect.(loose); ok && v.Loose() {
		return varied
	}
	typ := strings.ToLower(strings.TrimSpace(c.Type))
	if strings.HasSuffix(typ, "[]") {
		return opaque
	}
	word := typ
	if i := strings.IndexAny(word, " ("); i >= 0 {
		word = word[:i]
	}
	if f, ok := families[word]; ok {
		return f
	}
	return listedOf // enumerations, uuids, addresses: equal or not
}

var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,60})(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?$`)

// condition is what a hold says of a column, for rows under the alias a.
func (h *Holding) condition(t Table, c tenure.RowCondition, a string) (string, error) {
	if err := c.Check(); err != nil {
		return "", err
	}
	name := h.Graph.column(t, c.Column)
	if name == "" {
		return "", tenure.Errorf(tenure.NotFound, "%s has no column %q", t, c.Column).WithHint("its columns are %s", strings.Join(t.Names(), ", "))
	}
	column, _ := t.Column(name)
	left, f := Quote(a, name), h.familyOf(column)
	if c.Operator == tenure.RowNull {
		return left + " is null", nil
	}
	unfit := tenure.Errorf(tenure.Invalid, "column %s of %s is of type %s, which %s can't compare", name, t, column.Type, c.Operator)
	switch ordered := c.Operator != tenure.RowEqual && c.Operator != tenure.RowUnequal && c.Operator != tenure.RowIn; {
	case f == opaque, ordered && (f == listedOf || f == logical), c.Operator == tenure.RowPrefix && f != textual && f != varied:
		return "", unfit
	}
	values, err := c.Values()
	if err != nil {
		return "", err
	}
	texts := make([]string, len(values))
	for i, v := range values {
		if texts[i] = h.value(f, column, v); texts[i] == "" {
			b, _ := json.Marshal(v)
			return "", tenure.Errorf(tenure.Invalid, "column %s of %s is of type %s and is compared with %s, not with %s", name, t, column.Type, f, b)
		}
	}
	switch c.Operator {
	case tenure.RowIn:
		return left + " in (" + strings.Join(texts, ", ") + ")", nil
	case tenure.RowUnequal:
		return "(" + left + " <> " + texts[0] + " or " + left + " is null)", nil
	case tenure.RowPrefix:
		text, _ := values[0].(string)
		return "substr(" + left + ", 1, " + strconv.Itoa(len([]rune(text))) + ") = " + texts[0], nil
	}
	return left + " " + string(c.Operator) + " " + texts[0], nil
}

var moments = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})?[ T]?([0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$`)

// value is a condition's value as SQL for a column; "" if the column can't be compared
// with it.
func (h *Holding) value(f family, c Column, v any) string {
	quoted := h.Dialect.Literal
	if f == varied {
		quoted = func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	}
	switch v := v.(type) {
	case json.Number:
		if (f == numeric || f == varied) && plainNumber.MatchString(string(v)) {
			return string(v)
		}
	case bool:
		switch {
		case f == varied, strings.HasPrefix(strings.ToLower(c.Type), "tinyint(1)"):
			return map[bool]string{true: "1", false: "0"}[v]
		case f == logical:
			return strconv.FormatBool(v)
		}
	case string:
		switch {
		case f == textual, f == listedOf, f == varied:
			return quoted(v)
		case f == temporal && v != "" && moments.MatchString(v):
			if m, ok := h.Dialect.(momentary); ok {
				v = m.Moment(v)
			}
			return quoted(v)
		}
	}
	return ""
}

// momentary is a dialect that writes moments in its own way.
type momentary interface{ Moment(s string) string }
