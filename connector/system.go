package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// System is one opened system as its callers see it. It lets at most Limit
// calls run at once, refuses to change a system that isn't the one that was
// recorded, and turns observations into verdicts.
type System struct {
	Name        string
	Info        Info
	Fingerprint string           // recorded when the system was added
	Prices      map[string]int64 // minor units a month, by price key
	Currency    string           // ISO 4217
	Observer    Observer         // told of each call to the driver; nil is nobody

	// Renew is called when the system may have refused the credential: it looks for another
	// one, and has it take over by Swap. Nil: there is never another.
	Renew func(ctx context.Context)

	slots chan struct{}
	lines lines
	turns Turns // of calls that change one thing
}

// NewSystem wraps an opened driver. A limit below 1 counts as 8.
func NewSystem(name string, info Info, d Driver, fingerprint string, limit int) *System {
	if limit < 1 {
		limit = 8
	}
	return &System{Name: name, Info: info, Fingerprint: fingerprint, slots: make(chan struct{}, limit), lines: lines{current: &line{driver: d}}}
}

// Limit is how many calls may run at once.
func (s *System) Limit() int { return cap(s.slots) }

// Driver gives the conformance suite the bare driver.
func (s *System) Driver() Driver { return s.now().driver }

// Close lets go of the system.
func (s *System) Close() error { return s.now().driver.Close() }

// Observer is told that a call to a system's driver begins, and gives what to call
// with how it ended. Method is a word of the contract: ensure, observe, delete, ….
type Observer func(ctx context.Context, s *System, method string) (end func(error))

// observed runs f and tells who observes. Name begins with the method.
func (s *System) observed(ctx context.Context, l *line, name string, f func(d Driver) error) error {
	if s.Observer == nil {
		return s.veil().Err(f(l.driver))
	}
	method, _, _ := strings.Cut(name, " ")
	end := s.Observer(ctx, s, method)
	err := s.veil().Err(f(l.driver))
	end(err)
	return err
}

func (s *System) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, tenure.Errorf(tenure.Unavailable, "system %s: %w", s.Name, context.Cause(ctx)).Retryable()
	}
}

// identify makes sure, once for each connection that held, that the system is
// the recorded one. After an Unavailable error it is asked again.
func (s *System) identify(ctx context.Context, l *line) error {
	s.lines.mu.Lock()
	known := l.identified
	s.lines.mu.Unlock()
	if known {
		return nil
	}
	sight, err := l.driver.Observe(ctx, nil, func(Observed) error { return nil })
	if err != nil {
		return s.wrap(l, "identify", err)
	}
	if err := s.trust(sight); err != nil {
		return err
	}
	if d, ok := As[Settler](l.driver); ok && sight.Complete {
		if err := d.Settle(ctx); err != nil {
			return s.wrap(l, "settle", err)
		}
	}
	s.lines.mu.Lock()
	l.identified = true
	s.lines.mu.Unlock()
	return nil
}

// Identify makes sure that the system answers and is the recorded one, within the
// limit. It reads, and changes nothing of a tenant's.
func (s *System) Identify(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.on(ctx, nil, func(l *line) error { return s.identify(ctx, l) })
}

// Identified says whether it was the recorded one when it was asked last, and has
// answered since.
func (s *System) Identified() bool {
	l := s.now()
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	return l.identified
}

// settle identifies a system with something to settle before it is looked at. One that
// isn't to be trusted is looked at all the same, which is what shows it.
func (s *System) settle(ctx context.Context, l *line) error {
	if _, ok := l.driver.(Settler); !ok {
		return nil
	}
	err := s.identify(ctx, l)
	if tenure.CodeOf(err) == tenure.Blocked {
		return nil
	}
	return err
}

