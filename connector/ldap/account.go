package ldap

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Enumerator = (*Driver)(nil)

// accounts are the entries that somebody may sign in as: people, and what has a password or
// a user id of a machine (RFC 2798, RFC 4519, RFC 2307).
const accounts = "(|(objectClass=inetOrgPerson)(objectClass=simpleSecurityObject)(objectClass=posixAccount)(objectClass=account))"

// lastSeen is when somebody last signed in, as OpenLDAP keeps it where lastbind is on. That
// it is on is seen by Tenure's own account, which has just signed in.
const lastSeen = "pwdLastSuccess"

// Accounts is described at connector.Enumerator. An entry that can't be a resource of this
// connector goes by its DN.
func (d *Driver) Accounts(ctx context.Context, yield func(connector.Account) error) (g connector.Sighting, err error) {
	var stop error
	err = d.with(ctx, "accounts", func() error {
		if g, err = d.sight(ctx); err != nil {
			return err
		}
		self, err := d.entry(ctx, d.pool.dn, []string{lastSeen})
		if err != nil && !unseen(err) {
			return err
		}
		tells := self != nil && value(self, lastSeen) != ""
		var found []connector.Account
		wanted := append(d.wanted(user), lastSeen, "createTimestamp", "employeeNumber")
		whole, err := d.search(ctx, d.baseDN, accounts, wanted, func(e *ldap.Entry) error {
			at, err := parseDN(e.DN)
			if err != nil || d.isOwn(at) {
				return nil
			}
			a := d.account(e, at)
			a.Tells = tells || !a.Seen.IsZero()
			found = append(found, a)
			return nil
		})
		if err != nil {
			return err
		}
		g.Complete = g.Complete && whole
		slices.SortFunc(found, func(a, b connector.Account) int { return cmp.Compare(a.Name, b.Name) })
		for _, a := range found {
			if stop = yield(a); stop != nil {
				return stop
			}
		}
		return nil
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// isOwn says whether an entry is Tenure's account, or in the unit that Tenure keeps for itself.
func (d *Driver) isOwn(at dn) bool {
	for _, text := range []string{d.ownDN(), d.pool.dn} {
		its, err := parseDN(text)
		if err != nil {
			continue
		}
		if _, in := at.below(its); in || at.key() == its.key() {
			return true
		}
	}
	return false
}

func (d *Driver) account(e *ldap.Entry, at dn) connector.Account {
	t := d.as(user, e, at)
	a := connector.Account{
		Type: user, Name: e.DN, ID: value(e, "entryUUID"), Owner: t.owner, Resource: t.resource, Enabled: t.state == tenure.ResourcePresent && !d.locked(e),
		Mails: values(e, "mail"), ExternalIDs: values(e, "employeeNumber"),
		Seen: moment(value(e, lastSeen)), Created: moment(value(e, "createTimestamp")),
		Remove: []string{"ldapdelete " + quoted(e.DN)},
	}
	if of, name, ok := d.nameOf(at); ok && of == user {
		a.Name = name
	}
	if d.lockName != "" {
		a.Disable = []string{"ldapmodify, with: dn: " + e.DN + " | changetype: modify | replace: " + d.lockName + " | " + d.lockName + ": " + d.lockValue}
	}
	return a
}

// moment reads a generalized time (RFC 4517, section 3.3.13) as servers write it.
func moment(text string) time.Time {
	for _, layout := range []string{"20060102150405Z", "20060102150405.000000Z", "20060102150405.0Z"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// quoted is a text as a shell takes it for one word.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
