package words

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// sentence is a text of the tables that is made in English elsewhere, since the API and the log say it too.
type sentence struct {
	key  Key
	form *regexp.Regexp
}

var place = regexp.MustCompile(`\\\{[0-9]\\\}`)

// sentences are those of the tables, the longest first: of two that fit it says more.
var sentences = sync.OnceValue(func() (out []sentence) {
	for _, k := range slices.SortedFunc(maps.Keys(english), func(a, b Key) int {
		return cmp.Or(len(english[b])-len(english[a]), strings.Compare(string(a), string(b)))
	}) {
		if strings.HasPrefix(string(k), "said.") {
			out = append(out, sentence{k, regexp.MustCompile(`^(?s:` + place.ReplaceAllString(regexp.QuoteMeta(english[k]), `(.*)`) + `)$`)})
		}
	}
	return out
})

// Translate writes in the language what was said in English, and says whether there are words for it.
// A value in it is written so too, where it is such a sentence itself.
func (l Language) Translate(said string) (string, bool) {
	return l.translate(said, 2)
}

func (l Language) translate(said string, deep int) (string, bool) {
	if l.or() == English {
		return said, true
	}
	for _, s := range sentences() {
		m := s.form.FindStringSubmatch(said)
		if m == nil {
			continue
		}
		var values []any
		for _, v := range m[1:] {
			if deep > 0 {
				v, _ = l.translate(v, deep-1)
			}
			values = append(values, v)
		}
		return l.Say(s.key, values...), true
	}
	return said, false
}
