package store

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// KnownBy is what other systems know a tenant by: in clear, or, once it was forgotten, as
// keyed digests by kind.
type KnownBy struct {
	Tenant tenure.TenantID
	State  tenure.TenantState
	Name   string // "" once it is forgotten
	tenure.KnownBy
	Kept []KnownDigest
}

// KnownDigest is the keyed digest of one value.
type KnownDigest struct{ Kind, Digest string }

// knownBy reads what stands one a line: neither domains nor ids hold line breaks.
func knownBy(domains, externals string) (k tenure.KnownBy) {
	if domains != "" {
		k.Domains = strings.Split(domains, "\n")
	}
	if externals != "" {
		k.ExternalIDs = strings.Split(externals, "\n")
	}
	return k
}

// KnownBy streams what each tenant is known by, closed ones included as long as anything
// is kept of them.
func (db *DB) KnownBy(ctx context.Context, yield func(KnownBy) error) error {
	kept := make(map[tenure.TenantID][]KnownDigest)
	err := db.reader(ctx).Rows(`select tenant, kind, digest from known_digest order by tenant, kind, digest`, nil, func(r scanner) error {
		var tenant tenure.TenantID
		var k KnownDigest
		err := r.Scan(&tenant, &k.Kind, &k.Digest)
		kept[tenant] = append(kept[tenant], k)
		return err
	})
	if err != nil {
		return err
	}
	return db.longReader(ctx).Rows(`select id, state, name, domains, external_ids from tenant where name <> '' or id in (select tenant from known_digest) order by id`, nil, func(r scanner) error {
		var k KnownBy
		var domains, externals string
		err := r.Scan(&k.Tenant, &k.State, &k.Name, &domains, &externals)
		if err != nil {
			return err
		}
		k.KnownBy, k.Kept = knownBy(domains, externals), kept[k.Tenant]
		return yield(k)
	})
}

// SetKnownBy replaces what a tenant is known by. A version that has moved on is Conflict;
// 0 doesn't look at it.
func (tx *Tx) SetKnownBy(id tenure.TenantID, k tenure.KnownBy, version int64, at time.Time) error {
	domains, externals := strings.Join(k.Domains, "\n"), strings.Join(k.ExternalIDs, "\n")
	n, err := tx.Exec(`update tenant set domains = $1, external_ids = $2, updated_at = $3, version = version + 1 where id = $4 and ($5 = 0 or version = $5)`, domains, externals, micros(at), string(id), version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "tenant %s has changed since it was read", id).WithHint("read it again")
	}
	if err == nil {
		_, err = tx.Exec(`delete from tenant_external where tenant = $1`, string(id))
	}
	for _, external := range k.ExternalIDs {
		if err == nil {
			_, err = tx.Exec(`insert into tenant_external (external_id, tenant) values ($1, $2) on conflict (external_id, tenant) do nothing`, external, string(id))
		}
	}
	return err
}

// KeepKnown keeps the digest of what a tenant was known by until a moment; the same again
// changes nothing.
func (tx *Tx) KeepKnown(id tenure.TenantID, k KnownDigest, until time.Time) error {
	_, err := tx.Exec(`insert into known_digest (tenant, kind, digest, expires_at) values ($1, $2, $3, $4) on conflict (tenant, kind, digest) do nothing`, string(id), k.Kind, k.Digest, micros(until))
	return err
}

// EndKnown removes the digests of a tenant.
func (tx *Tx) EndKnown(id tenure.TenantID) error {
	_, err := tx.Exec(`delete from known_digest where tenant = $1`, string(id))
	return err
}
