package clock

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
)

// Reading is one look at a machine's two clocks.
type Reading struct {
	Wall    time.Time
	Running time.Duration // of the monotonic clock, which nobody sets; it stands still while the machine sleeps
}

// Options of a machine's clock. Only File is needed.
type Options struct {
	File     string         // of the heartbeat
	New      bool           // the installation is new: that it has no heartbeat is as it should be
	ReadOnly bool           // write no heartbeat
	Read     func() Reading // nil: this machine's clocks
}

// Machine is the machine's own clock. Its methods may be called from any goroutine.
type Machine struct {
	o      Options
	offset atomic.Int64 // of the wall clock against the monotonic one, when the time was last known to be right

	mu    sync.Mutex
	doubt atomic.Pointer[Doubt]
	last  time.Time     // the last heartbeat's
	next  time.Duration // when the next one is due, by the monotonic clock
	told  bool          // the file has the doubt
}

// Open reads the heartbeat file and holds the machine's clock against it.
func Open(o Options) *Machine {
	if o.Read == nil {
		o.Read = reader()
	}
	m := &Machine{o: o}
	r := o.Read()
	m.offset.Store(offset(r))
	m.next = r.Running
	b, err := readBeat(o.File)
	switch {
	case err == nil && b.Doubt != nil:
		m.last, m.told = b.At, true
		m.doubt.Store(b.Doubt)
	case err == nil:
		m.last = b.At
		m.doubt.Store(between(b.At, r.Wall))
	case tenure.CodeOf(err) != tenure.NotFound:
		m.doubt.Store(&Doubt{Kind: Unusable, Is: r.Wall})
	case !o.New:
		m.doubt.Store(&Doubt{Kind: Lost, Is: r.Wall})
	}
	return m
}

// reader reads this machine's clocks.
func reader() func() Reading {
	start := time.Now()
	return func() Reading {
		now := time.Now()
		return Reading{Wall: now.Round(0), Running: now.Sub(start)}
	}
}

func offset(r Reading) int64 { return r.Wall.UnixMicro() - r.Running.Microseconds() }

// between holds the time at start against the last heartbeat's.
func between(last, now time.Time) *Doubt {
	switch {
	case now.Before(last.Add(-Tolerance)):
		return &Doubt{Kind: Back, Was: last, Is: now}
	case now.After(last.Add(Longest)):
		return &Doubt{Kind: Gap, Was: last, Is: now}
	}
	return nil
}

// Now is the machine's time. A jump is noticed before the time after it is given out.
func (m *Machine) Now() time.Time {
	r := m.o.Read()
	m.look(r)
	return r.Wall
}

// Doubt looks at the clock and says why it is in doubt.
func (m *Machine) Doubt() *Doubt {
	m.look(m.o.Read())
	return m.doubt.Load()
}

// look holds a reading against when the time was last known to be right: many small
// steps count as the large one that they are together.
func (m *Machine) look(r Reading) {
	at := m.offset.Load()
	off := time.Duration(offset(r)-at) * time.Microsecond
	if off <= Tolerance && off >= -Tolerance || m.doubt.Load() != nil {
		return
	}
	d := &Doubt{Kind: Jump, Was: r.Wall.Add(-off), Is: r.Wall}
	if off < 0 {
		d.Kind = Back
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.offset.Load() != at || !m.doubt.CompareAndSwap(nil, d) { // somebody has confirmed it, or noticed it first
		return
	}
	_ = m.write(beat{At: m.last, Doubt: d}) // the next Beat tries again, and says what failed
}

// Confirm ends the doubt. See Clock. The file keeps the doubt until the next Beat.
func (m *Machine) Confirm(said time.Time) (Doubt, error) {
	r := m.o.Read()
	m.look(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.doubt.Load()
	if d == nil {
		return Doubt{}, notInDoubt()
	}
	if err := near(said, r.Wall); err != nil {
		return Doubt{}, err
	}
	m.offset.Store(offset(r))
	m.doubt.Store(nil)
	m.next = r.Running
	return *d, nil
}

// near refuses a time that isn't about the clock's.
func near(said, now time.Time) error {
	if off := now.Sub(said); off > Tolerance || off < -Tolerance {
		return tenure.Errorf(tenure.Invalid, "the machine's clock says %s, and you say that it is %s", now.UTC().Format(time.RFC3339), said.UTC().Format(time.RFC3339)).
			WithHint("set the machine's clock right, then confirm")
	}
	return nil
}

// Beat writes the heartbeat file, at most once a minute; a doubt, once.
func (m *Machine) Beat() error {
	if m.o.ReadOnly {
		return nil
	}
	r := m.o.Read()
	m.look(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.doubt.Load(); d != nil {
		if m.told {
			return nil
		}
		return m.write(beat{At: m.last, Doubt: d})
	}
	if r.Running < m.next {
		return nil
	}
	if err := m.write(beat{At: r.Wall}); err != nil {
		return err
	}
	m.last, m.next = r.Wall, r.Running+every
	return nil
}

func (m *Machine) write(b beat) error {
	if m.o.ReadOnly {
		return nil
	}
	err := writeBeat(m.o.File, b)
	m.told = err == nil && b.Doubt != nil
	return err
}
