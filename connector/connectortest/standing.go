package connectortest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// checkStanding takes the mark away from what is as desired: about to be adopted, it reads
// back as desired, but for what the case says can't be told, and so it does once it was
// adopted; what was tampered with doesn't.
func checkStanding(a *actor) {
	adopter, ok := connector.As[connector.Adopter](a.driver)
	if !ok || a.c.Unmark == nil {
		a.t.Skip("nothing of this type can be adopted")
	}
	samples := []connector.Desired{a.made()}
	if a.c.Changed != nil {
		d := a.c.Changed(a.made())
		_, _, err := a.ensure(d)
		a.must("ensure", err)
		samples = append(samples, d)
	}
	untold := map[string]bool{}
	for _, d := range samples {
		missing := a.standing(d)
		for name := range missing {
			untold[name] = true
		}
		if len(missing) > 0 {
			continue
		}
		_, err := adopter.Adopt(a.t.Context(), d.Ref, tenure.ResourcePresent)
		a.must("adopt", a.checked("adopt", err))
		a.there(d)
	}
	for name := range untold {
		if a.c.Untold[name] == "" {
			a.t.Errorf("attribute %s of an unmarked %s can't be told, and the case gives no reason", name, a.c.Type)
		}
	}
	for name := range a.c.Untold {
		if !untold[name] {
			a.t.Errorf("the case says that attribute %s of an unmarked %s can't be told, and it can", name, a.c.Type)
		}
	}
	if a.c.Tamper == nil || a.c.Exists == nil {
		return
	}
	d := a.made()
	a.c.Tamper(a.t, d.Ref)
	if !a.c.Exists(a.t, d.Ref) {
		return
	}
	a.c.Unmark(a.t, d.Ref)
	want, err := a.normalise(d)
	a.must("normalise", err)
	if o := a.adopting(d.Ref); o.Found && o.Owner == connector.Unmarked && bytes.Equal(o.Attributes, want) && o.State == tenure.ResourcePresent {
		a.t.Errorf("an unmarked %s that isn't as desired would be adopted: %s", d.Type, o.Attributes)
	}
}

// standing unmarks what is as desired, and gives the attributes that can't be told then.
func (a *actor) standing(d connector.Desired) (untold map[string]bool) {
	a.t.Helper()
	if a.c.Hollow {
		a.c.Fill(a.t, d.Ref, d.Classes[0], 1)
	}
	a.c.Unmark(a.t, d.Ref)
	want, err := a.normalise(d)
	a.must("normalise", err)
	o := a.adopting(d.Ref)
	if !o.Found || o.Owner != connector.Unmarked || o.State != "" && o.State != tenure.ResourcePresent {
		a.t.Errorf("unmarked %s %q is observed with found=%t owner=%q state=%q", d.Type, d.Name, o.Found, o.Owner, o.State)
	}
	untold = map[string]bool{}
	have, wanted := members(a, o.Attributes), members(a, want)
	for _, name := range o.Untold {
		if _, told := have[name]; told {
			a.t.Errorf("attribute %s is told, as %s, and is among those that can't be", name, have[name])
		}
		if _, is := wanted[name]; is {
			untold[name] = true
			delete(wanted, name)
		}
	}
	if diff := cmp.Diff(texts(wanted), texts(have)); diff != "" {
		a.t.Errorf("attributes of unmarked %s %q (-normalised +observed):\n%s", d.Type, d.Name, diff)
	}
	return untold
}

// adopting is what is observed of a thing that is about to be adopted.
func (a *actor) adopting(r connector.Ref) (out connector.Observed) {
	a.t.Helper()
	ctx, refs := connector.Adopting(a.t.Context(), []connector.Ref{r}), []connector.Ref{r}
	var err error
	if a.system != nil {
		var all []connector.Observed
		if all, _, err = a.system.Observe(ctx, refs); err == nil {
			out = all[0]
		}
	} else {
		_, err = a.driver.Observe(ctx, refs, func(o connector.Observed) error { out = o; return nil })
	}
	a.must("observe what is about to be adopted", a.checked("observe", err))
	a.says("observe what is about to be adopted", out)
	return out
}

func members(a *actor, raw json.RawMessage) (out map[string]json.RawMessage) {
	a.t.Helper()
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			a.t.Errorf("attributes %q: %v", raw, err)
		}
	}
	return out
}

// texts are the members of an object, each with its name, in order.
func texts(all map[string]json.RawMessage) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+": "+string(all[name]))
	}
	return out
}
