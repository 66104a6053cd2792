package clock_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/clock"
)

// hands are the two clocks of a machine whose wall clock somebody sets.
type hands struct{ clock.Reading }

func (h *hands) read() clock.Reading    { return h.Reading }
func (h *hands) pass(d time.Duration)   { h.Wall, h.Running = h.Wall.Add(d), h.Running+d }
func (h *hands) set(d time.Duration)    { h.Wall = h.Wall.Add(d) } // or the machine slept
func (h *hands) reboot(d time.Duration) { h.Wall, h.Running = h.Wall.Add(d), 0 }

func (h *hands) open(file string, fresh bool) *clock.Machine {
	return clock.Open(clock.Options{File: file, New: fresh, Read: h.read})
}

func morning() *hands {
	return &hands{clock.Reading{Wall: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}}
}

func kind(m clock.Clock) clock.Kind {
	if d := m.Doubt(); d != nil {
		return d.Kind
	}
	return ""
}

func must(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// A clock whose jump goes unnoticed destroys what should have been kept for years.
func TestJumps(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name string
		do   func(h *hands, m *clock.Machine, file string) *clock.Machine
		want clock.Kind
	}{
		{"nothing", func(h *hands, m *clock.Machine, _ string) *clock.Machine { h.pass(5 * year); return m }, ""},
		{"ten years ahead", func(h *hands, m *clock.Machine, _ string) *clock.Machine { h.set(10 * year); return m }, clock.Jump},
		{"two hours asleep", func(h *hands, m *clock.Machine, _ string) *clock.Machine { h.set(2 * time.Hour); return m }, clock.Jump},
		{"half an hour ahead", func(h *hands, m *clock.Machine, _ string) *clock.Machine { h.set(30 * time.Minute); return m }, ""},
		{"half hours add up", func(h *hands, m *clock.Machine, _ string) *clock.Machine {
			for range 3 {
				h.set(30 * time.Minute)
				h.pass(time.Hour)
				_ = m.Now()
				_ = m.Beat()
			}
			return m
		}, clock.Jump},
		{"back by a day", func(h *hands, m *clock.Machine, _ string) *clock.Machine { h.set(-24 * time.Hour); return m }, clock.Back},
		{"there and back, seen", func(h *hands, m *clock.Machine, _ string) *clock.Machine {
			h.set(year)
			_ = m.Now()
			h.set(-year)
			return m
		}, clock.Jump},
		{"off for three days", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			h.reboot(72 * time.Hour)
			return h.open(file, false)
		}, ""},
		{"off for longer", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			h.reboot(72*time.Hour + time.Second)
			return h.open(file, false)
		}, clock.Gap},
		{"back while off", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			h.reboot(-2 * time.Hour)
			return h.open(file, false)
		}, clock.Back},
		{"no heartbeat", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			_ = os.Remove(file)
			return h.open(file, false)
		}, clock.Lost},
		{"cut heartbeat", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			_ = os.WriteFile(file, []byte(`{"format":1,"at":"2026-`), 0o600)
			return h.open(file, false)
		}, clock.Unusable},
		{"empty heartbeat", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			_ = os.WriteFile(file, nil, 0o600)
			return h.open(file, false)
		}, clock.Unusable},
		{"heartbeat without a time", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			_ = os.WriteFile(file, []byte(`{"format":1}`), 0o600)
			return h.open(file, false)
		}, clock.Unusable},
		{"a folder for a heartbeat", func(h *hands, _ *clock.Machine, file string) *clock.Machine {
			_ = os.Remove(file)
			_ = os.Mkdir(file, 0o700)
			return h.open(file, false)
		}, clock.Unusable},
		{"a doubt outlives the process", func(h *hands, m *clock.Machine, file string) *clock.Machine {
			h.set(10 * time.Hour)
			_ = m.Now()
			h.reboot(time.Minute)
			return h.open(file, false)
		}, clock.Jump},
		{"and whoever stops before it is confirmed", func(h *hands, m *clock.Machine, file string) *clock.Machine {
			h.set(10 * time.Hour)
			_ = m.Beat()
			_, _ = m.Confirm(h.Wall) // and then the process dies
			h.reboot(time.Minute)
			return h.open(file, false)
		}, clock.Jump},
		{"confirmed", func(h *hands, m *clock.Machine, file string) *clock.Machine {
			h.set(10 * time.Hour)
			_ = m.Now()
			_, _ = m.Confirm(h.Wall)
			_ = m.Beat()
			h.reboot(time.Minute)
			return h.open(file, false)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, file := morning(), filepath.Join(t.TempDir(), "heartbeat.json")
			m := h.open(file, true)
			if kind(m) != "" {
				t.Fatalf("a new installation is in doubt: %s", m.Doubt())
			}
			must(t, m.Beat())
			m = c.do(h, m, file)
			if got := kind(m); got != c.want {
				t.Errorf("the doubt is %q, want %q", got, c.want)
			}
		})
	}
}

