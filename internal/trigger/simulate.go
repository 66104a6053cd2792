package trigger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Test says what rules must do. It stands in their file.
type Test struct {
	Name    string                `json:"name"`
	Tenants map[string]TestTenant `json:"tenants"` // by what the source calls the customer
	Events  []TestEvent           `json:"events"`
	Until   string                `json:"until"`
	Expect  []string              `json:"expect"` // what is asked for, in order
	Held    []string              `json:"held"`   // words of why events are held, in order
	Told    []string              `json:"told"`   // recipients of the rules' notices, in order
}

// TestTenant is a tenant that there is.
type TestTenant struct {
	Name        string             `json:"name"`
	State       tenure.TenantState `json:"state"` // default active
	ContractEnd string             `json:"contractEnd"`
}

// TestEvent is an event of a test. What isn't given is made up: an id of its own, and a
// moment after the one before.
type TestEvent struct {
	Source  string          `json:"source"`
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Subject string          `json:"subject"`
	Version string          `json:"version"`
	At      string          `json:"at"`
	Data    json.RawMessage `json:"data"`
	Current json.RawMessage `json:"current"` // what the rule's read gives; null: it isn't there
}

// Outcome is what became of an event in a simulation.
type Outcome struct {
	Event Event
	Rule  string
	State store.InboundState
	Why   string
	Asked string   // such as "suspend acme"; "" if nothing
	Gives string   // such as "tier team, feature reports"
	Told  []string // recipients of the rule's notices
}

// simulation is a model of what events lead to: every request succeeds at once.
type simulation struct {
	sets      []*Set
	now       time.Time
	customers map[string]*customer // by what a source calls them
	subjects  map[string]heeded
	seen      map[string]bool
	started   []departure
	awaiting  []awaiting
	out       []Outcome
	tenants   int
}

// awaiting is an event that waits for its customer's tenant, since a moment.
type awaiting struct {
	event Event
	since time.Time
}

type customer struct {
	store.TriggerCustomer
	tenant *Tenant
}

type heeded struct {
	version string
	at      time.Time
}

type departure struct {
	set string
	at  time.Time
}

func newSimulation(sets []*Set) *simulation {
	return &simulation{sets: sets, customers: map[string]*customer{}, subjects: map[string]heeded{}, seen: map[string]bool{}}
}

// Simulate says what events lead to, one after the other in this order, for customers that
// have no tenant at first, each request carried out at once. received is when each came.
// One that takes more than a while is Unavailable.
func Simulate(ctx context.Context, sets []*Set, events []Event, received []time.Time, until time.Time) ([]Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, maxSimulation)
	defer cancel()
	s := newSimulation(sets)
	for i, e := range events {
		if ctx.Err() != nil {
			return nil, tenure.Errorf(tenure.Unavailable, "that takes longer than %s: %d of %d events were looked at", maxSimulation, i, len(events)).WithHint("take events from a later moment on")
		}
		s.pass(received[i])
		s.take(e)
	}
	s.pass(until)
	return s.out, nil
}

// maxSimulation bounds how long events are tried that nobody waits for but who asks: their
// conditions are a stranger's.
const maxSimulation = 20 * time.Second

// Try runs the tests of a set, and gives what each asked for in vain: a text for each test
// that fails.
func (set *Set) Try() (failures []string) {
	ctx, cancel := context.WithTimeout(context.Background(), maxSimulation)
	defer cancel()
	for i, t := range set.Tests {
		if ctx.Err() != nil {
			return append(failures, fmt.Sprintf("the tests take longer than %s: %d of %d were run", maxSimulation, i, len(set.Tests)))
		}
		if why := set.try(t); why != "" {
			failures = append(failures, t.Name+": "+why)
		}
	}
	return failures
}

