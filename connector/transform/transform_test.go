package transform_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

func rule(t testing.TB, text string) (r transform.Rule) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func value(t testing.TB, text string) (v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func names(key, value string, reversible bool) ([]byte, error) {
	return []byte(fmt.Sprintf("%-16.16s%s%t", tenure.Digest([]byte(key + value))[7:], key, reversible)), nil
}

func TestApply(t *testing.T) {
	t.Parallel()
	required := transform.Field{Kind: transform.Text, Required: true}
	for _, c := range []struct {
		rule, value, want string
		field             transform.Field
	}{
		{`"keep"`, `"x"`, `"x"`, transform.Field{}},
		{`"clear"`, `"x"`, `null`, transform.Field{Kind: transform.Text}},
		{`"clear"`, `"x"`, `""`, required},
		{`"clear"`, `{"a":1}`, `{}`, transform.Field{Kind: transform.JSON, Required: true}},
		{`{"constant": 7}`, `null`, `7`, transform.Field{}},
		{`"year"`, `"2024-05-17"`, `"2024-01-01"`, transform.Field{}},
		{`"year"`, `"2024-05-17 10:11:12.5"`, `"2024-01-01 00:00:00"`, transform.Field{}},
		{`"month"`, `"2024-05-17T10:11:12+02:00"`, `"2024-05-01T00:00:00+02:00"`, transform.Field{}},
		{`"month"`, `"2024-05-17T10:11:12Z"`, `"2024-05-01T00:00:00Z"`, transform.Field{}},
		{`"year"`, `"0044-03-15 BC"`, `"0044-01-01 BC"`, transform.Field{}},
		{`"year"`, `"infinity"`, `null`, transform.Field{}},
		{`"year"`, `"0000-00-00"`, `null`, transform.Field{}},
		{`"month"`, `"2026-13-45"`, `null`, transform.Field{}},
		{`"month"`, `"2025-02-29"`, `null`, transform.Field{}},
		{`"month"`, `"2024-02-29"`, `"2024-02-01"`, transform.Field{}},
		{`"month"`, `"0045-02-29 BC"`, `"0045-02-01 BC"`, transform.Field{}},
		{`"year"`, `"born 2024-05-17, in Ulm"`, `null`, transform.Field{}},
		{`{"year": true, "else": "1900-01-01"}`, `"soon"`, `"1900-01-01"`, required},
		{`"network"`, `"192.0.2.77"`, `"192.0.2.0"`, transform.Field{}},
		{`"network"`, `"192.0.2.77/32"`, `"192.0.2.0"`, transform.Field{}},
		{`"network"`, `"2001:db8:1:2::9"`, `"2001:db8:1::"`, transform.Field{}},
		{`"network"`, `"::ffff:192.0.2.77"`, `"192.0.2.0"`, transform.Field{}},
		{`"network"`, `"fe80::1%eth0"`, `"fe80::"`, transform.Field{}},
		{`"network"`, `"of the office"`, `null`, transform.Field{}},
		{`{"prefix": 2}`, `"10115"`, `"10"`, transform.Field{}},
		{`{"prefix": 2}`, `"ÄÖÜ"`, `"ÄÖ"`, transform.Field{}},
		{`{"prefix": 9}`, `"ab"`, `"ab"`, transform.Field{}},
		{`{"bucket": 10}`, `57`, `50`, transform.Field{}},
		{`{"bucket": 10}`, `-1`, `-10`, transform.Field{}},
		{`{"bucket": 0.25}`, `0.74`, `0.5`, transform.Field{}},
		{`{"bucket": 1000}`, `123456789012345678901234567890`, `123456789012345678901234567000`, transform.Field{}},
		{`{"bucket": 10}`, `"NaN"`, `null`, transform.Field{}},
		{`{"bucket": 10}`, `1.5e3`, `1500`, transform.Field{}},
		{`{"bucket": 10}`, `1e999999999`, `null`, transform.Field{}},
		{`{"members": {"a": "keep", "b.c[].d": {"prefix": 1}}}`, `{"a": 1, "x": "gone", "b": {"c": [{"d": "Ada", "e": 2}, "gone"], "f": 3}}`, `{"a": 1, "b": {"c": [{"d": "A"}, null]}}`, transform.Field{Kind: transform.JSON}},
		{`{"members": {"a": "keep"}}`, `"{\"a\": 1, \"b\": 2}"`, `"{\"a\":1}"`, transform.Field{Kind: transform.Text}},
		{`{"members": {"a": "keep"}}`, `"no document"`, `null`, transform.Field{Kind: transform.JSON}},
		{`{"each": {"prefix": 1}}`, `["Ada", "Bob"]`, `["A", "B"]`, transform.Field{Kind: transform.List}},
		{`{"each": "clear"}`, `"no list"`, `null`, transform.Field{Kind: transform.List}},
	} {
		got, err := rule(t, c.rule).Apply(value(t, c.value), c.field, names)
		if err != nil {
			t.Errorf("%s of %s: %v", c.rule, c.value, err)
			continue
		}
		if diff := cmp.Diff(value(t, c.want), got); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", c.rule, c.value, diff)
		}
		again, err := rule(t, c.rule).Apply(got, c.field, names)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%s of %s, twice: %v (-once +twice):\n%s", c.rule, c.value, err, diff)
		}
	}
}

