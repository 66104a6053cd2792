package exec

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// driver is one system, as the program reaches it.
type driver struct {
	*Manifest
	marker  connector.Marker
	now     func() time.Time
	options map[string]string
	secrets map[string]tenure.Secret
	hidden  []tenure.Secret
	veil    connector.Veil
	told    told // nil is nobody
	alone   bool // programs get no namespace of their own, as where a machine grants none
}

var (
	_ connector.Driver      = (*driver)(nil)
	_ connector.Limited     = (*driver)(nil)
	_ connector.Adopter     = (*driver)(nil)
	_ connector.Suspender   = (*driver)(nil)
	_ connector.Revoker     = (*driver)(nil)
	_ connector.Quarantiner = (*driver)(nil)
	_ connector.Exporter    = (*driver)(nil)
	_ connector.Eraser      = (*driver)(nil)
	_ connector.Tallier     = (*driver)(nil)
	_ connector.Mapper      = (*driver)(nil)
	_ connector.Prober      = (*driver)(nil)
	_ connector.Foreseer    = (*driver)(nil)
)

func (m *Manifest) open(_ context.Context, c connector.Config) (connector.Driver, error) {
	d := &driver{Manifest: m, marker: c.Marker, now: c.Now, options: map[string]string{}, secrets: map[string]tenure.Secret{}}
	if d.now == nil {
		d.now = time.Now
	}
	for _, o := range m.Options {
		if o.Secret {
			if s, ok := c.Secrets[o.Name]; ok {
				d.secrets[o.Name], d.hidden = s, append(d.hidden, s)
			}
		} else if value := cmp.Or(c.Options[o.Name], o.Default); value != "" {
			d.options[o.Name] = value
		}
	}
	d.hidden = append(d.hidden, tenure.NewSecret(string(c.Marker.Key)))
	d.veil = connector.NewVeil(d.hidden...)
	sweep(os.TempDir(), d.now())
	return d, nil
}

// Close has nothing to let go of: each call starts the program anew.
func (d *driver) Close() error { return nil }

// Can is described at connector.Limited.
func (d *driver) Can(capability string) bool {
	if capability == "probe" {
		return len(d.Probes) > 0
	}
	return slices.ContainsFunc(d.Types, func(t *typeSpec) bool { return t.can(capability) })
}

func (d *driver) known(typ string) (*typeSpec, error) {
	if t := d.typ(typ); t != nil {
		return t, nil
	}
	return nil, tenure.Errorf(tenure.Invalid, "%s has no resource type %q", d.Name, typ)
}

// ready refuses what the program isn't to be asked.
func (d *driver) ready(r connector.Ref) (*typeSpec, error) {
	t, err := d.known(r.Type)
	if err != nil {
		return nil, err
	}
	return t, t.checkName(r.Name)
}

func (t *typeSpec) resource(r connector.Ref) resource {
	return resource{ID: r.Resource, Tenant: r.Tenant, Environment: r.Environment, Type: r.Type, Name: r.Name, Attributes: t.desired(r.Attributes), Classes: r.Classes}
}

// none is for calls that give nothing but a result.
func none(line) error { return nil }

// Plant is described at connector.Driver.
func (d *driver) Plant(ctx context.Context) (string, error) {
	var out struct{ Fingerprint string }
	err := d.call(ctx, request{Call: "plant"}, &out, none)
	return out.Fingerprint, err
}

// Normalise is described at connector.Driver. The program isn't asked.
func (d *driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	t, err := d.known(want.Type)
	if err != nil {
		return nil, err
	}
	attributes := t.desired(want.Attributes)
	if err := t.check(attributes); err != nil {
		return nil, err
	}
	return t.normal(attributes)
}

// thing is what stands under a resource's name.
type thing struct {
	connector.Observed
	note note
}

// mine says whether it is the resource's own.
func (f thing) mine(r connector.Ref) bool {
	return f.Found && f.Owner == connector.Ours && f.Resource == r.Resource
}

