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

// Erase removes rows from the end of a class, or of each class in turn. The
// cursor is the class that it has come to; what was erased needs no cursor.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	if err := can(r, "erase", "store"); err != nil {
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
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok {
		return connector.Erased{Done: true}, f.end(nil)
	}
	if err := d.owns(t, r); err != nil {
		return e, err
	}
	if f.partial() {
		b.Limit = (b.Limit + 1) / 2
	}
	e = eraseRows(t, b)
	if err := f.end(w.save(len(e.Counts) > 0)); err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

func eraseRows(t *Thing, b connector.Batch) connector.Erased {
	e := connector.Erased{Counts: map[string]int64{}, Done: true}
	left := b.Limit
	for _, class := range slices.Sorted(maps.Keys(t.Rows)) {
		rows := t.Rows[class]
		if b.Class != "" && b.Class != class || len(rows) == 0 {
			continue
		}
		if left == 0 {
			e.Done, e.Cursor = false, class
			break
		}
		n := min(left, len(rows))
		left -= n
		e.Counts[class] = int64(n)
		if t.Rows[class] = rows[:len(rows)-n]; n == len(rows) {
			delete(t.Rows, class)
		} else {
			e.Done, e.Cursor = false, class
			break
		}
	}
	return e
}

// DataMap names each class of rows; one that the ref doesn't name is uncovered.
func (d *Driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	r := s.Ref
	if err := can(r, "map", "store"); err != nil {
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
	if !ok {
		return m, f.end(nil)
	}
	if err := d.owns(t, r); err != nil && !s.Gone {
		return m, err
	}
	for _, class := range slices.Sorted(maps.Keys(t.Rows)) {
		p := connector.Place{Name: "rows of " + class, Via: "the store's own rows", Rows: int64(len(t.Rows[class]))}
		if slices.Contains(r.Classes, class) {
			p.Class = class
		} else {
			p.Blocks, p.Says, p.Fix = true, "no data class covers the rows of "+class, "name "+class+" under data"
		}
		m.Places = append(m.Places, p)
	}
	return m, f.end(nil)
}

// Export writes one JSON object a line: {"class", "row"}, after a first line
// with the store's name and attributes.
func (d *Driver) Export(ctx context.Context, r connector.Ref, to io.Writer) (rec connector.Receipt, err error) {
	if err := can(r, "export", "store"); err != nil {
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
