package tenure_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// TestSecretIsNotPrinted: whoever prints a secret, or something that holds one in a
// field that fmt asks no method of, gets it out nowhere.
func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	const text = "hunter2-hunter2"
	s := tenure.NewSecret(text)
	type holder struct {
		hidden tenure.Secret
		deep   struct{ list []tenure.Secret }
		Open   tenure.Secret
	}
	h := holder{hidden: s, Open: s}
	h.deep.list = []tenure.Secret{s}
	var out bytes.Buffer
	for _, v := range []any{s, &s, h, &h, []holder{h}, map[string]holder{"x": h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			_, _ = fmt.Fprintf(&out, verb+"\n", v)
		}
		_ = json.NewEncoder(&out).Encode(v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, shown := range []string{text, fmt.Sprintf("%x", text)} {
		if i := strings.Index(out.String(), shown); i >= 0 {
			t.Errorf("it is printed: %s", out.String()[max(0, i-40):i])
		}
	}
	var back tenure.Secret
	if err := back.UnmarshalText([]byte(text)); err != nil || back.Reveal() != text || back.IsZero() {
		t.Errorf("read back it is %q (%v)", back.Reveal(), err)
	}
	if zero := (tenure.Secret{}); !zero.IsZero() || zero.Reveal() != "" || !tenure.NewSecret("").IsZero() {
		t.Error("no secret is taken for one")
	}
}
