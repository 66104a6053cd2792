package relational

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// Assigned is a row with new values for some columns.
type Assigned struct {
	Address string
	Values  []any // as encoding/json decodes them with UseNumber
}

// marked says that it is written down which rows of a table are through, since the table
// itself doesn't show it: they are still found as the tenant's.
func (h *Holding) marked(t Reached, d tenure.Disposition) bool {
	return d == tenure.Pseudonymise || d == tenure.Anonymise && h.claims.keyed[t.Table.TableName] == ""
}

// mark is the table under whose name the keys of rows that are through are written down.
func mark(n TableName, d tenure.Disposition) TableName {
	if d == tenure.Anonymise {
		return TableName{n.Schema, n.Name + " anonymised"}
	}
	return TableName{n.Schema, n.Name + " changed"}
}

// unmarked is the condition that a row, under the alias a, isn't written down as through.
func unmarked(dialect Dialect, resource string, t Table, d tenure.Disposition, a string) string {
	written := t
	written.TableName = mark(t.TableName, d)
	return "not (" + dialect.IsWritten(resource, written, t.Key, a) + ")"
}

// due is the condition for the tenant's rows of a table, under the alias t, that a
// disposition has yet to change. What stays for a hold stays as it is, and so does that
// by which it is found.
func (h *Holding) due(t Reached, d tenure.Disposition) string {
	where := "(" + h.Goes(t) + ")"
	if cond := h.needing(t.Table.TableName, d, alias, nil); cond != "" {
		where += " and (" + cond + ") is not true"
	}
	if !h.marked(t, d) || !h.claims.t.Written || len(t.Table.Key) == 0 {
		return where
	}
	return where + " and " + unmarked(h.Dialect, h.claims.t.Resource, t.Table, d, alias)
}

// sequence are the tables of a class in the order in which their rows are changed: those
// whose rows are found through others first, while these are still the tenant's.
func (h *Holding) sequence(class string) []Reached {
	out := h.of(class)
	slices.SortStableFunc(out, func(a, b Reached) int { return h.late(a) - h.late(b) })
	return out
}

func (h *Holding) late(t Reached) int {
	if h.claims.keyed[t.Table.TableName] == "" {
		return 0
	}
	return 1
}

// changing takes one batch of an anonymisation or a pseudonymisation.
func (w *batch) changing(ctx context.Context, b connector.Batch) error {
	h := w.Holding
	all := h.sequence(w.Class)
	looked, rest, _ := strings.Cut(b.Cursor, "/")
	some, from, _ := strings.Cut(rest, "/")
	w.atOnce, _ = strconv.Atoi(some)
	at, _ := strconv.Atoi(from)  // the tables before it were through when they were last looked at
	if looked != w.cursor(all) { // at first, and where the tables aren't any more what they were
		if err := w.stand(ctx); err != nil {
			return err
		}
		for _, t := range all {
			if err := w.emptySmallGroups(ctx, t); err != nil {
				return err
			}
		}
		if err := w.enrol(ctx); err != nil {
			return err
		}
		at = 0
	}
	at = min(max(at, 0), len(all))
	// Done takes a look at every table that finds nothing to change and isn't broken off.
	none, behind := at == 0, 0
	for w.left > 0 && (none && at > 0 || !w.late()) {
		if at == len(all) {
			if none {
				held, err := h.Held(ctx, w.q, w.Class)
				w.erased.Done, w.erased.Held = err == nil, held
				return err
			}
			at, none = 0, true
			continue
		}
		n, err := w.changeSome(ctx, all[at], min(w.left, max(w.atOnce, changedAtOnce)))
		switch {
		case err == errBehind && behind < 3:
			at, none, behind = 0, true, behind+1
		case err != nil:
			return err
		case n == 0:
			at++
		default:
			none = false
			w.left -= n
		}
	}
	w.erased.Cursor = w.cursor(all) + "/" + strconv.Itoa(w.atOnce) + "/" + strconv.Itoa(at)
	return nil
}

// cursor names the tables and columns that a change was looked into with.
func (w *batch) cursor(all []Reached) string {
	f := fnv.New64a()
	for _, t := range all {
		fmt.Fprintf(f, "%q", t.Table.TableName)
		for _, c := range t.Table.Columns {
			fmt.Fprintf(f, "%q%q%t", c.Name, c.Type, c.Required)
		}
	}
	return "changing." + strconv.FormatUint(f.Sum64(), 36)
}

