package governance

import (
	"context"
	"crypto/rand"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/identity"
	"github.com/tenurehq/tenure/internal/store"
)

// Purposes of one-time texts.
const (
	purposeSignIn = "sign-in"
	purposeDevice = "device"
)

// Lives of one-time texts.
const (
	bootstrapLife = 24 * time.Hour
	deviceLife    = 10 * time.Minute
	deviceToken   = 12 * time.Hour
)

// BootstrapCode makes a one-time code that lets an admin in, for who has the
// installation's folder: init prints one for the first.
func (g *Governor) BootstrapCode(ctx context.Context) (tenure.Secret, error) {
	code, hash := newSecret("boot_")
	now := g.Now()
	e, err := g.o.Entry(ctx, "bootstrap.code", "", "", "", "", nil)
	if err != nil {
		return code, err
	}
	return code, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveOneTime(store.OneTime{Hash: hash, Purpose: store.Bootstrap, CreatedAt: now, ExpiresAt: now.Add(bootstrapLife)}); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// Redeem uses a bootstrap code: it adds the person as an admin over all tenants
// and says who they are now. The code is good once, for 24 hours.
func (g *Governor) Redeem(ctx context.Context, code tenure.Secret, name, email string) (store.Principal, error) {
	now := g.Now()
	p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](now), Name: name, Email: email, Kind: tenure.CallerPerson, CreatedBy: "bootstrap", CreatedAt: now, Version: 1}
	if err := checkPrincipal(&p); err != nil {
		return store.Principal{}, err
	}
	gr := tenure.Grant{ID: tenure.NewID[tenure.GrantID](now), Principal: p.ID, Role: tenure.Admin, Scope: tenure.Scope{All: true}, Reason: "bootstrap", By: "bootstrap", At: now}
	e, err := g.o.Entry(ctx, "bootstrap.redeem", p.Name, "", "", string(p.ID), nil)
	if err != nil {
		return p, err
	}
	if err := g.o.DB.VouchedRow(ctx, "one_time", hashOf(code)); err != nil {
		return p, err
	}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.UseOneTime(store.Bootstrap, hashOf(code), now); err != nil {
			return err
		}
		alike, err := place(tx, p)
		if err == nil && alike != "" {
			err = tenure.Errorf(tenure.Conflict, "the name %q or its address looks like another's", p.Name).WithHint("choose a name and an address that nobody takes for another's")
		}
		if err != nil {
			return err
		}
		if err := tx.SavePrincipal(p); err != nil {
			return err
		}
		if err := tx.SaveGrant(gr); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return p, err
}

// NewSession signs a principal in and gives the cookie's value. Every sign-in
// makes a new one, so a value that somebody planted beforehand opens nothing.
func (g *Governor) NewSession(ctx context.Context, p store.Principal, method, agent string, strong bool) (store.Session, tenure.Secret, error) {
	now := g.Now()
	value, hash := newSecret("")
	if len(agent) > 200 {
		agent = strings.ToValidUTF8(agent[:200], "")
	}
	s := store.Session{ID: tenure.NewID[tenure.SessionID](now), Principal: p.ID, Strong: strong, Method: method, Agent: agent, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(g.o.SessionFor)}
	e, err := g.o.Entry(ctx, "session.begin", p.Name, "", "", string(s.ID), map[string]string{"method": method})
	if err != nil {
		return s, value, err
	}
	return s, value, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveSession(s, hash); err != nil {
			return err
		}
		if err := tx.SeePrincipal(p.ID, now); err != nil {
			return err
		}
		if err := tx.NoteAccess(store.AccessEvent{At: now, Kind: "signin", Principal: p.Name, Detail: method}); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// CanSignIn says whether people sign in with an identity provider.
func (g *Governor) CanSignIn() bool { return g.o.SignIn != nil }

// BeginSignIn starts a sign-in with the identity provider: the address to go to,
// and the value of a cookie that binds it to this browser. ReturnTo is a path of
// ours.
func (g *Governor) BeginSignIn(ctx context.Context, returnTo string) (address string, cookie tenure.Secret, err error) {
	if g.o.SignIn == nil {
		return "", cookie, tenure.Errorf(tenure.Conflict, "no identity provider is set up").WithHint("write signIn into tenure.yaml")
	}
	address, f, err := g.o.SignIn.Begin(ctx)
	if err != nil {
		return "", cookie, err
	}
	cookie, hash := newSecret("")
	data, err := flight{f.State.Reveal(), f.Nonce.Reveal(), f.Verifier.Reveal(), SafePath(returnTo), f.ExpiresAt}.seal(cookie)
	if err != nil {
		return "", cookie, err
	}
	now := g.Now()
	return address, cookie, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveOneTime(store.OneTime{Hash: hash, Purpose: purposeSignIn, Data: data, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)})
	})
}

