package policy

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/tenurehq/tenure"

// imported is one import of one file.
type imported struct {
	from string // the package, by its path in the module
	path string // as the file writes it
	test bool
	file string
}

// own is the imported package's path in this module.
func (i imported) own() (string, bool) {
	if i.path == modulePath {
		return ".", true
	}
	return strings.CutPrefix(i.path, modulePath+"/")
}

// matches says whether a package is meant by a pattern of the tables.
func matches(pattern, pkg string) bool {
	if pattern == "*" {
		return true
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}

func anyMatches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// checker applies the tables to imports and notes which rows were of use.
type checker struct {
	used     map[string]bool
	problems []string
}

func (c *checker) bad(i imported, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%s imports %s: %s", i.file, i.path, fmt.Sprintf(format, args...)))
}

func (c *checker) use(kind string, row int) { c.used[kind+strconv.Itoa(row)] = true }

func (c *checker) check(i imported) {
	to, own := i.own()
	if own {
		c.floor(i, to)
	} else {
		c.elsewhere(i)
	}
	c.sight(i, to, own)
}

// floorOf finds a package's floor; the longest pattern that means it counts.
func floorOf(pkg string) (n int, pattern string) {
	n = -1
	for f, row := range floors {
		for _, p := range row.packages {
			if matches(p, pkg) && len(p) > len(pattern) {
				n, pattern = f, p
			}
		}
	}
	return n, pattern
}

func (c *checker) floor(i imported, to string) {
	if i.from == to {
		return // a package's external test
	}
	from, p := floorOf(i.from)
	target, q := floorOf(to)
	c.used["floor "+p], c.used["floor "+q] = true, true
	switch {
	case from < 0:
		c.bad(i, "%s stands on no floor; give it one in floors", i.from)
	case target < 0:
		c.bad(i, "%s stands on no floor; give it one in floors", to)
	case target < from || c.sideways(i, to, target > from):
	case target > from:
		c.bad(i, "that goes up, from %s to %s", floors[from].name, floors[target].name)
	default:
		c.bad(i, "that goes sideways on the floor %q, and no row of sideways allows it", floors[from].name)
	}
}

// sideways looks for the row that allows an import; up asks for one of tests.
func (c *checker) sideways(i imported, to string, up bool) bool {
	for n, e := range sideways {
		if matches(e.from, i.from) && matches(e.to, to) && (i.test || !e.tests) && (e.tests || !up) {
			c.use("sideways", n)
			return true
		}
	}
	return false
}

// sight applies the first row that means the package; rows go from the special
// to the general.
func (c *checker) sight(i imported, to string, own bool) {
	if i.test {
		return
	}
	n := slices.IndexFunc(sights, func(s sight) bool { return matches(s.who, i.from) })
	if n < 0 {
		return
	}
	c.use("sights", n)
	s := sights[n]
	switch {
	case own && !anyMatches(s.sees, to):
		c.bad(i, "%s sees only %v: %s", i.from, s.sees, s.why)
	case !own && thirdParty(i.path) && s.modules != nil && !slices.ContainsFunc(s.modules, func(m string) bool { return within(i.path, m) }):
		c.bad(i, "%s uses of modules only %v: %s", i.from, s.modules, s.why)
	}
}

func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// within says whether an import is of a module's package.
func within(path, module string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// elsewhere checks imports of other modules and of the standard library.
func (c *checker) elsewhere(i imported) {
	rows, kind := standard, "standard"
	if thirdParty(i.path) {
		rows, kind = modules, "modules"
	}
	for n, m := range rows {
		same := i.path == m.path || kind == "modules" && within(i.path, m.path)
		if !same {
			continue
		}
		c.use(kind, n)
		if !anyMatches(m.by, i.from) && (!i.test || !anyMatches(m.tests, i.from)) {
			c.bad(i, "only %v may: %s", m.by, m.why)
		}
		return
	}
	if kind == "modules" {
		c.bad(i, "no row of modules allows it anywhere")
	}
}

// TestImports loses nobody a feature when it fails: it keeps the parts apart, so
// that each can be read, trusted and replaced alone.
func TestImports(t *testing.T) {
	t.Parallel()
	c := &checker{used: make(map[string]bool)}
	all := imports(t)
	for _, i := range all {
		c.check(i)
	}
	for _, p := range c.problems {
		t.Error(p)
	}
	t.Run("no dead rows", func(t *testing.T) {
		for _, f := range floors {
			for _, p := range f.packages {
				if !c.used["floor "+p] && !slices.ContainsFunc(all, func(i imported) bool { return matches(p, i.from) }) {
					t.Errorf("floor %s: no package %s", f.name, p)
				}
			}
		}
		for n, e := range sideways {
			if !c.used["sideways"+strconv.Itoa(n)] {
				t.Errorf("sideways: nothing of %s imports %s any more", e.from, e.to)
			}
		}
		for n, s := range sights {
			if !c.used["sights"+strconv.Itoa(n)] {
				t.Errorf("sights: no package %s", s.who)
			}
		}
		for n, m := range modules {
			if !c.used["modules"+strconv.Itoa(n)] {
				t.Errorf("modules: nothing imports %s", m.path)
			}
		}
		usersExist(t, all)
	})
}

// usersExist fails for a user in modules or standard who doesn't use it.
func usersExist(t *testing.T, all []imported) {
	for _, m := range slices.Concat(modules, standard) {
		for _, who := range m.by {
			if !slices.ContainsFunc(all, func(i imported) bool { return within(i.path, m.path) && matches(who, i.from) && !i.test }) {
				t.Errorf("%s: %s may use it and doesn't", m.path, who)
			}
		}
	}
}

// TestReasons: a rule without its reason can't be argued with.
func TestReasons(t *testing.T) {
	t.Parallel()
	for _, e := range sideways {
		if len(e.why) < 10 && !strings.HasPrefix(e.why, "as ") {
			t.Errorf("sideways %s to %s: no reason", e.from, e.to)
		}
	}
	for _, s := range sights {
		if len(s.why) < 10 && !strings.HasPrefix(s.why, "as ") {
			t.Errorf("sights %s: no reason", s.who)
		}
	}
	for _, m := range slices.Concat(modules, standard) {
		if len(m.why) < 10 {
			t.Errorf("%s: no reason", m.path)
		}
	}
}

// TestRefusals: the checker refuses what the rules are there for.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, i := range []imported{
		{from: "internal/store", path: modulePath + "/internal/engine"},
		{from: "internal/store", path: modulePath + "/internal/keystore"},
		{from: "internal/engine", path: modulePath + "/internal/planner"},
		{from: "internal/engine", path: modulePath + "/cmd/tenure"},
		{from: "connector/postgres", path: modulePath + "/connector/sqlite"},
		{from: "connector/postgres", path: modulePath + "/internal/store"},
		{from: "connector/memory", path: modulePath + "/connector/relational"},
		{from: "connector/memory", path: modulePath + "/connector/connectortest"},
		{from: "audit", path: modulePath + "/evidence"},
		{from: "audit", path: "github.com/google/go-cmp/cmp"},
		{from: ".", path: "golang.org/x/mod/sumdb/tlog"},
		{from: "internal/engine", path: "github.com/spf13/cobra"},
		{from: "internal/engine", path: "github.com/stretchr/testify/assert", test: true},
		{from: "internal/engine", path: "gopkg.in/yaml.v3"},
		{from: "internal/engine", path: "os/exec"},
		{from: "internal/planner", path: "database/sql"},
		{from: "examples/lowcode", path: modulePath},
		{from: "internal/newcomer", path: modulePath},
	} {
		c := &checker{used: make(map[string]bool)}
		if c.check(i); len(c.problems) == 0 {
			t.Errorf("%s may import %s", i.from, i.path)
		}
	}
}

// imports reads every Go file of the module, whatever system it is for.
func imports(t *testing.T) []imported {
	t.Helper()
	var out []imported
	for _, f := range files(t, ".go") {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, imported{from: path.Dir(f), path: p, test: strings.HasSuffix(f, "_test.go"), file: f})
		}
	}
	if len(out) < 100 {
		t.Fatalf("%d imports in the whole module: the files weren't found", len(out))
	}
	return out
}

const root = "../.."

// files lists the module's files whose name ends so, by their path in the module.
// What tools keep (.git, bin, testdata) is left out.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && slices.Contains([]string{".git", "bin", "tmp", "demo-data", "testdata", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && rel != ".git" && strings.HasSuffix(rel, suffix) { // a linked worktree's .git is a file
			out = append(out, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
