// Package daemon runs an installation: its engine, its API and dashboard, its
// clock, and the checkpoints of its log, until it is told to stop. What tenure
// serve and the demo run is the same.
package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/site"
	"github.com/tenurehq/tenure/internal/store"
)

// Options say how to run. All but Log may be left out.
type Options struct {
	Listen      string // host:port for HTTP; blank is the socket alone
	Workers     int    // operations that run at once; 0 is 64
	Checkpoints time.Duration
	Log         *slog.Logger
	Name        string // of the installation, for people; blank is its id
	Ready       func(url string)
	Reload      <-chan struct{} // asks to read the policies and the sources of events again
	Leave       time.Duration   // how long to wait for what is under way when told to stop; 0 is 28 s
}

// tickEvery is how often the clock's work is looked at: expiries, reminders,
// reviews that are due, notices that wait.
const tickEvery = 5 * time.Second

// leaveAfter is how long a daemon that was told to stop waits for what is under way. A
// step has the engine's grace within it, which is shorter.
const leaveAfter = 28 * time.Second

// within waits for what runs, and once it was told to stop no longer than a while.
func within(ctx context.Context, wait func() error, leave time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(leave):
		return tenure.Errorf(tenure.Unavailable, "something was still under way %s after the server was told to stop, and was left", leave)
	}
}

// Run serves until ctx ends. Steps in flight are then finished or handed back,
// event streams end, and calls under way are waited for, all within half a minute: a
// call to a system that heeds no end is left, and its step is taken over when its lease
// has run out.
func Run(ctx context.Context, inst *installation.Installation, o Options) error {
	if o.Workers <= 0 {
		o.Workers = 64
	}
	if o.Leave <= 0 {
		o.Leave = leaveAfter
	}
	if o.Checkpoints <= 0 {
		o.Checkpoints = time.Minute
	}
	var running atomic.Bool
	inst.DB.ObserveOutages(func(away store.Outage, ended bool) { tellOutage(o.Log, away, ended) })
	defer inst.DB.ObserveOutages(nil)
	srv, err := compose(inst, o, &running)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		compareStore(ctx, inst, o.Log, 0)
		running.Store(true)
		defer running.Store(false)
		return inst.Engine.Run(ctx, o.Workers, o.Log)
	})
	inst.Events.Open(srv.Door())
	g.Go(func() error { return inst.Events.Run(ctx) })
	rested := make(chan struct{})
	g.Go(func() error {
		keys(ctx, inst, o.Log)
		select {
		case <-rested: // not in the middle of a start
			giveBack()
		case <-ctx.Done():
		}
		return nil
	})
	g.Go(func() error {
		if err := inst.Service.SettleHolds(ctx); err != nil && ctx.Err() == nil {
			o.Log.Error("whether the systems' own rules take what is held couldn't be looked at everywhere; the next look for drift tries again", "error", err)
		}
		return nil
	})
	g.Go(func() error { checkpoints(ctx, inst, o.Log, o.Checkpoints); return nil })
	g.Go(func() error {
		ticks(ctx, inst, o.Log, append(inst.Ticks(), installation.Tick{Name: "answers", Do: srv.Tick}, installation.Tick{Name: "rest", Do: once(func() { giveBack(); close(rested) })}))
		return nil
	})
	// A receiver that hangs holds up nothing but notices.
	g.Go(func() error {
		ticks(ctx, inst, o.Log, []installation.Tick{{Name: "notices", Do: inst.Notices.Tick}})
		return nil
	})
	g.Go(func() error { reloads(ctx, inst, o); return nil })
	g.Go(func() error {
		return srv.Serve(ctx, server.Listen{Socket: installation.Socket(inst.Dir), Address: o.Listen}, func(url string) {
			o.Log.Info("serving", "installation", inst.Installation(), "url", url)
			if o.Ready != nil {
				o.Ready(url)
			}
		})
	})
	err = within(ctx, g.Wait, o.Leave)
	o.Log.Info("stopped", "installation", inst.Installation())
	return err
}

// compose puts API and dashboard together.
func compose(inst *installation.Installation, o Options, running *atomic.Bool) (*server.Server, error) {
	name := cmp.Or(o.Name, inst.Settings.Name)
	if name == "" {
		name = string(inst.Service.Installation())
	}
	web := site.Options{Governor: inst.Governor, Service: inst.Service, Log: o.Log, Name: name, URL: inst.Settings.URL, Sources: inst.Events.Names, Leave: inst.Settings.Leave.Page}
	if inst.Settings.SignIn != nil {
		if u, err := url.Parse(inst.Settings.SignIn.Issuer); err == nil {
			web.Provider, web.Issuer = u.Host, u.Scheme+"://"+u.Host
		}
		if len(inst.Settings.SignIn.StrongAMR)+len(inst.Settings.SignIn.StrongACR) == 0 {
			o.Log.Warn("no sign-in is strong: people can read and ask, and nobody can approve", "set", "signIn.strongAmr or signIn.strongAcr in tenure.yaml")
		}
	}
	pages, err := site.New(web)
	if err != nil {
		return nil, err
	}
	api := server.Options{
		Service: inst.Service, Governor: inst.Governor, Log: o.Log, Dashboard: pages, URL: inst.Settings.URL, Events: inst.Events, Notices: inst.Notices,
		Ready: func(context.Context) error {
			if !running.Load() {
				return tenure.Errorf(tenure.Unavailable, "the engine doesn't run")
			}
			return nil
		},
	}
	if inst.Measure != nil {
		api.Metrics, api.Middleware = inst.Measure.Handler(), inst.Measure.Middleware
	}
	srv, err := server.New(api)
	if err != nil {
		return nil, err
	}
	if inst.Measure != nil {
		inst.Measure.Listeners(srv.Listeners)
	}
	return srv, pages.Use(srv.Handler())
}

