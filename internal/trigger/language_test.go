package trigger_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/trigger"
)

// TestTextsByLanguage: what a rule tells is one text, or one for each language with English among them;
// each is compiled.
func TestTextsByLanguage(t *testing.T) {
	t.Parallel()
	file := func(text string) []byte {
		return []byte("apiVersion: tenure.dev/v1\nkind: Triggers\nname: x\nversion: \"1\"\nas: feed\nrules:\n  - name: renewal\n    ends: {before: P30D}\n    notify: [{to: contact, text: " + text + "}]\n")
	}
	for text, says := range map[string]string{
		"it ends":                              "",
		"{en: it ends, de: es endet}":          "",
		"{de: es endet}":                       `"en" is missing`,
		"{en: it ends, fr: fini}":              `unknown key "fr"`,
		`{en: it ends, de: "${nothing.here}"}`: "text.de",
	} {
		_, err := trigger.Parse(file(text), "rules.yaml")
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
