package store

import (
	"context"
	"time"
)

// Replay is a request that brought an Idempotency-Key, and its answer. Status 0 is
// under way.
type Replay struct {
	Caller, Key  string
	Path, Digest string // of what was asked: the same key for something else is refused
	Status       int
	Header       string // JSON
	Answer       []byte
	At           time.Time
}

// Writable says whether this process may write.
func (db *DB) Writable() bool { return db.write != nil }

// HasReplays says whether any request from before a moment is kept.
func (db *DB) HasReplays(ctx context.Context, before time.Time) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from (select 1 from idempotency where created_at < $1 limit 1) x`, []any{micros(before)}, &n)
	return n > 0, err
}

// Replay finds the request that a caller made under a key.
func (tx *Tx) Replay(caller, key string) (Replay, error) {
	r := Replay{Caller: caller, Key: key}
	var at int64
	err := tx.Row(`select path, body_digest, status, header, answer, created_at from idempotency where caller = $1 and key = $2`, []any{caller, key}, &r.Path, &r.Digest, &r.Status, &r.Header, &r.Answer, &at)
	r.At = fromMicros(at)
	return r, err
}

// BeginReplay notes a request that is under way. One that is noted already is
// Conflict.
func (tx *Tx) BeginReplay(r Replay) error {
	_, err := tx.Exec(`insert into idempotency (caller, key, path, body_digest, status, header, answer, created_at) values ($1, $2, $3, $4, 0, '', $5, $6)`, r.Caller, r.Key, r.Path, r.Digest, []byte{}, micros(r.At))
	return err
}

// EndReplay keeps a request's answer.
func (tx *Tx) EndReplay(r Replay) error {
	_, err := tx.Exec(`update idempotency set status = $1, header = $2, answer = $3 where caller = $4 and key = $5 and status = 0`, r.Status, r.Header, r.Answer, r.Caller, r.Key)
	return err
}

// DropReplay forgets a request, so that it may be made again.
func (tx *Tx) DropReplay(caller, key string) error {
	_, err := tx.Exec(`delete from idempotency where caller = $1 and key = $2`, caller, key)
	return err
}

// DropReplays forgets the requests made before a moment and, with underway, those
// that a process which has ended since was answering. It says how many.
func (tx *Tx) DropReplays(before time.Time, underway bool) (int64, error) {
	return tx.Exec(`delete from idempotency where created_at < $1 or ($2 = 1 and status = 0)`, micros(before), flag(underway))
}
