package relational

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Holding is what one tenant holds in a database's tables.
type Holding struct {
	Dialect Dialect
	Graph   *Graph
	Tables  []Reached
	Classes map[TableName]string // the data class of each covered table
}

// NewHolding works out what the roots reach.
func NewHolding(d Dialect, g *Graph, roots []Root, classes map[TableName]string) *Holding {
	return &Holding{Dialect: d, Graph: g, Tables: g.Reach(d, roots), Classes: classes}
}

// Places lists the tables with their rows, covered or not.
func (h *Holding) Places(ctx context.Context, q Querier) ([]connector.Place, error) {
	out := make([]connector.Place, 0, len(h.Tables))
	for part := range slices.Chunk(h.Tables, countedAtOnce) {
		n, err := h.counts(ctx, q, part)
		if err != nil {
			return nil, err
		}
		for i, t := range part {
			p := connector.Place{Name: t.Table.String(), Kind: connector.PlaceTable, Class: h.Classes[t.Table.TableName], Via: t.Via, Rows: n[i]}
			if p.Class == "" {
				p.Blocks, p.Says = true, p.Name+" can be reached from the tenant ("+p.Via+") and no data class covers it"
				p.Fix = "name it in the attribute tables"
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// countedAtOnce is how many tables one query counts; SQLite takes 500 at the most.
const countedAtOnce = 200

// counts are the rows of each table, in one query.
func (h *Holding) counts(ctx context.Context, q Querier, tables []Reached) ([]int64, error) {
	selects := make([]string, len(tables))
	for i, t := range tables {
		selects[i] = "select " + strconv.Itoa(i) + ", count(*) from " + h.Dialect.Name(t.Table.TableName) + " where " + t.Where
	}
	rows, err := q.Query(ctx, strings.Join(selects, " union all "))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]int64, len(tables))
	for rows.Next() {
		var i int
		var n int64
		if err := rows.Scan(&i, &n); err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, rows.Err()
}

// of are the tables of a class; "" takes every covered one.
func (h *Holding) of(class string) []Reached {
	var out []Reached
	for _, t := range h.Tables {
		if c := h.Classes[t.Table.TableName]; c != "" && (class == "" || c == class) {
			out = append(out, t)
		}
	}
	return out
}

// Same says whether another look at the catalog found the same tables, reached
// and covered in the same way.
func (h *Holding) Same(o *Holding) bool {
	return maps.Equal(h.Classes, o.Classes) && slices.EqualFunc(h.Tables, o.Tables, func(a, b Reached) bool {
		return a.Table.TableName == b.Table.TableName && a.Where == b.Where
	})
}

// Plan is the order in which a class's rows go.
func (h *Holding) Plan(class string) ([]EraseStep, error) { return h.Graph.Order(h.of(class)) }

// Stands is a Blocked error if rows outside the class refer to rows inside it,
// in a way that would stop their deletion or take those rows along. References
// that the database sets to null by itself don't count.
func (h *Holding) Stands(ctx context.Context, q Querier, class string) error {
	in := map[TableName]Reached{}
	for _, t := range h.of(class) {
		in[t.Table.TableName] = t
	}
	for _, k := range h.Graph.keys {
		parent, ok := in[k.Parent]
		if _, both := in[k.Child]; !ok || both || k.OnDelete == SetNull {
			continue
		}
		found, err := exists(ctx, q, "select 1 from "+h.Dialect.Name(k.Child)+" where "+tuple(k.Columns)+" in (select "+
			QuoteList(k.Parents)+" from "+h.Dialect.Name(k.Parent)+" where "+parent.Where+") limit 1")
		if err != nil {
			return err
		}
		if found {
			c := h.Classes[k.Child]
			if c == "" {
				c = "no data class"
			}
			return tenure.Errorf(tenure.Blocked, "rows of %s (%s) still refer to %s", k.Child, c, k.Parent).
				WithHint("erase %s first, or put both into one data class", k.Child)
		}
	}
	return nil
}

// Remains says whether any table of the class still holds rows.
func (h *Holding) Remains(ctx context.Context, q Querier, class string) (bool, error) {
	for _, t := range h.of(class) {
		found, err := exists(ctx, q, "select 1 from "+h.Dialect.Name(t.Table.TableName)+" where "+t.Where+" limit 1")
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// Erase takes at most b.Limit rows, in the order of the steps, on a querier that
// is one transaction. The cursor is the step to go on with; it starts over if
// the steps have changed. It is Done only when no row of the class was left.
func (h *Holding) Erase(ctx context.Context, q Querier, steps []EraseStep, b connector.Batch) (connector.Erased, error) {
	left := b.Limit
	if left < 1 {
		left = 1000
	}
	e := connector.Erased{Counts: map[string]int64{}}
	at := position(b.Cursor, steps)
	for at < len(steps) && left > 0 {
		n, err := h.step(ctx, q, steps[at], left, e.Counts)
		if err != nil {
			return connector.Erased{}, err
		}
		if n < left {
			at++
		}
		left -= n
	}
	if at == len(steps) {
		more, err := h.Remains(ctx, q, b.Class)
		if err != nil {
			return connector.Erased{}, err
		}
		e.Done, at = !more, 0
	}
	if !e.Done {
		e.Cursor = strconv.Itoa(at) + "." + shape(steps)
	}
	return e, nil
}

func position(cursor string, steps []EraseStep) int {
	n, s, _ := strings.Cut(cursor, ".")
	at, err := strconv.Atoi(n)
	if err != nil || s != shape(steps) || at < 0 || at > len(steps) {
		return 0
	}
	return at
}

// shape names a list of steps.
func shape(steps []EraseStep) string {
	h := fnv.New64a()
	for _, s := range steps {
		fmt.Fprintf(h, "%s", s.Kind)
		for _, t := range s.Tables {
			fmt.Fprintf(h, "|%q", t.Table.TableName)
		}
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// step does at most limit rows of one step and says how many it did; fewer than
// limit means that the step is through.
func (h *Holding) step(ctx context.Context, q Querier, s EraseStep, limit int, counts map[string]int64) (int, error) {
	t := s.Tables[0]
	switch s.Kind {
	case StepNull:
		n, err := q.Exec(ctx, h.Dialect.NullSome(t.Table, s.Keys[0].Columns, t.Where+" and "+tuple(s.Keys[0].Columns[:1])+" is not null", limit))
		return int(n), err
	case StepWhole:
		return 0, h.whole(ctx, q, s, counts)
	case StepLeaves:
		return h.leaves(ctx, q, s, limit, counts)
	}
	n, err := q.Exec(ctx, h.Dialect.DeleteSome(t.Table, "", t.Where, limit))
	add(counts, t, n)
	return int(n), err
}

func add(counts map[string]int64, t Reached, n int64) {
	if n > 0 {
		counts[t.Table.String()] += n
	}
}

func (h *Holding) whole(ctx context.Context, q Querier, s EraseStep, counts map[string]int64) error {
	if err := h.Dialect.Defer(ctx, q); err != nil {
		return err
	}
	for _, t := range s.Tables {
		n, err := q.Exec(ctx, "delete from "+h.Dialect.Name(t.Table.TableName)+" where "+t.Where)
		if err != nil {
			return err
		}
		add(counts, t, n)
	}
	return nil
}

// leaves takes rows that no other row refers to. Where only rows that refer to
// one another in a ring are left, the rest goes in one statement, at whose end
// the references are checked.
func (h *Holding) leaves(ctx context.Context, q Querier, s EraseStep, limit int, counts map[string]int64) (int, error) {
	t := s.Tables[0]
	where := t.Where
	for _, k := range s.Keys {
		where += " and not exists (select 1 from " + h.Dialect.Name(t.Table.TableName) + ` "o" where ` + pairs(`"o"`, k.Columns, `"x"`, k.Parents, " = ", " and ") +
			" and not (" + pairs(`"o"`, k.Parents, `"x"`, k.Parents, " = ", " and ") + "))"
	}
	done := 0
	for done < limit {
		n, err := q.Exec(ctx, h.Dialect.DeleteSome(t.Table, "x", where, limit-done))
		if err != nil {
			return done, err
		}
		add(counts, t, n)
		done += int(n)
		if n > 0 {
			continue
		}
		n, err = q.Exec(ctx, "delete from "+h.Dialect.Name(t.Table.TableName)+" where "+t.Where)
		add(counts, t, n)
		return min(done+int(n), limit-1), err
	}
	return done, nil
}

func pairs(a string, as []string, b string, bs []string, op, sep string) string {
	out := make([]string, len(as))
	for i := range as {
		out[i] = a + "." + Quote(as[i]) + op + b + "." + Quote(bs[i])
	}
	return strings.Join(out, sep)
}

// ClassNames lists the classes that the tables are covered by.
func (h *Holding) ClassNames() []string {
	set := map[string]bool{}
	for _, c := range h.Classes {
		set[c] = true
	}
	return slices.Sorted(maps.Keys(set))
}
