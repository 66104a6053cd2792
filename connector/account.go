package connector

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Account is one thing in a system that can sign in, call, send or run, whoever's it
// is: a user, a role that logs in, an API key, a session, a webhook, a job. It holds no
// secret.
type Account struct {
	Type string // a resource type of the connector's
	Name string // as Observed.Name
	ID   string // the system's own, "" where the name is it

	Owner    Ownership
	Resource tenure.ResourceID // from the owner mark; "" if it bears none of ours

	Mails       []string // addresses, as the system has them
	ExternalIDs []string // what other systems, or customers, call it; no owner marks

	Enabled bool // it can be used now
	// Seen is when it was last used to sign in, zero for never. It says nothing unless
	// Tells: many systems don't keep it, or don't show it.
	Seen    time.Time
	Tells   bool
	Created time.Time // zero where the system doesn't tell

	// Disable and Remove are what a person does there by hand, one step each, exactly:
	// a request, a statement. Empty where that can't be said.
	Disable []string
	Remove  []string
}

// Enumerator lists every account in the system in one pass, marked or not, ordered by
// (type, name) in byte order. It leaves out the account that Tenure itself signs in
// with, what Tenure keeps there for itself, and the system's own built-in ones. It reads
// in bulk and changes nothing.
type Enumerator interface {
	Accounts(ctx context.Context, yield func(Account) error) (Sighting, error)
}

// Accounts streams every account, and says whether the pass can be trusted. A system
// that can't list them is Invalid.
func (s *System) Accounts(ctx context.Context, yield func(Account) error) (trusted error, err error) {
	if !is[Enumerator](s) {
		return nil, tenure.Errorf(tenure.Invalid, "system %s (%s) can't list accounts", s.Name, s.Info.Name)
	}
	return s.pass(ctx, "accounts", "some of its accounts", func(d Driver, handed *bool) (Sighting, error) {
		return d.(Enumerator).Accounts(ctx, func(a Account) error {
			*handed = true
			for _, steps := range [][]string{a.Disable, a.Remove} {
				for i := range steps {
					steps[i] = s.veil().Text(steps[i])
				}
			}
			return yield(a)
		})
	})
}