// The same value has the same pseudonym wherever it stands, and no other key's.
func TestPseudonyms(t *testing.T) {
	t.Parallel()
	text := transform.Field{Kind: transform.Text}
	got := func(r string, v any, f transform.Field) any {
		out, err := rule(t, r).Apply(v, f, names)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if a, b := got(`{"pseudonym": "people"}`, "ada@x.example", text), got(`{"pseudonym": "people"}`, "ada@x.example", text); a != b || len(a.(string)) != 26 {
		t.Errorf("%v and %v are one person's", a, b)
	}
	if a, b := got(`{"pseudonym": "people"}`, "ada", text), got(`{"pseudonym": "others"}`, "ada", text); a == b {
		t.Errorf("%v is the pseudonym under two keys", a)
	}
	if a := got(`{"pseudonym": "people", "suffix": "@example.invalid"}`, "ada", text).(string); !strings.HasSuffix(a, "@example.invalid") {
		t.Errorf("%s has no suffix", a)
	}
	if u := got(`{"pseudonym": "people"}`, "9f0c…", transform.Field{Kind: transform.UUID}).(string); len(u) != 36 || u[14] != '8' || !strings.ContainsRune("89ab", rune(u[19])) {
		t.Errorf("%s is no UUID of version 8", u)
	}
	if got(`{"pseudonym": "people"}`, nil, text) != nil {
		t.Error("null has a pseudonym")
	}
}

func TestRulesThatCantBe(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"blur"`, `{}`, `{"prefix": 0}`, `{"prefix": "a"}`, `{"bucket": -1}`, `{"bucket": 0}`, `{"year": false}`, `{"prefix": 1, "bucket": 2}`, `{"shuffle": true}`, `7`, `["clear"]`, `{"each": "blur"}`} {
		var r transform.Rule
		if err := json.Unmarshal([]byte(text), &r); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v, want it refused", text, err)
		}
	}
	for _, c := range []struct {
		rule  string
		field transform.Field
	}{
		{`"year"`, transform.Field{Kind: transform.Integer}},
		{`"year"`, transform.Field{Kind: transform.Text, Required: true}},
		{`"clear"`, transform.Field{Kind: transform.Date, Required: true}},
		{`{"bucket": 10}`, transform.Field{Kind: transform.Text}},
		{`{"constant": "x"}`, transform.Field{Kind: transform.Integer}},
		{`{"constant": 1.5}`, transform.Field{Kind: transform.Integer}},
		{`{"constant": null}`, transform.Field{Kind: transform.Text, Required: true}},
		{`{"constant": "far too long"}`, transform.Field{Kind: transform.Text, Length: 3}},
		{`{"pseudonym": "people"}`, transform.Field{Kind: transform.Text, Length: 25}},
		{`{"pseudonym": "people", "reversible": true}`, transform.Field{Kind: transform.UUID}},
		{`{"pseudonym": "people"}`, transform.Field{Kind: transform.Integer}},
		{`{"members": {"a..b": "keep"}}`, transform.Field{Kind: transform.JSON}},
		{`{"members": {"a": "permute"}}`, transform.Field{Kind: transform.JSON}},
		{`{"each": "permute"}`, transform.Field{Kind: transform.List}},
		{`"network"`, transform.Field{Kind: transform.UUID}},
	} {
		if err := rule(t, c.rule).Fits(c.field); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s of %+v: %v, want it refused", c.rule, c.field, err)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	g := transform.NewGroups([]string{"born", "postcode"})
	for _, row := range [][]any{{"1970", "10"}, {"1970", "10"}, {"1970", "10"}, {"1971", "10"}, {nil, "10"}, {nil, "10"}} {
		if err := g.Add(row, nil); err != nil {
			t.Fatal(err)
		}
	}
	if says := g.Short(3); says != `["1971","10"] has 1, [null,"10"] has 2` {
		t.Errorf("small groups: %s", says)
	}
	if says := g.Short(1); says != "" {
		t.Errorf("small groups: %s, want none", says)
	}
	persons := transform.NewGroups([]string{"region"})
	for _, who := range []string{"ada", "ada", "ada", "bob"} {
		if err := persons.Add([]any{"north"}, who); err != nil {
			t.Fatal(err)
		}
	}
	if n := persons.Size([]any{"north"}); n != 2 {
		t.Errorf("%d persons, want 2", n)
	}
}

// Nobody keeps their own value, and none is lost.
func TestShuffle(t *testing.T) {
	t.Parallel()
	for n := range 30 {
		got := transform.Shuffle(n)
		if n < 2 {
			if got != nil {
				t.Errorf("%d rows: %v", n, got)
			}
			continue
		}
		for i, j := range got {
			if i == j {
				t.Errorf("%d rows: %d keeps its own", n, i)
			}
		}
		if slices.Sort(got); got[0] != 0 || got[n-1] != n-1 || len(slices.Compact(got)) != n {
			t.Errorf("%d rows: some are lost", n)
		}
	}
}

// FuzzApply: whatever a tenant wrote, a transform ends, doesn't fail, and doesn't keep it.
func FuzzApply(f *testing.F) {
	for _, s := range []string{"2024-05-17", "192.0.2.1", "1e999999999", "[[[[", `{"a":{"a":{}}}`, "\x00", "-0", "NaN", "0x1p-9999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, text := range []string{`"year"`, `"month"`, `"network"`, `{"bucket": 3}`, `"clear"`, `{"pseudonym": "k"}`, `{"members": {"a": "clear"}}`, `{"each": "clear"}`} {
			for _, v := range []any{s, json.Number(s)} {
				got, err := rule(t, text).Apply(v, transform.Field{Kind: transform.Any}, names)
				if err != nil {
					t.Fatalf("%s of %q: %v", text, s, err)
				}
				if o := transform.Originals(s); len(o) > 0 && text != `"year"` && text != `"month"` && text != `"network"` && text != `{"bucket": 3}` && transform.Holds(got, o) && !strings.ContainsAny(s, "{[") {
					t.Fatalf("%s of %q keeps it: %v", text, s, got)
				}
			}
		}
	})
}