// note is what the program keeps with a thing: the owner mark, and what tells one credential,
// and one set of attributes that aren't observed, from another.
type note struct {
	text string // as it stands there
	mark string
	key  string
	kept string
}

func readNote(text string) (n note) {
	n.text = text
	words := strings.Fields(text)
	if len(words) == 0 {
		return n
	}
	n.mark = words[0]
	for _, w := range words[1:] {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "key":
			n.key = value
		case "kept":
			n.kept = value
		}
	}
	return n
}

func (n note) String() string {
	out := n.mark
	for _, w := range [][2]string{{"key", n.key}, {"kept", n.kept}} {
		if w[1] != "" {
			out += " " + w[0] + "=" + w[1]
		}
	}
	return out
}

// written is the note of a resource.
func (d *driver) written(t *typeSpec, want connector.Desired) (n note) {
	n.mark = d.marker.Mark(t.Name, want.Resource)
	if t.Credential && !want.Credential.IsZero() {
		n.key = d.marker.Seal("credential\x00" + t.Name + "\x00" + want.Name + "\x00" + want.Credential.Reveal())
	}
	kept := map[string]any{}
	for name, v := range t.desired(want.Attributes) {
		if !t.seen[name] && v != nil {
			kept[name] = v
		}
	}
	if len(kept) > 0 {
		raw, _ := tenure.Canonical(kept)
		n.kept = d.marker.Seal("kept\x00" + t.Name + "\x00" + want.Name + "\x00" + string(raw))
	}
	return n
}

// seen is a thing as the program says that it is.
func (d *driver) seen(t *typeSpec, o *observedLine) (f thing, err error) {
	f.Observed = connector.Observed{Type: o.Type, Name: o.Name, Found: o.Found == nil || *o.Found, Detail: visible(o.Detail, 500)}
	if !f.Found {
		if o.State != "" || o.Mark != "" || o.Attributes != nil {
			return f, tenure.Errorf(tenure.Internal, "it says that %s %q isn't there, and what it is like", o.Type, visible(o.Name, 80))
		}
		return f, nil
	}
	for name := range o.Attributes {
		if !t.has(name) {
			return f, tenure.Errorf(tenure.Internal, "it observes attribute %q, which %s doesn't have", visible(name, 80), t.Name)
		}
	}
	f.note = readNote(o.Mark)
	f.Owner = connector.Unmarked
	if f.note.mark != "" {
		f.Resource, f.Owner = d.marker.Read(t.Name, f.note.mark)
	}
	if f.Owner != connector.Ours {
		f.Resource = ""
	}
	f.State = cmp.Or(o.State, tenure.ResourcePresent)
	if f.State == tenure.ResourceSuspended && !t.can("suspend") || f.State == tenure.ResourceRevoked && !t.can("revoke") || f.State == tenure.ResourceQuarantined && !t.can("quarantine") {
		return f, tenure.Errorf(tenure.Internal, "it says that %s %q is %s, which its manifest doesn't know", t.Name, visible(o.Name, 80), f.State)
	}
	f.Metrics = o.Metrics
	f.Attributes, err = t.normal(o.Attributes)
	return f, err
}

// crowd is how many things one process is asked about.
const crowd = 5000

// look asks about the refs and gives each once, in the order in which the program answers.
func (d *driver) look(ctx context.Context, refs []connector.Ref, yield func(connector.Ref, thing) error) (g connector.Sighting, err error) {
	var ask []connector.Ref
	for _, r := range refs {
		t, err := d.known(r.Type)
		if err != nil {
			return g, err
		}
		if t.checkName(r.Name) == nil {
			ask = append(ask, r)
		} else if err := yield(r, thing{Observed: connector.Observed{Type: r.Type, Name: r.Name}}); err != nil {
			return g, err
		}
	}
	for first := true; first || len(ask) > 0; first = false {
		n := min(len(ask), crowd)
		one, err := d.lookAt(ctx, ask[:n], yield)
		switch {
		case err != nil:
			return g, err
		case first:
			g = one
		case one.Fingerprint != g.Fingerprint:
			return g, tenure.Errorf(tenure.Blocked, "program %s, observe: the system was %q and is %q", d.Name, g.Fingerprint, one.Fingerprint)
		default:
			g.Sentinel, g.Complete = g.Sentinel && one.Sentinel, g.Complete && one.Complete
		}
		ask = ask[n:]
	}
	return g, nil
}

