package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each actor of the threat model has a table, each row names what stops them and a test
// that shows it, and each of those tests exists.
func TestThreatsAreShown(t *testing.T) {
	t.Parallel()
	_, page, ok := strings.Cut(read(t, "docs/threat-model.md"), "\n## Actor by actor\n")
	if !ok {
		t.Fatal("docs/threat-model.md has lost its part \"Actor by actor\"")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	named := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9_]+)`")
	rows := make(map[string]int)
	actor := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if name, is := strings.CutPrefix(line, "### "); is {
			actor = name
			continue
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| can do |") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" {
			t.Errorf("%s: the row %q hasn't three cells", actor, line)
			continue
		}
		rows[actor]++
		tests := named.FindAllStringSubmatch(cells[2], -1)
		if len(tests) == 0 {
			t.Errorf("%s: the row %q names no test", actor, line)
		}
		for _, m := range tests {
			if !testExists(t, m[1], m[2]) {
				t.Errorf("%s: there is no test %s in %s", actor, m[2], m[1])
			}
		}
	}
	for _, want := range []string{"Anonymous", "A tenant's user", "A tenant's developer with DDL", "A customer with a link", "Viewer", "Operator", "Approver", "Admin", "Host owner", "Database owner"} {
		if rows[want] == 0 {
			t.Errorf("nothing is said of what %s can do", want)
		}
		delete(rows, want)
	}
	for other := range rows {
		t.Errorf("the actor %q isn't one of ours", other)
	}
}

func testExists(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		b, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(b), "\nfunc "+name+"(")
	})
}