// FinishSignIn takes the provider's answer and signs the person in. Who wasn't
// invited is Forbidden: an identity alone opens nothing.
func (g *Governor) FinishSignIn(ctx context.Context, cookie tenure.Secret, params url.Values, agent string) (s store.Session, value tenure.Secret, returnTo string, err error) {
	if g.o.SignIn == nil || cookie.IsZero() {
		return s, value, "", tenure.Errorf(tenure.Unauthorized, "no sign-in is under way in this browser").WithHint("begin again")
	}
	var once store.OneTime
	err = g.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		once, err = tx.UseOneTime(purposeSignIn, hashOf(cookie), g.Now())
		return err
	})
	if err != nil {
		return s, value, "", err
	}
	f, err := openFlight(once.Data, cookie)
	if err != nil {
		return s, value, "", err
	}
	who, err := g.o.SignIn.Finish(ctx, identity.Flow{State: tenure.NewSecret(f.State), Nonce: tenure.NewSecret(f.Nonce), Verifier: tenure.NewSecret(f.Verifier), ExpiresAt: f.ExpiresAt}, params)
	if err != nil {
		return s, value, "", err
	}
	p, err := g.known(ctx, who)
	if err != nil {
		return s, value, "", err
	}
	s, value, err = g.NewSession(ctx, p, "oidc", agent, who.Strong)
	return s, value, f.ReturnTo, err
}

// known finds who an identity is: by issuer and subject, or, the first time, by
// the verified address that they were invited with.
func (g *Governor) known(ctx context.Context, who identity.Identity) (store.Principal, error) {
	var p store.Principal
	first := false
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		p, err = tx.PrincipalByIdentity(who.Issuer, who.Subject)
		if first = tenure.CodeOf(err) == tenure.NotFound; first {
			p, err = tx.UnboundPrincipal(tenure.EmailAddress(who.Email))
		}
		return err
	})
	if err == nil {
		err = g.o.DB.VouchedPrincipal(ctx, p)
	}
	if err == nil && first {
		err = g.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.BindPrincipal(p.ID, who.Issuer, who.Subject) })
	}
	if tenure.CodeOf(err) == tenure.NotFound || err == nil && p.Disabled {
		return p, tenure.Errorf(tenure.Forbidden, "you are signed in, and nobody has let you in here").WithHint("ask an admin to add you with the address that you signed in with")
	}
	return p, err
}

// SafePath is a path of this site to return to; anything else is "/". A browser
// takes "//host" and "/\host" for other sites.
func SafePath(p string) string {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t\x00") || len(p) > 500 {
		return "/"
	}
	if u, err := url.Parse(p); err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return p
}

// Device is a command line that waits to be let in (RFC 8628).
type Device struct {
	DeviceCode tenure.Secret
	UserCode   string
	ExpiresAt  time.Time
}

