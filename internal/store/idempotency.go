package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
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
	Tenants      []tenure.TenantID // whom the answer is about: it goes with them
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
	_, err := tx.Exec(`update idempotency set status = $1, header = $2, answer = $3, tenants = $4 where caller = $5 and key = $6 and status = 0`, r.Status, r.Header, r.Answer, joined(r.Tenants), r.Caller, r.Key)
	return err
}

func joined(ids []tenure.TenantID) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(string(id) + " ")
	}
	return b.String()
}

// TenantsOf finds the tenants that some words stand for: their ids, names of those that
// aren't closed, ids of their operations, digests of their plans. Other words are nobody's.
func (tx *Tx) TenantsOf(words []string) (out []tenure.TenantID, err error) {
	for _, word := range words {
		query := `select id from tenant where name = $1 and name <> '' and state <> 'closed'`
		switch {
		case strings.HasPrefix(word, "op_"):
			query = `select tenant from operation where id = $1`
		case strings.HasPrefix(word, "sha256:"):
			query = `select tenant from plan where digest = $1`
		}
		ids := []string{word} // a plan names a tenant that there isn't yet
		if _, err := tenure.ParseID[tenure.TenantID](word); err != nil {
			if ids, err = oneColumn[string](tx, query, word); err != nil {
				return nil, err
			}
		}
		for _, id := range ids {
			if !slices.Contains(out, tenure.TenantID(id)) {
				out = append(out, tenure.TenantID(id))
			}
		}
	}
	return out, nil
}

// DropReplay forgets a request, so that it may be made again.
func (tx *Tx) DropReplay(caller, key string) error {
	_, err := tx.Exec(`delete from idempotency where caller = $1 and key = $2`, caller, key)
	return err
}

// DropReplays forgets the requests made before a moment and, with underway, those
// that a process which has ended since was answering. It says how many.
func (tx *Tx) DropReplays(before time.Time, underway bool) (int64, error) {
	tx.emptyLog = true
	return tx.Exec(`delete from idempotency where created_at < $1 or ($2 = 1 and status = 0)`, micros(before), flag(underway))
}
