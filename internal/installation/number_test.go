package installation_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
)

// initialized is the folder of a new installation that nobody has open.
func initialized(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	i, err := installation.Init(context.Background(), installation.Options{Dir: dir}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	_ = i.Close()
	return dir
}

// reopened says what becomes of an installation that is opened with a file's new text.
func reopened(t *testing.T, dir, file, text string) error {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	i, err := installation.Open(context.Background(), installation.Options{Dir: dir})
	if err == nil {
		_ = i.Close()
	}
	return err
}

// A budget that means something else than what is written would let a mass deletion
// go on, or stop a single one.
func TestNumbersInSettingsAreReadStrictly(t *testing.T) {
	t.Parallel()
	dir := initialized(t)
	open := func(text string) error { return reopened(t, dir, "tenure.yaml", text) }
	for _, n := range []string{"0", "-1", "1.5", "1.0e+30", "1e30", "9223372036854775808", "99999999999999999999", "true", "ten", "''"} {
		if err := open("budget: {person: " + n + "}"); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("budget person %s: %v", n, err)
		}
	}
	for _, d := range []string{"1.5", "12", "-1h", "0s", "9999999999h", "12 hours"} {
		if err := open("sessions: {for: " + d + "}"); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("sessions for %s: %v", d, err)
		}
	}
	if err := open("budget: {person: 3, blueprint: 1_000}\nsessions: {for: 2h}"); err != nil {
		t.Error(err)
	}
	if err := open("budget: {person: 0}"); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("a budget of nothing: %v", err)
	}
}
