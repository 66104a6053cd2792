package dashboard

import (
	"strings"
	"testing"
	"time"
)

// TestLineChartOfWeeksWithoutData: a week in which nothing ended is no point at zero, but
// a gap.
func TestLineChartOfWeeksWithoutData(t *testing.T) {
	t.Parallel()
	var weeks []OnboardingWeek
	for i, runs := range []int{0, 3, 2, 0, 1, 0} {
		w := OnboardingWeek{Start: time.Date(2027, 3, 1+7*i, 0, 0, 0, 0, time.UTC), Runs: runs}
		if runs > 0 {
			w.P50, w.P95 = time.Minute, 2*time.Minute
		}
		weeks = append(weeks, w)
	}
	c := newLineChart(weeks)
	if c == nil {
		t.Fatal("there is no chart")
	}
	if len(c.Dots) != 3 || !c.Gaps {
		t.Errorf("there are %d points, want one for each of the 3 weeks with data (gaps: %v)", len(c.Dots), c.Gaps)
	}
	for _, d := range c.Dots {
		if d.Y50 >= c.Baseline || d.Y95 >= c.Baseline {
			t.Errorf("the week of %s is drawn at zero", d.Week.Start.Format(time.DateOnly))
		}
	}
	if c.Dots[0].X == c.Left || c.Dots[2].X == c.Right {
		t.Error("the points aren't at their weeks")
	}
	for name, path := range map[string]string{"p50": c.P50, "p95": c.P95, "band": c.Band} {
		if strings.Count(path, "M") != 2 {
			t.Errorf("%s isn't interrupted: %s", name, path)
		}
	}
	if newLineChart(weeks[:2]) != nil {
		t.Error("one week with data is drawn as a line")
	}
	if c := newLineChart(weeks[1:3]); c == nil || c.Gaps || strings.Count(c.Band, "M") != 1 {
		t.Errorf("two weeks with data: %+v", c)
	}
}
