package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

const delegationColumns = `id, from_name, to_name, scope, reason, starts_at, ends_at, created_at, revoked_at, revoked_by`

func delegations(q querier, where string, args ...any) (out []tenure.Delegation, err error) {
	err = q.Rows(`select `+delegationColumns+` from delegation where `+where, args, func(r scanner) error {
		var d tenure.Delegation
		var scope string
		var starts, ends, created, revoked int64
		if err := r.Scan(&d.ID, &d.From, &d.To, &scope, &d.Reason, &starts, &ends, &created, &revoked, &d.RevokedBy); err != nil {
			return err
		}
		d.StartsAt, d.EndsAt, d.CreatedAt, d.RevokedAt = fromMicros(starts), fromMicros(ends), fromMicros(created), fromMicros(revoked)
		if err := json.Unmarshal([]byte(scope), &d.Scope); err != nil {
			return tenure.Errorf(tenure.Internal, "scope of delegation %s: %w", d.ID, err)
		}
		out = append(out, d)
		return nil
	})
	return out, err
}

// Delegations lists those from or to a person (a blank name: all), the latest
// first; with ended those that are over too.
func (db *DB) Delegations(ctx context.Context, name string, ended bool, now time.Time) ([]tenure.Delegation, error) {
	return delegations(db.reader(ctx), `($1 = '' or from_name = $1 or to_name = $1) and ($2 = 1 or (revoked_at = 0 and ends_at > $3)) order by created_at desc, id desc limit 10000`, name, flag(ended), micros(now))
}

const standsAt = `revoked_at = 0 and starts_at <= $2 and ends_at > $2 order by created_at, id`

// DelegationsTo lists what is delegated to a person at now.
func (db *DB) DelegationsTo(ctx context.Context, name string, now time.Time) ([]tenure.Delegation, error) {
	return delegations(db.reader(ctx), `to_name = $1 and `+standsAt, name, micros(now))
}

// DelegationsOf lists what stands from or to a person at now.
func (tx *Tx) DelegationsOf(name string, now time.Time) ([]tenure.Delegation, error) {
	return delegations(tx, `(from_name = $1 or to_name = $1) and `+standsAt, name, micros(now))
}

// DelegationsOf lists what stands from or to a person at now.
func (db *DB) DelegationsOf(ctx context.Context, name string, now time.Time) ([]tenure.Delegation, error) {
	return delegations(db.reader(ctx), `(from_name = $1 or to_name = $1) and `+standsAt, name, micros(now))
}

// Delegation returns one delegation as the transaction sees it.
func (tx *Tx) Delegation(id tenure.DelegationID) (tenure.Delegation, error) {
	list, err := delegations(tx, `id = $1`, string(id))
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no delegation %s", id)
	}
	if err != nil {
		return tenure.Delegation{}, err
	}
	return list[0], nil
}

// SaveDelegation stores a new delegation.
func (tx *Tx) SaveDelegation(d tenure.Delegation) error {
	_, err := tx.Exec(`insert into delegation (`+delegationColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')`,
		string(d.ID), d.From, d.To, text(d.Scope), d.Reason, micros(d.StartsAt), micros(d.EndsAt), micros(d.CreatedAt))
	return err
}

// RevokeDelegation ends a delegation. One that has ended stays as it is.
func (tx *Tx) RevokeDelegation(id tenure.DelegationID, by string, at time.Time) error {
	_, err := tx.Exec(`update delegation set revoked_at = $1, revoked_by = $2 where id = $3 and revoked_at = 0`, micros(at), by, string(id))
	return err
}
