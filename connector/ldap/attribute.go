package ldap

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// attributes are a resource's attributes, read.
type attributes struct {
	plain   map[string]string // of a user: by the directory's name of it
	members map[string]string // of a group: DNs by their key; nil is free
	classes map[string]string // of a unit: data class by object class, folded
}

// plainNames are a user's attributes and what the directory calls them.
var plainNames = map[string]string{"cn": "cn", "sn": "sn", "displayName": "displayName", "mail": "mail", "policy": "pwdPolicySubentry"}

// parse reads the attributes of a ref, whose name has to be one that can be.
func (d *Driver) parse(ref connector.Ref) (a attributes, err error) {
	if err := d.checkName(ref.Type, ref.Name); err != nil {
		return a, err
	}
	last := ref.Name[strings.LastIndexByte(ref.Name, '/')+1:]
	if ref.Type == user {
		a.plain = map[string]string{"cn": last, "sn": last}
	}
	for name, v := range ref.Attributes {
		if v == nil {
			continue
		}
		wrong := tenure.Errorf(tenure.Invalid, "attribute %s of %s %q isn't as its schema says", name, ref.Type, ref.Name)
		switch {
		case ref.Type == user && plainNames[name] != "":
			s, ok := v.(string)
			if !ok || s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\x00\r\n") || strings.ToValidUTF8(s, "") != s {
				return a, wrong
			}
			if name == "policy" {
				at, err := parseDN(s)
				if err != nil {
					return a, wrong
				}
				s = at.key()
			}
			a.plain[plainNames[name]] = s
		case ref.Type == group && name == "members":
			all, ok := v.([]any)
			if !ok {
				return a, wrong
			}
			a.members = map[string]string{}
			for _, m := range all {
				s, ok := m.(string)
				if !ok {
					return a, wrong
				}
				at, err := d.memberDN(s)
				if err != nil {
					return a, tenure.Errorf(tenure.Invalid, "attribute members of group %q: %w", ref.Name, err)
				}
				parsed, _ := parseDN(at)
				a.members[parsed.key()] = at
			}
		case ref.Type == unit && name == "classes":
			all, ok := v.(map[string]any)
			if !ok {
				return a, wrong
			}
			a.classes = map[string]string{}
			for of, class := range all {
				s, ok := class.(string)
				if !ok || s == "" || of != "" && checkWord(of) != nil {
					return a, wrong
				}
				a.classes[strings.ToLower(of)] = s
			}
		default:
			return a, tenure.Errorf(tenure.Invalid, "a %s has no attribute %q", ref.Type, name)
		}
	}
	return a, nil
}

// memberDN is the DN of a member, which is a user's name or a DN.
func (d *Driver) memberDN(s string) (string, error) {
	if !strings.Contains(s, "=") {
		return d.dnOf(user, s), d.checkName(user, s)
	}
	at, err := parseDN(s)
	if err != nil || len(at) == 0 || strings.Contains(s, "\x00") || strings.ToValidUTF8(s, "") != s {
		return "", tenure.Errorf(tenure.Invalid, "%q is neither a user's name nor a DN", s)
	}
	return s, nil
}

// shown writes attributes in the one way that Normalise and Observe have in common.
func (d *Driver) shown(typ string, plain map[string]string, members []string, free bool) (json.RawMessage, error) {
	switch typ {
	case user:
		out := make(map[string]any, len(plain))
		for name, of := range plainNames {
			if v, ok := plain[of]; ok {
				out[name] = v
			}
		}
		return tenure.Canonical(out)
	case group:
		if free {
			break
		}
		if members == nil {
			members = []string{}
		}
		slices.Sort(members)
		return tenure.Canonical(map[string]any{"members": members})
	}
	return json.RawMessage("{}"), nil
}

// Normalise gives the attributes as they will be observed. Members are written as DNs with
// their values folded, or as the names of users that they are.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	a, err := d.parse(want.Ref)
	if err != nil {
		return nil, err
	}
	var members []string
	for key := range a.members {
		members = append(members, d.memberName(key))
	}
	return d.shown(want.Type, a.plain, members, a.members == nil)
}

// memberName writes a member's key as the name of the user that it is, where it is one.
func (d *Driver) memberName(key string) string {
	at, err := parseDN(key)
	if err != nil {
		return key
	}
	if typ, name, ok := d.nameOf(at); ok && typ == user && !strings.Contains(name, "=") {
		return name
	}
	return key
}

// plainOf are a user's attributes as they stand. One with several values shows all of
// them, which is what nobody desired.
func plainOf(e *ldap.Entry) map[string]string {
	out := make(map[string]string, len(plainNames))
	for _, of := range plainNames {
		v := values(e, of)
		switch {
		case len(v) == 1 && of == "pwdPolicySubentry":
			if at, err := parseDN(v[0]); err == nil {
				out[of] = at.key()
			}
		case len(v) == 1:
			out[of] = v[0]
		case len(v) > 1:
			out[of] = fmt.Sprintf("%q", slices.Sorted(slices.Values(v)))
		}
	}
	return out
}

// membersOf are a group's members as they stand, by their key, without the one that
// stands for none.
func (d *Driver) membersOf(e *ldap.Entry) (members map[string]string, placeholder bool) {
	members = map[string]string{}
	for _, v := range values(e, "member") {
		key := v
		if at, err := parseDN(v); err == nil {
			key = at.key()
		}
		if key == d.nobody().key() {
			placeholder = true
			continue
		}
		members[key] = v
	}
	return members, placeholder
}

// nobodyDN is what stands in a group that has no member, since one has to be there: a name
// in Tenure's own unit that nobody has.
func (d *Driver) nobodyDN() string { return "cn=nobody," + d.ownDN() }

func (d *Driver) nobody() dn {
	return append(dn{{attribute: "cn", value: "nobody"}, {attribute: "ou", value: d.own}}, d.base...)
}

// ownDN is Tenure's own unit.
func (d *Driver) ownDN() string { return d.dnOf(unit, d.own) }
