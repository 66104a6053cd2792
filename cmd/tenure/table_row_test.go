package main

import (
	"strings"
	"testing"
)

// A cell can't forge a row, whatever it holds.
func TestNoCellBreaksARow(t *testing.T) {
	t.Parallel()
	for _, cell := range []string{"done\nT2  paid  done", "a\r\nb", "a\tb", "a\u2028b", "a\u2029b", "\u202egnp", "\x1b[2Ja", "a\vb"} {
		for _, terminal := range []bool{false, true} {
			var out strings.Builder
			p := &page{w: &out, width: 100, terminal: terminal}
			p.table([]string{"ITEM", "NOTE"}, [][]string{{"T1", cell}})
			want := 2
			if terminal {
				want = 5
			}
			if got := out.String(); strings.Count(got, "\n") != want || strings.ContainsAny(got, "\r\t\v\u2028\u2029\u202e") {
				t.Errorf("the cell %q prints\n%s", cell, got)
			}
		}
	}
}
