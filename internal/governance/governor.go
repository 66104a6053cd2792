// Package governance says who somebody is and what they may do: principals,
// grants, tokens and sessions, the policies that deny further, elevation, access
// reviews. Separation of duties at gates and holds isn't here but in the root
// package and in lifecycle, where no policy can switch it off.
package governance

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/identity"
	"github.com/tenurehq/tenure/internal/store"
)

// Options are what a Governor is made of. DB, Now and Entry are needed.
type Options struct {
	DB  *store.DB
	Now func() time.Time
	// Entry makes an audit entry whose person is sealed under the evidence key.
	Entry func(ctx context.Context, kind, by string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error)
	// Policies may deny what grants allow; nil denies nothing.
	Policies Policies
	SignIn   *identity.Provider // nil: people sign in with one-time codes alone
	// SessionFor and Idle bound a session; zero is 12 hours, and 1 hour unused.
	SessionFor time.Duration
	Idle       time.Duration
	// System gives an added system, for logins of elevations; nil: there are none.
	System func(ctx context.Context, name string) (*connector.System, error)
	// Elevation bounds elevations; zero fields take their defaults.
	Elevation tenure.ElevationLimits
	// Schedules are access reviews that open by themselves.
	Schedules []Schedule
}

// Policies are what may deny further: it names the policies that deny, or why
// they couldn't be asked, which denies too.
type Policies interface {
	Denies(c tenure.Caller, p tenure.Permission, t tenure.Target, now time.Time) []string
}

// Governor answers who and whether. Its methods may be called from any goroutine.
type Governor struct {
	o Options

	mu   sync.Mutex
	seen map[string]time.Time // when a token or session was last written down as used

	sweeps    sweeps
	refusals  refusals
	scheduled schedules // of TickReviews alone
}

// New puts a Governor together.
func New(o Options) *Governor {
	if o.SessionFor <= 0 {
		o.SessionFor = 12 * time.Hour
	}
	if o.Idle <= 0 {
		o.Idle = time.Hour
	}
	o.Elevation = o.Elevation.WithDefaults()
	return &Governor{o: o, seen: make(map[string]time.Time), refusals: refusals{counts: make(map[refusalKey]*refusalCount)}}
}

// Now is the governor's time, in whole microseconds UTC.
func (g *Governor) Now() time.Time { return g.o.Now().UTC().Truncate(time.Microsecond) }

// Local is the caller who opened the installation's folder or its socket. The
// name is asserted.
func Local(name string) tenure.Caller { return tenure.Caller{Kind: tenure.CallerLocal, Name: name} }

// Asserted is Local under the principal's own spelling of the name, if it is one's.
func (g *Governor) Asserted(ctx context.Context, name string) (tenure.Caller, error) {
	c := Local(name)
	p, err := g.o.DB.Principal(ctx, name)
	switch tenure.CodeOf(err) {
	case "":
		c.Name = p.Name
	case tenure.NotFound:
		err = nil
	}
	return c, err
}

// Named is who an asserted name stands for: the principal with that name and what
// their own grants let them do, with a strong sign-in. Another caller, and a name that
// is no principal's, stay as they are; who is disabled has no grants.
func (g *Governor) Named(ctx context.Context, c tenure.Caller) (tenure.Caller, error) {
	if c.Kind != tenure.CallerLocal {
		return c, nil
	}
	p, err := g.o.DB.Principal(ctx, c.Name)
	if tenure.CodeOf(err) == tenure.NotFound {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	named, err := g.caller(ctx, p.ID, g.Now())
	if err == errUnknown {
		named, err = tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Owner: p.Owner, Grants: []tenure.Grant{}}, nil
	}
	named.Strong = p.Kind == tenure.CallerPerson
	return named, err
}

// Target is what scopes look at of a tenant, by id or name. An unknown tenant is
// NotFound.
func (g *Governor) Target(ctx context.Context, tenant string) (tenure.Target, error) {
	t, err := g.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return tenure.Target{}, err
	}
	return TargetOf(t), nil
}

// TargetOf is what scopes look at of a tenant.
func TargetOf(t store.TenantRow) tenure.Target {
	return tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels}
}

// Require refuses what the caller may not do: NotFound where they may not even
// know of the target, as if it weren't there; Forbidden, with the reason, where
// they may. What somebody may do beyond reading is compared with the log, and
// Blocked where it was written into the store past it.
func (g *Governor) Require(ctx context.Context, c tenure.Caller, p tenure.Permission, t tenure.Target) error {
	d := g.Decide(ctx, c, p, t)
	switch {
	case d.Allowed && (p.Reads() || c.Kind == tenure.CallerLocal):
		return nil
	case d.Allowed:
		return g.o.DB.VouchedCaller(ctx, c, g.still(ctx, c))
	case !d.Visible && t.Tenant != "":
		return Hidden()
	}
	return tenure.Errorf(tenure.Forbidden, "%s may not %s: %s", c.Name, p, d.Why)
}

// Hidden is the one answer for what isn't there and for what the caller may not
// know of.
func Hidden() error { return tenure.Errorf(tenure.NotFound, "there is no such thing, or not for you") }

// Decide says whether, and why: grants allow, and policies may deny what they
// allow. A caller of the folder itself has its keys, so no policy binds them.
func (g *Governor) Decide(_ context.Context, c tenure.Caller, p tenure.Permission, t tenure.Target) tenure.Decision {
	d := c.Decide(p, t)
	if !d.Allowed || c.Kind == tenure.CallerLocal || g.o.Policies == nil {
		return d
	}
	if denied := g.o.Policies.Denies(c, p, t, g.Now()); len(denied) > 0 {
		d.Allowed, d.Denied = false, denied
		d.Why = "denied by " + joinWords(denied)
	}
	return d
}

// Visible are the tenants over which the caller has a permission.
func (g *Governor) Visible(c tenure.Caller, p tenure.Permission) store.Visible {
	reach, limit := c.Reach(p)
	return store.Visible{Reach: reach, Limit: limit}
}

// RequireScope refuses what the caller may not do over a whole scope: it must lie
// within theirs, and no policy may deny any of what it names.
func (g *Governor) RequireScope(ctx context.Context, c tenure.Caller, p tenure.Permission, s tenure.Scope) error {
	if err := s.Check(); err != nil {
		return err
	}
	reach, limit := c.Reach(p)
	if !s.Within(reach) || !s.Within(limit) {
		return tenure.Errorf(tenure.Forbidden, "%s may %s over %s, not over %s", c.Name, p, reach, s)
	}
	if s.All {
		return g.Require(ctx, c, p, tenure.Target{})
	}
	var targets []tenure.Target
	for _, id := range s.Tenants {
		t, err := g.Target(ctx, string(id))
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	for _, tier := range s.Tiers {
		targets = append(targets, tenure.Target{Tenant: "ten_any", Tier: tier})
	}
	for _, l := range s.Labels {
		k, v, _ := strings.Cut(l, "=")
		targets = append(targets, tenure.Target{Tenant: "ten_any", Labels: map[string]string{k: v}})
	}
	for _, t := range targets {
		if err := g.Require(ctx, c, p, t); err != nil {
			return err
		}
	}
	return nil
}
