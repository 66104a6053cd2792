package connectortest

import (
	"fmt"
	"maps"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// erasure is one run of an erasure, as an engine goes about it: batch by batch,
// with a system that is opened anew after each, as after a crash.
type erasure struct {
	*actor
	r      connector.Ref
	batch  connector.Batch
	taken  map[string]int64 // by what the batches said
	cursor string
	tally  bool
}

func (a *actor) erasure(r connector.Ref, class string, limit int) *erasure {
	a.runs++
	e := &erasure{actor: a, r: r, taken: map[string]int64{}, tally: a.can("tally") && !a.lacks("tally")}
	e.batch = connector.Batch{Run: fmt.Sprint("run-", r.Resource, "-", a.runs), Class: class, Limit: limit}
	return e
}

// once takes one batch.
func (e *erasure) once() (done bool) {
	e.t.Helper()
	e.batch.Cursor = e.cursor
	got, err := e.erase(e.r, e.batch)
	e.must("erase", err)
	if n := sum(got.Counts); n > int64(e.batch.Limit) {
		e.t.Errorf("a batch of at most %d erased %d", e.batch.Limit, n)
	}
	for k, n := range got.Counts {
		e.taken[k] += n
	}
	e.cursor = got.Cursor
	e.totals("batch", got.Total)
	if !e.tally && got.Total != nil {
		e.t.Errorf("a driver that keeps no tally says that the run took %v in all", got.Total)
	}
	return got.Done
}

// totals fails unless the system's own tally says what the batches said.
func (e *erasure) totals(what string, total map[string]int64) {
	e.t.Helper()
	if e.tally && (total == nil && len(e.taken) > 0 || !maps.Equal(positive(total), positive(e.taken))) {
		e.t.Errorf("%s: the tally of the run is %v, and its batches took %v", what, total, e.taken)
	}
}

// all takes batches until it is done, and says how many rows or objects went.
func (e *erasure) all() int {
	e.t.Helper()
	for range 200 {
		done := e.once()
		e.open()
		if !done {
			continue
		}
		if e.tally {
			got, err := e.driver.(connector.Tallier).Tally(e.t.Context(), e.r, e.batch.Run)
			e.must("tally", e.checked("tally", err))
			e.totals("tally", got.Total)
		}
		return int(sum(e.taken))
	}
	e.t.Fatalf("the erasure isn't done after 200 batches; %v are erased", e.taken)
	return 0
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func nonNil(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

func positive(m map[string]int64) map[string]int64 {
	out := maps.Clone(nonNil(m))
	maps.DeleteFunc(out, func(_ string, n int64) bool { return n == 0 })
	return out
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
	e := a.erasure(d.Ref, class, 4)
	if !a.offers("erase", a.holdsData(), func() error {
		got, err := a.erase(d.Ref, e.batch)
		e.taken = nonNil(got.Counts)
		if n := sum(got.Counts); err == nil && (got.Done || n > 4) {
			a.t.Errorf("the first batch of 4 erased %d of 25, done=%t", n, got.Done)
		}
		return err
	}) {
		return
	}
	if a.holdsData() && !a.can("tally") && !a.lacks("tally") {
		a.t.Errorf("type %s should keep a tally of what an erasure took, and the driver can't", a.c.Type)
	}
	a.open()
	// The first batch's answer was lost in a crash, and its cursor with it.
	if n := e.all(); n != 25 {
		a.t.Errorf("erasing counts %d of 25", n)
	}
	filled[class] = 0
	a.counts(d, filled)
	a.counts(neighbour, theirs)
	a.untouched("an erasure of nothing", func() {
		if n := a.erasure(d.Ref, class, 4).all(); n != 0 {
			a.t.Errorf("erasing what is erased counts %d", n)
		}
	})
	rest := 0
	for c, n := range filled {
		rest, filled[c] = rest+n, 0
	}
	if n := a.erasure(d.Ref, "", 1000).all(); n != rest {
		a.t.Errorf("erasing every class counts %d of %d", n, rest)
	}
	a.counts(d, filled)
	a.counts(neighbour, theirs)
	absent := a.sample()
	a.untouched("an erasure of what is absent", func() {
		if n := a.erasure(absent.Ref, class, 10).all(); n != 0 {
			a.t.Errorf("erasing what is absent counts %d", n)
		}
	})
	if e.tally {
		_, err := a.delete(d.Ref)
		a.must("delete", err)
		got, err := a.driver.(connector.Tallier).Tally(a.t.Context(), d.Ref, e.batch.Run)
		a.must("tally of what is deleted", a.checked("tally", err))
		if n := sum(got.Total); n != 0 {
			a.t.Errorf("the tally of a deleted resource still says %d", n)
		}
	}
}

// checkRemains deletes what isn't erased yet: a type that isn't whole must have
// been erased before, or rows would go past their gates.
func checkRemains(a *actor) {
	if a.c.Fill == nil || a.typ.Whole || !a.can("erase") || a.lacks("erase") {
		a.t.Skip("this type holds no rows, or goes as a whole")
	}
	d := a.made()
	filled := a.fill(d, 3)
	a.untouched("a refused delete", func() {
		_, err := a.driver.Delete(a.t.Context(), d.Ref)
		a.refused("delete of what isn't erased", a.checked("delete", err), tenure.Blocked, tenure.Conflict)
	})
	a.counts(d, filled)
}

// checkStuck plants what keeps rows from going: an erasure that gets nowhere must
// say so, and what is in its way, and not be asked for again without end.
func checkStuck(a *actor) {
	if a.c.Stick == nil {
		a.t.Skip("nothing in this system keeps rows from going")
	}
	d := a.made()
	filled := a.fill(d, 6)
	class := d.Classes[0]
	name, undo := a.c.Stick(a.t, d.Ref, class)
	e := a.erasure(d.Ref, class, 4)
	var err error
	for range 10 {
		var got connector.Erased
		e.batch.Cursor = e.cursor
		if got, err = a.erase(d.Ref, e.batch); err != nil || got.Done {
			break
		}
		e.cursor = got.Cursor
	}
	a.refused("an erasure that gets nowhere", err, tenure.Blocked)
	if err == nil || !strings.Contains(err.Error(), name) {
		a.t.Errorf("the error doesn't name %s, which is in the way: %v", name, err)
	}
	a.counts(d, filled)
	undo()
	if n := a.erasure(d.Ref, class, 4).all(); n != filled[class] {
		a.t.Errorf("once nothing is in the way, %d of %d rows go", n, filled[class])
	}
}
