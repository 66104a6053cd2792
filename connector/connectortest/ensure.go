package connectortest

import (
	"bytes"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func checkNormalise(a *actor) {
	d := a.sample()
	accepts(a.t, a.typ, d.Attributes)
	a.untouched("normalise", func() {
		first, err := a.normalise(d)
		a.must("normalise", err)
		second, err := a.normalise(d)
		a.must("normalise", err)
		canonical, err := tenure.Canonical(first)
		a.must("canonical", err)
		if len(first) == 0 || first[0] != '{' {
			a.t.Errorf("normalise gives %s, which is no JSON object", first)
		}
		if !bytes.Equal(first, second) || !bytes.Equal(first, canonical) {
			a.t.Errorf("normalise gives %s and %s; canonical is %s", first, second, canonical)
		}
	})
	for _, bad := range a.c.Invalid {
		a.untouched("a refused ensure", func() {
			d := a.sample()
			d.Attributes = bad
			_, err := a.normalise(d)
			a.refused("normalise", err, tenure.Invalid)
			_, _, err = a.ensure(d)
			a.refused("ensure", err, tenure.Invalid)
		})
	}
}

func checkEnsure(a *actor) {
	d := a.sample()
	o, rec, err := a.ensure(d)
	a.must("ensure", err)
	if !rec.Changed {
		a.t.Error("the first ensure says that nothing changed")
	}
	if o.State != tenure.ResourcePresent {
		a.t.Errorf("the first ensure gives state %q", o.State)
	}
	a.same(d, o)
	a.there(d)
	a.metered(a.observe(d.Ref)[0])
	if a.c.Works != nil && !a.c.Works(a.t, d) {
		a.t.Error("access doesn't work after ensure")
	}
	a.untouched("the second ensure", func() {
		o, rec, err = a.ensure(d)
		a.must("second ensure", err)
		if rec.Changed {
			a.t.Errorf("the second ensure says that it changed something: %+v", rec)
		}
		a.same(d, o)
	})
	a.open()
	if _, rec, err = a.ensure(d); err != nil || rec.Changed {
		a.t.Errorf("ensure after a reopening: changed=%t, error %v", rec.Changed, err)
	}
}

// metered fails if a metric that a price depends on isn't reported.
func (a *actor) metered(o connector.Observed) {
	a.t.Helper()
	for _, c := range a.typ.Cost {
		if _, ok := o.Metrics[c.Metric]; !ok && c.Metric != "one" {
			a.t.Errorf("the cost depends on metric %q, which isn't observed", c.Metric)
		}
	}
}

func checkChanged(a *actor) {
	if a.c.Changed == nil {
		a.t.Skip("nothing of this type can be changed")
	}
	d := a.made()
	neighbour := a.made()
	changed := a.c.Changed(d)
	accepts(a.t, a.typ, changed.Attributes)
	before, _ := a.normalise(d)
	after, _ := a.normalise(changed)
	if bytes.Equal(before, after) {
		a.t.Fatalf("the changed sample normalises to the same: %s", after)
	}
	o, rec, err := a.ensure(changed)
	a.must("ensure", err)
	if !rec.Changed {
		a.t.Error("ensure with other attributes says that nothing changed")
	}
	a.same(changed, o)
	a.there(changed)
	a.there(neighbour)
	_, _, err = a.ensure(d)
	a.must("ensure back", err)
	a.there(d)
}

func checkTamper(a *actor) {
	if a.c.Tamper == nil {
		a.t.Skip("nothing of this type can drift")
	}
	d := a.made()
	a.c.Tamper(a.t, d.Ref)
	want, err := a.normalise(d)
	a.must("normalise", err)
	if o := a.observe(d.Ref)[0]; o.Found && o.Owner == connector.Ours && bytes.Equal(o.Attributes, want) {
		a.t.Errorf("the tampered %s is observed as if it were as desired", d.Type)
	}
	_, rec, err := a.ensure(d)
	a.must("repair", err)
	if !rec.Changed {
		a.t.Error("the repair says that nothing changed")
	}
	a.there(d)
}

// checkCancelled fails if a call goes on for a caller that has left.
func checkCancelled(a *actor) {
	d, absent := a.made(), a.sample()
	ctx, cancel := cancelled(a.t)
	defer cancel()
	a.untouched("a cancelled call", func() {
		_, _, err := a.ensureContext(ctx, absent)
		a.failed("ensure", err)
		_, err = a.driver.Delete(ctx, d.Ref)
		a.failed("delete", err)
		_, err = a.driver.Observe(ctx, []connector.Ref{d.Ref}, func(connector.Observed) error { return nil })
		a.failed("observe", err)
		_, err = a.driver.Discover(ctx, connector.Scope{}, func(connector.Observed) error { return nil })
		a.failed("discover", err)
	})
	a.there(d)
}

func (a *actor) failed(call string, err error) {
	a.t.Helper()
	if a.checked(call, err) == nil {
		a.t.Errorf("%s went through although its context was cancelled", call)
	}
}
