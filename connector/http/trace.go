package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

var _ connector.Tracer = (*described)(nil)

// trace is one look at a system that Tenure may never have seen.
type trace struct {
	unmarked bool // what Tenure wrote of its things can't be read
	some     int  // lists that were read, or a part of them
	first    error

	says  []string
	below map[string]*unlisted // by type: what wasn't listed in what it lies in
	odds  map[string]*unlisted // by type: items that can't be read
}

type unlisted struct {
	n   int
	why string
}

// errSpent says that no call is left.
var errSpent = errors.New("the allowed calls were used up")

// glancing is the key of a context in which requests are counted, and no list is read twice.
type glancing struct{}

func glances(ctx context.Context) bool { return ctx.Value(glancing{}) != nil }

// ask sends a request, if one may be sent.
func (d *described) ask(ctx context.Context, r rest.Request) (rest.Answer, error) {
	if calls, is := ctx.Value(glancing{}).(*connector.Budget); is && !calls.Spend() {
		return rest.Answer{}, errSpent
	}
	return d.client.Send(ctx, r)
}

// Trace is described at connector.Tracer: everything that the description's lists give. It
// sends their requests, and what it signs in with. Each type is listed once.
func (d *described) Trace(ctx context.Context, asked connector.Tracing, yield func(connector.Trace) error) (out connector.Traced, err error) {
	t := &trace{below: map[string]*unlisted{}, odds: map[string]*unlisted{}}
	p := d.pass()
	p.lenient = t
	ctx = context.WithValue(ctx, glancing{}, asked.Calls)
	all := make([]*typeSpec, len(d.Types))
	for i := range d.Types {
		all[i] = &d.Types[i]
	}
	slices.SortStableFunc(all, func(a, b *typeSpec) int {
		return cmp.Or(cmp.Compare(d.depth(a), d.depth(b)), cmp.Compare(order[d.traceKind(a)], order[d.traceKind(b)]), cmp.Compare(a.Name, b.Name))
	})
	reaches := map[string][]string{}
	for _, typ := range all {
		list, err := p.all(ctx, typ)
		if err != nil {
			return connector.Traced{}, err
		}
		for _, f := range list {
			if f.ending || d.kept(typ.Name, f.name) || d.self(typ, f) {
				continue
			}
			one, err := d.traced(typ, f)
			if err != nil {
				t.odd(typ, err)
				continue
			}
			if t.unmarked {
				one.Bears = ""
			}
			d.joins(typ, f, one.ID, reaches)
			one.Reaches = reaches[typ.Name+" "+f.name]
			if err := yield(one); err != nil {
				return connector.Traced{}, err
			}
		}
	}
	if t.some == 0 && t.first != nil && !errors.Is(t.first, errSpent) {
		return connector.Traced{}, t.first
	}
	if s := d.Sentinel; s.Type != "" {
		if f, err := p.sentinel(ctx, s); err == nil && f != nil {
			if g, err := p.sighting(ctx); err == nil {
				out.Fingerprint = g.Fingerprint
			}
		}
	}
	out.Says = t.told()
	return out, nil
}

// depth is how many types a type's things lie in.
func (d *Description) depth(t *typeSpec) (n int) {
	for t.In != "" && n < len(d.Types) {
		i := slices.IndexFunc(d.Types, func(o typeSpec) bool { return o.Name == t.In })
		if i < 0 {
			break
		}
		t, n = &d.Types[i], n+1
	}
	return n
}

// order has groups before those who are in them.
var order = map[connector.TraceKind]int{connector.TracePlace: 0, connector.TraceRecord: 1, connector.TraceGroup: 2, connector.TraceAccount: 3, connector.TraceJob: 4}

// What a type's name says of its things, whatever their layer.
var (
	recordWords = []string{"account", "company", "contact", "contract", "customer", "deal", "opportunity", "subscription"}
	jobWords    = []string{"flow", "integration", "job", "scenario", "webhook", "workflow"}
	groupWords  = []string{"group", "role"}
)

// traceKind says what a type's things are to a tenant.
func (d *Description) traceKind(t *typeSpec) connector.TraceKind {
	layer, _ := layerOf(t.Layer)
	named := func(words []string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(t.Name), func(r rune) bool { return r == '_' || r == '-' }), func(w string) bool { return slices.Contains(words, w) })
	}
	holds := slices.ContainsFunc(d.Types, func(o typeSpec) bool { return o.In == t.Name })
	switch {
	case named(recordWords) && !layer.IsAccess():
		return connector.TraceRecord
	case holds, t.Data != nil:
		return connector.TracePlace
	case layer == tenure.LayerIntegration, named(jobWords):
		return connector.TraceJob
	case layer.IsAccess(), t.Item.Account != nil:
		return connector.TraceAccount
	case named(groupWords):
		return connector.TraceGroup
	}
	return connector.TracePlace
}

