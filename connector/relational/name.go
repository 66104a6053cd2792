package relational

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

// Quote makes a name an SQL identifier (ISO/IEC 9075-2 §5.4, delimited
// identifier). With several parts it is qualified.
func Quote(parts ...string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(p, `"`, `""`))
		b.WriteByte('"')
	}
	return b.String()
}

// QuoteList quotes each name and puts commas between them.
func QuoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Quote(n)
	}
	return strings.Join(quoted, ", ")
}

// CheckName accepts a name of 1 to limit bytes of valid UTF-8 without control
// characters or space at its ends; everything else is Invalid. Databases cut
// longer names off silently, so that two of them could be one.
func CheckName(what, name string, limit int) error {
	switch {
	case strings.TrimSpace(name) == "":
		return tenure.Errorf(tenure.Invalid, "%s: a name is missing", what)
	case !utf8.ValidString(name):
		return tenure.Errorf(tenure.Invalid, "%s: the name is not valid UTF-8", what)
	case len(name) > limit:
		return tenure.Errorf(tenure.Invalid, "%s %q is %d bytes long, at most %d are allowed", what, clip(name), len(name), limit)
	case strings.TrimSpace(name) != name:
		return tenure.Errorf(tenure.Invalid, "%s %q has space around it", what, clip(name))
	case strings.IndexFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) >= 0:
		return tenure.Errorf(tenure.Invalid, "%s %q holds a control character", what, clip(name))
	}
	return nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
