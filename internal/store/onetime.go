package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Bootstrap is the purpose of a code that lets an admin in.
const Bootstrap = "bootstrap"

// OneTime is something that is good once, before a date: a bootstrap code, a
// sign-in under way, a device that waits to be let in. It is found by the SHA-256
// of its secret text, or by its purpose and short code.
type OneTime struct {
	Hash      []byte
	Purpose   string
	Code      string // short, typed by a person; blank for none
	Principal string
	Data      string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time
}

func oneTimes(q querier, where string, args ...any) (out []OneTime, err error) {
	err = q.Rows(`select hash, purpose, code, principal, data, created_at, expires_at, used_at from one_time where `+where, args, func(r scanner) error {
		var o OneTime
		var created, expires, used int64
		err := r.Scan(&o.Hash, &o.Purpose, &o.Code, &o.Principal, &o.Data, &created, &expires, &used)
		o.CreatedAt, o.ExpiresAt, o.UsedAt = fromMicros(created), fromMicros(expires), fromMicros(used)
		out = append(out, o)
		return err
	})
	return out, err
}

// OneTime finds one by its hash.
func (db *DB) OneTime(ctx context.Context, purpose string, hash []byte) (OneTime, error) {
	return firstOf(oneTimes(db.reader(ctx), `hash = $1 and purpose = $2`, hash, purpose))
}

// OneTimeByCode finds one that hasn't been used by its short code.
func (db *DB) OneTimeByCode(ctx context.Context, purpose, code string) (OneTime, error) {
	return firstOf(oneTimes(db.reader(ctx), `purpose = $1 and code = $2 and used_at = 0 and code <> ''`, purpose, code))
}

// SaveOneTime stores one, and clears away those that have lapsed: who isn't known
// can have one stored.
func (tx *Tx) SaveOneTime(o OneTime) error {
	if _, err := tx.Exec(`delete from one_time where expires_at < $1`, micros(o.CreatedAt)); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into one_time (hash, purpose, code, principal, data, created_at, expires_at, used_at) values ($1, $2, $3, $4, $5, $6, $7, 0)`,
		o.Hash, o.Purpose, o.Code, o.Principal, o.Data, micros(o.CreatedAt), micros(o.ExpiresAt))
	return err
}

// ConfirmOneTime says for whom one is good, and with what.
func (tx *Tx) ConfirmOneTime(hash []byte, principal, data string, now time.Time) error {
	n, err := tx.Exec(`update one_time set purpose = purpose, code = code, principal = $1, data = $2, created_at = created_at, expires_at = expires_at, used_at = used_at where hash = $3 and used_at = 0 and principal = '' and expires_at > $4`, principal, data, hash, micros(now))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "it has lapsed or was confirmed already")
	}
	return err
}

// UseOneTime uses one up. One that was used, has lapsed or was never there is
// Unauthorized: which of these isn't said.
func (tx *Tx) UseOneTime(purpose string, hash []byte, now time.Time) (OneTime, error) {
	n, err := tx.Exec(`update one_time set purpose = purpose, code = code, principal = principal, data = data, created_at = created_at, expires_at = expires_at, used_at = $1 where hash = $2 and purpose = $3 and used_at = 0 and expires_at > $1`, micros(now), hash, purpose)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Unauthorized, "the code isn't good, or not any more")
	}
	if err != nil {
		return OneTime{}, err
	}
	return firstOf(oneTimes(tx, `hash = $1`, hash))
}

// OneTimeOpen says whether any for a purpose is still good.
func (db *DB) OneTimeOpen(ctx context.Context, purpose string, now time.Time) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from one_time where purpose = $1 and used_at = 0 and expires_at > $2`, []any{purpose, micros(now)}, &n)
	return n > 0, err
}
