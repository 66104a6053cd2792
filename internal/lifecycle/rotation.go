package lifecycle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	lookAgain    = time.Minute      // between two looks at where a system's credential is kept
	notBefore    = time.Second      // between two looks that refusals ask for
	renewalLimit = 30 * time.Second // for another driver to be opened and identified
)

// Given are a system's options as they were read.
type Given struct {
	Options map[string]string
	Secrets map[string]tenure.Secret
	Since   time.Time // when the last of the secrets was put where it is kept; zero where no place says it
}

// all are the secrets.
func (g Given) all() []tenure.Secret { return slices.Collect(maps.Values(g.Secrets)) }

// ReadOptions reads a system's options, secrets and others apart: those that are kept
// elsewhere from there, and what isn't given as its default.
func ReadOptions(ctx context.Context, name string, info connector.Info, set SystemSettings, from *secret.Reader) (Given, error) {
	if err := CheckOptions(name, info, set); err != nil {
		return Given{}, err
	}
	g := Given{Options: make(map[string]string), Secrets: make(map[string]tenure.Secret)}
	maps.Copy(g.Options, set.Options)
	maps.Copy(g.Secrets, set.Secrets)
	for _, o := range info.Options {
		place := set.Kept[o.Name]
		if place.IsZero() {
			if _, given := g.Options[o.Name]; !given && o.Default != "" {
				g.Options[o.Name] = o.Default
			}
			continue
		}
		v, err := from.Read(ctx, place)
		switch {
		case err != nil && tenure.CanRetry(err):
			return g, tenure.Errorf(tenure.CodeOf(err), "systems.yaml: option %s of system %q: %w", o.Name, name, err).Retryable()
		case err != nil:
			return g, tenure.Errorf(tenure.CodeOf(err), "systems.yaml: option %s of system %q: %w", o.Name, name, err)
		case !o.Secret:
			g.Options[o.Name] = v.Reveal()
			continue
		}
		g.Secrets[o.Name] = v.Secret
		if v.Since.After(g.Since) {
			g.Since = v.Since
		}
	}
	return g, nil
}

// digest is what tells two readings apart, under a key of the keystore.
func (s *Service) digest(g Given) string {
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte("tenure system credential v1"))
	say := func(kind, name, value string) {
		fmt.Fprintf(m, "\x00%s\x00%s\x00%d\x00%s", kind, name, len(value), value)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Options)) {
		say("option", name, g.Options[name])
	}
	for _, name := range slices.Sorted(maps.Keys(g.Secrets)) {
		say("secret", name, g.Secrets[name].Reveal())
	}
	return hex.EncodeToString(m.Sum(nil))
}

// driver opens a system's driver with what was read.
func (s *Service) driver(ctx context.Context, name string, info connector.Info, g Given) (connector.Driver, error) {
	d, err := info.Open(ctx, connector.Config{
		System: name, Options: g.Options, Secrets: g.Secrets, Now: s.o.Now,
		Marker: connector.Marker{Installation: s.o.Installation, System: name, Key: s.mac},
		Safe:   safe{s, name},
	})
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "open system %s: %w", name, connector.NewVeil(g.all()...).Err(err))
	}
	return d, nil
}

// renewals are the systems whose credential can be read again.
type renewals struct {
	mu sync.Mutex
	by map[string]*renewal
}

func (r *renewals) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, name)
}

// renewal is where one system's credential stands.
type renewal struct {
	mu     sync.Mutex // one renews at a time
	sys    *connector.System
	digest string    // of what it was opened with
	asked  time.Time // when a refusal had its place looked at
	looked time.Time // when the clock did
}

// opened notes what a system was opened with, and has it look for another credential when
// it may be refused.
func (s *Service) opened(sys *connector.System, g Given) {
	r := &renewal{sys: sys, digest: s.digest(g)}
	s.renewals.mu.Lock()
	if s.renewals.by == nil {
		s.renewals.by = make(map[string]*renewal)
	}
	s.renewals.by[sys.Name] = r
	s.renewals.mu.Unlock()
	if len(s.o.Settings[sys.Name].Kept) == 0 {
		return
	}
	sys.Renew = func(ctx context.Context) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if now := s.Now(); now.Sub(r.asked) >= notBefore {
			r.asked = now
			_, _ = s.renew(ctx, r, "")
		}
	}
}

