package store

import (
	"context"
	"time"
)

// SystemCredential is since when a system has the credential that it was opened with last.
type SystemCredential struct {
	System    string
	Digest    string // of what it was opened with
	Since     time.Time
	First     time.Time // of the first one that was seen; zero where that isn't known
	RotatedBy string    // "" is Tenure by itself
}

// SystemCredentials lists them, by their systems' names.
func (db *DB) SystemCredentials(ctx context.Context) (map[string]SystemCredential, error) {
	out := make(map[string]SystemCredential)
	err := db.reader(ctx).Rows(`select system, digest, since, first_at, rotated_by from system_credential`, nil, func(r scanner) error {
		var c SystemCredential
		var since, first int64
		err := r.Scan(&c.System, &c.Digest, &since, &first, &c.RotatedBy)
		c.Since, c.First = fromMicros(since), fromMicros(first)
		out[c.System] = c
		return err
	})
	return out, err
}

// SaveSystemCredential stores a system's.
func (tx *Tx) SaveSystemCredential(c SystemCredential) error {
	_, err := tx.Exec(`insert into system_credential (system, digest, since, first_at, rotated_by) values ($1, $2, $3, $4, $5)
		on conflict (system) do update set digest = excluded.digest, since = excluded.since, first_at = excluded.first_at, rotated_by = excluded.rotated_by`,
		c.System, c.Digest, micros(c.Since), micros(c.First), c.RotatedBy)
	return err
}
