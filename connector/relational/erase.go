package relational

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// Erasure erases the rows of one class, batch by batch. What it remembers between
// two batches only spares work: a new one goes on from the cursor. After an error
// it isn't used again.
type Erasure struct {
	Holding *Holding
	Class   string

	Disposition tenure.Disposition // what becomes of the rows; "" is that they go
	Name        transform.Namer    // makes pseudonyms
	Begun       bool               // an earlier batch of the run has changed rows

	roll roll // the run's groups that are large enough

	steps  []EraseStep
	piece  int                 // rows at once
	chain  []string            // addresses in their order, of the step under way
	cuts   []int               // where the chain may be cut, from now on
	from   int                 // how much of the chain is through
	keeps  map[string][]string // rows of the chain that each keeps from going while it is there itself
	ringed map[string]bool     // rows of the chain that refer to one another in a ring
	read   bool                // the chain was read
	nulls  map[TableName]int64 // rows that the last batch changed: whose references it set to null, itself or by a constraint
	adds   map[TableName]int64 // rows that it added: sums
	pace   *int                // where the piece is kept for the next erasure
	wary   bool                // what refers to rows is looked at before they go, in every table
}

// Erasure plans the erasure of a class, "" of every covered one.
func (h *Holding) Erasure(class string) (*Erasure, error) {
	if err := h.Seen(); err != nil {
		return nil, err
	}
	steps, err := h.Plan(class)
	for i := range steps {
		for j, t := range steps[i].Tables {
			steps[i].Tables[j] = h.spared(t)
		}
	}
	return &Erasure{Holding: h, Class: class, steps: steps, piece: 250}, err
}

// Wary is the same erasure with a look at what refers to the rows in every table.
// An erasure leaves it to the database, where it can, to refuse a delete; what
// stands in the way, and whose it is, is then said by a wary one.
func (e *Erasure) Wary() *Erasure {
	return &Erasure{Holding: e.Holding, Class: e.Class, Disposition: e.Disposition, Name: e.Name, Begun: e.Begun, roll: e.roll, steps: e.steps, piece: 250, wary: true}
}

// Pace has the erasure begin with as many rows at once as an earlier one, of the same run,
// left there, and leave there how many go well now. Zero is none yet.
func (e *Erasure) Pace(piece *int) {
	if *piece > 0 {
		e.piece = *piece
	}
	e.pace = piece
}

// Same says whether another look at the catalog found the same tables, reached
// and covered in the same way, in the same order.
func (e *Erasure) Same(o *Erasure) bool {
	return shape(e.steps) == shape(o.steps) && slices.EqualFunc(e.Holding.Tables, o.Holding.Tables, func(a, b Reached) bool {
		return a.Table.TableName == b.Table.TableName && a.Where() == b.Where() && e.Holding.Classes[a.Table.TableName] == o.Holding.Classes[a.Table.TableName]
	})
}

// Takes are the tables whose rows the erasure deletes, ordered by name.
func (e *Erasure) Takes() []TableName {
	var out []TableName
	for _, t := range e.Holding.of(e.Class) {
		out = append(out, t.Table.TableName)
	}
	return out
}

// Touches are those tables and the ones that refer to them.
func (e *Erasure) Touches() []TableName {
	out := e.Takes()
	for _, n := range e.Takes() {
		for _, k := range e.Holding.Graph.below[n] {
			out = append(out, k.Child)
		}
	}
	slices.SortFunc(out, TableName.Compare)
	return slices.Compact(out)
}

// batch is one batch under way.
type batch struct {
	*Erasure
	q      Querier
	left   int
	until  time.Time
	erased connector.Erased
	short  map[string]map[string]bool // by aggregate: groups that are too small to be added up as they are
	atOnce int                        // so many rows as were changed last make a statement of a good size
}

// errBehind says that a row came to a table that an earlier step had emptied.
var errBehind = tenure.Errorf(tenure.Unavailable, "rows came while they were erased").Retryable()

