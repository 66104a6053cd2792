package keystore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
	"golang.org/x/mod/sumdb/note"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	acme = tenure.DeriveID[tenure.TenantID](noon, "acme")
	spec = keystore.KeySpec{Tenant: acme, Purpose: keystore.Personal, Class: "contract"}
)

// clock is the time as a test sets it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newStore(t testing.TB, o keystore.Options) (s *keystore.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "keys")
	o.Origin = "tenure.test/log"
	s, err := keystore.Init(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func create(t testing.TB, s *keystore.Store, spec keystore.KeySpec) keystore.KeyID {
	t.Helper()
	id, err := s.Create(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func keyFile(t testing.TB, dir string, id keystore.KeyID) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "keys", "*", string(id)+".key"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files of key %s: %v, %v", id, found, err)
	}
	return found[0]
}

// TestSealAcrossRestart: what was sealed is opened by the next process, and by
// no other key.
func TestSealAcrossRestart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	a, err := s.AEAD(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	box, err := a.Encrypt([]byte("Ada"), []byte("field"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := keystore.Open(dir, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if twice := create(t, again, spec); twice != id {
		t.Errorf("made again the key is %s, was %s", twice, id)
	}
	b, err := again.AEAD(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Decrypt(box, []byte("field")); err != nil || string(got) != "Ada" {
		t.Errorf("opened %q, %v", got, err)
	}
	if _, err := b.Decrypt(box, []byte("other")); err == nil {
		t.Error("opened with other associated data")
	}
	for _, other := range []keystore.KeySpec{
		{Tenant: acme, Purpose: keystore.Credential, Class: "contract"},
		{Tenant: acme, Purpose: keystore.Personal, Class: "tax"},
		{Tenant: acme, Purpose: keystore.Personal, Class: "contract", Name: "2"},
		{Tenant: tenure.DeriveID[tenure.TenantID](noon, "other"), Purpose: keystore.Personal, Class: "contract"},
		{Purpose: keystore.Evidence, Class: "contract"},
	} {
		o, err := again.AEAD(ctx, create(t, again, other))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Decrypt(box, []byte("field")); err == nil {
			t.Errorf("opened with the key of %+v", other)
		}
	}
}

func TestSpecRefused(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, keystore.Options{})
	for _, bad := range []keystore.KeySpec{
		{}, {Tenant: acme, Purpose: keystore.Personal}, {Purpose: keystore.Personal, Class: "c"},
		{Tenant: "../../etc", Purpose: keystore.Personal, Class: "c"}, {Tenant: acme, Purpose: "x", Class: "c"},
	} {
		if id, err := s.Create(context.Background(), bad); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("created %s for %+v: %v", id, bad, err)
		}
	}
	for id, want := range map[keystore.KeyID]tenure.Code{
		"": tenure.Invalid, "key_../../../etc_x": tenure.Invalid, spec.ID(): tenure.NotFound,
	} {
		if _, err := s.AEAD(context.Background(), id); tenure.CodeOf(err) != want {
			t.Errorf("key %q: %v, want %s", id, err, want)
		}
		if _, err := s.Destroy(context.Background(), id); tenure.CodeOf(err) != want {
			t.Errorf("destroy key %q: %v, want %s", id, err, want)
		}
	}
}

// TestDestroy: after it nobody opens anything, not even who held the key
// before, and a restart changes nothing about that.
func TestDestroy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{Now: (&clock{at: noon}).Now})
	id := create(t, s, spec)
	path := keyFile(t, dir, id)
	held, err := s.AEAD(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	box, err := held.Encrypt([]byte("Ada"), nil)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "block") // stands for the medium beneath the file
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(link)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := s.Destroy(ctx, id)
		want := keystore.Destruction{Key: id, At: noon, Status: keystore.Status{
			Key: id, Spec: spec, State: keystore.Erased, Created: noon, Destroyed: noon,
		}}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("destruction (-want +got):\n%s%v", d, err)
		}
	}
	if _, err := held.Decrypt(box, nil); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a key that was held opens: %v", err)
	}
	if _, err := held.Encrypt(nil, nil); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a key that was held seals: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	after, err := os.ReadFile(link)
	if err != nil || len(after) != len(before) || string(after) == string(before) {
		t.Errorf("the file was removed without being overwritten (%v)", err)
	}
	again, err := keystore.Open(dir, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*keystore.Store{"this": s, "the next": again} {
		if _, err := s.AEAD(ctx, id); tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("%s process: %v", name, err)
		}
		if _, err := s.Create(ctx, spec); tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("made again by %s process: %v", name, err)
		}
	}
}

