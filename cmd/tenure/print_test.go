package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

// TestNothingSteersTheTerminal: a name that a customer or a system chose can't
// move the cursor, hide text or turn it round.
func TestNothingSteersTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &page{w: &out, width: 80, now: time.Now()}
	const evil = "acme\x1b[2J\x07\r\u202e\u0085"
	p.line("tenant %s", evil)
	p.loud("tenant %s %d", tenure.TenantState(evil), 1)
	p.fields("name", evil)
	p.table([]string{"name"}, [][]string{{evil}})
	if s := out.String(); strings.ContainsAny(s, "\x1b\x07\r\u202e\u0085") || strings.Count(s, "acme") != 4 {
		t.Errorf("printed %q", s)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		for _, r := range clean(s) {
			if steers(r) {
				t.Fatalf("%q keeps %q", s, r)
			}
		}
	})
}

// TestTables: columns line up by what is seen, and a terminal's table fits it.
func TestTables(t *testing.T) {
	t.Parallel()
	rows := func() [][]string {
		return [][]string{{"ÄÖ", "active", ""}, {"longer-name", "suspended", strings.Repeat("because ", 20)}}
	}
	var plain bytes.Buffer
	(&page{w: &plain, width: 60}).table([]string{"name", "state", "why"}, rows())
	want := "name         state      why\nÄÖ           active     -\nlonger-name  suspended  " + strings.Repeat("because ", 20) + "\n"
	if d := cmp.Diff(want, plain.String()); d != "" {
		t.Error(d)
	}
	var ruled bytes.Buffer
	(&page{w: &ruled, width: 60, terminal: true}).table([]string{"name", "state", "why"}, rows())
	for _, line := range strings.Split(strings.TrimRight(ruled.String(), "\n"), "\n") {
		if n := len([]rune(line)); n > 60 {
			t.Errorf("%d wide: %s", n, line)
		}
	}
	var wide bytes.Buffer
	(&page{w: &wide, width: 24, terminal: true}).table([]string{"name", "why"}, [][]string{{"テナント", "two words\nand " + strings.Repeat("x", 20)}})
	want = "╭──────────┬───────────╮\n│ name     │ why       │\n├──────────┼───────────┤\n│ テナント │ two words │\n" +
		"│          │ and       │\n│          │ xxxxxxxxx │\n│          │ xxxxxxxxx │\n│          │ xx        │\n╰──────────┴───────────╯\n"
	if d := cmp.Diff(want, wide.String()); d != "" {
		t.Error(d)
	}
	if s := ruled.String(); !strings.Contains(s, "╭") || strings.Contains(s, "\x1b") {
		t.Errorf("without colour a terminal's table is\n%q", s)
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p := &page{now: now}
	for d, want := range map[time.Duration]string{
		0: "(now)", time.Millisecond: "(now)", time.Second: "(in 1 second)", -90 * time.Second: "(1 minute ago)", 36 * time.Hour: "(in 1 day)",
		-24 * 400 * time.Hour: "(1 year ago)", 24 * 365 * 8 * time.Hour: "(in 8 years)",
	} {
		if got := p.when(now.Add(d)); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := p.when(time.Time{}); got != "" {
		t.Errorf("no time is %q", got)
	}
	if got := p.when(now.In(time.FixedZone("x", 3600))); got != "2026-03-02T09:00:00Z (now)" {
		t.Errorf("another zone's time is %q", got)
	}
}

// TestTyped: a parameter's text is JSON only where its schema takes what it says.
func TestTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, schema string
		want        any
	}{
		{"12", `{"type":"integer"}`, json.Number("12")},
		{"12", `{"type":"string"}`, "12"},
		{"007", `{"type":"string"}`, "007"},
		{"007", `{"type":"integer"}`, "007"},
		{"1.5", `{"type":"integer"}`, json.Number("1.5")}, // for the schema to refuse
		{"1.5", `{"type":"number"}`, json.Number("1.5")},
		{"true", `{"type":"boolean"}`, true},
		{"true", `{"type":"string"}`, "true"},
		{"null", `{"type":"string"}`, "null"},
		{"null", `{"type":["string","null"]}`, nil},
		{`["a"]`, `{"type":"array"}`, []any{"a"}},
		{`["a"`, `{"type":"array"}`, `["a"`},
		{`{"a":1}`, `{"type":"object"}`, map[string]any{"a": json.Number("1")}},
		{"small", `{"enum":["small","large"]}`, "small"},
		{"1", `{"enum":["1","2"]}`, "1"},
		{"1 2", `{"type":"integer"}`, "1 2"},
		{"", `{"type":"string"}`, ""},
		{"7", `{}`, json.Number("7")},
		{"9007199254740993", `{"type":"integer"}`, json.Number("9007199254740993")},
	} {
		var schema any
		if err := json.Unmarshal([]byte(c.schema), &schema); err != nil {
			t.Fatal(err)
		}
		got, err := typed(c.raw, schema)
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%q under %s: %v %s", c.raw, c.schema, err, d)
		}
	}
}

// TestFail: the code decides the exit code, and no error goes without one.
func TestFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		output string
		exit   int
		says   string
	}{
		{nil, "human", 0, ""},
		{tenure.Errorf(tenure.Blocked, "a hold stands").WithHint("wait"), "human", 7, "error: a hold stands\nhint: wait\n"},
		{tenure.Errorf(tenure.NotFound, "no \x1b[2J"), "human", 5, "error: no \\u001b[2J\n"},
		{errors.New("bare"), "human", 1, "error: bare\n"},
		{context.Canceled, "human", 8, "error: interrupted; what was begun goes on with the next command, or with tenure serve\n"},
		{tenure.Errorf(tenure.Unavailable, "gone").Retryable(), "json", 8, `{"code":"unavailable","message":"gone","retry":true}` + "\n"},
	} {
		var out bytes.Buffer
		a := &app{err: &out, output: c.output, ran: true}
		if got := a.fail(c.err); got != c.exit || out.String() != c.says {
			t.Errorf("%v: %d %q, want %d %q", c.err, got, out.String(), c.exit, c.says)
		}
	}
}
