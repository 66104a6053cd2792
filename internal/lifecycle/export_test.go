package lifecycle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// An export is named for what it is, whatever a tenant calls its files and writes in them,
// and however it comes in.
func TestExportIsNamedForWhatItIs(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: `{"key": 1}`, Mode: 0o600, Size: 2, Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines := `{"row": "` + strings.Repeat("x", 257-9) + "ustar\\u0000\"}\n"
	for name, c := range map[string]struct{ data, ends string }{
		"a tar": {archive.String(), ".tar"}, "lines": {lines, ".jsonl"}, "a short line": {"{}\n", ".jsonl"},
	} {
		for how, from := range map[string]io.Reader{"at once": strings.NewReader(c.data), "byte by byte": iotest.OneByteReader(strings.NewReader(c.data))} {
			path := filepath.Join(t.TempDir(), "prod-data")
			f, err := os.Create(path + ".part")
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			e := &exportFile{f: f, to: io.MultiWriter(f, sum), sum: sum, path: path}
			if _, err := io.Copy(struct{ io.Writer }{e}, from); err != nil {
				t.Fatal(err)
			}
			facts, err := e.Close()
			if err != nil || facts["file"] != "prod-data"+c.ends {
				t.Errorf("%s, %s: %v, %v", name, how, facts, err)
			}
			if raw, err := os.ReadFile(path + c.ends); err != nil || string(raw) != c.data {
				t.Errorf("%s, %s: what is there isn't what was written: %v", name, how, err)
			}
		}
	}
}
