package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// Two servers on one store decide the same events at the same time: no more departures start
// than the rules may start in an hour, and each event says what it led to.
func TestEventsOfTwoServers(t *testing.T) {
	t.Parallel()
	const all = 8
	f := newFeedOn(t, postgrestest.Database(t), strings.Replace(client.SubmitBlueprint.Example, "onboard: 1", "onboard: 0", 1), strings.Replace(eventRules, `, domains: ["acme.example"]`, "", 1))
	for n := range all {
		f.deal(fmt.Sprint("w", n), fmt.Sprint("deal-", n), fmt.Sprint("Acme ", n), fmt.Sprint("cus_", n), f.now())
	}
	f.work()
	f.pass(12 * time.Hour)
	g := &feed{t: t, dir: f.dir, file: f.file, world: f.world}
	g.clock.Store(f.clock.Load())
	g.open()
	t.Cleanup(func() { g.shut() })
	for n := range all {
		f.bill(fmt.Sprint("g", n), "customer.subscription.deleted", fmt.Sprint("cus_", n), f.now())
	}
	var both sync.WaitGroup
	for _, one := range []*feed{f, g} {
		both.Go(func() { f.worked(one.events.Work(context.Background())) })
	}
	both.Wait()
	f.work()
	f.tell()
	started := 0
	for i := range all {
		e := f.found(fmt.Sprint("g", i))
		leaves := f.departures(fmt.Sprint("acme-", i)) > 0
		if leaves {
			started++
		}
		if leaves != (e.State == store.InboundActed && e.Operation != "") || !leaves && e.State != store.InboundHeld {
			t.Errorf("acme-%d leaves: %t, and its event is %s: %s", i, leaves, e.State, e.Why)
		}
	}
	if started != 1 {
		t.Errorf("%d departures were started; one an hour may", started)
	}
}

// worked is for goroutines, which can't end a test.
func (f *feed) worked(err error) {
	if err != nil {
		f.t.Errorf("events are decided by two at once: %v", err)
	}
}
