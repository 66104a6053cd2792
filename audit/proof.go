package audit

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxPath     = 63 // hashes on the way up from a leaf
)

// Proof says offline that an entry is in the log: C2SP tlog-proof@v1, kept in
// files with the extension .tlog-proof.
type Proof struct {
	Extra      []byte // opaque and not authenticated; Tenure writes none
	Index      int64  // of the entry, from zero
	Path       tlog.RecordProof
	Checkpoint []byte // the signed note, as it was issued
}

// Prove makes the proof of the entry at index in the tree of a checkpoint. An
// index at or over the checkpoint's size is NotFound.
func Prove(checkpoint []byte, index int64, r tlog.HashReader) (*Proof, error) {
	c, err := ParseCheckpoint(checkpoint)
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= c.Size {
		return nil, tenure.Errorf(tenure.NotFound, "entry %d is not in the tree of size %d", index, c.Size)
	}
	path, err := tlog.ProveRecord(c.Size, index, r)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "prove entry %d in size %d: %w", index, c.Size, err)
	}
	return &Proof{Index: index, Path: path, Checkpoint: checkpoint}, nil
}

// Encode writes the proof's file.
func (p *Proof) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatInt(p.Index, 10) + "\n")
	for _, h := range p.Path {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n")
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof's file. It is Invalid unless Encode writes the same
// bytes again; signatures and hashes are checked by Verify.
func ParseProof(b []byte) (*Proof, error) {
	head, checkpoint, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != proofHeader || len(lines) > maxPath+3 {
		return nil, tenure.Errorf(tenure.Invalid, "not a proof of the form %s", proofHeader)
	}
	p := &Proof{Checkpoint: []byte(checkpoint)}
	lines = lines[1:]
	var err error
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if p.Extra, err = base64.StdEncoding.DecodeString(lines[0][len("extra "):]); err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "proof: the extra data is not base64")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return nil, tenure.Errorf(tenure.Invalid, "proof without an index line")
	}
	if p.Index, err = strconv.ParseInt(lines[0][len("index "):], 10, 64); err != nil || p.Index < 0 {
		return nil, tenure.Errorf(tenure.Invalid, "proof: %q is no index of an entry", lines[0])
	}
	if p.Path, err = parseHashes(lines[1:]); err != nil {
		return nil, err
	}
	if _, err := ParseCheckpoint(p.Checkpoint); err != nil {
		return nil, err
	}
	if !bytes.Equal(p.Encode(), b) {
		return nil, tenure.Errorf(tenure.Invalid, "proof is not in its canonical form")
	}
	return p, nil
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	if len(lines) > maxPath {
		return nil, tenure.Errorf(tenure.Invalid, "proof of %d hashes, at most %d are possible", len(lines), maxPath)
	}
	hashes := make([]tlog.Hash, len(lines))
	for i, line := range lines {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return nil, tenure.Errorf(tenure.Invalid, "proof: hash %d is not 32 bytes in canonical base64", i+1)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// Verify checks that leaf is the proof's entry in the log named origin, whose
// keys are the verifiers, and returns the checkpoint. A failure is Invalid.
func (p *Proof) Verify(leaf []byte, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	c, err := VerifyCheckpoint(p.Checkpoint, origin, verifiers...)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := tlog.CheckRecord(p.Path, c.Size, c.Root, p.Index, tlog.RecordHash(leaf)); err != nil {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "entry %d in the tree of size %d: %w", p.Index, c.Size, err)
	}
	return c, nil
}
