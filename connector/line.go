package connector

import (
	"context"
	"io"
	"sync"

	"github.com/tenurehq/tenure"
)

// line is one opened driver of a system. A credential that is renewed makes another one
// beside it: calls under way end on the old one, which is closed with the last of them.
type line struct {
	driver Driver

	calls      int  // under way
	retired    bool // another one has taken over
	identified bool // it was the recorded system when it was asked last, and has answered since
}

// lines are the drivers that a system was opened with.
type lines struct {
	mu      sync.Mutex
	current *line
	veil    Veil // what they were opened with, the old ones too
}

// take gives the current driver, which stays open until leave is called.
func (s *System) take() (l *line, leave func()) {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	l = s.lines.current
	l.calls++
	return l, func() {
		s.lines.mu.Lock()
		l.calls--
		last := l.retired && l.calls == 0
		s.lines.mu.Unlock()
		if last {
			_ = l.driver.Close()
		}
	}
}

// now is the current driver, for what a driver says without its system.
func (s *System) now() *line {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	return s.lines.current
}

// Hide keeps these secrets out of all that the system says, besides those from before.
func (s *System) Hide(secrets ...tenure.Secret) {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	s.lines.veil = s.lines.veil.And(NewVeil(secrets...))
}

// Conceal is a text without the secrets that the system was opened with.
func (s *System) Conceal(text string) string { return s.veil().Text(text) }

func (s *System) veil() Veil {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	return s.lines.veil
}

// Swap has another driver of the same system, opened with other secrets, take over once
// it is seen to work: it must be the recorded system and show the sentinel. If it isn't
// or doesn't, it is closed, and the old one goes on.
func (s *System) Swap(ctx context.Context, d Driver, secrets ...tenure.Secret) error {
	s.Hide(secrets...)
	next := &line{driver: d}
	if err := s.identify(ctx, next); err != nil {
		_ = d.Close()
		return err
	}
	s.lines.mu.Lock()
	old := s.lines.current
	s.lines.current = next
	old.retired = true
	idle := old.calls == 0
	s.lines.mu.Unlock()
	if idle {
		_ = old.driver.Close()
	}
	return nil
}

// mayBeCredential says whether an error may mean that the system doesn't take the
// credential any more.
func mayBeCredential(err error) bool {
	code := tenure.CodeOf(err)
	return code == tenure.Unauthorized || code == tenure.Forbidden || code == tenure.Blocked
}

// on runs f with the current driver. Where the system may have refused the credential,
// Renew is asked for another one; if there is, and f has handed nothing on, f is run
// once more. Handed nil never has.
func (s *System) on(ctx context.Context, handed *bool, f func(l *line) error) error {
	l, leave := s.take()
	err := f(l)
	leave()
	if s.Renew == nil || !mayBeCredential(err) {
		return err
	}
	s.Renew(ctx)
	if s.now() == l || handed != nil && *handed {
		return err
	}
	l, leave = s.take()
	defer leave()
	return f(l)
}

// watched is a writer that says whether it was written to.
type watched struct {
	to    io.Writer
	begun bool
}

func (h *watched) Write(p []byte) (int, error) { h.begun = true; return h.to.Write(p) }
