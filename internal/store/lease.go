package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

func leases(q querier, where string, args ...any) (out []tenure.Lease, err error) {
	err = q.Rows(`select tenant, rule, started_at, ends_at, extended, set_by, set_at, asked_at, asked_for, link, answer, answered_at, state, state_at, why, suspension, departure, version from lease where `+where, args, func(r scanner) error {
		var l tenure.Lease
		var rule string
		var started, ends, set, asked, about, answered, state int64
		if err := r.Scan(&l.Tenant, &rule, &started, &ends, &l.Extended, &l.SetBy, &set, &asked, &about, &l.Link, &l.Answer, &answered, &l.State, &state, &l.Why, &l.Suspension, &l.Departure, &l.Version); err != nil {
			return err
		}
		l.StartedAt, l.EndsAt, l.SetAt, l.AskedAt, l.AskedFor, l.AnsweredAt, l.StateAt = fromMicros(started), fromMicros(ends), fromMicros(set), fromMicros(asked), fromMicros(about), fromMicros(answered), fromMicros(state)
		if err := decode(rule, &l.Rule); err != nil {
			return tenure.Errorf(tenure.Internal, "lease of %s: %w", l.Tenant, err)
		}
		out = append(out, l)
		return nil
	})
	return out, err
}

// Lease returns a tenant's lease; NotFound if it has none.
func (db *DB) Lease(ctx context.Context, tenant tenure.TenantID) (tenure.Lease, error) {
	return firstOf(leases(db.reader(ctx), `tenant = $1`, string(tenant)))
}

// Lease returns a tenant's lease as the transaction sees it.
func (tx *Tx) Lease(tenant tenure.TenantID) (tenure.Lease, error) {
	return firstOf(leases(tx, `tenant = $1`, string(tenant)))
}

// LeaseByLink finds the lease that a link's id is about.
func (db *DB) LeaseByLink(ctx context.Context, link tenure.LinkID) (tenure.Lease, error) {
	return firstOf(leases(db.reader(ctx), `link = $1 and link <> ''`, string(link)))
}

// Leases lists the leases that aren't over, the first to end first.
func (db *DB) Leases(ctx context.Context, v Visible, limit int) ([]tenure.Lease, error) {
	args := []any{limit}
	return leases(db.reader(ctx), `state in ('running', 'lapsed') and `+v.where("lease.tenant", &args)+` order by ends_at, tenant limit $1`, args...)
}

// DueLeases lists the leases at which something is due at now, the longest due first.
func (db *DB) DueLeases(ctx context.Context, now time.Time, limit int) ([]tenure.Lease, error) {
	return leases(db.reader(ctx), `due_at > 0 and due_at <= $1 order by due_at, tenant limit $2`, micros(now), limit)
}

// SaveLease stores a lease and when to look at it again; zero is never. Version 0 is a new one. One that has
// changed since it was read is Conflict.
func (tx *Tx) SaveLease(l tenure.Lease, due time.Time) error {
	args := []any{
		string(l.Tenant), text(l.Rule), micros(l.StartedAt), micros(l.EndsAt), l.Extended, l.SetBy, micros(l.SetAt), micros(l.AskedAt), micros(l.AskedFor), string(l.Link),
		string(l.Answer), micros(l.AnsweredAt), string(l.State), micros(l.StateAt), l.Why, string(l.Suspension), string(l.Departure), micros(due),
	}
	if l.Version == 0 {
		_, err := tx.Exec(`insert into lease (tenant, rule, started_at, ends_at, extended, set_by, set_at, asked_at, asked_for, link, answer, answered_at, state, state_at, why, suspension, departure, due_at, version)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1)`, args...)
		return err
	}
	n, err := tx.Exec(`update lease set rule = $2, started_at = $3, ends_at = $4, extended = $5, set_by = $6, set_at = $7, asked_at = $8, asked_for = $9, link = $10, answer = $11, answered_at = $12,
		state = $13, state_at = $14, why = $15, suspension = $16, departure = $17, due_at = $18, version = version + 1 where tenant = $1 and version = $19`, append(args, l.Version)...)
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.Conflict, "the lease of %s has changed since it was read", l.Tenant).WithHint("read it again")
	}
	return err
}

// LookAtLease has a lease looked at again at due, as long as nobody has changed it.
func (tx *Tx) LookAtLease(l tenure.Lease, due time.Time) error {
	_, err := tx.Exec(`update lease set due_at = $1 where tenant = $2 and version = $3`, micros(due), string(l.Tenant), l.Version)
	return err
}
