package secret

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tenurehq/tenure"
)

// session is what to ask with: the one that there is, another one after refused, or a new
// one. One that is past half of its life is renewed; while that fails it goes on to its end.
func (v *Vault) session(ctx context.Context, refused session) (session, error) {
	as, err := v.current(ctx, refused)
	if !as.token.IsZero() {
		return as, nil
	}
	return as, err
}

// current is the session to ask with. With an error it is the one that there is, while that
// is good, and none otherwise.
func (v *Vault) current(ctx context.Context, refused session) (session, error) {
	select {
	case v.signing <- struct{}{}:
		defer func() { <-v.signing }()
	case <-ctx.Done():
		return session{}, tenure.Errorf(tenure.Unavailable, "waiting for another sign-in to the vault: %w", context.Cause(ctx)).Retryable()
	}
	v.mu.Lock()
	as := v.as
	v.mu.Unlock()
	now := v.now()
	fresh := as.token.IsZero() || !refused.token.IsZero() && refused.token.Reveal() == as.token.Reveal()
	if !fresh && !as.due(now) {
		return as, nil
	}
	good := !fresh && now.Before(as.from.Add(as.lives))
	if !fresh && as.renewable {
		next, err := v.renew(ctx, as, now)
		switch {
		case err == nil:
			return v.keeps(next), nil
		case tenure.CodeOf(err) == tenure.Unavailable && good:
			return as, nil
		}
	}
	next, err := v.signIn(ctx, now)
	switch {
	case err == nil:
		return v.keeps(next), nil
	case good:
		return as, err
	}
	return session{}, err
}

func (v *Vault) keeps(as session) session {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.as = as
	return as
}

// keep renews a session that is past half of its life. Without one it does nothing. It says
// why another sign-in failed, also while the session is still good.
func (v *Vault) keep(ctx context.Context) error {
	v.mu.Lock()
	as := v.as
	v.mu.Unlock()
	if as.token.IsZero() || !as.due(v.now()) {
		return nil
	}
	_, err := v.current(ctx, session{})
	return err
}

// granted is the part of the vault's answer that tells of a token.
type granted struct {
	Auth struct {
		Token     string `json:"client_token"`
		Lease     int64  `json:"lease_duration"` // seconds
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
}

func (g granted) session(now time.Time) session {
	return session{token: tenure.NewSecret(g.Auth.Token), from: now, lives: time.Duration(g.Auth.Lease) * time.Second, renewable: g.Auth.Renewable}
}

func (v *Vault) renew(ctx context.Context, as session, now time.Time) (session, error) {
	var g granted
	status, err := v.call(ctx, as, http.MethodPost, "auth/token/renew-self", struct{}{}, &g)
	if err == nil && (status == http.StatusNotFound || g.Auth.Lease <= 0) {
		err = tenure.Errorf(tenure.Blocked, "the vault renews no token")
	}
	if err != nil {
		return session{}, err
	}
	next := g.session(now)
	next.token = as.token
	// At the end of its longest life each renewal is shorter: it is replaced then.
	next.renewable = next.renewable && next.lives > as.lives/4
	return next, nil
}

// signIn gets a session from what the settings name.
func (v *Vault) signIn(ctx context.Context, now time.Time) (session, error) {
	switch {
	case v.set.AppRole != nil:
		id, err := (*Reader)(nil).Read(ctx, v.token)
		if err != nil {
			return session{}, err
		}
		a := v.set.AppRole
		return v.login(ctx, now, or(a.Mount, "approle"), map[string]string{"role_id": a.RoleID, "secret_id": id.Reveal()}, "the roleId, and that the secretId hasn't ended or been used up")
	case v.set.Kubernetes != nil:
		k := v.set.Kubernetes
		jwt, err := readFile(or(k.JWTFile, serviceAccount))
		if err != nil {
			return session{}, err
		}
		return v.login(ctx, now, or(k.Mount, "kubernetes"), map[string]string{"role": k.Role, "jwt": jwt.Reveal()}, "that the role is bound to this service account")
	}
	token, err := (*Reader)(nil).Read(ctx, v.token)
	if err != nil {
		return session{}, err
	}
	as := session{token: token.Secret, from: now}
	var self struct {
		Data struct {
			TTL       int64 `json:"ttl"`
			Renewable bool  `json:"renewable"`
		} `json:"data"`
	}
	_, err = v.call(ctx, as, http.MethodGet, "auth/token/lookup-self", nil, &self)
	switch {
	case errors.Is(err, errUnknownToken):
		return session{}, tenure.Errorf(tenure.Blocked, "the vault doesn't know the token that %s holds, or it has ended", v.token).WithHint("put another there; it is read again at the next look")
	case tenure.CodeOf(err) == tenure.Forbidden:
		return session{}, tenure.Errorf(tenure.Blocked, "the vault refuses to let the token that %s holds look itself up", v.token).
			WithHint("its policies need read on auth/token/lookup-self and update on auth/token/renew-self, as the policy default has them").
			WithHint("a vault that doesn't say so of a token that it doesn't know answers like this, too")
	case err != nil:
		return session{}, err
	}
	as.lives, as.renewable = time.Duration(self.Data.TTL)*time.Second, self.Data.Renewable
	return as, nil
}

func (v *Vault) login(ctx context.Context, now time.Time, mount string, with map[string]string, check string) (session, error) {
	var g granted
	status, err := v.call(ctx, session{}, http.MethodPost, "auth/"+mount+"/login", with, &g)
	if err == nil && status == http.StatusNotFound {
		return session{}, tenure.Errorf(tenure.Blocked, "the vault has no way in at auth/%s", mount).WithHint("check the mount")
	}
	if code := tenure.CodeOf(err); code == tenure.Forbidden || code == tenure.Blocked && status/100 == 4 {
		return session{}, tenure.Errorf(tenure.Blocked, "the vault refuses to sign Tenure in at auth/%s", mount).WithHint("check %s", check)
	}
	if err != nil {
		return session{}, err
	}
	if g.Auth.Token == "" {
		return session{}, tenure.Errorf(tenure.Blocked, "the vault gave no token at auth/%s", mount)
	}
	return g.session(now), nil
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
