package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// figures are what of the fleet isn't kept with each change, but counted.
type figures struct {
	at                            time.Time
	held, stuck, waiting, leaving int
	findings                      map[tenure.Severity]int
	onboarding                    Onboarding
}

const (
	figuresFrom  = 1_000            // tenants, from which figures are counted once for several looks
	figuresFor   = 5 * time.Second  // how old they may be then
	figuresAhead = time.Second      // how long before that they are counted again, while nobody waits
	figuresTake  = time.Minute      // how long that may take
	onboardFor   = 60 * time.Second // and those over 90 days
	figuresLimit = 200              // scopes whose figures are kept
)

// counted gives the figures over what can be seen. Over a large fleet they may be
// five seconds old, those of onboarding a minute: a page that many keep open costs
// no more than one that nobody does.
func (s *Service) counted(ctx context.Context, v store.Visible, now time.Time) (figures, error) {
	n, err := s.o.DB.TenantCount(ctx)
	if err != nil {
		return figures{}, err
	}
	if n < figuresFrom {
		return s.count(ctx, v, now, nil)
	}
	return s.figures.of(v, now, func(old *keptFigures) (figures, error) { // for others too, so that it goes on when who asked has gone
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), figuresTake)
		defer cancel()
		return s.count(ctx, v, now, old)
	})
}

// count counts the figures; those of onboarding are taken over while they are
// young enough.
func (s *Service) count(ctx context.Context, v store.Visible, now time.Time, old *keptFigures) (f figures, err error) {
	f.at = now
	for _, c := range []struct {
		into  *int
		state tenure.OperationState
		kind  tenure.OperationKind
	}{{&f.stuck, tenure.OperationBlocked, ""}, {&f.waiting, tenure.OperationWaiting, ""}, {&f.leaving, tenure.OperationWaiting, tenure.Offboard}} {
		if *c.into, err = s.o.DB.AttentionCount(ctx, v, c.state, c.kind); err != nil {
			return f, err
		}
	}
	if f.held, err = s.o.DB.HeldTenants(ctx, v); err != nil {
		return f, err
	}
	if f.findings, err = s.o.DB.FindingCounts(ctx, v, now); err != nil {
		return f, err
	}
	if old != nil && young(old.onboardAt, now, onboardFor) {
		f.onboarding = old.figures.onboarding
		return f, nil
	}
	since := now.Add(-onboardingWindow)
	runs, err := s.o.DB.OnboardingRuns(ctx, v, since)
	if err != nil {
		return f, err
	}
	f.onboarding = onboardingOf(runs, since, now)
	if old != nil {
		old.onboardAt = now
	}
	return f, nil
}

func young(at, now time.Time, limit time.Duration) bool {
	return !at.IsZero() && !now.Before(at) && now.Sub(at) < limit
}

// figureKeeper keeps the figures of the scopes that were looked at lately.
type figureKeeper struct {
	mu  sync.Mutex
	all map[string]*keptFigures
}

// keptFigures are one scope's. Counting holds busy; reading them holds mu.
type keptFigures struct {
	busy sync.Mutex

	mu            sync.Mutex
	figures       figures
	at, onboardAt time.Time // onboardAt is only touched while counting
}

func (k *figureKeeper) entry(v store.Visible) *keptFigures {
	key := fmt.Sprintf("%#v", v) // quoted, so that no two scopes have one key
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.all[key]
	if !ok {
		if k.all == nil || len(k.all) >= figuresLimit {
			k.all = make(map[string]*keptFigures)
		}
		e = &keptFigures{}
		k.all[key] = e
	}
	return e
}

func (e *keptFigures) read() (figures, time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.figures
	f.findings = maps.Clone(f.findings)
	return f, e.at
}

// of gives a scope's figures. Soon before they are too old they are counted anew
// beside whoever looks. Where they are too old one caller counts them, and the others
// meanwhile get the old ones, if there are any.
func (k *figureKeeper) of(v store.Visible, now time.Time, count func(*keptFigures) (figures, error)) (figures, error) {
	e := k.entry(v)
	f, at := e.read()
	switch {
	case young(at, now, figuresFor-figuresAhead):
		return f, nil
	case young(at, now, figuresFor):
		if e.busy.TryLock() {
			go func() {
				defer e.busy.Unlock()
				_, _ = e.count(now, count) // who finds them too old counts them, and is told
			}()
		}
		return f, nil
	case !e.busy.TryLock():
		if !at.IsZero() {
			return f, nil
		}
		e.busy.Lock()
	}
	defer e.busy.Unlock()
	if f, at := e.read(); young(at, now, figuresFor) { // counted while this one waited
		return f, nil
	}
	return e.count(now, count)
}

// count counts and keeps the figures, for who holds busy.
func (e *keptFigures) count(now time.Time, count func(*keptFigures) (figures, error)) (figures, error) {
	f, err := count(e)
	if err != nil {
		return figures{}, err
	}
	e.mu.Lock()
	e.figures, e.at = f, now
	e.mu.Unlock()
	f.findings = maps.Clone(f.findings)
	return f, nil
}

// TickFigures counts over everything before somebody asks, where the fleet is so
// large that they are kept.
func (s *Service) TickFigures(ctx context.Context, now time.Time) error {
	n, err := s.o.DB.TenantCount(ctx)
	if err == nil && n >= figuresFrom {
		_, err = s.counted(ctx, store.All, now)
	}
	return err
}
