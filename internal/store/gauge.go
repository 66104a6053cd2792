package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Commit is one transaction of the committer, for who measures.
type Commit struct {
	Size int // writes that shared it
	Took time.Duration
	Err  error
}

// ObserveCommits has f told of every transaction from now on; nil ends it. F is
// called on the committer's own goroutine and must not wait.
func (db *DB) ObserveCommits(f func(Commit)) {
	if f == nil {
		db.commits.Store(nil)
		return
	}
	db.commits.Store(&f)
}

// OpenOperations is how many operations of a kind are in a state that isn't an end.
type OpenOperations struct {
	Kind  tenure.OperationKind
	State tenure.OperationState
	N     int
}

// Gauges is where the store stands, for who measures.
type Gauges struct {
	Operations   []OpenOperations
	Waiting      int // gates that wait for persons' signatures
	Findings     map[tenure.Severity]int
	Unsent       int // notices of the last seven days that weren't sent though somebody is to have them
	LogSize      int64
	CheckpointAt time.Time // of the latest checkpoint; zero if there is none
}

// Gauges reads where the store stands, along indexes.
func (db *DB) Gauges(ctx context.Context, now time.Time) (g Gauges, err error) {
	for _, states := range []string{"'waiting', 'blocked', 'paused'", "'running', 'compensating'"} { // each is an index's
		err := db.reader(ctx).Rows(`select kind, state, count(*) from operation where state in (`+states+`) group by kind, state order by kind, state`, nil, func(r scanner) error {
			var o OpenOperations
			err := r.Scan(&o.Kind, &o.State, &o.N)
			g.Operations = append(g.Operations, o)
			return err
		})
		if err != nil {
			return g, err
		}
	}
	if err := db.reader(ctx).Row(`select count(*) from approval_wait where action <> 'gate.task'`, nil, &g.Waiting); err != nil {
		return g, err
	}
	if err := db.reader(ctx).Row(`select (select count(*) from notice where routed_at = 0 and recipient <> $2 and created_at >= $1) + (select count(*) from delivery where state in ('waiting', 'sending', 'expired') and created_at >= $1 and held_until <= $3)`, []any{micros(now.Add(-tenure.NoticeLife)), tenure.Timeline, micros(now)}, &g.Unsent); err != nil {
		return g, err
	}
	if g.Findings, err = db.FindingCounts(ctx, All, now); err != nil {
		return g, err
	}
	if g.LogSize, err = db.LogSize(ctx); err != nil {
		return g, err
	}
	var at int64
	err = db.reader(ctx).Row(`select coalesce(max(at), 0) from checkpoint where size = (select max(size) from checkpoint)`, nil, &at)
	g.CheckpointAt = fromMicros(at)
	return g, err
}
