package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// help asks the built program what its commands are.
type help struct {
	t    *testing.T
	bin  string
	text map[string]string // what --help says, by command path; "" for no command
}

func newHelp(t *testing.T) *help {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tenure")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/tenure").CombinedOutput(); err != nil {
		t.Fatalf("build tenure: %v\n%s", err, out)
	}
	return &help{t: t, bin: bin, text: make(map[string]string)}
}

var (
	word      = regexp.MustCompile(`^[a-z][a-z-]*$`)
	usageLine = regexp.MustCompile(`(?m)^  (tenure[^\n]*)$`)
	flagLine  = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`)
)

// of is what a command's --help says, "" if there is no such command.
func (h *help) of(path []string) string {
	key := strings.Join(path, " ")
	if text, seen := h.text[key]; seen {
		return text
	}
	h.text[key] = ""
	out, err := exec.Command(h.bin, append(slices.Clone(path), "--help")...).CombinedOutput()
	usage := usageLine.FindStringSubmatch(string(out))
	if err == nil && usage != nil && strings.HasPrefix(usage[1]+" ", strings.TrimSpace("tenure "+key)+" ") {
		h.text[key] = string(out)
	}
	return h.text[key]
}

// check says what is wrong with a line that calls tenure; "" if nothing.
func (h *help) check(line string) string {
	words := strings.Fields(line)[1:]
	var path []string
	for len(words) > 0 && word.MatchString(words[0]) && h.of(append(slices.Clone(path), words[0])) != "" {
		path, words = append(path, words[0]), words[1:]
	}
	text, name := h.of(path), strings.Join(append([]string{"tenure"}, path...), " ")
	if strings.Contains(text, "Available Commands:") && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		return name + " has no command " + words[0]
	}
	for _, w := range words {
		flag, _, _ := strings.Cut(w, "=")
		known := slices.ContainsFunc(flagLine.FindAllStringSubmatch(text, -1), func(m []string) bool { return m[1] == flag })
		if strings.HasPrefix(flag, "--") && !known {
			return name + " has no flag " + flag
		}
	}
	return ""
}

var (
	fenced    = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```")
	continued = regexp.MustCompile(`\\\n\s*`)
	spanned   = regexp.MustCompile("`([^`\n]+)`")
	shellEnd  = regexp.MustCompile(`\s(#|\||>|&&).*$`)
	program   = regexp.MustCompile(`^(?:\$ )?(?:go run \./cmd/tenure|(?:bin/)?tenure)(?: |$)`)
)

// calls are the lines of a page that call tenure, in blocks and in the text.
func calls(page string) []string {
	var out []string
	add := func(line string) {
		line = strings.TrimSpace(line)
		if program.MatchString(line) {
			out = append(out, strings.TrimSpace("tenure "+program.ReplaceAllString(shellEnd.ReplaceAllString(line, ""), "")))
		}
	}
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		for _, line := range strings.Split(continued.ReplaceAllString(m[1], " "), "\n") {
			add(line)
		}
	}
	for _, m := range spanned.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		add(m[1])
	}
	return out
}

// What a page tells people to type exists, with its flags.
func TestCommandsInPages(t *testing.T) {
	t.Parallel()
	h := newHelp(t)
	n := 0
	for _, page := range pages(t) {
		if strings.HasPrefix(page, "docs/cli/") {
			continue // generated from the commands themselves
		}
		for _, line := range calls(read(t, page)) {
			n++
			if bad := h.check(line); bad != "" {
				t.Errorf("%s: %q: %s", page, line, bad)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d calls of tenure found in the pages", n)
	}
	for line, wrong := range map[string]bool{
		"tenure tenant list --closed": false, "tenure --dir x tenant list": false, "tenure hold place --matter x": false,
		"tenure frobnicate": true, "tenure hold frobnicate": true, "tenure hold place --frobnicate": true, "tenure serve --matter x": true,
	} {
		if bad := h.check(line); (bad != "") != wrong {
			t.Errorf("%q: %q", line, bad)
		}
	}
}
