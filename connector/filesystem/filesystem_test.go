package filesystem_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/filesystem"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a planted root with one driver.
type fixture struct {
	*testing.T
	root string
	d    connector.Driver
}

func planted(t *testing.T) fixture {
	t.Helper()
	f := fixture{t, filepath.Join(t.TempDir(), "root"), nil}
	f.d = f.open(f.root)
	_, err := f.d.Plant(t.Context())
	must(t, err)
	return f
}

func (f fixture) open(root string) connector.Driver {
	f.Helper()
	d, err := filesystem.Info().Open(f.Context(), connector.Config{
		System: "files", Options: map[string]string{"root": root}, Now: func() time.Time { return now },
		Marker: connector.Marker{Installation: "ins_1", System: "files", Key: []byte("key")},
	})
	must(f, err)
	return d
}

func (f fixture) make(typ, name string, attributes map[string]any, classes ...string) connector.Desired {
	f.Helper()
	d := connector.Desired{Ref: connector.Ref{Type: typ, Name: name, Resource: tenure.ResourceID("res_" + name), Attributes: attributes, Classes: classes}}
	_, _, err := f.d.Ensure(f.Context(), d)
	must(f, err)
	return d
}

func (f fixture) write(paths ...string) {
	f.Helper()
	for _, p := range paths {
		p = filepath.Join(f.root, p)
		must(f, os.MkdirAll(filepath.Dir(p), 0o755))
		must(f, os.WriteFile(p, []byte(filepath.Base(p)), 0o600))
	}
}

func (f fixture) observe(r connector.Ref) (out connector.Observed) {
	f.Helper()
	_, err := f.d.Observe(f.Context(), []connector.Ref{r}, func(o connector.Observed) error { out = o; return nil })
	must(f, err)
	return out
}

func (f fixture) is(path string) bool {
	_, err := os.Lstat(filepath.Join(f.root, path))
	return err == nil
}

// A folder that somebody put where ours was must not be deleted with our mark.
func TestExchangedIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, exchange := range map[string]func(f fixture, at string) error{
		"a copy": func(f fixture, at string) error {
			if err := os.Rename(at, f.root+"/moved"); err != nil {
				return err
			}
			return exec.Command("cp", "-a", f.root+"/moved", at).Run()
		},
		"another": func(f fixture, at string) error {
			return errors.Join(os.RemoveAll(at), os.Mkdir(at, 0o700), os.WriteFile(at+"/theirs", nil, 0o600))
		},
		"a link": func(f fixture, at string) error {
			return errors.Join(os.RemoveAll(at), os.Symlink("victim", at))
		},
		"a file": func(f fixture, at string) error { return errors.Join(os.RemoveAll(at), os.WriteFile(at, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := planted(t)
			d := f.make("bucket", "b", nil, "orders")
			victim := f.make("bucket", "victim", nil, "orders")
			f.write("bucket/victim/precious", "bucket/b/file")
			must(t, exchange(f, filepath.Join(f.root, "bucket/b")))
			before := look(t, f.root)
			if o := f.observe(d.Ref); !o.Found || o.Owner != connector.Unmarked {
				t.Errorf("observed found=%t owner=%q", o.Found, o.Owner)
			}
			_, ensureErr := second(f.d.Ensure(t.Context(), d))
			_, deleteErr := f.d.Delete(t.Context(), d.Ref)
			_, eraseErr := f.d.(connector.Eraser).Erase(t.Context(), d.Ref, connector.Batch{Limit: 9})
			for _, err := range []error{ensureErr, deleteErr, eraseErr} {
				if tenure.CodeOf(err) != tenure.Conflict {
					t.Errorf("got %v, want a conflict", err)
				}
			}
			if diff := cmp.Diff(before, look(t, f.root)); diff != "" {
				t.Errorf("something was touched:\n%s", diff)
			}
			if o := f.observe(victim.Ref); o.Metrics["objects"] != 1 {
				t.Errorf("the neighbour has %d objects", o.Metrics["objects"])
			}
		})
	}
}

func second(_ connector.Observed, r connector.Receipt, err error) (connector.Receipt, error) {
	return r, err
}