// RotateSystem reads a system's credential again from where it is kept, and has it take
// over if it is another one: the system is opened with it beside the old one, must be the
// recorded one and show the sentinel, and what is under way ends on the old one. One that
// is refused isn't taken over, which is an error and a finding; the old one goes on.
func (s *Service) RotateSystem(ctx context.Context, name, by string) (changed bool, err error) {
	if err := person(by); err != nil {
		return false, err
	}
	sys, err := s.system(ctx, name)
	if err != nil {
		return false, err
	}
	s.renewals.mu.Lock()
	r := s.renewals.by[name]
	s.renewals.mu.Unlock()
	if r == nil || r.sys != sys {
		return false, tenure.Errorf(tenure.Conflict, "system %s was opened anew meanwhile", name).WithHint("ask again").Retryable()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.renew(ctx, r, by)
}

// credentialFinding is the finding at a system's credential.
func (s *Service) credentialFinding(system, field string) tenure.Finding {
	now := s.Now()
	return tenure.Finding{ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingCredential, Severity: tenure.High, System: system, Name: system, Field: field, SeenAt: now}
}

// renew does what RotateSystem says, for who holds r.
func (s *Service) renew(ctx context.Context, r *renewal, by string) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewalLimit)
	defer cancel()
	name := r.sys.Name
	unread, refused := s.credentialFinding(name, "source"), s.credentialFinding(name, "new credential")
	g, err := ReadOptions(ctx, name, r.sys.Info, s.o.Settings[name], s.o.Secrets)
	if err != nil {
		unread.Severity, unread.Detail = tenure.Medium, "the credential of "+name+" can't be read from where it is kept, so that another one wouldn't be seen; the one in use goes on: "+err.Error()
		return false, errors.Join(err, s.keepFinding(ctx, unread))
	}
	if err := s.resolve(ctx, unread); err != nil {
		return false, err
	}
	digest := s.digest(g)
	if digest == r.digest {
		return false, errors.Join(s.resolve(ctx, refused), s.sinceWhen(ctx, name, digest, g.Since, ""))
	}
	// A driver may keep the context that it was opened with.
	d, err := s.driver(context.WithoutCancel(ctx), name, r.sys.Info, g)
	if err == nil {
		err = r.sys.Swap(ctx, d, g.all()...)
	}
	if err != nil {
		refused.Detail = "the new credential of " + name + " isn't taken over, and the old one goes on as long as it works: " + err.Error()
		err = tenure.Errorf(tenure.Blocked, "the new credential of system %s isn't taken over: %w", name, err).WithHint("the old one goes on as long as it works; mend the new one where it is kept, then: tenure system rotate %s", name)
		return false, errors.Join(err, s.keepFinding(ctx, refused))
	}
	r.digest = digest
	return true, errors.Join(s.resolve(ctx, refused), s.sinceWhen(ctx, name, digest, g.Since, by))
}

// sinceWhen records since when a system has its credential, once, with an entry if it is
// another one than was recorded.
func (s *Service) sinceWhen(ctx context.Context, name, digest string, since time.Time, by string) error {
	all, err := s.o.DB.SystemCredentials(ctx)
	if err != nil || all[name].Digest == digest {
		return err
	}
	now := s.Now()
	if since.IsZero() || since.After(now) {
		since = now
	}
	row := store.SystemCredential{System: name, Digest: digest, Since: since, First: all[name].First, RotatedBy: by}
	if all[name].Digest == "" { // the first that is seen was rotated by nobody
		row.First = since
		return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.SaveSystemCredential(row) })
	}
	places := make([]string, 0, 2)
	for _, o := range slices.Sorted(maps.Keys(s.o.Settings[name].Kept)) {
		places = append(places, o+" from "+s.o.Settings[name].Kept[o].String())
	}
	e, err := s.entry(ctx, "system.rotate", by, "", "", name, map[string]string{"since": since.UTC().Format(time.RFC3339), "places": strings.Join(places, ", ")})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveSystemCredential(row); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

func (s *Service) keepFinding(ctx context.Context, f tenure.Finding) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.SaveFinding(f) })
}

// resolve closes a finding if it is open; most of the time there is none.
func (s *Service) resolve(ctx context.Context, f tenure.Finding) error {
	open, err := s.o.DB.FindingsPage(ctx, store.FindingFilter{Kind: f.Kind, Limit: 10_000})
	if err != nil || !slices.ContainsFunc(open, func(o tenure.Finding) bool {
		return o.System == f.System && o.Resource == f.Resource && o.Name == f.Name && o.Field == f.Field
	}) {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.ResolveFinding(f, s.Now()) })
}

// TickCredentials looks again at where the systems' credentials are kept, once a minute,
// and has others take over.
func (s *Service) TickCredentials(ctx context.Context, now time.Time) error {
	failed := []error{s.o.Secrets.Keep(ctx)}
	s.renewals.mu.Lock()
	all := slices.Collect(maps.Values(s.renewals.by))
	s.renewals.mu.Unlock()
	for _, r := range all {
		if ctx.Err() != nil {
			break
		}
		r.mu.Lock()
		if now.Sub(r.looked) >= lookAgain {
			r.looked = now
			if _, err := s.renew(ctx, r, ""); err != nil && tenure.CodeOf(err) == tenure.Internal {
				failed = append(failed, err) // what else fails is a finding
			}
		}
		r.mu.Unlock()
	}
	return errors.Join(failed...)
}
