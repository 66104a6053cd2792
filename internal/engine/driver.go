package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Run is the embedded driver: until ctx ends it calls Advance for what is due,
// at most workers operations at once, and waits for the steps under way before
// it returns. It keeps nothing: what it forgets, Due finds again. While the store can't
// be written it waits, and leaves it to the store's observer to say so.
func (e *Engine) Run(ctx context.Context, workers int, log *slog.Logger) error {
	if workers < 1 {
		workers = 64
	}
	e.runs.Store(true)
	defer e.runs.Store(false)
	woken := make(chan tenure.OperationID, 4096)
	defer e.DB.OnWake(func(id tenure.OperationID) {
		select {
		case woken <- id:
		default: // the poll finds it
		}
	})()
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, workers)
	freed := make(chan struct{}, 1)
	launch := func(id tenure.OperationID) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Add(1)
		go func() {
			defer running.Done()
			answer, err := e.Advance(ctx, id)
			<-slots
			if err != nil {
				if store.OutageOf(err) == nil && (ctx.Err() == nil || tenure.CanRetry(err)) {
					log.Error("advance", "operation", id, "code", tenure.CodeOf(err), "error", err)
				}
				return // the poll finds it: at once it would fail again
			}
			if answer.Kind == Again || len(slots) < cap(slots)/2 {
				select {
				case freed <- struct{}{}:
				default:
				}
			}
		}()
	}
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	again, err := e.DB.BlockedOperations(ctx, Stuck) // what they lacked may be there since the restart
	for e.outlasts(ctx, err) {
		again, err = e.DB.BlockedOperations(ctx, Stuck)
	}
	if err != nil && ctx.Err() == nil {
		log.Error("blocked operations", "error", err)
	}
	look := true
	for {
		_ = e.DB.Await(ctx)
		for _, id := range again {
			launch(id)
		}
		again = nil
		if look {
			ids, err := e.DB.Due(ctx, e.Now(), cap(slots), e.lease())
			if e.outlasts(ctx, err) {
				continue
			}
			if err != nil && ctx.Err() == nil {
				log.Error("due", "error", err)
			}
			for _, id := range ids {
				launch(id)
			}
			look = len(ids) == cap(slots) && ctx.Err() == nil
			if look {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case id := <-woken:
			launch(id)
		case <-freed:
			look = true
		case <-poll.C:
			look, again = true, e.stuck.due(e.Now())
		}
	}
}

// outlasts waits for the end of the store's outage that an error tells of, and says whether
// what failed may be done again. Without a driver nobody is told why it waits: whoever calls
// Advance gets the error.
func (e *Engine) outlasts(ctx context.Context, err error) bool {
	return err != nil && e.runs.Load() && e.DB.Outlast(ctx, err)
}

// Settle calls Advance for everything that is due at the engine's time, in
// parallel, until nothing is, and says when the next thing will be; zero if only
// events are awaited. With a clock that the caller sets, it carries an operation
// through years in moments.
func (e *Engine) Settle(ctx context.Context) (next time.Time, err error) {
	for ctx.Err() == nil {
		ids, err := e.DB.Due(ctx, e.Now(), 256, e.lease())
		if err != nil {
			return time.Time{}, err
		}
		if len(ids) == 0 {
			return e.DB.NextDue(ctx)
		}
		var wg sync.WaitGroup
		errs := make(chan error, len(ids))
		for _, id := range ids {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := e.Advance(ctx, id); err != nil {
					errs <- err
				}
			}()
		}
		wg.Wait()
		select {
		case err := <-errs:
			return time.Time{}, err
		default:
		}
	}
	return time.Time{}, ctx.Err()
}
