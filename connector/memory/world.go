package memory

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// World is one system. Its methods are the view and the hands from outside: no
// mark is asked for and no fault strikes them. It may be used by many at once.
type World struct {
	mu     sync.RWMutex
	state  state
	things map[key]*Thing
	keeper *keeper // nil: in memory alone
	flaws  map[Flaw]bool
	hidden bool
	faults
	counts map[string]*atomic.Int64
}

// state is what a world is besides its things.
type state struct {
	Fingerprint string `json:"fingerprint"`
	Sentinel    bool   `json:"sentinel"` // the sentinel and the sentinel neighbour are planted

	Logins []login `json:"logins,omitempty"` // of persons, for a while
}

type key struct{ typ, name string }

func (k key) compare(o key) int {
	if c := strings.Compare(k.typ, o.typ); c != 0 {
		return c
	}
	return strings.Compare(k.name, o.name)
}

// Thing is one entry of a world.
type Thing struct {
	Type        string               `json:"type"`
	Name        string               `json:"name"`
	Mark        string               `json:"mark,omitempty"`
	Attributes  json.RawMessage      `json:"attributes"`
	State       tenure.ResourceState `json:"state"` // present, suspended, revoked, quarantined
	Before      tenure.ResourceState `json:"before,omitempty"`
	Tenant      tenure.TenantID      `json:"tenant,omitempty"`
	Environment string               `json:"environment,omitempty"`
	Credential  []byte               `json:"credential,omitempty"` // SHA-256
	Rows        map[string][]string  `json:"rows,omitempty"`       // by class
	Copies      []connector.Copy     `json:"copies,omitempty"`

	Tallies   map[string]Tally  `json:"tallies,omitempty"`   // by run of an erasure
	Referrers map[string]int64  `json:"referrers,omitempty"` // others' rows that refer to those of a class, and are detached with its last row
	Swallows  map[string]string `json:"swallows,omitempty"`  // by class: a trigger that takes deletes and does nothing
	LockedBy  string            `json:"lockedBy,omitempty"`  // who holds the rows locked
	Places    []connector.Place `json:"places,omitempty"`    // what else the data map finds

	Externals []string  `json:"externals,omitempty"` // what others call it
	CreatedAt time.Time `json:"createdAt,omitzero"`
	SeenAt    time.Time `json:"seenAt,omitzero"` // when it signed in last; sessions and hooks don't

	// Who made it, until somebody else has had a hand on it: its mark is then
	// worked out only when it is looked at, and need not be checked.
	maker *Driver
	owner tenure.ResourceID
}

func (t *Thing) mark() string {
	if t.maker != nil {
		return t.maker.marker.Mark(t.Type, t.owner)
	}
	return t.Mark
}

// seen is a copy that holds all that can be seen from outside, and no more.
func (t *Thing) seen() Thing {
	c := *t
	c.Mark, c.maker, c.owner = t.mark(), nil, ""
	c.Rows, c.Copies = maps.Clone(t.Rows), slices.Clone(t.Copies)
	c.Tallies, c.Referrers, c.Swallows, c.Places = maps.Clone(t.Tallies), maps.Clone(t.Referrers), maps.Clone(t.Swallows), slices.Clone(t.Places)
	return c
}

// NewWorld makes a system with a fingerprint of its own. The word is part of it.
func NewWorld(word string) *World {
	if word == "" {
		word = "world"
	}
	w := &World{
		state:  state{Fingerprint: "memory " + word + " " + rand.Text()},
		things: map[key]*Thing{}, flaws: map[Flaw]bool{}, counts: map[string]*atomic.Int64{},
	}
	for _, c := range calls {
		w.counts[c] = new(atomic.Int64)
	}
	return w
}

// Put sets a thing as it is, marked or not.
func (w *World) Put(t Thing) {
	if t.State == "" {
		t.State = tenure.ResourcePresent
	}
	if len(t.Attributes) == 0 {
		t.Attributes = json.RawMessage("{}")
	}
	t.maker = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.things[key{t.Type, t.Name}] = &t
}

// Get gives a copy of a thing.
func (w *World) Get(typ, name string) (Thing, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	t, ok := w.things[key{typ, name}]
	if !ok {
		return Thing{}, false
	}
	return t.seen(), true
}

// Remove takes a thing away behind the connector's back.
func (w *World) Remove(typ, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.things, key{typ, name})
}

// Tamper changes a thing in place, and says whether there is one.
func (w *World) Tamper(typ, name string, change func(*Thing)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.things[key{typ, name}]
	if !ok {
		return false
	}
	c := t.seen()
	change(&c)
	w.things[key{typ, name}] = &c
	return true
}

