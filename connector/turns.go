package connector

import "sync"

// Turns keeps two calls on one thing of a system apart. The zero value is ready for use.
type Turns struct {
	mu  sync.Mutex
	all map[[2]string]*turn // of things that somebody has the turn of, or waits for
}

type turn struct {
	sync.Mutex
	askers int
}

// Take waits until no other call has the thing's turn, and gives what ends this one.
func (t *Turns) Take(typ, name string) (end func()) {
	key := [2]string{typ, name}
	t.mu.Lock()
	if t.all == nil {
		t.all = make(map[[2]string]*turn)
	}
	one := t.all[key]
	if one == nil {
		one = new(turn)
		t.all[key] = one
	}
	one.askers++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.askers--; one.askers == 0 {
			delete(t.all, key)
		}
	}
}
