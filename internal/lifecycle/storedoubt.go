package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// StoreConfirmers is how many persons say that a store is the right one before anything is
// destroyed by it.
const StoreConfirmers = 2

// StoreDoubt is why the store may be an older copy, or another, than the one that was last
// in use: holds, releases and approvals that came since would be missing in it.
type StoreDoubt struct {
	About       string   // the evidence; the same evidence has the same name
	Reason      string   // in words
	ConfirmedBy []string // who has said that the store is right all the same
}

// storeDoubts is what was last seen against the store.
type storeDoubts struct {
	comparing sync.Mutex
	mu        sync.Mutex // held for no call of the store: its writer asks for doubts too
	list      []StoreDoubt
}

// StoreDoubts is what speaks against the store, as the last look found it; nothing is
// destroyed while there is any.
func (s *Service) StoreDoubts() []StoreDoubt {
	s.doubts.mu.Lock()
	defer s.doubts.mu.Unlock()
	return slices.Clone(s.doubts.list)
}

// Doubt is why nothing may be destroyed now, and nothing taken away because a date has
// come: the clock is in doubt, or the store. It is blank if neither is.
func (s *Service) Doubt() string {
	var why []string
	if d := s.o.Clock.Doubt(); d != nil {
		why = append(why, d.String()+"; what destroys, and what a date makes due, waits until somebody confirms the time")
	}
	for _, d := range s.StoreDoubts() {
		why = append(why, d.Reason+fmt.Sprintf("; what destroys waits until %d persons confirm the store", StoreConfirmers))
	}
	return strings.Join(why, "; ")
}

// CompareStore looks whether the store's log continues what the keystore and the witness
// have seen of it. What is found stands in StoreDoubts until StoreConfirmers persons have
// confirmed the store; a witness that can't be asked speaks against nothing.
func (s *Service) CompareStore(ctx context.Context) error {
	s.doubts.comparing.Lock()
	defer s.doubts.comparing.Unlock()
	found, err := s.notContinued(ctx, true)
	if err != nil {
		return err
	}
	return s.doubtStore(ctx, found)
}

// newStoreDoubt words a doubt so that it stays the same while the log grows: what waits for its
// end writes its reason down once.
func newStoreDoubt(who string, size int64, root string) StoreDoubt {
	return StoreDoubt{
		About:  fmt.Sprintf("%s %d %s", who, size, root),
		Reason: fmt.Sprintf("the %s has seen a log of %d entries, which the store's log doesn't continue: the store may be an older copy", who, size),
	}
}

// notContinued is what the log doesn't continue.
func (s *Service) notContinued(ctx context.Context, ask bool) (found []StoreDoubt, err error) {
	seen, why, err := s.apart(ctx)
	if err != nil {
		return nil, err
	}
	if why != "" {
		found = append(found, newStoreDoubt("keystore", seen.Size, seen.Root))
	}
	if !ask || s.o.Witness == nil {
		return found, nil
	}
	_, last, err := s.witnessLatest(ctx)
	if err != nil { // whoever needs it then says so
		return found, nil
	}
	if why, err = s.past(ctx, last); why != "" {
		found = append(found, newStoreDoubt("witness", last.Size, last.Root.String()))
	}
	return found, err
}

// past says why the log isn't one that had this head once; blank if it is.
func (s *Service) past(ctx context.Context, c audit.Checkpoint) (string, error) {
	size, err := s.o.DB.LogSize(ctx)
	if err != nil {
		return "", err
	}
	if c.Size > size {
		return fmt.Sprintf("the witness has seen %d entries, and the log has %d: entries were dropped", c.Size, size), nil
	}
	root, err := tlog.TreeHash(c.Size, s.o.DB.HashReader(ctx))
	if err != nil {
		return "", tenure.Errorf(tenure.Internal, "the log's root at size %d: %w", c.Size, err)
	}
	if root != c.Root {
		return fmt.Sprintf("the witness has another log's checkpoint of %d entries", c.Size), nil
	}
	return "", nil
}

// doubtStore keeps what speaks against the store and hasn't been confirmed. What waited for
// a doubt that has ended goes on.
func (s *Service) doubtStore(ctx context.Context, found []StoreDoubt) error {
	if len(found) > 0 {
		said, err := s.storeConfirmations(ctx)
		if err != nil {
			return err
		}
		for i := range found {
			found[i].ConfirmedBy = said[found[i].About]
		}
	}
	left := slices.DeleteFunc(slices.Clone(found), func(d StoreDoubt) bool { return len(d.ConfirmedBy) >= StoreConfirmers })
	for _, d := range found {
		if len(d.ConfirmedBy) >= StoreConfirmers && strings.HasPrefix(d.About, "keystore ") {
			if err := s.o.Keys.Accept(ctx); err != nil {
				return err
			}
		}
	}
	s.doubts.mu.Lock()
	ended := len(left) == 0 && len(s.doubts.list) > 0
	s.doubts.list = left
	s.doubts.mu.Unlock()
	if !ended {
		return nil
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.PokeTenant("", s.Now()) })
}

