// Command tenure-connector-tofu connects Tenure to OpenTofu and Terraform: a module for each
// tenant, in a workspace of its own. Tenure starts it for each call (docs/exec-connector.md)
// and finds it by a manifest, which the program prints itself.
//
//	tenure-connector-tofu manifest                     prints the manifest, with this program's path and checksum
//	tenure-connector-tofu manifest FOLDER VARIABLES    with a sample for tenure connector try: a module, and its variables in JSON
//	tenure-connector-tofu digest FOLDER                prints the digest of a module, for a blueprint
//	tenure-connector-tofu                              answers one request
package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

//go:embed tofu.yaml
var manifest string

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tenure-connector-tofu:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 0:
		return answer(in, out)
	case len(args) == 1 && args[0] == "manifest":
		return printManifest(out, "")
	case len(args) == 3 && args[0] == "manifest":
		sample, err := sampleOf(args[1], args[2])
		if err != nil {
			return err
		}
		return printManifest(out, sample)
	case len(args) == 2 && args[0] == "digest":
		m, err := readModule(args[1])
		if err == nil {
			_, err = fmt.Fprintln(out, m.digest)
		}
		return err
	}
	return fmt.Errorf("use: tenure-connector-tofu [manifest [FOLDER VARIABLES] | digest FOLDER]")
}

// sampleOf is a sample of the manifest's type: a module, and its variables.
func sampleOf(folder, variables string) (string, error) {
	m, err := readModule(folder)
	if err != nil {
		return "", err
	}
	c := configuration{Module: filepath.Base(filepath.Clean(folder)), Digest: m.digest}
	if err := readJSON(variables, &c.Variables); err != nil {
		return "", fmt.Errorf("the variables are no JSON object: %w", err)
	}
	return "    try: {name: tenure-try, attributes: " + c.text() + "}\n", nil
}

func printManifest(out io.Writer, sample string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	quoted, _ := json.Marshal(path) // which YAML reads too
	sum := sha256.Sum256(raw)
	_, err = strings.NewReplacer("PROGRAM", string(quoted), "DIGEST", hex.EncodeToString(sum[:])).WriteString(out, manifest+sample)
	return err
}

// answer reads one request and answers it. An error is one of writing alone.
func answer(in io.Reader, out io.Writer) error {
	s := newSpeaker(out)
	result, err := handle(in, s)
	if err != nil {
		return s.say("error", refusalOf(err))
	}
	return s.say("result", result)
}

func handle(in io.Reader, s *speaker) (any, error) {
	var q request
	dec := json.NewDecoder(in)
	dec.UseNumber()
	if err := dec.Decode(&q); err != nil {
		return nil, refuse("internal", "the request can't be read: %s", err)
	}
	if q.Protocol != 1 {
		return nil, refuse("internal", "this program speaks the protocol 1, and is asked in %d", q.Protocol)
	}
	ctx := context.Background()
	p, err := open(ctx, q, s)
	if err != nil {
		return nil, err
	}
	defer p.states.close()
	switch q.Call {
	case "plant":
		return p.plant(ctx)
	case "observe":
		return p.observe(ctx)
	case "discover":
		return p.discover(ctx)
	case "foresee":
		return p.foresee(ctx)
	case "ensure":
		return p.ensure(ctx)
	case "adopt":
		return p.adopt(ctx)
	case "delete":
		return p.delete(ctx)
	}
	return nil, refuse("invalid", "this program knows no call %q", q.Call)
}
