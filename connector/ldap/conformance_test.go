package ldap_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	library "github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

func TestConformance(t *testing.T) { connectortest.Run(t, open) }

// people is the unit that users and groups of these tests are in. Nobody owns it.
const people = "people"

// world is a server with hands on it that don't go through the connector.
type world struct {
	*slapdtest.Server
}

func newWorld(t testing.TB, with slapdtest.Settings) world {
	t.Helper()
	with.Entries += fmt.Sprintf("\n\ndn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %[1]s\n", people, slapdtest.Base)
	return world{slapdtest.Start(t, with)}
}

func (w world) options() map[string]string {
	return map[string]string{"url": w.URL, "bindDN": slapdtest.Tenure, "base": slapdtest.Base}
}

func (w world) secrets() map[string]tenure.Secret {
	return map[string]tenure.Secret{"password": tenure.NewSecret(w.Password)}
}

func open(t *testing.T) *connectortest.World {
	w := newWorld(t, slapdtest.Settings{})
	return &connectortest.World{
		Info: ldap.Info(), Options: w.options(), Secrets: w.secrets(),
		Look:         w.Look,
		LoseSentinel: func(t testing.TB) { w.del(t, "ou=tenure,"+slapdtest.Base) },
		Outage:       func(t testing.TB) func() { w.Stop(t); return func() { w.Again(t) } },
		Cases:        []connectortest.Case{w.unitCase(), w.groupCase(), w.userCase()},
		Probes:       w.probes(),
		Untried:      []string{"encryption"}, // TestTLS tries it
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at is where a resource with a plain name is.
func at(r connector.Ref) string {
	key := map[string]string{"organizational_unit": "ou", "user": "uid", "group": "cn"}[r.Type]
	out := slapdtest.Base
	parts := strings.Split(r.Name, "/")
	for i, part := range parts {
		k := "ou"
		if i == len(parts)-1 {
			k = key
		}
		out = k + "=" + library.EscapeDN(part) + "," + out
	}
	return out
}

func (w world) root(t testing.TB, f func(c *library.Conn)) {
	t.Helper()
	c := w.AsRoot(t)
	defer c.Close()
	f(c)
}

func (w world) del(t testing.TB, dn string) {
	t.Helper()
	w.root(t, func(c *library.Conn) { must(t, c.Del(library.NewDelRequest(dn, nil))) })
}

func (w world) add(t testing.TB, dn string, attributes map[string][]string) {
	t.Helper()
	r := library.NewAddRequest(dn, nil)
	for name, v := range attributes {
		r.Attribute(name, v)
	}
	w.root(t, func(c *library.Conn) { must(t, c.Add(r)) })
}

func (w world) change(t testing.TB, dn string, edit func(*library.ModifyRequest)) {
	t.Helper()
	m := library.NewModifyRequest(dn, nil)
	edit(m)
	w.root(t, func(c *library.Conn) { must(t, c.Modify(m)) })
}

func (w world) one(t testing.TB, dn string) (out *library.Entry) {
	t.Helper()
	w.root(t, func(c *library.Conn) {
		got, err := c.Search(library.NewSearchRequest(dn, library.ScopeBaseObject, library.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"*", "+"}, nil))
		if library.IsErrorAnyOf(err, library.LDAPResultNoSuchObject, library.LDAPResultInvalidDNSyntax) {
			return
		}
		must(t, err)
		out = got.Entries[0]
	})
	return out
}

// remark replaces or takes away the mark of an entry, and nothing else.
func (w world) remark(t testing.TB, r connector.Ref, mark string) {
	t.Helper()
	var kept []string
	for _, v := range w.one(t, at(r)).GetAttributeValues("description") {
		if !strings.HasPrefix(v, "tenure:") {
			kept = append(kept, v)
		}
	}
	if mark != "" {
		kept = append(kept, mark)
	}
	w.change(t, at(r), func(m *library.ModifyRequest) { m.Replace("description", kept) })
}

func (w world) unmark(t testing.TB, r connector.Ref) { w.remark(t, r, "") }

func (w world) exists(t testing.TB, r connector.Ref) bool { return w.one(t, at(r)) != nil }

func person(uid string) map[string][]string {
	return map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {uid}, "sn": {uid}, "mail": {uid + "@example.com"}}
}

