package audit

import (
	"context"
	"iter"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Log is a stored log as Verify reads it. The iterators are read once, in
// order; an error from one ends the check.
type Log struct {
	Size    int64                     // of the stored head
	Root    tlog.Hash                 // of the stored head
	Records iter.Seq2[Record, error]  // all of them, by index
	Nodes   iter.Seq2[NodeRow, error] // all of them, by First

	Origin      string                   // of the checkpoints
	Verifiers   []note.Verifier          // the log's keys
	Checkpoints iter.Seq2[[]byte, error] // signed, by ascending size; nil for none
	Witnessed   []byte                   // the witness's latest checkpoint, or nil
}

// Record is a stored entry and the number that the store gives it.
type Record struct {
	Index int64
	Entry []byte
}

// NodeRow is a run of stored hashes, as Batch has them.
type NodeRow struct {
	First  int64
	Hashes []byte
}

// Verify checks a whole log in one pass and constant memory: each entry
// against its stored leaf hash, each stored hash against those below it, the
// head's size and root, and that each checkpoint is a prefix. The report names
// what is wrong, up to 100 problems. The error says that the check couldn't be
// carried out, not that the log is wrong.
func Verify(ctx context.Context, log Log) (*Report, error) {
	if (log.Checkpoints != nil || log.Witnessed != nil) && len(log.Verifiers) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "verify the audit log: its checkpoints can't be checked without a key")
	}
	report := &Report{}
	records, stopRecords := iter.Pull2(log.Records)
	defer stopRecords()
	nodes, stopNodes := iter.Pull2(log.Nodes)
	defer stopNodes()
	marks, err := newMarks(log, report)
	if err != nil {
		return nil, err
	}
	defer marks.stop()
	tree := &checker{report: report}
	a := &aligner{
		report: report, tree: tree, marks: marks, size: log.Size,
		records: records, stored: &nodeCursor{report: report, next: nodes, limit: tlog.StoredHashCount(log.Size)},
	}
	if err := a.run(ctx); err != nil {
		return nil, err
	}
	if err := marks.finish(tree); err != nil {
		return nil, err
	}
	tree.finish(log.Size, log.Root)
	report.Entries, report.Size, report.Root = a.count, tree.size, tree.root()
	report.sort()
	return report, nil
}
