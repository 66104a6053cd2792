package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// AccessEventsAfter lists events of some kinds from a moment on, the oldest first.
func (db *DB) AccessEventsAfter(ctx context.Context, kinds []string, from time.Time, limit int) ([]AccessEvent, error) {
	args := []any{micros(from), limit}
	return db.accessEvents(ctx, `at >= $1 and `+among("kind", kinds, &args)+` order by at, id limit $2`, args)
}

// AccessEventsOf lists a principal's latest events of some kinds between two
// moments, the oldest of them first.
func (db *DB) AccessEventsOf(ctx context.Context, principal string, kinds []string, from, until time.Time, limit int) ([]AccessEvent, error) {
	args := []any{principal, tenure.PersonKey(principal), micros(from), micros(until), limit}
	out, err := db.accessEvents(ctx, `principal in ($1, $2) and at >= $3 and at <= $4 and `+among("kind", kinds, &args)+` order by at desc, id desc limit $5`, args)
	slices.Reverse(out)
	return out, err
}

// among is the condition that a column has one of some values.
func among(column string, values []string, args *[]any) string {
	in := make([]string, 0, len(values))
	for _, v := range values {
		*args = append(*args, v)
		in = append(in, placeholder(len(*args)))
	}
	return column + " in (" + strings.Join(in, ", ") + ")"
}

// FirstAccessEvent is when the first event of some kinds that is kept was; zero
// if there is none.
func (db *DB) FirstAccessEvent(ctx context.Context, kinds []string) (time.Time, error) {
	var first int64
	for _, k := range kinds { // one by one, each along the index
		var at int64
		if err := db.reader(ctx).Row(`select coalesce(min(at), 0) from access_event where kind = $1`, []any{k}, &at); err != nil {
			return time.Time{}, err
		}
		if at > 0 && (first == 0 || at < first) {
			first = at
		}
	}
	return fromMicros(first), nil
}

func (db *DB) accessEvents(ctx context.Context, where string, args []any) (out []AccessEvent, err error) {
	err = db.reader(ctx).Rows(`select id, at, kind, principal, tenant, detail from access_event where `+where, args, func(r scanner) error {
		var e AccessEvent
		var at int64
		err := r.Scan(&e.ID, &at, &e.Kind, &e.Principal, &e.Tenant, &e.Detail)
		e.At = fromMicros(at)
		out = append(out, e)
		return err
	})
	return out, err
}

// Anomalies lists the anomalies of a principal seen since a moment that stand
// open at now: not resolved and not waived.
func (db *DB) Anomalies(ctx context.Context, principal string, since, now time.Time) ([]tenure.Finding, error) {
	var out []tenure.Finding
	err := db.reader(ctx).Rows(`select `+findingColumns+` from finding where kind = 'anomaly' and resolved_at = 0 and name in ($1, $2) and seen_at >= $3 and waived_until <= $4 order by seen_at, id`,
		[]any{principal, tenure.PersonKey(principal), micros(since), micros(now)}, func(r scanner) error {
			f, err := scanFinding(r)
			out = append(out, f)
			return err
		})
	return out, err
}

// AddAnomaly stores an anomaly's finding under its id. One that was stored before
// stays as it is, open or not, and added is false.
func (tx *Tx) AddAnomaly(f tenure.Finding) (added bool, err error) {
	n := 0
	if err := tx.Row(`select count(*) from finding where id = $1`, []any{string(f.ID)}, &n); err != nil || n > 0 {
		return false, err
	}
	return true, tx.SaveFinding(f)
}
