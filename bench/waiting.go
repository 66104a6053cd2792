package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	waiters   = 10_000 // operations that wait for a person
	runners   = 1_000  // operations that can run
	runLength = 8      // steps of each of those
)

// waitingBench measures whether a thousand operations that can run are held up by ten
// thousand that wait, with 64 workers. The baseline is the thousand alone. It also tells
// how many of the commits were refused.
func waitingBench(ctx context.Context, e *env) ([]line, error) {
	stores := map[string]func(string) (string, error){"sqlite": func(name string) (string, error) { return filepath.Join(e.dir, name+".db"), nil }}
	if e.pg != "" {
		stores["postgres"] = func(name string) (string, error) { return freshDatabase(ctx, e.pg, "bench_"+name) }
	}
	var out []line
	for _, kind := range []string{"sqlite", "postgres"} {
		if stores[kind] == nil {
			continue
		}
		took, refused := make(map[int]time.Duration), 0.0
		for _, n := range []int{0, waiters} {
			dsn, err := stores[kind](fmt.Sprint("waiting", n))
			if err != nil {
				return nil, err
			}
			if took[n], refused, err = thousandBeside(ctx, dsn, n); err != nil {
				return nil, err
			}
		}
		ratio := took[waiters].Seconds() / took[0].Seconds()
		out = append(out,
			line{"waiting-" + kind, round(took[waiters]), round(took[0]), times(ratio), "<=1.25x", ratio <= 1.25},
			line{"refused-" + kind, fmt.Sprintf("%.1f%%", 100*refused), "-", "-", "<5%", refused < 0.05})
	}
	return out, nil
}

// thousandBeside runs the operations that can run beside others that wait, and gives how
// long that took and which share of the commits was refused.
func thousandBeside(ctx context.Context, dsn string, waiting int) (took time.Duration, refused float64, err error) {
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	eng, err := sealedEngine(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	var ran atomic.Int64
	done := make(chan struct{})
	make := func(n, first int, gate bool) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(64)
		for i := range n {
			g.Go(func() error {
				_, err := gatedOperation(ctx, db, first+i, runLength, gate)
				return err
			})
		}
		return g.Wait()
	}
	if err := make(waiting, runners, true); err != nil {
		return 0, 0, err
	}
	if _, err := eng.Settle(ctx); err != nil {
		return 0, 0, err
	}
	if err := make(runners, 0, false); err != nil {
		return 0, 0, err
	}
	eng.Observe = func(ctx context.Context, _ *engine.Task) (context.Context, func(engine.Result)) {
		return ctx, func(engine.Result) {
			if ran.Add(1) == runners*runLength {
				close(done)
			}
		}
	}
	var all, bad atomic.Int64
	db.ObserveCommits(func(c store.Commit) {
		all.Add(1)
		if c.Err != nil {
			bad.Add(1)
		}
	})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := newEnd(func() error { return eng.Run(running, 64, slog.New(slog.DiscardHandler)) })
	before := cpu()
	took, err = timed(func() error {
		select {
		case <-done:
			return nil
		case err := <-ended:
			return fmt.Errorf("the engine ended: %w", err)
		case <-time.After(5 * time.Minute):
			return fmt.Errorf("only %d steps ran within 5 minutes", ran.Load())
		}
	})
	fmt.Printf("%d operations beside %d that wait: %s, %s of processor time, %d commits\n", runners, waiting, round(took), round(cpu()-before), all.Load())
	stop()
	<-ended
	return took, float64(bad.Load()) / float64(max(1, all.Load())), err
}

func newEnd(f func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	return ended
}