// Batch takes at most b.Limit rows, in the order of the steps, in about b.For, on
// a querier that is one transaction. The cursor is the step to go on with; it
// starts over if the steps have changed. It is Done only when no row of the class
// is left. A row that can't go, and whatever the transaction would do to another
// tenant's, is Blocked.
func (e *Erasure) Batch(ctx context.Context, q Querier, b connector.Batch) (connector.Erased, error) {
	w := &batch{Erasure: e, q: q, left: b.Limit, erased: connector.Erased{Counts: map[string]int64{}, Detached: map[string]int64{}}}
	if w.left < 1 {
		w.left = 1000
	}
	if b.For > 0 {
		w.until = time.Now().Add(b.For * 3 / 4)
	}
	e.Disposition, e.Name = b.Disposition, b.Name
	e.nulls, e.adds = map[TableName]int64{}, map[TableName]int64{}
	switch {
	case b.Disposition == tenure.Anonymise, b.Disposition == tenure.Pseudonymise:
		err := w.changing(ctx, b)
		if err == errBehind {
			err = tenure.Errorf(tenure.Unavailable, "rows came while others were changed").Retryable()
		}
		return w.erased, err
	case b.Disposition == tenure.Aggregate:
		if b.Cursor == "" {
			if err := w.stand(ctx); err != nil {
				return connector.Erased{}, err
			}
		}
		counts := w.enrol
		if b.Run == "" {
			counts = w.shorts
		}
		if err := counts(ctx); err != nil {
			return connector.Erased{}, err
		}
	}
	at, behind := position(b.Cursor, e.steps), 0
	for at < len(e.steps) && w.left > 0 && !w.late() {
		through, err := w.step(ctx, e.steps[at])
		if err == errBehind && behind < 3 {
			at, behind, e.chain, e.read = 0, behind+1, nil, false
			continue
		}
		if err != nil {
			return connector.Erased{}, err
		}
		if through {
			at, e.chain, e.read = at+1, nil, false
		}
	}
	if at == len(e.steps) {
		left, err := e.Holding.Remains(ctx, q, e.Class)
		if err != nil {
			return connector.Erased{}, err
		}
		if left == "" {
			if err := e.Holding.unsettled(ctx, q, e.Class); err != nil {
				return connector.Erased{}, err
			}
		}
		if left == "" {
			if w.erased.Held, err = e.Holding.Held(ctx, q, e.Class); err != nil {
				return connector.Erased{}, err
			}
		}
		w.erased.Done, at = left == "", 0
	}
	if !w.erased.Done {
		w.erased.Cursor = strconv.Itoa(at) + "." + shape(e.steps)
	}
	return w.erased, nil
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
		fmt.Fprintf(h, "%s%q", s.Kind, s.Columns)
		for _, t := range s.Tables {
			fmt.Fprintf(h, "|%q", t.Table.TableName)
		}
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

func (w *batch) late() bool { return !w.until.IsZero() && time.Now().After(w.until) }

// step does one piece of a step and says whether the step is through.
func (w *batch) step(ctx context.Context, s EraseStep) (through bool, err error) {
	began := time.Now()
	size := min(w.left, w.piece)
	if w.Holding.claims.closed(s.Tables[0].Table.TableName) {
		size = w.left // the rows are found by a look through the whole table, however many go
	}
	before := w.left
	switch s.Kind {
	case StepNull:
		through, err = w.open(ctx, s, size)
	case StepWhole:
		through, err = true, w.whole(ctx, s)
	case StepChain:
		through, err = w.links(ctx, s, size)
	default:
		through, err = w.rows(ctx, s.Tables[0], size)
	}
	if size == w.piece && before-w.left == size { // a whole piece says how fast it goes
		switch d := time.Since(began); {
		case d < 250*time.Millisecond:
			w.piece = min(2*w.piece, 5000)
		case d > time.Second:
			w.piece = max(w.piece/2, 10)
		}
		if w.pace != nil {
			*w.pace = w.piece
		}
	}
	return through, err
}

// pick locks at most limit of the table's rows for which where holds, so that
// nothing can refer to them that doesn't by now, and gives their addresses.
func (w *batch) pick(ctx context.Context, t Reached, where string, limit int) ([]string, error) {
	h := w.Holding
	sql := "select " + h.Dialect.Address(t.Table, alias) + " from " + h.from(t) + " where " + where
	if limit > 0 {
		sql += " limit " + strconv.Itoa(limit)
	}
	return texts(ctx, w.q, sql+h.Dialect.ForUpdate())
}

// rows takes rows of a table, by one way of finding them after the other.
func (w *batch) rows(ctx context.Context, t Reached, size int) (bool, error) {
	for _, where := range t.Any {
		if w.alone(t) {
			n, err := w.plain(ctx, t, where, size)
			if size -= n; err != nil || size == 0 {
				return false, err
			}
			continue
		}
		found, err := w.pick(ctx, t, where, size)
		if err != nil {
			return false, err
		}
		if len(found) == 0 {
			continue
		}
		return false, w.take(ctx, going{t: t, addresses: found})
	}
	return true, nil
}

// alone says that the table's rows can go without a look at what refers to them,
// since nothing does or the database refuses, and that nothing is to be done before.
func (w *batch) alone(t Reached) bool {
	h, n := w.Holding, t.Table.TableName
	look := func(k ForeignKey) bool {
		return w.wary || t.Table.Parts || !k.Refuses || h.claims.b.links[k.id()] == Detach
	}
	if w.Disposition == tenure.Aggregate && len(h.changes.aggregates[n]) > 0 {
		return false
	}
	return h.Before == nil && !t.Table.Code && !slices.ContainsFunc(h.Graph.below[n], look) && h.twice(t) == "" &&
		!slices.ContainsFunc(h.Graph.above[n], func(k ForeignKey) bool { return h.claims.parent(k.Parent) && h.Classes[k.Parent] != "" })
}

// plain deletes rows that stand alone, without locking them first.
func (w *batch) plain(ctx context.Context, t Reached, where string, size int) (int, error) {
	h := w.Holding
	n, err := w.q.Exec(ctx, h.Dialect.DeleteSome(t.Table, alias, where, size))
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, w.stuck(ctx, going{t: t}, where, "delete")
	}
	w.erased.Counts[t.Table.String()] += n
	w.left -= int(n)
	return int(n), nil
}