// trust checks a sighting against the record.
func (s *System) trust(g Sighting) error {
	switch {
	case s.Fingerprint == "":
		return tenure.Errorf(tenure.Blocked, "system %s has no recorded fingerprint", s.Name).WithHint("add it first: tenure system add %s", s.Name)
	case g.Fingerprint != s.Fingerprint:
		return tenure.Errorf(tenure.Blocked, "system %s is not the one that was recorded: fingerprint %q, recorded %q", s.Name, g.Fingerprint, s.Fingerprint).
			WithHint("check the endpoint; nothing was changed there")
	case !g.Sentinel:
		return tenure.Errorf(tenure.Blocked, "system %s doesn't show the sentinel that is kept there", s.Name).
			WithHint("it may be an empty replica, or the credential lost rights; nothing was changed there")
	}
	return nil
}

func (s *System) wrap(l *line, call string, err error) error {
	if err == nil {
		return nil
	}
	if tenure.CodeOf(err) == tenure.Unavailable {
		s.lines.mu.Lock()
		l.identified = false
		s.lines.mu.Unlock()
	}
	return tenure.Errorf(tenure.CodeOf(err), "system %s, %s: %w", s.Name, call, s.veil().Err(err))
}

// call runs f within the limit, on an identified system.
func (s *System) call(ctx context.Context, name string, f func(d Driver) error) error {
	return s.handing(ctx, name, nil, f)
}

// handing is call for what hands something on while it runs, and says so.
func (s *System) handing(ctx context.Context, name string, handed *bool, f func(d Driver) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.on(ctx, handed, func(l *line) error {
		if err := s.identify(ctx, l); err != nil {
			return err
		}
		return s.wrap(l, name, s.observed(ctx, l, name, f))
	})
}

// Plant sets up what Tenure keeps in the system and returns the fingerprint.
func (s *System) Plant(ctx context.Context) (string, error) {
	var fp string
	l, leave := s.take()
	defer leave()
	err := s.observed(ctx, l, "plant", func(d Driver) (err error) {
		fp, err = d.Plant(ctx)
		return err
	})
	return fp, s.wrap(l, "plant", err)
}

// Normalise is the driver's.
func (s *System) Normalise(d Desired) (json.RawMessage, error) {
	l := s.now()
	raw, err := l.driver.Normalise(d)
	return raw, s.wrap(l, "normalise "+d.Type+" "+d.Name, err)
}

// Ensure brings a resource to desired and says how sure that is: verified if
// what was read back equals the normalised desire, failed if it differs.
func (s *System) Ensure(ctx context.Context, d Desired) (o Observed, r Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(d.Type, d.Name)()
	err = s.call(ctx, "ensure "+d.Type+" "+d.Name, func(driver Driver) (err error) {
		want, err := driver.Normalise(d)
		if err != nil {
			return err
		}
		own := NewVeil(d.Credential)
		o, r, err = driver.Ensure(ctx, d)
		o.Detail, r = own.Text(s.veil().Text(o.Detail)), own.Receipt(s.veil().Receipt(r))
		if err != nil {
			return own.Err(err)
		}
		v = tenure.Verified
		if !o.Found || o.Owner != Ours || !bytes.Equal(o.Attributes, want) {
			v = tenure.Failed
		}
		return nil
	})
	return o, r, v, err
}

// Observe reads the refs in one pass and gives them in the order of the refs,
// with a verdict on absence: Verified only if the sighting can be trusted.
func (s *System) Observe(ctx context.Context, refs []Ref) (seen []Observed, absent tenure.Verdict, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, tenure.Unknown, err
	}
	defer leave()
	var sight Sighting
	err = s.on(ctx, nil, func(l *line) error {
		if err := s.settle(ctx, l); err != nil {
			return err
		}
		seen, sight, err = s.look(ctx, l, refs)
		return s.wrap(l, "observe", err)
	})
	if err != nil {
		return nil, tenure.Unknown, err
	}
	absent = tenure.Verified
	if s.trust(sight) != nil || !sight.Complete {
		absent = tenure.Unknown
	}
	return seen, absent, nil
}

