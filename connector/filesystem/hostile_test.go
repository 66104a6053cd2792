//go:build linux

package filesystem_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func (f fixture) mapped(d connector.Desired) []connector.Place {
	f.Helper()
	m, err := f.d.(connector.Mapper).DataMap(f.Context(), connector.Survey{Ref: d.Ref})
	must(f, err)
	return m.Places
}

// within ends the test if a call hangs: a named pipe that nobody writes to would
// hold it, and the thing's lock, for good.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s hangs", what)
		return nil
	}
}

// TestOddFiles: whatever a tenant puts into their bucket, it can be looked at, exported,
// set aside, brought back and erased, and nothing outside of it is read or goes.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	at := f.root + "/bucket/b/"
	f.write("bucket/b/deep/plain", "bucket/b/a\nb\x1b[2J\u202e", "bucket/b/-rf", "bucket/b/data/manifest.json", "bucket/b/%2e%2e%2fx", "bucket/b/\xff\xfe", "secret")
	must(t, syscall.Mkfifo(at+"pipe", 0o666))
	must(t, syscall.Mknod(at+"socket", syscall.S_IFSOCK|0o666, 0))
	devices := syscall.Mknod(at+"null", syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) == nil
	must(t, os.Symlink(".", at+"loop"))
	must(t, os.Symlink(f.root+"/secret", at+"link"))
	must(t, os.Chmod(at+"deep/plain", 0))
	must(t, os.Chmod(at+"deep", 0o500))
	if os.Geteuid() != 0 {
		must(t, os.Chmod(at+"deep", 0o700))
		must(t, os.Chmod(at+"deep/plain", 0o600))
	}
	must(t, unix.Setxattr(at+"-rf", "user.odd", []byte("\x00\xff"), 0))
	x := f.d.(connector.Exporter)
	e := f.d.(connector.Eraser)
	q := f.d.(connector.Quarantiner)
	var out strings.Builder
	must(t, within(t, "export", func() error {
		rec, err := x.Export(context.WithoutCancel(t.Context()), d.Ref, &out)
		if want := map[bool]int64{true: 5, false: 4}[devices]; err == nil && (rec.Counts["objects"] != 6 || rec.Counts["skipped"] != want) {
			t.Errorf("the export counts %v", rec.Counts)
		}
		return err
	}))
	if strings.Contains(out.String(), "secret") && !strings.Contains(out.String(), `"link"`) {
		t.Error("the export followed a link")
	}
	f.observe(d.Ref)
	f.mapped(d)
	for range 2 {
		_, err := q.Quarantine(t.Context(), d.Ref)
		must(t, err)
		f.observe(d.Ref)
		_, err = q.Unquarantine(t.Context(), d.Ref)
		must(t, err)
	}
	cursor, n := "", int64(0)
	for range 20 {
		got, err := e.Erase(t.Context(), d.Ref, connector.Batch{Limit: 3, Cursor: cursor})
		must(t, err)
		n += got.Counts["objects"]
		if cursor = got.Cursor; got.Done {
			break
		}
	}
	if left := countFiles(t, at); left != 0 || n < 10 {
		t.Errorf("%d erased, %d left", n, left)
	}
	if !f.is("secret") {
		t.Error("what a link led to is gone")
	}
}

// TestFilesBecomePipes: a file that is a named pipe by the time it is opened would
// hold the export, and every other call on the bucket, until somebody writes to it.
func TestFilesBecomePipes(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	at := f.root + "/bucket/b/"
	f.write("bucket/b/file")
	must(t, syscall.Mkfifo(f.root+"/pipe", 0o600))
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, at+"file", unix.AT_FDCWD, f.root+"/pipe", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 3000 {
		err := within(t, "the export", func() error {
			_, err := f.d.(connector.Exporter).Export(context.WithoutCancel(t.Context()), d.Ref, io.Discard)
			return err
		})
		if err != nil && tenure.CodeOf(err) != tenure.Unavailable {
			t.Errorf("the export fails with %v", err)
			break
		}
	}
	close(stop)
	<-ended
}

