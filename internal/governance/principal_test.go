package governance_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// TestOneNameOnePrincipal: whoever gets a second name by spelling it otherwise could
// approve what they asked for, or have two roles that no one person has.
func TestOneNameOnePrincipal(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	p, err := d.AddPrincipal(ctx, store.Principal{Name: "Ada Lovelace", Kind: tenure.CallerPerson}, "root")
	d.must(err)
	if p.Name != "ada lovelace" || p.Display != "Ada Lovelace" {
		t.Errorf("stored as %q, shown as %q", p.Name, p.Display)
	}
	for _, again := range []string{"ada lovelace", "ADA LOVELACE", "ａｄａ lovelace"} {
		_, err := d.AddPrincipal(ctx, store.Principal{Name: again, Kind: tenure.CallerPerson}, "root")
		d.wants(err, tenure.Conflict, "ada lovelace")
	}
	_, err = d.AddPrincipal(ctx, store.Principal{Name: "ada\u200b lovelace", Kind: tenure.CallerPerson}, "root")
	d.wants(err, tenure.Invalid)
	_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: "ADA Lovelace", Role: tenure.Auditor, Scope: tenure.Scope{All: true}})
	d.must(err)
	_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: "ada lovelace", Role: tenure.Operator, Scope: tenure.Scope{All: true}})
	d.wants(err, tenure.Conflict)
	for _, self := range []string{"ada lovelace", "Ada Lovelace", "a\u00adda lovelace", "ＡＤＡ  lovelace"} {
		c, err := d.Asserted(ctx, self)
		d.must(err)
		_, err = d.Grant(ctx, c, tenure.Grant{Principal: p.ID, Role: tenure.Auditor, Scope: tenure.Scope{All: true}})
		d.wants(err, tenure.Forbidden, "nobody gives a role to themselves")
	}
}

// TestEarlierSpellings: a store of an earlier build may hold names in capitals; they
// are found, and are one person with their other spellings.
func TestEarlierSpellings(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	old := store.Principal{ID: tenure.NewID[tenure.PrincipalID](d.Now()), Name: "Zoë", Kind: tenure.CallerPerson, CreatedBy: "root", CreatedAt: d.Now()}
	d.must(d.db.Write(ctx, func(tx *store.Tx) error { return tx.SavePrincipal(old) }))
	for _, name := range []string{"Zoë", "zoë", "ZOE\u0308"} {
		c, err := d.Asserted(ctx, name)
		if err != nil || c.Name != "Zoë" {
			t.Errorf("%q is %q (%v)", name, c.Name, err)
		}
	}
	_, err := d.AddPrincipal(ctx, store.Principal{Name: "zoë", Kind: tenure.CallerPerson}, "root")
	d.wants(err, tenure.Conflict)
}

// TestLookalikesWait: a name that reads like another's would collect approvals meant
// for that person; it waits for somebody else than who added it.
func TestLookalikesWait(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	d.person("carl", tenure.Operator)
	for _, name := range []string{"саrl", "car1"} { // Cyrillic с and а; a digit
		p, err := d.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson, Email: name + "@example.org"}, "mallory")
		d.must(err)
		if !p.Waiting || !p.Disabled {
			t.Fatalf("%s is let in: %+v", name, p)
		}
		_, err = d.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: p.ID, Role: tenure.Approver, Scope: tenure.Scope{All: true}})
		d.wants(err, tenure.Conflict, "waits for another admin")
		_, _, err = d.NewToken(ctx, governance.Local("root"), name, store.Token{Name: "x", ExpiresAt: d.Now().Add(time.Hour)})
		d.wants(err, tenure.Conflict)
		if d.bindable(p.Email) {
			t.Errorf("%s binds an identity while it waits", name)
		}
		_, err = d.DisablePrincipal(ctx, name, true, 0, "mallory") // and enabling what was disabled is no way round
		d.must(err)
		for _, by := range []string{"mallory", "Mallory", name} {
			_, err = d.DisablePrincipal(ctx, name, false, 0, by)
			d.wants(err, tenure.Forbidden)
		}
		let, err := d.DisablePrincipal(ctx, name, false, 0, "root")
		if d.must(err); let.Waiting || let.Disabled {
			t.Errorf("%s still waits: %+v", name, let)
		}
	}
	if p, err := d.AddPrincipal(ctx, store.Principal{Name: "carla", Kind: tenure.CallerPerson}, "mallory"); err != nil || p.Waiting {
		t.Errorf("carla waits: %+v, %v", p, err)
	}
}

// bindable says whether the first sign-in with an address would be somebody's.
func (d *door) bindable(email string) bool {
	err := d.db.Write(context.Background(), func(tx *store.Tx) error { _, err := tx.UnboundPrincipal(tenure.EmailAddress(email)); return err })
	return err == nil
}

// TestAnAddressIsOnePrincipals: the address is how the identity provider's word finds
// somebody, so two who share one could sign in as each other.
func TestAnAddressIsOnePrincipals(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	add := func(name, email string) error {
		_, err := d.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson, Email: email}, "root")
		return err
	}
	d.must(add("carl", "c@example.com"))
	for _, same := range []string{"c@example.com", " C@Example.COM ", "ｃ@example.com", "c@example.com.", "c@example。com"} {
		d.wants(add("karl", same), tenure.Conflict, "address")
	}
	d.wants(add("karl", "c\u200b@example.com"), tenure.Invalid, "address")
	d.must(add("zoe", "z@xn--bcher-kva.example"))
	for _, same := range []string{"z@bücher.example", "Z@BÜCHER.example.", "z@bu\u0308cher.example", "z@XN--BCHER-KVA.example"} {
		d.wants(add("zoltan", same), tenure.Conflict, "address")
		if !d.bindable(same) {
			t.Errorf("zoe doesn't sign in with %s", same)
		}
	}
	// Another domain's owner isn't let in by what case folding makes of it.
	d.must(add("petra", "p@straße.example"))
	if d.bindable("p@strasse.example") || d.bindable("p\u200b@straße.example") || !d.bindable("p@Straße.example") {
		t.Error("petra's address binds to who has another")
	}
	// One mailbox under two notes is one person's more often than not.
	for _, same := range []string{"z+2@bücher.example", "Z+admin@xn--bcher-kva.example."} {
		p, err := d.AddPrincipal(ctx, store.Principal{Name: "second" + same[:3], Kind: tenure.CallerPerson, Email: same}, "root")
		if d.must(err); !p.Waiting || d.bindable(same) {
			t.Errorf("%s is let in beside zoe: %+v", same, p)
		}
	}
	_, err := d.DisablePrincipal(ctx, "carl", true, 0, "root")
	d.must(err)
	if d.bindable("c@example.com") {
		t.Error("an address binds to who is disabled")
	}
	d.must(add("karl", "c@example.com"))
	if !d.bindable("c@example.com") {
		t.Error("the address doesn't let karl in")
	}
	_, err = d.DisablePrincipal(ctx, "carl", false, 0, "root")
	d.wants(err, tenure.Conflict, "address")
}
