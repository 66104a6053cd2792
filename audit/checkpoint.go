package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint is the longest checkpoint that is read, in bytes.
const MaxCheckpoint = 64 << 10

// Checkpoint is the head of a log at one size (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin     string // names the log, and its key
	Size       int64
	Root       tlog.Hash
	Extensions []string // lines that nobody audits; none are written by Tenure
}

// SignCheckpoint returns the checkpoint as a signed note (C2SP signed-note).
// An empty origin, a negative size and a line that is empty or broken are Invalid.
func SignCheckpoint(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "sign the checkpoint of size %d: %w", c.Size, err)
	}
	return msg, nil
}

func (c Checkpoint) text() (string, error) {
	var b strings.Builder
	lines := append([]string{c.Origin, strconv.FormatInt(c.Size, 10), base64.StdEncoding.EncodeToString(c.Root[:])}, c.Extensions...)
	for _, line := range lines {
		if line == "" || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
			return "", tenure.Errorf(tenure.Invalid, "checkpoint: the line %q is empty or not plain text", line)
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	if c.Size < 0 {
		return "", tenure.Errorf(tenure.Invalid, "checkpoint of the negative size %d", c.Size)
	}
	return b.String(), nil
}

// ParseCheckpoint reads a signed checkpoint without looking at who signed it.
// A size with leading zeros, base64 in another than its canonical form, an
// empty line, or anything after the signatures is Invalid.
func ParseCheckpoint(msg []byte) (Checkpoint, error) {
	if len(msg) > MaxCheckpoint {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint of %d bytes", len(msg))
	}
	_, err := note.Open(msg, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint is not a signed note: %w", err)
	}
	if err := strictSignatures(msg); err != nil {
		return Checkpoint{}, err
	}
	return parseText(unverified.Note.Text)
}

// VerifyCheckpoint reads a checkpoint of the log named origin and checks that
// at least one of the verifiers, which are the log's own keys, signed it.
// Signatures of keys that aren't given are ignored, as signed-note demands; a
// bad signature of one that is given fails the whole. Failures are Invalid.
func VerifyCheckpoint(msg []byte, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	c, err := ParseCheckpoint(msg)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint is of the log %q, not of %q", c.Origin, origin)
	}
	if _, err := note.Open(msg, note.VerifierList(verifiers...)); err != nil {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint of size %d: %w", c.Size, err)
	}
	return c, nil
}

// strictSignatures refuses base64 with stray bits, which note.Open lets pass.
func strictSignatures(msg []byte) error {
	sigs := msg[bytes.LastIndex(msg, []byte("\n\n"))+2:]
	for line := range bytes.Lines(sigs) {
		encoded := bytes.TrimSuffix(line[bytes.LastIndexByte(line, ' ')+1:], []byte("\n"))
		if _, err := base64.StdEncoding.Strict().DecodeString(string(encoded)); err != nil {
			return tenure.Errorf(tenure.Invalid, "checkpoint: a signature is not in canonical base64")
		}
	}
	return nil
}

func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint has %d lines, at least 3 are due", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint: the size %q is not a number", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint: the root hash: %w", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	again, err := c.text()
	if err != nil {
		return Checkpoint{}, err
	}
	if again != text {
		return Checkpoint{}, tenure.Errorf(tenure.Invalid, "checkpoint is not in its canonical form")
	}
	return c, nil
}
