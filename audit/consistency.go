package audit

import (
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/tlog"
)

// ProveConsistency proves that the tree of the size new begins with the tree
// of the size old (RFC 9162 §2.1.4). It is empty for old zero and for equal sizes.
func ProveConsistency(old, new int64, r tlog.HashReader) (tlog.TreeProof, error) {
	if old < 0 || old > new {
		return nil, tenure.Errorf(tenure.Invalid, "no log grows from size %d to size %d", old, new)
	}
	if old == 0 || old == new {
		return nil, nil
	}
	p, err := tlog.ProveTree(new, old, r)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "prove size %d in size %d: %w", old, new, err)
	}
	return p, nil
}

// VerifyConsistency checks such a proof between two checkpoints, whose
// signatures the caller has verified. Invalid means that the log was rewritten
// or that the proof belongs to other checkpoints.
func VerifyConsistency(old, new Checkpoint, p tlog.TreeProof) error {
	ok := false
	switch {
	case old.Origin != new.Origin || old.Size > new.Size:
	case old.Size == 0:
		ok = len(p) == 0 && old.Root == edgeRoot(nil) && (new.Size > 0 || new.Root == old.Root)
	case old.Size == new.Size:
		ok = len(p) == 0 && old.Root == new.Root
	default:
		ok = tlog.CheckTree(p, new.Size, new.Root, old.Size, old.Root) == nil
	}
	if !ok {
		return tenure.Errorf(tenure.Invalid, "the checkpoint of size %d is not proven to continue the one of size %d", new.Size, old.Size)
	}
	return nil
}

// EncodeConsistency writes the request body of C2SP tlog-witness
// add-checkpoint: the old size, the proof, an empty line, the new checkpoint.
func EncodeConsistency(old int64, p tlog.TreeProof, checkpoint []byte) []byte {
	b := strconv.AppendInt([]byte("old "), old, 10)
	for _, h := range p {
		b = append(append(b, '\n'), h.String()...)
	}
	return append(append(b, "\n\n"...), checkpoint...)
}

// ParseConsistency reads what EncodeConsistency wrote, strictly.
func ParseConsistency(b []byte) (old int64, p tlog.TreeProof, checkpoint []byte, err error) {
	head, rest, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(head, "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld {
		return 0, nil, nil, tenure.Errorf(tenure.Invalid, "a consistency proof begins with the old size and ends with an empty line")
	}
	old, err = strconv.ParseInt(size, 10, 64)
	if err != nil || old < 0 || strconv.FormatInt(old, 10) != size {
		return 0, nil, nil, tenure.Errorf(tenure.Invalid, "consistency proof: %q is no size", size)
	}
	hashes, err := parseHashes(lines[1:])
	if err != nil {
		return 0, nil, nil, err
	}
	if _, err := ParseCheckpoint([]byte(rest)); err != nil {
		return 0, nil, nil, err
	}
	return old, hashes, []byte(rest), nil
}
