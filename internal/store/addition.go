package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Addition is an addition's row. Digest is of what is added to which resource, and
// by whom it was asked for when.
type Addition struct {
	tenure.Addition
	Digest     string
	Tenant     tenure.TenantID
	Resource   tenure.ResourceID
	Reason     string
	AskedBy    string
	AskedAt    time.Time
	ReviewedBy string // "" while nobody has
	ReviewedAt time.Time
}

func coverages(q querier, where string, args ...any) (out []Addition, err error) {
	err = q.Rows(`select digest, tenant, resource, body, reason, asked_by, asked_at, reviewed_by, reviewed_at from coverage where `+where, args, func(r scanner) error {
		var c Addition
		var body string
		var asked, reviewed int64
		if err := r.Scan(&c.Digest, &c.Tenant, &c.Resource, &body, &c.Reason, &c.AskedBy, &asked, &c.ReviewedBy, &reviewed); err != nil {
			return err
		}
		c.AskedAt, c.ReviewedAt = fromMicros(asked), fromMicros(reviewed)
		out = append(out, c)
		return decode(body, &out[len(out)-1].Addition)
	})
	return out, err
}

// Additions lists a tenant's additions in the order in which they were asked for.
func (db *DB) Additions(ctx context.Context, tenant tenure.TenantID) ([]Addition, error) {
	return coverages(db.reader(ctx), `tenant = $1 order by asked_at, digest`, string(tenant))
}

// Addition returns one addition of a tenant's as the transaction sees it.
func (tx *Tx) Addition(tenant tenure.TenantID, digest string) (Addition, error) {
	c, err := firstOf(coverages(tx, `tenant = $1 and digest = $2`, string(tenant), digest))
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.NotFound, "there is no such addition for this tenant")
	}
	return c, err
}

// AskAddition stores an addition that waits for its review; the same one again is
// the same.
func (tx *Tx) AskAddition(c Addition) error {
	_, err := tx.Exec(`insert into coverage (digest, tenant, resource, body, reason, asked_by, asked_at, reviewed_by, reviewed_at) values ($1, $2, $3, $4, $5, $6, $7, '', 0) on conflict (digest) do nothing`,
		c.Digest, string(c.Tenant), string(c.Resource), text(c.Addition), c.Reason, c.AskedBy, micros(c.AskedAt))
	return err
}

// ReviewAddition makes an addition count.
func (tx *Tx) ReviewAddition(digest, by string, at time.Time) error {
	n, err := tx.Exec(`update coverage set reviewed_by = $1, reviewed_at = $2 where digest = $3 and reviewed_at = 0`, by, micros(at), digest)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "this addition was reviewed already")
	}
	return err
}
