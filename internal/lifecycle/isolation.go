package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Probed is what one isolation probe showed.
type Probed struct {
	Resource tenure.ResourceID `json:"resource"`
	System   string            `json:"system"`
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Passed   bool              `json:"passed"`
	Detail   string            `json:"detail,omitempty"`
	Unknown  string            `json:"unknown,omitempty"` // why it couldn't be made
}

// isolates says whether a system probes by itself, as a resource of the type, that the
// neighbours are refused.
func isolates(sys *connector.System, typ string) bool {
	return sys.Can("probe") && slices.ContainsFunc(sys.Info.Probes, func(p connector.ProbeKind) bool {
		return p.Name == "isolation" && slices.Contains(p.Types, typ)
	})
}

// Probe makes the isolation probes of one tenant: as each of its logins, against the
// sentinel neighbour and whatever else it reaches. What fails is a finding; what passes
// resolves it. A tenant whose access is off has nothing to probe.
func (s *Service) Probe(ctx context.Context, tenant string) ([]Probed, error) {
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows, err := s.o.DB.Resources(ctx, t.ID, false)
	if err != nil {
		return nil, err
	}
	out := []Probed{}
	for _, r := range rows {
		sys, err := s.system(ctx, r.System)
		switch {
		case err != nil && r.State == tenure.ResourcePresent:
			out = append(out, Probed{Resource: r.ID, System: r.System, Type: r.Type, Name: r.Name, Unknown: err.Error()})
			continue
		case err != nil || !isolates(sys, r.Type):
			continue
		case r.State != tenure.ResourcePresent: // its access is off
			if err := s.keepProbe(ctx, r.Resource, Probed{Passed: true}); err != nil {
				return nil, err
			}
			continue
		}
		p, err := s.probe(ctx, sys, r.Resource)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// probe makes one probe and keeps what it showed.
func (s *Service) probe(ctx context.Context, sys *connector.System, r tenure.Resource) (Probed, error) {
	p := Probed{Resource: r.ID, System: r.System, Type: r.Type, Name: r.Name}
	c := connector.Check{Kind: "isolation", Ref: connector.RefOf(r)}
	var err error
	if typ, _ := sys.Info.Type(r.Type); typ.Credential {
		c.Credential, _, err = s.secretOf(ctx, r.ID)
		if tenure.CodeOf(err) == tenure.NotFound {
			if own, failed := s.adopted(ctx, &r); failed != nil || own {
				p.Unknown = "it was adopted with its own credential, which Tenure doesn't hold; issue one with: tenure tenant repair --reissue"
				return p, failed
			}
		}
	}
	var seen connector.Outcome
	if err == nil {
		seen, err = sys.Probe(ctx, c)
	}
	if now, again := s.o.DB.Resource(ctx, r.ID); again == nil && now.State != tenure.ResourcePresent {
		return p, nil // its access was taken off meanwhile
	}
	p.Passed, p.Detail = seen.Passed && err == nil, seen.Detail
	if !p.Passed && err == nil {
		there, _, err := sys.Observe(ctx, []connector.Ref{c.Ref})
		if err == nil && (!there[0].Found || there[0].State != tenure.ResourcePresent) {
			p.Unknown = "it isn't there as the inventory has it; see why: tenure drift"
			return p, nil // a look at drift is what says so
		}
	}
	if err != nil {
		p.Unknown = err.Error()
		if tenure.CanRetry(err) {
			return p, ctx.Err() // the system's trouble says nothing of the tenant
		}
	}
	return p, s.keepProbe(ctx, r, p)
}

func (s *Service) keepProbe(ctx context.Context, r tenure.Resource, p Probed) error {
	now := s.Now()
	f := tenure.Finding{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingIsolation, Severity: tenure.Critical, Tenant: r.Tenant, Resource: r.ID, System: r.System,
		Type: r.Type, Name: r.Name, Field: "isolation", Got: "reaches others", Detail: p.Detail, SeenAt: now,
	}
	if p.Unknown != "" {
		f.Severity, f.Got, f.Detail = tenure.Medium, "unknown", "the isolation probe couldn't be made: "+p.Unknown
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if p.Passed {
			return tx.ResolveFinding(f, now)
		}
		return tx.SaveFinding(f)
	})
}

const (
	probeEvery = 24 * time.Hour // how often each tenant's isolation is probed
	probeLot   = 10             // tenants in one turn of the clock

	maxSuspects = 500 // findings whose tenants a look at drift probes again
)

// suspects are the tenants whose isolation a look at drift probes: the one that is
// looked at, or those with an open finding of it.
func (s *Service) suspects(ctx context.Context, tenant string) ([]string, error) {
	if tenant != "" {
		return []string{tenant}, nil
	}
	open, err := s.o.DB.FindingsPage(ctx, store.FindingFilter{Kind: tenure.FindingIsolation, Limit: maxSuspects})
	var out []string
	for _, f := range open {
		if !slices.Contains(out, string(f.Tenant)) {
			out = append(out, string(f.Tenant))
		}
	}
	return out, err
}

// probing is where the round of isolation probes stands. It begins anew with the
// process, so that a restart probes too often and never too rarely.
type probing struct {
	mu    sync.Mutex
	began time.Time
	after tenure.TenantID
	done  bool
}

// TickProbes makes the isolation probes of a few tenants, so that each tenant's turn
// comes once a day.
func (s *Service) TickProbes(ctx context.Context, now time.Time) error {
	p := &s.probing
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began.IsZero() || p.done && now.Sub(p.began) >= probeEvery {
		p.began, p.after, p.done = now, "", false
	}
	if p.done {
		return nil
	}
	rows, err := s.o.DB.Tenants(ctx, store.TenantFilter{State: tenure.TenantActive, After: p.after, Limit: probeLot})
	if err != nil {
		return err
	}
	var failed []error // one tenant's trouble mustn't keep the others from their turn
	for _, t := range rows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, err := s.Probe(ctx, string(t.ID))
		failed = append(failed, err)
		p.after = t.ID
	}
	p.done = len(rows) < probeLot
	return errors.Join(failed...)
}
