package ldap

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Probe tries what must work or must be refused.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	var try func(context.Context, connector.Check, thing) (connector.Outcome, error)
	types := []string{user}
	switch c.Kind {
	case "encryption":
		try, types = d.encrypted, []string{group, unit, user}
	case "isolation":
		try = d.isolated
	case "reachable":
		try, types = d.reachable, []string{group, unit, user}
	default:
		return o, tenure.Errorf(tenure.Invalid, "ldap has no probe %q", c.Kind)
	}
	if !slices.Contains(types, c.Ref.Type) || d.checkName(c.Ref.Type, c.Ref.Name) != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe %s can't be run on %s %q", c.Kind, c.Ref.Type, c.Ref.Name)
	}
	err = d.with(ctx, "probe "+c.Kind, func() error {
		t, err := d.owned(ctx, c.Ref)
		if err != nil {
			return err
		}
		if !t.found() {
			o.Detail = "it isn't there"
			return nil
		}
		o, err = try(ctx, c, t)
		return err
	})
	return o, err
}

func failed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Detail: detail}, nil
}

func passed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: detail}, nil
}

// reachable passes if the entry can be read, and of a user if its credential signs in.
func (d *Driver) reachable(ctx context.Context, c connector.Check, t thing) (connector.Outcome, error) {
	if c.Ref.Type == user {
		return d.authenticates(ctx, c, t)
	}
	if t.hidden {
		return failed("it can't be read in full")
	}
	return passed("it was read with its mark")
}

// authenticates signs in with the credential, with another, and with none.
func (d *Driver) authenticates(ctx context.Context, c connector.Check, t thing) (connector.Outcome, error) {
	if c.Credential.IsZero() {
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "probe reachable needs the user's credential")
	}
	works, err := d.signsIn(ctx, t.at, c.Credential.Reveal())
	if err != nil {
		return connector.Outcome{}, err
	}
	switch {
	case works && t.state != tenure.ResourcePresent:
		return passed("it is " + string(t.state) + ", and its credential still signs in")
	case !works:
		return failed("its credential doesn't sign in")
	}
	blank, err := d.blank(ctx, t.at)
	if err != nil {
		return connector.Outcome{}, err
	}
	if blank {
		return failed("a blank password signs in as the user")
	}
	wrong, err := d.signsIn(ctx, t.at, rand.Text())
	if err != nil {
		return connector.Outcome{}, err
	}
	if wrong {
		return failed("another password signs in too")
	}
	// The failure counts against the user until the next success.
	if _, err := d.signsIn(ctx, t.at, c.Credential.Reveal()); err != nil {
		return connector.Outcome{}, err
	}
	return passed("its credential signs in; a blank password and another one don't")
}

// blank says whether a bind with a name and no password signs in as that name. A server
// may let it through as nobody (RFC 4513 §5.1.2), which is no sign-in, and is seen by
// asking who it is (RFC 4532).
func (d *Driver) blank(ctx context.Context, at string) (signedIn bool, err error) {
	c, err := d.pool.dial(ctx)
	if err != nil {
		return false, err
	}
	defer c.shut()
	err = d.pool.during(ctx, c, func() error {
		if err := c.UnauthenticatedBind(at); err != nil {
			return err
		}
		who, err := c.WhoAmI(nil)
		signedIn = err == nil && who.AuthzID != ""
		return err
	})
	if broken(err) {
		return false, err
	}
	return signedIn, nil // a refusal is what should be
}

// isolated signs in as the user and tries Tenure's own unit, which lies beside the
// tenants', and the user's own mark.
func (d *Driver) isolated(ctx context.Context, c connector.Check, t thing) (o connector.Outcome, err error) {
	if c.Credential.IsZero() {
		return o, tenure.Errorf(tenure.Invalid, "probe isolation needs the user's credential")
	}
	if t.state != tenure.ResourcePresent {
		return failed("access to it is off")
	}
	as, err := d.pool.bind(ctx, t.at, c.Credential.Reveal())
	if err != nil {
		if code(err) != 0 {
			return failed("its credential doesn't sign in")
		}
		return o, err
	}
	defer as.shut()
	err = d.pool.during(ctx, as, func() error {
		o, err = d.trespass(as, t)
		return err
	})
	return o, err
}

func (d *Driver) trespass(as *connection, t thing) (o connector.Outcome, err error) {
	look := func(below string, scope int) (n int, err error) {
		got, err := as.Search(ldap.NewSearchRequest(below, scope, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"1.1"}, nil))
		if broken(err) {
			return 0, err
		}
		if got != nil {
			n = len(got.Entries)
		}
		return n, nil
	}
	for _, scope := range []int{ldap.ScopeBaseObject, ldap.ScopeWholeSubtree} {
		n, err := look(d.ownDN(), scope)
		if err != nil {
			return o, err
		}
		if n > 0 {
			return failed("the credential reads a unit that isn't the tenant's")
		}
	}
	writes, err := d.mayWrite(as, t.at)
	if err != nil {
		return o, err
	}
	if writes {
		return failed("the credential may write the attribute that its owner mark is in")
	}
	return passed("the credential signs in, sees nothing of a unit that isn't the tenant's, and can't write its own mark")
}

// mayWrite says whether a connection may write the marks of an entry, without writing: it
// asks for the deletion of a value that isn't there, which is refused either way, and for
// different reasons.
func (d *Driver) mayWrite(as *connection, at string) (bool, error) {
	m := ldap.NewModifyRequest(at, nil)
	m.Delete(d.mark, []string{"tenure-probe " + rand.Text()})
	err := as.Modify(m)
	if broken(err) {
		return false, err
	}
	return err == nil || is(err, ldap.LDAPResultNoSuchAttribute), nil
}

func (d *Driver) encrypted(_ context.Context, c connector.Check, _ thing) (connector.Outcome, error) {
	want := c.Encryption
	switch {
	case want.InTransit != "" && d.pool.tls == nil:
		return failed("the connection isn't encrypted")
	case want.KeyOwner == "tenant":
		return failed("whose key entries are encrypted with can't be seen here")
	case want.AtRest != "":
		return failed("the server doesn't say whether entries are encrypted at rest")
	}
	return passed("the connection is as the profile asks for")
}
