package lifecycle

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// witnessed is what is under way between the log and its witness.
type witnessed struct {
	publishing sync.Mutex // one at a time: each proves from what the one before left there

	mu      sync.Mutex
	stuck   map[tenure.OperationID]bool // operations whose certificate waits for the witness
	reached int64                       // the size of the log up to which the witness was seen to have it
}

// Checkpoint signs the log's head and keeps it, and hands it to the witness with
// the proof that it continues what the witness has.
func (s *Service) Checkpoint(ctx context.Context) (note []byte, size int64, err error) {
	s.witness.publishing.Lock()
	defer s.witness.publishing.Unlock()
	size, root, err := s.o.DB.Root(ctx)
	if err != nil {
		return nil, 0, err
	}
	note, err = audit.SignCheckpoint(audit.Checkpoint{Origin: s.origin(), Size: size, Root: root}, s.signer)
	if err != nil {
		return nil, 0, err
	}
	if err := s.o.DB.SaveCheckpoint(ctx, size, note, s.Now()); err != nil {
		return nil, 0, err
	}
	if err := s.publish(ctx, note, size); err != nil {
		return note, size, err
	}
	return note, size, s.retryStuck(ctx, note, size)
}

func (s *Service) publish(ctx context.Context, note []byte, size int64) error {
	if s.o.Witness == nil || size == 0 {
		return nil
	}
	latest, old, err := s.witnessLatest(ctx)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return s.o.Witness.Publish(ctx, nil, note, nil)
	case err != nil:
		return err
	}
	if old.Size > size {
		return tenure.Errorf(tenure.Blocked, "the witness has seen %d entries, and the log has %d: entries were dropped", old.Size, size)
	}
	proof, err := audit.ProveConsistency(old.Size, size, s.o.DB.HashReader(ctx))
	if err != nil {
		return err
	}
	return s.o.Witness.Publish(ctx, latest, note, proof)
}

// witnessLatest asks the witness for its latest checkpoint, which must be signed by
// this log: what else it says is Blocked.
func (s *Service) witnessLatest(ctx context.Context) ([]byte, audit.Checkpoint, error) {
	latest, err := s.o.Witness.Latest(ctx)
	if err != nil {
		wrapped := tenure.Errorf(tenure.CodeOf(err), "witness: %w", err)
		if tenure.CanRetry(err) {
			wrapped = wrapped.Retryable()
		}
		return nil, audit.Checkpoint{}, wrapped
	}
	vs, err := s.verifiers()
	if err != nil {
		return nil, audit.Checkpoint{}, err
	}
	c, err := audit.VerifyCheckpoint(latest, s.origin(), vs...)
	if err != nil {
		return nil, c, tenure.Errorf(tenure.Blocked, "witness: its latest checkpoint isn't this log's: %w", err)
	}
	return latest, c, nil
}

// reachWitness has a checkpoint of the log as it is now reach the witness.
func (s *Service) reachWitness(ctx context.Context) error {
	if s.o.Witness == nil {
		return nil
	}
	size, err := s.o.DB.LogSize(ctx)
	if err != nil {
		return err
	}
	s.witness.mu.Lock()
	reached := s.witness.reached
	s.witness.mu.Unlock()
	if reached == size {
		return nil
	}
	note, size, err := s.Checkpoint(ctx)
	if err == nil {
		err = s.witnessHas(ctx, note, size)
	}
	if err == nil {
		s.witness.mu.Lock()
		s.witness.reached = max(s.witness.reached, size)
		s.witness.mu.Unlock()
	}
	return err
}

// witnessHas checks that the witness has a checkpoint that it accepted, or a later one
// of this log: a witness may accept a checkpoint and not keep it.
func (s *Service) witnessHas(ctx context.Context, note []byte, size int64) error {
	latest, c, err := s.witnessLatest(ctx)
	if tenure.CodeOf(err) == tenure.NotFound || err == nil && c.Size < size {
		return tenure.Errorf(tenure.Blocked, "the witness accepted the checkpoint of %d entries and doesn't have it", size)
	}
	if err != nil || bytes.Equal(latest, note) {
		return err
	}
	why, err := s.past(ctx, c)
	if err == nil && why != "" {
		err = tenure.Errorf(tenure.Blocked, "%s", why)
	}
	return err
}

// witnessAgain is when a certificate that waits for its witness is tried again, if no
// checkpoint has reached the witness before.
const witnessAgain = 15 * time.Minute

// stuckAtWitness leaves a certificate unsigned until its witness has what it cites.
func (s *Service) stuckAtWitness(t *engine.Task, err error) engine.Result {
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	if s.witness.stuck == nil {
		s.witness.stuck = make(map[tenure.OperationID]bool)
	}
	s.witness.stuck[t.Operation.ID] = true
	who := s.o.WitnessName
	if who == "" {
		who = "the witness"
	}
	return engine.Result{Stuck: true, Again: t.Now.Add(witnessAgain), Note: "no certificate is signed before " + who + " has all that it cites: " + err.Error()}
}

// retryStuck lets the certificates that wait for the witness be signed, once it has
// a checkpoint that it took.
func (s *Service) retryStuck(ctx context.Context, note []byte, size int64) error {
	s.witness.mu.Lock()
	waiting := len(s.witness.stuck)
	s.witness.mu.Unlock()
	if waiting == 0 || s.witnessHas(ctx, note, size) != nil {
		return nil
	}
	s.witness.mu.Lock()
	stuck := s.witness.stuck
	s.witness.stuck = nil
	s.witness.mu.Unlock()
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for op := range stuck {
			if err := tx.RetryStuck(op, s.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}
