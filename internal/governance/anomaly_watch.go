package governance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Bounds of what one look reads.
const (
	newEvents  = 1000
	pastEvents = 5000
	pastTries  = 1000            // of refusals, which anybody can make many of
	knownMost  = 10_000          // findings that are known to be written
	lookBack   = 7 * aDay        // at the first look
	overlap    = 3 * time.Minute // events are committed a little after their time, and refusals count on for a minute
)

// Watcher looks for anomalies in what happens at the door and writes each down
// once, as a finding with a notice. Its methods may be called from any goroutine.
type Watcher struct {
	g *Governor

	mu    sync.Mutex
	from  time.Time                 // events before were looked at
	done  map[string]time.Time      // and these, by id
	known map[tenure.FindingID]bool // findings that are written
}

// Watcher makes one.
func (g *Governor) Watcher() *Watcher {
	return &Watcher{g: g, done: make(map[string]time.Time), known: make(map[tenure.FindingID]bool)}
}

// Tick looks at the events since the last one. It may be repeated: an anomaly
// that was written down before isn't again, even if it was resolved since.
func (w *Watcher) Tick(ctx context.Context, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from.IsZero() {
		w.from = now.Add(-lookBack)
	}
	for {
		events, err := w.g.o.DB.AccessEventsAfter(ctx, watchedKinds, w.from, newEvents)
		if err != nil {
			return err
		}
		for _, e := range events {
			seen := e.ID + e.Detail // a count that has grown is looked at again
			if _, ok := w.done[seen]; ok {
				continue
			}
			if w.told(e) {
				w.done[seen] = e.At
				continue
			}
			c, err := w.caseOf(ctx, e)
			if err != nil {
				return err
			}
			if err := w.report(ctx, c.Anomalies(), now); err != nil {
				return err
			}
			w.done[seen] = e.At
		}
		full := len(events) == newEvents && events[len(events)-1].At.After(w.from)
		if full {
			w.from = events[len(events)-1].At
		} else if settled := now.Add(-overlap); settled.After(w.from) {
			w.from = settled
		}
		for id, at := range w.done {
			if at.Before(w.from) {
				delete(w.done, id)
			}
		}
		if !full {
			return nil
		}
	}
}

// told says that a refusal has nothing to add: what can be said of it is written down
// for this day. So a flood of them costs little.
func (w *Watcher) told(e store.AccessEvent) bool {
	day := Case{Event: e}.day()
	switch e.Kind {
	case tenure.EventRefused:
		return w.known[Anomaly{Rule: sprayed, Occurrence: day}.finding().ID]
	case tenure.EventDenied:
		return w.known[Anomaly{Rule: probed, Principal: e.Principal, Occurrence: day}.finding().ID]
	}
	return false
}

// caseOf reads what an event is judged by.
func (w *Watcher) caseOf(ctx context.Context, e store.AccessEvent) (Case, error) {
	c := Case{Event: e}
	db := w.g.o.DB
	// Refusals are anybody's to make, so they are kept out of the rest: many of them
	// must not push out what the others are compared with.
	isRefusal := func(k string) bool { return k == tenure.EventRefused || k == tenure.EventDenied }
	kinds, span, limit := []string{e.Kind}, 10*time.Minute, pastTries
	if !isRefusal(e.Kind) {
		limit, span = pastEvents, store.AccessEventsKept
		kinds = slices.DeleteFunc(slices.Clone(watchedKinds), isRefusal)
	}
	var err error
	if c.Past, err = db.AccessEventsOf(ctx, e.Principal, kinds, e.At.Add(-span), e.At, limit); err != nil {
		return c, err
	}
	c.Past = slices.DeleteFunc(c.Past, func(o store.AccessEvent) bool { return o.ID == e.ID })
	switch e.Kind {
	case tenure.EventRefused:
		c.Around, err = db.AccessEventsAfter(ctx, []string{tenure.EventRefused}, e.At.Add(-10*time.Minute), pastTries)
		c.Around = slices.DeleteFunc(c.Around, func(o store.AccessEvent) bool { return o.At.After(e.At) || o.ID == e.ID })
	case tenure.EventErase, tenure.EventApproval:
		c.Around, err = db.AccessEventsAfter(ctx, []string{tenure.EventHoldRelease}, e.At.Add(-releaseToErase), newEvents)
	case tenure.EventElevation, tenure.EventBreakGlass:
		c.KnownSince, err = db.FirstAccessEvent(ctx, watchedKinds)
	case tenure.EventSignIn:
		c.Roles, err = w.roles(ctx, e)
	}
	return c, err
}

