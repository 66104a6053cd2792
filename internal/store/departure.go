package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// DepartureLink lets a leaving customer see their own departure; its secret is
// nowhere.
type DepartureLink struct {
	ID        tenure.LinkID   `json:"id"`
	Tenant    tenure.TenantID `json:"tenant"`
	Audience  string          `json:"audience"` // Stakeholder; "" is who leaves
	CreatedBy string          `json:"createdBy"`
	CreatedAt time.Time       `json:"createdAt"`
	ExpiresAt time.Time       `json:"expiresAt"`
	RevokedAt time.Time       `json:"revokedAt,omitzero"`
	SeenAt    time.Time       `json:"seenAt,omitzero"`
}

// Stakeholder is the audience of a link for somebody of the platform's, who sees the checklist
// and none of the customer's data.
const Stakeholder = "stakeholder"

func departureLinks(q querier, where string, args ...any) (out []DepartureLink, err error) {
	err = q.Rows(`select id, tenant, audience, created_by, created_at, expires_at, revoked_at, seen_at from departure_link where `+where, args, func(r scanner) error {
		var l DepartureLink
		var created, expires, revoked, seen int64
		err := r.Scan(&l.ID, &l.Tenant, &l.Audience, &l.CreatedBy, &created, &expires, &revoked, &seen)
		l.CreatedAt, l.ExpiresAt, l.RevokedAt, l.SeenAt = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(seen)
		out = append(out, l)
		return err
	})
	return out, err
}

// DepartureLinks lists a tenant's links, the latest first.
func (db *DB) DepartureLinks(ctx context.Context, tenant tenure.TenantID) ([]DepartureLink, error) {
	return departureLinks(db.reader(ctx), `tenant = $1 order by created_at desc, id limit 1000`, string(tenant))
}

// DepartureLinkByHash finds a link by the SHA-256 of its secret.
func (db *DB) DepartureLinkByHash(ctx context.Context, hash []byte) (DepartureLink, error) {
	return firstOf(departureLinks(db.reader(ctx), `hash = $1`, hash))
}

// SaveDepartureLink stores a new link.
func (tx *Tx) SaveDepartureLink(l DepartureLink, hash []byte) error {
	_, err := tx.Exec(`insert into departure_link (id, hash, tenant, created_by, created_at, expires_at, revoked_at, seen_at, audience) values ($1, $2, $3, $4, $5, $6, 0, 0, $7)`,
		string(l.ID), hash, string(l.Tenant), l.CreatedBy, micros(l.CreatedAt), micros(l.ExpiresAt), l.Audience)
	return err
}

// RevokeDepartureLink ends a link of a tenant's.
func (tx *Tx) RevokeDepartureLink(tenant tenure.TenantID, id tenure.LinkID, at time.Time) error {
	n, err := tx.Exec(`update departure_link set revoked_at = case when revoked_at = 0 then $1 else revoked_at end where id = $2 and tenant = $3`, micros(at), string(id), string(tenant))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.NotFound, "there is no such link")
	}
	return err
}

// SeeDepartureLink notes when a link was last used.
func (tx *Tx) SeeDepartureLink(id tenure.LinkID, at time.Time) error {
	_, err := tx.Exec(`update departure_link set seen_at = $1 where id = $2 and seen_at < $1`, micros(at), string(id))
	return err
}
