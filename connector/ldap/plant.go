package ldap

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// sentinelMark begins the value of the mark attribute that makes Tenure's own unit the
// sentinel. A random text follows.
const sentinelMark = "tenure-sentinel:1:"

// sight says who the server is, and whether it shows the sentinel.
func (d *Driver) sight(ctx context.Context) (g connector.Sighting, err error) {
	base, err := d.entry(ctx, d.baseDN, []string{"entryUUID"})
	if unseen(err) {
		return g, nil
	}
	if err != nil || base == nil {
		return g, err
	}
	e, err := d.entry(ctx, d.ownDN(), []string{d.mark, "entryUUID"})
	if err != nil && !unseen(err) {
		return g, err
	}
	g.Complete = err == nil && value(base, "entryUUID") != ""
	g.Fingerprint = "ldap:" + value(base, "entryUUID")
	if e == nil {
		return g, nil
	}
	for _, v := range values(e, d.mark) {
		if secret, ok := strings.CutPrefix(v, sentinelMark); ok {
			g.Sentinel = true
			g.Fingerprint += ":" + secret
		}
	}
	return g, nil
}

// Plant makes Tenure's own unit below the base, and tries on a user that it makes there,
// and deletes again, whether the lock keeps a user from signing in. The fingerprint is the
// base's entryUUID with the sentinel's random text: two servers of one directory have the
// same, and so has a server that was restored from its backup.
func (d *Driver) Plant(ctx context.Context) (fingerprint string, err error) {
	err = d.with(ctx, "plant", func() error {
		g, err := d.sight(ctx)
		if err != nil {
			return err
		}
		if g.Fingerprint == "" {
			return tenure.Errorf(tenure.NotFound, "the base isn't there, or Tenure's account can't see it").WithHint("check the option base")
		}
		if !g.Complete {
			return tenure.Errorf(tenure.Forbidden, "Tenure's account can't read the base in full").WithHint("give it the rights that the connector's page names")
		}
		if !g.Sentinel {
			if err := d.plant(ctx); err != nil {
				return err
			}
			if g, err = d.sight(ctx); err != nil {
				return err
			}
			if !g.Sentinel {
				return tenure.Errorf(tenure.Forbidden, "what Tenure wrote in its own unit can't be read").WithHint("give it the rights that the connector's page names")
			}
		}
		fingerprint = g.Fingerprint
		return d.tryLock(ctx)
	})
	return fingerprint, err
}

func (d *Driver) plant(ctx context.Context) error {
	mark := sentinelMark + rand.Text()
	r := ldap.NewAddRequest(d.ownDN(), nil)
	r.Attribute("objectClass", []string{"top", objectClass[unit]})
	r.Attribute("ou", []string{d.own})
	r.Attribute(d.mark, []string{mark})
	err := d.pool.write(ctx, func(c *connection) error { return c.Add(r) })
	if !is(err, ldap.LDAPResultEntryAlreadyExists) {
		return err
	}
	e, err := d.entry(ctx, d.ownDN(), []string{d.mark})
	if err != nil || e == nil {
		return err
	}
	for _, v := range values(e, d.mark) {
		if strings.HasPrefix(v, sentinelMark) { // somebody else's plant has just come first
			return nil
		}
	}
	return tenure.Errorf(tenure.Conflict, "there is a unit %q below the base already, and it isn't Tenure's", d.own).WithHint("name another one in the option own")
}

// tryLock makes a user in Tenure's own unit, signs in as it, locks it and signs in again.
func (d *Driver) tryLock(ctx context.Context) error {
	if d.lockName == "" {
		return nil
	}
	name := d.marker.ProbeName()
	at := "uid=" + escape(name) + "," + d.ownDN()
	password := rand.Text()
	r := ldap.NewAddRequest(at, nil)
	r.Attribute("objectClass", []string{"top", "person", "organizationalPerson", objectClass[user]})
	for _, of := range []string{"uid", "cn", "sn"} {
		r.Attribute(of, []string{name})
	}
	if err := d.pool.write(ctx, func(c *connection) error { return c.Add(r) }); err != nil {
		return err
	}
	err := d.setPassword(ctx, at, password, nil)
	var before, after bool
	if err == nil {
		before, err = d.signsIn(ctx, at, password)
	}
	if err == nil {
		m := ldap.NewModifyRequest(at, nil)
		m.Replace(d.lockName, []string{d.lockValue})
		err = d.modify(ctx, m)
	}
	if err == nil {
		after, err = d.signsIn(ctx, at, password)
	}
	if _, gone := d.remove(context.WithoutCancel(ctx), at, nil); err == nil {
		err = gone
	}
	switch {
	case is(err, ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultObjectClassViolation):
		return tenure.Errorf(tenure.Blocked, "the server has no attribute %s for a user: nobody could be suspended", d.lockName).WithHint("load the overlay ppolicy, or set the option lock")
	case err != nil:
		return err
	case !before:
		return tenure.Errorf(tenure.Blocked, "a user that Tenure made can't sign in with its password").WithHint("let users sign in: access to attrs=userPassword by anonymous auth")
	case after:
		return tenure.Errorf(tenure.Blocked, "a user that was locked by %s still signs in", d.lockName).WithHint("give the default password policy pwdLockout: TRUE, or set the option lock")
	}
	return nil
}
