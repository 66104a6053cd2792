package keystore_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
)

// The same value has the same pseudonym as long as its key is there, and nobody's after.
func TestPseudonyms(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, _ := newStore(t, keystore.Options{})
	tenant := tenure.NewID[tenure.TenantID](time.Now())
	key := func(name string) keystore.KeyID {
		t.Helper()
		id, err := s.Create(ctx, keystore.PlannedKey(tenant, tenure.PseudonymKey+name))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := key("people")
	p, err := s.Pseudonyms(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Pseudonyms(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	others, err := s.Pseudonyms(ctx, key("others"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Name("ada"), again.Name("ada")) || bytes.Equal(p.Name("ada"), p.Name("bob")) || bytes.Equal(p.Name("ada"), others.Name("ada")) {
		t.Error("pseudonyms don't tell values and keys apart, or don't last")
	}
	sealed, err := p.Seal("ada")
	if err != nil {
		t.Fatal(err)
	}
	if back, err := again.Open(sealed); err != nil || back != "ada" {
		t.Errorf("opened %q: %v", back, err)
	}
	if _, err := others.Open(sealed); err == nil {
		t.Error("another key opens it")
	}
	if found, err := s.Fsck(ctx); err != nil || len(found) > 0 {
		t.Errorf("the check of the keystore finds %v: %v", found, err)
	}
	if _, err := s.Destroy(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pseudonyms(ctx, id); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("after its destruction: %v, want it blocked", err)
	}
}
