package tenure_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// TestCheckJSON: what two readers could read differently is refused, whatever depth it
// stands at; everything else goes through.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	around := []string{`%`, `{"a":%}`, `[%]`, `{"a":[{"b":%}]}`}
	for _, bad := range []string{
		`{"a":1,"a":1}`, `{"a":1,"b":2,"a":3}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`,
		`"\ud800"`, `"\udc00"`, `"\uD83D\u0041"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\\ude00"`, `{"\udfff":1}`, "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"",
		`1e400`, `-1e400`, `1e-400`, `9223372036854775808`, `-9223372036854775809`, `0.1000000000000000055511151231257827`, `0.12345678901234567890`, `1.00000000000000000001`, `12345678901234567890.0`, `1e-999999999999999999999`,
		`01`, `+1`, `.5`, `1.`, `NaN`, `Infinity`, `'a'`, `{a:1}`, `[1,]`, `{"a":1,}`, `/* */1`, `"` + "\t" + `"`, `"\x"`, `"a\u0000b"`, `{"\u0000":1}`, `1 2`, `{} {}`, ``, `nul`,
	} {
		for _, in := range around {
			text := strings.ReplaceAll(in, "%", bad)
			if bad == `` && in == `[%]` {
				continue
			}
			if err := tenure.CheckJSON([]byte(text)); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	for _, good := range []string{
		`{"a":{"a":1},"b":{"a":1}}`, `{"a":1,"A":2}`, `"\ud83d\ude00"`, `"\\ud800"`, `"\\\\ud800"`, `"é😀\u0001\/"`, `"\\u0000"`, `0`, `-0`, `-0.0`, `0.0`, `0.1`, `0.10`, `1e30`, `1E+2`, `1.5e3`, `100.0`, `1e-7`, `5e-324`, `1.7976931348623157e308`,
		`9223372036854775807`, `-9223372036854775808`, `9007199254740993`, `null`, `true`, `[]`, `{}`, " {\"a\" : [ 1 , 2 ] } \n",
	} {
		for _, in := range around {
			text := strings.ReplaceAll(in, "%", good)
			if err := tenure.CheckJSON([]byte(text)); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if err := tenure.CheckJSON(deep(tenure.MaxJSONDepth)); err != nil {
		t.Error(err)
	}
	if err := tenure.CheckJSON(deep(tenure.MaxJSONDepth + 1)); tenure.CodeOf(err) != tenure.Invalid {
		t.Error(err)
	}
}

// FuzzCheckJSON: what it lets through is JSON, and comes through a decoder unchanged.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\ud83d\ude00",0.1]}`, `{"a":1,"a":2}`, `"\ud800"`, `1e30`, `{"a":1}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tenure.CheckJSON(b) == nil && !json.Valid(b) {
			t.Errorf("%q isn't JSON and was let through", b)
		}
	})
}
