package connectortest

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func (a *actor) maps() bool {
	return a.can("map") && a.c.Fill != nil && !a.lacks("map")
}

// dataMap surveys with a pass that can be trusted, and changes nothing.
func (a *actor) dataMap(v connector.Survey) (m connector.Map) {
	a.t.Helper()
	a.untouched("data map", func() {
		var err error
		if a.system != nil {
			var absent tenure.Verdict
			if m, absent, err = a.system.DataMap(a.t.Context(), v); err == nil && absent != tenure.Verified {
				a.t.Errorf("data map: absence is %q on a whole system, partial %q", absent, m.Partial)
			}
		} else {
			m, err = a.driver.(connector.Mapper).DataMap(a.t.Context(), v)
		}
		a.must("data map", a.checked("data map", err))
	})
	if g := m.Sighting; !g.Sentinel || !g.Complete || g.Fingerprint == "" {
		a.t.Errorf("data map: sighting %+v of a whole system", g)
	}
	a.says("data map", m)
	for _, p := range m.Places {
		if p.Name == "" || p.Blocks && (p.Says == "" || p.Fix == "") {
			a.t.Errorf("place %+v has no name, or blocks and doesn't say why or what to do", p)
		}
	}
	return m
}

// rows are the map's rows by class, without references and the like.
func rows(m connector.Map) map[string]int {
	out := map[string]int{}
	for _, p := range m.Places {
		if p.IsData() && p.Kind != connector.PlaceDerived {
			out[p.Class] += int(p.Rows)
		}
	}
	return out
}

func checkDataMap(a *actor) {
	if !a.maps() {
		a.t.Skip("this type holds no rows, or the driver can't map")
	}
	d := a.made()
	filled := a.fill(d, 3)
	for _, v := range []connector.Survey{{Ref: d.Ref}, {Ref: d.Ref, Order: d.Classes, Prove: true}} {
		m := a.dataMap(v)
		got := rows(m)
		for class, n := range filled {
			if got[class] != n {
				a.t.Errorf("the data map has %d rows of class %s, want %d", got[class], class, n)
			}
		}
		if i := slices.IndexFunc(m.Places, func(p connector.Place) bool { return p.Blocks || p.Class == "" && p.IsData() }); i >= 0 {
			a.t.Errorf("what is covered in full is mapped as %+v", m.Places[i])
		}
	}
	a.c.Fill(a.t, d.Ref, "", 2)
	m := a.dataMap(connector.Survey{Ref: d.Ref})
	if !slices.ContainsFunc(m.Places, func(p connector.Place) bool { return p.Class == "" && p.Rows == 2 && p.Blocks }) {
		a.t.Errorf("the data map doesn't show 2 rows that no class covers as what blocks: %+v", m.Places)
	}
}

// checkLate puts rows where a resource was that is erased and deleted, as an
// application does that wasn't told. They must be counted, mark or no mark.
func checkLate(a *actor) {
	if a.c.Late == nil || !a.maps() {
		a.t.Skip("nothing can be written where this was")
	}
	d := a.made()
	a.fill(d, 2)
	a.erasure(d.Ref, "", 1000).all()
	_, err := a.delete(d.Ref)
	a.must("delete", err)
	gone := connector.Survey{Ref: d.Ref, Gone: true}
	for class, n := range rows(a.dataMap(gone)) {
		if n != 0 {
			a.t.Errorf("once it is deleted the data map has %d rows of class %s", n, class)
		}
	}
	a.c.Late(a.t, d.Ref, d.Classes[0], 2)
	if n := rows(a.dataMap(gone))[d.Classes[0]]; n != 2 {
		a.t.Errorf("the data map has %d of 2 rows that came late", n)
	}
	if !a.can("erase") || a.lacks("erase") {
		return
	}
	e := a.erasure(d.Ref, d.Classes[0], 1)
	e.batch.Gone = true
	want := 0
	if a.typ.Whole { // what stands where a store of the tenant's own was bears no mark of ours
		want = 2
		if got, err := a.erase(d.Ref, e.batch); err == nil && sum(got.Counts) > 0 {
			a.t.Errorf("%v went from a store that isn't ours", got.Counts)
		}
	} else if n := e.all(); n != 2 {
		a.t.Errorf("an erasure of what was deleted takes %d of 2 rows that came late", n)
	}
	if n := int(rows(a.dataMap(gone))[d.Classes[0]]); n != want {
		a.t.Errorf("after it the data map has %d rows, want %d", n, want)
	}
}