// A copy of the whole root, such as a restored backup, is another system.
func TestCopiedRootIsAnotherSystem(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil)
	fingerprint, err := f.d.Plant(t.Context())
	must(t, err)
	must(t, exec.Command("cp", "-a", f.root, f.root+"-copy").Run())
	s := connector.NewSystem("files", filesystem.Info(), f.open(f.root+"-copy"), fingerprint, 1)
	if _, _, err := s.Delete(t.Context(), d.Ref); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("delete in the copy: %v", err)
	}
	absent := d.Ref
	absent.Name = "absent"
	if _, v, err := s.Observe(t.Context(), []connector.Ref{absent}); v != tenure.Unknown {
		t.Errorf("absence in the copy is %q, error %v", v, err)
	}
	moved := f.root + "-moved"
	must(t, os.Rename(f.root, moved))
	if again, err := f.open(moved).Plant(t.Context()); again != fingerprint {
		t.Errorf("a moved root has fingerprint %q, error %v", again, err)
	}
}

// An unmounted volume shows an empty folder; its things must not count as gone.
func TestUnmountedIsUnknown(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil)
	fingerprint, err := f.d.Plant(t.Context())
	must(t, err)
	must(t, os.Rename(f.root, f.root+"-away"))
	must(t, os.Mkdir(f.root, 0o755))
	s := connector.NewSystem("files", filesystem.Info(), f.d, fingerprint, 1)
	if _, v, err := s.Observe(t.Context(), []connector.Ref{d.Ref}); v != tenure.Unknown {
		t.Errorf("absence on the mount point is %q, error %v", v, err)
	}
	if _, _, err := f.d.Ensure(t.Context(), d); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("ensure on the mount point: %v", err)
	}
}

// What a crash left in the middle of a creation is taken up, and given back.
func TestCrashedCreation(t *testing.T) {
	t.Parallel()
	f := planted(t)
	before := look(t, f.root)
	d := f.make("bucket", "b", nil)
	// As if the process had died between the record and the last rename.
	staged := filepath.Join(f.root, ".tenure/new", fmt.Sprintf("%x", sha256.Sum256([]byte("ins_1/bucket/b")))[:32])
	must(t, os.WriteFile(f.root+"/bucket/b/file", nil, 0o600))
	must(t, os.Rename(filepath.Join(f.root, "bucket/b"), staged))
	if f.observe(d.Ref).Found {
		t.Error("a thing that isn't under its name is observed")
	}
	_, rec, err := f.d.Ensure(t.Context(), d)
	if err != nil || !rec.Changed || !f.is("bucket/b") || f.is("bucket/b/file") {
		t.Errorf("the repetition: changed=%t, error %v", rec.Changed, err)
	}
	_, err = f.d.Delete(t.Context(), d.Ref)
	must(t, err)
	if diff := cmp.Diff(before, look(t, f.root)); diff != "" {
		t.Errorf("left over:\n%s", diff)
	}
}

// A deletion that was cut short must finish, and a link must not lead it astray.
func TestDeleteFollowsNoLink(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil)
	outside := filepath.Join(filepath.Dir(f.root), "outside")
	must(t, os.Mkdir(outside, 0o700))
	must(t, os.WriteFile(outside+"/precious", nil, 0o600))
	f.make("bucket", "victim", nil)
	f.write("bucket/victim/precious", "bucket/b/deep/er/file")
	must(t, os.Symlink(outside, f.root+"/bucket/b/abs"))
	must(t, os.Symlink("../../victim", f.root+"/bucket/b/deep/rel"))
	rec, err := f.d.Delete(t.Context(), d.Ref)
	must(t, err)
	if rec.Counts["objects"] != 3 || f.is("bucket/b") {
		t.Errorf("delete counts %v and leaves it: %t", rec.Counts, f.is("bucket/b"))
	}
	if _, err := os.Stat(outside + "/precious"); err != nil || !f.is("bucket/victim/precious") {
		t.Error("what a link led to is gone")
	}
}

// Files that arrive behind the cursor while an erasure runs must go as well.
func TestEraseTakesLateFiles(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", map[string]any{"classes": map[string]any{"orders": "orders", "orders/keep": "tax", ".": "misc"}})
	f.write("bucket/b/orders/b", "bucket/b/orders/c/x", "bucket/b/orders/d", "bucket/b/orders/keep/1", "bucket/b/ordersheet", "bucket/b/a")
	eraser := f.d.(connector.Eraser)
	e, err := eraser.Erase(t.Context(), d.Ref, connector.Batch{Class: "orders", Limit: 1})
	must(t, err)
	f.write("bucket/b/orders/a%zz late", "bucket/b/orders/a2 late")
	total := e.Counts["objects"]
	for rounds := 0; !e.Done; rounds++ {
		e, err = eraser.Erase(t.Context(), d.Ref, connector.Batch{Class: "orders", Limit: 1, Cursor: e.Cursor})
		must(t, err)
		if total += e.Counts["objects"]; rounds > 20 {
			t.Fatal("the erasure doesn't end")
		}
	}
	var left []string
	for _, p := range []string{"orders/a%zz late", "orders/a2 late", "orders/b", "orders/c", "orders/d", "orders/keep/1", "ordersheet", "a"} {
		if f.is("bucket/b/" + p) {
			left = append(left, p)
		}
	}
	if diff := cmp.Diff([]string{"orders/keep/1", "ordersheet", "a"}, left); diff != "" || total != 5 {
		t.Errorf("%d erased; left over (-want +got):\n%s", total, diff)
	}
}

