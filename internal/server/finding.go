package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func findingRoutes(s *Server) {
	route(s, client.LookAt, Access{tenure.FindingLook, OfBody}, lookAt)
	route(s, client.ProbeTenant, Access{tenure.FindingLook, OfTenant}, probeTenant)
	route(s, client.ListFindings, Access{tenure.TenantRead, List}, listFindings)
	route(s, client.ShowFinding, Access{tenure.TenantRead, OfFinding}, showFinding)
	route(s, client.WaiveFinding, Access{tenure.FindingWaive, OfFinding}, waiveFinding)
}

func (s *Server) finding(ctx context.Context, text string) (tenure.Finding, error) {
	id, err := tenure.ParseID[tenure.FindingID](text)
	if err != nil {
		return tenure.Finding{}, err
	}
	return s.db().Finding(ctx, id)
}

func lookAt(ctx context.Context, c *Call, p *client.LookParams) (client.Look, error) {
	err := c.Require(ctx, tenure.FindingLook, tenure.Target{})
	if p.Body.Tenant != "" {
		err = c.RequireTenant(ctx, tenure.FindingLook, p.Body.Tenant)
	}
	if err != nil {
		return client.Look{}, err
	}
	look := c.Service.Drift
	if p.Body.Kind == "sweep" {
		look = c.Service.Sweep
	}
	seen, err := look(ctx, p.Body.Tenant)
	if err != nil {
		return client.Look{}, err
	}
	out := client.Look{Findings: seen.Findings, Dead: seen.Dead}
	out.Systems = each(seen.Systems, func(s hygiene.Summary) client.LookedAt {
		return client.LookedAt{System: s.System, Checked: s.Checked, Findings: s.Findings, Trusted: s.Trusted, Reason: s.Why}
	})
	return out, nil
}

func probeTenant(ctx context.Context, c *Call, p *client.TenantParams) (client.Probes, error) {
	seen, err := c.Service.Probe(ctx, p.Tenant)
	return client.Probes{Probes: each(seen, func(p lifecycle.Probed) client.Probed { return client.Probed(p) })}, err
}

// findingLot is how many findings are read at once, some of which a filter that
// the store doesn't know may leave out.
const findingLot = 500

func listFindings(ctx context.Context, c *Call, p *client.FindingFilter) (client.Page[tenure.Finding], error) {
	out, err := findings(ctx, c, p)
	if err == nil && len(out.Items) == 0 {
		err = c.knownSystem(ctx, p.System)
	}
	return out, err
}

func findings(ctx context.Context, c *Call, p *client.FindingFilter) (client.Page[tenure.Finding], error) {
	out := client.Page[tenure.Finding]{Items: []tenure.Finding{}}
	var from findingPlace
	if err := c.after(p.Cursor, &from); err != nil {
		return out, err
	}
	f := store.FindingFilter{Severity: p.Severity, Kind: p.Kind, Limit: findingLot, Visible: &c.Visible}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.TenantRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	if p.Cursor != "" {
		f.After = from.finding()
	}
	now := c.Service.Now()
	for {
		lot, err := c.Service.Engine.DB.FindingsPage(ctx, f)
		if err != nil {
			return out, err
		}
		for _, v := range lot {
			switch {
			case !p.Waived && !v.Open(now), p.System != "" && v.System != p.System,
				!p.From.IsZero() && v.SeenAt.Before(p.From), !p.To.IsZero() && !v.SeenAt.Before(p.To):
			case len(out.Items) == limitOf(p.Paging):
				out.Next = c.cursor(placeOf(out.Items[len(out.Items)-1]))
				return out, nil
			default:
				out.Items = append(out.Items, v)
			}
		}
		if len(lot) < findingLot {
			return out, nil
		}
		f.After = &lot[len(lot)-1]
	}
}

// findingPlace is a finding's place in the list: the worst first, then the oldest.
type findingPlace struct {
	Severity tenure.Severity `json:"r"`
	Seen     int64           `json:"s"`
	ID       string          `json:"i"`
}

func placeOf(f tenure.Finding) findingPlace {
	return findingPlace{f.Severity, f.SeenAt.UnixMicro(), string(f.ID)}
}

// finding is what a page goes on after.
func (p findingPlace) finding() *tenure.Finding {
	return &tenure.Finding{Severity: p.Severity, SeenAt: time.UnixMicro(p.Seen).UTC(), ID: tenure.FindingID(p.ID)}
}

func showFinding(ctx context.Context, c *Call, p *client.FindingID) (client.FindingDetail, error) {
	f, err := c.server.finding(ctx, p.Finding)
	if err != nil {
		return client.FindingDetail{}, err
	}
	r, err := c.Service.Remedy(ctx, f)
	return client.FindingDetail{Finding: f, Repair: client.Repair(r)}, err
}

func waiveFinding(ctx context.Context, c *Call, p *client.WaiveParams) (client.None, error) {
	id, err := tenure.ParseID[tenure.FindingID](p.Finding)
	if err != nil {
		return client.None{}, err
	}
	return client.None{}, c.Service.Waive(ctx, id, p.Body.ExpiresAt, p.Body.Reason, c.By())
}
