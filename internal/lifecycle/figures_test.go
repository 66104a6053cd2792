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
	look(store.All, figuresFor-1, 1)
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
