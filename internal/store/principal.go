package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Principal is somebody who can ask: a person or a machine.
type Principal struct {
	ID        tenure.PrincipalID `json:"id"`
	Name      string             `json:"name"` // unique for ever in all its spellings; the log and separation of duties know them by it
	Display   string             `json:"display,omitempty"`
	Email     string             `json:"email,omitempty"`
	Kind      tenure.CallerKind  `json:"kind"` // person or machine
	Owner     string             `json:"owner,omitempty"`
	Issuer    string             `json:"issuer,omitempty"`
	Subject   string             `json:"-"`
	Disabled  bool               `json:"disabled,omitempty"` // also while it waits
	Waiting   bool               `json:"waiting,omitempty"`  // for another admin's word: the name looks like another's
	CreatedBy string             `json:"createdBy"`
	CreatedAt time.Time          `json:"createdAt"`
	SeenAt    time.Time          `json:"seenAt,omitzero"`
	Version   int64              `json:"version"`
}

// What state holds.
const (
	stateActive   = "active"
	stateDisabled = "disabled"
	stateWaiting  = "waiting"
)

const principalColumns = `id, name, display, email, kind, owner, issuer, subject, state, created_by, created_at, seen_at, version`

func scanPrincipal(r scanner, p *Principal) error {
	var state string
	var created, seen int64
	err := r.Scan(&p.ID, &p.Name, &p.Display, &p.Email, &p.Kind, &p.Owner, &p.Issuer, &p.Subject, &state, &p.CreatedBy, &created, &seen, &p.Version)
	p.Disabled, p.Waiting, p.CreatedAt, p.SeenAt = state != stateActive, state == stateWaiting, fromMicros(created), fromMicros(seen)
	return err
}

func principals(q querier, where string, args ...any) (out []Principal, err error) {
	err = q.Rows(`select `+principalColumns+` from principal where `+where, args, func(r scanner) error {
		var p Principal
		err := scanPrincipal(r, &p)
		out = append(out, p)
		return err
	})
	return out, err
}

func onePrincipal(q querier, where, what string, args ...any) (Principal, error) {
	list, err := principals(q, where, args...)
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no principal %s", what)
	}
	if err != nil {
		return Principal{}, err
	}
	return list[0], nil
}

// Principal finds one by id or name, in any spelling of it.
func (db *DB) Principal(ctx context.Context, idOrName string) (Principal, error) {
	return namedPrincipal(db.reader(ctx), idOrName)
}

// Principal finds one by id or name, in any spelling of it, as the transaction sees
// it.
func (tx *Tx) Principal(idOrName string) (Principal, error) { return namedPrincipal(tx, idOrName) }

// namedPrincipal prefers the name as it is written: a store of earlier builds may have
// two spellings of one.
func namedPrincipal(q querier, idOrName string) (Principal, error) {
	p, err := onePrincipal(q, `id = $1 or name = $1`, idOrName, idOrName)
	if tenure.CodeOf(err) != tenure.NotFound {
		return p, err
	}
	all, failed := principals(q, `name <> '' order by created_at, id`)
	for _, p := range all {
		if tenure.SamePerson(p.Name, idOrName) {
			return p, nil
		}
	}
	if failed != nil {
		return Principal{}, failed
	}
	return p, err
}

// EveryPrincipal lists them all, the oldest first. Until the transaction ends no other
// adds one or changes one's state.
func (tx *Tx) EveryPrincipal() ([]Principal, error) {
	if _, err := tx.Exec(`update meta set value = value where key = 'principal_epoch'`); err != nil {
		return nil, err
	}
	return principals(tx, `name <> '' order by created_at, id`)
}

// WaitingPrincipals lists those who wait for an admin's word.
func (db *DB) WaitingPrincipals(ctx context.Context) ([]Principal, error) {
	return principals(db.reader(ctx), `state = $1 order by created_at, id limit 1000`, stateWaiting)
}

