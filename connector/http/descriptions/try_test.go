package descriptions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/connector/trial"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/standin"
)

// What comes with Tenure passes its own trial on a real system, and a description that is
// wrong doesn't.
func TestTry(t *testing.T) {
	pb, nr := pocketbasetest.Start(t), noderedtest.Start(t)
	for _, c := range []struct {
		name    string
		options map[string]string
		secret  string
		breaks  [2]string // what makes the description wrong
		tells   string
	}{
		{"pocketbase", map[string]string{"base": pb.URL, "identity": pb.Identity, "users": "users"}, pb.Password,
			[2]string{`delete: {method: DELETE, path: "/api/collections/${options.users}/records/${id}", gone: [404]}`, `delete: {method: GET, path: /api/health}`}, "it is still there"},
		{"nodered", map[string]string{"base": nr.URL, "user": nr.User}, nr.Password,
			[2]string{"disabled: true\n        info", "disabled: false\n        info"}, "it is present"},
	} {
		src, _ := descriptions.Source(c.name)
		try := func(text string) (good bool, told []trial.Trial) {
			d, err := http.Parse([]byte(text), c.name)
			if err != nil {
				t.Fatal(err)
			}
			good, err = http.Try(t.Context(), d, connector.Config{System: "try", Options: c.options, Secrets: map[string]tenure.Secret{"password": tenure.NewSecret(c.secret)}, Now: time.Now}, func(one trial.Trial) { told = append(told, one) })
			if err != nil {
				t.Fatal(err)
			}
			return good, told
		}
		good, told := try(string(src))
		for _, one := range told {
			if one.Bad {
				t.Errorf("%s: %s %s: %s\n%s", c.name, one.Type, one.Does, one.Saw, strings.Join(one.Sent, "\n"))
			}
			if strings.Contains(strings.Join(one.Sent, " ")+one.Saw, c.secret) {
				t.Errorf("%s: %s tells the password", c.name, one.Does)
			}
		}
		if !good || len(told) < 15 {
			t.Errorf("%s: good %t after %d steps", c.name, good, len(told))
		}
		if !strings.Contains(string(src), c.breaks[0]) {
			t.Fatalf("%s has no %q", c.name, c.breaks[0])
		}
		good, told = try(strings.ReplaceAll(string(src), c.breaks[0], c.breaks[1]))
		var bad []string
		for _, one := range told {
			if one.Bad {
				bad = append(bad, one.Saw)
			}
		}
		if good || !strings.Contains(strings.Join(bad, "\n"), c.tells) {
			t.Errorf("%s, broken: good %t, it tells %q", c.name, good, bad)
		}
	}
}

// So do those that are tried on stand-ins.
func TestTryOnStandIns(t *testing.T) {
	hub, force, mk, pay, id := standin.HubSpot(t), standin.Salesforce(t), standin.Make(t), standin.Stripe(t), scimtest.Start(t)
	for name, c := range map[string]connector.Config{
		"hubspot":    {Options: map[string]string{"base": hub.URL, "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(hub.Token)}},
		"salesforce": {Options: map[string]string{"base": force.URL, "clientId": "client", "rate": "100000"}, Secrets: map[string]tenure.Secret{"clientSecret": tenure.NewSecret("secret-of-the-client")}},
		"stripe":     {Options: map[string]string{"base": pay.URL, "rate": "100000"}, Secrets: map[string]tenure.Secret{"key": tenure.NewSecret(pay.Token)}},
		"make":       {Options: map[string]string{"base": mk.URL + "/api/v2", "organization": "7", "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(mk.Token)}},
		"scim":       {Options: map[string]string{"base": id.URL + "/scim/v2", "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(id.Token)}},
	} {
		src, _ := descriptions.Source(name)
		d, err := http.Parse(src, name)
		if err != nil {
			t.Fatal(err)
		}
		c.System, c.Now = "try", time.Now
		good, err := http.Try(t.Context(), d, c, func(one trial.Trial) {
			if one.Bad {
				t.Errorf("%s: %s %s: %s\n%s", name, one.Type, one.Does, one.Saw, strings.Join(one.Sent, "\n"))
			}
		})
		if err != nil || !good {
			t.Errorf("%s: good %t, %v", name, good, err)
		}
	}
}
