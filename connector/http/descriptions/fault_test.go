package descriptions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/standin"
	"github.com/tenurehq/tenure/internal/toxitest"
)

// far is a system behind a bad network.
type far struct {
	name    string
	options map[string]string
	secrets map[string]string
	types   []string
	count   func(name string) int // how many there are, from outside
	marks   func() int            // in a place of Tenure's own

	proxy  *toxitest.Proxy
	marker connector.Marker
}

// eachFar runs f with each system whose description was tried, real ones and stand-ins.
func eachFar(t *testing.T, f func(t *testing.T, s far)) {
	behind := func(s far, address, path string) far {
		s.proxy = toxitest.New(t, address)
		s.options["base"], s.options["timeout"] = "http://"+s.proxy.Address+path, "5s"
		s.marker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "main", Key: []byte("a key of this test alone")}
		return s
	}
	fields := func(s *standin.Service, field string, tables ...string) func(string) int {
		return func(name string) (n int) {
			for _, table := range tables {
				n += len(s.Objects(table, func(o map[string]any) bool {
					if p, ok := o["properties"].(map[string]any); ok {
						o = p
					}
					own, _ := o[field].(string) // at Make the mark is the name's end
					return own == name || strings.HasPrefix(own, name+" ")
				}))
			}
			return n
		}
	}
	for _, start := range []func(t *testing.T) far{
		func(t *testing.T) far {
			s := pocketbasetest.Start(t)
			return behind(far{name: "pocketbase", options: map[string]string{"identity": s.Identity, "users": "users"}, secrets: map[string]string{"password": s.Password}, types: []string{"collection", "user"},
				marks: func() int { return len(s.Records(t, "tenure_marks")) },
				count: func(name string) (n int) {
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
				}}, s.Address, "")
		},
		func(t *testing.T) far {
			s := scimtest.Start(t)
			return behind(far{name: "scim", options: map[string]string{"rate": "1000"}, secrets: map[string]string{"token": s.Token}, types: []string{"user", "group"}, count: func(name string) (n int) {
				users, groups := s.All(t)
				for _, o := range append(users, groups...) {
					if o["userName"] == name || o["userName"] == nil && o["displayName"] == name {
						n++
					}
				}
				return n
			}}, s.Address, "/scim/v2")
		},
		func(t *testing.T) far { // which takes two tabs of one name
			s := noderedtest.Start(t)
			return behind(far{name: "nodered", options: map[string]string{"user": s.User}, secrets: map[string]string{"password": s.Password}, types: []string{"flow"}, count: func(name string) (n int) {
				for _, f := range s.Flows(t) {
					if f["label"] == name {
						n++
					}
				}
				return n
			}}, s.Address, "")
		},
		func(t *testing.T) far { // which takes two companies of one name
			s := standin.HubSpot(t)
			return behind(far{name: "hubspot", options: map[string]string{"rate": "100000"}, secrets: map[string]string{"token": s.Token}, types: []string{"company"}, count: fields(s, "name", "companies")}, s.Listener.Addr().String(), "")
		},
		func(t *testing.T) far {
			s := standin.Salesforce(t)
			return behind(far{name: "salesforce", options: map[string]string{"rate": "100000", "clientId": "client"}, secrets: map[string]string{"clientSecret": "secret-of-the-client"}, types: []string{"account"}, count: fields(s, "Name", "Account")}, s.Listener.Addr().String(), "")
		},
		func(t *testing.T) far {
			s := standin.Make(t)
			return behind(far{name: "make", options: map[string]string{"rate": "100000", "organization": "7"}, secrets: map[string]string{"token": s.Token}, types: []string{"team"}, count: fields(s, "name", "teams")}, s.Listener.Addr().String(), "/api/v2")
		},
		func(t *testing.T) far {
			s := standin.Stripe(t)
			return behind(far{name: "stripe", options: map[string]string{"rate": "100000", "redact": "no"}, secrets: map[string]string{"key": s.Token}, types: []string{"customer"}, count: fields(s, "name", "customers")}, s.Listener.Addr().String(), "")
		},
	} {
		s := start(t)
		t.Run(s.name, func(t *testing.T) {
			if _, err := s.open(t).Plant(t.Context()); err != nil {
				t.Fatal(err)
			}
			f(t, s)
			if s.marks != nil && s.marks() > 0 {
				t.Errorf("%d marks of what is gone stay", s.marks())
			}
		})
	}
}

