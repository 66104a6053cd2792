package installation_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/installation"
)

// Sources and their secrets are read again without a restart, and what is wrong leaves those before.
func TestSourcesAreReadAgain(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	i, err := installation.Init(ctx, installation.Options{Dir: dir}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	settings, err := os.ReadFile(filepath.Join(dir, "tenure.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source := func(keys ...string) string {
		return string(settings) + "\nevents:\n  crm: {scheme: hmac, header: X-Signature, secrets: [" + strings.Join(keys, ", ") + "], fields: {id: id, type: type}}\n"
	}
	n := 0
	tell := func(secret string) tenure.Code {
		n++
		body := []byte(`{"id":"` + strings.Repeat("x", n) + `","type":"t"}`)
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(body)
		r := event.Request{Header: http.Header{"X-Signature": {hex.EncodeToString(m.Sum(nil))}, "Content-Type": {"application/json"}}, Body: body}
		return tenure.CodeOf(i.Events.Receive(ctx, "crm", r))
	}
	const first, second = "the-first-secret-of-the-test", "the-second-secret-of-the-test"
	write("first", first+"\n")
	write("second", second+"\r\n") // as an editor of another system leaves it
	if got := tell(first); got != tenure.NotFound {
		t.Errorf("before there is the source: %q", got)
	}
	a, b := "\"file:"+filepath.Join(dir, "first")+"\"", "\"file:"+filepath.Join(dir, "second")+"\""
	for _, step := range []struct {
		keys          []string
		first, second tenure.Code
	}{{[]string{a}, "", tenure.Unauthorized}, {[]string{b, a}, "", ""}, {[]string{b}, tenure.Unauthorized, ""}} {
		write("tenure.yaml", source(step.keys...))
		if err := i.RenewSources(ctx); err != nil {
			t.Fatal(err)
		}
		if one, two := tell(first), tell(second); one != step.first || two != step.second {
			t.Errorf("with %v: %q and %q, want %q and %q", step.keys, one, two, step.first, step.second)
		}
	}
	for _, wrong := range []string{strings.Replace(source(b), "scheme: hmac", "scheme: none", 1), source("in-clear"), source("\"file:" + filepath.Join(dir, "nowhere") + "\""), ":"} {
		write("tenure.yaml", wrong)
		if err := i.RenewSources(ctx); err == nil {
			t.Errorf("taken: %s", wrong)
		}
		if got := tell(second); got != "" {
			t.Errorf("what is wrong took the sources away: %q", got)
		}
	}
}
