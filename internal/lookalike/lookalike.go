// Package lookalike says which names look alike (Unicode Technical Standard #39,
// §4, "Confusable Detection"): "ada" and "аdа" with Cyrillic letters, "carl" and
// "car1".
package lookalike

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tenurehq/tenure"
)

//go:embed confusables.txt
var data string

// prototypes are the characters that stand for those that look like them.
var prototypes = sync.OnceValue(func() map[rune]string {
	out := make(map[rune]string, 6000)
	for line := range strings.Lines(data) {
		from, to, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if r, n := utf8.DecodeRuneInString(from); ok && n == len(from) && from != "#" {
			out[r] = to
		}
	}
	return out
})

// Skeleton is the same for two names that look alike, upper and lower case taken
// for the same. It is for comparing, not for showing.
func Skeleton(name string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(tenure.PersonKey(name)) {
		if to, ok := prototypes()[r]; ok {
			b.WriteString(to)
		} else {
			b.WriteRune(r)
		}
	}
	// A prototype may be a capital letter: that of 0 is O.
	return tenure.PersonKey(norm.NFD.String(b.String()))
}
