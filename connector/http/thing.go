package http

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// found is one thing as the system shows it.
type found struct {
	id     string
	own    string // the name that it has there
	name   string // with what it lies in: PARENT/OWN
	note   note
	of     tenure.ResourceID
	owner  connector.Ownership
	state  tenure.ResourceState
	ending bool // its deletion was accepted and isn't done
	item   any
	parent *found
	refers vars // ids and named, of the types that the type refers to

	// seen is what callers see of it, in a pass that only shows: then item isn't kept.
	seen *connector.Observed
}

// listing is everything of a type, or of it in one parent.
type listing struct {
	all   []*found
	of    map[tenure.ResourceID][]*found // what bears our mark for a resource
	named map[string][]*found            // by the name that it has there

	sentinel bool // it has one of the type's
}

func (l *listing) add(f *found) {
	l.all = append(l.all, f)
	if f.owner == connector.Ours {
		l.of[f.of] = append(l.of[f.of], f)
	}
	l.named[f.own] = append(l.named[f.own], f)
}

func newListing() *listing {
	return &listing{of: map[tenure.ResourceID][]*found{}, named: map[string][]*found{}}
}

func (d *described) typ(name string) (*typeSpec, error) {
	for i := range d.Types {
		if d.Types[i].Name == name {
			return &d.Types[i], nil
		}
	}
	return nil, tenure.Errorf(tenure.Invalid, "%s has no resource type %q", d.Name, name)
}

// pass is one look at the system: what it read isn't read again.
type pass struct {
	d        *described
	marks    registry
	marked   bool // marks are read
	complete bool
	hidden   string // what may be there unseen, where that isn't all that is listed
	lenient  *trace // what can't be read is written down there, and ends nothing
	shows    bool   // nothing is done with what is found: what callers see of it is enough
	lists    map[string]*listing
	referred map[string]vars // by type
}

func (d *described) pass() *pass {
	return &pass{d: d, complete: true, lists: map[string]*listing{}, referred: map[string]vars{}}
}

func (p *pass) registry(ctx context.Context) (registry, error) {
	if p.marked {
		return p.marks, nil
	}
	g, complete, err := p.d.registered(ctx)
	if err != nil && p.lenient != nil && ctx.Err() == nil {
		p.lenient.unmarked, g, err = true, registry{}, nil
	}
	if err != nil {
		return registry{}, err
	}
	p.marks, p.marked, p.complete = g, true, p.complete && complete
	return g, nil
}

// refers gives, of each type that a type refers to, the ids by the names (ids) and the names
// by the ids (named).
func (p *pass) refers(ctx context.Context, t *typeSpec) (vars, error) {
	if len(t.Refers) == 0 {
		return nil, nil
	}
	if had, ok := p.referred[t.Name]; ok {
		return had, nil
	}
	ids, named := map[string]any{}, map[string]any{}
	for _, name := range t.Refers {
		to, err := p.d.typ(name)
		if err != nil {
			return nil, err
		}
		list, err := p.all(ctx, to)
		if err != nil {
			return nil, err
		}
		byName, byID := map[string]any{}, map[string]any{}
		for _, f := range list {
			byName[f.name], byID[f.id] = f.id, f.name
		}
		ids[name], named[name] = byName, byID
	}
	out := vars{"ids": ids, "named": named}
	p.referred[t.Name] = out
	return out, nil
}

