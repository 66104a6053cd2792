package exec

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// holding is a thing that holds data, as it is seen.
func (d *driver) holding(ctx context.Context, r connector.Ref, call string) (t *typeSpec, f thing, g connector.Sighting, err error) {
	if t, err = d.ready(r); err != nil {
		return t, f, g, err
	}
	if !t.can(call) {
		return t, f, g, tenure.Errorf(tenure.Invalid, "%s can't %s a %s", d.Name, call, t.Name)
	}
	f, g, err = d.one(ctx, r)
	return t, f, g, err
}

// tailOf is how much of an export is kept to find a secret that two pieces share.
const tailOf = 4096

// Export is described at connector.Exporter. What holds a secret of the system's isn't handed over.
func (d *driver) Export(ctx context.Context, r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	t, f, g, err := d.holding(ctx, r, "export")
	if err != nil {
		return rec, err
	}
	if err := cmp.Or(f.owned(r), d.absent(f, r, g)); err != nil {
		return rec, err
	}
	if !f.Found {
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	}
	var last []byte
	err = d.call(ctx, d.about(t, r, "export", f), &rec, func(l line) error {
		piece, err := base64.StdEncoding.Strict().DecodeString(*l.Data)
		if err != nil {
			return tenure.Errorf(tenure.Internal, "a piece of its export isn't base64")
		}
		last = append(last, piece...)
		if text := string(last); d.veil.Text(text) != text {
			return tenure.Errorf(tenure.Blocked, "its export holds a secret of the system's")
		}
		last = append(last[:0], last[max(0, len(last)-tailOf):]...)
		if _, err := w.Write(piece); err != nil {
			return tenure.Errorf(tenure.Unavailable, "the export can't be written: %w", err).Retryable()
		}
		return nil
	})
	return rec, err
}

// usualBatch is how much one batch takes where no limit is given.
const usualBatch = 100

// Erase is described at connector.Eraser. A program knows no holds: where one keeps a part,
// nothing goes.
func (d *driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	t, f, g, err := d.holding(ctx, r, "erase")
	if err == nil {
		err = d.absent(f, r, g)
	}
	switch {
	case err != nil:
		return e, err
	case b.Disposition != "":
		return e, tenure.Errorf(tenure.Invalid, "%s can't %s", d.Name, b.Disposition)
	case len(b.Keep) > 0:
		return e, tenure.Errorf(tenure.Blocked, "a hold keeps some of %s %q, and %s can't tell it from the rest: nothing goes", t.Name, r.Name, d.Name)
	case b.Class != "" && !slices.Contains(r.Classes, b.Class):
		return e, tenure.Errorf(tenure.Invalid, "%s %q doesn't hold the class %s", t.Name, r.Name, b.Class)
	case f.Found && !f.mine(r) && (!b.Gone || f.Owner != connector.Unmarked || t.Whole):
		return e, f.owned(r)
	case !f.Found && (!b.Gone || t.Whole):
		e.Done = true
		return e, nil
	}
	ask := &eraseAsk{Run: b.Run, Class: b.Class, Limit: b.Limit, Cursor: b.Cursor, Gone: b.Gone, Seconds: int64(b.For / time.Second)}
	if ask.Limit < 1 {
		ask.Limit = usualBatch
	}
	q := d.about(t, r, "erase", f)
	q.Erase = ask
	var out struct {
		Counts, Total map[string]int64
		Cursor        string
		Done          bool
	}
	if err := d.call(ctx, q, &out, none); err != nil {
		return e, err
	}
	taken := sum(out.Counts)
	switch {
	case taken < 0 || taken > int64(ask.Limit):
		return e, tenure.Errorf(tenure.Internal, "program %s, erase: it was asked for %d at the most, and took %d", d.Name, ask.Limit, taken)
	case t.can("tally") && taken > sum(out.Total):
		return e, tenure.Errorf(tenure.Internal, "program %s, erase: this batch took %d, and its tally has %d", d.Name, taken, sum(out.Total))
	case !out.Done && taken == 0 && out.Cursor == b.Cursor:
		return e, tenure.Errorf(tenure.Blocked, "program %s, erase: it took nothing, says that something remains, and doesn't say why", d.Name)
	}
	e.Counts, e.Cursor, e.Done = out.Counts, out.Cursor, out.Done
	if t.can("tally") {
		e.Total = out.Total
	}
	return e, nil
}

// sum adds counts up; -1 is more than can be counted.
func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		if n += c; n < 0 {
			return -1
		}
	}
	return n
}

// Tally is described at connector.Tallier.
func (d *driver) Tally(ctx context.Context, r connector.Ref, run string) (e connector.Erased, err error) {
	t, err := d.ready(r)
	if err != nil {
		return e, err
	}
	if !t.can("tally") {
		return e, tenure.Errorf(tenure.Invalid, "%s can't tally a %s", d.Name, t.Name)
	}
	one := t.resource(r)
	var out struct{ Total map[string]int64 }
	err = d.call(ctx, request{Call: "tally", Resource: &one, Run: run}, &out, none)
	e.Total = out.Total
	return e, err
}

// DataMap is described at connector.Mapper. Data whose class the resource doesn't hold blocks.
func (d *driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	r := s.Ref
	if r.Resource == "" { // a blueprint's: nothing is there yet
		t, err := d.known(r.Type)
		if err != nil {
			return m, err
		}
		if !t.can("map") {
			return m, tenure.Errorf(tenure.Invalid, "%s can't map a %s", d.Name, t.Name)
		}
		for _, class := range r.Classes {
			m.Places = append(m.Places, connector.Place{Name: t.Name + ": " + class, Kind: connector.PlaceFiles, Class: class, Via: "it lies in the " + t.Name})
		}
		m.Sighting, err = d.look(ctx, nil, func(connector.Ref, thing) error { return nil })
		return m, err
	}
	t, f, _, err := d.holding(ctx, r, "map")
	if err != nil {
		return m, err
	}
	if !s.Gone || f.Owner != connector.Unmarked {
		if err := f.owned(r); err != nil {
			return m, err
		}
	}
	q := d.about(t, r, "map", f)
	q.Map = &mapAsk{Order: s.Order, Gone: s.Gone}
	var out struct {
		Sighting sightingLine
		Partial  string
	}
	err = d.call(ctx, q, &out, func(l line) error {
		p := connector.Place{Name: visible(l.Place.Name, 500), Kind: l.Place.Kind, Class: l.Place.Class, Via: visible(l.Place.Via, 500), Rows: l.Place.Rows, Bytes: l.Place.Bytes, Says: visible(l.Place.Says, 1000), Fix: visible(l.Place.Fix, 1000), Blocks: l.Place.Blocks}
		switch {
		case p.IsData() && p.Class != "" && !slices.Contains(r.Classes, p.Class):
			p.Blocks, p.Says = true, fmt.Sprintf("%d entries are of the class %q, which the resource doesn't hold", p.Rows, visible(p.Class, 80))
			p.Class, p.Fix = "", "name the class at the resource"
		case p.IsData() && p.Class == "" && p.Rows > 0 && !p.Blocks:
			p.Blocks, p.Says, p.Fix = true, fmt.Sprintf("%d entries are of no class", p.Rows), "say in the program of which class they are"
		case p.Blocks && (p.Says == "" || p.Fix == ""):
			return tenure.Errorf(tenure.Internal, "it says that %s blocks, and not why and what to do", p.Name)
		}
		m.Places = append(m.Places, p)
		return nil
	})
	m.Partial, m.Sighting = visible(out.Partial, 1000), connector.Sighting(out.Sighting)
	return m, err
}
