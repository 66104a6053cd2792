package oidctest

import (
	"embed"
	"io/fs"
	"os/exec"
	"testing"

	"github.com/tenurehq/tenure/internal/npmtest"
)

//go:embed testdata/provider/package.json testdata/provider/package-lock.json testdata/provider/server.mjs
var sources embed.FS

// installed returns the folder that holds the provider program with what it
// needs, and the path of node. Where it can't be had, the test is skipped by name;
// where CI is set it fails.
func installed(t testing.TB) (folder, node string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		npmtest.Absent(t, "oidc-provider", "node isn't installed")
	}
	program, err := fs.Sub(sources, "testdata/provider")
	if err != nil {
		t.Fatal(err)
	}
	return npmtest.Install(t, "oidc-provider", program), node
}
