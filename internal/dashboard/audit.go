package dashboard

import (
	"encoding/base64"
	"io"
	"time"
)

// AuditView is the log's search.
type AuditView struct {
	Filters    Filters
	Rows       []AuditRow
	Pager      Pager
	Checkpoint CheckpointView
	Actions    []Action // export
}

// AuditRow is one entry in a list.
type AuditRow struct {
	Index     int64
	At        time.Time
	Kind      string
	Tenant    Ref
	Operation Ref
	Subject   string
	By        string // "" where it is sealed from who looks
	Facts     string // the public facts, in a line
}

// CheckpointView is the log's signed head.
type CheckpointView struct {
	Origin  string
	Size    int64
	Root    []byte // 32 bytes
	At      time.Time
	Note    string // the signed note, whole
	Witness string // what the witness says, "" without one
	Href    string // the signed note as a file
}

// EntryView is one entry with its inclusion proof (RFC 6962 §2.1.1). With script
// the page computes the root itself, from Leaf and Path, and compares it.
type EntryView struct {
	AuditRow
	Leaf       []byte   // the entry's bytes, as they are hashed
	Pretty     string   // the same for people
	Sealed     []Pair   // sealed fields: the plain text, or why it can't be read
	LeafHash   []byte   // SHA-256(0x00 || Leaf)
	Path       [][]byte // from the leaf up
	Checkpoint CheckpointView
	Checked    bool   // the server's own check
	CheckSays  string // what it found
	ProofHref  string // the C2SP tlog-proof as a file
	Newer      string // paths to the neighbours, "" without
	Older      string
}

// Audit renders the search.
func (p *Pages) Audit(w io.Writer, frame Frame, v AuditView) error {
	return p.render(w, "audit", framed, frame, v)
}

// Entry renders one entry.
func (p *Pages) Entry(w io.Writer, frame Frame, v EntryView) error {
	return p.render(w, "entry", framed, frame, v)
}

// RootText is the root as a checkpoint writes it.
func (c CheckpointView) RootText() string { return base64.StdEncoding.EncodeToString(c.Root) }

// LeafText is the entry in base64, for the script.
func (v EntryView) LeafText() string { return base64.StdEncoding.EncodeToString(v.Leaf) }

// LeafHashText is the leaf's hash in base64.
func (v EntryView) LeafHashText() string { return base64.StdEncoding.EncodeToString(v.LeafHash) }

// PathText is the proof's hashes in base64, from the leaf up.
func (v EntryView) PathText() []string {
	var out []string
	for _, h := range v.Path {
		out = append(out, base64.StdEncoding.EncodeToString(h))
	}
	return out
}
