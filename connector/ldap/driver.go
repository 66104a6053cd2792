package ldap

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Driver is one directory, seen with one account.
type Driver struct {
	pool                 pool
	base                 dn
	baseDN               string
	own, mark            string
	lockName, lockValue  string
	page                 uint32
	marker               connector.Marker
	now                  func() time.Time
	known                sync.Mutex
	asked                bool        // what the server can do was asked
	asserts, setsByModOp atomic.Bool // it knows assertions (RFC 4528), and Password Modify (RFC 3062)

}

var (
	_ connector.Driver    = (*Driver)(nil)
	_ connector.Adopter   = (*Driver)(nil)
	_ connector.Secluder  = (*Driver)(nil)
	_ connector.Checker   = (*Driver)(nil)
	_ connector.Suspender = (*Driver)(nil)
	_ connector.Revoker   = (*Driver)(nil)
	_ connector.Exporter  = (*Driver)(nil)
	_ connector.Eraser    = (*Driver)(nil)
	_ connector.Mapper    = (*Driver)(nil)
	_ connector.Prober    = (*Driver)(nil)
)

// Close lets idle connections go.
func (d *Driver) Close() error {
	d.pool.close()
	return nil
}

// with runs a call and gives its error a code.
func (d *Driver) with(ctx context.Context, call string, f func() error) error {
	if ctx.Err() != nil {
		return classify(call, context.Cause(ctx))
	}
	if err := d.know(ctx); err != nil {
		return classify(call, err)
	}
	return classify(call, f())
}

// know asks once what the server can do.
func (d *Driver) know(ctx context.Context) error {
	d.known.Lock()
	defer d.known.Unlock()
	if d.asked {
		return nil
	}
	e, err := d.entry(ctx, "", []string{"supportedControl", "supportedExtension"})
	if err != nil {
		return err
	}
	if e != nil {
		d.asserts.Store(slices.Contains(values(e, "supportedControl"), "1.3.6.1.1.12"))
		d.setsByModOp.Store(slices.Contains(values(e, "supportedExtension"), "1.3.6.1.4.1.4203.1.11.1"))
	}
	d.asked = true
	return nil
}

// thing is one thing as it stands: whose, and what can be said of it.
type thing struct {
	at       string // its DN
	entry    *ldap.Entry
	owner    connector.Ownership
	resource tenure.ResourceID // "" unless ours
	state    tenure.ResourceState
	text     string // of the mark
	note     note
	fresh    bool // its mark isn't bound to its entryUUID yet
	plain    map[string]string
	members  map[string]string
	nobody   bool // the member that stands for none is in it
	hidden   bool // it, or a part of it, can't be read
	detail   string
}

func (t thing) found() bool { return t.entry != nil || t.hidden }

// as reads an entry as a thing of a type.
func (d *Driver) as(typ string, e *ldap.Entry, at dn) (t thing) {
	t.at, t.entry, t.state = e.DN, e, tenure.ResourcePresent
	classes := values(e, "objectClass")
	if len(classes) == 0 || value(e, "entryUUID") == "" {
		t.hidden, t.owner, t.detail = true, connector.Unmarked, "it can't be read in full: Tenure's account lacks rights"
		return t
	}
	if !slices.ContainsFunc(classes, func(c string) bool { return strings.EqualFold(c, objectClass[typ]) }) {
		t.owner, t.detail = connector.Unmarked, "it is no "+objectClass[typ]
		return t
	}
	t.text, t.note, t.owner, t.fresh = d.whose(typ, e, at)
	t.resource = t.note.id
	switch typ {
	case user:
		t.plain = plainOf(e)
		if d.locked(e) {
			if t.state = tenure.ResourceSuspended; t.note.state == string(tenure.ResourceRevoked) {
				t.state = tenure.ResourceRevoked
			}
		} else if d.lockName == "" && t.note.state == string(tenure.ResourceRevoked) {
			t.state = tenure.ResourceRevoked
		}
	case group:
		t.members, t.nobody = d.membersOf(e)
		for _, a := range e.Attributes {
			if strings.HasPrefix(strings.ToLower(a.Name), "member;range=") {
				t.hidden, t.detail = true, "the server doesn't give all of its members at once"
			}
		}
	}
	return t
}

// locked says whether an entry is kept from signing in.
func (d *Driver) locked(e *ldap.Entry) bool {
	return d.lockName != "" && slices.ContainsFunc(values(e, d.lockName), func(v string) bool { return strings.EqualFold(v, d.lockValue) })
}

