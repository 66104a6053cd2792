package hygiene

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Sweep looks through a system for what bears an owner mark and isn't in the
// inventory, for what a closed tenant has left, and, where the system lists its
// accounts, for those that are alive after their tenant, nobody's, or dormant. It yields a
// finding for each. It never proposes to delete what another installation marked, or what
// can't be authenticated.
func (l *Looker) Sweep(ctx context.Context, sys *connector.System, tenant tenure.TenantID, yield func(tenure.Finding) error) (Summary, error) {
	sum := Summary{System: sys.Name}
	now := l.Now()
	found := func(f tenure.Finding) error {
		f.ID, f.System, f.SeenAt = tenure.NewID[tenure.FindingID](now), sys.Name, now
		sum.Findings++
		return yield(f)
	}
	var told map[[2]string]bool
	var unsure error
	if sys.Can("accounts") {
		var err error
		if told, unsure, err = l.accounts(ctx, sys, tenant, &sum, found); err != nil {
			return sum, err
		}
	}
	var alike []likeness
	// The whole system is read even for one tenant: what a tenant left behind may
	// have lost the place that would have told whose it is.
	trusted, err := l.compare(ctx, sys, "", func(p pair) error {
		if p.seen == nil {
			return nil
		}
		sum.Checked++
		if p.inv != nil && p.seen.Owner == connector.Ours && p.inv.ID == p.seen.Resource {
			return nil
		}
		if unmarked(p.seen.Owner) && told[[2]string{p.seen.Type, p.seen.Name}] {
			return nil // whose it is was told by other evidence
		}
		f, of, err := l.stray(ctx, sys, p)
		if err != nil || f == nil || tenant != "" && f.Tenant != tenant {
			return err
		}
		if of != nil {
			alike = append(alike, likeness{*f, *of})
			return nil
		}
		return found(*f)
	})
	if err != nil {
		return sum, err
	}
	if err := copies(ctx, sys, alike, found); err != nil {
		return sum, err
	}
	if trusted == nil {
		trusted = unsure
	}
	sum.Trusted = trusted == nil
	if trusted != nil {
		sum.Why = trusted.Error()
	}
	return sum, nil
}

// likeness is a thing that bears the mark of a resource which has another name.
type likeness struct {
	tenure.Finding
	of connector.Ref
}

// copies yields those that aren't the resource itself under the name that somebody gave it:
// of that drift tells. It is called after the pass, whose place in the system it takes.
func copies(ctx context.Context, sys *connector.System, all []likeness, found func(tenure.Finding) error) error {
	for part := range slices.Chunk(all, lotSize) {
		refs := make([]connector.Ref, len(part))
		for i, c := range part {
			refs[i] = c.of
		}
		seen, _, err := sys.Observe(ctx, refs)
		if err != nil {
			return err
		}
		for i, c := range part {
			if seen[i].Called == c.Name {
				continue
			}
			if err := found(c.Finding); err != nil {
				return err
			}
		}
	}
	return nil
}

// stray says what a thing is that the inventory doesn't know at its place, and of what seems
// to be a copy the resource whose mark it bears.
func (l *Looker) stray(ctx context.Context, sys *connector.System, p pair) (*tenure.Finding, *connector.Ref, error) {
	f := &tenure.Finding{Type: p.seen.Type, Name: p.seen.Name, Resource: p.seen.Resource}
	if p.seen.Owner == connector.Ours {
		f.Confidence = tenure.Certain
	}
	typ, _ := sys.Info.Type(p.seen.Type)
	switch p.seen.Owner {
	case connector.Others:
		return nil, nil, nil
	case connector.Forged, connector.Malformed:
		f.Kind, f.Severity = tenure.FindingForeign, tenure.High
		f.Detail = fmt.Sprintf("%s %s bears a mark that can't be authenticated", f.Type, f.Name)
		return f, nil, nil
	case connector.Unmarked:
		f.Kind, f.Severity = tenure.FindingOrphan, tenure.Medium
		f.Detail = fmt.Sprintf("%s %s stands where only Tenure's should and bears no mark", f.Type, f.Name)
		if p.inv != nil {
			f.Tenant = p.inv.Tenant
		}
		return f, nil, nil
	}
	f.Kind, f.Severity = tenure.FindingOrphan, tenure.High
	f.Detail = fmt.Sprintf("%s %s bears our mark for %s, which the inventory doesn't know", f.Type, f.Name, p.seen.Resource)
	r, err := l.DB.Resource(ctx, p.seen.Resource)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return f, nil, nil
	case err != nil:
		return nil, nil, err
	}
	f.Tenant = r.Tenant
	switch {
	case r.State == tenure.ResourceGone && typ.Layer == tenure.LayerAccount:
		f.Kind, f.Severity = tenure.FindingGhost, tenure.Critical
		f.Detail = fmt.Sprintf("%s %s is alive after its tenant left", f.Type, f.Name)
	case r.State == tenure.ResourceGone:
		f.Kind = tenure.FindingResidue
		f.Detail = fmt.Sprintf("%s %s is there, and was recorded as gone", f.Type, f.Name)
	case p.inv == nil && r.System == sys.Name && r.Type == f.Type && r.Name == f.Name:
		return nil, nil, nil // the inventory moved on while the pass ran
	default:
		f.Severity = tenure.Medium
		f.Detail = fmt.Sprintf("%s %s is a copy that bears the mark of %s %s", f.Type, f.Name, r.Type, r.Name)
		if r.System == sys.Name && r.Type == f.Type {
			ref := connector.RefOf(r.Resource)
			return f, &ref, nil
		}
	}
	return f, nil, nil
}