func (set *Set) try(t Test) string {
	s := newSimulation([]*Set{set})
	s.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if len(t.Events) > 0 && t.Events[0].At != "" {
		s.now, _ = moment(t.Events[0].At)
	}
	for _, key := range slices.Sorted(maps.Keys(t.Tenants)) {
		one := t.Tenants[key]
		c := s.customer(key)
		s.tenants++
		c.tenant = &Tenant{ID: tenure.TenantID(fmt.Sprintf("ten_%d", s.tenants)), Name: one.Name, State: cmp.Or(one.State, tenure.TenantActive)}
		if end, err := moment(one.ContractEnd); err == nil {
			c.ContractEnd = end
		}
	}
	for i, given := range t.Events {
		e := Event{Source: given.Source, Type: given.Type, ID: cmp.Or(given.ID, fmt.Sprintf("event-%d", i+1)), Subject: given.Subject, Version: given.Version, At: s.now.Add(time.Second), Data: given.Data, Current: given.Current}
		if at, err := moment(given.At); err == nil && !at.IsZero() {
			e.At = at
		}
		if e.At.After(s.now) {
			s.pass(e.At)
		}
		s.take(e)
	}
	if until, err := moment(t.Until); err == nil && !until.IsZero() {
		s.pass(until)
	}
	var asked, held, told []string
	for _, o := range s.out {
		if o.State == store.InboundHeld {
			held = append(held, o.Why)
		}
		told = append(told, o.Told...)
		if o.Asked == "" {
			continue
		}
		one := o.Asked
		if n := len(asked); n < len(t.Expect) && strings.Contains(t.Expect[n], " with ") && o.Gives != "" {
			one += " with " + o.Gives
		}
		asked = append(asked, one)
	}
	why := ""
	if !slices.Equal(asked, t.Expect) && len(asked)+len(t.Expect) > 0 {
		why = fmt.Sprintf("got [%s], expected [%s]", strings.Join(asked, ", "), strings.Join(t.Expect, ", "))
	} else if t.Held != nil && !slices.EqualFunc(held, t.Held, strings.Contains) {
		why = fmt.Sprintf("got what is held for [%s], expected [%s]", strings.Join(held, "; "), strings.Join(t.Held, "; "))
	}
	if t.Told != nil && !slices.Equal(told, t.Told) && len(told)+len(t.Told) > 0 {
		if why != "" {
			why += "; "
		}
		why += fmt.Sprintf("told [%s], expected [%s]", strings.Join(told, ", "), strings.Join(t.Told, ", "))
	}
	if why == "" {
		return ""
	}
	for _, o := range s.out {
		why += fmt.Sprintf("\n    %s %s: %s: %s", o.Event.Source, o.Event.Type, o.State, o.Why)
	}
	return why
}

func (s *simulation) customer(key string) *customer {
	c := s.customers[key]
	if c == nil {
		c = &customer{TriggerCustomer: store.TriggerCustomer{Key: key}}
		s.customers[key] = c
	}
	return c
}

// whose is the customer whom a source calls so, or who is known by that as an external id.
func (s *simulation) whose(source, key string) *customer {
	if own := s.customers[source+"\x00"+key]; own != nil && own.tenant != nil {
		return own
	}
	if other := s.customers[key]; other != nil {
		return other
	}
	return s.customer(source + "\x00" + key)
}

// pass moves the time on, and lets what is due on the way happen.
func (s *simulation) pass(to time.Time) {
	for {
		key, e, at := s.next(to)
		if key == "" {
			break
		}
		if at.After(s.now) {
			s.now = at
		}
		s.decide(e, s.customers[key])
	}
	if to.After(s.now) {
		s.now = to
	}
}

