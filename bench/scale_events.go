package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	listening  = 200
	changes    = 2000
	changeRate = 100 // a second
	delayLimit = 2 * time.Second
)

// heard is what one listener got.
type heard struct {
	ids   []int64
	delay []time.Duration
	err   error
}

// listeners makes changes while many listen, some of whom break off and come back
// with the last event's id, and some of whom see one tier alone. Each must hear of
// each change that is theirs once, in order; the log itself says which these are.
func (f *full) listeners(ctx context.Context, e *env, srv *child) ([]line, error) {
	log, err := store.Open(ctx, store.Options{DSN: f.dsn, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.LogSize(ctx)
	if err != nil {
		return nil, err
	}
	hear, hang := context.WithCancel(ctx)
	defer hang()
	var wg sync.WaitGroup
	all := make([]heard, listening)
	for i := range all {
		wg.Go(func() {
			token, breaks := f.whole, i%5 == 0
			if i%4 == 3 {
				token = f.tier
			}
			all[i] = listen(hear, srv.url, token, from-1, breaks)
		})
	}
	if err := f.change(ctx, srv.url); err != nil {
		return nil, err
	}
	size, err := log.LogSize(ctx)
	if err != nil {
		return nil, err
	}
	want, mine, err := f.expected(ctx, log, from, size)
	if err != nil {
		return nil, err
	}
	select { // the last change has been seen by everybody who still listens
	case <-time.After(delayLimit + 3*time.Second):
	case <-ctx.Done():
	}
	hang()
	wg.Wait()
	lost := 0
	var delays []time.Duration
	for i, h := range all {
		if h.err != nil {
			return nil, fmt.Errorf("listener %d: %w", i, h.err)
		}
		due := want
		if i%4 == 3 {
			due = mine
		}
		heardOf := slices.DeleteFunc(h.ids, func(id int64) bool { return id >= size }) // what others did since
		lost += missed(due, heardOf)
		delays = append(delays, h.delay...)
	}
	p99 := quantile(delays, 0.99)
	fmt.Printf("scale on %s, %d listeners, %d entries at %d changes/s: %d heard, %d lost or twice, delay p50 %s p99 %s\n",
		f.kind, listening, len(want), changeRate, len(delays), lost, round(quantile(delays, 0.5)), round(p99))
	return []line{
		{"events-lost-" + f.kind, fmt.Sprint(lost), fmt.Sprint(len(delays)), "-", "0", lost == 0},
		{"event-delay-p99-" + f.kind, round(p99), "-", "-", "<2s", p99 < delayLimit},
	}, nil
}

// missed counts the differences between what was due and what was heard, in order.
func missed(due, got []int64) int {
	if slices.Equal(due, got) {
		return 0
	}
	n := 0
	times := map[int64]int{}
	for _, id := range got {
		times[id]++
	}
	for _, id := range due {
		if times[id] != 1 {
			n++
		}
		delete(times, id)
	}
	return max(1, n+len(times))
}

// listen hears from an entry on. One that breaks off goes away after every 300
// events and comes back with the last one's id.
func listen(ctx context.Context, url string, token tenure.Secret, after int64, breaks bool) (h heard) {
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		return heard{err: err}
	}
	defer c.Close()
	for ctx.Err() == nil {
		n := 0
		for ev, err := range c.AllEvents(ctx, "", after) {
			if err != nil {
				if ctx.Err() == nil {
					h.err = err
				}
				return h
			}
			at, _ := time.Parse(time.RFC3339Nano, ev.At)
			h.ids, h.delay = append(h.ids, ev.ID), append(h.delay, time.Since(at))
			after = ev.ID
			if n++; breaks && n == 300 {
				break
			}
		}
	}
	return h
}

// change relabels tenants, at a fixed rate, by four at once.
func (f *full) change(ctx context.Context, url string) error {
	c, err := client.New(url, client.WithToken(f.writer))
	if err != nil {
		return err
	}
	defer c.Close()
	work := make(chan int)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			var failed error
			for n := range work {
				if failed == nil {
					failed = f.relabel(ctx, c, n)
				}
			}
			errs <- failed
		}()
	}
	began := time.Now()
	for n := range changes {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / changeRate)))
		work <- n
	}
	close(work)
	for range cap(errs) {
		if e := <-errs; err == nil {
			err = e
		}
	}
	return err
}

func (f *full) relabel(ctx context.Context, c *client.Client, n int) error {
	p := client.LabelParams{}
	p.Tenant = string(f.tenants[n%len(f.tenants)])
	if n%2 == 0 {
		p.Tenant = string(f.business[n%len(f.business)])
	}
	p.Body.Labels = map[string]string{"turn": fmt.Sprint(n % 7)}
	_, err := client.SetLabels.Call(ctx, c, p)
	return err
}

// expected are the entries that there were, and those of the tier's tenants.
func (f *full) expected(ctx context.Context, log *store.DB, from, size int64) (everything, tier []int64, err error) {
	mine := map[tenure.TenantID]bool{}
	for _, id := range f.business {
		mine[id] = true
	}
	for r, err := range log.Entries(ctx, from) {
		if err != nil {
			return nil, nil, err
		}
		if r.Index >= size {
			break
		}
		everything = append(everything, r.Index)
		entry, err := audit.Decode(r.Entry)
		if err != nil {
			return nil, nil, err
		}
		if mine[entry.Tenant] {
			tier = append(tier, r.Index)
		}
	}
	return everything, tier, nil
}
