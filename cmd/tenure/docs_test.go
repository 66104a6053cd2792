package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
)

var update = flag.Bool("update", false, "write docs/cli anew")

const docs = "../../docs/cli"

// TestCommandReference keeps docs/cli in step with the commands.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	pages := reference()
	for name, want := range pages {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.MkdirAll(docs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v; write it with: go test ./cmd/tenure -update", err)
			continue
		}
		if d := cmp.Diff(string(want), string(have)); d != "" {
			t.Errorf("%s is out of date; write it with: go test ./cmd/tenure -update\n%s", path, d)
		}
	}
	there, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if pages[filepath.Base(path)] == nil {
			t.Errorf("%s is of a command that there isn't", path)
		}
	}
}

// TestEveryCommandSaysWhatItDoes keeps the help complete.
func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its short help is %q", c.CommandPath(), c.Short)
		}
		for _, line := range strings.Split(c.LocalFlags().FlagUsages(), "\n") {
			if name, help, _ := strings.Cut(strings.TrimSpace(line), "   "); name != "" && strings.TrimSpace(help) == "" {
				t.Errorf("%s: %s has no help", c.CommandPath(), name)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(documented())
}

func documented() *cobra.Command {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, env: func(string) string { return "" }}
	return a.root()
}

// reference is docs/cli: a page for each command below the root.
func reference() map[string][]byte {
	root := documented()
	pages := make(map[string][]byte)
	var index bytes.Buffer
	fmt.Fprintf(&index, "# Command reference\n\nGenerated from the commands by `go test ./cmd/tenure -update`.\n\n%s\n\n", root.Long)
	index.WriteString("| command | what it does |\n|---|---|\n")
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "completion" || c.Name() == "help" {
			continue
		}
		fmt.Fprintf(&index, "| [%s](%s.md) | %s |\n", c.CommandPath(), c.Name(), cell(c.Short))
		var page bytes.Buffer
		describe(&page, c, "#")
		pages[c.Name()+".md"] = page.Bytes()
	}
	index.WriteString("| tenure completion | Print a completion script for bash, zsh, fish or PowerShell |\n")
	index.WriteString("\n## Flags of every command\n\n")
	fmt.Fprintf(&index, "```\n%s```\n", root.PersistentFlags().FlagUsages())
	index.WriteString("\n## Exit codes\n\n| code | means |\n|---|---|\n| 0 | done |\n")
	for _, c := range []tenure.Code{tenure.Internal, tenure.Invalid, tenure.Unauthorized, tenure.Forbidden, tenure.NotFound, tenure.Conflict, tenure.Blocked, tenure.Unavailable} {
		fmt.Fprintf(&index, "| %d | %s |\n", c.ExitCode(), strings.ReplaceAll(string(c), "_", " "))
	}
	index.WriteString("\nAn error is one line on the standard error, `error: …`, and what to do next, `hint: …`; with `--output json` it is an\nobject with `code`, `message`, `hints` and `retry`.\n")
	index.WriteString("\n## Where a command goes\n\nA command asks the server that `--server`, `$TENURE_SERVER`, `--context` or the current context names, under the name that its\ntoken belongs to. A folder that is named by `--dir` or `$TENURE_DIR` comes before the current context. Without a server it goes through\nthe socket of the one that runs on the folder; where none does, it opens the folder itself, runs what is due, and ends.\n")
	pages["README.md"] = index.Bytes()
	return pages
}

func describe(w *bytes.Buffer, c *cobra.Command, level string) {
	fmt.Fprintf(w, "%s %s\n\n%s.", level, c.CommandPath(), c.Short)
	if c.Long != "" && c.Long != c.Short {
		fmt.Fprintf(w, "\n\n%s", c.Long)
	}
	w.WriteString("\n")
	if len(c.Commands()) == 0 {
		fmt.Fprintf(w, "\n```\n%s\n", c.UseLine())
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			fmt.Fprintf(w, "\n%s", c.LocalNonPersistentFlags().FlagUsages())
		}
		w.WriteString("```\n")
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			w.WriteString("\n")
			describe(w, sub, "##")
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
