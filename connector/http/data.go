package http

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// holding is a thing that holds data, as one look sees it; nil if it isn't there.
func (d *described) holding(ctx context.Context, r connector.Ref, call string) (*typeSpec, *pass, place, *found, error) {
	t, err := d.ready(r)
	if err != nil {
		return nil, nil, place{}, nil, err
	}
	if t.Data == nil {
		return nil, nil, place{}, nil, tenure.Errorf(tenure.Invalid, "%s can't %s a %s", d.Name, call, t.Name)
	}
	p := d.pass()
	at, err := p.lookup(ctx, t, r)
	if err != nil {
		return nil, nil, place{}, nil, err
	}
	f, err := at.owned(t, r)
	return t, p, at, f, err
}

// entries gives what a thing holds, each with its id and its class.
func (d *described) entries(ctx context.Context, t *typeSpec, r connector.Ref, f *found, yield func(id, class string, entry any) error) (complete bool, err error) {
	v := d.vars(t, r, f)
	return d.each(ctx, &t.Data.List, v, t.Data.ID, func(entry any) error {
		id, err := d.word(t.Data.ID, entry, v.with("entry", entry))
		if err != nil {
			return err
		}
		class := ""
		if t.Data.Class != "" {
			value, err := d.eval(t.Data.Class, v.with("entry", entry))
			if err != nil {
				return err
			}
			class, _ = value.(string)
		} else if len(r.Classes) > 0 {
			class = r.Classes[0]
		}
		return yield(id, class, entry)
	})
}

var errEnough = errors.New("enough")

