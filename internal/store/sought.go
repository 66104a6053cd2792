package store

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Sought is where a closed tenant's data was. Box is what it takes to find it again,
// sealed under Key; Key and Box are empty once the key was destroyed.
type Sought struct {
	Resource  tenure.ResourceID
	Tenant    tenure.TenantID
	System    string
	Type      string
	Places    []string
	Key       string
	Box       []byte
	ExpiresAt time.Time
	LookedAt  time.Time
}

func sought(q querier, where string, args ...any) (out []Sought, err error) {
	err = q.Rows(`select resource, tenant, system, type, places, key, box, expires_at, looked_at from sought where `+where, args, func(r scanner) error {
		var s Sought
		var places string
		var expires, looked int64
		err := r.Scan(&s.Resource, &s.Tenant, &s.System, &s.Type, &places, &s.Key, &s.Box, &expires, &looked)
		s.ExpiresAt, s.LookedAt = fromMicros(expires), fromMicros(looked)
		if places != "" {
			s.Places = strings.Split(places, "\n")
		}
		out = append(out, s)
		return err
	})
	return out, err
}

// Sought lists where closed tenants' data stood; a tenant narrows it.
func (db *DB) Sought(ctx context.Context, tenant tenure.TenantID) ([]Sought, error) {
	return sought(db.reader(ctx), `($1 = '' or tenant = $1) order by system, resource`, string(tenant))
}

// SoughtSince returns tenants with a place that was last looked at before a moment and
// is still looked at, the longest ago first.
func (db *DB) SoughtSince(ctx context.Context, before time.Time, limit int) ([]tenure.TenantID, error) {
	return oneColumn[tenure.TenantID](db.reader(ctx), `select tenant from sought where looked_at < $1 and expires_at > looked_at group by tenant order by min(looked_at) limit $2`, micros(before), limit)
}

// SoughtUntil returns tenants whose places are looked at no longer than until a moment,
// or whose record is kept no longer, and whose boxes aren't empty yet.
func (db *DB) SoughtUntil(ctx context.Context, at time.Time, limit int) ([]tenure.TenantID, error) {
	return oneColumn[tenure.TenantID](db.reader(ctx), `select tenant from sought where expires_at <= $1 and key <> '' union select tenant from record where expires_at <= $1 and key <> '' limit $2`, micros(at), limit)
}

// SaveSought stores where a resource's data stood; the same again changes nothing.
func (tx *Tx) SaveSought(s Sought) error {
	_, err := tx.Exec(`insert into sought (resource, tenant, system, type, places, key, box, expires_at, looked_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (resource) do nothing`,
		string(s.Resource), string(s.Tenant), s.System, s.Type, strings.Join(s.Places, "\n"), s.Key, s.Box, micros(s.ExpiresAt), micros(s.LookedAt))
	return err
}

// LookedAtSought notes when a tenant's places were looked at.
func (tx *Tx) LookedAtSought(tenant tenure.TenantID, at time.Time) error {
	_, err := tx.Exec(`update sought set looked_at = $1 where tenant = $2`, micros(at), string(tenant))
	return err
}

// EndSought empties a tenant's boxes; that they were its places stays known.
func (tx *Tx) EndSought(tenant tenure.TenantID) error {
	tx.emptyLog = true
	if _, err := tx.Exec(`update record set key = '', box = $1 where tenant = $2`, []byte{}, string(tenant)); err != nil {
		return err
	}
	_, err := tx.Exec(`update sought set key = '', box = $1, looked_at = expires_at where tenant = $2`, []byte{}, string(tenant))
	return err
}
