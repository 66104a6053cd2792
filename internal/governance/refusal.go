package governance

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Refusal is a request that was refused at the door. It names the one who is known to
// have asked; of who isn't known it has the address, and never a name that they gave.
type Refusal struct {
	Principal string
	Address   string
	Route     string // "POST /v1/operations/{operation}/approve"
	Status    int    // 401, 403, 404 of what they may not know of, 429
}

const (
	aFew          = 3    // wrong credentials of one address within a minute that are slips
	mostStrangers = 500  // addresses and routes of a minute that are told apart
	mostKnown     = 5000 // principals and routes likewise
	elsewhere     = "many addresses"
	anyRoute      = "many routes"
)

// refusals counts refusals, one count for each caller or address, route and minute, so
// that a flood of them costs a row and not the disk.
type refusals struct {
	mu     sync.Mutex
	counts map[refusalKey]*refusalCount
}

type refusalKey struct {
	principal, address, route string
	minute                    int64
}

type refusalCount struct {
	statuses map[int]int
	written  int // the sum as it was last written
}

func (c *refusalCount) sum() (n int) {
	for _, k := range c.statuses {
		n += k
	}
	return n
}

// slip says that there is nothing to tell: a person may mistype a credential.
func (c *refusalCount) slip() bool {
	return c.sum() <= aFew && c.statuses[http.StatusForbidden]+c.statuses[http.StatusTooManyRequests] == 0
}

// Refuse counts a refusal. What it comes to is written down by TickRefusals.
func (g *Governor) Refuse(r Refusal) {
	key := refusalKey{principal: tenure.PersonKey(r.Principal), route: r.Route, minute: g.Now().Unix() / 60}
	if key.principal == "" {
		key.address = r.Address
	}
	s := &g.refusals
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[key]
	if c == nil {
		known, strangers := 0, 0
		for k := range s.counts {
			if k.principal != "" {
				known++
			} else if k.minute == key.minute {
				strangers++
			}
		}
		switch {
		case key.principal == "" && strangers >= mostStrangers:
			key.address, key.route = elsewhere, anyRoute
		case known >= mostKnown:
			key.route = anyRoute
		}
		if c = s.counts[key]; c == nil {
			c = &refusalCount{statuses: make(map[int]int)}
			s.counts[key] = c
		}
	}
	c.statuses[r.Status]++
}

// TickRefusals writes down what was counted since the last time, as access events.
func (g *Governor) TickRefusals(ctx context.Context, now time.Time) error {
	events := g.refusals.due(now)
	if len(events) == 0 {
		return nil
	}
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			if err := tx.CountAccess(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// due gives the counts that have grown, and forgets those of minutes that are over.
func (s *refusals) due(now time.Time) (out []store.AccessEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range s.counts {
		if n := c.sum(); n > c.written && !c.slip() {
			c.written = n
			out = append(out, k.event(c))
		}
		if k.minute < now.Unix()/60-1 {
			delete(s.counts, k)
		}
	}
	slices.SortFunc(out, func(a, b store.AccessEvent) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (k refusalKey) event(c *refusalCount) store.AccessEvent {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", k.principal, k.address, k.route, k.minute))
	e := store.AccessEvent{ID: hex.EncodeToString(sum[:12]), At: time.Unix(k.minute*60, 0).UTC(), Kind: tenure.EventDenied, Principal: k.principal}
	if k.principal == "" {
		e.Kind = tenure.EventRefused
	}
	d := tenure.RefusalsCounted{Route: k.route, Address: k.address, Count: c.sum(), Statuses: make(map[string]int)}
	for status, n := range c.statuses {
		d.Statuses[fmt.Sprint(status)] = n
	}
	e.Detail = d.String()
	return e
}
