package lifecycle

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// stall suspends the systems' own expiry of what a hold covers, and remembers what it
// took. What can't be suspended, or asked about, is remembered with why. Holds over all
// tenants suspend nothing. A system of blank is every one.
func (s *Service) stall(ctx context.Context, id tenure.HoldID, system string) error {
	h, err := s.o.DB.Hold(ctx, id)
	if err != nil || !h.Active() || h.Scope.Tenant == "" {
		return err
	}
	rows, err := s.o.DB.Resources(ctx, h.Scope.Tenant, false)
	if err != nil {
		return err
	}
	var found []tenure.StalledExpiry
	for _, r := range rows {
		if system != "" && r.System != system || h.Scope.Part() && h.Scope.Resource != r.ID ||
			!h.Covers(tenure.HoldSubject{Tenant: r.Tenant, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID}) {
			continue
		}
		found = append(found, s.stallOf(ctx, h, r)...)
	}
	return s.keepStalled(ctx, id, func(h *tenure.Hold) {
		// What was said of what isn't suspended is said anew at each look.
		h.Stalled = slices.DeleteFunc(h.Stalled, func(e tenure.StalledExpiry) bool { return !e.Suspended && (system == "" || e.System == system) })
		h.Stalled = append(h.Stalled, found...)
	})
}

func (s *Service) stallOf(ctx context.Context, h tenure.Hold, r store.ResourceRow) (out []tenure.StalledExpiry) {
	said := tenure.StalledExpiry{Resource: r.ID, System: r.System, Rule: "its own expiry", At: s.Now()}
	sys, err := s.system(ctx, r.System)
	if err == nil {
		var keep []connector.Kept
		if h.Scope.Part() {
			keep = append(keep, connector.KeptBy(h))
		}
		var all []connector.Stalled
		all, err = sys.Stall(ctx, connector.RefOf(r.Resource), keep)
		for _, one := range all {
			e := said
			e.Rule, e.Was, e.Is, e.Suspended, e.Says = one.Rule, one.Was, one.Is, one.Suspended, one.Says
			out = append(out, e)
		}
	}
	if err != nil {
		said.Says = "whether the system deletes what is held by itself couldn't be found out: " + err.Error()
		out = append(out, said)
	}
	return out
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

// unstall puts back what a released hold had suspended, unless another hold covers it:
// then that one remembers it. A rule that somebody changed meanwhile is left alone and is
// a finding at each look; one whose system doesn't answer is tried again then.
func (s *Service) unstall(ctx context.Context, id tenure.HoldID) error {
	h, err := s.o.DB.Hold(ctx, id)
	if err != nil || h.Active() || len(h.Stalled) == 0 {
		return err
	}
	others, err := s.o.DB.Holds(ctx, h.Scope.Tenant, false)
	if err != nil {
		return err
	}
	var left []tenure.StalledExpiry
	var back []string // systems in which something was put back
	// The last text that was put in place is taken away first.
	for _, e := range slices.Backward(h.Stalled) {
		if !e.Suspended {
			if e.Changed {
				left = append(left, e)
			}
			continue
		}
		r, err := s.o.DB.Resource(ctx, e.Resource)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(others, func(o tenure.Hold) bool {
			return o.Scope.Tenant != "" && o.Covers(tenure.HoldSubject{Tenant: r.Tenant, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID})
		})
		if i >= 0 {
			if err := s.keepStalled(ctx, others[i].ID, func(o *tenure.Hold) { o.Stalled = append([]tenure.StalledExpiry{e}, o.Stalled...) }); err != nil {
				return err
			}
			continue
		}
		sys, err := s.system(ctx, e.System)
		if err == nil {
			err = sys.Unstall(ctx, connector.RefOf(r.Resource), connector.Stalled{Rule: e.Rule, Was: e.Was, Is: e.Is})
		}
		switch {
		case err == nil:
			back = append(back, e.System)
		case tenure.CodeOf(err) == tenure.Conflict:
			e.Suspended, e.Changed, e.Says = false, true, err.Error()
			left = append(left, e)
		default:
			left = append(left, e)
		}
	}
	slices.Reverse(left)
	if err := s.keepStalled(ctx, id, func(h *tenure.Hold) { h.Stalled = left }); err != nil || len(back) == 0 {
		return err
	}
	// A rule of what tenants share may be one that another tenant's hold needs suspended.
	all, err := s.o.DB.Holds(ctx, "", false)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Active() && o.ID != id && o.Scope.Tenant != h.Scope.Tenant {
			for _, system := range slices.Compact(slices.Sorted(slices.Values(back))) {
				if err := s.stall(ctx, o.ID, system); err != nil {
					return err
				}
			}
		}
	}
	return nil
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
			case e.Suspended:
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
