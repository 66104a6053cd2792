package ldap

import (
	"context"
	"crypto/rand"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// setPassword sets a user's password: by Password Modify (RFC 3062), so that the server
// hashes it, and where it can't do that as the attribute userPassword.
func (d *Driver) setPassword(ctx context.Context, at, password string, same []ldap.Control) error {
	if d.setsByModOp.Load() {
		return d.pool.write(ctx, func(c *connection) error {
			_, err := c.PasswordModify(ldap.NewPasswordModifyRequest(at, "", password))
			return err
		})
	}
	m := ldap.NewModifyRequest(at, same)
	m.Replace("userPassword", []string{password})
	return d.modify(ctx, m)
}

// signsIn says whether the server takes a password as a user's. A blank one is never
// taken: the server would sign in nobody, and call that a success (RFC 4513 §5.1.2).
func (d *Driver) signsIn(ctx context.Context, at, password string) (bool, error) {
	if password == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.pool.limit)
	defer cancel()
	c, err := d.pool.bind(ctx, at, password)
	if err != nil {
		if is(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInsufficientAccessRights,
			ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultConstraintViolation) {
			return false, nil
		}
		return false, err
	}
	c.shut()
	return true, nil
}

// credential sets the password if the desired one isn't the user's, and adds to a change
// what becomes of the lock. A user that is suspended stays so, one that was revoked is let
// in by another credential than it had.
func (d *Driver) credential(ctx context.Context, want connector.Desired, t thing, n *note, m *ldap.ModifyRequest) (set bool, err error) {
	if want.Credential.IsZero() {
		return false, nil
	}
	seal := d.sealOf(want.Resource, want.Credential)
	switch {
	case n.key != seal:
	case t.state != tenure.ResourcePresent || n.state == string(tenure.ResourceRevoked):
		return false, nil // whether it is the user's can't be tried, or it is to be no more
	default:
		works, err := d.signsIn(ctx, t.at, want.Credential.Reveal())
		if err != nil || works {
			return false, err
		}
	}
	if err := d.setPassword(ctx, t.at, want.Credential.Reveal(), d.same(t.entry)); err != nil {
		return false, err
	}
	n.key = seal
	suspended := n.state == string(tenure.ResourceSuspended) || t.state == tenure.ResourceSuspended && n.state == ""
	switch {
	case suspended && d.lockName != "": // a new password takes the lock off
		m.Replace(d.lockName, []string{d.lockValue})
	case t.state == tenure.ResourceRevoked && d.lockName != "":
		m.Replace(d.lockName, []string{})
	}
	if n.state == string(tenure.ResourceRevoked) {
		n.state = ""
	}
	return true, nil
}

// onUser runs f on a user that is the ref's.
func (d *Driver) onUser(ctx context.Context, call string, ref connector.Ref, absent error, f func(thing) error) error {
	if ref.Type != user {
		return tenure.Errorf(tenure.Invalid, "a %s can't be used with %s", ref.Type, call)
	}
	return d.with(ctx, call, func() error {
		t, err := d.owned(ctx, ref)
		switch {
		case err != nil:
			return err
		case !t.found():
			return absent
		}
		return f(t)
	})
}

// relock changes the lock and the note in one request.
func (d *Driver) relock(ctx context.Context, t thing, locked bool, state tenure.ResourceState) error {
	m := ldap.NewModifyRequest(t.at, d.same(t.entry))
	if d.lockName != "" {
		var v []string
		if locked {
			v = []string{d.lockValue}
		}
		m.Replace(d.lockName, v)
	}
	n := t.note
	n.state = string(state)
	d.annotate(m, user, t, n)
	return d.modify(ctx, m)
}

func notThere(ref connector.Ref) error {
	return tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
}

// Suspend locks a user: its password stays, and the server refuses it.
func (d *Driver) Suspend(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onUser(ctx, "suspend", ref, notThere(ref), func(t thing) error {
		if t.state != tenure.ResourcePresent {
			return nil
		}
		if d.lockName == "" {
			return tenure.Errorf(tenure.Blocked, "the server has nothing that locks user %q", ref.Name).WithHint("revoke it instead, and give it a new password afterwards; or set the option lock")
		}
		rec.Changed = true
		return d.relock(ctx, t, true, tenure.ResourceSuspended)
	})
	return rec, err
}

// Resume takes a user's lock off. One that was revoked stays so.
func (d *Driver) Resume(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onUser(ctx, "resume", ref, notThere(ref), func(t thing) error {
		switch t.state {
		case tenure.ResourceSuspended:
		case tenure.ResourceRevoked:
			return tenure.Errorf(tenure.Conflict, "user %q was revoked and can't be resumed", ref.Name).WithHint("give it a new credential")
		default:
			return nil
		}
		rec.Changed = true
		return d.relock(ctx, t, false, "")
	})
	return rec, err
}

// Revoke gives a user a password that nobody knows, and locks it.
func (d *Driver) Revoke(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onUser(ctx, "revoke", ref, nil, func(t thing) error {
		if t.state == tenure.ResourceRevoked {
			return nil
		}
		rec.Changed = true
		// The password comes first, since a new one takes the lock off.
		if err := d.setPassword(ctx, t.at, rand.Text()+rand.Text(), d.same(t.entry)); err != nil {
			return err
		}
		return d.relock(ctx, t, true, tenure.ResourceRevoked)
	})
	return rec, err
}
