package tenure

import "strings"

// RemnantKind says what may physically be left of data that was logically deleted.
type RemnantKind string

const (
	RemnantRows       RemnantKind = "dead-rows"       // versions of rows that nobody can see any more, with their index entries
	RemnantSpace      RemnantKind = "free-space"      // bytes in pages and blocks that are free and haven't been written over
	RemnantLog        RemnantKind = "log"             // the log of changes: write-ahead log, redo log, binary log
	RemnantArchive    RemnantKind = "log-archive"     // the log of changes, as it is copied elsewhere
	RemnantReplicas   RemnantKind = "replicas"        // servers that follow this one, and what is kept for them
	RemnantStatistics RemnantKind = "statistics"      // samples that the query planner keeps
	RemnantQueries    RemnantKind = "query-log"       // statements and values that the server writes down
	RemnantTemporary  RemnantKind = "temporary-files" // what the server puts aside while it works
	RemnantVersions   RemnantKind = "versions"        // noncurrent versions and unfinished uploads
	RemnantAccessLog  RemnantKind = "access-log"      // names of objects in logs and inventories
	RemnantSnapshots  RemnantKind = "snapshots"       // copies of disks and volumes, which no server sees from inside
	RemnantUntold     RemnantKind = "untold"          // whatever a system keeps whose connector can't tell
)

// RemnantSpec is what a blueprint has done about kinds of remnants in a system: exactly one
// of Clean, Expires and Attest.
type RemnantSpec struct {
	Kinds   []RemnantKind `json:"kinds"`
	Clean   bool          `json:"clean,omitempty"`  // Tenure does what the system's connector can
	Expires Period        `json:"expires,omitzero"` // they go by themselves, so long after the erasure at the latest
	Attest  *TaskSpec     `json:"attest,omitempty"` // what a person attests
	Source  string        `json:"source,omitempty"` // the setting, contract or policy that it follows
}

// Remnants are the kinds of remnants that a step is about: one that cleans, waits for them
// to go, or has a person attest them. Other steps are about none.
func (s *Step) Remnants() (out []RemnantKind) {
	if s.System == "" || s.Action != ActClean && s.Action != ActDate && s.Action != ActTask {
		return nil
	}
	for kind := range strings.SplitSeq(s.To, ",") {
		out = append(out, RemnantKind(kind))
	}
	return out
}
