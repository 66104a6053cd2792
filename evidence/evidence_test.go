package evidence_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/evidence"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "tenure.test/log"

var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	acme     = tenure.DeriveID[tenure.TenantID](noon, "acme")
	resource = tenure.DeriveID[tenure.ResourceID](noon, "schema")
	sum      = tenure.Digest([]byte("x"))
)

func newSigner(t testing.TB, name string) *audit.Signer {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	s, err := audit.NewSigner(name, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const deleting = "prod/db/delete"

// keyEntry and goneEntry are what the certificate rests on.
func keyEntry() *audit.Entry {
	return &audit.Entry{Format: audit.Format, At: noon, Kind: "key.destroyed", Tenant: acme, Subject: "key_1"}
}

func goneEntry() *audit.Entry {
	return &audit.Entry{Format: audit.Format, At: noon, Kind: "step.result", Tenant: acme, Subject: string(resource),
		Data: audit.Facts(map[string]string{"step": deleting, "state": "done", "verdict": "verified", "resource": "gone"})}
}

func digestOf(e *audit.Entry) string {
	b, err := e.Encode()
	if err != nil {
		panic(err)
	}
	return tenure.Digest(b)
}

// portion is twelve rows of the store, which went with it.
func portion() evidence.Portion {
	return evidence.Portion{
		Resource: resource, Method: evidence.LogicallyDeleted, Verdict: tenure.Verified, Step: deleting, At: noon, Entry: digestOf(goneEntry()),
		Before: evidence.Amount{Rows: 12}, Counted: noon, Gone: evidence.Amount{Rows: 12},
	}
}

// departure is a closing certificate with nothing left open.
func departure() evidence.Departure {
	return evidence.Departure{
		Kind: evidence.Closing, Issued: noon, Interim: sum,
		Installation: tenure.DeriveID[tenure.InstallationID](noon, "here"),
		Tenant:       evidence.Tenant{ID: acme, Name: evidence.NameDigest(acme, "Acme <&> Söhne")},
		Operation:    tenure.DeriveID[tenure.OperationID](noon, "offboard"),
		Plan:         sum, Blueprint: evidence.Blueprint{Name: "saas", Revision: sum},
		Approvals: []evidence.Approval{{Gate: "plan", By: "prn_1", At: noon}},
		Timeline:  []evidence.Moment{{State: tenure.TenantErasing, At: noon}},
		Resources: []evidence.Resource{{
			ID: resource, System: "main-db", Type: "schema", Method: evidence.LogicallyDeleted,
			Verdict: tenure.Verified, Count: 12, At: noon, Detail: "absent beside its sentinel", Step: deleting, Entry: digestOf(goneEntry()),
		}},
		Classes: []evidence.DataClass{
			{Class: "invoices", Disposition: tenure.Purge, Method: evidence.LogicallyDeleted, Verdict: tenure.Verified, Rows: 12, At: noon, Stores: []evidence.Portion{portion()}},
			{Class: "people", Disposition: tenure.CryptoErase, Method: evidence.CryptographicErase, Key: "key_1", Verdict: tenure.Verified, Rows: 12, At: noon, Stores: []evidence.Portion{portion()}},
		},
		Keys:    []evidence.Key{{ID: "key_1", Purpose: "personal", Class: "contract", Method: evidence.CryptographicErase, Verdict: tenure.Verified, At: noon}},
		Costs:   []evidence.Cost{{System: "main-db", Minor: 1250, Currency: "EUR"}},
		Annex:   sum,
		Entries: []string{digestOf(keyEntry()), digestOf(goneEntry())},
	}
}

// log is an audit log in memory.
type log struct {
	hashes []tlog.Hash
	tree   *audit.Tree
}

func (l *log) add(t testing.TB, e *audit.Entry) (leaf []byte, index int64) {
	t.Helper()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if l.tree == nil {
		l.tree = &audit.Tree{}
	}
	batch, next := l.tree.Prepare([][]byte{b})
	for i := 0; i < len(batch.Hashes); i += tlog.HashSize {
		l.hashes = append(l.hashes, tlog.Hash(batch.Hashes[i:]))
	}
	l.tree = next
	return b, next.Size() - 1
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

func (l *log) prove(t testing.TB, s *audit.Signer, leaf []byte, index int64) evidence.EntryProof {
	t.Helper()
	msg, err := audit.SignCheckpoint(audit.Checkpoint{Origin: origin, Size: l.tree.Size(), Root: l.tree.Root()}, s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := audit.Prove(msg, index, l)
	if err != nil {
		t.Fatal(err)
	}
	return evidence.NewEntryProof(leaf, p)
}

// made is all that goes into a certificate's file.
type made struct {
	signer *audit.Signer
	log    *log
	rests  [][]byte // the entries of the key's destruction and of the deletion: the second and the third of the log
	issued []byte
	n      int64
	env    *evidence.Envelope
	bundle *evidence.Bundle
	file   []byte
}

func make1(t testing.TB, d evidence.Departure) *made {
	t.Helper()
	return makeWith(t, d, keyEntry(), goneEntry())
}

// makeWith issues a certificate that rests on these entries.
func makeWith(t testing.TB, d evidence.Departure, rests ...*audit.Entry) *made {
	t.Helper()
	m := &made{signer: newSigner(t, origin), log: &log{}}
	m.log.add(t, &audit.Entry{Format: audit.Format, At: noon, Kind: "tenant.transition"})
	for _, e := range rests {
		leaf, _ := m.log.add(t, e)
		m.rests = append(m.rests, leaf)
	}
	var err error
	if m.env, err = evidence.Issue(context.Background(), m.signer, d); err != nil {
		t.Fatal(err)
	}
	e, err := evidence.IssuedEntry(m.env, &d, tenure.DeriveID[tenure.CertificateID](noon), noon)
	if err != nil {
		t.Fatal(err)
	}
	m.issued, m.n = m.log.add(t, e)
	m.log.add(t, &audit.Entry{Format: audit.Format, At: noon, Kind: "later"})
	m.bundle = evidence.NewBundle(m.env, m.log.prove(t, m.signer, m.issued, m.n), m.others(t)...)
	if m.file, err = m.bundle.Encode(); err != nil {
		t.Fatal(err)
	}
	return m
}

// others are the proofs of what the certificate rests on.
func (m *made) others(t testing.TB) (out []evidence.EntryProof) {
	for i, leaf := range m.rests {
		out = append(out, m.log.prove(t, m.signer, leaf, int64(i+1)))
	}
	return out
}

func (m *made) key() string { return m.signer.Verifier().String() }

func TestVerify(t *testing.T) {
	t.Parallel()
	d := departure()
	m := make1(t, d)
	report, err := evidence.Verify(m.file, m.key()+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, report.Departure); diff != "" {
		t.Errorf("departure (-want +got):\n%s", diff)
	}
	digest, err := m.env.Digest()
	if err != nil || report.Digest != digest {
		t.Errorf("digest %s, want %s (%v)", report.Digest, digest, err)
	}
	if report.Format != evidence.PredicateType || len(report.Unproven) != 0 {
		t.Errorf("format %s, unproven %q", report.Format, report.Unproven)
	}
	if len(report.Checks) != 8 {
		t.Errorf("checks %+v", report.Checks)
	}
	for _, c := range report.Checks {
		if !c.OK || c.Detail == "" {
			t.Errorf("check %+v", c)
		}
	}
	if strings.Contains(string(m.file), "Acme") {
		t.Error("the tenant's name is in the file")
	}
}

// TestVerifyFlip: a file of which any byte was changed is no certificate.
func TestVerifyFlip(t *testing.T) {
	t.Parallel()
	m := make1(t, departure())
	for i := range m.file {
		bad := bytes.Clone(m.file)
		bad[i] ^= 1 << (i % 8)
		if _, err := evidence.Verify(bad, m.key()); err == nil {
			t.Fatalf("byte %d changed from %q to %q goes unnoticed", i, m.file[i], bad[i])
		}
		if bad[i] = m.file[i] ^ 0x20; i%2 == 0 {
			bad = append(bad[:i], m.file[i+1:]...)
		}
		if _, err := evidence.Verify(bad, m.key()); err == nil {
			t.Fatalf("byte %d in the other case, or removed, goes unnoticed", i)
		}
		if i%16 > 0 {
			continue
		}
		if _, err := evidence.Verify(m.file[:i], m.key()); err == nil {
			t.Fatalf("a file cut at %d goes unnoticed", i)
		}
	}
	for _, more := range []string{"\n", " ", "x", string(m.file)} {
		if _, err := evidence.Verify(append(bytes.Clone(m.file), more...), m.key()); err == nil {
			t.Fatalf("%q at the end goes unnoticed", more)
		}
	}
}

// resign signs a payload as Issue would, without its checks.
func (m *made) resign(t *testing.T, payload string) evidence.Envelope {
	t.Helper()
	pae := "DSSEv1 " + "28 " + evidence.PayloadType + " " + itoa(len(payload)) + " " + payload
	sig, err := m.signer.Sign([]byte(pae))
	if err != nil {
		t.Fatal(err)
	}
	return evidence.Envelope{
		PayloadType: evidence.PayloadType, Payload: base64.StdEncoding.EncodeToString([]byte(payload)),
		Signatures: []evidence.Signature{{KeyID: m.signer.Verifier().ID(), Sig: base64.StdEncoding.EncodeToString(sig)}},
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// bundleOf logs an envelope and bundles it.
func (m *made) bundleOf(t *testing.T, e evidence.Envelope) []byte {
	t.Helper()
	d := departure()
	entry, err := evidence.IssuedEntry(&e, &d, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	leaf, n := m.log.add(t, entry)
	b := evidence.NewBundle(&e, m.log.prove(t, m.signer, leaf, n), m.others(t)...)
	file, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVerifyRefuses: even what the right key signed and the log holds is no
// certificate unless it is one in every respect.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	good := func(m *made) string {
		b, _ := base64.StdEncoding.DecodeString(m.env.Payload)
		return string(b)
	}
	edit := func(from, to string) func(*testing.T, *made) ([]byte, string) {
		return func(t *testing.T, m *made) ([]byte, string) {
			payload := strings.Replace(good(m), from, to, 1)
			if payload == good(m) {
				t.Fatal("the case changes nothing")
			}
			return m.bundleOf(t, m.resign(t, payload)), m.key()
		}
	}
	reencode := func(t *testing.T, b *evidence.Bundle) []byte {
		t.Helper()
		file, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, m *made) (file []byte, key string)
		want   string
	}{
		"unknown field":      {edit(`{"_type"`, `{"a":1,"_type"`), "the statement"},
		"field twice":        {edit(`"kind":"closing"`, `"kind":"interim","kind":"closing"`), "the statement"},
		"white space":        {edit(`{"_type"`, `{ "_type"`), "the statement"},
		"trailing":           {edit(`{"_type"`, ` {"_type"`), "the statement"},
		"statement type":     {edit(evidence.StatementType, "https://in-toto.io/Statement/v0.1"), "the statement"},
		"predicate type":     {edit(evidence.PredicateType, "https://slsa.dev/provenance/v1"), "the statement"},
		"another subject":    {edit(`"subject":[{"name":"ten_`, `"subject":[{"name":"ten-`), "the statement"},
		"not verified":       {edit(`"verdict":"verified"`, `"verdict":"claimed"`), "what it certifies"},
		"unknown verdict":    {edit(`"verdict":"verified"`, `"verdict":"surely"`), "what it certifies"},
		"media word of rows": {edit(`"method":"logically deleted"`, `"method":"purge"`), "what it certifies"},
		"another key": {func(t *testing.T, m *made) ([]byte, string) {
			return m.file, newSigner(t, "other").Verifier().String()
		}, "the signature"},
		"another key of that name": {func(t *testing.T, m *made) ([]byte, string) {
			k, err := audit.NewSigner(origin, ed25519.NewKeyFromSeed(make([]byte, 32)))
			if err != nil {
				t.Fatal(err)
			}
			return m.file, k.Verifier().String()
		}, "the signature"},
		"no key": {func(_ *testing.T, m *made) ([]byte, string) { return m.file, "" }, "the verifier key"},
		"two signatures": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Envelope.Signatures = append(b.Envelope.Signatures[:1:1], b.Envelope.Signatures[0])
			return reencode(t, &b), m.key()
		}, "the signature"},
		"no key id": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Envelope.Signatures = []evidence.Signature{{Sig: b.Envelope.Signatures[0].Sig}}
			return reencode(t, &b), m.key()
		}, "the signature"},
		"line feed in the payload": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Envelope.Payload = b.Envelope.Payload[:8] + "\n" + b.Envelope.Payload[8:]
			return reencode(t, &b), m.key()
		}, "the signature"},
		"line feed in the signature": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			s := b.Envelope.Signatures[0]
			b.Envelope.Signatures = []evidence.Signature{{KeyID: s.KeyID, Sig: s.Sig[:8] + "\n" + s.Sig[8:]}}
			return reencode(t, &b), m.key()
		}, "the signature"},
		"payload type": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Envelope.PayloadType = "text/plain"
			return reencode(t, &b), m.key()
		}, "the signature"},
		"format": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Format += "x"
			return reencode(t, &b), m.key()
		}, "the file's form"},
		"indented": {func(t *testing.T, m *made) ([]byte, string) {
			var b bytes.Buffer
			if err := json.Indent(&b, m.file, "", " "); err != nil {
				t.Fatal(err)
			}
			return b.Bytes(), m.key()
		}, "the file's form"},
		"no proof": {func(t *testing.T, m *made) ([]byte, string) {
			b := *m.bundle
			b.Proofs = nil
			return reencode(t, &b), m.key()
		}, "its entry in the log"},
		"another entry's proof": {func(t *testing.T, m *made) ([]byte, string) {
			return reencode(t, evidence.NewBundle(m.env, m.bundle.Proofs[1], m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"another certificate's entry": {func(t *testing.T, m *made) ([]byte, string) {
			d := departure()
			e := m.resign(t, "other")
			entry, err := evidence.IssuedEntry(&e, &d, "", noon)
			if err != nil {
				t.Fatal(err)
			}
			leaf, n := m.log.add(t, entry)
			return reencode(t, evidence.NewBundle(m.env, m.log.prove(t, m.signer, leaf, n), m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"entry of another kind": {func(t *testing.T, m *made) ([]byte, string) {
			d := departure()
			entry, err := evidence.IssuedEntry(m.env, &d, "", noon)
			if err != nil {
				t.Fatal(err)
			}
			entry.Kind = "certificate.refused"
			leaf, n := m.log.add(t, entry)
			return reencode(t, evidence.NewBundle(m.env, m.log.prove(t, m.signer, leaf, n), m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"entry not in the log": {func(t *testing.T, m *made) ([]byte, string) {
			p := m.bundle.Proofs[0]
			p.Entry = bytes.Replace(p.Entry, []byte("closing"), []byte("interim"), 1)
			return reencode(t, evidence.NewBundle(m.env, p, m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"extra data in a proof": {func(t *testing.T, m *made) ([]byte, string) {
			p := m.bundle.Proofs[0]
			p.Proof = strings.Replace(p.Proof, "index", "extra aGk=\nindex", 1)
			return reencode(t, evidence.NewBundle(m.env, p, m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"a stranger's cosignature": {func(t *testing.T, m *made) ([]byte, string) {
			p := m.bundle.Proofs[0]
			p.Proof += "— stranger AAAAAAAAAAAA\n"
			return reencode(t, evidence.NewBundle(m.env, p, m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"checkpoint of another key": {func(t *testing.T, m *made) ([]byte, string) {
			return reencode(t, evidence.NewBundle(m.env, m.log.prove(t, newSigner(t, "other"), m.issued, m.n), m.bundle.Proofs[1:]...)), m.key()
		}, "its entry in the log"},
		"entry proof left out": {func(t *testing.T, m *made) ([]byte, string) {
			return reencode(t, evidence.NewBundle(m.env, m.bundle.Proofs[0])), m.key()
		}, "the entries that it rests on"},
		"entry proof of another": {func(t *testing.T, m *made) ([]byte, string) {
			return reencode(t, evidence.NewBundle(m.env, m.bundle.Proofs[0], m.bundle.Proofs[0], m.bundle.Proofs[2])), m.key()
		}, "the entries that it rests on"},
		"entry proof added": {func(t *testing.T, m *made) ([]byte, string) {
			return reencode(t, evidence.NewBundle(m.env, m.bundle.Proofs[0], m.bundle.Proofs[1], m.bundle.Proofs[2], m.bundle.Proofs[2])), m.key()
		}, "the entries that it rests on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := make1(t, departure())
			if _, err := evidence.Verify(m.bundleOf(t, m.resign(t, good(m))), m.key()); err != nil {
				t.Fatalf("signed again without a change: %v", err)
			}
			file, key := tt.change(t, m)
			report, err := evidence.Verify(file, key)
			if code := tenure.CodeOf(err); code != tenure.Invalid && code != tenure.Blocked {
				t.Fatalf("error %v", err)
			}
			last := report.Checks[len(report.Checks)-1]
			if last.OK || last.Name != tt.want || last.Detail == "" {
				t.Errorf("the last check is %+v, want %q to fail", last, tt.want)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	m := make1(f, departure())
	f.Add(m.file)
	f.Add([]byte(`{"format":"","envelope":{},"proofs":null}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		report, err := evidence.Verify(b, m.key())
		if (err == nil) != bytes.Equal(b, m.file) {
			t.Fatalf("verify %q: %v", b, err)
		}
		if report == nil || len(report.Checks) == 0 {
			t.Fatal("no report")
		}
	})
}
