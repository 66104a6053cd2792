package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// Look is the outcome of a drift check or a sweep.
type Look struct {
	Systems  []hygiene.Summary `json:"systems"`
	Findings []tenure.Finding  `json:"findings"`
	Dead     map[string]string `json:"dead,omitempty"` // systems that couldn't be asked, and why
}

var (
	driftKinds = []tenure.FindingKind{tenure.FindingDrift, tenure.FindingExposure, tenure.FindingForeign, tenure.FindingLostMark, tenure.FindingUnproven, tenure.FindingUncovered, tenure.FindingLimit}
	sweepKinds = []tenure.FindingKind{tenure.FindingOrphan, tenure.FindingResidue, tenure.FindingGhost, tenure.FindingDormant}
	// seenKinds are those that a sweep of one system sees whole.
	seenKinds = []tenure.FindingKind{tenure.FindingOrphan, tenure.FindingGhost, tenure.FindingDormant}
)

// maxFindings bounds what one look stores and returns for each system.
const maxFindings = 10_000

// seekOverdueOf is seekOverdue for a tenant by id or name; blank is everything.
func (s *Service) seekOverdueOf(ctx context.Context, tenant string) error {
	if tenant == "" {
		return s.seekOverdue(ctx, "")
	}
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return err
	}
	return s.seekOverdue(ctx, t.ID)
}

