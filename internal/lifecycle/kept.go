package lifecycle

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/store"
)

// KeptSecret is what is known of a credential without opening it: of a tenant's resource,
// or with a blank Resource the one that Tenure works with in a system.
type KeptSecret struct {
	Tenant      tenure.TenantID
	TenantName  string
	Resource    tenure.ResourceID
	Environment string
	Key         string
	System      string
	Type        string
	Name        string
	MadeAt      time.Time          // when the first one was made, or of a system seen; zero where that isn't known
	RotatedAt   time.Time          // when this one took over; zero: it is the first
	Operation   tenure.OperationID // that made it
	By          string             // of a system's: who had it renewed; "" is Tenure by itself
	Owner       string             // who answers for it: who asked for the operation; of a system's who is named in its settings, or has added it
	Rotate      tenure.Period      // zero is never
	DueAt       time.Time          // zero is never
	ClaimedAt   time.Time          // when it was handed over; zero: it wasn't
}

// Overdue says whether it should have been rotated by now.
func (k KeptSecret) Overdue(now time.Time) bool { return !k.DueAt.IsZero() && !now.Before(k.DueAt) }

// since is when the credential was made that is in use.
func (k KeptSecret) since() time.Time {
	if k.RotatedAt.IsZero() {
		return k.MadeAt
	}
	return k.RotatedAt
}

func (k *KeptSecret) due(rotate tenure.Period) {
	if k.Rotate = rotate; !rotate.IsZero() && !k.since().IsZero() {
		k.DueAt = rotate.After(k.since())
	}
}

// SystemSecrets lists what is known of the credentials that Tenure works with in the added
// systems, by their names. A system without one isn't there.
func (s *Service) SystemSecrets(ctx context.Context) ([]KeptSecret, error) {
	rows, err := s.o.DB.Systems(ctx)
	if err != nil {
		return nil, err
	}
	since, err := s.o.DB.SystemCredentials(ctx)
	if err != nil {
		return nil, err
	}
	var out []KeptSecret
	for _, r := range rows {
		set := s.o.Settings[r.Name]
		info, err := s.info(r.Connector)
		if err != nil {
			continue // of a connector that this build doesn't have
		}
		var names []string
		for _, o := range info.Options {
			_, given := set.Secrets[o.Name]
			if o.Secret && (given || !set.Kept[o.Name].IsZero()) {
				names = append(names, o.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		k := KeptSecret{System: r.Name, Type: r.Connector, Name: strings.Join(names, ", "), MadeAt: r.AddedAt, Owner: cmp.Or(set.Owner, r.AddedBy)}
		if c := since[r.Name]; c.Digest != "" {
			if k.MadeAt = c.First; !c.Since.Equal(c.First) {
				k.RotatedAt, k.By = c.Since, c.RotatedBy
			}
		}
		k.due(set.Rotate)
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b KeptSecret) int { return strings.Compare(a.System, b.System) })
	return out, nil
}

// TenantSecrets lists what is known of the credentials of tenants' resources, by the
// resources' ids.
func (s *Service) TenantSecrets(ctx context.Context, f store.SecretFilter) ([]KeptSecret, error) {
	rows, err := s.o.DB.SecretRows(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]KeptSecret, len(rows))
	for i, r := range rows {
		k := KeptSecret{
			Tenant: r.Tenant, TenantName: r.TenantName, Resource: r.Resource, Environment: r.Environment, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name,
			MadeAt: r.FirstAt, Operation: r.Operation, Owner: r.RequestedBy, ClaimedAt: r.ClaimedAt,
		}
		if r.FirstAt.IsZero() || r.MadeAt.After(r.FirstAt) {
			k.RotatedAt = r.MadeAt
		}
		if serves(r) {
			rotate, err := s.rotates(ctx, r.Blueprint.Digest, r.Key)
			if err != nil {
				return nil, err
			}
			k.due(rotate)
		}
		out[i] = k
	}
	return out, nil
}

// serves says whether a credential gives access, now or once its tenant is resumed: what is
// cut for good isn't due any more.
func serves(r store.SecretRow) bool {
	return slices.Contains([]tenure.TenantState{tenure.TenantActive, tenure.TenantSuspended, tenure.TenantTransition}, r.TenantState) &&
		(r.State == tenure.ResourcePresent || r.State == tenure.ResourceSuspended)
}

// rotates is how long a resource's credential is good for under a revision; zero is for ever.
func (s *Service) rotates(ctx context.Context, digest, key string) (tenure.Period, error) {
	c, err := s.compiled(ctx, digest, false)
	if err != nil {
		return tenure.Period{}, err
	}
	for _, r := range c.Blueprint.Resources {
		if r.Key == key {
			return r.Rotate, nil
		}
	}
	return tenure.Period{}, nil
}

// secretLot is how many credentials are read at once.
const secretLot = 1000

// eachSecret gives those of tenants' resources, one by one.
func (s *Service) eachSecret(ctx context.Context, tenant tenure.TenantID, yield func(KeptSecret) error) error {
	f := store.SecretFilter{Tenant: tenant, Limit: secretLot}
	for {
		lot, err := s.TenantSecrets(ctx, f)
		if err != nil {
			return err
		}
		for _, k := range lot {
			if err := yield(k); err != nil {
				return err
			}
		}
		if len(lot) < secretLot {
			return nil
		}
		f.After = lot[len(lot)-1].Resource
	}
}

// rotating are the resources of a tenant whose credential is to be issued anew: those that
// are named, or with due those that are overdue.
func (s *Service) rotating(ctx context.Context, tenant store.TenantRow, inventory []tenure.Resource, names []string, due bool) (map[tenure.ResourceID]bool, error) {
	out := make(map[tenure.ResourceID]bool)
	if len(names) > 0 {
		var err error
		if out, err = named(inventory, names); err != nil {
			return nil, err
		}
		for _, r := range inventory {
			if !out[r.ID] {
				continue
			}
			sys, err := s.system(ctx, r.System)
			if err != nil {
				return nil, err
			}
			if t, _ := sys.Info.Type(r.Type); !t.Credential {
				return nil, tenure.Errorf(tenure.Invalid, "%s is a %s, which has no credential", r.Path(), r.Type).WithHint("see what has one: tenure secret list --tenant %s", tenant.Name)
			}
			if r.State == tenure.ResourceRevoked {
				return nil, tenure.Errorf(tenure.Conflict, "%s was revoked, and stays so", r.Path())
			}
		}
	}
	if !due {
		return out, nil
	}
	now := s.Now()
	err := s.eachSecret(ctx, tenant.ID, func(k KeptSecret) error {
		if k.Overdue(now) {
			out[k.Resource] = true
		}
		return nil
	})
	return out, err
}

// replaced is the credential that the task's operation has replaced; zero if the resource
// had none before.
func (s *Service) replaced(ctx context.Context, t *engine.Task, id tenure.ResourceID) (tenure.Secret, error) {
	sealed, err := s.o.DB.ReplacedSecret(ctx, id, t.Operation.ID)
	if err == nil {
		return s.credentialOf(ctx, id, sealed)
	}
	if tenure.CodeOf(err) != tenure.NotFound {
		return tenure.Secret{}, err
	}
	now, made, _, err := s.o.DB.Secret(ctx, id)
	if err == nil && now.Operation != t.Operation.ID && made.Before(t.Operation.CreatedAt) {
		err = tenure.Errorf(tenure.Blocked, "the credential wasn't replaced: it is still the one of %s", made.UTC().Format(time.RFC3339)).WithHint("retry; if it stays so, cancel the operation and plan again")
	}
	return tenure.Secret{}, err
}

// handedOver says whether a later operation than this one made a credential and hands it
// over itself.
func (s *Service) handedOver(ctx context.Context, maker, this tenure.OperationID, env, key string) (bool, error) {
	if maker == "" || maker == this {
		return false, nil
	}
	op, err := s.o.DB.Operation(ctx, maker)
	if tenure.CodeOf(err) == tenure.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return false, err
	}
	for _, v := range p.Outputs[env] {
		if k, ok := blueprint.CredentialOf(v); ok && k == key {
			return true, nil
		}
	}
	return false, nil
}

