package audit_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

func newAEAD(t testing.TB) audit.AEAD {
	t.Helper()
	a, err := subtle.NewAESGCM(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestSealBinds: a box that could be moved to another entry or field would let
// whoever holds the database put words into somebody's mouth.
func TestSealBinds(t *testing.T) {
	t.Parallel()
	a := newAEAD(t)
	e := sample()
	e.Sealed = nil
	if err := e.Seal(a, "key_1", "name", []byte("Ada")); err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := audit.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read.Open(a, "name"); err != nil || string(got) != "Ada" {
		t.Errorf("opened %q, %v", got, err)
	}
	if _, err := read.Open(a, "other"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("an absent field: %v", err)
	}
	box := e.Sealed["name"]
	for name, change := range map[string]func(*audit.Entry){
		"field":     func(e *audit.Entry) { e.Sealed = map[string]audit.Sealed{"name": e.Sealed["mail"]} },
		"key":       func(e *audit.Entry) { e.Sealed["mail"] = audit.Sealed{Key: "key_2", Box: box.Box} },
		"kind":      func(e *audit.Entry) { e.Kind = "x" },
		"tenant":    func(e *audit.Entry) { e.Tenant = "ten_other" },
		"operation": func(e *audit.Entry) { e.Operation = "" },
		"subject":   func(e *audit.Entry) { e.Subject = "x" },
		"time":      func(e *audit.Entry) { e.At = e.At.Add(time.Microsecond) },
		"box": func(e *audit.Entry) {
			s := slices.Clone(box.Box)
			s[0] ^= 1
			e.Sealed["mail"] = audit.Sealed{Key: box.Key, Box: s}
		},
	} {
		c := sample()
		c.Sealed = nil
		if err := c.Seal(a, "key_1", "mail", []byte("ada@example.com")); err != nil {
			t.Fatal(err)
		}
		change(c)
		field := "mail"
		if name == "field" {
			field = "name"
		}
		if _, err := c.Open(a, field); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("box moved to another %s: %v, want Invalid", name, err)
		}
	}
}

// TestForgetting: with the key gone nobody reads the field, and the log with
// its checkpoint still verifies.
func TestForgetting(t *testing.T) {
	t.Parallel()
	key := newAEAD(t)
	e := sample()
	if err := e.Seal(key, "key_1", "name", []byte("Ada")); err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	l := &memLog{records: []audit.Record{{Entry: b}}}
	l.rehash()
	other, err := subtle.NewAESGCM(append(make([]byte, 31), 1)) // all that is left after the erasure
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(other, "name"); err == nil {
		t.Error("opened without the key")
	}
	signer := newSigner(t, origin)
	log := l.log(signer.Verifier())
	log.Witnessed = l.checkpoint(t, signer)
	report, err := audit.Verify(context.Background(), log)
	if err != nil || !report.OK() || report.Checkpoints != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	a := newAEAD(b)
	b.ReportAllocs()
	e := sample()
	for b.Loop() {
		if err := e.Seal(a, "key_0011223344556677_00112233445566778899aabbccddeeff", "by", []byte("ada@example.com")); err != nil {
			b.Fatal(err)
		}
	}
}
