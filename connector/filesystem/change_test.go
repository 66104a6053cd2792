package filesystem_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/filesystem"
)

type object = map[string]any

// changing are the attributes of a bucket whose events are CSV and whose logs are JSON
// lines.
func changing(fields object) object {
	return object{
		"classes": object{"events": "events", "logs": "logs"},
		"transforms": object{
			"events": object{"format": "csv", "fields": fields, "to": "results/events"},
			"logs":   object{"format": "jsonl", "fields": object{"user": "clear", "n": "keep"}, "identifying": []any{"n"}, "atLeast": 2, "to": "results/logs"},
		},
	}
}

// ending is a context that ends when it was asked so many times, as a kill would come.
type ending struct {
	context.Context
	left atomic.Int64
}

func (e *ending) Err() error {
	if e.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// files are the contents of all files below a folder, unpacked.
func (f fixture) files(below string) map[string]string {
	f.Helper()
	out := map[string]string{}
	root := filepath.Join(f.root, below)
	must(f, filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if p == root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		out[name] = connectortest.Unpacked(f, string(raw))
		return err
	}))
	return out
}

func (f fixture) fill(name, text string) {
	f.Helper()
	p := filepath.Join(f.root, name)
	must(f, os.MkdirAll(filepath.Dir(p), 0o755))
	must(f, os.WriteFile(p, []byte(text), 0o640))
}

// Whatever files there are and wherever it is killed, each file is rewritten once and
// none is lost; in quarantine too.
func TestChange(t *testing.T) {
	t.Parallel()
	f := planted(t)
	must(t, os.MkdirAll(filepath.Join(f.root, "results/events"), 0o750))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		to := rapid.SampledFrom([]tenure.Disposition{tenure.Pseudonymise, tenure.Anonymise}).Draw(rt, "to")
		fields := connectortest.Pseudonymous
		if to == tenure.Anonymise {
			fields = connectortest.Anonymous
		}
		name := fmt.Sprintf("b%d", run)
		d := f.make("bucket", name, changing(fields), "events", "logs")
		row := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%d,user%03d@example.com,%d-%02d-%02d\n", rapid.IntRange(0, 99).Draw(t, "id"), rapid.IntRange(0, 999).Draw(t, "user"), rapid.IntRange(1900, 1999).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day"))
		})
		want := map[string]string{}
		for i := range rapid.IntRange(0, 6).Draw(rt, "files") {
			text := "id,email,born\n" + strings.Join(rapid.SliceOfN(row, 0, 5).Draw(rt, "rows"), "")
			file := fmt.Sprintf("events/%s%d.csv", rapid.SampledFrom([]string{"", "deep/", "deep/er/"}).Draw(rt, "dir"), i)
			want[file] = connectortest.ChangedEvents(t, text, to)
			if rapid.Bool().Draw(rt, "packed") {
				text = connectortest.Packed(t, text)
			}
			f.fill("bucket/"+name+"/"+file, text)
		}
		f.fill("bucket/"+name+"/logs/1.jsonl", `{"user":"Anna","n":1}`)
		if rapid.Bool().Draw(rt, "aside") {
			_, err := f.d.(connector.Quarantiner).Quarantine(t.Context(), d.Ref)
			must(t, err)
		}
		kills := rapid.IntRange(0, 3).Draw(rt, "kills")
		limit := rapid.IntRange(1, 4).Draw(rt, "limit")
		for range kills {
			ctx := &ending{Context: t.Context()}
			ctx.left.Store(int64(rapid.IntRange(0, 60).Draw(rt, "at")))
			_, _ = connectortest.ChangeAll(ctx, f.d, d.Ref, "events", to, limit, connectortest.Pseudonym)
		}
		n, err := connectortest.ChangeAll(t.Context(), f.d, d.Ref, "events", to, limit, connectortest.Pseudonym)
		if err != nil || kills == 0 && n != int64(len(want)) {
			rt.Fatalf("%d of %d are changed: %v", n, len(want), err)
		}
		if n, err := connectortest.ChangeAll(t.Context(), f.d, d.Ref, "events", to, limit, connectortest.Pseudonym); n != 0 || err != nil {
			rt.Fatalf("a second run changes %d: %v", n, err)
		}
		_, err = f.d.(connector.Quarantiner).Unquarantine(t.Context(), d.Ref)
		must(t, err)
		got := f.files("bucket/" + name)
		if got["logs/1.jsonl"] != `{"user":"Anna","n":1}` {
			rt.Fatalf("the other class has %q", got["logs/1.jsonl"])
		}
		delete(got, "logs/1.jsonl")
		if to == tenure.Anonymise {
			if len(got) > 0 {
				rt.Fatalf("the tenant still has %v", got)
			}
			got = f.files("results/events")
		}
		compare(rt, got, want, to)
		for file := range f.files("results/events") {
			must(t, os.Remove(filepath.Join(f.root, "results/events", file)))
		}
		_, err = f.d.Delete(t.Context(), d.Ref)
		must(t, err)
		if left := f.files(".tenure/changed"); len(left) > 0 {
			rt.Fatalf("of Tenure's own %d files are left", len(left))
		}
		if left := f.files(".tenure/new"); len(left) > 0 {
			rt.Fatalf("%v is left", left)
		}
	})
}