// deviceAlphabet has no letters that look alike or make words (RFC 8628 §6.1).
const deviceAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// BeginDevice starts a device's sign-in: a code for it to ask with, and a short
// one that a person types into the dashboard.
func (g *Governor) BeginDevice(ctx context.Context) (Device, error) {
	secret, hash := newSecret("dev_")
	var short []byte
	for i := range 8 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(deviceAlphabet))))
		if err != nil {
			return Device{}, tenure.Errorf(tenure.Internal, "random numbers: %w", err)
		}
		if i == 4 {
			short = append(short, '-')
		}
		short = append(short, deviceAlphabet[n.Int64()])
	}
	now := g.Now()
	d := Device{secret, string(short), now.Add(deviceLife)}
	return d, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveOneTime(store.OneTime{Hash: hash, Purpose: purposeDevice, Code: d.UserCode, CreatedAt: now, ExpiresAt: d.ExpiresAt})
	})
}

// ConfirmDevice lets a device in as the caller, a signed-in person.
func (g *Governor) ConfirmDevice(ctx context.Context, c tenure.Caller, userCode string) error {
	if c.Kind != tenure.CallerPerson || c.Session == "" {
		return tenure.Errorf(tenure.Forbidden, "a device is let in by a person who is signed in in a browser")
	}
	code := strings.ToUpper(strings.TrimSpace(userCode))
	if len(code) == 8 {
		code = code[:4] + "-" + code[4:]
	}
	o, err := g.o.DB.OneTimeByCode(ctx, purposeDevice, code)
	if err != nil {
		return tenure.Errorf(tenure.NotFound, "no device waits with this code").WithHint("codes are good for ten minutes; look at the one that the device shows now")
	}
	data := ""
	if c.Strong {
		data = "strong"
	}
	e, err := g.o.Entry(ctx, "device.confirm", c.Name, "", "", "", nil)
	if err != nil {
		return err
	}
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ConfirmOneTime(o.Hash, string(c.Principal), data, g.Now()); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// ErrPending says that nobody has let the device in yet (RFC 8628 §3.5,
// authorization_pending).
var ErrPending = tenure.Errorf(tenure.Blocked, "nobody has confirmed the code yet").Retryable()

// DeviceToken gives a device its token once a person has let it in: Blocked,
// which a retry mends, until then.
func (g *Governor) DeviceToken(ctx context.Context, code tenure.Secret) (store.Token, tenure.Secret, error) {
	now := g.Now()
	o, err := g.o.DB.OneTime(ctx, purposeDevice, hashOf(code))
	switch {
	case tenure.CodeOf(err) == tenure.NotFound || err == nil && (!o.UsedAt.IsZero() || !now.Before(o.ExpiresAt)):
		return store.Token{}, tenure.Secret{}, tenure.Errorf(tenure.Unauthorized, "the code isn't good, or not any more")
	case err != nil:
		return store.Token{}, tenure.Secret{}, err
	case o.Principal == "":
		return store.Token{}, tenure.Secret{}, ErrPending
	}
	if err := g.o.DB.VouchedRow(ctx, "one_time", o.Hash); err != nil { // that the person has confirmed it
		return store.Token{}, tenure.Secret{}, err
	}
	text, hash := newSecret(tokenPrefix)
	t := store.Token{ID: tenure.NewID[tenure.TokenID](now), Principal: tenure.PrincipalID(o.Principal), Name: "command line", Strong: o.Data == "strong", CreatedAt: now, ExpiresAt: now.Add(deviceToken)}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.UseOneTime(purposeDevice, hashOf(code), now); err != nil {
			return err
		}
		p, err := tx.Principal(o.Principal)
		if err != nil {
			return err
		}
		if p.Disabled {
			return errUnknown
		}
		t.CreatedBy = p.Name
		if err := tx.SaveToken(t, hash); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "token.make", p.Name, "", "", string(t.ID), map[string]string{"principal": string(p.ID), "device": "true"})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return t, text, err
}

// AwaitsFirst says whether a bootstrap code is out that nobody has used.
func (g *Governor) AwaitsFirst(ctx context.Context) bool {
	open, err := g.o.DB.OneTimeOpen(ctx, store.Bootstrap, g.Now())
	return err == nil && open
}
