package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// origin names this installation's log: it is the name of its signing key.
func (s *Service) origin() string { return s.signer.Name() }

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

// VerifyAudit checks the whole log, that it continues the witness's checkpoint,
// that the store's rows are what the log says they are, and the keystore. It looks at
// the store as it stands at one moment, so that what goes on meanwhile is nothing wrong,
// and changes nothing.
func (s *Service) VerifyAudit(ctx context.Context) (*AuditReport, error) {
	out := &AuditReport{Witness: "none configured"}
	// What others hold is read before the store: it is never ahead of it then.
	witnessed := s.witnessed(ctx, out)
	keys, err := s.o.Keys.All(ctx)
	if err != nil {
		return nil, err
	}
	apart, err := s.Apart(ctx)
	if err != nil {
		apart = err.Error()
	}
	err = s.o.DB.View(ctx, func(db *store.DB) error {
		if err := s.verifyLog(ctx, db, witnessed, out); err != nil {
			return err
		}
		said, rows, err := s.replay(ctx, db)
		if err != nil {
			return err
		}
		out.Problems = append(out.Problems, rows...)
		problems, err := s.checkKeys(ctx, keys, said)
		out.Problems = append(out.Problems, problems...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if apart != "" {
		out.Problems = append(out.Problems, "keystore: "+apart)
	}
	return out, nil
}

// witnessed is the witness's latest checkpoint; nil if there is none.
func (s *Service) witnessed(ctx context.Context, out *AuditReport) []byte {
	if s.o.Witness == nil {
		return nil
	}
	latest, err := s.o.Witness.Latest(ctx)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		out.Witness = "has no checkpoint yet"
		return nil
	case err != nil:
		out.Witness = "can't be asked"
		out.Problems = append(out.Problems, "witness: "+err.Error())
		return nil
	}
	out.Witness = "consistent"
	return latest
}

// verifyLog checks the log alone: its entries, its tree, its head and its checkpoints.
func (s *Service) verifyLog(ctx context.Context, db *store.DB, witnessed []byte, out *AuditReport) error {
	vs, err := s.verifiers()
	if err != nil {
		return err
	}
	size, root, err := db.Root(ctx)
	if err != nil { // a broken edge is a finding, not the end of the check
		out.Problems = append(out.Problems, "the log's head: "+err.Error())
		if size, err = db.LogSize(ctx); err != nil {
			return err
		}
	}
	rep, err := audit.Verify(ctx, audit.Log{
		Size: size, Root: root, Records: db.Entries(ctx, 0), Nodes: db.Nodes(ctx),
		Origin: s.origin(), Verifiers: vs, Checkpoints: db.Checkpoints(ctx), Witnessed: witnessed,
	})
	if err != nil {
		return err
	}
	out.Entries, out.Root, out.Checkpoints = rep.Entries, rep.Root.String(), rep.Checkpoints
	for _, p := range rep.Problems {
		out.Problems = append(out.Problems, p.Text)
	}
	if rep.More > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("and %d more", rep.More))
	}
	if witnessed != nil && !rep.OK() {
		out.Witness = "see the problems"
	}
	if sealed, err := db.Sealed(ctx); err == nil && !sealed { // a broken edge is named above
		out.Problems = append(out.Problems, "the log was written past the program: its head isn't sealed with this installation's key, and nothing that it says is vouched for")
	}
	planted, err := db.Planted(ctx)
	for _, what := range planted {
		out.Problems = append(out.Problems, fmt.Sprintf("%s stands in the store, and the program makes none: it may change what is written and read", what))
	}
	return err
}

// LogEntry is one entry as a person reads it: who did it is opened while the
// evidence key lives.
type LogEntry struct {
	Index     int64           `json:"index"`
	At        string          `json:"at"`
	Kind      string          `json:"kind"`
	Tenant    string          `json:"tenant,omitempty"`
	Operation string          `json:"operation,omitempty"`
	Subject   string          `json:"subject,omitempty"`
	By        string          `json:"by,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// Log lists entries from an index on, at most limit; a tenant narrows it.
func (s *Service) Log(ctx context.Context, from int64, limit int, tenant string) ([]LogEntry, error) {
	if tenant != "" {
		t, err := s.o.DB.Tenant(ctx, tenant)
		if err != nil {
			return nil, err
		}
		tenant = string(t.ID)
	}
	var out []LogEntry
	for r, err := range s.o.DB.Entries(ctx, from) {
		if err != nil {
			return nil, err
		}
		e, err := audit.Decode(r.Entry)
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "entry %d: %w", r.Index, err)
		}
		if tenant != "" && string(e.Tenant) != tenant {
			continue
		}
		if out = append(out, s.readable(ctx, r.Index, e)); len(out) >= limit {
			break
		}
	}
	return out, nil
}

// ExportLog writes the log as C2SP tlog-tiles into a folder, which anyone can
// check with audit verify --tiles.
func (s *Service) ExportLog(ctx context.Context, dir string) (int64, error) {
	check, size, err := s.Checkpoint(ctx)
	if err != nil {
		return 0, err
	}
	entries := iter.Seq2[[]byte, error](func(yield func([]byte, error) bool) {
		for r, err := range s.o.DB.Entries(ctx, 0) {
			if r.Index >= size || !yield(r.Entry, err) {
				return
			}
		}
	})
	return size, audit.WriteTiles(ctx, entries, check, dir)
}

// unreadable stands for a name whose key is gone.
const unreadable = "[key destroyed]"

// readable is an entry as a person reads it.
func (s *Service) readable(ctx context.Context, index int64, e *audit.Entry) LogEntry {
	line := LogEntry{Index: index, At: e.At.Format("2006-01-02T15:04:05.000Z"), Kind: e.Kind, Tenant: string(e.Tenant), Operation: string(e.Operation), Subject: e.Subject, Data: e.Data}
	if sealed, ok := e.Sealed["by"]; ok {
		line.By = unreadable
		if aead, err := s.o.Keys.AEAD(ctx, keystore.KeyID(sealed.Key)); err == nil {
			if name, err := e.Open(aead, "by"); err == nil {
				line.By = string(name)
			}
		}
	}
	return line
}
