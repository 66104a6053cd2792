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

// leaveGroups takes entries that are about to go out of the groups below the base that name
// them, but for groups below a DN that go too. Otherwise who gets a DN anew would get the
// rights of who had it.
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
		filters = append(filters, equals("member", at), equals("uniqueMember", at))
	}
	var all []*ldap.Entry
	for part := range slices.Chunk(filters, atOnce) {
		if _, err := d.search(ctx, d.baseDN, "(&"+groups+anyOf(part...)+")", []string{"member", "uniqueMember"}, func(e *ldap.Entry) error {
			at, err := parseDN(e.DN)
			if err != nil {
				return nil
			}
			if _, below := at.below(under); !below || except == "" {
				all = append(all, e)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	left = map[string]int64{}
	seen := map[string]bool{}
	for _, e := range all {
		if seen[e.DN] {
			continue
		}
		seen[e.DN] = true
		m := ldap.NewModifyRequest(e.DN, nil)
		for _, attribute := range []string{"member", "uniqueMember"} {
			var drop []string
			all := values(e, attribute)
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
			left[e.DN+"."+attribute] += int64(len(drop))
		}
		if err := d.modify(ctx, m); err != nil && !missing(err) && !is(err, ldap.LDAPResultNoSuchAttribute) {
			return left, err
		}
	}
	return left, nil
}
