package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/tenurehq/tenure"
)

// AccessEvent is one thing that somebody did at the door: what anomalies are
// found in. Principal is a person's key (tenure.PersonKey), blank where nobody is
// known.
type AccessEvent struct {
	ID        string    `json:"-"` // made as it is stored
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Principal string    `json:"principal,omitempty"`
	Tenant    string    `json:"tenant,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

// AccessEventsKept is how long they are kept; see DropOld.
const AccessEventsKept = 400 * 24 * time.Hour

// NoteAccess stores an event.
func (tx *Tx) NoteAccess(e AccessEvent) error {
	var raw [12]byte
	_, _ = rand.Read(raw[:])
	_, err := tx.Exec(`insert into access_event (id, at, kind, principal, tenant, detail) values ($1, $2, $3, $4, $5, $6)`, hex.EncodeToString(raw[:]), micros(e.At), e.Kind, tenure.PersonKey(e.Principal), e.Tenant, e.Detail)
	return err
}

// CountAccess stores an event under its own id, in place of the one that counted less.
func (tx *Tx) CountAccess(e AccessEvent) error {
	_, err := tx.Exec(`insert into access_event (id, at, kind, principal, tenant, detail) values ($1, $2, $3, $4, $5, $6) on conflict (id) do update set detail = excluded.detail`,
		e.ID, micros(e.At), e.Kind, tenure.PersonKey(e.Principal), e.Tenant, e.Detail)
	return err
}

// AccessEvents lists the events of a kind, the latest first; a principal narrows
// it, and blank ones take all.
func (db *DB) AccessEvents(ctx context.Context, kind, principal string, since time.Time, limit int) ([]AccessEvent, error) {
	var out []AccessEvent
	err := db.reader(ctx).Rows(`select at, kind, principal, tenant, detail from access_event where ($1 = '' or kind = $1) and ($2 = '' or principal in ($2, $3)) and at >= $4 order by at desc, id limit $5`,
		[]any{kind, principal, tenure.PersonKey(principal), micros(since), limit}, func(r scanner) error {
			var e AccessEvent
			var at int64
			err := r.Scan(&at, &e.Kind, &e.Principal, &e.Tenant, &e.Detail)
			e.At = fromMicros(at)
			out = append(out, e)
			return err
		})
	return out, err
}
