package lifecycle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/claim"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// SetKnownBy replaces what other systems know a tenant by. Ghosts are found by it, so the
// change is logged, with the values sealed under the tenant's own key. A tenant that has
// closed is Conflict.
func (s *Service) SetKnownBy(ctx context.Context, tenant string, known tenure.KnownBy, version int64, by string) (out store.TenantRow, err error) {
	if err := person(by); err != nil {
		return out, err
	}
	if known, err = known.Check(); err != nil {
		return out, err
	}
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return out, err
	}
	e, err := s.entry(ctx, "tenant.known", by, t.ID, "", string(t.ID), map[string]string{"domains": fmt.Sprint(len(known.Domains)), "external_ids": fmt.Sprint(len(known.ExternalIDs))})
	if err != nil {
		return out, err
	}
	if !known.IsZero() {
		key := keystore.PlannedKey(t.ID, string(keystore.Personal)).ID()
		aead, err := s.o.Keys.AEAD(ctx, key)
		if err != nil {
			return out, err
		}
		text, err := tenure.Canonical(known)
		if err != nil {
			return out, err
		}
		if err := e.Seal(aead, string(key), "known", text); err != nil {
			return out, err
		}
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.Tenant(string(t.ID))
		if err != nil {
			return err
		}
		if t.State == tenure.TenantClosed {
			return tenure.Errorf(tenure.Conflict, "tenant %s has closed", t.ID).WithHint("what it was known by was set while it was there, or is gone")
		}
		if err := tx.SetKnownBy(t.ID, known, version, s.Now()); err != nil {
			return err
		}
		if out, err = tx.Tenant(string(t.ID)); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return out, err
}

// knownDigest is what a forgotten tenant's value is kept as: without the installation's key
// nobody can try values against it.
func (s *Service) knownDigest(kind, value string) string {
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte("tenure known v1\x00" + kind + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// knownDigests are what is kept of a tenant that is about to be forgotten, so that what of
// its comes alive is found for as long as its places are looked at.
func (s *Service) knownDigests(ctx context.Context, id tenure.TenantID) (out []store.KnownDigest, err error) {
	t, err := s.o.DB.Tenant(ctx, string(id))
	if err != nil {
		return nil, err
	}
	for _, k := range claim.New(s.knownDigest).KeptOf(claim.Party{Tenant: id, Name: t.Name, KnownBy: t.KnownBy}) {
		out = append(out, store.KnownDigest(k))
	}
	return out, nil
}

// weigh parts what a sweep found for a departing tenant: what is left and keeps its case
// open, what somebody other than who requested the operation has let be, and what only a
// person can tell to be the tenant's or not.
func (s *Service) weigh(ctx context.Context, t *engine.Task, found []tenure.Finding) (left []tenure.Finding, excepted, asked []string, err error) {
	stored, err := s.o.DB.Findings(ctx, t.Plan.Tenant)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, f := range found {
		open := f
		if i := slices.IndexFunc(stored, func(o tenure.Finding) bool {
			return o.Kind == f.Kind && o.Resource == f.Resource && o.System == f.System && o.Type == f.Type && o.Name == f.Name && o.Field == f.Field
		}); i >= 0 {
			open = stored[i]
		}
		waived := !open.Open(t.Now) && !tenure.SamePerson(open.WaivedBy, t.Operation.RequestedBy)
		switch {
		case f.Kind == tenure.FindingDormant:
		case f.Confidence == "" || f.Confidence == tenure.Certain:
			left = append(left, f)
		case waived:
			excepted = append(excepted, string(open.ID))
		case f.Confidence.Proves():
			left = append(left, f)
		default:
			asked = append(asked, string(open.ID))
		}
	}
	return left, excepted, asked, nil
}

// askAbout tells security of accounts that may be a departing tenant's. It names nobody.
func (s *Service) askAbout(t *engine.Task, asked []string) func(*store.Tx) error {
	if len(asked) == 0 {
		return nil
	}
	n := store.Notice{
		ID: string(t.Operation.ID) + "/" + t.Step.Key, Kind: tenure.NoticeSweepQuestion, Tenant: t.Plan.Tenant, Operation: t.Operation.ID, Recipient: "security", CreatedAt: t.Now,
		Body: fmt.Sprintf("%s may be those of a tenant that leaves. See each with what to do, remove it or let it be: tenure finding list --tenant %s", plural(len(asked), "account", "accounts"), t.Plan.Tenant),
	}
	return func(tx *store.Tx) error { return tx.AddNotice(n) }
}
