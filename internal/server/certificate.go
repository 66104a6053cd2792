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
	route(s, client.FetchAnnex, Access{tenure.AuditRead, Installation}, fetchAnnex)
	route(s, client.ShowRecord, Access{tenure.AuditRead, Installation}, showRecord)
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
	kind, err := c.certificate(ctx, p)
	if err != nil {
		return client.File{}, err
	}
	b, err := c.Service.Certificate(ctx, p.Tenant, kind)
	return client.File{Content: b}, err
}

// fetchAnnex is for who reads the log of the whole installation: a hold over several
// tenants names other cases too.
func fetchAnnex(ctx context.Context, c *Call, p *client.CertificateParams) (client.File, error) {
	kind, err := c.certificate(ctx, p)
	if err != nil {
		return client.File{}, err
	}
	b, err := c.Service.Annex(ctx, p.Tenant, kind)
	return client.File{Content: b}, err
}

// certificate is how the service names the one that the path names.
func (c *Call) certificate(ctx context.Context, p *client.CertificateParams) (string, error) {
	switch p.Certificate {
	case "latest":
		return "", nil
	case "interim", "closing", "supplementary":
		return p.Certificate, nil
	}
	list, err := c.Service.Certificates(ctx, p.Tenant)
	if err == nil && !slices.ContainsFunc(list, func(c store.Certificate) bool { return string(c.ID) == p.Certificate }) {
		err = tenure.Errorf(tenure.NotFound, "there is no certificate %q of this tenant", p.Certificate)
	}
	return p.Certificate, err
}

func verifierKey(_ context.Context, c *Call, _ *client.None) (client.Key, error) {
	k, err := c.Service.VerifierKey()
	return client.Key{Key: k}, err
}
