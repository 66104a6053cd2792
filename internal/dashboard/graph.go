package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// graph is a plan drawn: a column for each stage, a box for each step, a line
// for each need that no other path implies.
type graph struct {
	W, H   int
	Stages []graphStage
	Boxes  []graphBox
	Edges  []graphEdge
}

type graphStage struct {
	Name     string
	X, W     int
	Done, Of int
}

type graphBox struct {
	Index  int
	X, Y   int
	Lines  []string // of text, at most two
	Full   string
	Status Status
	Marked bool // it destroys
	Note   string
}

type graphEdge struct {
	From, To int
	D        string
	Met      bool // what is needed has ended well
}

// Sizes of the drawing, in pixels.
const (
	boxW, boxH   = 188, 58
	boxGap       = 14
	columnGap    = 52
	headH        = 44
	graphMargin  = 16
	columnHolds  = 12 // boxes in a column; more make another column of the stage
	textWidth    = 142
	letterWidth  = 6
	gutter       = 12 // between a box and a line that goes down beside it
	linesInABox  = 2
	wideLetterPx = 12
)

type place struct{ column, row int }

// newGraph lays a plan out. Stages stand in the order in which the plan comes
// to them; in a stage a step stands under those that it needs.
func newGraph(steps []StepRow) *graph {
	if len(steps) == 0 {
		return nil
	}
	needs := edgesOf(steps)
	g := &graph{}
	places := make([]place, len(steps))
	column, tallest := 0, 0
	for _, s := range stagesOf(steps) {
		members := byRank(s.members, needs)
		columns := (len(members) + columnHolds - 1) / columnHolds
		rows := (len(members) + columns - 1) / columns
		done := 0
		for i, m := range members {
			places[m] = place{column + i/rows, i % rows}
			if tone := steps[m].Status().Tone; steps[m].State == "done" && tone != ToneBad {
				done++
			}
		}
		tallest = max(tallest, rows)
		g.Stages = append(g.Stages, graphStage{Name: s.name, X: columnX(column), W: columns*boxW + (columns-1)*columnGap, Done: done, Of: len(members)})
		column += columns
	}
	g.W = columnX(column) - columnGap + graphMargin
	g.H = headH + tallest*(boxH+boxGap) + graphMargin
	for i, s := range steps {
		g.Boxes = append(g.Boxes, graphBox{
			Index: i, X: columnX(places[i].column), Y: rowY(places[i].row), Lines: wrap(s.Summary), Full: s.Summary,
			Status: s.Status(), Marked: s.Destructive, Note: boxNote(s),
		})
	}
	for to, from := range reduced(needs) {
		for _, f := range from {
			g.Edges = append(g.Edges, graphEdge{From: f, To: to, D: curve(places[f], places[to]), Met: steps[f].State == "done" || steps[f].State == "skipped"})
		}
	}
	return g
}

func columnX(column int) int { return graphMargin + column*(boxW+columnGap) }
func rowY(row int) int       { return headH + row*(boxH+boxGap) }

func boxNote(s StepRow) string {
	switch {
	case s.Attempts > 1:
		return fmt.Sprintf("%s, try %d", s.Environment, s.Attempts)
	case s.Took() > 0 && s.Environment != "":
		return s.Environment + ", " + duration(s.Took())
	case s.Took() > 0:
		return duration(s.Took())
	}
	return s.Environment
}

type stageMembers struct {
	name    string
	members []int
}

func stagesOf(steps []StepRow) []stageMembers {
	var out []stageMembers
	for i, s := range steps {
		at := slices.IndexFunc(out, func(m stageMembers) bool { return m.name == string(s.Stage) })
		if at < 0 {
			at = len(out)
			out = append(out, stageMembers{name: string(s.Stage)})
		}
		out[at].members = append(out[at].members, i)
	}
	return out
}

// edgesOf gives for each step the indexes of those that it needs. A need that
// no step bears is left out.
func edgesOf(steps []StepRow) [][]int {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.Key] = i
	}
	out := make([][]int, len(steps))
	for i, s := range steps {
		for _, n := range s.Needs {
			if at, ok := index[n]; ok && at != i {
				out[i] = append(out[i], at)
			}
		}
	}
	return out
}

