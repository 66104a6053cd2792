package ldap_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	library "github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/internal/slapdtest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

// marker is of one installation for all tests.
var marker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "directory", Key: []byte(rand.Text() + rand.Text())}

// drive opens a driver, with options in place of the usual ones, and plants the system.
func (w world) drive(t testing.TB, options map[string]string) connector.Driver {
	t.Helper()
	d := w.bare(t, options)
	_, err := d.Plant(t.Context())
	must(t, err)
	return d
}

// bare opens a driver without planting anything.
func (w world) bare(t testing.TB, options map[string]string) connector.Driver {
	t.Helper()
	all := w.options()
	maps.Copy(all, options)
	d, err := ldap.Info().Open(t.Context(), connector.Config{System: "directory", Options: all, Secrets: w.secrets(), Marker: marker, Now: time.Now})
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func desired(typ, name string, attributes map[string]any) connector.Desired {
	d := connector.Desired{Ref: connector.Ref{Type: typ, Name: name, Attributes: attributes, Resource: tenure.NewID[tenure.ResourceID](time.Now())}}
	if typ == "user" {
		d.Credential = tenure.NewSecret(rand.Text())
	}
	if typ == "organizational_unit" {
		d.Classes = []string{"contacts"}
	}
	return d
}

func made(t testing.TB, d connector.Driver, typ, name string, attributes map[string]any) connector.Desired {
	t.Helper()
	want := desired(typ, name, attributes)
	_, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	return want
}

func refused(t testing.TB, what string, err error, code tenure.Code, words ...string) {
	t.Helper()
	if err == nil || tenure.CodeOf(err) != code {
		t.Errorf("%s: %v (%s), want %s", what, err, tenure.CodeOf(err), code)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v doesn't say %q", what, err, word)
		}
	}
}

func observe(t testing.TB, d connector.Driver, refs ...connector.Ref) (map[string]connector.Observed, connector.Sighting) {
	t.Helper()
	out := map[string]connector.Observed{}
	g, err := d.Observe(t.Context(), refs, func(o connector.Observed) error {
		out[o.Type+" "+o.Name] = o
		return nil
	})
	must(t, err)
	return out, g
}

// One entry has one owner, however its name is spelled: who asks for another spelling is
// told so, and neither gets nor changes it.
func TestSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	for _, pair := range [][2]string{{"Acme", "aCME"}, {"Caf\u00e9", "cafe\u0301"}, {"\uff21BC", "abc"}} {
		first := made(t, d, "organizational_unit", pair[0], nil)
		before := w.Look(t)
		second := desired("organizational_unit", pair[1], nil)
		_, _, err := d.Ensure(t.Context(), second)
		refused(t, "ensure of "+pair[1], err, tenure.Conflict)
		_, err = d.Delete(t.Context(), second.Ref)
		refused(t, "delete of "+pair[1], err, tenure.Conflict)
		if after := w.Look(t); after != before {
			t.Errorf("%q changed %q", pair[1], pair[0])
		}
		var many []connector.Ref // one of many is found in bulk
		for i := range 20 {
			many = append(many, desired("organizational_unit", fmt.Sprint("absent", i), nil).Ref)
		}
		seen, _ := observe(t, d, append(many, first.Ref, second.Ref)...)
		for _, name := range pair {
			if o := seen["organizational_unit "+name]; !o.Found || o.Resource != first.Resource {
				t.Errorf("%q is observed as found=%t %q", name, o.Found, o.Resource)
			}
		}
		if n := len(slices.Collect(maps.Keys(seen))); n != 22 {
			t.Errorf("%d of 22 answers", n)
		}
	}
	for _, name := range []string{"acme ", " acme", "ac  me", "acme\u00a0", "ac\u200bme", "a\u202eb", "/", "acme/", "/acme", "", "Tenure", "tenure/x"} {
		_, _, err := d.Ensure(t.Context(), desired("organizational_unit", name, nil))
		refused(t, fmt.Sprintf("ensure of %q", name), err, tenure.Invalid)
	}
}