// TestDestroyAfterCrash: a tombstone whose key file is still there, as a crash
// leaves it, is finished by the next Destroy and refused in between.
func TestDestroyAfterCrash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	path := keyFile(t, dir, id)
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Destroy(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, saved, 0o600); err != nil { // as a restored backup does, too
		t.Fatal(err)
	}
	if _, err := s.AEAD(ctx, id); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a restored key: %v", err)
	}
	st, err := s.Status(ctx, id)
	if err != nil || st.State != keystore.Destroyed || st.Verdict() != tenure.Claimed {
		t.Errorf("status with a restored file: %+v, %v", st, err)
	}
	problems, err := s.Fsck(ctx)
	if err != nil || len(problems) != 1 || problems[0].Key != id || !strings.Contains(problems[0].Text, "its file is back") {
		t.Errorf("problems %+v, %v", problems, err)
	}
	if d, err := s.Destroy(ctx, id); err != nil || d.Status.State != keystore.Erased {
		t.Errorf("destroyed again: %+v, %v", d, err)
	}
	if problems, err := s.Fsck(ctx); err != nil || len(problems) != 0 {
		t.Errorf("problems %+v, %v", problems, err)
	}
}

// TestCopies: cryptographic erase is verified when somebody saw the last copy
// gone, and not a moment before.
func TestCopies(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := &clock{at: noon}
	s, _ := newStore(t, keystore.Options{Now: now.Now})
	id := create(t, s, spec)
	later := noon.Add(30 * 24 * time.Hour)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.RegisterCopy(ctx, id, "s3://b", later))
	must(s.RegisterCopy(ctx, id, "s3://a", time.Time{}))
	must(s.RegisterCopy(ctx, id, "s3://a", noon.Add(time.Hour)))
	copies, err := s.Copies(ctx, id)
	must(err)
	if len(copies) != 3 || !copies[0].Own || copies[1].Location != "s3://a" || !copies[1].ExpiresAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("copies %+v", copies)
	}
	status := func() keystore.Status {
		t.Helper()
		st, err := s.Status(ctx, id)
		must(err)
		return st
	}
	if st := status(); st.State != keystore.Active || st.Verdict() != tenure.Failed {
		t.Errorf("before: %+v", st)
	}
	if _, err := s.Destroy(ctx, id); err != nil {
		t.Fatal(err)
	}
	if st := status(); st.State != keystore.Destroyed || !st.Until.Equal(later) || len(st.Copies) != 2 || len(st.Overdue) != 0 {
		t.Errorf("destroyed: %+v", st)
	}
	now.move(40 * 24 * time.Hour)
	if st := status(); st.State != keystore.Destroyed || len(st.Overdue) != 2 || st.Verdict() != tenure.Claimed {
		t.Errorf("expired, and nobody looked: %+v", st)
	}
	must(s.ForgetCopy(ctx, id, "s3://a"))
	if err := s.ForgetCopy(ctx, id, "s3://a"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("forgotten twice: %v", err)
	}
	if st := status(); st.State != keystore.Destroyed {
		t.Errorf("one copy left: %+v", st)
	}
	must(s.ForgetCopy(ctx, id, "s3://b"))
	if st := status(); st.State != keystore.Erased || st.Verdict() != tenure.Verified {
		t.Errorf("none left: %+v", st)
	}
	must(s.RegisterCopy(ctx, id, "a laptop", time.Time{}))
	must(s.RegisterCopy(ctx, id, "tape", later))
	if st := status(); st.State != keystore.Destroyed || !st.Until.IsZero() {
		t.Errorf("one found late, of which nobody knows how long it lasts: %+v", st)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := newStore(t, keystore.Options{})
	if list, err := s.List(ctx, acme); err != nil || len(list) != 0 {
		t.Errorf("before: %v, %v", list, err)
	}
	tax := spec
	tax.Class = "tax"
	create(t, s, tax)
	id := create(t, s, spec)
	create(t, s, keystore.KeySpec{Tenant: acme, Purpose: keystore.Credential, Class: "z"})
	create(t, s, keystore.KeySpec{Purpose: keystore.Evidence, Class: "z"})
	if _, err := s.Destroy(ctx, id); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(ctx, acme)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range list {
		got = append(got, string(st.Spec.Purpose)+" "+st.Spec.Class+" "+string(st.State))
	}
	if d := cmp.Diff([]string{"credential z active", "personal contract erased", "personal tax active"}, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
	if list, err := s.List(ctx, ""); err != nil || len(list) != 1 || list[0].Spec.Purpose != keystore.Evidence {
		t.Errorf("keys of no tenant: %+v, %v", list, err)
	}
}

// TestFsck plants each fault and sees it named.
func TestFsck(t *testing.T) {
	t.Parallel()
	other := spec
	other.Name = "2"
	for name, tt := range map[string]struct {
		plant func(t *testing.T, path string, other string)
		want  string
	}{
		"intact":     {func(*testing.T, string, string) {}, ""},
		"mode":       {func(t *testing.T, p, _ string) { must(t, os.Chmod(p, 0o644)) }, "read by others"},
		"no record":  {func(t *testing.T, p, _ string) { must(t, os.Remove(strings.TrimSuffix(p, ".key")+".json")) }, "no record"},
		"no key":     {func(t *testing.T, p, _ string) { must(t, os.Remove(p)) }, "file is gone"},
		"stray file": {func(t *testing.T, p, _ string) { must(t, os.WriteFile(p+".bak", nil, 0o600)) }, "no file of a keystore"},
		"other's file": {func(t *testing.T, p, o string) {
			b, err := os.ReadFile(o)
			must(t, err)
			must(t, os.WriteFile(p, b, 0o600))
		}, "unwrap"},
		"damaged record": {func(t *testing.T, p, _ string) {
			must(t, os.WriteFile(strings.TrimSuffix(p, ".key")+".json", []byte(`{}`), 0o600))
		}, "record"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newStore(t, keystore.Options{})
			path := keyFile(t, dir, create(t, s, spec))
			tt.plant(t, path, keyFile(t, dir, create(t, s, other)))
			problems, err := s.Fsck(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) == 0 || !strings.Contains(problems[0].Text, tt.want)) {
				t.Errorf("problems %+v, want %q", problems, tt.want)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFsckRestoredFolder: a backup of the whole folder brings key and record
// back together; only the audit log knows better.
func TestFsckRestoredFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	backup := filepath.Join(t.TempDir(), "backup")
	must(t, os.CopyFS(backup, os.DirFS(dir)))
	must(t, os.Chmod(filepath.Join(backup, "master.key"), 0o600))
	if _, err := s.Destroy(ctx, id); err != nil {
		t.Fatal(err)
	}
	restored, err := keystore.Open(backup, keystore.Options{})
	must(t, err)
	problems, err := restored.Fsck(ctx, id)
	must(t, err)
	found := false
	for _, p := range problems {
		found = found || p.Key == id && strings.Contains(p.Text, "brought it back")
	}
	if !found {
		t.Errorf("problems %+v", problems)
	}
}

// TestModes: no file and no folder of a keystore is anybody else's to read.
func TestModes(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	must(t, s.RegisterCopy(context.Background(), id, "tape", time.Time{}))
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.HasPrefix(d.Name(), ".new") {
			t.Errorf("%s was left", path)
		}
		return nil
	}))
	must(t, os.Chmod(filepath.Join(dir, "master.key"), 0o640))
	if _, err := keystore.Open(dir, keystore.Options{}); tenure.CodeOf(err) != tenure.Blocked || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("a master key that others can read: %v", err)
	}
}

func TestInitAndOpenRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, dir := newStore(t, keystore.Options{})
	if _, err := keystore.Init(ctx, dir, keystore.Options{Origin: "x"}); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("made over another: %v", err)
	}
	if _, err := keystore.Open(t.TempDir(), keystore.Options{}); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("opened nothing: %v", err)
	}
	if _, err := keystore.Init(ctx, t.TempDir(), keystore.Options{Origin: "two words"}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("made with an origin that can't be one: %v", err)
	}
}

// TestOtherMaster: the wrapped files are worth nothing under another master key.
func TestOtherMaster(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	other, err := keystore.NewLocal(filepath.Join(t.TempDir(), "other"))
	must(t, err)
	thief, err := keystore.Open(dir, keystore.Options{Wrapper: other})
	must(t, err)
	if _, err := thief.AEAD(ctx, id); err == nil {
		t.Error("a tenant's key was unwrapped")
	}
	if _, err := thief.MACKey(ctx); err == nil {
		t.Error("the owner-mark key was unwrapped")
	}
	if _, err := thief.Signer(ctx); err == nil {
		t.Error("the signing key was unwrapped")
	}
}

func TestSystemKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, dir := newStore(t, keystore.Options{})
	again, err := keystore.Open(dir, keystore.Options{})
	must(t, err)
	mac, err := s.MACKey(ctx)
	must(t, err)
	mac2, err := again.MACKey(ctx)
	must(t, err)
	if len(mac.Reveal()) != 32 || mac.Reveal() != mac2.Reveal() {
		t.Error("the owner-mark key changed with a restart")
	}
	signer, err := again.Signer(ctx)
	must(t, err)
	msg, err := audit.SignCheckpoint(audit.Checkpoint{Origin: "tenure.test/log", Size: 1}, signer)
	must(t, err)
	public, err := os.ReadFile(filepath.Join(dir, "log.pub"))
	must(t, err)
	v, err := note.NewVerifier(strings.TrimSpace(string(public)))
	must(t, err)
	if _, err := audit.VerifyCheckpoint(msg, "tenure.test/log", v); err != nil {
		t.Errorf("the published key doesn't verify: %v", err)
	}
	_, otherDir := newStore(t, keystore.Options{})
	foreign, err := os.ReadFile(filepath.Join(otherDir, "log.pub"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "log.pub"), foreign, 0o600))
	if _, err := s.Signer(ctx); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a signer that isn't the published one: %v", err)
	}
}

