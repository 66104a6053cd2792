package tenure

import (
	"strconv"
	"strings"
	"time"
)

// Period is a length of calendar time in ISO 8601 §5.5.2.4 form, such as
// P30D, P7Y, P1M, P2W or PT72H. The zero Period is unset: nothing takes it for
// "at once", which is written PT0S.
type Period struct {
	years, months, days int
	clock               time.Duration
	set                 bool
}

// ParsePeriod reads a period. Blank, negative, fractional and out-of-range
// (over 200 years) periods are Invalid.
func ParsePeriod(s string) (Period, error) {
	bad := func(why string) (Period, error) {
		return Period{}, Errorf(Invalid, "period %q %s", clip(s), why).WithHint("write it like P30D, P7Y, P2W or PT72H; at once is PT0S")
	}
	if strings.TrimSpace(s) == "" {
		return bad("is blank")
	}
	if strings.ContainsRune(s, '-') {
		return bad("is negative")
	}
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return bad("doesn't begin with P and a number")
	}
	date, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return bad("has nothing after T")
	}
	p := Period{set: true}
	var total float64
	read := func(part, units string, days []float64, add func(unit byte, n int)) bool {
		last := -1
		for part != "" {
			i := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
			if i <= 0 || i > 9 {
				return false
			}
			u := strings.IndexByte(units, part[i])
			if u <= last {
				return false
			}
			n, _ := strconv.Atoi(part[:i])
			last = u
			total += float64(n) * days[u]
			add(part[i], n)
			part = part[i+1:]
		}
		return true
	}
	if !read(date, "YMWD", []float64{365, 30, 7, 1}, func(u byte, n int) {
		switch u {
		case 'Y':
			p.years += n
		case 'M':
			p.months += n
		case 'W':
			p.days += 7 * n
		case 'D':
			p.days += n
		}
	}) {
		return bad("is not a period of years, months, weeks and days")
	}
	const hour = 1.0 / 24
	if hasClock && !read(clock, "HMS", []float64{hour, hour / 60, hour / 3600}, func(u byte, n int) {
		switch u {
		case 'H':
			p.clock += time.Duration(min(n, 2_000_000)) * time.Hour
		case 'M':
			p.clock += time.Duration(n) * time.Minute
		case 'S':
			p.clock += time.Duration(n) * time.Second
		}
	}) {
		return bad("is not a period of hours, minutes and seconds after T")
	}
	if total > 200*365 {
		return bad("is longer than 200 years")
	}
	return p, nil
}

// IsZero says whether the period is unset.
func (p Period) IsZero() bool { return !p.set }

// After is the moment that lies the period after t, in UTC; a month's end stays
// within the month (31 January and one month is the last of February).
func (p Period) After(t time.Time) time.Time {
	t = t.UTC()
	y, m, d := t.Date()
	first := time.Date(y+p.years, m+time.Month(p.months), 1, 0, 0, 0, 0, time.UTC)
	if last := first.AddDate(0, 1, -1).Day(); d > last {
		d = last
	}
	day := time.Date(first.Year(), first.Month(), d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	return day.AddDate(0, 0, p.days).Add(p.clock)
}

// String is the period in ISO 8601 form, "" if it is unset.
func (p Period) String() string {
	if !p.set {
		return ""
	}
	var b strings.Builder
	b.WriteByte('P')
	put := func(n int, unit byte) {
		if n != 0 {
			b.WriteString(strconv.Itoa(n))
			b.WriteByte(unit)
		}
	}
	put(p.years, 'Y')
	put(p.months, 'M')
	put(p.days, 'D')
	if p.clock != 0 || b.Len() == 1 {
		b.WriteByte('T')
		h, m, s := int(p.clock/time.Hour), int(p.clock/time.Minute)%60, int(p.clock/time.Second)%60
		put(h, 'H')
		put(m, 'M')
		if s != 0 || p.clock == 0 {
			b.WriteString(strconv.Itoa(s))
			b.WriteByte('S')
		}
	}
	return b.String()
}

// MarshalText writes the ISO 8601 form.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the ISO 8601 form; an empty text is an unset period.
func (p *Period) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = Period{}
		return nil
	}
	v, err := ParsePeriod(string(b))
	*p = v
	return err
}