// read makes a found of an item.
func (p *pass) read(ctx context.Context, t *typeSpec, parent *found, item any) (*found, error) {
	d := p.d
	f := &found{item: item, parent: parent}
	v := d.options.with("item", item, "parent", itemOf(parent), "word", "", "resource", "")
	var err error
	if f.refers, err = p.refers(ctx, t); err != nil {
		return nil, err
	}
	if f.id, err = d.word(t.Item.ID, item, v); err != nil {
		return nil, err
	}
	if f.own, err = d.word(t.Item.Name, item, v); err != nil {
		return nil, err
	}
	if m := t.Item.Mark; m != nil {
		value, err := d.field(m.At, item, v)
		if err != nil {
			return nil, err
		}
		line := m.find(value)
		if f.note = readNote(line); m.As == "suffix" && line != "" {
			f.own = strings.TrimSuffix(strings.TrimSuffix(f.own, line), " ")
		}
	}
	f.name = f.own
	if parent != nil {
		f.name = parent.name + "/" + f.own
	}
	if d.Marks != nil {
		g, err := p.registry(ctx)
		if err != nil {
			return nil, err
		}
		f.note = g.of(t.Name, f.name, f.id)
	}
	f.of, f.owner = d.owner(t.Name, f.note)
	if f.owner == connector.Ours && t.Item.Mark != nil && !d.genuine(t, f.id, f.note) {
		f.of, f.owner = "", connector.Forged
	}
	f.state = tenure.ResourcePresent
	if t.Item.State != "" {
		value, err := d.eval(t.Item.State, v.with("word", f.note.state))
		if err != nil {
			return nil, err
		}
		switch s, _ := value.(string); s {
		case "present", "suspended", "revoked":
			f.state = tenure.ResourceState(s)
		case "deleting":
			f.ending = true
		default:
			return nil, tenure.Errorf(tenure.Invalid, "%s: the state of a %s is %q, none of present, suspended, revoked, deleting", d.Name, t.Name, source.Clip(s))
		}
		if f.owner == connector.Ours {
			f.state = f.note.reached(f.state)
		}
	}
	return f, nil
}

func itemOf(f *found) any {
	if f == nil {
		return nil
	}
	return f.item
}

// list gives everything of a type, or of it in one parent.
func (p *pass) list(ctx context.Context, t *typeSpec, parent *found) (*listing, error) {
	key := t.Name
	if parent != nil {
		key += "\x00" + parent.id
	}
	if had, ok := p.lists[key]; ok {
		return had, nil
	}
	out := newListing()
	slim := p.shows && !p.d.needed(t)
	v := p.d.options.with("parent", itemOf(parent), "name", "", "own", "", "id", "", "omit", omitted, "attributes", map[string]any{})
	complete, err := p.d.each(ctx, &t.List, v, t.Item.ID, func(item any) error {
		f, err := p.read(ctx, t, parent, item)
		if err != nil && p.lenient != nil && ctx.Err() == nil {
			p.lenient.odd(t, err)
			return nil
		}
		if err != nil {
			return err
		}
		if slim {
			o, err := p.d.observed(t, f, "")
			if err != nil {
				return err
			}
			f.seen, f.item, f.refers = &o, nil, nil
		}
		out.add(f)
		out.sentinel = out.sentinel || p.d.kept(t.Name, f.name)
		return nil
	})
	if parent != nil && errors.Is(err, errSegment) && p.lenient == nil {
		if parent.owner == connector.Ours {
			return nil, tenure.Errorf(tenure.Blocked, "%s %q: %w", t.In, source.Clip(parent.name), err).WithHint("remove it in the system by hand: nothing can be asked of it safely")
		}
		complete, err = true, nil // nothing of ours was ever made in it
	}
	if p.lenient != nil && ctx.Err() == nil {
		p.lenient.listed(t, parent, complete, err)
		complete, err = true, nil
	}
	if err != nil {
		return nil, err
	}
	p.complete = p.complete && complete
	p.lists[key] = out
	return out, nil
}

// parents are all in which things of a type lie; nil alone for a type that lies in nothing.
func (p *pass) parents(ctx context.Context, t *typeSpec) ([]*found, error) {
	if t.In == "" {
		return []*found{nil}, nil
	}
	up, err := p.d.typ(t.In)
	if err != nil {
		return nil, err
	}
	return p.all(ctx, up)
}

