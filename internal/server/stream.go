package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	heartbeat    = 15 * time.Second       // between comments on a quiet stream
	glance       = 200 * time.Millisecond // how late a change is seen that woke nobody here
	ringSize     = 8192                   // entries that listeners share
	maxListeners = 2000
	maxOwn       = 50               // streams of one principal
	fewOwn       = 5                // that one may have when most are taken, so that there is room for others
	sendLimit    = 30 * time.Second // of a caller who doesn't read
)

// happened is an entry of the log, read once for all listeners.
type happened struct {
	client.Event
	raw []byte // the event as it is sent
}

// tail reads the log's new entries once for every listener of this process. Each
// listener has a place of its own in it: a slow one falls back to the store, and
// nobody loses anything.
type tail struct {
	db  *store.DB
	gov *governance.Governor

	mu        sync.Mutex
	ring      []happened // contiguous; the last one is entry next-1
	next      int64
	news      chan struct{} // closed when there is more
	listeners int
	own       map[tenure.PrincipalID]int // of them, those of a principal
	stop      func()                     // of the reader, while somebody listens
	ended     chan struct{}
	targets   map[tenure.TenantID]tenure.Target
}

func newTail(db *store.DB, gov *governance.Governor) *tail {
	return &tail{db: db, gov: gov, news: make(chan struct{}), ended: make(chan struct{}), own: map[tenure.PrincipalID]int{}, targets: map[tenure.TenantID]tenure.Target{}}
}

func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.ended:
	default:
		close(t.ended)
	}
}

// join adds a listener and says where the log ends now. One principal has so many, and
// fewer once most are taken; who opened the installation's folder isn't bounded by that.
func (t *tail) join(ctx context.Context, c tenure.Caller) (size int64, leave func(), err error) {
	size, err = t.db.LogSize(ctx)
	if err != nil {
		return 0, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listeners >= maxListeners {
		return 0, nil, tenure.Errorf(tenure.Unavailable, "%d streams are open already", t.listeners).Retryable()
	}
	if n := t.own[c.Principal]; c.Principal != "" && (n >= maxOwn || n >= fewOwn && t.listeners >= maxListeners/2) {
		return 0, nil, tooMany("%d of your event streams are open already", n)
	}
	if t.listeners++; t.listeners == 1 {
		t.start(size)
	}
	t.own[c.Principal]++
	return size, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.own[c.Principal]--; t.own[c.Principal] == 0 {
			delete(t.own, c.Principal)
		}
		if t.listeners--; t.listeners == 0 {
			t.stop()
		}
	}, nil
}

// open is how many streams are open.
func (t *tail) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.listeners
}

// start runs the reader from an entry on. The lock is held.
func (t *tail) start(from int64) {
	ctx, cancel := context.WithCancel(context.Background())
	t.ring, t.next = nil, from
	woken := make(chan struct{}, 1)
	off := t.db.OnWake(func(tenure.OperationID) {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	t.stop = func() { off(); cancel() }
	go func() {
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			t.read(ctx)
			select {
			case <-ctx.Done():
				return
			case <-woken:
			case <-tick.C:
			}
		}
	}()
}

// read takes up what is new.
func (t *tail) read(ctx context.Context) {
	t.mu.Lock()
	from := t.next
	t.mu.Unlock()
	var fresh []happened
	for r, err := range t.db.Entries(ctx, from) {
		if err != nil || r.Index != from+int64(len(fresh)) {
			break // asked again at the next look
		}
		fresh = append(fresh, eventOf(r))
	}
	if len(fresh) == 0 || ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring = append(t.ring, fresh...)
	if over := len(t.ring) - ringSize; over > 0 {
		t.ring = append([]happened(nil), t.ring[over:]...)
	}
	t.next += int64(len(fresh))
	clear(t.targets)
	close(t.news)
	t.news = make(chan struct{})
}

// from gives what there is from an entry on, or a channel that is closed when there
// is. Behind says that the entry must be read from the store.
func (t *tail) from(at int64) (events []happened, news <-chan struct{}, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.next - int64(len(t.ring))
	switch {
	case at >= t.next:
		return nil, t.news, false
	case at < first:
		return nil, nil, true
	}
	return t.ring[at-first:], nil, false
}

// head is the entry that the reader takes up next.
func (t *tail) head() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

// eventOf is an entry as it is sent; one that can't be read is named by its index.
func eventOf(r audit.Record) happened {
	h := happened{Event: client.Event{ID: r.Index, Kind: "other"}}
	if e, err := audit.Decode(r.Entry); err == nil {
		h.Entry, h.At, h.Tenant, h.Operation, h.Subject, h.Data = e.Kind, e.At.UTC().Format(time.RFC3339Nano), e.Tenant, e.Operation, e.Subject, e.Data
		switch noun, _, _ := strings.Cut(e.Kind, "."); noun {
		case "step", "operation", "tenant":
			h.Kind = noun
		}
	}
	h.raw = wire(h.Event)
	return h
}

func wire(e client.Event) []byte {
	data, _ := json.Marshal(e)
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data)
}

