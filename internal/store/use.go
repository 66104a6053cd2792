package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
)

// Use is what one system's accounts tell of when a tenant was last used.
type Use struct {
	Tenant   tenure.TenantID
	UsedAt   time.Time // the latest sign-in; zero: none
	Told     int       // accounts of the tenant's of which the system tells it
	Untold   int       // and of which it doesn't
	LookedAt time.Time
}

// SaveUses replaces what is known of a system.
func (tx *Tx) SaveUses(system string, list []Use, at time.Time) error {
	if _, err := tx.Exec(`delete from tenant_use where system = $1`, system); err != nil {
		return err
	}
	for _, u := range list {
		if _, err := tx.Exec(`insert into tenant_use (tenant, system, used_at, told, untold, looked_at) values ($1, $2, $3, $4, $5, $6)`,
			string(u.Tenant), system, micros(u.UsedAt), u.Told, u.Untold, micros(at)); err != nil {
			return err
		}
	}
	return nil
}

// Uses gives what is known of some tenants, of all systems together; LookedAt is the oldest look.
func (db *DB) Uses(ctx context.Context, tenants []tenure.TenantID) (map[tenure.TenantID]Use, error) {
	out := make(map[tenure.TenantID]Use)
	if len(tenants) == 0 {
		return out, nil
	}
	var args []any
	err := db.reader(ctx).Rows(`select tenant, max(used_at), cast(sum(told) as bigint), cast(sum(untold) as bigint), min(looked_at) from tenant_use where tenant in (`+marks(tenants, &args)+`) group by tenant`, args, func(r scanner) error {
		var u Use
		var used, looked int64
		err := r.Scan(&u.Tenant, &used, &u.Told, &u.Untold, &looked)
		u.UsedAt, u.LookedAt = fromMicros(used), fromMicros(looked)
		out[u.Tenant] = u
		return err
	})
	return out, err
}

// unused is the condition that nobody has signed in to a tenant t since a moment, as far as that is known:
// every system in which it has something that gives access tells it of all its accounts, and was looked
// at since another moment. What isn't known isn't unused.
const unused = `t.created_at < %[1]s and exists (select 1 from tenant_use u where u.tenant = t.id and u.told > 0)
	and not exists (select 1 from tenant_use u where u.tenant = t.id and (u.untold > 0 or u.used_at >= %[1]s or u.looked_at < %[2]s))
	and not exists (select 1 from resource r where r.tenant = t.id and r.live = 1 and r.layer between 1 and 4
		and not exists (select 1 from tenant_use u where u.tenant = t.id and u.system = r.system and u.told > 0))`

func unusedWhere(since, looked string) string { return fmt.Sprintf(unused, since, looked) }

// UseFor is how old a look may be by which a tenant is called unused.
const UseFor = 7 * 24 * time.Hour

// TenantResourceCount is how many living resources of a type a tenant has in a system.
type TenantResourceCount struct {
	Tenant tenure.TenantID
	ResourceCount
}

// TenantResourceCounts counts the living resources of some tenants.
func (db *DB) TenantResourceCounts(ctx context.Context, tenants []tenure.TenantID) (out []TenantResourceCount, err error) {
	if len(tenants) == 0 {
		return nil, nil
	}
	var args []any
	err = db.reader(ctx).Rows(`select tenant, system, type, count(*) from resource where live = 1 and state <> 'planned' and tenant in (`+marks(tenants, &args)+`) group by tenant, system, type`, args, func(r scanner) error {
		var c TenantResourceCount
		err := r.Scan(&c.Tenant, &c.System, &c.Type, &c.N)
		out = append(out, c)
		return err
	})
	return out, err
}

// UnusedCounts says how many tenants that haven't closed nobody has used since a moment, and counts their resources.
func (db *DB) UnusedCounts(ctx context.Context, since, looked time.Time) (tenants int, out []ResourceCount, err error) {
	args := []any{micros(since), micros(looked)}
	where := `t.state <> 'closed' and ` + unusedWhere("$1", "$2")
	if err := db.reader(ctx).Row(`select count(*) from tenant t where `+where, args, &tenants); err != nil || tenants == 0 {
		return tenants, nil, err
	}
	err = db.reader(ctx).Rows(`select c.system, c.type, count(*) from resource c join tenant t on t.id = c.tenant where c.live = 1 and c.state <> 'planned' and `+where+` group by c.system, c.type`, args, func(r scanner) error {
		var c ResourceCount
		err := r.Scan(&c.System, &c.Type, &c.N)
		out = append(out, c)
		return err
	})
	return tenants, out, err
}
