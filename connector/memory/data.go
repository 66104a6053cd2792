package memory

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// holding are the types that hold rows.
var holding = []string{"store", "rows"}

// Erase removes rows from the end of a class, or of each class in turn. The
// cursor is the class that it has come to; what was erased needs no cursor. Rows of
// a share that has lost its mark are erased all the same: they came late.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	if err := can(r, "erase", holding...); err != nil {
		return e, err
	}
	if b.Limit < 1 {
		return e, tenure.Errorf(tenure.Invalid, "a batch needs a limit of at least 1")
	}
	w := d.world
	f, err := w.begin(ctx, "erase", r)
	if err != nil {
		return e, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := key{r.Type, r.Name}
	t, ok := w.things[k]
	if !ok {
		return connector.Erased{Done: true}, f.end(nil)
	}
	lost := t.count() > 0 && d.isUnmarkedShare(t)
	if err := d.owns(t, r); err != nil && !lost {
		return e, err
	}
	if t.LockedBy != "" {
		return e, tenure.Errorf(tenure.Unavailable, "the rows of %s %q are locked by %s", r.Type, r.Name, t.LockedBy).Retryable()
	}
	if f.partial() {
		b.Limit = (b.Limit + 1) / 2
	}
	e = eraseRows(t, b)
	if swallowed := t.swallowed(b.Class); swallowed != "" && len(e.Counts) == 0 {
		return connector.Erased{}, tenure.Errorf(tenure.Blocked, "no row of %s in %s %q goes: trigger %s takes the deletes and does nothing", swallowed, r.Type, r.Name, t.Swallows[swallowed])
	}
	if lost && t.count() == 0 {
		delete(w.things, k)
	}
	if err := f.end(w.save(len(e.Counts) > 0)); err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

func (t *Thing) count() (rows int) {
	for _, list := range t.Rows {
		rows += len(list)
	}
	return rows
}

// isUnmarkedShare says whether a thing is rows that bear nobody's mark.
func (d *Driver) isUnmarkedShare(t *Thing) bool {
	_, owner := d.read(t)
	return t.Type == "rows" && owner == connector.Unmarked
}

// swallowed names a class that has rows which a trigger keeps; "" is none.
func (t *Thing) swallowed(class string) string {
	for _, c := range slices.Sorted(maps.Keys(t.Swallows)) {
		if (class == "" || class == c) && len(t.Rows[c]) > 0 {
			return c
		}
	}
	return ""
}

func eraseRows(t *Thing, b connector.Batch) connector.Erased {
	e := connector.Erased{Counts: map[string]int64{}, Detached: map[string]int64{}, Done: true}
	left := b.Limit
	for _, class := range slices.Sorted(maps.Keys(t.Rows)) {
		rows := t.Rows[class]
		if b.Class != "" && b.Class != class || len(rows) == 0 {
			continue
		}
		if left == 0 || t.Swallows[class] != "" {
			e.Done, e.Cursor = false, class
			continue
		}
		n := min(left, len(rows))
		left -= n
		e.Counts[class] = int64(n)
		if t.Rows[class] = rows[:len(rows)-n]; n < len(rows) {
			e.Done, e.Cursor = false, class
			continue
		}
		delete(t.Rows, class)
		if n := t.Referrers[class]; n > 0 {
			e.Detached["neighbour."+class] = n
			delete(t.Referrers, class)
		}
	}
	if b.Run != "" {
		e.Total, e.Detached = t.tally(b.Run, e)
	}
	return e
}

// Tally is what one run of an erasure took.
type Tally struct {
	Rows     map[string]int64 `json:"rows"`
	Detached map[string]int64 `json:"detached,omitempty"`
}

// tally adds a batch to its run's tally, and gives the run's totals.
func (t *Thing) tally(run string, e connector.Erased) (rows, detached map[string]int64) {
	sum := Tally{Rows: maps.Clone(t.Tallies[run].Rows), Detached: maps.Clone(t.Tallies[run].Detached)}
	if sum.Rows == nil {
		sum.Rows, sum.Detached = map[string]int64{}, map[string]int64{}
	}
	for k, n := range e.Counts {
		sum.Rows[k] += n
	}
	for k, n := range e.Detached {
		sum.Detached[k] += n
	}
	if t.Tallies = maps.Clone(t.Tallies); t.Tallies == nil {
		t.Tallies = map[string]Tally{}
	}
	if len(sum.Rows)+len(sum.Detached) > 0 {
		t.Tallies[run] = sum
	}
	return maps.Clone(sum.Rows), maps.Clone(sum.Detached)
}

// Tally reads back what a run has taken.
func (d *Driver) Tally(ctx context.Context, r connector.Ref, run string) (e connector.Erased, err error) {
	if err := can(r, "tally", holding...); err != nil {
		return e, err
	}
	w := d.world
	f, err := w.begin(ctx, "tally", r)
	if err != nil {
		return e, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	e.Total = map[string]int64{}
	if t, ok := w.things[key{r.Type, r.Name}]; ok {
		maps.Copy(e.Total, t.Tallies[run].Rows)
		e.Detached = maps.Clone(t.Tallies[run].Detached)
	}
	return e, f.end(nil)
}

// DataMap names each class of rows; one that the ref doesn't name is uncovered.
func (d *Driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	r := s.Ref
	if err := can(r, "map", holding...); err != nil {
		return m, err
	}
	w := d.world
	f, err := w.begin(ctx, "map", r)
	if err != nil {
		return m, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	m.Sighting = d.sighting(f.partial())
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok || r.Resource == "" {
		return m, f.end(nil)
	}
	if err := d.owns(t, r); err != nil && !s.Gone {
		return m, err
	}
	for _, class := range slices.Sorted(maps.Keys(t.Rows)) {
		p := connector.Place{Name: "rows of " + class, Kind: connector.PlaceTable, Via: "the store's own rows", Rows: int64(len(t.Rows[class]))}
		for _, row := range t.Rows[class] {
			p.Bytes += int64(len(row))
		}
		if slices.Contains(r.Classes, class) {
			p.Class = class
		} else {
			p.Blocks, p.Says, p.Fix = true, "no data class covers the rows of "+class, "name "+class+" under data"
		}
		m.Places = append(m.Places, p)
	}
	for _, class := range slices.Sorted(maps.Keys(t.Referrers)) {
		m.Places = append(m.Places, connector.Place{
			Name: "neighbour." + class, Kind: connector.PlaceReference, Class: class, Rows: t.Referrers[class],
			Says: "another tenant's rows refer to these; the references become null",
		})
	}
	m.Places = append(m.Places, t.Places...)
	return m, f.end(nil)
}

// Export writes one JSON object a line: {"class", "row"}, after a first line
// with the store's name and attributes.
func (d *Driver) Export(ctx context.Context, r connector.Ref, to io.Writer) (rec connector.Receipt, err error) {
	if err := can(r, "export", holding...); err != nil {
		return rec, err
	}
	w := d.world
	f, err := w.begin(ctx, "export", r)
	if err != nil {
		return rec, err
	}
	t, err := d.copyOf(r)
	if err != nil {
		return rec, err
	}
	enc := json.NewEncoder(to)
	rec.Counts = map[string]int64{}
	err = enc.Encode(map[string]any{"store": t.Name, "attributes": t.Attributes})
	for _, class := range slices.Sorted(maps.Keys(t.Rows)) {
		for _, row := range t.Rows[class] {
			if err != nil {
				break
			}
			if err = enc.Encode(map[string]string{"class": class, "row": row}); err == nil {
				rec.Counts["rows"]++
			}
		}
	}
	if err != nil {
		return connector.Receipt{}, tenure.Errorf(tenure.Unavailable, "export of %s %q: %w", r.Type, r.Name, err).Retryable()
	}
	return rec, f.end(nil)
}

// copyOf is a copy of the ref's own thing, rows included.
func (d *Driver) copyOf(r connector.Ref) (Thing, error) {
	w := d.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok {
		return Thing{}, absent(r)
	}
	if err := d.owns(t, r); err != nil {
		return Thing{}, err
	}
	c := *t
	c.Rows = map[string][]string{}
	for class, rows := range t.Rows {
		c.Rows[class] = slices.Clone(rows)
	}
	return c, nil
}

// Expire removes the copies that are due at now.
func (d *Driver) Expire(ctx context.Context, r connector.Ref, now time.Time) (left []connector.Copy, err error) {
	if err := can(r, "expire", "backup"); err != nil {
		return nil, err
	}
	_, err = d.change(ctx, "expire", r, nil, func(t *Thing) (bool, error) {
		before := len(t.Copies)
		t.Copies = slices.DeleteFunc(slices.Clone(t.Copies), func(c connector.Copy) bool { return !c.Expires.After(now) })
		left = slices.Clone(t.Copies)
		return len(left) != before, nil
	})
	if err != nil {
		return nil, err
	}
	return left, nil
}
