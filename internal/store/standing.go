package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

const standingColumns = `id, rule, digest, state, proposed_by, proposed_at, reviews, ended_by, ended_at, version`

func standings(q querier, where string, args ...any) (out []tenure.Standing, err error) {
	err = q.Rows(`select `+standingColumns+` from standing where `+where, args, func(r scanner) error {
		var s tenure.Standing
		var signed tenure.SignedStandingRule
		var rule, reviews string
		var proposed, ended int64
		if err := r.Scan(&s.ID, &rule, &s.Digest, &s.State, &s.ProposedBy, &proposed, &reviews, &s.EndedBy, &ended, &s.Version); err != nil {
			return err
		}
		s.ProposedAt, s.EndedAt = fromMicros(proposed), fromMicros(ended)
		for text, into := range map[string]any{rule: &signed, reviews: &s.Reviews} {
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return tenure.Errorf(tenure.Internal, "standing approval %s: %w", s.ID, err)
			}
		}
		s.Rule = tenure.StandingRule(signed)
		out = append(out, s)
		return nil
	})
	return out, err
}

func oneStanding(q querier, id tenure.StandingID) (tenure.Standing, error) {
	list, err := standings(q, `id = $1`, string(id))
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no standing approval %s", id)
	}
	if err != nil {
		return tenure.Standing{}, err
	}
	return list[0], nil
}

// StandingApproval returns one standing approval.
func (db *DB) StandingApproval(ctx context.Context, id tenure.StandingID) (tenure.Standing, error) {
	return oneStanding(db.reader(ctx), id)
}

// Standing returns one as the transaction sees it.
func (tx *Tx) Standing(id tenure.StandingID) (tenure.Standing, error) { return oneStanding(tx, id) }

// Standings lists them, the latest first; with ended those that are over too.
func (db *DB) Standings(ctx context.Context, ended bool) ([]tenure.Standing, error) {
	return standings(db.reader(ctx), `($1 = 1 or state <> 'ended') order by proposed_at desc, id desc limit 10000`, flag(ended))
}

// StandingsIn lists those in a state, the oldest first.
func (tx *Tx) StandingsIn(state tenure.StandingState) ([]tenure.Standing, error) {
	return standings(tx, `state = $1 order by proposed_at, id`, string(state))
}

// DueStandings lists those that haven't ended and whose time is over at now.
func (db *DB) DueStandings(ctx context.Context, now time.Time) ([]tenure.Standing, error) {
	return standings(db.reader(ctx), `state in ('proposed', 'active') and ends_at <= $1 order by ends_at, id`, micros(now))
}

// SaveStanding stores a new standing approval, or how one stands now: its rule
// stays. One that another has changed meanwhile is Conflict.
func (tx *Tx) SaveStanding(s tenure.Standing) error {
	if s.Version == 0 {
		_, err := tx.Exec(`insert into standing (id, name, rule, digest, state, proposed_by, proposed_at, reviews, ends_at, ended_by, ended_at, version) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, 1)`,
			string(s.ID), s.Rule.Name, text(tenure.SignedStandingRule(s.Rule)), s.Digest, string(s.State), s.ProposedBy, micros(s.ProposedAt), text(s.Reviews), micros(s.Rule.EndsAt))
		return err
	}
	n, err := tx.Exec(`update standing set state = $1, reviews = $2, ended_by = $3, ended_at = $4, version = version + 1 where id = $5 and version = $6`,
		string(s.State), text(s.Reviews), s.EndedBy, micros(s.EndedAt), string(s.ID), s.Version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "standing approval %s has changed since it was read", s.ID).Retryable()
	}
	return err
}

// StandingStart is an operation that a standing approval started.
type StandingStart struct {
	Standing   tenure.StandingID  `json:"standing"`
	Operation  tenure.OperationID `json:"operation"`
	Tenant     tenure.TenantID    `json:"tenant"`
	Resources  int                `json:"resources"`
	At         time.Time          `json:"at"`
	ReviewedBy string             `json:"reviewedBy,omitempty"`
	ReviewedAt time.Time          `json:"reviewedAt,omitzero"`
}

func standingStarts(q querier, where string, args ...any) (out []StandingStart, err error) {
	err = q.Rows(`select standing, operation, tenant, resources, at, reviewed_by, reviewed_at from standing_start where `+where, args, func(r scanner) error {
		var s StandingStart
		var at, reviewed int64
		err := r.Scan(&s.Standing, &s.Operation, &s.Tenant, &s.Resources, &at, &s.ReviewedBy, &reviewed)
		s.At, s.ReviewedAt = fromMicros(at), fromMicros(reviewed)
		out = append(out, s)
		return err
	})
	return out, err
}

// StartFilter narrows a listing of starts; blank fields take everything.
type StartFilter struct {
	Standing tenure.StandingID
	Unseen   bool      // only those that nobody has looked at
	Before   time.Time // only those before; zero takes all
	After    StandingStart
	Limit    int
	Visible  Visible
}

// StandingStarts lists what standing approvals started, the oldest first, after
// the last one of the page before.
func (db *DB) StandingStarts(ctx context.Context, f StartFilter) ([]StandingStart, error) {
	args := []any{string(f.Standing), flag(f.Unseen), micros(f.Before), micros(f.After.At), string(f.After.Operation), f.Limit}
	where := `($1 = '' or standing = $1) and ($2 = 0 or reviewed_at = 0) and (at < $3 or $3 = 0) and (at > $4 or (at = $4 and operation > $5)) and ` + f.Visible.where("tenant", &args)
	return standingStarts(db.reader(ctx), where+` order by at, operation limit $6`, args...)
}

// StandingStart returns what started an operation.
func (tx *Tx) StandingStart(op tenure.OperationID) (StandingStart, error) {
	return firstOf(standingStarts(tx, `operation = $1`, string(op)))
}

// StandingStart returns what started an operation.
func (db *DB) StandingStart(ctx context.Context, op tenure.OperationID) (StandingStart, error) {
	return firstOf(standingStarts(db.reader(ctx), `operation = $1`, string(op)))
}

// CountStarts counts the starts of a standing approval since a moment, and keeps
// others from counting at the same time until this transaction ends.
func (tx *Tx) CountStarts(id tenure.StandingID, since time.Time) (n int, err error) {
	if _, err := tx.Exec(`update standing set version = version where id = $1`, string(id)); err != nil {
		return 0, err
	}
	return n, tx.Row(`select count(*) from standing_start where standing = $1 and at > $2`, []any{string(id), micros(since)}, &n)
}

// SaveStandingStart records a start.
func (tx *Tx) SaveStandingStart(s StandingStart) error {
	_, err := tx.Exec(`insert into standing_start (standing, operation, tenant, resources, at, reviewed_by, reviewed_at) values ($1, $2, $3, $4, $5, '', 0)`,
		string(s.Standing), string(s.Operation), string(s.Tenant), s.Resources, micros(s.At))
	return err
}

// SeeStandingStart records who looked at a start; a second look changes nothing.
func (tx *Tx) SeeStandingStart(op tenure.OperationID, by string, at time.Time) error {
	_, err := tx.Exec(`update standing_start set reviewed_by = $1, reviewed_at = $2 where operation = $3 and reviewed_at = 0`, by, micros(at), string(op))
	return err
}