// A word for one time mustn't be taken for another.
func TestConfirm(t *testing.T) {
	t.Parallel()
	h := morning()
	m := h.open(filepath.Join(t.TempDir(), "heartbeat.json"), true)
	_, err := m.Confirm(h.Wall)
	if tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a clock that isn't in doubt: %v", err)
	}
	was := h.Wall
	h.set(24 * time.Hour)
	for _, said := range []time.Time{was, h.Wall.Add(2 * time.Hour), {}} {
		if _, err := m.Confirm(said); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s is taken for %s: %v", said, h.Wall, err)
		}
	}
	d, err := m.Confirm(h.Wall.Add(-time.Minute))
	must(t, err)
	if !d.Was.Equal(was) || !d.Is.Equal(h.Wall) || !strings.Contains(d.String(), "jumped from 2026-03-02 09:00 UTC to 2026-03-03 09:00 UTC") {
		t.Errorf("the doubt was %+v: %s", d, d)
	}
	if kind(m) != "" {
		t.Error("it is still in doubt")
	}
}

// Heartbeats are rare, and none is written that isn't true.
func TestBeats(t *testing.T) {
	t.Parallel()
	h, file := morning(), filepath.Join(t.TempDir(), "heartbeat.json")
	m := h.open(file, true)
	text := func() string { b, _ := os.ReadFile(file); return string(b) }
	must(t, m.Beat())
	first := text()
	for range 11 {
		h.pass(5 * time.Second)
		must(t, m.Beat())
	}
	if text() != first {
		t.Error("it is written more often than once a minute")
	}
	h.pass(5 * time.Second)
	must(t, m.Beat())
	if text() == first {
		t.Error("it isn't written once a minute")
	}
	h.set(48 * time.Hour)
	must(t, m.Beat())
	h.pass(24 * time.Hour)
	must(t, m.Beat())
	if got := text(); !strings.Contains(got, `"at":"2026-03-02T09:01:00Z"`) || !strings.Contains(got, `"kind":"jump"`) {
		t.Errorf("in doubt the file says %s", got)
	}
}

// Whatever a machine's clock does, between an unexplained jump and its confirmation
// it is in doubt, also across restarts.
func TestDoubtLasts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		h, file := morning(), filepath.Join(dir, "heartbeat", string(rune('a'+n%26)))
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		_ = os.Remove(file)
		m := h.open(file, true)
		must(t, m.Beat())
		doubted, off := false, time.Duration(0) // off: what the clock was set by since it was known to be right
		step := rapid.SampledFrom([]time.Duration{-20 * 24 * time.Hour, -90 * time.Minute, -20 * time.Minute, 20 * time.Minute, 90 * time.Minute, 60 * 24 * time.Hour})
		t.Repeat(map[string]func(*rapid.T){
			"pass": func(t *rapid.T) { h.pass(time.Duration(rapid.IntRange(1, 3000).Draw(t, "minutes")) * time.Minute) },
			"set": func(t *rapid.T) {
				by := step.Draw(t, "by")
				h.set(by)
				_ = m.Now()
				off += by
				doubted = doubted || off > clock.Tolerance || off < -clock.Tolerance
			},
			"restart": func(t *rapid.T) {
				must(t, m.Beat())
				h.reboot(time.Duration(rapid.IntRange(0, 600).Draw(t, "minutes")) * time.Minute)
				m = h.open(file, false)
				off = 0
			},
			"confirm": func(t *rapid.T) {
				if _, err := m.Confirm(h.Wall); err == nil {
					must(t, m.Beat())
					doubted, off = false, 0
				} else if doubted {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if doubted && m.Doubt() == nil {
					t.Fatal("an unexplained jump that nobody confirmed isn't in doubt")
				}
			},
		})
	})
}

// A virtual clock goes where it is told to.
func TestVirtual(t *testing.T) {
	t.Parallel()
	at := morning().Wall
	c := clock.Virtual(func() time.Time { return at })
	at = at.Add(10 * 365 * 24 * time.Hour)
	if c.Doubt() != nil || !c.Now().Equal(at) || c.Beat() != nil {
		t.Error("a virtual clock is in doubt")
	}
}
