package ldap

import (
	"context"
	"maps"
	"slices"

	"github.com/go-ldap/ldap/v3"
)

// most is how many members one request adds or takes.
const most = 500

// admit changes a group's members by their differences. One is always in it, since the
// schema asks for that.
func (d *Driver) admit(ctx context.Context, t thing, want map[string]string) (changed bool, err error) {
	var add, drop []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := t.members[key]; !ok {
			add = append(add, want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.members)) {
		if _, ok := want[key]; !ok {
			drop = append(drop, t.members[key])
		}
	}
	switch {
	case len(want) == 0 && !t.nobody:
		add = append(add, d.nobodyDN())
	case len(want) > 0 && t.nobody:
		drop = append(drop, d.nobodyDN())
	}
	for _, step := range []struct {
		all    []string
		change func(*ldap.ModifyRequest, []string)
	}{
		{add, func(m *ldap.ModifyRequest, v []string) { m.Add("member", v) }},
		{drop, func(m *ldap.ModifyRequest, v []string) { m.Delete("member", v) }},
	} {
		for part := range slices.Chunk(step.all, most) {
			m := ldap.NewModifyRequest(t.at, d.same(t.entry))
			step.change(m, part)
			changed = true
			if err := d.modify(ctx, m); err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// groups takes the entries that have members: a server needn't have an index of those.
const groups = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"

// members are the attributes of those entries that name who is in it.
var members = []string{"member", "uniqueMember"}

// leaveGroups takes entries that are about to go out of the groups below the base that name
// them, but for groups below a DN that go too. Otherwise who gets a DN anew would get the
// rights of who had it: it is Blocked, and changes nothing, if not all groups are seen. It
// counts what it took out by group and attribute, also where it ends with an error.
func (d *Driver) leaveGroups(ctx context.Context, going []string, except string) (left map[string]int64, err error) {
	under, err := parseDN(except)
	if err != nil {
		return nil, err
	}
	gone := make(map[string]bool, len(going))
	var filters []string
	for _, at := range going {
		parsed, err := parseDN(at)
		if err != nil {
			return nil, err
		}
		gone[parsed.key()] = true
		for _, attribute := range members {
			filters = append(filters, equals(attribute, at))
		}
	}
	var all []*ldap.Entry
	seen := map[string]bool{}
	for part := range slices.Chunk(filters, atOnce) {
		whole, err := d.search(ctx, d.baseDN, "(&"+groups+anyOf(part...)+")", members, func(e *ldap.Entry) error {
			if at, err := parseDN(e.DN); err == nil && except != "" {
				if _, below := at.below(under); below {
					return nil
				}
			}
			if !seen[e.DN] {
				seen[e.DN] = true
				all = append(all, e)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !whole {
			return nil, cutShort("which groups have members that are to go")
		}
	}
	for _, e := range all {
		if _, out := d.without(e, gone); len(out) == 0 { // it matched, and doesn't show why
			return nil, cutShort("who is in the group " + e.DN)
		}
	}
	left = map[string]int64{}
	for _, e := range all {
		out, err := d.leaveGroup(ctx, e, gone)
		for attribute, n := range out {
			left[e.DN+"."+attribute] += n
		}
		if err != nil {
			return left, err
		}
	}
	return left, nil
}

// tries is how often a group is changed that somebody else changes at the same time.
const tries = 5

// leaveGroup takes members out of one group, and counts by attribute whom it took out. A
// change fails as a whole if one of them has left the group meanwhile, if the others have,
// or if the member that stands for none has come: the group is read again then.
func (d *Driver) leaveGroup(ctx context.Context, e *ldap.Entry, gone map[string]bool) (map[string]int64, error) {
	var last error
	for range tries {
		m, out := d.without(e, gone)
		err := d.modify(ctx, m)
		switch {
		case err == nil:
			return out, nil
		case missing(err):
			return nil, nil
		case !is(err, ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultObjectClassViolation):
			return nil, err
		}
		last = err
		if e, err = d.entry(ctx, e.DN, members); err != nil || e == nil {
			return nil, err
		}
	}
	return nil, last
}

// without is the change that takes members out of a group, and how many by attribute. One
// is always in it, since the schema asks for that.
func (d *Driver) without(e *ldap.Entry, gone map[string]bool) (m *ldap.ModifyRequest, out map[string]int64) {
	m, out = ldap.NewModifyRequest(e.DN, nil), map[string]int64{}
	for _, attribute := range members {
		all := values(e, attribute)
		var drop []string
		for _, v := range all {
			if at, err := parseDN(v); err == nil && gone[at.key()] {
				drop = append(drop, v)
			}
		}
		if len(drop) == 0 {
			continue
		}
		if len(drop) == len(all) {
			m.Add(attribute, []string{d.nobodyDN()})
		}
		m.Delete(attribute, drop)
		out[attribute] = int64(len(drop))
	}
	return m, out
}
