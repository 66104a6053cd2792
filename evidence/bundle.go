package evidence

import (
	"bytes"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// BundleFormat names the format of a certificate's file.
const BundleFormat = "https://tenure.dev/certificate-bundle/v1"

// Bundle is a certificate's file: the envelope, and proofs that the log holds
// its digest and the entries that it rests on.
type Bundle struct {
	Format   string       `json:"format"`
	Envelope Envelope     `json:"envelope"`
	Proofs   []EntryProof `json:"proofs"` // the certificate's own entry first, then Departure.Entries in order
}

// EntryProof is a log entry with its C2SP tlog-proof.
type EntryProof struct {
	Entry []byte `json:"entry"`
	Proof string `json:"proof"`
}

// NewBundle puts a certificate's file together. The first proof is that of its
// own log entry, made by IssuedEntry; then come those of the entries that the
// departure names, in its order. The caller runs Verify before it hands it out.
func NewBundle(e *Envelope, issued EntryProof, others ...EntryProof) *Bundle {
	return &Bundle{Format: BundleFormat, Envelope: *e, Proofs: append([]EntryProof{issued}, others...)}
}

// NewEntryProof couples an entry's encoding with its proof.
func NewEntryProof(entry []byte, p *audit.Proof) EntryProof {
	return EntryProof{Entry: entry, Proof: string(p.Encode())}
}

// Encode is the file's content, one line; a bundle has one encoding.
func (b *Bundle) Encode() ([]byte, error) {
	line, err := marshal(b)
	if err != nil {
		return nil, err
	}
	return append(line, '\n'), nil
}

// ParseBundle reads a certificate's file without checking any signature. What
// Encode would have written differently is Invalid.
func ParseBundle(file []byte) (*Bundle, error) {
	line, ok := bytes.CutSuffix(file, []byte("\n"))
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "the certificate's file is cut off")
	}
	var b Bundle
	if err := parse("the certificate's file", line, &b); err != nil {
		return nil, err
	}
	if b.Format != BundleFormat {
		return nil, tenure.Errorf(tenure.Invalid, "the certificate's file is of the unknown format %q", b.Format)
	}
	return &b, nil
}
