package departure

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder is tenants' documents on a file system, a folder each.
type folder struct {
	root  string
	first string
}

func newFolder(t *testing.T, p platform) folder {
	t.Helper()
	return folder{filepath.Join(t.TempDir(), "files"), p.first}
}

func (k folder) systems() map[string]any {
	return map[string]any{"files": map[string]any{"connector": "filesystem", "options": map[string]any{"root": k.root}}}
}

func (k folder) resources(*testing.T) []any {
	return []any{map[string]any{"key": "files", "system": "files", "type": "bucket", "name": "${tenant.name}", "data": []any{k.first, "people"},
		"attributes": map[string]any{"classes": map[string]any{".": k.first, "letters": "people"}}}}
}

func (k folder) fill(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	last := 800000
	for _, who := range tenants {
		text := func() string {
			last++
			return fmt.Sprintf("%s%06d", who.token, last)
		}
		for _, form := range []string{"%s.pdf", "letters/%s", "letters/ünï Ω %s", "%s\n", "very/deep/ly/%s/in.txt", "letters/ %s", "…/%s"} {
			for range 1 + rnd.IntN(3) {
				file := filepath.Join(k.root, "bucket", who.name, fmt.Sprintf(form, text()))
				must(t, os.MkdirAll(filepath.Dir(file), 0o700))
				must(t, os.WriteFile(file, []byte(text()+" "+text()), 0o600))
			}
		}
		must(t, os.Symlink("letters", filepath.Join(k.root, "bucket", who.name, "link-"+text())))
	}
}

// each calls f for all that is in the folder but Tenure's own marks.
func (k folder) each(t *testing.T, f func(path string, e fs.DirEntry)) {
	t.Helper()
	must(t, filepath.WalkDir(k.root, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			f(strings.TrimPrefix(path, k.root), e)
		}
		return err
	}))
}

func (k folder) rows(t *testing.T) (out []string) {
	t.Helper()
	k.each(t, func(path string, e fs.DirEntry) {
		name, in := strings.CutPrefix(path, "/bucket/")
		if quarantined, aside := strings.CutPrefix(path, "/.tenure/quarantine/bucket/"); aside {
			name, in = quarantined, true
		}
		if !in || e.IsDir() {
			return
		}
		who, name, _ := strings.Cut(name, "/")
		table := ".files"
		if strings.HasPrefix(name, "letters/") {
			table = ".letters"
		}
		says := "link"
		if e.Type().IsRegular() {
			raw, err := os.ReadFile(k.root + path)
			must(t, err)
			says = string(raw)
		}
		info, err := e.Info()
		must(t, err)
		out = append(out, fmt.Sprintf("%s%s %q %s %s", who, table, name, info.Mode(), says))
	})
	return out
}

// shape is the folders of those who stay.
func (k folder) shape(t *testing.T) string {
	t.Helper()
	var out []string
	k.each(t, func(path string, e fs.DirEntry) {
		if e.IsDir() && !strings.HasPrefix(path, "/bucket/acme/") && path != "/bucket/acme" && !strings.HasPrefix(path, "/.tenure/") {
			info, err := e.Info()
			must(t, err)
			out = append(out, path+" "+info.Mode().String())
		}
	})
	return strings.Join(out, "\n")
}

func (k folder) raw(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	k.each(t, func(path string, e fs.DirEntry) {
		fmt.Fprintln(&out, path)
		if e.Type().IsRegular() {
			raw, err := os.ReadFile(k.root + path)
			must(t, err)
			out.Write(raw)
		}
	})
	return out.Bytes()
}

func (k folder) class(_ *testing.T, table string) string {
	if strings.HasSuffix(table, ".letters") {
		return "people"
	}
	return k.first
}

func (k folder) announced(line string, _ []string) string { return line }