// storeConfirmations are the persons who have confirmed the store, by what spoke against it.
func (s *Service) storeConfirmations(ctx context.Context) (map[string][]string, error) {
	if err := s.o.DB.VouchedHolds(ctx); err != nil { // which reads the log, and that it is whole
		return nil, nil //nolint:nilerr // by a log that isn't whole nobody has confirmed anything
	}
	out := make(map[string][]string)
	for r, err := range s.o.DB.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if audit.KindOf(r.Entry) != "store.confirm" {
			continue
		}
		e, err := audit.Decode(r.Entry)
		if err != nil {
			return nil, err
		}
		by := s.readable(ctx, r.Index, e).By
		var f struct{ About string }
		if json.Unmarshal(e.Data, &f) == nil && by != "" && by != unreadable && !slices.ContainsFunc(out[f.About], func(n string) bool { return tenure.SamePerson(n, by) }) {
			out[f.About] = append(out[f.About], by)
		}
	}
	return out, nil
}

// ConfirmStore takes a person's word that the store is the one to go on with, though
// something speaks against it: that it was restored on purpose, and that what is missing in
// it has been put back. What is destroyed goes on when StoreConfirmers persons have said so.
// Conflict means that nothing speaks against the store, or that they have said it before.
func (s *Service) ConfirmStore(ctx context.Context, reason, by string) error {
	if err := person(by); err != nil {
		return err
	}
	reason, err := tenure.NeedLine("the reason: where the store is from, and what was put back,", reason, tenure.MaxReason)
	if err != nil {
		return err
	}
	if err := s.CompareStore(ctx); err != nil {
		return err
	}
	list := s.StoreDoubts()
	if len(list) == 0 {
		return tenure.Errorf(tenure.Conflict, "nothing speaks against the store")
	}
	var entries []audit.Entry
	for _, d := range list {
		if slices.ContainsFunc(d.ConfirmedBy, func(n string) bool { return tenure.SamePerson(n, by) }) {
			continue
		}
		e, err := s.entry(ctx, "store.confirm", by, "", "", string(s.o.Installation), map[string]string{"about": d.About, "doubt": d.Reason})
		if err == nil {
			err = s.seal(ctx, &e, "reason", reason)
		}
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return tenure.Errorf(tenure.Conflict, "%s has confirmed the store already, and another person must", by)
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, e := range entries {
			if err := tx.Log(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.CompareStore(ctx)
}

// Apart says why the store and the keystore don't belong together; blank if nothing
// shows it. It goes by the keystore's own note of the log, and needs no witness.
func (s *Service) Apart(ctx context.Context) (string, error) {
	_, why, err := s.apart(ctx)
	return why, err
}

func (s *Service) apart(ctx context.Context) (seen keystore.Seen, why string, err error) {
	seen, err = s.o.Keys.Seen()
	if err != nil {
		return seen, err.Error(), nil
	}
	size, err := s.o.DB.LogSize(ctx)
	if err != nil || seen.Size == 0 {
		return seen, "", err
	}
	if seen.Size > size {
		return seen, fmt.Sprintf("the store is older than the keystore: the log has %d entries, and the keystore has seen %d", size, seen.Size), nil
	}
	if other, err := s.otherRoot(ctx, seen); err != nil || !other {
		return seen, "", err
	}
	return seen, fmt.Sprintf("the store isn't the keystore's: the log had another root when it had %d entries", seen.Size), nil
}

func (s *Service) otherRoot(ctx context.Context, seen keystore.Seen) (bool, error) {
	root, err := tlog.TreeHash(seen.Size, s.o.DB.HashReader(ctx))
	return err == nil && root.String() != seen.Root, err
}

// noted is the head of the log, if the log continues what the keystore has noted before.
func (s *Service) noted(ctx context.Context, before keystore.Seen) (keystore.Seen, error) {
	size, root, err := s.o.DB.Root(ctx)
	if err != nil || before.Size == 0 || before.Size > size {
		return keystore.Seen{Size: size, Root: root.String()}, err
	}
	other, err := s.otherRoot(ctx, before)
	if err == nil && other {
		err = tenure.Errorf(tenure.Conflict, "the log doesn't continue what the keystore has seen")
	}
	return keystore.Seen{Size: size, Root: root.String()}, err
}