// Names that mean something in DNs and filters are names, and lead to nobody else's entry.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	neighbour := made(t, d, "user", "people/neighbour", nil)
	before := w.Look(t)
	for _, name := range []string{
		"a,ou=people", "a+cn=b", "#hash", "a#b", `a\`, `a\2c`, `a\,b`, `"quoted"`, "<a>", "a;b", "a=b", "=", "*", "neigh*", "x)(uid=*", "*)(objectClass=*",
		"(a)", "&", "|", "!", "uid=neighbour,ou=people," + slapdtest.Base, "ünï,+", "+", ",", "名前,#",
	} {
		var all []connector.Desired
		for _, typ := range []string{"user", "group"} {
			want := desired(typ, "people/"+name, nil)
			_, rec, err := d.Ensure(t.Context(), want)
			if err != nil || !rec.Changed {
				t.Errorf("%s %q: changed=%t, %v", typ, name, rec.Changed, err)
			}
			all = append(all, want)
			if _, rec, err = d.Ensure(t.Context(), want); err != nil || rec.Changed {
				t.Errorf("%s %q again: changed=%t, %v", typ, name, rec.Changed, err)
			}
		}
		var found []string
		for _, e := range w.All(t, "ou=people,"+slapdtest.Base, "uid") {
			found = append(found, e.GetAttributeValues("uid")...)
		}
		if !slices.Contains(found, name) {
			t.Errorf("no entry has uid %q: %q", name, found)
		}
		refs := []connector.Ref{neighbour.Ref}
		for _, want := range all {
			refs = append(refs, want.Ref)
		}
		for range 3 { // in bulk too
			refs = append(refs, desired("user", "people/absent"+rand.Text(), nil).Ref, desired("group", "people/absent"+rand.Text(), nil).Ref)
		}
		seen, g := observe(t, d, refs...)
		for _, want := range all {
			if o := seen[want.Type+" "+want.Name]; !g.Complete || !o.Found || o.Resource != want.Resource {
				t.Errorf("%s %q is observed as %+v", want.Type, name, o)
			}
			_, err := d.Delete(t.Context(), want.Ref)
			must(t, err)
		}
	}
	if after := w.Look(t); after != before {
		t.Error("something is left, or the neighbour has changed")
	}
}

// A copy of a mark on another entry is no mark, nor is one that was cut down, and neither
// is the mark of an entry that was deleted and made again.
func TestMarksAreOfOneEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	acme := made(t, d, "user", "people/acme", nil)
	mark := w.one(t, at(acme.Ref)).GetAttributeValue("description")
	copied := acme.Ref
	copied.Name = "people/copied"
	unsealed, _, _ := strings.Cut(mark, " seal=")
	plain, _, _ := strings.Cut(mark, " ")
	for _, v := range []string{mark, unsealed, plain, strings.Replace(mark, " seal=", " state=revoked seal=", 1), strings.Replace(mark, " seal=", " new seal=", 1)} {
		a := person("copied")
		a["description"] = []string{"of a person", v}
		w.add(t, at(copied), a)
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: copied, Credential: acme.Credential})
		refused(t, "ensure of "+v, err, tenure.Conflict)
		_, err = d.Delete(t.Context(), copied)
		refused(t, "delete of "+v, err, tenure.Conflict)
		w.del(t, at(copied))
	}
	w.del(t, at(acme.Ref))
	a := person("acme")
	a["description"] = []string{mark}
	w.add(t, at(acme.Ref), a)
	_, err := d.Delete(t.Context(), acme.Ref)
	refused(t, "delete of what was made again", err, tenure.Conflict)
}

// What people write beside the mark stays, and an entry that was renamed keeps its mark.
func TestPeoplesDescriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	anna := made(t, d, "user", "people/anna", nil)
	w.change(t, at(anna.Ref), func(m *library.ModifyRequest) { m.Add("description", []string{"likes tenure: a lot", "in the office"}) })
	for _, call := range []func(context.Context, connector.Ref) (connector.Receipt, error){
		d.(connector.Suspender).Suspend, d.(connector.Suspender).Resume, d.(connector.Revoker).Revoke,
	} {
		_, err := call(t.Context(), anna.Ref)
		must(t, err)
	}
	got := w.one(t, at(anna.Ref)).GetAttributeValues("description")
	if len(got) != 3 || !slices.Contains(got, "likes tenure: a lot") || !slices.Contains(got, "in the office") {
		t.Errorf("the descriptions are %q", got)
	}
	w.root(t, func(c *library.Conn) {
		must(t, c.ModifyDN(library.NewModifyDNRequest(at(anna.Ref), "uid=anne", true, "")))
	})
	var renamed connector.Observed
	_, err := d.Discover(t.Context(), connector.Scope{Types: []string{"user"}}, func(o connector.Observed) error { renamed = o; return nil })
	must(t, err)
	if renamed.Name != "people/anne" || renamed.Owner != connector.Ours || renamed.Resource != anna.Resource {
		t.Errorf("what was renamed is discovered as %+v", renamed)
	}
}

// A search that the server cuts short proves no absence.
func TestLimitsAreLackOfSight(t *testing.T) {
	t.Parallel()
	for _, limits := range []string{"size=7 size.prtotal=7", "size=unlimited size.prtotal=disabled", "size=unlimited size.unchecked=5"} {
		t.Run(limits, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, slapdtest.Settings{Limits: limits})
			d := w.drive(t, nil)
			var refs []connector.Ref
			for i := range 12 {
				want := made(t, d, "organizational_unit", fmt.Sprint("unit", i), nil)
				refs = append(refs, want.Ref, desired("organizational_unit", fmt.Sprint("absent", i), nil).Ref)
			}
			_, g := observe(t, d, refs...)
			whole, err := d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
			if err != nil {
				refused(t, "discover", err, tenure.Blocked)
			} else if whole.Complete {
				t.Error("a discovery that was cut short is complete")
			}
			if g.Complete {
				t.Error("an observation that was cut short is complete")
			}
			if _, err := d.(connector.Eraser).Erase(t.Context(), refs[0], connector.Batch{Limit: 5}); err != nil {
				t.Logf("an empty unit: %v", err)
			}
		})
	}
}

// Thousands are read with few searches, and a large group is changed by its differences.
func TestBulk(t *testing.T) {
	t.Parallel()
	const users, members = 2000, 1500
	w := newWorld(t, slapdtest.Settings{})
	near := w.drive(t, nil)
	var refs []connector.Ref
	var names []any
	for i := range users {
		want := desired("user", fmt.Sprintf("people/user%04d", i), nil)
		want.Credential = tenure.NewSecret("a password of many")
		_, _, err := near.Ensure(t.Context(), want)
		must(t, err)
		refs = append(refs, want.Ref)
		if i < members {
			names = append(names, want.Name)
		}
	}
	crowd := made(t, near, "group", "people/crowd", map[string]any{"members": names})
	proxy := toxitest.New(t, w.Address)
	d := w.drive(t, map[string]string{"url": "ldap://" + proxy.Address})
	said := proxy.Spy()
	began := time.Now()
	seen, g := observe(t, d, append(refs, crowd.Ref)...)
	searches := strings.Count(said(), "\x0a\x01\x02\x0a\x01\x00") // scope subtree, no aliases
	reads := strings.Count(said(), "\x0a\x01\x00\x0a\x01\x00")
	t.Logf("%d users and a group of %d members: %d pages, %d single reads, %s", users, members, searches, reads, time.Since(began))
	if !g.Complete || len(seen) != users+1 || searches > users/500+2 || reads > 4 {
		t.Errorf("complete=%t, %d seen, %d pages and %d single reads", g.Complete, len(seen), searches, reads)
	}
	for _, r := range refs {
		if o := seen["user "+r.Name]; !o.Found || o.Owner != connector.Ours || o.Resource != r.Resource {
			t.Fatalf("%s is seen as %+v", r.Name, o)
		}
	}
	want, err := d.Normalise(crowd)
	must(t, err)
	if o := seen["group people/crowd"]; string(o.Attributes) != string(want) || o.Metrics["members"] != members {
		t.Errorf("the group has %d members, and %d bytes of %d", o.Metrics["members"], len(o.Attributes), len(want))
	}

	began = time.Now()
	sent := len(said())
	crowd.Attributes["members"] = append(names[1:], refs[members].Name)
	_, rec, err := d.Ensure(t.Context(), crowd)
	must(t, err)
	if grown := len(said()) - sent; !rec.Changed || grown > 4000 {
		t.Errorf("a change of two members sends %d bytes", grown)
	}
	entry := w.one(t, at(crowd.Ref))
	if got := entry.GetAttributeValues("member"); len(got) != members || slices.Contains(got, at(refs[0])) || !slices.Contains(got, at(refs[members])) {
		t.Errorf("%d members after the change", len(got))
	}
	t.Logf("two members changed in %s", time.Since(began))
}

// Who goes is taken out of the groups that name it, and a group never is without a member.
func TestLeavingGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	anna, ben := made(t, d, "user", "people/anna", nil), made(t, d, "user", "people/ben", nil)
	acme := made(t, d, "organizational_unit", "acme", nil)
	w.add(t, "uid=cleo,ou=acme,"+slapdtest.Base, person("cleo"))
	foreign := "cn=foreign," + slapdtest.Base
	w.add(t, foreign, map[string][]string{"objectClass": {"groupOfNames"}, "member": {at(anna.Ref), at(ben.Ref), "uid=cleo,ou=acme," + slapdtest.Base}})
	w.add(t, "cn=alone,"+slapdtest.Base, map[string][]string{"objectClass": {"groupOfUniqueNames"}, "uniqueMember": {at(anna.Ref)}})
	for _, r := range []connector.Ref{anna.Ref, acme.Ref} {
		_, err := d.Delete(t.Context(), r)
		must(t, err)
	}
	if got := w.one(t, foreign).GetAttributeValues("member"); !slices.Equal(got, []string{at(ben.Ref)}) {
		t.Errorf("members: %q", got)
	}
	if got := w.one(t, "cn=alone,"+slapdtest.Base).GetAttributeValues("uniqueMember"); !slices.Equal(got, []string{"cn=nobody,ou=tenure," + slapdtest.Base}) {
		t.Errorf("the group of one has %q", got)
	}
	free := made(t, d, "group", "people/free", nil)
	w.change(t, at(free.Ref), func(m *library.ModifyRequest) { m.Add("member", []string{at(ben.Ref)}) })
	if _, rec, err := d.Ensure(t.Context(), free); err != nil || rec.Changed {
		t.Errorf("a group whose members are somebody else's affair: changed=%t, %v", rec.Changed, err)
	}
}

// A unit goes with all that is below it, whatever its shape, unless something there bears
// a mark of its own; what lies beside it stays.
func TestUnitGoesWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, map[string]string{"pageSize": "50"})
	acme, birch := made(t, d, "organizational_unit", "acme", nil), made(t, d, "organizational_unit", "acme2", nil)
	w.fill(t, birch.Ref, "contacts", 3)
	below := at(acme.Ref)
	for i := range 12 { // a deep branch
		below = fmt.Sprintf("ou=deep%d,%s", i, below)
		w.add(t, below, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	w.root(t, func(c *library.Conn) {
		for i := range 700 {
			r := library.NewAddRequest(fmt.Sprintf("uid=p%d,%s", i, below), nil)
			for name, v := range person(fmt.Sprintf("p%d", i)) {
				r.Attribute(name, v)
			}
			must(t, c.Add(r))
		}
	})
	guest := made(t, d, "user", "acme/guest", nil)
	before := w.Look(t)
	_, err := d.Delete(t.Context(), acme.Ref)
	refused(t, "delete of a unit with a resource in it", err, tenure.Blocked, "uid=guest,ou=acme")
	if after := w.Look(t); after != before {
		t.Error("a refused delete has changed something")
	}
	m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: acme.Ref, Beside: []connector.Ref{guest.Ref}})
	must(t, err)
	var rows int64
	for _, p := range m.Places {
		rows += p.Rows
	}
	if rows != 712 || !m.Sighting.Complete {
		t.Errorf("the map has %d rows of 712: %+v", rows, m.Places)
	}
	// Another installation's mark: no map without it, and it blocks.
	stranger := connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "directory", Key: []byte("another")}
	theirs := person("theirs")
	theirs["description"] = []string{stranger.Mark("user", guest.Resource)}
	w.add(t, "uid=theirs,ou=acme,"+slapdtest.Base, theirs)
	m, err = d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: acme.Ref})
	must(t, err)
	if !slices.ContainsFunc(m.Places, func(p connector.Place) bool { return p.Blocks && strings.Contains(p.Name, "uid=theirs") }) {
		t.Errorf("the map doesn't show another installation's entry: %+v", m.Places)
	}
	w.del(t, "uid=theirs,ou=acme,"+slapdtest.Base)
	_, err = d.Delete(t.Context(), guest.Ref)
	must(t, err)
	began := time.Now()
	rec, err := d.Delete(t.Context(), acme.Ref)
	must(t, err)
	t.Logf("712 entries deleted in %s", time.Since(began))
	if rec.Counts["entries"] != 712 || w.exists(t, acme.Ref) {
		t.Errorf("%d of 712 entries went", rec.Counts["entries"])
	}
	if n := w.count(t, birch.Ref, "contacts"); n != 3 {
		t.Errorf("the neighbour has %d of 3 entries", n)
	}
}

// The probe tells a credential that works from one that is off, and a blank password is
// never a success.
func TestAuthenticationProbe(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"", "allow bind_anon_cred bind_anon_dn"} {
		w := newWorld(t, slapdtest.Settings{Global: database})
		d := w.drive(t, nil)
		anna := made(t, d, "user", "people/anna", nil)
		probe := func(what string, passes bool) {
			t.Helper()
			o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "reachable", Ref: anna.Ref, Credential: anna.Credential})
			must(t, err)
			if o.Passed != passes {
				t.Errorf("%s: %+v", what, o)
			}
		}
		probe("present", true)
		_, err := d.(connector.Suspender).Suspend(t.Context(), anna.Ref)
		must(t, err)
		probe("suspended", false)
		reissued := anna
		reissued.Credential = tenure.NewSecret(rand.Text())
		_, _, err = d.Ensure(t.Context(), reissued)
		must(t, err)
		if _, err := w.As(t, at(anna.Ref), reissued.Credential.Reveal()); err == nil {
			t.Error("a new password lets a suspended user in")
		}
		_, err = d.(connector.Suspender).Resume(t.Context(), anna.Ref)
		must(t, err)
		probe("resumed with another password", false)
		anna = reissued
		probe("resumed", true)
		_, err = d.(connector.Revoker).Revoke(t.Context(), anna.Ref)
		must(t, err)
		probe("revoked", false)
		if _, rec, err := d.Ensure(t.Context(), anna); err != nil || rec.Changed {
			t.Errorf("the old credential reinstates: changed=%t, %v", rec.Changed, err)
		}
		// A lock that has no effect is found out.
		w.change(t, at(anna.Ref), func(m *library.ModifyRequest) { m.Replace("userPassword", []string{anna.Credential.Reveal()}) })
		w.change(t, at(anna.Ref), func(m *library.ModifyRequest) { m.Replace("pwdAccountLockedTime", []string{"000001010000Z"}) })
		w.change(t, "cn=default,"+slapdtest.Base, func(m *library.ModifyRequest) { m.Replace("pwdLockout", []string{"FALSE"}) })
		probe("a lock without effect", true)
		_, err = d.Plant(t.Context())
		refused(t, "plant where locks have no effect", err, tenure.Blocked, "still signs in")
	}
}

// A server that was restarted is reached again, without an error for who reads.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, map[string]string{"pageSize": "10"})
	acme := made(t, d, "organizational_unit", "acme", nil)
	w.fill(t, acme.Ref, "contacts", 60)
	w.Stop(t)
	_, err := d.Delete(t.Context(), acme.Ref)
	refused(t, "delete while the server is down", err, tenure.Unavailable)
	w.Again(t)
	if seen, g := observe(t, d, acme.Ref); !g.Complete || !seen["organizational_unit acme"].Found {
		t.Errorf("after a restart: %+v %+v", seen, g)
	}
	// In the middle of a search: it is unavailable, and never a part taken for the whole.
	w.fill(t, acme.Ref, "contacts", 5)
	for i := range 30 {
		made(t, d, "organizational_unit", fmt.Sprint("unit", i), nil)
	}
	once := false
	_, err = d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error {
		if !once {
			once = true
			w.Stop(t)
			w.Again(t)
		}
		return nil
	})
	if err != nil {
		refused(t, "discover over a restart", err, tenure.Unavailable)
	}
	rec, err := d.Delete(t.Context(), acme.Ref)
	must(t, err)
	if rec.Counts["entries"] != 65 {
		t.Errorf("%d of 65 entries went", rec.Counts["entries"])
	}
}

// Every account is listed, whoever's it is and however its entry is named, but for Tenure's
// own; when somebody last signed in is told where the directory keeps it.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{Database: "lastbind on", Entries: `dn: uid=hand,ou=people,` + slapdtest.Base + `
objectClass: inetOrgPerson
uid: hand
cn: Hand
sn: Hand
mail: hand@acme.example
mail: hand@old.acme.example
employeeNumber: crm-7
userPassword: by-hand

dn: cn=robot,ou=people,` + slapdtest.Base + `
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: robot
userPassword: a-robot
pwdAccountLockedTime: 000001010000Z
`})
	d := w.drive(t, nil)
	anna := made(t, d, "user", "people/anna", nil)
	if _, err := w.As(t, "uid=hand,ou=people,"+slapdtest.Base, "by-hand"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]connector.Account{}
	sight, err := d.(connector.Enumerator).Accounts(t.Context(), func(a connector.Account) error { seen[a.Name] = a; return nil })
	must(t, err)
	if !sight.Complete || !sight.Sentinel || len(seen) != 3 {
		t.Fatalf("%d accounts are listed, sighting %+v: %v", len(seen), sight, seen)
	}
	hand, robot := seen["people/hand"], seen["cn=robot,ou=people,"+slapdtest.Base]
	switch {
	case seen["people/anna"].Resource != anna.Resource || !seen["people/anna"].Enabled || !seen["people/anna"].Tells || !seen["people/anna"].Seen.IsZero():
		t.Errorf("anna is listed as %+v", seen["people/anna"])
	case hand.Owner != connector.Unmarked || !hand.Enabled || !hand.Tells || hand.Seen.IsZero() || hand.Created.IsZero():
		t.Errorf("what was made by hand is listed as %+v", hand)
	case !slices.Equal(hand.Mails, []string{"hand@acme.example", "hand@old.acme.example"}) || !slices.Equal(hand.ExternalIDs, []string{"crm-7"}):
		t.Errorf("it is known by %v and %v", hand.Mails, hand.ExternalIDs)
	case robot.ID == "" || robot.Enabled || len(robot.Remove) == 0:
		t.Errorf("a locked robot is listed as %+v", robot)
	}
}
