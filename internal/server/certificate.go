package server

import (
	"context"

	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// ListCertificates lists a tenant's certificates in the order of their issue.
var ListCertificates = Method[NameParams, []store.Certificate]{"certificate.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) ([]store.Certificate, error) {
	return s.Certificates(ctx, p.Tenant)
}}

// CertificateParams name a certificate: its tenant and its kind, interim or
// closing; a blank kind is the latest.
type CertificateParams struct {
	Tenant string `json:"tenant"`
	Kind   string `json:"kind,omitempty"`
}

// File is a file's content.
type File struct {
	Content []byte `json:"content"`
}

// FetchCertificate puts a certificate's file together. It signs a checkpoint, and
// so is a write.
var FetchCertificate = Method[CertificateParams, File]{"certificate.fetch", true, func(ctx context.Context, s *lifecycle.Service, _ string, p CertificateParams) (File, error) {
	b, err := s.Certificate(ctx, p.Tenant, p.Kind)
	return File{b}, err
}}

// Key is a verifier key's text.
type Key struct {
	Key string `json:"key"`
}

// VerifierKey gives the public key that certificates and checkpoints are verified
// with.
var VerifierKey = Method[None, Key]{"certificate.key", false, func(_ context.Context, s *lifecycle.Service, _ string, _ None) (Key, error) {
	k, err := s.VerifierKey()
	return Key{k}, err
}}
