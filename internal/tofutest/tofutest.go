// Package tofutest gives tests OpenTofu or Terraform: the one that is installed, or one that
// is compiled.
package tofutest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/tenurehq/tenure/internal/servertest"
)

// The last Terraform that is free software, and that compiles outside of its own module.
const (
	module  = "github.com/hashicorp/terraform"
	version = "v1.5.7"
)

// Variable names the environment variable that holds the path of another one.
const Variable = "TENURE_TEST_TOFU"

// Program is the path of tofu or terraform. One that isn't installed is compiled into the
// user's cache, once. Where it can't be had, the test is skipped by name; where CI is set it
// fails.
func Program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(Variable); path != "" {
		return path
	}
	for _, name := range []string{"tofu", "terraform"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return servertest.Program(t, module, version)
}
