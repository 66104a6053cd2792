package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestLogLinesSteerNoTerminal: who reads the server's log in a terminal, in either
// format, sees what a customer or a system wrote and isn't steered by it.
func TestLogLinesSteerNoTerminal(t *testing.T) {
	t.Parallel()
	const hostile = "a\x1b[2Jb\nlevel=ERROR\r\u009b2Jc\u202ed\u2066e\u2028f\x7fg\u200fh"
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := (&app{err: &out}).logger(format)
		if err != nil {
			t.Fatal(err)
		}
		log.Info(hostile, "text", hostile, hostile, 1)
		log.With("tenant", hostile).WithGroup(hostile).Warn("x", "y", hostile)
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 2 {
			t.Errorf("%s: two records became %d lines: %q", format, len(lines), out.String())
		}
		for _, l := range lines {
			if strings.ContainsFunc(l, func(r rune) bool { return steers(r) || r == '\u2028' }) {
				t.Errorf("%s: a line steers: %q", format, l)
			}
			var m map[string]any
			if format == "json" && (json.Unmarshal([]byte(l), &m) != nil || m["text"] != nil && m["text"] != hostile) {
				t.Errorf("a line lost what it said: %q", l)
			}
		}
	}
}
