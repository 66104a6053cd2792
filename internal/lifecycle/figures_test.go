package lifecycle

import (
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Over a large fleet a look costs a count only when the last one is old, each
// scope has figures of its own, and who looks while others count waits for nobody.
func TestFiguresAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	var k figureKeeper
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	n := 0
	count := func(*keptFigures) (figures, error) {
		n++
		return figures{held: n, findings: map[tenure.Severity]int{tenure.High: n}}, nil
	}
	look := func(v store.Visible, after time.Duration, want int) {
		t.Helper()
		got, err := k.of(v, start.Add(after), count)
		if err != nil || got.held != want || got.findings[tenure.High] != want {
			t.Errorf("after %s: %+v, %v, want count %d", after, got, err, want)
		}
		got.findings[tenure.High] = 99 // a caller's own copy
	}
	one := store.Visible{Reach: tenure.Scope{Tiers: []string{"pro"}}, Limit: store.All.Limit}
	look(store.All, 0, 1)
	look(store.All, figuresFor-figuresAhead-1, 1)
	look(one, 0, 2)
	look(store.All, figuresFor, 3)
	look(store.All, -time.Hour, 4) // a clock that was set back
	look(one, time.Second, 2)

	counting, done := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = k.of(one, start.Add(time.Minute), func(*keptFigures) (figures, error) {
			close(counting)
			<-done
			return figures{held: 7}, nil
		})
	})
	<-counting
	look(one, time.Minute, 2)
	close(done)
	wg.Wait()
	if f, err := k.of(one, start.Add(time.Minute), count); err != nil || f.held != 7 {
		t.Errorf("after it was counted: %+v, %v", f, err)
	}
	if _, err := k.of(one, start.Add(time.Hour), func(*keptFigures) (figures, error) {
		return figures{}, tenure.Errorf(tenure.Unavailable, "gone")
	}); tenure.CodeOf(err) != tenure.Unavailable {
		t.Errorf("a count that failed: %v", err)
	}
}

// TestNobodyWaitsForFigures: those of a scope that somebody looks at all the time are
// counted beside the looks, each of which would otherwise be held up every few seconds.
func TestNobodyWaitsForFigures(t *testing.T) {
	t.Parallel()
	var k figureKeeper
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	begun, goOn := make(chan bool, 1), make(chan bool)
	look := func(after time.Duration, stuck int, waits bool) int {
		t.Helper()
		f, err := k.of(store.All, start.Add(after), func(*keptFigures) (figures, error) {
			if waits {
				begun <- true
				<-goOn
			}
			return figures{stuck: stuck}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return f.stuck
	}
	for _, c := range []struct {
		after time.Duration
		stuck int
		want  int
	}{
		{0, 1, 1},
		{3 * time.Second, 2, 1}, // young
	} {
		if got := look(c.after, c.stuck, false); got != c.want {
			t.Errorf("after %s: %d, want %d", c.after, got, c.want)
		}
	}
	if got := look(4500*time.Millisecond, 3, true); got != 1 { // it would hang here if it waited
		t.Errorf("soon too old: %d, want 1", got)
	}
	<-begun
	if got := look(5500*time.Millisecond, 4, false); got != 1 {
		t.Errorf("too old, while they are counted: %d, want 1", got)
	}
	close(goOn)
	ended := func() { k.entry(store.All).busy.Lock(); defer k.entry(store.All).busy.Unlock() }
	ended()
	if got := look(6*time.Second, 5, false); got != 3 {
		t.Errorf("after the count: %d, want 3", got)
	}
	if got := look(20*time.Second, 6, false); got != 6 {
		t.Errorf("too old, and nobody counts: %d, want 6", got)
	}
}
