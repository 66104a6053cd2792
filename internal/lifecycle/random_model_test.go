package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// departure is one tenant's, with a model that knows nothing of plans and says at each
// call to the system what may go.
type departure struct {
	*rapid.T
	s       *site
	name    string
	op      tenure.OperationID
	tenant  tenure.TenantID
	classes []string
	periods map[string]int // days
	types   map[string]string
	holds   map[string][]string // classes, by the thing's name
	cut     time.Time
	words   map[string][]word // by class
	kept    map[tenure.HoldID]keeping
	ids     map[tenure.ResourceID]string
	gone    map[tenure.ResourceID]bool

	mu    sync.Mutex // of what calls read and write
	armed armed
	kills int
	begun map[string]bool      // by name and class: its erasure has taken rows, and goes on to its end
	went  map[string]bool      // its erasure was seen to have come to its end
	late  map[string]time.Time // when rows came after that
	wrong []string
	trace []string
}

type word struct {
	by string
	at time.Time
}

// keeping is a hold: its scope, and the things of which one more batch may go, since it
// was in flight when the hold came.
type keeping struct {
	tenure.HoldScope
	flying map[string]bool
}

// armed is what happens at a call that is still to come.
type armed struct {
	after int               // so many calls pass first
	kill  string            // before or after the call is carried out, Tenure's process is killed
	hold  *tenure.HoldScope // is placed while the call is under way
}

func newDeparture(rt *rapid.T, s *site, name string) *departure {
	return &departure{
		T: rt, s: s, name: name, periods: map[string]int{}, types: map[string]string{}, holds: map[string][]string{},
		kept: map[tenure.HoldID]keeping{}, ids: map[tenure.ResourceID]string{}, gone: map[tenure.ResourceID]bool{},
		begun: map[string]bool{}, went: map[string]bool{}, late: map[string]time.Time{},
	}
}

func (m *departure) thing(i int) string { return fmt.Sprintf("%s-r%d", m.name, i) }

func (m *departure) must(err error) {
	if err != nil {
		m.Fatalf("%v\n%s", err, m.s.show(m.op))
	}
}

