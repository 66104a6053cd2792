package sqlite

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

const foreignPlatform = `
create table tenants (id text primary key, name text, slug text, stripe_customer_id text, billing_email text, domain text, status text, password text, created_at text, last_seen_at integer, deleted_at text);
insert into tenants values ('acme', 'Acme, Inc.', 'ac-me', 'cus_1', 'pay@acme.example', 'acme.example', 'active', 'never-read-this', '2026-01-02 03:04:05', 1778051289, null),
 ('birch', 'Birch''s' || char(10) || '"odd"', null, null, null, null, 'closed', 'never-read-this', '2026-01-03', null, '2026-03-01');
create table users (id integer primary key, tenant_id text references tenants, email text, is_active int, password_digest text, last_login text);
insert into users values (1, 'acme', 'a@acme.example', 1, 'never-read-this', '2026-04-04T00:00:00Z'), (2, 'birch', 'b@birch.example', 0, 'never-read-this', null);
create table orders (id int, tenant_id, updated_at text);
insert into orders values (1, 'acme', '2026-02-02'), (2, 'acme', '2026-02-03'), (3, x'00ff', '2026-02-01'), (4, null, null), (5, 7, null), (6, '7', null), (7, 'odd ''key''' || char(10), null);
create table lines (id integer primary key, user_id int references users); create table leftovers (id int);
create view seen as select * from tenants; create virtual table words using fts5 (tenant_id, text); insert into words values ('acme', 'never-read-this');`

// foreign makes a folder and a shared file as a platform's own scripts would.
func foreign(t *testing.T, journal string) (dir, shared string) {
	root := t.TempDir()
	dir, shared = filepath.Join(root, "tenants"), filepath.Join(root, "platform's #1?.db")
	must(t, os.Mkdir(dir, 0o700))
	exec(t, shared, "pragma journal_mode = "+journal)
	exec(t, shared, foreignPlatform)
	must(t, os.Chmod(shared, 0o600))
	for name, mode := range map[string]fs.FileMode{"acme.db": 0o600, "acme.db-wal": 0o600, "it's odd\n.db": 0o644, "gone.db.bak": 0o600, "notes.txt": 0o602} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("never-read-this"), 0o600))
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	must(t, os.Symlink("/", filepath.Join(dir, "link.db")))
	return dir, shared
}

// inventory is every file with its bytes, time and permissions. Memory leaves out the bytes of
// what readers share with a writer of this process, which is how they lock.
func inventory(t *testing.T, root string, memory bool) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(path, " ", info.Mode(), " ", info.Size(), " ", info.ModTime().UnixNano())
		if info.Mode().IsRegular() && !(memory && strings.HasSuffix(path, "-shm")) {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(raw))
		}
		out = append(out, line)
		return nil
	}))
	return out
}

func traced(t *testing.T, dir, shared string, ask connector.Tracing) ([]connector.Trace, connector.Traced) {
	t.Helper()
	d, err := open(t.Context(), connector.Config{System: "foreign", Options: map[string]string{"dir": dir, "shared": shared}})
	must(t, err)
	defer func() { _ = d.Close() }()
	var out []connector.Trace
	seen := map[string]bool{"": true}
	said, err := d.(connector.Tracer).Trace(t.Context(), ask, func(one connector.Trace) error {
		if seen[one.ID] || !seen[one.In] {
			t.Errorf("%s comes twice, or before %s in which it stands", one.ID, one.In)
		}
		seen[one.ID] = true
		out = append(out, one)
		return nil
	})
	must(t, err)
	return out, said
}

func traceLine(one connector.Trace) string {
	text, _ := json.Marshal(one)
	var fields map[string]any
	_ = json.Unmarshal(text, &fields)
	if one.Kind == connector.TracePlace || one.Kind == connector.TraceCopy {
		delete(fields, "Used")
		delete(fields, "Bytes")
	}
	for k, v := range fields {
		if s := fmt.Sprint(v); v == nil || s == "" || s == "0" || s == "-1" || s == "false" || s == "map[]" || s == "0001-01-01T00:00:00Z" {
			delete(fields, k)
		}
	}
	delete(fields, "Kind")
	delete(fields, "ID")
	rest, _ := json.Marshal(fields)
	return fmt.Sprintf("%s %s %s", one.Kind, strings.ReplaceAll(one.ID, "\n", "$"), rest)
}

