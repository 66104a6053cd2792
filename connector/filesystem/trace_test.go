package filesystem_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// bare is a root in which nothing was planted, in a folder that others may pass.
func bare(t *testing.T) fixture {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	f := fixture{t, filepath.Join(dir, "root"), nil}
	must(t, os.Mkdir(f.root, 0o755))
	f.d = f.open(f.root)
	return f
}

// passable says whether every user of the machine gets as far as the root.
func (f fixture) passable() bool {
	for at := f.root; at != filepath.Dir(at); at = filepath.Dir(at) {
		if info, err := os.Stat(at); err != nil || info.Mode().Perm()&1 == 0 {
			return false
		}
	}
	return true
}

// state is every file with its bytes, mode and times.
func (f fixture) state() string {
	f.Helper()
	var out strings.Builder
	must(f, filepath.WalkDir(f.root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		var raw []byte
		if err == nil && info.Mode().IsRegular() {
			raw, err = os.ReadFile(p)
		}
		fmt.Fprintln(&out, p, info.Mode(), info.ModTime().UnixNano(), raw)
		return err
	}))
	return out.String()
}

var openWords = regexp.MustCompile(` open=.*?\(mode [0-7]*\)`)

// A tree that grew by hand is told as it stands, and stays so: no link is followed, no
// file is touched.
func TestTrace(t *testing.T) {
	t.Parallel()
	f := bare(t)
	outside := filepath.Join(filepath.Dir(f.root), "outside")
	must(t, os.Mkdir(outside, 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "secret.dump"), []byte("x"), 0o600))
	f.write("customers/acme/orders/1.csv", "customers/acme/2.csv", "customers/acme/deep/er/acme.sql.gz", "customers/globex/x", "customers/left.db",
		"customers/ quo\"te\n名/x", "nightly-backups/acme/base.tar", "nightly-backups/globex-2031-02-03.tar.gz", "stray.bak", "notes.txt", "tools/notes.txt")
	for _, closed := range []string{"customers/globex", "customers/ quo\"te\n名", "nightly-backups", "nightly-backups/acme", "tools"} {
		must(t, os.Chmod(filepath.Join(f.root, closed), 0o700))
	}
	must(t, os.Symlink(outside, filepath.Join(f.root, "linked")))
	must(t, os.Symlink(outside, filepath.Join(f.root, "customers", "linked")))
	must(t, os.Symlink(filepath.Join(outside, "secret.dump"), filepath.Join(f.root, "customers", "acme", "z.dump")))
	must(t, os.Chmod(filepath.Join(f.root, "stray.bak"), 0o666))
	old := time.Date(2024, 5, 6, 0, 0, 0, 0, time.UTC)
	for _, p := range []string{"nightly-backups/acme/base.tar", "customers/globex/x", "customers/globex"} {
		must(t, os.Chtimes(filepath.Join(f.root, p), old, old))
	}
	if os.Geteuid() == 0 {
		must(t, os.Lchown(filepath.Join(f.root, "customers/globex"), 54321, 54321))
	}
	before := f.state()
	got, told := connectortest.Traced(t, f.d, connector.Tracing{}, false)
	if after := f.state(); before != after {
		t.Errorf("the look changed the root:\n%s", cmp.Diff(before, after))
	}
	today := time.Now().UTC().Format(time.DateOnly)
	want := []string{
		`place file:notes.txt "notes.txt" word=file called=notes.txt bytes=9 made=TODAY used=TODAY`,
		`copy file:stray.bak "stray.bak" word=file called=stray.bak open=every user of the machine may read and change it (mode 0666) bytes=9 made=TODAY`,
		`place folder:customers "customers" word=folder called=customers open=every user of the machine may read it (mode 0755) rows=6 bytes=30 made=TODAY used=TODAY`,
		"place folder:customers/ quo\"te\n名 \"customers/ quo\\\"te\\n名\" word=folder in=folder:customers called= quo\"te\n名 rows=1 bytes=1 made=TODAY used=TODAY",
		`place folder:customers/acme "customers/acme" word=folder in=folder:customers called=acme open=every user of the machine may read it (mode 0755) rows=3 bytes=21 made=TODAY used=TODAY`,
		`place folder:customers/globex "customers/globex" word=folder in=folder:customers called=globex OWNERrows=1 bytes=1 made=TODAY used=2024-05-06`,
		`place file:customers/left.db "customers/left.db" word=file in=folder:customers called=left.db bytes=7 made=TODAY used=TODAY`,
		`copy file:customers/acme/deep/er/acme.sql.gz "customers/acme/deep/er/acme.sql.gz" word=file in=folder:customers/acme called=acme.sql.gz bytes=11 made=TODAY`,
		`place folder:nightly-backups "nightly-backups" word=folder called=nightly-backups rows=2 bytes=32 made=TODAY used=TODAY`,
		`place folder:nightly-backups/acme "nightly-backups/acme" word=folder in=folder:nightly-backups called=acme rows=1 bytes=8 made=TODAY used=TODAY`,
		`copy file:nightly-backups/acme/base.tar "nightly-backups/acme/base.tar" word=file in=folder:nightly-backups/acme called=base.tar bytes=8 made=2024-05-06`,
		`copy file:nightly-backups/globex-2031-02-03.tar.gz "nightly-backups/globex-2031-02-03.tar.gz" word=file in=folder:nightly-backups called=globex-2031-02-03.tar.gz bytes=24 made=TODAY`,
		`place folder:tools "tools" word=folder called=tools rows=1 bytes=9 made=TODAY used=TODAY`,
	}
	owner := ""
	if os.Geteuid() == 0 {
		owner = "owners=uid:54321 "
		want = append(want, `account uid:54321 "54321" word=user`)
	}
	for i := range want {
		want[i] = strings.ReplaceAll(strings.ReplaceAll(want[i], "TODAY", today), "OWNER", owner)
		if !f.passable() {
			want[i] = openWords.ReplaceAllString(want[i], "")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(told.Says) > 0 || told.Fingerprint != "" {
		t.Errorf("%s\n%+v", diff, told)
	}
}

// Files that lie in no folder are told, up to so many, and that there are more.
func TestTraceOfLooseFiles(t *testing.T) {
	t.Parallel()
	f := bare(t)
	f.write("export-cedar.zip")
	for i := range 10_000 {
		must(t, os.WriteFile(filepath.Join(f.root, fmt.Sprintf("n%05d.csv", i)), nil, 0o600))
	}
	got, told := connectortest.Traced(t, f.d, connector.Tracing{}, true)
	if len(got) != 10_000 || !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, `place file:export-cedar.zip "export-cedar.zip"`) }) {
		t.Errorf("%d are told, the first is %q", len(got), got[0])
	}
	if len(told.Says) != 1 || told.Says[0] != "more than 10000 files lie in no folder: 1 of them aren't told" {
		t.Errorf("%q", told.Says)
	}
}

