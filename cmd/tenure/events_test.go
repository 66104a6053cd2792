package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// Somebody who stops following has lost nothing and done nothing wrong; somebody
// whose stream broke must hear of it. Either way the array is whole.
func TestFollowingEnds(t *testing.T) {
	t.Parallel()
	gone := tenure.Errorf(tenure.Unavailable, "gone")
	for name, c := range map[string]struct {
		count int
		over  bool
		want  tenure.Code
		n     int
	}{
		"interrupted":              {0, true, "", 2},
		"broken":                   {0, false, tenure.Unavailable, 2},
		"enough":                   {1, false, "", 1},
		"all that were asked for":  {2, false, "", 2},
		"fewer than were asked":    {3, true, tenure.Unavailable, 2},
		"broken before there were": {3, false, tenure.Unavailable, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			a := &app{out: &out, err: io.Discard, output: "json"}
			heard := 0
			err := a.tell(func(yield func(client.Event, error) bool) {
				if yield(client.Event{ID: 7, Entry: "tenant.labels"}, nil) && yield(client.Event{ID: 9}, nil) {
					yield(client.Event{}, gone)
				}
			}, c.count, func() { heard++ }, func() bool { return c.over })
			if got := tenure.CodeOf(err); got != c.want {
				t.Errorf("ended with %q (%v), want %q", got, err, c.want)
			}
			var list []client.Event
			if err := json.Unmarshal(out.Bytes(), &list); err != nil {
				t.Fatalf("%v in %s", err, out.String())
			}
			if len(list) != c.n || heard != c.n || strings.Count(out.String(), "\n") != c.n {
				t.Errorf("printed %d events and heard of %d, want %d, one a line:\n%s", len(list), heard, c.n, out.String())
			}
		})
	}
}

// A label that isn't named must stay: SetLabels replaces them all.
func TestRelabelled(t *testing.T) {
	t.Parallel()
	have := map[string]string{"region": "eu", "team": "red"}
	for _, c := range []struct {
		changes string
		want    map[string]string
		code    tenure.Code
	}{
		{"team=blue", map[string]string{"region": "eu", "team": "blue"}, ""},
		{"team- cost-centre=7", map[string]string{"region": "eu", "cost-centre": "7"}, ""},
		{"note=", map[string]string{"region": "eu", "team": "red", "note": ""}, ""},
		{"ends=with-", map[string]string{"region": "eu", "team": "red", "ends": "with-"}, ""},
		{"region", nil, tenure.Invalid},
		{"region- region=us", nil, tenure.Invalid},
		{"moon-", nil, tenure.NotFound},
	} {
		got, err := relabelled(have, strings.Fields(c.changes))
		if d := cmp.Diff(c.want, got); d != "" || tenure.CodeOf(err) != c.code {
			t.Errorf("%q: %v\n%s", c.changes, err, d)
		}
	}
	if d := cmp.Diff(map[string]string{"region": "eu", "team": "red"}, have); d != "" {
		t.Errorf("the labels that were read have changed:\n%s", d)
	}
}

// An end that is misread gives somebody a role for longer than was meant.
func TestParseEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for given, want := range map[string]string{
		"30d": "2026-04-01T09:00:00Z", "2h": "2026-03-02T11:00:00Z", "90m": "2026-03-02T10:30:00Z", "P1M": "2026-04-02T09:00:00Z",
		"PT72H": "2026-03-05T09:00:00Z", "2027-01-31": "2027-01-31T00:00:00Z", "2027-01-31T12:00:00+02:00": "2027-01-31T10:00:00Z",
	} {
		if got, err := parseEnd(given, now); err != nil || got.Format(time.RFC3339) != want || got.Location() != time.UTC {
			t.Errorf("%q is %v (%v), want %s", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "soon", "d", "-3d", "3x", "1.5d", "99999999d", "2027-02-31"} {
		if got, err := parseEnd(bad, now); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q is %v, %v", bad, got, err)
		}
	}
}
