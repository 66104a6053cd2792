package store

import (
	"context"
	"math"
	"time"

	"github.com/tenurehq/tenure"
)

// Secret is a credential that Tenure made or a system issued, sealed under a key of the tenant's.
type Secret struct {
	Key       string
	Box       []byte
	Operation tenure.OperationID // that made it; "" of what no operation made
}

// SaveSecret stores a sealed credential; replace says whether an earlier one goes. That one
// is kept aside for the operation until that has ended: see Replacements.
func (tx *Tx) SaveSecret(id tenure.ResourceID, s Secret, at time.Time, replace bool) error {
	q := `insert into secret (resource, key, box, created_at, claimed_at, operation, first_at) values ($1, $2, $3, $4, 0, $5, $4) on conflict (resource) do nothing`
	if replace {
		_, err := tx.Exec(`insert into secret_replaced (resource, operation, key, box, maker, created_at, claimed_at) select resource, $2, key, box, operation, created_at, claimed_at from secret where resource = $1 and $2 <> ''
			on conflict (resource) do update set operation = excluded.operation, key = excluded.key, box = excluded.box, maker = excluded.maker, created_at = excluded.created_at, claimed_at = excluded.claimed_at`, string(id), string(s.Operation))
		if err != nil {
			return err
		}
		q = `insert into secret (resource, key, box, created_at, claimed_at, operation, first_at) values ($1, $2, $3, $4, 0, $5, $4)
			on conflict (resource) do update set key = excluded.key, box = excluded.box, created_at = excluded.created_at, claimed_at = 0, operation = excluded.operation, first_at = secret.first_at`
	}
	_, err := tx.Exec(q, string(id), s.Key, s.Box, micros(at), string(s.Operation))
	return err
}

// KeepSecret replaces what is kept for a resource beside a credential that stays the same:
// when and by what it was made and whether it was claimed stay. NotFound if nothing is kept.
func (tx *Tx) KeepSecret(id tenure.ResourceID, s Secret, made time.Time) error {
	n, err := tx.Exec(`update secret set key = $1, box = $2, created_at = $3 where resource = $4`, s.Key, s.Box, micros(made), string(id))
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.NotFound, "nothing is kept for %s", id)
	}
	return err
}

// SecretsOf streams what is kept for the resources of a system, by their ids.
func (db *DB) SecretsOf(ctx context.Context, system string, yield func(tenure.ResourceID, Secret) error) error {
	return db.reader(ctx).Rows(`select s.resource, s.key, s.box, s.operation from secret s join resource r on r.id = s.resource where r.system = $1 order by s.resource`,
		[]any{system}, func(r scanner) error {
			var id tenure.ResourceID
			var s Secret
			if err := r.Scan(&id, &s.Key, &s.Box, &s.Operation); err != nil {
				return err
			}
			return yield(id, s)
		})
}

// Secret returns a sealed credential; NotFound if there is none.
func (db *DB) Secret(ctx context.Context, id tenure.ResourceID) (s Secret, made, claimed time.Time, err error) {
	var created, at int64
	err = db.reader(ctx).Row(`select key, box, operation, created_at, claimed_at from secret where resource = $1`, []any{string(id)}, &s.Key, &s.Box, &s.Operation, &created, &at)
	return s, fromMicros(created), fromMicros(at), err
}

// ReplacedSecret returns the credential that an operation has replaced; NotFound if it has
// replaced none.
func (db *DB) ReplacedSecret(ctx context.Context, id tenure.ResourceID, op tenure.OperationID) (s Secret, err error) {
	s.Operation = op
	err = db.reader(ctx).Row(`select key, box from secret_replaced where resource = $1 and operation = $2`, []any{string(id), string(op)}, &s.Key, &s.Box)
	return s, err
}

// Replacement is a credential that an operation has replaced which has ended since.
type Replacement struct {
	Resource  tenure.ResourceID
	Operation tenure.OperationID
}

// Replacements are those of ended operations.
func (db *DB) Replacements(ctx context.Context) (out []Replacement, err error) {
	err = db.reader(ctx).Rows(`select r.resource, r.operation from secret_replaced r where not exists (select 1 from operation o where o.id = r.operation and o.state not in ('succeeded', 'failed', 'cancelled')) order by r.resource`,
		nil, func(r scanner) error {
			var one Replacement
			err := r.Scan(&one.Resource, &one.Operation)
			out = append(out, one)
			return err
		})
	return out, err
}