// A folder and a file that Tenure has never seen are told as they stand, and not a byte nor
// a time changes, whatever state the file is in.
func TestTrace(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"delete", "wal", "open", "left"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			journal := "wal"
			if state == "delete" {
				journal = "delete"
			}
			dir, shared := foreign(t, journal)
			if state == "open" || state == "left" { // the platform has it open, or had when it fell
				platform := raw(t, shared)
				defer func() { _ = platform.Close() }()
				if _, err := platform.Exec("insert into leftovers values (1)"); err != nil {
					t.Fatal(err)
				}
				if state == "left" {
					copied := filepath.Join(t.TempDir(), filepath.Base(shared))
					for _, s := range []string{"", "-wal", "-shm"} {
						b, err := os.ReadFile(shared + s)
						must(t, err)
						must(t, os.WriteFile(copied+s, b, 0o600))
					}
					shared = copied
				}
			}
			memory := state == "open"
			before := append(inventory(t, dir, memory), inventory(t, filepath.Dir(shared), memory)...)
			got, said := traced(t, dir, shared, connector.Tracing{})
			if diff := cmp.Diff(before, append(inventory(t, dir, memory), inventory(t, filepath.Dir(shared), memory)...)); diff != "" {
				t.Errorf("files changed: %s", diff)
			}
			if strings.Contains(fmt.Sprint(got), "never-read-this") {
				t.Error("a password, or a tenant's file, was read")
			}
			var lines []string
			for _, one := range got {
				lines = append(lines, traceLine(one))
			}
			slices.Sort(lines)
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(foreignTraces), "\n"), lines); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, strings.Join(lines, "\n"))
			}
			if len(said.Says) != 1 || !strings.Contains(said.Says[0], "words weren't read: it is a virtual table") {
				t.Errorf("all else was there to be seen: %q", said.Says)
			}
		})
	}
}

// What can't be seen is said, and keeps nothing else from being seen.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	dir, shared := foreign(t, "delete")
	calls := connector.NewBudget(1000)
	whole, _ := traced(t, dir, shared, connector.Tracing{Calls: calls})
	for n := range calls.Spent() {
		budget := connector.NewBudget(n)
		part, said := traced(t, dir, shared, connector.Tracing{Calls: budget})
		if budget.Spent() > n || !strings.Contains(strings.Join(said.Says, " "), "calls allowed were spent") || n > 0 && len(part) == 0 || len(part) > len(whole) {
			t.Errorf("%d calls: %d of %d things, %d spent, %q", n, len(part), len(whole), budget.Spent(), said.Says)
		}
	}
	for _, one := range []struct {
		says  string
		spoil func() error
	}{
		{"write-ahead log that no process has open", func() error { return os.WriteFile(shared+"-wal", []byte("x"), 0o600) }},
		{"a write was cut off", func() error { return os.Rename(shared+"-wal", shared+"-journal") }},
		{"couldn't be read to its end", func() error { return os.Remove(shared + "-journal") }},
		{"isn't there", func() error { return os.Remove(shared) }},
		{"option dir can't be read", func() error { return os.RemoveAll(dir) }},
	} {
		must(t, one.spoil())
		if strings.Contains(one.says, "to its end") {
			must(t, os.WriteFile(shared, []byte(strings.Repeat("no database ", 100)), 0o600))
		}
		_, said := traced(t, dir, shared, connector.Tracing{})
		if !strings.Contains(strings.Join(said.Says, "\n"), one.says) {
			t.Errorf("%q isn't said: %q", one.says, said.Says)
		}
	}
	d, err := open(t.Context(), connector.Config{System: "foreign", Options: map[string]string{"dir": dir}})
	must(t, err)
	if _, err := d.(connector.Tracer).Trace(t.Context(), connector.Tracing{}, nil); tenure.CodeOf(err) != tenure.Unavailable {
		t.Errorf("a folder that isn't there, and no file: %v", err)
	}
}

// What Tenure keeps for itself isn't told as somebody's, and what it made bears its mark.
func TestTraceOfOwn(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	d.made(t, ref("acme", "create table inside (id int)", map[string]any{"*": "a"}))
	bears := map[string]connector.Ownership{}
	_, err := d.Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		if bears[one.Name] = one.Bears; strings.Contains(one.ID, "tenure") {
			t.Errorf("%s is told", one.ID)
		}
		return nil
	})
	if err != nil || bears["acme"] != connector.Ours {
		t.Errorf("%v: %v", err, bears)
	}
}

