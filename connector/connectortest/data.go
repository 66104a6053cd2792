package connectortest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// fill puts n rows of the first class and n+1 of the next, and so on, into the
// thing, and says how many of each.
func (a *actor) fill(d connector.Desired, n int) map[string]int {
	a.t.Helper()
	if a.c.Fill == nil {
		return nil
	}
	if len(d.Classes) < 2 {
		a.t.Fatalf("the sample of %s needs two data classes", d.Type)
	}
	out := map[string]int{}
	for i, class := range d.Classes {
		a.c.Fill(a.t, d.Ref, class, n+i)
		out[class] = n + i
	}
	a.counts(d, out)
	return out
}

// counts fails unless the thing has that many rows of each class.
func (a *actor) counts(d connector.Desired, want map[string]int) {
	a.t.Helper()
	for class, n := range want {
		if got := a.c.Count(a.t, d.Ref, class); got != n {
			a.t.Errorf("%s %q has %d rows of class %s, want %d", d.Type, d.Name, got, class, n)
		}
	}
}

func (a *actor) holdsData() bool { return a.typ.Holds == tenure.HoldsData && !a.typ.Copies }

func checkExport(a *actor) {
	d := a.made()
	filled := a.fill(d, 4)
	var out bytes.Buffer
	if !a.offers("export", a.holdsData(), func() error { _, err := a.export(d.Ref, &out); return err }) {
		return
	}
	readable(a.t, out.Bytes())
	total := 0
	for _, n := range filled {
		total += n
	}
	if a.c.Exported != nil {
		if got := a.c.Exported(a.t, out.Bytes()); got != total {
			a.t.Errorf("the export has %d rows, want %d", got, total)
		}
	}
	a.silent("export", out.String())
	a.untouched("export", func() {
		_, err := a.export(d.Ref, io.Discard)
		a.must("second export", err)
		_, err = a.export(d.Ref, fullDisk{})
		if err == nil {
			a.t.Error("an export that couldn't be written ends well")
		}
		absent := a.sample()
		_, err = a.export(absent.Ref, io.Discard)
		a.refused("export of what is absent", err, tenure.NotFound)
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// readable fails unless data is a tar with a manifest.json, JSON, or JSON lines.
func readable(t *testing.T, data []byte) {
	t.Helper()
	if len(data) == 0 {
		t.Error("the export is empty")
		return
	}
	r, manifest := tar.NewReader(bytes.NewReader(data)), false
	for n := 0; ; n++ {
		h, err := r.Next()
		if err == io.EOF && n > 0 {
			break
		}
		if err != nil {
			jsonLines(t, data)
			return
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("export entry %s: %v", h.Name, err)
		}
		if h.Name == "manifest.json" {
			manifest = json.Valid(body)
		}
	}
	if !manifest {
		t.Error("the exported tar has no readable manifest.json")
	}
}

func jsonLines(t *testing.T, data []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("the export is neither a tar nor JSON: %v", err)
			return
		}
	}
}

// eraseAll erases in batches until done, and gives the sum of all counts. It
// opens the system anew after each batch, as after a crash.
func (a *actor) eraseAll(r connector.Ref, class string, limit int) int {
	a.t.Helper()
	sum, cursor := 0, ""
	for range 200 {
		e, err := a.erase(r, connector.Batch{Class: class, Limit: limit, Cursor: cursor})
		a.must("erase", err)
		batch := 0
		for _, n := range e.Counts {
			batch += int(n)
		}
		if batch > limit {
			a.t.Errorf("a batch of at most %d erased %d", limit, batch)
		}
		sum, cursor = sum+batch, e.Cursor
		if e.Done {
			return sum
		}
		a.open()
	}
	a.t.Fatalf("the erasure isn't done after 200 batches; %d are erased", sum)
	return sum
}

func checkErase(a *actor) {
	if a.c.Fill == nil {
		if a.can("erase") && !a.holdsData() {
			d := a.made()
			a.untouched("a refused erase", func() {
				_, err := a.erase(d.Ref, connector.Batch{Limit: 10})
				a.refused("erase", err, tenure.Invalid)
			})
		}
		a.t.Skip("this type holds no rows")
	}
	d, neighbour := a.made(), a.made()
	filled, theirs := a.fill(d, 25), a.fill(neighbour, 9)
	class := d.Classes[0]
	first := connector.Batch{Class: class, Limit: 4}
	var e connector.Erased
	if !a.offers("erase", a.holdsData(), func() (err error) { e, err = a.erase(d.Ref, first); return err }) {
		return
	}
	sum := 0
	for _, n := range e.Counts {
		sum += int(n)
	}
	if e.Done || sum > 4 {
		a.t.Errorf("the first batch of 4 erased %d of 25, done=%t", sum, e.Done)
	}
	a.open()
	// A batch whose cursor was lost in a crash is asked for once more.
	sum += a.eraseAll(d.Ref, class, 4)
	if sum != 25 {
		a.t.Errorf("erasing counts %d of 25", sum)
	}
	filled[class] = 0
	a.counts(d, filled)
	a.counts(neighbour, theirs)
	a.untouched("an erasure of nothing", func() {
		if n := a.eraseAll(d.Ref, class, 4); n != 0 {
			a.t.Errorf("erasing what is erased counts %d", n)
		}
	})
	rest := 0
	for c, n := range filled {
		rest, filled[c] = rest+n, 0
	}
	if n := a.eraseAll(d.Ref, "", 1000); n != rest {
		a.t.Errorf("erasing every class counts %d of %d", n, rest)
	}
	a.counts(d, filled)
	a.counts(neighbour, theirs)
	absent := a.sample()
	a.untouched("an erasure of what is absent", func() {
		if n := a.eraseAll(absent.Ref, class, 10); n != 0 {
			a.t.Errorf("erasing what is absent counts %d", n)
		}
	})
}

func checkDataMap(a *actor) {
	d := a.made()
	filled := a.fill(d, 3)
	m, ok := a.driver.(connector.Mapper)
	if !ok || a.c.Fill == nil || slices.Contains(a.c.Without, "map") {
		a.t.Skip("this type holds no rows, or the driver can't map")
	}
	a.untouched("data map", func() {
		seen, err := m.DataMap(a.t.Context(), connector.Survey{Ref: d.Ref})
		places := seen.Places
		a.must("data map", a.checked("data map", err))
		a.says("data map", places)
		got := map[string]int{}
		for _, p := range places {
			got[p.Class] += int(p.Rows)
			if p.Name == "" || p.Class == "" {
				a.t.Errorf("place %+v has no name or no class", p)
			}
		}
		for class, n := range filled {
			if got[class] != n {
				a.t.Errorf("the data map has %d rows of class %s, want %d", got[class], class, n)
			}
		}
	})
	uncovered := d.Ref
	uncovered.Classes, uncovered.Attributes = d.Classes, d.Attributes
	a.c.Fill(a.t, uncovered, "", 2)
	seen, err := m.DataMap(a.t.Context(), connector.Survey{Ref: d.Ref})
	places := seen.Places
	a.must("data map", a.checked("data map", err))
	if !slices.ContainsFunc(places, func(p connector.Place) bool { return p.Class == "" && p.Name != "" && p.Rows == 2 }) {
		a.t.Errorf("the data map doesn't show 2 rows that no class covers: %+v", places)
	}
}

func checkExpire(a *actor) {
	e, ok := a.driver.(connector.Expirer)
	if !ok || !a.typ.Copies {
		if a.typ.Copies {
			a.t.Errorf("type %s keeps copies and the driver is no Expirer", a.c.Type)
		}
		a.t.Skip("this type keeps no copies")
	}
	d := a.made()
	now := time.Now().Truncate(time.Second)
	soon := a.c.AddCopy(a.t, d.Ref, now.Add(time.Hour))
	late := a.c.AddCopy(a.t, d.Ref, now.Add(48*time.Hour))
	o := a.observe(d.Ref)[0]
	if len(o.Copies) != 2 {
		a.t.Errorf("2 copies are observed as %+v", o.Copies)
	}
	left := func(at time.Time, want ...time.Time) {
		a.t.Helper()
		for range 2 {
			copies, err := e.Expire(a.t.Context(), d.Ref, at)
			a.must("expire", a.checked("expire", err))
			a.says("expire", copies)
			var got []time.Time
			for _, c := range copies {
				got = append(got, c.Expires.UTC())
			}
			slices.SortFunc(got, time.Time.Compare)
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				a.t.Errorf("at %s %v are left, want %v", at, got, want)
			}
		}
		if o := a.observe(d.Ref)[0]; len(o.Copies) != len(want) {
			a.t.Errorf("at %s %d copies are observed, want %d", at, len(o.Copies), len(want))
		}
	}
	a.untouched("expire before its time, and a delete that has to wait", func() {
		left(now, soon, late)
		_, err := a.delete(d.Ref)
		a.refused("delete while copies remain", err, tenure.Blocked)
	})
	left(soon.Add(time.Second), late)
	left(late.Add(time.Second))
	_, err := a.delete(d.Ref)
	a.must("delete", err)
	a.gone(d.Ref)
}
