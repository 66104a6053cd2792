package filesystem_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/filesystem"
)

func TestConformance(t *testing.T) { connectortest.Run(t, open) }

func open(t *testing.T) *connectortest.World {
	root := filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(root, 0o755))
	t.Cleanup(func() {
		unlock(t, root)
		_ = os.Chmod(filesystem.Path(root, "bucket", "probed"), 0o700)
	})
	return &connectortest.World{
		Info:    filesystem.Info(),
		Options: map[string]string{"root": root},
		Look:    func(t testing.TB) string { return look(t, root) },
		LoseSentinel: func(t testing.TB) {
			must(t, os.Remove(filepath.Join(root, ".tenure", "sentinel")))
		},
		Hide: func(t testing.TB) {
			must(t, os.Rename(filepath.Join(root, "document"), filepath.Join(root, "document-away")))
		},
		Outage: func(t testing.TB) func() {
			must(t, os.Rename(root, root+"-away"))
			return func() { must(t, os.Rename(root+"-away", root)) }
		},
		Cases:  []connectortest.Case{bucketCase(root), backupsCase(root), documentCase(root)},
		Probes: probes(root),
		// No misconfiguration of a file system makes a profile ask for more.
		Untried: []string{"encryption"},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// look lists every entry with its mode, target or sum.
func look(t testing.TB, root string) string {
	t.Helper()
	var out strings.Builder
	modes, restore := unlock(t, root)
	defer restore()
	fmt.Fprintln(&out, modes)
	must(t, filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%q %s", strings.TrimPrefix(p, root), info.Mode())
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %x", sha256.Sum256(raw))
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

// unlock lets a user other than the superuser look into what is in quarantine,
// and says what modes that had.
func unlock(t testing.TB, root string) (modes string, restore func()) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(root, ".tenure", "quarantine", "bucket", "*"))
	must(t, err)
	before := map[string]fs.FileMode{}
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		must(t, err)
		before[dir] = info.Mode().Perm()
		modes += info.Mode().String() + " " + filepath.Base(dir) + " "
		must(t, os.Chmod(dir, 0o700))
	}
	return modes, func() {
		for dir, m := range before {
			must(t, os.Chmod(dir, m))
		}
	}
}

// common is what the cases of all types share.
func common(root, typ string) connectortest.Case {
	at := func(r connector.Ref) string { return filesystem.Path(root, r.Type, r.Name) }
	return connectortest.Case{
		Type:   typ,
		Tamper: func(t testing.TB, r connector.Ref) { must(t, os.Chmod(at(r), 0o777)) },
		Foreign: func(t testing.TB, r connector.Ref) {
			must(t, os.Mkdir(at(r), 0o755))
			must(t, os.WriteFile(filepath.Join(at(r), "theirs"), []byte("theirs"), 0o600))
		},
		Remark: func(t testing.TB, r connector.Ref, mark string) {
			p := filepath.Join(root, ".tenure", "marks", r.Type, r.Name+".json")
			raw, err := os.ReadFile(p)
			must(t, err)
			var m map[string]any
			must(t, json.Unmarshal(raw, &m))
			m["mark"] = mark
			raw, err = json.Marshal(m)
			must(t, err)
			must(t, os.WriteFile(p, raw, 0o600))
		},
		Unmark: func(t testing.TB, r connector.Ref) {
			must(t, os.Remove(filepath.Join(root, ".tenure", "marks", r.Type, r.Name+".json")))
		},
		Exists: func(_ testing.TB, r connector.Ref) bool { _, err := os.Lstat(at(r)); return err == nil },
	}
}

func desired(name string, attributes map[string]any) connector.Desired {
	return connector.Desired{Ref: connector.Ref{Name: name, Attributes: attributes, Classes: []string{"orders", "invoices"}}}
}

func bucketCase(root string) connectortest.Case {
	c := common(root, "bucket")
	prefixes := map[string]string{"orders": "orders", "invoices": "finance/invoices", "": "elsewhere/deep"}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return desired(fmt.Sprintf("tree%d", n), map[string]any{"quotaBytes": 1 << 30, "classes": map[string]any{"orders": "orders", "finance/invoices": "invoices"}})
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"public": true, "quotaBytes": 5}
		return d
	}
	c.Invalid = []map[string]any{{"quotaBytes": -1}, {"unknown": 1}, {"public": "yes"}, {"classes": map[string]any{"../up": "x"}}, {"classes": map[string]any{"/abs": "x"}}, {"classes": map[string]any{"a": ""}}, {"keep": "P1D"}}
	var serial atomic.Int64
	c.Fill = func(t testing.TB, r connector.Ref, class string, n int) {
		for i := range n {
			dir := filepath.Join(filesystem.Path(root, r.Type, r.Name), prefixes[class], fmt.Sprint("d", i%3))
			must(t, os.MkdirAll(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("f", serial.Add(1))), []byte("data"), 0o600))
		}
	}
	c.Count = func(t testing.TB, r connector.Ref, class string) int {
		_, restore := unlock(t, root)
		defer restore()
		for _, base := range []string{root, filepath.Join(root, ".tenure", "quarantine")} {
			if n := countFiles(t, filepath.Join(base, r.Type, r.Name, prefixes[class])); n > 0 {
				return n
			}
		}
		return 0
	}
	c.Late = c.Fill
	c.Untold = map[string]string{
		"quotaBytes": "the file system enforces none", "classes": "which data is of which class nothing in a folder says",
	}
	c.Without = []string{"tally"} // no write to a file system is one with the unlinking of files
	c.Exported = exported
	return c
}

