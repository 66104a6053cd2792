package ldap_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
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

// told fails the test unless the error is one of the moment and shows no secret.
func told(t *testing.T, what string, err error, secrets ...string) {
	t.Helper()
	if err == nil || tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("%s: %v (%s, retry %t), want it unavailable", what, err, tenure.CodeOf(err), tenure.CanRetry(err))
		return
	}
	text := err.Error() + strings.Join(tenure.HintsOf(err), " ")
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s: %q shows a secret", what, text)
		}
	}
}

// TestEveryRequestIsCut ends the network at one packet after the other of all that is done
// to a tenant's unit, user and group, or loses one answer after the other. What is gone on
// with leaves one of each, and in the end nothing of the tenant and all of the neighbour.
func TestEveryRequestIsCut(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cut", "down", "answer lost"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, slapdtest.Settings{})
			near := w.drive(t, nil)
			neighbour := made(t, near, "organizational_unit", "birch", nil)
			made(t, near, "user", "birch/admin", nil)
			w.fill(t, neighbour.Ref, "contacts", 3)
			made(t, near, "group", "birch/staff", map[string]any{"members": []any{"birch/admin"}})
			before := w.Look(t)
			proxy := toxitest.New(t, w.Address)
			d := w.drive(t, map[string]string{"url": "ldap://" + proxy.Address, "connections": "2"})
			arm := map[string]func(int) func() bool{"cut": proxy.CutAfter, "down": proxy.DownAfter, "answer lost": proxy.LoseAfter}[kind]
			cuts := 0
			for n := 1; ; n++ {
				if os.Getenv("TENURE_EVERY") == "" && n > 6 {
					n += n / 3
				}
				fired := false
				step := func(what string, f func() error) {
					t.Helper()
					stop := arm(n)
					err := f()
					if stop() {
						fired = true
					}
					if err == nil {
						return
					}
					cuts++
					told(t, fmt.Sprintf("%s, packet %d", what, n), err, w.Password)
					if err := f(); err != nil {
						t.Fatalf("%s, packet %d: it can't be gone on with: %v", what, n, err)
					}
				}
				unit, user := desired("organizational_unit", "acme", nil), desired("user", "acme/admin", map[string]any{"mail": "a@example.com"})
				group := desired("group", "acme/staff", map[string]any{"members": []any{"acme/admin", "birch/admin"}})
				ensure := func(want connector.Desired) func() error {
					return func() error {
						o, _, err := d.Ensure(t.Context(), want)
						if err == nil && (o.Owner != connector.Ours || o.Resource != want.Resource) {
							t.Errorf("packet %d: ensured, it is %+v", n, o)
						}
						return err
					}
				}
				do := func(call func(context.Context, connector.Ref) (connector.Receipt, error), r connector.Ref) func() error {
					return func() error { _, err := call(t.Context(), r); return err }
				}
				step("ensure unit", ensure(unit))
				step("ensure user", ensure(user))
				step("ensure group", ensure(group))
				entries := w.All(t, at(unit.Ref), "*")
				if len(entries) != 3 {
					t.Fatalf("packet %d: there are %d entries, want 3", n, len(entries))
				}
				for _, e := range entries {
					if marks := e.GetAttributeValues("description"); len(marks) != 1 || strings.Contains(marks[0], " new") {
						t.Errorf("packet %d: %s has the marks %q", n, e.DN, marks)
					}
				}
				signsIn := func(want bool) {
					t.Helper()
					if _, err := w.As(t, at(user.Ref), user.Credential.Reveal()); (err == nil) != want {
						t.Errorf("packet %d: signing in: %v, want success %t", n, err, want)
					}
				}
				signsIn(true)
				step("suspend", do(d.(connector.Suspender).Suspend, user.Ref))
				signsIn(false)
				step("resume", do(d.(connector.Suspender).Resume, user.Ref))
				signsIn(true)
				step("revoke", do(d.(connector.Revoker).Revoke, user.Ref))
				signsIn(false)
				w.fill(t, unit.Ref, "contacts", 4)
				step("map", func() error {
					m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: unit.Ref})
					whole := slices.ContainsFunc(m.Places, func(p connector.Place) bool { return p.Class == "contacts" && p.Rows == 4 })
					if err == nil && (!m.Sighting.Complete || !whole || len(m.Places) != 3) {
						t.Errorf("packet %d: the map is %+v", n, m)
					}
					return err
				})
				step("delete user", do(d.Delete, user.Ref))
				step("delete group", do(d.Delete, group.Ref))
				step("erase", func() error {
					for {
						e, err := d.(connector.Eraser).Erase(t.Context(), unit.Ref, connector.Batch{Limit: 2})
						if err != nil || e.Done {
							return err
						}
					}
				})
				step("delete unit", do(d.Delete, unit.Ref))
				if after := w.Look(t); after != before {
					t.Fatalf("packet %d: the directory isn't as before:\n%s\n\n%s", n, before, after)
				}
				if !fired {
					break
				}
			}
			t.Logf("%d calls were cut and gone on with", cuts)
			if cuts < 15 { // a read that is cut is tried again
				t.Errorf("%d calls alone were cut", cuts)
			}
		})
	}
}

