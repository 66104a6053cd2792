package installation

import (
	"context"
	"net/url"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/guard"
	"github.com/tenurehq/tenure/internal/identity"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
)

// SignIn says with which identity provider people sign in.
type SignIn struct {
	Issuer       string        `yaml:"issuer"`
	ClientID     string        `yaml:"clientId"`
	ClientSecret string        `yaml:"clientSecret"` // where it is kept: env:, file: or vault:
	StrongAMR    []string      `yaml:"strongAmr"`
	StrongACR    []string      `yaml:"strongAcr"`
	MaxAge       time.Duration `yaml:"maxAge"`
}

// Sessions bound how long people stay signed in.
type Sessions struct {
	For  time.Duration `yaml:"for"`  // default 12h
	Idle time.Duration `yaml:"idle"` // default 1h
}

// CallbackPath is where the identity provider sends people back to.
const CallbackPath = "/sign-in/callback"

// governor puts together who may do what.
func governor(ctx context.Context, from *secret.Reader, db *store.DB, svc *lifecycle.Service, policies *guard.Live, set Settings, now func() time.Time) (*governance.Governor, error) {
	limits, err := set.Elevation.limits()
	if err != nil {
		return nil, err
	}
	o := governance.Options{DB: db, Now: now, Entry: svc.Entry, Policies: policies, SessionFor: set.Sessions.For, Idle: set.Sessions.Idle, System: svc.System, Elevation: limits}
	if o.Schedules, err = reviewSchedules(set.Reviews); err != nil {
		return nil, err
	}
	if set.URL != "" {
		u, err := url.Parse(set.URL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: url is not an http(s) address without a user")
		}
	}
	if set.SignIn != nil {
		p, err := set.SignIn.provider(ctx, from, set.URL, now)
		if err != nil {
			return nil, err
		}
		o.SignIn = p
	}
	return governance.New(o), nil
}

func (s *SignIn) provider(ctx context.Context, from *secret.Reader, base string, now func() time.Time) (*identity.Provider, error) {
	if base == "" {
		return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: signIn needs url, the address that people reach this server at")
	}
	shared, indirectly, err := indirect(ctx, from, s.ClientSecret)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: signIn.clientSecret: %w", err)
	}
	if s.ClientSecret != "" && !indirectly {
		return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: signIn.clientSecret stands in clear").WithHint("write %s", secret.Notations)
	}
	back, err := url.JoinPath(base, CallbackPath)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: url: %w", err)
	}
	p, err := identity.Open(identity.Settings{
		Issuer: s.Issuer, ClientID: s.ClientID, ClientSecret: tenure.NewSecret(shared), RedirectURL: back,
		StrongAMR: s.StrongAMR, StrongACR: s.StrongACR, MaxAge: s.MaxAge,
	}, now)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: signIn: %w", err)
	}
	return p, nil
}

// policiesFolder is where Cedar policies are, if there are any.
func policiesFolder(dir string, set Settings) string {
	if set.Policies == "" {
		return filepath.Join(dir, "policies")
	}
	if filepath.IsAbs(set.Policies) {
		return set.Policies
	}
	return filepath.Join(dir, set.Policies)
}

// Tick is one part of what time alone makes due. It is idempotent, and cheap when
// nothing is.
type Tick struct {
	Name string
	Do   func(ctx context.Context, now time.Time) error
}

// Ticks are the parts, in the order of their turn.
func (i *Installation) Ticks() []Tick {
	return []Tick{
		{"heartbeat", func(context.Context, time.Time) error { return i.Clock().Beat() }},
		{"elevations", i.Governor.TickElevations},
		{"approvals", i.inTime(i.Service.TickApprovals)},
		{"holds", i.inTime(i.Service.TickHolds)},
		{"reviews", i.inTime(i.Governor.TickReviews)},
		{"revocations", i.Service.TickRevocations}, // after reviews: what they decided
		{"agreements", i.inTime(i.Service.TickAgreements)},
		{"ahead", i.inTime(i.Service.TickAhead)},
		{"leases", i.inTime(i.Service.TickLeases)},
		{"checklist", i.inTime(i.Service.TickChecklist)},
		{"leaves", i.inTime(i.Service.TickLeaves)},
		{"vendors", i.inTime(i.Service.TickVendors)},
		{"refusals", i.Governor.TickRefusals}, // before anomalies: they look at them
		{"anomalies", i.watcher.Tick},
		{"figures", i.Service.TickFigures},
		{"blocks", i.Service.TickBlocks},
		{"incidents", i.Service.TickIncidents}, // after blocks: they are incidents too
		{"cost", i.Service.TickCost},
		{"closed", i.inTime(i.Service.TickSought)},
		{"forgotten", i.inTime(i.Service.TickForget)},
		{"isolation", i.Service.TickProbes},
		{"credentials", i.Service.TickCredentials},
		{"secrets", i.Service.TickSecrets},
		{"acknowledgements", i.inTime(i.Service.TickAcknowledgements)},
	}
}

// inTime leaves a part out while the time or the store is in doubt: it takes something away for good
// because a date has come. Elevations end all the same: whose ended too early asks again.
func (i *Installation) inTime(do func(context.Context, time.Time) error) func(context.Context, time.Time) error {
	return func(ctx context.Context, now time.Time) error {
		if i.Service.Doubt() != "" {
			return nil
		}
		return do(ctx, now)
	}
}

// AskMore lets what stands out ask for one more person at the gates that wait
// (see docs/access.md, anomalies).
func (i *Installation) AskMore() { i.Service.Engine.Extra = i.watcher.ExtraApprovals }
