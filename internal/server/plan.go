package server

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func planRoutes(s *Server) {
	created(s, client.MakePlan, Access{tenure.OperationRequest, OfBody}, makePlan)
	route(s, client.ShowPlan, Access{tenure.TenantRead, OfPlan}, showPlan)
}

func wholeDigest(d string) string {
	if strings.HasPrefix(d, "sha256:") {
		return d
	}
	return "sha256:" + d
}

// isRead refuses a signature under another document than the one that stands there.
func isRead(digest, stands string) error {
	if digest != "" && wholeDigest(digest) != stands {
		return tenure.Errorf(tenure.Conflict, "the digest %s is another one's; this one's is %s", digest, stands).WithHint("read it again, and send its digest")
	}
	return nil
}

func intentOf(in client.Intent) lifecycle.Intent { return lifecycle.Intent(in) }

// requireIntent asks whether the caller may request this: over the tenant that
// there is, or over one that is to be, with the tier and the labels that it will
// have.
func (c *Call) requireIntent(ctx context.Context, in client.Intent) error {
	if _, ok := tenure.OperationKinds[in.Kind]; !ok {
		return tenure.Errorf(tenure.Invalid, "there is no operation of kind %q", in.Kind).WithHint("kinds: %s", strings.Join(kinds(), ", "))
	}
	if in.Kind == tenure.Onboard {
		return c.Require(ctx, tenure.OperationRequest, tenure.Target{Tier: in.Tier, Labels: in.Labels, Tenant: unborn})
	}
	if strings.TrimSpace(in.Tenant) == "" {
		return tenure.Errorf(tenure.Invalid, "no tenant is named")
	}
	if err := c.RequireTenant(ctx, tenure.OperationRequest, in.Tenant); err != nil || in.Tier == "" || in.Kind != tenure.Change && in.Kind != tenure.Upgrade {
		return err
	}
	// A change of tier must not move the tenant out of the caller's reach, or into it.
	t, err := c.server.target(ctx, in.Tenant)
	if err != nil {
		return err
	}
	t.Tier = in.Tier
	if d := c.Governor.Decide(ctx, c.Caller, tenure.OperationRequest, t); !d.Allowed {
		return tenure.Errorf(tenure.Forbidden, "%s may not move a tenant to tier %q: %s", c.By(), in.Tier, d.Why)
	}
	return nil
}

// unborn stands for the id of a tenant that is to be made: scopes that name tenants
// never cover it, and those of tiers and labels may.
const unborn tenure.TenantID = "ten_00000000-0000-7000-8000-000000000000"

func kinds() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(tenure.OperationKinds)) {
		out = append(out, string(k))
	}
	return out
}

func makePlan(ctx context.Context, c *Call, p *client.PlanIntent) (client.Plan, error) {
	if err := c.requireIntent(ctx, p.Body); err != nil {
		return client.Plan{}, err
	}
	plan, err := c.Service.Plan(ctx, intentOf(p.Body), c.By())
	if err != nil {
		return client.Plan{}, err
	}
	c.Location("/v1/plans/" + plan.Digest)
	return client.Plan{Digest: plan.Digest, Body: plan.Body}, nil
}

func showPlan(ctx context.Context, c *Call, p *client.DigestParams) (client.Plan, error) {
	plan, err := c.Service.Engine.DB.Plan(ctx, wholeDigest(p.Digest))
	if err != nil {
		return client.Plan{}, err
	}
	body, digest, err := plan.Encode()
	return client.Plan{Digest: digest, Body: body}, err
}
