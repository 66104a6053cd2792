package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/audit"
)

// logPage is how many entries are read at once.
const logPage = 500

// EntriesBetween passes the entries of a span of time on, at most limit of them; more
// says that there are others. Entries are in the order of their commits, which is
// that of their times up to a little, so that the first one is sought by halving.
func (db *DB) EntriesBetween(ctx context.Context, since, until time.Time, limit int, pass func(index int64, e *audit.Entry) error) (more bool, err error) {
	const little = time.Minute
	from, err := db.firstEntryAt(ctx, since.Add(-little))
	for n, past := 0, false; err == nil && !past; {
		read := 0
		err = db.reader(ctx).Rows(`select idx, body from audit_entry where idx >= $1 order by idx limit $2`, []any{from, logPage}, func(r scanner) error {
			var index int64
			var body []byte
			if err := r.Scan(&index, &body); err != nil {
				return err
			}
			e, err := audit.Decode(body)
			if err != nil {
				return err
			}
			read++
			from = index + 1
			if past = past || e.At.After(until.Add(little)); !past && n == limit {
				past, more = true, true
			}
			if n++; past || e.At.Before(since) || e.At.After(until) {
				return nil
			}
			return pass(index, e)
		})
		if read < logPage {
			break
		}
	}
	return more, err
}

// firstEntryAt is the index of the first entry at or after a moment, or of the
// log's end.
func (db *DB) firstEntryAt(ctx context.Context, at time.Time) (int64, error) {
	high, err := db.LogSize(ctx)
	low := int64(0)
	for err == nil && low < high {
		mid := low + (high-low)/2
		var body []byte
		var e *audit.Entry
		if err = db.reader(ctx).Row(`select body from audit_entry where idx = $1`, []any{mid}, &body); err == nil {
			e, err = audit.Decode(body)
		}
		switch {
		case err != nil:
		case e.At.Before(at):
			low = mid + 1
		default:
			high = mid
		}
	}
	return low, err
}
