package pocketbasetest

import (
	"os/exec"
	"testing"

	"github.com/tenurehq/tenure/internal/servertest"
)

// Tests of PocketBase are only as good as their server: it is had, and it runs.
func TestProgram(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(servertest.Program(t, module, version), "--help").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
