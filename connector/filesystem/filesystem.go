// Package filesystem is the connector to a folder of a file system: buckets
// that hold a tenant's files, folders into which backup jobs write, and small
// documents. What Tenure keeps there for itself is in ROOT/.tenure; everything
// else is in ROOT/TYPE/NAME.
//
// A thing is ours if the record that ROOT/.tenure/marks keeps of it bears our
// mark and names the very directory or file that stands there (by inode and
// time of birth): a copy under the same name isn't.
package filesystem

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// Info is the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "filesystem",
		Version: "1",
		Tested:  connector.Live, How: "against folders of this machine, on Linux",
		Summary: "A folder on a file system: buckets, folders of backups, documents.",
		Options: []connector.Option{
			{Name: "root", Help: "The folder that the system is (ROOT). Adding the system creates it if its parent is there, and in it the folders backups, bucket and document, in which everything stands as ROOT/TYPE/NAME (mode 0711), and .tenure, which is Tenure's own (mode 0700). Folders that are there already stay as they are.", Required: true},
		},
		Types: types(),
		Probes: []connector.ProbeKind{
			{Name: "reachable", Help: "A file can be written into it, read back and removed; a document can be read.", Types: []string{bucket, backups, document}},
			{Name: "isolation", Help: "No symbolic link leads out of it, no hard link shares a file with another, and nothing is mounted in it.", Types: []string{bucket}},
			{Name: "exposure", Help: "No other user of the machine can read or change it, or put another in its place.", Types: []string{bucket, backups, document}},
			{Name: "encryption", Help: "The profile asks for nothing that a file system can't show. Encryption at rest isn't visible here, so a profile that requires it fails."},
		},
		Remnants: remnants,
		Open:     open,
		Review:   review,
		Check:    faults,
	}
}

// Path is where a thing stands below a system's root.
func Path(root, typ, name string) string { return filepath.Join(root, typ, name) }

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	root := c.Option("root")
	if root == "" {
		return nil, tenure.Errorf(tenure.Invalid, "a filesystem system needs the option root")
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	return &Driver{root: root, marker: c.Marker, now: now}, nil
}

// The types, in byte order.
const (
	backups  = "backups"
	bucket   = "bucket"
	document = "document"
)

func types() []tenure.ResourceType {
	const (
		seen   = "read back from the directory itself, by inode and time of birth, in the pass that sees the sentinel; a file system without such a time is read by inode alone"
		gone   = "its files, its directory and Tenure's record of it are unlinked and the directory above is synced; the blocks on the medium are not overwritten"
		public = `"public":{"type":"boolean","default":false,"description":"Every user of the machine may read it."}`
	)
	storage := []tenure.CostTerm{{Metric: "bytes", Per: 1 << 30, Price: "gibibyte"}}
	return []tenure.ResourceType{
		{
			Name: backups, Summary: "The folder ROOT/backups/NAME, into which a backup job writes copies, each of which expires.", Layer: tenure.LayerBackup,
			Deletion:     gone + "; refused while copies remain that haven't expired",
			Verification: seen,
			Recovery:     tenure.Recovery{Declared: true, Says: "copies stay until they expire (time of last change plus keep); after that nothing can be undone"},
			Holds:        tenure.HoldsData, Copies: true, Cost: storage,
			Attributes: schema(public+`,
  "keep":{"type":"string","description":"How long a copy is kept after its last change, as an ISO 8601 period."},
  "rotate":{"enum":["tenure","outside"],"default":"outside","description":"Who removes the copies that are due."}`, `"keep"`),
		},
		{
			Name: bucket, Summary: "The directory tree ROOT/bucket/NAME of a tenant's files.", Whole: true, Layer: tenure.LayerAncillary,
			Deletion: gone, Verification: seen,
			Recovery: tenure.Recovery{Declared: true, Quarantine: true, Says: "moved aside whole, with every permission taken off, until it is deleted; brought back with the owner's permissions alone"},
			Holds:    tenure.HoldsData, Cost: storage, Dispositions: objects.Dispositions,
			Attributes: schema(public+`,
  "quotaBytes":{"type":"integer","minimum":0,"description":"Recorded for the platform to keep to; the file system doesn't enforce it."},
  "classes":{"type":"object","additionalProperties":{"type":"string","minLength":1},"description":"Data class by path prefix, such as orders or orders/2026; the longest wins, and \".\" is everything else. Without it a single data class of the resource covers all."},
  `+objects.Schema, ""),
		},
		{
			Name: document, Summary: "One small file, ROOT/document/NAME, with a given text.", Layer: tenure.LayerConfiguration,
			Deletion: gone, Verification: seen + "; the whole text is compared",
			Recovery: tenure.Recovery{Declared: true, Says: "can't be undone; the text is in the plan"},
			Holds:    tenure.HoldsNothing,
			Attributes: schema(public+`,
  "text":{"type":"string","maxLength":65536}`, `"text"`),
		},
	}
}

func schema(properties, required string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":{` + properties + `},"required":[` + required + `]}`
}

func review(_ string, attributes map[string]any) []string {
	if v, ok := attributes["public"].(bool); ok && v {
		return []string{"public: every user of the machine may read it"}
	}
	return nil
}
