package lifecycle_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/witness"
)

// An audit of a store that is written to meanwhile finds nothing that isn't wrong.
func TestAuditBesideWrites(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		o := s.options
		var err error
		o.Witness, err = witness.Open(filepath.Join(t.TempDir(), "witness"))
		s.must(err)
		s.Service = s.service(o)
		audits := make(chan []string)
		go func() {
			defer close(audits)
			for range 15 {
				rep, err := s.VerifyAudit(context.Background())
				if err != nil {
					audits <- []string{err.Error()}
					return
				}
				audits <- rep.Problems
			}
		}()
		writes := 0
		write := func() {
			writes++
			h, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: fmt.Sprint("case ", writes), Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
			s.must(err)
			for _, by := range []string{"counsel", "director"} {
				_, err = s.ReleaseHold(context.Background(), h.ID, by)
				s.must(err)
			}
			if writes%4 > 0 {
				return
			}
			s.begin(fmt.Sprint("t", writes), "small@1.0")
			_, _, err = s.Checkpoint(context.Background())
			s.must(err)
		}
		for {
			select {
			case problems, more := <-audits:
				if !more {
					if writes < 15 {
						t.Errorf("only %d writes were made beside the audits", writes)
					}
					return
				}
				if len(problems) > 0 {
					t.Errorf("the audit finds %q", problems)
				}
			default:
				write()
			}
		}
	})
}
