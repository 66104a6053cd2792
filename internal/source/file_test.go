package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
)

var menu = Kind{Noun: "menu", Begins: "apiVersion: x/v1", Then: "kind: Menu"}

func menuShape(t *testing.T) *Shape {
	t.Helper()
	var doc any
	if err := json.Unmarshal([]byte(`{"type": "object", "additionalProperties": false, "properties": {"name": {"type": "string"}, "dishes": {"type": "array", "items": {"type": "object", "required": ["price"]}}}}`), &doc); err != nil {
		t.Fatal(err)
	}
	s, err := CompileShape(doc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What can't be a file is refused in the words of its kind, with what one begins with.
func TestNoFile(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][2]string{
		"":                      {"m.yaml is empty", "a menu begins with apiVersion: x/v1 and kind: Menu"},
		"# a comment\n":         {"m.yaml is empty", "a menu begins with apiVersion: x/v1 and kind: Menu"},
		"a: \xff":               {"m.yaml is not valid UTF-8", ""},
		"a: 1\n---\nb\n":        {"m.yaml:3:1: the file holds more than one document; write one menu to a file", ""},
		"a: b: c":               {"m.yaml:1:4: this isn't YAML: mapping value is not allowed in this context; put a text that holds a colon and a space in quotes", ""},
		"- {a: 1, a: 2}":        {`m.yaml:1:10: $[0].a: key "a" is given twice; the first is on line 1`, ""},
		strings.Repeat("[", 99): {"m.yaml:1:99: this isn't YAML", ""},
	} {
		f, found, err := Read([]byte(src), "m.yaml", menu)
		if f != nil || found != nil || tenure.CodeOf(err) != tenure.Invalid || !strings.HasPrefix(fmt.Sprint(err), want[0]) {
			t.Errorf("%.20q: %v\nwant an invalid error that begins with %s", src, err, want[0])
		}
		if got := strings.Join(tenure.HintsOf(err), " "); got != want[1] {
			t.Errorf("%.20q: hint %q, want %q", src, got, want[1])
		}
	}
	_, _, err := Read(nil, "m.yaml", Kind{Noun: "menu", Begins: "name"})
	if got := tenure.HintsOf(err); !slices.Equal(got, []string{"a menu begins with name"}) {
		t.Errorf("nothing that follows: hints %q", got)
	}
	if _, _, err = Read(nil, "m.yaml", Kind{Noun: "menu"}); len(tenure.HintsOf(err)) > 0 {
		t.Errorf("any value will do: hints %q", tenure.HintsOf(err))
	}
}

// Somebody who mends a file sees all at once: what is wrong with its YAML and with its shape.
func TestProblemsBesideAFile(t *testing.T) {
	t.Parallel()
	f, found, err := Read([]byte("nam: a\ndishes:\n  - {price: 1, price: 2}\n  - soup: *none\n"), "m.yaml", menu)
	if err != nil {
		t.Fatal(err)
	}
	err = append(found, f.Check(menuShape(t))...).Err()
	var all Problems
	if tenure.CodeOf(err) != tenure.Invalid || !errors.As(err, &all) {
		t.Fatalf("it isn't Invalid, or wraps no problems: %v", err)
	}
	var got []string
	for _, p := range all {
		p.Excerpt = ""
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{
		`m.yaml:1:1: $.nam: unknown key "nam"; did you mean name?`,
		`m.yaml:3:16: $.dishes[0].price: key "price" is given twice; the first is on line 3`,
		`m.yaml:4:5: $.dishes[1].price: "price" is missing`,
		`m.yaml:4:11: $.dishes[1].soup: alias *none has no anchor before it`,
	}, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	f, _, err = Read([]byte("soup"), "m.yaml", menu)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Check(menuShape(t)); len(got) != 1 || got[0].Message != "a menu must be a mapping" || got[0].Hint != "it begins with apiVersion: x/v1" {
		t.Errorf("a text in place of a mapping: %+v", got)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	f, found, err := Read([]byte("name: a\ndishes:\n  - price: |\n      one\n      and ${two}\n"), "m.yaml", menu)
	if err != nil || found != nil {
		t.Fatal(err, found)
	}
	price := Path(Steps("/dishes/0/price"))
	for what, got := range map[string][2]any{
		"where the key is":       {f.Where(price...), "m.yaml:3:5"},
		"where nothing is":       {f.Where("dishes", "0", "size"), "m.yaml:3:5"},
		"that it is there":       {f.Has(price...), true},
		"that it isn't":          {f.Has("dishes", "1"), false},
		"the line of a value":    {f.Line(Path{"dishes"}), 3},
		"the line without file":  {(*File)(nil).Line(price), 0},
		"the steps of the whole": {len(Steps("")), 0},
		"steps with signs":       {Path(Steps("/a~1b/~01")).String(), `$["a/b"]["~1"]`},
		"a place in a text":      {fmt.Sprint(f.ProblemIn(price, "one\nand ${two}\n", 10, "m", "").Line, f.ProblemIn(price, "one\nand ${two}\n", 10, "m", "").Column), "5 13"},
		"a problem without file": {(*File)(nil).Problem(price, true, "m", "h").String(), "$.dishes[0].price: m; h"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %v, want %v", what, got[0], got[1])
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	got, err := Split("a $${b} ${'}'} c${ {} }")
	if err != nil {
		t.Fatal(err)
	}
	want := []Piece{{Literal: "a ${b} "}, {Expr: "'}'", IsExpr: true, Offset: 10}, {Literal: " c"}, {Expr: " {} ", IsExpr: true, Offset: 18}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
	for text, offset := range map[string]int{"é ${": 3, "a ${ }": 2, "${a} ${'b}": 7} {
		var bad *TextError
		if _, err := Split(text); !errors.As(err, &bad) || bad.Offset != offset {
			t.Errorf("%q: %#v, want an error at %d", text, err, offset)
		}
	}
	for text, is := range map[string]bool{"${a}": true, "$${a}": false, "${": true, "a": false} {
		if HasExpression(text) != is {
			t.Errorf("HasExpression(%q) = %v", text, !is)
		}
	}
}
