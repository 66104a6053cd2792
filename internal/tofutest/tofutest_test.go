package tofutest

import (
	"os/exec"
	"testing"
)

// Tests of modules are only as good as what applies them: it is had, and it runs.
func TestProgram(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(Program(t), "version").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
