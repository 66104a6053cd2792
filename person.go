package tenure

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// PersonKey is the one spelling by which a person's or machine's name is told from
// others: two names with the same key are one person's. It goes further than the
// profile UsernameCaseMapped (RFC 8265 §3.3), so that names which the profile
// refuses are told apart as well: compatibility forms (NFKC), letter case (full case
// folding), invisible characters and the number of spaces make no difference.
func PersonKey(name string) string {
	visible := strings.Map(func(r rune) rune {
		if ignorable(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(visible)))
	return strings.Join(strings.Fields(folded), " ")
}

// ignorable says whether a character shows nothing by itself.
func ignorable(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// SamePerson says whether two names are spellings of one person's. A blank name is
// nobody's.
func SamePerson(a, b string) bool {
	return a != "" && b != "" && (a == b || PersonKey(a) == PersonKey(b))
}

// NamesPerson says whether one of the names is the person's.
func NamesPerson(names []string, name string) bool {
	for _, n := range names {
		if SamePerson(n, name) {
			return true
		}
	}
	return false
}

// PrincipalName is a name as it is stored: one to ten parts with a space between
// them, each as the profile UsernameCaseMapped has it (RFC 8265 §3.3 and §3.5), 100
// bytes at most. What the profile doesn't allow is Invalid.
func PrincipalName(name string) (string, error) {
	parts := strings.Split(name, " ")
	if len(parts) > 10 {
		return "", Errorf(Invalid, "a principal's name has at most ten parts")
	}
	for i, part := range parts {
		p, err := precis.UsernameCaseMapped.String(part)
		switch {
		case part == "":
			return "", Errorf(Invalid, "a principal's name has 1 to 100 bytes, one space between its parts and none at its ends")
		case err != nil:
			return "", Errorf(Invalid, "the name %q holds a character that isn't for names (RFC 8265)", clip(name)).WithHint("use letters, digits and ASCII punctuation; the display name takes the rest")
		case strings.ContainsAny(p, `<>"`):
			return "", Errorf(Invalid, "a principal's name holds no quotes and no angle brackets")
		}
		parts[i] = p
	}
	if name = strings.Join(parts, " "); len(name) > 100 {
		return "", Errorf(Invalid, "a principal's name has 1 to 100 bytes, one space between its parts and none at its ends")
	}
	return name, nil
}

// EmailAddress is an address as it is stored and as who signs in is found by it: in
// lower case, composed (NFC), its domain as the name system has it (RFC 5891 §5) and
// without the root's dot. Addresses that only look alike, or that case folding would
// join ("ß" and "ss" are two domains), stay apart.
func EmailAddress(address string) string {
	address = strings.ToLower(norm.NFC.String(strings.TrimSpace(address)))
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	domain := address[at+1:]
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return address[:at+1] + strings.TrimSuffix(domain, ".")
}

// SameAddress says whether two addresses could be taken for one: they are the same in
// one spelling, as names are. A blank one is nobody's.
func SameAddress(a, b string) bool {
	return a != "" && b != "" && addressKey(a) == addressKey(b)
}

// SameMailbox says whether two addresses reach one mailbox by the custom that what
// stands behind a plus is a note of its owner's (RFC 5233).
func SameMailbox(a, b string) bool {
	return a != "" && b != "" && mailbox(addressKey(a)) == mailbox(addressKey(b))
}

func addressKey(address string) string {
	address = EmailAddress(address)
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return PersonKey(address)
	}
	domain, _ := idna.Lookup.ToUnicode(address[at+1:]) // what can't be read comes back as it is
	return PersonKey(address[:at]) + "@" + strings.TrimSuffix(PersonKey(domain), ".")
}

func mailbox(key string) string {
	at := strings.LastIndexByte(key, '@')
	if plus := strings.IndexByte(key, '+'); plus > 0 && plus < at {
		return key[:plus] + key[at:]
	}
	return key
}
