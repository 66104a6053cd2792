package keystore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Copy is a place where a key can still be read: the keystore's own file, or
// a backup of it.
type Copy struct {
	Location  string    `json:"location"`
	ExpiresAt time.Time `json:"expires,omitzero"` // zero: nobody knows, so it stays until it is forgotten
	Own       bool      `json:"own,omitempty"`    // the keystore's file
}

// State is where a key stands.
type State string

const (
	Active    State = "active"
	Destroyed State = "destroyed" // here it is gone; copies are left elsewhere
	Erased    State = "erased"    // the last copy is gone: cryptographic erase is verified
)

// Status is a key and its state.
type Status struct {
	Key       KeyID     `json:"key"`
	Spec      KeySpec   `json:"spec"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Destroyed time.Time `json:"destroyed,omitzero"`
	Copies    []Copy    `json:"copies,omitempty"`  // that remain
	Until     time.Time `json:"until,omitzero"`    // when the last of them expires; zero if one has no date, or none is left
	Overdue   []string  `json:"overdue,omitempty"` // locations past their expiry which nobody has seen empty yet
}

// Verdict is how sure it is that nothing can be opened with the key: Verified
// only when the last copy is gone, and seen to be.
func (s Status) Verdict() tenure.Verdict {
	switch s.State {
	case Erased:
		return tenure.Verified
	case Destroyed:
		return tenure.Claimed
	default:
		return tenure.Failed
	}
}

// Destruction is what Destroy did; for a key that was destroyed before, what
// was done then and how it stands now.
type Destruction struct {
	Key    KeyID     `json:"key"`
	At     time.Time `json:"at"`
	Status Status    `json:"status"`
}

// Destroy makes a key unusable: a tombstone is written first, then the key's
// file is overwritten and removed, and the unwrapped key dropped, also from
// whoever holds its AEAD. It is idempotent and finishes what a crash left. It
// doesn't ask whether anything held or retained still needs the key: that is
// for the caller to know. Memory that the process used is not overwritten.
func (s *Store) Destroy(ctx context.Context, id KeyID) (Destruction, error) {
	defer s.lock(id)()
	r, err := s.readRecord(id)
	if err != nil {
		return Destruction{}, err
	}
	s.drop(id)
	if r.Destroyed.IsZero() {
		r.Destroyed = s.at()
		if err := s.writeRecord(r); err != nil {
			return Destruction{}, err
		}
		s.Note(ctx)
	}
	group, err := id.parse()
	if err != nil {
		return Destruction{}, err
	}
	if err := wipe(staging(s.path(group, id, ".key"))); err != nil { // of a write that was cut off
		return Destruction{}, err
	}
	if err := wipe(s.path(group, id, ".key")); err != nil {
		return Destruction{}, err
	}
	return Destruction{Key: id, At: r.Destroyed, Status: s.status(r)}, nil
}

// Status tells where a key stands. An unknown key is NotFound.
func (s *Store) Status(_ context.Context, id KeyID) (Status, error) {
	defer s.lock(id)()
	r, err := s.readRecord(id)
	if err != nil {
		return Status{}, err
	}
	return s.status(r), nil
}

func (s *Store) status(r *record) Status {
	st := Status{Key: r.ID, Spec: r.Spec, State: Active, Created: r.Created, Destroyed: r.Destroyed, Copies: s.remaining(r)}
	if !r.Destroyed.IsZero() {
		st.State = Destroyed
		if len(st.Copies) == 0 {
			st.State = Erased
		}
	}
	now, dated := s.at(), true
	for _, c := range st.Copies {
		if c.Own {
			continue
		}
		dated = dated && !c.ExpiresAt.IsZero()
		if c.ExpiresAt.After(st.Until) {
			st.Until = c.ExpiresAt
		}
		if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now) {
			st.Overdue = append(st.Overdue, c.Location)
		}
	}
	if !dated {
		st.Until = time.Time{}
	}
	return st
}

// remaining are the copies that are left, the keystore's own file first.
func (s *Store) remaining(r *record) []Copy {
	var out []Copy
	if s.keyFileExists(r.ID) {
		group, _ := r.ID.parse()
		out = append(out, Copy{Location: filepath.Join("keys", group, string(r.ID)+".key"), Own: true})
	}
	return append(out, r.Copies...)
}

// Copies lists every copy of a key that is known to be left.
func (s *Store) Copies(ctx context.Context, id KeyID) ([]Copy, error) {
	st, err := s.Status(ctx, id)
	return st.Copies, err
}

// RegisterCopy notes that a backup at location holds the key until it expires;
// a zero time means that nobody knows. Again for the same location it corrects
// the date. It may come after the destruction: a copy found late is a copy.
func (s *Store) RegisterCopy(_ context.Context, id KeyID, location string, expires time.Time) error {
	if location == "" {
		return tenure.Errorf(tenure.Invalid, "a copy of key %s needs a location", id)
	}
	c := Copy{Location: location}
	if !expires.IsZero() {
		c.ExpiresAt = expires.UTC().Truncate(time.Microsecond)
	}
	return s.changeCopies(id, func(list []Copy) ([]Copy, error) {
		list = slices.DeleteFunc(list, func(c Copy) bool { return c.Location == location })
		list = append(list, c)
		slices.SortFunc(list, func(a, b Copy) int { return cmp.Compare(a.Location, b.Location) })
		return list, nil
	})
}

// ForgetCopy notes that somebody saw the copy at location to be gone. That it
// should have expired is not enough. An unregistered location is NotFound.
func (s *Store) ForgetCopy(_ context.Context, id KeyID, location string) error {
	return s.changeCopies(id, func(list []Copy) ([]Copy, error) {
		n := len(list)
		list = slices.DeleteFunc(list, func(c Copy) bool { return c.Location == location })
		if len(list) == n {
			return nil, tenure.Errorf(tenure.NotFound, "key %s has no copy at %q", id, location)
		}
		return list, nil
	})
}

func (s *Store) changeCopies(id KeyID, change func([]Copy) ([]Copy, error)) error {
	defer s.lock(id)()
	r, err := s.readRecord(id)
	if err != nil {
		return err
	}
	if r.Copies, err = change(r.Copies); err != nil {
		return err
	}
	return s.writeRecord(r)
}

// All tells of every key that has a record which can be read.
func (s *Store) All(ctx context.Context) (out []Status, err error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "keys", "*", "key_*.json"))
	if err != nil {
		return nil, fileError("list", s.dir, err)
	}
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st, err := s.Status(ctx, KeyID(strings.TrimSuffix(filepath.Base(p), ".json")))
		if err == nil { // Fsck names what can't be read
			out = append(out, st)
		}
	}
	return out, nil
}

// List tells of every key of a tenant, the destroyed ones too, in the order of
// purpose, class and name; of the keys without a tenant for "".
func (s *Store) List(ctx context.Context, tenant tenure.TenantID) ([]Status, error) {
	dir := filepath.Join(s.dir, "keys", group(tenant))
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("list", dir, err)
	}
	var out []Status
	for _, n := range names {
		id, isRecord := strings.CutSuffix(n.Name(), ".json")
		if !isRecord {
			continue
		}
		st, err := s.Status(ctx, KeyID(id))
		if err != nil {
			return nil, err
		}
		if st.Spec.Tenant == tenant {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Spec.Purpose, b.Spec.Purpose), cmp.Compare(a.Spec.Class, b.Spec.Class), cmp.Compare(a.Spec.Name, b.Spec.Name))
	})
	return out, nil
}
