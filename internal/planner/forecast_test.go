package planner_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/planner"
)

// walk takes a plan on, in an ideal world, from how far it is: each step ends as soon as all that it
// needs has, and each date as soon as it has come. Cut is when access went, zero if it hasn't. It gives when
// each step's turn came and when it ended.
func walk(p *tenure.Plan, ended map[string]time.Time, now, cut time.Time) (began, done map[string]time.Time) {
	began, done = map[string]time.Time{}, map[string]time.Time{}
	for k, at := range ended {
		done[k] = at
	}
	for moved := true; moved; {
		moved = false
		for i := range p.Steps {
			s := &p.Steps[i]
			if _, is := done[s.Key]; is || slices.ContainsFunc(s.Needs, func(n string) bool { _, is := done[n]; return !is }) {
				continue
			}
			at := now
			for _, n := range s.Needs {
				if done[n].After(at) {
					at = done[n]
				}
			}
			began[s.Key] = at
			if s.Key == "terminating" {
				cut = at
			}
			switch s.Action {
			case tenure.ActDate:
				if opens := s.Gate.Period.After(done[s.Gate.After]); opens.After(at) {
					at = opens
				}
			case tenure.ActRetention:
				if class, is := p.Retention(s); is {
					for _, r := range class.Retention {
						if opens := r.Period.After(cut); opens.After(at) {
							at = opens
						}
					}
				}
			}
			done[s.Key], moved = at, true
		}
	}
	return began, done
}

// The dates of a departure's plan, and those that are told while it goes on, however late, are when an
// ideal world would come to them.
func TestDatesAreThoseOfAnIdealWorld(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	late := 0
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		if in.Kind != tenure.Offboard {
			return
		}
		p, err := planner.Make(in)
		if err != nil {
			t.Fatal(err)
		}
		began, done := walk(p, nil, p.At, time.Time{})
		check := func(dates []tenure.Projection, began, ended map[string]time.Time, when string) {
			for _, d := range dates {
				if d.Step == "" || d.At.IsZero() {
					continue
				}
				want, has := began[d.Step]
				if at, did := ended[d.Step]; did {
					want, has = at, true
				}
				if !has || !d.At.Equal(want) || !d.Undo.IsZero() && !d.Undo.Equal(d.At) {
					t.Fatalf("%s: %s at %s (undone until %s), an ideal world comes to it at %s", when, d.What, d.At, d.Undo, want)
				}
			}
		}
		check(p.Dates, began, nil, "as planned")
		// What has ended until a moment did so up to 40 days late.
		now := p.At.AddDate(0, 0, rapid.IntRange(0, 200).Draw(t, "day"))
		ended := map[string]time.Time{}
		for k, at := range done {
			if !at.After(now) {
				ended[k] = at
			}
		}
		now = now.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "late"))
		anchors := map[tenure.Anchor]time.Time{}
		if _, left := ended["terminating"]; left {
			anchors[tenure.FromTermination] = began["terminating"]
		}
		again, _ := walk(p, ended, now, anchors[tenure.FromTermination])
		check(p.Forecast(now, ended, anchors, nil), again, ended, "on the way")
		late++
	})
	if late == 0 {
		t.Error("no departure was tried")
	}
}
