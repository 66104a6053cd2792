package ldap

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tenurehq/tenure"
)

// rdn is one step of a DN (RFC 4514). One of several values has no single one.
type rdn struct {
	attribute string // in lower case
	value     string
	several   bool
}

// dn is a DN, the last step first, as it is written.
type dn []rdn

var errDN = errors.New("it isn't a DN")

// parseDN reads the string representation of a DN.
func parseDN(text string) (out dn, err error) {
	if text == "" {
		return dn{}, nil
	}
	for {
		var r rdn
		for first := true; ; first = false {
			name, rest, ok := strings.Cut(text, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if !ok || checkWord(name) != nil {
				return nil, errDN
			}
			value, after, err := parseValue(strings.TrimLeft(rest, " "))
			if err != nil {
				return nil, err
			}
			if first {
				r.attribute, r.value = name, value
			} else {
				r.attribute, r.value, r.several = r.attribute+"+"+name, r.value+"+"+value, true
			}
			text = after
			if !strings.HasPrefix(text, "+") {
				break
			}
			text = text[1:]
		}
		out = append(out, r)
		if text == "" {
			return out, nil
		}
		text = text[1:]
	}
}

// parseValue reads a value up to the next separator, which it leaves.
func parseValue(text string) (value, rest string, err error) {
	i := strings.IndexAny(text, `,+;\`)
	switch {
	case i < 0:
		return strings.TrimRight(text, " "), "", nil
	case text[i] != '\\':
		return strings.TrimRight(text[:i], " "), text[i:], nil
	}
	out, kept := []byte(text[:i]), 0 // kept is up to where blanks were escaped
	for ; i < len(text); i++ {
		c := text[i]
		if c == ',' || c == '+' || c == ';' {
			break
		}
		if c != '\\' {
			out = append(out, c)
			continue
		}
		if i+1 >= len(text) {
			return "", "", errDN
		}
		i++
		if i+1 < len(text) {
			if b, err := hex.DecodeString(text[i : i+2]); err == nil {
				out = append(out, b...)
				kept = len(out)
				i++
				continue
			}
		}
		out = append(out, text[i])
		kept = len(out)
	}
	for len(out) > kept && out[len(out)-1] == ' ' {
		out = out[:len(out)-1]
	}
	return string(out), text[i:], nil
}

// escape writes a value as it stands in a DN.
func escape(value string) string {
	if !strings.ContainsAny(value, "\\,+\";<>=# \x00") {
		return value
	}
	var out strings.Builder
	for i, c := range []byte(value) {
		switch {
		case c == 0:
			out.WriteString(`\00`)
			continue
		case strings.IndexByte("\\,+\";<>=", c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(value)-1):
			out.WriteByte('\\')
		}
		out.WriteByte(c)
	}
	return out.String()
}

// fold writes a value in the one way that all of its spellings have in common, as
// caseIgnoreMatch compares them (RFC 4518).
func fold(value string) string {
	plain, blank := true, true
	for i := range len(value) {
		c := value[i]
		if c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' || c == ' ' && blank || c < ' ' {
			plain = false
			break
		}
		blank = c == ' '
	}
	if plain && !strings.HasSuffix(value, " ") {
		return value
	}
	return strings.Join(strings.FieldsFunc(norm.NFKC.String(strings.ToLower(norm.NFKC.String(value))), unicode.IsSpace), " ")
}

// key is a text that two DNs have in common if they are the same.
func (d dn) key() string {
	var out strings.Builder
	for i, r := range d {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(r.attribute)
		out.WriteByte('=')
		out.WriteString(escape(fold(r.value)))
	}
	return out.String()
}

func (r rdn) same(o rdn) bool {
	return r.attribute == o.attribute && r.several == o.several && (r.value == o.value || fold(r.value) == fold(o.value))
}

// below gives the steps from base down to a DN, the deepest first.
func (d dn) below(base dn) (dn, bool) {
	n := len(d) - len(base)
	if n < 0 || !slices.EqualFunc(d[n:], base, rdn.same) {
		return nil, false
	}
	return d[:n], true
}

// keyAttribute is the attribute that names an entry of a type.
var keyAttribute = map[string]string{group: "cn", unit: "ou", user: "uid"}

// objectClass is the object class of an entry of a type.
var objectClass = map[string]string{group: "groupOfNames", unit: "organizationalUnit", user: "inetOrgPerson"}

// longest is how many bytes one part of a name may have: OpenLDAP's mdb keeps a part in
// both of its spellings in 511 bytes.
const longest = 180

// checkPart is Invalid for what can't be one part of a name.
func checkPart(part string) error {
	switch {
	case part == "" || len(part) > longest || !utf8.ValidString(part):
		return tenure.Errorf(tenure.Invalid, "a part of a name is UTF-8 of 1 to %d bytes", longest)
	case strings.Join(strings.Fields(part), " ") != part:
		return tenure.Errorf(tenure.Invalid, "a name begins and ends with no blank and has no two in a row: a directory takes no notice of them")
	case strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsPrint(r) }):
		return tenure.Errorf(tenure.Invalid, "a name has a character that can't be seen")
	}
	return nil
}

// checkWord is Invalid for what isn't an attribute's name.
func checkWord(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}) {
		return errDN
	}
	return nil
}

// checkName is Invalid for a name that a resource of the type can't have.
func (d *Driver) checkName(typ, name string) error {
	if keyAttribute[typ] == "" {
		return tenure.Errorf(tenure.Invalid, "ldap has no type %q", typ)
	}
	parts := strings.Split(name, "/")
	for _, part := range parts {
		if err := checkPart(part); err != nil {
			return tenure.Errorf(tenure.Invalid, "%s: %w", typ, err)
		}
	}
	if fold(parts[0]) == fold(d.own) && (typ == unit || len(parts) > 1) {
		return tenure.Errorf(tenure.Invalid, "%s %q is in Tenure's own unit", typ, name)
	}
	return nil
}

// dnOf is where a resource is.
func (d *Driver) dnOf(typ, name string) string {
	var out strings.Builder
	parts := strings.Split(name, "/")
	for i, part := range slices.Backward(parts) {
		if i == len(parts)-1 {
			out.WriteString(keyAttribute[typ])
		} else {
			out.WriteString("ou")
		}
		out.WriteString("=" + escape(part) + ",")
	}
	return out.String() + d.baseDN
}

// nameOf is the type and the name of the resource that may be at a DN.
func (d *Driver) nameOf(at dn) (typ, name string, ok bool) {
	steps, ok := at.below(d.base)
	if !ok || len(steps) == 0 {
		return "", "", false
	}
	parts := make([]string, len(steps))
	for i, r := range steps {
		if r.several || i > 0 && r.attribute != "ou" || strings.Contains(r.value, "/") {
			return "", "", false
		}
		parts[len(steps)-1-i] = r.value
	}
	switch steps[0].attribute {
	case "cn":
		typ = group
	case "ou":
		typ = unit
	case "uid":
		typ = user
	default:
		return "", "", false
	}
	return typ, strings.Join(parts, "/"), true
}