// ForgetReplaced forgets the credential that an operation has replaced; with back it is the
// resource's again, as it was.
func (tx *Tx) ForgetReplaced(one Replacement, back bool) error {
	args := []any{string(one.Resource), string(one.Operation)}
	if back {
		var key, maker string
		var box []byte
		var created, claimed int64
		err := tx.Row(`select key, box, maker, created_at, claimed_at from secret_replaced where resource = $1 and operation = $2`, args, &key, &box, &maker, &created, &claimed)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`update secret set key = $3, box = $4, created_at = $5, claimed_at = $6, operation = $7 where resource = $1 and operation = $2`, append(args, key, box, created, claimed, maker)...); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`delete from secret_replaced where resource = $1 and operation = $2`, args...)
	return err
}

// ClaimSecret marks a credential as handed over; a second claim is Conflict.
func (tx *Tx) ClaimSecret(id tenure.ResourceID, at time.Time) error {
	n, err := tx.Exec(`update secret set claimed_at = $1 where resource = $2 and claimed_at = 0`, micros(at), string(id))
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.Conflict, "the credential of %s was handed over already", id).WithHint("issue a new one by a repair with --reissue")
	}
	return err
}

// DropSecret forgets a resource's credential, and the one before it.
func (tx *Tx) DropSecret(id tenure.ResourceID) error {
	if _, err := tx.Exec(`delete from secret_replaced where resource = $1`, string(id)); err != nil {
		return err
	}
	_, err := tx.Exec(`delete from secret where resource = $1`, string(id))
	return err
}

// SecretRow is what is known of a resource's credential without opening it.
type SecretRow struct {
	Resource    tenure.ResourceID
	Tenant      tenure.TenantID
	TenantName  string
	TenantState tenure.TenantState
	Blueprint   tenure.BlueprintRef // that the tenant is bound to
	Environment string
	Key         string
	System      string
	Type        string
	Name        string
	State       tenure.ResourceState
	Operation   tenure.OperationID // that made it; "" where that isn't known
	RequestedBy string             // who asked for the operation; "" where that isn't known
	FirstAt     time.Time          // when the resource got its first one; zero where that isn't known
	MadeAt      time.Time          // when this one was made
	ClaimedAt   time.Time          // when it was handed over; zero: it wasn't
}

// SecretFilter narrows a listing of credentials; blank fields take everything.
type SecretFilter struct {
	Tenant  tenure.TenantID
	Before  time.Time         // made before this moment
	After   tenure.ResourceID // the last one of the page before
	Limit   int
	Visible *Visible // nil shows everything
}

// SecretRows lists the credentials of tenants' resources, by the resources' ids.
func (db *DB) SecretRows(ctx context.Context, f SecretFilter) (out []SecretRow, err error) {
	before := int64(math.MaxInt64)
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	args := []any{string(f.After), string(f.Tenant), before, f.Limit}
	where := "true"
	if f.Visible != nil {
		where = f.Visible.where("r.tenant", &args)
	}
	err = db.reader(ctx).Rows(`select s.resource, r.tenant, t.name, t.state, t.blueprint, r.environment, r.key, r.system, r.type, r.name, r.state, s.operation, coalesce(o.requested_by, ''), s.first_at, s.created_at, s.claimed_at
		from secret s join resource r on r.id = s.resource join tenant t on t.id = r.tenant left join operation o on o.id = s.operation
		where s.resource > $1 and ($2 = '' or r.tenant = $2) and s.created_at < $3 and `+where+` order by s.resource limit $4`, args, func(r scanner) error {
		var v SecretRow
		var first, made, claimed int64
		var bound string
		err := r.Scan(&v.Resource, &v.Tenant, &v.TenantName, &v.TenantState, &bound, &v.Environment, &v.Key, &v.System, &v.Type, &v.Name, &v.State, &v.Operation, &v.RequestedBy, &first, &made, &claimed)
		v.FirstAt, v.MadeAt, v.ClaimedAt = fromMicros(first), fromMicros(made), fromMicros(claimed)
		if err == nil {
			err = decode(bound, &v.Blueprint)
		}
		out = append(out, v)
		return err
	})
	return out, err
}
