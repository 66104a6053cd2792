package demoidp

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is what a client asks the authorization endpoint for.
type request struct{ State, Nonce, Challenge, Scope string }

// read takes the request's parameters, and says what is wrong with them: "" for
// nothing. What is wrong is told to the visitor, never redirected: the demo has
// one client, so it is a mistake of ours.
func (p *Provider) read(q url.Values) (r request, wrong string) {
	r = request{State: q.Get("state"), Nonce: q.Get("nonce"), Challenge: q.Get("code_challenge"), Scope: q.Get("scope")}
	switch {
	case q.Get("client_id") != p.clientID, q.Get("redirect_uri") != p.redirectURL:
		wrong = "this provider doesn't know the program that sent you here"
	case q.Get("response_type") != "code", !slices.Contains(strings.Fields(r.Scope), "openid"):
		wrong = "this provider does OpenID Connect's authorization code flow alone"
	case q.Get("code_challenge_method") != "S256", len(r.Challenge) != 43:
		wrong = "PKCE with S256 is missing"
	case r.State == "", r.Nonce == "":
		wrong = "state or nonce is missing"
	}
	return r, wrong
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to the demo</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<h1>Sign in to the demo</h1>
<p>Choose whom to be. This page is a stand-in for your identity provider: it asks for no password and proves nothing.</p>
<form method="post" action="/authorize">
{{range $name, $value := .Hidden}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<ul>
{{range $i, $p := .People}}<li><button type="submit" name="person" value="{{$p.Email}}"><strong>{{$p.Name}}</strong> <span>{{$p.Email}}</span> <span>{{$p.Roles}}</span></button></li>
{{end}}</ul>
</form>
</main>
</body>
</html>
`))

const css = `:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 34rem; margin: 0 auto; padding: 2rem 1rem; }
ul { list-style: none; margin: 1.5rem 0; padding: 0; }
li { margin: 0 0 .75rem; }
button { display: block; width: 100%; padding: .75rem 1rem; text-align: left; font: inherit; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid GrayText; border-radius: .5rem; }
button:hover { border-color: currentColor; }
button:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
button span { display: block; }
`

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write([]byte(css))
}

// page lists the people, each as a button.
func (p *Provider) page(w http.ResponseWriter, r *http.Request) {
	req, wrong := p.read(r.URL.Query())
	if wrong != "" {
		http.Error(w, wrong, http.StatusBadRequest)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Browsers hold a form's redirect to form-action too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+origin(p.redirectURL))
	_ = pageTemplate.Execute(w, map[string]any{"People": p.people, "Hidden": map[string]string{
		"client_id": p.clientID, "redirect_uri": p.redirectURL, "response_type": "code", "scope": req.Scope,
		"state": req.State, "nonce": req.Nonce, "code_challenge": req.Challenge, "code_challenge_method": "S256",
	}})
}

func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// choose sends the visitor back with a code for the chosen person.
func (p *Provider) choose(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form can't be read", http.StatusBadRequest)
		return
	}
	req, wrong := p.read(r.PostForm)
	i := slices.IndexFunc(p.people, func(who Person) bool { return who.Email == r.PostForm.Get("person") })
	if wrong == "" && i < 0 {
		wrong = "nobody of that name is in the demo"
	}
	back, err := url.Parse(p.redirectURL)
	if wrong == "" && err != nil {
		wrong = "the demo's redirect URL can't be read"
	}
	if wrong != "" {
		http.Error(w, wrong, http.StatusBadRequest)
		return
	}
	q := back.Query()
	q.Set("code", p.grant(p.people[i], req))
	q.Set("state", req.State)
	q.Set("iss", p.Issuer())
	back.RawQuery = q.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// grant makes a code, and forgets those whose minute is over.
func (p *Provider) grant(who Person, req request) string {
	now, code := p.now(), rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, g := range p.codes {
		if now.Sub(g.at) >= codeLife {
			delete(p.codes, c)
		}
	}
	p.codes[code] = grant{person: who, nonce: req.Nonce, challenge: req.Challenge, at: now}
	return code
}
