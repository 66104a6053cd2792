package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
)

func driver(t testing.TB, info connector.Info, options map[string]string) connector.Driver {
	t.Helper()
	d, err := info.Open(context.Background(), connector.Config{
		System: "mem", Options: options, Now: time.Now,
		Marker: connector.Marker{Installation: "ins_1", System: "mem", Key: []byte("key")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Plant(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d
}

func setting(n int) connector.Desired {
	return connector.Desired{Ref: connector.Ref{
		Resource: tenure.ResourceID(fmt.Sprintf("res_%d", n)), Type: "setting", Name: fmt.Sprintf("s%d", n), Attributes: map[string]any{"value": true},
	}}
}

// A platform's inventory would drift for ever if what is written weren't what
// is read.
func TestNormaliseIsCanonical(t *testing.T) {
	t.Parallel()
	d := driver(t, memory.Info(), nil)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.StringMatching(`[ -~]{0,4}`).AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(), rapid.Int().AsAny(), rapid.Int64().AsAny(),
			rapid.Float64().Filter(func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }).AsAny(),
			rapid.Float64Range(-3, 3).AsAny(),
		).Draw(t, "value")
		attributes := map[string]any{"value": value, "feature": rapid.String().Draw(t, "feature")}
		want, err := tenure.Canonical(attributes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Normalise(connector.Desired{Ref: connector.Ref{Type: "setting", Name: "s", Attributes: attributes}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Error(diff)
		}
	})
}

// A revoked credential must never open the door again.
func TestRevokedIsNotRevived(t *testing.T) {
	t.Parallel()
	w := memory.NewWorld("")
	d := driver(t, memory.InfoOf(w), nil)
	key := connector.Desired{Ref: connector.Ref{Resource: "res_1", Type: "api_key", Name: "k"}, Credential: tenure.NewSecret("the-old-one")}
	mustEnsure(t, d, key)
	if _, err := d.(connector.Revoker).Revoke(t.Context(), key.Ref); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Ensure(t.Context(), key); tenure.CodeOf(err) != tenure.Conflict || strings.Contains(err.Error(), "the-old-one") {
		t.Errorf("ensure with the revoked credential: %v", err)
	}
	if w.Enter("the-old-one", "", "") == nil {
		t.Error("the revoked credential is let in")
	}
	key.Credential = tenure.NewSecret("new")
	mustEnsure(t, d, key)
	if w.Enter("new", "", "") != nil || w.Enter("the-old-one", "", "") == nil {
		t.Error("the new credential isn't let in, or the old one is")
	}
}

// A repair of drift must not end a suspension.
func TestEnsureKeepsSuspension(t *testing.T) {
	t.Parallel()
	d := driver(t, memory.Info(), nil)
	key := connector.Desired{Ref: connector.Ref{Resource: "res_1", Type: "api_key", Name: "k"}, Credential: tenure.NewSecret("c")}
	mustEnsure(t, d, key)
	if _, err := d.(connector.Suspender).Suspend(t.Context(), key.Ref); err != nil {
		t.Fatal(err)
	}
	key.Attributes = map[string]any{"scopes": []any{"orders:read"}}
	if o := mustEnsure(t, d, key); o.State != tenure.ResourceSuspended {
		t.Errorf("state %q after ensure, want suspended", o.State)
	}
}

func mustEnsure(t testing.TB, d connector.Driver, want connector.Desired) connector.Observed {
	t.Helper()
	o, _, err := d.Ensure(context.Background(), want)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFaults(t *testing.T) {
	t.Parallel()
	own := errors.New("its own")
	for _, test := range []struct {
		name  string
		fault memory.Fault
		made  bool // the thing is there after the failed call
		whole bool // with its attributes
	}{
		{"before", memory.Fault{Call: "ensure", Times: 1}, false, false},
		{"own error", memory.Fault{Type: "setting", Times: 1, Err: own}, false, false},
		{"answer lost", memory.Fault{Name: "s1", Times: 1, DropAnswer: true}, true, true},
		{"by half", memory.Fault{Call: "ensure", Times: 1, Partial: true}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := memory.NewWorld("")
			d := driver(t, memory.InfoOf(w), nil)
			w.Inject(test.fault)
			_, _, err := d.Ensure(t.Context(), setting(1))
			switch {
			case err == nil:
				t.Fatal("the fault didn't strike")
			case test.fault.Err != nil:
				if !errors.Is(err, own) {
					t.Errorf("error %v, want the fault's own", err)
				}
			case tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err):
				t.Errorf("error %v (%s), want unavailable with a retry", err, tenure.CodeOf(err))
			}
			got, made := w.Get("setting", "s1")
			if made != test.made || (string(got.Attributes) == `{"value":true}`) != test.whole {
				t.Errorf("after the fault: made=%t, attributes %s", made, got.Attributes)
			}
			if o := mustEnsure(t, d, setting(1)); string(o.Attributes) != `{"value":true}` {
				t.Errorf("the repetition gives %s", o.Attributes)
			}
			if n := w.Calls("ensure"); n != 2 {
				t.Errorf("%d calls are counted, want 2", n)
			}
		})
	}
}

func TestFaultsOfReading(t *testing.T) {
	t.Parallel()
	w := memory.NewWorld("")
	d := driver(t, memory.InfoOf(w), nil)
	refs := []connector.Ref{setting(1).Ref, setting(2).Ref}
	mustEnsure(t, d, setting(1))
	mustEnsure(t, d, setting(2))
	w.Inject(memory.Fault{Call: "observe", Name: "s2", After: 1, Times: 1, Partial: true})
	for i, want := range []struct {
		seen     int
		complete bool
	}{{2, true}, {1, false}, {2, true}} {
		seen := 0
		sight, err := d.Observe(t.Context(), refs, func(connector.Observed) error { seen++; return nil })
		if err != nil || seen != want.seen || sight.Complete != want.complete {
			t.Errorf("pass %d: %d seen, complete=%t, error %v", i, seen, sight.Complete, err)
		}
	}
	w.Inject(memory.Fault{Call: "discover", Stall: true})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := d.Discover(ctx, connector.Scope{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stalled call ends with %v", err)
	}
}

// A failing run must fail the same way when it is looked into.
func TestSeedIsDeterministic(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, order func(i int) int) map[string]bool {
		w := memory.NewWorld("")
		d := driver(t, memory.InfoOf(w), nil)
		w.InjectSeed(seed, 0.3)
		failed := map[string]bool{}
		for round := range 5 {
			for i := range 40 {
				n := order(i)
				_, _, err := d.Ensure(t.Context(), setting(n))
				failed[fmt.Sprint(round, "/", n)] = err != nil
			}
		}
		return failed
	}
	forward := run(7, func(i int) int { return i })
	if diff := cmp.Diff(forward, run(7, func(i int) int { return 39 - i })); diff != "" {
		t.Errorf("the same seed in another order fails elsewhere:\n%s", diff)
	}
	if cmp.Equal(forward, run(8, func(i int) int { return i })) {
		t.Error("another seed fails the same")
	}
	n := 0
	for _, f := range forward {
		if f {
			n++
		}
	}
	if n < 30 || n > 90 {
		t.Errorf("%d of 200 calls fail at a rate of 0.3", n)
	}
}

// A trial must find its world again after a restart.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "world.json")
	options := map[string]string{"file": path, "world": "kept"}
	d := driver(t, memory.Info(), options)
	odd := setting(1)
	odd.Attributes = map[string]any{"value": "a < b & \"c\" \u2028"}
	mustEnsure(t, d, odd)
	e := driver(t, memory.Info(), options)
	observe := func(d connector.Driver, r connector.Ref) (out connector.Observed, sight connector.Sighting) {
		t.Helper()
		sight, err := d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error { out = o; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out, sight
	}
	first, one := observe(d, setting(1).Ref)
	second, two := observe(e, setting(1).Ref)
	if diff := cmp.Diff(first, second); diff != "" || !second.Found || one != two || !two.Sentinel {
		t.Errorf("after a restart %+v, %+v (-before +after):\n%s", second, two, diff)
	}
	mustEnsure(t, e, setting(2))
	if o, _ := observe(d, setting(2).Ref); !o.Found {
		t.Error("the first opening doesn't see what the second wrote")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".world-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.Info().Open(t.Context(), connector.Config{Options: options}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a broken file opens with %v", err)
	}
}

