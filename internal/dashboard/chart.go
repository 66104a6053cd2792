package dashboard

import (
	"strconv"
	"time"
)

// bars is a chart of counts, drawn as parts of one bar or as one bar each.
// Lengths are in percent, so that a chart fits where it stands.
type bars struct {
	Total int
	Bars  []bar
}

type bar struct {
	Count
	X, W string // percent of the whole, for the stacked bar
	Rel  string // percent of the largest, for single bars
	Fill string // class of the colour in the stacked bar, where neighbours differ
	Solo string // and alone
}

// newBars keeps the order that it is given.
func newBars(counts []Count) bars {
	var b bars
	largest := 0
	for _, c := range counts {
		b.Total += max(0, c.N)
		largest = max(largest, c.N)
	}
	at := 0
	for i, c := range counts {
		n := max(0, c.N)
		fill, solo := "s"+strconv.Itoa(i%8), "t-accent"
		if c.Tone != "" {
			fill = "t-" + string(c.Tone)
			solo = fill
		}
		b.Bars = append(b.Bars, bar{Count: c, X: share(at, b.Total), W: share(n, b.Total), Rel: share(n, largest), Fill: fill, Solo: solo})
		at += n
	}
	return b
}

func share(n, of int) string {
	if of <= 0 {
		return "0%"
	}
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 3, 64) + "%"
}

// lineChart is onboarding time by week: a band from p50 to p95 with both lines.
type lineChart struct {
	W, H          int
	P50, P95      string // SVG path data
	Band          string
	Ticks         []tick
	Dots          []dot
	Gaps          bool // some weeks have no point
	First, Last   time.Time
	Left, Right   int
	Baseline, Top int
}

type tick struct {
	Y     int
	Label string
}

type dot struct {
	X, Y50, Y95 int
	Week        OnboardingWeek
}

// newLineChart has nothing to draw for less than two weeks in which something ended.
// Where nothing did there is no point, and the lines have a gap.
func newLineChart(weeks []OnboardingWeek) *lineChart {
	some := 0
	for _, w := range weeks {
		some += min(w.Runs, 1)
	}
	if some < 2 {
		return nil
	}
	c := &lineChart{W: 560, H: 160, Left: 72, Right: 552, Top: 12, Baseline: 132, First: weeks[0].Start, Last: weeks[len(weeks)-1].Start}
	var top time.Duration
	for _, w := range weeks {
		top = max(top, w.P95, w.P50)
	}
	top = niceTop(top)
	y := func(d time.Duration) int {
		return c.Baseline - int(float64(c.Baseline-c.Top)*float64(d)/float64(top))
	}
	for _, part := range []time.Duration{0, top / 2, top} {
		label := duration(part)
		if part == 0 {
			label = "0"
		}
		c.Ticks = append(c.Ticks, tick{y(part), label})
	}
	top95, back := "", "" // of the band's part in the making
	flush := func() {
		if top95 != "" {
			c.Band += top95 + back + " Z"
		}
		top95, back = "", ""
	}
	for i, w := range weeks {
		if w.Runs == 0 {
			flush()
			c.Gaps = true
			continue
		}
		d := dot{X: c.Left + (c.Right-c.Left)*i/(len(weeks)-1), Y50: y(w.P50), Y95: y(w.P95), Week: w}
		c.Dots = append(c.Dots, d)
		move := " L"
		if top95 == "" {
			move = "M"
		}
		c.P50 += move + point(d.X, d.Y50)
		c.P95 += move + point(d.X, d.Y95)
		top95 += move + point(d.X, d.Y95)
		back = " L" + point(d.X, d.Y50) + back
	}
	flush()
	return c
}

// niceTop rounds the top of an axis up to a span that people name.
func niceTop(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		for _, n := range []time.Duration{1, 2, 4, 10, 20, 40} {
			if d <= n*unit {
				return n * unit
			}
		}
	}
	return d
}

func point(x, y int) string { return strconv.Itoa(x) + " " + strconv.Itoa(y) }
