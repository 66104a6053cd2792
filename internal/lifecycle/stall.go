package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// stall suspends the systems' own expiry of what a hold covers, and remembers what it
// took. What can't be suspended, or asked about, is remembered with why. Holds over all
// tenants suspend nothing. A system of blank is every one.
func (s *Service) stall(ctx context.Context, id tenure.HoldID, system string) error {
	s.stalling.Lock() // what one hold finds suspended, another may be about to put back
	defer s.stalling.Unlock()
	h, err := s.o.DB.Hold(ctx, id)
	if err != nil || !h.Active() || h.Scope.Tenant == "" {
		return err
	}
	rows, err := s.heldIn(ctx, h, system)
	if err != nil {
		return err
	}
	var goesOn []tenure.StalledExpiry
	for _, r := range rows {
		said, err := s.stallOf(ctx, h, r)
		if err != nil {
			return err
		}
		goesOn = append(goesOn, said...)
	}
	return s.keepStalled(ctx, id, func(h *tenure.Hold) {
		// What was said of what isn't suspended is said anew at each look.
		h.Stalled = slices.DeleteFunc(h.Stalled, func(e tenure.StalledExpiry) bool {
			return !e.Suspended && !e.Intended && (system == "" || e.System == system)
		})
		h.Stalled = append(h.Stalled, goesOn...)
	})
}

// heldIn are the resources of a system, with "" of each, that a hold of one tenant covers.
func (s *Service) heldIn(ctx context.Context, h tenure.Hold, system string) ([]store.ResourceRow, error) {
	rows, err := s.o.DB.Resources(ctx, h.Scope.Tenant, false)
	return slices.DeleteFunc(rows, func(r store.ResourceRow) bool {
		return system != "" && r.System != system || h.Scope.Part() && h.Scope.Resource != r.ID ||
			!h.Covers(tenure.HoldSubject{Tenant: r.Tenant, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID})
	}), err
}

// partsOf are the parts of a resource that a hold covers; none is all of it.
func partsOf(h tenure.Hold) (keep []connector.Kept) {
	if h.Scope.Part() {
		keep = append(keep, connector.KeptBy(h))
	}
	return keep
}

// stallOf suspends what would take a resource, and returns what goes on. Each rule is
// written down before it is suspended, so that a kill in between leaves none suspended
// that nobody puts back: what a killed process intended is settled first.
func (s *Service) stallOf(ctx context.Context, h tenure.Hold, r store.ResourceRow) (goesOn []tenure.StalledExpiry, err error) {
	about := tenure.StalledExpiry{Resource: r.ID, System: r.System, Rule: "its own expiry", At: s.Now()}
	sys, err := s.system(ctx, r.System)
	var all []connector.Stalled
	if err == nil {
		all, err = sys.Expiries(ctx, connector.RefOf(r.Resource), partsOf(h), nil)
	}
	if err != nil {
		about.Says = "whether the system deletes what is held by itself couldn't be found out: " + err.Error()
		return append(goesOn, about), nil
	}
	var wanted []tenure.StalledExpiry
	for _, one := range all {
		e := about
		e.Rule, e.Was, e.Is, e.Says = one.Rule, one.Was, one.Is, one.Says
		if e.Is == "" {
			goesOn = append(goesOn, e)
		} else {
			wanted = append(wanted, e)
		}
	}
	var left []tenure.StalledExpiry // by a killed process; what isn't named stands suspended, or was changed
	for _, e := range h.Stalled {
		if e.Intended && e.Resource == r.ID && !slices.ContainsFunc(wanted, func(o tenure.StalledExpiry) bool { return sameRule(o, e) }) {
			left = append(left, e)
		}
	}
	for i, e := range slices.Concat(left, wanted) {
		if active, err := s.intend(ctx, h.ID, e); err != nil || !active {
			return goesOn, err
		}
		one, err := sys.Stall(ctx, connector.RefOf(r.Resource), connector.Stalled{Rule: e.Rule, Was: e.Was, Is: e.Is, Says: e.Says})
		if err != nil { // it may be suspended: the intent stays
			e.Intended, e.Says = false, e.Says+", and whether it is suspended couldn't be found out: "+err.Error()
			goesOn = append(goesOn, e)
			continue
		}
		old := e
		e.Intended, e.Is, e.Suspended, e.Says = false, one.Is, one.Suspended, one.Says
		if !e.Suspended && i >= len(left) {
			goesOn = append(goesOn, e)
		}
		err = s.keepStalled(ctx, h.ID, func(h *tenure.Hold) {
			i := slices.IndexFunc(h.Stalled, func(o tenure.StalledExpiry) bool { return sameRule(o, old) })
			switch {
			case e.Suspended && i >= 0:
				h.Stalled[i] = e
			case e.Suspended:
				h.Stalled = append(h.Stalled, e)
			case i >= 0:
				h.Stalled = slices.Delete(h.Stalled, i, i+1)
			}
		})
		if err != nil {
			return goesOn, err
		}
	}
	return goesOn, nil
}

// sameRule says whether two are of one rule that stood as it did in the other.
func sameRule(a, b tenure.StalledExpiry) bool {
	return a.Resource == b.Resource && a.Rule == b.Rule && a.Was == b.Was && !a.Changed && !b.Changed
}

// intend writes down that a rule is about to be suspended, unless the hold has ended.
func (s *Service) intend(ctx context.Context, id tenure.HoldID, e tenure.StalledExpiry) (active bool, err error) {
	e.Intended = true
	err = s.keepStalled(ctx, id, func(h *tenure.Hold) {
		known := slices.ContainsFunc(h.Stalled, func(o tenure.StalledExpiry) bool { return sameRule(o, e) && (o.Intended || o.Suspended) })
		if active = h.Active(); active && !known {
			h.Stalled = append(h.Stalled, e)
		}
	})
	return active, err
}

