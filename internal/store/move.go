package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Move is a move's row: what its digest is of, and what became of it.
type Move struct {
	tenure.Move
	Digest    string
	State     string // waiting, done, rejected
	DecidedBy string
	DecidedAt time.Time
	Note      string
}

func moves(q querier, where string, args ...any) (out []Move, err error) {
	err = q.Rows(`select digest, body, state, decided_by, decided_at, note from access_move where `+where, args, func(r scanner) error {
		var m Move
		var body string
		var decided int64
		if err := r.Scan(&m.Digest, &body, &m.State, &m.DecidedBy, &decided, &m.Note); err != nil {
			return err
		}
		m.DecidedAt = fromMicros(decided)
		if got := tenure.Digest([]byte(body)); got != m.Digest {
			return tenure.Errorf(tenure.Conflict, "move %s doesn't match its digest (it hashes to %s): it was changed", m.Digest, got)
		}
		var signed tenure.SignedMove
		if err := json.Unmarshal([]byte(body), &signed); err != nil {
			return tenure.Errorf(tenure.Internal, "move %s: %w", m.Digest, err)
		}
		m.Move = tenure.Move(signed)
		out = append(out, m)
		return nil
	})
	return out, err
}

// Moves lists moves, the newest first; waiting ones alone if asked for.
func (db *DB) Moves(ctx context.Context, waiting bool, limit int) ([]Move, error) {
	return moves(db.reader(ctx), `($1 = 0 or state = 'waiting') order by requested_at desc, digest limit $2`, flag(waiting), limit)
}

// Move returns one move by its digest.
func (db *DB) Move(ctx context.Context, digest string) (Move, error) {
	return firstOf(moves(db.reader(ctx), `digest = $1`, digest))
}

// Move returns one move as the transaction sees it.
func (tx *Tx) Move(digest string) (Move, error) {
	return firstOf(moves(tx, `digest = $1`, digest))
}

// SaveMove stores a new move; the same one again is the same.
func (tx *Tx) SaveMove(m tenure.Move, digest string, body []byte) error {
	_, err := tx.Exec(`insert into access_move (digest, principal, body, state, requested_by, requested_at, decided_by, decided_at, note) values ($1, $2, $3, 'waiting', $4, $5, '', 0, '') on conflict (digest) do nothing`,
		digest, string(m.Principal), string(body), m.By, micros(m.At))
	return err
}

// DecideMove writes what became of a move. One that doesn't wait any more is
// Conflict.
func (tx *Tx) DecideMove(digest, state, by, note string, at time.Time) error {
	n, err := tx.Exec(`update access_move set state = $1, decided_by = $2, note = $3, decided_at = $4 where digest = $5 and state = 'waiting'`, state, by, note, micros(at), digest)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "the move was decided already")
	}
	return err
}
