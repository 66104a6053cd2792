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
	"github.com/tenurehq/tenure/connector/transform"
)

// roll lists the groups of a run whose rows are enough, in the system's own tally: rows
// leave them batch by batch, so later ones can't be counted any more. A row of a group that
// isn't on it came after they were counted, and is counted itself. The zero roll is empty,
// and stays so.
type roll struct {
	kept          Kept
	run, resource string
	known         map[string]bool
}

// Resume reads, within a batch's transaction, what earlier batches of its run have done.
func (e *Erasure) Resume(ctx context.Context, q Querier, k Kept, resource string, b connector.Batch) (err error) {
	e.roll = roll{}
	if b.Disposition.Changes() && b.Run != "" {
		e.roll = roll{k, b.Run, resource, map[string]bool{}}
	}
	e.Begun, err = k.Begun(ctx, q, resource, b)
	return err
}

// enrolled is the kind under which a group stands in the tally.
const enrolled = "group"

// group names one in few characters.
func group(table, key string) string {
	f := fnv.New128a()
	fmt.Fprintf(f, "%q%s", table, key)
	return fmt.Sprintf("%x", f.Sum(nil))
}

// enlist puts groups on the roll.
func (w *batch) enlist(ctx context.Context, table string, keys []string) error {
	r := &w.roll
	if r.run == "" {
		return nil
	}
	tally := TableName{Name: r.kept.Tally}
	if schema, name, has := strings.Cut(r.kept.Tally, "."); has {
		tally = TableName{schema, name}
	}
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		if g := group(table, k); !r.known[g] {
			r.known[g] = true
			names = append(names, g)
		}
	}
	over := " on conflict do nothing"
	if r.kept.Duplicate {
		over = " on duplicate key update n = n"
	}
	for part := range slices.Chunk(names, 500) {
		values := make([]string, len(part))
		args := []any{r.run, r.resource}
		for i, g := range part {
			args = append(args, g)
			values[i] = "($1, $2, '" + enrolled + "', $" + strconv.Itoa(i+3) + ", 1)"
		}
		n, err := w.q.Exec(ctx, "insert into "+r.kept.Tally+" (run, resource, kind, name, n) values "+strings.Join(values, ", ")+over, args...)
		if err != nil {
			return err
		}
		w.adds[tally] += n
	}
	return nil
}

// missing are those of the keys that aren't on the roll, each once.
func (r *roll) missing(ctx context.Context, q Querier, table string, keys []string) (out []string, err error) {
	if r.run == "" {
		return nil, nil
	}
	ask := map[string]string{}
	for _, k := range keys {
		if g := group(table, k); !r.known[g] {
			ask[g] = k
		}
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(ask)), 400) {
		args, marks := []any{r.run, r.resource}, make([]string, len(part))
		for i, g := range part {
			args = append(args, g)
			marks[i] = "$" + strconv.Itoa(i+3)
		}
		found, err := texts(ctx, q, "select name from "+r.kept.Tally+" where run = $1 and resource = $2 and kind = '"+enrolled+"' and name in ("+strings.Join(marks, ", ")+")", args...)
		if err != nil {
			return nil, err
		}
		for _, g := range found {
			r.known[g] = true
			delete(ask, g)
		}
	}
	return slices.Sorted(maps.Values(ask)), nil
}