var serial atomic.Int64

// fill puts n entries of a class below a unit: persons, roles, or what no class covers.
func (w world) fill(t testing.TB, r connector.Ref, class string, n int) {
	t.Helper()
	below := at(r)
	w.root(t, func(c *library.Conn) {
		for range n {
			id := fmt.Sprintf("x%d", serial.Add(1))
			var a *library.AddRequest
			var attributes map[string][]string
			switch class {
			case "contacts":
				a, attributes = library.NewAddRequest("uid="+id+"\\,\\2b#,"+below, nil), person(id+",+#")
			case "roles":
				a, attributes = library.NewAddRequest("cn="+id+","+below, nil), map[string][]string{"objectClass": {"organizationalRole"}, "cn": {id}}
			default:
				a, attributes = library.NewAddRequest("cn="+id+","+below, nil), map[string][]string{"objectClass": {"device"}, "cn": {id}}
			}
			for name, v := range attributes {
				a.Attribute(name, v)
			}
			must(t, c.Add(a))
		}
	})
}

func (w world) count(t testing.TB, r connector.Ref, class string) (n int) {
	of := map[string]string{"contacts": "inetOrgPerson", "roles": "organizationalRole"}[class]
	for _, e := range w.All(t, at(r), "structuralObjectClass") {
		if e.GetAttributeValue("structuralObjectClass") == of {
			n++
		}
	}
	return n
}

func (w world) unitCase() connectortest.Case {
	classes := map[string]any{"inetOrgPerson": "contacts", "organizationalRole": "roles"}
	c := connectortest.Case{Type: "organizational_unit"}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("unit%d", n), Classes: []string{"contacts", "roles"}, Attributes: map[string]any{"classes": classes}}}
	}
	c.Invalid = []map[string]any{{"unknown": 1}, {"classes": 1}, {"classes": map[string]any{"a": ""}}, {"classes": map[string]any{"a b": "x"}}}
	c.Foreign = func(t testing.TB, r connector.Ref) {
		w.add(t, at(r), map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {r.Name}, "description": {"somebody's"}})
	}
	c.Remark, c.Unmark, c.Exists = w.remark, w.unmark, w.exists
	c.Fill, c.Count = w.fill, w.count
	c.Late = func(t testing.TB, r connector.Ref, class string, n int) {
		c.Foreign(t, r)
		w.fill(t, r, class, n)
	}
	c.Exported = exported
	c.Without = []string{"tally"} // no deletion of several entries is one with the writing of another
	return c
}

// exported counts the records of an export, without that of the unit itself.
func exported(t testing.TB, data []byte) (n int) {
	t.Helper()
	sums := map[string]string{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			t.Error("the export has no manifest")
			return 0
		}
		must(t, err)
		raw, err := io.ReadAll(r)
		must(t, err)
		if h.Name != "manifest.json" {
			sums[h.Name] = fmt.Sprintf("%x", sha256.Sum256(raw))
			n += strings.Count("\n"+string(raw), "\ndn:")
			continue
		}
		var m struct{ Parts, SHA256 []string }
		must(t, json.Unmarshal(raw, &m))
		for i, p := range m.Parts {
			if sums[p] != m.SHA256[i] {
				t.Errorf("the sum of %s is another", p)
			}
		}
		return n - 1
	}
}

// inPeople gives a sample another name in the unit of these tests.
func inPeople(d connector.Desired, name string) connector.Desired {
	if d.Name = name; !strings.HasPrefix(name, people+"/") {
		d.Name = people + "/" + name
	}
	return d
}

