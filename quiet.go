package tenure

import (
	"slices"
	"strings"
	"time"
)

// QuietHours are the hours in which somebody isn't to be disturbed, by the clock of a time zone:
// from From until To, over midnight where To is earlier, and with Weekends all of Saturday and
// Sunday. A clock that is put back within them lengthens them, and one that is put forward
// shortens them: they begin when the clock first shows From on a day, and end when it shows
// nothing before To on that day any more. The zero value has none.
type QuietHours struct {
	From     string `json:"from,omitempty" yaml:"from" doc:"when they begin, such as 22:00"`
	To       string `json:"to,omitempty" yaml:"to" doc:"when they end, such as 07:00"`
	Weekends bool   `json:"weekends,omitempty" yaml:"weekends" doc:"all of Saturday and Sunday, too"`
}

// IsZero says that there are none.
func (q QuietHours) IsZero() bool { return q == QuietHours{} }

// quietAtMost is how long of a day they may be: something has to be sent.
const quietAtMost = 23 * time.Hour

// Check refuses hours that aren't hours, as Invalid.
func (q QuietHours) Check() error {
	if q.From == "" && q.To == "" {
		return nil
	}
	from, err := clockTime(q.From)
	if err != nil {
		return err
	}
	to, err := clockTime(q.To)
	if err != nil {
		return err
	}
	if long := (to - from + 24*time.Hour) % (24 * time.Hour); long == 0 || long > quietAtMost {
		return Errorf(Invalid, "quiet hours from %s to %s leave less than an hour of a day", q.From, q.To)
	}
	return nil
}

// Until is the end of the quiet hours that t is in, in UTC; t itself if it is in none. Hours that
// Check refuses are none.
func (q QuietHours) Until(t time.Time, in *time.Location) time.Time {
	if q.IsZero() || q.Check() != nil {
		return t.UTC()
	}
	t = t.UTC()
	for again := true; again; {
		again = false
		day := localDay(t, in)
		for _, d := range []time.Time{day.AddDate(0, 0, -1), day, day.AddDate(0, 0, 1)} {
			for _, s := range q.spans(d, in) {
				if !t.Before(s.from) && t.Before(s.to) {
					t, again = s.to, true
				}
			}
		}
	}
	return t
}

// spans are the quiet hours of one day.
func (q QuietHours) spans(day time.Time, in *time.Location) []span {
	parts := dayParts(day, in)
	if len(parts) == 0 { // a day that the zone left out
		return nil
	}
	whole := span{parts[0].from, parts[len(parts)-1].to}
	if q.Weekends && (day.Weekday() == time.Saturday || day.Weekday() == time.Sunday) {
		return []span{whole}
	}
	if q.From == "" {
		return nil
	}
	from, _ := clockTime(q.From)
	to, _ := clockTime(q.To)
	begins, ends := whole.to, whole.from // of a clock that shows nothing from From on, and nothing before To
	for _, p := range parts {
		if at := later(p.from, day.Add(from).Add(-p.offset)); at.Before(p.to) && at.Before(begins) {
			begins = at
		}
		if at := earlier(p.to, day.Add(to).Add(-p.offset)); at.After(p.from) && at.After(ends) {
			ends = at
		}
	}
	if from < to {
		return []span{{begins, ends}}
	}
	return []span{{whole.from, ends}, {begins, whole.to}}
}

// span is the time from one moment until before another.
type span struct{ from, to time.Time }

// dayPart is a part of a local day in which the zone is at one offset from UTC.
type dayPart struct {
	span
	offset time.Duration
}

// dayParts are those of a day, which is given by its midnight as UTC would have it. A day that
// the zone leaves out has none.
func dayParts(day time.Time, in *time.Location) (out []dayPart) {
	end := day.AddDate(0, 0, 3)
	for at := day.AddDate(0, 0, -2); at.Before(end); {
		here := at.In(in)
		_, seconds := here.Zone()
		offset := time.Duration(seconds) * time.Second
		since, until := here.ZoneBounds()
		p := dayPart{span{day.Add(-offset), day.AddDate(0, 0, 1).Add(-offset)}, offset}
		if !since.IsZero() {
			p.from = later(p.from, since.UTC())
		}
		if !until.IsZero() {
			p.to = earlier(p.to, until.UTC())
		}
		if p.from.Before(p.to) {
			out = append(out, p)
		}
		if until.IsZero() {
			break
		}
		at = until
	}
	return out
}

// localDay is the day that a zone's calendar shows, as UTC's midnight of that date.
func localDay(t time.Time, in *time.Location) time.Time {
	y, m, d := t.In(in).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// nextClock is the first moment after t at which the zone's clock comes to show a time of day; a
// time that it leaves out is when it goes past it.
func nextClock(t time.Time, of time.Duration, in *time.Location) time.Time {
	for day := localDay(t, in).AddDate(0, 0, -1); ; day = day.AddDate(0, 0, 1) {
		for _, p := range dayParts(day, in) {
			if at := later(p.from, day.Add(of).Add(-p.offset)); at.Before(p.to) {
				if at.After(t) {
					return at
				}
				break // it has been, today
			}
		}
	}
}

// clockTime reads a time of day.
func clockTime(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, Errorf(Invalid, "%q is no time of day", clip(s)).WithHint("write it like 22:00 or 07:30")
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Zone finds a time zone of the IANA's list; "" is UTC. An unknown one is Invalid.
func Zone(name string) (*time.Location, error) {
	// Files that machines keep among the zones and that are none of the list: the machine's own, which says nothing of
	// a person's, copies of the whole list, and placeholders.
	if area, _, _ := strings.Cut(name, "/"); slices.Contains([]string{"Local", "localtime", "posix", "posixrules", "right", "Factory", "SystemV"}, area) {
		return nil, Errorf(Invalid, "%q is no time zone", clip(name)).WithHint("write it like Europe/Berlin or America/New_York")
	}
	at, err := time.LoadLocation(name)
	if err != nil {
		return nil, Errorf(Invalid, "there is no time zone %q", clip(name)).WithHint("write it like Europe/Berlin or America/New_York")
	}
	return at, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
