package evidence

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// Report is the outcome of Verify, for a person.
type Report struct {
	Digest    string    `json:"digest"` // of the payload, as the log holds it
	Format    string    `json:"format"` // its predicate type
	Departure Departure `json:"departure"`
	Unproven  []string  `json:"unproven,omitempty"` // what a certificate of an earlier format doesn't prove
	Checks    []Check   `json:"checks"`             // in the order in which they were made; the first that fails is the last
}

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Verify checks a certificate's file against the installation's verifier key,
// offline: its form, the signature, the statement, that the certificate may say
// what it says, that each log entry it rests on is in a log whose checkpoint the
// same key signed, one checkpoint for all of them, and that each item said to be
// verified is borne out by its entry. Any change of any byte of the file makes it
// fail. A certificate of an earlier format is held to the rules of that format,
// and the report lists what these don't prove. The report comes also with an
// error, which is Invalid, or Blocked for a certificate that should not have been
// issued.
func Verify(file []byte, verifierKey string) (*Report, error) {
	v := &verification{file: file, keyText: verifierKey, report: &Report{}}
	for _, step := range []struct {
		name string
		run  func() (detail string, err error)
	}{
		{"the verifier key", v.key},
		{"the file's form", v.form},
		{"the signature", v.signature},
		{"the statement", v.statement},
		{"what it certifies", v.departure},
		{"its entry in the log", v.issued},
		{"the entries that it rests on", v.entries},
		{"what its items rest on", v.items},
	} {
		detail, err := step.run()
		if err != nil {
			v.report.Checks = append(v.report.Checks, Check{Name: step.name, Detail: err.Error()})
			return v.report, tenure.Errorf(tenure.CodeOf(err), "certificate: %s: %w", step.name, err)
		}
		v.report.Checks = append(v.report.Checks, Check{Name: step.name, OK: true, Detail: detail})
	}
	return v.report, nil
}

type verification struct {
	file    []byte
	keyText string
	report  *Report

	verifier   *audit.Verifier
	bundle     *Bundle
	payload    []byte
	checkpoint []byte // of the first proof
}

// unprovenV1 is what the first format leaves unproven.
var unprovenV1 = []string{
	"how many rows, objects and bytes of each class there were in each store before, and how many went",
	"when each class went: its date is that of the certificate",
	"that each resource's verdict is the log's: none points to its entry",
	"that an exception was made for the thing that it covers",
	"that all its proofs are under one checkpoint",
}

func (v *verification) key() (detail string, err error) {
	if v.verifier, err = audit.ParseVerifier(v.keyText); err != nil {
		return "", err
	}
	return v.verifier.ID(), nil
}

func (v *verification) form() (detail string, err error) {
	v.bundle, err = ParseBundle(v.file)
	return "canonical, nothing unknown, nothing twice", err
}

// signature takes exactly one, by the key, in canonical base64: DSSE itself is
// content with more.
func (v *verification) signature() (string, error) {
	e := v.bundle.Envelope
	if e.PayloadType != PayloadType {
		return "", tenure.Errorf(tenure.Invalid, "the payload is of type %q, not %q", e.PayloadType, PayloadType)
	}
	if len(e.Signatures) != 1 || e.Signatures[0].KeyID != v.verifier.ID() {
		return "", tenure.Errorf(tenure.Invalid, "one signature by %s is due", v.verifier.ID())
	}
	strict := base64.StdEncoding.Strict()
	payload, err := strict.DecodeString(e.Payload)
	if err != nil || strict.EncodeToString(payload) != e.Payload {
		return "", tenure.Errorf(tenure.Invalid, "the payload is not canonical base64")
	}
	sig, err := strict.DecodeString(e.Signatures[0].Sig)
	if err != nil || strict.EncodeToString(sig) != e.Signatures[0].Sig {
		return "", tenure.Errorf(tenure.Invalid, "the signature is not canonical base64")
	}
	ev, err := dsse.NewEnvelopeVerifier(dsseVerifier{v.verifier})
	if err != nil {
		return "", tenure.Errorf(tenure.Internal, "verify: %w", err)
	}
	_, err = ev.Verify(context.Background(), &dsse.Envelope{
		PayloadType: e.PayloadType, Payload: e.Payload, Signatures: []dsse.Signature{dsse.Signature(e.Signatures[0])},
	})
	if err != nil {
		return "", tenure.Errorf(tenure.Invalid, "the signature doesn't verify: the certificate was changed, or another key signed it")
	}
	v.payload, v.report.Digest = payload, tenure.Digest(payload)
	return "Ed25519 by " + v.verifier.ID(), nil
}

