package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// credential gives a resource's credential; a blank one of what was adopted with a
// credential that Tenure doesn't know, unless a fresh one is asked for. One that is to be made is kept,
// sealed under the tenant's key, before the system hears of it: a crash between
// the two leaves a credential that opens nothing.
func (s *Service) credential(ctx context.Context, t *engine.Task, id tenure.ResourceID, fresh bool) (tenure.Secret, error) {
	if fresh { // another rotation may have come to nothing
		if err := s.settleReplaced(ctx); err != nil {
			return tenure.Secret{}, err
		}
	}
	have, made, err := s.secretOf(ctx, id)
	switch {
	case err == nil && (!fresh || !made.Before(t.Operation.CreatedAt)):
		return have, nil
	case err != nil && tenure.CodeOf(err) != tenure.NotFound:
		return tenure.Secret{}, err
	}
	if err != nil && !fresh { // what the tenant uses goes on
		r, err := s.o.DB.Resource(ctx, id)
		if err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return tenure.Secret{}, err
		}
		if err == nil {
			if own, err := s.adopted(ctx, &r.Resource); err != nil || own {
				return tenure.Secret{}, err
			}
		}
	}
	var raw [24]byte
	_, _ = rand.Read(raw[:])
	secret := tenure.NewSecret(base64.RawURLEncoding.EncodeToString(raw[:]))
	key := keystore.PlannedKey(t.Plan.Tenant, string(keystore.Credential)).ID()
	aead, err := s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return tenure.Secret{}, err
	}
	box, err := aead.Encrypt([]byte(secret.Reveal()), []byte(id))
	if err != nil {
		return tenure.Secret{}, tenure.Errorf(tenure.Internal, "seal a credential: %w", err)
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveSecret(id, store.Secret{Key: string(key), Box: box, Operation: t.Operation.ID}, t.Now, fresh)
	})
	if err != nil {
		return tenure.Secret{}, err
	}
	have, _, err = s.secretOf(ctx, id) // another attempt may have been first
	return have, err
}

func (s *Service) secretOf(ctx context.Context, id tenure.ResourceID) (tenure.Secret, time.Time, error) {
	sealed, made, _, err := s.o.DB.Secret(ctx, id)
	if err != nil {
		return tenure.Secret{}, made, err
	}
	secret, err := s.credentialOf(ctx, id, sealed)
	return secret, made, err
}

// credentialOf opens a kept credential, whoever made it.
func (s *Service) credentialOf(ctx context.Context, id tenure.ResourceID, sealed store.Secret) (tenure.Secret, error) {
	text, err := s.keptText(ctx, id, sealed)
	if err != nil {
		return tenure.Secret{}, err
	}
	if strings.HasPrefix(text, issuedMark) {
		i, err := s.openIssued(ctx, id, sealed)
		return i.Credential, err
	}
	return tenure.NewSecret(text), nil
}

// keptText is what is kept for a resource, in clear.
func (s *Service) keptText(ctx context.Context, id tenure.ResourceID, sealed store.Secret) (string, error) {
	aead, err := s.o.Keys.AEAD(ctx, keystore.KeyID(sealed.Key))
	if err != nil {
		return "", err
	}
	text, err := aead.Decrypt(sealed.Box, []byte(id))
	if err != nil {
		return "", tenure.Errorf(tenure.Internal, "open the credential of %s: %w", id, err)
	}
	return string(text), nil
}

// Output is one line of what an operation hands over.
type Output struct {
	Environment string `json:"environment"`
	Name        string `json:"name"`
	Value       any    `json:"value,omitempty"`
	Secret      string `json:"secret,omitempty"` // shown this once
	// Claim says how a one-time secret stands that isn't shown: open, claimed, gone, or
	// replaced by a later operation, which hands the new one over.
	Claim     string    `json:"claim,omitempty"`
	ClaimedAt time.Time `json:"claimedAt,omitzero"`
}

// Outputs hands an operation's outputs to its requester. With claim it reveals
// the one-time secrets, once; nobody but the requester may claim.
func (s *Service) Outputs(ctx context.Context, id tenure.OperationID, claim bool, by string) ([]Output, error) {
	if err := person(by); err != nil {
		return nil, err
	}
	op, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return nil, err
	}
	if claim && !tenure.SamePerson(by, op.RequestedBy) {
		return nil, tenure.Errorf(tenure.Forbidden, "only %s, who asked for operation %s, can claim its secrets", op.RequestedBy, id)
	}
	if op.State != tenure.OperationSucceeded {
		return nil, tenure.Errorf(tenure.Conflict, "operation %s is %s; its outputs come when it has succeeded", id, op.State)
	}
	var out []Output
	for _, env := range slices.Sorted(maps.Keys(p.Outputs)) {
		for _, name := range slices.Sorted(maps.Keys(p.Outputs[env])) {
			o := Output{Environment: env, Name: name, Value: p.Outputs[env][name]}
			if key, ok := blueprint.CredentialOf(o.Value); ok {
				o.Value = nil
				if err := s.secretOutput(ctx, p, env, key, claim, by, op.Operation, &o); err != nil {
					return nil, err
				}
			}
			out = append(out, o)
		}
	}
	return out, nil
}

func (s *Service) secretOutput(ctx context.Context, p *tenure.Plan, env, key string, claim bool, by string, op tenure.Operation, o *Output) error {
	i := slices.IndexFunc(p.Resources, func(r tenure.PlannedResource) bool { return r.Environment == env && r.Key == key })
	if i < 0 {
		return tenure.Errorf(tenure.Internal, "output %s names %s, which isn't in the plan", o.Name, key)
	}
	id := p.Resources[i].ID
	sealed, made, claimed, err := s.o.DB.Secret(ctx, id)
	if err == nil && made.After(op.CreatedAt) {
		others, err := s.handedOver(ctx, sealed.Operation, op.ID, env, key)
		if err != nil {
			return err
		}
		if others {
			o.Claim = "replaced"
			return nil
		}
	}
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		o.Claim = "gone"
		return nil
	case err != nil:
		return err
	case !claimed.IsZero():
		o.Claim, o.ClaimedAt = "claimed", claimed
		return nil
	case !claim:
		o.Claim = "open"
		return nil
	}
	secret, _, err := s.secretOf(ctx, id)
	if err != nil {
		return err
	}
	e, err := s.entry(ctx, "secret.claim", by, p.Tenant, op.ID, string(id), nil)
	if err != nil {
		return err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ClaimSecret(id, s.Now()); err != nil {
			return err
		}
		return tx.Log(e)
	})
	if err == nil {
		o.Secret = secret.Reveal()
	}
	return err
}
