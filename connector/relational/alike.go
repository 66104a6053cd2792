package relational

import (
	"math/big"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Alike says whether a person could take two keys for the same: they differ in the
// case of letters, in blanks and signs that can't be seen, in how an accent is
// composed, or in how a number or a UUID is written.
func Alike(a, b string) bool { return plainKey(a) == plainKey(b) }

// numeral is a number of a length that is cheap to compare. It is a large
// expression, so it is made when it is first needed.
var numeral = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[+-]?([0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(e[+-]?[0-9]{1,2})?$`)
})

// hexUUID are the digits of a UUID.
var hexUUID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func plainKey(key string) string {
	key = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(key, "\uFFFD"))
	key = norm.NFC.String(strings.ToLower(norm.NFC.String(key)))
	if numeral().MatchString(key) {
		if n, ok := new(big.Rat).SetString(key); ok {
			return n.RatString()
		}
	}
	uuid := strings.Trim(strings.TrimPrefix(key, "urn:uuid:"), "{}")
	if digits := strings.ReplaceAll(uuid, "-", ""); hexUUID.MatchString(digits) {
		return digits
	}
	return key
}