// emptySmallGroups empties the identifying columns of rows whose groups are too small
// (P. Samarati and L. Sweeney, "Protecting privacy when disclosing information", 1998),
// before any row of the table leaves its group.
func (w *batch) emptySmallGroups(ctx context.Context, t Reached) error {
	h := w.Holding
	given := h.changes.transforms[t.Table.TableName]
	if given.Short != suppress || w.Begun {
		return nil
	}
	groups, err := h.grouped(ctx, w.q, t, given, w.Disposition)
	if err != nil || groups.Short(given.AtLeast) == "" {
		return err
	}
	rows, err := w.stored(ctx, t, h.due(t, w.Disposition), 0)
	if err != nil {
		return err
	}
	var short []Assigned
	for _, r := range rows {
		values, err := h.identifying(t, given, r.values)
		if err != nil {
			return err
		}
		if groups.Size(values) >= given.AtLeast {
			continue
		}
		empty := make([]any, len(given.Identifying))
		for i, name := range given.Identifying {
			c, _ := t.Table.Column(name)
			empty[i] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(c))
		}
		short = append(short, Assigned{r.address, empty})
	}
	for part := range slices.Chunk(short, changedAtOnce) {
		sql, args := h.Dialect.Assign(t.Table, alias, given.Identifying, part)
		n, err := w.q.Exec(ctx, sql, args...)
		if err != nil {
			return err
		}
		w.nulls[t.Table.TableName] += max(n, int64(len(part)))
	}
	return nil
}

// identifying are the values of the columns that make a group, as they become.
func (h *Holding) identifying(t Reached, given Transform, row map[string]any) ([]any, error) {
	values := make([]any, len(given.Identifying))
	for i, name := range given.Identifying {
		c, _ := t.Table.Column(name)
		v, err := given.Columns[name].Apply(row[name], fieldOf(c), nil)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// grouped counts the rows of a table that are yet to be changed, by their groups.
func (h *Holding) grouped(ctx context.Context, q Querier, t Reached, given Transform, d tenure.Disposition) (*transform.Groups, error) {
	groups := transform.NewGroups(given.Identifying)
	return groups, h.each(ctx, q, t, d, func(row map[string]any) error {
		values, err := h.identifying(t, given, row)
		if err != nil {
			return err
		}
		return groups.Add(values, person(given.Of, row))
	})
}

// changedAtOnce is how many rows one statement changes, more where they are short: then so
// many as take changedBytes.
const (
	changedAtOnce = 500
	changedBytes  = 2 << 20
)

// stand is Blocked by what the data map would show as standing against the change. Once
// rows of the run have gone from their groups, what is left of these tells nothing of how
// large they were: they were counted before the first one went.
func (w *batch) stand(ctx context.Context) error {
	places, err := w.Holding.changing(ctx, w.q, Changes{map[string]tenure.Disposition{w.Class: w.Disposition}, !w.Begun}, true)
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.Blocks && p.Class == w.Class {
			return tenure.Errorf(tenure.Blocked, "%s", p.Says).WithHint("%s", p.Fix)
		}
	}
	return nil
}

// watched is a trigger that runs when a table's rows change and that nobody answers for.
func (h *Holding) watched(ctx context.Context, q Querier, t Reached) (p connector.Place, is bool, err error) {
	n := t.Table.TableName
	if !t.Table.Code {
		return p, false, nil
	}
	names, err := h.Dialect.Updaters(ctx, q, n, h.set(t))
	if err != nil {
		return p, false, err
	}
	for _, name := range names {
		if !h.ignores(n, name) {
			return connector.Place{Name: n.String() + "." + name, Kind: connector.PlaceCode, Class: h.Classes[n], Via: "trigger on " + n.String(), Blocks: true,
				Says: "trigger " + name + " runs when rows of " + n.String() + " change, and may keep what they were",
				Fix:  "triggers: {" + h.bare(n) + "." + name + ": ignore} if it keeps nothing of the tenant and touches nothing of others"}, true, nil
		}
	}
	return p, false, nil
}

// set are the columns that a change of the table's rows sets.
func (h *Holding) set(t Reached) (out []string) {
	given := h.changes.transforms[t.Table.TableName]
	for _, c := range t.Table.Columns {
		if r, ok := given.Columns[c.Name]; ok && r.Word != transform.Keep && !c.Computed && !c.Generated {
			out = append(out, c.Name)
		}
	}
	return out
}

// stored is a row as it stands, with its address.
type stored struct {
	address string
	values  map[string]any
}

// stored reads rows of a table, and locks them.
func (w *batch) stored(ctx context.Context, t Reached, where string, limit int) ([]stored, error) {
	h := w.Holding
	view, err := h.Dialect.View(ctx, w.q, t.Table.TableName, alias)
	if err != nil {
		return nil, err
	}
	if !view.Whole {
		return nil, tenure.Errorf(tenure.Forbidden, "the rows of %s can't all be seen", t.Table)
	}
	sql := "select " + h.Dialect.Address(t.Table, alias) + ", " + view.stored() + " from " + h.from(t) + " where " + where
	if limit > 0 {
		sql += " limit " + strconv.Itoa(limit)
	}
	rows, err := w.q.Query(ctx, sql+h.Dialect.ForUpdate())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []stored
	bytes := 0
	defer func() {
		if bytes > 0 {
			w.atOnce = len(out) * changedBytes / bytes
		}
	}()
	for rows.Next() {
		var at, text string
		if err := rows.Scan(&at, &text); err != nil {
			return nil, err
		}
		bytes += len(text)
		values, err := rowOf(text)
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "a row of %s: %w", t.Table, err)
		}
		out = append(out, stored{at, values})
	}
	return out, rows.Err()
}

