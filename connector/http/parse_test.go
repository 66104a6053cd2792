package http_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/http"
)

// What can't be right is refused with its line.
func TestRefused(t *testing.T) {
	good := strings.NewReplacer("AUTH", "{kind: bearer, secret: secret}", "LIST", whole).Replace(small)
	if _, err := http.Parse([]byte(good), "things.yaml"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ was, is, tells string }{
		"an unknown key":                      {"summary: Things.", "sumary: Things.", `things.yaml:5:1: $.sumary: unknown key "sumary"; did you mean summary?`},
		"no version":                          {`version: "1"`, `version: v1`, "things.yaml:4:10"},
		"no CEL":                              {"${own}", "${own +}", "things.yaml:26:106: $.types.thing.create.body.name: this isn't CEL: it ends too early"},
		"a name that isn't known there":       {`{path: /things, items: /items`, `{path: "/things/${item.id}", items: /items`, "item isn't known here"},
		"a name that isn't known at all":      {"${own}", "${owner}", "undeclared reference to 'owner'"},
		"a path of another host":              {"path: /things, header", "path: https://elsewhere.example/, header", "begin it with /"},
		"a credential in a header":            {"Idempotency-Key:", "Authorization:", "header Authorization can't be set"},
		"a credential in a path":              {`"/things/${id}", expect`, `"/things/${credential}", expect`, "can't hold the credential"},
		"no mark":                             {`, "${mark}"`, ``, "create doesn't send ${mark}"},
		"no such option":                      {"secret: secret}", "secret: sekret}", `there is no option "sekret"`},
		"an option that isn't secret":         {"secret: secret}", "secret: user}", `option "user" isn't secret`},
		"an access layer without a cut":       {"layer: configuration", "layer: account", "needs suspend"},
		"an attribute that isn't declared":    {"{color: /color}", "{colour: /color}", `there is no attribute "colour"`},
		"a schema that is none":               {"{type: string}", "{type: text}", "attributes"},
		"a sentinel of no type":               {"{type: thing, name: sentinel}", "{type: nothing, name: sentinel}", `there is no type "nothing"`},
		"neither a pointer nor an expression": {"id: /id", "id: id", "neither a JSON pointer nor ${…}"},
		"pages without what they need":        {"{by: url, next: /url}", "{by: page}", "pages by page need param"},
		"twice":                               {"rights: None.", "rights: None.\nrights: All.", "is given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.was) {
				t.Fatalf("the description has no %q", c.was)
			}
			_, err := http.Parse([]byte(strings.Replace(good, c.was, c.is, 1)), "things.yaml")
			if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.tells) || !strings.Contains(err.Error(), "things.yaml:") {
				t.Errorf("got %v, want %q", err, c.tells)
			}
		})
	}
}

// The digest is of what a description says, not of how it is written.
func TestDigest(t *testing.T) {
	digest := func(src string) string {
		d, err := http.Parse([]byte(src), "things.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return d.Digest()
	}
	good := strings.NewReplacer("AUTH", "{kind: none}", "LIST", whole).Replace(small)
	if digest(good) != digest("# a comment\n"+strings.Replace(good, "summary: Things.", `summary: "Things."`, 1)) {
		t.Error("a comment and quotes change the digest")
	}
	if digest(good) == digest(strings.Replace(good, "[202]", "[200]", 1)) {
		t.Error("another status has the same digest")
	}
}

// The description that the documentation shows is one.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/descriptions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```yaml\napiVersion")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatal("docs/descriptions.md shows no description")
	}
	if _, err := http.Parse([]byte("apiVersion"+text), "tickets.yaml"); err != nil {
		t.Error(err)
	}
}