func countFiles(t testing.TB, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// exported counts the files of an export whose sum in the manifest is right.
func exported(t testing.TB, data []byte) (n int) {
	t.Helper()
	sums := map[string]string{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			t.Error("the export has no manifest")
			return 0
		}
		must(t, err)
		raw, err := io.ReadAll(r)
		must(t, err)
		if h.Name != "manifest.json" {
			sums[strings.TrimPrefix(h.Name, "data/")] = fmt.Sprintf("%x", sha256.Sum256(raw))
			continue
		}
		var m struct {
			Files []struct{ Path, SHA256 string }
		}
		must(t, json.Unmarshal(raw, &m))
		for _, f := range m.Files {
			if sums[f.Path] == f.SHA256 {
				n++
			}
		}
		return n
	}
}

func backupsCase(root string) connectortest.Case {
	c := common(root, "backups")
	c.New = func(_ testing.TB, n int) connector.Desired {
		return desired(fmt.Sprintf("copies%d", n), map[string]any{"keep": "P35D", "rotate": "tenure"})
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"keep": "P1Y"}
		return d
	}
	c.Untold = map[string]string{
		"keep": "how long copies are to be kept nothing in a folder says", "rotate": "who removes copies nothing in a folder says",
	}
	c.Invalid = []map[string]any{nil, {"keep": ""}, {"keep": "-P1D"}, {"keep": "P1D", "rotate": "never"}, {"keep": "P1D", "quotaBytes": 1}}
	var serial atomic.Int64
	c.AddCopy = func(t testing.TB, r connector.Ref, expires time.Time) time.Time {
		p := filepath.Join(filesystem.Path(root, r.Type, r.Name), "sub", fmt.Sprintf("copy %d", serial.Add(1)))
		must(t, os.MkdirAll(filepath.Dir(p), 0o700))
		must(t, os.WriteFile(p, []byte("copy"), 0o600))
		changed := expires.UTC().AddDate(0, 0, -35)
		must(t, os.Chtimes(p, changed, changed))
		return expires
	}
	return c
}

func documentCase(root string) connectortest.Case {
	c := common(root, "document")
	c.New = func(_ testing.TB, n int) connector.Desired {
		return desired(fmt.Sprintf("text%d", n), map[string]any{"text": "a <b> & \"c\"\n"})
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"text": "other", "public": true}
		return d
	}
	c.Invalid = []map[string]any{nil, {"text": strings.Repeat("x", 65537)}, {"text": 1}}
	c.Tamper = func(t testing.TB, r connector.Ref) {
		must(t, os.WriteFile(filesystem.Path(root, r.Type, r.Name), []byte("a <b> & \"d\"\n"), 0o600))
	}
	return c
}

// probes plants, for each probe, what it has to find.
func probes(root string) []connectortest.ProbeCase {
	made := func(typ string, attributes map[string]any) func(testing.TB, connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			want := desired("probed", attributes)
			want.Type, want.Resource = typ, tenure.NewID[tenure.ResourceID](time.Now())
			_, _, err := d.Ensure(context.Background(), want)
			must(t, err)
			if typ != "document" {
				must(t, os.MkdirAll(filesystem.Path(root, typ, "probed/dir"), 0o700))
				must(t, os.WriteFile(filesystem.Path(root, typ, "probed/dir/file"), nil, 0o600))
				must(t, os.Symlink("../dir/file", filesystem.Path(root, typ, "probed/dir/link")))
			}
			return connector.Check{Ref: want.Ref}
		}
	}
	bucket := made("bucket", nil)
	in := func(name string) string { return filesystem.Path(root, "bucket", filepath.Join("probed", name)) }
	outside := filepath.Join(root, "bucket", "victim")
	must2 := func(f func() error) func(testing.TB) { return func(t testing.TB) { must(t, f()) } }
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "mode", Check: bucket, Misconfigure: must2(func() error { return os.Chmod(in(""), 0o500) })},
		{Kind: "reachable", Name: "gone", Check: made("document", map[string]any{"text": "t"}), Misconfigure: must2(func() error { return os.Remove(filesystem.Path(root, "document", "probed")) })},
		{Kind: "isolation", Name: "absolute link", Check: bucket, Misconfigure: must2(func() error { return os.Symlink(outside, in("link")) })},
		{Kind: "isolation", Name: "relative link", Check: bucket, Misconfigure: must2(func() error { return os.Symlink("../../victim", in("dir/out")) })},
		{Kind: "isolation", Name: "link by a link", Check: bucket, Misconfigure: must2(func() error {
			if err := os.Symlink("..", in("dir/up")); err != nil {
				return err
			}
			return os.Symlink("dir/up/../x", in("z"))
		})},
		{Kind: "isolation", Name: "hard link", Check: bucket, Misconfigure: must2(func() error {
			if err := os.WriteFile(outside, nil, 0o600); err != nil {
				return err
			}
			return os.Link(outside, in("dir/shared"))
		})},
		{Kind: "exposure", Name: "bucket", Check: bucket, Misconfigure: must2(func() error { return os.Chmod(in(""), 0o750) })},
		{Kind: "exposure", Name: "backups", Check: made("backups", map[string]any{"keep": "P1D"}), Misconfigure: must2(func() error { return os.Chmod(filesystem.Path(root, "backups", "probed"), 0o701) })},
		{Kind: "exposure", Name: "folder above", Check: made("document", map[string]any{"text": "t"}), Misconfigure: must2(func() error { return os.Chmod(filepath.Join(root, "document"), 0o733) })},
	}
}