// enrol puts the groups that are large enough on the roll before any row of the class
// goes; those whose identifying columns suppress has emptied tell of nobody.
func (w *batch) enrol(ctx context.Context) error {
	h := w.Holding
	if w.Begun || w.roll.run == "" {
		return nil
	}
	for _, t := range h.of(w.Class) {
		if w.Disposition == tenure.Aggregate {
			for _, a := range h.changes.aggregates[t.Table.TableName] {
				groups, err := h.addedUp(ctx, w.q, t, a, w.Disposition)
				if err != nil {
					return err
				}
				if err := w.enlist(ctx, a.into.String(), groups.From(a.AtLeast)); err != nil {
					return err
				}
			}
			continue
		}
		given := h.changes.transforms[t.Table.TableName]
		if len(given.Identifying) == 0 {
			continue
		}
		groups, err := h.grouped(ctx, w.q, t, given, w.Disposition)
		if err != nil {
			return err
		}
		keys := groups.From(given.AtLeast)
		if given.Short == suppress {
			_, key, err := h.emptyGroup(t, given)
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		if err := w.enlist(ctx, t.Table.String(), keys); err != nil {
			return err
		}
	}
	return nil
}

// emptyGroup is the group of rows whose identifying columns are emptied.
func (h *Holding) emptyGroup(t Reached, given Transform) (values []any, key string, err error) {
	row := map[string]any{}
	for _, name := range given.Identifying {
		c, _ := t.Table.Column(name)
		row[name] = transform.Rule{Word: transform.Clear}.Emptied(fieldOf(c))
	}
	if values, err = h.identifying(t, given, row); err != nil {
		return nil, "", err
	}
	raw, err := tenure.Canonical(values)
	return values, string(raw), err
}

// judgeUnenrolled judges rows of groups that aren't on the roll by how large these are
// now: those that are large enough are put on it, and small is called for each row of the
// others.
func (w *batch) judgeUnenrolled(ctx context.Context, table string, rows []stored, atLeast int64, groupOf func(stored) ([]any, error), count func() (*transform.Groups, error), small func(row int, key string, size int64) error) error {
	keys, all := make([]string, len(rows)), make([][]any, len(rows))
	for i, r := range rows {
		var err error
		if all[i], err = groupOf(r); err != nil {
			return err
		}
		raw, err := tenure.Canonical(all[i])
		if err != nil {
			return err
		}
		keys[i] = string(raw)
	}
	missing, err := w.roll.missing(ctx, w.q, table, keys)
	if err != nil || len(missing) == 0 {
		return err
	}
	groups, err := count()
	if err != nil {
		return err
	}
	var enough []string
	for i, key := range keys {
		if !slices.Contains(missing, key) {
			continue
		}
		if size := groups.Size(all[i]); size >= atLeast {
			enough = append(enough, key)
		} else if err := small(i, key, size); err != nil {
			return err
		}
	}
	return w.enlist(ctx, table, enough)
}

// judgeChanged judges rows that are about to be changed and whose groups aren't on the
// roll: they are large enough, their identifying columns are emptied, or it is Blocked.
func (w *batch) judgeChanged(ctx context.Context, t Reached, given Transform, rows []stored, results []map[string]any) error {
	if len(given.Identifying) == 0 || w.roll.run == "" {
		return nil
	}
	h, table := w.Holding, t.Table.String()
	empty, emptyKey, err := h.emptyGroup(t, given)
	if err != nil {
		return err
	}
	groupOf := func(r stored) ([]any, error) { return h.identifying(t, given, r.values) }
	count := func() (*transform.Groups, error) { return h.grouped(ctx, w.q, t, given, w.Disposition) }
	return w.judgeUnenrolled(ctx, table, rows, given.AtLeast, groupOf, count, func(row int, key string, size int64) error {
		if given.Short != suppress {
			return tenure.Errorf(tenure.Blocked, "rows came to %s while others were %s, and groups of it by %s have fewer than %d: %s has %d", table, w.Disposition.Done(), strings.Join(given.Identifying, ", "), given.AtLeast, key, size).
				WithHint("delete those rows, or say short: suppress in transforms.%s", h.name(t.Table.TableName))
		}
		if key != emptyKey {
			for j, name := range given.Identifying {
				results[row][name] = empty[j]
			}
		}
		return nil
	})
}

// judgeAdded are those groups of rows that are about to be added up which aren't large
// enough; without short: suppress it is Blocked by one that isn't on the roll.
func (w *batch) judgeAdded(ctx context.Context, t Reached, a sums, rows []stored) (map[string]bool, error) {
	if w.roll.run == "" {
		return w.short[a.name], nil
	}
	out := map[string]bool{}
	groupOf := func(r stored) ([]any, error) { return a.group(t.Table, r.values) }
	count := func() (*transform.Groups, error) { return w.Holding.addedUp(ctx, w.q, t, a, w.Disposition) }
	return out, w.judgeUnenrolled(ctx, a.into.String(), rows, a.AtLeast, groupOf, count, func(_ int, key string, size int64) error {
		if a.Short != suppress {
			return tenure.Errorf(tenure.Blocked, "rows came to %s while others were added up, and groups of %s by %s would have fewer than %d: %s has %d", t.Table, a.into, strings.Join(slices.Sorted(maps.Keys(a.By)), ", "), a.AtLeast, key, size).
				WithHint("delete those rows, or say short: suppress in aggregates.%s", a.name)
		}
		out[key] = true
		return nil
	})
}

// shorts counts the groups of a run that keeps no tally.
func (w *batch) shorts(ctx context.Context) error {
	h := w.Holding
	w.short = map[string]map[string]bool{}
	for _, t := range h.of(w.Class) {
		for _, a := range h.changes.aggregates[t.Table.TableName] {
			if a.Short != suppress {
				continue
			}
			groups, err := h.addedUp(ctx, w.q, t, a, w.Disposition)
			if err != nil {
				return err
			}
			w.short[a.name] = map[string]bool{}
			for _, key := range groups.Below(a.AtLeast) {
				w.short[a.name][key] = true
			}
		}
	}
	return nil
}
