package lifecycle

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// safe keeps what one system issued, as connector.Safe asks for it.
type safe struct {
	s      *Service
	system string
}

// issuedMark begins what is sealed of something that a system issued. No credential that
// Tenure makes begins so.
const issuedMark = "\x00issued:"

// issuedBox is what is sealed, after issuedMark.
type issuedBox struct {
	Credential string `json:"credential,omitempty"`
	Note       string `json:"note,omitempty"`
}

// place is where something is kept, and under which key. What is no resource's is the
// system's own.
func (v safe) place(ctx context.Context, r connector.Ref) (tenure.ResourceID, keystore.KeyID, error) {
	if r.Resource != "" {
		return r.Resource, keystore.PlannedKey(r.Tenant, string(keystore.Credential)).ID(), nil
	}
	key, err := v.s.o.Keys.Create(ctx, keystore.KeySpec{Purpose: keystore.Evidence, Class: "systems"})
	return v.own(), key, err
}

func (v safe) own() tenure.ResourceID { return tenure.ResourceID("system:" + v.system) }

// Keep is described at connector.Safe.
func (v safe) Keep(ctx context.Context, r connector.Ref, i connector.Issued) error {
	id, key, err := v.place(ctx, r)
	if err != nil {
		return err
	}
	before, err := v.Kept(ctx, r.Resource)
	if err != nil {
		return err
	}
	_, made, _, err := v.s.o.DB.Secret(ctx, id)
	if err != nil && tenure.CodeOf(err) != tenure.NotFound {
		return err
	}
	aead, err := v.s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(issuedBox{i.Credential.Reveal(), i.Note.Reveal()})
	if err != nil {
		return tenure.Errorf(tenure.Internal, "what a system issued: %w", err)
	}
	box, err := aead.Encrypt(append([]byte(issuedMark), plain...), []byte(id))
	if err != nil {
		return tenure.Errorf(tenure.Internal, "seal what a system issued: %w", err)
	}
	sealed := store.Secret{Key: string(key), Box: box, Operation: engine.OperationOf(ctx)}
	same := !made.IsZero() && before.Credential.Reveal() == i.Credential.Reveal()
	return v.s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if same {
			return tx.KeepSecret(id, sealed, made)
		}
		return tx.SaveSecret(id, sealed, v.s.Now(), true)
	})
}

// Kept is described at connector.Safe.
func (v safe) Kept(ctx context.Context, id tenure.ResourceID) (connector.Issued, error) {
	if id == "" {
		id = v.own()
	}
	sealed, _, _, err := v.s.o.DB.Secret(ctx, id)
	if tenure.CodeOf(err) == tenure.NotFound {
		return connector.Issued{}, nil
	}
	if err != nil {
		return connector.Issued{}, err
	}
	return v.s.openIssued(ctx, id, sealed)
}

// Each is described at connector.Safe. What can't be opened any more, as its tenant's key
// was destroyed, is left out.
func (v safe) Each(ctx context.Context, yield func(tenure.ResourceID, connector.Issued) error) error {
	return v.s.o.DB.SecretsOf(ctx, v.system, func(id tenure.ResourceID, sealed store.Secret) error {
		i, err := v.s.openIssued(ctx, id, sealed)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound || err == nil && i.IsZero():
			return nil
		case err != nil:
			return err
		}
		return yield(id, i)
	})
}

// openIssued opens what a system issued for a resource; zero for a credential that Tenure made.
func (s *Service) openIssued(ctx context.Context, id tenure.ResourceID, sealed store.Secret) (out connector.Issued, err error) {
	text, err := s.keptText(ctx, id, sealed)
	if tenure.CodeOf(err) == tenure.Blocked {
		return out, tenure.Errorf(tenure.NotFound, "what was issued for %s: %w", id, err)
	}
	rest, ok := strings.CutPrefix(text, issuedMark)
	if err != nil || !ok {
		return out, err
	}
	var box issuedBox
	if err := json.Unmarshal([]byte(rest), &box); err != nil {
		return out, tenure.Errorf(tenure.Internal, "what was issued for %s can't be read", id)
	}
	return connector.Issued{Credential: tenure.NewSecret(box.Credential), Note: tenure.NewSecret(box.Note)}, nil
}

// issued gives the credential that a system made for a resource.
func (s *Service) issued(ctx context.Context, id tenure.ResourceID) (tenure.Secret, error) {
	secret, _, err := s.secretOf(ctx, id)
	if tenure.CodeOf(err) == tenure.NotFound {
		return tenure.Secret{}, nil
	}
	return secret, err
}
