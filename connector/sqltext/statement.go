package sqltext

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// reading are the words that begin a statement which a read-only transaction makes
// harmless: it reads, or it is refused.
var reading = strings.Fields("select with values table show explain insert update delete merge truncate create alter drop grant revoke comment")

// One says whether a text is one statement that may be tried in a read-only
// transaction: no transaction control, no setting, no copy to a file or a program.
// Otherwise it is Invalid.
func (d Dialect) One(text string) error {
	verbs := d.verbs(text)
	switch {
	case strings.ContainsRune(text, hole):
		return tenure.Errorf(tenure.Invalid, "the query holds a NUL")
	case len(verbs) == 0:
		return tenure.Errorf(tenure.Invalid, "the query is blank")
	case len(verbs) > 1:
		return tenure.Errorf(tenure.Invalid, "the query holds %d statements, and a probe runs one", len(verbs)).WithHint("write a probe for each")
	case !slices.Contains(reading, verbs[0]):
		return tenure.Errorf(tenure.Invalid, "a probe doesn't run a statement that begins with %q", clip(verbs[0])).WithHint("ask with select")
	}
	return nil
}

// verbs are the words that begin the statements of a text.
func (d Dialect) verbs(text string) (out []string) {
	begins := true
	for _, t := range d.cut(text, 0).tokens {
		switch {
		case t.sort == comment:
		case t.sort == sign && t.text == ";":
			begins = true
		case begins && !(t.sort == sign && t.text == "("):
			out, begins = append(out, t.text), false
		}
	}
	return out
}

// Says lists which of the words stand in a text as keywords or plain names.
func (d Dialect) Says(text string, words ...string) (out []string) {
	for _, t := range d.cut(text, 0).tokens {
		if t.sort == word && slices.Contains(words, t.text) && !slices.Contains(out, t.text) {
			out = append(out, t.text)
		}
	}
	return out
}
