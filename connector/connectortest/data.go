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

func checkExpire(a *actor) {
	e, ok := connector.As[connector.Expirer](a.driver)
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
