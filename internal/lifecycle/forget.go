package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// Whether the notices of a tenant that has closed were sent is looked at from noticesFirst to
// noticesLast apart.
const (
	noticesFirst = 5 * time.Second
	noticesLast  = 6 * time.Hour
)

// runForget blanks what Tenure's own rows say of a tenant that has closed, after it has
// sealed what later looks at its places need, and what staff wrote of it. Its notices go with
// the rest, so that those on their way are waited for where there is a receiver.
func (s *Service) runForget(ctx context.Context, t *engine.Task) engine.Result {
	if s.o.Sends {
		at, to, err := s.o.DB.UnsentNotice(ctx, t.Plan.Tenant, t.Now.Add(-tenure.NoticeLife))
		if err != nil {
			return engine.Result{Err: err}
		}
		if !at.IsZero() {
			again := t.Now.Add(min(max(t.Now.Sub(at), noticesFirst), noticesLast))
			return engine.Result{Again: again, Note: "notices about the tenant haven't been sent yet" + to + "; Tenure's own rows about it are forgotten once they have, or are a week old"}
		}
	}
	sought, err := s.keepSought(ctx, t)
	if err != nil {
		return engine.Result{Err: err}
	}
	kept, err := s.knownDigests(ctx, t.Plan.Tenant)
	if err != nil {
		return engine.Result{Err: err}
	}
	forget, key, err := s.forgetting(ctx, t.Plan.Tenant, t.Now)
	if err != nil {
		return engine.Result{Err: err}
	}
	var facts map[string]string
	if key != "" {
		facts = map[string]string{"key": string(key)}
	}
	return engine.Result{Verdict: tenure.Verified, Facts: facts, Extra: func(tx *store.Tx) error {
		for _, row := range sought {
			if err := tx.SaveSought(row); err != nil {
				return err
			}
		}
		for _, k := range kept {
			if err := tx.KeepKnown(t.Plan.Tenant, k, s.soughtUntil(t.Now)); err != nil {
				return err
			}
		}
		if t.Plan.Kind == tenure.Supplement { // its last reconciliation has seen nothing of the tenant
			if err := tx.ResolveTenant(sweepKinds, t.Plan.Tenant, t.Now, t.Now); err != nil {
				return err
			}
		}
		return forget(tx)
	}}
}

// forgetting prepares to forget a closed tenant: what staff wrote of it is sealed under
// the key that is named, if there is anything, until that key's retention ends. When
// it has ended before, those words go with the rest.
func (s *Service) forgetting(ctx context.Context, id tenure.TenantID, now time.Time) (forget func(*store.Tx) error, key keystore.KeyID, err error) {
	words, err := s.o.DB.Written(ctx, id)
	if err != nil {
		return nil, "", err
	}
	until, ended, err := s.sealedUntil(ctx, id, now)
	if err != nil {
		return nil, "", err
	}
	blank := func(tx *store.Tx) error {
		_, err := tx.Forget(id, now)
		return err
	}
	if ended {
		return blank, "", nil
	}
	if len(words) == 0 {
		return func(tx *store.Tx) error {
			if words, err := tx.Written(id); err != nil || len(words) > 0 {
				return errors.Join(err, tenure.Errorf(tenure.Unavailable, "something was written of tenant %s just now", id).Retryable())
			}
			return blank(tx)
		}, "", nil
	}
	if key, err = s.o.Keys.Create(ctx, soughtKey(id)); err != nil {
		return nil, "", err
	}
	aead, err := s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return nil, "", err
	}
	return func(tx *store.Tx) error {
		if err := keepRecord(tx, aead, store.Record{Tenant: id, Key: string(key), ExpiresAt: until}); err != nil {
			return err
		}
		return blank(tx)
	}, key, nil
}

// sealedUntil is when what is sealed of a closed tenant can't be opened any more, and
// whether that is so already.
func (s *Service) sealedUntil(ctx context.Context, id tenure.TenantID, now time.Time) (until time.Time, ended bool, err error) {
	rows, err := s.o.DB.Sought(ctx, id)
	if err != nil {
		return until, false, err
	}
	if len(rows) > 0 {
		return rows[0].ExpiresAt, rows[0].Key == "", nil
	}
	r, err := s.o.DB.Record(ctx, id)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return s.soughtUntil(now), false, nil
	case err != nil:
		return until, false, err
	}
	return r.ExpiresAt, r.Key == "", nil
}

