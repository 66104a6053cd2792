package demoidp_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/demoidp"
	"github.com/tenurehq/tenure/internal/identity"
)

const redirect = "http://127.0.0.1:9/sign-in/callback"

// demo is a served provider, Tenure as its client, and the time.
type demo struct {
	*httptest.Server
	rp *identity.Provider
	at time.Time
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{at: time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC)}
	now := func() time.Time { return d.at }
	p := demoidp.New([]demoidp.Person{
		{Name: "Ada", Email: "ada@example.com", Roles: "operator for everything"},
		{Name: `Bob "<b>"`, Email: "bob@example.com", Roles: "approver & auditor"},
	}, "tenure-demo", redirect, now)
	d.Server = httptest.NewServer(p.Handler())
	t.Cleanup(d.Close)
	p.SetIssuer(d.URL)
	rp, err := identity.Open(identity.Settings{Issuer: p.Issuer(), ClientID: "tenure-demo", RedirectURL: redirect, StrongAMR: []string{"mfa"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	d.rp = rp
	return d
}

func (d *demo) begin(t *testing.T) (string, identity.Flow) {
	t.Helper()
	authURL, f, err := d.rp.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return authURL, f
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// choose does what a browser does with the page: it sends the form's fields.
func choose(t *testing.T, authURL, person string) (status int, back url.Values) {
	t.Helper()
	page := get(t, authURL)
	form := url.Values{"person": {person}}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(strings.SplitN(authURL, "?", 2)[0], form)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, to.Query()
}

func get(t *testing.T, target string) string {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestEndToEnd: a visitor who picks a person is that person to Tenure, once.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	authURL, f := d.begin(t)
	_, params := choose(t, authURL, "ada@example.com")
	got, err := d.rp.Finish(t.Context(), f, params)
	if err != nil {
		t.Fatalf("%v %q", err, tenure.HintsOf(err))
	}
	want := identity.Identity{
		Issuer: d.URL, Subject: "ada@example.com", Email: "ada@example.com", Name: "Ada", AMR: []string{"pwd", "mfa"}, Strong: true, AuthTime: d.at,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if _, err := d.rp.Finish(t.Context(), f, params); tenure.CodeOf(err) != tenure.Unauthorized {
		t.Errorf("a code used twice: %v", err)
	}
}

// TestCodes: a code that is a minute old, or that another verifier brings, is
// worth nothing, and a wrong try uses it up.
func TestCodes(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	authURL, f := d.begin(t)
	_, params := choose(t, authURL, "ada@example.com")
	d.at = d.at.Add(time.Minute)
	if _, err := d.rp.Finish(t.Context(), f, params); tenure.CodeOf(err) != tenure.Unauthorized {
		t.Errorf("a code of a minute ago: %v", err)
	}
	authURL, f = d.begin(t)
	_, params = choose(t, authURL, "ada@example.com")
	other := f
	other.Verifier = tenure.NewSecret(strings.Repeat("x", 43))
	if _, err := d.rp.Finish(t.Context(), other, params); tenure.CodeOf(err) != tenure.Unauthorized {
		t.Errorf("another verifier: %v", err)
	}
	if _, err := d.rp.Finish(t.Context(), f, params); tenure.CodeOf(err) != tenure.Unauthorized {
		t.Errorf("the right verifier after a wrong one: %v", err)
	}
}

// TestPage: people are listed as buttons with what they may do, and what is in
// their names stays text.
func TestPage(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	authURL, _ := d.begin(t)
	page := get(t, authURL)
	for _, want := range []string{
		`<html lang="en">`, "<h1>Sign in to the demo</h1>", `value="ada@example.com"><strong>Ada</strong>`, "operator for everything",
		"Bob &#34;&lt;b&gt;&#34;", "approver &amp; auditor", "proves nothing",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if n := strings.Count(page, "<button "); n != 2 {
		t.Errorf("%d buttons", n)
	}
}

// TestBadRequests: who isn't the demo's dashboard, or leaves PKCE out, gets no
// page and no code; nobody is sent to an address that the demo doesn't know.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	authURL, _ := d.begin(t)
	good, err := url.Parse(authURL)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"client_id": "another", "redirect_uri": "https://evil.example/", "response_type": "token", "scope": "email",
		"code_challenge": "", "code_challenge_method": "plain", "state": "", "nonce": "",
	} {
		q := good.Query()
		q.Set(name, value)
		resp, err := http.Get(d.URL + "/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		q.Set("person", "ada@example.com")
		posted, err := http.PostForm(d.URL+"/authorize", q)
		if err != nil {
			t.Fatal(err)
		}
		_ = posted.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || posted.StatusCode != http.StatusBadRequest {
			t.Errorf("%s=%q: %s, then %s", name, value, resp.Status, posted.Status)
		}
	}
	if status, back := choose(t, authURL, "nobody@example.com"); status != http.StatusBadRequest || back.Get("code") != "" {
		t.Errorf("somebody who isn't in the demo: %d %v", status, back)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL+"/authorize", strings.NewReader(good.RawQuery+"&person=ada%40example.com"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %s", resp.Status)
	}
}