func compare(t *rapid.T, got, want map[string]string, to tenure.Disposition) {
	list := func(all map[string]string) (out []string) {
		for name, text := range all {
			if to == tenure.Anonymise {
				name = ""
			}
			out = append(out, name+" "+text)
		}
		slices.Sort(out)
		return out
	}
	if a, b := list(got), list(want); !slices.Equal(a, b) {
		t.Fatalf("there is\n%q\nand should be\n%q", a, b)
	}
}

// A file keeps its permissions and its date when it is rewritten, and one that came as it was in the
// place of a rewritten one is rewritten again.
func TestChangeOfOneFile(t *testing.T) {
	t.Parallel()
	f := planted(t)
	d := f.make("bucket", "b", changing(connectortest.Pseudonymous), "events", "logs")
	const text = "id,email,born\n1,anna@example.com,1990-02-03\n"
	for range 2 {
		f.fill("bucket/b/events/a.csv", text)
		then := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
		must(t, os.Chtimes(filepath.Join(f.root, "bucket/b/events/a.csv"), then, then))
		if n, err := connectortest.ChangeAll(t.Context(), f.d, d.Ref, "events", tenure.Pseudonymise, 9, connectortest.Pseudonym); n != 1 || err != nil {
			t.Fatalf("%d are changed: %v", n, err)
		}
		info, err := os.Stat(filepath.Join(f.root, "bucket/b/events/a.csv"))
		must(t, err)
		if got := f.files("bucket/b")["events/a.csv"]; got != connectortest.ChangedEvents(t, text, tenure.Pseudonymise) || info.Mode().Perm() != 0o640 || !info.ModTime().Equal(then) {
			t.Errorf("it is %q with %v of %v", got, info.Mode(), info.ModTime())
		}
	}
}

// A file that gets another name, or more lines, or gives way to another one while it is
// changed isn't lost, and nothing of what it was stays.
func TestChangeMeanwhile(t *testing.T) {
	t.Parallel()
	const text, more = "id,email,born\n1,anna@example.com,1990-02-03\n", "2,otto@example.com,1990-02-03\n"
	for name, c := range map[string]struct {
		meanwhile func(file string) error
		code      tenure.Code
		then      string // what it is then, before it is changed
	}{
		"another name": {func(file string) error { return os.Link(file, file+".copy") }, tenure.Blocked, text},
		"more lines":   {func(file string) error { return os.WriteFile(file, []byte(text+more), 0o640) }, tenure.Unavailable, text + more},
		"another file": {func(file string) error {
			return errors.Join(os.WriteFile(file+"~", []byte(text+more), 0o640), os.Rename(file+"~", file))
		}, tenure.Unavailable, text + more},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := planted(t)
			d := f.make("bucket", "b", changing(connectortest.Pseudonymous), "events", "logs")
			f.fill("bucket/b/events/a.csv", text)
			file := filepath.Join(f.root, "bucket/b/events/a.csv")
			happened := false
			made := func(key, value string, _ bool) ([]byte, error) {
				if !happened {
					happened = true
					must(t, c.meanwhile(file))
				}
				return connectortest.Pseudonym(key, value, false)
			}
			if _, err := connectortest.ChangeAll(t.Context(), f.d, d.Ref, "events", tenure.Pseudonymise, 9, made); tenure.CodeOf(err) != c.code {
				t.Errorf("the change says %v", err)
			}
			if got := f.files("bucket/b")["events/a.csv"]; got != c.then {
				t.Errorf("it is %q", got)
			}
			_ = os.Remove(file + ".copy")
			if _, err := connectortest.ChangeAll(t.Context(), f.d, d.Ref, "events", tenure.Pseudonymise, 9, connectortest.Pseudonym); err != nil {
				t.Error(err)
			}
			if got := f.files("bucket/b"); len(got) != 1 || got["events/a.csv"] != connectortest.ChangedEvents(t, c.then, tenure.Pseudonymise) {
				t.Errorf("there is %q", got)
			}
		})
	}
}

