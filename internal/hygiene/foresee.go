package hygiene

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Coming are things in one system that are about to become a tenant's as they stand.
type Coming struct {
	Rows    []store.ResourceRow                                            // as the inventory would have them, with what is normal
	Beside  []tenure.Resource                                              // all that is about to become the tenant's
	Changes func(r tenure.Resource) (map[string]tenure.Disposition, error) // what becomes of its classes, other than that their rows go
}

// Foresee is what a drift look would find of things once they are a tenant's, save that
// their marks and attributes are as they should be: rights and settings that nothing
// declares, and places that no data class covers. Their steps are what takes each away.
// It reads as a drift look does, and changes nothing. Unseen says what couldn't be seen.
func (l *Looker) Foresee(ctx context.Context, sys *connector.System, c Coming) (out []tenure.Finding, unseen error, err error) {
	if len(c.Rows) == 0 {
		return nil, nil, nil
	}
	add := func(f tenure.Finding) {
		f.System = sys.Name
		out = append(out, f)
	}
	if sys.Can("reach") {
		all, err := l.Declared(ctx, sys)
		if err != nil {
			return nil, nil, err
		}
		all = slices.DeleteFunc(all, func(d connector.Declared) bool { return d.Tenant == c.Rows[0].Tenant }) // planned, or marked by now
		for i := range c.Rows {
			r := &c.Rows[i]
			all = append(all, connector.Declared{Resource: r.ID, Tenant: r.Tenant, Type: r.Type, Name: r.Name, State: tenure.ResourcePresent, Normal: r.Normal})
		}
		var ways []connector.Way
		if ways, unseen, err = undeclared(ctx, sys, c.Rows[0].Tenant, all); err != nil {
			return nil, nil, err
		}
		for _, w := range ways {
			f := finding(w)
			f.Detail = w.Says
			if w.Fix != "" {
				f.Steps = []string{w.Fix}
			}
			add(f)
		}
	}
	now := l.Now()
	for _, r := range c.Rows {
		if !Mapped(sys, r.Type) {
			continue
		}
		// Gone leaves out only that the thing must bear its mark, which it doesn't yet.
		ask := connector.Survey{Ref: connector.RefOf(r.Resource), Beside: Beside(c.Beside, r.Resource), Brief: true, Gone: true}
		if len(r.Classes) > 0 {
			if ask.Changes, err = c.Changes(r.Resource); err != nil {
				return nil, nil, err
			}
		}
		m, _, err := sys.DataMap(ctx, ask)
		switch code := tenure.CodeOf(err); {
		case code == tenure.NotFound || code == tenure.Conflict:
			continue // whoever compares its marks and attributes says so
		case tenure.CanRetry(err) || ctx.Err() != nil:
			return nil, nil, tenure.Errorf(code, "data map of %s: %w", r.Path(), err)
		case err != nil:
			add(tenure.Finding{Kind: tenure.FindingUncovered, Severity: tenure.High, Tenant: r.Tenant, Resource: r.ID, Type: r.Type, Name: r.Name, Detail: "what it holds can't be told: " + err.Error(), Steps: tenure.HintsOf(err)})
			continue
		}
		for _, f := range (&Map{Map: m, Resource: r.Resource}).Findings(now) {
			if f.Want != "" {
				f.Steps = []string{f.Want}
			}
			add(f)
		}
	}
	return out, unseen, nil
}
