package tenure_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	at, err := tenure.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Somebody who is to sleep from 22 to 7 isn't woken an hour early in spring, nor an hour late in autumn.
func TestQuietHoursInNightsOfOtherLengths(t *testing.T) {
	t.Parallel()
	night := tenure.QuietHours{From: "22:00", To: "07:00"}
	free := tenure.QuietHours{From: "22:00", To: "07:00", Weekends: true}
	late := tenure.QuietHours{From: "02:15", To: "02:45"}
	for _, c := range []struct {
		hours          tenure.QuietHours
		zone, at, want string
	}{
		{night, "Europe/Berlin", "2026-03-28T20:59:00Z", "2026-03-28T20:59:00Z"}, // 21:59, not yet
		{night, "Europe/Berlin", "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z"}, // eight hours
		{night, "Europe/Berlin", "2026-10-24T20:00:00Z", "2026-10-25T06:00:00Z"}, // ten
		{night, "Europe/Berlin", "2026-10-25T06:00:00Z", "2026-10-25T06:00:00Z"},
		{night, "", "2026-03-28T23:00:00Z", "2026-03-29T07:00:00Z"},
		{free, "Europe/Berlin", "2026-03-27T21:30:00Z", "2026-03-30T05:00:00Z"}, // from Friday's evening to Monday
		{free, "Europe/Berlin", "2026-03-27T20:30:00Z", "2026-03-27T20:30:00Z"},
		{tenure.QuietHours{Weekends: true}, "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T05:00:00Z"},
		{late, "Europe/Berlin", "2026-03-29T01:10:00Z", "2026-03-29T01:10:00Z"},                                         // the clock shows none of it
		{late, "Europe/Berlin", "2026-10-25T00:20:00Z", "2026-10-25T01:45:00Z"},                                         // twice, and what is between
		{tenure.QuietHours{From: "20:00", To: "06:00"}, "Pacific/Apia", "2011-12-30T07:00:00Z", "2011-12-30T16:00:00Z"}, // a Friday that wasn't
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		if got := c.hours.Until(at, zone(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%+v in %s at %s: %s, want %s", c.hours, c.zone, c.at, got, c.want)
		}
	}
	for _, q := range []tenure.QuietHours{{From: "22:00"}, {To: "07:00"}, {From: "7:00", To: "22:00"}, {From: "24:00", To: "07:00"}, {From: "07:00", To: "07:00"}, {From: "07:00", To: "06:30"}} {
		if tenure.CodeOf(q.Check()) != tenure.Invalid {
			t.Errorf("%+v is taken for quiet hours", q)
		}
	}
	for _, name := range []string{"Local", "Europe/Nowhere", "../etc/passwd", "CEST?"} {
		if _, err := tenure.Zone(name); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q is taken for a time zone: %v", name, err)
		}
	}
}

// zones have daylight saving of many kinds: none, of half an hour, at midnight, over midnight, against the sun,
// and days that there weren't.
var zones = []string{
	"UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Havana", "America/Sao_Paulo", "America/Asuncion",
	"Australia/Lord_Howe", "Asia/Beirut", "Asia/Kathmandu", "Asia/Gaza", "Africa/Cairo", "Africa/Casablanca", "Antarctica/Troll", "Pacific/Apia", "Pacific/Chatham",
}

// quietMinutes is the model: it looks at the clock in each minute of some days, and marks those that are quiet.
func quietMinutes(q tenure.QuietHours, in *time.Location, from time.Time, minutes int) []bool {
	out := make([]bool, minutes)
	type day struct{ first, last, begins, ends int } // minutes of it: the first with From or later, the one behind the last before To
	days := make(map[string]*day)
	for i := range minutes {
		clock := from.Add(time.Duration(i) * time.Minute).In(in)
		date, shows := clock.Format(time.DateOnly), clock.Format("15:04")
		d := days[date]
		if d == nil {
			d = &day{first: i, begins: -1, ends: -1}
			days[date] = d
		}
		if d.last = i; q.From != "" && shows >= q.From && d.begins < 0 {
			d.begins = i
		}
		if q.To != "" && shows < q.To {
			d.ends = i + 1
		}
	}
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = true
		}
	}
	for date, d := range days {
		of, _ := time.Parse(time.DateOnly, date)
		weekend := of.Weekday() == time.Saturday || of.Weekday() == time.Sunday
		switch {
		case q.Weekends && weekend:
			mark(d.first, d.last+1)
		case q.From == "":
		case q.From < q.To:
			if d.begins >= 0 && d.ends >= 0 {
				mark(d.begins, d.ends)
			}
		default:
			if d.ends >= 0 {
				mark(d.first, d.ends)
			}
			if d.begins >= 0 {
				mark(d.begins, d.last+1)
			}
		}
	}
	return out
}

// Quiet hours are those that somebody would say who watches the clock on the wall, minute by minute, through any
// change of it.
func TestQuietHoursAreTheClocks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		hour := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.SampledFrom([]int{0, 0, 0, 1, 15, 30, 59}).Draw(t, "minute"))
		})
		q := rapid.Custom(func(t *rapid.T) tenure.QuietHours {
			q := tenure.QuietHours{Weekends: rapid.Bool().Draw(t, "weekends")}
			if !q.Weekends || rapid.Bool().Draw(t, "hours") {
				q.From, q.To = hour.Draw(t, "from"), hour.Draw(t, "to")
			}
			return q
		}).Filter(func(q tenure.QuietHours) bool { return q.Check() == nil }).Draw(t, "quiet")
		at := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 9000).Draw(t, "day"))
		if _, until := at.In(in).ZoneBounds(); !until.IsZero() && rapid.IntRange(0, 3).Draw(t, "change") > 0 { // most often near a change
			at = until.UTC().Truncate(time.Hour)
		}
		const days, asked = 9, 2 // what is asked about has the days around it in the model
		from := at.AddDate(0, 0, -3)
		quiet := quietMinutes(q, in, from, days*24*60)
		for range 20 {
			i := rapid.IntRange(asked*24*60, (asked+3)*24*60).Draw(t, "minute")
			end := i
			for quiet[end] {
				if end++; end == len(quiet) {
					t.Fatalf("it is quiet for days on end")
				}
			}
			asked := from.Add(time.Duration(i) * time.Minute)
			if got, want := q.Until(asked, in), from.Add(time.Duration(end)*time.Minute); !got.Equal(want) {
				t.Fatalf("%+v in %s, asked at %s: until %s, and by the clock until %s", q, in, asked.In(in), got.In(in), want.In(in))
			}
		}
	})
}