// An answer that comes too slowly, or breaks off, is an error of the moment, in time, and
// ends when its caller leaves.
func TestSlowAndShortAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	proxy := toxitest.New(t, w.Address)
	d := w.drive(t, map[string]string{"url": "ldap://" + proxy.Address, "connections": "1"})
	acme := made(t, d, "organizational_unit", "acme", nil)
	w.fill(t, acme.Ref, "contacts", 40)
	before := w.Look(t)
	for _, c := range []struct {
		kind string
		with map[string]any
	}{
		{"latency", map[string]any{"latency": 5000}},
		{"timeout", map[string]any{"timeout": 0}}, // that is, nothing comes
		{"limit_data", map[string]any{"bytes": 900}},
		{"reset_peer", map[string]any{"timeout": 0}},
	} {
		heal := proxy.Answers(t, c.kind, c.with)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		began := time.Now()
		_, err := d.(connector.Mapper).DataMap(ctx, connector.Survey{Ref: acme.Ref})
		told(t, c.kind, err, w.Password)
		_, err = d.Delete(ctx, acme.Ref)
		told(t, c.kind+", delete", err, w.Password)
		cancel()
		heal()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: it takes %s", c.kind, took)
		}
		proxy.Down() // what a toxic has stopped is over
		proxy.Heal()
	}
	if after := w.Look(t); after != before {
		t.Error("something has changed")
	}
	slow := w.drive(t, map[string]string{"url": "ldap://" + proxy.Address, "timeout": "1s"})
	stalled := proxy.StallAt("ou=acme") // one connection hangs, and another is opened
	began := time.Now()
	if seen, g := observe(t, slow, acme.Ref); !g.Complete || !seen["organizational_unit acme"].Found || time.Since(began) > 5*time.Second {
		t.Errorf("over a connection that hangs, in %s: %+v", time.Since(began), seen)
	}
	<-stalled
}

// Two calls at once on one thing, through two processes, leave it as one of them desired,
// and one entry.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{})
	one, two := w.drive(t, nil), w.drive(t, nil)
	for i := range 20 {
		want := desired("user", fmt.Sprint("people/user", i), nil)
		errs := make(chan error, 2)
		for _, d := range []connector.Driver{one, two} {
			go func() { _, _, err := d.Ensure(t.Context(), want); errs <- err }()
		}
		for range 2 {
			if err := <-errs; err != nil && tenure.CodeOf(err) != tenure.Unavailable {
				t.Errorf("at once: %v", err)
			}
		}
		if _, _, err := one.Ensure(t.Context(), want); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if marks := w.one(t, at(want.Ref)).GetAttributeValues("description"); len(marks) != 1 {
			t.Errorf("the marks are %q", marks)
		}
		if _, err := w.As(t, at(want.Ref), want.Credential.Reveal()); err != nil {
			t.Errorf("the credential: %v", err)
		}
	}
}

// TLS is used as it is asked for, with a certificate that is trusted, and a server that
// asks for it is understood.
func TestTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slapdtest.Settings{TLS: true, Global: "security simple_bind=128"})
	opened := func(options map[string]string) error {
		all := w.options()
		maps.Copy(all, options)
		d, err := ldap.Info().Open(t.Context(), connector.Config{System: "directory", Options: all, Secrets: w.secrets(), Marker: marker, Now: time.Now})
		must(t, err)
		defer d.Close()
		_, err = d.Plant(t.Context())
		if err != nil && strings.Contains(err.Error(), w.Password) {
			t.Errorf("%v shows the password", err)
		}
		if err != nil {
			return err
		}
		want := desired("user", "people/"+rand.Text(), nil)
		if _, _, err := d.Ensure(t.Context(), want); err != nil {
			return err
		}
		o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "encryption", Ref: want.Ref, Encryption: tenure.Encryption{InTransit: "tls"}})
		if err != nil || !o.Passed {
			t.Errorf("the probe of the connection: %+v, %v", o, err)
		}
		o, err = d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "reachable", Ref: want.Ref, Credential: want.Credential})
		if err != nil || !o.Passed {
			t.Errorf("the probe of the credential: %+v, %v", o, err)
		}
		return nil
	}
	raw, err := os.ReadFile(w.Authority)
	must(t, err)
	authority := string(raw) // the host reads file:PATH
	must(t, opened(map[string]string{"startTLS": "true", "ca": authority}))
	must(t, opened(map[string]string{"url": w.SecureURL, "ca": authority}))
	refused(t, "without TLS", opened(nil), tenure.Blocked, "encrypted")
	refused(t, "an unknown certificate", opened(map[string]string{"url": w.SecureURL}), tenure.Unavailable, "trusted")
	refused(t, "an unknown certificate by StartTLS", opened(map[string]string{"startTLS": "true"}), tenure.Unavailable, "trusted")
	refused(t, "TLS where there is none", opened(map[string]string{"url": "ldaps://" + w.Address, "ca": authority}), tenure.Unavailable)

	plain := newWorld(t, slapdtest.Settings{})
	d := plain.drive(t, nil)
	acme := made(t, d, "organizational_unit", "acme", nil)
	o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "encryption", Ref: acme.Ref, Encryption: tenure.Encryption{InTransit: "tls"}})
	if err != nil || o.Passed {
		t.Errorf("the probe of a connection in clear: %+v, %v", o, err)
	}
}

