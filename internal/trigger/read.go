package trigger

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const (
	// maxReading is how long one look into another system may take.
	maxReading = 15 * time.Second
	// maxLooks is how long all looks of one pass may take.
	maxLooks = 30 * time.Second
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

// looks are what one pass looks up in other systems. One that gave no answer isn't asked again in the
// same pass, and slow ones hold it up for no longer than maxLooks.
type looks struct {
	ctx  context.Context
	down sync.Map // systems, and why
}

func newLooks(ctx context.Context) (l *looks, done func()) {
	ctx, done = context.WithTimeout(ctx, maxLooks)
	return &looks{ctx: ctx}, done
}

func (l *looks) read(from *lifecycle.Service, r Reading) (json.RawMessage, error) {
	if why, is := l.down.Load(r.System); is {
		return nil, why.(error)
	}
	if l.ctx.Err() != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "the looks into other systems take longer than %s", maxLooks).Retryable()
	}
	ctx, cancel := context.WithTimeout(l.ctx, maxReading)
	defer cancel()
	out, err := from.Read(ctx, r.System, r.Kind, r.ID, r.Fields)
	if err != nil && ctx.Err() != nil {
		err = tenure.Errorf(tenure.Unavailable, "%s doesn't answer in time: %w", r.System, err).Retryable()
	}
	if tenure.CanRetry(err) || tenure.CodeOf(err) == tenure.Unavailable {
		l.down.Store(r.System, err)
	}
	return out, err
}
