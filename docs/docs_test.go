// Package docs_test holds the pages to the code that they tell of.
package docs_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/tenurehq/tenure"
)

var update = flag.Bool("update", false, "write what is derived in ARCHITECTURE.md and access.md anew")

const root = ".."

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// diagram draws the table of legal moves, in the order of a life.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> requested\n")
	for _, m := range tenure.TenantTransitions {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", m.From, m.To, m.When)
	}
	b.WriteString("    closed --> [*]\n```\n")
	return b.String()
}

// A reader must see the states that the store keeps to, and no others.
func TestStateDiagram(t *testing.T) {
	t.Parallel()
	const file, begin, end = "ARCHITECTURE.md", "<!-- begin: states -->\n", "<!-- end: states -->\n"
	text := read(t, file)
	head, rest, ok := strings.Cut(text, begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its marks %q and %q", file, begin, end)
	}
	want := "\n" + diagram() + "\n"
	if old == want {
		return
	}
	if !*update {
		t.Fatalf("the diagram in %s isn't that of tenure.TenantTransitions; run: make docs", file)
	}
	if err := os.WriteFile(filepath.Join(root, file), []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every package of the module has its line in ARCHITECTURE.md.
func TestPackagesAreTold(t *testing.T) {
	t.Parallel()
	page := read(t, "ARCHITECTURE.md")
	for _, dir := range []string{"", "connector", "internal"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.ToSlash(filepath.Join(dir, e.Name()))
			sources, _ := filepath.Glob(filepath.Join(root, name, "*.go"))
			untold := []string{"docs", "examples", "internal/crash", "internal/policy", "internal/postgrestest"} // not of the program
			if !e.IsDir() || len(sources) == 0 || slices.Contains(untold, name) {
				continue
			}
			kind := strings.HasPrefix(name, "connector/") && strings.Contains(page, "`connector/…`")
			if !kind && !strings.Contains(page, "`"+name+"`") {
				t.Errorf("ARCHITECTURE.md doesn't name %s", name)
			}
		}
	}
	for _, m := range regexp.MustCompile("`((?:internal|connector|cmd|evidence|audit)/[a-z/]+(?:\\.go)?)`").FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("ARCHITECTURE.md names %s, which isn't there", m[1])
		}
	}
}

// Each direct dependency stands in docs/dependencies.md with its reason.
func TestDependencies(t *testing.T) {
	t.Parallel()
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|$").FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		told[m[1]] = strings.TrimSpace(m[2])
	}
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		if len(told[r.Mod.Path]) < 20 {
			t.Errorf("docs/dependencies.md gives no reason for %s", r.Mod.Path)
		}
		delete(told, r.Mod.Path)
	}
	for path := range told {
		t.Errorf("docs/dependencies.md tells of %s, which go.mod doesn't require directly", path)
	}
}

// pages are the pages that people write and read.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, glob := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, _ := filepath.Rel(root, f)
			out = append(out, filepath.ToSlash(rel))
		}
	}
	if len(out) < 8 {
		t.Fatalf("only %d pages found", len(out))
	}
	return out
}

// A link between pages leads somewhere, to the heading too if it names one.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			if target == "" {
				file = page
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: %s has no heading #%s", page, file, anchor)
			}
		}
	}
}

// anchors are a page's headings as links name them.
func anchors(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		s := strings.ToLower(strings.TrimSpace(m[1]))
		s = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(s, "")
		out = append(out, strings.ReplaceAll(s, " ", "-"))
	}
	return out
}

// The README is short, and begins with two commands: to see it, and to test it.
func TestReadme(t *testing.T) {
	t.Parallel()
	text := read(t, "README.md")
	if n := strings.Count(text, "\n"); n > 120 {
		t.Errorf("README.md has %d lines; 120 are enough", n)
	}
	_, rest, _ := strings.Cut(text, "```\n")
	block, _, _ := strings.Cut(rest, "```")
	var commands []string
	for _, line := range strings.Split(block, "\n") {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	if want := []string{"go run ./cmd/tenure demo", "make test"}; !slices.Equal(commands, want) {
		t.Errorf("README.md begins with the commands %q; want %q", commands, want)
	}
}

// The example of docs/survey.md is the blueprint that a test adopts tenants with.
func TestExistingPlatformExample(t *testing.T) {
	t.Parallel()
	const file, begin, end = "docs/survey.md", "<!-- begin: existing -->\n", "<!-- end: existing -->\n"
	text := read(t, file)
	head, rest, ok := strings.Cut(text, begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its marks %q and %q", file, begin, end)
	}
	want := "\n```yaml\n" + read(t, "examples/existing-platform/blueprint.yaml") + "```\n\n"
	if old == want {
		return
	}
	if !*update {
		t.Fatalf("the example in %s isn't examples/existing-platform/blueprint.yaml; run: make docs", file)
	}
	if err := os.WriteFile(filepath.Join(root, file), []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
