package ldap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// counted is what an erasure counts.
const counted = "entries"

// named is how many entries an error names.
const named = 5

// inside is an entry below a unit.
type inside struct {
	dn     string
	uuid   string
	deep   int
	kind   string // its structural object class, or the one that a class names
	class  string // the data class, "" if none covers it
	marked bool   // it bears a mark: it is a resource by itself
	id     tenure.ResourceID
	owner  connector.Ownership
	leaf   bool // the server says that nothing is below it
}

// shape says of an entry below a unit what it is.
func (d *Driver) shape(e *ldap.Entry, a attributes, classes []string) (in inside, ok bool) {
	at, err := parseDN(e.DN)
	in = inside{dn: e.DN, uuid: value(e, "entryUUID"), deep: len(at)}
	if err != nil { // its name is odd; it goes all the same
		in.deep = strings.Count(e.DN, ",") + 1
	}
	in.leaf = strings.EqualFold(value(e, "hasSubordinates"), "FALSE")
	in.kind, in.class = a.classOf(value(e, "structuralObjectClass"), values(e, "objectClass"), classes)
	if len(d.marks(e)) > 0 {
		in.marked = true
		in.owner = connector.Unmarked
		for _, typ := range []string{group, unit, user} {
			if _, n, owner, _ := d.whose(typ, e, at); in.owner != connector.Ours {
				in.id, in.owner = n.id, owner
			}
		}
	}
	return in, len(values(e, "objectClass")) > 0
}

// classOf is the data class of an entry and the object class that says so.
func (a attributes) classOf(structural string, all, classes []string) (kind, class string) {
	kind = structural
	if kind == "" && len(all) > 0 {
		kind = all[len(all)-1]
	}
	if a.classes == nil {
		if len(classes) == 1 {
			return kind, classes[0]
		}
		return kind, ""
	}
	if class, ok := a.classes[strings.ToLower(structural)]; ok && structural != "" {
		return kind, class
	}
	found := map[string]bool{}
	for _, of := range all {
		if c, ok := a.classes[strings.ToLower(of)]; ok {
			class = c
			found[c] = true
		}
	}
	switch len(found) {
	case 0:
		return kind, a.classes[""]
	case 1:
		return kind, class
	}
	return kind, "" // two classes claim it
}

var insideAttributes = []string{"objectClass", "structuralObjectClass", "hasSubordinates", "entryUUID"}

// within gives each entry below a unit, without the unit itself.
func (d *Driver) within(ctx context.Context, t thing, a attributes, classes []string, each func(inside) error) (whole bool, err error) {
	top, err := parseDN(t.at)
	if err != nil {
		return false, err
	}
	key := top.key()
	hidden := false
	whole, err = d.search(ctx, t.at, "(objectClass=*)", append([]string{d.mark}, insideAttributes...), func(e *ldap.Entry) error {
		if at, err := parseDN(e.DN); err == nil && at.key() == key {
			return nil
		}
		in, ok := d.shape(e, a, classes)
		hidden = hidden || !ok
		return each(in)
	})
	return whole && !hidden, err
}

// piece is how many entries one look takes at the most before some go.
const piece = 500

// errPiece ends a look.
var errPiece = fmt.Errorf("a piece is full")

// take deletes up to limit entries below a unit that take wants, the deepest of each look
// first. Those that others are below stay, and are counted as left.
func (d *Driver) take(ctx context.Context, t thing, a attributes, classes []string, limit int, wants func(inside) bool, stop func() bool) (taken int64, left []inside, detached map[string]int64, err error) {
	var ready, parents []inside
	whole, err := d.within(ctx, t, a, classes, func(in inside) error {
		if !wants(in) {
			return nil
		}
		if in.leaf {
			ready = append(ready, in)
		} else {
			parents = append(parents, in)
		}
		if len(ready) >= min(piece, limit) {
			return errPiece
		}
		return nil
	})
	if err != nil && err != errPiece {
		return 0, nil, nil, err
	}
	full := err == errPiece
	if !full && !whole && len(ready)+len(parents) == 0 {
		return 0, nil, nil, cutShort("what is below " + t.at)
	}
	slices.SortStableFunc(parents, func(a, b inside) int { return cmp.Compare(b.deep, a.deep) })
	all := ready
	if !full {
		all = append(ready, parents...)
	}
	detached = map[string]int64{}
	for part := range slices.Chunk(all, atOnce) {
		var going []string
		for _, in := range part {
			going = append(going, in.dn)
		}
		out, err := d.leaveGroups(ctx, going, t.at)
		for k, n := range out {
			detached[k] += n
		}
		if err != nil {
			return taken, left, detached, err
		}
		for _, in := range part {
			if taken >= int64(limit) || stop() && taken > 0 {
				return taken, left, detached, nil
			}
			gone, err := d.remove(ctx, in.dn, d.only("(&"+equals("entryUUID", in.uuid)+"(!("+d.mark+"="+begins+"*)))"))
			switch {
			case is(err, ldap.LDAPResultNotAllowedOnNonLeaf, ldap.LDAPResultAssertionFailed):
				left = append(left, in)
			case err != nil:
				return taken, left, detached, err
			case gone:
				taken++
			}
		}
	}
	return taken, left, detached, nil
}