// byRank orders a stage's steps so that none stands above one that it needs.
func byRank(members []int, needs [][]int) []int {
	inside := make(map[int]bool, len(members))
	for _, m := range members {
		inside[m] = true
	}
	rank := make(map[int]int, len(members))
	var rankOf func(i, depth int) int
	rankOf = func(i, depth int) int {
		if r, ok := rank[i]; ok {
			return r
		}
		r := 0
		// A plan has no cycle; the bound keeps a broken one from hanging the page.
		if depth < len(members) {
			for _, n := range needs[i] {
				if inside[n] {
					r = max(r, rankOf(n, depth+1)+1)
				}
			}
		}
		rank[i] = r
		return r
	}
	out := slices.Clone(members)
	slices.SortStableFunc(out, func(a, b int) int { return rankOf(a, 0) - rankOf(b, 0) })
	return out
}

// reduced leaves out each need that a longer way implies: sixty steps have
// hundreds of needs, and nobody can follow so many lines.
func reduced(needs [][]int) [][]int {
	reach := make([]map[int]bool, len(needs))
	var reachOf func(i int) map[int]bool
	reachOf = func(i int) map[int]bool {
		if reach[i] != nil {
			return reach[i]
		}
		reach[i] = make(map[int]bool) // set first, so that a cycle ends
		for _, n := range needs[i] {
			reach[i][n] = true
			for far := range reachOf(n) {
				reach[i][far] = true
			}
		}
		return reach[i]
	}
	out := make([][]int, len(needs))
	for i, from := range needs {
		for _, f := range from {
			implied := slices.ContainsFunc(from, func(other int) bool { return other != f && reachOf(other)[f] })
			if !implied && !slices.Contains(out[i], f) {
				out[i] = append(out[i], f)
			}
		}
	}
	return out
}

// curve is the line from one box to another.
func curve(from, to place) string {
	fx, fy := columnX(from.column), rowY(from.row)
	tx, ty := columnX(to.column), rowY(to.row)
	switch {
	case from.column == to.column && to.row == from.row+1: // straight down
		return fmt.Sprintf("M%d %d V%d", fx+boxW/2, fy+boxH, ty)
	case from.column == to.column: // beside the boxes between
		y1, y2, x := fy+boxH/2, ty+boxH/2, fx-gutter
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", fx, y1, x-gutter, y1, x-gutter, y2, tx, y2)
	case to.column > from.column:
		x1, y1, y2 := fx+boxW, fy+boxH/2, ty+boxH/2
		bend := columnGap / 2
		return fmt.Sprintf("M%d %d H%d C%d %d %d %d %d %d", x1, y1, tx-columnGap, tx-bend, y1, tx-bend, y2, tx, y2)
	default: // back to a stage that has begun before
		x1, y1, y2 := fx+boxW/2, fy+boxH, ty+boxH
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1, y1+boxGap*2, tx+boxW/2, y2+boxGap*2, tx+boxW/2, y2)
	}
}

// wrap breaks a summary into at most two lines of about a box's width. SVG text
// doesn't wrap, so letters are counted.
func wrap(text string) []string {
	var lines []string
	line, width := "", 0
	flush := func() { lines, line, width = append(lines, strings.TrimSpace(line)), "", 0 }
	for _, word := range strings.Fields(text) {
		w := textPixels(word)
		if line != "" && width+letterWidth+w > textWidth {
			flush()
		}
		for w > textWidth && len(lines) < linesInABox { // one word longer than a line
			head := cut(word, textWidth)
			line, word = head, word[len(head):]
			w = textPixels(word)
			flush()
		}
		line += " " + word
		width += letterWidth + w
	}
	if strings.TrimSpace(line) != "" {
		flush()
	}
	if len(lines) > linesInABox {
		lines = lines[:linesInABox]
		last := lines[linesInABox-1]
		lines[linesInABox-1] = strings.TrimRight(cut(last, textWidth-2*letterWidth), " ") + "…"
	}
	return lines
}

func textPixels(s string) int {
	n := 0
	for _, r := range s {
		n += letterPixels(r)
	}
	return n
}

func letterPixels(r rune) int {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
		return wideLetterPx
	}
	return letterWidth
}

// cut is the head of s that fits, one letter at least.
func cut(s string, width int) string {
	n := 0
	for i, r := range s {
		n += letterPixels(r)
		if n > width && i > 0 {
			return s[:i]
		}
	}
	return s
}