// look reads the refs with one driver, in their order.
func (s *System) look(ctx context.Context, l *line, refs []Ref) (seen []Observed, sight Sighting, err error) {
	seen = make([]Observed, len(refs))
	index := make(map[[2]string]int, len(refs))
	for i, r := range refs {
		index[[2]string{r.Type, r.Name}] = i
		seen[i] = Observed{Type: r.Type, Name: r.Name}
	}
	err = s.observed(ctx, l, "observe", func(d Driver) (err error) {
		sight, err = d.Observe(ctx, refs, func(o Observed) error {
			if i, ok := index[[2]string{o.Type, o.Name}]; ok {
				o.Detail = s.veil().Text(o.Detail)
				seen[i] = o
			}
			return nil
		})
		return err
	})
	return seen, sight, err
}

// Discover streams what bears a mark, and says whether the pass can be trusted.
func (s *System) Discover(ctx context.Context, sc Scope, yield func(Observed) error) (trusted error, err error) {
	return s.pass(ctx, "discover", "some of it", func(d Driver, handed *bool) (Sighting, error) {
		return d.Discover(ctx, sc, func(o Observed) error {
			*handed = true
			o.Detail = s.veil().Text(o.Detail)
			return yield(o)
		})
	})
}

// pass makes one streamed pass, and says whether it can be trusted. What hands something on
// says so, so that it isn't begun again.
func (s *System) pass(ctx context.Context, call, hidden string, f func(d Driver, handed *bool) (Sighting, error)) (trusted error, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var sight Sighting
	handed := false
	err = s.on(ctx, &handed, func(l *line) error {
		if err := s.settle(ctx, l); err != nil {
			return err
		}
		return s.wrap(l, call, s.observed(ctx, l, call, func(d Driver) (err error) {
			sight, err = f(d, &handed)
			return err
		}))
	})
	if err != nil {
		return nil, err
	}
	if trusted = s.trust(sight); trusted == nil && !sight.Complete {
		why := "the credential lacks rights"
		if sight.Hidden != "" {
			why = s.veil().Text(sight.Hidden)
		}
		trusted = tenure.Errorf(tenure.Blocked, "system %s hid %s: %s", s.Name, hidden, why)
	}
	return trusted, nil
}

// Delete removes a resource and reads its absence back. Verified needs a
// sighting that can be trusted; a thing that is still there is Failed.
func (s *System) Delete(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = s.call(ctx, "delete "+r.Type+" "+r.Name, func(d Driver) (err error) {
		rec, err = d.Delete(ctx, r)
		return err
	})
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	seen, absent, err := s.Observe(ctx, []Ref{r})
	if err != nil {
		return rec, tenure.Unknown, err
	}
	if seen[0].Found && (seen[0].Owner == Ours || seen[0].Owner == "") {
		return rec, tenure.Failed, nil
	}
	return rec, absent, nil // a stranger's thing in its place is not ours to delete
}

// Can says whether the system offers an optional capability: adopt, leave, suspend, revoke,
// quarantine, export, erase, tally, map, hold, expire, probe, read, reach, confine, elevate, foresee, accounts.
func (s *System) Can(capability string) bool {
	switch capability {
	case "adopt":
		return is[Adopter](s)
	case "leave":
		return is[Leaver](s)
	case "suspend":
		return is[Suspender](s)
	case "revoke":
		return is[Revoker](s)
	case "quarantine":
		return is[Quarantiner](s)
	case "export":
		return is[Exporter](s)
	case "erase":
		return is[Eraser](s)
	case "map":
		return is[Mapper](s)
	case "tally":
		return is[Tallier](s)
	case "hold":
		return is[Keeper](s)
	case "catalogue":
		return is[Cataloguer](s)
	case "sample":
		return is[Sampler](s)
	case "read":
		return is[Reader](s)
	case "expire":
		return is[Expirer](s)
	case "probe":
		return is[Prober](s)
	case "reach":
		return is[Reacher](s)
	case "confine":
		return is[Confiner](s)
	case "elevate":
		return is[Elevator](s)
	case "foresee":
		return is[Foreseer](s)
	case "accounts":
		return is[Enumerator](s)
	}
	return false
}

