package ldap

import (
	"context"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Check is described at connector.Checker. LDAP knows no question for what an account may:
// reading is tried, and writing with a change that can't come about.
func (d *Driver) Check(ctx context.Context, _ []connector.Asked) (c connector.Checkup, err error) {
	c.Role = d.pool.dn
	err = d.with(ctx, "check", func() error {
		right := func(name, why string, held, optional bool) {
			r := connector.Right{Name: name, For: why, State: connector.RightHeld}
			if !held {
				r.State, r.Fix = connector.RightMissing, rights
				if optional {
					r.State = connector.RightOptional
				}
			}
			c.Rights = append(c.Rights, r)
		}
		if e, err := d.entry(ctx, "", []string{"vendorName", "vendorVersion"}); err != nil {
			return err
		} else if e != nil {
			c.Version = value(e, "vendorName") + " " + value(e, "vendorVersion")
		}
		g, err := d.sight(ctx)
		if err != nil {
			return err
		}
		right("read the base with its entryUUID", "the fingerprint", g.Complete, false)
		right("read the sentinel", "proving absence; it is made when the system is added", g.Sentinel, true)
		var n int
		whole, err := d.search(ctx, d.baseDN, "(objectClass=*)", []string{"1.1"}, func(*ldap.Entry) error { n++; return nil })
		if err != nil {
			return err
		}
		right("search everything below the base, page by page", fmt.Sprintf("seeing what is there (%d entries now), and proving what isn't", n), whole, false)
		at := d.baseDN
		if g.Sentinel {
			at = d.ownDN()
		}
		writes := false
		if err := d.pool.read(ctx, func(as *connection) (err error) { writes, err = d.mayWrite(as, at); return err }); err != nil {
			return err
		}
		right("write the attribute "+d.mark, "owner marks", writes, false)
		if err := d.beyond(ctx, &c); err != nil {
			return err
		}
		c.Untold = "LDAP has no question for what an account may do; two things are tried"
		c.Notes = append(c.Notes, "Whether the account may add and delete entries, set passwords and write the lock can't be asked without doing it. Adding the system tries that on a user of its own.")
		return nil
	})
	return c, err
}

// beyond tries what Tenure works without: to read the server's own configuration, and to
// write above the base.
func (d *Driver) beyond(ctx context.Context, c *connector.Checkup) error {
	root, err := d.entry(ctx, "", []string{"namingContexts"})
	if err != nil {
		return err
	}
	return d.pool.read(ctx, func(as *connection) error {
		got, err := as.Search(ldap.NewSearchRequest("cn=config", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"1.1"}, nil))
		if broken(err) {
			return err
		}
		if got != nil && len(got.Entries) > 0 {
			c.Rights = append(c.Rights, connector.Right{Name: "read cn=config", State: connector.RightBeyond, For: "sees the server's configuration, with whatever passwords stand in it", Fix: "take the account out of the access rules of cn=config (olcAccess)"})
		}
		if root == nil {
			return nil
		}
		for _, above := range root.GetAttributeValues("namingContexts") {
			outer, err := ldap.ParseDN(above)
			if err != nil {
				continue
			}
			inner, err := ldap.ParseDN(d.baseDN)
			if err != nil || !outer.AncestorOfFold(inner) {
				continue
			}
			may, err := d.mayWrite(as, above)
			if err != nil {
				return err
			}
			if may {
				c.Rights = append(c.Rights, connector.Right{Name: "write " + above, State: connector.RightBeyond, For: "changes entries outside the base, which are no tenant's", Fix: "limit the account's write access to " + d.baseDN})
			}
		}
		return nil
	})
}

// Exposed is described at connector.Secluder: it tries as nobody, who hasn't signed in.
func (d *Driver) Exposed(ctx context.Context) (out []string, err error) {
	err = d.with(ctx, "see who has rights", func() error {
		as, err := d.pool.dial(ctx)
		if err != nil {
			return err
		}
		defer as.shut()
		return d.pool.during(ctx, as, func() error {
			got, err := as.Search(ldap.NewSearchRequest(d.ownDN(), ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{d.mark}, nil))
			if broken(err) {
				return err
			}
			if got != nil && len(got.Entries) > 0 {
				out = append(out, "anybody reads Tenure's own unit without signing in")
			}
			writes, err := d.mayWrite(as, d.ownDN())
			if writes {
				out = append(out, "anybody may write the attribute "+d.mark+", which owner marks are in, without signing in")
			}
			return err
		})
	})
	return out, err
}

var _ connector.Remnanter = (*Driver)(nil)

// remnants are what a directory physically keeps.
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantSpace, Help: "free pages of the database's file, until the server writes over them"},
	{Kind: tenure.RemnantReplicas, Help: "replicas and proxies with a cache that were cut off when an entry went. They lose it when they are connected again"},
	{Kind: tenure.RemnantAccessLog, Help: "what overlays such as accesslog and auditlog, and the server's own log, wrote down. Tenure can't see them"},
	{Kind: tenure.RemnantSnapshots, Help: "backups (slapcat) and copies of the server's disk. The server can't see them"},
}

// Remnants is described at connector.Remnanter. A directory shows none of it.
func (d *Driver) Remnants(context.Context, []connector.Ref) (out []connector.Remnant, err error) {
	return []connector.Remnant{
		{Kind: tenure.RemnantSpace, Says: "free pages of the database's file may hold entries until they are written over"},
		{Kind: tenure.RemnantReplicas, Says: "a replica that was cut off has the entries until it is connected again"},
		{Kind: tenure.RemnantAccessLog, Says: "logs of the server may name entries and changes; they can't be seen from here"},
		{Kind: tenure.RemnantSnapshots, Says: "backups and copies of the server's disk can't be seen from here"},
	}, nil
}