// roles are those that a principal has by grants; who isn't known has none.
func (w *Watcher) roles(ctx context.Context, e store.AccessEvent) ([]tenure.Role, error) {
	p, err := w.g.o.DB.Principal(ctx, e.Principal)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	grants, err := w.g.o.DB.Grants(ctx, p.ID, false)
	var out []tenure.Role
	for _, g := range grants {
		if g.Active(e.At) && !slices.Contains(out, g.Role) {
			out = append(out, g.Role)
		}
	}
	return out, err
}

// report writes anomalies down: a finding, a notice and an audit entry, in one
// transaction.
func (w *Watcher) report(ctx context.Context, found []Anomaly, now time.Time) error {
	for _, a := range found {
		f := a.finding()
		if w.known[f.ID] {
			continue
		}
		e, err := w.g.o.Entry(ctx, "anomaly", "", a.Tenant, "", string(f.ID), map[string]string{"rule": a.Rule, "severity": string(a.Severity)})
		if err != nil {
			return err
		}
		err = w.g.o.DB.Write(ctx, func(tx *store.Tx) error {
			added, err := tx.AddAnomaly(f)
			if err != nil || !added {
				return err
			}
			n := store.Notice{ID: "anomaly/" + string(f.ID), Kind: tenure.NoticeAnomaly, Tenant: a.Tenant, Recipient: noticed, Body: a.words(), CreatedAt: now}
			if err := tx.AddNotice(n); err != nil {
				return err
			}
			if slices.Contains(needsMore, a.Rule) { // gates that wait say at once that they ask for more
				if err := tx.PokeWaits(f.ID, now); err != nil {
					return err
				}
			}
			return tx.Log(e)
		})
		if err != nil {
			return err
		}
		if len(w.known) >= knownMost {
			clear(w.known)
		}
		w.known[f.ID] = true
	}
	return nil
}

// finding is the anomaly as a finding. Its id follows from what it is, so the same
// one is never written twice.
func (a Anomaly) finding() tenure.Finding {
	id := tenure.DeriveID[tenure.FindingID](a.occurred(), "anomaly", a.Rule, a.Principal, string(a.Tenant), a.Occurrence)
	return tenure.Finding{
		ID: id, Kind: tenure.FindingAnomaly, Severity: a.Severity, Tenant: a.Tenant, Type: a.Rule, Name: a.Principal, Field: a.Occurrence,
		Want: a.Baseline, Got: a.Seen, Detail: a.Explanation, SeenAt: a.At,
	}
}

// occurred is the moment of the occurrence, whichever event it was seen by.
func (a Anomaly) occurred() time.Time {
	for _, layout := range []string{"2006-01-02", time.RFC3339Nano} {
		if at, err := time.Parse(layout, a.Occurrence); err == nil {
			return at
		}
	}
	return a.At
}

func (a Anomaly) words() string {
	return fmt.Sprintf("%s (%s): %s. Usual: %s. Seen: %s.", a.Rule, a.Severity, a.Explanation, a.Baseline, a.Seen)
}

// weighs is how long an open anomaly weighs on what its principal asks for.
const weighs = 7 * aDay

// RequiresMore says how many more persons must approve what a principal asks for,
// why, and until when: one while an anomaly of theirs from the last seven days stands
// open. A waiver ends it.
func (g *Governor) RequiresMore(ctx context.Context, principal string, now time.Time) (n int, why string, until time.Time, err error) {
	if principal == "" {
		return 0, "", until, nil
	}
	found, err := g.o.DB.Anomalies(ctx, principal, now.Add(-weighs), now)
	if err != nil {
		return 0, "", until, err
	}
	for _, f := range found {
		if slices.Contains(needsMore, f.Type) {
			return 1, "finding " + string(f.ID) + " stands: " + f.Detail, f.SeenAt.Add(weighs + time.Microsecond), nil
		}
	}
	return 0, "", until, nil
}

// ExtraApprovals says how many more persons than its plan says must approve an
// operation, why, and until when: one while an anomaly stands open of who requested
// it or of who signed it. It looks at what is new first, so that a word given too
// quickly counts before the gate opens. It is what engine.Engine.Extra takes.
func (w *Watcher) ExtraApprovals(ctx context.Context, op tenure.Operation) (n int, why string, until time.Time, err error) {
	now := w.g.Now()
	if err := w.Tick(ctx, now); err != nil {
		return 0, "", until, err
	}
	signed, err := w.g.o.DB.Approvals(ctx, op.ID)
	if err != nil {
		return 0, "", until, err
	}
	names := []string{op.RequestedBy}
	for _, a := range signed {
		if !tenure.NamesPerson(names, a.By) && !strings.HasPrefix(a.By, tenure.StandingSigner) {
			names = append(names, a.By)
		}
	}
	for _, name := range names {
		if n, why, until, err = w.g.RequiresMore(ctx, name, now); err != nil || n > 0 {
			return n, why, until, err
		}
	}
	return 0, "", until, nil
}