// going are rows of one table that go at once.
type going struct {
	t         Reached
	addresses []string
}

// those is the condition for the rows under the alias a.
func (h *Holding) those(g going, a string) string { return h.Dialect.At(g.t.Table, a, g.addresses) }

// take deletes rows that pick has locked, after a look at what refers to them.
func (w *batch) take(ctx context.Context, all ...going) error {
	h := w.Holding
	for _, g := range all {
		if err := w.guard(ctx, g, all); err != nil {
			return err
		}
	}
	for _, g := range all {
		if err := w.before(ctx, g); err != nil {
			return err
		}
	}
	for _, g := range all {
		where := h.those(g, alias)
		n, err := w.q.Exec(ctx, h.Dialect.DeleteFrom(g.t.Table.TableName, alias)+" where "+where)
		if err != nil {
			return err
		}
		if n < int64(len(g.addresses)) {
			if err := w.stuck(ctx, g, where, "delete"); err != nil {
				return err
			}
			if g.t.Table.Code && !w.carried(g, all) {
				return w.blocked(ctx, g, "delete")
			}
		}
		w.erased.Counts[g.t.Table.String()] += int64(len(g.addresses))
		w.left -= len(g.addresses)
	}
	return nil
}

// before does what has to be done while the rows are there.
func (w *batch) before(ctx context.Context, g going) error {
	h := w.Holding
	where := h.those(g, alias)
	if err := w.addUp(ctx, g); err != nil {
		return err
	}
	if err := w.write(ctx, h.Graph.above[g.t.Table.TableName], where); err != nil || h.Before == nil {
		return err
	}
	counts, err := h.Before(ctx, w.q, g.t, where)
	for name, n := range counts {
		w.erased.Counts[name] += n
	}
	return err
}

// write writes down which rows of covered parents a table's rows refer to, before
// they go or lose the reference.
func (w *batch) write(ctx context.Context, keys []ForeignKey, where string) error {
	h := w.Holding
	for _, k := range keys {
		if h.claims.parent(k.Parent) && h.Classes[k.Parent] != "" {
			if err := h.Dialect.Write(ctx, w.q, h.claims.t.Resource, k, where); err != nil {
				return err
			}
		}
	}
	return nil
}

