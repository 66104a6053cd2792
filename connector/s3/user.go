package s3

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// roleUser is the role of a user who may do what policies say, and makes no bucket.
const roleUser = "user"

// account is a user as versitygw's administration API writes it. Secrets that it lists
// are left out.
type account struct {
	XMLName xml.Name `xml:"Account"`
	Access  string
	Secret  string `xml:",omitempty"`
	Role    string
}

type change struct {
	XMLName xml.Name `xml:"MutableProps"`
	Secret  string   `xml:",omitempty"`
	Role    string   `xml:",omitempty"`
}

func (d *Driver) administer(ctx context.Context, call string, query url.Values, v any) ([]byte, error) {
	var body []byte
	if v != nil {
		var err error
		if body, err = xml.Marshal(v); err != nil {
			return nil, tenure.Errorf(tenure.Internal, "%s can't be written", call) // what it is of holds a secret
		}
	}
	return d.plain(ctx, d.admin, http.MethodPatch, "/"+call, query.Encode(), nil, body)
}

// listedUser is a user as the server lists it.
type listedUser struct {
	role   string
	secret tenure.Secret // not every server lists it
}

// roles are the server's users.
func (d *Driver) roles(ctx context.Context) (map[string]listedUser, error) {
	raw, err := d.administer(ctx, "list-users", nil, nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Accounts []struct{ Access, Secret, Role string }
	}
	if err := xml.Unmarshal(raw, &list); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "the list of users can't be read").Retryable()
	}
	out := make(map[string]listedUser, len(list.Accounts))
	for _, a := range list.Accounts {
		out[a.Access] = listedUser{a.Role, tenure.NewSecret(a.Secret)}
	}
	return out, nil
}

// findUser looks a user up in the server's list, and reads its record.
func (d *Driver) findUser(ctx context.Context, name string, users lister) (thing, error) {
	all, err := users(ctx)
	if err != nil {
		return thing{}, err
	}
	u, there := all[name]
	if !there {
		return thing{}, nil
	}
	r, err := d.stored(ctx, user, name)
	if err != nil {
		return thing{}, err
	}
	t := d.as(thing{found: true, user: u}, r)
	if _, aside := d.openSecret(name, u.secret); aside && t.state == tenure.ResourcePresent {
		t.state = tenure.ResourceSuspended
	}
	t.shown, err = tenure.Canonical(userShown{Role: u.role})
	return t, err
}

func (d *Driver) listUsers(ctx context.Context) (names []string, err error) {
	if !d.users {
		return nil, nil
	}
	all, err := d.roles(ctx)
	for name := range all {
		names = append(names, name)
	}
	return names, err
}

// ensureUser makes the user or brings it to desired. Its record is written first: one of
// ours for a user that isn't there yet makes the user ours once it is.
func (d *Driver) ensureUser(ctx context.Context, want connector.Desired, t thing) (rec connector.Receipt, err error) {
	secret := want.Credential.Reveal()
	if !t.found {
		if secret == "" {
			return rec, tenure.Errorf(tenure.Invalid, "user %q needs a credential", want.Name)
		}
		if err := d.reserve(ctx, want.Ref); err != nil {
			return rec, err
		}
		rec.Changed = true
		_, err := d.administer(ctx, "create-user", nil, account{Access: want.Name, Secret: secret, Role: roleUser})
		if is(err, "XAdminUserExists") {
			return rec, tenure.Errorf(tenure.Conflict, "user %q has just been made by somebody else", want.Name)
		}
		return rec, err
	}
	var c change
	switch {
	case secret == "":
	case t.state == tenure.ResourceSuspended: // and it stays so
		if was, _ := d.openSecret(want.Name, t.user.secret); was.Reveal() != secret {
			if c.Secret, err = d.closeSecret(want.Name, want.Credential); err != nil {
				return rec, err
			}
		}
	default:
		works, err := d.signsIn(ctx, want.Name, secret)
		if err != nil {
			return rec, err
		}
		if !works {
			c.Secret = secret
		}
	}
	if t.user.role != roleUser {
		c.Role = roleUser
	}
	if c.Secret != "" || c.Role != "" {
		rec.Changed = true
		if _, err := d.administer(ctx, "update-user", url.Values{"access": {want.Name}}, c); err != nil {
			return rec, err
		}
	}
	fresh := d.recordOf(want.Ref)
	if t.rec.State != "" && c.Secret == "" && secret == "" {
		fresh.State = t.rec.State
	}
	if fresh.Tenant != t.rec.Tenant || fresh.Environment != t.rec.Environment || fresh.State != t.rec.State {
		rec.Changed = true
		return rec, d.keep(ctx, fresh, false)
	}
	return rec, nil
}

