package connector_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// account is a driver that was opened with one credential.
type account struct {
	connector.Driver
	fingerprint string
	refused     atomic.Bool
	closed      atomic.Bool
	entered     chan struct{} // if it isn't nil, a look at refs says that it has begun
	leave       chan struct{} // and waits
}

func (a *account) Observe(_ context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	if a.refused.Load() || a.closed.Load() {
		return connector.Sighting{}, tenure.Errorf(tenure.Unauthorized, "refused or closed")
	}
	if a.entered != nil && len(refs) > 0 {
		a.entered <- struct{}{}
		<-a.leave
	}
	for _, r := range refs {
		_ = yield(connector.Observed{Type: r.Type, Name: r.Name, Found: !a.closed.Load()})
	}
	return connector.Sighting{Fingerprint: a.fingerprint, Sentinel: true, Complete: true}, nil
}

func (a *account) Discover(ctx context.Context, _ connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	if err := yield(connector.Observed{Type: "thing", Name: "first"}); err != nil {
		return connector.Sighting{}, err
	}
	return a.Observe(ctx, nil, yield)
}

func (a *account) Close() error { a.closed.Store(true); return nil }

// A call under way ends on the credential that it began with, which is closed with it and
// no sooner; the next call uses the new one.
func TestSwapLetsCallsEnd(t *testing.T) {
	t.Parallel()
	old := &account{fingerprint: "here", entered: make(chan struct{}), leave: make(chan struct{})}
	next := &account{fingerprint: "here"}
	s := connector.NewSystem("main", connector.Info{}, old, "here", 4)
	found := make(chan bool)
	go func() {
		seen, _, err := s.Observe(t.Context(), []connector.Ref{{Type: "thing", Name: "a"}})
		found <- err == nil && seen[0].Found
	}()
	<-old.entered
	if err := s.Swap(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if old.closed.Load() {
		t.Error("the old one is closed while a call is under way")
	}
	if seen, _, err := s.Observe(t.Context(), []connector.Ref{{Type: "thing", Name: "b"}}); err != nil || !seen[0].Found {
		t.Error(seen, err)
	}
	close(old.leave)
	if !<-found {
		t.Error("the call under way failed")
	}
	if !old.closed.Load() || next.closed.Load() {
		t.Errorf("closed: old %t, new %t", old.closed.Load(), next.closed.Load())
	}
}

// What isn't the recorded system doesn't take over, and is closed; a call that was refused
// is made again with another credential, unless it has handed something on already.
func TestSwapAfterRefusal(t *testing.T) {
	t.Parallel()
	first := &account{fingerprint: "here"}
	s := connector.NewSystem("main", connector.Info{}, first, "here", 4)
	stranger := &account{fingerprint: "elsewhere"}
	if err := s.Swap(t.Context(), stranger); tenure.CodeOf(err) != tenure.Blocked || !stranger.closed.Load() || first.closed.Load() {
		t.Errorf("another system: %v, closed %t, the old one closed %t", err, stranger.closed.Load(), first.closed.Load())
	}
	renewed := 0
	s.Renew = func(ctx context.Context) {
		renewed++
		if err := s.Swap(ctx, &account{fingerprint: "here"}); err != nil {
			t.Error(err)
		}
	}
	first.refused.Store(true)
	if _, sure, err := s.Observe(t.Context(), nil); err != nil || sure != tenure.Verified || renewed != 1 {
		t.Errorf("after a refusal: %s, %v, renewed %d times", sure, err, renewed)
	}
	last := s.Driver().(*account)
	last.refused.Store(true)
	n := 0
	if _, err := s.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { n++; return nil }); tenure.CodeOf(err) != tenure.Unauthorized || n != 1 {
		t.Errorf("a call that had begun to hand on: %v, handed on %d", err, n)
	}
	if s.Driver() == connector.Driver(last) {
		t.Error("the refusal brought no other credential")
	}
}
