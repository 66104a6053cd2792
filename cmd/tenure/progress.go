package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// bar shows how far an operation is and what it waits for: as a bar on a
// terminal, as lines elsewhere if it is to tell, and else not at all.
type bar struct {
	container *mpb.Progress
	one       *mpb.Bar
	lines     io.Writer

	mu    sync.Mutex
	steps string
	says  string
}

func (a *app) bar(id tenure.OperationID, tells bool) *bar {
	b := &bar{}
	switch {
	case id == "" || a.output == "json":
		return b
	case !isTerminal(a.err):
		if tells {
			b.lines = a.err
		}
		return b
	}
	b.container = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(32), mpb.WithAutoRefresh())
	b.one = b.container.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(b.text(&b.steps)),
		mpb.AppendDecorators(b.text(&b.says)),
	)
	return b
}

func (b *bar) text(of *string) decor.Decorator {
	return decor.Any(func(decor.Statistics) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return *of
	})
}

func (b *bar) show(op client.Operation) {
	says := string(op.State)
	if op.Reason != "" {
		says += ": " + clean(op.Reason)
	}
	if b.lines != nil {
		if says = fmt.Sprintf("%d of %d steps, %s", op.Done, op.Steps, says); says != b.says {
			b.says = says
			fmt.Fprintln(b.lines, says)
		}
	}
	if b.one == nil {
		return
	}
	b.mu.Lock()
	b.steps, b.says = fmt.Sprintf("%d of %d steps ", op.Done, op.Steps), clip(says, 80)
	b.mu.Unlock()
	b.one.SetTotal(int64(op.Steps)+1, false) // never complete by itself
	b.one.SetCurrent(int64(op.Done))
}

func (b *bar) stop() {
	if b.one == nil {
		return
	}
	b.one.Abort(true)
	b.container.Wait()
}

// progress shows an operation that something else in this process carries on,
// until the returned function is called.
func (a *app) progress(ctx context.Context, s *session, id tenure.OperationID) (stop func()) {
	b := a.bar(id, false)
	if b.one == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if op, err := client.FollowOperation.Call(ctx, s.Client, client.OperationParams{Operation: string(id)}); err == nil {
					b.show(op)
				}
			}
		}
	})
	return func() { cancel(); looking.Wait(); b.stop() }
}