func (d *Driver) observed(typ, name string, t thing) (connector.Observed, error) {
	o := connector.Observed{Type: typ, Name: name, Found: t.found()}
	if !o.Found {
		return o, nil
	}
	o.Owner, o.Resource, o.State, o.Detail = t.owner, t.resource, t.state, t.detail
	var members []string
	for key := range t.members {
		members = append(members, d.memberName(key))
	}
	var err error
	o.Attributes, err = d.shown(typ, t.plain, members, t.note.free || t.members == nil)
	if typ == group {
		o.Metrics = map[string]int64{"members": int64(len(t.members))}
	}
	return o, err
}

// find reads one thing. A name that can't be one of ours is absent.
func (d *Driver) find(ctx context.Context, typ, name string) (t thing, err error) {
	if d.checkName(typ, name) != nil {
		return t, nil
	}
	at := d.dnOf(typ, name)
	e, err := d.entry(ctx, at, d.wanted(typ))
	if unseen(err) {
		return thing{at: at, hidden: true, owner: connector.Unmarked, state: tenure.ResourcePresent, detail: "it can't be read: Tenure's account lacks rights"}, nil
	}
	if err != nil || e == nil {
		return thing{at: at}, err
	}
	parsed, err := parseDN(e.DN)
	if err != nil {
		return thing{at: at}, tenure.Errorf(tenure.Unavailable, "the server's answer can't be read").Retryable()
	}
	return d.as(typ, e, parsed), nil
}

// owned finds a thing and refuses one that isn't the ref's. An absent one is no error.
func (d *Driver) owned(ctx context.Context, ref connector.Ref) (thing, error) {
	t, err := d.find(ctx, ref.Type, ref.Name)
	switch {
	case err != nil || !t.found():
		return t, err
	case t.entry == nil:
		return t, tenure.Errorf(tenure.Forbidden, "%s %q can't be read", ref.Type, ref.Name).WithHint("give Tenure's account the rights that the connector's page names")
	case t.owner != connector.Ours:
		return t, tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", ref.Type, ref.Name, t.owner).
			WithHint("choose another name, or have its owner move it away")
	case t.resource != ref.Resource:
		return t, tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", ref.Type, ref.Name, t.resource)
	}
	return t, nil
}

// How many refs are read one by one, and up to how many with searches for their names;
// more are found in one search through everything.
const (
	oneByOne = 8
	byName   = 1000
	atOnce   = 100 // names in one search
)

