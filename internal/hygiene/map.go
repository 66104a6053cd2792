package hygiene

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Map is the data map of one resource, which stands in a system.
type Map struct {
	connector.Map
	Resource tenure.Resource
	Absent   tenure.Verdict // on what wasn't found
}

// Path is how the resource is called: environment/key.
func (m *Map) Path() string { return m.Resource.Path() }

// Mapped says whether a system can map what a type of resource holds, or what the
// triggers of its table make of it.
func Mapped(sys *connector.System, typ string) bool {
	t, _ := sys.Info.Type(typ)
	return (t.Holds == tenure.HoldsData || t.Row) && t.Layer != tenure.LayerBackup && sys.Can("map")
}

// Maps yields the data map of each resource that can be mapped: at onboarding, with
// each drift look, when a departure is planned, at the last reconciliation and after.
// All are their tenants' resources: what one covers isn't missed in another.
func (l *Looker) Maps(ctx context.Context, rows, all []tenure.Resource, ask connector.Survey, yield func(Map) error) error {
	for _, r := range rows {
		sys, err := l.System(ctx, r.System)
		if err != nil {
			return err
		}
		if t, _ := sys.Info.Type(r.Type); !Mapped(sys, r.Type) && !(t.Owner && ask.Prove && sys.Can("map")) || ask.Gone && t.Row || !ask.Gone && (r.State == tenure.ResourcePlanned || r.State == tenure.ResourceGone) {
			continue
		}
		q := ask
		q.Ref, q.Beside = connector.RefOf(r), Beside(all, r)
		if l.Changes != nil && !ask.Gone {
			if q.Changes, err = l.Changes(ctx, r); err != nil {
				return err
			}
		}
		m, absent, err := sys.DataMap(ctx, q)
		if err != nil {
			return tenure.Errorf(tenure.CodeOf(err), "data map of %s: %w", r.Path(), err)
		}
		if err := yield(Map{Map: m, Resource: r, Absent: absent}); err != nil {
			return err
		}
	}
	return nil
}

// Beside are the other resources of a resource's tenant in its system.
func Beside(all []tenure.Resource, of tenure.Resource) (out []connector.Ref) {
	for _, r := range all {
		if r.Tenant == of.Tenant && r.System == of.System && (r.Environment != of.Environment || r.Key != of.Key) {
			out = append(out, connector.RefOf(r))
		}
	}
	return out
}

// Line is a place that stands in the way, with what would settle it.
func (m *Map) Line(p connector.Place) string {
	out := p.Name + " in " + m.Path()
	if p.Says != "" {
		out += ": " + p.Says
	}
	if p.Fix != "" {
		out += " (" + p.Fix + ")"
	}
	return out
}

// Findings are the places that are covered by nothing, or that a person must know
// of. What is covered, and references that the approver of a departure is shown,
// are no findings.
func (m *Map) Findings(now time.Time) (out []tenure.Finding) {
	for _, p := range m.Places {
		covered := p.IsData() && p.Class != "" || p.Kind == connector.PlaceReference || p.Kind == connector.PlaceShared
		if !p.Blocks && (p.Says == "" || covered) {
			continue
		}
		f := tenure.Finding{
			ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingUncovered, Severity: tenure.Medium, Tenant: m.Resource.Tenant, Resource: m.Resource.ID,
			System: m.Resource.System, Type: m.Resource.Type, Name: m.Resource.Name, Field: p.Name, Want: p.Fix, Got: fmt.Sprint(p.Rows), Detail: m.Line(p), SeenAt: now,
		}
		if p.Blocks {
			f.Severity = tenure.High
		}
		out = append(out, f)
	}
	return out
}

// Classes are the data classes of what is there; "" is rows that none covers.
func (m *Map) Classes() (out []string) {
	for _, p := range m.Places {
		if p.IsData() && p.Rows > 0 && !slices.Contains(out, p.Class) {
			out = append(out, p.Class)
		}
	}
	return out
}

// Counted says how much of a class is where.
func (m *Map) Counted(class string) string {
	var out []string
	for _, p := range m.Places {
		if p.IsData() && p.Rows > 0 && p.Class == class {
			what := "rows"
			if p.Kind == connector.PlaceObjects {
				what = "large objects"
			} else if p.Kind == connector.PlaceFiles {
				what = "objects"
			}
			out = append(out, fmt.Sprintf("%d %s in %s", p.Rows, what, p.Name))
		}
	}
	return m.Path() + ": " + strings.Join(out, ", ")
}

// Uncovered is a drift look's part that compares the data maps of what stands in a
// system with what the blueprints cover.
func (l *Looker) Uncovered(ctx context.Context, sys *connector.System, tenant tenure.TenantID, limit int) ([]tenure.Finding, error) {
	if !sys.Can("map") {
		return nil, nil
	}
	now := l.Now()
	var out []tenure.Finding
	type mapped struct {
		id     tenure.ResourceID
		tenant tenure.TenantID
	}
	var all []mapped // first, so that the store isn't read all the while
	if err := l.DB.Inventory(ctx, sys.Name, tenant, func(row store.InventoryRow) error {
		if Mapped(sys, row.Type) {
			all = append(all, mapped{row.ID, row.Tenant})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, m := range all {
		if len(out) >= limit {
			break
		}
		found, err := l.uncovered(ctx, m.tenant, m.id, now)
		if err != nil {
			return out, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// uncovered is Uncovered for one resource.
func (l *Looker) uncovered(ctx context.Context, tenant tenure.TenantID, id tenure.ResourceID, now time.Time) (out []tenure.Finding, err error) {
	rows, err := l.DB.Resources(ctx, tenant, true)
	if err != nil {
		return nil, err
	}
	var one, all []tenure.Resource
	for _, r := range rows {
		if all = append(all, r.Resource); r.ID == id && stands(r.State) {
			one = append(one, r.Resource)
		}
	}
	err = l.Maps(ctx, one, all, connector.Survey{Brief: true}, func(m Map) error {
		out = append(out, m.Findings(now)...)
		return nil
	})
	if tenure.CodeOf(err) == tenure.NotFound || tenure.CodeOf(err) == tenure.Conflict {
		return out, nil // it is gone or another's: the comparison with the inventory says so
	}
	return out, err
}

// stands says whether a resource in this state holds what it held.
func stands(state tenure.ResourceState) bool {
	switch state {
	case tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked, tenure.ResourceQuarantined, tenure.ResourceErasing:
		return true
	}
	return false
}
