package trigger

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Door is how requests are made in a principal's name, by the same rules as over the API. Who
// isn't a machine, is disabled or may not is Forbidden.
type Door interface {
	// Request starts what an intent asks for. Its trigger gives the same operation again.
	Request(ctx context.Context, as string, in lifecycle.Intent) (store.OperationRow, error)
	// Cancel cancels an operation.
	Cancel(ctx context.Context, as string, op tenure.OperationID) error
	// Know adds to what a tenant is known by; the same again changes nothing. One that somebody
	// has changed meanwhile is Conflict.
	Know(ctx context.Context, as string, tenant tenure.TenantID, known tenure.KnownBy) error
	// Report notes an incident of a tenant.
	Report(ctx context.Context, as string, tenant tenure.TenantID, i store.Incident) error
}

// perSecond is how many events one source may send in a second; twice as many at once.
const perSecond = 5000

// Options are what an Intake is made of. DB and Service are needed.
type Options struct {
	DB      *store.DB
	Service *lifecycle.Service
	Sources map[string]event.Source // by name; SetSources puts others in their place
	Leave   bool                    // customers can ask to leave themselves: lifecycle.LeaveSource is a source, which nobody sends to
	Log     *slog.Logger

	Count   func(source, outcome string) // called for each event that came (received) and that was decided; may be nil
	Refused func(source, reason string)  // called for each request that was refused; may be nil
}

// Intake keeps what other systems tell, and turns it into requests.
type Intake struct {
	o       Options
	now     func() time.Time
	wake    chan struct{}
	working sync.Mutex // one pass at a time

	looked time.Time // for contracts that end; under working
	looks  *looks

	mu      sync.Mutex
	sources map[string]event.Source
	rates   map[string]*rate.Limiter
	last    int64 // the millisecond of the last id, and how many it has
	count   int
	sets    map[string]*Set // by digest
	door    Door
}

// sourceName is what a rule may write as its source, as its schema has it.
var sourceName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)

// New makes an intake. A source that lacks what its scheme needs is Invalid.
func New(o Options) (*Intake, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	i := &Intake{o: o, now: o.Service.Now, wake: make(chan struct{}, 1), rates: map[string]*rate.Limiter{}, sets: map[string]*Set{}, looks: newLooks(o.Service.Now)}
	return i, i.SetSources(o.Sources)
}

// SetSources has other sources than before count from now on. One that lacks what its scheme needs is
// Invalid, and those before stay.
func (i *Intake) SetSources(sources map[string]event.Source) error {
	for name, s := range sources {
		if name == Clock {
			return tenure.Errorf(tenure.Invalid, "events: `%s` is reserved", Clock).WithHint("give the source another name")
		}
		if i.o.Leave && name == lifecycle.LeaveSource {
			return tenure.Errorf(tenure.Invalid, "events: `%s` is reserved for what customers themselves ask, since leave.page is on", name).WithHint("give the source another name")
		}
		if !sourceName.MatchString(name) {
			return tenure.Errorf(tenure.Invalid, "events: no rule can name the source %.60q", name).WithHint("a name has up to 40 lower-case letters, digits and hyphens, and begins with a letter")
		}
		if err := s.Check(); err != nil {
			return tenure.Errorf(tenure.Invalid, "events: %w", err)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sources = sources
	return nil
}

// Open says how requests are made from now on. Until then events are kept and not decided.
func (i *Intake) Open(d Door) {
	i.mu.Lock()
	i.door = d
	i.mu.Unlock()
	i.signal()
}

func (i *Intake) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Source finds a source by its name; an unknown one is NotFound.
func (i *Intake) Source(name string) (event.Source, error) {
	i.mu.Lock()
	s, ok := i.sources[name]
	i.mu.Unlock()
	if !ok {
		return s, tenure.Errorf(tenure.NotFound, "there is no source of events of this name")
	}
	return s, nil
}

// Names are those of the sources, of Clock, and of lifecycle.LeaveSource where there is it.
func (i *Intake) Names() []string {
	i.mu.Lock()
	out := append(slices.Sorted(maps.Keys(i.sources)), Clock)
	i.mu.Unlock()
	if i.o.Leave {
		out = append(out, lifecycle.LeaveSource)
	}
	return out
}

// Known says whether events can come from a source of this name.
func (i *Intake) Known(name string) bool { return slices.Contains(i.Names(), name) }

// ErrTooMany is more than a source may send (429, RFC 6585 §4): it may send it again later.
var ErrTooMany error = tenure.Errorf(tenure.Unavailable, "the source sends more events than it may").Retryable()

// Receive verifies what came from a source, and keeps its events durably before it
// answers. What isn't the source's is Unauthorized, what is more than it may send is
// Unavailable and may be tried again.
func (i *Intake) Receive(ctx context.Context, name string, r event.Request) error {
	s, err := i.Source(name)
	if err != nil {
		return err
	}
	now := i.now()
	events, err := s.Receive(r, now)
	if err != nil {
		return err
	}
	if !i.limiter(name).AllowN(now, max(len(events), 1)) {
		return fmt.Errorf("%w: %d a second", ErrTooMany, perSecond)
	}
	added := 0
	rows := make([]store.Inbound, len(events))
	for n, e := range events {
		rows[n] = store.Inbound{ID: i.nextID(now), Source: name, ExternalID: e.ID, Type: e.Type, Subject: e.Subject, Version: e.Version, HappenedAt: e.At, ReceivedAt: now, Body: e.Data}
	}
	err = i.o.DB.Write(ctx, func(tx *store.Tx) error {
		added = 0
		for _, row := range rows {
			is, err := tx.Receive(row)
			if err != nil {
				return err
			}
			if is {
				added++
			}
		}
		return nil
	})
	if err == nil && added > 0 {
		i.counted(name, store.InboundReceived, added)
		i.signal()
	}
	return err
}

// nextID makes an id that comes after all that this process has made.
func (i *Intake) nextID(now time.Time) tenure.InboundID {
	i.mu.Lock()
	defer i.mu.Unlock()
	if ms := now.UnixMilli(); ms > i.last {
		i.last, i.count = ms, 0
	} else if i.count++; i.count == 1<<12 {
		i.last, i.count = i.last+1, 0
	}
	return tenure.NewOrderedID[tenure.InboundID](time.UnixMilli(i.last), i.count)
}

func (i *Intake) limiter(name string) *rate.Limiter {
	i.mu.Lock()
	defer i.mu.Unlock()
	l := i.rates[name]
	if l == nil {
		l = rate.NewLimiter(perSecond, 2*perSecond)
		i.rates[name] = l
	}
	return l
}

// Refused counts a request that was refused, by one of a few reasons.
func (i *Intake) Refused(source, reason string) {
	if i.o.Refused != nil {
		i.o.Refused(source, reason)
	}
}

// counted counts events by where they have come to.
func (i *Intake) counted(source string, state store.InboundState, n int) {
	for ; i.o.Count != nil && n > 0; n-- {
		i.o.Count(source, string(state))
	}
}

// Run decides events as they come, until the context ends.
func (i *Intake) Run(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	defer i.looks.under.Wait()
	for {
		if i.o.DB.Await(ctx) != nil {
			return nil
		}
		if err := i.Work(ctx); err != nil && ctx.Err() == nil && !i.o.DB.Outlast(ctx, err) {
			i.o.Log.Error("events", "code", tenure.CodeOf(err), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-i.wake:
		case <-tick.C:
		}
	}
}
