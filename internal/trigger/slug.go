package trigger

import (
	"strings"
	"unicode"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"golang.org/x/text/unicode/norm"
)

// folded are letters that stand for others without being those with a mark: Unicode doesn't
// decompose them.
var folded = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "æ", "ae", "œ", "oe", "đ", "d", "ð", "d", "þ", "th", "ħ", "h", "ı", "i", "ŧ", "t", "ŋ", "n", "ĸ", "k")

// slug is the CEL function slug(text).
func slug(v ref.Val) ref.Val { return types.String(slugOf(string(v.(types.String)))) }

// slugOf is a text as a name of a tenant may be: lower case, letters without their marks (NFKD) or by
// their usual spelling in ASCII, and one hyphen for all else.
func slugOf(text string) string {
	var b strings.Builder
	for _, r := range folded.Replace(norm.NFKD.String(strings.ToLower(norm.NFKC.String(text)))) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	return strings.Trim(b.String(), "-")
}
