package lifecycle

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// MaxLinkLife is the longest that a departure link is good for.
const MaxLinkLife = 400 * 24 * time.Hour

// NewDepartureLink makes a link for who leaves: signed with the installation's
// key, expiring, revocable, for one tenant alone. The secret part is given this
// once.
func (s *Service) NewDepartureLink(ctx context.Context, tenantName string, life time.Duration, by string) (store.DepartureLink, tenure.Secret, error) {
	var l store.DepartureLink
	if err := person(by); err != nil {
		return l, tenure.Secret{}, err
	}
	if life <= 0 || life > MaxLinkLife {
		return l, tenure.Secret{}, tenure.Errorf(tenure.Invalid, "a departure link is good for up to 400 days")
	}
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return l, tenure.Secret{}, err
	}
	now := s.Now()
	l = store.DepartureLink{ID: tenure.NewID[tenure.LinkID](now), Tenant: t.ID, CreatedBy: by, CreatedAt: now, ExpiresAt: now.Add(life)}
	secret := s.linkSecret(l)
	e, err := s.entry(ctx, "departure.link", by, t.ID, "", string(l.ID), map[string]string{"expires": l.ExpiresAt.Format(time.RFC3339)})
	if err != nil {
		return l, tenure.Secret{}, err
	}
	return l, secret, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveDepartureLink(l, linkHash(secret)); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// linkSecret signs a link: its id, and an HMAC over id, tenant and end.
func (s *Service) linkSecret(l store.DepartureLink) tenure.Secret {
	return s.signLink("departure", l.ID, string(l.Tenant), l.ExpiresAt.UTC().Format(time.RFC3339Nano))
}

func linkHash(s tenure.Secret) []byte {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return sum[:]
}

// OpenDepartureLink gives the link whose secret this is. One that isn't known,
// has expired or was revoked is NotFound, and which of these isn't said.
func (s *Service) OpenDepartureLink(ctx context.Context, secret tenure.Secret) (store.DepartureLink, error) {
	none := tenure.Errorf(tenure.NotFound, "this link isn't good, or not any more").WithHint("ask who sent it to you for a new one")
	if len(secret.Reveal()) > 200 {
		return store.DepartureLink{}, none
	}
	l, err := s.o.DB.DepartureLinkByHash(ctx, linkHash(secret))
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return l, none
	case err != nil:
		return l, err
	case !sameLink(s.linkSecret(l), secret), !l.RevokedAt.IsZero(), !s.Now().Before(l.ExpiresAt):
		return store.DepartureLink{}, none
	}
	if err := s.o.DB.VouchedRow(ctx, "departure_link", string(l.ID)); err != nil {
		return store.DepartureLink{}, err
	}
	if now := s.Now(); now.Sub(l.SeenAt) > time.Minute {
		_ = s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.SeeDepartureLink(l.ID, now) })
	}
	return l, nil
}

// RevokeDepartureLink ends a link.
func (s *Service) RevokeDepartureLink(ctx context.Context, tenantName string, id tenure.LinkID, by string) error {
	if err := person(by); err != nil {
		return err
	}
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return err
	}
	e, err := s.entry(ctx, "departure.revoke", by, t.ID, "", string(id), nil)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.RevokeDepartureLink(t.ID, id, s.Now()); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// DepartureLinks lists a tenant's links.
func (s *Service) DepartureLinks(ctx context.Context, tenantName string) ([]store.DepartureLink, error) {
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return nil, err
	}
	return s.o.DB.DepartureLinks(ctx, t.ID)
}

// HandoverFile is one export that waits for the customer.
type HandoverFile struct {
	Name  string    `json:"name"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"`
}

// HandoverFiles lists a tenant's exports that are whole.
func (s *Service) HandoverFiles(tenant tenure.TenantID) ([]HandoverFile, error) {
	entries, err := os.ReadDir(s.handoverFolder(tenant))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "hand-over folder: %w", err)
	}
	var out []HandoverFile
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(e.Name(), ".part") {
			continue
		}
		out = append(out, HandoverFile{e.Name(), info.Size(), info.ModTime().UTC()})
	}
	return out, nil
}

// OpenHandover opens one export by the name that HandoverFiles gives; nothing
// else in the folder or outside it can be named.
func (s *Service) OpenHandover(tenant tenure.TenantID, name string) (*os.File, error) {
	files, err := s.HandoverFiles(tenant)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(files, func(f HandoverFile) bool { return f.Name == name }) {
		return nil, tenure.Errorf(tenure.NotFound, "there is no such file")
	}
	f, err := os.Open(filepath.Join(s.handoverFolder(tenant), name))
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "hand-over file: %w", err)
	}
	return f, nil
}
