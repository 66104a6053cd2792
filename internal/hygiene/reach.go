package hygiene

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// declarations are a system's inventory, kept in little room: a fleet has many rows and
// few words for their types and states.
type declarations struct {
	all     []connector.Declared
	words   map[string]string
	normals map[string][]byte // at most alike of them
}

const alike = 1000

func (l *Looker) declarations(ctx context.Context, sys *connector.System) (*declarations, error) {
	if !sys.Can("reach") {
		return nil, nil
	}
	n, err := l.DB.InventorySize(ctx, sys.Name)
	return &declarations{all: make([]connector.Declared, 0, n), words: make(map[string]string), normals: make(map[string][]byte)}, err
}

func (d *declarations) add(r *store.InventoryRow) {
	d.all = append(d.all, connector.Declared{Resource: r.ID, Tenant: r.Tenant, Type: d.word(r.Type), Name: r.Name, State: tenure.ResourceState(d.word(string(r.State))), Normal: d.normal(r.Normal)})
}

// normal is the same attributes' first copy: those of most roles are alike.
func (d *declarations) normal(n []byte) []byte {
	kept, known := d.normals[string(n)]
	if known {
		return kept
	}
	if len(d.normals) < alike {
		d.normals[string(n)] = n
	}
	return n
}

func (d *declarations) word(w string) string {
	if kept, known := d.words[w]; known {
		return kept
	}
	d.words[w] = w
	return w
}

// Declared is the inventory of a system, as a look at rights goes by it: that of every
// tenant, since what one has may be declared by another's blueprint.
func (l *Looker) Declared(ctx context.Context, sys *connector.System) ([]connector.Declared, error) {
	d, err := l.declarations(ctx, sys)
	if err != nil || d == nil {
		return nil, err
	}
	err = l.DB.Inventory(ctx, sys.Name, "", func(r store.InventoryRow) error { d.add(&r); return nil })
	return d.all, err
}

// beyond is a drift look's part that asks for rights that nothing declares. Where the
// inventory of a tenant changed while it looked, an operation is at work there: what
// that made is no stranger's, and the next look tells.
func (l *Looker) beyond(ctx context.Context, sys *connector.System, tenant tenure.TenantID, declared *declarations, sum *Summary, found func(tenure.Finding) error) (err error) {
	if declared == nil {
		return nil
	}
	all := declared.all
	if tenant != "" { // what another tenant has matters all the same
		if all, err = l.Declared(ctx, sys); err != nil {
			return err
		}
	}
	began := l.Now()
	ways, trusted, err := undeclared(ctx, sys, tenant, all)
	if err != nil {
		return err
	}
	if trusted != nil && sum.Trusted {
		sum.Trusted, sum.Why = false, trusted.Error()
	}
	still := newStill(l, sys.Name, began, ways, all)
	for _, w := range ways {
		if w.At != nil {
			if same, err := still.is(ctx, w.At.Tenant); err != nil || !same {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := found(finding(w)); err != nil {
			return err
		}
	}
	return nil
}

// undeclared are the rights that nothing declares at a tenant's things, or at anything.
func undeclared(ctx context.Context, sys *connector.System, tenant tenure.TenantID, all []connector.Declared) (ways []connector.Way, trusted, err error) {
	trusted, err = sys.Reach(ctx, all, func(w connector.Way) error {
		if tenant == "" || w.At != nil && w.At.Tenant == tenant {
			ways = append(ways, w)
		}
		return nil
	})
	return ways, trusted, err
}

// Undeclared are the rights and settings at a tenant's things that nothing declares, as a
// drift look finds them; none where the system can't tell.
func (l *Looker) Undeclared(ctx context.Context, sys *connector.System, tenant tenure.TenantID) ([]connector.Way, error) {
	all, err := l.Declared(ctx, sys)
	if err != nil || !sys.Can("reach") {
		return nil, err
	}
	ways, _, err := undeclared(ctx, sys, tenant, all)
	return ways, err
}

// still says of tenants whether their inventory is as it was read.
type still struct {
	l      *Looker
	system string
	began  time.Time
	was    map[tenure.TenantID][]connector.Declared
	known  map[tenure.TenantID]bool
}

// newStill is that of the tenants whose things the ways lead to, by all that was read.
func newStill(l *Looker, system string, began time.Time, ways []connector.Way, all []connector.Declared) *still {
	s := &still{l, system, began, make(map[tenure.TenantID][]connector.Declared), make(map[tenure.TenantID]bool)}
	for _, w := range ways {
		if w.At != nil {
			s.was[w.At.Tenant] = nil
		}
	}
	for i := range all {
		if was, asked := s.was[all[i].Tenant]; asked {
			s.was[all[i].Tenant] = append(was, all[i])
		}
	}
	return s
}

func (s *still) is(ctx context.Context, t tenure.TenantID) (bool, error) {
	if same, known := s.known[t]; known {
		return same, nil
	}
	rows, err := s.l.DB.Resources(ctx, t, false)
	if err != nil {
		return false, err
	}
	here := 0
	same := !slices.ContainsFunc(rows, func(r store.ResourceRow) bool {
		if r.System != s.system {
			return false
		}
		here++
		return r.UpdatedAt.After(s.began) || !slices.ContainsFunc(s.was[t], func(d connector.Declared) bool { return d.Resource == r.ID && d.State == r.State })
	})
	s.known[t] = same && here == len(s.was[t])
	return s.known[t], nil
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
