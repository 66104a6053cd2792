package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Certificate is an issued certificate without its file.
type Certificate struct {
	ID       tenure.CertificateID `json:"id"`
	Tenant   tenure.TenantID      `json:"tenant"`
	Kind     string               `json:"kind"`
	Digest   string               `json:"digest"` // of the statement
	IssuedAt time.Time            `json:"issuedAt"`
}

// CertificateParams name a certificate of a tenant: its id, interim, closing or
// supplementary (the last of that kind), or "latest".
type CertificateParams struct {
	TenantParams
	Certificate string `path:"certificate" doc:"latest, interim, closing, supplementary, or a certificate's id" maxLength:"64"`
}

// File is a file's content.
type File struct {
	Content []byte `json:"content"`
}

// Key is a verifier key's text.
type Key struct {
	Key string `json:"key"`
}

var (
	// ListCertificates lists a tenant's certificates in the order of their issue.
	ListCertificates = Endpoint[TenantParams, Page[Certificate]]{Name: "certificate.list", Verb: "GET", Path: "/v1/tenants/{tenant}/certificates", Summary: "List a tenant's certificates in the order of their issue"}
	// FetchCertificate puts a certificate's file together.
	FetchCertificate = Endpoint[CertificateParams, File]{Name: "certificate.fetch", Verb: "GET", Path: "/v1/tenants/{tenant}/certificates/{certificate}", Summary: "Give a certificate's file"}
	// FetchAnnex gives the auditor's annex of a certificate: the history of the holds.
	FetchAnnex = Endpoint[CertificateParams, File]{Name: "certificate.annex", Verb: "GET", Path: "/v1/tenants/{tenant}/certificates/{certificate}/annex", Summary: "Give the auditor's annex of a certificate"}
	// VerifierKey gives the public key that certificates and checkpoints are
	// verified with.
	VerifierKey = Endpoint[None, Key]{Name: "certificate.key", Verb: "GET", Path: "/v1/verifier-key", Summary: "Give the public key that certificates and checkpoints are verified with"}
)