// next is the event of time that is due first, at the latest at to.
func (s *simulation) next(to time.Time) (key string, first Event, at time.Time) {
	better := func(k string, due time.Time, event func() Event) {
		if due.After(to) || key != "" && !due.Before(at) {
			return
		}
		if e := event(); !s.seen[Clock+" "+e.ID] {
			key, first, at = k, e, due
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.customers)) {
		c := s.customers[k]
		if c.tenant == nil {
			continue
		}
		if !c.GraceUntil.IsZero() {
			better(k, c.GraceUntil, func() Event { return graceEvent(c.TriggerCustomer) })
		}
		if !c.ContractEnd.IsZero() && !leaving(c.tenant.State) {
			for _, set := range s.sets {
				for i := range set.Rules {
					if r := &set.Rules[i]; r.Ends != nil {
						due := r.Ends.Due(c.ContractEnd)
						better(k, due, func() Event { return contractEvent(set, r, c.TriggerCustomer, due) })
					}
				}
			}
		}
	}
	return key, first, at
}

// graceEvent is the event that a customer's grace has ended.
func graceEvent(c store.TriggerCustomer) Event {
	return Event{Source: Clock, Type: GraceEnded, ID: GraceEnded + "/" + c.Key + "/" + stamp(c.GraceUntil), Subject: c.GraceRule, At: c.GraceUntil, Data: dataOf(c.Key, time.Time{})}
}

// dataOf is the data of an event of time.
func dataOf(key string, contractEnd time.Time) json.RawMessage {
	d := struct {
		Key         string `json:"key"`
		ContractEnd string `json:"contractEnd,omitempty"`
	}{Key: key}
	if !contractEnd.IsZero() {
		d.ContractEnd = stamp(contractEnd)
	}
	b, _ := json.Marshal(d) // of texts alone
	return b
}

// keyOf is the key of the customer whom an event of time is about.
func keyOf(data []byte) string {
	var d struct {
		Key string `json:"key"`
	}
	_ = json.Unmarshal(data, &d) // it is Tenure's own, and vouched for
	return d.Key
}

// contractEvent is the event that a rule for the end of a customer's contract is due.
func contractEvent(set *Set, r *Rule, c store.TriggerCustomer, due time.Time) Event {
	return Event{
		Source: Clock, Type: ContractEnds, ID: ContractEnds + "/" + set.Name + "/" + r.Name + "/" + c.Key + "/" + stamp(c.ContractEnd), Subject: set.Name + "/" + r.Name, At: due,
		Data: dataOf(c.Key, c.ContractEnd),
	}
}

// take has an event that came decided.
func (s *simulation) take(e Event) {
	if s.seen[e.Source+" "+e.ID] {
		s.out = append(s.out, Outcome{Event: e, State: store.InboundIgnored, Why: "it came before"})
		return
	}
	s.decide(e, nil)
}