func (v *verification) statement() (string, error) {
	var s statement
	if err := parse("the statement", v.payload, &s); err != nil {
		return "", err
	}
	if s.Type != StatementType || s.PredicateType != PredicateType && s.PredicateType != PredicateV2 && s.PredicateType != PredicateV1 {
		return "", tenure.Errorf(tenure.Invalid, "a statement of type %q about %q", s.Type, s.PredicateType)
	}
	if v.report.Format = s.PredicateType; s.PredicateType == PredicateV1 {
		v.report.Unproven = unprovenV1
	}
	want, err := subjectOf(s.Predicate.Tenant)
	if err != nil {
		return "", err
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != want[0].Name || len(s.Subject[0].Digest) != 1 ||
		s.Subject[0].Digest["sha256"] != want[0].Digest["sha256"] {
		return "", tenure.Errorf(tenure.Invalid, "the subject is not the tenant %s", s.Predicate.Tenant.ID)
	}
	v.report.Departure = s.Predicate
	return fmt.Sprintf("in-toto statement, %s certificate of tenant %s, issued %s", s.Predicate.Kind,
		s.Predicate.Tenant.ID, s.Predicate.Issued.UTC().Format("2006-01-02 15:04 MST")), nil
}

func (v *verification) departure() (string, error) {
	d := &v.report.Departure
	check := d.Check
	switch v.report.Format {
	case PredicateV1:
		check = d.checkV1
	case PredicateV2:
		check = d.checkV2
		if d.Annex != "" || d.LegalReason || len(d.Vendors) > 0 || len(d.Artifacts) > 0 {
			return "", tenure.Errorf(tenure.Invalid, "a certificate of the second format says what that format doesn't have")
		}
	}
	if err := check(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d resources, %d data classes, %d keys; %d not verified, %d exceptions",
		len(d.Resources), len(d.Classes), len(d.Keys), len(d.Open()), len(d.Exceptions)), nil
}

// issued checks that the log holds this certificate's digest.
func (v *verification) issued() (string, error) {
	if len(v.bundle.Proofs) == 0 {
		return "", tenure.Errorf(tenure.Invalid, "no proof at all")
	}
	detail, err := v.proven(v.bundle.Proofs[0])
	if err != nil {
		return "", err
	}
	e, err := audit.Decode(v.bundle.Proofs[0].Entry)
	if err != nil {
		return "", err
	}
	var data struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return "", tenure.Errorf(tenure.Invalid, "the log entry's data: %w", err)
	}
	d := &v.report.Departure
	if e.Kind != IssuedKind || data.Payload != v.report.Digest || e.Tenant != d.Tenant.ID || e.Operation != d.Operation {
		return "", tenure.Errorf(tenure.Invalid, "the log entry is not that of this certificate")
	}
	return detail, nil
}

// entries checks that each entry which the certificate names is proven, in its
// order, and that no other is added.
func (v *verification) entries() (string, error) {
	proofs, names := v.bundle.Proofs[1:], v.report.Departure.Entries
	if len(proofs) != len(names) {
		return "", tenure.Errorf(tenure.Invalid, "the certificate names %d entries, the file proves %d", len(names), len(proofs))
	}
	for i, p := range proofs {
		if tenure.Digest(p.Entry) != names[i] {
			return "", tenure.Errorf(tenure.Invalid, "proof %d is not of the entry %s", i+2, names[i])
		}
		if _, err := v.proven(p); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d entries", len(proofs)), nil
}

// items checks that each item's entry says what the certificate says of it.
func (v *verification) items() (string, error) {
	if v.report.Format == PredicateV1 {
		return "the first format: no item points to its entry", nil
	}
	d := &v.report.Departure
	entries := make(map[string]*audit.Entry, len(d.Entries))
	for i, p := range v.bundle.Proofs[1:] {
		e, err := audit.Decode(p.Entry)
		if err != nil {
			return "", err
		}
		entries[d.Entries[i]] = e
	}
	n := 0
	for _, c := range d.claims() {
		if c.entry == "" {
			continue
		}
		if err := c.check(d, entries[c.entry]); err != nil {
			return "", err
		}
		n++
	}
	detail := fmt.Sprintf("%d items rest on entries that say the same; one checkpoint", n)
	if d.Witness == "" {
		return detail + ", which no witness keeps", nil
	}
	return detail + ", which " + d.Witness + " keeps", nil
}

// proven checks one entry's proof. Nothing in it may be without effect, so
// extra data and signatures of other keys are refused.
func (v *verification) proven(p EntryProof) (string, error) {
	proof, err := audit.ParseProof([]byte(p.Proof))
	if err != nil {
		return "", err
	}
	_, signatures, _ := bytes.Cut(proof.Checkpoint, []byte("\n\n"))
	if len(proof.Extra) > 0 || bytes.Count(signatures, []byte("\n")) != 1 {
		return "", tenure.Errorf(tenure.Invalid, "the proof of entry %d holds more than a certificate's may", proof.Index)
	}
	c, err := proof.Verify(p.Entry, v.verifier.Name(), v.verifier)
	if err != nil {
		return "", err
	}
	if v.checkpoint == nil {
		v.checkpoint = proof.Checkpoint
	}
	if v.report.Format != PredicateV1 && !bytes.Equal(v.checkpoint, proof.Checkpoint) {
		return "", tenure.Errorf(tenure.Invalid, "the proof of entry %d is under another checkpoint than the first", proof.Index)
	}
	return strings.TrimSpace(fmt.Sprintf("entry %d of %q at size %d", proof.Index, c.Origin, c.Size)), nil
}