// stuck is Blocked if rows of those that were changed are as they were.
func (w *batch) stuck(ctx context.Context, g going, where, what string) error {
	h := w.Holding
	found, err := exists(ctx, w.q, "select 1 from "+h.from(g.t)+" where "+where+" limit 1")
	if err != nil || !found {
		return err
	}
	return w.blocked(ctx, g, what)
}

// carried says that a cascade from other rows of the same batch, also of the same table,
// may have taken the rows before their own delete did.
func (w *batch) carried(g going, all []going) bool {
	return slices.ContainsFunc(w.Holding.Graph.above[g.t.Table.TableName], func(k ForeignKey) bool {
		return k.OnDelete == Cascade && slices.ContainsFunc(all, func(o going) bool { return o.t.Table.TableName == k.Parent })
	})
}

// blocked names what on a table keeps its rows from going: it changes them
// instead, or lets them be.
func (w *batch) blocked(ctx context.Context, g going, what string) error {
	h := w.Holding
	by, err := h.Dialect.Obstacles(ctx, w.q, g.t.Table.TableName)
	if err != nil {
		return err
	}
	if by == "" {
		by = "something that the catalog doesn't show"
	}
	return tenure.Errorf(tenure.Blocked, "rows of %s don't go: %s stands in the way of the %s", g.t.Table, by, what).
		WithHint("change it so that the rows of a tenant that leaves can go, then retry")
}

// Rehearse runs every statement of the erasure for no rows, on a querier that is
// one transaction.
func (e *Erasure) Rehearse(ctx context.Context, q Querier) error {
	e.nulls, e.adds = map[TableName]int64{}, map[TableName]int64{}
	w := &batch{Erasure: e, q: q, left: 1, erased: connector.Erased{Counts: map[string]int64{}, Detached: map[string]int64{}}}
	for _, s := range e.steps {
		for _, t := range s.Tables {
			if _, err := w.pick(ctx, t, t.Where(), 1); err != nil {
				return err
			}
			none := going{t: t}
			if s.Kind == StepNull {
				if err := w.null(ctx, none, s); err != nil {
					return err
				}
				continue
			}
			if err := w.take(ctx, none); err != nil {
				return err
			}
		}
		if s.Kind == StepChain {
			if err := w.order(ctx, s); err != nil {
				return err
			}
		}
	}
	_, err := e.Holding.Remains(ctx, q, e.Class)
	return err
}

// open sets a reference to null, so that what it refers to can go.
func (w *batch) open(ctx context.Context, s EraseStep, size int) (bool, error) {
	t := s.Tables[0]
	for _, where := range t.Any {
		found, err := w.pick(ctx, t, where+" and "+filled(s.Columns), size)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			w.left -= len(found)
			return false, w.null(ctx, going{t: t, addresses: found}, s)
		}
	}
	return true, nil
}

// filled says that one of the columns isn't null.
func filled(columns []string) string {
	has := make([]string, len(columns))
	for i, c := range columns {
		has[i] = Quote(alias, c) + " is not null"
	}
	return either(has)
}

func (w *batch) null(ctx context.Context, g going, s EraseStep) error {
	h := w.Holding
	where := h.those(g, alias)
	if err := w.write(ctx, s.Keys, where); err != nil {
		return err
	}
	n, err := w.q.Exec(ctx, "update "+h.from(g.t)+" set "+nulls(s.Columns)+" where "+where)
	if err != nil {
		return err
	}
	w.nulls[g.t.Table.TableName] += n
	return w.stuck(ctx, g, where+" and "+filled(s.Columns), "update")
}

// nulls are assignments of null.
func nulls(columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = Quote(c) + " = null"
	}
	return strings.Join(set, ", ")
}

// whole takes tables whose references go round and are checked late.
func (w *batch) whole(ctx context.Context, s EraseStep) error {
	h := w.Holding
	if err := h.Dialect.Defer(ctx, w.q); err != nil {
		return err
	}
	var all []going
	for _, t := range s.Tables {
		found, err := w.pick(ctx, t, t.Where(), 0)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			all = append(all, going{t: t, addresses: found})
		}
	}
	return w.take(ctx, all...)
}