// TestEviction: a cache too small for its keys is slow, never wrong, and a key
// that fell out of it dies with the others.
func TestEviction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := newStore(t, keystore.Options{Cached: 2})
	held := make(map[keystore.KeyID]audit.AEAD)
	boxes := make(map[keystore.KeyID][]byte)
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		k := spec
		k.Name = n
		id := create(t, s, k)
		a, err := s.AEAD(ctx, id)
		must(t, err)
		held[id] = a
		boxes[id], err = a.Encrypt([]byte(n), nil)
		must(t, err)
	}
	for id, a := range held {
		if _, err := a.Decrypt(boxes[id], nil); err != nil {
			t.Error(err)
		}
	}
	for id, a := range held {
		if _, err := s.Destroy(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Decrypt(boxes[id], nil); tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("opened after its destruction: %v", err)
		}
	}
}

// TestConcurrent seals while a key is destroyed: each call either works or is
// refused as Blocked, and after Destroy returned none works.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := newStore(t, keystore.Options{})
	id := create(t, s, spec)
	var wg sync.WaitGroup
	var mu sync.Mutex
	dead := false
	for range 4 {
		wg.Go(func() {
			for range 200 {
				mu.Lock()
				after := dead
				mu.Unlock()
				a, err := s.AEAD(ctx, id)
				if err == nil {
					_, err = a.Encrypt([]byte("x"), nil)
				}
				if err == nil && after {
					t.Error("sealed after the destruction")
				}
				if err != nil && tenure.CodeOf(err) != tenure.Blocked {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if _, err := s.Destroy(ctx, id); err != nil {
			t.Error(err)
		}
		mu.Lock()
		dead = true
		mu.Unlock()
	})
	wg.Wait()
}

// BenchmarkEncrypt has the primitive without the keystore as its baseline in
// audit's BenchmarkSeal.
func BenchmarkEncrypt(b *testing.B) {
	s, _ := newStore(b, keystore.Options{})
	a, err := s.AEAD(context.Background(), create(b, s, spec))
	must(b, err)
	text, ad := make([]byte, 32), make([]byte, 120)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Encrypt(text, ad); err != nil {
			b.Fatal(err)
		}
	}
}