// Erase is described at connector.Eraser. It asks for the removal of one entry at a time.
func (d *described) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	t, p, at, f, err := d.holding(ctx, r, "erase")
	switch {
	case err != nil:
		return e, err
	case b.Disposition != "":
		return e, tenure.Errorf(tenure.Invalid, "%s can't %s", d.Name, b.Disposition)
	case len(b.Keep) > 0:
		return e, tenure.Errorf(tenure.Blocked, "a hold keeps some of %s %q, and %s can't tell it from the rest: nothing goes", t.Name, r.Name, d.Name)
	case b.Class != "" && !slices.Contains(r.Classes, b.Class):
		return e, tenure.Errorf(tenure.Invalid, "%s %q doesn't hold the class %s", t.Name, r.Name, b.Class)
	case f == nil:
		if err := p.gone(t, r, at); err != nil {
			return e, err
		}
		e.Done = true
		return e, nil
	}
	limit := b.Limit
	if limit < 1 {
		limit = 100
	}
	deadline := d.now().Add(cmp.Or(b.For, time.Hour))
	due := func(max int) (list []any, all bool, err error) {
		all, err = d.entries(ctx, t, r, f, func(_, class string, entry any) error {
			if b.Class != "" && class != b.Class || b.Class == "" && !slices.Contains(r.Classes, class) {
				return nil
			}
			if list = append(list, entry); len(list) == max {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return list, all, err
	}
	list, _, err := due(limit)
	if err != nil {
		return e, err
	}
	kind := d.dataName(t)
	e.Counts = map[string]int64{}
	went := map[string]bool{} // as the system says
	v := d.vars(t, r, f)
	for _, entry := range list {
		if d.now().After(deadline) {
			return e, nil
		}
		id, err := d.word(t.Data.ID, entry, v.with("entry", entry))
		if err != nil {
			return e, err
		}
		_, did, err := d.act(ctx, t.Data.Delete, v.with("entry", entry))
		if err != nil {
			return e, err
		}
		if did {
			went[id] = true
			e.Counts[kind]++
		}
	}
	if len(list) == limit {
		return e, nil
	}
	// The system said that they are gone; whether they are is read back.
	var left []any
	var all bool
	err = rest.Until(ctx, often, max(settle, 2*span(t.Lag, 0)), "the removal", func() (bool, error) {
		left, all, err = due(1)
		return len(left) == 0 && all, err
	})
	switch {
	case err != nil && len(left) > 0 && ctx.Err() == nil:
		still, _, err := due(limit)
		for _, entry := range still {
			if id, bad := d.word(t.Data.ID, entry, v.with("entry", entry)); bad == nil && went[id] {
				e.Counts[kind]--
			}
		}
		if err != nil {
			e.Counts[kind] = 0
		}
		return e, tenure.Errorf(tenure.Blocked, "%s %q: the system says that its %s are removed, and shows them still", t.Name, r.Name, kind)
	case err != nil && tenure.CodeOf(err) == tenure.Unavailable && len(left) == 0 && !all && ctx.Err() == nil:
		return e, d.entriesUnseen(t, r)
	case err != nil:
		return e, err
	}
	e.Done = true
	return e, nil
}

// entriesUnseen is the error of a list of entries that doesn't show all.
func (d *described) entriesUnseen(t *typeSpec, r connector.Ref) error {
	return tenure.Errorf(tenure.Unavailable, "%s doesn't show all %s of %s %q: some may be left", d.Name, d.dataName(t), t.Name, r.Name).
		WithHint("see what the account of the system may read").Retryable()
}

func (d *described) dataName(t *typeSpec) string { return t.Name + " entries" }

// Export writes a thing and all that it holds, as JSON lines (one value to a line).
func (d *described) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	t, p, _, f, err := d.holding(ctx, r, "export")
	if err != nil {
		return rec, err
	}
	if f == nil {
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	}
	enc := json.NewEncoder(w)
	if err := enc.Encode(map[string]any{"type": t.Name, "name": r.Name, "item": f.item}); err != nil {
		return rec, tenure.Errorf(tenure.Unavailable, "the export can't be written: %w", err).Retryable()
	}
	var n int64
	complete, err := d.entries(ctx, t, r, f, func(id, class string, entry any) error {
		n++
		if err := enc.Encode(map[string]any{"id": id, "class": class, "entry": entry}); err != nil {
			return tenure.Errorf(tenure.Unavailable, "the export can't be written: %w", err).Retryable()
		}
		return nil
	})
	if err != nil {
		return rec, err
	}
	if !complete || !p.complete {
		return rec, tenure.Errorf(tenure.Blocked, "%s %q: the system didn't show all that it holds", t.Name, r.Name)
	}
	rec.Counts = map[string]int64{d.dataName(t): n}
	return rec, nil
}

// DataMap is described at connector.Mapper. It counts entries by class; one whose class the
// resource doesn't hold blocks.
func (d *described) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	r := s.Ref
	t, err := d.typ(r.Type)
	if err != nil {
		return m, err
	}
	if t.Data == nil {
		return m, tenure.Errorf(tenure.Invalid, "%s can't map a %s", d.Name, t.Name)
	}
	counts := map[string]int64{}
	for _, class := range r.Classes {
		counts[class] = 0
	}
	p := d.pass()
	if r.Resource != "" {
		at, err := p.lookup(ctx, t, r)
		if err != nil {
			return m, err
		}
		f, err := at.owned(t, r)
		if err != nil && !s.Gone {
			return m, err
		}
		if f == nil && s.Gone && at.namesake != nil && at.namesake.owner == connector.Unmarked {
			f = at.namesake
		}
		if f != nil {
			complete, err := d.entries(ctx, t, r, f, func(_, class string, _ any) error { counts[class]++; return nil })
			if err != nil {
				return m, err
			}
			p.complete = p.complete && complete
		}
	}
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		place := connector.Place{Name: fmt.Sprintf("%s %s", t.Name, r.Name), Kind: connector.PlaceFiles, Class: class, Rows: counts[class], Via: "it lies in " + t.Name + " " + r.Name}
		if len(counts) > 1 {
			place.Name += ": " + cmp.Or(class, "of no class")
		}
		if !slices.Contains(r.Classes, class) {
			place.Class, place.Blocks = "", true
			place.Says = fmt.Sprintf("%d entries are of the class %q, which the resource doesn't hold", counts[class], class)
			place.Fix = "name the class at the resource, or mend the description's class"
		}
		m.Places = append(m.Places, place)
	}
	m.Sighting, err = p.sighting(ctx)
	return m, err
}
