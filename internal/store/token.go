package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Token is a machine's or a command line's credential; its text is nowhere.
type Token struct {
	ID        tenure.TokenID      `json:"id"`
	Principal tenure.PrincipalID  `json:"principal"`
	Name      string              `json:"name"`
	Limit     tenure.Scope        `json:"limit,omitzero"` // narrows the principal's grants
	Only      []tenure.Permission `json:"only,omitempty"`
	Strong    bool                `json:"strong,omitempty"` // made in a strong sign-in
	CreatedBy string              `json:"createdBy"`
	CreatedAt time.Time           `json:"createdAt"`
	ExpiresAt time.Time           `json:"expiresAt"`
	UsedAt    time.Time           `json:"usedAt,omitzero"`
	RevokedAt time.Time           `json:"revokedAt,omitzero"`
}

const tokenColumns = `id, principal, name, scope, allows, strong, created_by, created_at, expires_at, used_at, revoked_at`

func tokens(q querier, where string, args ...any) (out []Token, err error) {
	err = q.Rows(`select `+tokenColumns+` from token where `+where, args, func(r scanner) error {
		var t Token
		var scope, only string
		var strong, created, expires, used, revoked int64
		if err := r.Scan(&t.ID, &t.Principal, &t.Name, &scope, &only, &strong, &t.CreatedBy, &created, &expires, &used, &revoked); err != nil {
			return err
		}
		t.Strong, t.CreatedAt, t.ExpiresAt, t.UsedAt, t.RevokedAt = strong == 1, fromMicros(created), fromMicros(expires), fromMicros(used), fromMicros(revoked)
		for text, into := range map[string]any{scope: &t.Limit, only: &t.Only} {
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return tenure.Errorf(tenure.Internal, "token %s: %w", t.ID, err)
			}
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

// TokenByHash finds a token by the SHA-256 of its text, whatever its state.
func (db *DB) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	return firstOf(tokens(db.reader(ctx), `hash = $1`, hash))
}

// Token finds a token by its id.
func (tx *Tx) Token(id tenure.TokenID) (Token, error) {
	return firstOf(tokens(tx, `id = $1`, string(id)))
}

func firstOf[T any](list []T, err error) (T, error) {
	var none T
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no such thing")
	}
	if err != nil {
		return none, err
	}
	return list[0], nil
}

// Tokens lists a principal's tokens, or everybody's, that weren't revoked.
func (db *DB) Tokens(ctx context.Context, principal tenure.PrincipalID) ([]Token, error) {
	where, args := of(principal)
	return tokens(db.reader(ctx), where+` and revoked_at = 0 order by created_at, id limit 10000`, args...)
}

// SaveToken stores a new token under the SHA-256 of its text.
func (tx *Tx) SaveToken(t Token, hash []byte) error {
	_, err := tx.Exec(`insert into token (id, hash, principal, name, scope, allows, strong, created_by, created_at, expires_at, used_at, revoked_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)`,
		string(t.ID), hash, string(t.Principal), t.Name, text(t.Limit), text(t.Only), flag(t.Strong), t.CreatedBy, micros(t.CreatedAt), micros(t.ExpiresAt))
	return err
}

// UseToken notes when a token was last used.
func (tx *Tx) UseToken(id tenure.TokenID, at time.Time) error {
	_, err := tx.Exec(`update token set used_at = $1 where id = $2 and used_at < $1`, micros(at), string(id))
	return err
}

// RevokeToken ends a token.
func (tx *Tx) RevokeToken(id tenure.TokenID, at time.Time) error {
	_, err := tx.Exec(`update token set revoked_at = $1 where id = $2 and revoked_at = 0`, micros(at), string(id))
	return err
}

// RevokeCredentials ends every token and session of a principal.
func (tx *Tx) RevokeCredentials(principal tenure.PrincipalID, at time.Time) error {
	for _, q := range []string{`update token set revoked_at = $1 where principal = $2 and revoked_at = 0`, `update session set revoked_at = $1 where principal = $2 and revoked_at = 0`} {
		if _, err := tx.Exec(q, micros(at), string(principal)); err != nil {
			return err
		}
	}
	return nil
}

// Session is a browser that is signed in; the cookie's value is nowhere.
type Session struct {
	ID        tenure.SessionID   `json:"id"`
	Principal tenure.PrincipalID `json:"principal"`
	Strong    bool               `json:"strong,omitempty"`
	Method    string             `json:"method"` // oidc, bootstrap
	Agent     string             `json:"agent,omitempty"`
	CreatedAt time.Time          `json:"createdAt"`
	SeenAt    time.Time          `json:"seenAt"`
	ExpiresAt time.Time          `json:"expiresAt"`
	RevokedAt time.Time          `json:"revokedAt,omitzero"`
}

func sessions(q querier, where string, args ...any) (out []Session, err error) {
	err = q.Rows(`select id, principal, strong, method, agent, created_at, seen_at, expires_at, revoked_at from session where `+where, args, func(r scanner) error {
		var s Session
		var strong, created, seen, expires, revoked int64
		err := r.Scan(&s.ID, &s.Principal, &strong, &s.Method, &s.Agent, &created, &seen, &expires, &revoked)
		s.Strong, s.CreatedAt, s.SeenAt, s.ExpiresAt, s.RevokedAt = strong == 1, fromMicros(created), fromMicros(seen), fromMicros(expires), fromMicros(revoked)
		out = append(out, s)
		return err
	})
	return out, err
}

// SessionByHash finds a session by the SHA-256 of its cookie's value.
func (db *DB) SessionByHash(ctx context.Context, hash []byte) (Session, error) {
	return firstOf(sessions(db.reader(ctx), `hash = $1`, hash))
}

// Session finds a session by its id.
func (tx *Tx) Session(id tenure.SessionID) (Session, error) {
	return firstOf(sessions(tx, `id = $1`, string(id)))
}

// Sessions lists a principal's sessions, or everybody's, that haven't ended at now.
func (db *DB) Sessions(ctx context.Context, principal tenure.PrincipalID, now time.Time) ([]Session, error) {
	where, args := of(principal)
	return sessions(db.reader(ctx), where+` and revoked_at = 0 and expires_at > `+placeholder(len(args)+1)+` order by created_at, id limit 10000`, append(args, micros(now))...)
}

// SaveSession stores a new session.
func (tx *Tx) SaveSession(s Session, hash []byte) error {
	_, err := tx.Exec(`insert into session (id, hash, principal, strong, method, agent, created_at, seen_at, expires_at, revoked_at) values ($1, $2, $3, $4, $5, $6, $7, $7, $8, 0)`,
		string(s.ID), hash, string(s.Principal), flag(s.Strong), s.Method, s.Agent, micros(s.CreatedAt), micros(s.ExpiresAt))
	return err
}

// SeeSession notes when a session was last used.
func (tx *Tx) SeeSession(id tenure.SessionID, at time.Time) error {
	_, err := tx.Exec(`update session set seen_at = $1 where id = $2 and seen_at < $1`, micros(at), string(id))
	return err
}

// RevokeSession ends a session.
func (tx *Tx) RevokeSession(id tenure.SessionID, at time.Time) error {
	_, err := tx.Exec(`update session set revoked_at = $1 where id = $2 and revoked_at = 0`, micros(at), string(id))
	return err
}