// What Tenure keeps is left out, and what bears its mark is told so. The folders of its own
// layout are no places: what stands in them stands at the top.
func TestTraceOfOurs(t *testing.T) {
	t.Parallel()
	f := planted(t)
	f.make("bucket", "acme", nil)
	f.make("backups", "acme", map[string]any{"keep": "P30D"})
	f.make("document", "acme", map[string]any{"text": "{}"})
	f.write("bucket/stray/x", "bucket/loose.csv", "backups/acme/one", "backups/acme.dump")
	must(t, os.Chtimes(filepath.Join(f.root, "backups/acme/one"), now, now))
	lines, told := connectortest.Traced(t, f.d, connector.Tracing{}, true)
	var got []string
	for _, l := range lines {
		if !strings.Contains(l, "word=user") {
			got = append(got, strings.Join(slices.DeleteFunc(strings.Fields(l), func(w string) bool {
				return !strings.HasPrefix(w, "file:") && !strings.HasPrefix(w, "folder:") && !strings.HasPrefix(w, "type=") && !strings.HasPrefix(w, "bears=") && !strings.HasPrefix(w, "expires=") && !strings.HasPrefix(w, "in=") && !strings.HasPrefix(w, `"`)
			}), " "))
		}
	}
	want := []string{
		`folder:backups/acme "acme" type=backups bears=ours`, `file:backups/acme/one "backups/acme/one" in=folder:backups/acme expires=<some>`, `file:backups/acme.dump "backups/acme.dump"`,
		`folder:bucket/acme "acme" type=bucket bears=ours`, `folder:bucket/stray "stray" type=bucket bears=unmarked`, `file:bucket/loose.csv "bucket/loose.csv"`,
		`file:document/acme "acme" type=document bears=ours`,
	}
	if diff := cmp.Diff(want, got); diff != "" || told.Fingerprint == "" {
		t.Errorf("%s\n%+v", diff, told)
	}
}

// Few calls tell the shape first, and what they weren't enough for is said; so is what may
// not be read.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	f := bare(t)
	f.write("a/acme/x/y", "a/globex/x", "b/acme/x/y")
	whole := 1 + 2 + 3 + 2 // the root, its folders, theirs, and two below
	for calls := range whole + 1 {
		budget := connector.NewBudget(calls)
		got, told := connectortest.Traced(t, f.d, connector.Tracing{Calls: budget}, true)
		said := slices.ContainsFunc(told.Says, func(s string) bool { return strings.Contains(s, "calls were used up") })
		if said != (calls < whole) || calls >= 3 && len(got) != 5 {
			t.Errorf("%d calls: %d were made, %q, %q", calls, budget.Spent(), got, told.Says)
		}
		counted := slices.ContainsFunc(got, func(l string) bool {
			return strings.HasPrefix(l, "place folder:b ") && strings.Contains(l, "rows=1 bytes=1")
		})
		if counted != (calls == whole) {
			t.Errorf("%d calls: b is told to be counted: %t; %q", calls, counted, got)
		}
	}
	if os.Geteuid() == 0 {
		return // who may read all
	}
	must(t, os.Chmod(filepath.Join(f.root, "a/globex"), 0))
	t.Cleanup(func() { must(t, os.Chmod(filepath.Join(f.root, "a/globex"), 0o700)) })
	got, told := connectortest.Traced(t, f.d, connector.Tracing{}, true)
	if len(got) != 5 || len(told.Says) != 1 || !strings.Contains(told.Says[0], `"a/globex" can't be read`) {
		t.Errorf("%q %q", got, told.Says)
	}
}