// PrincipalByIdentity finds who an identity provider's subject is.
func (tx *Tx) PrincipalByIdentity(issuer, subject string) (Principal, error) {
	return onePrincipal(tx, `issuer = $1 and subject = $2 and subject <> ''`, "with this identity", issuer, subject)
}

// UnboundPrincipal finds the person who was invited by an address, hasn't signed in
// yet and may.
func (tx *Tx) UnboundPrincipal(email string) (Principal, error) {
	return onePrincipal(tx, `email = $1 and subject = '' and kind = 'person' and state = $2 order by id`, "invited with this address", email, stateActive)
}

// Principals lists them by name, after a name.
func (db *DB) Principals(ctx context.Context, after string, limit int) ([]Principal, error) {
	return principals(db.reader(ctx), `name > $1 order by name limit $2`, after, limit)
}

// MachinesOf lists the machines that a person answers for.
func (tx *Tx) MachinesOf(name string) ([]Principal, error) {
	return principals(tx, `owner = $1 and kind = 'machine' order by id`, name)
}

// SavePrincipal stores a new principal. A name that was ever given is Conflict.
func (tx *Tx) SavePrincipal(p Principal) error {
	state := stateActive
	if p.Waiting {
		state = stateWaiting
	}
	_, err := tx.Exec(`insert into principal (id, name, display, email, kind, owner, issuer, subject, state, created_by, created_at, seen_at, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 1)`,
		string(p.ID), p.Name, p.Display, p.Email, string(p.Kind), p.Owner, p.Issuer, p.Subject, state, p.CreatedBy, micros(p.CreatedAt))
	if tenure.CodeOf(err) == tenure.Conflict {
		return tenure.Errorf(tenure.Conflict, "there is or was a principal named %q", p.Name)
	}
	return err
}

// BindPrincipal couples a person with the identity that they signed in with.
func (tx *Tx) BindPrincipal(id tenure.PrincipalID, issuer, subject string) error {
	n, err := tx.Exec(`update principal set issuer = $1, subject = $2, version = version + 1 where id = $3 and subject = ''`, issuer, subject, string(id))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "the principal is bound to another identity")
	}
	return err
}

// SetPrincipalState lets a principal in or keeps them out. A version of 0 isn't
// compared.
func (tx *Tx) SetPrincipalState(id tenure.PrincipalID, disabled bool, version int64) error {
	state := stateActive
	if disabled {
		state = stateDisabled
	}
	n, err := tx.Exec(`update principal set state = $1, version = version + 1 where id = $2 and ($3 = 0 or version = $3)`, state, string(id), version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "principal %s has changed since it was read", id).WithHint("read it again")
	}
	return err
}

// SeePrincipal notes when a principal was last seen.
func (tx *Tx) SeePrincipal(id tenure.PrincipalID, at time.Time) error {
	_, err := tx.Exec(`update principal set seen_at = $1 where id = $2 and seen_at < $1`, micros(at), string(id))
	return err
}

const grantColumns = `id, principal, role, scope, reason, granted_by, granted_at, expires_at, elevation, break_glass, revoked_at, revoked_by`

func grants(q querier, where string, args ...any) (out []tenure.Grant, err error) {
	err = q.Rows(`select `+grantColumns+` from role_grant where `+where, args, func(r scanner) error {
		var g tenure.Grant
		var scope string
		var at, expires, glass, revoked int64
		if err := r.Scan(&g.ID, &g.Principal, &g.Role, &scope, &g.Reason, &g.By, &at, &expires, &g.Elevation, &glass, &revoked, &g.RevokedBy); err != nil {
			return err
		}
		g.At, g.ExpiresAt, g.RevokedAt, g.BreakGlass = fromMicros(at), fromMicros(expires), fromMicros(revoked), glass == 1
		out = append(out, g)
		return decodeScope(scope, &g.Scope, &out[len(out)-1])
	})
	return out, err
}