// self says whether a thing is the account that is signed in with.
func (d *described) self(t *typeSpec, f *found) bool {
	user, _ := d.options["options"].(map[string]any)[d.Auth.User].(string)
	return user != "" && d.traceKind(t) == connector.TraceAccount && strings.EqualFold(user, f.own)
}

func traceID(typ string, f *found) string {
	if f.parent != nil {
		return typ + ":" + f.parent.id + "/" + f.id
	}
	return typ + ":" + f.id
}

// traced is a thing as the description's fields tell it.
func (d *described) traced(t *typeSpec, f *found) (one connector.Trace, err error) {
	a, err := d.account(t, f)
	if err != nil {
		return one, err
	}
	one = connector.Trace{
		Kind: d.traceKind(t), Type: t.Name, Word: strings.NewReplacer("_", " ", "-", " ").Replace(t.Name), Name: f.name, ID: traceID(t.Name, f), Rows: -1, Bytes: -1,
		Mails: a.Mails, ExternalIDs: a.ExternalIDs, Made: a.Created, Used: a.Seen, Disabled: !a.Enabled, Bears: f.owner, Attributes: map[string]any{},
	}
	if f.parent != nil {
		one.In, one.Called = traceID(t.In, f.parent), []string{f.own}
	}
	v := d.options.with("item", f.item, "word", f.note.state, "parent", itemOf(f.parent), "resource", string(f.of))
	maps.Copy(v, f.refers)
	for _, name := range slices.Sorted(maps.Keys(t.Item.Attributes)) {
		value, err := d.field(t.Item.Attributes[name], f.item, v)
		if err != nil {
			return one, err
		}
		text, _ := value.(string)
		if text = strings.TrimSpace(text); value == nil || beginsMark(text) {
			continue
		}
		if list, ok := value.([]any); ok && t.sets[name] {
			value = sorted(list)
		}
		one.Attributes[name] = value
		if text == "" {
			continue
		}
		switch low := strings.ToLower(name); {
		case slices.Contains([]string{"email", "mail", "domain", "website"}, low):
			if text = domain(text); !slices.Contains(one.Mails, text) {
				one.Mails = append(one.Mails, text)
			}
		case slices.Contains([]string{"displayname", "title", "label"}, low):
			one.Called = append(one.Called, text)
		case connector.TenantColumn(name):
			if one.Labels == nil {
				one.Labels = map[string]string{}
			}
			one.Labels[name] = text
		}
	}
	return one, nil
}

// domain is the bare domain of a site's address; a mail address is as it was.
func domain(text string) string {
	if strings.Contains(text, "@") {
		return text
	}
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		text = u.Hostname()
	}
	return strings.TrimPrefix(strings.ToLower(text), "www.")
}

// joins writes down who is in a group, as its members are named.
func (d *described) joins(t *typeSpec, f *found, id string, reaches map[string][]string) {
	from := t.Item.Attributes["members"]
	if d.traceKind(t) != connector.TraceGroup || from == "" {
		return
	}
	v := d.options.with("item", f.item, "word", f.note.state, "parent", itemOf(f.parent), "resource", string(f.of))
	maps.Copy(v, f.refers)
	value, _ := d.field(from, f.item, v) // it was read once before
	list, _ := value.([]any)
	for _, e := range list {
		for _, of := range t.Refers {
			if name, ok := e.(string); ok {
				reaches[of+" "+name] = append(reaches[of+" "+name], id)
			}
		}
	}
}

// listed writes down how the list of a type, or of it in one parent, went.
func (t *trace) listed(typ *typeSpec, parent *found, complete bool, err error) {
	if err == nil {
		t.some++
	} else if t.first == nil {
		t.first = err
	}
	switch {
	case err == nil && complete:
	case errors.Is(err, errSpent) && parent == nil:
		t.says = append(t.says, fmt.Sprintf("%s: not all of type %s was listed", errSpent, typ.Name))
	case err == nil && parent == nil:
		t.says = append(t.says, fmt.Sprintf("the system doesn't show all of type %s", typ.Name))
	case parent == nil:
		t.says = append(t.says, fmt.Sprintf("type %s can't be listed: %v", typ.Name, err))
	default:
		why := "the system doesn't show all"
		if err != nil {
			why = err.Error()
		}
		count(t.below, typ.Name, why)
	}
}

// odd writes down that an item can't be read.
func (t *trace) odd(typ *typeSpec, err error) { count(t.odds, typ.Name, err.Error()) }

func count(all map[string]*unlisted, name, why string) {
	if all[name] == nil {
		all[name] = &unlisted{why: why}
	}
	all[name].n++
}

func (t *trace) told() []string {
	for _, name := range slices.Sorted(maps.Keys(t.below)) {
		t.says = append(t.says, fmt.Sprintf("type %s wasn't listed in %d of what it lies in: %s", name, t.below[name].n, t.below[name].why))
	}
	for _, name := range slices.Sorted(maps.Keys(t.odds)) {
		t.says = append(t.says, fmt.Sprintf("%d of type %s can't be read: %s", t.odds[name].n, name, t.odds[name].why))
	}
	return t.says
}
