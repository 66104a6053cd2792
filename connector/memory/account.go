package memory

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// live are the types that sign in, call or send.
var live = []string{"account", "api_key", "integration", "session"}

// Accounts yields every thing that gives access. Accounts and keys tell when they were
// used last.
func (d *Driver) Accounts(ctx context.Context, yield func(connector.Account) error) (connector.Sighting, error) {
	w := d.world
	f, err := w.begin(ctx, "accounts")
	if err != nil {
		return connector.Sighting{}, err
	}
	var seen []connector.Account
	w.mu.RLock()
	for _, k := range w.sorted() {
		if slices.Contains(live, k.typ) {
			seen = append(seen, d.account(w.things[k]))
		}
	}
	sight := d.sighting(f.partial())
	w.mu.RUnlock()
	if f.partial() {
		seen = seen[:len(seen)/2]
	}
	for _, a := range seen {
		if ctx.Err() != nil {
			return connector.Sighting{}, ended(ctx, "accounts")
		}
		if err := yield(a); err != nil {
			return connector.Sighting{}, err
		}
	}
	if f.partial() {
		return sight, nil
	}
	return sight, f.end(nil)
}

func (d *Driver) account(t *Thing) connector.Account {
	a := connector.Account{
		Type: t.Type, Name: t.Name, ExternalIDs: t.Externals, Enabled: t.State == tenure.ResourcePresent,
		Seen: t.SeenAt, Tells: t.Type == "account" || t.Type == "api_key", Created: t.CreatedAt,
		Disable: []string{"set the state of " + t.Type + " " + t.Name + " to suspended"}, Remove: []string{"remove " + t.Type + " " + t.Name + " from the world"},
	}
	if a.Resource, a.Owner = d.read(t); a.Owner != connector.Ours {
		a.Resource = ""
	}
	var in struct{ Email string }
	if json.Unmarshal(t.Attributes, &in) == nil && in.Email != "" {
		a.Mails = []string{in.Email}
	}
	return a
}