// Observe reads few things by their DNs, and many in bulk.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = d.with(ctx, "observe", func() error {
		if g, err = d.sight(ctx); err != nil {
			return err
		}
		tell := func(ref connector.Ref, t thing) error {
			if t.hidden {
				g.Complete = false
			}
			if t.owner == connector.Unmarked && ref.Attributes["members"] == nil {
				t.note.free = true // as it would be, were it the resource's
			}
			o, err := d.observed(ref.Type, ref.Name, t)
			if err != nil {
				return err
			}
			stop = yield(o)
			return stop
		}
		if len(refs) <= oneByOne {
			for _, ref := range refs {
				t, err := d.find(ctx, ref.Type, ref.Name)
				if err != nil {
					return err
				}
				if err := tell(ref, t); err != nil {
					return err
				}
			}
			return nil
		}
		return d.observeMany(ctx, refs, &g, tell)
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// observeMany reads things with few searches. What bears a name that folds otherwise here
// than there is asked for once more.
func (d *Driver) observeMany(ctx context.Context, refs []connector.Ref, g *connector.Sighting, tell func(connector.Ref, thing) error) error {
	waiting := make(map[string][]connector.Ref, len(refs))
	var keys, filters, types []string
	for _, ref := range refs {
		key, filter := "", ""
		if d.checkName(ref.Type, ref.Name) == nil {
			at, err := parseDN(d.dnOf(ref.Type, ref.Name))
			if err != nil {
				return err
			}
			key = at.key()
			filter = equals(keyAttribute[ref.Type], at[0].value)
			types = append(types, ref.Type)
		}
		if waiting[key] == nil {
			keys = append(keys, key)
		}
		waiting[key] = append(waiting[key], ref)
		if filter != "" {
			filters = append(filters, filter)
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	take := func(e *ldap.Entry) error {
		at, err := parseDN(e.DN)
		if err != nil {
			return nil // nothing of ours is named like that
		}
		key := at.key()
		all, ok := waiting[key]
		if !ok || key == "" || len(all) > 1 && odd(key) { // two that fold alike here may be two there
			return nil
		}
		delete(waiting, key)
		for _, ref := range all {
			if err := tell(ref, d.as(ref.Type, e, at)); err != nil {
				return err
			}
		}
		return nil
	}
	slices.Sort(filters)
	filters = slices.Compact(filters)
	if len(filters) > byName {
		filters = filters[:0]
		for _, typ := range types {
			filters = append(filters, equals("objectClass", objectClass[typ]))
		}
	}
	for part := range slices.Chunk(filters, atOnce) {
		whole, err := d.search(ctx, d.baseDN, anyOf(part...), d.wanted(types...), take)
		if err != nil {
			return err
		}
		g.Complete = g.Complete && whole
	}
	for _, key := range keys {
		for _, ref := range waiting[key] {
			t := thing{}
			if key != "" && (odd(key) || !g.Complete) {
				var err error
				if t, err = d.find(ctx, ref.Type, ref.Name); err != nil {
					return err
				}
			}
			if err := tell(ref, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// odd says whether a server may fold a text otherwise than Tenure.
func odd(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r > '~' }) }

// Discover yields what bears a mark, and every organizational unit right below the base,
// where only tenants' are.
func (d *Driver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = d.with(ctx, "discover", func() error {
		if g, err = d.sight(ctx); err != nil {
			return err
		}
		for _, typ := range []string{group, unit, user} {
			if len(s.Types) > 0 && !slices.Contains(s.Types, typ) {
				continue
			}
			var found []connector.Observed
			whole, err := d.search(ctx, d.baseDN, equals("objectClass", objectClass[typ]), d.wanted(typ), func(e *ldap.Entry) error {
				at, err := parseDN(e.DN)
				if err != nil {
					return nil
				}
				of, name, ok := d.nameOf(at)
				if !ok || of != typ || fold(name) == fold(d.own) && typ == unit {
					return nil
				}
				t := d.as(typ, e, at)
				g.Complete = g.Complete && !t.hidden
				if t.owner == connector.Unmarked && !(typ == unit && !strings.Contains(name, "/")) {
					return nil
				}
				o, err := d.observed(typ, name, t)
				found = append(found, o)
				return err
			})
			if err != nil {
				return err
			}
			g.Complete = g.Complete && whole
			slices.SortFunc(found, func(a, b connector.Observed) int { return cmp.Compare(a.Name, b.Name) })
			for _, o := range found {
				if stop = yield(o); stop != nil {
					return stop
				}
			}
		}
		return nil
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// Ensure creates the thing or brings it to desired.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := d.parse(want.Ref)
	if err != nil {
		return o, rec, err
	}
	err = d.with(ctx, "ensure "+want.Type, func() error {
		t, err := d.owned(ctx, want.Ref)
		if err != nil {
			return err
		}
		if t.found() && t.hidden {
			return tenure.Errorf(tenure.Forbidden, "%s %q can't be read in full", want.Type, want.Name)
		}
		if !t.found() {
			if want.Type == user && want.Credential.IsZero() {
				return tenure.Errorf(tenure.Invalid, "user %q needs a credential", want.Name)
			}
			rec.Changed = true
			if t, err = d.create(ctx, want, a); err != nil {
				return err
			}
		}
		changed, err := d.bring(ctx, want, a, t)
		rec.Changed = rec.Changed || changed
		if err != nil {
			return err
		}
		if t, err = d.find(ctx, want.Type, want.Name); err != nil {
			return err
		}
		o, err = d.observed(want.Type, want.Name, t)
		return err
	})
	return o, rec, err
}

// create adds the entry with a mark that is bound to its DN, and reads it. A user has no
// password yet, and a group at most one member.
func (d *Driver) create(ctx context.Context, want connector.Desired, a attributes) (t thing, err error) {
	at := d.dnOf(want.Type, want.Name)
	parsed, err := parseDN(at)
	if err != nil {
		return t, err
	}
	r := ldap.NewAddRequest(at, nil)
	r.Attribute(keyAttribute[want.Type], []string{parsed[0].value})
	switch want.Type {
	case unit:
		r.Attribute("objectClass", []string{"top", objectClass[unit]})
	case group:
		r.Attribute("objectClass", []string{"top", objectClass[group]})
		r.Attribute("member", []string{d.nobodyDN()})
	case user:
		r.Attribute("objectClass", []string{"top", "person", "organizationalPerson", objectClass[user]})
		for of, v := range a.plain {
			r.Attribute(of, []string{v})
		}
	}
	n := note{id: want.Resource, free: want.Type == group && a.members == nil}
	r.Attribute(d.mark, []string{d.write(want.Type, n, boundDN(parsed))})
	err = d.pool.write(ctx, func(c *connection) error { return c.Add(r) })
	if missing(err) {
		return t, tenure.Errorf(tenure.Invalid, "the unit that %s %q is to be in isn't there", want.Type, want.Name).
			WithHint("have the resource need the unit, so that it is made first")
	}
	if err != nil && !is(err, ldap.LDAPResultEntryAlreadyExists) {
		return t, err
	}
	t, err = d.owned(ctx, want.Ref)
	if err == nil && t.entry == nil {
		err = tenure.Errorf(tenure.Forbidden, "%s %q was made and can't be read", want.Type, want.Name)
	}
	return t, err
}

// bring brings an entry that is ours to desired: what differs is changed in one request,
// and with it the mark. Members come before in parts.
func (d *Driver) bring(ctx context.Context, want connector.Desired, a attributes, t thing) (changed bool, err error) {
	n := t.note
	n.id, n.free = want.Resource, want.Type == group && a.members == nil
	m := ldap.NewModifyRequest(t.at, d.same(t.entry))
	switch want.Type {
	case group:
		if !n.free {
			if changed, err = d.admit(ctx, t, a.members); err != nil {
				return changed, err
			}
		}
	case user:
		for _, of := range plainNames {
			now, want := t.plain[of], a.plain[of]
			switch {
			case now == want:
			case want == "":
				m.Replace(of, []string{})
			default:
				m.Replace(of, []string{want})
			}
		}
		set, err := d.credential(ctx, want, t, &n, m)
		if err != nil {
			return set, err
		}
		changed = set
	}
	d.annotate(m, want.Type, t, n)
	if len(m.Changes) == 0 {
		return changed, nil
	}
	return true, d.modify(ctx, m)
}

// annotate adds to a change that the entry's mark becomes a note, bound to its entryUUID.
func (d *Driver) annotate(m *ldap.ModifyRequest, typ string, t thing, n note) {
	text := d.write(typ, n, bound(value(t.entry, "entryUUID")))
	if t.text == text {
		return
	}
	if t.text != "" {
		m.Delete(d.mark, []string{t.text})
	}
	m.Add(d.mark, []string{text})
}

// Delete removes the entry, and its mark with it.
func (d *Driver) Delete(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	if d.checkName(ref.Type, ref.Name) != nil {
		return rec, nil // such a thing was never made
	}
	err = d.with(ctx, "delete "+ref.Type, func() error {
		t, err := d.owned(ctx, ref)
		if err != nil || !t.found() {
			return err
		}
		rec.Changed = true
		switch ref.Type {
		case unit:
			if rec.Counts, err = d.clear(ctx, ref, t); err != nil {
				return err
			}
		case user:
			if _, err := d.leaveGroups(ctx, []string{t.at}, ""); err != nil {
				return err
			}
		}
		_, err = d.remove(ctx, t.at, d.same(t.entry))
		if is(err, ldap.LDAPResultNotAllowedOnNonLeaf) && ref.Type != unit {
			return tenure.Errorf(tenure.Blocked, "%s %q has entries below it", ref.Type, ref.Name).WithHint("have them deleted by who made them")
		}
		return err
	})
	return rec, err
}

// Adopt is described at connector.Adopter.
func (d *Driver) Adopt(ctx context.Context, ref connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := d.parse(ref)
	if err != nil {
		return rec, err
	}
	err = d.with(ctx, "adopt "+ref.Type, func() error {
		t, err := d.find(ctx, ref.Type, ref.Name)
		switch {
		case err != nil:
			return err
		case !t.found():
			return tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
		case t.owner == connector.Ours && t.resource == ref.Resource:
			return nil
		case t.owner == connector.Ours, t.owner == connector.Others:
			return tenure.Errorf(tenure.Conflict, "%s %q bears another mark (%s)", ref.Type, ref.Name, t.owner)
		case t.hidden:
			return tenure.Errorf(tenure.Forbidden, "%s %q can't be read in full", ref.Type, ref.Name)
		case t.detail != "":
			return tenure.Errorf(tenure.Conflict, "%s %q: %s", ref.Type, ref.Name, t.detail)
		}
		n := note{id: ref.Resource, free: ref.Type == group && a.members == nil}
		if ref.Type == user && (as == tenure.ResourceSuspended || as == tenure.ResourceRevoked) {
			n.state = string(as)
		}
		m := ldap.NewModifyRequest(t.at, d.same(t.entry))
		d.annotate(m, ref.Type, t, n)
		rec.Changed = true
		return d.modify(ctx, m)
	})
	return rec, err
}