// TestHardLinks: a file that has a name elsewhere isn't gone when its name here is, so
// it is named before anything is erased; and one of another user's that was linked in
// goes into no export.
func TestHardLinks(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	f.make("bucket", "victim", nil, "files")
	f.write("bucket/b/one", "bucket/victim/kept")
	must(t, os.Link(f.root+"/bucket/b/one", f.root+"/bucket/b/two")) // both are here
	for _, p := range f.mapped(d) {
		if p.Blocks {
			t.Errorf("two names in one bucket block: %+v", p)
		}
	}
	must(t, os.Link(f.root+"/bucket/b/one", f.root+"/elsewhere"))
	found := false
	for _, p := range f.mapped(d) {
		found = found || p.Blocks && strings.Contains(p.Says, "one") && p.Fix != ""
	}
	if !found {
		t.Errorf("a file that stays under another name isn't told of: %+v", f.mapped(d))
	}
	if os.Geteuid() != 0 {
		t.Skip("the rest needs the superuser")
	}
	must(t, os.WriteFile(f.root+"/shadow", []byte("root:secret"), 0o600))
	must(t, os.Mkdir(f.root+"/bucket/b/in", 0o700))
	must(t, os.Link(f.root+"/shadow", f.root+"/bucket/b/in/mine"))
	must(t, os.Chown(f.root+"/bucket/b/in", 12345, 12345))
	var out strings.Builder
	rec, err := f.d.(connector.Exporter).Export(t.Context(), d.Ref, &out)
	must(t, err)
	if strings.Contains(out.String(), "root:secret") || rec.Counts["objects"] != 2 || rec.Counts["skipped"] != 1 {
		t.Errorf("another user's file is exported: %v", rec.Counts)
	}
}

// TestMountsStay: what another file system holds isn't the bucket's, however it came
// to stand in it.
func TestMountsStay(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	f.write("bucket/b/a", "bucket/b/z")
	at := f.root + "/bucket/b/mnt"
	must(t, os.Mkdir(at, 0o700))
	if err := syscall.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Skip("this machine lets nobody mount: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
	f.write("bucket/b/mnt/theirs")
	found := false
	for _, p := range f.mapped(d) {
		found = found || p.Blocks && strings.Contains(p.Says, "mount")
	}
	if !found {
		t.Errorf("a mount isn't told of: %+v", f.mapped(d))
	}
	_, eraseErr := f.d.(connector.Eraser).Erase(t.Context(), d.Ref, connector.Batch{Limit: 100})
	_, deleteErr := f.d.Delete(t.Context(), d.Ref)
	for what, err := range map[string]error{"erase": eraseErr, "delete": deleteErr} {
		if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "mount") {
			t.Errorf("%s says %v", what, err)
		}
	}
	if _, err := os.Stat(at + "/theirs"); err != nil {
		t.Error("another file system's file is gone")
	}
}

// TestImmutableFiles: a file that not even its owner can remove is named, with what
// to do, and the others go.
func TestImmutableFiles(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	f.write("bucket/b/a", "bucket/b/stuck", "bucket/b/z")
	if err := exec.CommandContext(t.Context(), "chattr", "+i", f.root+"/bucket/b/stuck").Run(); err != nil {
		t.Skip("this machine makes nothing immutable: ", err)
	}
	free := func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "chattr", "-i", f.root+"/bucket/b/stuck").Run()
	}
	t.Cleanup(free)
	_, err := f.d.(connector.Eraser).Erase(t.Context(), d.Ref, connector.Batch{Limit: 100})
	var e *tenure.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "stuck") || len(e.Hints) == 0 {
		t.Errorf("erase says %v", err)
	}
	free()
	for range 3 {
		_, err = f.d.(connector.Eraser).Erase(t.Context(), d.Ref, connector.Batch{Limit: 100})
		must(t, err)
	}
	if n := countFiles(t, filepath.Join(f.root, "bucket/b")); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// A map doesn't show what a killed probe left, and shows what a tenant named like it.
func TestMapBesideProbe(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", map[string]any{"classes": map[string]any{"events": "events"}}, "events")
	for _, key := range []string{"key", "another key"} {
		must(t, os.WriteFile(filepath.Join(f.root, "bucket/b", "."+connector.Marker{Installation: "ins_1", System: "files", Key: []byte(key)}.ProbeName()), nil, 0o600))
	}
	if places := f.mapped(d); len(places) != 1 || !places[0].Blocks || places[0].Rows != 1 {
		t.Errorf("the map shows %+v", places)
	}
}
