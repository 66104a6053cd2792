package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func coverageRoutes(s *Server) {
	route(s, client.ListCoverage, Access{tenure.TenantRead, OfTenant}, listCoverage)
	created(s, client.Cover, Access{tenure.OperationRequest, OfTenant}, cover)
	route(s, client.ReviewCoverage, Access{tenure.OperationApprove, OfTenant}, reviewCoverage)
}

func coverageOf(c store.Addition) client.Addition {
	return client.Addition{Addition: c.Addition, Digest: c.Digest, Resource: c.Resource, Reason: c.Reason, RequestedBy: c.AskedBy, RequestedAt: c.AskedAt, ReviewedBy: c.ReviewedBy, ReviewedAt: c.ReviewedAt}
}

func listCoverage(ctx context.Context, c *Call, p *client.TenantParams) (client.Page[client.Addition], error) {
	list, err := c.Service.Additions(ctx, p.Tenant)
	return whole(each(list, coverageOf)), err
}

func cover(ctx context.Context, c *Call, p *client.CoverParams) (client.Addition, error) {
	out, err := c.Service.Cover(ctx, p.Tenant, p.Body.Resource, p.Body.Addition, p.Body.Reason, c.By())
	return coverageOf(out), err
}

func reviewCoverage(ctx context.Context, c *Call, p *client.CoverageReview) (client.Addition, error) {
	if err := isRead(p.Signs(), wholeDigest(p.Coverage)); err != nil {
		return client.Addition{}, err
	}
	out, err := c.Service.ReviewAddition(ctx, p.Tenant, wholeDigest(p.Coverage), c.Caller)
	return coverageOf(out), err
}