func TestFreshWorldsDiffer(t *testing.T) {
	t.Parallel()
	options := map[string]string{"world": "same"}
	a, err := driver(t, memory.Info(), options).Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := driver(t, memory.Info(), options).Plant(t.Context())
	if err != nil || a == b {
		t.Errorf("two openings have fingerprints %q and %q, error %v", a, b, err)
	}
}

func TestReview(t *testing.T) {
	t.Parallel()
	review := memory.Info().Review
	for _, bad := range []struct {
		typ        string
		attributes map[string]any
	}{
		{"store", map[string]any{"public": true}},
		{"api_key", map[string]any{"scopes": []any{"orders:read", "*"}}},
		{"account", map[string]any{"roles": []any{"platform-admin"}}},
		{"integration", map[string]any{"url": "http://hooks.example.test"}},
	} {
		if len(review(bad.typ, bad.attributes)) != 1 {
			t.Errorf("%s %v passes the review", bad.typ, bad.attributes)
		}
	}
	if got := review("api_key", map[string]any{"scopes": []any{"orders:read", "${params.x}"}}); len(got) > 0 {
		t.Errorf("a scoped key is refused: %v", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	w := memory.NewWorld("")
	d := driver(t, memory.InfoOf(w), nil)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 100 {
				n := i%20*8 + g
				mustEnsure(t, d, setting(n))
				_, _ = d.Observe(t.Context(), []connector.Ref{setting(n).Ref}, func(connector.Observed) error { return nil })
				if i%10 == 0 {
					_, _ = d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
				}
			}
		})
	}
	all.Wait()
	if w.Len() != 160 {
		t.Errorf("%d things, want 160", w.Len())
	}
}

// BenchmarkEnsure is the cost of a no-op step's outside half, against a bare
// write into a locked map.
func BenchmarkEnsure(b *testing.B) {
	d := driver(b, memory.Info(), nil)
	fingerprint, _ := d.Plant(b.Context())
	s := connector.NewSystem("mem", memory.Info(), d, fingerprint, 64)
	want := setting(1)
	const window = 1 << 16
	names, ids := make([]string, window), make([]tenure.ResourceID, window)
	for i := range window {
		names[i], ids[i] = fmt.Sprintf("setting-%d", i), tenure.NewID[tenure.ResourceID](time.Now())
	}
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		var mu sync.Mutex
		m := map[string]*memory.Thing{}
		for i := 0; b.Loop(); i++ {
			mu.Lock()
			m[names[i%window]] = &memory.Thing{Name: names[i%window]}
			mu.Unlock()
		}
	})
	b.Run("ensure", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			want.Name, want.Resource = names[i%window], ids[i%window]
			if _, _, v, err := s.Ensure(b.Context(), want); err != nil || v != tenure.Verified {
				b.Fatal(v, err)
			}
		}
	})
}
