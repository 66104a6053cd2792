package lifecycle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/statement"
	"github.com/tenurehq/tenure/internal/store"
)

// statement is what certificates of this installation say.
func (s *Service) statement() statement.Source {
	src := statement.Source{DB: s.o.DB, Keys: s.o.Keys, Installation: s.o.Installation, Pseudonym: s.pseudonym, System: s.system}
	if s.o.Witness != nil {
		src.Witness = orElse(s.o.WitnessName, "a witness")
	}
	return src
}

// runCertify issues a certificate: when the witness, if there is one, has all that it
// cites, the statement is signed and its digest goes into the log with the step's result. The file with its proofs is put together
// when somebody asks for it, since the proofs need the log to have moved on.
func (s *Service) runCertify(ctx context.Context, t *engine.Task) engine.Result {
	if why, err := s.unfinishedTasks(ctx, t); err != nil {
		return engine.Result{Err: err}
	} else if why != "" {
		return engine.Result{Again: t.Now.Add(openTaskRetry), Note: why}
	}
	if err := s.reachWitness(ctx); err != nil { // before the whole log is read in vain
		return s.stuckAtWitness(t, err)
	}
	if err := s.o.DB.VouchedInventory(ctx, t.Plan.Tenant); err != nil {
		return engine.Result{Err: err}
	}
	d, annex, err := s.statement().Departure(ctx, t)
	if err != nil {
		return engine.Result{Err: err}
	}
	if err := s.reachWitness(ctx); err != nil { // with all that was cited
		return s.stuckAtWitness(t, err)
	}
	env, err := evidence.Issue(ctx, s.signer, *d)
	if err != nil {
		return engine.Result{Verdict: tenure.Failed, Err: err}
	}
	digest, err := env.Digest()
	if err != nil {
		return engine.Result{Err: err}
	}
	id := tenure.DeriveID[tenure.CertificateID](t.Now, string(t.Operation.ID), t.Step.Key)
	e, err := evidence.IssuedEntry(env, d, id, d.Issued)
	if err != nil {
		return engine.Result{Err: err}
	}
	body, err := json.Marshal(certificateRow{Envelope: *env, Entries: d.Entries})
	if err != nil {
		return engine.Result{Err: tenure.Errorf(tenure.Internal, "certificate: %w", err)}
	}
	row := store.Certificate{ID: id, Tenant: t.Plan.Tenant, Kind: string(d.Kind), Digest: digest, Body: body, Annex: base64.StdEncoding.EncodeToString(annex), IssuedAt: d.Issued}
	return engine.Result{
		Verdict: tenure.Verified, Facts: map[string]string{"certificate": string(id), "payload": digest},
		Receipt: map[string]string{"certificate": string(id), "digest": digest},
		Extra: func(tx *store.Tx) error {
			if err := tx.SaveCertificate(row); err != nil {
				return err
			}
			return tx.Log(*e)
		},
	}
}

// certificateRow is a certificate as the store keeps it, without its proofs.
type certificateRow struct {
	Envelope evidence.Envelope `json:"envelope"`
	Entries  []string          `json:"entries"`
}

// pseudonym stands for a person in a certificate: an HMAC under the installation's
// own key, so that nobody else can confirm a guess at the name.
func (s *Service) pseudonym(by string) string {
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte("person in a certificate\x00" + tenure.PersonKey(by)))
	return "person:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Certificates lists a tenant's certificates.
func (s *Service) Certificates(ctx context.Context, tenant string) ([]store.Certificate, error) {
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.o.DB.Certificates(ctx, t.ID)
}

// certificate finds one as it is kept.
func (s *Service) certificate(ctx context.Context, tenant, kind string) (c store.Certificate, row certificateRow, err error) {
	list, err := s.Certificates(ctx, tenant)
	if err != nil {
		return c, row, err
	}
	if kind != "" {
		list = slices.DeleteFunc(list, func(c store.Certificate) bool { return c.Kind != kind && string(c.ID) != kind })
	}
	if len(list) == 0 {
		return c, row, tenure.Errorf(tenure.NotFound, "%s has no %scertificate yet", tenant, strings.TrimPrefix(kind+" ", " ")).WithHint("see how far it is: tenure explain %s", tenant)
	}
	c = list[len(list)-1]
	if err := json.Unmarshal(c.Body, &row); err != nil {
		return c, row, tenure.Errorf(tenure.Internal, "certificate %s: %w", c.ID, err)
	}
	return c, row, nil
}

// Annex gives the annex of a certificate, which is for auditors: what the certificate
// itself says nothing of. Once the tenant was forgotten it comes from its record. One of
// an earlier format has none, and is NotFound.
func (s *Service) Annex(ctx context.Context, tenant, kind string) ([]byte, error) {
	c, _, err := s.certificate(ctx, tenant, kind)
	if err != nil {
		return nil, err
	}
	if c.Annex == "" {
		if c.Annex, err = s.recordedAnnex(ctx, c); err != nil {
			return nil, err
		}
	}
	annex, err := base64.StdEncoding.DecodeString(c.Annex)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the annex of certificate %s: %w", c.ID, err)
	}
	return annex, nil
}

// recordedAnnex is a certificate's annex out of its tenant's record.
func (s *Service) recordedAnnex(ctx context.Context, c store.Certificate) (string, error) {
	words, _, err := s.record(ctx, c.Tenant)
	if err != nil && tenure.CodeOf(err) != tenure.NotFound {
		return "", err
	}
	for _, w := range words {
		if w.Table == "certificate" && w.Row == string(c.ID) {
			return w.Text, nil
		}
	}
	return "", tenure.Errorf(tenure.NotFound, "certificate %s has no annex: it is of a format that lists the holds itself, or the retention of its tenant's record has ended", c.ID)
}

// Certificate puts a certificate's file together: the envelope and the proofs
// that the log, at one checkpoint of now, which the witness has if there is one,
// holds its digest and what it rests on. The certificate is named by its id, by
// its kind (the latest one) or by nothing (the latest of all). What it hands out
// has passed evidence.Verify.
func (s *Service) Certificate(ctx context.Context, tenant, kind string) ([]byte, error) {
	c, row, err := s.certificate(ctx, tenant, kind)
	if err != nil {
		return nil, err
	}
	check, _, err := s.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]int, len(row.Entries))
	for i, digest := range row.Entries {
		wanted[digest] = i
	}
	others := make([]evidence.EntryProof, len(row.Entries))
	var issued evidence.EntryProof
	hashes := s.o.DB.HashReader(ctx)
	prove := func(r audit.Record) (evidence.EntryProof, error) {
		p, err := audit.Prove(check, r.Index, hashes)
		if err != nil {
			return evidence.EntryProof{}, err
		}
		return evidence.NewEntryProof(r.Entry, p), nil
	}
	for r, err := range s.o.DB.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if i, ok := wanted[tenure.Digest(r.Entry)]; ok {
			if others[i], err = prove(r); err != nil {
				return nil, err
			}
		}
		if strings.Contains(string(r.Entry), string(c.ID)) && strings.Contains(string(r.Entry), `"`+evidence.IssuedKind+`"`) {
			if issued, err = prove(r); err != nil {
				return nil, err
			}
		}
	}
	file, err := evidence.NewBundle(&row.Envelope, issued, others...).Encode()
	if err != nil {
		return nil, err
	}
	key, err := s.VerifierKey()
	if err != nil {
		return nil, err
	}
	if _, err := evidence.Verify(file, key); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "certificate %s doesn't verify: %w", c.ID, err)
	}
	return file, nil
}