func decodeScope(text string, into *tenure.Scope, g *tenure.Grant) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return tenure.Errorf(tenure.Internal, "scope of grant %s: %w", g.ID, err)
	}
	g.Scope = *into
	return nil
}

// Grants lists a principal's grants, or everybody's, that weren't revoked; with
// ended those too.
func (db *DB) Grants(ctx context.Context, principal tenure.PrincipalID, ended bool) ([]tenure.Grant, error) {
	where, args := of(principal)
	return grants(db.reader(ctx), where+` and (`+placeholder(len(args)+1)+` = 1 or revoked_at = 0) order by granted_at, id limit 10000`, append(args, flag(ended))...)
}

// of is the condition that a row is a principal's; a blank one takes every row.
// Each has a text of its own, so that the index is used: each request asks it.
func of(principal tenure.PrincipalID) (where string, args []any) {
	if principal == "" {
		return "true", nil
	}
	return "principal = $1", []any{string(principal)}
}

// Grants lists a principal's grants as the transaction sees them.
func (tx *Tx) Grants(principal tenure.PrincipalID) ([]tenure.Grant, error) {
	return grants(tx, `principal = $1 and revoked_at = 0 order by granted_at, id`, string(principal))
}

// Grant returns one grant.
func (tx *Tx) Grant(id tenure.GrantID) (tenure.Grant, error) {
	list, err := grants(tx, `id = $1`, string(id))
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no grant %s", id)
	}
	if err != nil {
		return tenure.Grant{}, err
	}
	return list[0], nil
}

// SaveGrant stores a new grant.
func (tx *Tx) SaveGrant(g tenure.Grant) error {
	_, err := tx.Exec(`insert into role_grant (id, principal, role, scope, reason, granted_by, granted_at, expires_at, elevation, break_glass, revoked_at, revoked_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '')`,
		string(g.ID), string(g.Principal), string(g.Role), text(g.Scope), g.Reason, g.By, micros(g.At), micros(g.ExpiresAt), string(g.Elevation), flag(g.BreakGlass))
	return err
}

// RevokeGrant ends a grant. One that has ended stays as it is.
func (tx *Tx) RevokeGrant(id tenure.GrantID, by string, at time.Time) error {
	_, err := tx.Exec(`update role_grant set revoked_at = $1, revoked_by = $2 where id = $3 and revoked_at = 0`, micros(at), by, string(id))
	return err
}

// RoleHolder is a person who has a role, and over what.
type RoleHolder struct {
	Name  string
	Scope tenure.Scope
}

// RoleHolders lists the persons who can sign in and have a role at now by a grant of
// their own, not by break-glass.
func (tx *Tx) RoleHolders(role tenure.Role, now time.Time) (out []RoleHolder, err error) {
	err = tx.Rows(`select p.name, g.scope from role_grant g join principal p on p.id = g.principal
		where g.role = $1 and g.revoked_at = 0 and (g.expires_at = 0 or g.expires_at > $2) and g.break_glass = 0 and p.kind = $3 and p.state = 'active' order by p.name`,
		[]any{string(role), micros(now), string(tenure.CallerPerson)}, func(r scanner) error {
			var h RoleHolder
			var scope string
			if err := r.Scan(&h.Name, &scope); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(scope), &h.Scope); err != nil {
				return tenure.Errorf(tenure.Internal, "scope of a grant of %s: %w", h.Name, err)
			}
			out = append(out, h)
			return nil
		})
	return out, err
}

// ActivePersons are those of the names that are persons who can sign in.
func (tx *Tx) ActivePersons(names []string) (out []string, err error) {
	for _, name := range names {
		p, err := tx.Principal(name)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound:
		case err != nil:
			return nil, err
		case p.Kind == tenure.CallerPerson && !p.Disabled:
			out = append(out, p.Name)
		}
	}
	return out, nil
}
