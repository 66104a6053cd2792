package store

import (
	"sync"
	"time"

	"github.com/tenurehq/tenure"
)

// reservations are what Due has handed out on SQLite, where no other process looks:
// kept in memory, a look that finds something commits nothing by itself.
type reservations struct {
	mu    sync.Mutex
	until map[tenure.OperationID]time.Time
	keep  map[tenure.OperationID]time.Time // see DB.Keep
}

// take reserves those of the found operations that aren't, at most limit.
func (r *reservations) take(found []tenure.OperationID, limit int, reserve time.Duration) (ids []tenure.OperationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for id, until := range r.until {
		if now.After(until) {
			delete(r.until, id)
		}
	}
	for _, id := range found {
		if _, taken := r.until[id]; taken || len(ids) == limit {
			continue
		}
		if r.until == nil {
			r.until = make(map[tenure.OperationID]time.Time)
		}
		r.until[id] = now.Add(reserve)
		ids = append(ids, id)
	}
	return ids
}

// held is how many are reserved, at most.
func (r *reservations) held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.until)
}

// Free ends an operation's reservation: who was handed it has looked, or has
// committed. On PostgreSQL the commit alone does that.
func (db *DB) Free(id tenure.OperationID) {
	db.handed.mu.Lock()
	defer db.handed.mu.Unlock()
	delete(db.handed.until, id)
}

// Keep has Due hand out an operation at a time of its clock to this process, which has
// reserved it until then with its last commit (StepCommit.Keep). On SQLite there is no
// other process.
func (db *DB) Keep(id tenure.OperationID, due time.Time) {
	if db.Dialect == SQLite {
		return
	}
	db.handed.mu.Lock()
	defer db.handed.mu.Unlock()
	if db.handed.keep == nil {
		db.handed.keep = make(map[tenure.OperationID]time.Time)
	}
	db.handed.keep[id] = due.Truncate(time.Microsecond) // as the row has it
}

// kept takes those of the kept operations whose time has come, at most limit.
func (r *reservations) kept(now time.Time, limit int) (ids []tenure.OperationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, due := range r.keep {
		if len(ids) < limit && !due.After(now) {
			ids = append(ids, id)
			delete(r.keep, id)
		}
	}
	return ids
}
