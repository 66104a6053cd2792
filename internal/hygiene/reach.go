package hygiene

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

func declaredOf(r store.InventoryRow) connector.Declared {
	return connector.Declared{Resource: r.ID, Tenant: r.Tenant, Type: r.Type, Name: r.Name, State: r.State, Normal: r.Normal}
}

// Declared is the inventory of a system, as a look at rights goes by it: that of every
// tenant, since what one has may be declared by another's blueprint.
func (l *Looker) Declared(ctx context.Context, system string) (out []connector.Declared, err error) {
	err = l.DB.Inventory(ctx, system, "", func(r store.InventoryRow) error {
		out = append(out, declaredOf(r))
		return nil
	})
	return out, err
}

// beyond is a drift look's part that asks for rights that nothing declares. What it
// finds is looked at a second time, with the inventory as it is by then: what an
// operation made meanwhile is no stranger's.
func (l *Looker) beyond(ctx context.Context, sys *connector.System, tenant tenure.TenantID, all []connector.Declared, sum *Summary, found func(tenure.Finding) error) (err error) {
	if !sys.Can("reach") {
		return nil
	}
	var first map[place]connector.Way
	for range 2 {
		if all == nil {
			if all, err = l.Declared(ctx, sys.Name); err != nil {
				return err
			}
		}
		ways := make(map[place]connector.Way)
		var order []place
		trusted, err := sys.Reach(ctx, all, func(w connector.Way) error {
			if p := placeOf(w); tenant == "" || p.tenant == tenant {
				if _, again := first[p]; first == nil || again {
					ways[p], order = w, append(order, p)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if trusted != nil && sum.Trusted {
			sum.Trusted, sum.Why = false, trusted.Error()
		}
		if first != nil || len(ways) == 0 {
			for _, p := range order {
				if err := found(finding(ways[p])); err != nil {
					return err
				}
			}
			return nil
		}
		first, all = ways, nil
	}
	return nil
}

// place is where a way was found.
type place struct {
	tenant   tenure.TenantID
	resource tenure.ResourceID
	field    string
}

func placeOf(w connector.Way) place {
	p := place{field: w.Field}
	if w.At != nil {
		p.tenant, p.resource = w.At.Tenant, w.At.Resource
	}
	return p
}

// finding is what a way is to people.
func finding(w connector.Way) tenure.Finding {
	f := tenure.Finding{Kind: tenure.FindingExposure, Severity: w.Severity, Field: w.Field, Got: clip([]byte(w.Got)), Detail: w.Says}
	if w.Setting {
		f.Kind = tenure.FindingDrift
	}
	if w.At != nil {
		f.Tenant, f.Resource, f.Type, f.Name = w.At.Tenant, w.At.Resource, w.At.Type, w.At.Name
	}
	if !w.Mends && w.Fix != "" {
		f.Detail += "; to mend it: " + w.Fix
	}
	return f
}