// called stands around each call that destroys.
func (m *departure) called(call string, r connector.Ref, class string, do func() error) error {
	if m.types[r.Name] == "" {
		return do()
	}
	before := m.judge(call, r, class)
	m.mu.Lock()
	now, kills := armed{}, m.kills
	if m.armed.after--; m.armed.after < 0 {
		now, m.armed = m.armed, armed{}
	}
	m.mu.Unlock()
	if now.hold != nil {
		m.hold(*now.hold, &r)
	}
	if now.kill == "before" {
		m.kill()
		return errors.New("killed")
	}
	err := do()
	if now.kill == "after" {
		m.kill()
	}
	th, _ := m.s.world.Get(r.Type, r.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trace = append(m.trace, fmt.Sprintf("%s %s of %s %s: %v, %d rows before and %d after it, %+v", m.s.Now().Format("01-02 15:04:05"), call, r.Name, class, err, before, len(th.Rows[class]), now))
	if k := r.Name + class; call == "erase" {
		m.begun[k] = m.begun[k] || len(th.Rows[class]) < before
		if err == nil && kills == m.kills && len(th.Rows[class]) == 0 {
			m.begun[k], m.went[k] = false, true
			delete(m.late, k)
		}
	}
	return err
}

// judge notes what is wrong with a call, and gives how many rows of the class there are.
func (m *departure) judge(call string, r connector.Ref, class string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.s.Now()
	th, _ := m.s.world.Get(r.Type, r.Name)
	for _, c := range m.holds[r.Name] {
		if call == "erase" && class != c {
			continue
		}
		for id, h := range m.kept {
			if (h.Tenant == "" || h.Tenant == m.tenant) && (h.Class == "" || h.Class == c) && (h.Resource == "" || m.ids[h.Resource] == r.Name) && !h.flying[r.Name] {
				m.harm("%s of %s (%s) under hold %s %+v", call, r.Name, c, id, h)
			}
		}
		if open := m.cut.Add(time.Duration(m.periods[c]) * day); now.Before(open) {
			m.harm("%s of %s at %s: the clock of %s opens at %s", call, r.Name, now, c, open)
		}
		if len(th.Rows[c]) == 0 || call == "delete" && r.Type == "rows" || call == "expire" {
			continue // the deletion of a share takes no rows: it is refused while there are some
		}
		if by := m.fresh(r.Name+c, c, now); by < 2 && !(call == "erase" && m.begun[r.Name+c]) {
			m.harm("%s of %s at %s takes %d rows of %s on the words of %d", call, r.Name, now, len(th.Rows[c]), c, by)
		}
	}
	for _, h := range m.kept {
		delete(h.flying, r.Name)
	}
	return len(th.Rows[class])
}

// fresh is how many persons' words still let a class go from a thing: the counts are
// good for 72 hours, and so is what was said of them; words from before rows came late
// say nothing of those.
func (m *departure) fresh(k, class string, now time.Time) int {
	since := now.Add(-2 * 72 * time.Hour)
	if at := m.late[k]; at.After(since) {
		since = at
	}
	by := map[string]bool{}
	for _, w := range m.words[class] {
		if !w.at.Before(since) {
			by[w.by] = true
		}
	}
	return len(by)
}

func (m *departure) harm(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// wrote notes that an application wrote rows.
func (m *departure) wrote(name, class string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.went[name+class] {
		m.late[name+class] = m.s.Now()
	}
}

// hold places a hold, while a call is under way if one is given.
func (m *departure) hold(scope tenure.HoldScope, during *connector.Ref) {
	ctx := context.Background()
	h, err := m.s.PlaceHold(ctx, tenure.Hold{Matter: "case", Scope: scope}, "counsel")
	k := keeping{scope, map[string]bool{}}
	rows, more := m.s.db.Steps(ctx, m.op)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err = errors.Join(err, more); err != nil {
		m.harm("%v", err)
	}
	for _, r := range rows {
		if name := m.name + "-" + strings.Split(r.Key+"//", "/")[1]; during != nil && r.State == tenure.StepRunning && name != during.Name {
			k.flying[name] = true
		}
	}
	m.kept[h.ID] = k
}

// kill is the end of Tenure's process as the store sees it: what it ran stays claimed
// until its leases have run out, and its answers come too late.
func (m *departure) kill() {
	var ran []store.StepRow
	err := m.s.db.Write(context.Background(), func(tx *store.Tx) (err error) {
		if ran, err = tx.Steps(m.op); err != nil {
			return err
		}
		_, err = tx.Exec(`update step set lease_until = 1, token = token + 1 where operation = $1 and state = 'running'`, string(m.op))
		return err
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kills++
	if err != nil {
		m.harm("%v", err)
	}
	for _, r := range ran { // what had come to its end, and nobody knows of it
		if _, of, ok := strings.Cut(r.Key, "/"); ok && r.State == tenure.StepRunning {
			if k := m.name + "-" + strings.Replace(of, "/erase/", "", 1); m.went[k] {
				m.went[k], m.begun[k] = false, true
			}
		}
	}
}

// look: what is gone stays gone, and what doesn't go on says why.
func (m *departure) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.wrong) > 0 {
		m.Fatalf("%s\n%s\n%v %v\n%s", strings.Join(m.wrong, "\n"), m.s.show(m.op), m.types, m.holds, strings.Join(m.trace, "\n"))
	}
	rows, err := m.s.db.Resources(context.Background(), m.tenant, true)
	m.must(err)
	for _, r := range rows {
		if m.gone[r.ID] && r.State != tenure.ResourceGone {
			m.Fatalf("%s is %s after it was gone\n%s", r.Key, r.State, m.s.show(m.op))
		}
		m.gone[r.ID] = r.State == tenure.ResourceGone
	}
	if v := m.s.view(m.op); (v.State == tenure.OperationWaiting || v.State == tenure.OperationBlocked) && v.Reason == "" {
		m.Fatalf("it is %s and doesn't say why\n%s", v.State, m.s.show(m.op))
	}
}