// A hold on a prefix keeps the files under it; the rest of their class goes, and so do
// they once it is released.
func TestHoldOnAPrefix(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", map[string]any{"classes": map[string]any{"orders": "orders", ".": "misc"}})
	f.write("bucket/b/orders/2024/1", "bucket/b/orders/2024/x/2", "bucket/b/orders/2025/3", "bucket/b/orders/4", "bucket/b/a")
	keep := []connector.Kept{{Hold: "hld_0", Prefix: "orders/2024/"}}
	erase := func(keep []connector.Kept) (e connector.Erased) {
		for rounds := 0; !e.Done; rounds++ {
			var err error
			e, err = f.d.(connector.Eraser).Erase(t.Context(), d.Ref, connector.Batch{Class: "orders", Limit: 1, Cursor: e.Cursor, Keep: keep})
			if must(t, err); rounds > 20 {
				t.Fatal("the erasure doesn't end")
			}
		}
		return e
	}
	if e := erase(keep); connector.Total(e.Held) != 2 || !f.is("bucket/b/orders/2024/1") || !f.is("bucket/b/orders/2024/x/2") || f.is("bucket/b/orders/2025/3") || f.is("bucket/b/orders/4") || !f.is("bucket/b/a") {
		t.Errorf("under the hold: %+v", e.Held)
	}
	held, err := f.d.(connector.Keeper).Held(t.Context(), d.Ref, keep)
	if err != nil || connector.Total(held) != 2 {
		t.Errorf("held: %+v, %v", held, err)
	}
	if _, err := f.d.(connector.Keeper).Held(t.Context(), d.Ref, []connector.Kept{{Hold: "hld_0", Table: "orders"}}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a table in a folder: %v, want Invalid", err)
	}
	if e := erase(nil); connector.Total(e.Held) != 0 || f.is("bucket/b/orders/2024/1") || !f.is("bucket/b/a") {
		t.Errorf("after the release: %+v", e.Held)
	}
}

func TestDataMap(t *testing.T) {
	t.Parallel()
	f := planted(t)
	f.make("bucket", "one", nil, "files")
	f.write("bucket/one/x", "bucket/one/y/z")
	f.make("bucket", "many", nil)
	f.write("bucket/many/orders/2026/a", "bucket/many/orders/b", "bucket/many/new/c", "bucket/many/new/d")
	places := func(name string, attributes map[string]any, classes ...string) []connector.Place {
		got, err := f.d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: connector.Ref{Type: "bucket", Name: name, Resource: tenure.ResourceID("res_" + name), Attributes: attributes, Classes: classes}})
		must(t, err)
		for i := range got.Places {
			got.Places[i].Says, got.Places[i].Fix, got.Places[i].Blocks = "", "", false
		}
		return got.Places
	}
	const via = "path in the bucket"
	want := []connector.Place{{Name: ".", Class: "files", Via: via, Rows: 2, Bytes: 2}}
	if diff := cmp.Diff(want, places("one", nil, "files")); diff != "" {
		t.Error(diff)
	}
	whole := connector.Place{Name: "new/c", Class: "files", Via: via, Rows: 1, Bytes: 1}
	got := places("many", map[string]any{"classes": map[string]any{"new/c": "files"}}, "orders", "files")
	if !slices.Contains(got, whole) {
		t.Errorf("a prefix that is a whole path: %+v", got)
	}
	want = []connector.Place{{Name: "new", Via: via, Rows: 2, Bytes: 2}, {Name: "orders", Via: via, Rows: 1, Bytes: 1}, {Name: "orders/2026", Class: "orders", Via: via, Rows: 1, Bytes: 1}}
	if diff := cmp.Diff(want, places("many", map[string]any{"classes": map[string]any{"orders/2026": "orders"}}, "orders", "files")); diff != "" {
		t.Error(diff)
	}
}