func (d *driver) lookAt(ctx context.Context, refs []connector.Ref, yield func(connector.Ref, thing) error) (connector.Sighting, error) {
	q := request{Call: "observe"}
	asked := make(map[[2]string]connector.Ref, len(refs))
	for _, r := range refs {
		if _, twice := asked[[2]string{r.Type, r.Name}]; !twice {
			q.Resources = append(q.Resources, d.typ(r.Type).resource(r))
		}
		asked[[2]string{r.Type, r.Name}] = r
	}
	var out struct{ Sighting sightingLine }
	err := d.call(ctx, q, &out, func(l line) error {
		r, ok := asked[[2]string{l.Observed.Type, l.Observed.Name}]
		if !ok {
			return tenure.Errorf(tenure.Internal, "it observes %s %q, which wasn't asked for or was observed already", visible(l.Observed.Type, 80), visible(l.Observed.Name, 80))
		}
		delete(asked, [2]string{r.Type, r.Name})
		f, err := d.seen(d.typ(r.Type), l.Observed)
		if err != nil {
			return err
		}
		if err := yield(r, f); err != nil {
			return &stopped{err}
		}
		return nil
	})
	if err == nil && len(asked) > 0 {
		for at := range asked {
			return connector.Sighting{}, tenure.Errorf(tenure.Internal, "program %s, observe: it says nothing of %s %q", d.Name, at[0], at[1])
		}
	}
	return connector.Sighting(out.Sighting), err
}

// one looks at one resource.
func (d *driver) one(ctx context.Context, r connector.Ref) (f thing, g connector.Sighting, err error) {
	g, err = d.look(ctx, []connector.Ref{r}, func(_ connector.Ref, seen thing) error { f = seen; return nil })
	return f, g, err
}

// owned refuses what isn't the resource's own. Absent is fine.
func (f thing) owned(r connector.Ref) error {
	switch {
	case !f.Found || f.mine(r):
		return nil
	case f.Owner == connector.Ours:
		return tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", r.Type, r.Name, f.Resource)
	}
	return tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", r.Type, r.Name, f.Owner).
		WithHint("choose another name, or have its owner remove it")
}

// absent refuses to act as though a thing that wasn't found isn't there, after a look that
// could have missed it: Blocked. One that was found is fine.
func (d *driver) absent(f thing, r connector.Ref, g connector.Sighting) error {
	why := "it didn't see everything (complete: false)"
	switch {
	case f.Found || g.Complete && g.Sentinel:
		return nil
	case g.Complete:
		why = "it didn't see the sentinel (sentinel: false)"
	}
	return tenure.Errorf(tenure.Blocked, "program %s doesn't find %s %q, but %s: the %s may still be there", d.Name, r.Type, r.Name, why, r.Type).
		WithHint("give the system's credential the rights that it lacks, or put the sentinel back with: tenure system add %s", d.marker.System)
}

// Observe is described at connector.Driver.
func (d *driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	return d.look(ctx, refs, func(_ connector.Ref, f thing) error { return yield(f.Observed) })
}

