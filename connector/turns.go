package connector

import (
	"hash/fnv"
	"sync"
)

// Turns keeps two calls on one thing of a system apart, for drivers whose systems don't.
// Different things may share a turn. The zero value is ready for use.
type Turns struct{ locks [64]sync.Mutex }

// Take waits until no other call has the thing's turn, and gives what ends this one.
func (t *Turns) Take(typ, name string) (end func()) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(typ + "/" + name))
	m := &t.locks[h.Sum32()%uint32(len(t.locks))]
	m.Lock()
	return m.Unlock
}