func is[T any](s *System) bool { _, ok := As[T](s.now().driver); return ok }

// capable runs f with the driver as T, or says that the system can't.
func capable[T any](ctx context.Context, s *System, call string, f func(T) error) error {
	return delivers(ctx, s, call, nil, f)
}

// delivers is capable for what hands something on while it runs, and says so.
func delivers[T any](ctx context.Context, s *System, call string, handed *bool, f func(T) error) error {
	if !is[T](s) {
		return tenure.Errorf(tenure.Invalid, "system %s (%s) can't %s", s.Name, s.Info.Name, call)
	}
	return s.handing(ctx, call, handed, func(d Driver) error { return f(d.(T)) })
}

// state reads one resource back and is Verified if it is in one of the states.
func (s *System) state(ctx context.Context, r Ref, want ...tenure.ResourceState) (tenure.Verdict, error) {
	seen, absent, err := s.Observe(ctx, []Ref{r})
	if err != nil {
		return tenure.Unknown, err
	}
	switch {
	case !seen[0].Found:
		// Access to what isn't there is off, if that can be trusted.
		if slices.Contains(want, tenure.ResourceGone) {
			return absent, nil
		}
		return tenure.Failed, nil
	case seen[0].Owner == Forged || seen[0].Owner == Malformed: // what was written is not what stands there
		return tenure.Failed, nil
	case slices.Contains(want, seen[0].State):
		return tenure.Verified, nil
	}
	return tenure.Failed, nil
}

