package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure/examples"
	"github.com/tenurehq/tenure/examples/lowcode"
)

// startLowcode runs the example platform in $WORK/data for as long as the script
// runs, describes its systems in tenure-data, writes its blueprint to
// lowcode.yaml, and sets $PLATFORM to its address.
func startLowcode(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(os.MkdirAll(ts.MkAbs("data"), 0o700))
	p, err := lowcode.Start(ts.MkAbs("data"))
	ts.Check(err)
	ts.Defer(func() { _ = p.Close() })
	systems := fmt.Sprintf("systems:\n  app-db: {connector: sqlite, options: {dir: %q, shared: %q}}\n  files: {connector: filesystem, options: {root: %q}}\n  web: {connector: http, options: {base: \"http://%s\"}}\n",
		p.Tenants, p.Database, p.Files, p.Addr())
	ts.Check(os.WriteFile(ts.MkAbs("tenure-data/systems.yaml"), []byte(systems), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("lowcode.yaml"), []byte(examples.LowcodeBlueprint), 0o600))
	ts.Setenv("PLATFORM", "http://"+p.Addr())
}

// call STATUS PATH [CREDENTIAL]: the platform answers a call with that status.
func callPlatform(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	req, err := http.NewRequest(http.MethodGet, ts.Getenv("PLATFORM")+args[1], nil)
	ts.Check(err)
	if len(args) > 2 {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	if resp.StatusCode != want {
		ts.Fatalf("%s answers %d, want %d", args[1], resp.StatusCode, want)
	}
}