// Ensure asks the program for something only where what it observes differs, and has it
// observe again afterwards.
func (d *driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	t, err := d.ready(want.Ref)
	if err != nil {
		return o, rec, err
	}
	goal, err := d.Normalise(want)
	if err != nil {
		return o, rec, err
	}
	f, g, err := d.one(ctx, want.Ref)
	if err != nil {
		return o, rec, err
	}
	if err := d.absent(f, want.Ref, g); err != nil {
		return o, rec, err
	}
	n := d.written(t, want)
	reissued := n.key != "" && n.key != f.note.key
	switch err := f.owned(want.Ref); {
	case err != nil:
		return o, rec, err
	case !f.Found && t.Credential && n.key == "":
		return o, rec, tenure.Errorf(tenure.Invalid, "%s %q needs a credential", t.Name, want.Name)
	case f.Found && f.State == tenure.ResourceQuarantined:
		return o, rec, tenure.Errorf(tenure.Conflict, "%s %q is set aside", t.Name, want.Name)
	case f.Found && f.State == tenure.ResourceRevoked && t.Credential && !reissued:
		return o, rec, tenure.Errorf(tenure.Conflict, "%s %q was revoked; it comes back only with a new credential", t.Name, want.Name)
	case f.Found && f.State != tenure.ResourceRevoked && !reissued && n.kept == f.note.kept && bytes.Equal(f.Attributes, goal):
		return f.Observed, rec, nil
	}
	if n.key == "" {
		n.key = f.note.key
	}
	q := d.about(t, want.Ref, "ensure", f)
	q.Mark = n.String()
	if reissued {
		q.Credential = want.Credential.Reveal()
	}
	if t.can("foresee") {
		q.Foreseen = want.Foreseen
	}
	if rec, err = d.do(ctx, q); err != nil {
		return o, rec, err
	}
	rec.Changed = true
	f, _, err = d.one(ctx, want.Ref)
	return f.Observed, rec, err
}

// about is a request about one resource, as it was seen.
func (d *driver) about(t *typeSpec, r connector.Ref, call string, f thing) request {
	one := t.resource(r)
	q := request{Call: call, Resource: &one, Bears: f.note.text, State: "absent"}
	if f.Found {
		q.State = string(f.State)
	}
	return q
}

// do makes a call that changes something.
func (d *driver) do(ctx context.Context, q request) (rec connector.Receipt, err error) {
	err = d.call(ctx, q, &rec, none)
	return rec, err
}

// Delete is described at connector.Driver. The program is asked also where nothing was seen,
// so that it takes what an earlier call has left.
func (d *driver) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	f, _, err := d.one(ctx, r)
	if err != nil {
		return rec, err
	}
	if err := f.owned(r); err != nil {
		return rec, err
	}
	return d.do(ctx, d.about(t, r, "delete", f))
}

// Discover is described at connector.Driver. What comes out of order, or is of a type that
// wasn't asked for, ends it.
func (d *driver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	q := request{Call: "discover"}
	for _, t := range d.Types {
		if len(s.Types) == 0 || slices.Contains(s.Types, t.Name) {
			q.Types = append(q.Types, t.Name)
		}
	}
	var out struct{ Sighting sightingLine }
	var before [2]string
	err := d.call(ctx, q, &out, func(l line) error {
		o := l.Observed
		at := [2]string{o.Type, o.Name}
		if !slices.Contains(q.Types, o.Type) {
			return tenure.Errorf(tenure.Internal, "it discovers %s %q, which wasn't asked for", visible(o.Type, 80), visible(o.Name, 80))
		}
		if slices.Compare(at[:], before[:]) <= 0 {
			return tenure.Errorf(tenure.Internal, "it discovers %s %q after %s %q: things come once, in the byte order of type and name", o.Type, visible(o.Name, 80), before[0], visible(before[1], 80))
		}
		before = at
		f, err := d.seen(d.typ(o.Type), o)
		if err != nil {
			return err
		}
		if !f.Found {
			return tenure.Errorf(tenure.Internal, "it discovers %s %q, which isn't there", o.Type, visible(o.Name, 80))
		}
		if err := yield(f.Observed); err != nil {
			return &stopped{err}
		}
		return nil
	})
	return connector.Sighting(out.Sighting), err
}
