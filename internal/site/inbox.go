package site

import (
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// inboxFor is how old what a page says of the caller's inbox may be. The inbox's
// own page is always fresh, and so is the first page after a change of the
// caller's own.
const inboxFor = 5 * time.Second

// inboxes keep, for a moment, what waits for each caller: every page shows how
// much it is, and to read it means to look at every gate that waits.
type inboxes struct {
	mu   sync.Mutex
	kept map[string]*inbox
}

type inbox struct {
	busy  sync.Mutex // who holds it reads
	at    time.Time
	items []client.Waiting
}

// maxInboxes bounds how many callers' are kept.
const maxInboxes = 1000

func (s *inboxes) of(who string) *inbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= maxInboxes {
		s.kept = make(map[string]*inbox)
	}
	b := s.kept[who]
	if b == nil {
		b = &inbox{}
		s.kept[who] = b
	}
	return b
}

func (s *inboxes) drop(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, who)
}

// whose names a caller as they came in: another session may be a stronger one.
func (v *visit) whose() string { return string(v.caller.Session) + string(v.caller.Token) }

// inbox is what waits for who looks, the oldest first, as far as a badge counts.
// One request of theirs reads it, and the others wait for that.
func (v *visit) inbox() []client.Waiting {
	if v.mine != nil {
		return *v.mine
	}
	b := v.s.inboxes.of(v.whose())
	now := v.s.o.Governor.Now()
	b.busy.Lock()
	defer b.busy.Unlock()
	if age := now.Sub(b.at); b.at.IsZero() || age < 0 || age >= inboxFor {
		p := client.InboxParams{}
		p.Limit = maxBadge
		if list, err := ask(v, client.ListApprovals, p); err == nil {
			b.items, b.at = list.Items, now
		}
	}
	items := b.items
	v.mine = &items
	return items
}

// inboxed is a gate that waits for the caller's signature, if it does.
func (v *visit) inboxed(op tenure.OperationID, gate string) (client.Waiting, bool) {
	for _, w := range v.inbox() {
		if w.Kind == "approval" && w.ID == string(op) && w.Gate == gate {
			return w, true
		}
	}
	return client.Waiting{}, false
}

// waiting counts what waits for who looks, for the navigation.
func (v *visit) waiting() int { return len(v.inbox()) }

// needs lists the first of what waits for who looks.
func (v *visit) needs(n int) []dashboard.Need {
	items := v.inbox()
	var out []dashboard.Need
	for _, w := range items[:min(n, len(items))] {
		out = append(out, needOf(w))
	}
	return out
}
