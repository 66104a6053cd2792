package governance

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Credential is what a request brings: one of the two.
type Credential struct {
	Bearer  tenure.Secret // a token's text
	Session tenure.Secret // a session cookie's value
}

// tokenPrefix lets people and scanners see what a leaked text is.
const tokenPrefix = "tnr_"

// newSecret makes a text of 256 random bits and the hash that it is kept as. A
// plain SHA-256 is enough for a text that nobody can guess (NIST SP 800-63B
// §5.1.1.2 asks for slow hashes of what people choose), and what is looked up is
// the hash, so the time of a look tells nothing of the text.
func newSecret(prefix string) (tenure.Secret, []byte) {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	text := prefix + base64.RawURLEncoding.EncodeToString(raw[:])
	return tenure.NewSecret(text), hashOf(tenure.NewSecret(text))
}

func hashOf(s tenure.Secret) []byte {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return sum[:]
}

var errUnknown = tenure.Errorf(tenure.Unauthorized, "sign in first: the credential is missing, unknown or has ended").WithHint("tenure login --server URL, or a new token")

// Authenticate gives the caller whom a bearer token or a session's cookie value
// belongs to. What isn't known, has ended or was revoked is Unauthorized, and
// which of these it is isn't said.
func (g *Governor) Authenticate(ctx context.Context, c Credential) (tenure.Caller, error) {
	now := g.Now()
	switch {
	case !c.Bearer.IsZero():
		return g.byToken(ctx, c.Bearer, now)
	case !c.Session.IsZero():
		return g.bySession(ctx, c.Session, now)
	}
	return tenure.Caller{}, errUnknown
}

func (g *Governor) byToken(ctx context.Context, text tenure.Secret, now time.Time) (tenure.Caller, error) {
	if !strings.HasPrefix(text.Reveal(), tokenPrefix) || len(text.Reveal()) > 200 {
		return tenure.Caller{}, errUnknown
	}
	t, err := g.o.DB.TokenByHash(ctx, hashOf(text))
	if err != nil {
		return tenure.Caller{}, unknownOr(err)
	}
	if !t.RevokedAt.IsZero() || !now.Before(t.ExpiresAt) {
		return tenure.Caller{}, errUnknown
	}
	caller, err := g.caller(ctx, t.Principal, now)
	if err != nil {
		return tenure.Caller{}, err
	}
	caller.Token, caller.Limit, caller.Only, caller.Strong = t.ID, t.Limit, t.Only, t.Strong
	g.note(string(t.ID), now, func(tx *store.Tx) error { return tx.UseToken(t.ID, now) }, t.Principal)
	return caller, nil
}

func (g *Governor) bySession(ctx context.Context, cookie tenure.Secret, now time.Time) (tenure.Caller, error) {
	if len(cookie.Reveal()) > 200 {
		return tenure.Caller{}, errUnknown
	}
	s, err := g.o.DB.SessionByHash(ctx, hashOf(cookie))
	if err != nil {
		return tenure.Caller{}, unknownOr(err)
	}
	if !s.RevokedAt.IsZero() || !now.Before(s.ExpiresAt) || now.Sub(s.SeenAt) > g.o.Idle {
		return tenure.Caller{}, errUnknown
	}
	caller, err := g.caller(ctx, s.Principal, now)
	if err != nil {
		return tenure.Caller{}, err
	}
	caller.Session, caller.Strong = s.ID, s.Strong
	g.note(string(s.ID), now, func(tx *store.Tx) error { return tx.SeeSession(s.ID, now) }, s.Principal)
	return caller, nil
}

// unknownOr hides that a credential isn't there, and passes a store's failure.
func unknownOr(err error) error {
	if tenure.CodeOf(err) == tenure.NotFound {
		return errUnknown
	}
	return err
}

// caller reads who a principal is, and what they may do now: grants are never
// kept in memory, so that a revocation holds from the next request on.
func (g *Governor) caller(ctx context.Context, id tenure.PrincipalID, now time.Time) (tenure.Caller, error) {
	return callerIn(ctx, g.o.DB, id, now)
}

func callerIn(ctx context.Context, db *store.DB, id tenure.PrincipalID, now time.Time) (tenure.Caller, error) {
	p, err := db.Principal(ctx, string(id))
	if err != nil {
		return tenure.Caller{}, unknownOr(err)
	}
	if p.Disabled {
		return tenure.Caller{}, errUnknown
	}
	if p.Owner != "" { // nobody answers for a machine whose person was kept out
		if owner, err := db.Principal(ctx, p.Owner); err != nil || owner.Disabled {
			return tenure.Caller{}, errUnknown
		}
	}
	all, err := db.Grants(ctx, id, false)
	if err != nil {
		return tenure.Caller{}, err
	}
	c := tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Owner: p.Owner, Grants: []tenure.Grant{}}
	for _, gr := range all {
		if gr.Active(now) {
			c.Grants = append(c.Grants, gr)
		}
	}
	if p.Kind != tenure.CallerPerson {
		return c, nil
	}
	given, err := delegatedIn(ctx, db, p.Name, now)
	own := c.Grants
	for _, gr := range given { // a role that came since may conflict with what was lent before
		if tenure.CheckGrant(own, gr, now) == nil {
			c.Grants = append(c.Grants, gr)
		}
	}
	return c, err
}

// still fails in a snapshot of the store where a caller may no longer do what they could when they were let
// in, so that what let them in is what that snapshot compares with the log: Conflict, and may be tried again.
func (g *Governor) still(ctx context.Context, c tenure.Caller) func(*store.DB) error {
	return func(db *store.DB) error {
		at := g.Now()
		now, err := callerIn(ctx, db, c.Principal, at)
		if err != nil {
			return err
		}
		if c.Token != "" {
			all, err := db.Tokens(ctx, c.Principal)
			if err != nil {
				return err
			}
			for _, t := range all {
				if t.ID == c.Token && at.Before(t.ExpiresAt) {
					now.Token, now.Limit, now.Only, now.Strong = t.ID, t.Limit, t.Only, t.Strong
				}
			}
		}
		if c.Session != "" {
			all, err := db.Sessions(ctx, c.Principal, at)
			if err != nil {
				return err
			}
			for _, s := range all {
				if s.ID == c.Session {
					now.Session, now.Strong = s.ID, s.Strong
				}
			}
		}
		if c.Token == "" && c.Session == "" { // somebody whom the folder's owner has named (Named)
			now.Strong = c.Strong
		}
		if !reflect.DeepEqual(now, c) {
			return tenure.Errorf(tenure.Conflict, "what %s may do was changed at the same moment", c.Name).Retryable()
		}
		return nil
	}
}

// noteEvery is how often a credential in use is written down as used.
const noteEvery = time.Minute

// note writes down, at most once a minute for each credential, that it was used.
func (g *Governor) note(key string, now time.Time, use func(*store.Tx) error, who tenure.PrincipalID) {
	g.mu.Lock()
	fresh := now.Sub(g.seen[key]) < noteEvery
	if !fresh {
		if len(g.seen) > 10_000 {
			clear(g.seen)
		}
		g.seen[key] = now
	}
	g.mu.Unlock()
	if fresh {
		return
	}
	// The answer doesn't hang on it: a full disk mustn't keep readers out.
	_ = g.o.DB.Write(context.Background(), func(tx *store.Tx) error {
		if err := use(tx); err != nil {
			return err
		}
		return tx.SeePrincipal(who, now)
	})
}

func joinWords(list []string) string { return strings.Join(list, ", ") }