// Drift compares live with desired, in bulk, over every system, and the places that
// the systems' catalogs give with what the blueprints cover; a tenant narrows it.
// Findings are stored; those that weren't seen again are resolved. The isolation of
// the tenant is probed as well; without one, that of those whose probe failed last.
func (s *Service) Drift(ctx context.Context, tenant string) (*Look, error) {
	again, err := s.suspects(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, t := range again {
		if _, err := s.Probe(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := s.seekOverdueOf(ctx, tenant); err != nil {
		return nil, err
	}
	return s.lookAll(ctx, tenant, driftKinds, func(ctx context.Context, sys *connector.System, id tenure.TenantID, yield func(tenure.Finding) error) (hygiene.Summary, error) {
		sum, err := s.look.Drift(ctx, sys, id, yield)
		if err == nil {
			err = s.stalls(ctx, sys.Name, id, func(f tenure.Finding) error {
				sum.Findings++
				return yield(f)
			})
		}
		return sum, err
	})
}

// Sweep looks for what bears an owner mark and isn't in the inventory, and for
// what closed tenants left or what came back at their places, marked or not.
func (s *Service) Sweep(ctx context.Context, tenant string) (*Look, error) {
	return s.lookAll(ctx, tenant, sweepKinds, s.look.Sweep)
}

type lookFunc = func(context.Context, *connector.System, tenure.TenantID, func(tenure.Finding) error) (hygiene.Summary, error)

func (s *Service) lookAll(ctx context.Context, tenant string, kinds []tenure.FindingKind, look lookFunc) (*Look, error) {
	var id tenure.TenantID
	if tenant != "" {
		t, err := s.o.DB.Tenant(ctx, tenant)
		if err != nil {
			return nil, err
		}
		id = t.ID
	}
	systems, dead, err := s.allSystems(ctx)
	if err != nil {
		return nil, err
	}
	out := &Look{Dead: make(map[string]string)}
	for name, err := range dead {
		out.Dead[name] = err.Error()
	}
	names := make([]string, 0, len(systems))
	for name := range systems {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var found []tenure.Finding
		sum, err := look(ctx, systems[name], id, func(f tenure.Finding) error {
			if len(found) < maxFindings {
				found = append(found, f)
			}
			return nil
		})
		if err != nil {
			out.Dead[name] = err.Error()
			continue
		}
		if slices.Contains(kinds, tenure.FindingExposure) {
			more, err := s.unencrypted(ctx, systems[name])
			if err == nil && id == "" {
				var exposed []tenure.Finding
				exposed, err = s.exposed(ctx, systems[name])
				more = append(more, exposed...)
			}
			if err == nil && id == "" {
				var levels []tenure.Finding
				levels, err = s.strained(ctx, systems[name])
				more = append(more, levels...)
			}
			if err == nil {
				var places []tenure.Finding
				places, err = s.look.Uncovered(ctx, systems[name], id, maxFindings)
				more = append(more, places...)
			}
			if err != nil {
				out.Dead[name] = err.Error()
				continue
			}
			found = append(found, more...)
			sum.Findings += len(more)
		}
		if slices.Contains(kinds, tenure.FindingResidue) {
			back, err := s.returned(ctx, systems[name], id)
			if err != nil {
				out.Dead[name] = err.Error()
				continue
			}
			found = append(found, back...)
			sum.Findings += len(back)
		}
		out.Systems = append(out.Systems, sum)
		err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
			if err := saveFindings(tx, found); err != nil {
				return err
			}
			if !sum.Trusted {
				return nil
			}
			if id == "" && slices.Contains(kinds, tenure.FindingDormant) && systems[name].Can("accounts") {
				if err := tx.SaveUses(name, slices.Collect(maps.Values(sum.Uses)), s.Now()); err != nil {
					return err
				}
			}
			return tx.ResolveUnseen(kinds, name, id, found, s.Now())
		})
		if err != nil {
			return nil, err
		}
	}
	all, err := s.o.DB.Findings(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if slices.Contains(kinds, f.Kind) || slices.Contains(kinds, tenure.FindingDrift) && (f.Kind == tenure.FindingIsolation || f.Kind == tenure.FindingCredential) {
			out.Findings = append(out.Findings, f)
		}
	}
	return out, nil
}

// exposed asks a system whether anybody but Tenure has rights where marks stand.
func (s *Service) exposed(ctx context.Context, sys *connector.System) ([]tenure.Finding, error) {
	says, err := sys.Exposed(ctx)
	if err != nil || len(says) == 0 {
		return nil, err
	}
	const named = 10
	more := ""
	if n := len(says) - named; n > 0 {
		says, more = says[:named], fmt.Sprintf("; and %d more", n)
	}
	now, what := s.Now(), strings.Join(says, "; ")+more
	return []tenure.Finding{{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingExposure, Severity: tenure.Critical, System: sys.Name, Field: "marks", Got: what, SeenAt: now,
		Detail: "what Tenure keeps in " + sys.Name + " is open to others, who could change whose a thing is: " + what,
	}}, nil
}

// strained asks a system which of its limits tenants have used up to half.
func (s *Service) strained(ctx context.Context, sys *connector.System) (out []tenure.Finding, err error) {
	levels, err := sys.Gauge(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	for _, l := range levels {
		f := tenure.Finding{
			ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingLimit, Severity: tenure.Medium, System: sys.Name, Name: l.Name, Field: l.Unit, SeenAt: now,
			Want: fmt.Sprintf("less than %d", l.Limit/2), Got: fmt.Sprint(l.Used),
			Detail: fmt.Sprintf("%s takes %d of at most %d %s; when it is full, %s refuses the next tenant. %s", l.Name, l.Used, l.Limit, l.Unit, sys.Name, l.Fix),
		}
		if l.Used > l.Limit*3/4 {
			f.Severity = tenure.High
		}
		out = append(out, f)
	}
	return out, nil
}

// unencrypted asks a system, where it can say, whether it still keeps the
// encryption profiles of the published blueprints that use it.
func (s *Service) unencrypted(ctx context.Context, sys *connector.System) ([]tenure.Finding, error) {
	if !sys.Can("probe") || !slices.ContainsFunc(sys.Info.Probes, func(p connector.ProbeKind) bool { return p.Name == "encryption" }) {
		return nil, nil
	}
	rows, err := s.o.DB.Blueprints(ctx)
	if err != nil {
		return nil, err
	}
	asked := make(map[tenure.Encryption]bool)
	var out []tenure.Finding
	for _, b := range rows {
		if !b.Published() {
			continue
		}
		c, err := s.compiled(ctx, b.Digest, true)
		if err != nil {
			return nil, err
		}
		profile := c.Blueprint.Encryption
		if _, uses := c.Blueprint.Systems[sys.Name]; !uses || profile == (tenure.Encryption{}) || asked[profile] {
			continue
		}
		asked[profile] = true
		o, err := sys.Probe(ctx, connector.Check{Kind: "encryption", Encryption: profile})
		if err != nil {
			return nil, err
		}
		if !o.Passed {
			now := s.Now()
			out = append(out, tenure.Finding{
				ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingExposure, Severity: tenure.Critical, System: sys.Name, Field: "encryption",
				Want: b.Name + " " + b.Version, Got: o.Detail, Detail: "the encryption profile of " + b.Name + " isn't kept: " + o.Detail, SeenAt: now,
			})
		}
	}
	return out, nil
}

// Findings lists what is open, the worst first; waived ones only if asked for.
func (s *Service) Findings(ctx context.Context, tenant string, waived bool) ([]tenure.Finding, error) {
	var id tenure.TenantID
	if tenant != "" {
		t, err := s.o.DB.Tenant(ctx, tenant)
		if err != nil {
			return nil, err
		}
		id = t.ID
	}
	all, err := s.o.DB.Findings(ctx, id)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	return slices.DeleteFunc(all, func(f tenure.Finding) bool { return !waived && !f.Open(now) }), nil
}

// drifted says which of a tenant's resources to repair: those with an open drift
// finding that isn't waived, after a fresh look; with reissue also every one that
// has a credential. Lost are those of them that stand there without their mark. Found is
// all that was found, what is waived as well.
func (s *Service) drifted(ctx context.Context, tenant tenure.TenantID, reissue bool) (out, lost map[tenure.ResourceID]bool, found []tenure.Finding, err error) {
	look, err := s.Drift(ctx, string(tenant))
	if err != nil {
		return nil, nil, nil, err
	}
	out, lost = make(map[tenure.ResourceID]bool), make(map[tenure.ResourceID]bool)
	now := s.Now()
	for _, f := range look.Findings {
		if f.Open(now) && f.Kind == tenure.FindingLostMark {
			lost[f.Resource] = true
		}
		if f.Open(now) && f.Kind != tenure.FindingCredential && f.Kind != tenure.FindingUnproven && f.Kind != tenure.FindingForeign && f.Kind != tenure.FindingUncovered {
			out[f.Resource] = true
		}
	}
	if !reissue {
		return out, lost, look.Findings, nil
	}
	rows, err := s.o.DB.Resources(ctx, tenant, false)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, r := range rows {
		if sys, err := s.system(ctx, r.System); err == nil && r.State != tenure.ResourceRevoked {
			if t, _ := sys.Info.Type(r.Type); t.Credential {
				out[r.ID] = true
			}
		}
	}
	return out, lost, look.Findings, nil
}

// undeclared gives a repair the rights at what has drifted that nothing declares, which it
// takes away. One whose finding is waived stays.
func (s *Service) undeclared(ctx context.Context, in *planner.Input) error {
	now := s.Now()
	waived := func(r tenure.ResourceID, field string) bool {
		return slices.ContainsFunc(in.Found, func(f tenure.Finding) bool { return f.Resource == r && f.Field == field && !f.Open(now) })
	}
	in.Rights = make(map[tenure.ResourceID][]tenure.Right)
	looked := make(map[string]bool)
	for _, r := range in.Inventory {
		sys := in.Systems[r.System]
		if sys == nil || looked[r.System] || !in.Drifted[r.ID] || !sys.Can("confine") {
			continue
		}
		looked[r.System] = true
		ways, err := s.look.Undeclared(ctx, sys, in.Tenant.ID)
		if err != nil {
			return err
		}
		for _, w := range ways {
			if id := w.At.Resource; in.Drifted[id] {
				right := w.Right()
				right.Waived = waived(id, w.Field)
				in.Rights[id] = append(in.Rights[id], right)
			}
		}
	}
	in.Found = slices.DeleteFunc(in.Found, func(f tenure.Finding) bool { return !f.Open(now) })
	return nil
}

// maxWaiver bounds how long a finding may be let be.
const maxWaiver = 366 * 24 * time.Hour

// Waive lets a finding be until a moment, at most a year away, with a reason.
func (s *Service) Waive(ctx context.Context, id tenure.FindingID, until time.Time, reason, by string) error {
	if err := person(by); err != nil {
		return err
	}
	now := s.Now()
	_, err := tenure.NeedLines("the reason for a waiver", reason, tenure.MaxReason)
	switch {
	case err != nil:
		return err
	case !until.After(now) || until.Sub(now) > maxWaiver:
		return tenure.Errorf(tenure.Invalid, "a waiver expires between now and a year from now")
	}
	e, err := s.entry(ctx, "finding.waive", by, "", "", string(id), map[string]string{"until": until.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Waive(id, by, until); err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.PokeWaits(id, now) // what weighed on who asks or signs may not any more
	})
}

// sweep is the reconciliation of an offboarding: every system, for one tenant.
// A system that can't be asked makes it fail: absence there isn't known.
func (s *Service) sweep(ctx context.Context, tenant tenure.TenantID) ([]tenure.Finding, []hygiene.Summary, error) {
	systems, dead, err := s.allSystems(ctx)
	if err != nil {
		return nil, nil, err
	}
	for name, err := range dead {
		return nil, nil, tenure.Errorf(tenure.CodeOf(err), "system %s: %w", name, err)
	}
	names := make([]string, 0, len(systems))
	for name := range systems {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []tenure.Finding
	var sums []hygiene.Summary
	for _, name := range names {
		var found []tenure.Finding
		sum, err := s.look.Sweep(ctx, systems[name], tenant, func(f tenure.Finding) error {
			found = append(found, f)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
			if err := saveFindings(tx, found); err != nil || !sum.Trusted {
				return err
			}
			return tx.ResolveUnseen(seenKinds, name, tenant, found, s.Now())
		})
		if err != nil {
			return nil, nil, err
		}
		all, sums = append(all, found...), append(sums, sum)
	}
	return all, sums, nil
}
