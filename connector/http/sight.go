package http

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// sentinels are what Tenure keeps in the system: the one by which the system is known, and
// those of single types. What others lie in comes before them.
func (d *Description) sentinels() []sentinelSpec {
	var all []sentinelSpec
	if d.Sentinel.Type != "" {
		all = append(all, d.Sentinel)
	}
	for _, t := range d.Types {
		if t.Sentinel != nil {
			s := *t.Sentinel
			s.Type = t.Name
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b sentinelSpec) int {
		return cmp.Compare(strings.Count(a.Name, "/"), strings.Count(b.Name, "/"))
	})
	return all
}

// kept says whether a type's thing of a name is one of the sentinels.
func (d *Description) kept(typ, name string) bool {
	if d.Sentinel.Type == typ {
		return d.Sentinel.Name == name
	}
	for i := range d.Types { // asked of each thing that is listed
		if t := &d.Types[i]; t.Name == typ {
			return t.Sentinel != nil && t.Sentinel.Name == name
		}
	}
	return false
}

// sentinel finds one of those that Tenure keeps in the system, nil if it isn't there. It belongs
// to no installation: all that share a system know it by the same one.
func (p *pass) sentinel(ctx context.Context, s sentinelSpec) (*found, error) {
	if s.Type == "" {
		return nil, nil
	}
	t, err := p.d.typ(s.Type)
	if err != nil {
		return nil, err
	}
	list, err := p.all(ctx, t)
	if err != nil {
		return nil, err
	}
	var one *found
	for _, f := range list { // two that were planted at once are told apart in the same way each time
		if f.name == s.Name && (one == nil || f.id < one.id) {
			one = f
		}
	}
	return one, nil
}

// sighting says who the system is and what was seen of it.
func (p *pass) sighting(ctx context.Context) (g connector.Sighting, err error) {
	who := p.d.Name
	if id := p.d.Identity; id != nil {
		_, body, err := p.d.send(ctx, id.requestSpec, p.d.options)
		if err != nil {
			return g, err
		}
		value, err := p.d.eval(id.Value, p.d.options.with("body", body))
		if err != nil {
			return g, err
		}
		text, _ := value.(string)
		if text == "" {
			return g, tenure.Errorf(tenure.Blocked, "%s doesn't say who it is", p.d.Name)
		}
		who += " " + text
	}
	f, err := p.sentinel(ctx, p.d.Sentinel)
	if err != nil {
		return g, err
	}
	if f != nil {
		g.Sentinel = true
		value := f.id
		if p.d.Sentinel.Value != "" {
			v, err := p.d.eval(p.d.Sentinel.Value, p.d.options.with("item", f.item))
			if err != nil {
				return g, err
			}
			value, _ = v.(string)
		}
		who += " " + value
	}
	g.Fingerprint, g.Complete, g.Hidden = who, p.complete, p.hidden
	if p.d.Sentinel.Type == "" {
		g.Sentinel = true // nothing is kept in a system that has probes alone
	}
	return g, nil
}

// Plant makes the place of the marks and the sentinels where they aren't there.
func (d *described) Plant(ctx context.Context) (string, error) {
	if m := d.Marks; m != nil && m.Ready != nil {
		_, _, err := d.send(ctx, *m.Ready, d.options)
		if tenure.CodeOf(err) == tenure.NotFound {
			_, _, err = d.act(ctx, m.Setup, d.options.with("omit", omitted, "key", "", "mark", "", "id", "", "entry", nil))
		}
		if err != nil {
			return "", err
		}
	}
	for _, s := range d.sentinels() {
		if err := d.plant(ctx, s); err != nil {
			return "", err
		}
	}
	g, err := d.pass().sighting(ctx)
	return g.Fingerprint, err
}

// plant makes a sentinel that isn't there.
func (d *described) plant(ctx context.Context, s sentinelSpec) error {
	t, err := d.typ(s.Type)
	if err != nil {
		return err
	}
	r := connector.Ref{Type: s.Type, Name: s.Name, Attributes: s.Attributes}
	at, err := d.pass().look(ctx, t, r, false)
	if err != nil || at.namesake != nil {
		return err
	}
	v := d.vars(t, r, nil).with("parent", itemOf(at.parent), "credential", d.marker.Seal("sentinel of "+d.Name), "mark", "")
	if _, _, err := d.act(ctx, t.Create, v); err != nil {
		return err
	}
	return rest.Until(ctx, often, max(settle, span(t.Lag, 0)), "the sentinel", func() (bool, error) {
		f, err := d.pass().sentinel(ctx, s)
		return f != nil, err
	})
}

// judge takes a type's list for partial where the type has a sentinel that isn't in it. Of the
// other types the description says how a missing right shows.
func (p *pass) judge(t *typeSpec, lists []*listing) {
	if p.d.Sentinel.Type != t.Name && t.Sentinel == nil || slices.ContainsFunc(lists, func(l *listing) bool { return l.sentinel }) {
		return
	}
	p.complete, p.hidden = false, "the sentinel isn't among what is listed of type "+t.Name
}

// gone refuses to take what was there, and wasn't seen, for gone: as absent does, and where
// what it lay in isn't there, in which alone it could be listed.
func (p *pass) gone(t *typeSpec, r connector.Ref, at place) error {
	if t.In != "" && at.parent == nil && !t.Cascades {
		above, _ := t.split(r.Name)
		return tenure.Errorf(tenure.Blocked, "%s %q isn't there any more, and %s %q, which lay in it, may be", t.In, above, t.Name, r.Name).
			WithHint("look for it in the system, remove it there, and leave the step out with a reason; cascades says in the description that a %s goes with its %s", t.Name, t.In)
	}
	return p.absent(t, r)
}

// absent refuses to take what wasn't seen for absent where the look didn't show all.
func (p *pass) absent(t *typeSpec, r connector.Ref) error {
	if p.complete {
		return nil
	}
	why := ""
	if p.hidden != "" {
		why = ": " + p.hidden
	}
	return tenure.Errorf(tenure.Unavailable, "%s doesn't show all%s: %s %q may be there, unseen", p.d.Name, why, t.Name, r.Name).
		WithHint("see what the account of the system may read").Retryable()
}
