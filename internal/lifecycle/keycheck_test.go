package lifecycle_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
)

// A keystore that lacks a key, has one too many or has one back, and a store that is
// older than it, are named without a witness.
func TestKeystoreBesideTheLog(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	copied := func(s *site, to string) {
		s.must(os.CopyFS(to, os.DirFS(filepath.Join(s.dir, "keys", "keys"))))
	}
	key := func(s *site, p keystore.Purpose) keystore.KeyID {
		v, err := s.Tenant(ctx, "acme")
		s.must(err)
		return keystore.PlannedKey(v.ID, string(p)).ID()
	}
	files := func(s *site, id keystore.KeyID) []string {
		list, err := filepath.Glob(filepath.Join(s.dir, "keys", "keys", "*", string(id)+".*"))
		s.must(err)
		return list
	}
	seen := func(s *site, change func(*keystore.Seen)) {
		n, err := s.keys.Seen()
		s.must(err)
		if n.Size == 0 {
			s.t.Fatal("nothing was noted when keys were made")
		}
		change(&n)
		b, err := json.Marshal(n)
		s.must(err)
		s.must(os.WriteFile(filepath.Join(s.dir, "keys", "seen.json"), b, 0o600))
	}
	for _, c := range []struct {
		name string
		do   func(*site)
		says string
	}{
		{"as it should be", func(s *site) {}, ""},
		{"an older keystore: a key is lost", func(s *site) {
			for _, f := range files(s, key(s, keystore.Personal)) {
				s.must(os.Remove(f))
			}
		}, "is lost: entry"},
		{"a credential's key is lost", func(s *site) {
			for _, f := range files(s, key(s, keystore.Credential)) {
				s.must(os.Remove(f))
			}
		}, "is lost: entry"},
		{"a key of nobody", func(s *site) {
			_, err := s.keys.Create(ctx, keystore.PlannedKey(tenure.NewID[tenure.TenantID](s.Now()), string(keystore.Credential)))
			s.must(err)
		}, "is unknown: the log has never heard of it"},
		{"a refused request's key", func(s *site) {
			_, err := s.keys.Create(ctx, keystore.PlannedKey(tenure.NewID[tenure.TenantID](s.Now()), string(keystore.Personal)))
			s.must(err)
		}, ""},
		{"an older store", func(s *site) { seen(s, func(n *keystore.Seen) { n.Size += 1000 }) }, "the store is older than the keystore"},
		{"another store", func(s *site) { seen(s, func(n *keystore.Seen) { n.Root = strings.Repeat("A", 43) + "=" }) }, "the store isn't the keystore's"},
		{"a note that can't be read", func(s *site) {
			s.must(os.WriteFile(filepath.Join(s.dir, "keys", "seen.json"), []byte("{"), 0o600))
		}, "seen.json can't be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			c.do(s)
			rep, err := s.VerifyAudit(ctx)
			s.must(err)
			all := strings.Join(rep.Problems, "\n")
			if c.says == "" && all != "" || c.says != "" && !strings.Contains(all, c.says) {
				t.Errorf("the problems are %q, want %q", all, c.says)
			}
			keys, err := s.CheckKeys(ctx)
			s.must(err)
			if apart, err := s.Apart(ctx); err != nil || !strings.Contains(strings.Join(append(keys, apart), "\n"), c.says) || c.says == "" && len(keys) > 0 {
				t.Errorf("a look at the keys alone says %q and %q, %v, want %q", keys, apart, err, c.says)
			}
		})
	}
	t.Run("keys that were destroyed are back", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, nil)
		s.onboard("acme")
		before := filepath.Join(t.TempDir(), "keys")
		copied(s, before)
		op := s.leave("acme")
		s.through(op)
		s.audited()
		s.must(filepath.WalkDir(before, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(before, path)
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(filepath.Join(s.dir, "keys", "keys", rel), b, 0o600)
			}
			return err
		}))
		rep, err := s.VerifyAudit(ctx)
		s.must(err)
		contains(t, strings.Join(rep.Problems, "\n"), "is revived: the key was destroyed")
	})
}
