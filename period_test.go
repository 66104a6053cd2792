package tenure_test

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

func TestPeriodAfter(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time {
		at, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct{ period, from, want string }{
		{"PT0S", "2026-03-02 09:00:00", "2026-03-02 09:00:00"},
		{"P0D", "2026-03-02 09:00:00", "2026-03-02 09:00:00"},
		{"P30D", "2026-03-02 09:00:00", "2026-04-01 09:00:00"},
		{"P2W", "2026-03-02 09:00:00", "2026-03-16 09:00:00"},
		{"PT72H", "2026-03-02 09:00:00", "2026-03-05 09:00:00"},
		{"P1M", "2026-01-31 23:59:59", "2026-02-28 23:59:59"},
		{"P1M", "2028-01-31 00:00:00", "2028-02-29 00:00:00"},
		{"P1Y", "2028-02-29 00:00:00", "2029-02-28 00:00:00"},
		{"P1Y1M1DT1H1M1S", "2026-12-31 23:00:00", "2028-02-02 00:01:01"},
		{"P7Y", "2026-03-02 09:00:00", "2033-03-02 09:00:00"},
	} {
		p := period(t, c.period)
		if got := p.After(day(c.from)); !got.Equal(day(c.want)) {
			t.Errorf("%s after %s is %s, want %s", c.period, c.from, got.Format(time.DateTime), c.want)
		}
		zone := time.FixedZone("west", -8*3600)
		if got := p.After(day(c.from).In(zone)); !got.Equal(day(c.want)) {
			t.Errorf("%s after %s told in another zone is %s, want %s", c.period, c.from, got.Format(time.DateTime), c.want)
		}
	}
}

// A blank, negative or unreadable retention never counts as "at once".
func TestPeriodRefusals(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", " ", "P", "PT", "P1", "1D", "-P1D", "P-1D", "P1.5D", "P1DT", "P1H", "PT1D", "P1D1Y", "P1D1D", "P1W1Y", "p1d", "P1D ", "P1000Y", "PT99999999999S",
		"P999999999D", "P200Y200Y", "P１D", "PT1M1H", "\x00", "P1D\n",
	} {
		p, err := tenure.ParsePeriod(s)
		if tenure.CodeOf(err) != tenure.Invalid || !p.IsZero() {
			t.Errorf("%q was read as %q (%v)", s, p, err)
		}
	}
}

func FuzzPeriod(f *testing.F) {
	for _, s := range []string{"P30D", "P7Y", "PT72H", "P1Y2M3W4DT5H6M7S", "P0D", "PT0S", "PT90M", "P200Y", "PT1752000H", "-P1D", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := tenure.ParsePeriod(s)
		if err != nil {
			if tenure.CodeOf(err) != tenure.Invalid || !p.IsZero() {
				t.Fatalf("%q: %v, period %q", s, err, p)
			}
			return
		}
		if p.IsZero() {
			t.Fatalf("%q is read as unset", s)
		}
		if at := p.After(start); at.Before(start) || at.After(start.AddDate(202, 0, 0)) {
			t.Fatalf("%q after %v is %v", s, start, at)
		}
		again, err := tenure.ParsePeriod(p.String())
		if err != nil || again != p {
			t.Fatalf("%q is written %q, which reads %q (%v)", s, p, again, err)
		}
	})
}
