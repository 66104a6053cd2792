package s3test

import (
	"os/exec"
	"testing"
)

// Tests of S3 are only as good as their server: it is had, and is the one that they name.
func TestProgram(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(Program(t), "--version").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// A server that was ended and started again has what it had.
func TestAgain(t *testing.T) {
	t.Parallel()
	s := Start(t)
	before := s.Look(t)
	s.Stop(t)
	s.Again(t)
	if after := s.Look(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