// rowOf is a row as View.JSON gives it.
func rowOf(text string) (v map[string]any, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

// changeSome changes at most size rows of a table and says how many.
func (w *batch) changeSome(ctx context.Context, t Reached, size int) (int, error) {
	h, n := w.Holding, t.Table.TableName
	given := h.changes.transforms[n]
	permuted := given.permuted()
	limit := size
	if permuted != nil {
		limit = 0 // whole groups are chosen among all rows
	}
	rows, err := w.stored(ctx, t, h.due(t, w.Disposition), limit)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	made, columns, rows, err := w.made(ctx, t, given, rows, permuted, size)
	if err != nil {
		return 0, err
	}
	addresses := make([]string, len(rows))
	for i, r := range rows {
		addresses[i] = r.address
	}
	g := going{t: t, addresses: addresses}
	where := h.those(g, alias)
	if err := w.settled(ctx, g); err != nil {
		return 0, err
	}
	if err := w.write(ctx, h.Graph.above[n], where); err != nil {
		return 0, err
	}
	if h.marked(t, w.Disposition) {
		k := ForeignKey{Child: n, Parent: mark(n, w.Disposition), Columns: t.Table.Key, Parents: t.Table.Key}
		if err := h.Dialect.Write(ctx, w.q, h.claims.t.Resource, k, where); err != nil {
			return 0, err
		}
	}
	if len(columns) > 0 {
		sql, args := h.Dialect.Assign(t.Table, alias, columns, made)
		changed, err := w.q.Exec(ctx, sql, args...)
		if err != nil {
			return 0, err
		}
		w.nulls[n] += max(changed, int64(len(rows)))
	}
	if err := w.through(ctx, t, where); err != nil {
		return 0, err
	}
	w.erased.Counts[t.Table.String()] += int64(len(rows))
	return len(rows), nil
}

// through is Blocked if rows that were changed are still due.
func (w *batch) through(ctx context.Context, t Reached, where string) error {
	h := w.Holding
	if h.marked(t, w.Disposition) {
		return nil
	}
	found, err := exists(ctx, w.q, "select 1 from "+h.from(t)+" where "+where+" and ("+t.Where()+") limit 1")
	if err != nil || !found {
		return err
	}
	return w.blocked(ctx, going{t: t}, "update")
}

// settled is errBehind if rows that are found through those which are about to be
// nobody's haven't been changed.
func (w *batch) settled(ctx context.Context, g going) error {
	h, n := w.Holding, g.t.Table.TableName
	if w.Disposition != tenure.Anonymise || h.claims.keyed[n] == "" {
		return nil
	}
	for _, k := range h.Graph.below[n] {
		child, held := h.at[k.Child]
		if !held || !h.claims.claimed(k) || h.claims.keyed[k.Child] != "" || h.Classes[k.Child] != w.Class {
			continue
		}
		found, err := exists(ctx, w.q, "select 1 from "+h.from(child)+" where "+h.due(child, w.Disposition)+" and "+k.up(alias, next(alias), h.Dialect.Name(n), h.those(g, next(alias)))+" limit 1")
		if err != nil {
			return err
		}
		if found {
			return errBehind
		}
	}
	return nil
}

// permuted are the columns whose values go to other rows.
func (t Transform) permuted() (out []string) {
	for name, r := range t.Columns {
		if r.Word == transform.Permute {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// made are the new values of rows, in the order of the columns that are set, with these
// and with the rows that they are of. A kept column is set only where a text in it repeats
// what was taken away.
func (w *batch) made(ctx context.Context, t Reached, given Transform, rows []stored, permuted []string, size int) ([]Assigned, []string, []stored, error) {
	results := make([]map[string]any, len(rows))
	for i, r := range rows {
		var err error
		if results[i], err = w.Holding.changed(t, given, r.values, w.Disposition, w.Name); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := w.judgeChanged(ctx, t, given, rows, results); err != nil {
		return nil, nil, nil, err
	}
	if permuted != nil {
		var err error
		if rows, results, err = w.shuffled(t, given, rows, results, permuted, size); err != nil {
			return nil, nil, nil, err
		}
	}
	columns := w.Holding.set(t)
	for _, c := range t.Table.Columns {
		if given.Columns[c.Name].Word != transform.Keep || !w.Holding.emptied(t, c) {
			continue
		}
		for i := range rows {
			if results[i][c.Name] != rows[i].values[c.Name] {
				columns = append(columns, c.Name)
				break
			}
		}
	}
	out := make([]Assigned, len(rows))
	for i := range rows {
		values := make([]any, len(columns))
		for j, c := range columns {
			values[j] = results[i][c]
		}
		out[i] = Assigned{rows[i].address, values}
	}
	return out, columns, rows, nil
}

// shuffled gives the values of some columns to other rows of the same group, and chooses
// the rows of whole groups, or of parts of at least two rows.
func (w *batch) shuffled(t Reached, given Transform, rows []stored, results []map[string]any, permuted []string, size int) ([]stored, []map[string]any, error) {
	at := map[string][]int{}
	var order []string
	for i := range rows {
		values := make([]any, len(given.Identifying))
		for j, c := range given.Identifying {
			values[j] = results[i][c]
		}
		raw, err := tenure.Canonical(values)
		if err != nil {
			return nil, nil, err
		}
		if at[string(raw)] == nil {
			order = append(order, string(raw))
		}
		at[string(raw)] = append(at[string(raw)], i)
	}
	var outRows []stored
	var outResults []map[string]any
	for _, key := range order {
		group := at[key]
		if len(outRows) > 0 && len(outRows)+len(group) > size {
			break
		}
		if len(group) > max(size, 2) {
			n := max(size, 2)
			if len(group)-n == 1 {
				n++
			}
			group = group[:n]
		}
		places := transform.Shuffle(len(group))
		if places == nil && given.Short == suppress {
			for _, c := range permuted {
				col, _ := t.Table.Column(c)
				results[group[0]][c] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(col))
			}
			outRows, outResults = append(outRows, rows[group[0]]), append(outResults, results[group[0]])
			continue
		}
		if places == nil {
			return nil, nil, tenure.Errorf(tenure.Blocked, "a row of %s is alone in its group, so that its values can't go to another", t.Table).
				WithHint("generalise %s further", strings.Join(given.Identifying, ", "))
		}
		for i, row := range group {
			result := maps.Clone(results[row])
			gone := given.gone(rows[row].values, results[row])
			for _, c := range permuted {
				result[c] = results[group[places[i]]][c]                                           // emptied where it repeats what was taken away
				if transform.Holds(result[c], gone) || w.Holding.tells(result[c], w.Disposition) { // or what was, where it comes to
					col, _ := t.Table.Column(c)
					result[c] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(col))
				}
			}
			outRows, outResults = append(outRows, rows[row]), append(outResults, result)
		}
	}
	return outRows, outResults, nil
}

// Remains names a table of the class that still holds rows to be taken, "" if none does.
func (e *Erasure) Remains(ctx context.Context, q Querier) (string, error) {
	if e.Disposition != tenure.Anonymise && e.Disposition != tenure.Pseudonymise {
		return e.Holding.Remains(ctx, q, e.Class)
	}
	for _, t := range e.Holding.of(e.Class) {
		found, err := exists(ctx, q, "select 1 from "+e.Holding.from(t)+" where "+e.Holding.due(t, e.Disposition)+" limit 1")
		if err != nil || found {
			return t.Table.String(), err
		}
	}
	return "", nil
}
