package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite "modernc.org/sqlite"

	"github.com/tenurehq/tenure"
)

// While the store can't be written, it is tried again after firstWait, and after twice as
// long each time up to longestWait, with jitter down to half of it.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 30 * time.Second
)

// answerWithin is how long a store that was away has to take a connection or a trial.
const answerWithin = 10 * time.Second

// Outage is that the store can't be written: its disk is full, or its server is away. It
// is what every write fails with meanwhile, at once and as Unavailable.
type Outage struct {
	Since time.Time     // when a write failed first, by this machine's clock
	Cause error         // of the latest failure, for the log
	Next  time.Duration // until the store is tried again
}

// Error says it with its cause.
func (o *Outage) Error() string { return o.Says() + ": " + o.Cause.Error() }

// Unwrap gives the cause.
func (o *Outage) Unwrap() error { return o.Cause }

// Says is one sentence without the cause.
func (o *Outage) Says() string {
	return fmt.Sprintf("the store can't be written: every write has failed since %s", o.Since.UTC().Format("2006-01-02 15:04:05 MST"))
}

// OutageOf is the outage that an error tells of; nil if it tells of none.
func OutageOf(err error) *Outage {
	var o *Outage
	if errors.As(err, &o) {
		return o
	}
	return nil
}

// outages is whether there is one, and who waits for its end.
type outages struct {
	mu    sync.Mutex
	now   *Outage       // the latest; Next is as of at
	over  chan struct{} // closed when it has ended; nil: there is none
	at    time.Time     // when the store is tried again
	wait  time.Duration // the longest that the latest wait may have been
	ended time.Time

	told atomic.Pointer[func(Outage, bool)] // see ObserveOutages
}

// ObserveOutages has f told when an outage of the store begins, each time that the store
// was tried in vain, and when it has ended; nil ends that. F is called on the committer's
// own goroutine and must not wait.
func (db *DB) ObserveOutages(f func(o Outage, ended bool)) {
	if f == nil {
		db.outages.told.Store(nil)
		return
	}
	db.outages.told.Store(&f)
}

// Outage is what keeps the store from being written now; nil if nothing is known to. It
// asks nothing of the store.
func (db *DB) Outage() *Outage {
	s := &db.outages
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		return nil
	}
	o := *s.now
	o.Next = max(0, time.Until(s.at))
	return &o
}

// Await returns once the store can be written as far as is known, or with an error when
// ctx ends or the store is closed before.
func (db *DB) Await(ctx context.Context) error {
	if db.write == nil {
		return nil
	}
	s := &db.outages
	for {
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		if over == nil {
			return nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return tenure.Errorf(tenure.Unavailable, "store: %w", ctx.Err()).Retryable()
		case <-db.write.shut:
			return tenure.Errorf(tenure.Unavailable, "the store is closed")
		}
	}
}

// Outlast waits for the end of the outage that made a call fail, and says whether the call
// may be made again. Of a failed read, which doesn't tell an outage, it has the store asked.
func (db *DB) Outlast(ctx context.Context, err error) bool {
	if err == nil || db.write == nil || tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		return false
	}
	if OutageOf(err) == nil && OutageOf(db.Write(ctx, func(*Tx) error { return nil })) == nil {
		return false
	}
	return db.Await(ctx) == nil
}

// failed notes that a write failed as every other one would, and gives what its caller is
// told. A store that fails again sooner after its return than it was waited for had not
// come back: the outage goes on.
func (s *outages) failed(cause error) error {
	s.mu.Lock()
	at := time.Now()
	since := at
	switch {
	case s.over != nil:
		since = s.now.Since
	case s.now != nil && at.Sub(s.ended) <= s.wait:
		since, s.over = s.now.Since, make(chan struct{})
	default:
		s.wait, s.over = 0, make(chan struct{})
	}
	s.wait = min(max(2*s.wait, firstWait), longestWait)
	next := s.wait/2 + mathrand.N(s.wait/2+1)
	s.at, s.now = at.Add(next), &Outage{Since: since, Cause: cause, Next: next}
	o := *s.now
	s.mu.Unlock()
	s.tell(o, false)
	return refusal(&o)
}

// end lets go on what waits.
func (s *outages) end() {
	s.mu.Lock()
	o := *s.now
	close(s.over)
	s.over, s.ended = nil, time.Now()
	s.mu.Unlock()
	s.tell(o, true)
}

func (s *outages) tell(o Outage, ended bool) {
	if f := s.told.Load(); f != nil {
		(*f)(o, ended)
	}
}

func refusal(o *Outage) error { return tenure.Errorf(tenure.Unavailable, "%w", o).Retryable() }

// unwritable says that a database's error stands against every write, not against one: no
// room, no file, an error of the disk, or a server that only reads.
func unwritable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// insufficient_resources, system_error, read_only_sql_transaction
		return strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "58") || pg.Code == "25006"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case 8, 10, 13, 14: // READONLY, IOERR, FULL, CANTOPEN
			return true
		}
	}
	return false
}

// trial looks whether the store can be written again: it adds a row that takes as much
// room as a larger commit, deletes it, and commits that, so that nothing of it is ever seen.
func (w *writer) trial() {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	err := w.begin(ctx)
	if err == nil {
		room := make([]byte, 64<<10)
		_, _ = rand.Read(room)
		for _, step := range []struct {
			query string
			args  []any
		}{
			{`insert into idempotency (caller, key, path, body_digest, status, header, answer, created_at) values ('', '', '', '', 0, '', $1, 0)`, []any{room}},
			{`delete from idempotency where caller = '' and key = ''`, nil},
			{`commit`, nil},
		} {
			if _, err = w.conn.ExecContext(ctx, step.query, step.args...); err != nil {
				err = storeError(step.query, err)
				w.rollback(ctx)
				break
			}
		}
	}
	if err != nil {
		_ = w.db.outages.failed(err)
		return
	}
	w.db.outages.end()
}
