package tenure_test

import (
	"testing"

	"github.com/tenurehq/tenure"
)

// What reads like a secret at first glance and isn't one passes.
func TestWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "AKIA", "sk_test_x", "https://app.example:8443/a@b", "postgres://app@db.example/app", "https://${user}:${password}@db.example",
		"eyJhbGciOiJub25l", "mailto:a@b.example", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "-----BEGIN PUBLIC KEY-----", "tenure://acme:prod/x",
	} {
		if kind, _, _ := tenure.KnownSecret(text); kind != "" {
			t.Errorf("%q is taken for %s", text, kind)
		}
	}
}