// all is everything of a type, wherever it lies.
func (p *pass) all(ctx context.Context, t *typeSpec) ([]*found, error) {
	parents, err := p.parents(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []*found
	var lists []*listing
	for _, parent := range parents {
		list, err := p.list(ctx, t, parent)
		if err != nil {
			return nil, err
		}
		out, lists = append(out, list.all...), append(lists, list)
	}
	p.judge(t, lists)
	return out, nil
}

// needed says whether other things are read by what a type's things show.
func (d *Description) needed(t *typeSpec) bool {
	return d.Sentinel.Type == t.Name && d.Sentinel.Value != "" || slices.ContainsFunc(d.Types, func(o typeSpec) bool { return o.In == t.Name })
}

// split takes a resource's name apart into its parent's and its own.
func (t *typeSpec) split(name string) (parent, own string) {
	if t.In == "" {
		return "", name
	}
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

// checkName refuses names that the system can't take as they are.
func (d *described) checkName(t *typeSpec, name string) error {
	bad := func(format string, args ...any) error {
		return tenure.Errorf(tenure.Invalid, "%s: name %q "+format, append([]any{t.Name, source.Clip(strings.ToValidUTF8(name, "\ufffd"))}, args...)...)
	}
	parent, own := t.split(name)
	switch why := connector.Misnamed(own, t.Names.Max); {
	case why != "":
		return bad("%s", why)
	case t.In != "" && parent == "":
		return bad("has to be PARENT/NAME, where PARENT is the name of its %s", t.In)
	case strings.Contains(own, "/") || strings.Contains(own, " tenure:"):
		return bad("holds what Tenure uses between names")
	case d.kept(t.Name, name):
		return bad("is the one of Tenure's sentinel")
	case t.Names.Pattern != "":
		if re, err := regexp.Compile(t.Names.Pattern); err != nil || !re.MatchString(own) {
			return bad("isn't one: %s", t.Names.Says)
		}
	}
	if t.In != "" {
		up, err := d.typ(t.In)
		if err != nil {
			return err
		}
		return d.checkName(up, parent)
	}
	return nil
}

// get reads one thing by the system's id; nil if it isn't there.
func (p *pass) get(ctx context.Context, t *typeSpec, r connector.Ref, id string, parent *found) (*found, error) {
	item, found, err := p.d.fetch(ctx, *t.Get, p.d.vars(t, r, nil).with("id", id, "parent", itemOf(parent)))
	if err != nil || !found {
		return nil, err
	}
	return p.read(ctx, t, parent, item)
}

// fetch asks for one thing and gives what its answer holds; found is false if it isn't there.
func (d *described) fetch(ctx context.Context, g getSpec, v vars) (item any, found bool, err error) {
	absent := g.Absent
	if len(absent) == 0 {
		absent = []int{404, 410}
	}
	req, err := d.request(g.requestSpec, v)
	if err != nil {
		return nil, false, err
	}
	a, err := d.client.Send(ctx, req)
	switch {
	case err != nil:
		return nil, false, err
	case a.OK(absent...):
		return nil, false, nil
	case !a.OK(g.Expect...):
		return nil, false, a.Err()
	}
	body, err := a.JSON()
	if err != nil {
		return nil, false, err
	}
	item, err = d.field(g.Item, body, v.with("body", body))
	return item, err == nil, err
}

// vars are what the requests about a thing may read.
func (d *described) vars(t *typeSpec, r connector.Ref, f *found) vars {
	_, own := t.split(r.Name)
	v := d.options.with("name", r.Name, "own", own, "tenant", string(r.Tenant), "environment", r.Environment, "resource", string(r.Resource),
		"attributes", t.desired(r.Attributes), "credential", "", "mark", "", "item", nil, "id", "", "parent", nil, "omit", omitted, "classes", r.Classes, "now", d.now().Unix())
	if f != nil {
		v = v.with("item", f.item, "id", f.id, "parent", itemOf(f.parent))
		for name, value := range f.refers {
			v[name] = value
		}
	}
	return v
}

// desired are the attributes with the schema's defaults.
func (t *typeSpec) desired(given map[string]any) map[string]any {
	out := make(map[string]any, len(t.defaults)+len(given))
	for name, v := range t.defaults {
		out[name] = v
	}
	for name, v := range given {
		out[name] = whole(v)
	}
	return out
}

// whole has numbers as JSON's are read here: int64 where they are whole.
func whole(v any) any {
	return eachLeaf(v, func(v any) any {
		switch v := v.(type) {
		case float64:
			if i := int64(v); float64(i) == v && v >= -1<<53 && v <= 1<<53 {
				return i
			}
		case int:
			return int64(v)
		}
		return v
	})
}

// eachLeaf is a copy of a plain value with every value that holds no other replaced.
func eachLeaf(v any, f func(any) any) any {
	switch v := v.(type) {
	case []string:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = f(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = eachLeaf(e, f)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = eachLeaf(e, f)
		}
		return out
	}
	return f(v)
}

// normal is what of the attributes can be observed, as canonical JSON. Lists whose schema
// says that their items are unique are sets: their order doesn't count.
func (d *described) normal(t *typeSpec, attributes map[string]any) (json.RawMessage, error) {
	out := map[string]any{}
	for name := range t.Item.Attributes {
		v, ok := attributes[name]
		if !ok || v == nil {
			continue
		}
		if list, ok := v.([]any); ok && t.sets[name] {
			v = sorted(list)
		}
		out[name] = v
	}
	if renamed, ok := attributes[renamedTo]; ok {
		out[renamedTo] = renamed
	}
	raw, err := tenure.Canonical(out)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: its attributes can't be written as JSON: %w", t.Name, err)
	}
	return raw, nil
}

// renamedTo is observed of a thing of ours that somebody gave another name.
const renamedTo = "renamedTo"

func sorted(list []any) []any {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b any) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return strings.Compare(string(x), string(y))
	})
	return out
}

