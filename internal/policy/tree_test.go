package policy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is when a file is too long to be read in one go.
const maxLines = 600

// long lists the longer files, with why each is one story.
var long = map[string]string{}

func TestFileLengths(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, f := range files(t, ".go") {
		n := bytes.Count(read(t, f), []byte("\n"))
		_, listed := long[f]
		seen[f] = true
		switch {
		case n > maxLines && !listed:
			t.Errorf("%s has %d lines; split it where its story turns, or list it with a reason", f, n)
		case n <= maxLines && listed:
			t.Errorf("%s has %d lines and needs no place in the list of long files", f, n)
		}
	}
	for f := range long {
		if !seen[f] {
			t.Errorf("the list of long files names %s, which isn't there", f)
		}
	}
}

// machinePath is a path that is somebody's machine: a home, a checkout, a build
// folder. The brackets keep it from matching itself.
var machinePath = regexp.MustCompile(`(^|[^\w.:/$}-])/((roo[t]|hom[e]|wor[k]|workspac[e])/|User[s]/\w)`)

// TestNoMachinePaths: what is committed means the same on every machine.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range files(t, "") {
		body := read(t, f)
		if bytes.IndexByte(body, 0) >= 0 || f == "go.sum" {
			continue
		}
		n++
		for i, line := range strings.Split(string(body), "\n") {
			if m := machinePath.FindString(line); m != "" {
				t.Errorf("%s:%d: %q is a path of one machine", f, i+1, strings.TrimSpace(m))
			}
		}
	}
	if n < 100 {
		t.Errorf("%d files seen: the module wasn't found", n)
	}
	for text, want := range map[string]bool{
		"see /hom" + "e/ada/x": true, `"/roo` + `t/go"`: true, "https://example.com/hom" + "e/x": false, `"/User` + `s/ada"`: true, "/User" + "s/${id}": false, "a/wor" + "k/b": false,
	} {
		if machinePath.MatchString(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// clocks may read the machine's clock; everywhere else time comes in as a value,
// so that a rehearsal goes through years in a second.
var clocks = map[string]string{
	"bench":                 "it measures",
	"cmd/*":                 "wiring: the clock is handed down from here",
	"connector/*":           "timers, and dates of files that only the system sees; business time is Config.Now",
	"examples/*":            "a platform of its own",
	"internal/clock":        "it is the machine's clock",
	"internal/demo":         "wiring: it hands down a fast clock",
	"internal/installation": "wiring: the clock is handed down from here",
	"internal/keystore":     "the default of its option",
	"internal/store":        "leases go by the store's clock, which for SQLite is this machine's",
}

// bad package names say nothing that a user of the product would say.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "impl", "misc", "base", "shared"}

// TestHabits keeps to what CONTRIBUTING.md says: no init, no clock out of place,
// no package that is a drawer.
func TestHabits(t *testing.T) {
	t.Parallel()
	read := make(map[string]bool)
	for _, f := range files(t, ".go") {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, filepath.Join(root, f), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(emptyNames, parsed.Name.Name) {
			t.Errorf("%s: a package named %s", f, parsed.Name.Name)
		}
		for _, p := range habits(fset, parsed, path.Dir(f), read) {
			t.Error(p)
		}
	}
	for who, why := range clocks {
		if !read[who] {
			t.Errorf("clocks: %s (%s) doesn't read the clock", who, why)
		}
	}
}

func habits(fset *token.FileSet, file *ast.File, pkg string, read map[string]bool) (problems []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				problems = append(problems, fmt.Sprintf("%s: init hides what happens from who calls; make it explicit", fset.Position(n.Pos())))
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); !ok || x.Name != "time" || n.Sel.Name != "Now" && n.Sel.Name != "Since" && n.Sel.Name != "Until" {
				break
			}
			found := false
			for who := range clocks {
				if matches(who, pkg) {
					read[who], found = true, true
				}
			}
			if !found {
				problems = append(problems, fmt.Sprintf("%s: time.%s: time comes in as a value", fset.Position(n.Pos()), n.Sel.Name))
			}
		}
		return true
	})
	return problems
}

// TestHabitsAreSeen: the check sees what it is there for.
func TestHabitsAreSeen(t *testing.T) {
	t.Parallel()
	const src = "package p\nimport \"time\"\nfunc init() {}\nvar at = time.Now()\n"
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, "p.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := habits(fset, parsed, "internal/engine", map[string]bool{}); len(got) != 2 {
		t.Errorf("problems in %q: %q; want 2", src, got)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
