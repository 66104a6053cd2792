package memory

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"sync"
	"sync/atomic"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// calls are the names that Fault.Call and World.Calls know.
var calls = []string{
	"plant", "ensure", "observe", "delete", "discover", "adopt", "leave", "suspend", "resume", "revoke", "quarantine", "unquarantine",
	"export", "erase", "tally", "map", "expire", "probe", "elevate", "unelevate", "elevations", "accounts",
}

// Fault makes calls go wrong. Blank fields match everything. Of DropAnswer,
// Stall and Partial at most one is set; with none of them the call fails with
// Err before anything is done.
type Fault struct {
	Call, Type, Name string // Observe and Discover match if they ask for such a thing

	After int // so many matching calls pass first
	Times int // then so many fail; 0: all of them

	Err        error // nil: Unavailable, and a retry helps
	DropAnswer bool  // the call is carried out and its answer is lost: Err
	Stall      bool  // the call hangs until its context ends
	Partial    bool  // the call is carried out by half: Erase, Observe, Discover and Accounts end early, Ensure leaves the attributes out
}

// faults strike the calls of drivers. The zero value strikes none.
type faults struct {
	rigged atomic.Bool // some rule, seed or outage is set

	faultMu sync.Mutex
	down    bool
	rules   []*rule
	seed    uint64
	rate    float64
	tries   map[[3]string]uint64
}

type rule struct {
	Fault
	seen int
}

// Inject adds a fault. Of several that match, the one that was added first and
// isn't used up strikes.
func (w *World) Inject(f Fault) {
	w.faultMu.Lock()
	defer w.faultMu.Unlock()
	w.rules = append(w.rules, &rule{Fault: f})
	w.rigged.Store(true)
}

// InjectSeed makes the given share of calls fail, half of them after they were
// carried out. Which ones depends on the seed, on what is called for which
// thing, and on how often it was called before, and not on the order among
// different things: the same run fails the same way.
func (w *World) InjectSeed(seed uint64, rate float64) {
	w.faultMu.Lock()
	defer w.faultMu.Unlock()
	w.seed, w.rate, w.tries = seed, rate, map[[3]string]uint64{}
	w.rigged.Store(true)
}

// Down makes the system unreachable, or reachable again.
func (w *World) Down(on bool) {
	w.faultMu.Lock()
	defer w.faultMu.Unlock()
	w.down = on
	w.rigged.Store(true)
}

// Heal takes all faults away.
func (w *World) Heal() {
	w.faultMu.Lock()
	defer w.faultMu.Unlock()
	w.down, w.rules, w.rate = false, nil, 0
	w.rigged.Store(false)
}

// Calls is how often drivers were asked for a call, failed ones included.
func (w *World) Calls(call string) int64 {
	c, ok := w.counts[call]
	if !ok {
		return 0
	}
	return c.Load()
}

// begin counts a call and lets a fault strike it. The fault that it returns
// strikes later; nil is none.
func (w *World) begin(ctx context.Context, call string, refs ...connector.Ref) (*Fault, error) {
	w.counts[call].Add(1)
	if ctx.Err() != nil {
		return nil, ended(ctx, call)
	}
	if err := w.reload(); err != nil {
		return nil, err
	}
	if !w.rigged.Load() {
		return nil, nil
	}
	f, down := w.pick(call, refs)
	switch {
	case down:
		return nil, tenure.Errorf(tenure.Unavailable, "the system doesn't answer").Retryable()
	case f == nil || f.DropAnswer || f.Partial:
		return f, nil
	case f.Stall:
		<-ctx.Done()
		return nil, ended(ctx, call)
	}
	return nil, f.error()
}

func ended(ctx context.Context, call string) error {
	return tenure.Errorf(tenure.Unavailable, "%s: %w", call, context.Cause(ctx)).Retryable()
}

// pick finds the fault that strikes a call.
func (w *World) pick(call string, refs []connector.Ref) (f *Fault, down bool) {
	w.faultMu.Lock()
	defer w.faultMu.Unlock()
	if w.down {
		return nil, true
	}
	for _, r := range w.rules {
		if !r.matches(call, refs) {
			continue
		}
		r.seen++
		if r.seen > r.After && (r.Times == 0 || r.seen <= r.After+r.Times) {
			return &r.Fault, false
		}
	}
	if w.rate > 0 && call != "plant" {
		return w.draw(call, refs), false
	}
	return nil, false
}

func (r *rule) matches(call string, refs []connector.Ref) bool {
	if r.Call != "" && r.Call != call {
		return false
	}
	if r.Type == "" && r.Name == "" {
		return true
	}
	for _, ref := range refs {
		if (r.Type == "" || r.Type == ref.Type) && (r.Name == "" || r.Name == ref.Name) {
			return true
		}
	}
	return false
}

func (w *World) draw(call string, refs []connector.Ref) *Fault {
	k := [3]string{call}
	if len(refs) > 0 {
		k[1], k[2] = refs[0].Type, refs[0].Name
	}
	w.tries[k]++
	h := fnv.New64a()
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], w.seed)
	binary.BigEndian.PutUint64(n[8:], w.tries[k])
	_, _ = h.Write(n[:])
	for _, s := range k {
		_, _ = h.Write([]byte(s + "\x00"))
	}
	x := mix(h.Sum64())
	if float64(x>>11)/(1<<53) >= w.rate {
		return nil
	}
	return &Fault{DropAnswer: mix(x)&1 == 1}
}

// mix spreads the bits of a hash (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func (f *Fault) error() error {
	if f.Err != nil {
		return f.Err
	}
	return tenure.Errorf(tenure.Unavailable, "the system doesn't answer (injected fault)").Retryable()
}

// end is the answer of a call that was carried out.
func (f *Fault) end(err error) error {
	if f != nil && err == nil && (f.DropAnswer || f.Partial) {
		return f.error()
	}
	return err
}

func (f *Fault) partial() bool { return f != nil && f.Partial }
