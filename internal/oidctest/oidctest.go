// Package oidctest gives tests a real OpenID provider: the program
// oidc-provider on Node, on a free loopback port, with people of the test's
// choice who sign in without a browser.
package oidctest

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/servertest"
)

// startLimit is how long the program may take to say that it is ready, or that
// it has done what it was told.
const startLimit = 2 * time.Minute

// Person is somebody who can sign in.
type Person struct {
	ID         string   `json:"id"` // the ID token's sub
	Name       string   `json:"name"`
	Email      string   `json:"email"`
	Unverified bool     `json:"unverified"` // email_verified is false
	AMR        []string `json:"amr"`
	ACR        string   `json:"acr"`
}

// Options say what the provider is started with.
type Options struct {
	RedirectURLs []string // of both clients; at least one
	People       []Person
	ACRValues    []string // the context classes that it knows
	Thin         bool     // name and email come by userinfo alone, as the specification has it
	Ed25519      bool     // it signs with Ed25519 instead of RS256

	// Registers has it register clients (RFC 7591, RFC 7592). Rotates has it give another
	// registration access token with each change.
	Registers, Rotates bool

	// Drops has it keep no metadata that it doesn't know, as most providers do.
	Drops bool
}

// Client is what the provider knows a relying party by. A public one has no secret.
type Client struct {
	ID     string
	Secret tenure.Secret
}

// Provider is a running provider with three clients.
type Provider struct {
	Issuer string
	Client Client // confidential
	Other  Client // another confidential one
	Public Client // without a secret

	Initial tenure.Secret // the initial access token for registrations
	Admin   tenure.Secret // the token for /admin/clients, which is the provider's own

	redirects []string
	stdin     io.WriteCloser
	lines     <-chan string
	stop      func()
}

// Start runs a provider until the test ends. Without node, npm or the package
// the test is skipped by name; where CI is set it fails.
func Start(t testing.TB, o Options) *Provider {
	t.Helper()
	folder, node := installed(t)
	p := &Provider{
		Client: Client{"tenure", tenure.NewSecret(rand.Text())}, Other: Client{"another", tenure.NewSecret(rand.Text())},
		Public: Client{ID: "tenure-public"}, redirects: o.RedirectURLs,
		Initial: tenure.NewSecret(rand.Text()), Admin: tenure.NewSecret(rand.Text()),
	}
	var said string
	for range starts {
		said = p.launch(t, node, folder, p.argument(t, o))
		if issuer, ok := p.hear("ready ", startLimit/starts); ok {
			p.Issuer = issuer
			break
		}
		p.Stop()
		p.stop = nil
	}
	if p.stop == nil {
		words, _ := os.ReadFile(said)
		t.Fatalf("the OpenID provider wasn't ready within %s: %s", startLimit, words)
	}
	t.Cleanup(p.Stop)
	return p
}

// starts is how often a provider is started that says nothing: Node.js has been seen to
// hang at its start on a machine that is very busy.
const starts = 3

// launch starts the program, and gives where its complaints are written.
func (p *Provider) launch(t testing.TB, node, folder, argument string) (complaints string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "complaints"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(node, "server.mjs", argument)
	cmd.Dir, cmd.Stderr = folder, log
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the OpenID provider: %v", err)
	}
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
	}()
	p.lines = lines
	p.stop = func() {
		_ = p.stdin.Close()
		_ = cmd.Process.Kill()
		for range lines { // the pipe is read to its end before Wait closes it
		}
		_ = cmd.Wait()
	}
	return log.Name()
}

// argument is the program's one argument.
func (p *Provider) argument(t testing.TB, o Options) string {
	t.Helper()
	type client struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	var clients []client
	for _, c := range []Client{p.Client, p.Other, p.Public} {
		clients = append(clients, client{c.ID, c.Secret.Reveal()})
	}
	var registration any
	if o.Registers {
		registration = map[string]any{"token": p.Initial.Reveal(), "admin": p.Admin.Reveal(), "rotates": o.Rotates, "drops": o.Drops}
	}
	b, err := json.Marshal(map[string]any{
		"registration": registration,
		"people":       append([]Person{}, o.People...), "redirectURLs": o.RedirectURLs, "clients": clients,
		"acrValues": append([]string{}, o.ACRValues...), "thin": o.Thin, "ed25519": o.Ed25519,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// await reads the program's output until a line begins with prefix, and returns the rest.
func (p *Provider) await(t testing.TB, prefix string) string {
	t.Helper()
	rest, ok := p.hear(prefix, startLimit)
	if !ok {
		t.Fatalf("the OpenID provider ended, or didn't say %q within %s", prefix, startLimit)
	}
	return rest
}

// hear is await with a limit; not ok is that it didn't say so.
func (p *Provider) hear(prefix string, within time.Duration) (rest string, ok bool) {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		select {
		case line, open := <-p.lines:
			if rest, found := strings.CutPrefix(line, prefix); found || !open {
				return rest, found
			}
		case <-limit.C:
			return "", false
		}
	}
}

// Rotate gives the provider a new signing key; the old one is gone.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, "rotate\n"); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	p.await(t, "rotated")
}

// Clients are all clients that were registered, as the provider itself lists them.
func (p *Provider) Clients(t testing.TB) (out []map[string]any) {
	t.Helper()
	servertest.Caller{Base: p.Issuer, Authorization: "Bearer " + p.Admin.Reveal()}.Must(t, http.MethodGet, "/admin/clients", nil, &out)
	return out
}

// Behind has the provider call itself by the address of a proxy before it.
func (p *Provider) Behind(t testing.TB, address string) {
	t.Helper()
	p.Issuer = "http://" + address
	if _, err := io.WriteString(p.stdin, "issuer "+p.Issuer+"\n"); err != nil {
		t.Fatalf("issuer: %v", err)
	}
	p.await(t, "renamed")
}

// Stop ends the provider before the test does; it can't be started again.
func (p *Provider) Stop() { p.stop() }

// SignIn goes to authURL as a browser does, signs in as the person, and returns
// the parameters that the provider sends back to the redirect URL. A person who
// isn't one of the provider's cancels the sign-in.
func (p *Provider) SignIn(t testing.TB, authURL, personID string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	browser := &http.Client{Jar: jar, Timeout: startLimit, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if slices.ContainsFunc(p.redirects, func(r string) bool { return strings.HasPrefix(req.URL.String(), r) }) {
			back = req.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(authURL)
	if err != nil {
		t.Fatalf("sign in as %s: %v", personID, err)
	}
	_ = page.Body.Close()
	if back == nil { // else the provider answered without asking
		if page.StatusCode != http.StatusOK {
			t.Fatalf("sign in as %s: the sign-in page answers %s", personID, page.Status)
		}
		sent, err := browser.PostForm(page.Request.URL.String(), url.Values{"person": {personID}})
		if err != nil {
			t.Fatalf("sign in as %s: %v", personID, err)
		}
		_ = sent.Body.Close()
		if back == nil {
			t.Fatalf("sign in as %s: the provider answers %s and sends nobody back", personID, sent.Status)
		}
	}
	return back.Query()
}
