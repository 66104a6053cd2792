package descriptions_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

// Whichever answer is lost, and wherever the connection is cut, nothing is made twice, and
// what is deleted is gone once the system answers again.
func TestLostAnswers(t *testing.T) {
	t.Run("pocketbase", func(t *testing.T) {
		s := pocketbasetest.Start(t)
		proxy := toxitest.New(t, s.Address)
		lostAnswers(t, proxy, "pocketbase", map[string]string{"base": "http://" + proxy.Address, "identity": s.Identity, "users": "users", "timeout": "5s"}, s.Password, []string{"collection", "user"}, func(name string) (n int) {
			for _, c := range s.Collections(t) {
				if c["name"] == name {
					n++
				}
			}
			for _, u := range s.Records(t, "users") {
				if u["email"] == name {
					n++
				}
			}
			return n
		})
		if left := s.Records(t, "tenure_marks"); len(left) > 0 {
			t.Errorf("marks of what is gone stay: %v", left)
		}
	})
	t.Run("scim", func(t *testing.T) {
		s := scimtest.Start(t)
		proxy := toxitest.New(t, s.Address)
		lostAnswers(t, proxy, "scim", map[string]string{"base": "http://" + proxy.Address + "/scim/v2", "rate": "1000", "timeout": "5s"}, s.Token, []string{"user", "group"}, func(name string) (n int) {
			users, groups := s.All(t)
			for _, o := range append(users, groups...) {
				if o["userName"] == name || o["userName"] == nil && o["displayName"] == name {
					n++
				}
			}
			return n
		})
	})
	t.Run("nodered", func(t *testing.T) { // which takes two tabs of one name
		s := noderedtest.Start(t)
		proxy := toxitest.New(t, s.Address)
		lostAnswers(t, proxy, "nodered", map[string]string{"base": "http://" + proxy.Address, "user": s.User, "timeout": "5s"}, s.Password, []string{"flow"}, func(name string) (n int) {
			for _, f := range s.Flows(t) {
				if f["label"] == name {
					n++
				}
			}
			return n
		})
	})
}

func lostAnswers(t *testing.T, proxy *toxitest.Proxy, name string, options map[string]string, password string, types []string, count func(name string) int) {
	marker := connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "main", Key: []byte("a key of this test alone")}
	secret := "password"
	if name == "scim" {
		secret = "token"
	}
	open := func() connector.Driver {
		d, err := info(t, name).Open(t.Context(), connector.Config{System: "main", Marker: marker, Now: time.Now, Options: options, Secrets: map[string]tenure.Secret{secret: tenure.NewSecret(password)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	if _, err := open().Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kind, after := range map[string]func(int) func() bool{"lost": proxy.LoseAfter, "cut": proxy.CutAfter} {
		for _, typ := range types {
			ended := false
			for n := 0; n < 40 && !ended; n++ {
				want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: tenure.NewID[tenure.TenantID](time.Now()), Type: typ, Name: fmt.Sprintf("%s_%s_%d", typ, kind, n)}}
				if typ == "flow" {
					want.Attributes = map[string]any{"template": "t@1", "nodes": answering(fmt.Sprintf("/%s/%d", kind, n))}
				}
				if typ == "user" {
					want.Name = fmt.Sprintf("%s%d@acme.example", kind, n)
					want.Credential = tenure.NewSecret("a-password-of-" + want.Name)
				}
				stop := after(n)
				_, _, err := open().Ensure(t.Context(), want)
				ended = !stop()
				if err != nil && !tenure.CanRetry(err) {
					t.Errorf("%s after %d: ensure: %v, which no retry would help", kind, n, err)
				}
				d := open()
				if _, _, err := d.Ensure(t.Context(), want); err != nil {
					t.Fatalf("%s after %d: ensure once more: %v", kind, n, err)
				}
				if got := count(want.Name); got != 1 {
					t.Errorf("%s after %d: there are %d of %s", kind, n, got, want.Name)
				}
				stop = after(n)
				_, err = open().Delete(t.Context(), want.Ref)
				ended = !stop() && ended
				if err != nil && !tenure.CanRetry(err) {
					t.Errorf("%s after %d: delete: %v, which no retry would help", kind, n, err)
				}
				if _, err := d.Delete(t.Context(), want.Ref); err != nil {
					t.Fatalf("%s after %d: delete once more: %v", kind, n, err)
				}
				if got := count(want.Name); got != 0 {
					t.Errorf("%s after %d: there are %d of the deleted %s", kind, n, got, want.Name)
				}
			}
			if !ended {
				t.Errorf("%s: a %s takes more requests than were tried", kind, typ)
			}
		}
	}
}
