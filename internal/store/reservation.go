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