// Suspend takes access off and reads it back.
func (s *System) Suspend(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "suspend", func(d Suspender) (err error) { rec, err = d.Suspend(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	v, err = s.state(ctx, r, tenure.ResourceSuspended, tenure.ResourceRevoked, tenure.ResourceQuarantined)
	return rec, v, err
}

// Resume puts access on again and reads it back.
func (s *System) Resume(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "resume", func(d Suspender) (err error) { rec, err = d.Resume(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	v, err = s.state(ctx, r, tenure.ResourcePresent)
	return rec, v, err
}

// Revoke cuts access for good and reads it back.
func (s *System) Revoke(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "revoke", func(d Revoker) (err error) { rec, err = d.Revoke(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	v, err = s.state(ctx, r, tenure.ResourceRevoked, tenure.ResourceQuarantined, tenure.ResourceGone)
	return rec, v, err
}

// Quarantine sets the resource aside and reads it back.
func (s *System) Quarantine(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "quarantine", func(d Quarantiner) (err error) { rec, err = d.Quarantine(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	v, err = s.state(ctx, r, tenure.ResourceQuarantined, tenure.ResourceGone)
	return rec, v, err
}

// Unquarantine brings the resource back and reads it back. Access stays off.
func (s *System) Unquarantine(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "unquarantine", func(d Quarantiner) (err error) { rec, err = d.Unquarantine(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	v, err = s.state(ctx, r, tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked)
	return rec, v, err
}

// Adopt gives a resource back the mark that it lost, and reads it back.
func (s *System) Adopt(ctx context.Context, r Ref, as tenure.ResourceState) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	if !is[Adopter](s) {
		return rec, tenure.Unknown, tenure.Errorf(tenure.Invalid, "system %s (%s) can't put an owner mark on %s %s, which has none", s.Name, s.Info.Name, r.Type, r.Name).
			WithHint("put the mark back from a backup of the system; or keep what is in it, delete it there and run tenure tenant repair, which makes it anew; nothing was changed")
	}
	err = capable(ctx, s, "put an owner mark back", func(d Adopter) (err error) { rec, err = d.Adopt(ctx, r, as); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	seen, _, err := s.Observe(ctx, []Ref{r})
	if err != nil {
		return rec, tenure.Unknown, err
	}
	if seen[0].Owner != Ours || seen[0].Resource != r.Resource {
		return rec, tenure.Failed, nil
	}
	return rec, tenure.Verified, nil
}

// Foresee says what making the resources would change for others than their tenant.
func (s *System) Foresee(ctx context.Context, all []Desired) (out []SharedChange, err error) {
	if !is[Foreseer](s) || len(all) == 0 {
		return nil, nil
	}
	err = capable(ctx, s, "foresee", func(d Foreseer) (err error) { out, err = d.Foresee(ctx, all); return err })
	return out, err
}

// Gauge says which of the system's limits are half used up, or more.
func (s *System) Gauge(ctx context.Context) (out []Level, err error) {
	if !is[Gauger](s) {
		return nil, nil
	}
	err = capable(ctx, s, "gauge its limits", func(d Gauger) (err error) { out, err = d.Gauge(ctx); return err })
	return out, err
}

// Exposed says who else has rights where Tenure keeps its marks.
func (s *System) Exposed(ctx context.Context) (out []string, err error) {
	if !is[Secluder](s) {
		return nil, nil
	}
	err = capable(ctx, s, "say who has rights", func(d Secluder) (err error) { out, err = d.Exposed(ctx); return err })
	return out, err
}

// Export writes all of the resource's data to w.
func (s *System) Export(ctx context.Context, r Ref, w io.Writer) (rec Receipt, err error) {
	out := &watched{to: w}
	err = delivers(ctx, s, "export", &out.begun, func(d Exporter) (err error) { rec, err = d.Export(ctx, r, out); return err })
	return s.veil().Receipt(rec), err
}

// Erase erases one batch.
func (s *System) Erase(ctx context.Context, r Ref, b Batch) (e Erased, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "erase", func(d Eraser) (err error) { e, err = d.Erase(ctx, r, b); return err })
	return e, err
}

// Tally reads back what a run of an erasure has taken.
func (s *System) Tally(ctx context.Context, r Ref, run string) (e Erased, err error) {
	err = capable(ctx, s, "tally", func(d Tallier) (err error) { e, err = d.Tally(ctx, r, run); return err })
	return e, err
}

// DataMap says what places the tenant's data can reach. The verdict is that on
// what wasn't found: Verified only if the pass that counted can be trusted.
func (s *System) DataMap(ctx context.Context, v Survey) (m Map, absent tenure.Verdict, err error) {
	err = capable(ctx, s, "map", func(d Mapper) (err error) { m, err = d.DataMap(ctx, v); return err })
	if err == nil && len(v.Keep) > 0 && is[Keeper](s) {
		err = s.held(ctx, v, &m)
	}
	for i := range m.Places {
		p := &m.Places[i]
		p.Says, p.Fix = s.veil().Text(p.Says), s.veil().Text(p.Fix)
	}
	absent = tenure.Verified
	if err != nil || s.trust(m.Sighting) != nil || !m.Sighting.Complete || m.Partial != "" {
		absent = tenure.Unknown
	}
	return m, absent, err
}

// Expire removes the copies that are due and says which remain.
func (s *System) Expire(ctx context.Context, r Ref, now time.Time) (left []Copy, err error) {
	err = capable(ctx, s, "expire", func(d Expirer) (err error) { left, err = d.Expire(ctx, r, now); return err })
	return left, err
}

// Probe runs one probe.
func (s *System) Probe(ctx context.Context, c Check) (o Outcome, err error) {
	own := NewVeil(c.Credential)
	err = capable(ctx, s, "probe", func(d Prober) (err error) { o, err = d.Probe(ctx, c); return own.Err(err) })
	o.Detail = own.Text(s.veil().Text(o.Detail))
	return o, err
}

// MonthlyCost is what an observed resource costs a month, in minor units.
func (s *System) MonthlyCost(o Observed) int64 {
	t, _ := s.Info.Type(o.Type)
	return tenure.MonthlyCost(t.Cost, s.Prices, o.Metrics)
}
