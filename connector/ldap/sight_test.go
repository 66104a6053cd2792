package ldap_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	library "github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// A unit loses nothing while a limit hides whether somebody else's entry is below it.
func TestUnitIsSeenWholeBeforeItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{Limits: "size=7 size.prtotal=7"})
	d := w.drive(t, nil)
	acme := made(t, d, "organizational_unit", "acme", nil)
	w.fill(t, acme.Ref, "contacts", 12)
	made(t, d, "user", "acme/guest", nil) // the last of the unit's, beyond the limit
	before := w.Look(t)
	_, err := d.Delete(t.Context(), acme.Ref)
	refused(t, "delete of a unit that isn't seen whole", err, tenure.Blocked, "seen in full")
	if after := w.Look(t); after != before {
		t.Error("a refused delete has changed something")
	}
}

// A user stays while a limit hides groups that name it: who got its name anew would have
// their rights.
func TestGroupsAreSeenWholeBeforeAUserGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{Limits: "size=7 size.prtotal=7"})
	d := w.drive(t, nil)
	anna := made(t, d, "user", "people/anna", nil)
	for i := range 12 {
		w.add(t, fmt.Sprintf("cn=crew%d,%s", i, slapdtest.Base), map[string][]string{"objectClass": {"groupOfNames"}, "member": {at(anna.Ref)}})
	}
	before := w.Look(t)
	_, err := d.Delete(t.Context(), anna.Ref)
	refused(t, "delete of a user whose groups aren't all seen", err, tenure.Blocked, "seen in full")
	if after := w.Look(t); after != before {
		t.Error("a refused delete has changed something")
	}
}

// ahead gives an address that leads to the server. Right before it gets the first packet
// with the text, f runs.
func (w world) ahead(t *testing.T, text string, f func()) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	var once sync.Once
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", w.Address)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() {
				defer out.Close()
				packet := make([]byte, 1<<16)
				for {
					n, err := in.Read(packet)
					if bytes.Contains(packet[:n], []byte(text)) {
						once.Do(f)
					}
					if _, bad := out.Write(packet[:n]); bad != nil || err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// Members that somebody else takes out of a group at the same moment don't keep the others
// in it, and aren't counted as taken out by Tenure.
func TestGroupsThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	crew := "cn=crew," + slapdtest.Base
	anna, ben, cleo := "uid=anna,ou=acme,"+slapdtest.Base, "uid=ben,ou=acme,"+slapdtest.Base, "uid=cleo,"+slapdtest.Base
	nobody := "cn=nobody,ou=tenure," + slapdtest.Base
	for _, c := range []struct {
		name           string
		members, taken []string
		want           []string
		detached       int64
	}{
		{"one of those that go", []string{anna, ben, cleo}, []string{anna}, []string{cleo}, 1},
		{"the only one that stays", []string{anna, ben, cleo}, []string{cleo}, []string{nobody}, 2},
		{"all of those that go", []string{anna, ben, cleo}, []string{anna, ben}, []string{cleo}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, slapdtest.Settings{})
			acme := made(t, w.drive(t, nil), "organizational_unit", "acme", nil)
			w.add(t, anna, person("anna"))
			w.add(t, ben, person("ben"))
			w.add(t, crew, map[string][]string{"objectClass": {"groupOfNames"}, "member": c.members})
			address := w.ahead(t, crew, func() {
				w.change(t, crew, func(m *library.ModifyRequest) { m.Delete("member", c.taken) })
			})
			d := w.drive(t, map[string]string{"url": "ldap://" + address})
			e, err := d.(connector.Eraser).Erase(t.Context(), acme.Ref, connector.Batch{Limit: 10})
			must(t, err)
			if got := w.one(t, crew).GetAttributeValues("member"); !slices.Equal(got, c.want) {
				t.Errorf("the group has %q, want %q", got, c.want)
			}
			if e.Counts["entries"] != 2 || e.Detached[crew+".member"] != c.detached {
				t.Errorf("%d entries went, and %d were taken out of the group, want 2 and %d", e.Counts["entries"], e.Detached[crew+".member"], c.detached)
			}
		})
	}
}