// What can't be rewritten blocks before anything is written, and the file is named.
func TestChangeIsBlocked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		class, says string
		make        func(f fixture)
	}{
		"format": {"events", `"events/z.csv"`, func(f fixture) { f.fill("bucket/b/events/z.csv", "id,email,born\n1,\"SECRET\n") }},
		"field":  {"events", "phone", func(f fixture) { f.fill("bucket/b/events/z.csv", "id,email,born,phone\n1,,,SECRET\n") }},
		"name":   {"events", "repeats", func(f fixture) { f.fill("bucket/b/events/hidden@x.csv", "id,email,born\n1,hidden@x,\n") }},
		"groups": {"logs", "[77] has 1", func(f fixture) { f.fill("bucket/b/logs/z.jsonl", `{"user":"SECRET","n":77}`) }},
		"a link": {"events", "isn't a regular file", func(f fixture) { must(f, os.Symlink("SECRET", filepath.Join(f.root, "bucket/b/events/z"))) }},
		"another name": {"events", "2 names", func(f fixture) {
			must(f, os.Link(filepath.Join(f.root, "bucket/b/events/a.csv"), filepath.Join(f.root, "bucket/b/other")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := planted(t)
			d := f.make("bucket", "b", changing(connectortest.Pseudonymous), "events", "logs")
			f.fill("bucket/b/events/a.csv", "id,email,born\n1,anna@example.com,1990-02-03\n")
			f.fill("bucket/b/logs/a.jsonl", "{\"n\":1}\n{\"n\":1}\n")
			c.make(f)
			before := look(t, filepath.Join(f.root, "bucket"))
			m, err := f.d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: d.Ref, Prove: true, Changes: map[string]tenure.Disposition{c.class: tenure.Pseudonymise}})
			must(t, err)
			if !slices.ContainsFunc(m.Places, func(p connector.Place) bool {
				return p.Kind == connector.PlaceChange && p.Blocks && p.Class == c.class && strings.Contains(p.Says, c.says) && !strings.Contains(p.Says, "SECRET")
			}) {
				t.Errorf("the map shows %+v", m.Places)
			}
			_, err = connectortest.ChangeAll(t.Context(), f.d, d.Ref, c.class, tenure.Pseudonymise, 9, connectortest.Pseudonym)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the change says %v", err)
			}
			if after := look(t, filepath.Join(f.root, "bucket")); after != before {
				t.Errorf("something was written:\n%s\n%s", before, after)
			}
		})
	}
}

// A place for results that isn't the platform's own is refused, and one that isn't there
// blocks.
func TestChangeIsRefused(t *testing.T) {
	t.Parallel()
	f := planted(t)
	for _, to := range []string{"bucket/b/x", ".tenure/x", "../x", "/x", "x/../y", ".", "x/.hidden", "backups"} {
		a := changing(connectortest.Anonymous)
		a["transforms"].(object)["events"].(object)["to"] = to
		if _, err := f.d.Normalise(connector.Desired{Ref: connector.Ref{Type: "bucket", Name: "b", Attributes: a}}); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("to %q: %v", to, err)
		}
	}
	none := changing(connectortest.Anonymous)
	delete(none["transforms"].(object), "events")
	places := func(a object, to tenure.Disposition) (out []string) {
		m, err := f.d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: connector.Ref{Type: "bucket", Name: "b", Attributes: a, Classes: []string{"events", "logs"}}, Changes: map[string]tenure.Disposition{"events": to}})
		must(t, err)
		for _, p := range m.Places {
			out = append(out, p.Says)
		}
		return out
	}
	for name, c := range map[string]struct {
		a    object
		to   tenure.Disposition
		says string
	}{
		"none":      {none, tenure.Pseudonymise, "says nothing"},
		"pseudonym": {changing(connectortest.Pseudonymous), tenure.Anonymise, "personal data"},
		"no folder": {changing(connectortest.Anonymous), tenure.Anonymise, "isn't there"},
	} {
		if got := places(c.a, c.to); len(got) != 1 || !strings.Contains(got[0], c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
	must(t, os.MkdirAll(filepath.Join(f.root, "results"), 0o750))
	must(t, os.Symlink(filepath.Join("..", "bucket"), filepath.Join(f.root, "results/events")))
	if got := places(changing(connectortest.Anonymous), tenure.Anonymise); len(got) != 1 {
		t.Errorf("a link to tenants' buckets is taken: %q", got)
	}
}

// A file has nothing of a platform's but its bytes.
func TestMetadataIsRefused(t *testing.T) {
	t.Parallel()
	given := map[string]any{"transforms": map[string]any{"trips": map[string]any{"format": "jsonl", "fields": map[string]any{"id": "keep"}, "metadata": map[string]any{"owner": "clear"}}}}
	found := filesystem.Info().Check("bucket", given, nil)
	if len(found) != 1 || !slices.Equal(found[0].At, []string{"transforms", "trips", "metadata"}) {
		t.Errorf("metadata of files: %+v", found)
	}
}
