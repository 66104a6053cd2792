package installation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/standin"
)

// What a vault keeps is read where it is written in either file; while it is sealed the
// systems that need it are closed, and no other is.
func TestVaultInSettings(t *testing.T) {
	t.Parallel()
	v := standin.StartVault(t, time.Now)
	dir := initialized(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", v.Token)
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.Put(t, "secret/files", map[string]string{"root": filepath.Join(dir, "a")})
	v.Put(t, "secret/hook", map[string]string{"secret": "a-shared-secret-of-some-length"})
	vault := "vault: {address: '" + v.URL + "', token: 'file:" + filepath.Join(dir, "token") + "'}\n"
	write("tenure.yaml", vault+"notify: {webhook: {url: 'https://chat.example/hook', secret: 'vault:secret/hook#secret'}}\n")
	write("systems.yaml", "systems:\n  kept: {connector: filesystem, options: {root: 'vault:secret/files#root'}}\n  plain: {connector: filesystem, options: {root: ./b}}\n")
	in, err := installation.Open(t.Context(), installation.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "plain"} {
		if _, err := in.AddSystem(t.Context(), name, false, "ada"); err != nil {
			t.Fatal(name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a", ".tenure")); err != nil {
		t.Errorf("the folder that the vault names: %v", err)
	}
	_ = in.Close()

	v.Seal(t, true)
	write("tenure.yaml", vault)
	if in, err = installation.Open(t.Context(), installation.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	list, err := in.Systems(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if list[0].Well || !strings.Contains(list[0].Why, "sealed") || !list[1].Well {
		t.Errorf("while it is sealed: %+v", list)
	}
	v.Seal(t, false)
	if list, err = in.Systems(t.Context()); err != nil || !list[0].Well {
		t.Errorf("once it isn't: %+v, %v", list, err)
	}
	for text, says := range map[string]string{
		"signIn: {issuer: https://login.example, clientId: a, clientSecret: 'vault:secret/none#a'}\nurl: https://tenure.example\n": "no such secret",
		"notify: {webhook: {url: 'https://chat.example/hook', secret: in-clear}}\n":                                                "stands in clear",
	} {
		write("tenure.yaml", vault+text)
		if other, err := installation.Open(t.Context(), installation.Options{Dir: dir, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), says) || tenure.CodeOf(err) == tenure.Internal {
			t.Errorf("%s: %v", text, err)
			if other != nil {
				_ = other.Close()
			}
		}
	}
}
