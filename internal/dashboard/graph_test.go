package dashboard

import (
	"bytes"
	"errors"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
)

func plan(n int, needs func(i int) []string) []StepRow {
	var out []StepRow
	for i := range n {
		out = append(out, StepRow{Key: key(i), Stage: []tenure.Stage{"cut", "erasure", "certify"}[i*3/n], Summary: "step " + key(i), Needs: needs(i)})
	}
	return out
}

func key(i int) string { return strings.Repeat("i", i+1) }

// TestGraphShowsNeeds: every need can be followed along the lines, and none is
// drawn that a longer way says already.
func TestGraphShowsNeeds(t *testing.T) {
	t.Parallel()
	all := func(i int) []string {
		var out []string
		for j := range i {
			out = append(out, key(j))
		}
		return out
	}
	g := newGraph(plan(6, all))
	var got [][2]int
	for _, e := range g.Edges {
		got = append(got, [2]int{e.From, e.To})
	}
	if diff := cmp.Diff([][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}, got); diff != "" {
		t.Error(diff)
	}
	g = newGraph(plan(4, func(i int) []string { return [][]string{nil, {key(0)}, {key(0)}, {key(1), key(2), "gone"}}[i] }))
	if len(g.Edges) != 4 {
		t.Errorf("%d lines in a diamond, want 4", len(g.Edges))
	}
}

// TestGraphIsReadable: no box lies on another or outside, however many there are.
func TestGraphIsReadable(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 13, 60, 200} {
		g := newGraph(plan(n, func(i int) []string { return []string{key(i / 2)} }))
		if len(g.Boxes) != n {
			t.Fatalf("%d boxes for %d steps", len(g.Boxes), n)
		}
		seen := make(map[[2]int]bool)
		for _, b := range g.Boxes {
			at := [2]int{b.X, b.Y}
			if seen[at] || b.X < 0 || b.X+boxW > g.W || b.Y < headH || b.Y+boxH > g.H {
				t.Errorf("%d steps: the box of step %d at %v isn't alone or not inside %d×%d", n, b.Index, at, g.W, g.H)
			}
			seen[at] = true
		}
		if g.H > 1000 {
			t.Errorf("%d steps: %d pixels high, nobody sees that at once", n, g.H)
		}
	}
}

// TestGraphEnds: a plan that is broken doesn't hang the page.
func TestGraphEnds(t *testing.T) {
	t.Parallel()
	g := newGraph(plan(30, func(i int) []string { return []string{key((i + 1) % 30), key(i)} }))
	if len(g.Boxes) != 30 {
		t.Errorf("%d boxes", len(g.Boxes))
	}
	if newGraph(nil) != nil {
		t.Error("a graph of nothing")
	}
}

// TestWrap: a summary keeps to its box, and what is cut says so.
func TestWrap(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		"short":                       {"short"},
		"export the database of prod": {"export the database of", "prod"},
		strings.Repeat("x", 100):      {strings.Repeat("x", 23), strings.Repeat("x", 21) + "…"},
		"look for what still bears the mark x of the tenant": {"look for what still", "bears the mark x of…"},
	} {
		if diff := cmp.Diff(want, wrap(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// TestDuration: people read the two largest units.
func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "–", 850 * time.Millisecond: "850 ms", 3200 * time.Millisecond: "3.2 s", 10 * time.Minute: "10 min", 94 * time.Second: "1 min 34 s",
		26 * time.Hour: "1 d 2 h", 90 * time.Minute: "1 h 30 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := (Money{Minor: -123456789, Currency: "EUR"}).String(); got != "−1,234,567.89 EUR" {
		t.Errorf("money: %q", got)
	}
}

// TestNoHalfPage: a template that fails halfway writes nothing, so that nobody
// takes half a page for a whole one.
func TestNoHalfPage(t *testing.T) {
	t.Parallel()
	broken := template.Must(template.New("").Funcs(template.FuncMap{"fail": func() (string, error) { return "", errors.New("no") }}).Parse(`{{define "plain"}}half{{fail}}{{end}}`))
	p := &Pages{pages: map[string]func() (*template.Template, error){"broken": func() (*template.Template, error) { return broken, nil }}}
	var b bytes.Buffer
	if err := p.render(&b, "broken", plain, Frame{}, nil); tenure.CodeOf(err) != tenure.Internal || b.Len() != 0 {
		t.Errorf("err %v and %q written, want an internal error and nothing", err, b.String())
	}
	if err := p.render(&b, "missing", plain, Frame{}, nil); tenure.CodeOf(err) != tenure.Internal {
		t.Errorf("a page that isn't there: %v", err)
	}
}