func (s *simulation) decide(e Event, c *customer) {
	s.seen[e.Source+" "+e.ID] = true
	o := Outcome{Event: e}
	var then []awaiting // what waited for what this brings
	defer func() {
		s.out = append(s.out, o)
		for _, w := range then {
			if s.now.Sub(w.since) < patience {
				s.out = slices.DeleteFunc(s.out, func(o Outcome) bool { return o.Event.Source == w.event.Source && o.Event.ID == w.event.ID })
				s.decide(w.event, nil)
			}
		}
	}()
	m, why, err := Find(s.sets, e)
	if m != nil {
		o.Rule = m.Name()
	}
	switch {
	case err != nil:
		o.State, o.Why = store.InboundFailed, err.Error()
		return
	case m == nil:
		o.State, o.Why = store.InboundIgnored, why
		return
	}
	if c == nil {
		c = s.whose(e.Source, m.Customer)
	}
	subject := m.subject(e)
	k := Known{Now: s.now, Tenant: c.tenant, Customer: c.TriggerCustomer, Version: s.subjects[subject].version, At: s.subjects[subject].at}
	k.Of = func(id string) (Other, error) {
		if other := s.customers[id]; other != nil {
			return Other{Tenant: other.tenant, EndedAt: other.EndedAt}, nil
		}
		var out Other
		for key, other := range s.customers { // that a source calls so, and who never had a tenant
			if strings.HasSuffix(key, "\x00"+id) && other.tenant == nil && other.EndedAt.After(out.EndedAt) {
				out.EndedAt = other.EndedAt
			}
		}
		return out, nil
	}
	k.Taken = func(name string) (bool, error) {
		for _, other := range s.customers {
			if other != c && other.tenant != nil && other.tenant.Name == name {
				return true, nil
			}
		}
		return false, nil
	}
	k.Read = func(r Reading) (json.RawMessage, error) {
		switch {
		case e.Current == nil:
			return nil, tenure.Errorf(tenure.Unavailable, "it goes by the %s %s as %s has it now (current of a test's event), and nothing says that here", r.Kind, r.ID, r.System)
		case string(e.Current) == "null":
			return nil, tenure.Errorf(tenure.NotFound, "%s has no %s %s", r.System, r.Kind, r.ID)
		}
		return e.Current, nil
	}
	d, err := m.Decide(e, k)
	if un := (unread{}); errors.As(err, &un) {
		o.State, o.Why = store.InboundHeld, err.Error()
		return
	}
	if err != nil {
		o.State, o.Why = store.InboundFailed, err.Error()
		return
	}
	started := 0
	for _, d := range s.started {
		if d.set == m.Set.Name && d.at.After(s.now.Add(-time.Hour)) {
			started++
		}
	}
	d = m.within(started, k, d)
	if d.Awaits {
		s.awaiting = append(s.awaiting, awaiting{e, s.now})
	}
	o.State, o.Why = d.State, d.Why
	if d.Customer != nil {
		c.TriggerCustomer = *d.Customer
	}
	if d.Heeded {
		s.subjects[subject] = heeded{e.Version, e.At}
	}
	for _, n := range d.Notices {
		o.Told = append(o.Told, n.To)
	}
	if d.Act != nil {
		o.Asked, o.Gives = s.carryOut(m, d.Act, c), gives(d.Act.Intent)
	}
	if d.Act != nil && d.Again {
		then = []awaiting{{e, s.now}}
		next := o
		o = Outcome{Event: Event{Source: e.Source, ID: e.ID + " (first)", Type: e.Type, At: e.At}, Rule: next.Rule, State: next.State, Why: next.Why, Asked: next.Asked}
		return
	}
	if d.Act != nil && d.Act.Intent.Kind == tenure.Onboard {
		then, s.awaiting = s.awaiting, nil
	}
}

// carryOut has a request succeed at once, and says it in two words.
func (s *simulation) carryOut(m *Match, a *Act, c *customer) string {
	switch in := a.Intent; {
	case a.Incident != nil:
		return "incident " + c.tenant.Name
	case a.Withdraw != "":
		c.tenant.Leaves, c.tenant.Ours = "", false
		if c.tenant.State != tenure.TenantSuspended {
			c.tenant.State = tenure.TenantTransition
		}
		return "withdraw " + c.tenant.Name
	case in.Kind == tenure.Onboard:
		s.tenants++
		c.tenant = &Tenant{ID: tenure.TenantID(fmt.Sprintf("ten_%d", s.tenants)), Name: in.Tenant, State: tenure.TenantActive}
		c.EndedAt = time.Time{}
		for _, id := range a.Known.ExternalIDs { // the other sources know it by these
			if other := s.customers[id]; other == nil || other.tenant == nil {
				s.customers[id] = c
			}
		}
	case in.Kind == tenure.Suspend:
		c.tenant.State, c.tenant.Suspended = tenure.TenantSuspended, true
	case in.Kind == tenure.Resume, in.Kind == tenure.Reinstate:
		c.tenant.State = tenure.TenantActive
	case in.Kind == tenure.Offboard:
		c.tenant.Leaves, c.tenant.Ours = "op", true // it waits for its approvals
		s.started = append(s.started, departure{m.Set.Name, s.now})
	}
	return string(a.Intent.Kind) + " " + c.tenant.Name
}