// tellOutage logs that the store can't be written, once and then each time that it was
// tried in vain, and that it can be again.
func tellOutage(log *slog.Logger, away store.Outage, ended bool) {
	if ended {
		log.Info("the store can be written again; work goes on", "failed since", away.Since.UTC())
		return
	}
	log.Error("the store can't be written; work waits", "since", away.Since.UTC(), "error", away.Cause, "next try in", away.Next.Round(time.Millisecond))
}

// ticks does what time alone makes due. A part that fails is logged and tried
// again; it keeps no other from its turn. While the store can't be written all wait.
func ticks(ctx context.Context, inst *installation.Installation, log *slog.Logger, parts []installation.Tick) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		for _, part := range parts {
			if inst.DB.Await(ctx) != nil {
				return
			}
			err := part.Do(ctx, inst.Now())
			if inst.DB.Outlast(ctx, err) {
				continue
			}
			if err != nil && ctx.Err() == nil {
				log.Error("tick", "part", part.Name, "code", tenure.CodeOf(err), "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once is a tick's work that its first turn alone does.
func once(do func()) func(context.Context, time.Time) error {
	var first sync.Once
	return func(context.Context, time.Time) error { first.Do(do); return nil }
}

// giveBack hands the system what starting, or a look at everything, took and resting
// doesn't need.
func giveBack() {
	debug.FreeOSMemory()
	forgetProgram()
}

// keys compares the keystore with the log once, beside the work: a backup of one of them
// may have been put back while the server was down.
func keys(ctx context.Context, inst *installation.Installation, log *slog.Logger) {
	problems, err := inst.CheckKeys(ctx)
	for _, p := range problems {
		log.Error("store and keystore don't belong together", "why", p, "next", "tenure audit verify, and the guide's part on restoring a backup")
	}
	if err != nil && ctx.Err() == nil {
		log.Error("the keystore couldn't be compared with the log", "error", err)
	}
}

// checkpoints signs the log's head whenever it grew, and a last time at the end.
// A witness that doesn't answer is logged and asked again the next time.
func checkpoints(ctx context.Context, inst *installation.Installation, log *slog.Logger, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, doubts := int64(-1), len(inst.StoreDoubts())
	sign := func(ctx context.Context) {
		size, err := inst.DB.LogSize(ctx)
		if err == nil && size == last {
			return
		}
		if err == nil {
			doubts = compareStore(ctx, inst, log, doubts)
			inst.Keys.Note(ctx)
			_, size, err = inst.Checkpoint(ctx)
		}
		if err != nil && inst.DB.Outage() != nil { // which is told already
			return
		}
		if err != nil {
			log.Error("checkpoint", "code", tenure.CodeOf(err), "error", err)
			return
		}
		last = size
	}
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			sign(end)
			return
		case <-tick.C:
			sign(ctx)
		}
	}
}

// compareStore says whether the store is an older one than was in use, or another, which ends
// nothing but what destroys: who restores a backup must be able to run what mends it. A
// witness that hangs is waited for as long as a start may take. What is more than was told already is told.
func compareStore(ctx context.Context, inst *installation.Installation, log *slog.Logger, told int) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := inst.CompareStore(ctx); err != nil {
		log.Error("the store can't be compared with what was seen of it", "code", tenure.CodeOf(err), "error", err)
	}
	doubts := inst.StoreDoubts()
	for _, d := range doubts[min(told, len(doubts)):] {
		log.Error("the store is in doubt: nothing is destroyed", "why", d.Reason, "next", "tenure audit verify, the guide's part on restoring a backup, then tenure store confirm by two persons")
	}
	return len(doubts)
}

// reloads reads the policies and the sources of events again when asked. Those that aren't right
// leave the ones before in place, and the log says why.
func reloads(ctx context.Context, inst *installation.Installation, o Options) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.Reload:
			if err := inst.Policies.Reload(); err != nil {
				o.Log.Error("policies stay as they were", "error", err)
			} else {
				o.Log.Info("policies read again", "policies", len(inst.Policies.Policies()))
			}
			if err := inst.RenewSources(ctx); err != nil {
				o.Log.Error("sources of events stay as they were", "error", err)
			} else {
				o.Log.Info("sources of events read again", "sources", inst.Events.Names())
			}
		}
	}
}
