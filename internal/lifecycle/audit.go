package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
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
// that the store's rows are what the log says they are, and the keystore. It
// changes nothing.
func (s *Service) VerifyAudit(ctx context.Context) (*AuditReport, error) {
	vs, err := s.verifiers()
	if err != nil {
		return nil, err
	}
	size, root, err := s.o.DB.Root(ctx)
	out := &AuditReport{Witness: "none configured"}
	if err != nil { // a broken edge is a finding, not the end of the check
		out.Problems = append(out.Problems, "the log's head: "+err.Error())
		if size, err = s.o.DB.LogSize(ctx); err != nil {
			return nil, err
		}
	}
	log := audit.Log{
		Size: size, Root: root, Records: s.o.DB.Entries(ctx, 0), Nodes: s.o.DB.Nodes(ctx),
		Origin: s.origin(), Verifiers: vs, Checkpoints: s.o.DB.Checkpoints(ctx),
	}
	if s.o.Witness != nil {
		latest, err := s.o.Witness.Latest(ctx)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound:
			out.Witness = "has no checkpoint yet"
		case err != nil:
			out.Witness = "can't be asked"
			out.Problems = append(out.Problems, "witness: "+err.Error())
		default:
			out.Witness, log.Witnessed = "consistent", latest
		}
	}
	rep, err := audit.Verify(ctx, log)
	if err != nil {
		return nil, err
	}
	out.Entries, out.Root, out.Checkpoints = rep.Entries, rep.Root.String(), rep.Checkpoints
	for _, p := range rep.Problems {
		out.Problems = append(out.Problems, p.Text)
	}
	if rep.More > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("and %d more", rep.More))
	}
	if log.Witnessed != nil && !rep.OK() {
		out.Witness = "see the problems"
	}
	if sealed, err := s.o.DB.Sealed(ctx); err == nil && !sealed { // a broken edge is named above
		out.Problems = append(out.Problems, "the log was written past the program: its head isn't sealed with this installation's key, and nothing that it says is vouched for")
	}
	planted, err := s.o.DB.Planted(ctx)
	if err != nil {
		return nil, err
	}
	for _, what := range planted {
		out.Problems = append(out.Problems, fmt.Sprintf("%s stands in the store, and the program makes none: it may change what is written and read", what))
	}
	ledger, rows, err := s.fsck(ctx)
	if err != nil {
		return nil, err
	}
	out.Problems = append(out.Problems, rows...)
	keys, err := s.checkKeys(ctx, ledger)
	if err != nil {
		return nil, err
	}
	out.Problems = append(out.Problems, keys...)
	if apart, err := s.Apart(ctx); err != nil {
		out.Problems = append(out.Problems, "keystore: "+err.Error())
	} else if apart != "" {
		out.Problems = append(out.Problems, "keystore: "+apart)
	}
	return out, nil
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

// readable is an entry as a person reads it.
func (s *Service) readable(ctx context.Context, index int64, e *audit.Entry) LogEntry {
	line := LogEntry{Index: index, At: e.At.Format("2006-01-02T15:04:05.000Z"), Kind: e.Kind, Tenant: string(e.Tenant), Operation: string(e.Operation), Subject: e.Subject, Data: e.Data}
	if sealed, ok := e.Sealed["by"]; ok {
		line.By = "[key destroyed]"
		if aead, err := s.o.Keys.AEAD(ctx, keystore.KeyID(sealed.Key)); err == nil {
			if name, err := e.Open(aead, "by"); err == nil {
				line.By = string(name)
			}
		}
	}
	return line
}
