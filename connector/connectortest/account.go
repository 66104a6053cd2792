package connectortest

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// checkAccounts lists the accounts of a driver that can: in their order, with what they
// are, and without changing anything. A type that isn't listed at all gives no access.
func checkAccounts(a *actor) {
	e, ok := a.driver.(connector.Enumerator)
	if !ok {
		a.t.Skip("the driver can't list accounts")
	}
	list := func() (all []connector.Account) {
		a.t.Helper()
		a.untouched("accounts", func() {
			sight, err := e.Accounts(a.t.Context(), func(one connector.Account) error {
				all = append(all, one)
				return nil
			})
			a.must("accounts", err)
			a.says("accounts", all)
			if !sight.Sentinel || !sight.Complete || sight.Fingerprint == "" {
				a.t.Errorf("the sighting of accounts is %+v", sight)
			}
		})
		for i := 1; i < len(all); i++ {
			if p, q := all[i-1], all[i]; p.Type > q.Type || p.Type == q.Type && p.Name > q.Name {
				a.t.Errorf("accounts yields %s %q before %s %q", p.Type, p.Name, q.Type, q.Name)
			}
		}
		return all
	}
	d := a.made()
	all := list()
	if !slices.ContainsFunc(all, func(o connector.Account) bool { return o.Type == a.c.Type }) {
		a.t.Skipf("a %s is no account there", a.c.Type)
	}
	one := account(a.t, all, d.Ref)
	if one.Owner != connector.Ours || one.Resource != d.Resource {
		a.t.Errorf("%s %q is listed as %s of %q", d.Type, d.Name, one.Owner, one.Resource)
	}
	was := one.Enabled
	if a.can("revoke") && !a.lacks("revoke") {
		if _, err := a.do("revoke", d.Ref); err == nil {
			if one = account(a.t, list(), d.Ref); one.Enabled {
				a.t.Errorf("%s %q is revoked, and listed as one that can be used", d.Type, d.Name)
			}
		}
	}
	if t, _ := a.w.Info.Type(a.c.Type); t.Credential && !was {
		a.t.Errorf("%s %q has a credential, and is listed as one that can't be used", d.Type, d.Name)
	}
	_, err := a.delete(d.Ref)
	a.must("delete", err)
	for _, o := range list() {
		if o.Type == d.Type && o.Name == d.Name {
			a.t.Errorf("the deleted %s %q is listed", d.Type, d.Name)
		}
	}
}

func account(t *testing.T, all []connector.Account, r connector.Ref) connector.Account {
	t.Helper()
	var found []connector.Account
	for _, o := range all {
		if o.Type == r.Type && o.Name == r.Name {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s %q is listed %d times", r.Type, r.Name, len(found))
	}
	return found[0]
}