// keepStalled writes down what a change leaves of a hold's suspended rules.
func (s *Service) keepStalled(ctx context.Context, id tenure.HoldID, change func(*tenure.Hold)) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		h, err := tx.Hold(id)
		if err != nil {
			return err
		}
		was := slices.Clone(h.Stalled)
		if change(&h); slices.Equal(was, h.Stalled) {
			return nil
		}
		return tx.StallHold(h)
	})
}

// unstall puts back what a released hold had suspended or was about to, unless another hold
// needs it so, of whichever tenant: then that one remembers it, and the rule never runs in
// between. A rule that somebody changed meanwhile is left alone and is a finding at each
// look; one whose system doesn't answer is tried again then.
func (s *Service) unstall(ctx context.Context, id tenure.HoldID) error {
	s.stalling.Lock()
	defer s.stalling.Unlock()
	h, err := s.o.DB.Hold(ctx, id)
	if err != nil || h.Active() || len(h.Stalled) == 0 {
		return err
	}
	var left []tenure.StalledExpiry
	for _, e := range slices.Backward(h.Stalled) { // of one rule the last text was put there last
		if !e.Suspended && !e.Intended {
			if e.Changed {
				left = append(left, e)
			}
			continue
		}
		switch err := s.putBack(ctx, e); {
		case err == nil:
		case tenure.CodeOf(err) == tenure.Conflict:
			e.Intended, e.Suspended, e.Changed, e.Says = false, false, true, err.Error()
			left = append(left, e)
		default:
			left = append(left, e)
		}
	}
	slices.Reverse(left)
	return s.keepStalled(ctx, id, func(h *tenure.Hold) { h.Stalled = left })
}

// putBack puts a rule back, or has the hold remember it that needs it suspended.
func (s *Service) putBack(ctx context.Context, e tenure.StalledExpiry) error {
	sys, err := s.system(ctx, e.System)
	if err != nil {
		return err
	}
	one := connector.Stalled{Rule: e.Rule, Was: e.Was, Is: e.Is, Suspended: e.Suspended}
	all, err := s.o.DB.Holds(ctx, "", false)
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.Scope.Tenant == "" {
			continue
		}
		rows, err := s.heldIn(ctx, h, e.System)
		if err != nil {
			return err
		}
		for _, r := range rows {
			named, err := sys.Expiries(ctx, connector.RefOf(r.Resource), partsOf(h), []connector.Stalled{one})
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(named, func(o connector.Stalled) bool { return o.Rule == e.Rule && o.Was == e.Was && o.Is != "" }) {
				continue
			}
			e.Resource = r.ID
			return s.keepStalled(ctx, h.ID, func(h *tenure.Hold) {
				if !slices.ContainsFunc(h.Stalled, func(has tenure.StalledExpiry) bool { return sameRule(has, e) && has.Intended == e.Intended }) {
					h.Stalled = append([]tenure.StalledExpiry{e}, h.Stalled...)
				}
			})
		}
	}
	r, err := s.o.DB.Resource(ctx, e.Resource)
	if err != nil {
		return err
	}
	return sys.Unstall(ctx, connector.RefOf(r.Resource), one)
}

// SettleHolds goes once over every hold, as a process does that begins: what another was
// about to suspend or put back when it ended is done. One that fails keeps no other from
// its turn.
func (s *Service) SettleHolds(ctx context.Context) error {
	all, err := s.o.DB.Holds(ctx, "", true)
	if err != nil {
		return err
	}
	var failed []error
	for _, h := range all {
		switch {
		case h.Active():
			err = s.stall(ctx, h.ID, "")
		case len(h.Stalled) > 0:
			err = s.unstall(ctx, h.ID)
		default:
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("hold %s: %w", h.ID, err))
		}
	}
	return errors.Join(failed...)
}

// stalls looks at a system's own expiry for every hold, suspends what has come since, puts
// back what released holds left, and yields what a person must know of.
func (s *Service) stalls(ctx context.Context, system string, tenant tenure.TenantID, yield func(tenure.Finding) error) error {
	all, err := s.o.DB.Holds(ctx, tenant, true)
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.Active() {
			err = s.stall(ctx, h.ID, system)
		} else if len(h.Stalled) > 0 {
			err = s.unstall(ctx, h.ID)
		}
		if err != nil {
			return err
		}
		if h, err = s.o.DB.Hold(ctx, h.ID); err != nil {
			return err
		}
		for _, e := range h.Stalled {
			if e.System != system || e.Suspended && h.Active() {
				continue
			}
			detail := "hold " + string(h.ID) + ": " + e.Rule + ": " + e.Says
			switch {
			case e.Changed:
				detail = "hold " + string(h.ID) + " is released, and " + e.Rule + " wasn't put back: " + e.Says
			case e.Intended && h.Active():
				continue // why it couldn't be suspended is said beside it
			case e.Suspended, e.Intended:
				detail = "hold " + string(h.ID) + " is released, and " + e.Rule + " couldn't be put back yet"
			}
			f := tenure.Finding{ID: tenure.NewID[tenure.FindingID](s.Now()), Kind: tenure.FindingDrift, Severity: tenure.High, Tenant: h.Scope.Tenant, Resource: e.Resource, System: system, Name: e.Rule,
				Field: "expiry", Detail: detail, SeenAt: s.Now()}
			if err := yield(f); err != nil {
				return err
			}
		}
	}
	return nil
}