// observed is a thing as callers see it. Name is the one of the resource where it is known.
func (d *described) observed(t *typeSpec, f *found, name string) (o connector.Observed, err error) {
	renamed := name != "" && name != f.name
	if f.seen != nil {
		if o = *f.seen; renamed {
			var attributes map[string]any
			if err := json.Unmarshal(o.Attributes, &attributes); err != nil {
				return o, tenure.Errorf(tenure.Internal, "what was observed of a %s can't be read", t.Name)
			}
			attributes[renamedTo] = f.own
			o.Name, o.Called, o.Detail = name, f.name, "somebody gave it the name "+source.Clip(f.own)
			o.Attributes, err = tenure.Canonical(attributes)
		}
		return o, err
	}
	v := d.options.with("item", f.item, "word", f.note.state, "parent", itemOf(f.parent), "resource", string(f.of))
	for name, value := range f.refers {
		v[name] = value
	}
	attributes := map[string]any{}
	for key, from := range t.Item.Attributes {
		if attributes[key], err = d.field(from, f.item, v); err != nil {
			return o, err
		}
	}
	o = connector.Observed{Type: t.Name, Name: f.name, Found: true, State: f.state, Owner: f.owner}
	if renamed {
		o.Name, o.Called, o.Detail, attributes[renamedTo] = name, f.name, "somebody gave it the name "+source.Clip(f.own), f.own
	}
	if f.owner == connector.Ours {
		o.Resource = f.of
	}
	if f.ending {
		o.Detail = "its deletion was accepted and isn't done"
	}
	if len(t.Item.Metrics) > 0 {
		o.Metrics = map[string]int64{}
		for key, from := range t.Item.Metrics {
			n, err := d.field(from, f.item, v)
			if err != nil {
				return o, err
			}
			o.Metrics[key], _ = n.(int64)
		}
	}
	o.Attributes, err = d.normal(t, attributes)
	return o, err
}