func (s far) open(t *testing.T) connector.Driver {
	c := connector.Config{System: "main", Marker: s.marker, Now: time.Now, Options: s.options, Secrets: map[string]tenure.Secret{}}
	for name, secret := range s.secrets {
		c.Secrets[name] = tenure.NewSecret(secret)
	}
	d, err := info(t, s.name).Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func (s far) wanted(typ, at string) connector.Desired {
	want := wanted(typ, typ+"_"+at)
	switch typ {
	case "flow":
		want.Attributes = map[string]any{"template": "t@1", "nodes": answering("/" + at)}
	case "user":
		want.Name = at + "@acme.example"
		want.Credential = tenure.NewSecret("a-password-of-" + want.Name)
	}
	return want
}

// comeAndGo makes a thing and deletes it while a fault is armed, each time once more after
// it: a fault may be told, as one that another try helps, and leaves nothing twice and
// nothing behind. What it returns says whether each call was over before the fault came.
func (s far) comeAndGo(t *testing.T, at string, want connector.Desired, arm func() (came func() bool)) (ended bool) {
	came := arm()
	_, _, err := s.open(t).Ensure(t.Context(), want)
	ended = !came()
	if err != nil && !tenure.CanRetry(err) {
		t.Errorf("%s: ensure: %v, which no retry would help", at, err)
	}
	d := s.open(t)
	if _, _, err := d.Ensure(t.Context(), want); err != nil {
		t.Fatalf("%s: ensure once more: %v", at, err)
	}
	if got := s.count(want.Name); got != 1 {
		t.Errorf("%s: there are %d of %s", at, got, want.Name)
	}
	came = arm()
	_, err = s.open(t).Delete(t.Context(), want.Ref)
	ended = !came() && ended
	if err != nil && !tenure.CanRetry(err) {
		t.Errorf("%s: delete: %v, which no retry would help", at, err)
	}
	if _, err := d.Delete(t.Context(), want.Ref); err != nil {
		t.Fatalf("%s: delete once more: %v", at, err)
	}
	if got := s.count(want.Name); got != 0 {
		t.Errorf("%s: there are %d of the deleted %s", at, got, want.Name)
	}
	return ended
}

// Whichever answer is lost, and wherever the connection is cut, nothing is made twice, and
// what is deleted is gone once the system answers again.
func TestLostAnswers(t *testing.T) {
	eachFar(t, func(t *testing.T, s far) {
		for kind, after := range map[string]func(int) func() bool{"lost": s.proxy.LoseAfter, "cut": s.proxy.CutAfter} {
			for _, typ := range s.types {
				ended := false
				for n := 0; n < 40 && !ended; n++ {
					at := fmt.Sprintf("%s%d", kind, n)
					ended = s.comeAndGo(t, at, s.wanted(typ, at), func() func() bool { return after(n) })
				}
				if !ended {
					t.Errorf("%s: a %s takes more requests than were tried", kind, typ)
				}
			}
		}
	})
}

// A network that is slow, hands answers on in small pieces, breaks them off after so many
// bytes or resets the connection delays what is asked for, and that is all.
func TestBadNetwork(t *testing.T) {
	eachFar(t, func(t *testing.T, s far) {
		for at, toxic := range map[string]struct {
			kind       string
			attributes map[string]any
		}{
			"slow":     {"latency", map[string]any{"latency": 40, "jitter": 20}},
			"sliced":   {"slicer", map[string]any{"average_size": 60, "size_variation": 30, "delay": 100}},
			"half":     {"limit_data", map[string]any{"bytes": 300}},
			"headless": {"limit_data", map[string]any{"bytes": 40}},
			"empty":    {"limit_data", map[string]any{"bytes": 0}},
			"reset":    {"reset_peer", map[string]any{"timeout": 0}},
		} {
			typ := s.types[0]
			s.comeAndGo(t, at, s.wanted(typ, strings.ToLower(at)), func() func() bool {
				heal := s.proxy.Answers(t, toxic.kind, toxic.attributes)
				return func() bool { heal(); return true }
			})
		}
	})
}