func (w world) groupCase() connectortest.Case {
	c := connectortest.Case{Type: "group", Rename: inPeople, Unlisted: true}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%s/group%d", people, n), Attributes: map[string]any{"members": []any{"people/anna", "cn=Bot\\, the,dc=Elsewhere"}}}}
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"members": []any{}}
		return d
	}
	c.Invalid = []map[string]any{{"unknown": 1}, {"members": "one"}, {"members": []any{1}}, {"members": []any{""}}, {"members": []any{"cn=a,b"}}, {"members": []any{" x"}}}
	c.Tamper = func(t testing.TB, r connector.Ref) {
		w.change(t, at(r), func(m *library.ModifyRequest) { m.Add("member", []string{"uid=stranger," + slapdtest.Base}) })
	}
	c.Foreign = func(t testing.TB, r connector.Ref) {
		w.add(t, at(r), map[string][]string{"objectClass": {"groupOfNames"}, "member": {slapdtest.Tenure}})
	}
	c.Remark, c.Unmark, c.Exists = w.remark, w.unmark, w.exists
	return c
}

func (w world) userCase() connectortest.Case {
	c := connectortest.Case{Type: "user", Rename: inPeople, Unlisted: true}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%s/user%d", people, n), Attributes: map[string]any{"mail": "a@example.com", "displayName": "Ann Ä. O'Neil"}}}
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"cn": "Ann", "sn": "O'Neil", "mail": "b@example.com", "policy": "cn=default," + slapdtest.Base}
		return d
	}
	c.Invalid = []map[string]any{{"unknown": 1}, {"mail": 1}, {"cn": ""}, {"sn": "a\x00b"}, {"policy": "no dn"}, {"mail": " blank"}}
	c.Tamper = func(t testing.TB, r connector.Ref) {
		w.change(t, at(r), func(m *library.ModifyRequest) { m.Replace("mail", []string{"mallory@example.com", "a@example.com"}) })
	}
	c.Foreign = func(t testing.TB, r connector.Ref) {
		w.add(t, at(r), map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"x"}, "sn": {"x"}})
	}
	c.Remark, c.Unmark, c.Exists = w.remark, w.unmark, w.exists
	c.Works = func(t testing.TB, d connector.Desired) bool {
		_, err := w.As(t, at(d.Ref), d.Credential.Reveal())
		return err == nil
	}
	return c
}

// probes plants, for each probe, what it has to find.
func (w world) probes() []connectortest.ProbeCase {
	made := func(typ, name string) func(testing.TB, connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			want := connector.Desired{Ref: connector.Ref{Type: typ, Name: name, Resource: tenure.NewID[tenure.ResourceID](time.Now())}}
			if typ == "user" {
				want.Credential = tenure.NewSecret(rand.Text())
			}
			_, _, err := d.Ensure(context.Background(), want)
			must(t, err)
			return connector.Check{Ref: want.Ref, Credential: want.Credential}
		}
	}
	probed := "uid=probed,ou=people," + slapdtest.Base
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "unit", Check: made("organizational_unit", "probed"), Misconfigure: func(t testing.TB) { w.del(t, "ou=probed,"+slapdtest.Base) }},
		{Kind: "reachable", Name: "group", Check: made("group", "probed"), Misconfigure: func(t testing.TB) { w.del(t, "cn=probed,"+slapdtest.Base) }},
		{Kind: "reachable", Name: "another password", Check: made("user", "people/probed"), Misconfigure: func(t testing.TB) {
			w.change(t, probed, func(m *library.ModifyRequest) { m.Replace("userPassword", []string{"another"}) })
		}},
		{Kind: "reachable", Name: "locked", Check: made("user", "people/probed"), Misconfigure: func(t testing.TB) {
			w.change(t, probed, func(m *library.ModifyRequest) { m.Replace("pwdAccountLockedTime", []string{"20200101000000Z"}) })
		}},
		{Kind: "isolation", Name: "reads", Check: made("user", "people/probed"), Misconfigure: func(t testing.TB) {
			// A group member of Tenure's unit: the unit's own users read it, so the user is moved there.
			w.root(t, func(c *library.Conn) {
				must(t, c.ModifyDN(library.NewModifyDNRequest(probed, "uid=probed", true, "ou=tenure,"+slapdtest.Base)))
			})
		}},
	}
}
