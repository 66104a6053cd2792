package blueprint

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

// maxAnswer is how long any input may keep a person waiting: far above
// what is needed, since the machine may be busy and the race detector watches.
const maxAnswer = 30 * time.Second

func within(t *testing.T, what string) func() {
	start := time.Now()
	return func() {
		if d := time.Since(start); d > maxAnswer {
			t.Errorf("%s took %s", what, d)
		}
	}
}

// Whatever a file holds, it is read or refused: Invalid, without a panic, in
// bounded time; and what is accepted can be stored and read back.
func FuzzParse(f *testing.F) {
	whole := shop(f)
	f.Add(whole)
	for _, tt := range refusals {
		f.Add(strings.Replace(whole, tt.old, tt.new, 1))
	}
	for _, s := range []string{"", "\t", "a: &a [*a]", "? {}\n: 1", "- - - -", "!!binary x", "\"\\x", "a: |2\n x", "%YAML 1.2\n---\na", "&a : *a", "[{[{", "a: >-\n\n\n b", "'", "a: b: c", "\ufeffa: 1", "*x", "<<: *x", "a:\n\t- b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		defer within(t, "parse and check")()
		src, err := Parse([]byte(yaml), "f.yaml")
		if err == nil {
			var c *Compiled
			if c, err = Check(src, catalog()); err == nil {
				if _, err := Decode(c.Encode(), c.Digest, catalog()); err != nil {
					t.Fatalf("accepted, and can't be read back: %v", err)
				}
				return
			}
		}
		if code := tenure.CodeOf(err); code != tenure.Invalid {
			t.Fatalf("code %q for %v", code, err)
		}
		if s := err.Error(); s == "" || !utf8.ValidString(s) {
			t.Fatalf("the error can't be shown: %q", s)
		}
	})
}

// Whatever a text holds, it compiles or is refused at a place within it, and
// what compiles ends in bounded time with a value that JSON can hold.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"", "${", "${}", "$${", "${'}'}", "${\"\"\"}\"\"\"}", "${r'\\'}", "a${1}b${{'a': 1}}", "${tenant.name}", "${params.labels.map(k, k)}",
		"${[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, a*b*c)))}", "${'a'.replace('', 'bbbbbbbb').replace('', 'cccccccc').replace('', 'dddddddd')}",
		"${'%s'.format([1])}", "${'x'.matches('(a+)+$')}", "${b'a'}", "${type(1)}", "${timestamp('2020-01-01T00:00:00Z')}", "${{1: 2}}", "${9223372036854775807 + 1}", "${1/0}",
		"${resources.store}", "${has(resources.store.name)}", "${dyn(1)}", "${[[[[[[[[[[[[]]]]]]]]]]]]}", "${1.0/0.0}", "${'\\ud800'}", "${params.labels}",
	} {
		f.Add(s)
	}
	c := compiled(f, shop(f))
	d, err := newDialect(&c.Blueprint)
	if err != nil {
		f.Fatal(err)
	}
	vars := map[string]any{
		"tenant":       map[string]any{"id": "ten_1", "name": "acme", "tier": "gold", "organization": "Acme"},
		"installation": map[string]any{"id": "ins_1"}, "env": map[string]any{"name": "prod", "kind": "production"},
		"params":    map[string]any{"plan": "small", "seats": int64(5), "quota": 1.5, "labels": map[string]any{"b": "x", "a": "y"}},
		"features":  map[string]any{"mail": true, "reports": false},
		"resources": map[string]any{"store": map[string]any{"id": "res_1", "name": "n", "type": "store", "attributes": map[string]any{"limit": int64(1)}, "$key": "store"}},
	}
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 4*maxExpression {
			return
		}
		defer within(t, "compile and run")()
		compiled, faults := d.compileText(inOutput, source)
		for _, bad := range faults {
			if bad.offset < 0 || bad.offset > len(source) || bad.message == "" {
				t.Fatalf("fault %+v isn't in the text", bad)
			}
		}
		if len(faults) > 0 {
			return
		}
		first, err := compiled.run(vars)
		if err != nil {
			return
		}
		second, err := compiled.run(vars)
		if err != nil {
			t.Fatalf("ran once, and then: %v", err)
		}
		a, err := tenure.Canonical(first)
		if err != nil {
			t.Fatalf("gives what JSON can't hold: %v", err)
		}
		if b, _ := tenure.Canonical(second); string(a) != string(b) {
			t.Fatalf("gives %s and then %s", a, b)
		}
	})
}