// foreignTraces is what stands in such a folder and file, sorted.
const foreignTraces = `
account row:1@table:users {"In":"table:users","Labels":{"tenant":"acme"},"Mails":["a@acme.example"],"Name":"a@acme.example","Owners":["row:acme@table:tenants"],"Used":"2026-04-04T00:00:00Z","Word":"row"}
account row:2@table:users {"Disabled":true,"In":"table:users","Labels":{"status":"not active","tenant":"birch"},"Mails":["b@birch.example"],"Name":"b@birch.example","Owners":["row:birch@table:tenants"],"Word":"row"}
copy file:gone.db.bak {"Name":"gone.db.bak","Word":"file"}
place file:acme.db {"Name":"acme","Type":"database","Word":"file"}
place file:folder {"Name":"folder","Word":"folder"}
place file:it's odd$.db {"Name":"it's odd\n.db","Open":"every user of the machine may read it","Word":"file"}
place file:link.db {"Name":"link.db","Word":"symbolic link"}
place file:notes.txt {"Name":"notes.txt","Open":"every user of the machine may write it","Word":"file"}
place shared:platform's #1?.db {"Labels":{"shared":"true"},"Name":"platform's #1?.db","Word":"file"}
record row:acme@table:tenants {"Called":["Acme, Inc.","ac-me"],"ExternalIDs":["cus_1"],"In":"table:tenants","Labels":{"status":"active"},"Made":"2026-01-02T03:04:05Z","Mails":["pay@acme.example","acme.example"],"Name":"acme","Used":"2026-05-06T07:08:09Z","Word":"row"}
record row:birch@table:tenants {"Called":["Birch's\n\"odd\""],"Disabled":true,"In":"table:tenants","Labels":{"status":"closed"},"Made":"2026-01-03T00:00:00Z","Name":"birch","Word":"row"}
rows nobody:table:orders {"In":"table:orders","Labels":{"tenants":"none"},"Rows":1,"Type":"rows","Word":"rows"}
rows rows:00ff@table:orders {"Attributes":{"column":"tenant_id","key":"00ff"},"In":"table:orders","Name":"00ff","Owners":["row:00ff@table:tenants"],"Rows":1,"Type":"rows","Used":"2026-02-01T00:00:00Z","Word":"rows"}
rows rows:7@table:orders {"Attributes":{"column":"tenant_id","key":"7"},"In":"table:orders","Name":"7","Owners":["row:7@table:tenants"],"Rows":2,"Type":"rows","Word":"rows"}
rows rows:acme@table:orders {"Attributes":{"column":"tenant_id","key":"acme"},"In":"table:orders","Name":"acme","Owners":["row:acme@table:tenants"],"Rows":2,"Type":"rows","Used":"2026-02-03T00:00:00Z","Word":"rows"}
rows rows:acme@table:users {"Attributes":{"column":"tenant_id","key":"acme"},"In":"table:users","Name":"acme","Owners":["row:acme@table:tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:birch@table:users {"Attributes":{"column":"tenant_id","key":"birch"},"In":"table:users","Name":"birch","Owners":["row:birch@table:tenants"],"Rows":1,"Type":"rows","Word":"rows"}
rows rows:odd 'key'$@table:orders {"Attributes":{"column":"tenant_id","key":"odd 'key'\n"},"In":"table:orders","Name":"odd 'key'\n","Owners":["row:odd 'key'\n@table:tenants"],"Rows":1,"Type":"rows","Word":"rows"}
table table:leftovers {"In":"shared:platform's #1?.db","Labels":{"tenants":"none"},"Name":"leftovers","Word":"table"}
table table:lines {"In":"shared:platform's #1?.db","Labels":{"tenants":"linked"},"Name":"lines","Word":"table"}
table table:orders {"In":"shared:platform's #1?.db","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"orders","Word":"table"}
table table:tenants {"In":"shared:platform's #1?.db","Labels":{"tenants":"list"},"Name":"tenants","Word":"table"}
table table:users {"In":"shared:platform's #1?.db","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"users","Word":"table"}
table table:words {"In":"shared:platform's #1?.db","Labels":{"column":"tenant_id","tenants":"rows"},"Name":"words","Word":"table"}
`
