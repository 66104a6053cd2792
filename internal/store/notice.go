package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Outgoing is a notice that hasn't been sent.
type Outgoing struct {
	Notice
	Attempts int       // tries so far
	NextAt   time.Time // when the next one may be; zero: at once
	Error    string    // what the last one came to; no secrets
}

// DueNotices lists notices made since a moment that haven't been sent and may be
// tried at now, the oldest first.
func (db *DB) DueNotices(ctx context.Context, since, now time.Time, limit int) (out []Outgoing, err error) {
	err = db.reader(ctx).Rows(`select id, tenant, operation, recipient, body, created_at, attempts, next_at, error from notice
		where sent_at = 0 and created_at >= $1 and next_at <= $2 order by created_at, id limit $3`, []any{micros(since), micros(now), limit}, func(r scanner) error {
		var o Outgoing
		var created, next int64
		err := r.Scan(&o.ID, &o.Tenant, &o.Operation, &o.Recipient, &o.Body, &created, &o.Attempts, &next, &o.Error)
		o.CreatedAt, o.NextAt = fromMicros(created), fromMicros(next)
		out = append(out, o)
		return err
	})
	return out, err
}

// UnsentNotice is when the oldest of a tenant's notices was made that was made since a moment
// and hasn't been sent; zero if there is none.
func (db *DB) UnsentNotice(ctx context.Context, tenant tenure.TenantID, since time.Time) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(`select coalesce(min(created_at), 0) from notice where tenant = $1 and sent_at = 0 and created_at >= $2`, []any{string(tenant), micros(since)}, &at)
	return fromMicros(at), err
}

// ClaimNotice takes a notice for one try: nobody else does before until. It is
// false if somebody has it, or it was sent.
func (tx *Tx) ClaimNotice(o Outgoing, until time.Time) (bool, error) {
	n, err := tx.Exec(`update notice set attempts = attempts + 1, next_at = $1 where id = $2 and sent_at = 0 and next_at = $3`, micros(until), o.ID, micros(o.NextAt))
	return n == 1, err
}

// NoticeSent notes that a notice has arrived, once: false if it was noted before.
func (tx *Tx) NoticeSent(id string, at time.Time) (bool, error) {
	n, err := tx.Exec(`update notice set sent_at = $1, error = '' where id = $2 and sent_at = 0`, micros(at), id)
	return n == 1, err
}

// NoticeFailed notes what a try came to, and when the next one may be.
func (tx *Tx) NoticeFailed(id, why string, next time.Time) error {
	_, err := tx.Exec(`update notice set error = $1, next_at = $2 where id = $3 and sent_at = 0`, why, micros(next), id)
	return err
}

// Noticed says whether there is such a notice.
func (db *DB) Noticed(ctx context.Context, id string) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from notice where id = $1`, []any{id}, &n)
	return n > 0, err
}

// NoticeSentAt is when a notice arrived; zero if it hasn't.
func (db *DB) NoticeSentAt(ctx context.Context, id string) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(`select coalesce(max(sent_at), 0) from notice where id = $1`, []any{id}, &at)
	return fromMicros(at), err
}