// Fill adds rows of a class to a thing.
func (w *World) Fill(typ, name, class string, rows ...string) bool {
	return w.Tamper(typ, name, func(t *Thing) {
		if t.Rows == nil {
			t.Rows = map[string][]string{}
		}
		t.Rows[class] = append(slices.Clip(t.Rows[class]), rows...)
	})
}

// AddCopy adds a copy of a thing that expires.
func (w *World) AddCopy(typ, name string, c connector.Copy) bool {
	return w.Tamper(typ, name, func(t *Thing) { t.Copies = append(slices.Clip(t.Copies), c) })
}

// Things gives copies of all things, ordered by (type, name) in byte order.
func (w *World) Things() []Thing {
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := make([]Thing, 0, len(w.things))
	for _, k := range w.sorted() {
		out = append(out, w.things[k].seen())
	}
	return out
}

// sorted is for one who holds the lock.
func (w *World) sorted() []key {
	return slices.SortedFunc(maps.Keys(w.things), key.compare)
}

// Len is how many things there are.
func (w *World) Len() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return len(w.things)
}

// LoseSentinel removes the sentinel, as an empty replica would show it.
func (w *World) LoseSentinel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Sentinel = false
}

// Hide makes every pass incomplete, as a credential without rights would.
func (w *World) Hide(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden = on
}

// Flaw is a misconfiguration that probes must find.
type Flaw string

const (
	CrossTenant      Flaw = "cross-tenant"      // a credential opens every tenant
	CrossEnvironment Flaw = "cross-environment" // a credential opens all of its tenant's environments
	FreeFeatures     Flaw = "free-features"     // features are open without an entitlement
	OpenToAll        Flaw = "open-to-all"       // no credential is asked for
	OutOfService     Flaw = "out-of-service"    // nobody is let in
)

// Misconfigure plants a flaw, or mends it.
func (w *World) Misconfigure(f Flaw, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flaws[f] = on
}

// Enter tries, as a caller with that credential ("" for none), to use a
// tenant's environment. A refusal is Forbidden or Unauthorized.
func (w *World) Enter(credential string, tenant tenure.TenantID, environment string) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.enter(credential, tenant, environment)
}

func (w *World) enter(credential string, tenant tenure.TenantID, environment string) error {
	if w.flaws[OutOfService] {
		return tenure.Errorf(tenure.Forbidden, "nobody is let in")
	}
	if w.flaws[OpenToAll] {
		return nil
	}
	t := w.holder(credential)
	switch {
	case t == nil:
		return tenure.Errorf(tenure.Unauthorized, "the credential is missing or not known")
	case t.Tenant == tenant && t.Environment == environment, w.flaws[CrossTenant], t.Tenant == tenant && w.flaws[CrossEnvironment]:
		return nil
	}
	return tenure.Errorf(tenure.Forbidden, "the credential is another tenant's or environment's")
}

// Read tries to read a thing: as Enter, and the thing must be in service.
func (w *World) Read(credential, typ, name string) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	t, ok := w.things[key{typ, name}]
	if !ok || t.State != tenure.ResourcePresent {
		return tenure.Errorf(tenure.NotFound, "%s %q isn't there or isn't in service", typ, name)
	}
	if attribute(t, "public") == true {
		return nil
	}
	return w.enter(credential, t.Tenant, t.Environment)
}

// Use tries to use a feature, which takes a setting that entitles the
// credential's tenant and environment to it.
func (w *World) Use(credential, feature string) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	by := w.holder(credential)
	if by == nil {
		return tenure.Errorf(tenure.Unauthorized, "the credential is missing or not known")
	}
	for k, t := range w.things {
		if k.typ == "setting" && t.Tenant == by.Tenant && t.Environment == by.Environment && t.State == tenure.ResourcePresent &&
			attribute(t, "feature") == feature && attribute(t, "value") == true {
			return nil
		}
	}
	if w.flaws[FreeFeatures] {
		return nil
	}
	return tenure.Errorf(tenure.Forbidden, "the tenant isn't entitled to %q", feature)
}

// holder finds the thing in service that a credential belongs to.
func (w *World) holder(credential string) *Thing {
	if credential == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(credential))
	for _, t := range w.things {
		if t.State == tenure.ResourcePresent && subtle.ConstantTimeCompare(t.Credential, sum[:]) == 1 {
			return t
		}
	}
	return nil
}

func attribute(t *Thing, name string) any {
	var m map[string]any
	_ = json.Unmarshal(t.Attributes, &m)
	return m[name]
}

// copiesLeft counts the copies that haven't expired at now.
func copiesLeft(t *Thing, now time.Time) int {
	n := 0
	for _, c := range t.Copies {
		if c.Expires.After(now) {
			n++
		}
	}
	return n
}