// cutShort is Blocked for what was looked at and isn't seen in full.
func cutShort(what string) error {
	return tenure.Errorf(tenure.Blocked, "%s isn't seen in full", what).WithHint("raise the limits and the rights of Tenure's account, as the connector's page says")
}

// strangers is Blocked if something below a unit bears a mark of its own, which it names,
// or if not all that is below was seen: a mark may be on the rest.
func (d *Driver) strangers(ctx context.Context, t thing) error {
	var names []string
	n := 0
	whole, err := d.within(ctx, t, attributes{}, nil, func(in inside) error {
		if in.marked {
			if n++; len(names) < named {
				names = append(names, in.dn)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case n == 0 && !whole:
		return cutShort("what is below " + t.at)
	case n == 0:
		return nil
	}
	more := ""
	if n > len(names) {
		more = fmt.Sprintf("; and %d more", n-len(names))
	}
	return tenure.Errorf(tenure.Blocked, "%d entries below %s bear marks of their own: %s%s", n, t.at, strings.Join(names, "; "), more).
		WithHint("have the resources that they are deleted first; one of another tenant's or another installation's has to be moved away by its owner")
}

// clear deletes all that is below a unit, once a look at all of it has found no marks.
func (d *Driver) clear(ctx context.Context, ref connector.Ref, t thing) (counts map[string]int64, err error) {
	if err := d.strangers(ctx, t); err != nil {
		return nil, err
	}
	counts = map[string]int64{}
	for {
		taken, left, _, err := d.take(ctx, t, attributes{}, nil, piece, func(in inside) bool { return !in.marked }, func() bool { return false })
		counts[counted] += taken
		switch {
		case err != nil:
			return counts, err
		case taken > 0:
		case len(left) > 0:
			return counts, stuck(ref, left)
		default:
			_, err := d.leaveGroups(ctx, []string{t.at}, t.at)
			return counts, err
		}
	}
}

// stuck is Blocked, and names what doesn't go.
func stuck(ref connector.Ref, left []inside) error {
	var names []string
	for _, in := range left[:min(named, len(left))] {
		names = append(names, in.dn)
	}
	more := ""
	if len(left) > len(names) {
		more = fmt.Sprintf("; and %d more", len(left)-len(names))
	}
	return tenure.Errorf(tenure.Blocked, "%s %q: %d entries don't go, as others are below them or they have just changed: %s%s", ref.Type, ref.Name, len(left), strings.Join(names, "; "), more).
		WithHint("let the classes of what is below go first, or have the resources there deleted")
}

// Erase deletes entries below a unit by data class, those that nothing is below first.
// Resources that are below it aren't its data.
func (d *Driver) Erase(ctx context.Context, ref connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	switch {
	case b.Limit < 1:
		return e, tenure.Errorf(tenure.Invalid, "a batch needs a limit of at least 1")
	case ref.Type != unit:
		return e, tenure.Errorf(tenure.Invalid, "a %s can't be used with erase", ref.Type)
	case b.Disposition.Changes():
		return e, tenure.Errorf(tenure.Invalid, "entries of a %s are deleted, and not changed", ref.Type)
	case len(b.Keep) > 0:
		return e, tenure.Errorf(tenure.Blocked, "a hold keeps entries of %s %q: nothing of it goes while it lasts", ref.Type, ref.Name)
	}
	if d.checkName(ref.Type, ref.Name) != nil {
		return connector.Erased{Done: true}, nil
	}
	a, err := d.parse(ref)
	if err != nil {
		return e, err
	}
	err = d.with(ctx, "erase "+ref.Type, func() error {
		t, err := d.owned(ctx, ref)
		if err != nil {
			return err
		}
		if !t.found() {
			e.Done = true
			return nil
		}
		stop := func() bool { return false }
		if b.For > 0 && d.now != nil {
			until := d.now().Add(b.For)
			stop = func() bool { return d.now().After(until) }
		}
		taken, left, detached, err := d.take(ctx, t, a, ref.Classes, b.Limit, func(in inside) bool {
			return !in.marked && (b.Class == "" || in.class == b.Class)
		}, stop)
		if err != nil && taken == 0 {
			return err
		}
		e.Counts, e.Detached = map[string]int64{counted: taken}, detached
		if err != nil || taken > 0 {
			return nil // and the next batch looks again
		}
		if len(left) > 0 {
			return stuck(ref, left)
		}
		e.Done = true
		return nil
	})
	if err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}
