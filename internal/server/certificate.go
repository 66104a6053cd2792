package server

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func certificateRoutes(s *Server) {
	route(s, client.ListCertificates, Access{tenure.CertificateRead, OfTenant}, listCertificates)
	route(s, client.FetchCertificate, Access{tenure.CertificateRead, OfTenant}, fetchCertificate)
	route(s, client.VerifierKey, Access{Reach: Signed}, verifierKey)
}

func certificateOf(c store.Certificate) client.Certificate {
	return client.Certificate{ID: c.ID, Tenant: c.Tenant, Kind: c.Kind, Digest: c.Digest, IssuedAt: c.IssuedAt}
}

func listCertificates(ctx context.Context, c *Call, p *client.TenantParams) (client.Page[client.Certificate], error) {
	list, err := c.Service.Certificates(ctx, p.Tenant)
	return whole(each(list, certificateOf)), err
}

func fetchCertificate(ctx context.Context, c *Call, p *client.CertificateParams) (client.File, error) {
	kind := p.Certificate
	switch kind {
	case "latest":
		kind = ""
	case "interim", "closing", "supplementary":
	default:
		list, err := c.Service.Certificates(ctx, p.Tenant)
		if err != nil {
			return client.File{}, err
		}
		if !slices.ContainsFunc(list, func(c store.Certificate) bool { return string(c.ID) == p.Certificate }) {
			return client.File{}, tenure.Errorf(tenure.NotFound, "there is no certificate %q of this tenant", p.Certificate)
		}
	}
	b, err := c.Service.Certificate(ctx, p.Tenant, kind)
	return client.File{Content: b}, err
}

func verifierKey(_ context.Context, c *Call, _ *client.None) (client.Key, error) {
	k, err := c.Service.VerifierKey()
	return client.Key{Key: k}, err
}
