package identity

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

func good() Settings {
	return Settings{Issuer: "https://id.example.com/realm", ClientID: "tenure", RedirectURL: "https://tenure.example.com/sign-in/callback"}
}

// TestSettings: settings that would send a secret over an open line, or to a
// place that somebody else chose, are refused before anything is sent.
func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit func(*Settings)
		ok   bool
	}{
		"as it should be":       {func(*Settings) {}, true},
		"loopback":              {func(s *Settings) { s.Issuer, s.RedirectURL = "http://127.0.0.1:80", "http://localhost:1/cb" }, true},
		"loopback IPv6":         {func(s *Settings) { s.Issuer = "http://[::1]:80" }, true},
		"no issuer":             {func(s *Settings) { s.Issuer = "" }, false},
		"plain http":            {func(s *Settings) { s.Issuer = "http://id.example.com" }, false},
		"loopback as a prefix":  {func(s *Settings) { s.Issuer = "http://127.0.0.1.example.com" }, false},
		"localhost as a prefix": {func(s *Settings) { s.Issuer = "http://localhost.example.com" }, false},
		"user in the issuer":    {func(s *Settings) { s.Issuer = "https://a:b@id.example.com" }, false},
		"user before loopback":  {func(s *Settings) { s.Issuer = "http://127.0.0.1@id.example.com" }, false},
		"fragment":              {func(s *Settings) { s.Issuer = "https://id.example.com#x" }, false},
		"empty fragment":        {func(s *Settings) { s.Issuer = "https://id.example.com#" }, false},
		"query":                 {func(s *Settings) { s.Issuer = "https://id.example.com?x=1" }, false},
		"a file":                {func(s *Settings) { s.Issuer = "file:///etc/passwd" }, false},
		"no scheme":             {func(s *Settings) { s.Issuer = "id.example.com" }, false},
		"redirect over http":    {func(s *Settings) { s.RedirectURL = "http://tenure.example.com/cb" }, false},
		"redirect fragment":     {func(s *Settings) { s.RedirectURL += "#x" }, false},
		"relative redirect":     {func(s *Settings) { s.RedirectURL = "/cb" }, false},
		"no client":             {func(s *Settings) { s.ClientID = "" }, false},
		"negative age":          {func(s *Settings) { s.MaxAge = -time.Second }, false},
		"part of a second":      {func(s *Settings) { s.MaxAge = time.Millisecond }, false},
		"endless timeout":       {func(s *Settings) { s.Timeout = time.Hour }, false},
		"scope with a space":    {func(s *Settings) { s.Scopes = []string{"openid email"} }, false},
		"empty amr":             {func(s *Settings) { s.StrongAMR = []string{""} }, false},
		"empty acr":             {func(s *Settings) { s.StrongACR = []string{""} }, false},
	} {
		s := good()
		tt.edit(&s)
		if _, err := Open(s, time.Now); (err == nil) != tt.ok || err != nil && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEndpointsOfAnOutsideProvider: a provider outside can't make Tenure ask this
// machine or the metadata service of its cloud.
func TestEndpointsOfAnOutsideProvider(t *testing.T) {
	t.Parallel()
	p, err := Open(good(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	fine := document{AuthorizationEndpoint: "https://id.example.com/a", TokenEndpoint: "https://token.example.com/", KeysURI: "https://keys.example.com/"}
	if err := p.judge(fine); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{
		"http://127.0.0.1/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://169.254.169.254/latest", "https://[fe80::1]/",
		"https://0.0.0.0/", "http://id.example.com/", "https://a@id.example.com/", "javascript:alert(1)", "//id.example.com/",
	} {
		for name, edit := range map[string]func(*document){
			"authorization": func(d *document) { d.AuthorizationEndpoint = place },
			"token":         func(d *document) { d.TokenEndpoint = place },
			"keys":          func(d *document) { d.KeysURI = place },
			"userinfo":      func(d *document) { d.UserinfoEndpoint = place },
		} {
			doc := fine
			edit(&doc)
			if err := p.judge(doc); tenure.CodeOf(err) != tenure.Unauthorized {
				t.Errorf("%s at %s: %v", name, place, err)
			}
		}
	}
}
