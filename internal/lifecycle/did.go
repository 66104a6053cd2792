package lifecycle

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
)

// maxDid bounds how many entries of a span of time are looked at for one person's.
const maxDid = 50_000

// Did lists what a person did in a span of time, as the log has it, at most limit;
// more says that there may be more.
func (s *Service) Did(ctx context.Context, name string, since, until time.Time, limit int) (out []LogEntry, more bool, err error) {
	more, err = s.o.DB.EntriesBetween(ctx, since, until, maxDid, func(index int64, e *audit.Entry) error {
		if _, ok := e.Sealed["by"]; !ok || len(out) > limit {
			return nil
		}
		if line := s.readable(ctx, index, e); tenure.SamePerson(line.By, name) {
			out = append(out, line)
		}
		return nil
	})
	if len(out) > limit {
		out, more = out[:limit], true
	}
	return out, more, err
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