// An option that can't be meant is refused before anything is done.
func TestOptions(t *testing.T) {
	t.Parallel()
	for option, values := range map[string][]string{
		"timeout": {"60", "0s", "-1s", "2h", "soon"},
		"ca":      {"/etc/ssl/own.pem"},
	} {
		for _, v := range values {
			all := map[string]string{"url": "ldaps://ldap.example.com", "bindDN": slapdtest.Tenure, "base": slapdtest.Base, "password": "x", option: v}
			_, err := ldap.Info().Open(t.Context(), connector.Config{System: "directory", Options: all, Marker: marker, Now: time.Now})
			refused(t, option+" "+v, err, tenure.Invalid, "option "+option)
		}
	}
}

// The statements that the page of system accounts shows give Tenure what it needs, and
// tenants' users no way to their marks.
func TestRightsOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/system-accounts.md")
	must(t, err)
	_, text, _ := strings.Cut(string(page), "\n## LDAP\n")
	_, text, _ = strings.Cut(text, "```\n")
	text, _, _ = strings.Cut(text, "```")
	text = strings.NewReplacer("BASE", slapdtest.Base, "ACCOUNT", slapdtest.Tenure).Replace(text)
	access, limits, ok := strings.Cut(text, `limits dn.exact="`+slapdtest.Tenure+`" `)
	if !ok {
		t.Fatalf("the page shows no limits: %s", text)
	}
	w := newWorld(t, slapdtest.Settings{Access: access + "access to attrs=description by self write by * break", Limits: limits})
	d := w.drive(t, nil)
	c, err := d.(connector.Checker).Check(t.Context(), nil)
	must(t, err)
	for _, r := range c.Rights {
		if r.State == connector.RightMissing {
			t.Errorf("this right is missing: %s", r.Name)
		}
	}
	anna := made(t, d, "user", "people/anna", nil)
	for _, kind := range []string{"isolation", "reachable"} {
		o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: kind, Ref: anna.Ref, Credential: anna.Credential})
		if err != nil || !o.Passed {
			t.Errorf("the probe %s: %+v, %v", kind, o, err)
		}
	}
	group := made(t, d, "group", "people/staff", map[string]any{"members": []any{"people/anna"}})
	unit := made(t, d, "organizational_unit", "acme", nil)
	w.fill(t, unit.Ref, "contacts", 600)
	for _, r := range []connector.Ref{anna.Ref, group.Ref, unit.Ref} {
		_, err := d.Delete(t.Context(), r)
		must(t, err)
	}
}

// What the account may and may not is told before a tenant is there.
func TestCheck(t *testing.T) {
	t.Parallel()
	missing := func(w world, d connector.Driver) (out []string) {
		c, err := d.(connector.Checker).Check(t.Context(), nil)
		must(t, err)
		for _, r := range c.Rights {
			if r.State == connector.RightMissing {
				out = append(out, r.Name)
			}
		}
		return out
	}
	w := newWorld(t, slapdtest.Settings{})
	d := w.drive(t, nil)
	if got := missing(w, d); len(got) > 0 {
		t.Errorf("with all rights these are missing: %q", got)
	}
	if exposed, err := d.(connector.Secluder).Exposed(t.Context()); err != nil || len(exposed) > 0 {
		t.Errorf("a closed server is exposed: %q, %v", exposed, err)
	}
	w = newWorld(t, slapdtest.Settings{Limits: "size.prtotal=2", Access: `access to dn.base="` + slapdtest.Base + `" by * read
access to attrs=description by * read`})
	all := w.options()
	reader, err := ldap.Info().Open(t.Context(), connector.Config{System: "directory", Options: all, Secrets: w.secrets(), Marker: marker, Now: time.Now})
	must(t, err)
	defer reader.Close()
	if got := missing(w, reader); len(got) != 2 {
		t.Errorf("these are missing: %q, want the search and the writing", got)
	}
	w = newWorld(t, slapdtest.Settings{Global: "allow update_anon", Access: `access to attrs=description,objectClass,entry by * write`})
	d = w.drive(t, nil)
	if exposed, err := d.(connector.Secluder).Exposed(t.Context()); err != nil || len(exposed) != 2 {
		t.Errorf("an open server is exposed: %q, %v", exposed, err)
	}
	anna := made(t, d, "user", "people/anna", nil)
	o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "isolation", Ref: anna.Ref, Credential: anna.Credential})
	if err != nil || o.Passed {
		t.Errorf("a user that may write its mark: %+v, %v", o, err)
	}
	w.root(t, func(c *library.Conn) {
		if got := w.one(t, at(anna.Ref)).GetAttributeValues("description"); len(got) != 1 {
			t.Errorf("the probe left %q", got)
		}
	})
}