// liveSecrets are a tenant's credentials in clear, those apart whose key was destroyed.
func (s *Service) liveSecrets(ctx context.Context, tenant tenure.TenantID) (out []hygiene.Credential, err error) {
	err = s.eachSecret(ctx, tenant, func(k KeptSecret) error {
		secret, _, err := s.secretOf(ctx, k.Resource)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound, tenure.CodeOf(err) == tenure.Blocked: // it went meanwhile, or its key did
			return nil
		case err != nil:
			return err
		}
		out = append(out, hygiene.Credential{Resource: k.Resource, System: k.System, Type: k.Type, Name: k.Name, Secret: secret})
		return nil
	})
	return out, err
}

// settleReplaced forgets the credentials that ended operations have replaced. One whose
// successor the system has refused is the resource's again: it is the one that works.
func (s *Service) settleReplaced(ctx context.Context) error {
	all, err := s.o.DB.Replacements(ctx)
	for _, one := range all {
		var taken bool
		if taken, err = s.taken(ctx, one); err != nil {
			return err
		}
		if err = s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.ForgetReplaced(one, !taken) }); err != nil {
			return err
		}
	}
	return err
}

// taken says whether the system has taken the new credential, or may have, as where it
// didn't answer; one that the system made itself it has.
func (s *Service) taken(ctx context.Context, one store.Replacement) (bool, error) {
	sealed, _, _, err := s.o.DB.Secret(ctx, one.Resource)
	if err == nil {
		var text string
		text, err = s.keptText(ctx, one.Resource, sealed)
		if err == nil && strings.HasPrefix(text, issuedMark) {
			return true, nil
		}
	}
	if code := tenure.CodeOf(err); code == tenure.NotFound || code == tenure.Blocked { // it is gone, or its key is
		return true, nil
	} else if err != nil {
		return false, err
	}
	op, err := s.o.DB.Operation(ctx, one.Operation)
	if err != nil {
		if tenure.CodeOf(err) == tenure.NotFound {
			return true, nil
		}
		return false, err
	}
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil {
		return false, err
	}
	steps, err := s.o.DB.Steps(ctx, one.Operation)
	if err != nil {
		return false, err
	}
	for _, st := range steps {
		i := st.Seq
		if i >= len(p.Steps) || p.Steps[i].Resource != one.Resource || !p.Steps[i].Reissue {
			continue
		}
		refused := []tenure.Code{tenure.Invalid, tenure.Unauthorized, tenure.Forbidden, tenure.NotFound, tenure.Conflict, tenure.Blocked}
		return st.State == tenure.StepDone || !slices.Contains(refused, st.ErrorCode), nil
	}
	return true, nil
}
