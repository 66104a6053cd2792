package client

import (
	"encoding/json"
)

// AuditReport is what the check of the log and of the store against it found.
type AuditReport struct {
	Entries     int64    `json:"entries"`
	Root        string   `json:"root"`
	Checkpoints int      `json:"checkpoints"`
	Witness     string   `json:"witness"` // "consistent", "none configured", …
	Problems    []string `json:"problems,omitempty"`
}

// OK says that nothing is wrong.
func (r *AuditReport) OK() bool { return len(r.Problems) == 0 }

// LogEntry is one entry as a person reads it: who did it is opened while the
// evidence key lives.
type LogEntry struct {
	Index     int64           `json:"index"`
	At        string          `json:"at" format:"date-time"`
	Kind      string          `json:"kind"`
	Tenant    string          `json:"tenant,omitempty"`
	Operation string          `json:"operation,omitempty"`
	Subject   string          `json:"subject,omitempty"`
	By        string          `json:"by,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// ProvenEntry is an entry with what proves that the log holds it.
type ProvenEntry struct {
	LogEntry
	Leaf  []byte `json:"leaf" doc:"the entry as it was hashed"`
	Proof string `json:"proof" doc:"C2SP tlog-proof: the way up to a signed checkpoint (RFC 6962 hashing)"`
}

// LogFilter says which entries to read.
type LogFilter struct {
	Paging
	Index     int64  `query:"index" doc:"begin with this entry" minimum:"0"`
	Tenant    string `query:"tenant" doc:"only those of this tenant" maxLength:"64"`
	Operation string `query:"operation" doc:"only those of this operation" maxLength:"64"`
	Kind      string `query:"kind" doc:"only those of this kind, such as tenant.move; store.rows, which say how rows stand, come only when they are asked for" maxLength:"64" pattern:"^[a-z._]+$" patternDescription:"noun.what"`
	From      string `query:"from" doc:"only those at or after this moment (RFC 3339)" format:"date-time"`
	To        string `query:"to" doc:"only those before this moment (RFC 3339)" format:"date-time"`
}

// EntryParams name an entry of the log.
type EntryParams struct {
	Index int64 `path:"index" minimum:"0"`
}

// Checkpoint is a signed head of the log (C2SP tlog-checkpoint).
type Checkpoint struct {
	Size int64  `json:"size"`
	Note string `json:"note"`
}

// FolderParams name a folder by its absolute path on the server's machine.
type FolderParams struct {
	Body struct {
		Dir string `json:"dir" doc:"an absolute path on the server's machine"`
	}
}

// Exported says how many entries were written.
type Exported struct {
	Entries int64  `json:"entries"`
	Dir     string `json:"dir"`
}

var (
	// VerifyAudit checks the whole log, the store against it, and the witness.
	VerifyAudit = Endpoint[None, AuditReport]{Name: "audit.verify", Verb: "GET", Path: "/v1/audit/verify", Summary: "Check the whole log, the store against it, and the witness"}
	// ReadLog lists entries in the order of the log.
	ReadLog = Endpoint[LogFilter, Page[LogEntry]]{Name: "audit.entries", Verb: "GET", Path: "/v1/audit/entries", Summary: "List entries of the log"}
	// ShowEntry gives an entry with its inclusion proof.
	ShowEntry = Endpoint[EntryParams, ProvenEntry]{Name: "audit.entry", Verb: "GET", Path: "/v1/audit/entries/{index}", Summary: "Give an entry of the log with its inclusion proof"}
	// MakeCheckpoint signs the log's head, keeps it, and hands it to the witness.
	MakeCheckpoint = Endpoint[None, Checkpoint]{Name: "audit.checkpoint", Verb: "POST", Path: "/v1/audit/checkpoint", Summary: "Sign the log's head and hand it to the witness"}
	// ExportLog writes the log as C2SP tlog-tiles. Who may is who opened the
	// installation's own folder or socket: it writes files on the server's machine.
	ExportLog = Endpoint[FolderParams, Exported]{Name: "audit.export", Verb: "POST", Path: "/v1/audit/export", Summary: "Write the log as tiles into a folder on the server's machine; at its socket alone", Example: `{"dir": "/srv/tenure-log"}`}
)
