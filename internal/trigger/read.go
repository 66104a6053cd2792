package trigger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const (
	// maxReading is how long one look into another system may take.
	maxReading = 15 * time.Second
	// maxWait is how long one pass waits for its looks. One that takes longer goes on without the pass, and the
	// event finds the answer when it is tried again.
	maxWait = time.Second
	// maxLooks is how many looks into one system are under way at once.
	maxLooks = 8
	// rest is how long a system that gave no answer isn't asked again.
	rest = 10 * time.Second
	// fresh is how long an answer waits for its event: what stood there long ago isn't what stands there now.
	fresh = time.Minute
	// maxRead is how many bytes of JSON may be read of one thing.
	maxRead = 1 << 20
)

// Reading is what is looked up in another system.
type Reading struct {
	System, Kind, ID string
	Fields           []string
}

// unread is why something couldn't be looked up.
type unread struct{ error }

func (u unread) Unwrap() error { return u.error }

// lookUp has the rule's texts read what stands in the event's system now. what names it; "" if the
// rule looks nothing up. A decision with a state is final.
func (m *Match) lookUp(e Event, k Known) (what string, d Decision, err error) {
	r := m.Rule.Read
	if r == nil || e.Source == Clock {
		return "", d, nil
	}
	id, err := m.scope.text(r.ID)
	if err != nil {
		return "", d, err
	}
	if id == "" || len(id) > 200 {
		return "", d, tenure.Errorf(tenure.Invalid, "the event doesn't say which %s is to be looked up: an id has 1 to 200 bytes, and this has %d", r.Kind, len(id))
	}
	what = r.Kind + " " + id + " of " + r.System
	raw, err := k.Read(Reading{r.System, r.Kind, id, r.Fields})
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return what, held("%s isn't there any more: look there, and dismiss this event or have it decided again", what), nil
	case err != nil:
		return what, d, unread{err}
	case len(raw) > maxRead:
		return what, d, tenure.Errorf(tenure.Invalid, "%s takes %d bytes, at most %d are read", what, len(raw), maxRead)
	}
	current, err := plain(raw)
	if err != nil {
		return what, d, err
	}
	m.scope.vars = maps.Clone(m.scope.vars)
	m.scope.vars["current"] = current
	if r.When == "" {
		return what, d, nil
	}
	is, err := m.scope.is(r.When)
	if err == nil && !is {
		d = ignored("%s isn't now as the rule %s asks", what, m.Rule.Name)
	}
	return what, d, err
}

// looks are what events have looked up in other systems, each by itself, so that none of them holds up a pass.
type looks struct {
	now   func() time.Time
	under sync.WaitGroup

	mu   sync.Mutex
	of   map[tenure.InboundID]*look
	busy map[string]int    // looks under way, by system
	down map[string]outage // systems that gave no answer
}

// look is one of them. What it found can be read once done is closed.
type look struct {
	Reading
	done chan struct{}
	out  json.RawMessage
	err  error
	at   time.Time
}

type outage struct {
	until time.Time
	error
}

func newLooks(now func() time.Time) *looks {
	return &looks{now: now, of: make(map[tenure.InboundID]*look), busy: make(map[string]int), down: make(map[string]outage)}
}

// read is what an event has looked up. A look that isn't done when wait ends goes on until ctx does, at most
// for maxReading; until then the event is tried again (Unavailable).
func (l *looks) read(ctx, wait context.Context, from *lifecycle.Service, id tenure.InboundID, r Reading) (json.RawMessage, error) {
	k, err := l.begin(ctx, from, id, r)
	if err != nil {
		return nil, err
	}
	select {
	case <-k.done:
	default:
		select {
		case <-k.done:
		case <-wait.Done():
			return nil, tenure.Errorf(tenure.Unavailable, "%s hasn't answered yet", r.System).Retryable()
		}
	}
	l.mu.Lock()
	delete(l.of, id)
	l.mu.Unlock()
	return k.out, k.err
}

// begin finds the look of an event, or begins it.
func (l *looks) begin(ctx context.Context, from *lifecycle.Service, id tenure.InboundID, r Reading) (*look, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	maps.DeleteFunc(l.of, func(_ tenure.InboundID, k *look) bool { return k.ended() && now.Sub(k.at) > fresh })
	if k := l.of[id]; k != nil && k.same(r) {
		return k, nil
	}
	if o, is := l.down[r.System]; is && now.Before(o.until) {
		return nil, o.error
	}
	if l.busy[r.System] >= maxLooks {
		return nil, tenure.Errorf(tenure.Unavailable, "%s answers slowly: %d looks into it are under way", r.System, maxLooks).Retryable()
	}
	k := &look{Reading: r, done: make(chan struct{})}
	l.of[id] = k
	l.busy[r.System]++
	l.under.Go(func() { l.ask(ctx, from, k) })
	return k, nil
}

func (l *looks) ask(ctx context.Context, from *lifecycle.Service, k *look) {
	ctx, cancel := context.WithTimeout(ctx, maxReading)
	defer cancel()
	out, err := from.Read(ctx, k.System, k.Kind, k.ID, k.Fields)
	if err != nil && ctx.Err() != nil {
		err = tenure.Errorf(tenure.Unavailable, "%s doesn't answer in time: %w", k.System, err).Retryable()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[k.System]--
	k.out, k.err, k.at = out, err, l.now()
	if delete(l.down, k.System); tenure.CanRetry(err) || tenure.CodeOf(err) == tenure.Unavailable {
		l.down[k.System] = outage{k.at.Add(rest), err}
	}
	close(k.done)
}

func (k *look) ended() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// same says whether it is what a rule has looked up now: the rules may have changed since.
func (k *look) same(r Reading) bool {
	return k.System == r.System && k.Kind == r.Kind && k.ID == r.ID && slices.Equal(k.Fields, r.Fields)
}