// keepRecord seals what is written of a tenant, with what was sealed before.
func keepRecord(tx *store.Tx, aead audit.AEAD, r store.Record) error {
	words, err := tx.Written(r.Tenant)
	if err != nil || len(words) == 0 {
		return err
	}
	had, err := tx.Record(r.Tenant)
	if err != nil && tenure.CodeOf(err) != tenure.NotFound {
		return err
	}
	before, err := openRecord(aead, had)
	if err != nil {
		return err
	}
	text, err := json.Marshal(append(before, words...))
	if err == nil {
		r.Box, err = aead.Encrypt(text, []byte(r.Tenant))
	}
	if err != nil {
		return tenure.Errorf(tenure.Internal, "seal what was written of tenant %s: %w", r.Tenant, err)
	}
	return tx.SaveRecord(r)
}

func openRecord(aead audit.AEAD, r store.Record) (out []store.Written, err error) {
	if len(r.Box) == 0 {
		return nil, nil
	}
	text, err := aead.Decrypt(r.Box, []byte(r.Tenant))
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.Blocked, "what was written of tenant %s can't be opened: %w", r.Tenant, err)
	}
	return out, nil
}

// Record opens what staff wrote of a tenant that has closed: reasons of holds, of
// access and of exceptions, notes at gates. NotFound if there is none, or the
// retention of the key that seals it has ended. See Annex for the annexes in it.
func (s *Service) Record(ctx context.Context, tenant string) ([]store.Written, time.Time, error) {
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return nil, time.Time{}, err
	}
	words, until, err := s.record(ctx, t.ID)
	return slices.DeleteFunc(words, func(w store.Written) bool { return w.Table == "certificate" }), until, err
}

func (s *Service) record(ctx context.Context, id tenure.TenantID) ([]store.Written, time.Time, error) {
	r, err := s.o.DB.Record(ctx, id)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		err = tenure.Errorf(tenure.NotFound, "nothing is sealed that was written of tenant %s", id).WithHint("before a tenant has closed it stands where it was written")
	case err == nil && r.Key == "":
		err = tenure.Errorf(tenure.NotFound, "what was written of tenant %s was destroyed: its retention has ended", id)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	aead, err := s.o.Keys.AEAD(ctx, keystore.KeyID(r.Key))
	if err != nil {
		return nil, time.Time{}, err
	}
	words, err := openRecord(aead, r)
	return words, r.ExpiresAt, err
}

const (
	forgetAfter = 30 * 24 * time.Hour // how long after its closing what is still said of a tenant goes
	forgetEvery = 24 * time.Hour      // how often that is looked for
	forgetLot   = 20                  // tenants in one turn of the clock
)

// TickForget forgets, once a day, what stands in Tenure's own rows beyond its time:
// rows that are old enough, tenants that closed without an offboarding, and what was
// written of closed tenants since.
func (s *Service) TickForget(ctx context.Context, now time.Time) error {
	if err := s.o.DB.Clean(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	due := now.Sub(s.forgot) >= forgetEvery
	s.mu.Unlock()
	if !due {
		return nil
	}
	some, err := s.o.DB.HasOld(ctx, now)
	if err == nil && some {
		err = s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.DropOld(now) })
	}
	if err != nil {
		return err
	}
	ids, err := s.o.DB.Unforgotten(ctx, now.Add(-forgetAfter), forgetLot)
	if err != nil {
		return err
	}
	var failed []error // one tenant's trouble mustn't keep the others from their turn
	for _, id := range ids {
		failed = append(failed, s.forgetClosed(ctx, id, now))
	}
	if len(ids) < forgetLot {
		s.mu.Lock()
		s.forgot = now
		s.mu.Unlock()
	}
	return errors.Join(failed...)
}

func (s *Service) forgetClosed(ctx context.Context, id tenure.TenantID, now time.Time) error {
	forget, key, err := s.forgetting(ctx, id, now)
	if err != nil {
		return err
	}
	var facts map[string]string
	if key != "" {
		facts = map[string]string{"key": string(key)}
	}
	e, err := s.entry(ctx, "tenant.forget", "", id, "", string(id), facts)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := forget(tx); err != nil {
			return err
		}
		return tx.Log(e)
	})
}