// Where somebody else rotates backups, Tenure only watches.
func TestOutsideRotation(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("backups", "b", map[string]any{"keep": "P1M"})
	f.write("backups/b/one")
	must(t, os.Chtimes(f.root+"/backups/b/one", now.AddDate(0, -1, -1), now.AddDate(0, -1, -1)))
	left, err := f.d.(connector.Expirer).Expire(t.Context(), d.Ref, now)
	must(t, err)
	if len(left) != 1 || left[0].Expires.After(now) || left[0].Where != "one" || !f.is("backups/b/one") {
		t.Errorf("left: %+v", left)
	}
	_, err = f.d.Delete(t.Context(), d.Ref)
	must(t, err)
	if f.is("backups/b") {
		t.Error("the folder with nothing but due copies is still there")
	}
}

// A name that was taken meanwhile must not be overwritten by what comes back.
func TestUnquarantineIntoTakenName(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil)
	f.write("bucket/b/file")
	q := f.d.(connector.Quarantiner)
	_, err := q.Quarantine(t.Context(), d.Ref)
	must(t, err)
	info, err := os.Stat(f.root + "/.tenure/quarantine/bucket/b")
	must(t, err)
	if info.Mode().Perm() != 0 {
		t.Errorf("mode %v in quarantine", info.Mode())
	}
	must(t, os.Mkdir(f.root+"/bucket/b", 0o700))
	if _, err := q.Unquarantine(t.Context(), d.Ref); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("unquarantine into a taken name: %v", err)
	}
	var seen []string
	_, err = f.d.Discover(t.Context(), connector.Scope{}, func(o connector.Observed) error {
		seen = append(seen, fmt.Sprint(o.Name, " ", o.State, " ", o.Owner))
		return nil
	})
	must(t, err)
	slices.Sort(seen)
	if diff := cmp.Diff([]string{"b present unmarked", "b quarantined ours"}, seen); diff != "" {
		t.Error(diff)
	}
	must(t, os.Remove(f.root+"/bucket/b"))
	_, err = q.Unquarantine(t.Context(), d.Ref)
	must(t, err)
	if info, err := os.Stat(f.root + "/bucket/b"); err != nil || info.Mode().Perm() != 0o700 || !f.is("bucket/b/file") {
		t.Errorf("it isn't back whole: %v, error %v", info, err)
	}
}

// A full disk is worth a retry, a missing right isn't.
func TestErrorsOfTheSystem(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil)
	f.write("bucket/b/file")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	_, err = f.d.(connector.Exporter).Export(t.Context(), d.Ref, full)
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("export to a full disk: %v (%s)", err, tenure.CodeOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	_, err = f.d.(connector.Exporter).Export(ctx, d.Ref, writerFunc(func(b []byte) (int, error) { reads++; cancel(); return len(b), nil }))
	if !errors.Is(err, context.Canceled) || tenure.CodeOf(err) != tenure.Unavailable {
		t.Errorf("an export whose caller has left: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestMissingRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("the superuser lacks no right")
	}
	f := planted(t)
	f.make("bucket", "b", nil)
	must(t, os.Chmod(f.root+"/bucket", 0))
	t.Cleanup(func() { _ = os.Chmod(f.root+"/bucket", 0o700) })
	absent := connector.Desired{Ref: connector.Ref{Type: "bucket", Name: "new", Resource: "res_new"}}
	if _, _, err := f.d.Ensure(t.Context(), absent); tenure.CodeOf(err) != tenure.Forbidden || tenure.CanRetry(err) {
		t.Errorf("ensure without the right: %v (%s)", err, tenure.CodeOf(err))
	}
	g, err := f.d.Observe(t.Context(), []connector.Ref{absent.Ref}, func(connector.Observed) error { return nil })
	if err == nil && g.Complete {
		t.Error("a pass without the right to see is complete")
	}
}

// TestStrangersFiles: whose folder it is may open it to others at any time, so that is
// drift, and mended.
func TestStrangersFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only the superuser gives a file to somebody else")
	}
	f := planted(t)
	b := f.make("bucket", "b", nil)
	must(t, os.Chown(f.root+"/bucket/b", 65534, -1))
	seen := func() (text string) {
		t.Helper()
		_, err := f.d.Observe(t.Context(), []connector.Ref{b.Ref}, func(o connector.Observed) error { text = string(o.Attributes); return nil })
		must(t, err)
		return text
	}
	if got := seen(); !strings.Contains(got, `"owner":"uid 65534"`) {
		t.Errorf("a stranger's folder is seen as %s", got)
	}
	if _, rec, err := f.d.Ensure(t.Context(), b); err != nil || !rec.Changed {
		t.Errorf("the repair: changed %t, error %v", rec.Changed, err)
	}
	if got := seen(); strings.Contains(got, "owner") {
		t.Errorf("after the repair: %s", got)
	}
}

