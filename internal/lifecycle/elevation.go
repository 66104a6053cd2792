package lifecycle

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
)

// System gives an added system, opening it at its first use, for who looks at it
// beside operations. It lives as long as the service.
func (s *Service) System(ctx context.Context, name string) (*connector.System, error) {
	return s.system(context.WithoutCancel(ctx), name)
}

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