// target is what scopes look at of an event's tenant, asked once for all listeners.
func (t *tail) target(ctx context.Context, id tenure.TenantID) tenure.Target {
	t.mu.Lock()
	have, ok := t.targets[id]
	asked := t.next
	t.mu.Unlock()
	if ok {
		return have
	}
	got, err := t.gov.Target(ctx, string(id))
	if err != nil {
		return tenure.Target{Tenant: id}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == asked { // what came meanwhile may have changed it
		t.targets[id] = got
	}
	return got
}

// sender writes events to one listener.
type sender struct {
	x     *exchange
	begun bool
}

func (s *sender) begin() {
	if s.begun {
		return
	}
	s.begun, s.x.live = true, true
	_ = http.NewResponseController(s.x.w).SetWriteDeadline(time.Time{}) // the server's is for answers that end
	h := s.x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.x.w.WriteHeader(http.StatusOK)
}

// errHead ends a stream of which only the head is wanted.
var errHead = errors.New("only the head of the stream is wanted")

// send writes and flushes.
func (s *sender) send(raw []byte) error {
	s.begin()
	if s.x.r.Method == http.MethodHead {
		return errHead
	}
	return letGo(s.x.w, func() error {
		if _, err := s.x.w.Write(raw); err != nil {
			return err
		}
		return http.NewResponseController(s.x.w).Flush()
	})
}

// letGo writes, and cuts off a caller who doesn't read.
func letGo(w http.ResponseWriter, write func() error) error {
	late := time.AfterFunc(sendLimit, func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) })
	defer late.Stop()
	return write()
}

// askAgain is how long a stream tells on without asking whether it still may.
const askAgain = 10 * time.Second

// again asks anew who the caller is and whether they may, for what goes on after
// its answer has begun: a stream ends with its caller's sign-in or grants.
func (c *Call) again(ctx context.Context) error {
	caller, err := c.server.identify(c.x.r, false)
	if err != nil {
		return err
	}
	now := *c
	now.Caller, now.checked = caller, c.Governor.Now()
	if err := c.server.admit(ctx, &now, c.access, c.x.r.PathValue(string(c.access.Reach))); err != nil {
		return err
	}
	*c = now
	return nil
}

// doubtful says whether it must be asked again before an entry is told: it is
// about somebody's access, a grant has ended by itself, or it is a while ago. The
// log has a revocation before all that came after it, so that none of that is told.
func (c *Call) doubtful(h happened) bool {
	switch noun, _, _ := strings.Cut(h.Entry, "."); noun {
	case "grant", "token", "session", "principal", "delegation", "elevation", "breakglass":
		return true
	}
	now := c.Governor.Now()
	return h.Entry == "tenant.labels" && h.Tenant == c.Target.Tenant || now.Sub(c.checked) >= askAgain ||
		slices.ContainsFunc(c.Caller.Grants, func(g tenure.Grant) bool { return !g.Active(now) })
}

// play sends what happens from an entry on, as far as pick wants it, until ctx or
// the server ends, the caller's sign-in or grants do, or pick says that it was the
// last.
func (s *Server) play(ctx context.Context, c *Call, send *sender, at int64, pick func(happened) (wanted, last bool)) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	give := func(h happened) (last bool, err error) {
		if h.Entry == store.RowsEntry { // how rows stand, for an audit: what happened has an entry of its own
			return false, nil
		}
		if c.doubtful(h) {
			if err := c.again(ctx); err != nil {
				return true, err
			}
		}
		wanted, last := pick(h)
		if wanted {
			err = send.send(h.raw)
		}
		return last, err
	}
	if err := send.send([]byte(": open\n\n")); err != nil {
		return err
	}
	for {
		events, news, behind := s.tail.from(at)
		for _, h := range events {
			at = h.ID + 1
			if last, err := give(h); last || err != nil {
				return err
			}
		}
		if behind {
			n, head := 0, s.tail.head() // beyond it a tenant's labels may be others than those that are known
			for r, err := range s.db().Entries(ctx, at) {
				if err != nil || r.Index != at {
					return err
				}
				at++
				if last, err := give(eventOf(r)); last || err != nil {
					return err
				}
				if n++; n == ringSize/2 || at >= head {
					break
				}
			}
			if n == 0 {
				return tenure.Errorf(tenure.Internal, "entry %d of the log isn't there", at)
			}
		}
		if news == nil {
			continue
		}
		select {
		case <-news:
		case <-beat.C:
			if err := c.again(ctx); err != nil {
				return err
			}
			if err := send.send([]byte(": still here\n\n")); err != nil {
				return err
			}
		case <-s.tail.ended:
			return send.send([]byte(": the server stops\n\n"))
		case <-ctx.Done():
			return nil
		}
	}
}