func TestEncryptionProbe(t *testing.T) {
	t.Parallel()
	f := planted(t)
	for want, profile := range map[bool][]tenure.Encryption{
		true:  {{}, {InTransit: "required"}, {KeyOwner: "platform"}},
		false: {{AtRest: "required"}, {KeyOwner: "tenant"}},
	} {
		for _, e := range profile {
			o, err := f.d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "encryption", Encryption: e})
			if err != nil || o.Passed != want {
				t.Errorf("%+v: %+v, error %v", e, o, err)
			}
		}
	}
}

// An export must name what it left out.
func TestExportSkipsLinks(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", nil, "files")
	f.write("bucket/b/file", "secret")
	must(t, os.Symlink(f.root+"/secret", f.root+"/bucket/b/link"))
	var out strings.Builder
	rec, err := f.d.(connector.Exporter).Export(t.Context(), d.Ref, &out)
	must(t, err)
	if rec.Counts["objects"] != 1 || rec.Counts["skipped"] != 1 || !strings.Contains(out.String(), `"link"`) || strings.Contains(out.String(), "secret") {
		t.Errorf("counts %v", rec.Counts)
	}
}

// FuzzName fails if a name leads to anything but one entry of its folder.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "../x", "a/b", ".", "", "ü", "a\x00", "..\\x", " ", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	root := f.TempDir()
	info := filesystem.Info()
	d, err := info.Open(context.Background(), connector.Config{Options: map[string]string{"root": root}, Now: time.Now, Marker: connector.Marker{Installation: "ins_1", Key: []byte("k")}})
	must(f, err)
	_, err = d.Plant(context.Background())
	must(f, err)
	before := look(f, root)
	f.Fuzz(func(t *testing.T, name string) {
		want := connector.Desired{Ref: connector.Ref{Type: "document", Name: name, Resource: "res_1", Attributes: map[string]any{"text": "t"}}}
		_, _, err := d.Ensure(t.Context(), want)
		if err == nil {
			entries, err := os.ReadDir(root + "/document")
			must(t, err)
			if len(entries) != 1 || entries[0].Name() != name {
				t.Errorf("name %q became %v", name, entries)
			}
			_, err = d.Delete(t.Context(), want.Ref)
			must(t, err)
		} else if tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("name %q: %v", name, err)
		}
		if diff := cmp.Diff(before, look(t, root)); diff != "" {
			t.Errorf("name %q left:\n%s", name, diff)
		}
	})
}

// Records of an older build, without seals, are sealed at the first look; one in which a
// field was changed since is nobody's.
func TestOlderRecords(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "acme", nil)
	file := filepath.Join(f.root, ".tenure", "marks", "bucket", "acme.json")
	change := func(old, new string) {
		raw, err := os.ReadFile(file)
		must(t, err)
		if !strings.Contains(string(raw), old) {
			t.Fatalf("%s doesn't hold %q", raw, old)
		}
		must(t, os.WriteFile(file, []byte(strings.Replace(string(raw), old, new, 1)), 0o600))
	}
	owner := func() (o connector.Observed) {
		_, err := f.d.Observe(t.Context(), []connector.Ref{d.Ref}, func(seen connector.Observed) error { o = seen; return nil })
		must(t, err)
		return o
	}
	raw, err := os.ReadFile(file)
	must(t, err)
	var rec map[string]any
	must(t, json.Unmarshal(raw, &rec))
	delete(rec, "seal")
	rec["mark"] = connector.Marker{Installation: "ins_1", System: "files", Key: []byte("key")}.Mark("bucket", d.Resource)
	raw, err = json.Marshal(rec)
	must(t, err)
	must(t, os.WriteFile(file, raw, 0o600))
	must(t, os.Remove(filepath.Join(f.root, ".tenure", "sealed")))
	must(t, f.d.(connector.Settler).Settle(t.Context()))
	if o := owner(); o.Owner != connector.Ours || o.Resource != d.Resource {
		t.Errorf("an older record is %q of %s", o.Owner, o.Resource)
	}
	change(`"attributes":{`, `"environment":"x","attributes":{`)
	if o := owner(); o.Owner != connector.Forged || !o.Found {
		t.Errorf("a record with a changed field is %q, found %v", o.Owner, o.Found)
	}
	if _, err := f.d.Delete(t.Context(), d.Ref); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("it is deleted: %v", err)
	}
}
