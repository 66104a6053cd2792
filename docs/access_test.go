package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
	"github.com/tenurehq/tenure/internal/guard"
	"github.com/tenurehq/tenure/internal/installation"
)

// permissionLine is a permission's constant with its comment.
var permissionLine = regexp.MustCompile(`(?m)^\t\w+ +Permission = "([a-z.]+)" +// ?(.*)$`)

// rolesTable is what each role may do, a permission a line; says is what each is.
func rolesTable(says map[string]string) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, r := range tenure.Roles {
		fmt.Fprintf(&b, " %s |", strings.ReplaceAll(string(r), "-", " "))
	}
	b.WriteString(" what it is |\n|---|" + strings.Repeat(":-:|", len(tenure.Roles)) + "---|\n")
	for _, p := range guard.Permissions() {
		fmt.Fprintf(&b, "| `%s` |", p)
		for _, r := range tenure.Roles {
			b.WriteString(map[bool]string{true: " yes |", false: " |"}[r.May(p)])
		}
		what := says[string(p)]
		if p.NeedsStrong() {
			what = strings.TrimPrefix(what+"; *strong*", "; ")
		}
		b.WriteString(strings.TrimRight(" "+what, " ") + " |\n")
	}
	return b.String()
}

// conflictsTable is the pairs of roles that no principal has at once.
func conflictsTable() string {
	var b strings.Builder
	b.WriteString("| role | and role | why not |\n|---|---|---|\n")
	for i, r := range tenure.Roles {
		for _, o := range tenure.Roles[i+1:] {
			if why := tenure.RoleConflict(r, o); why != "" {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", r, o, why)
			}
		}
	}
	return b.String()
}

// Who gives out access must read here what the program will let people do, and
// what a policy can look at.
func TestAccessPageIsTrue(t *testing.T) {
	t.Parallel()
	const file = "docs/access.md"
	example, err := os.ReadFile(filepath.Join(root, "internal/guard/testdata/example.cedar"))
	if err != nil {
		t.Fatal(err)
	}
	cedar := func(text string) string { return "```cedar\n" + text + "```\n" }
	says := make(map[string]string)
	for _, m := range permissionLine.FindAllStringSubmatch(read(t, "access.go"), -1) {
		says[m[1]] = m[2]
	}
	if len(says) != len(guard.Permissions()) {
		t.Fatalf("access.go explains %d of %d permissions", len(says), len(guard.Permissions()))
	}
	text := read(t, file)
	for _, d := range []struct{ name, want string }{
		{"roles", rolesTable(says)},
		{"conflicts", conflictsTable()},
		{"policies", cedar(string(example))},
		{"schema", cedar(guard.Schema())},
	} {
		begin, end := "<!-- begin: "+d.name+" -->\n", "<!-- end: "+d.name+" -->\n"
		head, rest, ok := strings.Cut(text, begin)
		old, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has lost its marks %q and %q", file, begin, end)
		}
		want := "\n" + d.want + "\n"
		if old != want && !*update {
			t.Errorf("%s: the part %q isn't what the code says (run: make docs):\n%s", file, d.name, cmp.Diff(old, want))
		}
		text = head + begin + want + end + tail
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Each rule that finds anomalies is explained, and no other.
func TestAnomaliesAreExplained(t *testing.T) {
	t.Parallel()
	rule := regexp.MustCompile(`"((?:access|elevation|destructive|approvals?|signin|dormant|hold)\.[a-z]+)"`)
	told := regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z]+)` \\| (?:low|medium|high|critical) \\|")
	want := found(rule, read(t, "internal/governance/anomaly_rules.go"))
	if len(want) < 10 {
		t.Fatalf("only %d rules seen: they weren't found", len(want))
	}
	if diff := cmp.Diff(want, found(told, read(t, "docs/access.md"))); diff != "" {
		t.Errorf("the rules of docs/access.md aren't those that look (-code +page):\n%s", diff)
	}
}

// Each metric stands in the table of docs/api.md, and no other.
func TestMetricsAreTold(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob(filepath.Join(root, "internal/telemetry/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, f := range sources {
		if rel, _ := filepath.Rel(root, f); !strings.HasSuffix(f, "_test.go") {
			code.WriteString(read(t, rel))
		}
	}
	want := found(regexp.MustCompile(`"(tenure_[a-z_]+)"`), code.String())
	if len(want) < 10 {
		t.Fatalf("only %d metrics seen: they weren't found", len(want))
	}
	if diff := cmp.Diff(want, found(regexp.MustCompile("`(tenure_[a-z_]+)`"), read(t, "docs/api.md"))); diff != "" {
		t.Errorf("the metrics of docs/api.md aren't those that are counted (-code +page):\n%s", diff)
	}
}

// found is what a pattern's group matches, sorted, each once.
func found(pattern *regexp.Regexp, text string) []string {
	var out []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// A reader who copies settings from a page must not be told at the start that
// there is no such key.
func TestSettingsInPagesAreRead(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	systems := regexp.MustCompile(`(?m)^systems:`)
	n := 0
	for _, page := range []string{"docs/access.md", "docs/operators-guide.md", "docs/holds.md", "docs/system-accounts.md"} {
		for _, m := range block.FindAllStringSubmatch(read(t, page), -1) {
			var into any = new(installation.Settings)
			if systems.MatchString(m[1]) {
				into = new(installation.Systems)
			}
			n++
			if err := yaml.UnmarshalWithOptions([]byte(m[1]), into, yaml.DisallowUnknownField()); err != nil {
				t.Errorf("%s: %s", page, yaml.FormatError(err, false, true))
				continue
			}
			if s, ok := into.(*installation.Settings); ok {
				for _, r := range s.Approvals {
					if err := r.Check(); err != nil {
						t.Errorf("%s: %v", page, err)
					}
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d blocks of settings found", n)
	}
}

// The keys that docs/dashboard.md promises are the dashboard's.
func TestDashboardKeys(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/dashboard.md")
	for _, n := range dashboard.Navigation(func(tenure.Permission) bool { return true }, dashboard.Badges{}) {
		if row := fmt.Sprintf("| **%s** | `g` `%s` |", n.Label, n.Key); !strings.Contains(page, row) {
			t.Errorf("docs/dashboard.md has no row that begins %q", row)
		}
	}
}
