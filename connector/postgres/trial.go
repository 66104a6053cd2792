package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure/connector/relational"
)

// trials remembers which erasures went well on empty copies.
type trials struct {
	mu   sync.Mutex
	when map[[sha256.Size]byte]time.Time
}

// trialAge is how long a trial speaks for others like it.
const trialAge = time.Hour

func (t *trials) has(trial [sha256.Size]byte, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.when[trial]
	return ok && now.Sub(at).Abs() < trialAge
}

func (t *trials) add(trial [sha256.Size]byte, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.when == nil || len(t.when) > 1000 {
		t.when = make(map[[sha256.Size]byte]time.Time)
	}
	t.when[trial] = now
}

// trialOf is the digest of all that a trial goes by, save the name of the tenant's
// schema. Only a store of plain tables in one schema has one: nothing outside of it, no
// code, nothing that Tenure's role doesn't see, and columns of the server's own types
// alone, since a trial says nothing of another tenant's.
func trialOf(h *relational.Holding) (digest [sha256.Size]byte, ok bool) {
	if len(h.Tables) == 0 || len(h.Tables) > crowdOf {
		return digest, false
	}
	home := h.Tables[0].Table.Schema
	sum := sha256.New()
	for _, r := range h.Tables {
		t := r.Table
		if t.Schema != home || !h.Own(t.TableName) || t.Code || t.Hidden || t.Alien || t.Parts || r.Where() != "true" {
			return digest, false
		}
		for _, c := range t.Columns {
			if strings.ContainsAny(c.Type+c.Equal, `."`) || c.Locator { // a type with a schema's name is somebody's
				return digest, false
			}
		}
		t.Schema = ""
		fmt.Fprintf(sum, "table %q of %q\n", fmt.Sprintf("%#v", t), h.Classes[r.Table.TableName])
	}
	for _, k := range h.Graph.Keys() {
		if _, ok := h.Table(k.Parent); !ok {
			continue
		}
		if _, ok := h.Table(k.Child); !ok {
			return digest, false
		}
		k.Child.Schema, k.Parent.Schema = "", ""
		fmt.Fprintf(sum, "key %q\n", fmt.Sprintf("%#v", k))
	}
	sum.Sum(digest[:0])
	return digest, true
}

// repeatable says that a trial would meet nothing but the tables: no event trigger is
// there, and Tenure's role may make a schema.
func repeatable(ctx context.Context, s *session) (bool, error) {
	said, err := textsOf(ctx, s, "select (not exists (select from pg_event_trigger) and has_database_privilege(current_database(), 'create'))::text")
	return err == nil && s.deputy == nil && said[0] == "true", err
}
