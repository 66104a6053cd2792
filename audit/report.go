package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/tlog"
)

// Fault is a way in which a stored log can be wrong.
type Fault string

const (
	EntryChanged    Fault = "entry_changed"    // its bytes aren't those that were hashed
	EntryMissing    Fault = "entry_missing"    // the tree has it, the log doesn't
	EntryUnknown    Fault = "entry_unknown"    // the log has it, the tree doesn't
	EntryOrder      Fault = "entry_order"      // it stands, or is numbered, elsewhere
	NodeDiffers     Fault = "node_differs"     // a stored hash isn't what lies below it
	NodeMissing     Fault = "node_missing"     // stored hashes are absent or cut off
	HeadDiffers     Fault = "head_differs"     // size or root of the head
	CheckpointWrong Fault = "checkpoint_wrong" // a signed checkpoint isn't of this log
)

// Problem is one thing that is wrong with a log.
type Problem struct {
	Fault Fault  `json:"fault"`
	Index int64  `json:"index"` // the entry, or the size of the tree, that it's about
	Text  string `json:"text"`  // for a person
}

// Report is what Verify found.
type Report struct {
	Entries     int64     `json:"entries"`     // that the log holds
	Size        int64     `json:"size"`        // of the tree that was recomputed
	Root        tlog.Hash `json:"root"`        // of that tree
	Checkpoints int       `json:"checkpoints"` // that were found to be of this log
	Problems    []Problem `json:"problems"`    // in the order of Index
	More        int64     `json:"more"`        // problems beyond those listed
}

// OK says that nothing is wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Err is nil, or a Blocked error that names the first problem and counts the rest.
func (r *Report) Err() error {
	if r.OK() {
		return nil
	}
	if rest := int64(len(r.Problems)-1) + r.More; rest > 0 {
		return tenure.Errorf(tenure.Blocked, "the audit log is not intact: %s (and %d more)", r.Problems[0].Text, rest)
	}
	return tenure.Errorf(tenure.Blocked, "the audit log is not intact: %s", r.Problems[0].Text)
}

// maxProblems bounds what a report lists.
const maxProblems = 100

func (r *Report) add(f Fault, index int64, format string, args ...any) {
	if len(r.Problems) >= maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{Fault: f, Index: index, Text: fmt.Sprintf(format, args...)})
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return cmp.Compare(a.Index, b.Index) })
}
