package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// keyLedger is what the log says of keys.
type keyLedger struct {
	made      map[keystore.KeyID]int64 // the first entry that has something sealed under a key, or of the step that made it
	destroyed map[keystore.KeyID]bool
	tenants   map[tenure.TenantID]bool
}

func newKeyLedger() *keyLedger {
	return &keyLedger{made: make(map[keystore.KeyID]int64), destroyed: make(map[keystore.KeyID]bool), tenants: make(map[tenure.TenantID]bool)}
}

// take reads one entry.
func (l *keyLedger) take(index int64, e *audit.Entry) {
	l.tenants[e.Tenant] = true
	note := func(id keystore.KeyID) {
		if _, ok := l.made[id]; !ok {
			l.made[id] = index
		}
	}
	for _, sealed := range e.Sealed {
		note(keystore.KeyID(sealed.Key))
	}
	if e.Kind != "step.result" && e.Kind != "sought.end" {
		return
	}
	var f struct {
		Key    keystore.KeyID
		Action tenure.Action
		State  tenure.StepState
	}
	switch _ = json.Unmarshal(e.Data, &f); { // what can't be read names no key
	case f.Key == "":
	case e.Kind == "sought.end" || f.Action == tenure.ActKeyDestroy:
		l.destroyed[f.Key] = true
	case f.Action == tenure.ActKeyCreate && f.State == tenure.StepDone:
		note(f.Key)
	}
}

// CheckKeys names the keys that are lost, revived or unknown by what the log says of
// them, all of which it reads.
func (s *Service) CheckKeys(ctx context.Context) (problems []string, err error) {
	all, err := s.o.Keys.All(ctx)
	if err != nil {
		return nil, err
	}
	said := newKeyLedger()
	for r, err := range s.o.DB.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if audit.KindOf(r.Entry) == store.RowsEntry {
			continue // it is many, and says nothing of keys
		}
		if e, err := audit.Decode(r.Entry); err == nil { // what can't be read is the audit's to name
			said.take(r.Index, e)
		}
	}
	return s.checkKeys(ctx, all, said)
}

// checkKeys compares the keystore with the log, both ways: all are its keys as they stood
// before the log was read.
func (s *Service) checkKeys(ctx context.Context, all []keystore.Status, l *keyLedger) (problems []string, err error) {
	found, err := s.o.Keys.Fsck(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		problems = append(problems, "keystore: "+p.Text)
	}
	var lost []string
	for id, entry := range l.made {
		if _, err := s.o.Keys.Status(ctx, id); tenure.CodeOf(err) == tenure.NotFound && !l.destroyed[id] {
			lost = append(lost, fmt.Sprintf("keystore: key %s is lost: entry %d of the log knows it, and it was never destroyed", id, entry))
		}
	}
	slices.Sort(lost)
	problems = append(problems, lost...)
	of := make(map[tenure.TenantID]int)
	for _, k := range all {
		of[k.Spec.Tenant]++
	}
	for _, k := range all {
		// A request that was refused at its last moment leaves the one key of a tenant that never was.
		refused := k.Spec.Purpose == keystore.Personal && of[k.Spec.Tenant] == 1
		_, made := l.made[k.Key]
		switch {
		case k.State != keystore.Active:
		case l.destroyed[k.Key]:
			if now, err := s.o.Keys.Status(ctx, k.Key); err == nil && now.State != keystore.Active {
				continue // it was destroyed while it was listed
			}
			problems = append(problems, fmt.Sprintf("keystore: key %s is revived: the key was destroyed, and a backup of the keystore brought it back", k.Key))
		case !made && k.Spec.Tenant != "" && !l.tenants[k.Spec.Tenant] && !refused:
			problems = append(problems, fmt.Sprintf("keystore: key %s is unknown: the log has never heard of it, nor of its tenant", k.Key))
		}
	}
	return problems, nil
}

// rewritten says whether the log is as long as the one that the keystore has seen, and isn't that one.
func (s *Service) rewritten(ctx context.Context) bool {
	seen, err := s.o.Keys.Seen()
	if err != nil {
		return true
	}
	size, err := s.o.DB.LogSize(ctx)
	if err != nil || seen.Size == 0 || seen.Size > size {
		return err != nil
	}
	other, err := s.otherRoot(ctx, seen)
	return other || err != nil
}
