package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

const (
	// StatementType is the in-toto Statement v1.
	StatementType = "https://in-toto.io/Statement/v1"
	// PredicateType is that of a Departure as this program issues it.
	PredicateType = "https://tenure.dev/departure/v3"
	// PredicateV2 is that of a Departure that lists the holds itself, and has no annex.
	PredicateV2 = "https://tenure.dev/departure/v2"
	// PredicateV1 is that of a Departure without stores, steps and entries of its
	// own items. Verify holds each to its own rules, and says what it doesn't prove.
	PredicateV1 = "https://tenure.dev/departure/v1"
	// PayloadType is the DSSE type of an in-toto statement.
	PayloadType = "application/vnd.in-toto+json"
	// IssuedKind is the kind of the log entry that holds a certificate's digest.
	IssuedKind = "certificate.issued"
)

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Departure `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// subjectOf is the tenant as in-toto wants a subject: its digest is that of the
// certificate's tenant object as JSON.
func subjectOf(t Tenant) ([]subject, error) {
	b, err := marshal(t)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return []subject{{Name: string(t.ID), Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}}, nil
}

// Envelope is a signed certificate (DSSE v1).
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"` // base64
	Signatures  []Signature `json:"signatures"`
}

// Signature is one of a DSSE envelope's.
type Signature struct {
	KeyID string `json:"keyid"` // audit.Verifier.ID
	Sig   string `json:"sig"`   // base64
}

// Issue signs the departure's certificate, if Check lets it.
func Issue(ctx context.Context, signer *audit.Signer, d Departure) (*Envelope, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	who, err := subjectOf(d.Tenant)
	if err != nil {
		return nil, err
	}
	payload, err := marshal(statement{Type: StatementType, Subject: who, PredicateType: PredicateType, Predicate: d})
	if err != nil {
		return nil, err
	}
	es, err := dsse.NewEnvelopeSigner(dsseSigner{signer})
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "sign the certificate: %w", err)
	}
	e, err := es.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "sign the certificate: %w", err)
	}
	out := &Envelope{PayloadType: e.PayloadType, Payload: e.Payload}
	for _, s := range e.Signatures {
		out.Signatures = append(out.Signatures, Signature(s))
	}
	return out, nil
}

// Digest is the SHA-256 of the payload: what the log holds of a certificate and
// what a closing one says of the interim one. A payload that isn't canonical
// base64 is Invalid.
func (e *Envelope) Digest() (string, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return "", tenure.Errorf(tenure.Invalid, "the certificate's payload is not canonical base64")
	}
	return tenure.Digest(b), nil
}

// IssuedEntry is the log entry of a certificate. What binds the two is
// Data's "payload"; the rest is for readers of the log.
func IssuedEntry(e *Envelope, d *Departure, id tenure.CertificateID, at time.Time) (*audit.Entry, error) {
	digest, err := e.Digest()
	if err != nil {
		return nil, err
	}
	return &audit.Entry{
		Format: audit.Format, At: at.UTC().Truncate(time.Microsecond), Kind: IssuedKind,
		Tenant: d.Tenant.ID, Operation: d.Operation, Subject: string(id),
		Data: audit.Facts(map[string]string{"payload": digest, "kind": string(d.Kind)}),
	}, nil
}

type dsseSigner struct{ *audit.Signer }

func (s dsseSigner) Sign(_ context.Context, data []byte) ([]byte, error) { return s.Signer.Sign(data) }
func (s dsseSigner) KeyID() (string, error)                              { return s.Verifier().ID(), nil }

type dsseVerifier struct{ *audit.Verifier }

func (v dsseVerifier) Verify(_ context.Context, data, sig []byte) error {
	if !v.Verifier.Verify(data, sig) {
		return errors.New("the signature is not by " + v.ID())
	}
	return nil
}
func (v dsseVerifier) KeyID() (string, error)   { return v.ID(), nil }
func (v dsseVerifier) Public() crypto.PublicKey { return ed25519.PublicKey(v.Verifier.Public()) }

// marshal writes JSON the one way in which parse reads it.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "certificate: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parse reads what marshal wrote, byte for byte: an unknown, repeated or
// missing field, another order, white space or trailing data is Invalid.
func parse(what string, b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return tenure.Errorf(tenure.Invalid, "%s: %w", what, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return tenure.Errorf(tenure.Invalid, "%s: something follows it", what)
	}
	again, err := marshal(into)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return tenure.Errorf(tenure.Invalid, "%s is not in its canonical form", what)
	}
	return nil
}