// reserve writes the record of a user that isn't there. A record of another's stands
// for a user that was deleted past it, or is being made.
func (d *Driver) reserve(ctx context.Context, ref connector.Ref) error {
	old, err := d.stored(ctx, user, ref.Name)
	if err != nil {
		return err
	}
	if old != nil {
		if _, owner := d.whose(old); owner == connector.Others {
			return tenure.Errorf(tenure.Conflict, "user %q is another installation's", ref.Name).WithHint("choose another name")
		}
	}
	return d.keep(ctx, d.recordOf(ref), old == nil)
}

// signsIn says whether the server takes a secret as the user's.
func (d *Driver) signsIn(ctx context.Context, name, secret string) (bool, error) {
	c, err := d.signing(name, secret)
	if err != nil {
		return false, err
	}
	_, err = c.ListBuckets(ctx)
	switch {
	case is(err, "SignatureDoesNotMatch", "InvalidAccessKeyId"):
		return false, nil
	case denied(err): // it is known, and may not list
		return true, nil
	}
	return err == nil, err
}

// Suspend puts in place of a user's secret that secret, encrypted under a key that only
// Tenure has: nobody signs in with it, and nothing has to be kept elsewhere to undo it.
func (d *Driver) Suspend(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onUser(ctx, "suspend", ref, func(t thing) error {
		if t.state != tenure.ResourcePresent {
			return nil
		}
		if t.user.secret.IsZero() {
			return tenure.Errorf(tenure.Blocked, "the server doesn't list the secret of user %q, so it couldn't be given back", ref.Name).
				WithHint("revoke it instead, and give it a new secret afterwards")
		}
		closed, err := d.closeSecret(ref.Name, t.user.secret)
		if err != nil {
			return err
		}
		rec.Changed = true
		_, err = d.administer(ctx, "update-user", url.Values{"access": {ref.Name}}, change{Secret: closed})
		return err
	})
	return rec, err
}

// Resume gives a suspended user its secret back. One that was revoked stays so.
func (d *Driver) Resume(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onUser(ctx, "resume", ref, func(t thing) error {
		switch t.state {
		case tenure.ResourceSuspended:
		case tenure.ResourceRevoked:
			return tenure.Errorf(tenure.Conflict, "user %q was revoked and can't be resumed", ref.Name).WithHint("give it a new secret")
		default:
			return nil
		}
		rec.Changed = true
		was, _ := d.openSecret(ref.Name, t.user.secret)
		_, err := d.administer(ctx, "update-user", url.Values{"access": {ref.Name}}, change{Secret: was.Reveal()})
		return err
	})
	return rec, err
}

func (d *Driver) onUser(ctx context.Context, call string, ref connector.Ref, f func(thing) error) error {
	if ref.Type != user {
		return tenure.Errorf(tenure.Invalid, "a %s can't be used with %s", ref.Type, call)
	}
	return d.on(ctx, call, ref, tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name), f)
}

// Revoke gives a user a secret that nobody knows: what it signed is refused from now on.
func (d *Driver) Revoke(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	if ref.Type != user {
		return rec, tenure.Errorf(tenure.Invalid, "a %s can't be used with revoke", ref.Type)
	}
	err = d.on(ctx, "revoke", ref, nil, func(t thing) error {
		if t.state == tenure.ResourceRevoked {
			return nil
		}
		rec.Changed = true
		if _, err := d.administer(ctx, "update-user", url.Values{"access": {ref.Name}}, change{Secret: rand.Text() + rand.Text()}); err != nil {
			return err
		}
		r := *t.rec
		r.State = tenure.ResourceRevoked
		return d.keep(ctx, r, false)
	})
	return rec, err
}

// deleteUser deletes the user, and its record last, also one that a crash left.
func (d *Driver) deleteUser(ctx context.Context, ref connector.Ref, t thing) (rec connector.Receipt, err error) {
	if !t.found {
		r, err := d.stored(ctx, user, ref.Name)
		if err != nil || r == nil {
			return rec, err
		}
		if id, owner := d.whose(r); owner != connector.Ours || id != ref.Resource {
			return rec, nil
		}
		return rec, d.forget(ctx, user, ref.Name)
	}
	rec.Changed = true
	if _, err := d.administer(ctx, "delete-user", url.Values{"access": {ref.Name}}, nil); err != nil && !is(err, "XAdminUserNotFound") {
		return rec, err
	}
	return rec, d.forget(ctx, user, ref.Name)
}
