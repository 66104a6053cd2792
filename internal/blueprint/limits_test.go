package blueprint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// Files made to exhaust the reader are refused, and soon.
func TestLimits(t *testing.T) {
	t.Parallel()
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), i-1)
	}
	keys := func(n int, end string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "k%d: 1%s", i, end)
		}
		return b.String()
	}
	expressions := strings.Builder{}
	for i := range maxExpressions + 2 {
		fmt.Fprintf(&expressions, "        t%d: ${%d}\n", i, i)
	}
	tests := map[string]struct{ yaml, want string }{
		"billion laughs":      {laughs, "more than 20000 values"},
		"alias to itself":     {"a: &a [*a]", "contains itself"},
		"alias to nothing":    {"a: *b", "has no anchor"},
		"brackets":            {strings.Repeat("[", 100_000), "nested deeper"},
		"brackets, by line":   {strings.Repeat("[\n", 9_000), "nested deeper"},
		"dashes":              {strings.Repeat("- ", 100_000), "nested deeper"},
		"question marks":      {strings.Repeat("? ", 100_000), "nested deeper"},
		"deep mapping":        {deepMapping(200), "nested deeper"},
		"anchors":             {strings.Repeat("&a ", 60_000), "isn't YAML"},
		"a long list":         {"a: [" + strings.Repeat("b,", 60_000) + "]", "more than 20000 values"},
		"a long mapping":      {keys(9_000, "\n"), `unknown key "k0"`},
		"a long flow mapping": {"a: {" + keys(12_000, ", ") + "}", `unknown key "a"`},
		"many lines":          {strings.Repeat("a:\n", 20_000), "at most 10000 are allowed"},
		"many bytes":          {"a: " + strings.Repeat("x", 300_000), "at most 262144 are allowed"},
		"many expressions":    {edit(t, shop(t), "      tables: {orders: orders, people: people}", "      tables:\n"+expressions.String()), "more than 2000 different expressions"},
		"a long expression":   {edit(t, shop(t), "${params.seats * 2}", "${"+strings.Repeat("1+", 1000)+"1}"), "at most 2000 are allowed"},
		"a deep expression":   {edit(t, shop(t), "${params.seats * 2}", "${"+strings.Repeat("(", 900)+"1"+strings.Repeat(")", 900)+"}"), "isn't CEL"},
		"not UTF-8":           {"a: \xff", "not valid UTF-8"},
		"nothing":             {"# only a comment\n", "is empty"},
		"a text":              {"hello", "must be a mapping"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer within(t, "the refusal")()
			src, err := Parse([]byte(tt.yaml), "f.yaml")
			if err == nil {
				_, err = Check(src, catalog())
			}
			if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %.500v\nwant an invalid error with %q", err, tt.want)
			}
			if n := len(fmt.Sprint(err)); n > 60_000 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

// Who begins with nothing is told how a blueprint begins.
func TestEmptyFile(t *testing.T) {
	t.Parallel()
	_, err := Parse(nil, "f.yaml")
	if got, want := tenure.HintsOf(err), "a blueprint begins with apiVersion: tenure.dev/v1 and kind: Blueprint"; len(got) != 1 || got[0] != want {
		t.Errorf("hints %q, want %q", got, want)
	}
}

func deepMapping(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
